"""Where a kind of record is stored."""

from sqlalchemy import Table

from synthorg.persistence.sql.tables import metadata
from synthorg.persistence.testing.kind import Kind


def table_of(kind: Kind) -> Table:
    """Give the table of a kind of record."""
    return metadata.tables[kind.repository]
