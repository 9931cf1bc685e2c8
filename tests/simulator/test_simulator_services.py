"""Cases, steps, evaluations and licences: consistent in time and with each other, on every day."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date, datetime, time
from itertools import pairwise

import pytest
from stdnum.iso7064 import mod_37_36

from simulator.chance import Dice
from simulator.licences import identifier
from simulator.office_hours import is_working_day, working_days_later
from simulator.service_items import ITEMS
from simulator.services import Applicant, Case, item_for, plan
from tests.simulator.test_simulator_firms import is_sound
from tests.simulator.towns import PERSONS, Rows, Town

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

CASES, STEPS, EVALUATIONS, LICENCES = "zwfw.T_BJXX", "zwfw.T_BJHJ", "zwfw.T_HCP", "dzzz.T_ZZML_BG"
FIRST_DAY = date(2026, 1, 1)


@pytest.fixture(scope="module")
def many() -> list[Case]:
    dice = Dice(3, "cases")
    days = [date(2025, 11, day) for day in range(3, 29)]
    applicants = [Applicant(kind, "1", "王小明", "14212345678", "341502") for kind in ("1", "1", "2")]
    made = []
    for number in range(4_000):
        day, applicant = dice.pick(days), dice.pick(applicants)
        made.append(plan(dice, number, item_for(dice, applicant.kind, day), applicant, day))
    return made


def in_order(log: Rows) -> Rows:
    return sorted(log, key=lambda row: int(row["BGXH"]))


def test_about_forty_cases_per_thousand_people_and_month(town: Town) -> None:
    assert 0.75 * 0.12 < len({row["BJBH"] for row in town.first[CASES]}) / PERSONS < 1.25 * 0.12


def test_forty_items_with_codes_of_their_own() -> None:
    assert len({item.code for item in ITEMS}) == len({item.name for item in ITEMS}) == len(ITEMS) == 40


def test_most_cases_are_finished_in_time(many: list[Case]) -> None:
    assert 0.945 < sum(case.finished <= case.due for case in many) / len(many) < 0.975


def test_promises_are_in_working_days(many: list[Case]) -> None:
    assert working_days_later(date(2026, 1, 1), 1) == date(2026, 1, 4)  # three holidays, then a make-up Sunday
    assert working_days_later(date(2026, 2, 13), 2) == date(2026, 2, 24)  # the make-up Saturday, then nine days off
    for case in many:
        assert time(9) < case.accepted.time() < time(17, 30)
        between = [date.fromordinal(day) for day in range(case.accepted.toordinal() + 1, case.due.toordinal() + 1)]
        assert sum(map(is_working_day, between)) == case.item.promised


def test_steps_follow_each_other_without_a_gap(many: list[Case]) -> None:
    for case in many:
        assert [step.code for step in case.steps] == list("12345"[: len(case.steps)])
        assert all(one.ended == other.started for one, other in pairwise(case.steps))
        assert all(step.started < step.ended for step in case.steps)
        assert case.steps[1].ended == case.accepted and case.steps[3].ended == case.finished


def test_evaluations_follow_the_end_and_are_mostly_good(many: list[Case]) -> None:
    given = [case.evaluation for case in many if case.evaluation]
    grades = Counter(evaluation.grade for evaluation in given)

    assert 0.55 < len(given) / len(many) < 0.65
    assert all(case.evaluation is None or case.evaluation.at > case.finished for case in many)
    assert (grades["5"] + grades["4"]) / len(given) > 0.9 and grades["1"] + grades["2"] > 0
    assert any("14212345678" in (evaluation.comment or "") for evaluation in given)
    assert any("王小明" in (evaluation.comment or "") for evaluation in given)


def test_nothing_is_shown_before_it_happens(town: Town) -> None:
    for day, tables in {FIRST_DAY: town.first, **town.daily}.items():
        for dataset, moments in ((CASES, ("SLSJ", "BJSJ")), (STEPS, ("KSSJ", "JSSJ")), (EVALUATIONS, ("PJSJ",))):
            for row in town.clean(tables, dataset, {CASES: "BJBH", STEPS: "HJBH", EVALUATIONS: "PJBH"}[dataset]):
                assert all(row[name] is None or row[name][:10] <= day.isoformat() for name in moments)


def test_every_step_and_evaluation_belongs_to_a_case(town: Town) -> None:
    cases = {row["BJBH"]: row for row in town.clean(town.last, CASES, "BJBH")}
    numbers = {row["BJBH"] for row in town.last[CASES]}
    steps = defaultdict(dict)
    for row in town.clean(town.last, STEPS, "HJBH"):
        assert row["BJBH"] in numbers
        steps[row["BJBH"]][row["HJMC"]] = row
    for row in town.clean(town.last, EVALUATIONS, "PJBH"):
        assert row["BJBH"] in numbers
        if row["BJBH"] in cases:
            assert row["PJSJ"] > cases[row["BJBH"]]["BJSJ"]
    for number, case in cases.items():
        mine = steps[number]
        if "2" in mine:
            assert mine["2"]["JSSJ"] == case["SLSJ"]
        if "4" in mine:
            assert mine["4"]["JSSJ"] == case["BJSJ"]


def test_open_cases_are_finished_on_later_days(town: Town) -> None:
    first = {row["BJBH"]: row for row in town.clean(town.first, CASES, "BJBH")}
    last = {row["BJBH"]: row for row in town.clean(town.last, CASES, "BJBH")}
    still_open = [number for number, row in first.items() if row["BJSJ"] is None]
    finished = [number for number in still_open if number in last and last[number]["BJSJ"] is not None]

    assert finished
    assert all(
        last[number]["BJSJ"] > "2026-01-01" and last[number]["GXSJ"] == last[number]["BJSJ"] for number in finished
    )
    assert all((row["BJSJ"] is None) == (row["BJJG"] is None) for row in last.values())


def test_applicants_are_people_and_entities_of_the_truth(town: Town) -> None:
    for row in town.clean(town.last, CASES, "BJBH"):
        if row["SQRLX"] == "1":
            assert row["SQRZJHM"] in town.people
        else:
            assert is_sound(row["SQRZJHM"])
        assert is_sound(row["BLBMDM"]) and re.fullmatch(r"3415(0[234]|2[2345])", row["SLQH"])


def test_identifiers_have_the_check_character_that_stdnum_computes(town: Town) -> None:
    for row in town.clean(town.last, LICENCES, "BGXH"):
        fields = row["ZZBS"].removeprefix("1.2.156.3005.2.").split(".")
        assert [len(field) for field in fields] == [21, 18, 12, 3, 1]
        assert mod_37_36.is_valid("".join(fields))
        assert fields[0] == row["ZZLXDM"] and fields[1] == row["FZJGDM"]


def test_identifiers_reproduce_published_ones() -> None:
    found = identifier("11100000000013338W011", "11430000006122244L", "20230000403", 2)
    assert found == "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S"


def test_changes_are_numbered_in_the_order_of_time(town: Town) -> None:
    log = in_order(town.last[LICENCES])

    assert {int(row["BGXH"]) for row in log} == set(range(1, int(log[-1]["BGXH"]) + 1))
    assert [row["GXSJ"][:10] for row in log] == sorted(row["GXSJ"][:10] for row in log)


def test_the_log_can_be_played_back(town: Town) -> None:
    state: dict[str, str] = {}
    operations: Counter[str] = Counter()
    wrong = {entry.true for entry in town.planted if entry.dataset == LICENCES and entry.column == "ZZBS"}
    seen = set()
    for row in in_order(town.clean(town.last, LICENCES, "BGXH")):
        operations[row["BGLX"]] += 1
        if row["BGLX"] == "I":
            assert row["ZZBS"] not in seen
        elif row["ZZBS"] not in wrong and row["ZZBS"] in seen:
            assert state[row["ZZBS"]] in ("1", "7")  # what is suspended may be given back
        seen.add(row["ZZBS"])
        state[row["ZZBS"]] = "gone" if row["BGLX"] == "D" else row["ZZZT"]

    assert set(operations) == {"I", "U", "D"}
    assert {"1", "2", "3"} <= set(state.values())


def test_adults_have_cards_and_every_entity_its_business_licence(town: Town) -> None:
    adults = sum((FIRST_DAY - person["birth"]).days > 16.01 * 365.25 for person in town.people.values())
    kinds = Counter(
        row["ZZLXDM"][-3:] for row in town.first[LICENCES] if row["BGLX"] in ("I", "新增") and row["ZZLXDM"]
    )

    assert 0.9 < kinds["002"] / adults < 0.98 and 0.55 < kinds["001"] / adults < 0.65
    assert kinds["003"] >= 0.97 * PERSONS / 10
    assert kinds["004"] > 0
    with_people = [row for row in town.clean(town.first, LICENCES, "BGXH") if row["CZZTLX"] == "1"]
    assert all(town.people[row["CZZTDM"]]["name"] == row["CZZT"] for row in with_people)


def test_every_day_changes_licences(town: Town) -> None:
    known = {row["BGXH"] for row in town.first[LICENCES]}
    for day, tables in town.daily.items():
        fresh = [row for row in tables[LICENCES] if row["BGXH"] not in known]
        assert {row["GXSJ"][:10] for row in fresh} == {day.isoformat()}
        assert {"I", "U"} <= {row["BGLX"] for row in fresh}
        known |= {row["BGXH"] for row in fresh}


def test_times_are_what_the_platform_can_read(town: Town) -> None:
    for row in town.clean(town.last, CASES, "BJBH"):
        for name in ("SLSJ", "CNBJSJ", "BJSJ", "GXSJ"):
            if row[name] is not None:
                datetime.strptime(row[name], "%Y-%m-%d %H:%M:%S")
