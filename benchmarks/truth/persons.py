"""What is true of each person, for the golden cells of the population library."""

from collections.abc import Iterator
from typing import Any

from benchmarks.truth.survival import Library, Survivors, survive
from benchmarks.truth.town import LivedTown
from citylake.compared.libraries.persons import MODELS, PERSON
from citylake.compared.libraries.told import doubtful_numbers, named
from pipelines.contracts.load import Contracts
from simulator.department import COLUMN_NAMES, row_of
from simulator.standing import CAME_IN, DEAD, Standing, standings

REGISTER, FLOATING = "psb/household_person", "psb/floating_person"
BY_REGISTER = (
    "name", "sex", "ethnicity", "birth_date", "education", "mobile", "birth_place", "native_place", "military_status",
    "division_code", "address", "former_name",
)  # fmt: skip
"""Columns whose truth is the clean row of the household register, of who was ever in it."""
WHILE_REGISTERED = ("household_no", "household_relation", "registration_kind", "police_station", "residents_group")
"""The same, of who is in it now."""
WHEN_LEFT = ("moved_out_on", "move_out_kind", "death_kind", "cancelled_on")
"""The same, of who has left it."""
BY_FLOATING = ("name", "sex", "origin_county", "division_code", "address", "mobile", "residence_address")
"""Columns whose truth is the clean row of the floating register, of who stands only there."""
DIGITS = {"marital_status": 1}
"""Columns of which so many characters are compared: remarried is a kind of married."""


def survivors(town: LivedTown) -> Survivors:
    """Each column of the library beside the truth: by the matrix, and by each of its sources alone."""
    true = {number: truth_of(one, town.contracts) for number, one in standings(town.city).items()}
    for number in doubtful_numbers(town.city):
        true.pop(number, None)
    return survive(
        town, Library("population/person", PERSON, "id_number", MODELS, "lib_population__conflict", DIGITS), true
    )


def truth_of(one: Standing, contracts: Contracts) -> dict[str, Any]:
    """The true values of a person, by column; what the simulator does not know is left out."""
    found = dict(_of_register(one, contracts)) if one.person is not None else dict(_of_floating(one, contracts))
    if one.married is not None and one.status != DEAD:
        found["marital_status"] = one.married
    if one.died is not None:
        found["died_on"] = one.died
    if one.lives is not None:
        found["residence_division"] = one.lives
    return {name: value for name, value in found.items() if value is not None}


def _of_register(one: Standing, contracts: Contracts) -> Iterator[tuple[str, Any]]:
    person = one.person
    assert person is not None
    row = named(dict(zip(COLUMN_NAMES, row_of(person), strict=True)), REGISTER, contracts)
    living = person.status == "living"
    for name in (*BY_REGISTER, *(WHILE_REGISTERED if living else WHEN_LEFT)):
        yield name, row[name]


def _of_floating(one: Standing, contracts: Contracts) -> Iterator[tuple[str, Any]]:
    assert one.lodging is not None
    row = named(one.lodging, FLOATING, contracts)
    row["address"] = row["origin_address"]
    for name in BY_FLOATING:
        if name != "residence_address" or one.status == CAME_IN:
            yield name, row[name]
