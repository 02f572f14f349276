"""Have indexes for the lists of all parked contexts and all API keys.

Revision: 0008_whole_lists
Revises: 0007_insertion_sequence
"""

from alembic import op

from synthorg.persistence.sql.migrations import operations

revision = "0008_whole_lists"
down_revision = "0007_insertion_sequence"
branch_labels = None
depends_on = None

INDEXES = (("parked_contexts", "parked_at"), ("api_keys", "created_at"))


def upgrade() -> None:
    for table, time in INDEXES:
        operations.create_index(op.f(f"ix_{table}_{time}_id"), table, [time, "id"])


def downgrade() -> None:
    for table, time in INDEXES:
        operations.drop_index(op.f(f"ix_{table}_{time}_id"), table)
