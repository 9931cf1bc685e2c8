"""The service platform's tables: cases, their steps and their evaluations. Licences are in `licence_registers`.

A case is planned to its end when it is accepted (`services`); what lies in the future is put ahead and shown on its
day. Registers of one list share a desk, where the cases of the day are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

from simulator import memos
from simulator.chance import Dice
from simulator.defects import CHECK_DIGIT, CODE, CONSISTENCY, FORMAT, RANGE, SENTINEL_1899
from simulator.entities import Entity, all_entities, some_active
from simulator.licence_registers import Licences
from simulator.mistakes import Mistake, changed, code_mistakes, id_mistakes, missing, spelled, swapped_code
from simulator.office_hours import is_working_day
from simulator.person import Person
from simulator.registers import Change, Everybody, News, Register, Row, Table
from simulator.schema import Connection
from simulator.service_items import ENTITY, PERSON
from simulator.services import Applicant, Case, Evaluation, Step, item_for, plan
from simulator.special_mistakes import absent, before, instead_of_nothing, only, organisation_mistakes, repeated

CASES_PER_PERSON = 0.040 / 22
"""Cases a working day."""
ON_FREE_DAYS = 0.12
"""What machines take in on a free day, as a share of a working day."""
SHARE_OF_ENTITIES = 0.28
FIRST_DAY = date(2025, 10, 1)
OF_AGE = 16

CASES = Table(
    "dsrb",
    "zwfw",
    "T_BJXX",
    (
        ("BJBH", "varchar(40)"),
        ("SXBM", "varchar(40)"),
        ("SXMC", "varchar(200)"),
        ("SQRLX", "varchar(40)"),
        ("SQRZJHM", "varchar(40)"),
        ("BLBMDM", "varchar(40)"),
        ("BLBM", "varchar(100)"),
        ("SLQH", "varchar(12)"),
        ("SQQD", "varchar(40)"),
        ("SLSJ", "varchar(30)"),
        ("CNSX", "varchar(20)"),  # in working days
        ("CNBJSJ", "varchar(30)"),
        ("BJSJ", "varchar(30)"),
        ("BJJG", "varchar(40)"),
        ("CLS", "varchar(20)"),
        ("GXZZS", "varchar(20)"),
        ("PDCS", "varchar(20)"),
        ("GXSJ", "timestamp(0)"),
    ),
    moment=17,
)
STEPS = Table(
    "dsrb",
    "zwfw",
    "T_BJHJ",
    (
        ("HJBH", "varchar(40)"),
        ("BJBH", "varchar(40)"),
        ("HJMC", "varchar(40)"),
        ("KSSJ", "varchar(30)"),
        ("JSSJ", "varchar(30)"),
        ("BLR", "varchar(60)"),
        ("GXSJ", "timestamp(0)"),
    ),
    moment=6,
)
EVALUATIONS = Table(
    "dsrb",
    "zwfw",
    "T_HCP",
    (
        ("PJBH", "varchar(40)"),
        ("BJBH", "varchar(40)"),
        ("PJQD", "varchar(40)"),
        ("MYD", "varchar(40)"),
        ("PJNR", "varchar(1000)"),
        ("PJBQ", "varchar(200)"),
        ("PJSJ", "timestamp(0)"),
        ("ZGQX", "varchar(20)"),
        ("ZGJG", "varchar(20)"),
        ("GXSJ", "timestamp(0)"),
    ),
    moment=9,
)
_CHANNEL_WORDS = {"1": "窗口", "2": "网站", "3": "皖事通", "4": "自助机", "5": "7×24"}


def _broken_time(value: str, dice: Dice) -> str:
    return f"{value[:11]}00:00;00"


def _impossible_day(value: str, dice: Dice) -> str:
    return f"{value[:4]}-02-30{value[10:]}"


def _far_future(value: str, dice: Dice) -> str:
    return f"{int(value[:4]) + 30}{value[4:]}".replace("-02-29", "-02-28")


def _case_mistakes() -> tuple[Mistake, ...]:
    at = CASES.names.index
    kind, applicant, accepted, days, finished = at("SQRLX"), at("SQRZJHM"), at("SLSJ"), at("CNSX"), at("BJSJ")
    # One rule judges the number by the type of applicant, whatever is wrong with it.
    one_rule = (FORMAT, CHECK_DIGIT, CONSISTENCY)
    return (
        *(only(lambda row: row[kind] == PERSON, mistake) for mistake in id_mistakes(applicant, *one_rule)),
        *organisation_mistakes(applicant, *one_rule, suits=lambda row: row[kind] == ENTITY),
        missing(applicant),
        *code_mistakes(kind, "9", *one_rule),
        spelled("kind_word", kind, {PERSON: "自然人", ENTITY: "企业"}),
        missing(at("SXMC")),
        *organisation_mistakes(at("BLBMDM")),
        swapped_code(at("BLBMDM"), at("BLBM")),
        changed("materials_in_words", FORMAT, at("CLS"), lambda v, d: f"{v}份"),
        changed("materials_absurd", RANGE, at("CLS"), lambda v, d: f"{v}000"),
        changed("county_left", CODE, at("SLQH"), lambda v, d: "341521"),
        *code_mistakes(at("SQQD"), "99"),
        spelled("channel_word", at("SQQD"), _CHANNEL_WORDS),
        missing(accepted),
        changed("accepted_broken_time", FORMAT, accepted, _broken_time),
        changed("accepted_in_future", RANGE, accepted, _far_future, CONSISTENCY),
        changed("promise_in_words", FORMAT, days, lambda v, d: f"{v}个工作日"),
        changed("promise_negative", RANGE, days, lambda v, d: f"-{int(v) + 1}"),
        changed("due_on_no_day", FORMAT, at("CNBJSJ"), _impossible_day),
        before("due_before_acceptance", accepted, at("CNBJSJ")),
        before("finished_before_acceptance", accepted, finished),
        absent("finish_missing", finished, lambda row: row[at("BJJG")] is not None),
        *code_mistakes(at("BJJG"), "7"),
        spelled("result_word", at("BJJG"), {"1": "办结", "2": "不予许可", "3": "撤件"}),
        changed("visits_absurd", RANGE, at("PDCS"), lambda v, d: "99"),
        repeated(0),
    )


def _step_mistakes() -> tuple[Mistake, ...]:
    at = STEPS.names.index
    return (
        missing(at("BJBH")),
        *code_mistakes(at("HJMC"), "8"),
        spelled("step_word", at("HJMC"), {"1": "收件", "2": "受理", "3": "审核", "4": "决定", "5": "送达"}),
        missing(at("KSSJ")),
        changed("begin_broken_time", FORMAT, at("KSSJ"), _broken_time),
        changed("begin_in_future", RANGE, at("KSSJ"), _far_future, CONSISTENCY),
        before("ended_before_begin", at("KSSJ"), at("JSSJ")),
        repeated(0),
    )


def _evaluation_mistakes() -> tuple[Mistake, ...]:
    at = EVALUATIONS.names.index
    grade = at("MYD")
    return (
        missing(at("BJBH")),
        *code_mistakes(at("PJQD"), "9"),
        spelled("channel_word", at("PJQD"), _CHANNEL_WORDS),
        missing(grade),
        *code_mistakes(grade, "6"),
        spelled("grade_word", grade, {"5": "非常满意", "4": "满意", "3": "一般", "2": "不满意"}),
        absent("due_missing", at("ZGQX"), lambda row: row[grade] in ("1", "2")),
        changed("due_before_evaluation", CONSISTENCY, at("ZGQX"), lambda v, d: f"{int(v[:4]) - 2}-01-15"),
        *code_mistakes(at("ZGJG"), "7"),
        spelled("result_word", at("ZGJG"), {"1": "整改完成", "2": "非责任", "3": "逾期"}),
        instead_of_nothing("due_sentinel", at("ZGQX"), SENTINEL_1899, "9999-12-31"),
        repeated(0),
    )


class Desk:
    """Where the day's cases are accepted; the registers take from it what becomes visible."""

    def __init__(self) -> None:
        self.cases: list[Case] = []


