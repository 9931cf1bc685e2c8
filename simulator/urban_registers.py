"""Cases of urban management: faults of components and events in the streets, from patrols, cameras and the hotline.

What the hotline handed over to urban management is a case here from that moment on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from simulator import memos
from simulator.chance import Dice, deck
from simulator.defects import CONSISTENCY, FORMAT, RANGE
from simulator.divisions import Village, random_village
from simulator.hotline_registers import ORDERS, URBAN
from simulator.mistakes import Mistake, changed, code_mistakes, missing, spelled
from simulator.office_hours import OFFICE_SECONDS, at_office, closing, working_days_later
from simulator.places import village_of
from simulator.register_rows import table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.schema import Connection
from simulator.special_mistakes import absent, before, repeated

CASES_PER_PERSON_AND_DAY = 0.0004
FIRST_DAY = date(2025, 10, 1)
PATROL, HOTLINE, URBAN_HOTLINE, CAMERA = "1", "2", "3", "4"
"""Codes of where a case comes from."""
_SOURCES = deck(f"{PATROL}*70 {URBAN_HOTLINE}*8 {CAMERA}*22")
_COMPONENTS = deck("101*9 102*6 103*5 104*4 105")
_EVENTS = deck("201*14 202*6 203*4 204 205*12 206*2")
SMALL_CLASSES = {"101": 14, "102": 12, "103": 11, "104": 10, "105": 4}
"""How many small classes of components a class has; those of events are not listed."""
_OF_HOTLINE = {"010101": "205", "010102": "201", "010201": "101", "010202": "101"}
"""By what a call is about, the class of its case."""


def registers() -> list[Register]:
    """The register of this module, made anew."""
    return [UrbanCases()]


class UrbanCases:
    """The cases, written again when they were dealt with and when they were closed."""

    place = table(
        "umb",
        "cg",
        "T_AJ",
        "AJBH WGBH DLDM XLDM BJBM AJLY SBSJ PQSJ JZSJ CZSJ JASJ ZRDW FGCS",
        "GXSJ",
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        changed("grid_short", FORMAT, 1, lambda v, d: v[:11]),
        changed("grid_of_elsewhere", FORMAT, 1, lambda v, d: f"3401{v[4:]}"),
        *code_mistakes(2, "299"),
        spelled("class_word", 2, {"201": "市容环境", "202": "宣传广告", "205": "街面秩序", "101": "公用设施"}),
        changed("small_class_word", FORMAT, 3, lambda v, d: "其他"),
        absent("component_missing", 4, lambda row: str(row[2]).startswith("1")),
        changed("component_short", FORMAT, 4, lambda v, d: v[:-3]),
        *code_mistakes(5, "9"),
        spelled("source_word", 5, {PATROL: "巡查上报", HOTLINE: "12345", CAMERA: "视频"}),
        missing(6),
        changed("reported_broken_time", FORMAT, 6, lambda v, d: f"{v[:11]}00:00;00"),
        changed("reported_in_future", RANGE, 6, lambda v, d: f"{int(v[:4]) + 30}-01{v[7:]}", CONSISTENCY),
        before("dispatched_before_report", 6, 7),
        before("due_before_dispatch", 7, 8),
        before("dealt_with_before_dispatch", 7, 9),
        before("closed_before_dealt_with", 9, 10),
        changed("rework_absurd", RANGE, 12, lambda v, d: f"{int(v) + 99}"),
        changed("rework_in_words", FORMAT, 12, lambda v, d: f"{v}次"),
        missing(11),
        repeated(0),
    )

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The cases of the last three months as they stand."""
        dice, shown, ahead = city.dice, dict[str, Row](), list[tuple[date, Row]]()
        orders, number, day = _orders(city.truth), 0, FIRST_DAY
        while day <= city.today:
            for reported, village, sort, source in _reports(dice, orders.get(day, []), len(city.people), day):
                number += 1
                for moment, row in _versions(dice, number, reported, village, sort, source):
                    if moment.date() <= city.today:
                        shown[str(row[0])] = row
                    else:
                        ahead.append((moment.date(), row))
            day += timedelta(days=1)
        memos.put_ahead(city.truth, self.place.dataset, ahead)
        return sorted(shown.values(), key=lambda row: (str(row[-1]), str(row[0])))

    def day(self, news: News) -> Change:
        """Cases reported today, and what became today of earlier ones."""
        dice, today, ahead = news.dice, news.today, list[tuple[date, Row]]()
        rows = {str(row[0]): row for row in memos.due(news.truth, self.place.dataset, today)}
        number, orders = news.count(self.place.dataset), _orders(news.truth, today)
        for report in _reports(dice, orders.get(today, []), news.day.state.living, today):
            number += 1
            for moment, row in _versions(dice, number, *report):
                if moment.date() <= today:
                    rows[str(row[0])] = row
                else:
                    ahead.append((moment.date(), row))
        memos.put_ahead(news.truth, self.place.dataset, ahead)
        return Change(list(rows.values()))


