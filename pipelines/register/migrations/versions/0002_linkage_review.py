"""pairs that a steward is asked about"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "linkage_review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(length=120), nullable=False),
        sa.Column("row_key", sa.String(length=200), nullable=False),
        sa.Column("place", sa.String(length=40), nullable=False),
        sa.Column("own", sa.String(length=32), nullable=True),
        sa.Column("person", sa.String(length=32), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("word", sa.String(length=16), nullable=True),
        sa.Column("who", sa.String(length=120), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linkage_review")),
    )
    with op.batch_alter_table("linkage_review", schema=None) as batch_op:
        batch_op.create_index("ix_linkage_review_row", ["dataset", "row_key", "person"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("linkage_review", schema=None) as batch_op:
        batch_op.drop_index("ix_linkage_review_row")

    op.drop_table("linkage_review")
