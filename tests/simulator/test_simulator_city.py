"""The city behind its real server: the same every time, alive, misbehaving on demand, and safe from its visitors."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from stdnum.iso7064 import mod_11_2

from simulator import DemoCity, DirtRates, NoSuchColumn, NotPopulated, OtherCity, Planted
from simulator.department import COLUMN_NAMES, DATASET, DAYS_KEPT
from simulator.identity import identity_number
from simulator.server import READER, Server

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

SEED, PERSONS = 99, 3_000
TABLE = 'hzgl."T_CZRK_JBXX"'
ROOT = Path(__file__).parents[2]


def household_planted(city: DemoCity) -> list[Planted]:
    """What is planted in the household table; other registers are tested elsewhere."""
    return [entry for entry in city.planted() if entry.dataset == DATASET]


ELSEWHERE = {"encoding", "identity", "reference", "absent", "apart", "outlying", "certificate", "reported_late"}
"""Kinds of mistakes that other registers have."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCity]:
    # Far longer than a Unix socket's path may be.
    home = tmp_path_factory.mktemp("demo") / ("a-long-folder-name" * 6) / "city"
    with DemoCity(home, SEED, PERSONS) as demo:
        demo.populate()
        yield demo


@pytest.fixture
def faulty(city: DemoCity) -> Iterator[DemoCity]:
    yield city
    city.restore()


def query(city: DemoCity, database: str, statement: str) -> list[tuple[Any, ...]]:
    with Server(city.home).connect(database) as connection:
        return connection.execute(statement.encode()).fetchall()


def as_reader(city: DemoCity, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.reader_dsn, connect_timeout=5) as connection:
        return connection.execute(statement.encode()).fetchall()


def fingerprint(city: DemoCity) -> dict[str, str]:
    """A hash of every table, rows in the order the table holds them (no key, no sorting: byte for byte)."""
    tables = {"psb": [TABLE], "truth": ["truth.person", "truth.planted", "truth.event", "truth.state"]}
    digests = {}
    for database, names in tables.items():
        with Server(city.home).connect(database) as connection:
            for name in names:
                digest = hashlib.sha256()
                with connection.cursor().copy(f"COPY {name} TO STDOUT".encode()) as copy:
                    for block in copy:
                        digest.update(block)
                digests[name] = digest.hexdigest()
    return digests


def in_another_process(code: str) -> str:
    """Run Python code in a process of its own and return what it prints."""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.long
def test_two_homes_with_one_seed_hold_the_same_bytes_and_live_the_same_days(tmp_path: Path) -> None:
    prints = []
    for number in range(2):
        with DemoCity(tmp_path / str(number), seed=5, persons=900) as demo:
            demo.populate()
            before = fingerprint(demo)
            days = demo.tick(2) if number else [*demo.tick(), *demo.tick()]
            prints.append((before, days, fingerprint(demo)))
            unchanged = before == prints[-1][2]
            assert not unchanged
    assert prints[0] == prints[1]


@pytest.mark.long
def test_another_seed_is_another_city_and_a_home_holds_only_one(city: DemoCity, tmp_path: Path) -> None:
    with DemoCity(tmp_path, seed=6, persons=900) as other:
        with pytest.raises(NotPopulated):
            other.tick()
        with pytest.raises(NotPopulated):
            assert other.today
        with pytest.raises(NotPopulated):
            other.deliver_half()
        other.populate()
        ours, theirs = ({row["GMSFHM"] for row in demo.department_rows()} for demo in (city, other))
        assert len(ours & theirs) < 20
    for wrong in (
        DemoCity(city.home, SEED + 1, PERSONS),
        DemoCity(city.home, SEED, PERSONS + 1),
        DemoCity(city.home, SEED, PERSONS, DirtRates(format=0.1)),
    ):
        with pytest.raises(OtherCity):
            wrong.start()


