"""Identities of accounts at OpenID providers"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("bound", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bound_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name="fk_identity_account"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identity"),
    )
    op.create_index("ix_identity_account", "identity", ["account"])


def downgrade() -> None:
    # by an older version nobody is let in by a method that it does not know
    op.execute("DELETE FROM session WHERE method IN ('provider', 'provider_mfa')")
    op.drop_table("identity")
