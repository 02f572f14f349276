"""One table: the old one put aside, its rows copied into the new one, the old one dropped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    LargeBinary,
    RowMapping,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    table,
)
from sqlalchemy.exc import IntegrityError

from synthorg.persistence.sql.drivers.batching import BYTES_AT_ONCE
from synthorg.persistence.sql.migrations.adoption.conversion import Conversion
from synthorg.persistence.sql.migrations.revisions import Progress
from synthorg.persistence.sql.repositories.base import Repository
from synthorg.persistence.sql.repositories.chunks import ROWS_AT_ONCE
from synthorg.persistence.sql.statements.statement import pick
from synthorg.persistence.sql.tables import record_key

PREFIX: Final = "predecessor_"
"""What the name of an old table begins with while it stands aside."""

ROWID: Final = "rowid"
SMALLEST_ROWID: Final = -(2**63)


class Transfer:
    """The rows of one of the predecessor's tables, on their way into the table of the same name.

    Args:
        connection: A connection to a SQLite database, in a transaction.
        repository: The repository of the records.
    """

    def __init__(self, connection: Connection, repository: type[Repository[Any]]) -> None:
        self._connection = connection
        self._conversion = Conversion(repository)
        self._new = repository.table
        self._name = self._new.name
        columns: list[ColumnClause[Any]] = [column(name) for name in self._conversion.columns]
        rowid: ColumnClause[int] = column(ROWID)
        self._old = table(PREFIX + self._name, rowid, *columns)
        begins = rowid > bindparam("after")
        bytes_of_row: ColumnElement[int] = literal_column("0")
        for each in columns:
            bytes_of_row += func.coalesce(func.length(cast(each, LargeBinary)), 0)
        self._sizes = select(rowid, bytes_of_row).where(begins).order_by(rowid).limit(ROWS_AT_ONCE)
        self._rows = select(self._old).where(begins, rowid <= bindparam("up_to")).order_by(rowid)
        # SQLite numbers the rows of a table that only ever grew from 1 on.
        number: ColumnElement[int] = literal_column(ROWID)
        self._stored = (
            select(*pick(self._new, self._conversion.fields))
            .where(number > bindparam("after"))
            .order_by(number)
        )

    def set_aside(self) -> None:
        """Give the old table another name."""
        self._connection.exec_driver_sql(f"ALTER TABLE {self._name} RENAME TO {self._old.name}")

    def drop(self) -> None:
        """Drop the old table with its indexes."""
        self._connection.exec_driver_sql(f"DROP TABLE {self._old.name}")

    def copy(self, progress: Progress | None) -> list[str]:
        """Convert every row, store it, read it back and compare.

        Args:
            progress: Told about every chunk of rows.

        Returns:
            What keeps rows from being adopted, for the first chunk in which there is something.
        """
        total, done = self._count(self._old), 0
        for rows in self._chunks():
            faults = self._copy_chunk(rows, done)
            if faults:
                return faults
            done += len(rows)
            if progress is not None:
                progress(self._name, done, total)
        return []

    def recount(self) -> list[str]:
        """Count the rows once more.

        Returns:
            What is wrong if the two tables have not the same number of them.
        """
        total, stored = self._count(self._old), self._count(self._new)
        return [] if stored == total else [f"{self._name}: of {total} rows {stored} were stored"]

    def _copy_chunk(self, rows: Sequence[RowMapping], done: int) -> list[str]:
        faults, records, values = [], [], []
        for row in rows:
            try:
                record = self._conversion.convert(row)
                values.append(self._conversion.to_row(record))
            except ValueError as error:
                faults.append(f"{self._subject(row)}: {error}")
            else:
                records.append(record)
        return faults or self._insert(values, rows, done) or self._compare(records, rows, done)

    def _insert(
        self, values: Sequence[Mapping[str, object]], rows: Sequence[RowMapping], done: int
    ) -> list[str]:
        try:
            self._connection.execute(insert(self._new), values)
        except IntegrityError as error:
            # Those before the one at fault were stored. SQLite's text names columns, not values.
            culprit = rows[self._count(self._new) - done]
            return [f"{self._subject(culprit)}: {error.orig}"]
        return []

    def _compare(self, records: Sequence[Any], rows: Sequence[RowMapping], done: int) -> list[str]:
        stored = self._connection.execute(self._stored, {"after": done}).all()
        if len(stored) != len(records):
            return [f"{self._name}: of {len(records)} rows {len(stored)} were stored"]
        return [
            f"{self._subject(row)}: it was not stored as it should have been"
            for record, row, values in zip(records, rows, stored, strict=True)
            if not self._conversion.holds(values, record)
        ]

    def _chunks(self) -> Iterator[Sequence[RowMapping]]:
        after = SMALLEST_ROWID
        while True:
            sizes = self._connection.execute(self._sizes, {"after": after}).all()
            if not sizes:
                return
            limits = {"after": after, "up_to": _last_that_fits(sizes)}
            yield self._connection.execute(self._rows, limits).mappings().all()
            after = limits["up_to"]

    def _count(self, counted: Any) -> int:
        return self._connection.execute(select(func.count()).select_from(counted)).scalar_one()

    def _subject(self, row: RowMapping) -> str:
        return name_row(
            self._name,
            {each.name: row.get(each.name) for each in record_key(self._new)},
            row[ROWID],
        )


def name_row(table: str, key: Mapping[str, object], rowid: int) -> str:
    """Name a row for a message.

    Args:
        table: Its table.
        key: The primary key.
        rowid: The number of the row, which names it where the key is no text.
    """
    if not all(isinstance(value, str) for value in key.values()):
        key = {ROWID: rowid}
    return f"{table} ({', '.join(f'{name}={value!r}' for name, value in key.items())})"


def _last_that_fits(sizes: Sequence[Any]) -> int:
    """Find the last row up to which they fit into a chunk, which is never before the first."""
    last, used = sizes[0][0], 0
    for rowid, size in sizes:
        used += size
        if used > BYTES_AT_ONCE:
            break
        last = rowid
    return int(last)
