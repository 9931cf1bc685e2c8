"""The defects real departments deliver: what each does to a clean row, and what a correct engine should make of it.

A planted row carries exactly one defect and gives cause for refusal by rules of that defect's kind only. Where another
kind of rule may reasonably fire as well, ``Defect.also`` says so. How often defects occur belongs to `dirt`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from simulator import department as d
from simulator.chance import Dice
from simulator.department import Row
from simulator.divisions import COUNTY_PEOPLE
from simulator.identity import CHECK_CHARACTERS, complete, shorten
from simulator.person import DAY_ZERO, NEVER_MARRIED, Person

Plant = Callable[[Row, Person, Dice], "list[Row] | None"]
"""Changes a clean row and returns all rows to deliver for the person, or None when the defect does not suit them."""

COMPLETENESS, FORMAT, CHECK_DIGIT, CODE, RANGE = "completeness", "format", "check_digit", "code", "range"
CONSISTENCY, DUPLICATE, ENCODING = "consistency", "duplicate", "encoding"
CLEANABLE, PLAUSIBLE = "cleanable", "plausible"
IDENTITY = "identity"
"""Rows that do not say rightly who they are about: accepted, and linked (`identity_dirt`)."""
REFERENCE, ABSENT, APART, OUTLYING = "reference", "absent", "apart", "outlying"
"""What shows only beside other rows: a row that refers to nothing, one that was left out, a sum that is none, an amount
far from all others."""
CERTIFICATE = "certificate"
"""A value that its own document contradicts: accepted, and told to the office."""
DISPUTED = "disputed"
"""A value that is right by itself, and about which another department says otherwise: accepted, and told to both."""
SHARED = "shared"
"""A right number that is somebody else's: accepted, and both persons are kept (`SHARED_NUMBER`)."""
REFUSABLE_KINDS = frozenset({COMPLETENESS, FORMAT, CHECK_DIGIT, CODE, RANGE, CONSISTENCY, DUPLICATE, ENCODING})
SENTINEL_1899 = "1899-12-31 12:00:00"
"""What a spreadsheet makes of no date at all."""

# Full-width forms lie a fixed distance above the ASCII characters they imitate.
_FULL_WIDTH = {ord(character): ord(character) + 0xFEE0 for character in "0123456789X"}
_LETTER_FOR_DIGIT = {"0": "O", "1": "l", "5": "S", "8": "B", "2": "Z"}
HOMOPHONES = {
    "华": "桦",
    "明": "铭",
    "英": "瑛",
    "平": "萍",
    "军": "钧",
    "伟": "玮",
    "勇": "永",
    "丽": "莉",
    "芳": "方",
    "静": "婧",
    "玲": "铃",
    "辉": "晖",
    "涛": "韬",
    "宇": "雨",
    "轩": "萱",
    "秀": "绣",
    "珍": "真",
    "梅": "玫",
}


@dataclass(frozen=True, slots=True)
class Defect:
    """One way in which a row can be wrong.

    ``refusable`` kinds are to be refused, ``cleanable`` defects to be accepted after cleaning, ``plausible`` ones are
    wrong without any rule being able to tell (``undetectable``).
    """

    name: str
    kind: str
    column: int
    plant: Plant
    also: frozenset[str] = frozenset()

    @property
    def refusable(self) -> bool:
        """Whether a correct engine refuses the row."""
        return self.kind in REFUSABLE_KINDS

    @property
    def undetectable(self) -> bool:
        """Whether no engine can tell from the table that the row is wrong."""
        return self.kind == PLAUSIBLE


def _constant(column: int, value: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row]:
        row[column] = value
        return [row]

    return plant


def _instead_of_nothing(column: int, *placeholders: str) -> Plant:
    """A placeholder where nothing is known: cleaning must make it null again."""

    def plant(row: Row, person: Person, dice: Dice) -> list[Row] | None:
        if row[column] is not None:
            return None
        row[column] = dice.pick(placeholders)
        return [row]

    return plant


