"""The planted dirt: every defect is there, is what it says, is alone in its row, and is on record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime

import pytest
from stdnum.iso7064 import mod_11_2

from simulator.chance import Dice
from simulator.defects import DEFECTS, SHARED_NUMBER
from simulator.department import COLUMN_NAMES, Row, row_of
from simulator.dirt import FEWEST, DirtRates, InitialDirt, Planted, plant_disputed, quotas
from simulator.divisions import villages
from simulator.person import DAY_ZERO, Person
from simulator.population import households

PERSONS = 3_000
Delivery = tuple[Person, list[Row], Planted | None]


@pytest.fixture(scope="module")
def deliveries() -> list[Delivery]:
    dirt = InitialDirt(11, PERSONS, DirtRates())
    people = (person for household in households(11, PERSONS) for person in household)
    return [(person, *dirt.rows_of(person, DAY_ZERO)) for person in people]


@pytest.fixture(scope="module")
def planted(deliveries: list[Delivery]) -> list[tuple[Person, list[Row], Planted]]:
    return [(person, rows, entry) for person, rows, entry in deliveries if entry is not None]


def value(row: Row, column: str) -> str:
    return row[COLUMN_NAMES.index(column)] or ""


def is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return len(text) == 8


def number_is_sound(row: Row, birth: str | None = None) -> bool:
    number = value(row, "GMSFHM")
    return mod_11_2.is_valid(number) and number[6:14] == (birth or value(row, "CSRQ "))


def born(row: Row) -> date:
    return datetime.strptime(value(row, "CSRQ "), "%Y%m%d").date()


def digits_only(row: Row, column: str) -> str:
    return re.sub(r"\D", "", value(row, column))


DIVISIONS = {village.code for village in villages()}
TODAY = DAY_ZERO

# What a reader sees in a row with each defect; written from the description, not from the code that plants it.
SHOWS: dict[str, Callable[[Person, Row], bool]] = {
    "masked_id": lambda p, r: re.fullmatch(r"\d{6}\*{8}\d{3}[\dX]", value(r, "GMSFHM")) is not None,
    "short_id": lambda p, r: len(value(r, "GMSFHM")) == 17,
    "letters_in_id": lambda p, r: re.search(r"[A-Za-z]", value(r, "GMSFHM")[:17]) is not None,
    "date_that_is_none": lambda p, r: value(r, "CSRQ ").isdigit() and not is_date(value(r, "CSRQ ")),
    "date_is_a_time": lambda p, r: ":" in value(r, "CSRQ "),
    "date_is_a_word": lambda p, r: value(r, "CSRQ ").isalpha(),
    "name_empty": lambda p, r: r[COLUMN_NAMES.index("XM")] == "",
    "name_null_literal": lambda p, r: value(r, "XM") == "\\N",
    "name_placeholder": lambda p, r: value(r, "XM") == "暂无",
    "wrong_check_digit": lambda p, r: (
        value(r, "GMSFHM")[:17] == p.id_number[:17] and not mod_11_2.is_valid(value(r, "GMSFHM"))
    ),
    "transposed_digits": lambda p, r: (
        sorted(value(r, "GMSFHM")) == sorted(p.id_number)
        and value(r, "GMSFHM")[6:14] == value(r, "CSRQ ")
        and value(r, "GMSFHM")[16] == p.id_number[16]
        and not mod_11_2.is_valid(value(r, "GMSFHM"))
    ),
    "sex_no_code": lambda p, r: value(r, "XBDM") == "7",
    "sex_no_word": lambda p, r: value(r, "XBDM") == "未知人",
    "ethnicity_no_code": lambda p, r: value(r, "MZDM") == "99",
    "division_missing": lambda p, r: value(r, "SSXQ") not in DIVISIONS and value(r, "SSXQ").startswith("3415"),
    "division_foreign": lambda p, r: re.fullmatch(r"340422\d{6}", value(r, "SSXQ")) is not None,
    "birth_in_future": lambda p, r: number_is_sound(r) and born(r).year > TODAY.year + 30,
    "birth_before_1900": lambda p, r: number_is_sound(r) and 1850 <= born(r).year < 1900,
    "sentinel_99990909": lambda p, r: value(r, "CSRQ ") == "99990909",
    "birth_differs": lambda p, r: (
        mod_11_2.is_valid(value(r, "GMSFHM")) and not number_is_sound(r) and date(1900, 1, 2) <= born(r) < TODAY
    ),
    "sex_contradicts": lambda p, r: int(value(r, "XBDM")) % 2 != int(value(r, "GMSFHM")[16]) % 2,
    "sentinel_19000101": lambda p, r: value(r, "CSRQ ") == "19000101" != value(r, "GMSFHM")[6:14],
    "exact_copy": lambda p, r: r == row_of(p),
    "older_copy": lambda p, r: value(r, "GXSJ") < p.updated.isoformat(" ") and value(r, "HJ XZ") != p.address,
    "id_full_width": lambda p, r: any(character in value(r, "GMSFHM") for character in "\uff10\uff11\uff12\uff13"),
    "id_lower_case_x": lambda p, r: value(r, "GMSFHM").endswith("x"),
    "id_15_digits": lambda p, r: (
        value(r, "GMSFHM") == p.id_number[:6] + p.id_number[8:17] and value(r, "CSRQ ")[:2] == "19"
    ),
    "name_leading_space": lambda p, r: value(r, "XM") == " " + p.name,
    "name_trailing_space": lambda p, r: value(r, "XM").endswith(" "),
    "name_ideographic_space": lambda p, r: "\u3000" in value(r, "XM"),
    "sex_word": lambda p, r: value(r, "XBDM") == {"1": "男", "2": "女"}[p.sex],
    "sex_long_word": lambda p, r: value(r, "XBDM") == {"1": "男性", "2": "女性"}[p.sex],
    "birth_with_hyphens": lambda p, r: date.fromisoformat(value(r, "CSRQ ")) == p.birth,
    "birth_with_slashes": lambda p, r: date(*map(int, value(r, "CSRQ ").split("/"))) == p.birth,
    "phone_placeholder": lambda p, r: value(r, "LXDH") in ("\\N", "无", "暂无") and p.phone is None,
    "education_placeholder": lambda p, r: value(r, "WHCD") in ("\\N", "无", "暂无") and p.education is None,
    "former_name_placeholder": lambda p, r: value(r, "CYM") in ("\\N", "无", "暂无"),
    "phone_spaces": lambda p, r: value(r, "LXDH").count(" ") == 2 and digits_only(r, "LXDH") == p.phone,
    "phone_prefix": lambda p, r: value(r, "LXDH").startswith("+86") and digits_only(r, "LXDH") == f"86{p.phone}",
    "ethnicity_long_word": lambda p, r: value(r, "MZDM") == "汉族" and p.ethnicity == "01",
    "ethnicity_word": lambda p, r: value(r, "MZDM") == "汉" and p.ethnicity == "01",
    "wrong_name": lambda p, r: value(r, "XM") != p.name and value(r, "XM")[0] == p.name[0],
    "date_is_a_month": lambda p, r: value(r, "CSRQ ") == value(r, "GMSFHM")[6:12],
    "sentinel_18991231": lambda p, r: value(r, "CSRQ ") == "1899-12-31 12:00:00",
    "masked_phone": lambda p, r: re.fullmatch(r"1\d{2}\*{4}\d{4}", value(r, "LXDH")) is not None,
    "test_row": lambda p, r: value(r, "XM") == "测试",
    "cancelled_without_date": lambda p, r: value(r, "ZXBS") == "1" and r[COLUMN_NAMES.index("ZXRQ")] is None,
    "kind_no_code": lambda p, r: value(r, "HKXZ") == "9",
    "kind_word": lambda p, r: value(r, "HKXZ") in ("居民家庭户", "集体户", "农业", "非农业"),
    "cancelled_sentinel": lambda p, r: value(r, "ZXRQ") == "1899-12-31 12:00:00" and value(r, "ZXBS") == "0",
    "other_identity": lambda p, r: number_is_sound(r) and value(r, "GMSFHM") != p.id_number,
}
TWO_COLUMNS = {"birth_in_future", "birth_before_1900", "other_identity", "older_copy"}


def test_every_defect_is_described_here() -> None:
    assert set(SHOWS) == {defect.name for defect in DEFECTS}


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_a_planted_row_shows_its_defect(name: str, planted: list[tuple[Person, list[Row], Planted]]) -> None:
    found = [(person, rows[-1], entry) for person, rows, entry in planted if entry.defect == name]
    assert len(found) >= FEWEST
    for person, row, entry in found:
        assert SHOWS[name](person, row), row
        assert entry.shown == row[COLUMN_NAMES.index(entry.column)]
        assert entry.true == row_of(person)[COLUMN_NAMES.index(entry.column)]
        assert entry.gxsj.isoformat(" ") == value(row, "GXSJ")
        assert (entry.rybh, entry.day, person.defect) == (person.rybh, DAY_ZERO, name)


def test_a_planted_row_carries_exactly_one_defect(planted: list[tuple[Person, list[Row], Planted]]) -> None:
    for person, rows, entry in planted:
        clean = row_of(person)
        changed = sum(now != was for now, was in zip(rows[-1], clean, strict=True))
        if entry.kind == "duplicate":
            assert rows[0] == clean
            assert len(rows) == 2
        else:
            assert len(rows) == 1
        expected = 0 if entry.defect == "exact_copy" else 2 if entry.defect in TWO_COLUMNS else 1
        assert changed == expected, entry


def test_rows_without_a_record_are_clean(deliveries: list[Delivery]) -> None:
    assert all(rows == [row_of(person)] for person, rows, entry in deliveries if entry is None)


def test_everything_planned_found_a_place(planted: list[tuple[Person, list[Row], Planted]]) -> None:
    found = Counter(entry.defect for _, _, entry in planted)
    assert found.pop(SHARED_NUMBER) == max(round(DirtRates().shared * PERSONS), FEWEST)
    assert found == {defect.name: quota for defect, quota in quotas(DirtRates(), PERSONS).items()}
    assert len({entry.rybh for _, _, entry in planted}) == len(planted)


def test_the_default_rates_are_as_documented() -> None:
    planned = quotas(DirtRates(), 60_000)
    assert min(planned.values()) >= 3
    refusable = sum(quota for defect, quota in planned.items() if defect.refusable)
    cleanable = sum(quota for defect, quota in planned.items() if defect.kind == "cleanable")
    undetectable = sum(quota for defect, quota in planned.items() if defect.undetectable)
    assert refusable == pytest.approx(0.012 * 60_000, rel=0.01)
    assert cleanable == pytest.approx(0.03 * 60_000, rel=0.01)
    assert undetectable == pytest.approx(0.001 * 60_000, rel=0.01)


def test_one_death_in_ten_is_registered_some_days_early() -> None:
    dice = Dice(3, "deaths")
    people = [person for household in households(4, 600) for person in household if person.age(DAY_ZERO) > 1]
    for person in people:
        person.status, person.ended = "dead", date(2025, 12, 30)
    planted = [found for one in people if (found := plant_disputed(one, DAY_ZERO, DirtRates(), dice))]
    assert 0.05 * len(people) < len(planted) < 0.15 * len(people)
    for rows, entry in planted:
        assert (entry.kind, entry.defect, entry.true) == ("disputed", "death_registered_early", "20251230")
        assert "20251221" <= value(rows[0], "SWRQ") == entry.shown < "20251230"
    assert {one.defect for one in people} == {None, "death_registered_early"}
    assert not any(plant_disputed(one, DAY_ZERO, DirtRates(disputed=0.0), dice) for one in people)


def test_a_rate_of_zero_plants_nothing_and_high_rates_plant_much() -> None:
    none = DirtRates(**dict.fromkeys(asdict(DirtRates()), 0.0))
    people = [person for household in households(2, 800) for person in household]
    dirt = InitialDirt(2, 800, none)
    assert all(dirt.rows_of(person, DAY_ZERO)[1] is None for person in people)
    dirt = InitialDirt(2, 800, DirtRates(format=0.2, cleanable=0.2))
    assert sum(dirt.rows_of(person, DAY_ZERO)[1] is not None for person in people) > 280


@pytest.mark.parametrize("rates", [{"format": -0.1}, {"cleanable": 0.6}])
def test_impossible_rates_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        DirtRates(**rates)
