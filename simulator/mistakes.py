"""What clerks of any department get wrong in a row: each mistake changes a clean row and knows what it is.

A planted row carries exactly one mistake. ``also`` names kinds of rules that may reasonably fire as well. How often
mistakes occur belongs to `registers`; mistakes of the household table are in `defects`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.chance import Dice
from simulator.defects import (
    ABSENT,
    APART,
    CHECK_DIGIT,
    CLEANABLE,
    CODE,
    COMPLETENESS,
    CONSISTENCY,
    DUPLICATE,
    FORMAT,
    OUTLYING,
    PLAUSIBLE,
    RANGE,
    REFERENCE,
    REFUSABLE_KINDS,
    SENTINEL_1899,
)
from simulator.identity import CHECK_CHARACTERS

__all__ = ["CONSISTENCY", "PLAUSIBLE", "REFUSABLE_KINDS", "Mistake"]

Row = list[str | None]
Plant = Callable[[Row, Dice], "list[Row] | None"]
"""Changes a clean row and returns all rows to deliver for it, the one to be refused last, none if it is to be left out;
None if it does not suit."""

FULL_WIDTH = {ord(character): ord(character) + 0xFEE0 for character in "0123456789X"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One way in which a row can be wrong. `column`: the index of the column it lies in.

    `weight`: how often it is made beside the others of its kind. `beside`: plants what takes something from another
    row, given the row, the one before it and the dice; used instead of `plant`.
    """

    name: str
    kind: str
    column: int
    plant: Plant
    also: frozenset[str] = frozenset()
    weight: float = 1.0
    beside: Callable[[Row, Row, Dice], list[Row] | None] | None = None

    def made_in(self, rows: Sequence[Row], position: int, dice: Dice) -> list[Row] | None:
        """The rows to deliver instead of the clean one at a position; None if it does not suit."""
        if self.beside is not None:
            return self.beside(list(rows[position]), rows[position - 1], dice)
        return self.plant(list(rows[position]), dice)


def _changed(column: int, change: Callable[[str, Dice], str | None]) -> Plant:
    """A plant that rewrites one value; rows without a value, or that the change does not suit, are left alone."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        value = row[column]
        if value is None or (wrong := change(value, dice)) is None or wrong == value:
            return None
        row[column] = wrong
        return [row]

    return plant


def constant(name: str, kind: str, column: int, value: str | None, *also: str) -> Mistake:
    """A value that is always the same, where another stands."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        if row[column] is None or row[column] == value:
            return None
        row[column] = value
        return [row]

    return Mistake(name, kind, column, plant, frozenset(also))


def missing(column: int, *also: str) -> Mistake:
    """Nothing, a word for nothing, or the literal of a bad export where a value is required."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        row[column] = dice.pick((None, "", "\\N", "暂无", "无"))
        return [row]

    return Mistake("missing", COMPLETENESS, column, plant, frozenset(also))


def changed(name: str, kind: str, column: int, change: Callable[[str, Dice], str | None], *also: str) -> Mistake:
    """A value rewritten by a function."""
    return Mistake(name, kind, column, _changed(column, change), frozenset(also))


def id_mistakes(column: int, *also: str) -> tuple[Mistake, ...]:
    """Identity numbers masked, shortened or with a wrong check character, and spellings that cleaning mends."""
    return (
        changed("masked_id", FORMAT, column, lambda v, d: v[:6] + "*" * 8 + v[14:], *also),
        changed("short_id", FORMAT, column, lambda v, d: v[:9] + v[10:], *also),
        changed("wrong_check_digit", CHECK_DIGIT, column, _wrong_check, *also),
        changed("id_full_width", CLEANABLE, column, lambda v, d: v.translate(FULL_WIDTH)),
        changed("id_lower_case_x", CLEANABLE, column, lambda v, d: v.lower() if v.endswith("X") else None),
        changed("id_spaced", CLEANABLE, column, lambda v, d: f" {v}\u3000"),
    )


def name_mistakes(column: int) -> tuple[Mistake, ...]:
    """A name that is missing or holds digits, and white space around it."""
    return (
        missing(column),
        changed("name_with_digits", FORMAT, column, lambda v, d: f"{v}{d.between(1, 9)}"),
        changed("name_spaced", CLEANABLE, column, lambda v, d: f" {v}\u3000"),
    )


def code_mistakes(column: int, wrong: str, *also: str) -> tuple[Mistake, ...]:
    """A code that the list does not have."""
    return (constant("no_code", CODE, column, wrong, *also),)


def date_mistakes(column: int, *also: str, future: bool = True) -> tuple[Mistake, ...]:
    """A date that is none, one far in the future, and other spellings of a right one (`YYYYMMDD` or `YYYY-MM-DD`)."""
    found = [
        changed("date_that_is_none", FORMAT, column, lambda v, d: "20230230" if len(v) == 8 else "2023-02-30"),
        changed("date_is_a_time", FORMAT, column, lambda v, d: "00:00;00"),
        changed("date_is_a_month", FORMAT, column, lambda v, d: v[:6] if len(v) == 8 else v[:7]),
        changed("date_is_a_sentinel", FORMAT, column, lambda v, d: SENTINEL_1899),
        changed("date_with_slashes", CLEANABLE, column, _slashes),
    ]
    if future:
        found.append(changed("date_in_future", RANGE, column, _future, *also))
    return tuple(found)


def masked_phone(column: int) -> Mistake:
    """A telephone that was masked before it was delivered: what is hidden cannot be had back."""
    return changed("masked_phone", FORMAT, column, lambda v, d: f"{v[:3]}****{v[7:]}" if len(v) == 11 else None)


def swapped_code(code: int, name: int) -> Mistake:
    """The name stands in the column of the code, and the other way round."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        if row[code] is None or row[name] is None:
            return None
        row[code], row[name] = row[name], row[code]
        return [row]

    return Mistake("code_and_name_swapped", FORMAT, code, plant)


