"""One number on several people: both stay, nothing of one gets to the other, and ids stay when a register corrects."""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.erasure.order import Erasure, Order
from pipelines.lake.edition import current_rows
from pipelines.lake.parquet import files_of, read_files
from pipelines.linkage import marks, tables
from pipelines.linkage.bearers import BEARER, SHARED
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings
from simulator.identity import identity_number
from tests.city import REPOSITORY, seed_from_clock
from tests.dbt.libraries import new_bench
from tests.linkage.test_step import BIRTH, FLOATING, HOME, NUMBER, PERSON, RECORD, RECORDS, REGISTER, Desk

CLAIM = PERSON["person_id"]
ELSEWHERE = "安徽省六安市金安区东市街道解放路9号"
FIRST = {**PERSON, "record_no": "R1"}
SECOND = {
    **PERSON, "record_no": "R2", "name": "赵德明", "address": ELSEWHERE, "mobile": "13900001111",
    "division_code": "341502001001",
}  # fmt: skip
OWN = identity_number("342401", BIRTH, "1", 7)
CORRECTED = {"id_number": OWN, "person_id": "c-second"}


@pytest.fixture
def desk(tmp_path: Path, contracts: Contracts) -> Iterator[Desk]:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    made = Desk(new_bench(tmp_path, contracts), register)
    made.bench.load(RECORDS)
    yield made
    require_found_once(made)
    register.close()


def require_found_once(desk: Desk) -> None:
    """Every id that was ever given out, and not erased, is found by exactly one person."""
    released = ReleasedRows(desk.bench.contracts, desk.bench.lake, desk.register)
    with closing(released.con):
        given_out = {person for _, kind, person, _ in events(desk) if kind == "created"}
        found = {text: Person(released, text) for text in given_out}
        present = {one.id: one for one in found.values()}
        for text, one in found.items():
            assert [each.id for each in present.values() if text in each.ids] == [one.id]


def register(desk: Desk, *records: Mapping[str, Any], batch: int = 1, op: str = "I") -> None:
    desk.bench.load(REGISTER, *records, batch=batch, op=op)


def listed(desk: Desk) -> dict[str, tuple[str, str]]:
    """Registered records that bear or bore a number of several people: whom each is about, and why it is listed."""
    rows = desk.rows(tables.LINK, "row_key, person_id, why, dataset")
    return {key: (person, why) for key, person, why, dataset in rows if dataset == REGISTER}


def alias(desk: Desk) -> dict[str, str | None]:
    """What models read: claims that are found under another id."""
    return dict(desk.rows(tables.ALIAS))


