"""Firms, alterations, permits and penalties: valid codes, one truth behind all tables, days that change something."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date, timedelta
from itertools import pairwise

import pytest
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_2

from simulator.chance import Dice
from simulator.credit import subject_of_person
from simulator.credit_registers import Penalties
from simulator.firms import ACTIVE, found, founding_day, with_history
from simulator.person import DAY_ZERO
from simulator.population import households
from tests.simulator.towns import PERSONS, Town

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

ENTITIES, ALTERATIONS = "scjg.E_BASEINFO", "scjg.E_ALTER_RECODER"
PERMITS, PENALTIES = "xygs.T_XZXK", "xygs.T_XZCF"
USCC = "UNI_ SOCIAL_CRD_ CD"
ITEMS = {
    "名称变更": "ENTNAME",
    "注册资本变更": "REGCAP",
    "法定代表人变更": "LEREP",
    "住所变更": "DOM",
    "经营范围变更": "OPSCOPE",
}
AUTHORITIES = {
    "11341500MBX800024J",
    "11341500MBX800032D",
    "11341500MBX8000408",
    "11341500MBX8000670",
    "11341500MBX800075T",
    "11341500MBX800083M",
}


def is_sound(code: str) -> bool:
    """GB 32100 and, inside, GB 11714, read from the standards once more."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    if len(code) != 18 or set(code) - set(alphabet):
        return False
    outer = 31 - sum(alphabet.index(character) * 3**place for place, character in enumerate(code[:17])) % 31
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    inner = 11 - sum(int(character, 36) * weight for character, weight in zip(code[8:16], weights, strict=True)) % 11
    return alphabet[outer % 31] == code[17] and {10: "X", 11: "0"}.get(inner, str(inner)) == code[16]


def test_a_tenth_as_many_entities_as_people_with_valid_codes_of_their_own(town: Town) -> None:
    entities = town.clean(town.first, ENTITIES, "PRIPID")

    assert len({row["PRIPID"] for row in town.first[ENTITIES]}) == PERSONS / 10
    assert all(is_sound(row[USCC]) for row in entities)
    assert all(uscc.is_valid(row[USCC]) for row in entities)
    assert len({row[USCC] for row in entities}) == len(entities)
    prefixes = {"9500": "92", "9100": "93"}
    assert all(row[USCC][:8] == prefixes.get(row["ENTTYPE"], "91") + row["DOMDISTRICT"] for row in entities)


def test_the_check_of_this_test_knows_published_codes() -> None:
    assert is_sound("91350100M000100Y43") and is_sound("91110000600037341L") and is_sound("N2341502MF12345670")
    assert not is_sound("91350100M000100Y44") and not is_sound("91110000600037342L")


def test_legal_representatives_are_living_adults_of_the_truth(town: Town) -> None:
    for row in town.clean(town.first, ENTITIES, "PRIPID"):
        person = town.people[row["CERNO"]]
        assert (person["name"], person["status"]) == (row["LEREP"], "living")
        assert person["birth"] + timedelta(days=18 * 365) < date.fromisoformat(row["ESTDATE"])


def test_entities_contradict_themselves_nowhere(town: Town) -> None:
    for row in town.clean(town.last, ENTITIES, "PRIPID"):
        assert (row["REGSTATE"] == ACTIVE) == (row["CANDATE"] is None)
        assert row["ESTDATE"] <= row["APPRDATE"] <= (row["CANDATE"] or "9")
        assert row["OPFROM"] < (row["OPTO"] or "9")
        assert (row["REGCAP"] is None) == (row["REGCAPCUR"] is None)
        assert row["REGCAP"] is not None or row["ENTTYPE"] not in ("1100", "1130", "1200")
        assert re.fullmatch(r"[A-T]\d{4}", row["INDUSTRYCO"])
        assert row["DOM"].startswith("安徽省六安市")
        assert (row["REVREASON"] is not None) == (row["REGSTATE"] == "2")
        assert re.fullmatch(r"3415\d{11}", row["REGNO"]) and has_right_check(row["REGNO"])


def has_right_check(number: str) -> bool:
    """The check of GS 15-2006 (ISO 7064, MOD 11,10)."""
    kept = 10
    for digit in number[:-1]:
        kept = ((kept + int(digit)) % 10 or 10) * 2 % 11
    return (kept + int(number[-1])) % 10 == 1


def test_alterations_lead_to_what_the_register_says_now(town: Town) -> None:
    for tables in (town.first, town.last):
        entities = {row["PRIPID"]: row for row in town.clean(tables, ENTITIES, "PRIPID")}
        chains = defaultdict(list)
        sound = {row["ALTID"] for row in town.clean(tables, ALTERATIONS, "ALTID")}
        wrong = {row["PRIPID"] for row in tables[ALTERATIONS] if row["ALTID"] not in sound}
        wrong |= {one.true for one in town.planted if one.dataset == ALTERATIONS and one.column == "PRIPID"}
        for row in sorted(town.clean(tables, ALTERATIONS, "ALTID"), key=lambda row: row["ALTID"]):
            if row["PRIPID"] in entities and row["PRIPID"] not in wrong:
                chains[row["PRIPID"], row["ALTITEM"]].append(row)

        assert len(chains) > 30
        for (number, item), chain in chains.items():
            assert chain[-1]["ALTAF"] == entities[number][ITEMS[item]], (number, item)
            assert all(one["ALTAF"] == other["ALTBE"] for one, other in pairwise(chain))
            assert all(row["ALTBE"] != row["ALTAF"] for row in chain)
            assert entities[number]["APPRDATE"] >= chain[-1]["ALTDATE"]


