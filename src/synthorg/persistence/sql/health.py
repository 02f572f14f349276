"""How a database is: asked in a limited time, and told whatever comes of it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from synthorg.persistence.errors import PersistenceError
from synthorg.persistence.health import Degradation, Health, HealthReason, SchemaCondition
from synthorg.persistence.sql.dialects.base import LARGE_LOG, Dialect
from synthorg.persistence.sql.drivers.base import NotWritten
from synthorg.persistence.sql.drivers.batching import CALLS_AT_ONCE
from synthorg.persistence.sql.drivers.pool_state import Load, PoolState
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.transfer.mark import read_mark

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

    from synthorg.persistence.sql.migrations.state import SchemaState

CLEARING_UP_SECONDS: Final = 0.5
"""How long to wait at most for the end of a question that got no answer."""

CLEARING_UP_SHARE: Final = 0.1
"""Which part of the whole time that may take."""

OLD_UNIT_SECONDS: Final = 30.0
"""From which age on a unit of work is worth a look, unless others wait longer for a lock."""

_OF_SCHEMA: Final[Mapping[SchemaCondition, HealthReason]] = MappingProxyType(
    {
        SchemaCondition.EMPTY: HealthReason.SCHEMA_MISSING,
        SchemaCondition.BEHIND: HealthReason.SCHEMA_BEHIND,
        SchemaCondition.PREDECESSOR: HealthReason.SCHEMA_BEHIND,
        SchemaCondition.AHEAD: HealthReason.SCHEMA_AHEAD,
        SchemaCondition.INTERRUPTED: HealthReason.MIGRATION_UNFINISHED,
    }
)
"""All other conditions but CURRENT are SCHEMA_UNUSABLE."""


async def in_time(question: "asyncio.Task[None]", seconds: float) -> bool:
    """Wait for the end of a task, and cancel it when it takes too long.

    Args:
        question: The task, which may go on for a moment.
        seconds: In how many seconds to return.

    Returns:
        Whether it has ended by itself.
    """
    clearing_up = min(CLEARING_UP_SECONDS, seconds * CLEARING_UP_SHARE)
    try:
        await asyncio.wait([question], timeout=seconds - clearing_up)
    finally:
        has_ended = question.done()
        if not has_ended:
            question.cancel()
            await asyncio.wait([question], timeout=clearing_up)
    return has_ended


@dataclass
class Answers:
    """What a database has answered so far."""

    latency_seconds: float | None = None
    error: str | None = None
    schema: SchemaCondition | None = None
    copy_unfinished: bool | None = None
    degraded: list[Degradation] = field(default_factory=list)

    def note(self, code: HealthReason, text: str) -> None:
        """Note why the database is not in full health."""
        self.degraded.append(Degradation(code=code, text=text))


class Checkup:
    """Asks a database how it is.

    Args:
        dialect: The kind of database.
        every: The tables of each owner, the library's first.
    """

    def __init__(self, dialect: Dialect, every: Sequence[OwnedTables]) -> None:
        self._dialect = dialect
        self._every = every

    async def ask(self, database: Database, answers: Answers) -> None:
        """Ask everything, and note each answer as soon as it is there; never raises.

        Args:
            database: The database.
            answers: Where to note the answers.
        """
        try:
            answers.latency_seconds = await database.ping()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what there is to tell)
            answers.error = _class_of(error)
            answers.note(HealthReason.UNREACHABLE, self._reason_of(error))
            return
        try:
            # Alembic takes longer to import than an answer may take.
            await asyncio.to_thread(import_module, "synthorg.persistence.sql.migrations.state")
            async with database.connection_for_questions() as connection:
                look = connection.run_sync(self._look, answers)
                await self._dialect.step(connection, look)
        except Exception as error:  # noqa: BLE001 (likewise)
            answers.note(HealthReason.SCHEMA_UNKNOWN, self._reason_of(error))

    def _look(self, connection: Connection, answers: Answers) -> None:
        from synthorg.persistence.sql.migrations.state import read_state  # noqa: PLC0415 (as above)

        answers.copy_unfinished = read_mark(connection) is not None
        if answers.copy_unfinished:
            answers.note(
                HealthReason.COPY_UNFINISHED,
                "the database holds only the beginning of a copy or a restore, which has not "
                "ended; run the same one to its end",
            )
        for owned, known in self._known:
            state = read_state(connection, known, self._dialect, owned)
            _note_state(state, answers)

    @cached_property
    def _known(self) -> "Sequence[tuple[OwnedTables, ScriptDirectory]]":
        from synthorg.persistence.sql.migrations.revisions import (  # noqa: PLC0415 (as above)
            known_revisions,
        )

        return [(owned, known_revisions(owned)) for owned in self._every]

    def _reason_of(self, error: Exception) -> str:
        if isinstance(error, PersistenceError):  # ours, without values
            return str(error)
        return self._dialect.diagnose(error).reason


def _note_state(state: "SchemaState", answers: Answers) -> None:
    if answers.schema in (None, SchemaCondition.CURRENT):
        answers.schema = state.condition
    if state.condition is not SchemaCondition.CURRENT:
        code = _OF_SCHEMA.get(state.condition, HealthReason.SCHEMA_UNUSABLE)
        answers.note(code, state.description)


def _class_of(error: BaseException) -> str:
    """Name the class of what was raised first, which says more than what was made of it."""
    while True:
        first = error.__cause__
        if isinstance(error, StatementError):
            first = error.orig
        elif isinstance(error, NotWritten):
            first = error.reason
        if first is None:
            return type(error).__name__
        error = first


def not_connected(backend_name: str) -> Health:
    """Tell of a backend that is not connected."""
    reason = Degradation(code=HealthReason.NOT_CONNECTED, text="not connected: await connect()")
    return Health(backend_name=backend_name, reachable=False, degraded=(reason,))


def health_of(
    dialect: Dialect, load: Load, answers: Answers, seconds: float, *, has_ended: bool
) -> Health:
    """Tell how a database is.

    Args:
        dialect: The kind of database.
        load: What was under way on it before it was asked.
        answers: What it has answered.
        seconds: In how much time.
        has_ended: Whether all answers are there.
    """
    reasons = list(answers.degraded)
    reachable = answers.latency_seconds is not None
    if not has_ended and not reachable:
        text = f"the database did not answer in {seconds:g} s"
        reasons.append(Degradation(code=HealthReason.NO_ANSWER, text=text))
    elif not has_ended:
        text = f"the database answers, but its schema could not be looked at in {seconds:g} s"
        reasons.append(Degradation(code=HealthReason.SCHEMA_UNKNOWN, text=text))
    reasons.extend(_reasons_of(load, dialect))
    connections = load.connections
    return Health(
        backend_name=dialect.backend_name,
        reachable=reachable,
        latency_seconds=answers.latency_seconds,
        error=answers.error,
        schema_state=answers.schema,
        copy_unfinished=answers.copy_unfinished,
        connections_in_use=connections.in_use,
        connections_open=connections.open,
        connections_limit=connections.limit,
        calls_waiting=connections.waiting,
        write_queue=load.write_queue,
        write_lock_held=load.write_lock_is_held,
        log_bytes=load.log_bytes,
        oldest_unit_seconds=load.oldest_unit_seconds,
        degraded=tuple(reasons),
    )


def _reasons_of(load: Load, dialect: Dialect) -> Iterator[Degradation]:
    if _is_exhausted(load.shared):
        text = (
            f"all {load.shared.limit} connections for units of work and statements of one's own "
            f"are in use, and {load.shared.waiting} calls wait for one"
        )
        yield Degradation(code=HealthReason.CONNECTIONS_EXHAUSTED, text=text)
    if load.write_queue > CALLS_AT_ONCE:
        text = f"{load.write_queue} calls wait to write"
        yield Degradation(code=HealthReason.WRITE_QUEUE_LONG, text=text)
    if load.log_bytes is not None and load.log_bytes > LARGE_LOG:
        text = (
            f"the write-ahead log has {load.log_bytes / 2**20:,.0f} MiB; find out who reads for so "
            "long that it cannot be written back, and end that"
        )
        yield Degradation(code=HealthReason.LOG_LARGE, text=text)
    oldest = load.oldest_unit_seconds
    if oldest is not None and oldest > max(OLD_UNIT_SECONDS, dialect.lock_timeout_seconds):
        text = f"a unit of work has been open for {oldest:,.0f} s"
        yield Degradation(code=HealthReason.UNIT_OLD, text=text)


def _is_exhausted(pool: PoolState) -> bool:
    """Tell whether whoever wants a connection has to wait; one alone is in use at any call."""
    return pool.in_use >= pool.limit and (pool.limit > 1 or pool.waiting > 0)
