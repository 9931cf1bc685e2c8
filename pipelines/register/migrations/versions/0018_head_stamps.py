"""Time stamps of signed heads"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "head_stamp",
        sa.Column("chain", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name="pk_head_stamp"),
    )


def downgrade() -> None:
    op.drop_table("head_stamp")