def test_the_table_is_laid_out_as_the_department_has_it(city: DemoCity) -> None:
    columns = as_reader(
        city,
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'hzgl' AND table_name = 'T_CZRK_JBXX' ORDER BY ordinal_position",
    )
    assert tuple(name for name, _ in columns) == COLUMN_NAMES
    assert "CSRQ " in COLUMN_NAMES
    assert "HJ XZ" in COLUMN_NAMES
    assert {kind for _, kind in columns[:-1]} == {"character varying"}
    assert columns[-1] == ("GXSJ", "timestamp without time zone")
    assert query(city, "psb", f"SELECT 1 FROM pg_index WHERE indrelid = '{TABLE}'::regclass AND indisunique") == []


def test_the_department_shows_the_truth_except_where_dirt_was_planted(city: DemoCity) -> None:
    wrong = {entry.rybh for entry in household_planted(city) if entry.ended is None}
    shown = {row["RYBH"]: row for row in city.department_rows()}
    people = query(city, "truth", "SELECT rybh, id_number, name, sex, updated, defect FROM truth.person")
    assert wrong == {person[0] for person in people if person[5] is not None}
    for rybh, number, name, sex, updated, defect in people:
        if defect is None:
            row = shown[rybh]
            assert (row["GMSFHM"], row["XM"], row["XBDM"], row["GXSJ"]) == (number, name, sex, updated)
            assert mod_11_2.is_valid(number)


def test_populating_again_changes_nothing_and_reports_nothing(city: DemoCity) -> None:
    before = fingerprint(city)
    city.populate(progress=lambda made: pytest.fail("populated a second time"))
    assert fingerprint(city) == before


def test_an_interrupted_populate_begins_anew(tmp_path: Path) -> None:
    def interrupt(made: int) -> None:
        raise InterruptedError

    with DemoCity(tmp_path, seed=5, persons=900) as demo:
        with pytest.raises(InterruptedError):
            demo.populate(interrupt)
        made: list[int] = []
        demo.populate(made.append)
        assert made[-1] == 900
        assert demo.today == date(2026, 1, 1)
        assert demo.department_count() > 900


def test_days_bring_every_kind_of_event(city: DemoCity) -> None:
    day, count = city.today, city.department_count()
    summaries = city.tick(3)
    assert [summary.day for summary in summaries] == [date.fromordinal(day.toordinal() + n) for n in (1, 2, 3)]
    assert city.today == summaries[-1].day
    for summary in summaries:
        kinds = {"birth", "death", "move", "correction", "departure", "late", "repair", "dirt"}
        assert set(summary.events) == kinds
        assert min(summary.events.values()) >= 1
        assert 8 <= summary.rows < PERSONS * 0.03
    assert abs(city.department_count() - count) < 60
    recorded = query(
        city, "truth", "SELECT kind, count(*), count(*) FILTER (WHERE registered < day) FROM truth.event GROUP BY 1"
    )
    assert {kind for kind, _, _ in recorded} == {"birth", "death", "move", "correction", "departure"}
    assert sum(late for _, _, late in recorded) == sum(summary.events["late"] for summary in summaries)


def test_what_happened_shows_in_the_table(city: DemoCity) -> None:
    city.tick()
    today = city.today
    shown = {row["RYBH"]: row for row in city.department_rows()}
    events = query(city, "truth", f"SELECT kind, rybh, registered, changes FROM truth.event WHERE day = '{today}'")
    for kind, rybh, registered, changes in events:
        gone = {number for number, change in changes.items() if change.get("status", [None, "living"])[1] != "living"}
        assert {shown[number]["ZXBS"] for number in gone} <= {"1"}
        assert (kind in ("death", "departure")) == bool(gone)
        for number in changes.keys() - gone:
            assert shown[number]["GXSJ"].date() == registered
            assert registered <= today
        if kind == "birth":
            assert shown[rybh]["GMSFHM"][:6] == shown[rybh]["SSXQ"][:6]
            assert changes[rybh]["rybh"] == [None, rybh]
        if kind == "move":
            division = changes[rybh].get("division")
            assert division is None or shown[rybh]["SSXQ"] == division[1]
    repaired = [entry for entry in household_planted(city) if entry.ended == today]
    assert repaired
    for entry in repaired:
        if entry.column not in ("RYBH", "GXSJ"):
            assert shown[entry.rybh][entry.column] == entry.true
    new = [entry for entry in household_planted(city) if entry.day == today]
    assert new
    assert all(shown[entry.rybh]["GXSJ"].date() == today for entry in new if entry.kind != "duplicate")


