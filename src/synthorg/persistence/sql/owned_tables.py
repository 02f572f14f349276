"""Tables of one owner, which are migrated together: this library's, or those of an extension."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Constraint, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.sql.elements import conv
from sqlalchemy.util import FacadeDict

from synthorg.persistence.errors import MigrationError, UsageError
from synthorg.persistence.sql.tables import APPEND_ONLY, VERSION_TABLE, LibraryName, metadata


@dataclass(frozen=True, eq=False)
class OwnedTables:
    """The tables of one owner, the revisions that make them, and where their version is kept.

    Attributes:
        owner: Whose they are, in words for messages.
        package: The distribution to upgrade when the tables are of a newer release.
        metadata: The tables.
        version_table: Alembic's own table for them.
        find_folder: Finds the folder of their Alembic environment.
        prefix: What the names of this library's tables begin with in the database in question.
        is_library: Whether they are this library's.
    """

    owner: str
    package: str
    metadata: MetaData
    version_table: str
    find_folder: Callable[[], Path]
    prefix: str = ""
    is_library: bool = False

    @property
    def tables(self) -> Collection[str]:
        """The names of the tables."""
        return [table.name for table in self.metadata.tables.values()]

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

    def in_database(self, prefix: str) -> "OwnedTables":
        """Give the same tables under the names that they have in a database.

        Args:
            prefix: The `table_prefix` of the database.
        """
        return _prefixed(self, prefix) if prefix and not self.prefix else self

    def real_name(self, name: str) -> str:
        """Give the name in the database of what a revision of these tables names.

        Args:
            name: A table, an index or a constraint.
        """
        return self.prefix + name if self.prefix and self.is_library else name

    def real_target(self, table: str) -> str:
        """Give the name in the database of a table to which a revision of these tables refers.

        Args:
            table: The table, of these or of this library.
        """
        is_ours = self.is_library or table in metadata.tables
        return self.prefix + table if is_ours else table

    @property
    def refers_to(self) -> Collection[Table]:
        """The tables of others that these refer to."""
        return {
            constraint.referred_table
            for table in self.metadata.sorted_tables
            for constraint in table.foreign_key_constraints
            if constraint.referred_table.metadata is not self.metadata
        }


def refuse_clashes(extensions: Sequence[OwnedTables], prefix: str = "") -> None:
    """Refuse extensions that could not be kept in one database.

    Args:
        extensions: The tables of each extension.
        prefix: The `table_prefix` of the database.

    Raises:
        UsageError: If a name is that of another extension or of this library, with both named.
    """
    owners: dict[str, OwnedTables] = {}
    for owned in (LIBRARY, *extensions):
        real = owned.in_database(prefix)
        for name in {*owned.names, *owned.owners, *real.names, *real.owners}:
            # Some databases tell capitals apart, and some do not.
            other = owners.setdefault(name.casefold(), owned)
            if other is not owned:
                raise UsageError(
                    f"{owned.owner} and {other.owner} both have the name {name} for a table, an "
                    "index or a constraint; rename it in one of them"
                )


@lru_cache
def _prefixed(owned: OwnedTables, prefix: str) -> OwnedTables:
    """Copy tables under their names in a database, with their references to others."""
    convention: dict[str, Any] = dict(owned.metadata.naming_convention)
    if owned.is_library:
        # For what is named only when a revision makes its table, such as the CHECK of a flag.
        convention = {key: _with_prefix(prefix, value) for key, value in convention.items()}
        convention["plain_name"] = lambda _, table: table.name.removeprefix(prefix)
    copies = MetaData(naming_convention=convention)
    others = {table: table.to_metadata(copies) for table in owned.refers_to}
    own = {table: table.to_metadata(copies) for table in owned.metadata.sorted_tables}
    for reference in (each for copy in own.values() for each in copy.foreign_keys):
        assert reference.column is not None  # found by its name, so before that is changed
    for table, copy in (others | own).items():
        if isinstance(table.name, LibraryName):
            _rename(copy, table, prefix)
    copies.tables = FacadeDict({copy.name: copy for copy in own.values()})
    return replace(
        owned, metadata=copies, version_table=prefix + owned.version_table, prefix=prefix
    )


def _with_prefix(prefix: str, convention: Any) -> Any:
    if not isinstance(convention, str):
        return convention
    return prefix + convention.replace("%(table_name)s", "%(plain_name)s")


def _rename(copy: Table, table: Table, prefix: str) -> None:
    """Give a copy of a table, and what belongs to it, the names that they have in a database."""
    copy.name = copy.fullname = prefix + table.name
    plain = {each.name for each in _parts_of(table)}
    for each in _parts_of(copy):
        # What a type brings along is named already, by the convention.
        if isinstance(each.name, str) and each.name in plain:
            each.name = conv(prefix + each.name)


def _parts_of(table: Table) -> Sequence[Index | Constraint]:
    return [*table.indexes, *table.constraints]


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
    "this library",
    "synthorg-persistence",
    metadata,
    VERSION_TABLE,
    _find_folder,
    is_library=True,
)
