"""the audit by time and by application"""

from alembic import op

revision = "0013"
down_revision = "0010"


def upgrade() -> None:
    op.create_index("ix_audit_application_at", "audit", ["application", "at"])
    op.create_index("ix_audit_at", "audit", ["at"])


def downgrade() -> None:
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_index("ix_audit_application_at", table_name="audit")