def test_who_died_or_left_is_marked_for_some_days_and_then_dropped(city: DemoCity) -> None:
    city.tick()
    day = city.today
    events = query(city, "truth", f"SELECT rybh, kind FROM truth.event WHERE day = '{day}'")
    ended = {rybh: kind for rybh, kind in events if kind in ("death", "departure")}
    assert len(ended) >= 4
    rows = {row["RYBH"]: row for row in city.department_rows()}
    for number, kind in ended.items():
        row = rows[number]
        assert (row["ZXBS"], row["ZXRQ"]) == ("1", f"{day:%Y%m%d}")
        date_of_it, other = (row["SWRQ"], row["QCRQ"]) if kind == "death" else (row["QCRQ"], row["SWRQ"])
        assert date_of_it <= row["ZXRQ"] and other is None
    city.tick(DAYS_KEPT - 1)
    assert ended.keys() <= {row["RYBH"] for row in city.department_rows()}
    city.tick()
    assert ended.keys().isdisjoint(row["RYBH"] for row in city.department_rows())


def test_households_still_hold_together_after_many_days(city: DemoCity) -> None:
    city.tick(10)
    heads = query(
        city,
        "truth",
        "SELECT household, count(*), count(*) FILTER (WHERE relation IN ('01', '02')) FROM truth.person"
        " WHERE status = 'living' GROUP BY 1",
    )
    assert {number for _, _, number in heads} == {1}
    numbers = {number for (number,) in query(city, "truth", "SELECT id_number FROM truth.person")}
    born = query(city, "truth", "SELECT id_number, sex, birth FROM truth.person WHERE birth >= '2025-12-01'")
    assert born
    for number, sex, birth in born:
        given = sum(other[:14] == number[:14] and int(other[16]) % 2 == int(sex) % 2 for other in numbers)
        # None skipped: a skipped number would be given a second time on a later day.
        assert {identity_number(number[:6], birth, sex, nth) for nth in range(given)} <= numbers
    state = query(city, "truth", "SELECT living, next_record FROM truth.state")
    living = query(city, "truth", "SELECT count(*) FILTER (WHERE status = 'living'), count(*) FROM truth.person")
    assert state == living


def test_the_record_of_planted_dirt_is_exact_on_every_day(city: DemoCity) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in city.department_rows():
        rows.setdefault(row["RYBH"], []).append(row)
    open_entries = [entry for entry in household_planted(city) if entry.ended is None]
    assert len({entry.rybh for entry in open_entries}) == len(open_entries)
    for entry in open_entries:
        # nobody corrects the day of a death, and the row goes after some days
        if entry.kind != "disputed" or entry.rybh in rows:
            assert_shown(entry, rows[entry.rybh])
    doubled = {rybh for rybh, copies in rows.items() if len(copies) > 1}
    assert doubled == {entry.rybh for entry in open_entries if entry.kind == "duplicate"}


def assert_shown(entry: Planted, rows: list[dict[str, Any]]) -> None:
    assert any(row[entry.column] == entry.shown and row["GXSJ"] == entry.gxsj for row in rows), (entry, rows)
    assert entry.dataset == "hzgl.T_CZRK_JBXX"
    if entry.defect == "older_copy":
        assert max(row["GXSJ"] for row in rows) > entry.gxsj


