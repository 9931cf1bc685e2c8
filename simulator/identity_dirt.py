"""Rows that do not say rightly who they are about: identity numbers missing, masked, mistyped or somebody else's.

What is planted here is to be accepted and linked, not refused. All shares stand in this module and were committed
before the matcher that is measured with them. Who a row really is about stands in the truth: `truth.record` keeps the
row as it was before anything was planted in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from simulator import names
from simulator.chance import Dice
from simulator.defects import CLEANABLE, HOMOPHONES, IDENTITY
from simulator.identity import CHECK_CHARACTERS, complete, shorten
from simulator.mistakes import FULL_WIDTH, Mistake, Row, changed

ID_SHARES = {"missing_id": 0.40, "masked_id": 0.20, "mistyped_id": 0.22, "mistyped_old_id": 0.06, "others_id": 0.12}
"""What is wrong with the number, of all rows of kind identity (`DirtRates.identity` says how many those are)."""
BARE = 0.5
"""Share of these rows that lack the birth date or the address, or both, as well."""
BARE_OF = {"birth": 0.4, "address": 0.4, "both": 0.2}
"""What a bare row lacks."""
NAME_SHARES = {"same_sound": 0.05, "near_sound": 0.02, "variant": 0.02, "former_name": 0.02, "swapped_name": 0.02}
"""What is wrong with the name as well, of these rows; the rest of the names are right."""
SWAPPED_BIRTH = 0.02
"""Share of these rows in which day and month of birth changed places, where that is a date."""
NO_PHONE = 0.2
"""Share of these rows without the telephone."""

SAME_SOUND = HOMOPHONES | dict(
    zip(
        "国文志家佳林正金福忠义礼斌刚峰波杰俊浩宏建兵子晨睿奕娟燕倩晶晓欣梓雨妍悦宝云德",
        "帼闻智佳嘉琳政锦富中毅理彬钢锋博洁峻昊红健冰紫辰瑞一鹃艳茜菁小心子语岩月保芸得",
        strict=True,
    )
)
"""Characters that sound alike but for the tone at most."""
NEAR_SOUND = dict(zip("英明兰诗志成平静生林珍春宁玲", "音民南思自岑贫晋森宁增村林宁", strict=True))
"""Characters that sound alike to a clerk of the region (in/ing, n/l, zh/z)."""
VARIANTS = dict(
    zip(
        "华国云杰峰强丽兰凤宝龙伟军刘张陈杨吴许叶马孙黄赵郑东荣义贵",
        "華國雲傑峯強麗蘭鳳寶龍偉軍劉張陳楊吳許葉馬孫黃趙鄭東榮義貴",
        strict=True,
    )
)
"""Variant and traditional forms of a character."""
REPLACED = {"same_sound": SAME_SOUND, "near_sound": NEAR_SOUND, "variant": VARIANTS}
"""Kinds of `NAME_SHARES` in which one character stands for another."""


@dataclass(frozen=True, slots=True)
class IdentityColumns:
    """Where in a row of a register the marks of a person stand. `dated`: how the register writes a birth date."""

    id: int
    name: int
    birth: int
    address: int
    phone: int
    dated: str


def identity_mistakes(columns: IdentityColumns) -> tuple[Mistake, ...]:
    """What is wrong with a person's marks in a row, and spellings of the number that cleaning mends."""
    ids: dict[str, tuple[Callable[[str, Dice], str | None] | None, float]] = {
        "missing_id": (_missing, ID_SHARES["missing_id"]),
        "masked_id": (_masked, ID_SHARES["masked_id"]),
        "mistyped_id": (_mistyped, ID_SHARES["mistyped_id"]),
        "mistyped_old_id": (_mistyped_old, ID_SHARES["mistyped_old_id"]),
        "others_id": (None, ID_SHARES["others_id"]),
    }
    planted = []
    for name, (change, share) in ids.items():
        for suffix, part, bare in (("", 1 - BARE, False), ("_bare", BARE, True)):
            planted.append(_mistake(name + suffix, columns, change, share * part, bare))
    return (
        *planted,
        changed("id_full_width", CLEANABLE, columns.id, lambda v, d: v.translate(FULL_WIDTH)),
        changed("id_lower_case_x", CLEANABLE, columns.id, lambda v, d: v.lower() if v.endswith("X") else None),
        changed("id_spaced", CLEANABLE, columns.id, lambda v, d: f" {v}\u3000"),
        changed("id_15_digits", CLEANABLE, columns.id, lambda v, d: shorten(v) if v[6:8] == "19" else None),
    )