def test_row(column: int) -> Mistake:
    """A row with which somebody tried the system out, and forgot it there."""
    return changed(
        "test_row", FORMAT, column, lambda v, d: d.pick(("测试", f"测试数据{d.between(1, 99)}", f"{v}（测试）"))
    )


def pasted(column: int, value: str) -> Mistake:
    """The same value in the rows of subjects that have nothing to do with each other: each for itself looks right."""
    return changed("pasted_default", PLAUSIBLE, column, lambda v, d: value)


def duplicate(column: int) -> Mistake:
    """The same row twice."""
    return Mistake("exact_copy", DUPLICATE, column, lambda row, dice: [row, list(row)])


def unknown(column: int) -> Mistake:
    """The number of something that the other register does not have: the first half is that of nobody."""
    return changed("refers_to_nothing", REFERENCE, column, lambda v, d: f"{'9' * (len(v) // 2)}{v[len(v) // 2 :]}")


def left_out(column: int, suits: Callable[[Row], bool]) -> Mistake:
    """A row that is never delivered. `suits`: nothing else is delivered of what it is about."""
    return Mistake("left_out", ABSENT, column, lambda row, dice: [] if suits(row) else None)


def apart(column: int) -> Mistake:
    """An amount that is right by itself and does not add up to what another register says: some more."""
    return changed("amount_apart", APART, column, lambda v, d: f"{float(v) * d.between(11, 19) / 10 + 1:.2f}")


def in_fen(column: int) -> Mistake:
    """A small amount of 万元 that was entered in 分: a million times as much, which bounds of large ones let pass."""
    return changed("amount_in_fen", OUTLYING, column, lambda v, d: f"{v}000000" if 0 < int(v) <= 100 else None)


def ragged(column: int, extra: bool) -> Mistake:
    """A line of a file with a field too many or too few."""

    def plant(row: Row, dice: Dice) -> list[Row]:
        return [[*row, "多余"]] if extra else [row[:-2]]

    return Mistake("ragged_long" if extra else "ragged_short", FORMAT, column, plant, frozenset({COMPLETENESS}))


def spelled(name: str, column: int, words: dict[str, str]) -> Mistake:
    """A word where the code stands; cleaning knows it."""
    return changed(name, CLEANABLE, column, lambda v, d: words.get(v))


def _wrong_check(value: str, dice: Dice) -> str | None:
    return value[:-1] + dice.pick(CHECK_CHARACTERS.replace(value[-1], "")) if len(value) == 18 else None


def _slashes(value: str, dice: Dice) -> str | None:
    digits = value.replace("-", "")
    return f"{int(digits[:4])}/{int(digits[4:6])}/{int(digits[6:8])}" if len(digits) == 8 and digits.isdigit() else None


def _future(value: str, dice: Dice) -> str:
    # Sixty years after an old marriage may still be the past.
    return f"{int(value[:4]) + 100}{value[4:]}".replace("0229", "0228").replace("02-29", "02-28")