class Cases:
    """The table of cases: a case is written when it is accepted and again when it is finished."""

    place = CASES
    key = 0
    mistakes = _case_mistakes()

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The cases of the last three months; those not finished yet go on."""
        adults = [person for person in city.people if person.age(city.today) >= OF_AGE]
        entities = [entity for entity in all_entities(city.truth) if entity.status == "1"]
        day = FIRST_DAY
        while day <= city.today:
            for _ in range(_volume(city.dice, len(city.people), day) if adults else 0):
                by_entity = entities and city.dice.chance(SHARE_OF_ENTITIES)
                applicant = _of_entity(city.dice.pick(entities)) if by_entity else _of_person(city.dice.pick(adults))
                self._accept(city.dice, len(self._desk.cases), applicant, day)
            day += timedelta(days=1)
        return _shown(city.truth, CASES, self._desk.cases, case_rows, city.today)

    def day(self, news: News) -> Change:
        """Cases accepted today, and those finished today."""
        wanted = _volume(news.dice, news.day.state.living, news.today)
        by_entities = sum(news.dice.chance(SHARE_OF_ENTITIES) for _ in range(wanted))
        adults = [person for person in news.people((wanted - by_entities) * 2) if person.age(news.today) >= OF_AGE]
        number = news.count(CASES.dataset)
        applicants = [
            *map(_of_person, adults[: wanted - by_entities]),
            *map(_of_entity, some_active(news.truth, "cases" + news.today.isoformat(), by_entities)),
        ]
        for count, applicant in enumerate(applicants):
            self._accept(news.dice, number + count, applicant, news.today)
        return Change(_of_today(news, CASES, self._desk.cases, case_rows))

    def _accept(self, dice: Dice, number: int, applicant: Applicant, day: date) -> None:
        self._desk.cases.append(plan(dice, number + 1, item_for(dice, applicant.kind, day), applicant, day))


class Steps:
    """The table of steps: a step is written when it begins and again when it ends."""

    place = STEPS
    key = 0
    mistakes = _step_mistakes()

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The steps of the cases so far."""
        return _shown(city.truth, STEPS, self._desk.cases, step_rows, city.today)

    def day(self, news: News) -> Change:
        """Steps begun or ended today."""
        return Change(_of_today(news, STEPS, self._desk.cases, step_rows))


