"""What clerks get wrong in codes of organisations, in amounts, in dates that belong together, in events told twice.

Mistakes in a single value of any register are in `mistakes`; which register makes which of these is its own business.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.chance import Dice
from simulator.defects import CHECK_DIGIT, CLEANABLE, COMPLETENESS, CONSISTENCY, DUPLICATE, FORMAT
from simulator.mistakes import Mistake, Row, changed
from simulator.organisation_codes import ALPHABET, check_character

Suits = Callable[[Row], bool]
"""Whether a mistake would be one in this row."""
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x30, 0x5B)}


def only(suits: Suits, mistake: Mistake) -> Mistake:
    """A mistake that is made only in rows that suit it."""
    return Mistake(
        mistake.name,
        mistake.kind,
        mistake.column,
        lambda row, dice: mistake.plant(row, dice) if suits(row) else None,
        mistake.also,
    )


def absent(name: str, column: int, suits: Suits, *also: str) -> Mistake:
    """Nothing where the contents of the other columns require something."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        if row[column] is None or not suits(row):
            return None
        row[column] = None
        return [row]

    return Mistake(name, COMPLETENESS, column, plant, frozenset(also))


def instead_of_nothing(name: str, column: int, *words: str) -> Mistake:
    """A word or a far day where nothing is known: cleaning makes it nothing again."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        if row[column] is not None:
            return None
        row[column] = dice.pick(words)
        return [row]

    return Mistake(name, CLEANABLE, column, plant)


def organisation_mistakes(column: int, *also: str, suits: Suits = lambda row: True) -> tuple[Mistake, ...]:
    """A unified social credit code cut short, replaced, with wrong check characters, or oddly spelled."""
    found = (
        # The seven digits of an old registration number, and the organisation code as it was written before 2015.
        changed("uscc_fragment", FORMAT, column, lambda v, d: v[10:17], *also),
        changed("uscc_organisation_code", FORMAT, column, lambda v, d: f"{v[8:16]}-{v[16]}", *also),
        changed("uscc_wrong_check", CHECK_DIGIT, column, _wrong_check, *also),
        changed("uscc_wrong_inner_check", CHECK_DIGIT, column, _wrong_inner_check, *also),
        changed("uscc_full_width", CLEANABLE, column, lambda v, d: v.translate(_FULL_WIDTH)),
        changed("uscc_lower_case", CLEANABLE, column, lambda v, d: v.lower()),
        changed("uscc_spaced", CLEANABLE, column, lambda v, d: f"{v} "),
    )
    return tuple(only(suits, mistake) for mistake in found)


def before(name: str, earlier: int, later: int, *also: str) -> Mistake:
    """A later date (``YYYY-MM-DD``, time of day allowed) years before the earlier one."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        first, second = row[earlier], row[later]
        if first is None or second is None or int(first[:4]) < 1975:
            return None
        row[later] = f"{int(first[:4]) - dice.between(1, 9)}{first[4:].replace('-02-29', '-02-28')}"
        return [row]

    return Mistake(name, CONSISTENCY, later, plant, frozenset(also))


def repeated(column: int) -> Mistake:
    """The same event told twice: nothing is wrong with that, it only must not count twice."""
    return Mistake("repeated", CLEANABLE, column, lambda row, dice: [row, list(row)])


def contradicting(key: int, column: int, change: Callable[[str, Dice], str | None]) -> Mistake:
    """An event told a second time with another content: the second telling is to be refused."""

    def plant(row: Row, dice: Dice) -> list[Row] | None:
        value = row[column]
        other = None if value is None else change(value, dice)
        if other is None or other == value:
            return None
        second = list(row)
        second[column] = other
        return [row, second]

    return Mistake("contradicting_copy", DUPLICATE, column, plant, frozenset({CONSISTENCY}))


def thousands(column: int) -> tuple[Mistake, ...]:
    """Commas in a number: between groups of three digits, which cleaning mends, and in a wrong place."""
    return (
        changed("thousands", CLEANABLE, column, lambda v, d: f"{int(v):,}" if v.isdigit() and int(v) > 999 else None),
        changed(
            "torn_thousands", FORMAT, column, lambda v, d: f"{v[0]},{v[1:]}000" if v.isdigit() and len(v) > 1 else None
        ),
    )


def _wrong_check(value: str, dice: Dice) -> str:
    return value[:17] + dice.pick(ALPHABET.replace(value[17], ""))


def _wrong_inner_check(value: str, dice: Dice) -> str:
    """A wrong organisation code inside, with a last character that is right for it."""
    body = value[:16] + dice.pick("0123456789X".replace(value[16], ""))
    return body + check_character(body)
