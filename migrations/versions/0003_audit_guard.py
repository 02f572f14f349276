"""Protect the audit trail also from sessions that apply the changes of another database.

Revision: 0003_audit_guard
Revises: 0002_identity
"""

from synthorg.persistence.sql.migrations import operations

revision = "0003_audit_guard"
down_revision = "0002_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    operations.guard_every_session("audit_entries")


def downgrade() -> None:
    operations.guard_usual_sessions("audit_entries")
