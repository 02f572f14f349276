<%!
    def rerunnable(text):
        """Have a revision go on from wherever it was stopped, where DDL cannot be rolled back."""
        for operation in ("create_table", "create_index", "drop_table"):
            text = text.replace(f"op.{operation}(", f"operations.{operation}(")
        return text
%>"""${message}.

Revision: ${up_revision}
Revises: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from alembic import op

from synthorg.persistence.extension import operations, types
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${rerunnable(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    ${rerunnable(downgrades) if downgrades else "pass"}
