"""Service cases as the truth plans them: acceptance, steps, result and evaluation, and what is visible of them when.

Only single cases, in memory. Items are in `service_items`; tables and their days belong to `service_registers`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from simulator import names
from simulator.chance import Dice, deck
from simulator.office_hours import OFFICE_SECONDS, at_office, closing, is_working_day, working_days_later
from simulator.service_items import DECK, Item

WINDOW, WEB, MOBILE, KIOSK, AROUND_THE_CLOCK = "1", "2", "3", "4", "5"
_CHANNELS = deck(f"{WINDOW}*45 {WEB}*18 {MOBILE}*28 {KIOSK}*4 {AROUND_THE_CLOCK}*3 6 7")
_ONLINE = frozenset({WEB, MOBILE, KIOSK, AROUND_THE_CLOCK, "6"})
SHARE_ON_TIME = 0.96
SHARE_EVALUATED = 0.6
GRANTED, REFUSED, WITHDRAWN, PASSED_ON = "1", "2", "3", "4"
_RESULTS = deck(f"{GRANTED}*94 {REFUSED}*2 {WITHDRAWN}*3 {PASSED_ON}")
RECEIPT, ACCEPTANCE, REVIEW, DECISION, DELIVERY = "1", "2", "3", "4", "5"
"""Codes of the steps of a case."""
_GRADES = deck("5*88 4*9 3*2 2")
_BAD_GRADES = frozenset({"1", "2"})
_DAYS_TO_RECTIFY = 15
_NOT_RECTIFIED = "3"
_RECTIFICATIONS = deck(f"1*16 2*3 {_NOT_RECTIFIED}")
_GRADES_WHEN_LATE = deck("5*20 4*25 3*25 2*20 1*10")
_PRAISE = (
    "办得很快，工作人员态度很好",
    "一次就办成了，点赞",
    "服务热情，讲解耐心",
    "流程简单，网上就能办",
    "大厅环境好，不用排队",
    "资料不用重复提交，方便",
    "效率高，比承诺时间提前了",
)
_BLAME = ("等的时间太长了", "跑了两趟才办好", "系统总是报错", "材料要求说得不清楚", "电话打不通")
_PERSONAL = (
    "窗口的{clerk}很耐心，谢谢",
    "请回电{phone}，我还有问题",
    "{name}，电话{phone}，希望尽快把证寄到",
    "感谢{clerk}帮我母亲办理",
)
SHARE_SILENT, SHARE_PERSONAL = 0.45, 0.06


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who applies: a person or an entity, with a name and a telephone that a comment may betray."""

    kind: str
    code: str
    name: str
    phone: str | None
    county: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case with its handler."""

    code: str
    started: datetime
    ended: datetime
    handler: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the applicant thought of it."""

    at: datetime
    channel: str
    grade: str
    comment: str | None
    tags: str
    rectify_due: date | None = None
    rectified: datetime | None = None
    """Of a bad one: the last day for putting it right, and when that was done or came to nothing."""
    rectify_result: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A case from beginning to end, planned when it is accepted; what lies in the future is not shown yet."""

    number: int
    item: Item
    applicant: Applicant
    channel: str
    accepted: datetime
    due: datetime
    finished: datetime
    result: str
    materials: int
    shared_licences: int
    visits: int
    steps: tuple[Step, ...]
    evaluation: Evaluation | None

    @property
    def case_number(self) -> str:
        """The platform's number of the case."""
        return f"3415{self.accepted:%Y%m%d}{self.number:08d}"

    def moments(self) -> list[datetime]:
        """Every moment at which something about the case becomes visible."""
        steps = [moment for step in self.steps for moment in (step.started, step.ended)]
        evaluated = [] if self.evaluation is None else [self.evaluation.at, self.evaluation.rectified]
        return [self.accepted, self.finished, *steps, *(moment for moment in evaluated if moment is not None)]

    def next_day(self, after: date) -> date | None:
        """The next day on which something about the case changes; None when nothing will."""
        return min((moment.date() for moment in self.moments() if moment.date() > after), default=None)


