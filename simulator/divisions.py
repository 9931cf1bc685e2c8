"""Where people live: the real divisions of Lu'an, how many people live in each, and what an address there looks like.

Reads the simulator's own copy of the division list; nothing here knows persons or tables.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from math import exp

from simulator.chance import Dice, deck

CITY_NAME = "安徽省六安市"

# Registered population of the counties in ten thousands, approximate.
COUNTY_PEOPLE = {
    "341502": 92,
    "341503": 103,
    "341504": 28,
    "341522": 164,
    "341523": 99,
    "341524": 67,
    "341525": 36,
}
# Towns that are the seat of their county; streets (codes xxx001 to xxx099) count as seats too.
COUNTY_SEATS = frozenset({"341522100", "341523100", "341524100", "341525100"})

GROUPS = deck(
    "老庄组*3 新庄组*3 西楼组 东楼组 河湾组*2 大塘组 小冲组 油坊组 祠堂组 桥头组*2 岗上组 洼地组 前郢组 后郢组"
)
ROADS = deck("人民路*3 解放路*3 皖西大道*2 梅山路*2 佛子岭路 大别山路*2 光明路 文化路 健康路 振兴路 龙河路 长安路")


@dataclass(frozen=True, slots=True)
class Village:
    """A village or community: the 12-digit code people are registered under."""

    code: str
    place: str
    """The address down to the village, for example 安徽省六安市金安区木厂镇莲花村."""
    urban: bool
    weight: float
    """How many people are registered there in truth, in ten thousands: its share of a city of any size."""

    @property
    def county(self) -> str:
        """The six-digit county code."""
        return self.code[:6]


@cache
def villages() -> tuple[Village, ...]:
    """The 1,970 villages and communities in order of their codes, weighted by where people really live."""
    text = files("simulator").joinpath("data/luan_divisions.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    names = {row["code"]: row["name"] for row in rows}
    raw = {row["code"]: _crowding(row["code"], row["name"]) for row in rows if row["level"] == "village"}
    county_total = dict.fromkeys(COUNTY_PEOPLE, 0.0)
    for code, crowding in raw.items():
        county_total[code[:6]] += crowding
    return tuple(
        Village(
            code=code,
            place=CITY_NAME + names[code[:6]] + names[code[:9]] + short_name(names[code]),
            urban=_is_urban(code, names[code]),
            weight=COUNTY_PEOPLE[code[:6]] * crowding / county_total[code[:6]],
        )
        for code, crowding in sorted(raw.items())
    )


def crowded(seed: int, persons: int) -> tuple[Village, ...]:
    """Villages in which so many people live as closely as they really do: those of one drawn town after the other."""
    towns: dict[str, list[Village]] = {}
    for village in villages():
        towns.setdefault(village.code[:9], []).append(village)
    order = list(towns)
    Dice(seed, "crowded").shuffle(order)
    found: list[Village] = []
    wanted = persons / 10_000
    for village in (village for town in order for village in towns[town]):
        if wanted <= 0:
            break
        found.append(village)
        wanted -= village.weight
    return tuple(sorted(found, key=lambda village: village.code))


def random_village(dice: Dice) -> Village:
    """A village drawn by weight: where somebody who moves is likely to go."""
    bounds = _bounds()
    return villages()[min(bisect_right(bounds, dice.random() * bounds[-1]), len(bounds) - 1)]


def address(dice: Dice, village: Village) -> str:
    """An address in a village: group and house number, or road, building and flat."""
    if village.urban:
        road, gate, building = dice.pick(ROADS), dice.between(1, 320), dice.between(1, 24)
        flat = dice.between(1, 18) * 100 + dice.between(1, 4)
        return f"{village.place}{road}{gate}号{building}幢{flat}室"
    return f"{village.place}{dice.pick(GROUPS)}{dice.between(1, 180)}号"


def short_name(name: str) -> str:
    """The name people use for a village: the committee that the official name speaks of is left out."""
    for suffix in ("社区居民委员会", "社区居委会"):
        if name.endswith(suffix):
            return name.removesuffix(suffix) + "社区"
    for suffix in ("村民委员会", "村委会"):
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            return stem if stem.endswith("村") else stem + "村"
    return name


@cache
def _bounds() -> list[float]:
    return list(accumulate(village.weight for village in villages()))


def _is_urban(code: str, name: str) -> bool:
    return code[6] == "0" or "社区" in name or "居" in name


def _crowding(code: str, name: str) -> float:
    """Relative size of a village within its county: seats and communities hold more, and no two are alike."""
    dice = Dice(0, "crowding", code)
    spread = exp(dice.random() + dice.random() + dice.random() - 1.5)
    seat = 3.0 if code[6] == "0" or code[:9] in COUNTY_SEATS else 1.0
    return spread * seat * (1.8 if _is_urban(code, name) else 1.0)
