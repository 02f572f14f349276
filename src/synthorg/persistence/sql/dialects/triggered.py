"""What a database sees to by triggers: tables that refuse changes, and some that follow others."""

from dataclasses import dataclass

from synthorg.persistence.sql.dialects.audit_tables import AuditTables
from synthorg.persistence.sql.dialects.rollup_tables import RollupTables


@dataclass(frozen=True)
class AppendOnly:
    """A table that refuses UPDATE and DELETE.

    Attributes:
        table: Its name in the database; its primary key is `id`.
    """

    table: str


Triggered = AppendOnly | AuditTables | RollupTables
"""What a kind of database has a set of triggers for."""
