"""Orders of the 12345 hotline: who called about what, who was charged with it, and whether the caller was content.

An order is planned to its end when the call comes; what lies in the future is put ahead and told on its day. What was
said holds names and telephones, as it does in real systems.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from simulator import memos
from simulator.chance import Dice, deck
from simulator.defects import CLEANABLE, CODE, CONSISTENCY, FORMAT, RANGE
from simulator.mistakes import Mistake, changed, code_mistakes, masked_phone, missing, spelled
from simulator.office_hours import OFFICE_SECONDS, at_office, closing, working_days_later
from simulator.person import Person
from simulator.registers import Change, Everybody, Interface, News, Register, Row
from simulator.special_mistakes import before, repeated

ORDERS_PER_PERSON_AND_DAY = 0.0005
FIRST_DAY = date(2025, 10, 1)
OF_AGE = 16
URBAN = "01"
"""The first level of what calls are about that urban management sees to."""
SUBJECTS = {
    "010101": ("市城市管理行政执法局", 12, "占道经营影响通行"),
    "010102": ("市城市管理行政执法局", 9, "小区门口垃圾没有清运"),
    "010201": ("市城市管理行政执法局", 6, "路灯不亮"),
    "010202": ("市城市管理行政执法局", 5, "井盖破损"),
    "020101": ("市住房和城乡建设局", 9, "物业不作为"),
    "020201": ("市住房和城乡建设局", 5, "新房漏水"),
    "020301": ("市住房和城乡建设局", 4, "停水没有通知"),
    "030101": ("市人力资源和社会保障局", 7, "工地拖欠工资"),
    "030201": ("市人力资源和社会保障局", 5, "咨询退休手续"),
    "040101": ("市市场监督管理局", 8, "买到过期食品"),
    "040201": ("市市场监督管理局", 6, "预付卡不退款"),
    "050101": ("市公安局", 6, "夜间噪音扰民"),
    "050201": ("市公安局", 4, "咨询落户"),
    "060101": ("市民政局", 3, "咨询低保"),
    "070101": ("市卫生健康委员会", 4, "挂不上号"),
    "080101": ("市教育体育局", 4, "咨询入学"),
    "090101": ("市交通运输局", 5, "公交车不到站"),
    "100101": ("市生态环境局", 3, "闻到异味"),
}
"""By code of the third level who is charged, how often it is called about, and what people say."""
_SUBJECTS = tuple(code for code, (_, weight, _) in SUBJECTS.items() for _ in range(weight))
_CHANNELS = deck("1*70 2*6 3*12 4*10 5*2")

ORDERS = Interface(
    "hotline",
    "orders",
    "json",
    (
        "orderNo",
        "callTime",
        "channel",
        "caller",
        "anonymous",
        "secret",
        "areaCode",
        "address",
        "typeCode",
        "content",
        "dept",
        "dispatchTime",
        "dueTime",
        "backTime",
        "finishTime",
        "satisfied",
        "repeatOf",
        "urgent",
        "updateTime",
    ),
)
at = ORDERS.names.index


def registers() -> list[Register]:
    """The register of this module, made anew."""
    return [Orders()]


@dataclass(frozen=True, slots=True)
class Caller:
    """What an order takes from the person who calls, or from the order that is repeated."""

    phone: str | None
    anonymous: bool
    area: str
    address: str
    subject: str
    repeats: str | None = None


class Orders:
    """The orders, each as it stands: taken, handed over, sent back, finished, and asked about."""

    place = ORDERS
    key = 0
    mistakes: tuple[Mistake, ...] = (
        missing(at("callTime")),
        changed("call_broken_time", FORMAT, at("callTime"), lambda v, d: f"{v[:11]}00:00;00"),
        changed("call_in_future", RANGE, at("callTime"), lambda v, d: f"{int(v[:4]) + 30}-01{v[7:]}", CONSISTENCY),
        *code_mistakes(at("channel"), "99"),
        spelled("channel_word", at("channel"), {"1": "电话", "2": "网站", "3": "皖事通", "4": "微信"}),
        masked_phone(at("caller")),
        changed("caller_spaced", CLEANABLE, at("caller"), lambda v, d: f"{v[:3]} {v[3:7]} {v[7:]}"),
        spelled("anonymous_word", at("anonymous"), {"1": "是", "0": "否"}),
        spelled("secret_word", at("secret"), {"1": "是", "0": "否"}),
        *code_mistakes(at("urgent"), "3"),
        changed("area_unknown", CODE, at("areaCode"), lambda v, d: f"{v[:6]}999999"),
        *code_mistakes(at("typeCode"), "019999"),
        missing(at("typeCode")),
        missing(at("dept")),
        before("dispatched_before_call", at("callTime"), at("dispatchTime")),
        before("due_before_call", at("callTime"), at("dueTime")),
        before("finished_before_dispatch", at("dispatchTime"), at("finishTime")),
        *code_mistakes(at("satisfied"), "7"),
        Mistake("repeats_itself", CONSISTENCY, at("repeatOf"), lambda row, dice: _repeating_itself(row)),
        repeated(0),
    )

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The orders of the last three months as they stand; those not finished yet go on."""
        dice, shown, ahead = city.dice, dict[str, Row](), list[tuple[date, Row]]()
        adults = [person for person in city.people if person.age(city.today) >= OF_AGE]
        day, callers = FIRST_DAY, list[tuple[str, Caller]]()
        while day <= city.today:
            for _ in range(_volume(dice, len(city.people)) if adults else 0):
                again = dice.pick(callers) if callers and dice.chance(0.04) else None
                caller = _again(*again) if again else _caller(dice, dice.pick(adults))
                number = _number(len(callers) + 1, day)
                callers.append((number, caller))
                for moment, row in _versions(dice, number, caller, day):
                    if moment.date() <= city.today:
                        shown[number] = row
                    else:
                        ahead.append((moment.date(), row))
            day += timedelta(days=1)
        memos.put_ahead(city.truth, self.place.dataset, ahead)
        return shown.values()

    def day(self, news: News) -> Change:
        """Calls of today, and what became today of earlier ones."""
        dice, today = news.dice, news.today
        rows = {str(row[0]): row for row in memos.due(news.truth, self.place.dataset, today)}
        ahead, number = list[tuple[date, Row]](), news.count(self.place.dataset)
        wanted = _volume(dice, news.day.state.living)
        adults = [one for one in news.people(wanted * 2) if one.age(today) >= OF_AGE]
        callers = [_caller(dice, one) for one in adults[:wanted]]
        callers += [_again(str(row[0]), _told(row)) for row in news.some(self.place.dataset, round(wanted * 0.04))]
        for place, caller in enumerate(callers, number + 1):
            for moment, row in _versions(dice, _number(place, today), caller, today):
                if moment.date() <= today:
                    rows[str(row[0])] = row
                else:
                    ahead.append((moment.date(), row))
        memos.put_ahead(news.truth, self.place.dataset, ahead)
        return Change(list(rows.values()))