Report = tuple[datetime, Village, str, str]
"""When, where, of which class and from where a case is reported."""


def _reports(dice: Dice, orders: list[Row], people: int, day: date) -> list[Report]:
    """What is reported on a day: by the hotline, and else."""
    found: list[Report] = []
    for order in orders:
        told = datetime.fromisoformat(str(order[ORDERS.names.index("dispatchTime")]))
        subject, area = str(order[ORDERS.names.index("typeCode")]), str(order[ORDERS.names.index("areaCode")])
        found.append((told, village_of(area), _OF_HOTLINE[subject], HOTLINE))
    expected = CASES_PER_PERSON_AND_DAY * people * (0.7 + 0.6 * dice.random())
    for _ in range(int(expected) + dice.chance(expected - int(expected))):
        village = random_village(dice)
        while not village.urban:
            village = random_village(dice)
        sort = dice.pick(_COMPONENTS) if dice.chance(0.3) else dice.pick(_EVENTS)
        found.append((at_office(day, dice.below(OFFICE_SECONDS - 3_600)), village, sort, dice.pick(_SOURCES)))
    return found


def _orders(truth: Connection, day: date | None = None) -> dict[date, list[Row]]:
    """By day of the call the hotline's orders that urban management sees to; of one day, or all."""
    where, at = ORDERS.names.index("callTime") + 1, ORDERS.names.index("typeCode") + 1
    rows = truth.execute(
        f"SELECT row FROM truth.record WHERE dataset = %s AND left(row[{at}], 2) = %s AND row[{where}] LIKE %s"
        " ORDER BY key",
        [ORDERS.dataset, URBAN, f"{day.isoformat() if day else ''}%"],
    )
    found: dict[date, list[Row]] = {}
    for (row,) in rows:
        found.setdefault(datetime.fromisoformat(row[where - 1]).date(), []).append(row)
    return found


def _versions(
    dice: Dice, number: int, reported: datetime, village: Village, sort: str, source: str
) -> Iterable[tuple[datetime, Row]]:
    """A case as it is handed over, as it was dealt with, and as it was closed; each with its moment."""
    small = f"{dice.between(1, SMALL_CLASSES.get(sort, 12)):02d}"
    component = f"{village.county}{sort[1:]}{small}{dice.below(1_000_000):06d}" if sort.startswith("1") else None
    dispatched = reported + timedelta(seconds=dice.between(120, 3_000))
    due = closing(working_days_later(dispatched.date(), dice.pick((1, 2, 3, 5))))
    late = dice.chance(0.07)
    days = dice.between(6, 8) if late else dice.between(0, 1)
    done = max(
        dispatched + timedelta(minutes=15),
        at_office(working_days_later(dispatched.date(), days), dice.below(OFFICE_SECONDS)),
    )
    closed = done + timedelta(minutes=dice.between(10, 60))
    again = dice.between(1, 2) if dice.chance(0.04) else 0
    facts: Row = [
        f"CG{reported:%Y%m%d}{number:08d}",
        f"{village.code}{dice.between(1, 40):03d}",
        sort,
        small,
        component,
        source,
        reported.isoformat(" "),
        dispatched.isoformat(" "),
        due.isoformat(" "),
    ]
    for moment, told in ((dispatched, 0), (done, 1), (closed, 2)):
        yield (
            moment,
            [
                *facts,
                done.isoformat(" ") if told else None,
                closed.isoformat(" ") if told == 2 else None,
                "市城市管理行政执法局" if sort.startswith("2") else "市政设施管理处",
                str(again if told else 0),
                moment.isoformat(" "),
            ],
        )