def name_change(name: str, told: str) -> str:
    """Which of `NAME_SHARES` made one name into the other; "" if it was left as it is."""
    if told == name:
        return ""
    surname = names.surname_of(name)
    if told == name[len(surname) :] + surname:
        return "swapped_name"
    for kind, table in REPLACED.items():
        if any(told == _with(name, place, table) for place, character in enumerate(name) if character in table):
            return kind
    return "former_name"


def _mistake(
    name: str, columns: IdentityColumns, change: Callable[[str, Dice], str | None] | None, weight: float, bare: bool
) -> Mistake:
    def plant(row: Row, dice: Dice) -> list[Row] | None:
        number = str(row[columns.id])
        wrong = change(number, dice) if change is not None and len(number) == 18 else number
        if wrong == number:
            return None
        row[columns.id] = wrong
        return [_blurred(row, columns, number, bare, dice)]

    def beside(row: Row, other: Row, dice: Dice) -> list[Row] | None:
        number = str(row[columns.id])
        if other[columns.id] == number:
            return None
        row[columns.id] = other[columns.id]
        return [_blurred(row, columns, number, bare, dice)]

    return Mistake(name, IDENTITY, columns.id, plant, weight=weight, beside=None if change else beside)


def _blurred(row: Row, columns: IdentityColumns, number: str, bare: bool, dice: Dice) -> Row:
    """The other marks of the person, as such a row has them."""
    if dice.chance(NO_PHONE):
        row[columns.phone] = None
    if dice.chance(SWAPPED_BIRTH):
        row[columns.birth] = _swapped_birth(row[columns.birth], columns.dated)
    row[columns.name] = _name(str(row[columns.name]), number, dice)
    if bare:
        lacks = _drawn(BARE_OF, dice)
        if lacks in ("birth", "both"):
            row[columns.birth] = None
        if lacks in ("address", "both"):
            row[columns.address] = None
    return row


def _name(name: str, number: str, dice: Dice) -> str:
    wrong = _drawn(NAME_SHARES, dice)
    surname = names.surname_of(name)
    given = name[len(surname) :]
    if wrong in REPLACED:
        return _replaced(name, REPLACED[wrong], dice)
    if wrong == "former_name" and "·" not in name:
        return surname + names.given_name(dice, "1" if int(number[16]) % 2 else "2", int(number[6:10]), "")
    if wrong == "swapped_name" and "·" not in name:
        return given + surname
    return name


def _replaced(name: str, table: Mapping[str, str], dice: Dice) -> str:
    """The name with one of the characters that the table knows replaced."""
    places = [place for place, character in enumerate(name) if character in table]
    if not places:
        return name
    return _with(name, dice.pick(places), table)


def _with(name: str, place: int, table: Mapping[str, str]) -> str:
    return name[:place] + table[name[place]] + name[place + 1 :]


def _drawn(shares: Mapping[str, float], dice: Dice) -> str:
    """A key drawn with its share; "" for what is left of one."""
    value = dice.random()
    for key, share in shares.items():
        value -= share
        if value < 0:
            return key
    return ""


def _missing(number: str, dice: Dice) -> str | None:
    return dice.pick((None, None, "", "无", "暂无"))


def _masked(number: str, dice: Dice) -> str:
    return dice.pick((number[:6] + "*" * 8 + number[14:], number[:10] + "****" + number[14:], number[:14] + "****"))


def _mistyped(number: str, dice: Dice) -> str:
    """One character wrong, two neighbours exchanged, or one lost: never a number that is right."""
    place = dice.between(4, 16)
    kind = dice.pick(("wrong", "exchanged", "lost"))
    if kind == "exchanged" and number[place - 1] != number[place]:
        return number[: place - 1] + number[place] + number[place - 1] + number[place + 1 :]
    if kind == "lost":
        return number[:place] + number[place + 1 :]
    if dice.chance(0.2):
        return number[:-1] + dice.pick(CHECK_CHARACTERS.replace(number[-1], ""))
    return number[:place] + str((int(number[place]) + dice.between(1, 9)) % 10) + number[place + 1 :]


def _mistyped_old(number: str, dice: Dice) -> str | None:
    """An old number with a wrong digit: made 18 digits long it looks right, and is somebody else's or nobody's."""
    if number[6:8] != "19":
        return number
    old = shorten(number)
    place = dice.between(12, 14)
    wrong = old[:place] + str((int(old[place]) + dice.between(1, 9)) % 10) + old[place + 1 :]
    return wrong if complete(f"{wrong[:6]}19{wrong[6:]}") != number else number


def _swapped_birth(text: str | None, dated: str) -> str | None:
    if text is None:
        return None
    digits = text.replace("-", "")
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return text if day > 12 else date(year, day, month).strftime(dated)
