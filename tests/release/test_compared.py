"""With which releases a table of counts is compared: those that somebody can have, as the ledger says it."""

from typing import Any

import duckdb
import pytest

from pipelines.contracts.load import load
from pipelines.privacy.anonymity import beside_columns, cell_columns
from pipelines.release import compared
from pipelines.release.ledger import PAST_WITHDRAWAL, RELEASE, RETENTION, WITHDRAWAL, Entry, Ledger
from pipelines.release.products import released_before
from pipelines.settings import REPOSITORY

PRODUCT = "open/ages"


def said(ledger: Ledger, kind: str, version: int | None = None, subject: str = PRODUCT, **body: Any) -> int:
    (row,) = ledger.record([Entry(kind, subject, "e1", version, body)])
    return row.sequence


def versions(ledger: Ledger, before: int | None = None) -> list[int | None]:
    return [one.version for one in compared.earlier(ledger, PRODUCT, before)]


def test_all_that_was_neither_withdrawn_nor_ended_is_compared(ledger: Ledger) -> None:
    assert versions(ledger) == []
    for number in range(4):
        said(ledger, RELEASE, number)
    said(ledger, RELEASE, 9, "open/others")
    assert versions(ledger) == [0, 1, 2, 3]
    said(ledger, PAST_WITHDRAWAL, 1)
    said(ledger, RETENTION, None, "retention-1", releases={PRODUCT: {"0": ["mark", None], "2": ["mark", "other"]}})
    assert versions(ledger) == [2, 3]


def test_the_newest_counts_though_it_was_withdrawn(ledger: Ledger) -> None:
    for number in range(2):
        said(ledger, RELEASE, number)
    said(ledger, WITHDRAWAL)
    assert versions(ledger) == [1]
    said(ledger, RELEASE, 2)
    assert versions(ledger) == [2]
    said(ledger, RELEASE, 1)
    assert versions(ledger) == [1, 2, 1], "it can be had again, and what it was cut from may be another one"


def test_a_release_is_reproduced_from_what_was_there(ledger: Ledger) -> None:
    sequences = [said(ledger, RELEASE, number) for number in range(3)]
    said(ledger, PAST_WITHDRAWAL, 0)
    assert versions(ledger) == [1, 2]
    assert versions(ledger, sequences[2]) == [0, 1]
    assert versions(ledger, sequences[0]) == []


def test_no_more_than_the_most_are_compared(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "MOST", 2)
    for number in range(5):
        said(ledger, RELEASE, number)
    assert versions(ledger) == [3, 4]


def test_a_release_without_a_count_beside_the_main_one_is_compared_without_it() -> None:
    product = load(REPOSITORY / "data_contracts").products["open/case_month"]
    assert product.form.anonymity is not None
    cells, beside = cell_columns(product.form.anonymity), beside_columns(product.form.anonymity)
    with duckdb.connect() as con:
        for names in ([*cells, *beside], [*cells, *beside[1:]], cells[1:]):
            con.execute(f"CREATE OR REPLACE TABLE old AS SELECT {', '.join(f'1 AS {name}' for name in names)}")
            before = released_before(con, product, "old", "old")
            assert (before and before.shown.column_names) == (names if cells[0] in names else None)
            assert before is None or before.truth.column_names == names
