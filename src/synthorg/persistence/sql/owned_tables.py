"""Tables of one owner, which are migrated together: this library's, or those of an extension."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy import MetaData, Table, UniqueConstraint

from synthorg.persistence.errors import MigrationError, UsageError
from synthorg.persistence.sql.tables import APPEND_ONLY, VERSION_TABLE, metadata


@dataclass(frozen=True, eq=False)
class OwnedTables:
    """The tables of one owner, the revisions that make them, and where their version is kept.

    Attributes:
        owner: Whose they are, in words for messages.
        package: The distribution to upgrade when the tables are of a newer release.
        metadata: The tables.
        version_table: Alembic's own table for them.
        find_folder: Finds the folder of their Alembic environment.
    """

    owner: str
    package: str
    metadata: MetaData
    version_table: str
    find_folder: Callable[[], Path]

    @property
    def tables(self) -> Collection[str]:
        """The names of the tables."""
        return self.metadata.tables.keys()

    @cached_property
    def names(self) -> Mapping[str, Collection[str]]:
        """The tables with that of the version, and the names that belong to each."""
        own = {table.name: _names_of(table) for table in self.metadata.sorted_tables}
        return {self.version_table: (), **own}

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The table to which each of the other names belongs."""
        return {name: table for table, names in self.names.items() for name in names}

    @property
    def append_only(self) -> Collection[str]:
        """The tables whose rows the database itself protects from change."""
        return [each.name for each in self.metadata.sorted_tables if APPEND_ONLY in each.info]

    @property
    def refers_to(self) -> Collection[Table]:
        """The tables of others that these refer to."""
        return {
            constraint.referred_table
            for table in self.metadata.sorted_tables
            for constraint in table.foreign_key_constraints
            if constraint.referred_table.metadata is not self.metadata
        }


def refuse_clashes(extensions: Sequence[OwnedTables]) -> None:
    """Refuse extensions that could not be kept in one database.

    Args:
        extensions: The tables of each extension.

    Raises:
        UsageError: If a name is that of another extension or of this library, with both named.
    """
    owners: dict[str, OwnedTables] = {}
    for owned in (LIBRARY, *extensions):
        for name in (*owned.names, *owned.owners):
            # Some databases tell capitals apart, and some do not.
            other = owners.setdefault(name.casefold(), owned)
            if other is not owned:
                raise UsageError(
                    f"{owned.owner} and {other.owner} both have the name {name} for a table, an "
                    "index or a constraint; rename it in one of them"
                )


def _names_of(table: Table) -> Collection[str]:
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    return [*(str(index.name) for index in table.indexes), *(str(each.name) for each in unique)]


def _find_folder() -> Path:
    """Find the Alembic environment: inside the package when installed, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[2]
    for folder in (package / "migrations", checkout / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise MigrationError(f"the installation is incomplete: no migrations beside {package}")


LIBRARY: Final = OwnedTables(
    "this library", "synthorg-persistence", metadata, VERSION_TABLE, _find_folder
)
