"""A delivery is kept once, however its rows are ordered; whatever else differs makes another."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.forms.sources import CursorLoad
from pipelines.register.receipts import Stage
from tests.connectors.raw_lake import RawLake


class SqliteLake(RawLake):
    """A table of a SQLite file: columns `id`, the contract's, and `other`."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "dsrb/division")
        connector = replace(self.contract.connector, verb="database", arguments={"connection": "psb", "table": "t"})
        column = replace(self.contract.columns[0], physical_name="id")
        self.contract = replace(self.contract, connector=connector, columns=[column])
        self.file = home / "source.db"

    def told(self, rows: Sequence[tuple[str, str]], other: str = "other") -> bool:
        """One pull of a table with these rows; whether it brought a new batch."""
        self.file.unlink(missing_ok=True)
        with sqlite3.connect(self.file) as con:
            con.execute(f"CREATE TABLE t (id TEXT, {other} TEXT)")
            con.executemany("INSERT INTO t VALUES (?, ?)", rows)
        con.close()
        return self.receive(f"sqlite:///{self.file}")


def test_a_delivery_is_new_when_anything_but_the_order_of_its_rows_differs(tmp_path: Path) -> None:
    lake = SqliteLake(tmp_path)
    assert lake.told([("1", "a"), ("2", "b")])
    assert not lake.told([("1", "a"), ("2", "b")])
    assert not lake.told([("2", "b"), ("1", "a")])
    assert lake.told([("2", "a"), ("1", "b")]), "values changed places"
    assert lake.told([("2", "a"), ("1", "b")], other="another"), "a column has another name"
    assert lake.told([("2", "a")])
    assert lake.told([("2", "a"), ("2", "a")])
    assert lake.told([])
    assert not lake.told([])
    last = lake.receipts.last(Stage.PULL, lake.contract.id)
    assert last and (last.batch, last.body["rows"]) == (6, 0)


ROWS = st.lists(st.tuples(st.sampled_from("12"), st.sampled_from("ab")), max_size=4)


@given(days=st.lists(ROWS, min_size=2, max_size=4))
@settings(max_examples=8, deadline=None)
def test_two_deliveries_are_one_when_their_rows_are(
    days: list[list[tuple[str, str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = SqliteLake(tmp_path_factory.mktemp("lake"))
    before = None
    for rows in days:
        assert lake.told(rows) == (sorted(rows) != before)
        before = sorted(rows)


def test_where_a_later_row_counts_the_order_of_a_file_says_something(tmp_path: Path) -> None:
    lake, folder = RawLake(tmp_path, "dsrb/division"), tmp_path / "drop"
    folder.mkdir()
    given = {"connection": "s", "files": "*.csv", "format": "csv"}
    connector = replace(lake.contract.connector, verb="file_drop", arguments=given)
    named = zip(lake.contract.columns, ("id", "at"), strict=False)
    columns = [replace(column, physical_name=name) for column, name in named]
    key, cursor = (column.name for column in columns)
    load = CursorLoad(mode="cursor", key=[key], cursor=cursor)
    form = lake.contract.form.model_copy(update={"load": load})
    lake.contract = replace(lake.contract, connector=connector, columns=columns, form=form)
    taken = []
    for number, rows in enumerate(("1,a\n1,b\n", "1,b\n1,a\n", "1,a\n2,b\n", "2,b\n1,a\n")):
        (folder / f"{number}.csv").write_text(f"id,at\n{rows}")
        (folder / f"{number}.csv.ok").touch()
        taken.append(lake.receive(f"file://{folder}"))
    assert taken == [True, True, True, False]
