"""Grants limited to the rows of organisations"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("access", sa.Column("organisations", sa.JSON(), nullable=True))


def downgrade() -> None:
    # a grant of the rows of one organisation would be one of all rows without the column
    limited = "CAST(organisations AS TEXT) <> 'null' AND revoked IS NULL"
    op.execute(f"UPDATE access SET revoked = CURRENT_TIMESTAMP WHERE {limited}")
    op.drop_column("access", "organisations")
