"""OAuth clients among the tokens, and which token succeeds which"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("token", sa.Column("client", sa.Boolean(), nullable=True))
    op.add_column("token", sa.Column("succeeds", sa.String(length=16), nullable=True))


def downgrade() -> None:
    # an older version would take the secret of a client for a bearer token
    op.execute("UPDATE token SET revoked = CURRENT_TIMESTAMP WHERE client AND revoked IS NULL")
    op.drop_column("token", "succeeds")
    op.drop_column("token", "client")
