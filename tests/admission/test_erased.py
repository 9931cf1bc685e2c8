"""What is delivered of an erased person again: emptied before it is kept, refused as erased, in any spelling."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines.admission.quarantine import Quarantine
from pipelines.codecs.sql import literal
from pipelines.engine import connect
from pipelines.erasure import search
from pipelines.erasure.find import in_quarantine, in_raw
from pipelines.erasure.lifting import lift
from pipelines.erasure.marks import Erased, mark, of
from pipelines.erasure.rows import Wanted
from pipelines.messages import CitylakeError
from pipelines.release.ledger import ERASURE, Entry, Ledger
from tests.admission.conftest import Intake
from tests.admission.test_admit import GOOD

Make = Callable[..., Intake]
KEY = b"e" * 32
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def number(birth: str, sequence: str) -> str:
    body = f"342401{birth}{sequence}"
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


GONE, WIFE, OTHER = number("19800415", "013"), number("19820120", "024"), number("19790101", "035")


def erased(wanted: Wanted) -> Erased:
    return Erased.read([{"order": "N-1", "marks": of(wanted, KEY)}], KEY)


def raw(file: Path) -> list[dict[str, object]]:
    read = f"read_parquet({literal(str(file))}, file_row_number = true)"
    return duckdb.sql(f"SELECT * FROM {read} ORDER BY file_row_number").to_arrow_table().to_pylist()


@pytest.mark.parametrize(
    "spelled", [GONE, f" {GONE} ", "".join(chr(ord(digit) + 0xFEE0) for digit in GONE), GONE[:6] + GONE[8:17]]
)
def test_a_row_is_emptied_in_its_place_and_refused_as_erased(intake: Make, spelled: str) -> None:
    source = intake("hsb/insured")
    number_of, key = (
        next(column.physical_name for column in source.contract.columns if column.name == name)
        for name in ("id_number", "medical_no")
    )
    delivery = source.raw([{number_of: OTHER, key: "1"}, {number_of: spelled, key: "2"}, {number_of: WIFE, key: "3"}])
    withheld = erased(Wanted({GONE: "N-1"})).withhold(
        source.contract, source.contracts, delivery.path, source.lake.scratch()
    )
    assert withheld == 1
    rows = raw(delivery.path)
    assert [(row[number_of], row[key], row["_erased"]) for row in rows] == [
        (OTHER, "1", None),
        (None, None, "N-1"),
        (WIFE, "3", None),
    ]
    outcome = source.admit(delivery)
    assert outcome.by_rule["row.erased"] == 1 and outcome.received == 3
    assert [row["_row"] for row in source.refused(1) if row["rules"] == "row.erased"] == [1]
    quarantine = Quarantine(source.contract, source.contracts, source.lake, source.receipts)
    assert 1 not in {row for _, row in quarantine.positions()}


def test_a_lifted_order_withholds_nothing_any_more(intake: Make) -> None:
    source = intake("hsb/insured")
    ledger, person = Ledger(source.register), "p" * 32
    for order, somebody, gone in (("N-1", person, GONE), ("N-2", "q" * 32, WIFE)):
        body = {"order": order, "person": mark(KEY, "person", [somebody])[somebody]}
        body["marks"] = of(Wanted({gone: order}), KEY)
        ledger.record([Entry(ERASURE, order, order, None, body)])
    assert lift(ledger, KEY, person, "专员", "重新签约") == ["N-1"]
    for unknown in (person, GONE):
        with pytest.raises(CitylakeError, match="没有生效的删除令"):
            lift(ledger, KEY, unknown, "专员", "再来")
    number_of = next(column.physical_name for column in source.contract.columns if column.name == "id_number")
    delivery = source.raw([{number_of: GONE}, {number_of: WIFE}])
    standing = Erased.read((one.body for one in ledger.standing_erasures()), KEY)
    assert standing.withhold(source.contract, source.contracts, delivery.path, source.lake.scratch()) == 1
    assert [row[number_of] for row in raw(delivery.path)] == [GONE, None]
    assert [entry.subject for entry in ledger.erasures()] == ["N-1", "N-2"] and ledger.first_break() is None


def test_a_row_about_two_loses_one_of_them_and_is_accepted(intake: Make) -> None:
    source = intake("cab/marriage")
    about = {"DJLB": "结婚登记", "NANXM": "张三", "NVXM": "李四", "NANHQZK": "10", "NVHQZK": "10"}
    about |= {"DJRQ": "2010-05-01", "DJJGQH": "341502", "GXSJ": "2010-05-02 10:00:00"}
    rows = [
        about | {"DJZH": "J341502-2010-000001", "NANZJHM": GONE, "NVZJHM": WIFE},
        about | {"DJZH": "J341502-2010-000002", "NANZJHM": OTHER, "NVZJHM": number("19800101", "046")},
    ]
    delivery = source.raw(rows)
    withheld = erased(Wanted({GONE: "N-1"})).withhold(
        source.contract, source.contracts, delivery.path, source.lake.scratch()
    )
    assert withheld == 1 and raw(delivery.path)[0]["_emptied"] is not None
    outcome = source.admit(delivery)
    state = {key: row for (key,), row in source.current().items()}
    assert outcome.accepted == 2, source.refused(1)
    emptied, whole = state["J341502-2010-000001"], state["J341502-2010-000002"]
    assert (emptied["male_name"], emptied["male_id_number"], emptied["male_person_id"]) == (None, None, None)
    assert (emptied["female_name"], emptied["female_id_number"]) == ("李四", WIFE)
    assert whole["male_id_number"] == OTHER


def test_a_row_without_the_number_is_told_by_its_key_unless_it_became_somebody_elses(intake: Make) -> None:
    source = intake("hc/health_record")
    by_name = {column.name: column.physical_name for column in source.contract.columns}
    key, number_of = by_name["health_record_no"], by_name["id_number"]
    delivery = source.raw([{key: "K1"}, {key: "K1", number_of: OTHER}, {key: "K2", number_of: OTHER}])
    wanted = Wanted({GONE: "N-1"}, {"hc/health_record": {"K1": "N-1", "K2": "N-1"}}, {"hc/health_record": ["K2"]})
    erased(wanted).withhold(source.contract, source.contracts, delivery.path, source.lake.scratch())
    assert [row["_erased"] for row in raw(delivery.path)] == ["N-1", None, "N-1"]


def test_nothing_is_written_where_nobody_is_found(intake: Make) -> None:
    source = intake("hsb/insured")
    delivery = source.raw([{column.physical_name: OTHER for column in source.contract.columns}])
    before = delivery.path.read_bytes()
    assert not erased(Wanted({GONE: "N-1"})).withhold(
        source.contract, source.contracts, delivery.path, source.lake.scratch()
    )
    assert delivery.path.read_bytes() == before


REGISTER, PHONE = "psb/household_person", "13800001234"


@pytest.fixture
def registered(intake: Make) -> Callable[..., tuple[Intake, Wanted]]:
    """A person is delivered and accepted, other rows with the same telephone beside; what an erasure looks for."""

    def make(*others: dict[str, str | None]) -> tuple[Intake, Wanted]:
        source = intake(REGISTER, deletionCeiling=1.0)
        mine = person("R1", GONE, 1980)
        outcome = source.deliver([mine, *(mine | other for other in others)])
        assert outcome.refused == sum("XBDM" in other or "GMSFHM" in other for other in others), source.refused(1)
        state = source.current()
        with connect(source.lake.scratch()) as con:
            claims = [state["R1",]["person_id"]]
            return source, search.wanted(con, source.lake, source.contracts, claims, claims, "N-1")

    return make


def person(key: str, own: str, born: int) -> dict[str, str | None]:
    return GOOD | {"RYBH": key, "GMSFHM": own, "CSRQ ": f"{born}0415", "LXDH": PHONE}


def test_a_telephone_is_one_persons_if_nobody_elses_row_was_refused_with_it(
    registered: Callable[..., tuple[Intake, Wanted]],
) -> None:
    _, alone = registered()
    assert (list(alone.numbers), list(alone.mobiles)) == ([GONE], [PHONE])


@pytest.mark.parametrize(
    "spelled", [OTHER, f" {OTHER[:6] + OTHER[8:17]}", "".join(chr(ord(c) + 0xFEE0) for c in OTHER)]
)
def test_a_refused_row_of_somebody_else_makes_a_telephone_shared(
    registered: Callable[..., tuple[Intake, Wanted]], spelled: str
) -> None:
    """The row is as it was: it tells of the other one, in raw and in quarantine."""
    refused = {"RYBH": "R2", "GMSFHM": spelled, "CSRQ ": "19790101", "XBDM": "?", "LXDH": f"+86 {PHONE}"}
    source, wanted = registered(refused)
    assert (list(wanted.numbers), list(wanted.mobiles)) == ([GONE], [])
    with connect(source.lake.scratch()) as con:
        assert in_quarantine(con, source.lake, source.contract, source.contracts, wanted) == []
        for file in source.lake.raw("psb", "household_person").glob("*/rows.parquet"):
            file.unlink()  # as when the period of raw batches is over
        again = search.wanted(con, source.lake, source.contracts, wanted.ids, wanted.claims, "N-1")
    assert list(again.mobiles) == []


def test_a_refused_row_that_names_nobody_is_the_persons_if_the_telephone_is(
    registered: Callable[..., tuple[Intake, Wanted]],
) -> None:
    """Its number is mistyped and its key was never accepted: only the telephone tells whose row it is."""
    source, wanted = registered({"RYBH": "R2", "GMSFHM": f"{GONE[:-4]}9999"}, {"RYBH": "R3", "GMSFHM": None})
    assert list(wanted.mobiles) == [PHONE]
    path = source.lake.raw("psb", "household_person") / "1" / "rows.parquet"
    with connect(source.lake.scratch()) as con:
        (planned,) = in_quarantine(con, source.lake, source.contract, source.contracts, wanted)
        change = in_raw(con, source.contract, source.contracts, path, wanted)
    assert len(planned.change.gone) == 2
    assert change is not None and (change.gone, change.cells) == ([0], {"LXDH": [1, 2]})


def test_a_telephone_of_an_erased_person_is_withheld_where_no_other_is_named(intake: Make) -> None:
    source = intake(REGISTER)
    rows = [GOOD | {"RYBH": f"R{place}", "GMSFHM": own, "LXDH": PHONE} for place, own in enumerate((None, OTHER, "1"))]
    delivery = source.raw(rows)
    wanted = Wanted({GONE: "N-1"}, mobiles={PHONE: "N-1"})
    erased(wanted).withhold(source.contract, source.contracts, delivery.path, source.lake.scratch())
    assert [row["LXDH"] for row in raw(delivery.path)] == [None, PHONE, None]
