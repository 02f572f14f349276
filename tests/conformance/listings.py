"""Every list that a repository offers, with a model of it in plain Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from operator import ge, le, lt
from random import Random
from typing import Any, Final
from uuid import UUID

from synthorg.entities import (
    AgentRuntimeState,
    ApprovalRiskLevel,
    ArtifactType,
    ExecutionStatus,
    HumanRole,
    LifecycleEventType,
    ProjectStatus,
    TaskStatus,
    WorkflowExecutionStatus,
    WorkflowType,
)
from synthorg.persistence import PersistenceBackend
from synthorg.persistence.stores import SettingRow
from synthorg.persistence.transactions import Stores
from tests.conformance.awkward import KEYS, TIMES
from tests.conformance.kind import Kind
from tests.conformance.kinds import (
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
from tests.conformance.units import repositories

NAMES: Final = ("bob", "Bob", "bob ")
"""Values for a filter, which must tell them apart."""

UNKNOWN_NAME: Final = "b\u00f6b"

COMPARISONS: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    "since": ge,
    "until": le,
    "threshold": lt,
}

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """One list.

    Args:
        kind: What is listed.
        method: The repository's method.
        order: The fields that it is ordered by; none for the order of recording.
        descending: Whether the order is from last to first.
        filters: The field that each argument for equality is compared with.
        required: The arguments that every call gives.
        values: The values that the records have in fields other than the key.
        time: The field that the times of a call are compared with.
        bounds: The arguments that are times.
        limited: Whether there is an argument `limit`.
        lists: Tells of a record whether it may be listed at all.
        others: More records, which exist besides.
        from_row: Makes a record of what is listed.
    """

    kind: Kind
    method: str
    order: Sequence[str] = ("id",)
    descending: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)
    required: Sequence[str] = ()
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    time: str | None = None
    bounds: Sequence[str] = ()
    limited: bool = False
    lists: Callable[[Any], bool] = lambda _: True
    others: Sequence[Any] = ()
    from_row: Callable[[Any, Arguments], Any] = lambda row, _: row

    def __str__(self) -> str:
        return f"{self.kind.repository}.{self.method}"

    def population(self, random: Random) -> list[Any]:
        """Make a record under each awkward key, all alike but for the fields that matter."""
        pools = {**self.values, **({self.time: TIMES} if self.time else {})}
        records = [
            self.kind.altered(
                self.kind.keyed(key), **{name: random.choice(pool) for name, pool in pools.items()}
            )
            for key in KEYS
        ]
        records += self.others
        random.shuffle(records)
        return records

    async def fill(self, stores: Stores, records: Sequence[Any]) -> None:
        """Save records, in their order."""
        kind, backend = self.kind, repositories(stores)
        if kind is SETTINGS:
            await kind.store(backend, *records)
            return
        if kind.prepare is not None:
            for record in records:
                await kind.prepare(backend, record)
        await getattr(stores, kind.repository).save_many(records)

    def calls(self, random: Random, rounds: int) -> Iterator[dict[str, Any]]:
        """Choose the arguments of calls, some with each subset of those that may be left out."""
        pools = {
            **{name: self._filter_values(name) for name in self.filters},
            **dict.fromkeys(self.bounds, TIMES),
            **({"limit": (1, 2, 7, 1000)} if self.limited else {}),
        }
        optional = [name for name in pools if name not in self.required]
        for size in range(len(optional) + 1):
            for given in combinations(optional, size):
                for _ in range(rounds):
                    yield self._arguments(random, pools, {*given, *self.required})

    def _filter_values(self, argument: str) -> Sequence[Any]:
        values = [value for value in self.values[self.filters[argument]] if value is not None]
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
            chosen.sort(key=self._place, reverse=self.descending)
        return chosen[: arguments.get("limit")]

    def _matches(self, record: Any, arguments: Arguments) -> bool:
        if not self.lists(record):
            return False
        equal = all(
            arguments[argument] in (None, getattr(record, name))
            for argument, name in self.filters.items()
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
    Listing(
        TASKS,
        "list_tasks",
        filters={"status": "status", "assigned_to": "assigned_to", "project": "project"},
        values={
            "status": (TaskStatus.BLOCKED, TaskStatus.FAILED),
            "assigned_to": (*NAMES, None),
            "project": NAMES,
        },
    ),
    Listing(
        COST_RECORDS,
        "query",
        order=(),
        filters={"agent_id": "agent_id", "task_id": "task_id"},
        values={"agent_id": NAMES, "task_id": NAMES},
    ),
    Listing(
        MESSAGES,
        "get_history",
        order=("timestamp", "id"),
        descending=True,
        filters={"channel": "channel"},
        required=("channel",),
        values={"channel": NAMES},
        time="timestamp",
        limited=True,
    ),
    Listing(
        LIFECYCLE_EVENTS,
        "list_events",
        order=("timestamp", "id"),
        descending=True,
        filters={"agent_id": "agent_id", "event_type": "event_type"},
        values={
            "agent_id": NAMES,
            "event_type": (LifecycleEventType.HIRED, LifecycleEventType.FIRED),
        },
        time="timestamp",
        bounds=("since", "until"),
        limited=True,
    ),
    Listing(
        TASK_METRICS,
        "query",
        order=("completed_at", "id"),
        descending=True,
        filters={"agent_id": "agent_id"},
        values={"agent_id": NAMES, "started_at": (None,)},
        time="completed_at",
        bounds=("since", "until"),
    ),
    Listing(
        COLLABORATION_METRICS,
        "query",
        order=("recorded_at", "id"),
        descending=True,
        filters={"agent_id": "agent_id"},
        values={"agent_id": NAMES},
        time="recorded_at",
        bounds=("since", "until"),
    ),
    Listing(
        PARKED_CONTEXTS,
        "get_by_agent",
        order=("parked_at", "id"),
        descending=True,
        filters={"agent_id": "agent_id"},
        required=("agent_id",),
        values={"agent_id": NAMES},
        time="parked_at",
    ),
    Listing(
        AUDIT_ENTRIES,
        "query",
        order=("timestamp", "id"),
        descending=True,
        filters={
            "agent_id": "agent_id",
            "action_type": "action_type",
            "verdict": "verdict",
            "risk_level": "risk_level",
        },
        values={
            "agent_id": (*NAMES, None),
            "action_type": NAMES,
            "verdict": ("allow", "escalate"),
            "risk_level": (ApprovalRiskLevel.LOW, ApprovalRiskLevel.CRITICAL),
        },
        time="timestamp",
        bounds=("since", "until"),
        limited=True,
    ),
    Listing(
        USERS,
        "list_users",
        order=("created_at", "id"),
        values={"role": (HumanRole.MANAGER, HumanRole.SYSTEM, HumanRole.OBSERVER)},
        time="created_at",
        lists=lambda user: user.role is not HumanRole.SYSTEM,
    ),
    Listing(
        API_KEYS,
        "list_by_user",
        order=("created_at", "id"),
        descending=True,
        filters={"user_id": "user_id"},
        required=("user_id",),
        values={"user_id": NAMES},
        time="created_at",
    ),
    Listing(
        HEARTBEATS,
        "get_stale",
        order=("last_heartbeat_at", "execution_id"),
        required=("threshold",),
        time="last_heartbeat_at",
        bounds=("threshold",),
    ),
    Listing(
        AGENT_STATES,
        "get_active",
        order=("last_activity_at", "agent_id"),
        descending=True,
        values={"status": (ExecutionStatus.EXECUTING, ExecutionStatus.PAUSED)},
        time="last_activity_at",
        lists=lambda state: state.status is not ExecutionStatus.IDLE,
        others=[
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
        filters={"namespace": "namespace"},
        required=("namespace",),
        values={"namespace": NAMES},
        from_row=lambda row, arguments: SettingRow(arguments["namespace"], *row),
    ),
    Listing(
        SETTINGS,
        "get_all",
        order=("namespace", "key"),
        values={"namespace": NAMES},
        from_row=lambda row, _: SettingRow(*row),
    ),
    Listing(
        ARTIFACTS,
        "list_artifacts",
        filters={"task_id": "task_id", "created_by": "created_by", "artifact_type": "type"},
        values={
            "task_id": NAMES,
            "created_by": NAMES,
            "type": (ArtifactType.CODE, ArtifactType.TESTS),
        },
    ),
    Listing(
        PROJECTS,
        "list_projects",
        filters={"status": "status", "lead": "lead"},
        values={
            "status": (ProjectStatus.ACTIVE, ProjectStatus.PLANNING),
            "lead": (*NAMES, None),
        },
    ),
    Listing(PRESETS, "list_all", order=("name",)),
    Listing(
        DEFINITIONS,
        "list_definitions",
        order=("updated_at", "id"),
        descending=True,
        filters={"workflow_type": "workflow_type"},
        values={"workflow_type": (WorkflowType.KANBAN, WorkflowType.AGILE_KANBAN)},
        time="updated_at",
    ),
    Listing(
        EXECUTIONS,
        "list_by_definition",
        order=("updated_at", "id"),
        descending=True,
        filters={"definition_id": "definition_id"},
        required=("definition_id",),
        values={"definition_id": NAMES},
        time="updated_at",
    ),
    Listing(
        EXECUTIONS,
        "list_by_status",
        order=("updated_at", "id"),
        descending=True,
        filters={"status": "status"},
        required=("status",),
        values={
            "status": (WorkflowExecutionStatus.PENDING, WorkflowExecutionStatus.RUNNING),
            "completed_at": (None,),
            "error": (None,),
        },
        time="updated_at",
    ),
)
