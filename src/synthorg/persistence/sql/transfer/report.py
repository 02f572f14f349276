"""What came of a copy."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CopiedTable:
    """What came of one table.

    Attributes:
        name: Its name.
        rows: How many rows were copied, now or before an interruption.
        digest: The digest of their canonical form, the same in both databases.
        skipped: How many were left out, since no entity can be made of them.
        removed: How many were removed again, since the source no longer has them like this.
    """

    name: str
    rows: int
    digest: str
    skipped: int
    removed: int


@dataclass(frozen=True)
class CopyReport:
    """What came of a copy that has ended, compared row by row.

    Attributes:
        source: The database that was copied, in words.
        target: The one that holds the copy.
        resumed: Whether an earlier attempt was gone on with.
        tables: Each table, in the order in which they were copied.
        left_out: The tables of the source that belong to nobody who was named.
    """

    source: str
    target: str
    resumed: bool
    tables: tuple[CopiedTable, ...]
    left_out: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(table.rows for table in self.tables)

    @property
    def skipped(self) -> int:
        """How many were left out."""
        return sum(table.skipped for table in self.tables)

    def as_json(self) -> dict[str, Any]:
        """Give the report in the form of a JSON document."""
        return {
            "source": self.source,
            "target": self.target,
            "resumed": self.resumed,
            "rows": self.rows,
            "skipped": self.skipped,
            "left_out": list(self.left_out),
            "tables": {
                each.name: {
                    "rows": each.rows,
                    "digest": each.digest,
                    "skipped": each.skipped,
                    "removed": each.removed,
                }
                for each in self.tables
            },
        }