def plan(dice: Dice, number: int, item: Item, applicant: Applicant, day: date) -> Case:
    """A case accepted on a day, with all that will become of it."""
    channel = dice.pick(_CHANNELS)
    if not is_working_day(day):
        channel = channel if channel in _ONLINE else MOBILE
    accepted = at_office(day, 3600 + dice.below(OFFICE_SECONDS - 3 * 3600))
    due = closing(working_days_later(day, item.promised))
    late = not dice.chance(SHARE_ON_TIME)
    finished = _finish(dice, item, accepted, late)
    result = dice.pick(_RESULTS)
    return Case(
        number=number,
        item=item,
        applicant=applicant,
        channel=channel,
        accepted=accepted,
        due=due,
        finished=finished,
        result=result,
        materials=dice.between(1, 9),
        shared_licences=dice.between(0, 3) if dice.chance(0.7) else dice.between(4, 8),
        visits=dice.pick((0, 0, 0, 1)) if channel in _ONLINE else dice.pick((1, 1, 1, 1, 2)),
        steps=_steps(dice, accepted, finished, result),
        evaluation=_evaluation(dice, applicant, channel, finished, late) if dice.chance(SHARE_EVALUATED) else None,
    )


def item_for(dice: Dice, kind: str, day: date) -> Item:
    """An item this kind of applicant asks for; offices that are closed only do what a machine does on the spot."""
    while True:
        item = dice.pick(DECK)
        if item.applicant == kind and (item.promised <= 1 or is_working_day(day)):
            return item


def _finish(dice: Dice, item: Item, accepted: datetime, late: bool) -> datetime:
    if late:
        day = working_days_later(accepted.date(), item.promised + 1 + dice.below(5))
        return at_office(day, dice.below(OFFICE_SECONDS))
    days = int(item.promised * (0.15 + 0.8 * dice.random()))
    if days == 0:
        return accepted + timedelta(seconds=300 + dice.below(3300))
    return at_office(working_days_later(accepted.date(), days), dice.below(OFFICE_SECONDS))


def _steps(dice: Dice, accepted: datetime, finished: datetime, result: str) -> tuple[Step, ...]:
    received = accepted - timedelta(seconds=120 + dice.below(1_500))
    taken = received + (accepted - received) / 2
    decided = finished - timedelta(seconds=60 + dice.below(200))
    delivered = finished + timedelta(seconds=60 + dice.below(1_800))
    if dice.chance(0.15):
        delivered = at_office(working_days_later(finished.date(), dice.between(1, 3)), dice.below(OFFICE_SECONDS))
    spans = [
        (RECEIPT, received, taken),
        (ACCEPTANCE, taken, accepted),
        (REVIEW, accepted, decided),
        (DECISION, decided, finished),
    ]
    if result in (GRANTED, REFUSED):
        spans.append((DELIVERY, finished, delivered))
    front, back = _clerk(dice), _clerk(dice)
    return tuple(
        Step(code, start.replace(microsecond=0), end.replace(microsecond=0), front if code < REVIEW else back)
        for code, start, end in spans
    )


def _evaluation(dice: Dice, applicant: Applicant, channel: str, finished: datetime, late: bool) -> Evaluation:
    at = finished + timedelta(seconds=60 + dice.below(7_200))
    if dice.chance(0.25):
        at += timedelta(days=dice.between(1, 5))
    grade = dice.pick(_GRADES_WHEN_LATE if late else _GRADES)
    own_channel = channel if dice.chance(0.75) else dice.pick((MOBILE, "6", "7", "8"))
    told = Evaluation(at, own_channel, grade, _comment(dice, applicant, grade), "默认" if dice.chance(0.4) else "")
    return _rectified(dice, told) if grade in _BAD_GRADES else told


def _rectified(dice: Dice, told: Evaluation) -> Evaluation:
    """A bad evaluation is verified, and put right within fifteen working days; a few are not."""
    due = working_days_later(told.at.date(), _DAYS_TO_RECTIFY)
    result = dice.pick(_RECTIFICATIONS)
    day = working_days_later(told.at.date(), dice.between(1, _DAYS_TO_RECTIFY))
    if result == _NOT_RECTIFIED:
        day = working_days_later(due, 1)
    return replace(told, rectify_due=due, rectified=at_office(day, dice.below(OFFICE_SECONDS)), rectify_result=result)


def _comment(dice: Dice, applicant: Applicant, grade: str) -> str | None:
    if dice.chance(SHARE_SILENT):
        return None
    if dice.chance(SHARE_PERSONAL) and applicant.phone is not None:
        return dice.pick(_PERSONAL).format(clerk=_clerk(dice), phone=applicant.phone, name=applicant.name)
    return dice.pick(_PRAISE if grade in "54" else _BLAME)


def _clerk(dice: Dice) -> str:
    return names.new_name(dice, names.HAN, dice.pick(("1", "2")), dice.between(1970, 1999))
