"""The credit information office's tables: permits and penalties that must be published (双公示), one row per decision.

Who was licensed or fined are entities of the register of `firm_registers` and, now and then, living adults.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from simulator.chance import Dice, deck
from simulator.credit import (
    ENTITY,
    OFFENCES_OF_ENTITIES,
    OFFENCES_OF_PEOPLE,
    PENALTY_CATEGORIES,
    PENALTY_WORDS,
    PERMITS_OF_ENTITIES,
    PERMITS_OF_PEOPLE,
    PERSON,
    SELF_EMPLOYED,
    Subject,
    document_number,
    some_day,
    subject_of_entity,
    subject_of_person,
)
from simulator.defects import CHECK_DIGIT, CLEANABLE, CODE, CONSISTENCY, FORMAT, RANGE, SENTINEL_1899
from simulator.entities import all_entities, some_active
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    date_mistakes,
    id_mistakes,
    missing,
    spelled,
    swapped_code,
    test_row,
)
from simulator.office_hours import working_days_earlier
from simulator.organisation_codes import Authority, authorities
from simulator.population import office_second
from simulator.registers import Change, Everybody, News, Row, Table
from simulator.special_mistakes import absent, before, instead_of_nothing, organisation_mistakes, repeated

VALID, WITHDRAWN, DISPUTED = "1", "2", "3"
_STATUSES = deck(f"{VALID}*96 {WITHDRAWN}*3 {DISPUTED}")
ID_CARD = "111"
"""Code of the kind of document that an identity number is of."""
TIME_TO_REPORT = 7
"""Working days that an office has to report a decision."""
_UNIFIED = date(2023, 1, 1)
"""Until then offices wrote the former numbers beside the unified code."""
_CATEGORY_WORDS = {ENTITY: "法人及非法人组织", PERSON: "自然人", SELF_EMPLOYED: "个体工商户"}
_BRACKETS = ("（{}）", "[{}]", "【{}】", "({})", "［{}］")
_FAR = ("2099-12-31", "9999-12-31", "长期", "9999-09-09", SENTINEL_1899)

PERMITS = Table(
    "drc",
    "xygs",
    "T_XZXK",
    (
        ("XK_BH", "varchar(40)"),
        ("XK_XDR_MC", "varchar(200)"),
        ("XK_XDR_LB", "varchar(40)"),
        ("XK_XDR_SHXYM", "varchar(40)"),
        ("XK_XDR_GSZC", "varchar(40)"),  # registration number, organisation code, tax number: of old decisions
        ("XK_XDR_ZZJG", "varchar(40)"),
        ("XK_XDR_SWDJ", "varchar(40)"),
        ("XK_XDR_SYDW", "varchar(40)"),  # of public institutions and social organisations
        ("XK_XDR_SHZZ", "varchar(40)"),
        ("XK_FRDB", "varchar(100)"),
        ("XK_FR_ZJLX", "varchar(40)"),
        ("XK_FR_SFZH", "varchar(40)"),
        ("XK_XDR_ZJLX", "varchar(40)"),
        ("XK_XDR_ZJHM", "varchar(40)"),
        ("XK_XKWS", "varchar(200)"),
        ("XK_WSH", "varchar(100)"),
        ("XK_XKLB", "varchar(40)"),
        ("XK_XKZS", "varchar(100)"),
        ("XK_XKBH", "varchar(60)"),
        ("XK_NR", "varchar(2000)"),
        ("XK_JDRQ", "varchar(20)"),
        ("XK_YXQZ", "varchar(20)"),
        ("XK_YXQZI", "varchar(20)"),
        ("XK_XKJG", "varchar(100)"),
        ("XK_XKJGDM", "varchar(40)"),
        ("XK_ZT", "varchar(20)"),
        ("XK_LYDW", "varchar(100)"),
        ("XK_LYDWDM", "varchar(40)"),
        ("BZ", "varchar(200)"),
        ("GXSJ", "timestamp(0)"),
    ),
    moment=29,
)
PENALTIES = Table(
    "drc",
    "xygs",
    "T_XZCF",
    (
        ("CF_BH", "varchar(40)"),
        ("CF_XDR_MC", "varchar(200)"),
        ("CF_XDR_LB", "varchar(40)"),
        ("CF_XDR_SHXYM", "varchar(40)"),
        ("CF_XDR_GSDJ", "varchar(40)"),
        ("CF_XDR_ZDM", "varchar(40)"),
        ("CF_XDR_SWDJ", "varchar(40)"),
        ("CF_XDR_SYDW", "varchar(40)"),
        ("CF_XDR_SHZZ", "varchar(40)"),
        ("CF_FR", "varchar(100)"),
        ("CF_FR_ZJLX", "varchar(40)"),
        ("CF_FR_ZJHM", "varchar(40)"),
        ("CF_XDR_ZJLX", "varchar(40)"),
        ("CF_XDR_SFZ", "varchar(40)"),
        ("CF_WSH", "varchar(100)"),
        ("CF_WFXW", "varchar(500)"),
        ("CF_SY", "varchar(2000)"),
        ("CF_YJ", "varchar(1000)"),
        ("CF_CFLB1", "varchar(100)"),
        ("CF_CFLB2", "varchar(100)"),
        ("CF_NR", "varchar(2000)"),
        ("CF_NR_FK", "varchar(30)"),  # in 万元
        ("CF_NR_WFFF", "varchar(30)"),  # confiscated, in 万元
        ("CF_NR_ZKDX", "varchar(200)"),
        ("CF_JDRQ", "varchar(20)"),
        ("CF_YXQ", "varchar(20)"),
        ("CF_GSJZQ", "varchar(20)"),
        ("CF_CFJG", "varchar(100)"),
        ("CF_CFJGDM", "varchar(40)"),
        ("CF_ZT", "varchar(20)"),
        ("CF_SJLY", "varchar(100)"),
        ("CF_SJLYDM", "varchar(40)"),
        ("BZ", "varchar(200)"),
        ("GXSJ", "timestamp(0)"),
    ),
    moment=33,
)


# Columns that both tables have, by their positions in each.
_SUBJECT_NAME, _CATEGORY, _USCC = 1, 2, 3


def _is_entity(row: Row) -> bool:
    return row[_CATEGORY] in (ENTITY, SELF_EMPLOYED)


def _common_mistakes(
    person: int, representative: int, document: int, decided: int, authority: int, status: int, *also: str
) -> tuple[Mistake, ...]:
    return (
        *id_mistakes(representative),
        changed("id_kind_no_code", CODE, representative - 1, lambda v, d: "0"),
        changed("document_without_year", FORMAT, document, _without_year),
        missing(_SUBJECT_NAME),
        test_row(_SUBJECT_NAME),
        swapped_code(authority, authority - 1),
        changed("subject_spaced", CLEANABLE, _SUBJECT_NAME, lambda v, d: f"\u3000{v}"),
        *code_mistakes(_CATEGORY, "8"),
        spelled(
            "category_word", _CATEGORY, {ENTITY: "法人及非法人组织", PERSON: "自然人", SELF_EMPLOYED: "个体工商户"}
        ),
        *organisation_mistakes(_USCC),
        absent("uscc_missing", _USCC, _is_entity),
        *id_mistakes(person),
        absent("id_missing", person, lambda row: row[_CATEGORY] == PERSON),
        missing(document),
        changed("document_brackets", CLEANABLE, document, _other_brackets),
        *date_mistakes(decided, *also),
        missing(decided),
        *organisation_mistakes(authority),
        changed("status_no_code", CODE, status, lambda v, d: "7"),
        spelled("status_word", status, {VALID: "有效", WITHDRAWN: "撤销"}),
        repeated(0),
    )


def _other_brackets(value: str, dice: Dice) -> str:
    year = value[value.index("〔") + 1 : value.index("〕")]
    return value.replace(f"〔{year}〕", dice.pick(_BRACKETS).format(year))


def _without_year(value: str, dice: Dice) -> str:
    return value[: value.index("〔")] + value[value.index("〕") + 1 :]


def _fine_in_yuan(value: str, dice: Dice) -> str | None:
    yuan = round(float(value) * 10_000)
    return str(yuan) if yuan <= 100_000 else None


def _organisation_code_mistakes(column: int) -> tuple[Mistake, ...]:
    """The organisation code of before 2015 without its last character, with a wrong one, and with its hyphen."""
    return (
        changed("organisation_code_short", FORMAT, column, lambda v, d: v[:-1]),
        changed("organisation_code_wrong_check", CHECK_DIGIT, column, _wrong_organisation_check),
        changed("organisation_code_hyphenated", CLEANABLE, column, lambda v, d: f"{v[:8]}-{v[8:]}"),
    )


def _wrong_organisation_check(value: str, dice: Dice) -> str:
    return value[:-1] + dice.pick("0123456789X".replace(value[-1], ""))


def _permit_mistakes() -> tuple[Mistake, ...]:
    at = PERMITS.names.index
    category, begin, end = at("XK_XKLB"), at("XK_YXQZ"), at("XK_YXQZI")
    return (
        *_common_mistakes(
            at("XK_XDR_ZJHM"), at("XK_FR_SFZH"), at("XK_WSH"), at("XK_JDRQ"), at("XK_XKJGDM"), at("XK_ZT")
        ),
        *_organisation_code_mistakes(at("XK_XDR_ZZJG")),
        changed("permit_category_no_code", CODE, category, lambda v, d: "0"),
        spelled("permit_category_word", category, {"1": "普通", "2": "特许", "3": "认可", "4": "核准", "5": "登记"}),
        missing(at("XK_NR")),
        before("validity_reversed", begin, end),
        instead_of_nothing("validity_without_end", end, *_FAR),
    )


def _penalty_mistakes() -> tuple[Mistake, ...]:
    at = PENALTIES.names.index
    category, fine, decided, end = at("CF_CFLB1"), at("CF_NR_FK"), at("CF_JDRQ"), at("CF_GSJZQ")
    return (
        *_common_mistakes(
            at("CF_XDR_SFZ"), at("CF_FR_ZJHM"), at("CF_WSH"), decided, at("CF_CFJGDM"), at("CF_ZT"), CONSISTENCY
        ),
        *_organisation_code_mistakes(at("CF_XDR_ZDM")),
        missing(at("CF_WFXW")),
        missing(at("CF_SY")),
        changed("second_category_no_code", CODE, at("CF_CFLB2"), lambda v, d: "8"),
        changed("penalty_category_no_code", CODE, category, lambda v, d: "8"),
        spelled("penalty_category_word", category, {"1": "警告、通报批评", "2": "罚款", "9": "其他"}),
        changed("fine_negative", RANGE, fine, lambda v, d: f"-{v}", CONSISTENCY),
        changed("fine_with_unit", FORMAT, fine, lambda v, d: f"{v}万元"),
        changed("fine_in_yuan", CONSISTENCY, fine, _fine_in_yuan),
        changed("confiscated_in_yuan", CONSISTENCY, at("CF_NR_WFFF"), _fine_in_yuan),
        before("publicity_ended_before_decision", decided, end),
        instead_of_nothing("publicity_without_end", end, *_FAR),
    )


class _Decisions:
    """What permits and penalties have in common: history, new decisions, withdrawals, late rows."""

    key = 0
    per_entity: float
    per_person: float
    place: Table
    decided: str
    """The column of the day of the decision."""

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The decisions since the office publishes them."""
        dice, adults = city.dice, [person for person in city.people if person.age(city.today) >= 18]
        entities = list(map(subject_of_entity, all_entities(city.truth)))
        subjects = [dice.pick(entities) for _ in range(round(self.per_entity * len(entities)))]
        subjects += [subject_of_person(dice.pick(adults)) for _ in range(round(self.per_person * len(adults)))]
        rows = [
            self._row(dice, number, subject, some_day(dice, subject, city.today))
            for number, subject in enumerate(subjects)
        ]
        # A decision may be entered some days later, but nothing was entered after today.
        end = f"{city.today.isoformat()} 17:30:00"
        for row in rows:
            row[self.place.moment] = min(str(row[self.place.moment]), end)
        return rows

    def day(self, news: News) -> Change:
        """New decisions, some of which the table shows only a day or two after they were entered, or which were entered
        late; withdrawals."""
        dice, living = news.dice, news.day.state.living
        number = news.count(self.place.dataset)
        entities = some_active(news.truth, self.place.name + news.today.isoformat(), max(3, living // 10_000 + 1))
        people = [person for person in news.people(3) if person.age(news.today) >= 18][:1]
        rows, late = [], list[tuple[Row, int]]()
        for count, subject in enumerate([*map(subject_of_entity, entities), *map(subject_of_person, people)]):
            entered = news.today - timedelta(days=dice.pick((0, 0, 0, 1, 2)))
            decided = entered - timedelta(days=dice.between(0, 3))
            long_before = working_days_earlier(entered, TIME_TO_REPORT + dice.between(1, 8))
            is_late = dice.chance(news.rates.reported_late) and long_before >= subject.since
            row = self._row(dice, number + count, subject, long_before if is_late else decided)
            row[self.place.moment] = _moment(dice, entered)
            rows.append(row)
            if is_late:
                late.append((row, self.place.names.index(self.decided)))
        status = self.place.moment - 4
        for row in news.some(self.place.dataset, max(1, living // 30_000)):
            if row[status] == VALID:
                row[status], row[self.place.moment] = WITHDRAWN, _moment(dice, news.today)
                rows.append(row)
        return Change(rows, late=late)

    def _row(self, dice: Dice, number: int, subject: Subject, decided: date) -> Row:
        raise NotImplementedError


class Permits(_Decisions):
    """The table of permits."""

    place, decided = PERMITS, "XK_JDRQ"
    mistakes = _permit_mistakes()
    per_entity, per_person = 0.45, 0.004

    def _row(self, dice: Dice, number: int, subject: Subject, decided: date) -> Row:
        kind = dice.pick(PERMITS_OF_PEOPLE if subject.category == PERSON else PERMITS_OF_ENTITIES)
        authority = authorities()[kind.organisation]
        return [
            f"XK3415{number + 1:010d}",
            subject.name,
            subject.category,
            subject.uscc,
            *_former_numbers(subject, decided),
            subject.representative,
            _id_kind(subject.representative_id),
            subject.representative_id,
            _id_kind(subject.id_number),
            subject.id_number,
            f"{kind.content}决定书",
            document_number(dice, kind.mark, decided),
            kind.category,
            f"{kind.content.removeprefix('准予')}证" if kind.years else None,
            f"ZS{number + 1:010d}" if kind.years else None,
            kind.content,
            decided.isoformat(),
            decided.isoformat(),
            None if kind.years is None else (decided + timedelta(days=365 * kind.years)).isoformat(),
            *_signed(authority),
            dice.pick(_STATUSES),
            *_signed(authority),
            None,
            _moment(dice, decided + timedelta(days=dice.between(0, 6))),
        ]


class Penalties(_Decisions):
    """The table of penalties."""

    place, decided = PENALTIES, "CF_JDRQ"
    mistakes = _penalty_mistakes()
    per_entity, per_person = 0.08, 0.0012

    def _row(self, dice: Dice, number: int, subject: Subject, decided: date) -> Row:
        kind = dice.pick(OFFENCES_OF_PEOPLE if subject.category == PERSON else OFFENCES_OF_ENTITIES)
        authority = authorities()[kind.organisation]
        category = dice.pick(PENALTY_CATEGORIES)
        fine = dice.pick(kind.fines.split()) if category == "2" else None
        taken = dice.pick(("0.12", "0.8", "2.6")) if fine and dice.chance(0.3) else None
        fine = None if taken and dice.chance(0.2) else fine  # some only lose what the offence brought
        years = dice.pick((0.25, 1, 1, 3, None))
        until = None if years is None else (decided + timedelta(days=int(365 * years))).isoformat()
        return [
            f"CF3415{number + 1:010d}",
            subject.name,
            subject.category,
            subject.uscc,
            *_former_numbers(subject, decided),
            subject.representative,
            _id_kind(subject.representative_id),
            subject.representative_id,
            _id_kind(subject.id_number),
            subject.id_number,
            document_number(dice, kind.mark, decided),
            kind.offence,
            f"经查，当事人{kind.offence}，事实清楚，证据确凿。",
            kind.basis,
            category,
            "1" if category == "2" and taken else None,
            _content(category, fine, taken),
            fine,
            taken,
            "许可证件" if category == "3" else None,
            decided.isoformat(),
            until,
            until,
            *_signed(authority),
            dice.pick(_STATUSES),
            *_signed(authority),
            None,
            _moment(dice, decided + timedelta(days=dice.between(0, 6))),
        ]


def _former_numbers(subject: Subject, decided: date) -> tuple[str | None, ...]:
    """The numbers an organisation had before the unified code, which old decisions still name: registration number,
    organisation code, tax number, and those of public institutions and social organisations, of which there are none.
    """
    if subject.uscc is None or decided >= _UNIFIED:
        return (None,) * 5
    return subject.uscc[2:8] + subject.uscc[8:17], subject.uscc[8:17], subject.uscc[:18], None, None


def _id_kind(number: str | None) -> str | None:
    return None if number is None else ID_CARD


def _content(category: str, fine: str | None, taken: str | None) -> str:
    """The penalty in words; amounts of money are in 元 there."""
    amounts = (("罚款", fine), ("没收违法所得", taken))
    words = [f"{word}人民币{round(float(amount) * 10_000)}元" for word, amount in amounts if amount is not None]
    return "，".join(words) or PENALTY_WORDS[category]


def _signed(authority: Authority) -> tuple[str, str]:
    return f"六安{authority.name}", authority.uscc


def _moment(dice: Dice, day: date) -> str:
    return (datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))).isoformat(" ")
