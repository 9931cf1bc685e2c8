"""Who registers what is no market entity: social organisations (civil affairs), bodies on the state's payroll (staffing
office), rural collectives (agriculture).

One register each, as its office would keep it: a table, a sheet of Excel every week, an XML document every week. What
the organisations are is in `bodies`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import ClassVar

from simulator.bodies import (
    ASSOCIATION,
    FOUNDATION,
    GOVERNMENT,
    GROUP_COLLECTIVE,
    INSTITUTION,
    MASS,
    SERVICE,
    TOWN_COLLECTIVE,
    VILLAGE_COLLECTIVE,
    Body,
    Maker,
    adults,
    collective,
    ending,
    founding,
    head_of,
    social,
    staffed,
)
from simulator.chance import Dice, deck
from simulator.defects import CODE, CONSISTENCY, FORMAT, PLAUSIBLE, RANGE, SENTINEL_1899
from simulator.firms import ACTIVE, DEREGISTERED
from simulator.mistakes import (
    Mistake,
    changed,
    code_mistakes,
    constant,
    date_mistakes,
    duplicate,
    id_mistakes,
    missing,
    name_mistakes,
    pasted,
    spelled,
    test_row,
)
from simulator.person import Person
from simulator.register_rows import column_names, moment, table
from simulator.registers import Change, Everybody, Files, News, Register, Row, Table
from simulator.special_mistakes import absent, before, instead_of_nothing, organisation_mistakes, repeated, thousands

FEWEST_BODIES = 120
"""So many each register has in the smallest city: room for every mistake of its clerks."""
_FAR = ("9999-09-09", "2099-12-31", "长期", SENTINEL_1899)


def _ended(row: Row, status: int) -> bool:
    return row[status] in ("2", "3", "5")


class _Bodies:
    """What the three registers have in common: a row for each organisation, its head and its end.

    The positions of a subclass say where its columns stand; `maker` founds one of its organisations.
    """

    place: Table | Files
    key: ClassVar[int] = 0
    mistakes: tuple[Mistake, ...]
    maker: ClassVar[Maker]
    begin: ClassVar[date]
    per_person: ClassVar[float]
    head: ClassVar[int]
    head_id: ClassVar[int]
    status: ClassVar[int]
    status_date: ClassVar[int]

    def initial(self, city: Everybody) -> Iterable[Row]:
        """As many as the city has, the ended ones included."""
        people = adults(city.people, city.today)
        wanted = max(FEWEST_BODIES, round(self.per_person * len(city.people))) if people else 0
        return [self._grown(city, number, people) for number in range(wanted)]

    def day(self, news: News) -> Change:
        """A new organisation, a new head, and now and then an end."""
        dataset = self.place.dataset
        going_on = [row for row in news.some(dataset, 6) if row[self.status] == ACTIVE]
        people = adults(news.people(8), news.today)
        rows: list[Row] = []
        for row, person in zip(going_on[:2], people, strict=False):
            head = head_of(news.dice, person)
            row[self.head], row[self.head_id] = head.name, head.identity
            rows.append(self._touched(news.dice, row, news.today))
        for row in going_on[2:3] if news.dice.chance(0.4) else []:
            row[self.status], row[self.status_date] = DEREGISTERED, news.today.isoformat()
            rows.append(self._touched(news.dice, row, news.today))
        if people[2:] and news.dice.chance(0.5):
            number = news.count(dataset)
            body = type(self).maker(news.dice, number, people[-1], news.today)
            rows.append(self._row(news.dice, number, body, ACTIVE, None, news.today))
        return Change(rows)

    def _grown(self, city: Everybody, number: int, people: list[Person]) -> Row:
        founded = founding(city.dice, self.begin, city.today - timedelta(days=30))
        body = type(self).maker(city.dice, number, city.dice.pick(people), founded)
        status, ended = ending(city.dice, founded, city.today - timedelta(days=1))
        if body.kind == GOVERNMENT:
            status, ended = ACTIVE, None
        return self._row(city.dice, number, body, status, ended, ended or founded)

    def _row(self, dice: Dice, number: int, body: Body, status: str, ended: date | None, updated: date) -> Row:
        raise NotImplementedError

    def _touched(self, dice: Dice, row: Row, today: date) -> Row:
        row[-1] = moment(dice, today)
        return row


class SocialOrganisations(_Bodies):
    """Social organisations: a table of the civil affairs bureau."""

    place = table(
        "cab",
        "shzz",
        "T_SHZZ",
        "ZZBH TYSHXYDM ZZMC ZZLX YWZGDW FDDBR FDDBRZJHM ZCZJ ZS XZQH YWFW CLDJRQ ZSYXQZ NJJL ZT ZXRQ LXDH",
        "GXSJ",
    )
    maker = social
    begin, per_person = date(1992, 1, 1), 0.00046
    head, head_id, status, status_date = 5, 6, 14, 15
    mistakes = (
        *organisation_mistakes(1),
        missing(1),
        missing(2),
        test_row(2),
        changed("name_spaced", "cleanable", 2, lambda v, d: f"{v}\u3000"),
        *code_mistakes(3, "57"),
        spelled("kind_word", 3, {ASSOCIATION: "社会团体", SERVICE: "社会服务机构", FOUNDATION: "基金会"}),
        *name_mistakes(5),
        *id_mistakes(6),
        *thousands(7),
        changed("capital_negative", RANGE, 7, lambda v, d: f"-{v}"),
        changed("capital_in_yuan", PLAUSIBLE, 7, lambda v, d: f"{v}0000" if int(v) < 1000 else None),
        pasted(8, "安徽省六安市金安区梅山中路1号"),
        constant("county_left", CODE, 9, "341521"),
        *date_mistakes(11, CONSISTENCY),
        before("certificate_before_founding", 11, 12),
        constant("check_no_code", CODE, 13, "7"),
        spelled("check_word", 13, {"1": "合格", "2": "基本合格", "3": "不合格"}),
        *code_mistakes(14, "9"),
        spelled("status_word", 14, {"1": "正常", "3": "已注销", "5": "撤销登记"}),
        absent("status_date_missing", 15, lambda row: _ended(row, 14)),
        instead_of_nothing("status_without_date", 15, *_FAR),
        repeated(0),
    )
    _SUPERVISORS = deck(
        "市民政局 市教育体育局*3 市卫生健康委员会 市农业农村局 市工商联 市科学技术协会 市文学艺术界联合会"
    )

    def _row(self, dice: Dice, number: int, body: Body, status: str, ended: date | None, updated: date) -> Row:
        return [
            f"SHZZ{number:08d}",
            body.uscc,
            body.name,
            body.kind,
            dice.pick(self._SUPERVISORS),
            body.head.name,
            body.head.identity,
            dice.pick(("1", "3", "3", "5", "10", "30"))
            if body.kind != FOUNDATION
            else dice.pick(("200", "1000", "2000")),
            body.domicile,
            body.village.county,
            dice.pick(("行业交流、培训、咨询服务", "学前教育", "养老服务", "公益慈善活动", "艺术培训")),
            body.founded.isoformat(),
            _years_on(updated, dice.pick((4, 5))).isoformat(),
            dice.pick(("1", "1", "1", "1", "2", "3")) if body.founded.year < 2025 else None,
            status,
            ended.isoformat() if ended else None,
            "05643330000",
            moment(dice, updated),
        ]


class StaffedBodies(_Bodies):
    """Government bodies, public institutions and mass organisations: a sheet of Excel from the staffing office."""

    place = Files(
        "sto",
        "jgsydw",
        "xlsx",
        column_names(
            "序号 统一社会信用代码 单位名称 机构类别 宗旨和业务范围 举办单位 机构规格 经费来源 编制数 法定代表人 "
            "证件号码 住所 所在县区 设立日期 证书有效期至 登记状态 注销日期 更新时间"
        ),
        whole=True,
    )
    maker = staffed
    begin, per_person = date(1978, 6, 1), 0.0006
    head, head_id, status, status_date = 9, 10, 15, 16
    mistakes = (
        *organisation_mistakes(1),
        missing(1),
        missing(2),
        test_row(2),
        *code_mistakes(3, "18"),
        spelled("kind_word", 3, {GOVERNMENT: "机关", INSTITUTION: "事业单位", MASS: "群众团体"}),
        constant("level_no_code", CODE, 6, "9"),
        spelled("level_word", 6, {"3": "正科级", "4": "副科级", "5": "股级"}),
        constant("funding_no_code", CODE, 7, "8"),
        spelled("funding_word", 7, {"1": "财政全额拨款", "2": "财政差额补助", "3": "经费自理"}),
        changed("headcount_negative", RANGE, 8, lambda v, d: f"-{v}"),
        changed("headcount_in_words", FORMAT, 8, lambda v, d: "若干"),
        *name_mistakes(9),
        *id_mistakes(10),
        constant("county_left", CODE, 12, "341521"),
        *date_mistakes(13, CONSISTENCY),
        before("certificate_before_founding", 13, 14),
        *code_mistakes(15, "9"),
        spelled("status_word", 15, {"1": "正常", "3": "注销", "5": "撤销"}),
        absent("status_date_missing", 16, lambda row: _ended(row, 15)),
        instead_of_nothing("status_without_date", 16, *_FAR),
        duplicate(0),
    )

    def _row(self, dice: Dice, number: int, body: Body, status: str, ended: date | None, updated: date) -> Row:
        government = body.kind == GOVERNMENT
        return [
            f"BB{number:06d}",
            body.uscc,
            body.name,
            body.kind,
            None if government else dice.pick(("促进教育事业发展", "提供公共卫生服务", "推广农业技术", "提供文化服务")),
            None if government else dice.pick(("区教育体育局", "县卫生健康委员会", "县农业农村局", "镇人民政府")),
            dice.pick(("1", "2", "3") if government else ("3", "4", "5", "5")),
            "1" if government else dice.pick(("1", "1", "2", "3")),
            str(dice.between(4, 60)),
            body.head.name,
            body.head.identity,
            body.domicile,
            body.village.county,
            body.founded.isoformat(),
            None if government else _years_on(updated, 5).isoformat(),
            status,
            ended.isoformat() if ended else None,
            moment(dice, updated),
        ]


class Collectives(_Bodies):
    """Rural collective economic organisations: an XML document of the agriculture bureau. Their codes begin with N."""

    place = Files(
        "ara",
        "njzz",
        "xml",
        column_names("DJBH TYSHXYDM ZZMC ZZCJ XZQHDM CYS ZCZE FDDBR SFZHM ZS YWFW DJRQ DJZT ZXRQ GXSJ"),
        encoding="gb18030",
        whole=True,
    )
    maker = collective
    begin, per_person = date(2018, 3, 1), 0.00036
    head, head_id, status, status_date = 7, 8, 12, 13
    mistakes = (
        *organisation_mistakes(1),
        missing(1),
        missing(2),
        test_row(2),
        *code_mistakes(3, "N7"),
        spelled("level_word", 3, {GROUP_COLLECTIVE: "组级", VILLAGE_COLLECTIVE: "村级", TOWN_COLLECTIVE: "乡镇级"}),
        *code_mistakes(4, "341503999999"),
        changed("members_negative", RANGE, 5, lambda v, d: f"-{v}"),
        changed("members_in_words", FORMAT, 5, lambda v, d: f"{v}户"),
        *thousands(6),
        *name_mistakes(7),
        *id_mistakes(8),
        *date_mistakes(11, CONSISTENCY),
        *code_mistakes(12, "9"),
        spelled("status_word", 12, {"1": "正常", "3": "注销", "5": "撤销"}),
        absent("status_date_missing", 13, lambda row: _ended(row, 12)),
        before("ended_before_founded", 11, 13),
        instead_of_nothing("status_without_date", 13, *_FAR),
        duplicate(0),
    )

    def _row(self, dice: Dice, number: int, body: Body, status: str, ended: date | None, updated: date) -> Row:
        return [
            f"NJ{number:08d}",
            body.uscc,
            body.name,
            body.kind,
            body.village.code,
            str(dice.between(120, 4200)),
            str(dice.between(40, 2600)),
            body.head.name,
            body.head.identity,
            body.domicile,
            "集体资产经营与管理、集体资源开发与利用、农业生产发展与服务",
            body.founded.isoformat(),
            status,
            ended.isoformat() if ended else None,
            moment(dice, updated),
        ]


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [SocialOrganisations(), StaffedBodies(), Collectives()]


def _years_on(day: date, years: int) -> date:
    return date(day.year + years, day.month, min(day.day, 28))
