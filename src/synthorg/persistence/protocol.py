"""The protocol of a persistence backend: its lifecycle, and a repository for every entity."""

from sqlalchemy.ext.asyncio import AsyncEngine

# Before Python 3.12, isinstance() with typing's own Protocol reads every property, and those of
# a backend that is not connected raise.
from typing_extensions import Protocol, runtime_checkable

from synthorg.entities import NotBlankStr
from synthorg.persistence.health import Health
from synthorg.persistence.repositories import (
    AgentStateRepository,
    ApiKeyRepository,
    ArtifactRepository,
    AuditRepository,
    CheckpointRepository,
    CollaborationMetricRepository,
    CostRecordRepository,
    HeartbeatRepository,
    LifecycleEventRepository,
    MessageRepository,
    ParkedContextRepository,
    PersonalityPresetRepository,
    ProjectRepository,
    SettingsRepository,
    TaskMetricRepository,
    TaskRepository,
    UserRepository,
    WorkflowDefinitionRepository,
    WorkflowExecutionRepository,
)


@runtime_checkable
class PersistenceBackend(Protocol):
    """One company's database: connect, migrate, and work through the repositories.

    A backend is made disconnected, and shares no state with any other. Until `connect` has
    returned, `migrate`, `get_db`, `get_setting`, `set_setting` and every repository raise a
    NotConnectedError that says what was asked for.

    It belongs to the process and the event loop that connected it: elsewhere, whatever needs the
    database is a UsageError. A child that was forked, and an event loop after one that has ended,
    connect it anew by `connect`, with or without `disconnect` before; the parent's connections are
    left alone.
    """

    @property
    def is_connected(self) -> bool:
        """Whether the backend is connected; not in a child of the process that connected it."""
        ...

    @property
    def backend_name(self) -> NotBlankStr:
        """The kind of database, such as "sqlite"."""
        ...

    async def connect(self) -> None:
        """Connect; harmless when connected, also when two tasks call it at once.

        Raises:
            PersistenceConnectionError: If the database cannot be reached; the backend is then
                disconnected, with nothing left open.
            UsageError: If it is connected in another event loop.
        """
        ...

    async def disconnect(self) -> None:
        """Close every connection; harmless when disconnected. `connect` works again after it.

        Units of work under way may end in the time that others wait for them (the pool's timeout,
        or SQLite's busy timeout); then they are cut off, and whatever is done in them fails.

        Raises:
            UsageError: If this is called inside a unit of work, which it would wait for.
        """
        ...

    async def health_check(self) -> bool:
        """Tell whether the database answers within 5 s, also while every connection is in use.

        False when disconnected. Never raises.
        """
        ...

    async def migrate(self) -> None:
        """Bring the schema to the version that this library needs.

        Any number of processes may call this at once, on an empty or on an old database: one
        migrates, and the others wait until it is done.

        Raises:
            UsageError: If this is called inside a unit of work.
            MigrationError: If a revision fails, which the text names; the schema is then as it
                was, or in a state from which the next call resumes. Also if the schema is of a
                newer release; then nothing is touched.
        """
        ...

    def get_db(self) -> AsyncEngine:
        """Return the engine, for what the repositories do not offer; the backend closes it.

        Inside a unit of work, what may write on it is a UsageError: the unit's rollback would not
        undo it, and on SQLite it would wait for the unit. Use the unit's `connection()` there.
        """
        ...

    async def get_setting(self, key: NotBlankStr) -> str | None:
        """Return the value of a setting in the namespace `_system`, or None."""
        ...

    async def set_setting(self, key: NotBlankStr, value: str) -> None:
        """Insert or replace a setting in the namespace `_system`, dated now."""
        ...

    @property
    def tasks(self) -> TaskRepository:
        """The tasks."""
        ...

    @property
    def cost_records(self) -> CostRecordRepository:
        """The costs of calls to language models."""
        ...

    @property
    def messages(self) -> MessageRepository:
        """The messages."""
        ...

    @property
    def lifecycle_events(self) -> LifecycleEventRepository:
        """The events in the lives of agents."""
        ...

    @property
    def task_metrics(self) -> TaskMetricRepository:
        """The metrics of finished tasks."""
        ...

    @property
    def collaboration_metrics(self) -> CollaborationMetricRepository:
        """The metrics of how agents work together."""
        ...

    @property
    def parked_contexts(self) -> ParkedContextRepository:
        """The executions that wait for a human approval."""
        ...

    @property
    def audit_entries(self) -> AuditRepository:
        """The records of security decisions."""
        ...

    @property
    def users(self) -> UserRepository:
        """The users."""
        ...

    @property
    def api_keys(self) -> ApiKeyRepository:
        """The users' API keys."""
        ...

    @property
    def checkpoints(self) -> CheckpointRepository:
        """The snapshots of executions."""
        ...

    @property
    def heartbeats(self) -> HeartbeatRepository:
        """The last signs of life of executions."""
        ...

    @property
    def agent_states(self) -> AgentStateRepository:
        """What the agents are doing at present."""
        ...

    @property
    def settings(self) -> SettingsRepository:
        """The settings."""
        ...

    @property
    def artifacts(self) -> ArtifactRepository:
        """What is known about artifacts."""
        ...

    @property
    def projects(self) -> ProjectRepository:
        """The projects."""
        ...

    @property
    def custom_presets(self) -> PersonalityPresetRepository:
        """The personality presets that people have made."""
        ...

    @property
    def workflow_definitions(self) -> WorkflowDefinitionRepository:
        """The workflow definitions."""
        ...

    @property
    def workflow_executions(self) -> WorkflowExecutionRepository:
        """The executions of workflow definitions."""
        ...


@runtime_checkable
class ReportingBackend(PersistenceBackend, Protocol):
    """`PersistenceBackend` that tells how its database is."""

    async def health(self, *, timeout: float = 5.0) -> Health:  # noqa: ASYNC109 (it ends in an answer, not in an error)
        """Tell how the database is: whether it answers, its schema, and what is under way.

        A database that is not connected, cannot be reached, or says nothing is told as that, with
        the reason; and so is one whose connections are all in use.

        Args:
            timeout: In how many seconds to answer, whatever happens.

        Returns:
            What was found out in that time.

        Raises:
            UsageError: If the backend is connected in another event loop or process, or the
                timeout is no positive number.
        """
        ...
