"""Fill an empty database with a month of an organisation: python -m service.fill [--talk].

With --talk, its agents then go on talking in the channel `general` until they are stopped.
"""

import argparse
import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from synthorg.entities import (
    CostRecord,
    LLMCallCategory,
    Message,
    MessagePriority,
    MessageType,
    Project,
    Task,
    TaskStatus,
    TaskType,
)
from synthorg.persistence import ManagedBackend, PersistenceConfig, UnitOfWork, create_backend

DAYS: Final = 30
CALLS_A_DAY: Final = 40
MESSAGES: Final = 60

AGENTS: Final = ("ada", "bruno", "chen", "dilnoza", "emeka")
PROJECTS: Final = {"website": "The new website", "reports": "Quarterly reports"}
MODELS: Final = {"small": 0.4, "medium": 3.0, "large": 15.0}
"""What a million tokens cost, in USD."""

TASKS: Final = {
    "website": ("Draw the start page", "Write the imprint", "Measure how fast it loads"),
    "reports": ("Collect the figures", "Write the summary", "Check the summary"),
}
SAYINGS: Final = (
    (MessageType.STATUS_REPORT, "The first draft is done, two pages and a chart."),
    (MessageType.QUESTION, "Which of the two charts shall I keep?"),
    (MessageType.TASK_UPDATE, "The figures for March are in. April's are still missing."),
    (MessageType.REVIEW_REQUEST, "Could you look at the summary before noon?"),
    (MessageType.APPROVAL, "Looks good to me. Ship it."),
    (MessageType.DELEGATION, "Please take the imprint over from me."),
    (MessageType.ESCALATION, "The test environment has been away for an hour."),
    (MessageType.MEETING_CONTRIBUTION, "I would rather have fewer pages that load at once."),
    (MessageType.ANNOUNCEMENT, "The start page is live."),
)


def a_message(chance: random.Random, moment: datetime) -> Message:
    """Make something that one agent says to another."""
    sender, to = chance.sample(AGENTS, 2)
    kind, content = chance.choice(SAYINGS)
    urgent = kind is MessageType.ESCALATION
    return Message(
        timestamp=moment,
        sender=sender,
        to=to,
        type=kind,
        priority=MessagePriority.URGENT if urgent else MessagePriority.NORMAL,
        channel="general",
        content=content,
    )


def tasks() -> Iterator[Task]:
    """Make some tasks, the first of each project assigned."""
    for project, titles in TASKS.items():
        for number, title in enumerate(titles):
            task = Task(
                id=f"{project}-{number + 1}",
                title=title,
                description=title,
                type=TaskType.DESIGN if project == "website" else TaskType.RESEARCH,
                project=project,
                created_by=AGENTS[0],
            )
            if number == 0:
                task = task.with_transition(TaskStatus.ASSIGNED, assigned_to=AGENTS[1])
            yield task


def costs(chance: random.Random, until: datetime) -> Iterator[CostRecord]:
    """Make the calls of a month; agents differ in how much they ask, and of which model."""
    task_ids = [task.id for task in tasks()]
    for days in range(DAYS, -1, -1):
        busy = 0.3 if (until - timedelta(days=days)).weekday() >= 5 else 1.0  # noqa: PLR2004 (Saturday)
        for _ in range(round(CALLS_A_DAY * busy * chance.uniform(0.6, 1.4))):
            (agent,) = chance.choices(AGENTS, weights=(6, 4, 3, 2, 1))
            (model,) = chance.choices([*MODELS], weights=(5, 3, 1))
            sent, received = chance.randrange(500, 60_000), chance.randrange(50, 4_000)
            yield CostRecord(
                agent_id=agent,
                task_id=chance.choice(task_ids),
                provider="example",
                model=model,
                input_tokens=sent,
                output_tokens=received,
                cost_usd=(sent + 4 * received) * MODELS[model] / 1e6,
                timestamp=until - timedelta(days=days, minutes=chance.randrange(600)),
                call_category=LLMCallCategory.PRODUCTIVE,
            )


async def fill(backend: ManagedBackend) -> bool:
    """Store all of it, unless there are projects already, and tell whether it did."""
    chance = random.Random(7)  # noqa: S311 (the same each time)
    now = datetime.now(UTC)

    async def store(work: UnitOfWork) -> bool:
        if await work.projects.list_projects():
            return False
        await work.projects.save_many(Project(id=key, name=name) for key, name in PROJECTS.items())
        await work.tasks.save_many(tasks())
        await work.cost_records.save_many(costs(chance, now))
        minutes = range(MESSAGES, 0, -1)
        await work.messages.save_many(
            a_message(chance, now - timedelta(minutes=m)) for m in minutes
        )
        return True

    return await backend.run_in_transaction(store)


async def talk(backend: ManagedBackend, seconds: float) -> None:
    """Have the agents say something now and then, for ever."""
    chance = random.Random()  # noqa: S311 (it is talk)
    for _ in count():
        await backend.messages.save(a_message(chance, datetime.now(UTC)))
        await asyncio.sleep(chance.uniform(0, 2 * seconds))


async def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m service.fill", description=__doc__)
    parser.add_argument("--talk", action="store_true", help="go on talking until stopped")
    parser.add_argument("--seconds", type=float, default=1, help="between two sayings, on average")
    given = parser.parse_args()
    config = PersistenceConfig.from_env()
    async with create_backend(config, migrate=True) as backend:
        filled = await fill(backend)
        print("Filled it." if filled else "It has projects, so nothing was added.")
        if given.talk:
            print("The agents are talking; Ctrl-C stops them.")
            await talk(backend, given.seconds)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print()
