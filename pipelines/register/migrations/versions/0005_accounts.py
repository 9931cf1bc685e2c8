"""accounts, and who gave and approved a grant"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("organisation", sa.String(length=16), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    for column in (
        sa.Column("given_by", sa.String(length=64), nullable=True),
        sa.Column("pending", sa.Boolean(), nullable=True),
        sa.Column("approver", sa.String(length=64), nullable=True),
        sa.Column("approved", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("access", column)  # one by one: SQLite would copy the table otherwise


def downgrade() -> None:
    # what awaits approval would be in force without the column
    op.execute(
        "UPDATE access SET revoked = CURRENT_TIMESTAMP WHERE pending AND revoked IS NULL"
    )
    for name in ("approved", "approver", "pending", "given_by"):
        op.drop_column("access", name)
    op.drop_table("account")
