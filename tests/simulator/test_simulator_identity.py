"""Rows that do not say rightly who they are about: how many, what is wrong with them, and how alike people are."""

from collections import Counter

import pytest

from simulator import DirtRates
from simulator.care_registers import HealthRecords
from simulator.chance import Dice
from simulator.dirt import Planted
from simulator.identity import complete
from simulator.identity_dirt import BARE, ID_SHARES, NAME_SHARES, name_change
from simulator.person import DAY_ZERO, Person
from simulator.population import households
from simulator.registers import Everybody, Row, with_mistakes
from tests.city import seed_from_clock

ID, NAME, ADDRESS, BIRTH = 1, 2, 4, 16
PERSONS = 60_000
Pair = tuple[Planted, Row, Row]
"""What was planted, the row as it should be and as it is delivered."""


@pytest.fixture(scope="module")
def people() -> list[Person]:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    return [person for household in households(seed, PERSONS) for person in household]


@pytest.fixture(scope="module")
def pairs(people: list[Person]) -> list[Pair]:
    """Each row of a register of which only identity dirt is asked for."""
    dice, register = Dice(seed_from_clock(), "identity"), HealthRecords()
    city = Everybody(DAY_ZERO, people, dice, None)  # type: ignore[arg-type]  # the truth is not asked
    clean = {str(row[0]): row for row in register.initial(city)}
    rates = DirtRates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, identity=0.025, disputed=0)
    delivery, _ = with_mistakes(register, list(clean.values()), rates, DAY_ZERO, dice)
    shown = {str(row[0]): row for row in delivery.rows}
    return [(entry, clean[entry.rybh], shown[entry.rybh]) for entry in delivery.planted]


def test_as_many_rows_as_asked_for_and_none_is_to_be_refused(pairs: list[Pair]) -> None:
    assert len(pairs) == pytest.approx(0.025 * 0.93 * PERSONS, rel=0.05)
    assert not any(entry.refusable for entry, _, _ in pairs)
    found = Counter(entry.defect.removesuffix("_bare") for entry, _, _ in pairs)
    for defect, share in ID_SHARES.items():
        assert found[defect] / len(pairs) == pytest.approx(share, abs=0.02), defect


def test_a_number_is_never_the_persons_own(pairs: list[Pair]) -> None:
    for entry, clean, shown in pairs:
        assert shown[ID] != clean[ID], entry.defect
        number = shown[ID] or ""
        if entry.defect.startswith("mistyped_id"):
            assert len(number) < 18 or complete(number[:17]) != number
        if entry.defect.startswith("others_id"):
            assert complete(number[:17]) == number


def test_half_of_the_rows_lack_the_birth_date_or_the_address(pairs: list[Pair]) -> None:
    lacking = sum(None in (shown[BIRTH], shown[ADDRESS]) for _, _, shown in pairs)
    assert lacking / len(pairs) == pytest.approx(BARE, abs=0.03)


def test_some_names_are_written_otherwise(pairs: list[Pair]) -> None:
    others = sum(clean[NAME] != shown[NAME] for _, clean, shown in pairs)
    assert 0.04 < others / len(pairs) < 0.14


def test_one_in_a_hundred_shares_name_sex_birth_year_and_town_with_another(people: list[Person]) -> None:
    alike = Counter((one.name, one.sex, one.birth.year, one.division[:9]) for one in people)
    assert sum(count for count in alike.values() if count > 1) >= 0.01 * len(people)


def test_there_are_twins_and_children_with_the_telephone_of_a_parent(people: list[Person]) -> None:
    together = Counter((one.household, one.birth) for one in people)
    assert sum(count > 1 for count in together.values()) > 0.001 * len(people)
    phones = Counter((one.household, one.phone) for one in people if one.phone)
    assert sum(count > 1 for count in phones.values()) > 0.02 * len(people)


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("欧阳国强", ""),
        ("欧阳帼强", "same_sound"),
        ("欧阳國强", "variant"),
        ("国强欧阳", "swapped_name"),
        ("欧阳建军", "former_name"),
    ],
)
def test_what_was_done_to_a_name_can_be_told(told: str, change: str) -> None:
    assert name_change("欧阳国强", told) == change


def test_names_are_changed_as_often_as_said(pairs: list[Pair]) -> None:
    found = Counter(name_change(str(clean[NAME]), str(shown[NAME])) for _, clean, shown in pairs)
    for change in ("former_name", "swapped_name"):
        assert found[change] / len(pairs) == pytest.approx(NAME_SHARES[change], abs=0.016), change
    assert found[""] / len(pairs) > 1 - sum(NAME_SHARES.values()) - 0.03
