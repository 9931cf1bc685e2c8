"""Orders to erase that a legal hold left undone: they are told when it is over, until they are given again."""

from collections.abc import Sequence
from datetime import date, timedelta

from pipelines.release.ledger import ERASURE, ERASURE_LIFT, HOLD, Entry, Ledger
from pipelines.retention import holds

TODAY = date(2026, 11, 28)
SOURCE, MODEL = "hc/health_record", "lib_population__conflict_count"


def held(ledger: Ledger, dataset: str, until: date | None = None) -> int:
    body = {"who": "法务", "why": "诉讼保全", "until": until.isoformat() if until else None}
    return ledger.record([Entry(HOLD, dataset, "hold", None, body)])[0].sequence


def lifted(ledger: Ledger, number: int) -> None:
    holds.lift(ledger, number, "法务", "结案", TODAY)


def erased(ledger: Ledger, order: str, person: str, refused: Sequence[str] = (), kept: Sequence[str] = ()) -> None:
    body = {"person": person, "kept": [*kept], "refused": [{"source": name} for name in refused]}
    ledger.record([Entry(ERASURE, order, "erasure", None, body)])


def test_an_order_is_told_once_nothing_holds_what_it_left(ledger: Ledger) -> None:
    erased(ledger, "K-0", "by law, before any hold", [SOURCE])
    source, model = held(ledger, SOURCE), held(ledger, MODEL)
    erased(ledger, "K-1", "one", [SOURCE], [MODEL])
    erased(ledger, "K-2", "other", [SOURCE])
    assert holds.unfinished(ledger, TODAY) == {}
    again = held(ledger, SOURCE)
    lifted(ledger, source)
    assert holds.unfinished(ledger, TODAY) == {}, "another hold stands"
    lifted(ledger, again)
    lifted(ledger, model)
    assert holds.unfinished(ledger, TODAY) == {SOURCE: ["K-1", "K-2"], MODEL: ["K-1"]}
    erased(ledger, "K-3", "one")
    ledger.record([Entry(ERASURE_LIFT, "K-2", "lift", None, {"person": "other"})])
    assert holds.unfinished(ledger, TODAY) == {}


def test_a_hold_that_runs_out_is_over_by_itself(ledger: Ledger) -> None:
    held(ledger, SOURCE, TODAY)
    erased(ledger, "K-1", "one", [SOURCE])
    assert holds.unfinished(ledger, TODAY) == {}
    assert holds.unfinished(ledger, TODAY + timedelta(days=1)) == {SOURCE: ["K-1"]}