def test_every_defect_is_planted_and_some_are_repaired(city: DemoCity) -> None:
    planted = household_planted(city)
    kinds = Counter(entry.kind for entry in planted)
    # one death in ten is disputed: so small a city may have none
    assert {*kinds, "disputed"} == set(asdict(DirtRates())) - ELSEWHERE
    assert all(
        entry.refusable == (entry.kind not in ("cleanable", "plausible", "shared", "disputed")) for entry in planted
    )
    assert {entry.kind for entry in planted if entry.undetectable} == {"plausible"}
    assert any(entry.ended for entry in planted)
    assert any(entry.day > date(2026, 1, 1) for entry in planted)


def test_faults_of_the_table_and_their_end(faulty: DemoCity) -> None:
    before, count = fingerprint(faulty), faulty.department_count()
    faulty.rename_column("CSRQ ", "CSNYR")
    faulty.rename_column("CSNYR", "SR")
    faulty.drop_column("LXDH")
    columns = as_reader(faulty, f"SELECT * FROM {TABLE} LIMIT 1")[0]
    assert len(columns) == len(COLUMN_NAMES) - 1
    row = next(iter(faulty.department_rows()))
    assert "SR" in row
    assert {"CSRQ ", "CSNYR", "LXDH"}.isdisjoint(row)
    faulty.deliver_half(seed=4)
    half = as_reader(faulty, f'SELECT array_agg("RYBH" ORDER BY 1) FROM {TABLE}')[0][0]
    assert 0.42 * count < len(half) < 0.58 * count
    with pytest.raises(NoSuchColumn):
        faulty.drop_column("LXDH")
    with pytest.raises(NoSuchColumn):
        faulty.rename_column("XM", "SR")
    with pytest.raises(ValueError, match="fraction"):
        faulty.deliver_half(1.5)
    faulty.restore()
    assert fingerprint(faulty) == before
    assert as_reader(faulty, f"SELECT count(*) FROM {TABLE}") == [(count,)]
    faulty.deliver_half(fraction=0.5, seed=4)
    assert as_reader(faulty, f'SELECT array_agg("RYBH" ORDER BY 1) FROM {TABLE}')[0][0] == half


def test_other_tables_misbehave_too_and_days_pass_behind_it(city: DemoCity) -> None:
    table, place = "hydj.T_HYDJ", 'hydj."T_HYDJ"'
    whole = query(city, "cab", f'SELECT * FROM {place} ORDER BY "DJZH"')
    city.add_column("XZL", table)
    city.rename_column("NANXM", "XM", table)
    city.deliver_half(seed=4, dataset=table)
    with pytest.raises(NoSuchColumn):
        city.add_column("DJZH", table)
    rows = query(city, "cab", f'SELECT "XM", "XZL" FROM {place}')
    assert 0.3 * len(whole) < len(rows) < 0.7 * len(whole)
    assert {added for _, added in rows} == {"?"}
    city.tick(3)  # at least one of them has a wedding
    city.restore(table)
    after = query(city, "cab", f'SELECT * FROM {place} ORDER BY "DJZH"')
    assert set(whole) < set(after)


def test_days_pass_behind_a_fault(faulty: DemoCity) -> None:
    faulty.drop_column("WHCD")
    (summary,) = faulty.tick()
    faulty.restore()
    born = query(faulty, "truth", f"SELECT rybh FROM truth.event WHERE kind = 'birth' AND day = '{summary.day}'")
    assert {rybh for (rybh,) in born} <= {row["RYBH"] for row in faulty.department_rows()}
    assert "WHCD" in next(iter(faulty.department_rows()))