def test_histories_of_many_firms_are_chains() -> None:
    people = [person for home in households(5, 500) for person in home if 18 < person.age(DAY_ZERO) < 75]
    dice = Dice(5, "firms")
    firms = [found(dice, number, person, founding_day(dice, person, DAY_ZERO)) for number, person in enumerate(people)]

    for firm in firms:
        for alteration in with_history(dice, firm, DAY_ZERO, lambda: dice.pick(people)):
            assert firm.established <= alteration.altered <= firm.approved <= DAY_ZERO

    assert 0.7 < sum(firm.status == ACTIVE for firm in firms) / len(firms) < 0.95


def test_every_day_brings_foundations_alterations_and_an_end(town: Town) -> None:
    wrong = {entry.rybh for entry in town.planted if entry.dataset == ENTITIES}
    before = {row["PRIPID"]: row for row in town.first[ENTITIES]}
    for day, tables in town.daily.items():
        now = {row["PRIPID"]: row for row in tables[ENTITIES]}
        founded = [row for number, row in now.items() if number not in {*before, *wrong}]
        changed = [row for number, row in now.items() if number in before and before[number] != row]
        assert founded and {row["ESTDATE"] for row in founded} == {day.isoformat()}
        assert any(row["CANDATE"] == day.isoformat() for row in changed)
        assert any(row["APPRDATE"] == day.isoformat() for row in changed)
        assert {row["S_EXT_TIMESTAMP"][:10] for row in [*founded, *changed]} == {day.isoformat()}
        assert before.keys() <= now.keys()
        before = now


def test_permits_and_penalties_are_about_registered_entities_and_living_people(town: Town) -> None:
    with town.city._server.connect("truth") as truth:
        found_rows = truth.execute("SELECT row[2], row[3] FROM truth.record WHERE dataset = %s", [ENTITIES]).fetchall()
    registered = {code for code, _ in found_rows}
    categories: Counter[str] = Counter()
    for dataset, key, prefix in ((PERMITS, "XK_BH", "XK_XDR"), (PENALTIES, "CF_BH", "CF_XDR")):
        for row in town.clean(town.last, dataset, key):
            category = row[f"{prefix}_LB"]
            number = row["XK_XDR_ZJHM" if dataset == PERMITS else "CF_XDR_SFZ"]
            categories[category] += 1
            if category == "2":
                assert row[f"{prefix}_SHXYM"] is None and mod_11_2.is_valid(number)
                assert number in town.people or number[6:10] >= "2026"
            else:
                assert number is None and row[f"{prefix}_SHXYM"] in registered
                assert row[f"{prefix}_SHXYM"].startswith("92") == (category == "3")

    assert set(categories) == {"1", "2", "3"}


def test_decisions_are_signed_numbered_and_dated(town: Town) -> None:
    for dataset, code, document, decided in (
        (PERMITS, "XK_XKJGDM", "XK_WSH", "XK_JDRQ"),
        (PENALTIES, "CF_CFJGDM", "CF_WSH", "CF_JDRQ"),
    ):
        for row in town.clean(town.last, dataset, "XK_BH" if dataset == PERMITS else "CF_BH"):
            assert row[code] in AUTHORITIES and is_sound(row[code])
            assert re.fullmatch(rf"六[\u4e00-\u9fa5]+〔{row[decided][:4]}〕\d+号", row[document])
            assert row[decided] <= row["GXSJ"][:10]


def test_decisions_come_late_but_by_no_more_than_two_days(town: Town) -> None:
    known = {row["XK_BH"] for row in town.first[PERMITS]}
    lateness = Counter()
    for day, tables in town.daily.items():
        for row in tables[PERMITS]:
            if row["XK_BH"] not in known:
                lateness[(day - date.fromisoformat(row["GXSJ"][:10])).days] += 1
        known |= {row["XK_BH"] for row in tables[PERMITS]}

    assert set(lateness) <= {0, 1, 2} and lateness[1] + lateness[2] > 0


def test_a_decision_may_be_withdrawn_later(town: Town) -> None:
    first = {row["XK_BH"]: row for row in town.first[PERMITS]}
    changed = [row for row in town.last[PERMITS] if row["XK_BH"] in first and row != first[row["XK_BH"]]]

    assert changed
    assert {row["XK_ZT"] for row in changed} == {"2"}
    assert all(row["GXSJ"] > first[row["XK_BH"]]["GXSJ"] for row in changed)


def test_amounts_are_in_ten_thousands_except_where_a_clerk_wrote_yuan(town: Town) -> None:
    """A fine is of category 2 alone."""
    for row in town.clean(town.last, PENALTIES, "CF_BH"):
        amounts = (("罚款", row["CF_NR_FK"]), ("没收违法所得", row["CF_NR_WFFF"]))
        told = [f"{what}人民币{round(float(amount) * 10_000)}元" for what, amount in amounts if amount is not None]
        if told:
            assert row["CF_NR"] == "，".join(told)
        if row["CF_NR_FK"] is not None:
            assert row["CF_CFLB1"] == "2"


def test_a_confiscation_stands_beside_a_fine_or_by_itself() -> None:
    """Few decisions have one: a town of 2,000 may have none of a kind."""
    adults = [person for home in households(9, 3_000) for person in home if person.age(DAY_ZERO) >= 18]
    penalties, alone = Penalties(), set()
    for number, person in enumerate(adults):
        row = penalties._row(Dice(9, f"penalty {number}"), number, subject_of_person(person), DAY_ZERO)
        told = dict(zip(penalties.place.names, row, strict=True))
        if told["CF_NR_WFFF"] is not None:
            alone.add(told["CF_NR_FK"] is None)
    assert alone == {True, False}
