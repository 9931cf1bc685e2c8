"""The linking step on a core of a small city, without admission and without models: rows, questions, words, ids."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.contracts.load import Contracts
from pipelines.linkage import step, tables
from pipelines.linkage.matching import Model
from pipelines.linkage.reviews import Reviews
from pipelines.linkage.step import Linked
from pipelines.messages import CitylakeError
from pipelines.register import Register
from simulator.identity import identity_number
from tests.city import REPOSITORY
from tests.dbt.libraries import Bench, new_bench

MODEL = Model.read(REPOSITORY / "data_contracts" / step.MODEL)
RECORDS, REGISTER, FLOATING = "hc/health_record", "psb/household_person", "psb/floating_person"
VILLAGE, HOME = "341503003009", "安徽省六安市裕安区小华山街道天盈社区佛子岭路102号18幢1603室"
BIRTH = date(1985, 3, 7)
NUMBER = identity_number("342401", BIRTH, "1", 3)
MOTHER = identity_number("342401", date(1958, 11, 2), "2", 1)
PERSON = {
    "id_number": NUMBER, "person_id": "c-son", "name": "李国华", "sex": "1", "birth_date": BIRTH.isoformat(),
    "division_code": VILLAGE, "address": HOME, "mobile": "14212345678",
}  # fmt: skip
PARENT = {
    **PERSON,
    "id_number": MOTHER,
    "person_id": "c-mother",
    "name": "王秀英",
    "sex": "2",
    "birth_date": "1958-11-02",
}
RECORD = {
    "health_record_no": "E1", "name": "李国华", "sex": "1", "birth_date": BIRTH.isoformat(),
    "division_code": VILLAGE, "residence_address": HOME, "mobile": "14212345678",
}  # fmt: skip
RENAMED = {
    **RECORD, "id_number": MOTHER, "person_id": "c-mother", "name": "孙小丽", "sex": "2", "birth_date": None,
    "residence_address": None, "mobile": None,
}  # fmt: skip
"""The mother's number, and nothing that speaks against her but the name."""


@dataclass
class Desk:
    """A core, a register and the runs of the step on them."""

    bench: Bench
    register: Register
    runs: int = 0

    def __post_init__(self) -> None:
        self.reviews = Reviews(self.register)
        tables.ensure(self.bench.lake)

    def people(self, *people: Mapping[str, Any], batch: int = 1) -> None:
        self.bench.load(REGISTER, *({**one, "record_no": one["person_id"]} for one in people), batch=batch)

    def link(self, *more: str) -> Linked:
        """`more`: sources beside the register of households and health records."""
        self.runs += 1
        sources = dict(self.bench.versions())
        found = {name: sources[name] for name in (REGISTER, RECORDS, *more)}
        return step.link(
            self.bench.contracts, found, self.bench.lake, MODEL, self.reviews, date(2026, 11, 1), self.runs
        )

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        with duckdb.connect() as con:
            return con.execute(f"SELECT {columns} FROM {tables.read(self.bench.lake, table)} ORDER BY ALL").fetchall()

    def linked(self) -> dict[str, str | None]:
        return dict(self.rows(tables.LINK, "row_key, person_id"))


@pytest.fixture
def desk(tmp_path: Path, contracts: Contracts) -> Iterator[Desk]:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield Desk(new_bench(tmp_path, contracts), register)
    register.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "person"),
    [
        ({}, "c-son"),
        ({"id_number": NUMBER[:6] + "********" + NUMBER[14:], "birth_date": None}, "c-son"),
        ({"id_number": NUMBER[:9] + NUMBER[10:]}, "c-son"),
        ({"name": "李帼桦", "residence_address": None}, "c-son"),
        ({"name": "李國華"}, "c-son"),
        ({"name": "国华李"}, "c-son"),
        ({"birth_date": "1985-07-03"}, "c-son"),
        ({"person_id": "c-mother", "id_number": MOTHER}, "c-son"),  # somebody else's number
        ({"name": "王秀英", "sex": "2", "birth_date": None}, "c-mother"),
        ({"name": "李小妹", "sex": "2", "birth_date": "2012-01-05"}, None),  # a child with the telephone of its parent
        ({"name": "李建军"}, "c-son"),  # a former name
    ],
)
def test_whom_a_row_is_about(desk: Desk, changes: Mapping[str, Any], person: str | None) -> None:
    desk.people(PERSON, PARENT)
    desk.bench.load(RECORDS, {**RECORD, **changes})
    desk.link()
    assert desk.linked() == {"E1": person}


def test_a_twin_whom_no_register_knows_yet_is_not_the_other(desk: Desk) -> None:
    born = {"birth_date": "2025-03-07"}
    desk.people({**PERSON, **born, "id_number": identity_number("341503", date(2025, 3, 7), "1", 3)})
    desk.bench.load(RECORDS, {**RECORD, **born, "name": "李国强"})
    assert desk.link().questions == 1
    assert desk.linked() == {"E1": None}


def test_a_row_with_the_number_of_a_twin_is_about_whom_it_names(desk: Desk) -> None:
    twin = {"id_number": identity_number("342401", BIRTH, "1", 5), "person_id": "c-twin"}
    desk.people(PERSON, {**PERSON, **twin, "name": "李国强"})
    former = {**RECORD, **twin, "health_record_no": "E2", "name": "李建军"}
    desk.bench.load(RECORDS, {**RECORD, **twin}, former)
    desk.link()
    assert desk.linked() == {"E1": "c-son"}, "a number and a name that nobody else has are the bearer's"


