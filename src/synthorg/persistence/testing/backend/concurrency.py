"""Many coroutines on one backend: each call succeeds or fails alone."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

from synthorg.persistence import (
    DuplicateRecordError,
    InvalidArgumentError,
    PersistenceBackend,
    PersistenceError,
    QueryError,
    VersionConflictError,
)
from synthorg.persistence.testing.concurrency import outcomes, together
from synthorg.persistence.testing.kinds import (
    API_KEYS,
    AUDIT_ENTRIES,
    CHECKPOINTS,
    COST_RECORDS,
    DEFINITIONS,
    MESSAGES,
    SETTINGS,
    TASKS,
    USERS,
)

Step = tuple[Coroutine[Any, Any, None], type[PersistenceError] | None]

CALLS: Final = 200


class Concurrency:
    """Many coroutines on one backend: each call succeeds or fails alone."""

    async def test_of_many_saves_each_succeeds_or_fails_alone(
        self, backend: PersistenceBackend
    ) -> None:
        taken = AUDIT_ENTRIES.make(id="taken")
        await backend.audit_entries.save(taken)
        await backend.users.save(USERS.make(id="taken", username="taken"))
        await backend.workflow_definitions.save(DEFINITIONS.example)

        def steps(number: int) -> list[Step]:
            key = f"{number:03}"
            return [
                (backend.tasks.save(TASKS.keyed(key)), None),
                (
                    backend.tasks.save(TASKS.forged(TASKS.keyed(key), title="\x00")),
                    InvalidArgumentError,
                ),
                (backend.audit_entries.save(AUDIT_ENTRIES.keyed(key)), None),
                (backend.audit_entries.save(taken), DuplicateRecordError),
                (backend.users.save(USERS.make(id=key, username="taken")), DuplicateRecordError),
                (backend.api_keys.save(API_KEYS.make(id=key, user_id="unknown")), QueryError),
                (
                    backend.checkpoints.save(
                        CHECKPOINTS.forged(CHECKPOINTS.example, turn_number=-1)
                    ),
                    InvalidArgumentError,
                ),
                (backend.workflow_definitions.save(DEFINITIONS.example), VersionConflictError),
                (backend.cost_records.save(COST_RECORDS.keyed(key)), None),
                (backend.messages.save(MESSAGES.keyed(key)), None),
            ]

        planned = [step for number in range(CALLS // 10) for step in steps(number)]
        Random(0).shuffle(planned)
        results = await outcomes(step for step, _ in planned)

        assert len(results) == CALLS
        assert [type(error) if error else None for error in results] == [
            expected for _, expected in planned
        ]
        keys = [f"{number:03}" for number in range(CALLS // 10)]
        assert await backend.tasks.list_tasks() == tuple(map(TASKS.keyed, keys))
        entries = {AUDIT_ENTRIES.keyed(key) for key in keys} | {taken}
        assert set(await backend.audit_entries.query(limit=CALLS)) == entries
        assert {record.model for record in await backend.cost_records.query()} == set(keys)
        history = await backend.messages.get_history(MESSAGES.example.channel)
        assert {message.id for message in history} == set(map(MESSAGES.key_for, keys))
        assert await backend.users.count() == 1
        assert await backend.checkpoints.get_latest(task_id=CHECKPOINTS.example.task_id) is None
        definitions = await backend.workflow_definitions.list_definitions()
        assert definitions == (DEFINITIONS.example,)

    async def test_what_returned_is_seen_by_every_later_read(
        self, backend: PersistenceBackend
    ) -> None:
        async def save_and_read(number: int) -> None:
            for turn in range(5):
                task = TASKS.altered(TASKS.keyed(str(number)), title=f"turn {turn}")
                await backend.tasks.save(task)
                assert await backend.tasks.get(task.id) == task
                assert task in await backend.tasks.list_tasks()
            assert await backend.tasks.delete(str(number))
            assert await backend.tasks.get(str(number)) is None

        assert set(await together(save_and_read(number) for number in range(20))) == {None}
        assert await backend.tasks.list_tasks() == ()

    async def test_one_record_saved_by_many_is_always_one_of_theirs(
        self,
        backend: PersistenceBackend,
    ) -> None:
        versions = [
            TASKS.make(title=str(number), description=str(number), priority="low")
            for number in range(30)
        ]
        await backend.tasks.save(versions[0])
        saves = asyncio.gather(*map(backend.tasks.save, versions))
        while not saves.done():
            assert await backend.tasks.get(TASKS.example.id) in versions
        await saves
        assert await backend.tasks.get(TASKS.example.id) in versions

    async def test_recording_order_is_the_order_in_which_calls_returned(
        self,
        backend: PersistenceBackend,
    ) -> None:
        returned: list[str] = []

        async def record(number: int) -> None:
            for turn in range(5):
                model = f"{number}-{turn}"
                await backend.cost_records.save(COST_RECORDS.keyed(model))
                returned.append(model)

        await asyncio.gather(*map(record, range(10)))
        recorded = [record.model for record in await backend.cost_records.query()]
        assert sorted(recorded) == sorted(returned)
        for number in range(10):
            own = [model for model in recorded if model.startswith(f"{number}-")]
            assert own == sorted(own)

    async def test_deleting_at_once_deletes_once(self, backend: PersistenceBackend) -> None:
        await SETTINGS.store(backend, SETTINGS.example)
        deleted = await together(backend.settings.delete("budget", "limit") for _ in range(10))
        assert sorted(deleted) == [False] * 9 + [True]
