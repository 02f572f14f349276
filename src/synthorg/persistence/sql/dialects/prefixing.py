"""The names of this library's tables in one database: with the prefix that is configured for it."""

from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import IdentifierPreparer

from synthorg.persistence.sql.tables import LibraryName


class _Prefixing(IdentifierPreparer):
    """Writes names into statements, those of this library's tables with the prefix."""

    table_prefix: str

    def quote(self, ident: str, *force: Any) -> str:  # of SQLAlchemy 2.0
        """Write a name, as SQLAlchemy says."""
        name = self.table_prefix + ident if isinstance(ident, LibraryName) else ident
        return super().quote(name, *force)


def write_prefix(engine: AsyncEngine, prefix: str) -> None:
    """Have an engine write the prefix into every statement that it compiles.

    The tables of an application are none of this library's, whatever they are called. A statement
    is compiled once, so that the prefix costs nothing when it is run.

    Args:
        engine: The engine, which has not connected yet.
        prefix: The prefix; where it is empty, nothing changes.
    """
    if not prefix:
        return
    dialect = engine.sync_engine.dialect
    bases = (_Prefixing, dialect.preparer)
    prefixing = cast("type[IdentifierPreparer]", type("Prefixing", bases, {"table_prefix": prefix}))
    before = vars(dialect.identifier_preparer)  # what the dialect has found out so far
    dialect.preparer = prefixing
    dialect.identifier_preparer = prefixing(dialect)
    vars(dialect.identifier_preparer).update(before)
