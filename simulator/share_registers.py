"""Three more tables of the market regulation bureau: shareholders, annual reports, entries in the list of abnormal
operation. Who owns whom is in `ownership`, the firms themselves in `firm_registers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from simulator import ownership
from simulator.bodies import head_of
from simulator.chance import Dice, deck
from simulator.defects import CODE, CONSISTENCY, FORMAT, PLAUSIBLE, RANGE
from simulator.firms import ACTIVE, SOLE_OWNER_COMPANY, WITH_CAPITAL, is_paid_up
from simulator.mistakes import (
    apart,
    changed,
    code_mistakes,
    constant,
    date_mistakes,
    duplicate,
    id_mistakes,
    in_fen,
    left_out,
    missing,
    spelled,
    unknown,
)
from simulator.organisation_codes import social_credit_code
from simulator.ownership import COLLECTIVE, COMPANY, NATURAL, OTHER, STATE, WHOLE, Holder, Holding
from simulator.person import DAY_ZERO
from simulator.register_rows import moment, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.schema import Connection
from simulator.special_mistakes import absent, before, instead_of_nothing, organisation_mistakes, repeated, thousands

_ENTITIES = "scjg.E_BASEINFO"
# Positions count from 1: number, code, name, type, foundation, capital, head, his number, status, day of the end, day
# of the last alteration.
_FIRMS = f"""SELECT row[1], row[2], row[3], row[4], row[5], row[6], row[12], row[13], row[18], row[19], row[20]
    FROM truth.record WHERE dataset = '{_ENTITIES}' ORDER BY key"""
_HOLDINGS = "SELECT row FROM truth.record WHERE dataset = %s AND row[2] = ANY(%s) ORDER BY key"
_BODIES = """SELECT row[2], row[3] FROM truth.record
    WHERE dataset = %s AND row[%s] = ANY(%s) AND row[%s] = '1' ORDER BY key"""
_OUTSIDERS_BEGIN = 710_000_000


@dataclass(frozen=True, slots=True)
class _Firm:
    """What these registers need to know of a firm."""

    number: str
    uscc: str
    name: str
    kind: str
    founded: date
    capital: str | None
    head: str
    head_id: str
    status: str
    ended: date | None
    approved: date

    @property
    def is_company(self) -> bool:
        """Whether its shares are registered."""
        return self.kind in WITH_CAPITAL


def _firms(truth: Connection) -> list[_Firm]:
    return [
        _Firm(
            number, code, name, kind, date.fromisoformat(day), money, head, head_id, status,
            date.fromisoformat(ended) if ended else None, date.fromisoformat(approved),
        )
        for number, code, name, kind, day, money, head, head_id, status, ended, approved in truth.execute(_FIRMS)
    ]  # fmt: skip


class Shareholders:
    """Who holds how much of each company; only companies with capital have an entry."""

    place = table(
        "amr",
        "scjg",
        "E_INV_INVESTMENT",
        "INVID PRIPID INV INVTYPE BLICNO CERNO SUBCONAM ACCONAM SUBCONPROP CONFORM CONDATE",
        "S_EXT_TIMESTAMP",
    )
    key = 0
    mistakes = (
        missing(1),
        missing(2),
        *code_mistakes(3, "7"),
        spelled("kind_word", 3, {NATURAL: "自然人", COMPANY: "企业法人", STATE: "机关法人"}),
        *organisation_mistakes(4),
        absent("holder_code_missing", 4, lambda row: row[3] in (COMPANY, STATE)),
        *id_mistakes(5),
        *thousands(6),
        changed("amount_negative", RANGE, 6, lambda v, d: f"-{v}"),
        changed("share_beyond", RANGE, 8, lambda v, d: f"{float(v) + 100:.2f}"),
        changed("share_with_sign", FORMAT, 8, lambda v, d: f"百分之{v}"),
        constant("way_no_code", CODE, 9, "8"),
        spelled("way_word", 9, {"1": "货币", "2": "实物", "3": "知识产权"}),
        *date_mistakes(10),
        duplicate(0),
        left_out(0, lambda row: row[8] == "100"),
        apart(6),
    )

    def initial(self, city: Everybody) -> Iterable[Row]:
        """The holdings of every company, circles of companies among them."""
        dice, firms = city.dice, [firm for firm in _firms(city.truth) if firm.is_company]
        adults = [person for person in city.people if 22 < person.age(city.today) < 80]
        if not adults:
            return []
        people = [ownership.person_of(head_of(dice, dice.pick(adults))) for _ in range(len(firms))]
        bodies = _bodies(city.truth)
        outsiders = [_outsider(number) for number in range(max(4, len(firms) // 30))]
        circles = self._circles(dice, firms)
        holdings: list[Holding] = []
        above: list[Holder] = []
        for place, firm in enumerate(firms):
            owner = Holder(NATURAL, firm.head, identity=firm.head_id)
            if place not in circles:
                holdings += self._of_one(dice, place, firm, owner, people, above, bodies, outsiders)
            above.append(_as_holder(firm))
        for members in dict.fromkeys(circles.values()):
            owners = [Holder(NATURAL, firms[place].head, identity=firms[place].head_id) for place in members]
            holdings += ownership.circle(dice, [(place, _as_holder(firms[place])) for place in members], owners)
        return [
            self._row(dice, number, firms[one.company], one, firms[one.company].founded)
            for number, one in enumerate(holdings)
        ]

    def day(self, news: News) -> Change:
        """Companies that begin today register their owner, those with another capital what each holding is of it; now
        and then a person sells a share to another."""
        number, rows = news.count(self.place.dataset), list[Row]()
        altered = {firm.number: firm for firm in _firms(news.truth) if firm.is_company and firm.approved == news.today}
        for firm in altered.values():
            if firm.founded == news.today:
                holding = Holding(0, Holder(NATURAL, firm.head, identity=firm.head_id), WHOLE)
                rows.append(self._row(news.dice, number + len(rows), firm, holding, news.today))
        buyers = [person for person in news.people(6) if person.age(news.today) >= 22]
        drawn = [row for row in news.some(self.place.dataset, 12) if row[1] not in altered and row[3] == NATURAL]
        for row, buyer in zip(drawn[:2], buyers, strict=False):
            row[2], row[5], row[-1] = buyer.name, buyer.id_number, moment(news.dice, news.today)
            rows.append(row)
        return Change([*rows, *self._revalued(news, altered)])

    def _revalued(self, news: News, altered: Mapping[str, _Firm]) -> Iterator[Row]:
        """The holdings of companies altered today whose capital is another: everybody keeps his share of it."""
        for (row,) in news.truth.execute(_HOLDINGS, [self.place.dataset, list(altered)]):
            firm = altered[row[1]]
            amount = _subscribed(firm, round(float(row[8]) * 100))
            if row[6] != amount:
                row[6], row[7], row[-1] = amount, amount if row[7] else None, moment(news.dice, news.today)
                yield row

    @staticmethod
    def _of_one(
        dice: Dice,
        place: int,
        firm: _Firm,
        owner: Holder,
        people: Sequence[Holder],
        above: Sequence[Holder],
        bodies: Sequence[Holder],
        outsiders: Sequence[Holder],
    ) -> list[Holding]:
        if firm.kind == SOLE_OWNER_COMPANY:
            return [Holding(place, owner, WHOLE)]
        return ownership.portfolio(dice, place, owner, people, above, bodies, outsiders)

    @staticmethod
    def _circles(dice: Dice, firms: Sequence[_Firm]) -> dict[int, tuple[int, ...]]:
        """Which firms stand in which circle: a few, of two or three."""
        free = [place for place, firm in enumerate(firms) if firm.kind != SOLE_OWNER_COMPANY]
        dice.shuffle(free)
        found: dict[int, tuple[int, ...]] = {}
        for _ in range(max(1, len(free) // 40)):
            members = tuple(free.pop() for _ in range(min(len(free), dice.pick((2, 2, 3)))))
            if len(members) > 1:
                found |= dict.fromkeys(members, members)
        return found

    def _row(self, dice: Dice, number: int, firm: _Firm, holding: Holding, day: date) -> Row:
        holder, amount = holding.holder, _subscribed(firm, holding.share)
        return [
            f"INV{number:010d}",
            firm.number,
            holder.name,
            holder.kind,
            holder.uscc,
            holder.identity,
            amount,
            amount if is_paid_up(firm.number) else None,
            f"{holding.share / 100:g}",
            dice.pick(("1", "1", "1", "1", "2", "3")),
            firm.founded.isoformat(),
            moment(dice, day),
        ]


class Abnormal:
    """Entries in the list of abnormal operation; those that were put right are removed, and the entry says so."""

    place = table("amr", "scjg", "E_LIST_ABNORMAL", "YCBH PRIPID LRYY LRRQ LRJG YCYY YCRQ", "S_EXT_TIMESTAMP")
    key = 0
    mistakes = (
        missing(1),
        *code_mistakes(2, "8"),
        spelled("reason_word", 2, {"1": "未按规定期限公示年度报告", "4": "通过登记的住所无法联系"}),
        *date_mistakes(3, CONSISTENCY),
        before("removed_before_entered", 3, 6),
        instead_of_nothing("still_listed", 6, "9999-09-09", "2099-12-31", "无"),
        repeated(0),
        unknown(1),
    )
    _REASONS = deck("1*6 2 3 4*4")

    def initial(self, city: Everybody) -> Iterator[Row]:
        for number, firm in enumerate(self._concerned(city)):
            entered = firm.founded + timedelta(
                days=city.dice.between(200, max(201, (DAY_ZERO - firm.founded).days - 1))
            )
            if entered >= DAY_ZERO:
                continue
            left = (DAY_ZERO - entered).days
            removed = entered + timedelta(days=city.dice.between(1, left)) if city.dice.chance(0.5) else None
            yield self._row(city.dice, number, firm, entered, min(removed, DAY_ZERO) if removed else None)

    def day(self, news: News) -> Change:
        """Somebody is put on the list, somebody is taken off it."""
        number, rows = news.count(self.place.dataset), list[Row]()
        for row in news.some(self.place.dataset, 4):
            if row[6] is None and str(row[3]) < news.today.isoformat():
                row[5], row[6], row[-1] = "已改正", news.today.isoformat(), moment(news.dice, news.today)
                rows.append(row)
                break
        firms = [firm for firm in _firms(news.truth) if firm.status == ACTIVE]
        if firms:
            rows.append(self._row(news.dice, 1_000_000 + number, news.dice.pick(firms), news.today, None))
        return Change(rows)

    def _concerned(self, city: Everybody) -> Iterator[_Firm]:
        for firm in _firms(city.truth):
            if firm.status == ACTIVE and city.dice.chance(0.16):
                yield firm

    def _row(self, dice: Dice, number: int, firm: _Firm, entered: date, removed: date | None) -> Row:
        return [
            f"YC{number:010d}",
            firm.number,
            dice.pick(self._REASONS),
            entered.isoformat(),
            "六安市市场监督管理局",
            "已改正" if removed else None,
            removed.isoformat() if removed else None,
            moment(dice, removed or entered),
        ]


class AnnualReports:
    """Annual reports of companies and co-operatives, each saying whether the public may see the figures."""

    place = table(
        "amr",
        "scjg",
        "AN_BASEINFO",
        "ANCHEID PRIPID ANCHEYEAR ANCHEDATE ASSGRO LIAGRO VENDINC PROGRO RATGRO EMPNUM ISPUB",
        "S_EXT_TIMESTAMP",
    )
    key = 0
    mistakes = (
        missing(1),
        changed("year_beyond", RANGE, 2, lambda v, d: f"3{v[1:]}"),
        *date_mistakes(3),
        *thousands(4),
        changed("assets_negative", RANGE, 4, lambda v, d: f"-{v}"),
        changed("assets_in_yuan", PLAUSIBLE, 4, lambda v, d: f"{v}0000" if v.isdigit() and int(v) < 1000 else None),
        changed("employees_in_words", FORMAT, 9, lambda v, d: f"{v}人"),
        changed("employees_negative", RANGE, 9, lambda v, d: f"-{v}"),
        constant("public_no_code", CODE, 10, "5"),
        spelled("public_word", 10, {"1": "是", "0": "否"}),
        in_fen(4),
        repeated(0),
        unknown(1),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        number = 0
        for year in (2023, 2024):
            for firm in _firms(city.truth):
                if self._reports(firm, year) and city.dice.chance(0.93):
                    yield self._row(city.dice, number, firm, year, date(year + 1, *_month_and_day(city.dice)))
                    number += 1

    def day(self, news: News) -> Change:
        """From January to June a few firms report the year before."""
        if news.today.month > 6:
            return Change()
        number, year = news.count(self.place.dataset), news.today.year - 1
        firms = [firm for firm in _firms(news.truth) if self._reports(firm, year)]
        chosen = [firm for place, firm in enumerate(firms) if place % 170 == news.today.timetuple().tm_yday % 170]
        return Change(
            [self._row(news.dice, number + place, firm, year, news.today) for place, firm in enumerate(chosen)]
        )

    @staticmethod
    def _reports(firm: _Firm, year: int) -> bool:
        return (
            (firm.is_company or firm.kind == "9100")
            and firm.founded.year <= year
            and (firm.ended is None or firm.ended.year > year + 1)
        )

    def _row(self, dice: Dice, number: int, firm: _Firm, year: int, day: date) -> Row:
        employees = dice.between(1, 12) * dice.pick((1, 1, 1, 3, 8, 40))
        assets = employees * dice.between(5, 90)
        income = assets * dice.between(20, 180) // 100
        return [
            f"NB{number:012d}",
            firm.number,
            str(year),
            day.isoformat(),
            str(assets),
            str(assets * dice.between(5, 80) // 100),
            str(income),
            str(income * dice.between(-10, 20) // 100),
            str(income * dice.between(0, 6) // 100),
            str(employees),
            "1" if dice.chance(0.3) else "0",
            moment(dice, day),
        ]


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Shareholders(), Abnormal(), AnnualReports()]


def _as_holder(firm: _Firm) -> Holder:
    return Holder(COMPANY, firm.name, uscc=firm.uscc)


def _subscribed(firm: _Firm, share: int) -> str:
    """What a share, in hundredths of a percent, is of the capital of a firm, in 万元."""
    return f"{int(float(firm.capital or '0') * 10_000) * share // WHOLE // 100 / 100:g}"


def _bodies(truth: Connection) -> list[Holder]:
    """Government bodies, public institutions and collectives that may hold shares."""
    state = truth.execute(_BODIES, ["jgsydw_*.xlsx", 4, ["11", "12"], 16]).fetchall()
    rural = truth.execute(_BODIES, ["njzz_*.xml", 4, ["N1", "N2", "N3"], 13]).fetchall()
    return [
        *(Holder(STATE, name, uscc=code) for code, name in state[:12]),
        *(Holder(COLLECTIVE, name, uscc=code) for code, name in rural[:12]),
    ]


def _outsider(number: int) -> Holder:
    """A company or fund of another city."""
    area, city = (("340100", "合肥"), ("310000", "上海"), ("440300", "深圳"))[number % 3]
    code = social_credit_code("91", area, _OUTSIDERS_BEGIN + number)
    return Holder(OTHER if number % 4 == 0 else COMPANY, f"{city}第{number}投资有限公司", uscc=code)


def _month_and_day(dice: Dice) -> tuple[int, int]:
    return dice.between(1, 6), dice.between(1, 28)