def test_the_reader_reads_the_department_and_nothing_else(city: DemoCity) -> None:
    assert as_reader(city, f"SELECT count(*) FROM {TABLE}")[0][0] == city.department_count()
    for statement in (
        f"DELETE FROM {TABLE}",
        f"UPDATE {TABLE} SET \"XM\" = 'x'",
        "CREATE TABLE hzgl.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "SELECT * FROM backstage.fault",
        "SELECT pg_read_file('postgresql.conf')",
    ):
        with psycopg.connect(city.reader_dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            # Read-only is only the reader's habit; its rights must be enough to stop it.
            connection.execute("SET default_transaction_read_only = off")
            connection.commit()
            connection.execute(statement.encode())
    for database in ("truth", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(city.reader_dsn.removesuffix("psb") + database)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(re.sub(r":[^:@/]+@", ":wrong@", city.reader_dsn))
    assert f"//{READER}:" in city.reader_dsn


def test_passwords_stay_private(city: DemoCity) -> None:
    password = city.reader_dsn.split(":")[2].split("@")[0]
    assert (city.home / "server.json").stat().st_mode & 0o777 == 0o600
    assert (city.home / "pgdata").stat().st_mode & 0o777 == 0o700
    assert password not in repr(city)
    assert password not in (city.home / "pgdata" / "server.log").read_text()
    assert password not in (city.home / "simulator.json").read_text()


def test_another_process_reads_and_advances_the_same_city(city: DemoCity) -> None:
    day = city.today
    said = in_another_process(
        "from pathlib import Path; from simulator import DemoCity\n"
        f"city = DemoCity.open(Path({str(city.home)!r}))\n"
        "with city: city.tick(); print(city.today, city.reader_dsn)"
    )
    assert said == f"{date.fromordinal(day.toordinal() + 1)} {city.reader_dsn}"
    assert city.today > day, "the other process stopped a server it had not started"
    count = in_another_process(
        f"import psycopg; connection = psycopg.connect({city.reader_dsn!r})\n"
        f"print(connection.execute('SELECT count(*) FROM {TABLE}').fetchone()[0])"
    )
    assert int(count) == city.department_count()


def test_a_killed_process_leaves_a_whole_day_or_none(city: DemoCity) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pathlib import Path; from simulator import DemoCity\n"
            f"city = DemoCity.open(Path({str(city.home)!r})); city.start(); print(1, flush=True); city.tick(1000)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.4)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    city.start()
    assert query(city, "psb", "SELECT count(*) FROM pg_prepared_xacts") == [(0,)]
    living = query(city, "truth", "SELECT rybh, updated FROM truth.person WHERE status = 'living' ORDER BY 1")
    listed = f"""{TABLE} WHERE "ZXRQ" IS NULL OR "ZXBS" = '0'"""
    shown = query(city, "psb", f'SELECT "RYBH", max("GXSJ") FROM {listed} GROUP BY 1 ORDER BY 1')
    assert living == shown
    city.tick()


@pytest.mark.parametrize(("days_ahead", "kept"), [(0, True), (1, False)])
def test_a_half_written_day_is_settled_by_the_truth(city: DemoCity, days_ahead: int, kept: bool) -> None:
    day = date.fromordinal(city.today.toordinal() + days_ahead)
    with Server(city.home).connect("psb") as department:
        department.execute("INSERT INTO backstage.fault (dataset, kind, seed) VALUES (%s, 'none', 1)", [DATASET])
        department.execute(f"PREPARE TRANSACTION 'simulator {day}'".encode())
    city.start()
    assert query(city, "psb", "SELECT count(*) FROM pg_prepared_xacts") == [(0,)]
    assert query(city, "psb", "SELECT count(*) FROM backstage.fault") == [(int(kept),)]
    city.restore()


def test_the_database_can_be_down_and_comes_back_under_the_same_address(city: DemoCity) -> None:
    address, before = city.reader_dsn, fingerprint(city)
    city.stop()
    city.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address, connect_timeout=2)
    city.start()
    city.start()
    assert city.reader_dsn == address
    assert fingerprint(city) == before


def test_a_killed_server_whose_process_number_was_given_away_starts_again(city: DemoCity) -> None:
    city.stop()
    lock = city.home / "pgdata" / "postmaster.pid"
    lock.write_text(
        f"{os.getpid()}\n{city.home / 'pgdata'}\n1700000000\n{city.reader_dsn.split(':')[3].split('/')[0]}\n"
    )
    city.start()
    assert city.department_count() > 0
