"""Every list that a repository offers, with a model of it in plain Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import combinations
from operator import ge, le, lt
from random import Random
from typing import Any, Final
from uuid import UUID

from synthorg.entities import (
    AgentRuntimeState,
    ExecutionStatus,
    HumanRole,
    WorkflowExecutionStatus,
)
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.stores import SettingRow
from synthorg.persistence.testing.awkward import KEYS, TIMES
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AGENT_STATES,
    API_KEYS,
    ARTIFACTS,
    AUDIT_ENTRIES,
    COLLABORATION_METRICS,
    COST_RECORDS,
    DEFINITIONS,
    EXECUTIONS,
    HEARTBEATS,
    LATER,
    LIFECYCLE_EVENTS,
    MESSAGES,
    PARKED_CONTEXTS,
    PRESETS,
    PROJECTS,
    SETTINGS,
    TASK_METRICS,
    TASKS,
    USERS,
)
from synthorg.persistence.transactions import Stores

NAMES: Final = ("bob", "Bob", "bob ")
"""Values for a filter, which must tell them apart."""

UNKNOWN_NAME: Final = "b\u00f6b"

COMPARISONS: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    "since": ge,
    "until": le,
    "threshold": lt,
}

Arguments = Mapping[str, Any]

RUNNING: Final[Mapping[str, Sequence[Any]]] = {
    "status": (WorkflowExecutionStatus.PENDING, WorkflowExecutionStatus.RUNNING),
    "completed_at": (None,),
    "error": (None,),
}
"""Values for executions that have not ended, whose other fields have to fit."""


@dataclass(frozen=True)
class Listing:
    """One list.

    Args:
        kind: What is listed.
        method: The repository's method.
        order: The fields that it is ordered by, a time first if there is one; none for the order of
            recording.
        descending: Whether the order is from last to first.
        filters: The arguments for equality, each named as the field that it is compared with or
            followed by a colon and that field.
        required: The arguments that every call gives.
        others: The values that the records have in fields that decide what is listed, beside those
            of the key and of filters.
        bounds: The arguments that are times.
        limited: Whether there is an argument `limit`.
        lists: Tells of a record whether it may be listed at all.
        more: More records, which exist besides.
        from_row: Makes a record of what is listed.
    """

    kind: Kind
    method: str
    order: Sequence[str] = ("id",)
    descending: bool = False
    filters: str = ""
    required: Sequence[str] = ()
    others: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    bounds: Sequence[str] = ()
    limited: bool = False
    lists: Callable[[Any], bool] = lambda _: True
    more: Sequence[Any] = ()
    from_row: Callable[[Any, Arguments], Any] = lambda row, _: row

    @property
    def compared(self) -> Mapping[str, str]:
        """The field that each filter is compared with."""
        pairs = [each.partition(":") for each in self.filters.split()]
        return {argument: name or argument for argument, _, name in pairs}

    @property
    def time(self) -> str | None:
        """The field that the times of a call are compared with."""
        first = self.order[0] if self.order else "timestamp"
        return first if isinstance(getattr(self.kind.example, first, None), datetime) else None

    def values(self, name: str) -> Sequence[Any]:
        """Choose the values that the records have in a field: names, or members of an enumeration.

        Args:
            name: The field.
        """
        if name in self.others:
            return self.others[name]
        example, change = getattr(self.kind.example, name), self.kind.changes[name]
        is_choice = isinstance(example, StrEnum) or name == "verdict"
        return (example, change) if is_choice else (*NAMES, *[None] * (change is None))

    def __str__(self) -> str:
        return f"{self.kind.repository}.{self.method}"

    def population(self, random: Random) -> list[Any]:
        """Make a record under each awkward key, all alike but for the fields that matter."""
        names = {*self.compared.values(), *self.others}
        pools = {name: self.values(name) for name in sorted(names)}
        pools |= {self.time: TIMES} if self.time else {}
        records = [
            self.kind.altered(
                self.kind.keyed(key), **{name: random.choice(pool) for name, pool in pools.items()}
            )
            for key in KEYS
        ]
        records += self.more
        random.shuffle(records)
        return records

    async def fill(self, stores: PersistenceBackend | Stores, records: Sequence[Any]) -> None:
        """Save records, in their order."""
        kind = self.kind
        if kind.prepare is not None:
            for record in records:
                await kind.prepare(stores, record)
        repository = getattr(stores, kind.repository)
        if hasattr(repository, "save_many") and kind.save_with is None:
            await repository.save_many(records)
        else:
            for record in records:
                await kind.save(stores, record)

    def calls(self, random: Random, rounds: int) -> Iterator[dict[str, Any]]:
        """Choose the arguments of calls, some with each subset of those that may be left out."""
        pools = {
            **{name: self._filter_values(name) for name in self.compared},
            **dict.fromkeys(self.bounds, TIMES),
            **({"limit": (1, 2, 7, 1000)} if self.limited else {}),
        }
        optional = [name for name in pools if name not in self.required]
        for size in range(len(optional) + 1):
            for given in combinations(optional, size):
                for _ in range(rounds):
                    yield self._arguments(random, pools, {*given, *self.required})

    def _filter_values(self, argument: str) -> Sequence[Any]:
        chosen = self.values(self.compared[argument])
        values = [value for value in chosen if value is not None]
        return [*values, UNKNOWN_NAME] if values[0] in NAMES else values

    def _arguments(
        self, random: Random, pools: Mapping[str, Sequence[Any]], given: set[str]
    ) -> dict[str, Any]:
        arguments = {
            name: random.choice(pool) if name in given else None for name, pool in pools.items()
        }
        if arguments.get("limit", 0) is None:
            del arguments["limit"]
        since, until = arguments.get("since"), arguments.get("until")
        if (
            since is not None
            and until is not None
            and until.astimezone(UTC) < since.astimezone(UTC)
        ):
            arguments |= {"since": until, "until": since}
        return arguments

    async def __call__(self, backend: PersistenceBackend, arguments: Arguments) -> list[Any]:
        """Ask the repository."""
        listed = await getattr(getattr(backend, self.kind.repository), self.method)(**arguments)
        assert isinstance(listed, tuple)
        return [self.from_row(row, arguments) for row in listed]

    def expected(self, records: Sequence[Any], arguments: Arguments) -> list[Any]:
        """Work out what the repository has to answer."""
        chosen = [record for record in records if self._matches(record, arguments)]
        if self.order:
            if self.descending:
                chosen.reverse()  # what was saved last is the first of its time
            chosen.sort(key=self._place, reverse=self.descending)
        return chosen[: arguments.get("limit")]

    def _matches(self, record: Any, arguments: Arguments) -> bool:
        if not self.lists(record):
            return False
        equal = all(
            arguments[argument] in (None, getattr(record, name))
            for argument, name in self.compared.items()
        )
        return equal and all(
            COMPARISONS[bound](getattr(record, self.time), arguments[bound].astimezone(UTC))
            for bound in self.bounds
            if self.time is not None and arguments[bound] is not None
        )

    def _place(self, record: Any) -> list[Any]:
        values = [getattr(record, name) for name in self.order]
        return [str(value) if isinstance(value, UUID) else value for value in values]


LISTINGS: Final = (
    Listing(TASKS, "list_tasks", filters="status assigned_to project"),
    Listing(COST_RECORDS, "query", order=(), filters="agent_id task_id"),
    Listing(
        MESSAGES,
        "get_history",
        order=("timestamp",),
        descending=True,
        filters="channel",
        required=("channel",),
        limited=True,
    ),
    Listing(
        LIFECYCLE_EVENTS,
        "list_events",
        order=("timestamp",),
        descending=True,
        filters="agent_id event_type",
        bounds=("since", "until"),
        limited=True,
    ),
    Listing(
        TASK_METRICS,
        "query",
        order=("completed_at",),
        descending=True,
        filters="agent_id",
        others={"started_at": (None,)},
        bounds=("since", "until"),
    ),
    Listing(
        COLLABORATION_METRICS,
        "query",
        order=("recorded_at",),
        descending=True,
        filters="agent_id",
        bounds=("since", "until"),
    ),
    Listing(
        PARKED_CONTEXTS,
        "get_by_agent",
        order=("parked_at", "id"),
        descending=True,
        filters="agent_id",
        required=("agent_id",),
    ),
    Listing(
        AUDIT_ENTRIES,
        "query",
        order=("timestamp",),
        descending=True,
        filters="agent_id action_type verdict risk_level",
        bounds=("since", "until"),
        limited=True,
    ),
    Listing(
        USERS,
        "list_users",
        order=("created_at", "id"),
        others={"role": (HumanRole.MANAGER, HumanRole.SYSTEM, HumanRole.OBSERVER)},
        lists=lambda user: user.role is not HumanRole.SYSTEM,
    ),
    Listing(
        API_KEYS,
        "list_by_user",
        order=("created_at", "id"),
        descending=True,
        filters="user_id",
        required=("user_id",),
    ),
    Listing(
        HEARTBEATS,
        "get_stale",
        order=("last_heartbeat_at", "execution_id"),
        required=("threshold",),
        bounds=("threshold",),
    ),
    Listing(
        AGENT_STATES,
        "get_active",
        order=("last_activity_at", "agent_id"),
        descending=True,
        others={"status": (ExecutionStatus.EXECUTING, ExecutionStatus.PAUSED)},
        lists=lambda state: state.status is not ExecutionStatus.IDLE,
        more=[
            AgentRuntimeState(
                agent_id=f"idle-{number}", status=ExecutionStatus.IDLE, last_activity_at=LATER
            )
            for number in range(3)
        ],
    ),
    Listing(
        SETTINGS,
        "get_namespace",
        order=("key",),
        filters="namespace",
        required=("namespace",),
        others={"namespace": NAMES},
        from_row=lambda row, arguments: SettingRow(arguments["namespace"], *row),
    ),
    Listing(
        SETTINGS,
        "get_all",
        order=("namespace", "key"),
        others={"namespace": NAMES},
        from_row=lambda row, _: SettingRow(*row),
    ),
    Listing(ARTIFACTS, "list_artifacts", filters="task_id created_by artifact_type:type"),
    Listing(PROJECTS, "list_projects", filters="status lead"),
    Listing(PRESETS, "list_all", order=("name",)),
    Listing(
        DEFINITIONS,
        "list_definitions",
        order=("updated_at", "id"),
        descending=True,
        filters="workflow_type",
    ),
    Listing(
        EXECUTIONS,
        "list_by_definition",
        order=("updated_at", "id"),
        descending=True,
        filters="definition_id",
        required=("definition_id",),
    ),
    Listing(
        EXECUTIONS,
        "list_by_status",
        order=("updated_at", "id"),
        descending=True,
        filters="status",
        required=("status",),
        others=RUNNING,
    ),
)
