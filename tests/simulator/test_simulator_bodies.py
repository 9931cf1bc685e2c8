"""Registers of what is no market entity, taxes, owners: sound codes, one truth behind them, days that matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

import pytest

from simulator.chance import Dice
from simulator.ownership import WHOLE, split
from simulator.person import DAY_ZERO
from tests.simulator.test_simulator_firms import ENTITIES, USCC, is_sound
from tests.simulator.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

Columns = tuple[str, str, str, str, str, str]
REGISTERS: dict[str, tuple[Columns, set[str]]] = {
    # code, name of the head, number of the head, status, day of the end, day of the foundation
    "shzz.T_SHZZ": (("TYSHXYDM", "FDDBR", "FDDBRZJHM", "ZT", "ZXRQ", "CLDJRQ"), {"51", "52", "53"}),
    "jgsydw_*.xlsx": (
        ("统一社会信用代码", "法定代表人", "证件号码", "登记状态", "注销日期", "设立日期"), {"11", "12", "13"}
    ),
    "njzz_*.xml": (("TYSHXYDM", "FDDBR", "SFZHM", "DJZT", "ZXRQ", "DJRQ"), {"N1", "N2", "N3"}),
}  # fmt: skip
TAXES, SHARES = "nsxx_*.csv", "scjg.E_INV_INVESTMENT"


@pytest.mark.long
def test_codes_are_sound_of_the_right_kind_and_nobody_elses(town: Town) -> None:
    firms = [str(row[USCC]) for row in town.city.records(ENTITIES)]
    everybody = Counter(firms)
    for dataset, (columns, kinds) in REGISTERS.items():
        codes = [str(row[columns[0]]) for row in town.city.records(dataset)]
        assert all(map(is_sound, codes)) and {code[:2] for code in codes} == kinds
        everybody.update(codes)
    assert max(everybody.values()) == 1


@pytest.mark.long
def test_heads_are_people_of_the_truth_people_of_elsewhere_or_without_a_number(town: Town) -> None:
    for dataset, ((_, name, number, *_), _) in REGISTERS.items():
        found = Counter()
        for row in town.city.records(dataset):
            known = town.people.get(str(row[number]))
            assert known is None or known["name"] == row[name] or known["status"] != "living"
            found["no number" if row[number] is None else "known" if known else "elsewhere"] += 1
        assert set(found) == {"no number", "known", "elsewhere"} and found["known"] > 100, dataset


@pytest.mark.long
def test_who_ended_has_a_day_and_nobody_else(town: Town) -> None:
    for dataset, ((*_, status, ended, founded), _) in REGISTERS.items():
        for row in town.city.records(dataset):
            assert (row[status] == "1") == (row[ended] is None)
            assert str(row[founded]) <= (row[ended] or "9")


def test_taxpayers_are_of_the_registers_or_of_none(town: Town) -> None:
    known = {row[columns[0]] for dataset, (columns, _) in REGISTERS.items() for row in town.city.records(dataset)}
    known |= {row[USCC] for row in town.city.records(ENTITIES)}
    rows = town.city.records(TAXES)
    assert {str(row["NSRSBH"])[:2] for row in rows if row["NSRSBH"] not in known} == {"31", "71", "81"}
    periods = Counter((row["NSRSBH"], row["ZSXM"], row["SKSSQ"]) for row in rows)
    assert max(periods.values()) == 1
    assert all(str(row["SKSSQ"]) < str(row["SBRQ"])[:7].replace("-", "") for row in rows)
    assert {row["SBRQ"] for row in rows} >= {day.isoformat() for day in town.daily}


def test_the_shares_of_a_company_are_all_there_are(town: Town) -> None:
    shares: dict[str, float] = defaultdict(float)
    for row in town.city.records(SHARES):
        shares[str(row["PRIPID"])] += float(row["SUBCONPROP"] or 0)
        assert (row["CERNO"] is None) or (row["BLICNO"] is None)
    assert all(abs(total - 100) < 1e-6 for total in shares.values())
    capital = {row["PRIPID"]: row for row in town.city.records(ENTITIES) if row["ENTTYPE"] in ("1100", "1130", "1200")}
    assert set(shares) == set(capital)


def test_what_a_company_has_been_paid_is_what_its_holders_paid(town: Town) -> None:
    paid: dict[str, float] = defaultdict(float)
    subscribed: dict[str, float] = defaultdict(float)
    for row in town.city.records(SHARES):
        paid[str(row["PRIPID"])] += float(row["ACCONAM"] or 0)
        subscribed[str(row["PRIPID"])] += float(row["SUBCONAM"] or 0)
    firms = [row for row in town.city.records(ENTITIES) if row["PRIPID"] in subscribed]
    unchanged = [row for row in firms if abs(float(row["REGCAP"]) - subscribed[row["PRIPID"]]) < 0.1]
    assert len(unchanged) > 0.9 * len(firms)
    assert all(abs(float(row["RECCAP"] or 0) - paid[row["PRIPID"]]) < 0.1 for row in unchanged)
    assert 0.2 < sum(row["RECCAP"] is not None for row in firms) / len(firms) < 0.6


def test_companies_hold_companies_and_some_each_other(town: Town) -> None:
    numbers = {row[USCC]: row["PRIPID"] for row in town.city.records(ENTITIES)}
    edges = {(row["PRIPID"], numbers[row["BLICNO"]]) for row in town.city.records(SHARES) if row["BLICNO"] in numbers}
    assert len(edges) > 3
    above: dict[str | None, set[str | None]] = defaultdict(set)
    for held, holder in edges:
        above[held].add(holder)
    second = {held: {far for near in holders for far in above.get(near, ())} for held, holders in above.items()}
    third = {held: {far for near in holders for far in above.get(near, ())} for held, holders in second.items()}
    assert any(held in second[held] | third[held] for held in above), "no circle"
    kinds = {row["INVTYPE"] for row in town.city.records(SHARES)}
    assert {"1", "2", "3"} <= kinds


def test_a_branch_names_a_company_that_is_older(town: Town) -> None:
    firms = {row[USCC]: row for row in town.clean(town.last, ENTITIES, "PRIPID")}
    branches = [row for row in firms.values() if row["ENTTYPE"] == "2100"]
    assert branches and all(is_sound(row["SUP_UNISCID"]) for row in branches)
    for row in branches:
        above = firms.get(row["SUP_UNISCID"])
        assert above is None or above["ESTDATE"] < row["ESTDATE"]
    assert all(row["SUP_UNISCID"] is None for row in firms.values() if row["ENTTYPE"] != "2100")


def test_splits_are_whole() -> None:
    dice = Dice(7, "split")
    for parts in (1, 2, 3, 4):
        for _ in range(200):
            found = split(dice, WHOLE, parts)
            assert sum(found) == WHOLE and all(share > 0 for share in found)


def test_the_days_bring_new_heads_and_ends(town: Town) -> None:
    updated = [str(row["GXSJ"])[:10] for row in town.city.records("shzz.T_SHZZ")]
    assert sum(date.fromisoformat(day) > DAY_ZERO for day in updated) >= len(town.daily)
