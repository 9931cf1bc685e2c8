"""Divisions: what the real list and its changes say on a day, kinds of divisions, and splits that nobody guesses."""

import csv
from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

MODELS = ("lib_geography__division", "lib_geography__division_change", "lib_geography__division_history")
NAMES = {"name": "division_name", "level": "division_level", "change_no": "change_code",
         "change_kind": "division_change_kind", "source": "basis", "confidence": "verification"}  # fmt: skip


@pytest.fixture(scope="module")
def built(contracts: Contracts, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = new_bench(tmp_path_factory.mktemp("geography"), contracts)
    for dataset, file in (
        ("dsrb/division", "codes/divisions.csv"), ("dsrb/division_change", "reference/division_changes.csv"),
    ):  # fmt: skip
        with (contracts.root / file).open(encoding="utf-8", newline="") as rows:
            bench.load(dataset, *({NAMES.get(k, k): v for k, v in row.items()} for row in csv.DictReader(rows)))
    bench.build(*MODELS)
    return bench


def on(built: Bench, code: str, day: str) -> list[tuple[object, ...]]:
    return built.rows(
        "lib_geography__division_history",
        "stands_for, division_standing",
        f"code = '{code}' and (in_force_from is null or in_force_from <= date '{day}') "
        f"and (in_force_until is null or date '{day}' < in_force_until)",
    )


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("342422", "1990-06-30", [("342422", "in_force")]),  # 寿县 of the prefecture
        ("342422", "2005-06-30", [("341521", "succeeded")]),
        ("342422", "2026-01-01", [("340422", "succeeded")]),  # 寿县 of 淮南
        ("341521", "2015-11-30", [("341521", "in_force")]),
        ("341521", "2015-12-01", [("340422", "succeeded")]),
        ("341521", "1998-12-31", []),
        ("341504", "2015-11-30", []),  # 叶集区 is new
        ("341504", "2015-12-01", [("341504", "in_force")]),
        ("341522", "2026-01-01", [("341522", "in_force")]),  # what 叶集 was separated from remains
        ("342401", "1998-12-31", [("342401", "in_force")]),
        ("342401", "1999-01-01", [(None, "split")]),  # 金安区 or 裕安区
        ("342421", "1991-12-31", [("342421", "in_force")]),
        ("342421", "1995-01-01", [("342401", "succeeded")]),
        ("342421", "2026-01-01", [(None, "split")]),
        ("341502001001", "2026-01-01", [("341502001001", "in_force")]),
        ("341502001001", "1998-12-31", []),  # its county's code is of 1999
        ("110101", "2026-01-01", []),
    ],
)
def test_a_code_is_resolved_as_of_a_day(built: Bench, code: str, day: str, expected: list[object]) -> None:
    assert on(built, code, day) == expected


def test_periods_of_a_code_follow_each_other_without_gap(built: Bench) -> None:
    periods = built.rows("lib_geography__division_history", "code, period_no, in_force_from, in_force_until", "true")
    last: dict[str, date | None] = {}
    for code, number, since, until in sorted(periods):
        assert (number == 1) == (code not in last)
        if number > 1:
            assert since is not None and since == last[code]
        last[code] = until
    assert set(last.values()) == {None}
    assert len(last) == 2124 + 9


def test_pseudo_units_of_statistics_are_marked(built: Bench) -> None:
    found = built.rows("lib_geography__division", "division_name", "statistical_unit and division_level = 'town'")
    assert {name for (name,) in found} == {
        "六安经济开发区", "六安高新技术产业开发区", "安徽霍邱经济开发区", "舒城县经济开发区", "经济开发区",
        "水产局管辖村",
    }  # fmt: skip
    kinds = dict(built.rows("lib_geography__division", "division_kind, count(*)", "true group by 1"))
    assert (kinds["street"], kinds["town"], kinds["township"], kinds["statistical_town"]) == (10, 95, 35, 6)
    assert (kinds["city"], kinds["district"], kinds["county"]) == (1, 3, 4)


@pytest.mark.parametrize(
    ("kind", "ending"), [("street", "街道"), ("town", "镇"), ("township", "乡"), ("district", "区"), ("county", "县")]
)
def test_kinds_agree_with_names(built: Bench, kind: str, ending: str) -> None:
    names = built.rows("lib_geography__division", "division_name", f"division_kind = '{kind}'")
    assert names and all(str(name).endswith(ending) for (name,) in names)


def test_a_present_division_knows_since_when(built: Bench) -> None:
    since = dict(built.rows("lib_geography__division", "code, in_force_from", "division_level <> 'village'"))
    assert (since["341504"], since["341502"], since["341500"]) == (
        date(2015, 12, 1),
        date(1999, 1, 1),
        date(1999, 1, 1),
    )
    towns = {code: day for code, day in since.items() if len(code) == 9}
    assert towns and all(day == since[code[:6]] for code, day in towns.items()), (
        "no town is older than its county's code"
    )


def test_no_town_or_village_is_in_force_before_its_county(built: Bench) -> None:
    """叶集区 is of December 2015, 341502 and 341503 of 1999: their codes stand for nothing before."""
    columns = "code, in_force_from"
    begun = dict(built.rows("lib_geography__division_history", columns, "period_no = 1"))
    assert {code[:6] for code, day in begun.items() if len(code) > 6 and day == date(2015, 12, 1)} == {"341504"}
    assert all(day == begun[code[:6]] for code, day in begun.items() if len(code) > 6)


def test_an_address_is_in_a_building_whose_number_it_has(
    contracts: Contracts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A building without any number is not the one in which a whole village or street lies, though nothing differs."""
    bench, village = new_bench(tmp_path_factory.mktemp("buildings"), contracts), "341502001001"
    bench.load(
        "nrpb/building",
        *({"division_code": village, **given} for given in (
            {"building_code": "nameless"}, {"building_code": "roadside", "street": "皖西路"},
            {"building_code": "gate", "street": "皖西路", "gate_no": "1号"},
            {"building_code": "estate", "building_no": "3幢"},
        )),
    )  # fmt: skip
    bench.load(
        "psb/standard_address",
        *({"address_id": name, "division_code": village, **given} for name, given in (
            ("village", {}), ("street", {"street": "皖西路"}), ("at gate", {"street": "皖西路", "gate_no": "1号"}),
            ("in estate", {"building_no": "3幢", "room_no": "501室"}),
        )),
    )  # fmt: skip
    bench.build("lib_geography__division", "lib_geography__address")
    assert bench.rows("lib_geography__address", "address_id, building_code") == [
        ("at gate", "gate"), ("in estate", "estate"), ("street", None), ("village", None),
    ]  # fmt: skip


def test_the_row_that_says_that_a_code_ended_is_one_that_was_delivered(
    contracts: Contracts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a split whose parts came in two batches."""
    bench = new_bench(tmp_path_factory.mktemp("split"), contracts)
    split = {"predecessor_code": "342401", "division_change_kind": "split", "effective_on": "1999-01-01"}
    for batch, rows in ((1, ("C1", "C2")), (2, ("C3",))):
        parts = ({**split, "change_code": code, "successor_code": f"34150{code[1]}"} for code in rows)
        bench.load("dsrb/division_change", *parts, batch=batch)
    bench.build("lib_geography__division", "lib_geography__division_history")
    found = bench.rows("lib_geography__division_history", "source_rows", "code = '342401'")
    assert {rows for (rows,) in found} <= {f'{{"dsrb/division_change":"{at}"}}' for at in ("1:0", "1:1", "2:0")}
