"""Operations for revisions, which have to go on from wherever an earlier run was stopped.

Where DDL cannot be rolled back, a stopped upgrade leaves what it had done, so these look first.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from alembic import context, op
from alembic.operations import BatchOperations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    Computed,
    Constraint,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    column,
    inspect,
    select,
    table,
    update,
)
from sqlalchemy.schema import SchemaItem

from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables
from synthorg.persistence.sql.dialects.triggered import AppendOnly
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.tables import NUMBER
from synthorg.persistence.sql.types import serial_number

DIALECT: Final = "dialect"
"""The attribute of Alembic's configuration that holds the dialect; `env.py` sees to it."""

OWNED: Final = "owned"
"""The attribute that holds whose tables are migrated, under their names in the database."""

_CREATED: Final[WeakKeyDictionary[MigrationContext, set[str]]] = WeakKeyDictionary()


def create_table(name: str, *items: SchemaItem, **options: Any) -> None:
    """Create a table unless it is there, so that a revision can be run again.

    Args:
        name: The table.
        items: Its columns and constraints; an index is created on its own.
        options: The options of its storage.
    """
    real = _owned().real_name(name)
    if real not in _existing("table", real):
        op.create_table(real, *map(_under_real_names, items), **options)
        _new_tables().add(real)


def create_index(name: str, table: str, columns: Sequence[str], *, unique: bool = False) -> None:
    """Create an index unless it is there, so that a revision can be run again.

    Args:
        name: The index.
        table: Its table.
        columns: Its columns, in their order.
        unique: Whether no two rows may have the same values in them.
    """
    real, real_table = _owned().real_name(name), _owned().real_name(table)
    if real_table in _new_tables() or real not in _existing("index", real_table):
        op.create_index(real, real_table, columns, unique=unique)


def add_column(table: str, column: Column[Any]) -> None:
    """Add a column unless it is there, so that a revision can be run again.

    Args:
        table: The table.
        column: The column, which may be null.
    """
    real = _owned().real_name(table)
    if column.name not in _existing("column", real):
        op.add_column(real, column)


def drop_column(table: str, name: str) -> None:
    """Drop a column unless it is gone, so that a downgrade can be run again.

    Args:
        table: The table.
        name: The column.
    """
    real = _owned().real_name(table)
    if context.is_offline_mode() or name in _existing("column", real):
        op.drop_column(real, name)


def drop_index(name: str, table: str) -> None:
    """Drop an index unless it is gone, so that a downgrade can be run again.

    Args:
        name: The index.
        table: Its table.
    """
    real, real_table = _owned().real_name(name), _owned().real_name(table)
    if context.is_offline_mode() or real in _existing("index", real_table):
        op.drop_index(real, real_table)


def drop_table(name: str) -> None:
    """Drop a table unless it is gone, so that a downgrade can be run again.

    Args:
        name: The table.
    """
    real = _owned().real_name(name)
    op.drop_table(real, if_exists=True)
    _new_tables().discard(real)


@contextmanager
def change_table(name: str) -> Iterator[BatchOperations]:
    """Change a table in ways for which SQLite has to build it anew, with all that belongs to it.

    Args:
        name: The table.

    Yields:
        What changes the table, as from Alembic's `batch_alter_table`.
    """
    name = _owned().real_name(name)
    if not _dialect().rebuilds_tables:
        with op.batch_alter_table(name) as batch:
            yield batch
        return
    # Alembic copies the rows into a new table and drops the old one. Of itself it would lose the
    # triggers, which go with the old table, and copy generated columns, which cannot be written.
    connection = op.get_bind()
    table = Table(name, MetaData(), autoload_with=connection)
    triggers = _dialect().inspection.trigger_definitions(connection, name)
    before_it, after_it = _dialect().around_rebuilding
    connection.exec_driver_sql(before_it)
    never_again = _dialect().inspection.never_counts_again(connection, name)
    with op.batch_alter_table(
        name,
        copy_from=table,
        recreate="always",
        table_kwargs={"sqlite_autoincrement": True} if never_again else {},
    ) as batch:
        before: str | None = None
        for column in table.columns:
            if column.computed is not None:
                generated = Column(
                    column.name,
                    column.type,
                    Computed(column.computed.sqltext, persisted=column.computed.persisted),
                )
                batch.drop_column(column.name)
                batch.add_column(generated, insert_after=before)
            before = column.name
        yield batch
    connection.exec_driver_sql(after_it)
    for statement in triggers:
        connection.exec_driver_sql(statement)