def test_namesakes_are_not_told_apart_by_guessing(desk: Desk) -> None:
    other = identity_number("342401", BIRTH, "1", 9)
    desk.people(PERSON, {**PERSON, "id_number": other, "person_id": "c-other"})
    desk.bench.load(RECORDS, RECORD)
    desk.link()
    assert desk.linked() == {"E1": None}
    (question,) = desk.reviews.open()  # two numbers, everything else the same
    assert (question["why"], question["own"], question["person"]) == ("numbers", "c-other", "c-son")
    desk.reviews.decide(question["id"], "accept", "张专员", "同一人，旧号已注销")
    desk.link()
    assert desk.rows(tables.ALIAS) == [("c-son", "c-other")]
    assert desk.rows(tables.EVENT, "number, kind, person_id, other") == [
        (1, "created", "c-other", None), (1, "created", "c-son", None),
        (2, "ended", "c-son", "c-son"), (2, "merged", "c-son", "c-other"),
    ]  # fmt: skip
    desk.reviews.decide(question["id"], "never", "张专员", "是两个人")
    desk.link()
    assert len(desk.rows(tables.ALIAS)) == 1 and desk.rows(tables.ALIAS)[0][1] not in ("c-son", "c-other")
    assert desk.reviews.open() == []


def test_a_right_number_that_only_the_row_has_is_kept(desk: Desk) -> None:
    stranger = identity_number("341503", date(1990, 1, 1), "1", 4)
    desk.people(PERSON)
    desk.bench.load(
        RECORDS, {**RECORD, "id_number": stranger, "person_id": "c-new", "name": "赵强", "birth_date": "1990-01-01"}
    )
    assert desk.link().questions == 0
    assert desk.linked() == {}


@pytest.mark.parametrize("also", [{"birth_date": "1999-01-01"}, {"sex": "1"}])
def test_a_number_that_more_than_the_name_contradicts_is_nobodys_and_nobody_is_asked(
    desk: Desk, also: dict[str, str]
) -> None:
    desk.people(PARENT)
    desk.bench.load(RECORDS, {**RENAMED, **also})
    done = desk.link()
    assert (done.questions, done.contradicted, desk.linked()) == (0, {RECORDS: 1}, {"E1": None})


def test_words_about_a_row(desk: Desk) -> None:
    """The mother's number on a row that nobody fits, which says nothing else against her than the name: the steward is
    asked whether it is the mother all the same."""
    desk.people(PARENT)
    desk.bench.load(RECORDS, RENAMED)
    assert desk.link().contradicted == {}, "the department is not told before the steward has looked"
    (question,) = desk.reviews.open()
    assert (question["why"], question["person"], question["row_key"]) == ("contradicted", "c-mother", "E1")
    assert desk.linked() == {"E1": None}
    with pytest.raises(CitylakeError):
        desk.reviews.decide(question["id"] + 1, "accept", "张专员", "")
    desk.reviews.decide(question["id"], "accept", "张专员", "本人改名")
    assert desk.link().contradicted == {}
    assert (desk.linked(), desk.reviews.open()) == ({"E1": "c-mother"}, [])
    assert desk.rows(tables.LINK, "basis, weight, model") == [("steward", None, None)]
    desk.reviews.decide(question["id"], "reject", "张专员", "核实后不是")
    desk.link()
    assert (desk.linked(), desk.reviews.open()) == ({"E1": None}, [])
    desk.bench.load(RECORDS, {**RENAMED, "mobile": "14299999999"}, batch=2, op="U")
    desk.link()
    (again,) = desk.reviews.open()  # the row says something else now
    desk.reviews.decide(again["id"], "never", "张专员", "不是")
    desk.bench.load(RECORDS, {**RENAMED, "mobile": "14288888888"}, batch=3, op="U")
    desk.link()
    assert desk.reviews.open() == []


def test_a_question_that_is_settled_closes(desk: Desk) -> None:
    desk.people(PARENT)
    desk.bench.load(RECORDS, RENAMED)
    desk.link()
    assert len(desk.reviews.open()) == 1
    desk.people(PERSON, batch=2)
    told = {mark: PERSON[mark] for mark in ("name", "sex", "birth_date")}
    desk.bench.load(RECORDS, {**RENAMED, **told}, batch=2, op="U")
    desk.link()
    assert (desk.linked(), desk.reviews.open()) == ({"E1": "c-son"}, [])


def test_nothing_is_written_when_nothing_changed(desk: Desk) -> None:
    desk.people(PERSON, PARENT)
    desk.bench.load(RECORDS, RECORD)
    desk.link()
    before = tables.shown(desk.bench.lake)
    assert desk.link().events == {}
    assert tables.shown(desk.bench.lake) == before
    ((weight, ahead, model, batch, row),) = desk.rows(tables.LINK, "weight, ahead, model, link_batch, link_row")
    assert (model, batch, row) == (MODEL.version, 1, 0)
    assert weight >= MODEL.accept and ahead >= MODEL.margin


def test_other_code_links_anew(contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()

    def asked() -> str:
        model = REPOSITORY / "data_contracts" / step.MODEL
        return step.inputs(contracts, {}, model, Reviews(register), date(2026, 1, 1))

    before, copied = asked(), tmp_path / "linkage"
    shutil.copytree(Path(step.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(step, "__file__", str(copied / "step.py"))
    assert asked() == before, "the same code in another place"
    with (copied / "bearers.py").open("a", encoding="utf-8") as file:
        file.write("OTHER = True\n")
    assert asked() != before
