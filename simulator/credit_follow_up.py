"""What follows decisions: lists of the untrustworthy and the trusted, credit repair, and commitments of firms.

Tables of the credit information office. Repairs look at the penalties of `credit_registers` and at the lists of this
module; who is listed or commits itself are entities of `firm_registers` and, for court debts, living adults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from simulator.chance import Dice, deck
from simulator.credit import ENTITY, PERSON, SELF_EMPLOYED, Subject, some_day, subject_of_entity, subject_of_person
from simulator.credit_registers import PENALTIES, VALID
from simulator.defects import CLEANABLE, CODE
from simulator.entities import all_entities, some_active
from simulator.mistakes import Mistake, changed, date_mistakes, id_mistakes, missing, spelled, test_row
from simulator.office_hours import working_days_later
from simulator.organisation_codes import authorities
from simulator.register_rows import moment, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.special_mistakes import absent, before, instead_of_nothing, only, organisation_mistakes, repeated

LISTINGS = table(
    "drc",
    "xygs",
    "T_XYMD",
    "MD_BH MD_LX XDR_MC XDR_LB XDR_SHXYM XDR_ZJHM MD_YJ MD_LRSY MD_LRRQ MD_YCSY MD_YCRQ RDJG RDJGDM",
    "GXSJ",
)
REPAIRS = table(
    "drc",
    "xygs",
    "T_XYXF",
    "XF_BH XF_DX XF_JLBH XDR_MC XDR_LB XDR_SHXYM XDR_ZJHM XF_SQRQ XF_SLRQ XF_JDRQ XF_JG XF_SY XF_ZZGSRQ SLJG SLJGDM",
    "GXSJ",
)
COMMITMENTS = table(
    "drc",
    "xygs",
    "T_XYCN",
    "CN_BH CN_LX XDR_MC XDR_LB XDR_SHXYM CN_NR CN_RQ CN_QX CN_LXZT CN_HCRQ SLJG SLJGDM",
    "GXSJ",
)

GRANTED, REFUSED, RETRACTED, PENDING = "1", "2", "3", "4"
"""Codes of what came of a repair."""
OF_PENALTY, OF_LISTING = "1", "2"
"""Codes of what is repaired."""
KEPT, BROKEN, OPEN = "1", "2", "3"
"""Codes of what became of a commitment."""
_RESULTS = deck(f"{GRANTED}*16 {REFUSED}*3 {RETRACTED}")
_MARKED = {ENTITY: "法人及非法人组织", PERSON: "自然人", SELF_EMPLOYED: "个体工商户"}
_FAR = ("9999-12-31", "长期", "2099-12-31")


@dataclass(frozen=True, slots=True)
class _List:
    """A list: its code and name, who keeps it, on what basis, why one is entered, how many of a hundred entities are,
    for how many days at most, and whether natural persons are entered too."""

    code: str
    name: str
    organisation: str
    basis: str
    reason: str
    per_hundred: float
    days: int | None
    people: bool = False


LISTS = (
    _List("1", "严重失信主体", "amr", "《市场监督管理严重违法失信名单管理办法》第五条", "实施严重违法行为", 0.5, 1095),
    _List("2", "失信被执行人", "drc", "《最高人民法院关于公布失信被执行人名单信息的若干规定》第一条",
          "有履行能力而拒不履行生效法律文书确定义务", 1.5, 730, people=True),
    _List("3", "经营异常名录", "amr", "《企业信息公示暂行条例》第十七条", "未依照规定公示年度报告", 5.0, None),
    _List("4", "重大税收违法失信主体", "drc", "《重大税收违法失信主体信息公布管理办法》第六条",
          "虚开增值税专用发票", 0.4, 1095),
    _List("5", "拖欠农民工工资失信联合惩戒对象", "hrssb", "《拖欠农民工工资失信联合惩戒对象名单管理暂行办法》第五条",
          "克扣、无故拖欠农民工工资", 0.4, 1095),
    _List("6", "环境违法失信主体", "drc", "《安徽省企业环境信用评价实施方案》", "超标排放污染物", 0.4, 365),
    _List("9", "守信激励对象", "drc", "《国务院关于建立完善守信联合激励和失信联合惩戒制度的指导意见》",
          "信用记录良好", 3.0, None),
)  # fmt: skip
_COMMITMENTS = (
    ("1", "告知承诺办理行政许可，所提交材料真实、合法、有效", "amr", 365),
    ("2", "依法诚信经营，自觉接受社会监督", "drc", None),
    ("3", "遵守行业自律规约，公平竞争", "drc", None),
    ("4", "已纠正失信行为，不再发生同类行为", "drc", 180),
)


def _listing_mistakes() -> tuple[Mistake, ...]:
    at = LISTINGS.names.index
    code, name, category, uscc, person = (at(one) for one in ("MD_LX", "XDR_MC", "XDR_LB", "XDR_SHXYM", "XDR_ZJHM"))
    return (
        changed("list_unknown", CODE, code, lambda v, d: "8"),
        spelled("list_word", code, {one.code: one.name for one in LISTS}),
        missing(name),
        test_row(name),
        spelled("category_word", category, _MARKED),
        *organisation_mistakes(uscc),
        absent("uscc_missing", uscc, lambda row: row[category] != PERSON),
        *(only(lambda row: row[category] == PERSON, one) for one in id_mistakes(person)),
        absent("id_missing", person, lambda row: row[category] == PERSON),
        missing(at("MD_LRSY")),
        *date_mistakes(at("MD_LRRQ"), "consistency"),
        missing(at("MD_LRRQ")),
        before("removed_before_entered", at("MD_LRRQ"), at("MD_YCRQ")),
        instead_of_nothing("removed_never", at("MD_YCRQ"), *_FAR),
        absent("removal_without_reason", at("MD_YCSY"), lambda row: row[at("MD_YCRQ")] is not None),
        *organisation_mistakes(at("RDJGDM")),
        repeated(0),
    )


def _repair_mistakes() -> tuple[Mistake, ...]:
    at = REPAIRS.names.index
    result, withdrawn = at("XF_JG"), at("XF_ZZGSRQ")
    category, uscc, person = at("XDR_LB"), at("XDR_SHXYM"), at("XDR_ZJHM")
    return (
        missing(at("XF_JLBH")),
        changed("target_no_code", CODE, at("XF_DX"), lambda v, d: "7"),
        spelled("category_word", category, _MARKED),
        *organisation_mistakes(uscc),
        absent("uscc_missing", uscc, lambda row: row[category] != PERSON),
        *(only(lambda row: row[category] == PERSON, one) for one in id_mistakes(person)),
        absent("id_missing", person, lambda row: row[category] == PERSON),
        *date_mistakes(at("XF_SQRQ"), "consistency"),
        missing(at("XF_SQRQ")),
        before("accepted_before_applied", at("XF_SQRQ"), at("XF_SLRQ"), "range"),
        before("decided_before_accepted", at("XF_SLRQ"), at("XF_JDRQ"), "range"),
        changed("result_no_code", CODE, result, lambda v, d: "9"),
        spelled(
            "result_word", result, {GRANTED: "准予修复", REFUSED: "不予修复", RETRACTED: "撤回申请", PENDING: "办理中"}
        ),
        absent("end_of_publicity_missing", withdrawn, lambda row: row[result] == GRANTED),
        before("publicity_ended_before_decision", at("XF_JDRQ"), withdrawn, "range"),
        *organisation_mistakes(at("SLJGDM")),
        repeated(0),
    )


def _commitment_mistakes() -> tuple[Mistake, ...]:
    at = COMMITMENTS.names.index
    status = at("CN_LXZT")
    return (
        changed("kind_no_code", CODE, at("CN_LX"), lambda v, d: "8"),
        spelled("kind_word", at("CN_LX"), {"1": "审批替代型", "2": "主动公示型", "3": "行业自律型", "4": "信用修复型"}),
        missing(at("XDR_MC")),
        spelled("category_word", at("XDR_LB"), _MARKED),
        *organisation_mistakes(at("XDR_SHXYM")),
        missing(at("XDR_SHXYM")),
        missing(at("CN_NR")),
        changed("content_spaced", CLEANABLE, at("CN_NR"), lambda v, d: f"{v}\u3000"),
        *date_mistakes(at("CN_RQ"), "consistency"),
        before("due_before_made", at("CN_RQ"), at("CN_QX")),
        instead_of_nothing("due_never", at("CN_QX"), *_FAR),
        changed("status_no_code", CODE, status, lambda v, d: "7"),
        spelled("status_word", status, {KEPT: "已履行", BROKEN: "未履行", OPEN: "履行中"}),
        absent("check_without_day", at("CN_HCRQ"), lambda row: row[status] != OPEN),
        *organisation_mistakes(at("SLJGDM")),
        repeated(0),
    )


class Listings:
    """The table of lists, one row for each entry of a subject."""

    place, key, mistakes = LISTINGS, 0, _listing_mistakes()

    def initial(self, city: Everybody) -> Iterable[Row]:
        """Who was entered since the office publishes lists, and who was removed again."""
        dice, adults = city.dice, [person for person in city.people if person.age(city.today) >= 18]
        entities = list(map(subject_of_entity, all_entities(city.truth)))
        number = 0
        for kind in LISTS:
            entered = [dice.pick(entities) for _ in range(max(4, round(kind.per_hundred * len(entities) / 100)))]
            if kind.people:
                entered += [subject_of_person(dice.pick(adults)) for _ in range(max(4, len(adults) // 500))]
            for subject in entered:
                number += 1
                yield _entry(dice, number, kind, subject, some_day(dice, subject, city.today), city.today)

    def day(self, news: News) -> Change:
        """Some are entered; some whose time is over, or who mended the reason, are removed."""
        dice, number = news.dice, news.count(LISTINGS.dataset)
        entered = list(map(subject_of_entity, some_active(news.truth, f"list{news.today}", 2)))
        rows = []
        for count, subject in enumerate(entered, 1):
            rows.append(_entry(dice, number + count, dice.pick(LISTS), subject, news.today, news.today))
        for row in news.some(LISTINGS.dataset, 12, "removed"):
            if row[_REMOVED] is None and dice.chance(0.2):
                rows.append(_removed(dice, row, news.today))
        return Change(rows)


_REASON_REMOVED, _REMOVED, _LISTED = (LISTINGS.names.index(name) for name in ("MD_YCSY", "MD_YCRQ", "MD_LRRQ"))


def _entry(dice: Dice, number: int, kind: _List, subject: Subject, day: date, today: date) -> Row:
    authority = authorities()[kind.organisation]
    row: Row = [
        f"MD3415{number:010d}", kind.code, subject.name, subject.category, subject.uscc, subject.id_number, kind.basis,
        kind.reason, day.isoformat(), None, None, f"六安{authority.name}", authority.uscc, moment(dice, day),
    ]  # fmt: skip
    over = day + timedelta(days=kind.days if kind.days is not None else dice.between(30, 1500))
    return _removed(dice, row, over) if over < today else row


def _removed(dice: Dice, row: Row, day: date) -> Row:
    row = list(row)
    row[_REASON_REMOVED], row[_REMOVED] = dice.pick(("期限届满", "已履行义务，申请移出", "信用修复")), day.isoformat()
    row[LISTINGS.moment] = moment(dice, day)
    return row


class Repairs:
    """The table of credit repair: an application, whether it was accepted, what came of it, the end of publicity."""

    place, key, mistakes = REPAIRS, 0, _repair_mistakes()

    def initial(self, city: Everybody) -> Iterable[Row]:
        """Applications for penalties and lists of the years before."""
        dice, number = city.dice, 0
        for target, record, subject, since in _repairable(city):
            if dice.chance(0.3):
                applied = since + timedelta(days=dice.between(90, 400))
                if applied <= city.today:
                    number += 1
                    yield _repair(dice, number, target, record, subject, applied, city.today)

    def day(self, news: News) -> Change:
        """New applications; those that wait are decided."""
        dice, number = news.dice, news.count(REPAIRS.dataset)
        waiting = news.truth.execute(
            "SELECT row FROM truth.record WHERE dataset = %s AND mistake IS NULL AND row[%s] = %s ORDER BY key",
            [REPAIRS.dataset, REPAIRS.names.index("XF_JG") + 1, PENDING],
        ).fetchall()
        rows = [row for (old,) in waiting if (row := _decided(dice, list(old), news.today)) != old]
        known = {str(row[REPAIRS.names.index("XF_JLBH")]) for row in self._all(news)}
        fresh = [row for row in news.some(PENALTIES.dataset, 20, "repair") if str(row[0]) not in known]
        for count, row in enumerate(fresh[:2], 1):
            rows.append(_repair(dice, number + count, OF_PENALTY, row, _punished(row), news.today, news.today))
        return Change(rows)

    def _all(self, news: News) -> Iterator[Row]:
        found = news.truth.execute("SELECT row FROM truth.record WHERE dataset = %s", [REPAIRS.dataset])
        yield from (row for (row,) in found)


def _repairable(city: Everybody) -> Iterator[tuple[str, Row, Row, date]]:
    """What may be repaired, and of whom: valid penalties and entries in lists of the untrustworthy."""
    decided, status = PENALTIES.names.index("CF_JDRQ"), PENALTIES.names.index("CF_ZT")
    query = "SELECT row FROM truth.record WHERE dataset = %s ORDER BY key"
    for (row,) in city.truth.execute(query, [PENALTIES.dataset]).fetchall():
        if row[status] == VALID:
            yield OF_PENALTY, row, _punished(row), date.fromisoformat(row[decided])
    for (row,) in city.truth.execute(query, [LISTINGS.dataset]).fetchall():
        if row[1] != "9" and row[_REMOVED] is None:
            yield OF_LISTING, row, row[2:6], date.fromisoformat(row[_LISTED])


def _punished(penalty: Row) -> Row:
    """The subject of a penalty: name, category, code, identity number."""
    return [*penalty[1:4], penalty[PENALTIES.names.index("CF_XDR_SFZ")]]


def _repair(dice: Dice, number: int, target: str, record: Row, subject: Row, applied: date, today: date) -> Row:
    authority = authorities()["drc"]
    row: Row = [
        f"XF3415{number:010d}", target, record[0], *subject, applied.isoformat(), None, None, PENDING, None, None,
        f"六安{authority.name}", authority.uscc, moment(dice, applied),
    ]  # fmt: skip
    return _decided(dice, row, today)


def _decided(dice: Dice, row: Row, today: date) -> Row:
    """What has become of an application by a day: accepted within two working days, decided within three more."""
    applied, accepted, decided, result, reason, withdrawn = (
        REPAIRS.names.index(name) for name in ("XF_SQRQ", "XF_SLRQ", "XF_JDRQ", "XF_JG", "XF_SY", "XF_ZZGSRQ")
    )
    begun = date.fromisoformat(str(row[applied]))
    taken = working_days_later(begun, 1 + int(str(row[0])[-1]) % 2)
    done = working_days_later(taken, 1 + int(str(row[0])[-2]) % 3)
    if taken <= today and (row[accepted] is None or done <= today):
        row[accepted] = taken.isoformat()
        row[REPAIRS.moment] = moment(dice, min(done, today))
    if done <= today:
        row[decided], row[result] = done.isoformat(), dice.pick(_RESULTS)
        row[reason] = None if row[result] == GRANTED else "材料不齐或者失信行为尚未纠正"
        row[withdrawn] = working_days_later(done, 1).isoformat() if row[result] == GRANTED else None
    return row


class Commitments:
    """The table of commitments (信用承诺), and whether they were kept."""

    place, key, mistakes = COMMITMENTS, 0, _commitment_mistakes()

    def initial(self, city: Everybody) -> Iterable[Row]:
        """One commitment for every fourth entity."""
        dice, number = city.dice, 0
        for entity in all_entities(city.truth):
            if dice.chance(0.25):
                number += 1
                subject = subject_of_entity(entity)
                yield _commitment(dice, number, subject, some_day(dice, subject, city.today), city.today)

    def day(self, news: News) -> Change:
        """New ones; some of the open ones are checked."""
        dice, number = news.dice, news.count(COMMITMENTS.dataset)
        made = list(map(subject_of_entity, some_active(news.truth, f"promise{news.today}", 3)))
        rows = [
            _commitment(dice, number + count, subject, news.today, news.today) for count, subject in enumerate(made, 1)
        ]
        for row in news.some(COMMITMENTS.dataset, 10, "checked"):
            if row[_STATUS] == OPEN and dice.chance(0.3):
                rows.append(_checked(dice, row, news.today))
        return Change(rows)


_STATUS, _CHECKED = COMMITMENTS.names.index("CN_LXZT"), COMMITMENTS.names.index("CN_HCRQ")


def _commitment(dice: Dice, number: int, subject: Subject, day: date, today: date) -> Row:
    kind, content, organisation, days = dice.pick(_COMMITMENTS)
    authority = authorities()[organisation]
    due = None if days is None else (day + timedelta(days=days)).isoformat()
    row: Row = [
        f"CN3415{number:010d}", kind, subject.name, subject.category, subject.uscc, content, day.isoformat(), due,
        OPEN, None, f"六安{authority.name}", authority.uscc, moment(dice, day),
    ]  # fmt: skip
    checked = day + timedelta(days=dice.between(60, 400))
    return _checked(dice, row, checked) if checked <= today else row


def _checked(dice: Dice, row: Row, day: date) -> Row:
    row = list(row)
    row[_STATUS], row[_CHECKED] = BROKEN if dice.chance(0.06) else KEPT, day.isoformat()
    row[COMMITMENTS.moment] = moment(dice, day)
    return row


def registers() -> list[Register]:
    """The registers of this module, made anew; repairs come after what they repair."""
    return [Listings(), Repairs(), Commitments()]
