"""The adoption of a whole database, in one transaction that its caller begins and ends."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from synthorg.persistence.errors import MigrationError
from synthorg.persistence.log_events import LogEvent, log_event
from synthorg.persistence.sql.migrations.adoption.recognition import is_predecessor
from synthorg.persistence.sql.migrations.adoption.schema import SESSIONS
from synthorg.persistence.sql.migrations.adoption.transfer import Transfer, name_row
from synthorg.persistence.sql.migrations.revisions import Progress
from synthorg.persistence.sql.repositories.artifacts import SQLArtifactRepository
from synthorg.persistence.sql.repositories.audit import SQLAuditRepository
from synthorg.persistence.sql.repositories.auth import SQLApiKeyRepository, SQLUserRepository
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.sql.repositories.costs import SQLCostRecordRepository
from synthorg.persistence.sql.repositories.execution import (
    SQLAgentStateRepository,
    SQLCheckpointRepository,
    SQLHeartbeatRepository,
)
from synthorg.persistence.sql.repositories.hr import (
    SQLCollaborationMetricRepository,
    SQLLifecycleEventRepository,
    SQLTaskMetricRepository,
)
from synthorg.persistence.sql.repositories.messages import SQLMessageRepository
from synthorg.persistence.sql.repositories.parked_contexts import SQLParkedContextRepository
from synthorg.persistence.sql.repositories.presets import SQLPersonalityPresetRepository
from synthorg.persistence.sql.repositories.projects import SQLProjectRepository
from synthorg.persistence.sql.repositories.settings import SQLSettingsRepository
from synthorg.persistence.sql.repositories.tasks import SQLTaskRepository
from synthorg.persistence.sql.repositories.workflows import (
    SQLWorkflowDefinitionRepository,
    SQLWorkflowExecutionRepository,
)

logger = logging.getLogger(__name__)

TOLD_FAULTS: Final = 10

USERS: Final = "users"
"""The table to which the one of the application refers."""

ADOPTED: Final[tuple[type[Repository[Any]], ...]] = (
    SQLTaskRepository,
    SQLCostRecordRepository,
    SQLMessageRepository,
    SQLLifecycleEventRepository,
    SQLTaskMetricRepository,
    SQLCollaborationMetricRepository,
    SQLParkedContextRepository,
    SQLAuditRepository,
    SQLSettingsRepository,
    SQLUserRepository,
    SQLApiKeyRepository,
    SQLCheckpointRepository,
    SQLHeartbeatRepository,
    SQLAgentStateRepository,
    SQLArtifactRepository,
    SQLProjectRepository,
    SQLPersonalityPresetRepository,
    SQLWorkflowDefinitionRepository,
    SQLWorkflowExecutionRepository,
)
"""The repositories of all the predecessor's tables but the application's own."""


def adopt(
    connection: Connection,
    create_schema: Callable[[Connection], None],
    progress: Progress | None = None,
    table_prefix: str = "",
) -> None:
    """Turn a database of the predecessor into one of this library, with all its records.

    Args:
        connection: A connection to it, in a transaction that is rolled back when this raises, and
            with foreign keys off, since dropping a table would delete what refers to its rows.
        create_schema: Creates this library's tables on the connection.
        progress: Told about the rows of each table as they are done.
        table_prefix: What the names of this library's tables begin with.

    Raises:
        MigrationError: If it is none, or a row of it cannot be adopted.
    """
    if not is_predecessor(connection):
        raise MigrationError("cannot adopt the database: it is not one of the predecessor")
    sessions = _ddl_of_sessions(connection)
    transfers = [Transfer(connection, repository) for repository in ADOPTED]
    with _references_kept(connection):
        for transfer in transfers:
            transfer.set_aside()
    if _ddl_of_sessions(connection) != sessions:
        raise MigrationError(
            f"cannot adopt the database: this SQLite would change the table {SESSIONS}; nothing "
            "was changed"
        )
    create_schema(connection)
    with _any_text_readable(connection):
        _refuse([fault for transfer in transfers for fault in transfer.copy(progress)])
    _refuse([fault for transfer in transfers for fault in transfer.recount()])
    for transfer in transfers:
        transfer.drop()
    if table_prefix:
        _have_references_follow(connection, USERS, table_prefix + USERS)
    _refuse(_dangling(connection))
    log_event(logger, LogEvent.DATABASE_ADOPTED)


def _refuse(faults: Sequence[str]) -> None:
    if not faults:
        return
    more = [f"{len(faults) - TOLD_FAULTS} more"] if len(faults) > TOLD_FAULTS else []
    raise MigrationError(
        f"cannot adopt the predecessor's database: {'; '.join([*faults[:TOLD_FAULTS], *more])}; "
        "nothing was changed. Correct or delete what is named, with the predecessor or with "
        "sqlite3, and migrate again"
    )


def _dangling(connection: Connection) -> list[str]:
    """Describe the first rows that refer to a row that does not exist."""
    rows = connection.exec_driver_sql(
        'SELECT "table", rowid, parent FROM pragma_foreign_key_check LIMIT ?', (ROWS_AT_ONCE,)
    )
    return [
        f"{_subject(connection, table, rowid)}: it refers to a row of {parent} that does not exist"
        for table, rowid, parent in rows.all()
    ]


def _subject(connection: Connection, table: str, rowid: int) -> str:
    keys = connection.exec_driver_sql(
        "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
    ).scalars()
    row = connection.exec_driver_sql(
        f"SELECT {', '.join(keys)} FROM {table} WHERE rowid = ?",  # noqa: S608 (names of the schema)
        (rowid,),
    )
    return name_row(table, {**row.mappings().one()}, rowid)


def _ddl_of_sessions(connection: Connection) -> Sequence[object]:
    return connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? ORDER BY name", (SESSIONS,)
    ).all()


def _have_references_follow(connection: Connection, name: str, new_name: str) -> None:
    """Have what refers to a table that is gone refer to its successor, which SQLite renames."""
    connection.exec_driver_sql(f"ALTER TABLE {new_name} RENAME TO {name}")
    connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {new_name}")


@contextmanager
def _references_kept(connection: Connection) -> Iterator[None]:
    """Rename tables without SQLite changing what refers to them, as sessions does to users."""
    # https://www.sqlite.org/pragma.html#pragma_legacy_alter_table
    before = connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar_one()
    connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA legacy_alter_table={before}")


@contextmanager
def _any_text_readable(connection: Connection) -> Iterator[None]:
    """Read text that is not UTF-8 too, so that the row with it can be refused by name."""
    driver = connection.connection.driver_connection
    assert driver is not None
    before = driver.text_factory
    driver.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = before
