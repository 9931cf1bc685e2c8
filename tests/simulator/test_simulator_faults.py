"""Faults of whole deliveries: each is visible as what it says, is on record, and leaves nothing behind when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import DemoCity, Fault
from simulator import disturbances as d
from simulator.air_feed import messages
from simulator.dirt import DirtRates
from simulator.drill import DAYS, schedule
from simulator.file_faults import faulty
from simulator.registers import Files, Row

FIRMS, PERSONS, INSURANCE = "scjg.E_BASEINFO", "hzgl.T_CZRK_JBXX", "sb.AC02_BG"
PLACE = Files("hc", "ehr", "csv", ("编号", "姓名", "状态", "体重"), "gb18030", whole=True)
ROWS: list[Row] = [[f"{number:05d}", "王小明", "1", "3200"] for number in range(400)]


@given(st.integers(0, 2**31))
def test_a_drill_has_every_fault_and_one_cause_for_every_finding(seed: int) -> None:
    days = schedule(seed)
    assert len(days) == DAYS
    assert {fault.kind for faults in days for fault in faults} == set(d.KINDS)
    for faults in days:
        assert len({fault.dataset for fault in faults}) == len(faults)
    late = [fault.dataset for fault in days[0] if fault.kind == d.TOO_LATE]
    assert all(fault.dataset not in late for faults in days[1:] for fault in faults)
    assert schedule(seed) == days


def test_kinds_that_nobody_can_tell_expect_nothing() -> None:
    assert all(not kind.expected for kind in d.KINDS.values() if kind.undetectable)


def shown(fault: Fault) -> tuple[Files, list[Row]]:
    return faulty(PLACE, ROWS, 0, fault)


def test_columns_of_a_file_come_go_and_are_renamed() -> None:
    place, rows = shown(Fault(d.NEW_COLUMN, PLACE.dataset, "备用"))
    assert (place.names[-1], {len(row) for row in rows}) == ("备用", {5})
    place, rows = shown(Fault(d.MISSING_COLUMN, PLACE.dataset, "姓名"))
    assert place.names == ("编号", "状态", "体重") and rows[0] == ["00000", "1", "3200"]
    place, rows = shown(Fault(d.RENAMED_COLUMN, PLACE.dataset, "姓名", "名字"))
    assert place.names == ("编号", "名字", "状态", "体重") and rows == ROWS


def test_contents_of_a_file_change_in_one_column_only() -> None:
    _, rows = shown(Fault(d.NEW_CODE, PLACE.dataset, "状态", "9", share=0.1, seed=3))
    assert 15 < sum(row[2] == "9" for row in rows) < 75
    assert [[*row[:2], *row[3:]] for row in rows] == [[*row[:2], *row[3:]] for row in ROWS]
    _, rows = shown(Fault(d.OTHER_UNIT, PLACE.dataset, "体重", "0.001"))
    assert {row[3] for row in rows} == {"3.200"}
    _, rows = shown(Fault(d.HALF, PLACE.dataset, share=0.5, seed=3))
    assert 160 < len(rows) < 240
    place, _ = shown(Fault(d.FILE_ENCODING, PLACE.dataset, value="utf-8"))
    assert place.encoding == "utf-8"


def test_new_firmware_changes_messages_and_leaves_broken_ones_alone() -> None:
    day, rates = date(2026, 1, 2), DirtRates()
    wrong = [Fault(d.OTHER_UNIT, "luan/air/+/hour", "co", "1000"), Fault(d.NEW_COLUMN, "luan/air/+/hour", "v")]
    pairs = list(zip(messages(5, rates, day), messages(5, rates, day, wrong), strict=True))
    assert len(pairs) > 100
    for (topic, before), (same, after) in pairs:
        assert topic == same
        if not before.endswith("}"):
            assert after == before
            continue
        was, now = json.loads(before), json.loads(after)
        assert now["v"] == 1 and {**now, "co": None} == {**was, "co": None, "v": 1}
        assert not isinstance(was["co"], float) or now["co"] == pytest.approx(was["co"] * 1000)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCity]:
    with DemoCity(tmp_path_factory.mktemp("faults") / "city", 12, 900) as demo:
        demo.populate()
        yield demo


def read(city: DemoCity, database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.connections()[f"{database}_dsn"], connect_timeout=5) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.server
def test_faults_of_a_day_are_seen_recorded_and_over_on_the_day_they_end(city: DemoCity) -> None:
    firms = 'SELECT "PRIPID", "REGCAP", "ENTTYPE", "ENTNAME" FROM scjg."E_BASEINFO" ORDER BY 1'
    drops = city.home / "drops" / "hc"
    wrongs = [
        Fault(d.OTHER_UNIT, FIRMS, "REGCAP", "10000"),
        Fault(d.NEW_CODE, FIRMS, "ENTTYPE", "9700", share=0.3, seed=1),
        Fault(d.GARBLED, FIRMS, "ENTNAME", "LATIN1"),
        Fault(d.RETYPED_COLUMN, PERSONS, "SSXQ"),
        Fault(d.CODES_EXCHANGED, PERSONS, "BYZK", "0 2"),
        Fault(d.REPLAYED, INSURANCE),
        Fault(d.SAME_FILE, "ehr_*.csv"),
        Fault(d.SURGE, "sb.AC43", "AAE036"),
    ]
    served = dict(read(city, "psb", 'SELECT "RYBH", "BYZK" FROM hzgl."T_CZRK_JBXX"'))
    (summary,) = city.tick(1, wrongs)
    wrong = {row[0]: row[1:] for row in read(city, "amr", firms)}
    types = read(
        city,
        "psb",
        "SELECT data_type FROM information_schema.columns WHERE (table_schema, column_name) = ('hzgl', 'SSXQ')",
    )
    told = read(city, "hrssb", 'SELECT "BGXH", count(*) FROM sb."AC02_BG" GROUP BY 1 HAVING count(*) > 1 ORDER BY 1')
    stamps = read(city, "hrssb", 'SELECT DISTINCT "AAE036" FROM sb."AC43"')
    exchanged = dict(read(city, "psb", 'SELECT "RYBH", "BYZK" FROM hzgl."T_CZRK_JBXX"'))
    assert types == [("bigint",)]
    assert [number for number, _ in told] == sorted(number for number, _ in told)[-20:] and len(told) == 20
    assert [stamp.date() for (stamp,) in stamps] == [summary.day]
    kept = served.keys() & exchanged.keys()
    other = {"0": "2", "2": "0"}
    assert sum(exchanged[one] != other.get(served[one], served[one]) for one in kept) < 10
    files = sorted(drops.glob("ehr_*.csv"))
    assert len(files) == 2 and files[0].read_bytes() == files[1].read_bytes()
    (last,) = city.tick(1, (), [FIRMS, PERSONS, INSURANCE, "ehr_*.csv", "sb.AC43"])
    right = {row[0]: row[1:] for row in read(city, "amr", firms)}
    amounts = [
        (wrong[one][0], right[one][0])
        for one in right.keys() & wrong.keys()
        if all((row[one][0] or "0").isdigit() for row in (right, wrong)) and right[one][0]
    ]
    # some firms have altered their capital on the second day
    assert sum(int(was or 0) == int(now) * 10_000 for was, now in amounts) > max(20, len(amounts) - 8)
    assert 10 < sum(row[1] == "9700" for row in wrong.values()) < 50
    assert not any(row[1] == "9700" for row in right.values())
    assert not any("有限" in row[2] for row in wrong.values() if row[2])
    assert read(city, "hrssb", 'SELECT 1 FROM sb."AC02_BG" GROUP BY "BGXH" HAVING count(*) > 1') == []
    assert len(list(drops.glob("ehr_*.csv"))) == 2
    ledger = city.planted_faults()
    assert {(one.fault.kind, one.fault.dataset, one.fault.column) for one in ledger} == {
        (fault.kind, fault.dataset, fault.column) for fault in wrongs
    }
    assert {(one.day, one.ended) for one in ledger} == {(summary.day, last.day)}
    assert all(one.seen_on(summary.day) and not one.seen_on(last.day) for one in ledger)


@pytest.mark.server
def test_entries_that_are_held_back_come_a_day_late_and_after_a_later_one_of_their_key(city: DemoCity) -> None:
    numbers = 'SELECT "BGXH"::text, "AAC001" FROM sb."AC02_BG"'
    before = dict(read(city, "hrssb", numbers))
    city.tick(1, [Fault(d.HELD_BACK, INSURANCE)])
    (held,) = [one.fault.keys for one in city.planted_faults() if one.fault.kind == d.HELD_BACK]
    shown = dict(read(city, "hrssb", numbers))
    assert held and not set(held) & shown.keys()
    city.tick(1, (), [INSURANCE])
    after = dict(read(city, "hrssb", numbers))
    assert set(held) <= after.keys()
    overtaken = {after[number] for number in held} & {shown[number] for number in shown.keys() - before.keys()}
    assert overtaken


@pytest.mark.server
def test_a_wrong_file_is_sent_again_as_it_should_have_been(city: DemoCity) -> None:
    folder, pattern = city.home / "drops" / "esb", "pupil_*.xlsx"
    (first,) = folder.glob(pattern)
    city.tick(1, [Fault(d.NEW_CODE, pattern, "学籍状态", "9", share=0.5)])
    wrong = max(folder.glob(pattern))
    content = wrong.read_bytes()
    assert wrong != first
    city.tick(1, [Fault(d.SAME_FILE, pattern)], [pattern])
    files = sorted(folder.glob(pattern))
    assert len(files) == 3 and files[1] == wrong and (folder / f"{files[2].name}.ok").exists()
    assert files[1].read_bytes() == files[2].read_bytes() != content
    city.tick(1, (), [pattern])
    assert sorted(folder.glob(pattern)) == files


@pytest.mark.server
def test_late_rows_are_on_record(city: DemoCity) -> None:
    city.tick(2)
    late = [item for item in city.planted() if item.kind == "late"]
    assert late and not any(item.refusable or item.undetectable for item in late)
    assert all(item.gxsj.date() < item.day <= item.gxsj.date() + timedelta(days=9) for item in late)


@pytest.mark.server
def test_no_cremation_is_entered_before_it_took_place(city: DemoCity) -> None:
    city.tick(3)
    last = read(city, "cab", 'SELECT max("HHRQ") FILTER (WHERE "HHRQ" < \'2100\'), max("GXSJ") FROM hydj."T_HHDJ"')[0]
    assert last[0] <= f"{city.today:%Y%m%d}" and last[1].date() <= city.today


@pytest.mark.server
def test_line_breaks_in_a_field_are_on_record(city: DemoCity) -> None:
    first: Path = min((city.home / "drops" / "hc").glob("ehr_*.csv"))
    planted = [item for item in city.planted() if item.defect == "line_break" and item.day == date(2026, 1, 1)]
    data = first.read_bytes().replace(b"\r\n", b"\n")
    assert planted and all(f"{item.shown}".replace("\r\n", "\n").encode("gb18030") in data for item in planted)
