"""How people write an address: every way in which the text of a form differs from the standard one.

Belongs here: the ways, each from a clean address of `addresses` to a text. Does not belong here: which registers write
so, and what an engine should make of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from simulator.addresses import StandardAddress
from simulator.chance import Dice
from simulator.divisions import CITY_NAME, short_name
from simulator.places import names

_FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}
_RARE = "\u40e5"
"""䃥 of 流波䃥镇, which GBK does not hold."""

Write = Callable[[StandardAddress, Dice], "str | None"]
"""The text of an address, None where the way does not suit it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of writing. `resolvable`: whether the text alone still says which address is meant, for most of them."""

    name: str
    write: Write
    resolvable: bool = True


def _without(text: str) -> Write:
    return lambda one, dice: one.text.replace(text, "", 1)


def _levels(one: StandardAddress) -> tuple[str, str, str]:
    """The names of county, town and village as they stand in the address."""
    known = names()
    return known[one.division[:6]], known[one.division[:9]], short_name(known[one.division])


def _county_missing(one: StandardAddress, dice: Dice) -> str:
    _, town, village = _levels(one)
    return town + village + one.tail


def _town_missing(one: StandardAddress, dice: Dice) -> str:
    county, _, village = _levels(one)
    return CITY_NAME + county + village + one.tail


def _village_missing(one: StandardAddress, dice: Dice) -> str:
    county, town, _ = _levels(one)
    return CITY_NAME + county + town + one.tail


def _county_word(one: StandardAddress, dice: Dice) -> str:
    """县 for 区 and the other way round, or neither."""
    county, town, village = _levels(one)
    other = county[:-1] + dice.pick(({"区": "县", "县": "区"}[county[-1]], ""))
    return dice.pick((CITY_NAME, "六安市", "安徽六安")) + other + town + village + one.tail


def _old_county(one: StandardAddress, dice: Dice) -> str | None:
    """叶集 was part of 霍邱 until 2015."""
    _, town, village = _levels(one)
    return f"安徽省霍邱县{town}{village}{one.tail}" if one.division.startswith("341504") else None


def _town_word(one: StandardAddress, dice: Dice) -> str | None:
    """A township that was or became a town, a street office in full or without its word."""
    county, town, village = _levels(one)
    if town.endswith("街道"):
        other = town + "办事处" if dice.chance(0.5) else town.removesuffix("街道") + "街道办"
    elif town[-1] in "镇乡":
        other = town[:-1] + {"镇": "乡", "乡": "镇"}[town[-1]]
    else:
        return None
    return CITY_NAME + county + other + village + one.tail


def _rare_lost(one: StandardAddress, dice: Dice) -> str | None:
    lost = dice.pick(("石童", "（石童）", "", "?", "□", "石"))
    return one.text.replace(_RARE, lost) if _RARE in one.text else None


def _village_in_full(one: StandardAddress, dice: Dice) -> str:
    county, town, village = _levels(one)
    if village.endswith("居委会"):
        full = village.removesuffix("居委会") + "居民委员会"
    else:
        full = village.removesuffix("村") + ("居民委员会" if village.endswith("社区") else "村民委员会")
    return CITY_NAME + county + town + full + one.tail


def _village_bare(one: StandardAddress, dice: Dice) -> str | None:
    county, town, village = _levels(one)
    stem = village.removesuffix("村").removesuffix("社区").removesuffix("居委会")
    return CITY_NAME + county + town + stem + one.tail if stem != village and len(stem) > 1 else None


def _building_word(one: StandardAddress, dice: Dice) -> str | None:
    return one.text.replace("幢", dice.pick(("栋", "号楼", "#楼", "#"))) if "幢" in one.text else None


def _dashes(one: StandardAddress, dice: Dice) -> str | None:
    """12号3幢502室 as 12-3-502."""
    found = re.search(r"(\d+)号(\d+)幢(\d+)室$", one.text)
    return one.text[: found.start()] + dice.pick(("-", "－", "—")).join(found.groups()) if found else None


def _room_bare(one: StandardAddress, dice: Dice) -> str | None:
    return one.text.removesuffix("室") if one.text.endswith("室") else None


def _room_missing(one: StandardAddress, dice: Dice) -> str | None:
    return re.sub(r"\d+室$", "", one.text) if one.text.endswith("室") else None


def _group_missing(one: StandardAddress, dice: Dice) -> str | None:
    return one.text.replace(one.street, "", 1) if one.street.endswith("组") else None


def _spaces(one: StandardAddress, dice: Dice) -> str:
    place = dice.between(3, len(one.text) - 1)
    return f" {one.text[:place]}{dice.pick((' ', '　', '，', ','))}{one.text[place:]} "


def _note(one: StandardAddress, dice: Dice) -> str:
    return one.text + dice.pick(("（老宅）", "(自建房)", "（租住）"))


def _no_such_number(one: StandardAddress, dice: Dice) -> str:
    """A house that is not in the register."""
    return re.sub(r"(\d+)号", lambda found: f"{int(found[1]) + 5000}号", one.text, count=1)


def _only_town(one: StandardAddress, dice: Dice) -> str:
    county, town, _ = _levels(one)
    return CITY_NAME + county + town


AS_IT_IS = 0.8
"""The share of texts that a careful register writes as the standard has them."""


def said(one: StandardAddress, dice: Dice) -> tuple[str, str]:
    """What a register writes for an address, and the name of the way."""
    way = WAYS[0] if dice.chance(AS_IT_IS) else dice.pick(WAYS[1:])
    text = way.write(one, dice)
    return (text, way.name) if text is not None else (one.text, WAYS[0].name)


WAYS = (
    Way("as_it_is", lambda one, dice: one.text),
    Way("province_missing", _without("安徽省")),
    Way("province_and_city_missing", _without(CITY_NAME)),
    Way("county_missing", _county_missing),
    Way("town_missing", _town_missing),
    Way("village_missing", _village_missing, resolvable=False),
    Way("county_word", _county_word),
    Way("old_county", _old_county),
    Way("town_word", _town_word),
    Way("rare_character_lost", _rare_lost),
    Way("village_in_full", _village_in_full),
    Way("village_bare", _village_bare),
    Way("building_word", _building_word),
    Way("dashes", _dashes),
    Way("room_bare", _room_bare),
    Way("room_missing", _room_missing, resolvable=False),
    Way("group_missing", _group_missing, resolvable=False),
    Way("full_width", lambda one, dice: one.text.translate(_FULL_WIDTH)),
    Way("spaces", _spaces),
    Way("note", _note),
    Way("no_such_number", _no_such_number, resolvable=False),
    Way("only_town", _only_town, resolvable=False),
)
