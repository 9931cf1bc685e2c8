"""Rows of the sources of the population library, drawn so that everything meets: few persons, households, days, codes.

Belongs here: values. Does not belong here: which records come and go.
"""

import random
from collections.abc import Mapping
from datetime import date
from typing import Any

from pipelines.contracts.load import SourceContract

SOURCES = (
    *("psb/household_person", "psb/floating_person", "hrssb/insurance", "hc/health_record", "cab/marriage"),
    *("cab/cremation", "cab/subsistence_allowance", "esb/pupil", "hsb/insured", "hpf/fund_deposit"),
    *("cab/elderly_person", "hc/birth_certificate"),
)
CLAIMS = [f"p{number:03}" for number in range(150)]
DIVISIONS = ("341502", "341503", "341502001", "341502001001", "341503001001")

_POOLS: Mapping[str, list[Any]] = {
    "household_no": [*(f"H{place}" for place in range(40)), None],
    "household_relation": ["01", "02", "10"],
    "cancelled": ["0", "0", "1"],
    "floating_status": ["0", "1"],
    "record_status": ["0", "1"],
    "marriage_registration_type": ["1", "1", "2", "3", "4"],
}
_KINDS: Mapping[str, list[Any]] = {
    "date": [*(date(2026, 1, day) for day in (1, 2, 3)), None],
    "timestamp": [*(f"2026-01-0{day} 00:00:00+00" for day in (1, 2)), None],
    "integer": [1, 2, None],
    "number": [1, 2, None],
    "boolean": [True, False],
}


def division(code: str) -> dict[str, Any]:
    """A row of dsrb/division."""
    return {"code": code, "division_name": f"区{code}", "division_level": "county" if len(code) == 6 else "town"}


def row(dice: random.Random, source: SourceContract, number: int) -> dict[str, Any]:
    """What a source may say of its record `number`: the parts of its key are its own, all else others have too."""
    return {column.name: _value(dice, source, column.name, column.definition, number) for column in source.all_columns}


def _value(dice: random.Random, source: SourceContract, name: str, definition: Any, number: int) -> Any:
    if name in source.form.load.key:
        return number if definition.logicalType == "integer" else f"{name}{number:03}"
    if name.endswith("person_id"):
        return dice.choice([*CLAIMS, None])
    if name == "id_number":
        return f"3415021990010{dice.randrange(1, 9)}00{dice.randrange(10)}X"
    if name.endswith("division_code"):
        return dice.choice([*DIVISIONS, None])
    return dice.choice(_POOLS.get(name) or _KINDS.get(definition.logicalType) or ["1", "2", "3", None])