def events(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows(tables.EVENT, "number, kind, person_id, other")


def test_two_people_with_one_number_both_stay_and_the_number_proves_nothing(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    mine = {**RECORD, "id_number": NUMBER, "person_id": CLAIM}
    theirs = {**mine, "health_record_no": "E2", "name": "赵德明", "residence_address": ELSEWHERE}
    bare = {"health_record_no": "E3", "name": "李国华", "id_number": NUMBER, "person_id": CLAIM}
    desk.bench.load(RECORDS, mine, {**theirs, "mobile": "13900001111"}, {**bare, "birth_date": None})
    assert desk.link().questions == 1
    found = listed(desk)
    second, why = found["R2"]
    assert found["R1"] == (CLAIM, BEARER) and why == SHARED and second != CLAIM
    linked = desk.linked()
    assert (linked["E1"], linked["E2"], linked["E3"]) == (CLAIM, second, None)
    assert alias(desk).get(CLAIM, CLAIM) is None, "a row that only the number places is about nobody"
    (question,) = desk.reviews.open()
    assert (question["dataset"], question["row_key"], question["person"]) == (REGISTER, "R2", CLAIM)
    assert desk.link().questions == 1 and listed(desk) == found, "the same again"
    assert {event[1:] for event in events(desk)} == {("created", CLAIM, None), ("created", second, None)}


@pytest.mark.parametrize(
    ("changes", "questions"),
    [
        ({}, 0),  # delivered again under another record
        ({"name": "国华李"}, 0),
        ({"name": "李帼桦"}, 0),
        ({"name": "李國華"}, 0),
        ({"address": ELSEWHERE, "mobile": None}, 0),
        ({"name": "李建军"}, 1),  # a former name: one person until somebody says otherwise
        ({"name": "赵建军", "mobile": None}, 1),  # a new surname at the same address
        ({"name": "李建军", "address": ELSEWHERE}, 1),  # the telephone is the same
    ],
)
def test_one_person_registered_twice_is_one_person(desk: Desk, changes: Mapping[str, Any], questions: int) -> None:
    register(desk, FIRST, {**FIRST, "record_no": "R2", **changes})
    assert desk.link().questions == questions
    assert (listed(desk), alias(desk)) == ({}, {})


def test_a_record_that_left_under_a_former_name_is_asked_about_and_not_parted(desk: Desk) -> None:
    register(desk, FIRST)
    register(desk, FIRST, batch=2, op="D")
    register(desk, {**SECOND, "name": "李建军"}, batch=2)
    assert desk.link().questions == 1
    assert listed(desk) == {}


def test_who_comes_later_is_split_off_and_stays_when_the_register_corrects_it(desk: Desk) -> None:
    register(desk, FIRST)
    desk.link()
    register(desk, SECOND, batch=2)
    desk.link()
    second, _ = listed(desk)["R2"]
    assert events(desk)[1:] == [(2, "created", second, None), (2, "split", CLAIM, second)]
    register(desk, {**SECOND, **CORRECTED}, batch=3)
    assert desk.link().questions == 0
    assert listed(desk)["R2"] == (second, BEARER) and alias(desk)["c-second"] == second
    assert CLAIM not in alias(desk), "the number is its bearer's again"
    desk.link()
    assert listed(desk)["R2"] == (second, BEARER) and len(events(desk)) == 3


def test_ids_stay_when_the_other_one_is_corrected(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    second, _ = listed(desk)["R2"]
    told = len(events(desk))
    register(desk, {**FIRST, **CORRECTED}, batch=2)
    for _ in range(2):
        assert desk.link().questions == 0
        assert (listed(desk)["R1"][0], listed(desk)["R2"][0]) == (CLAIM, second)
        assert (alias(desk)["c-second"], alias(desk)[CLAIM]) == (CLAIM, second), "the number is the second's now"
    assert len(events(desk)) == told


@pytest.mark.long
@pytest.mark.parametrize("then", [FIRST, {**FIRST, "id_number": identity_number("342401", BIRTH, "1", 9)}])
@pytest.mark.parametrize("between", ["0 first of all claims", "z last of all claims"])
def test_an_id_does_not_go_with_a_number_that_was_had_in_between(
    desk: Desk, between: str, then: Mapping[str, Any]
) -> None:
    """The correction is undone, or corrected once more."""
    register(desk, FIRST, SECOND)
    desk.link()
    before = listed(desk)
    register(desk, {**FIRST, "id_number": OWN, "person_id": between}, batch=2)
    desk.link()
    register(desk, then if then is FIRST else {**then, "person_id": "c-again"}, batch=3)
    for _ in range(2):
        desk.link()
        assert {key: person for key, (person, _) in listed(desk).items()} == {"R1": CLAIM, "R2": before["R2"][0]}
        assert alias(desk)[between] == CLAIM


@pytest.mark.long
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("between", ["0" * 32, "f" * 32])
def test_an_id_does_not_go_to_whoever_gets_the_number_in_between(desk: Desk, between: str, together: bool) -> None:
    """On the day on which it is corrected away, one stranger, or two together, are registered with it."""
    register(desk, FIRST, SECOND)
    desk.link()
    taken = {"id_number": OWN, "person_id": between}
    register(desk, {**FIRST, **taken}, batch=2)
    desk.link()
    before = {key: person for key, (person, _) in listed(desk).items()}
    again = {"id_number": identity_number("342401", BIRTH, "1", 9), "person_id": "c-again"}
    strangers = [
        {**SECOND, "record_no": f"R{n + 3}", "name": name, "address": f"{HOME}{n}", "mobile": f"1390000222{n}", **taken}
        for n, name in enumerate(("吴天佑", "郑秋菊")[: 1 + together])
    ]
    register(desk, {**FIRST, **again}, *strangers, batch=3)
    for _ in range(2):
        desk.link()
        known = {key: person for key, (person, _) in listed(desk).items()}
        assert {key: known[key] for key in before} == before and alias(desk)["c-again"] == before["R1"] == CLAIM
        people = [known.get(one["record_no"], person_of(desk, between)) for one in strangers]
        assert len({*people, *before.values()}) == len(people) + len(before)


def person_of(desk: Desk, claim: str) -> str:
    """Whose a number is."""
    return dict(desk.rows(tables.CROSSWALK))[claim]


def floating(record: Mapping[str, Any], *also: Mapping[str, Any]) -> dict[str, Any]:
    """What the other register says of the person of a record, which knows no birth date."""
    said = {**record, "record_no": "F1", "residence_address": record["address"]}
    for one in also:
        said |= one
    return {name: value for name, value in said.items() if name not in ("birth_date", "address")}


@pytest.mark.long
@pytest.mark.parametrize("counted", ["less", "more"])
@pytest.mark.parametrize("then", ["0" * 32, "f" * 32])
@pytest.mark.parametrize("first", ["household", "floating"])
def test_an_id_stays_though_one_register_of_two_has_the_number_in_between(
    desk: Desk, first: str, then: str, counted: str
) -> None:
    """One person in both registers: in the other one with the number in between, all along or since. Whoever had it all
    along keeps the id that is named after it; else the id stays with the record that it came with. Each register counts
    its batches for itself."""
    print(f"seed {(seed := seed_from_clock())}")
    dice = random.Random(seed)
    household, other_register = (0, dice.randint(10, 500)) if counted == "less" else (dice.randint(10, 500), 0)
    between = "5" * 32
    taken = {"id_number": OWN, "person_id": between}
    again = {"id_number": identity_number("342401", BIRTH, "1", 9), "person_id": then}
    other = floating({**FIRST, **taken}, {"residence_address": ELSEWHERE})
    desk.bench.load(FLOATING, *([other] if first == "floating" else []), batch=other_register + 1, run=1)
    desk.bench.load(REGISTER, FIRST, SECOND, batch=household + 1, run=1)
    desk.link(FLOATING)
    desk.bench.load(REGISTER, {**FIRST, **taken}, batch=household + 2, run=2)
    desk.link(FLOATING)
    if first == "household":
        desk.bench.load(FLOATING, other, batch=other_register + 2, run=3)
        desk.link(FLOATING)
    second = listed(desk)["R2"][0]
    person = person_of(desk, between)
    assert listed(desk)["R1"][0] == person == (between if first == "floating" else CLAIM)
    desk.bench.load(REGISTER, {**FIRST, **again}, batch=household + 3, run=4)
    for _ in range(2):
        desk.link(FLOATING)
        now = {"R1": listed(desk)["R1"][0], "F1": person_of(desk, between)}
        keeps, leaves = ("F1", "R1") if first == "floating" else ("R1", "F1")
        assert now[keeps] == person and now[leaves] not in {person, second}
        assert listed(desk)["R2"][0] == second


@pytest.mark.long
@pytest.mark.parametrize("where", [REGISTER, FLOATING])
def test_an_id_does_not_go_to_a_stranger_of_an_earlier_batch_of_the_same_run(desk: Desk, where: str) -> None:
    """The id is named after the number in between, which the other register corrected before."""
    print(f"seed {(seed := seed_from_clock())}")
    dice = random.Random(seed)
    batches = {one: sorted(dice.sample(range(1, 500), 5)) for one in (REGISTER, FLOATING)}
    between = f"{dice.getrandbits(128):032x}"
    taken = {"id_number": OWN, "person_id": between}
    numbers = [identity_number("342401", BIRTH, "1", n) for n in (9, 5)]
    gone, again = ({"id_number": number, "person_id": f"c-{number}"} for number in numbers)

    def said(run: int, dataset: str, *rows: Mapping[str, Any]) -> None:
        desk.bench.load(dataset, *rows, batch=batches[dataset].pop(0), run=run)

    said(1, FLOATING, floating({**FIRST, **taken}))
    said(1, REGISTER, FIRST, SECOND)
    desk.link(FLOATING)
    said(2, REGISTER, {**FIRST, **taken})
    desk.link(FLOATING)
    said(3, FLOATING, floating({**FIRST, **gone}))
    desk.link(FLOATING)
    before = {key: person for key, (person, _) in listed(desk).items()}
    assert before["R1"] == person_of(desk, between) == between
    stranger = {**SECOND, "record_no": "R3", "name": "吴天佑", "address": f"{HOME}9", "mobile": None, **taken}
    said(4, where, floating(stranger, {"record_no": "F3"}) if where == FLOATING else stranger)
    said(4, REGISTER, {**FIRST, **again})
    for _ in range(2):
        desk.link(FLOATING)
        known = {key: person for key, (person, _) in listed(desk).items()}
        assert {key: known[key] for key in before} == before
        assert person_of(desk, between) not in before.values()


@pytest.mark.parametrize("between", ["0" * 32, "f" * 32])
def test_an_id_stays_when_one_register_of_two_is_corrected(desk: Desk, between: str) -> None:
    """One person in both registers with the number of somebody else; the one register corrects, once and again, and a
    stranger gets the number in between."""
    taken = {"id_number": OWN, "person_id": between}
    register(desk, FIRST, SECOND)
    other = {**FIRST, "record_no": "F1", "residence_address": HOME}
    desk.bench.load(FLOATING, {key: value for key, value in other.items() if key not in ("birth_date", "address")})
    desk.link(FLOATING)
    assert known_as(desk) == {"R1": CLAIM, "F1": CLAIM, "R2": (second := listed(desk)["R2"][0])}
    register(desk, {**FIRST, **taken}, batch=2)
    desk.link(FLOATING)
    before = known_as(desk)
    assert before["F1"] == CLAIM and before["R2"] == second and len({*before.values()}) == 3
    again = {"id_number": identity_number("342401", BIRTH, "1", 9), "person_id": "c-again"}
    stranger = {**SECOND, "record_no": "R3", "name": "吴天佑", "address": f"{HOME}9", "mobile": None, **taken}
    register(desk, {**FIRST, **again}, stranger, batch=3)
    for _ in range(2):
        desk.link(FLOATING)
        assert known_as(desk) == before
        assert person_of(desk, between) not in before.values()


def known_as(desk: Desk) -> dict[str, str]:
    """Listed records of both registers: whom each is about."""
    return {key: person for key, person in desk.rows(tables.LINK, "row_key, person_id") if key[0] in "RF"}


def test_whoever_gets_the_number_after_all_were_corrected_is_somebody_else(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    third = identity_number("342401", BIRTH, "1", 9)
    corrected = {**FIRST, "id_number": third, "person_id": "c-first"}
    register(desk, corrected, {**SECOND, **CORRECTED}, batch=2)
    desk.link()
    before = listed(desk)
    assert before["R1"][0] == alias(desk).get(CLAIM, CLAIM) == alias(desk)["c-first"] == CLAIM
    register(desk, {**SECOND, "record_no": "R3", "name": "吴天佑", "address": f"{HOME}9"}, batch=3)
    for _ in range(2):
        desk.link()
        assert {key: listed(desk)[key] for key in before} == before
        assert alias(desk)[CLAIM] not in {person for person, _ in before.values()}


def test_what_a_steward_says_of_them_holds(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    (question,) = desk.reviews.open()
    second, _ = listed(desk)["R2"]
    desk.reviews.decide(question["id"], "never", "张专员", "两人，号码是前者的")
    assert desk.link().questions == 0
    assert listed(desk)["R2"] == (second, SHARED) and CLAIM not in alias(desk)
    desk.reviews.decide(question["id"], "accept", "张专员", "同一人，改名")
    assert desk.link().questions == 0
    assert listed(desk) == {"R1": (CLAIM, BEARER), "R2": (CLAIM, BEARER)}
    assert events(desk)[-1][1:] == ("merged", second, CLAIM)


def test_a_name_that_was_a_slip_makes_them_one_again(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    second, _ = listed(desk)["R2"]
    register(desk, {**SECOND, "name": FIRST["name"]}, batch=2)
    assert desk.link().questions == 0
    assert listed(desk)["R2"] == (CLAIM, BEARER) and events(desk)[-1][1:] == ("merged", second, CLAIM)


NAMES = ("王大海", "李国华", "赵德明", "陈玉兰", "孙家旺", "周小满", "吴天佑", "郑秋菊")


def test_nobody_loses_an_id_whatever_the_register_does(desk: Desk) -> None:
    """People who come with a number of somebody else, and are corrected one after the other, on drawn days; some of
    them once more, of some the correction is undone, and numbers that one had in between are given to another."""
    print(f"seed {(seed := seed_from_clock())}")
    dice = random.Random(seed)
    numbers = {
        hashlib.sha256(f"{seed} {n}".encode()).hexdigest()[:32]: identity_number("342401", BIRTH, "1", 2 * n + 1)
        for n in range(4 * len(NAMES))
    }
    wrong = dice.sample(sorted(numbers), 3)
    people = {
        f"R{n}": {
            **FIRST, "record_no": f"R{n}", "name": name, "address": f"{HOME}{n}", "mobile": f"1390000{n:04}",
            "person_id": wrong[place % len(wrong)],
        }
        for place, (n, name) in enumerate(dice.sample(list(enumerate(NAMES)), len(NAMES)))
    }  # fmt: skip
    at_first = {key: one["person_id"] for key, one in people.items()}
    ids: dict[str, str] = {}
    free, left = sorted(numbers.keys() - set(wrong)), set[str]()
    for day in range(1, 7):
        for key in dice.sample(sorted(people), 3 if day > 1 else len(people)):
            if day > 1:
                undone = people[key]["person_id"] not in wrong and dice.random() < 0.5
                given_up = left - {one["person_id"] for one in people.values()}
                new = dice.choice(sorted(given_up)) if given_up and dice.random() < 0.5 else free.pop()
                left |= {people[key]["person_id"]} - set(wrong)
                people[key]["person_id"] = at_first[key] if undone else new
            people[key]["id_number"] = numbers[people[key]["person_id"]]
            register(desk, people[key], batch=day * 100 + int(key[1:]))
        desk.link()
        known, resolved = listed(desk), alias(desk)
        now = {
            key: known[key][0] if key in known else resolved.get(one["person_id"], one["person_id"])
            for key, one in people.items()
        }
        assert len(set(now.values())) == len(people), (day, now)
        assert not ids or now == ids, day
        ids = now


def test_two_records_of_one_who_is_apart_are_not_asked_about(desk: Desk) -> None:
    register(desk, FIRST, SECOND, {**SECOND, "record_no": "R3"})
    desk.link()
    found = listed(desk)
    assert found["R2"] == found["R3"] != found["R1"]
    assert {one["why"] for one in desk.reviews.open()} == {SHARED}


def test_the_right_number_of_one_of_them_is_taken_from_another_source_without_a_question(desk: Desk) -> None:
    """The record has no number that it could contradict; when the register corrects it, it is the same person."""
    register(desk, FIRST, SECOND)
    theirs = {**RECORD, "health_record_no": "E2", "name": SECOND["name"], "residence_address": ELSEWHERE, **CORRECTED}
    home = {"division_code": SECOND["division_code"], "mobile": SECOND["mobile"]}
    desk.bench.load(RECORDS, {**theirs, **home}, {**theirs, **home, "health_record_no": "E3", "name": "赵德清"})
    desk.link()
    second = listed(desk)["R2"][0]
    assert (desk.linked()["E2"], desk.linked().get("E3")) == (second, None), "another name is a twin's"
    assert [one["why"] for one in desk.reviews.open()] == [SHARED]
    register(desk, {**SECOND, **CORRECTED}, batch=2, op="U")
    desk.link()
    assert listed(desk)["R2"][0] == second and alias(desk)["c-second"] == second
    assert "E2" not in desk.linked(), "its number places it"


def test_the_question_shows_both_and_no_value_is_in_a_question(desk: Desk) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    (question,) = desk.reviews.open()
    assert not {NUMBER, FIRST["name"], SECOND["name"]} & {str(value) for value in question.values()}
    desk.bench.complete()
    sources = marks.participants(desk.bench.contracts, dict(desk.bench.versions()))
    with connect(desk.bench.lake.scratch()) as con:
        row, person = marks.of_question(con, sources, question)
    assert row is not None and person is not None
    assert (row["name"], person["name"]) == (SECOND["name"], FIRST["name"])
    assert person["birth_date"] == date.fromisoformat(FIRST["birth_date"])


def known(desk: Desk, text: str) -> tuple[str, dict[str, set[str | None]]]:
    """Whom a text resolves to, and by source the keys of the rows that are shown as that person's."""
    desk.bench.complete()
    released = ReleasedRows(desk.bench.contracts, desk.bench.lake, desk.register)
    with closing(released.con):
        person, keys = Person(released, text), {REGISTER: "record_no", RECORDS: "health_record_no"}
        kept = {one.place: one.rows for one in person.sources(dict(desk.bench.versions()))}
        return person.id, {name: {row[keys[name]] for row in rows} for name, rows in kept.items() if name in keys}


def erase(desk: Desk, person: str, order: str) -> None:
    home = desk.bench.lake.root.parent
    settings = Settings(home, REPOSITORY, 0, 0, "")
    settings.prepare()
    Erasure(settings, desk.bench.contracts, desk.register).carry_out(person, Order(order, "专员", "本人申请删除"))


def left(desk: Desk) -> dict[str, set[str]]:
    """By source the keys of the rows that core still has, in any version."""
    found: dict[str, set[str]] = {}
    with duckdb.connect() as con:
        for name, key in ((REGISTER, "record_no"), (RECORDS, "health_record_no")):
            if files := files_of(desk.bench.lake.core(*name.split("/"))):
                rows = con.execute(f"SELECT {key} FROM {read_files(files)}").fetchall()
                found[name] = {one for (one,) in rows}
    return found


def test_a_number_that_proves_nothing_shows_nobody_the_rows_of_the_other(desk: Desk) -> None:
    mine = {**RECORD, "id_number": NUMBER, "person_id": CLAIM}
    theirs = {**mine, "health_record_no": "E2", "name": "赵德明", "residence_address": ELSEWHERE}
    register(desk, FIRST, SECOND)
    desk.bench.load(RECORDS, mine, {**theirs, "mobile": SECOND["mobile"]})
    desk.link()
    second, _ = listed(desk)["R2"]
    assert known(desk, CLAIM) == (CLAIM, {REGISTER: {"R1"}, RECORDS: {"E1"}})
    assert known(desk, second) == (second, {REGISTER: {"R2"}, RECORDS: {"E2"}})


@pytest.mark.parametrize("word", [None, "never"])
@pytest.mark.parametrize("who", ["R1", "R2"])
def test_nobody_is_erased_while_the_number_is_on_two(desk: Desk, who: str, word: str | None) -> None:
    register(desk, FIRST, SECOND)
    desk.link()
    if word:
        desk.reviews.decide(desk.reviews.open()[0]["id"], word, "张专员", "两人")
        desk.link()
    person, _ = listed(desk)[who]
    with pytest.raises(CitylakeError, match=f"N-1.*{REGISTER}"):
        erase(desk, person, "N-1")
    assert left(desk)[REGISTER] == {"R1", "R2"} and set(listed(desk)) == {"R1", "R2"}


@pytest.mark.long
@pytest.mark.parametrize("corrected", ["R1", "R2"])
@pytest.mark.parametrize("who", ["R1", "R2"])
def test_after_the_correction_each_is_seen_and_erased_alone(desk: Desk, corrected: str, who: str) -> None:
    """Whoever is corrected keeps the id, so the keeper's id may be named after a number that is the other's now."""
    record = {"R1": FIRST, "R2": SECOND}
    mine = {**RECORD, "id_number": NUMBER, "person_id": CLAIM}
    rows = {
        "E1": mine,
        "E2": {**mine, "health_record_no": "E2", "name": "赵德明", "residence_address": ELSEWHERE,
               "mobile": SECOND["mobile"]},
    }  # fmt: skip
    right = rows.pop(f"E{corrected[1]}") | CORRECTED
    register(desk, FIRST, SECOND)
    desk.bench.load(RECORDS, *rows.values())
    desk.link()
    register(desk, {**record[corrected], **CORRECTED}, batch=2)
    desk.bench.load(RECORDS, right, batch=2)
    desk.link()
    person, other = (listed(desk)[one][0] for one in (who, *({"R1", "R2"} - {who})))
    about, others = ({REGISTER: {one}, RECORDS: {f"E{one[1]}"}} for one in (who, *({"R1", "R2"} - {who})))
    assert known(desk, person) == (person, about)
    assert known(desk, other) == (other, others)
    untold = known(desk, CLAIM)
    assert untold == ((person, about) if person == CLAIM else (other, others)), "an id before a number"
    erase(desk, person, "N-1")
    assert left(desk) == others
    assert known(desk, other) == (other, others)
    with pytest.raises(CitylakeError):
        known(desk, person)
    ((name, address, mobile),) = register_row(desk)
    assert (name, address, mobile) == tuple(
        record[next(iter(others[REGISTER]))][one] for one in ("name", "address", "mobile")
    )


def register_row(desk: Desk) -> list[tuple[str | None, ...]]:
    version = dict(desk.bench.versions())[REGISTER]
    with duckdb.connect() as con:
        return con.execute(f"SELECT name, address, mobile FROM ({current_rows(version)})").fetchall()


@pytest.mark.parametrize("gone", ["R1", "R2"])
def test_who_was_told_apart_stays_apart_when_one_of_them_leaves(desk: Desk, gone: str) -> None:
    """A changed given name is common, so of a record that left nobody would know; but here it was known."""
    second = {**SECOND, "name": "李建军"}
    register(desk, FIRST, second)
    linked = desk.link()
    before = listed(desk)
    assert before["R1"][0] != before["R2"][0] and linked.shared == {REGISTER: {"numbers": 1, "records": 1}}
    register(desk, {"R1": FIRST, "R2": second}[gone], batch=2, op="D")
    for _ in range(2):
        desk.link()
        assert listed(desk) == before
    (question,) = desk.reviews.open()
    desk.reviews.decide(question["id"], "accept", "张专员", "同一人，改名")
    assert desk.link().shared == {}
    assert listed(desk)["R1"][0] == listed(desk)["R2"][0] == CLAIM


def test_a_third_record_does_not_make_two_one(desk: Desk) -> None:
    """It could be either of two people who were told apart."""
    register(desk, FIRST, {**SECOND, "name": "李建军"})
    desk.link()
    before = listed(desk)
    register(desk, {**FIRST, "record_no": "R3", "name": "李小满", "mobile": SECOND["mobile"]}, batch=2)
    desk.link()
    assert {key: listed(desk)[key] for key in before} == before


def test_the_register_is_told_of_doubt_by_nobody_and_of_two_people_until_it_corrects(desk: Desk) -> None:
    register(desk, FIRST, {**FIRST, "record_no": "R2", "name": "李建军"})
    linked = desk.link()
    assert (linked.questions, linked.shared) == (1, {})
    register(desk, SECOND, batch=2)
    assert desk.link().shared == {REGISTER: {"numbers": 1, "records": 1}}
    (question,) = [one for one in desk.reviews.open() if one["row_key"] == "R2"]
    desk.reviews.decide(question["id"], "never", "张专员", "两人")
    assert desk.link().shared == {REGISTER: {"numbers": 1, "records": 1}}, "two people still have it"


@pytest.mark.long
def test_thousands_of_rows_with_one_number_end(desk: Desk) -> None:
    """As when a register fills a number in for whoever has none."""
    print(f"seed {(seed := seed_from_clock())}")
    bench = desk.bench
    row = bench._row(bench.contracts.sources[REGISTER], {**FIRST, "mobile": None}, 1, "I", 0)
    names = f"chr(CAST({0x4E00 + seed % 4096} + n % 600 AS INT))"
    many = f"'R' || n AS record_no, '王' || {names} AS name, address || n AS address, n AS _row"
    register = bench.contracts.sources[REGISTER]
    query = f"SELECT r.* REPLACE ({many}) FROM ({row}) r, range(3000) t(n)"
    bench._append(register, query, bench.lake.core(register.org, register.dataset))
    linked = desk.link()
    people = {key: person for key, (person, _) in listed(desk).items()}
    assert len(people) == 3000 and len({*people.values()}) == 600
    assert all(people[f"R{n}"] == people[f"R{n % 600}"] for n in range(3000)), "one name, one person"
    assert (linked.questions, linked.shared[REGISTER]["numbers"]) == (1, 1)
