"""Adoption: a SQLite database of the system before this one becomes a database of this library."""

from synthorg.persistence.sql.migrations.adoption.backup import back_up
from synthorg.persistence.sql.migrations.adoption.procedure import adopt
from synthorg.persistence.sql.migrations.adoption.recognition import (
    explain_mismatch,
    is_predecessor,
)

__all__ = ["adopt", "back_up", "explain_mismatch", "is_predecessor"]