def number_records(
    name: str,
    *items: SchemaItem,
    time: str,
    indexes: Iterable[Sequence[str]],
    without: Iterable[Sequence[str]],
    kept: Iterable[Sequence[str]] = (),
    **options: Any,
) -> None:
    """Number the records of a table, which are known by their `id`, in the order of saving.

    Those that are there are numbered in the order of time and id. The number is the primary key.

    Args:
        name: The table.
        items: Its columns and constraints without the number and the primary key.
        time: The column of their time.
        indexes: The columns of each index that is new, beside that of the `id`.
        without: The columns of each index that goes.
        kept: The columns of each index that stays.
        options: The options of its storage.
    """
    found = _found(name, in_script=_Found(is_numbered=False, is_ordered=False))
    going = [_index_name(name, columns) for columns in without]
    if found.is_numbered:
        for each in going:  # an earlier revision that was run once more may have made them
            drop_index(each, name)
    elif _dialect().rebuilds_tables:
        number = Column(
            NUMBER, serial_number(), primary_key=True, autoincrement=True, nullable=False
        )
        options |= {"sqlite_autoincrement": True}
        _rebuild(name, [*items, number], options, in_order=[time, "id"])
        create_index(_index_name(name, ["id"]), name, ["id"], unique=True)
        indexes = [*indexes, *kept]
    else:
        real_indexes = [_owned().real_name(each) for each in going]
        real, by_id = _owned().real_name(name), _owned().real_name(_index_name(name, ["id"]))
        for statement in _dialect().number_rows(
            real, time, real_indexes, by_id, is_ordered=found.is_ordered
        ):
            op.execute(statement)
    _new_tables().discard(_owned().real_name(name))  # it may have indexes by now
    for columns in indexes:
        create_index(_index_name(name, columns), name, columns)


def drop_numbers(
    name: str,
    *items: SchemaItem,
    indexes: Iterable[Sequence[str]],
    without: Iterable[Sequence[str]],
    kept: Iterable[Sequence[str]] = (),
    **options: Any,
) -> None:
    """Take `number_records` back.

    Args:
        name: The table.
        items: As there.
        indexes: The columns of each index that there was.
        without: The columns of each index that goes, beside that of the `id`.
        kept: The columns of each index that stays.
        options: The options of its storage.
    """
    if _found(name, in_script=_Found(is_numbered=True, is_ordered=False)).is_numbered:
        if _dialect().rebuilds_tables:
            _rebuild(name, [*items, PrimaryKeyConstraint("id")], options, in_order=[NUMBER])
            indexes = [*indexes, *kept]
        else:
            going = [_index_name(name, columns) for columns in (["id"], *without)]
            real_indexes = [_owned().real_name(each) for each in going]
            for statement in _dialect().drop_numbers(_owned().real_name(name), real_indexes):
                op.execute(statement)
    for columns in indexes:
        create_index(_index_name(name, columns), name, columns)


def _index_name(table: str, columns: Iterable[str]) -> str:
    return op.f("_".join(["ix", table, *columns]))


class _Found(NamedTuple):
    """How far a table is that gets numbers, or loses them."""

    is_numbered: bool
    is_ordered: bool


def _found(name: str, *, in_script: _Found) -> _Found:
    if context.is_offline_mode():
        return in_script
    inspector = inspect(op.get_bind())
    real = _owned().real_name(name)
    columns = [column["name"] for column in inspector.get_columns(real)]
    key = inspector.get_pk_constraint(real)["constrained_columns"]
    return _Found(NUMBER in columns, len(key) > 1)


def _rebuild(
    name: str, items: Iterable[SchemaItem], options: Mapping[str, Any], in_order: Iterable[str]
) -> None:
    """Build a table anew, with its rows in an order, and with the triggers that it has."""
    real = _owned().real_name(name)
    aside = f"{real}_aside"
    triggers = _triggers_of(real)
    before_it, after_it = _dialect().around_rebuilding
    items = list(map(_under_real_names, items))
    columns = [item.name for item in items if isinstance(item, Column) and item.name != NUMBER]
    quoted = ", ".join(f'"{each}"' for each in columns)
    order = ", ".join(f'"{each}"' for each in in_order)
    op.execute(before_it)
    op.rename_table(real, aside)
    op.create_table(real, *items, **options)
    op.execute(
        f"INSERT INTO {real} ({quoted}) SELECT {quoted} FROM {aside} ORDER BY {order}"  # noqa: S608 (names of the schema)
    )
    op.drop_table(aside)
    op.execute(after_it)
    for statement in triggers:
        op.execute(statement)


def _triggers_of(real: str) -> Sequence[str]:
    if not context.is_offline_mode():
        return _dialect().inspection.trigger_definitions(op.get_bind(), real)
    names = AuditTables(_owned().prefix)
    every = _dialect().create_triggers(names)
    return [each for each in every if f" ON {real} " in each and real == names.entries]


def make_append_only(table: str, *, every_session: bool = True) -> None:
    """Make the database itself refuse UPDATE and DELETE on a table.

    Args:
        table: The table, with `id` as its primary key.
        every_session: Whether that holds for sessions that apply others' changes too.
    """
    for statement in _dialect().create_triggers(AppendOnly(_owned().real_name(table))):
        op.execute(statement)
    if every_session:
        guard_every_session(table)


