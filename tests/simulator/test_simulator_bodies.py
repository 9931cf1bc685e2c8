"""Registers of what is no market entity, taxes, owners: sound codes, one truth behind them, days that matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

import pytest

from simulator.chance import Dice
from simulator.day import Day
from simulator.dirt import DirtRates
from simulator.loading import read_state
from simulator.ownership import WHOLE, split
from simulator.person import DAY_ZERO
from simulator.records import Records
from simulator.registers import News
from simulator.share_registers import Shareholders
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


def test_a_company_has_the_capital_that_its_holders_subscribed_and_what_they_paid_of_it(town: Town) -> None:
    paid: dict[str, float] = defaultdict(float)
    subscribed: dict[str, float] = defaultdict(float)
    for row in town.city.records(SHARES):
        paid[str(row["PRIPID"])] += float(row["ACCONAM"] or 0)
        subscribed[str(row["PRIPID"])] += float(row["SUBCONAM"] or 0)
    firms = [row for row in town.city.records(ENTITIES) if row["PRIPID"] in subscribed]
    assert all(abs(float(row["REGCAP"] or 0) - subscribed[str(row["PRIPID"])]) < 0.1 for row in firms)
    assert all(abs(float(row["RECCAP"] or 0) - paid[str(row["PRIPID"])]) < 0.1 for row in firms)
    assert 0.2 < sum(row["RECCAP"] is not None for row in firms) / len(firms) < 0.6


def test_on_the_day_of_another_capital_every_holding_is_another_amount(town: Town) -> None:
    amounts: dict[str, list[str | None]] = defaultdict(list)
    for row in town.city.records(SHARES):
        amounts[str(row["PRIPID"])].append(row["SUBCONAM"])
    firm, held = max(amounts.items(), key=lambda one: len(one[1]))
    alter = "UPDATE truth.record SET row[6] = '7777', row[20] = %s WHERE dataset = %s AND key = %s"
    with town.city._server.connect("truth") as truth:
        state = read_state(truth)
        assert state is not None
        day = Day(Records(truth), state)
        truth.execute(alter, [day.today.isoformat(), ENTITIES, firm])
        rows = Shareholders().day(News(day, truth, Dice(7, "capital"), DirtRates())).rows
        truth.rollback()
    revalued = [row for row in rows if row[1] == firm]
    assert len(held) > 1 and len({row[0] for row in revalued}) == len(revalued) == len(held)
    assert abs(sum(float(row[6] or 0) for row in revalued) - 7777) < 0.1
    assert all(row[7] in (None, row[6]) and str(row[-1])[:10] == day.today.isoformat() for row in revalued)


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
