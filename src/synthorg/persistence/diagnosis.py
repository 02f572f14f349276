"""A database examined as an experienced operator would."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.observing import Observer
from synthorg.persistence.sql.dialects.findings import Finding, Severity
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.observation import observed_by
from synthorg.persistence.sql.examination.examination import Examination, examine
from synthorg.persistence.sql.owned_tables import LIBRARY, refuse_clashes

if TYPE_CHECKING:
    from synthorg.persistence.extension import Extension

__all__ = ["Examination", "Finding", "Severity", "examine_database"]


async def examine_database(
    config: PersistenceConfig,
    *,
    extensions: Sequence["Extension"] = (),
    rows: bool = True,
    observers: Sequence[Observer] = (),
) -> Examination:
    """Look at schema, records, storage, settings and load of a database, and change nothing.

    Args:
        config: The database.
        extensions: The application's own tables, which are looked at as well.
        rows: Whether to read every record, to find those that cannot be read. They are read only
            if nothing else is wrong with the tables.
        observers: Who is told that it begins and that it ends.

    Returns:
        What was found, each with what to do about it. No finding has a stored value, but for the
        keys of records.

    Raises:
        PersistenceConnectionError: If it cannot be reached.
        UsageError: If the extensions clash.
    """
    owned = [each.owned for each in extensions]
    refuse_clashes(owned)
    dialect = create_dialect(config)
    with observed_by(observers, dialect.observed, "maintenance", "examine_database"):
        return await examine(dialect, [LIBRARY, *owned], rows=rows)
