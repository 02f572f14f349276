"""The files of an export, one for each kind: JSON Lines, Parquet, or CSV for other programs."""

import gzip
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic_core import from_json
from sqlalchemy import Boolean, Double, Integer, LargeBinary, Table
from sqlalchemy.types import TypeEngine

from synthorg.persistence.errors import QueryError, UsageError
from synthorg.persistence.sql.transfer.canonical import moved_columns
from synthorg.persistence.sql.transfer.lines import RecordLines
from synthorg.persistence.sql.transfer.manifest import FileFormat
from synthorg.persistence.sql.types import JsonDocument, UtcDateTime

BYTES_IN_GROUP: Final = 2**24
"""How much of a table a Parquet file has in one group of rows, which is held in memory."""


ROWS_IN_BATCH: Final = 64
"""How many rows of a Parquet file are objects of Python at once, each of which may be large."""


class RecordWriter(ABC):
    """Writes the records of one kind into a file.

    Args:
        path: The file, without the suffix of its format.
        table: The table of the kind.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path.with_name(path.name + self.suffix)
        self._table = table
        self._raw = self.path.open("xb")
        # Without a name and a time in it, so that equal records make equal files.
        self._file: Any = self._raw
        if self.suffix.endswith(".gz"):
            self._file = gzip.GzipFile("", "wb", 6, self._raw, 0)

    @abstractmethod
    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows.

        Args:
            rows: The rows, as they are moved.
        """

    def finish(self) -> None:
        """Have everything on the disk."""
        if self._file is not self._raw:
            self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self.close()

    def close(self) -> None:
        """Close the file, however far it is."""
        self._raw.close()


class JsonLinesWriter(RecordWriter):
    """One object of JSON for each record, compressed."""

    suffix = ".jsonl.gz"

    def __init__(self, path: Path, table: Table) -> None:
        super().__init__(path, table)
        self._lines = RecordLines(table)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:  # noqa: D102 (as the base says)
        self._file.write(b"".join([self._lines.write(row) + b"\n" for row in rows]))


class _ArrowWriter(RecordWriter):
    """Columns with the types of Arrow; JSON is text in them."""

    def __init__(self, path: Path, table: Table) -> None:
        self._arrow = arrow()
        super().__init__(path, table)
        self._columns = moved_columns(table)
        fields = [(each.name, _arrow_type(self._arrow, each.type)) for each in self._columns]
        self._schema = self._arrow.schema(fields)
        self._batches: list[Any] = []
        self._writer = self._open()

    @abstractmethod
    def _open(self) -> Any:
        """Begin to write with what Arrow has for it."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        columns = zip(*rows, strict=True) if rows else [() for _ in self._columns]
        arrays = [
            self._arrow.array(values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._batches.append(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.nbytes for batch in self._batches) > BYTES_IN_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(self._arrow.Table.from_batches(self._batches, self._schema))
        self._batches = []

    def finish(self) -> None:
        self._write_group()
        self._writer.close()
        super().finish()


class ParquetWriter(_ArrowWriter):
    """Apache Parquet, with times in UTC to the microsecond."""

    suffix = ".parquet"

    def _open(self) -> Any:
        parquet = import_module("pyarrow.parquet")
        return parquet.ParquetWriter(self._file, self._schema, compression="zstd")


class CsvWriter(_ArrowWriter):
    """Comma-separated values with a heading, compressed; what is missing is empty and unquoted."""

    suffix = ".csv.gz"

    def _open(self) -> Any:
        return import_module("pyarrow.csv").CSVWriter(self._file, self._schema)


WRITERS: Final[Mapping[FileFormat, type[RecordWriter]]] = {
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
    "csv": CsvWriter,
}


def read_records(
    path: Path, file_format: FileFormat, table: Table
) -> Iterator[bytes | Mapping[str, Any]]:
    """Read the records of one kind.

    Args:
        path: The file.
        file_format: Its format.
        table: The table of the kind.

    Yields:
        Each record, as a line of JSON or as values by column.

    Raises:
        QueryError: If the file is damaged.
        UsageError: If files of this format are for other programs alone.
    """
    if file_format == "csv":
        raise UsageError(
            f"cannot import {path}: CSV is for other programs; export JSON Lines or Parquet"
        )
    try:
        yield from _lines(path) if file_format == "jsonl" else _from_parquet(path, table)
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
    ) as error:  # those of Arrow are OSErrors as well
        raise QueryError(f"cannot import {path}: it is damaged: {error}") from None


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        yield from file


def _from_parquet(path: Path, table: Table) -> Iterator[Mapping[str, Any]]:
    arrow()
    documents = {each.name for each in table.columns if isinstance(each.type, JsonDocument)}
    with import_module("pyarrow.parquet").ParquetFile(path) as file:
        batches = file.iter_batches(ROWS_IN_BATCH)
        for values in chain.from_iterable(batch.to_pylist() for batch in batches):
            yield {
                name: from_json(value) if name in documents and value is not None else value
                for name, value in values.items()
            }


def arrow() -> Any:
    """Import pyarrow.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        return import_module("pyarrow")
    except ImportError:
        raise UsageError(
            "Parquet and CSV need pyarrow: pip install 'synthorg-persistence[parquet]'"
        ) from None


def _arrow_type(arrow: Any, type_: TypeEngine[Any]) -> Any:
    if isinstance(type_, UtcDateTime):
        return arrow.timestamp("us", tz="UTC")
    for kind, name in _ARROW_TYPES:
        if isinstance(type_, kind):
            return getattr(arrow, name)()
    return arrow.string()


_ARROW_TYPES: Final[tuple[tuple[type[TypeEngine[Any]], str], ...]] = (
    (Boolean, "bool_"),
    (Double, "float64"),
    (Integer, "int64"),
    (LargeBinary, "binary"),
)
