"""Epochs of the pseudonyms of recipients"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "pseudonym_epoch",
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("compromised", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("recipient", "number", name="pk_pseudonym_epoch"),
    )


def downgrade() -> None:
    # without the rows the first epoch is in force again, and with it pseudonyms that were given up after a leak
    if op.get_bind().execute(sa.text("SELECT 1 FROM pseudonym_epoch")).first():
        raise RuntimeError("recipients have new pseudonyms; going down would put the old ones in force again")
    op.drop_table("pseudonym_epoch")
