"""Linking where people live as closely as they really do: in villages of three thousand, with namesakes in each.

A small city has some thirty people in a village, where a name is hardly ever borne twice (decision 0102). Here belongs
what only closeness shows; floors by kind of row are in `tests/slow/test_linkage.py`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from benchmarks.linkage import MODEL, SCHEMA, evaluate
from pipelines.linkage import matching, residue
from pipelines.linkage.matching import MARKS, Model
from simulator.divisions import crowded
from simulator.identity import identity_number
from simulator.person import DAY_ZERO
from tests.city import seed_from_clock

PERSONS = 30_000
VILLAGE, FAR = "341523105203", "341525102201"
BIRTH = date(1971, 4, 9)
SHE = {
    "id_number": identity_number("342425", BIRTH, "2", 4), "name": "张秀英", "sex": "2", "birth_date": BIRTH,
    "division": VILLAGE, "address": "老庄组12号", "mobile": "14212345678",
}  # fmt: skip
NAMESAKE = {
    **SHE, "id_number": identity_number("342425", date(1964, 8, 2), "2", 4), "birth_date": date(1964, 8, 2),
    "address": "河湾组71号", "mobile": "14287654321",
}  # fmt: skip
"""Another woman of the same village and name."""


def test_many_share_a_village_and_few_are_asked_about() -> None:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    villages = crowded(seed, PERSONS)
    assert PERSONS / len(villages) > 1_000
    found, _ = evaluate(PERSONS, seed, among=villages)
    everybody, wanting, residue = found["all rows"], found["number missing or wrong"], found["residue"]
    assert found["namesakes in one village"].rows > 500
    assert everybody.precision >= 0.9995 and everybody.recall >= 0.99
    assert found["birth date and address there"].recall >= 0.97
    assert wanting.recall >= 0.96 and wanting.precision >= 0.99
    assert residue.asked <= 0.005 * residue.rows + 3 * (0.005 * residue.rows) ** 0.5


def decided(people: list[Mapping[str, Any]], row: Mapping[str, Any]) -> tuple[str | None, str]:
    """Whom one row is about by its decision, and the word of it."""
    model = Model.read(MODEL)
    with duckdb.connect() as con:
        for name, rows in (("r", people), ("t", [row])):
            con.register(name, pa.table({mark: [one[mark] for one in rows] for mark in MARKS}, SCHEMA))
        con.execute("CREATE TABLE registered AS SELECT id_number AS claim, * FROM r")
        con.execute(
            "CREATE TABLE told AS SELECT 'hc/health_record' AS dataset, '1' AS row_key, id_number AS claim, * FROM t"
        )
        residue.find(con)
        matching.prepare(con)
        matching.score(con, model.splink)
        matching.decide(con, model, DAY_ZERO)
        ((claim, word),) = con.execute("SELECT claim, word FROM decision").fetchall()
    return claim, word


@pytest.mark.parametrize("marks", [{"mobile": SHE["mobile"]}, {"address": SHE["address"]}, {"birth_date": BIRTH}])
def test_one_mark_of_her_own_tells_her_from_a_namesake_of_the_village(marks: Mapping[str, Any]) -> None:
    row = {**SHE, "id_number": None, "birth_date": None, "address": None, "mobile": None, **marks}
    assert decided([SHE, NAMESAKE], row) == (SHE["id_number"], "accept")


def test_without_a_mark_of_her_own_nobody_is_asked() -> None:
    row = {**SHE, "id_number": None, "birth_date": None, "address": None, "mobile": None}
    assert decided([SHE, NAMESAKE], row)[1] == "none"


def test_a_name_and_a_birth_date_at_the_other_end_of_the_city_say_nothing() -> None:
    """Among six million, people of one name are born on one day by chance."""
    row = {**SHE, "id_number": None, "division": FAR, "address": "前郢组5号", "mobile": None}
    assert decided([SHE], row)[1] == "none"


def test_who_has_another_name_and_a_number_of_her_own_is_a_twin() -> None:
    row = {**SHE, "id_number": identity_number("342425", BIRTH, "2", 9), "name": "张秀兰"}
    assert decided([SHE], row)[1] == "none"
    same = {**row, "name": SHE["name"]}
    assert decided([SHE], same)[1] == "review"  # one person with two numbers
    other = date(1974, 11, 2)
    born = {"birth_date": other, "id_number": identity_number("342425", other, "2", 9)}
    assert decided([SHE], {**same, **born})[1] == "none"  # nobody asks about what contradicts twice