def lift_append_only(table: str) -> None:
    """Take the protection of `make_append_only` away.

    Args:
        table: The table.
    """
    for statement in _dialect().drop_triggers(AppendOnly(_owned().real_name(table))):
        op.execute(statement)


def guard_every_session(table: str) -> None:
    """Have the protection of `make_append_only` hold for sessions that apply others' changes too.

    Args:
        table: The table.
    """
    for statement in _dialect().guard_every_session(_owned().real_name(table)):
        op.execute(statement)


def guard_usual_sessions(table: str) -> None:
    """Take `guard_every_session` back.

    Args:
        table: The table.
    """
    for statement in _dialect().guard_usual_sessions(_owned().real_name(table)):
        op.execute(statement)


def let_audit_age() -> None:
    """Have the audit trail let go of what a record of a removal names, and of nothing else."""
    names = AuditTables(_owned().prefix)
    dialect = _dialect()
    for statement in dialect.drop_triggers(AppendOnly(names.entries)):
        op.execute(statement)
    for statement in dialect.create_triggers(names):
        _execute_compound(statement)


def keep_audit() -> None:
    """Take `let_audit_age` back: the audit trail lets go of nothing."""
    for statement in _dialect().drop_triggers(AuditTables(_owned().prefix)):
        op.execute(statement)
    make_append_only("audit_entries")


def have_rollups_follow_tasks() -> None:
    """Have roll-ups of costs know the project of each task, by triggers on the tasks."""
    names = RollupTables(_owned().prefix)
    for statement in _dialect().create_triggers(names):
        _execute_compound(statement)
    task = table(names.tasks, column("id"), column("project"))
    rollup = table(names.rollups, column("task_id"), column("task_project"))
    project = select(task.c.project).where(task.c.id == rollup.c.task_id).scalar_subquery()
    op.execute(update(rollup).values(task_project=project))


def leave_rollups_behind_tasks() -> None:
    """Take `have_rollups_follow_tasks` back."""
    for statement in _dialect().drop_triggers(RollupTables(_owned().prefix)):
        op.execute(statement)


def count_by_identity(table: str, column: str) -> None:
    """Have a column counted up by an identity, where the database tells that from a sequence.

    Args:
        table: The table.
        column: The column, which a sequence of its own may count up.
    """
    for statement in _dialect().count_by_identity(_owned().real_name(table), column):
        op.execute(statement)


def count_by_sequence(table: str, column: str) -> None:
    """Take `count_by_identity` back.

    Args:
        table: The table.
        column: The column.
    """
    for statement in _dialect().count_by_sequence(_owned().real_name(table), column):
        op.execute(statement)


def real_target(table: str) -> str:
    """Give the name that a table of this library has in the database, to refer to it.

    `create_table` does so itself; this is for Alembic's own `create_foreign_key`.

    Args:
        table: The table.
    """
    return _owned().real_target(table)


def _execute_compound(statement: str) -> None:
    """Execute a statement that has others in it."""
    if context.is_offline_mode():
        op.get_context().impl.static_output(_dialect().scripted(statement))
    else:
        op.execute(statement)


def _under_real_names(item: SchemaItem) -> SchemaItem:
    """Name a constraint, and the table that it refers to, as they are in the database."""
    if not _owned().prefix:
        return item
    if isinstance(item, ForeignKeyConstraint):
        item = _refer_to_real(item)
    if isinstance(item, Constraint) and isinstance(item.name, str) and _owned().is_library:
        item.name = op.f(_owned().real_name(item.name))
    return item


def _refer_to_real(key: ForeignKeyConstraint) -> ForeignKeyConstraint:
    targets = [element.target_fullname.rpartition(".") for element in key.elements]
    return ForeignKeyConstraint(
        key.column_keys,
        [f"{_owned().real_target(table)}.{column}" for table, _, column in targets],
        name=key.name,
        onupdate=key.onupdate,
        ondelete=key.ondelete,
        deferrable=key.deferrable,
        initially=key.initially,
        match=key.match,
        **key.dialect_kwargs,
    )


def _existing(kind: Literal["table", "index", "column"], table: str) -> Collection[str]:
    if context.is_offline_mode():
        return ()  # a script is written for an empty database
    inspector = inspect(op.get_bind())
    if kind == "table":
        return inspector.get_table_names()
    if kind == "column":
        return [str(column["name"]) for column in inspector.get_columns(table)]
    return [str(index["name"]) for index in inspector.get_indexes(table)]


def _new_tables() -> set[str]:
    """Name the tables that this very migration has created, whose indexes nobody has yet."""
    return _CREATED.setdefault(op.get_context(), set())


def _owned() -> OwnedTables:
    owned = context.config.attributes[OWNED]
    assert isinstance(owned, OwnedTables)
    return owned


def _dialect() -> Dialect:
    dialect = context.config.attributes[DIALECT]
    assert isinstance(dialect, Dialect)
    return dialect
