"""Units of work: several changes that happen together or not at all."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import Protocol, runtime_checkable

from synthorg.persistence.config import Reads
from synthorg.persistence.protocol import PersistenceBackend, ReportingBackend
from synthorg.persistence.stores import (
    AgentStateStore,
    ApiKeyStore,
    ArtifactStore,
    AuditStore,
    CheckpointStore,
    CollaborationMetricStore,
    CostRecordStore,
    HeartbeatStore,
    LifecycleEventStore,
    MessageStore,
    ParkedContextStore,
    PersonalityPresetStore,
    ProjectStore,
    SettingsStore,
    TaskMetricStore,
    TaskStore,
    UserStore,
    WorkflowDefinitionStore,
    WorkflowExecutionStore,
)

Result = TypeVar("Result")
Kind = TypeVar("Kind")


@runtime_checkable
class Stores(Protocol):
    """The nineteen stores, on a backend or in a unit of work."""

    @property
    def tasks(self) -> TaskStore:
        """The tasks."""
        ...

    @property
    def cost_records(self) -> CostRecordStore:
        """The costs of calls to language models."""
        ...

    @property
    def messages(self) -> MessageStore:
        """The messages."""
        ...

    @property
    def lifecycle_events(self) -> LifecycleEventStore:
        """The events in the lives of agents."""
        ...

    @property
    def task_metrics(self) -> TaskMetricStore:
        """The metrics of finished tasks."""
        ...

    @property
    def collaboration_metrics(self) -> CollaborationMetricStore:
        """The metrics of how agents work together."""
        ...

    @property
    def parked_contexts(self) -> ParkedContextStore:
        """The executions that wait for a human approval."""
        ...

    @property
    def audit_entries(self) -> AuditStore:
        """The records of security decisions."""
        ...

    @property
    def users(self) -> UserStore:
        """The users."""
        ...

    @property
    def api_keys(self) -> ApiKeyStore:
        """The users' API keys."""
        ...

    @property
    def checkpoints(self) -> CheckpointStore:
        """The snapshots of executions."""
        ...

    @property
    def heartbeats(self) -> HeartbeatStore:
        """The last signs of life of executions."""
        ...

    @property
    def agent_states(self) -> AgentStateStore:
        """What the agents are doing at present."""
        ...

    @property
    def settings(self) -> SettingsStore:
        """The settings."""
        ...

    @property
    def artifacts(self) -> ArtifactStore:
        """What is known about artifacts."""
        ...

    @property
    def projects(self) -> ProjectStore:
        """The projects."""
        ...

    @property
    def custom_presets(self) -> PersonalityPresetStore:
        """The personality presets that people have made."""
        ...

    @property
    def workflow_definitions(self) -> WorkflowDefinitionStore:
        """The workflow definitions."""
        ...

    @property
    def workflow_executions(self) -> WorkflowExecutionStore:
        """The executions of workflow definitions."""
        ...


@runtime_checkable
class UnitOfWork(Stores, Protocol):
    """All stores on one transaction, which its `async with` block commits or rolls back.

    Reads see what the unit has written. A call that fails has written nothing, and the unit goes
    on; only after a conflict with another transaction, when a call was cancelled, or when the
    connection is lost, every further call is a QueryError (after a conflict, again a
    TransactionConflictError). One that was begun with `savepoints=False` is at its end after any
    call that failed. A unit is for one task at a time, and ends with its block: using it
    otherwise is a QueryError.
    """

    def repository(self, kind: type[Kind]) -> Kind:
        """Give a repository of an extension, in this unit.

        Args:
            kind: Its class.

        Raises:
            UsageError: If its table belongs to no extension of the backend.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Self]:
        """Begin a part that can fail alone: an exception undoes what was done inside it.

        Returns:
            A context manager that gives this unit of work.

        Raises:
            UsageError: If the unit was begun with `savepoints=False`.
        """
        ...

    async def connection(self) -> AsyncConnection:
        """Give the connection of the unit, for SQL of one's own in the same transaction.

        `execute`, `scalar`, `scalars`, `exec_driver_sql` and `run_sync` run on it. Each is undone
        alone when it fails with an error of SQLAlchemy's; a conflict with another transaction or
        a lost connection is the error that the unit's own calls raise. Beginning, committing,
        rolling back and streaming are a UsageError, and closing does nothing. MariaDB and MySQL
        commit before DDL, which ends the unit with an error.
        """
        ...


@runtime_checkable
class TransactionalBackend(Stores, PersistenceBackend, Protocol):
    """`PersistenceBackend` with units of work, and stores for repositories."""

    def transaction(
        self, *, read_only: bool = False, savepoints: bool = True
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work.

        Leaving the block commits all changes; an exception or a cancellation inside it rolls all
        back. A unit that is cancelled while it commits has written all or nothing. Units have the
        effect of running one after the other: what one has read, no other has changed by the time
        it commits, or it is rolled back.

        On SQLite, what would wait for a unit that may be waiting for it is a UsageError: at once
        in the task that began the unit, and in tasks started inside the unit after a second in
        which nothing is done in it.

        Args:
            read_only: Whether all reads see one state of the database, and writes are refused.
            savepoints: Whether a call that fails is undone alone, so that the unit can go on, which
                on PostgreSQL costs some work of the server, or a trip to it, for each write but the
                first. Without, a call that the database refuses, or that was done in part, ends the
                unit on every database: further calls are refused, and leaving the block rolls back
                and raises the error of the database again, unless another one leaves it. On
                PostgreSQL, an error of `save_many` does not name the record then.

        Returns:
            A context manager that gives the unit of work.

        Raises:
            TransactionConflictError: If it met another transaction and was rolled back.
            UsageError: If it would wait for a transaction inside which it is begun.
            OutcomeUnknownError: If the answer to the commit was lost, so that the changes may or
                may not be stored.
            PersistenceConnectionError: If the connection was lost before; nothing is stored.
        """
        ...

    async def run_in_transaction(
        self, work: Callable[[UnitOfWork], Awaitable[Result]], *, savepoints: bool = True
    ) -> Result:
        """Run a function in a unit of work, and again when it met another transaction.

        Serialization failures, deadlocks and locks that were held for too long lead to another
        attempt, also when they show at the commit: at most twenty, with a growing pause. A lost
        connection does so once, where the configuration has a `failover_timeout_seconds` and the
        commit was not sent; afterwards, the outcome may be unknown.

        Args:
            work: What to do. It may be called several times, so all that it changes has to be in
                the unit of work.
            savepoints: Whether a call that fails is undone alone, as `transaction` says.

        Returns:
            What the function returned in the attempt that was committed.

        Raises:
            UsageError: If it is no async function.
            TransactionConflictError: If every attempt met another transaction.
            PersistenceError: If the work or the commit failed otherwise.
        """
        ...