class Evaluations:
    """The table of evaluations: a bad one is written again when it was put right."""

    place = EVALUATIONS
    key = 0
    mistakes = _evaluation_mistakes()

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The evaluations given so far."""
        return _shown(city.truth, EVALUATIONS, self._desk.cases, evaluation_rows, city.today)

    def day(self, news: News) -> Change:
        """The evaluations of today."""
        return Change(_of_today(news, EVALUATIONS, self._desk.cases, evaluation_rows))


def registers() -> list[Register]:
    """The registers of this module and the log of licences, made anew."""
    desk = Desk()
    return [Cases(desk), Steps(desk), Evaluations(desk), Licences()]


Versions = Iterator[tuple[datetime, Row]]
"""Rows in order of time, each with the moment from which it stands; a later one replaces those of the same key."""


def case_rows(case: Case) -> Versions:
    """A case as accepted and as finished."""
    yield case.accepted, _case_row(case, case.accepted)
    yield case.finished, _case_row(case, case.finished)


def step_rows(case: Case) -> Versions:
    """Every step as begun and as ended."""
    for step in case.steps:
        yield step.started, _step_row(case, step, step.started)
        yield step.ended, _step_row(case, step, step.ended)


def evaluation_rows(case: Case) -> Versions:
    """The evaluation, if there is one, as given and as put right."""
    told = case.evaluation
    if told is not None:
        yield told.at, _evaluation_row(case, told, told.at)
        if told.rectified is not None:
            yield told.rectified, _evaluation_row(case, told, told.rectified)


def _shown(
    truth: Connection, place: Table, cases: list[Case], rows_of: Callable[[Case], Versions], today: date
) -> list[Row]:
    """What a table shows of cases at the end of a day; what comes later is put ahead."""
    shown: dict[str, Row] = {}
    ahead: dict[tuple[date, str], Row] = {}
    for case in cases:
        for moment, row in rows_of(case):
            if moment.date() <= today:
                shown[str(row[0])] = row
            else:
                ahead[moment.date(), str(row[0])] = row
    memos.put_ahead(truth, place.dataset, ((day, row) for (day, _), row in ahead.items()))
    return sorted(shown.values(), key=lambda row: (str(row[place.moment]), str(row[0])))


def _of_today(news: News, place: Table, cases: list[Case], rows_of: Callable[[Case], Versions]) -> list[Row]:
    """What was put ahead for today, and what today's new cases show."""
    earlier = memos.due(news.truth, place.dataset, news.today)
    return [*earlier, *_shown(news.truth, place, cases, rows_of, news.today)]


def _case_row(case: Case, moment: datetime) -> Row:
    authority, finished = case.item.authority, moment >= case.finished
    return [
        case.case_number,
        case.item.code,
        case.item.name,
        case.applicant.kind,
        case.applicant.code,
        authority.uscc,
        authority.name,
        case.applicant.county,
        case.channel,
        case.accepted.isoformat(" "),
        str(case.item.promised),
        case.due.isoformat(" "),
        case.finished.isoformat(" ") if finished else None,
        case.result if finished else None,
        str(case.materials),
        str(case.shared_licences),
        str(case.visits),
        moment.isoformat(" "),
    ]


def _step_row(case: Case, step: Step, moment: datetime) -> Row:
    ended = step.ended.isoformat(" ") if moment >= step.ended else None
    number = f"{case.case_number}{step.code}"
    return [
        number,
        case.case_number,
        step.code,
        step.started.isoformat(" "),
        ended,
        step.handler,
        moment.isoformat(" "),
    ]


def _evaluation_row(case: Case, evaluation: Evaluation, moment: datetime) -> Row:
    known = evaluation.rectified is not None and moment >= evaluation.rectified
    return [
        f"PJ{case.case_number}",
        case.case_number,
        evaluation.channel,
        evaluation.grade,
        evaluation.comment,
        evaluation.tags or None,
        evaluation.at.isoformat(" "),
        evaluation.rectify_due.isoformat() if evaluation.rectify_due else None,
        evaluation.rectify_result if known else None,
        moment.isoformat(" "),
    ]


def _volume(dice: Dice, people: int, day: date) -> int:
    expected = CASES_PER_PERSON * people * (1 if is_working_day(day) else ON_FREE_DAYS)
    expected *= 0.8 + 0.4 * dice.random()
    return int(expected) + dice.chance(expected - int(expected))


def _of_person(person: Person) -> Applicant:
    return Applicant(PERSON, person.id_number, person.name, person.phone, person.division[:6])


def _of_entity(entity: Entity) -> Applicant:
    return Applicant(ENTITY, entity.uscc, entity.representative, entity.phone, entity.county)
