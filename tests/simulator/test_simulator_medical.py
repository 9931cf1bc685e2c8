"""Medical and social insurance: who is insured is somebody of the city, and nothing is settled for the dead."""

from __future__ import annotations

import re
from datetime import date

import pytest

from simulator.medical_registers import Insured, Settlements, number_of
from tests.simulator.towns import PERSONS, Town, people

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

INSURED, SETTLEMENTS = Insured.place.dataset, Settlements.place.dataset
SAME = ("AAE135", "AAC003", "AAB001", "AAC030")
"""What the changes of one insurance relation say alike: of whom and since when it is, and who pays."""


def test_the_insured_are_people_of_the_city_and_of_the_floating_register(town: Town) -> None:
    floating = {row["GMSFHM"] for row in town.city.records("hzgl.T_LDRK_DJ")}
    numbers = [row["CERTNO"] for row in town.city.records(INSURED)]
    assert len(set(numbers)) == len(numbers)
    known = people(town.city).keys()  # the born of these days too
    assert set(numbers) <= known | floating
    assert set(numbers) - known, "some live here without being registered"
    assert 0.93 * PERSONS < len(set(numbers) & known) < 0.98 * PERSONS + 20


def test_nothing_is_settled_for_the_dead_nor_before_the_insurance(town: Town) -> None:
    died = {row["SZZJHM"]: _day(row["SWRQ"]) for row in town.city.records("hydj.T_HHDJ")}
    ended = {row[0]: row[1] for row in _ended(town)}
    insured = {row["PSN_NO"]: row for row in town.city.records(INSURED)}
    settled = town.city.records(SETTLEMENTS)
    assert len(settled) > 60
    for row in settled:
        one = insured[row["PSN_NO"]]
        day = min(died.get(one["CERTNO"], date.max), ended.get(one["CERTNO"], date.max))
        assert one["BEGNDATE"] <= row["BEGNDATE"] <= row["ENDDATE"] <= day.isoformat(), row
        assert re.fullmatch(r"[HP][0-9]{11}", row["FIXMEDINS_CODE"])
        assert (row["MED_TYPE"] == "21") == (row["DRG_CODE"] is not None)


def test_the_insurance_of_the_dead_ends_with_their_death_and_newborns_are_insured(town: Town) -> None:
    rows = {row["PSN_NO"]: row for row in town.city.records(INSURED)}
    with town.city._server.connect("truth") as truth:
        events = truth.execute(
            "SELECT e.kind, e.rybh, p.ended FROM truth.event e JOIN truth.person p USING (rybh)"
            " WHERE e.kind IN ('birth', 'death') AND p.status <> 'left'"
        ).fetchall()
    assert {kind for kind, _, _ in events} == {"birth", "death"}
    for kind, record, day in events:
        row = rows.get(number_of(record))
        if kind == "birth":
            assert row is not None
        elif row is not None:
            assert (row["PSN_INSU_STAS"], row["ENDDATE"]) == ("4", day.isoformat()) or row["BEGNDATE"] > day.isoformat()


def _ended(town: Town) -> list[tuple[str, date]]:
    with town.city._server.connect("truth") as truth:
        return truth.execute("SELECT id_number, ended FROM truth.person WHERE status = 'dead'").fetchall()


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def test_whoever_dies_ends_the_insurance_that_they_had_and_no_other(town: Town) -> None:
    last: dict[tuple[str | None, ...], dict[str, str | None]] = {}
    ended = 0
    for row in sorted(town.city.records("sb.AC02_BG"), key=lambda row: int(row["BGXH"] or 0)):
        relation = row["AAC001"], row["AAE140"]
        if row["BGLX"] == "D":
            before = last[relation]
            assert before["BGLX"] != "D" and [before[name] for name in SAME] == [row[name] for name in SAME]
            ended += str(row["AAE036"]) >= f"{min(town.daily)}"
        last[relation] = row
    assert ended > 3
