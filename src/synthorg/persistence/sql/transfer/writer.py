"""A database on its way to hold what another one holds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Table,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    DuplicateRecordError,
    QueryError,
    TransactionConflictError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.retrying import run_again_on_conflict
from synthorg.persistence.sql.tables import cost_rollups, record_key
from synthorg.persistence.sql.transfer.canonical import moved_columns, moved_type
from synthorg.persistence.sql.transfer.faults import explained
from synthorg.persistence.sql.transfer.keys import Key, has_key, key_columns, name_record
from synthorg.persistence.sql.transfer.rollup_projects import DECIDE_PROJECTS, find_projects

Values = dict[str, Any]

Check = Callable[[AsyncConnection, Dialect, Sequence[Sequence[Any]]], Awaitable[None]]
"""What a transaction does before it adds rows, given its connection and the rows."""

OF_ROW: Final = "of_row_"
"""What the names of the parameters begin with that change a row, since columns have theirs."""


class Target:
    """Writes rows as they are, each batch in a transaction of its own.

    Args:
        connection: A connection to the database, with no transaction begun.
        dialect: The kind of database.
        tables: All tables that are written, each after those that it refers to.
    """

    def __init__(
        self, connection: AsyncConnection, dialect: Dialect, tables: Sequence[Table]
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._tables = tables

    async def is_empty(self, table: Table) -> bool:
        """Tell whether a table has no rows.

        Args:
            table: The table.
        """
        rows = await self._run(select(exists(select(*key_columns(table)))), f"read {table.name}")
        return not rows[0][0]

    async def insert(
        self,
        table: Table,
        rows: Sequence[Sequence[Any]],
        first: Check | None = None,
        *,
        renumbers: bool = False,
    ) -> None:
        """Add rows, all of them or none.

        Args:
            table: The table.
            rows: The values of each in the columns that are moved.
            first: What the transaction does before, given the rows.
            renumbers: Whether the database gives the rows numbers of its own, in their order.

        Raises:
            PersistenceError: If the database refuses one, which is named by its key.
        """
        if not rows:
            return

        async def write() -> None:
            await self._add(table, rows, first, f"write {table.name}", renumbers=renumbers)

        try:
            await run_again_on_conflict(write)
        except TransactionConflictError:
            raise
        except (QueryError, DuplicateRecordError):
            # One by one, for the database does not tell which it has refused.
            for row in rows:
                key = tuple(row[at] for at in self._key_at(table))
                action = f"write {name_record(table, key)}"
                await self._add(table, [row], first, action, renumbers=renumbers)
            raise

    async def _add(
        self,
        table: Table,
        rows: Sequence[Sequence[Any]],
        first: Check | None,
        action: str,
        *,
        renumbers: bool,
    ) -> None:
        columns = moved_columns(table)
        number = table.autoincrement_column if renumbers else None
        given = [(at, each) for at, each in enumerate(columns) if each is not number]
        statement = insert(table).values(
            {each.name: bindparam(each.name, type_=moved_type(each)) for _, each in given}
        )
        values = [{each.name: row[at] for at, each in given} for row in rows]
        async with self._transaction(action) as connection:
            if first is not None:
                await first(connection, self._dialect, rows)
            await self._dialect.step(connection, connection.execute(statement, values))

    @staticmethod
    def _key_at(table: Table) -> list[int]:
        names = [column.name for column in moved_columns(table)]
        return [names.index(column.name) for column in record_key(table)]

    async def replace(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Change rows that are there, all of them or none.

        Args:
            table: The table.
            rows: The values of each in the columns that are moved.
        """
        if not rows:
            return
        columns = moved_columns(table)
        names = [column.name for column in columns]
        fixed = {each.name for each in (*table.primary_key, *key_columns(table))}
        statement = (
            update(table)
            .where(*[each == bindparam(f"{OF_ROW}{each.name}") for each in key_columns(table)])
            .values(
                {
                    each.name: bindparam(f"{OF_ROW}{each.name}", type_=moved_type(each))
                    for each in columns
                    if each.name not in fixed
                }
            )
        )
        values = [
            {f"{OF_ROW}{name}": value for name, value in zip(names, row, strict=True)}
            for row in rows
        ]

        async def write() -> None:
            await self._run(statement, f"write {table.name}", values)

        await run_again_on_conflict(write)

    async def find(self, table: Table, keys: Sequence[Key]) -> set[Key]:
        """Find out which of some keys are there.

        Args:
            table: The table.
            keys: The keys.
        """
        if not keys:
            return set()
        found = select(*key_columns(table)).where(has_key(table, keys))
        return {tuple(row) for row in await self._run(found, f"read {table.name}")}

    async def delete(self, table: Table, keys: Sequence[Key]) -> None:
        """Remove rows, and before them what refers to them.

        Args:
            table: The table.
            keys: Their keys.
        """
        await self._remove(table, has_key(table, keys))

    async def _remove(self, table: Table, condition: ColumnElement[bool]) -> None:
        for child in self._tables:
            for constraint in child.foreign_key_constraints:
                if constraint.referred_table is not table or child is table:
                    continue
                for each in constraint.elements:
                    referred = select(each.column).where(condition)
                    await self._remove(child, each.parent.in_(referred))
        await self._run(delete(table).where(condition), f"remove rows of {table.name}")

    async def complete(self, table: Table) -> None:
        """Have the database work out what it does by itself, once the rows are there.

        Args:
            table: The table.
        """
        await self._continue_counting(table)
        if table in DECIDE_PROJECTS:
            async with self._transaction(f"write {cost_rollups.name}") as connection:
                await find_projects(connection, self._dialect)

    async def _continue_counting(self, table: Table) -> None:
        counted = table.autoincrement_column
        statement = None if counted is None else self._dialect.continue_counting(counted)
        if statement is not None:
            await self._run(statement, f"count {table.name} on")

    async def _run(
        self, statement: Executable, action: str, values: Sequence[Values] = ()
    ) -> Sequence[Any]:
        async with self._transaction(action) as connection:
            step = connection.execute(statement, values or None)
            result = await self._dialect.step(connection, step)
            return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def _transaction(self, action: str) -> AsyncIterator[AsyncConnection]:
        connection = self._connection
        with explained(self._dialect, f"{action} of {self._dialect.description}"):
            try:
                await connection.execution_options(**self._dialect.begin_options(write=True))
                yield connection
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise
