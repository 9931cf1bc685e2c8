"""A row in every table of a register, so that migrations are tried on tables that hold something."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pipelines.register import Register
from pipelines.register.store import _MIGRATIONS
from pipelines.register.tables import audit, metadata

UNHASHED = {"application", "level"}
"""Columns of the audit that a chain which has used them cannot go without."""
KEPT = {"pseudonym_epoch"}
"""Tables that a revision refuses to go below while they have rows."""
MOVING = {"basis"}
"""Tables with a row of their own, which every other writing moves."""
AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def value(column: sa.Column[Any], number: int) -> Any:
    """Something of a column's type."""
    if column.foreign_keys:
        return f"r{number}"
    kinds: list[tuple[type[sa.types.TypeEngine[Any]], Any]] = [
        (sa.Boolean, False),
        (sa.JSON, ["值"]),
        (sa.DateTime, AT),
        (sa.Float, 0.5),
        (sa.Integer, number),
    ]
    return next((made for kind, made in kinds if isinstance(column.type, kind)), f"r{number}")


def fill(register: Register, rows: int = 3) -> None:
    """Rows in every table that may go; values of key columns differ."""
    with register.begin() as connection:
        for table in (one for one in metadata.sorted_tables if one.name not in KEPT | MOVING):
            for number in range(1, rows + 1):
                row = {column.name: value(column, number) for column in table.columns}
                row |= dict.fromkeys(UNHASHED & row.keys()) if table is audit else {}
                connection.execute(sa.insert(table).values(**row))


def contents(register: Register) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables that there are, by table; columns by name."""
    found = sa.MetaData()
    found.reflect(register.engine)
    return {
        table.name: register.rows(sa.select(table).order_by(*table.primary_key.columns))
        for table in found.sorted_tables
        if table.name not in {"alembic_version", *MOVING}
    }


def downgrade(register: Register, revision: str) -> None:
    """Take the schema down to a revision."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with register.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def revisions_lose_nothing_but_what_they_added(register: Register) -> None:
    """Down and up again, one revision after the other: what older tables held is held still."""
    fill(register)
    before = contents(register)
    earlier = "0020 0019 0018 0017 0015 0014 0013 0010 0009 0008 0007 0006 0005 0004 0003 0002"
    for revision in earlier.split():
        downgrade(register, revision)
        kept = contents(register)
        for name, rows in kept.items():
            shared = [{key: row[key] for key in rows[0]} for row in before[name]]
            assert rows == shared, (revision, name)
        register.upgrade()
        again = contents(register)
        assert again.keys() == before.keys()
        for name, rows in again.items():
            for row, old in zip(rows, before[name] if rows else [], strict=True):
                assert all(row[key] in (old[key], None) for key in old), (revision, name)


def every_writing_moves(register: Register, tables: set[str]) -> None:
    """Rows that come, that change in any column and that go, in these tables and no other: they alone move the number.

    For a register that is empty.
    """

    def moved(statement: sa.Executable) -> bool:
        before = register.basis()
        with register.begin() as connection:
            connection.execute(statement)
        after = register.basis()
        assert before is not None and after is not None and after >= before
        return after > before

    for table in (one for one in metadata.sorted_tables if one.name not in MOVING):
        expected = table.name in tables
        for number in (1, 2):
            assert moved(sa.insert(table).values({one: value(one, number) for one in table.columns})) is expected, table
        key = next(iter(table.primary_key.columns))
        for column in table.columns:
            same = sa.update(table).where(key == value(key, 1)).values({column: value(column, 1)})
            assert moved(same) is expected, column
    for table in (one for one in reversed(metadata.sorted_tables) if one.name not in MOVING):
        key = next(iter(table.primary_key.columns))
        assert moved(sa.delete(table).where(key == value(key, 1))) is (table.name in tables), table
        assert moved(sa.delete(table)) is (table.name in tables), table