def _caller(dice: Dice, person: Person) -> Caller:
    anonymous = dice.chance(0.1)
    phone = None if anonymous else person.phone
    return Caller(phone, anonymous, person.division, person.address, dice.pick(_SUBJECTS))


def _again(order: str, caller: Caller) -> Caller:
    """The same caller about the same thing."""
    return Caller(caller.phone, caller.anonymous, caller.area, caller.address, caller.subject, order)


def _told(row: Row) -> Caller:
    """The caller of an order."""
    subject = str(row[at("typeCode")])
    return Caller(
        row[at("caller")], row[at("anonymous")] == "1", str(row[at("areaCode")]), str(row[at("address")]), subject
    )


def _number(count: int, day: date) -> str:
    return f"LA{day:%Y%m%d}{count:08d}"


def _versions(dice: Dice, number: str, caller: Caller, day: date) -> Iterable[tuple[datetime, Row]]:
    """An order as it is taken and handed over, as it is finished, and as the caller was asked; each with its moment."""
    department, _, saying = SUBJECTS[caller.subject]
    called = datetime(day.year, day.month, day.day) + timedelta(seconds=dice.between(0, 80_000))
    dispatched = called + timedelta(seconds=dice.between(60, 4_000))
    urgent = dice.chance(0.05)
    due = closing(working_days_later(day, 1 if urgent else 5))
    days = dice.between(6, 9) if dice.chance(0.05) else dice.between(0, 1 if urgent else 5)
    finished = max(
        dispatched + timedelta(minutes=20), at_office(working_days_later(day, days), dice.below(OFFICE_SECONDS))
    )
    returned = dispatched + timedelta(minutes=dice.between(5, 15)) if dice.chance(0.06) else None
    said = f"来电人{caller.phone or '匿名'}反映{caller.address}{saying}，希望尽快处理"
    facts: Row = [
        number,
        called.isoformat(" "),
        dice.pick(_CHANNELS),
        caller.phone,
        "1" if caller.anonymous else "0",
        "1" if caller.anonymous or dice.chance(0.05) else "0",
        caller.area,
        caller.address,
        caller.subject,
        said,
        department,
        dispatched.isoformat(" "),
        due.isoformat(" "),
        returned.isoformat(" ") if returned else None,
    ]
    rest: Row = [caller.repeats, "1" if urgent else "0"]
    written = returned or dispatched
    yield written, [*facts, None, None, *rest, written.isoformat(" ")]
    yield finished, [*facts, finished.isoformat(" "), None, *rest, finished.isoformat(" ")]
    if dice.chance(0.7) and not caller.anonymous:
        asked = at_office(working_days_later(finished.date(), dice.between(1, 2)), dice.below(OFFICE_SECONDS))
        content = "1" if dice.chance(0.93) else "0"
        yield asked, [*facts, finished.isoformat(" "), content, *rest, asked.isoformat(" ")]


def _repeating_itself(row: Row) -> list[Row] | None:
    """An order that says to repeat itself."""
    if row[at("repeatOf")] is None:
        return None
    row[at("repeatOf")] = row[0]
    return [row]


def _volume(dice: Dice, people: int) -> int:
    expected = ORDERS_PER_PERSON_AND_DAY * people * (0.7 + 0.6 * dice.random())
    return int(expected) + dice.chance(expected - int(expected))
