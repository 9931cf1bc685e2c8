"""acts on issues"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "issue_act",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proof", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue_act")),
    )
    with op.batch_alter_table("issue_act", schema=None) as batch_op:
        batch_op.create_index("ix_issue_act_issue", ["issue"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("issue_act", schema=None) as batch_op:
        batch_op.drop_index("ix_issue_act_issue")

    op.drop_table("issue_act")
