"""Number costs by an identity column, which needs no rights on a sequence.

Revision: 0002_identity
Revises: 0001_initial_schema
"""

from synthorg.persistence.sql.migrations import operations

revision = "0002_identity"
down_revision = "0001_initial_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    operations.count_by_identity("cost_records", "sequence_number")


def downgrade() -> None:
    operations.count_by_sequence("cost_records", "sequence_number")
