"""applications; roads of grants; application and level in the audit"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "application",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("organisation", sa.String(length=16), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_application")),
    )
    op.add_column("token", sa.Column("application", sa.String(length=64), nullable=True))
    op.add_column("access", sa.Column("roads", sa.JSON(), nullable=True))
    op.add_column("audit", sa.Column("application", sa.String(length=64), nullable=True))
    op.add_column("audit", sa.Column("level", sa.Integer(), nullable=True))


def downgrade() -> None:
    # hashes of audit rows cover what goes: such a chain is told as broken, so it is refused while there are any
    if op.get_bind().execute(sa.text("SELECT 1 FROM audit WHERE application IS NOT NULL OR level IS NOT NULL")).first():
        raise RuntimeError("the audit has rows with an application or a level; going down would break its chain")
    # a grant for some roads would be one for all without the column
    op.execute("UPDATE access SET revoked = CURRENT_TIMESTAMP WHERE CAST(roads AS TEXT) <> 'null' AND revoked IS NULL")
    op.drop_column("audit", "level")
    op.drop_column("audit", "application")
    op.drop_column("access", "roads")
    op.drop_column("token", "application")
    op.drop_table("application")
