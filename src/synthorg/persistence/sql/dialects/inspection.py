"""What an operator can ask a database about itself: names, sizes, triggers, damage."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from synthorg.persistence.sql.dialects.triggered import Triggered
from synthorg.persistence.sql.owned_tables import OwnedTables


@dataclass(frozen=True)
class Names:
    """What a database has under the names of some tables.

    Attributes:
        tables: The tables that are there.
        taken: What else has one of the names, in words for each.
        unseen: Those of which this user may not know whether they are there.
        schema: Where the tables are, or would be made; None where a database has one schema only.
        first: The schema in which this user would make a new table.
        hidden: Tables of which statements do not see anything, and what they see instead.
    """

    tables: frozenset[str]
    taken: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    schema: str | None = None
    first: str | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)


class Inspection(ABC):
    """The questions, which each database wants put in its own way."""

    @abstractmethod
    def find_names(self, connection: Connection, owned: OwnedTables) -> Names:
        """Find what has the names of some tables, where statements look for them.

        Args:
            connection: A connection to the database.
            owned: The tables.
        """

    @abstractmethod
    def table_sizes(self, connection: Connection) -> Mapping[str, int | None]:
        """Give the bytes that each table takes with its indexes; None where it cannot be told."""

    @abstractmethod
    def active_triggers(self, connection: Connection, what: Triggered) -> Collection[str]:
        """Find out which triggers are there, do what they should, and are not switched off.

        Args:
            connection: A connection to the database.
            what: What they see to.
        """

    @abstractmethod
    def storage_problems(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:
        """Let the database look for damage in its own storage, and say what it finds."""

    def missing_rights(self, connection: Connection, tables: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002 (not every database has rights that can be asked for)
        """Say which rights on tables this user lacks that writes to others; nothing to a reader."""
        return ()

    def never_counts_again(self, connection: Connection, table: str) -> bool:  # noqa: ARG002 (used where tables are built anew)
        """Tell whether a table built anew has to be told not to give out numbers again."""
        return False

    def trigger_definitions(self, connection: Connection, table: str) -> tuple[str, ...]:  # noqa: ARG002 (used where tables are built anew)
        """Give the DDL of the triggers that a table loses when it is built anew."""
        return ()
