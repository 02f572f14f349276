"""What Alembic's environment does on a database: state, lock, and then the revisions.

It is here, and not in `env.py`, so that `migrate()`, `synthorg-db` and `alembic` do the same.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from alembic import context
from alembic.runtime.migration import RevisionStep
from sqlalchemy import Connection

from synthorg.persistence.errors import MigrationError
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.dialects.base import Dialect, Sharing
from synthorg.persistence.sql.migrations import adoption
from synthorg.persistence.sql.migrations.crash_marker import CrashMarker, marked, remove_mark
from synthorg.persistence.sql.migrations.revisions import PROGRESS, REVISION, known_revisions
from synthorg.persistence.sql.migrations.state import NOT_OURS, Condition, SchemaState, read_state
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables

logger = logging.getLogger(__name__)

Settings = Mapping[str, Any]

DESTINATION: Final = "destination_rev"
"""The option that Alembic gives to the commands that change a database, and to no others."""

PURGE: Final = "purge"
"""The option that Alembic gives to `stamp` alone."""


def only_looks(dialect: Dialect, settings: Settings) -> bool:
    """Tell whether the command that Alembic was given changes nothing in a database.

    Args:
        dialect: The kind of database.
        settings: The arguments for Alembic's `context.configure`.
    """
    context.configure(dialect_name=dialect.backend_name, **settings)
    return context.get_context().opts.get(DESTINATION) is None


def run(
    connection: Connection, dialect: Dialect, settings: Settings, owned: OwnedTables = LIBRARY
) -> None:
    """Run the command that Alembic was given; one that changes the database holds the lock.

    Args:
        connection: A connection with no transaction begun.
        dialect: The kind of database.
        settings: The arguments for Alembic's `context.configure`.
        owned: The tables to migrate.

    Raises:
        MigrationError: If the state of the schema is against it, or the lock is not to be had.
    """
    context.configure(connection=connection, **settings)
    options = context.get_context().opts
    if options.get(DESTINATION) is None:
        # Without `dont_mutate`, `alembic check` would create the version table.
        _run(connection, {**settings, "dont_mutate": True})
        return
    stamps = PURGE in options  # the operator's own word on the state, so that it is not judged
    work = _Work(connection, dialect, owned, judge=not stamps)
    connection.rollback()
    if not work.is_needed:
        log_event(logger, LogEvent.NOTHING_TO_MIGRATE)
        return
    with dialect.migration_transaction(connection):
        # Another process may have done it in the meantime.
        work = _Work(connection, dialect, owned, judge=not stamps)
        if stamps:
            _run(connection, settings)
        elif work.state.condition is Condition.PREDECESSOR and work.is_upgrade:
            _adopt(connection, dialect, work, settings)
        elif work.is_needed:
            _migrate(connection, dialect, work, settings)


class _Work:
    """What there is to do: the steps from the state of the schema to the destination."""

    def __init__(
        self, connection: Connection, dialect: Dialect, owned: OwnedTables, *, judge: bool
    ) -> None:
        migration = context.get_context()
        self.state: SchemaState = read_state(connection, context.script, dialect, owned)
        self.owned = self.state.owned
        applied = () if migration.opts.get(PURGE) else self.state.applied
        if judge and self.state.condition in NOT_OURS:
            raise _refusal(self.state)  # Alembic could not even plan
        self.steps: list[RevisionStep] = list(migration.opts["fn"](applied, migration))
        if judge and not self.state.admits(upgrade=self.is_upgrade if self.steps else None):
            raise _refusal(self.state)

    @property
    def is_upgrade(self) -> bool:
        return bool(self.steps) and self.steps[0].is_upgrade

    @property
    def is_needed(self) -> bool:
        return bool(self.steps) or self.has_stale_mark

    @property
    def has_stale_mark(self) -> bool:
        """Whether a migration was stopped between its last step and the removal of its mark."""
        return self.state.unfinished is not None and (
            self.state.condition is not Condition.INTERRUPTED
        )

    @property
    def as_crash_marker(self) -> CrashMarker:
        return CrashMarker(self.is_upgrade, tuple(self.steps[-1].to_revisions))


def _refusal(state: SchemaState) -> MigrationError:
    return MigrationError(f"cannot migrate: {state.description}; nothing was touched")


def _migrate(connection: Connection, dialect: Dialect, work: _Work, settings: Settings) -> None:
    if not work.steps:
        remove_mark(connection, work.owned.version_table)
        return
    if work.is_upgrade and not work.state.applied:
        dialect.refuse_half_a_migration(connection)
    if work.is_upgrade and not work.owned.is_library:
        _refuse_without_library(connection, dialect)
    mark: AbstractContextManager[None] = nullcontext()
    if not dialect.transactional_ddl:
        mark = marked(connection, work.as_crash_marker, work.owned.version_table)
    with mark, _reporting(work.steps) as report:
        _run(connection, {**settings, "on_version_apply": report})


def _refuse_without_library(connection: Connection, dialect: Dialect) -> None:
    """Refuse to make tables that may refer to tables which are not there yet."""
    state = read_state(connection, known_revisions(), dialect)
    if state.condition is not Condition.CURRENT:
        raise _refusal(state)


def _adopt(connection: Connection, dialect: Dialect, work: _Work, settings: Settings) -> None:
    if dialect.sharing is not Sharing.ONE:
        # Beside the transaction, which a backup cannot be part of, yet under its lock: of many
        # processes that migrate at once, one makes a backup, and of the old state.
        with connection.engine.connect() as beside:
            adoption.back_up(beside)

    def create_schema(connection: Connection) -> None:
        with _reporting(work.steps) as report:
            _run(connection, {**settings, "on_version_apply": report})

    progress = context.config.attributes.get(PROGRESS)
    adoption.adopt(connection, create_schema, progress, dialect.table_prefix)


@contextmanager
def _reporting(steps: list[RevisionStep]) -> Iterator[Any]:
    """Keep track of the revision that runs, and tell about each that is finished."""
    attributes = context.config.attributes
    names = [str(step.info.up_revision_id) for step in steps]
    finished = iter(range(1, len(names) + 1))
    attributes[REVISION] = names[0]

    def report(**_: object) -> None:
        number = next(finished)
        attributes[REVISION] = names[min(number, len(names) - 1)]
        progress = attributes.get(PROGRESS)
        if progress is not None:
            progress(names[number - 1], number, len(names))

    yield report


def _run(connection: Connection, settings: Settings) -> None:
    context.configure(connection=connection, **settings)
    with context.begin_transaction():
        context.run_migrations()
