"""when an issue was closed"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("issue", sa.Column("closed", sa.DateTime(timezone=True), nullable=True))
    # nobody wrote down when the older ones were closed: by the last act, else not before they were last seen
    op.execute(
        "UPDATE issue SET closed = coalesce((SELECT max(issue_act.at) FROM issue_act "
        "WHERE issue_act.issue = issue.id), last_seen) WHERE status = 'closed'"
    )


def downgrade() -> None:
    op.drop_column("issue", "closed")
