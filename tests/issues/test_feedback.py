"""The life of an issue that somebody raised: routed, taken up, closed with a proof or as unfounded."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipelines import engine
from pipelines.contracts.load import Contracts
from pipelines.issues import Finding, Issues, corrections
from pipelines.issues.corrections import WrongCell
from pipelines.issues.feedback import Feedback
from pipelines.issues.proof import sources_of
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import issue_act
from pipelines.settings import REPOSITORY, Settings

PERSON = "lib_population__person"
START = datetime(2026, 1, 1, tzinfo=UTC)
PENALTY = "open/penalty_of_legal_persons"


@pytest.fixture
def feedback(register: Register, contracts: Contracts, tmp_path: Path) -> Feedback:
    settings = Settings(tmp_path / "home", REPOSITORY, 0, 0, "")
    settings.prepare()
    return Feedback(register, contracts, settings)


def pull(register: Register, source: str, batch: int, origin: str = "psb:hz.T_RK") -> None:
    time.sleep(0.001)  # moments are told to the microsecond
    Receipts(register, "run").add(Stage.PULL, source, {"origin": origin}, batch)


def admit(register: Register, source: str, batch: int, held: bool = False, origin: str = "psb:hz.T_RK") -> None:
    pull(register, source, batch, origin)
    Receipts(register, "run").add(Stage.ADMIT, source, {"held": {"admit.volume_floor": {}} if held else {}}, batch)


def refusal(code: str, act: object) -> None:
    with pytest.raises(CitylakeError) as caught:
        act()  # type: ignore[operator]
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("subject", "column", "owner"),
    [
        (PERSON, None, "dsrb"),
        (PERSON, "name", "psb"),  # the authority matrix: the police say a name first
        ("psb/household_person", "name", "psb"),
        (PENALTY, "offence", "drc"),
    ],
)
def test_an_issue_goes_to_who_says_the_column(
    feedback: Feedback, register: Register, subject: str, column: str | None, owner: str
) -> None:
    number = feedback.raise_(subject, column, "department", "民政局 李工", "与本部门记录不符")
    (row,) = Issues(register).open(subject)
    assert (row["id"], row["owner"], row["severity"], row["status"]) == (number, owner, "warning", "open")
    assert "与本部门记录不符" in row["text"]["zh"]
    assert [(done.act, done.who) for done in feedback.history(number)] == [("raised", "民政局 李工")]


def test_two_issues_about_one_column_are_two(feedback: Feedback, register: Register) -> None:
    one = feedback.raise_(PERSON, "name", "public", "市民", "姓名有误")
    other = feedback.raise_(PERSON, "name", "public", "市民", "姓名有误")
    assert one != other
    feedback.unfounded(one, "psb", "与户籍一致")
    assert [row["id"] for row in Issues(register).open(PERSON)] == [other]


def test_runs_do_not_close_what_people_raised(feedback: Feedback, register: Register) -> None:
    feedback.raise_(PERSON, "name", "steward", "张专员", "姓名有误")
    Issues(register).report(PERSON, "dsrb", "evidence", [])
    assert len(Issues(register).open(PERSON)) == 1


def test_a_correction_is_proved_by_a_batch_of_later(feedback: Feedback, register: Register) -> None:
    source = "psb/household_person"
    admit(register, source, 1)
    pull(register, source, 5)
    number = feedback.raise_(PERSON, "name", "department", "民政局", "姓名有误")
    Receipts(register, "run").add(Stage.ADMIT, source, {"held": {}}, 5)  # it came before anybody complained
    refusal("feedback.no_proof", lambda: feedback.corrected(number, "公安局", "改", source, 5))
    refusal("feedback.personal", lambda: feedback.take_up(number, "公安局", "电话 13805640000"))
    feedback.take_up(number, "公安局", "核对原件")
    admit(register, source, 2, held=True)
    admit(register, source, 4, origin="replay:1")
    for batch in (1, 2, 3, 4):
        refusal("feedback.no_proof", lambda batch=batch: feedback.corrected(number, "公安局", "改", source, batch))
    admit(register, source, 3)
    feedback.corrected(number, "公安局", "已在户籍库更正", source, 3)
    assert Issues(register).open(PERSON) == []
    (closed,) = Issues(register).proved(PERSON)
    assert (closed["text"]["proof"]["source"], closed["text"]["proof"]["batch"]) == (source, 3)
    assert [done.act for done in feedback.history(number)] == ["raised", "verifying", "corrected"]
    refusal("feedback.not_open", lambda: feedback.take_up(number, "公安局", "再看"))
    refusal("feedback.not_open", lambda: feedback.unfounded(number, "公安局", "无误"))


def test_issues_of_runs_are_not_settled_by_hand(feedback: Feedback, register: Register) -> None:
    Issues(register).report(PERSON, "dsrb", "linkage", [Finding("linkage.waiting", {"questions": 3}, "warning")])
    (row,) = Issues(register).open(PERSON)
    refusal("feedback.not_open", lambda: feedback.unfounded(row["id"], "张专员", "看过"))


@pytest.mark.parametrize(
    ("subject", "column", "what", "code"),
    [
        ("lib_population__persons", None, "有误", "feedback.unknown_subject"),
        (PERSON, "nam", "有误", "feedback.unknown_column"),
        (PERSON, None, " ", "feedback.length"),
        (PERSON, None, "长" * 501, "feedback.length"),
        (PERSON, None, "身份证 34240119800101123X 的电话是 13805640000", "feedback.personal"),
        (PERSON, None, "居民张三丰的出生日期不对", "feedback.personal"),
        (PERSON, None, "张伟的出生日期应为1990年3月7日，住皋城路12号3栋502", "feedback.personal"),
        (PERSON, None, "张伟的出生日期不对", "feedback.personal"),
        (PERSON, None, "李娜 生于1990年3月7日", "feedback.personal"),
        (PERSON, None, "应为皋城路12号3栋502", "feedback.personal"),
        (PERSON, None, "应为5幢2单元1203室", "feedback.personal"),
    ],
)
def test_what_is_not_taken(feedback: Feedback, subject: str, column: str | None, what: str, code: str) -> None:
    refusal(code, lambda: feedback.raise_(subject, column, "public", "市民", what))


def test_a_row_is_named_as_libraries_write_it_and_is_there(feedback: Feedback, register: Register) -> None:
    source = "psb/household_person"
    Receipts(register, "run").add(Stage.PULL, source, {"origin": "psb:hz.T_RK", "rows": 40}, 5)

    def raised(row: str) -> int:
        return feedback.raise_(source, "name", "steward", "张专员", "姓名有误", row)

    for row in ("5:0012", "05:12", "\uff15:12", "5:\u0661", "5:", "5", "5:-1", "5:12 ", "6:0", "9" * 30 + ":1"):
        refusal("feedback.no_row", lambda row=row: raised(row))
    for row in ("5:40", "5:99999999"):
        refusal("feedback.beyond", lambda row=row: raised(row))
    for row in ("5:0", "5:39"):
        (done,) = feedback.history(raised(row))
        assert done.proof == {"column": "name", "cells": [{"source": source, "column": "name", "row": row}]}


@pytest.mark.parametrize(
    ("subject", "column", "other", "says"),
    [
        ("psb/household_person", "name", "hrssb/insurance", "psb/household_person"),  # a source says itself
        (PERSON, "name", "cab/cremation", "hrssb/insurance"),  # the authority matrix, whatever else the library reads
        (PERSON, "died_on", "hrssb/insurance", "cab/cremation"),
        ("sharing/person_of_division", "name", "eeb/air_hour", "psb/household_person"),
        ("lib_population__relation_conflict", None, "eeb/air_hour", "cab/marriage"),  # all that its SQL reads
        ("open/age_structure_by_county", None, "eeb/air_hour", "psb/household_person"),  # through the library
    ],
)
def test_only_a_source_that_says_it_proves_its_correction(
    feedback: Feedback, register: Register, subject: str, column: str | None, other: str, says: str
) -> None:
    number = feedback.raise_(subject, column, "department", "民政局", "与本部门记录不符")
    admit(register, other, 1)
    admit(register, says, 1)
    refusal("feedback.other_source", lambda: feedback.corrected(number, "李工", "已更正", other, 1))
    refusal("feedback.other_source", lambda: feedback.corrected(number, "李工", "已更正", "psb/nothing", 1))
    feedback.corrected(number, "李工", "已更正", says, 1)
    assert Issues(register).open(subject) == []


def test_every_column_of_every_subject_has_a_source_that_can_correct_it(contracts: Contracts) -> None:
    project = REPOSITORY / "dbt_project"
    for name in ("lib_population__person", "lib_legal_entity__entity"):
        for column in contracts.models[name].columns:
            known = sources_of(contracts, project, name, column.name)
            assert known and known <= contracts.sources.keys(), (name, column.name)
    assert sources_of(contracts, project, "open/nothing", "name") == frozenset()


def put(feedback: Feedback, rows: list[tuple[str, str, str, int, int]]) -> None:
    """A log of core: key, name, what was done, batch, row."""
    location = feedback.settings.lake.core("psb", "household_person")
    told, names = ", ".join(map(str, rows)), "record_no, name, _op, _batch, _row"
    log = f"SELECT {names}, TIMESTAMPTZ '2026-11-02' AS _known_at FROM (VALUES {told}) t({names})"
    with engine.connect(feedback.settings.lake.scratch()) as con:
        schema = query_schema(con, log, location.name)
        delta.commit(location, schema, "append", delta.latest(location), copy_rows(con, log, location))


def test_where_a_row_is_known_the_batch_changed_its_cell(feedback: Feedback, register: Register) -> None:
    source = "psb/household_person"
    Receipts(register, "run").add(Stage.PULL, source, {"origin": "psb:hz.T_RK", "rows": 9}, 1)
    put(feedback, [("a", "错", "I", 1, 0), ("b", "错", "I", 1, 1), ("c", "错", "I", 1, 2), ("d", "错", "I", 1, 3)])
    numbers = [feedback.raise_(source, "name", "steward", "张专员", "有误", f"1:{row}") for row in (0, 1, 2, 3, 8)]
    for batch in (2, 3, 4):
        admit(register, source, batch)
    put(feedback, [("a", "对", "U", 2, 0), ("b", "错", "U", 2, 1), ("c", "错", "D", 2, 0), ("d", "对", "U", 2, 3)])
    put(feedback, [("a", "更对", "U", 3, 0), ("d", "错", "U", 4, 3)])

    def settle(place: int, batch: int) -> None:
        feedback.corrected(numbers[place], "公安局", "已更正", source, batch)

    refused = [(0, 4), (1, 2), (1, 3), (2, 3), (3, 2), (3, 4), (4, 2)]
    for place, batch in refused:  # not touched, the same value, said wrong again, no row of core
        refusal("feedback.unchanged", lambda place=place, batch=batch: settle(place, batch))
    settle(0, 2)
    settle(2, 2)
    assert {row["id"] for row in Issues(register).open(source)} == {numbers[1], numbers[3], numbers[4]}


def test_who_settles_names_the_wrong_row_if_who_raised_it_did_not(feedback: Feedback, register: Register) -> None:
    source = "psb/household_person"
    Receipts(register, "run").add(Stage.PULL, source, {"origin": "psb:hz.T_RK", "rows": 9}, 1)
    put(feedback, [("a", "错", "I", 1, 0), ("b", "错", "I", 1, 1)])
    found = [WrongCell(source, "name", "1:0"), WrongCell("hc/health_record", "name", "7:0")]
    without, other, placed = (
        feedback.raise_(PERSON, "name", "public", "市民", "姓名有误", cells=cells) for cells in ((), (), found)
    )
    assert [issue["owner"] for issue in Issues(register).open(PERSON)] == ["psb"] * 3
    for name in (source, "hrssb/insurance"):
        admit(register, name, 2)
    put(feedback, [("a", "对", "U", 2, 0)])

    def settle(number: int, name: str, row: str | None = None, column: str | None = "name") -> bool:
        return feedback.corrected(number, "公安局", "已更正", name, 2, row, column)

    refusal("feedback.other_source", lambda: settle(placed, "hrssb/insurance"))  # by the matrix, but it is not this row
    refusal("feedback.row_known", lambda: settle(placed, source, "1:0"))
    refusal("feedback.unchanged", lambda: settle(without, source, "1:1"))
    refusal("feedback.no_row", lambda: settle(without, source, "5:0"))
    refusal("feedback.no_row", lambda: settle(without, source, "1:0", None))
    refusal("feedback.unknown_column", lambda: settle(without, source, "1:0", "nam"))
    assert settle(placed, source, column=None)
    assert settle(without, source, "1:0")
    assert not settle(other, source, column=None), "of this one nobody can be told"
    told = [(one.issue, one.source, one.row, one.column, one.batch) for one in corrections.proved(register, START)]
    assert told == [(without, source, "1:0", "name", 2), (placed, source, "1:0", "name", 2)]


def test_rows_that_were_named_before_cells_were_kept_are_told_of(feedback: Feedback, register: Register) -> None:
    number = feedback.raise_("psb/household_person", "name", "steward", "张专员", "姓名有误")
    with register.begin() as connection:
        connection.execute(sa.update(issue_act).values(proof={"column": "name", "row": "1:0"}))
    (row,) = Issues(register).open("psb/household_person")
    assert row["id"] == number
    assert corrections.wrong_cells(register, row) == [WrongCell("psb/household_person", "name", "1:0")]
