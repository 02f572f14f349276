"""The tables by which the audit trail may age: what was removed is recorded, and nothing else is.

A record of a removal has a trigger that removes the entries itself: it opens a gate, deletes the
range that the record names, fails unless that has as many entries as the record says, and closes
the gate. Entries can be deleted while a gate is open, which none is beyond that statement.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditTables:
    """The names of the tables in a database.

    Attributes:
        prefix: What the names of this library's tables begin with.
    """

    prefix: str = ""

    @property
    def entries(self) -> str:
        """The audit trail."""
        return f"{self.prefix}audit_entries"

    @property
    def removals(self) -> str:
        """The records of what was removed from it."""
        return f"{self.prefix}audit_removals"

    @property
    def gates(self) -> str:
        """For each of those, whether it is being carried out."""
        return f"{self.prefix}audit_gates"

    @property
    def is_refused(self) -> str:
        """What is said of a deletion that no record of a removal carries out."""
        return f"{self.entries} is append-only"

    @property
    def is_forged(self) -> str:
        """What is said of a gate that is opened by hand."""
        return f"{self.gates} is opened by {self.removals} alone"

    @property
    def is_miscounted(self) -> str:
        """What is said of a record that names another number of entries than there are."""
        return f"{self.removals} has to name as many entries as there are in its range"

    def deletion(self, record: str) -> str:
        """Write the statement that deletes the range which a record names.

        Args:
            record: How the trigger calls the record.
        """
        return (
            f"DELETE FROM {self.entries} WHERE timestamp >= {record}.first_timestamp "
            f"AND timestamp <= {record}.last_timestamp "
            f"AND (timestamp < {record}.last_timestamp OR id <= {record}.last_id)"
        )