def _masked_id(row: Row, person: Person, dice: Dice) -> list[Row]:
    row[d.ID] = person.id_number[:6] + "*" * 8 + person.id_number[14:]
    return [row]


def _short_id(row: Row, person: Person, dice: Dice) -> list[Row]:
    lost = dice.between(6, 16)
    row[d.ID] = person.id_number[:lost] + person.id_number[lost + 1 :]
    return [row]


def _letters_in_id(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    place = dice.between(6, 16)
    letter = _LETTER_FOR_DIGIT.get(person.id_number[place])
    if letter is None:
        return None
    row[d.ID] = person.id_number[:place] + letter + person.id_number[place + 1 :]
    return [row]


def _wrong_check_digit(row: Row, person: Person, dice: Dice) -> list[Row]:
    wrong = CHECK_CHARACTERS.replace(person.id_number[-1], "")
    row[d.ID] = person.id_number[:-1] + dice.pick(wrong)
    return [row]


def _transposed_digits(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    # Only the first two digits of the sequence: elsewhere birth date, sex or place would contradict as well.
    number = person.id_number
    if number[14] == number[15]:
        return None
    row[d.ID] = number[:14] + number[15] + number[14] + number[16:]
    return [row]


def _missing_division(row: Row, person: Person, dice: Dice) -> list[Row]:
    row[d.DIVISION] = dice.pick(sorted(COUNTY_PEOPLE)) + "999999"
    return [row]


def _foreign_division(row: Row, person: Person, dice: Dice) -> list[Row]:
    # 寿县 left the city for 淮南 in 2015; some registers never noticed.
    row[d.DIVISION] = f"340422{dice.between(100, 124)}{dice.between(200, 229)}"
    return [row]


def _future_birth(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    # Small children only, so that schooling and marriage do not contradict; fifty years on stays in the future.
    if person.age(DAY_ZERO) >= 6 or person.marital != NEVER_MARRIED or person.education is not None:
        return None
    return _reborn(row, person, person.birth.replace(year=person.birth.year + 50, day=min(person.birth.day, 28)))


def _birth_before_1900(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    if person.birth.year > 1950:
        return None
    return _reborn(row, person, date(dice.between(1851, 1899), person.birth.month, min(person.birth.day, 28)))


def _other_identity(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    if person.age(DAY_ZERO) < 25:
        return None
    return _reborn(row, person, person.birth - timedelta(days=dice.between(40, 700)))


def _reborn(row: Row, person: Person, birth: date) -> list[Row]:
    """Another birth date in the date column and in the number, with a valid check character."""
    text = f"{birth:%Y%m%d}"
    row[d.BIRTH] = text
    row[d.ID] = complete(person.id_number[:6] + text + person.id_number[14:17])
    return [row]


def _birth_differs(row: Row, person: Person, dice: Dice) -> list[Row]:
    # Always earlier, never later: a later date might lie in the future and so be out of range as well.
    row[d.BIRTH] = f"{person.birth - timedelta(days=dice.between(1, 60)):%Y%m%d}"
    return [row]


def _sex_contradicts(row: Row, person: Person, dice: Dice) -> list[Row]:
    row[d.SEX] = "2" if person.sex == "1" else "1"
    return [row]


def _exact_copy(row: Row, person: Person, dice: Dice) -> list[Row]:
    return [row, list(row)]


def _older_copy(row: Row, person: Person, dice: Dice) -> list[Row]:
    older = list(row)
    older[d.UPDATED] = (person.updated - timedelta(days=dice.between(30, 900))).isoformat(" ")
    older[d.ADDRESS] = f"{person.address}附{dice.between(1, 9)}号"
    return [row, older]


def _full_width_id(row: Row, person: Person, dice: Dice) -> list[Row]:
    row[d.ID] = person.id_number.translate(_FULL_WIDTH)
    return [row]


def _lower_case_x(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    if person.id_number[-1] != "X":
        return None
    row[d.ID] = person.id_number.lower()
    return [row]


def _old_id(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    if person.birth.year >= 2000:
        return None
    row[d.ID] = shorten(person.id_number)
    return [row]


def _spaced_name(before: str, after: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row]:
        row[d.NAME] = before + person.name + after
        return [row]

    return plant


def _sex_word(men: str, women: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row]:
        row[d.SEX] = men if person.sex == "1" else women
        return [row]

    return plant


def _birth_written(form: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row]:
        row[d.BIRTH] = form.format(person.birth)
        return [row]

    return plant


def _phone_written(*forms: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row] | None:
        if person.phone is None:
            return None
        row[d.PHONE] = dice.pick(forms).format(person.phone[:3], person.phone[3:7], person.phone[7:])
        return [row]

    return plant


def _ethnicity_word(word: str) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row] | None:
        if person.ethnicity != "01":
            return None
        row[d.ETHNICITY] = word
        return [row]

    return plant


def _month_only(row: Row, person: Person, dice: Dice) -> list[Row]:
    row[d.BIRTH] = f"{person.birth:%Y%m}"
    return [row]


def _masked_phone(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    if person.phone is None:
        return None
    row[d.PHONE] = f"{person.phone[:3]}****{person.phone[7:]}"
    return [row]


def _kind_word(words: dict[str, str]) -> Plant:
    def plant(row: Row, person: Person, dice: Dice) -> list[Row] | None:
        word = words.get(row[d.KIND] or "")
        if word is None:
            return None
        row[d.KIND] = word
        return [row]

    return plant


def _wrong_name(row: Row, person: Person, dice: Dice) -> list[Row] | None:
    homophone = HOMOPHONES.get(person.name[-1])
    if homophone is None:
        return None
    row[d.NAME] = person.name[:-1] + homophone
    return [row]


def shared_number(row: Row, number: str) -> list[Row]:
    """The row under the number of somebody of the same sex who was born on the same day: nothing in it contradicts."""
    row[d.ID] = number
    return [row]


SHARED_NUMBER = "shared_number"
"""Planted by `dirt`, which knows the others; it stands in no list of defects that a row alone can have."""

_CONTRADICTS = frozenset({CONSISTENCY})

DEFECTS: tuple[Defect, ...] = (
    Defect("masked_id", FORMAT, d.ID, _masked_id),
    Defect("short_id", FORMAT, d.ID, _short_id),
    Defect("letters_in_id", FORMAT, d.ID, _letters_in_id),
    Defect("date_that_is_none", FORMAT, d.BIRTH, _constant(d.BIRTH, "20230230")),
    Defect("date_is_a_time", FORMAT, d.BIRTH, _constant(d.BIRTH, "00:00;00")),
    Defect("date_is_a_word", FORMAT, d.BIRTH, _constant(d.BIRTH, "abc")),
    Defect("date_is_a_month", FORMAT, d.BIRTH, _month_only),
    Defect("sentinel_18991231", FORMAT, d.BIRTH, _constant(d.BIRTH, SENTINEL_1899)),
    Defect("masked_phone", FORMAT, d.PHONE, _masked_phone),
    Defect("test_row", FORMAT, d.NAME, _constant(d.NAME, "测试")),
    Defect("cancelled_without_date", COMPLETENESS, d.CANCELLED, _constant(d.CANCELLED, "1")),
    Defect("name_empty", COMPLETENESS, d.NAME, _constant(d.NAME, "")),
    Defect("name_null_literal", COMPLETENESS, d.NAME, _constant(d.NAME, "\\N")),
    Defect("name_placeholder", COMPLETENESS, d.NAME, _constant(d.NAME, "暂无")),
    Defect("wrong_check_digit", CHECK_DIGIT, d.ID, _wrong_check_digit),
    Defect("transposed_digits", CHECK_DIGIT, d.ID, _transposed_digits),
    # A rule that sex must agree with the number may fire on a sex that is no code at all.
    Defect("sex_no_code", CODE, d.SEX, _constant(d.SEX, "7"), _CONTRADICTS),
    Defect("sex_no_word", CODE, d.SEX, _constant(d.SEX, "未知人"), _CONTRADICTS),
    Defect("ethnicity_no_code", CODE, d.ETHNICITY, _constant(d.ETHNICITY, "99")),
    Defect("kind_no_code", CODE, d.KIND, _constant(d.KIND, "9")),
    Defect("division_missing", CODE, d.DIVISION, _missing_division),
    Defect("division_foreign", CODE, d.DIVISION, _foreign_division),
    Defect("birth_in_future", RANGE, d.BIRTH, _future_birth),
    Defect("birth_before_1900", RANGE, d.BIRTH, _birth_before_1900),
    # A sentinel cannot equal the birth date of the number, so the two necessarily contradict as well.
    Defect("sentinel_99990909", RANGE, d.BIRTH, _constant(d.BIRTH, "99990909"), _CONTRADICTS),
    Defect("birth_differs", CONSISTENCY, d.BIRTH, _birth_differs),
    Defect("sex_contradicts", CONSISTENCY, d.SEX, _sex_contradicts),
    # The number tells that 1900-01-01 is a sentinel; a range that knows how old people get tells it as well.
    Defect("sentinel_19000101", CONSISTENCY, d.BIRTH, _constant(d.BIRTH, "19000101"), frozenset({RANGE})),
    Defect("exact_copy", DUPLICATE, d.RECORD, _exact_copy),
    Defect("older_copy", DUPLICATE, d.RECORD, _older_copy),
    Defect("id_full_width", CLEANABLE, d.ID, _full_width_id),
    Defect("id_lower_case_x", CLEANABLE, d.ID, _lower_case_x),
    Defect("id_15_digits", CLEANABLE, d.ID, _old_id),
    Defect("name_leading_space", CLEANABLE, d.NAME, _spaced_name(" ", "")),
    Defect("name_trailing_space", CLEANABLE, d.NAME, _spaced_name("", "  ")),
    Defect("name_ideographic_space", CLEANABLE, d.NAME, _spaced_name("\u3000", "\u3000")),
    Defect("sex_word", CLEANABLE, d.SEX, _sex_word("男", "女")),
    Defect("sex_long_word", CLEANABLE, d.SEX, _sex_word("男性", "女性")),
    Defect("birth_with_hyphens", CLEANABLE, d.BIRTH, _birth_written("{0:%Y-%m-%d}")),
    Defect("birth_with_slashes", CLEANABLE, d.BIRTH, _birth_written("{0.year}/{0.month}/{0.day}")),
    Defect("phone_placeholder", CLEANABLE, d.PHONE, _instead_of_nothing(d.PHONE, "\\N", "无", "暂无")),
    Defect("education_placeholder", CLEANABLE, d.EDUCATION, _instead_of_nothing(d.EDUCATION, "\\N", "无", "暂无")),
    Defect(
        "former_name_placeholder", CLEANABLE, d.FORMER_NAME, _instead_of_nothing(d.FORMER_NAME, "\\N", "无", "暂无")
    ),
    Defect("phone_spaces", CLEANABLE, d.PHONE, _phone_written("{} {} {}")),
    Defect("phone_prefix", CLEANABLE, d.PHONE, _phone_written("+86{}{}{}", "+86 {}{}{}")),
    Defect("ethnicity_long_word", CLEANABLE, d.ETHNICITY, _ethnicity_word("汉族")),
    Defect("ethnicity_word", CLEANABLE, d.ETHNICITY, _ethnicity_word("汉")),
    Defect("kind_word", CLEANABLE, d.KIND, _kind_word({"1": "居民家庭户", "2": "集体户", "3": "农业", "4": "非农业"})),
    Defect("cancelled_sentinel", CLEANABLE, d.CANCELLED_ON, _instead_of_nothing(d.CANCELLED_ON, SENTINEL_1899)),
    Defect("wrong_name", PLAUSIBLE, d.NAME, _wrong_name),
    Defect("other_identity", PLAUSIBLE, d.ID, _other_identity),
)
