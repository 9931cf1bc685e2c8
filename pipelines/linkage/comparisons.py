"""What is compared between a row and a person, in Splink's form: the shape of the model, whose weights are trained.

The row is the left side (`_l`), the registered person the right one. Each comparison lists its levels, best first.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.linkage.matching import KEYS

_SAME_ADDRESS = "address_l = address_r"
_VILLAGE = "division_l = division_r"
_TOWN = "town_l = town_r"
_PLACES = {
    "address": _SAME_ADDRESS,
    "village, address unknown": f"{_VILLAGE} AND (address_l IS NULL OR address_r IS NULL)",
    "village": _VILLAGE,
    "town": _TOWN,
    "elsewhere": "true",
}
_ALIKE = "sorted_near_l = sorted_near_r"
_MOBILES = {
    "same mobile": "mobile_l = mobile_r",
    "mobile unknown": "mobile_l IS NULL OR mobile_r IS NULL",
    "other mobile": "true",
}
_HOUSEHOLD = {
    f"{place}, {mobile}": f"({where}) AND ({phone})" if (place, mobile) != ("elsewhere", "other mobile") else "ELSE"
    for place, where in _PLACES.items()
    for mobile, phone in _MOBILES.items()
}

COMPARISONS: Mapping[str, Mapping[str, str]] = {
    "name": {
        "null": "name_l IS NULL OR name_r IS NULL",
        "same": "name_l = name_r",
        "same sound": "sound_l = sound_r",
        "near sound": "near_l = near_r",
        "signs in other order": "sorted_signs_l = sorted_signs_r",
        "sounds in other order": "sorted_near_l = sorted_near_r",
        # siblings and cousins share the surname and a generation character
        "surname and one character": "first_l = first_r AND (second_l = second_r OR last_l = last_r)",
        "surname": "first_l = first_r",
        "other": "ELSE",
    },
    "id": {
        # A number that is right, and nobody's in the registers, says something only if it is a slip away.
        "null": "id_l IS NULL OR id_r IS NULL OR (claim_l IS NOT NULL AND damerau_levenshtein(id_l, id_r) > 2)",
        "masked, end seen": "id_tail_l IS NOT NULL AND id_r LIKE id_pattern_l",
        "masked, end hidden": "id_r LIKE id_pattern_l",
        "one slip": "damerau_levenshtein(id_l, id_r) = 1",
        "two slips": "damerau_levenshtein(id_l, id_r) = 2",
        "other": "ELSE",
    },
    "birth": {
        # What the number of both says is not counted twice, nor that they were found by name and birth date.
        "null": "birth_l IS NULL OR birth_r IS NULL OR (birth_l = birth_r AND "
        f"(coalesce(id_birth_l = id_birth_r, false) OR coalesce({_ALIKE}, false) AND NOT coalesce({_TOWN}, false)))",
        "same": "birth_l = birth_r",
        "day and month exchanged": "birth_swapped_l = birth_r",
        "one slip": "damerau_levenshtein(birth_l, birth_r) = 1",
        "same year": "left(birth_l, 4) = left(birth_r, 4)",
        "other": "ELSE",
    },
    "sex": {"null": "sex_l IS NULL OR sex_r IS NULL", "same": "sex_l = sex_r", "other": "ELSE"},
    # Place and telephone are those of a household: taken apart, both would count for every member of it. They say
    # little between people of different names, who are mostly relatives, and much between namesakes, who are not.
    "namesake": {"null": f"NOT coalesce({_ALIKE}, false)", **_HOUSEHOLD},
    "household": {"null": _ALIKE, **_HOUSEHOLD},
}


def settings(chances: Mapping[str, Mapping[str, tuple[float, float]]], prior: float) -> dict[str, Any]:
    """Splink's settings with the chances of each level: comparison -> level -> (among pairs of one person, of two)."""
    return {
        "link_type": "link_only",
        "sql_dialect": "duckdb",
        "probability_two_random_records_match": prior,
        "unique_id_column_name": "unique_id",
        "source_dataset_column_name": "source_dataset",
        "additional_columns_to_retain": ["claim", "birth_date"],
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": False,
        "blocking_rules_to_generate_predictions": [f"l.{key} = r.{key}" for key in KEYS],
        "comparisons": [
            {
                "output_column_name": name,
                "comparison_levels": [_level(level, sql, chances[name].get(level)) for level, sql in levels.items()],
            }
            for name, levels in COMPARISONS.items()
        ],
    }


def _level(level: str, sql: str, chance: tuple[float, float] | None) -> dict[str, Any]:
    form: dict[str, Any] = {"label_for_charts": level, "sql_condition": sql}
    if level == "null":
        return form | {"is_null_level": True}
    assert chance is not None
    return form | {"m_probability": chance[0], "u_probability": chance[1]}