@runtime_checkable
class RoutedStores(Stores, Protocol):
    """All stores of a backend, with their reads going where it was asked for."""

    def repository(self, kind: type[Kind]) -> Kind:
        """Give a repository of an extension, whose reads go there, too.

        Args:
            kind: Its class.

        Raises:
            UsageError: If its table belongs to no extension of the backend.
        """
        ...


@runtime_checkable
class ManagedBackend(TransactionalBackend, ReportingBackend, Protocol):
    """`TransactionalBackend` as `create_backend` gives it, with what makes it easier to hold.

    `async with create_backend(config) as backend:` connects it and disconnects it in the end; with
    `migrate=True` it also migrates in between.

    Where the configuration names `replicas`, they may answer lists, pages, streams, sums and
    read-only units, if they are asked for: by `reads="replica"` of the configuration, by that of
    `transaction`, or by `reading("replica")`. What they answer has all that was written through
    this backend and returned before, and is never older than what a replica has shown before to
    anybody who uses this backend; what others have written may be missing for a while. Records that
    are read alone (`get`, `get_many` and their like), counts of users or presets, and all that is
    done in order to write are read on the primary. Where there are no replicas, or none is far
    enough or to be had, the primary answers.
    """

    def transaction(
        self, *, read_only: bool = False, savepoints: bool = True, reads: Reads | None = None
    ) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work, as `TransactionalBackend` says.

        Args:
            read_only: Whether all reads see one state of the database, and writes are refused.
            savepoints: Whether a call that fails is undone alone.
            reads: Whether a replica may serve a unit that is read-only; None for what the
                configuration says. If the replica is lost meanwhile, or ends the unit for the sake
                of what it has to apply, that is an error as on the primary.

        Returns:
            A context manager that gives the unit of work.

        Raises:
            UsageError: If `reads` is given for a unit that may write.
        """
        ...

    def reading(self, reads: Reads) -> RoutedStores:
        """Give the stores with their reads going elsewhere; like `repositories`, at any time.

        Args:
            reads: "replica" to have lists and sums answered by a replica, "primary" to have none.
        """
        ...

    def catch_up(self) -> None:
        """Have later answers of replicas show all that anybody had written before this call.

        As after a message from another process, about what it has saved.

        Raises:
            NotConnectedError: If the backend is not connected.
        """
        ...

    @property
    def repositories(self) -> Stores:
        """The repositories for whoever is given them before the backend connects.

        They can be asked for at any time and kept over a reconnect; each call goes to the database
        that the backend is connected to by then.
        """
        ...

    def repository(self, kind: type[Kind]) -> Kind:
        """Give a repository of an extension; like `repositories`, it may be asked for at any time.

        Args:
            kind: Its class, derived from one in `synthorg.persistence.extension`.

        Raises:
            UsageError: If its table belongs to no extension of this backend.
        """
        ...

    async def __aenter__(self) -> Self:
        """Connect, as `connect` does, and migrate where `create_backend` was told to."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect, as `disconnect` does."""
        ...
