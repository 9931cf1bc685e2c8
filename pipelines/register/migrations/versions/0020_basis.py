"""A number that moves with everything decisions are made from"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

TABLES = ("token", "recipient", "access", "suspension", "pseudonym_epoch", "ledger")
MOVE = "UPDATE basis SET number = number + 1"


def upgrade() -> None:
    op.create_table(
        "basis",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_basis"),
    )
    # not from 1: a service that saw the table before it was taken away and made again would find its number once more
    op.execute(f"INSERT INTO basis (id, number) VALUES (1, {time.time_ns() // 1000})")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION move_basis() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {MOVE}; RETURN NULL; END $$"
        )
        for table in TABLES:
            op.execute(
                f"CREATE TRIGGER {table}_moves_basis AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION move_basis()"
            )
        return
    for table in TABLES:
        for act in ("insert", "update", "delete"):
            op.execute(f"CREATE TRIGGER {table}_{act}_moves_basis AFTER {act} ON {table} BEGIN {MOVE}; END")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"DROP TRIGGER {table}_moves_basis ON {table}")
        op.execute("DROP FUNCTION move_basis()")
    else:
        for table in TABLES:
            for act in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER {table}_{act}_moves_basis")
    op.drop_table("basis")
