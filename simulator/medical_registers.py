"""Medical insurance: who is insured, and what was settled with hospitals and pharmacies.

The insured are the people of the city and those who live here without being registered. Nothing is settled for the
dead, whoever knows of the death.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from simulator.chance import Dice, deck
from simulator.day import BIRTH, DEATH
from simulator.defects import CODE, CONSISTENCY, FORMAT, RANGE, SENTINEL_1899
from simulator.mistakes import Mistake, changed, code_mistakes, date_mistakes, id_mistakes, missing, spelled, unknown
from simulator.people_registers import Cremations, Floating
from simulator.person import DAY_ZERO
from simulator.register_rows import late, moment, some, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.schema import Connection
from simulator.special_mistakes import absent, before, contradicting, instead_of_nothing, repeated

EMPLOYEE, RESIDENT = "310", "390"
INSURED, PAUSED, ENDED = "1", "2", "4"
"""Codes of the insurance and of its state."""
OUTPATIENT, INPATIENT, PHARMACY, CHRONIC = "11", "21", "41", "14"
"""Codes of what was settled."""
_BEGIN = date(2001, 1, 1)
_KEPT = 60
"""Days of which the office keeps settlements in this table when the city begins."""
_UPLOADED_AFTER = 3
"""Days from the end of a treatment to the row: by then every death before it is known."""
_PER_PERSON_AND_DAY = 0.0012
_KINDS = deck(f"{OUTPATIENT}*52 {PHARMACY}*30 {INPATIENT}*10 {CHRONIC}*8")
_GROUPS = ("BR23", "ES31", "FM35", "GZ15", "IU35", "RE15", "OR15", "DT19")
_DIAGNOSES = ("I10.x00", "E11.900", "J44.100", "K29.500", "I63.900", "M51.202", "J18.900")


def registers() -> list[Register]:
    """The registers of this module, made anew."""
    return [Insured(), Settlements()]


class Insured:
    """Insured persons, one row each; a row is written again when the insurance pauses or ends."""

    place = table(
        "hsb", "yb", "PSN_INSU_D", "PSN_NO CERTNO INSUTYPE INSU_ADMDVS PSN_INSU_STAS BEGNDATE ENDDATE", "UPDT_TIME"
    )
    key = 0
    mistakes = (
        *id_mistakes(1),
        *code_mistakes(2, "399"),
        spelled("insurance_word", 2, {EMPLOYEE: "职工医保", RESIDENT: "居民医保"}),
        changed("county_left", CODE, 3, lambda v, d: "341521"),
        *code_mistakes(4, "8"),
        spelled("status_word", 4, {INSURED: "正常参保", PAUSED: "暂停参保", ENDED: "终止参保"}),
        *date_mistakes(5, CONSISTENCY),
        instead_of_nothing("end_sentinel", 6, SENTINEL_1899, "9999-12-31", "2099-12-31"),
        absent("end_missing", 6, lambda row: row[4] == ENDED),
        before("ended_before_begin", 5, 6),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        dice = city.dice
        for person in city.people:
            if dice.chance(0.955):
                yield self._row(dice, number_of(person.rybh), person.id_number, person.division[:6], person.birth)
        for row in _outsiders(city.truth):
            if dice.chance(0.4):
                born = date(int(str(row[1])[6:10]), int(str(row[1])[10:12]), int(str(row[1])[12:14]))
                yield self._row(dice, number_of(str(row[0])), str(row[1]), str(row[7])[:6], born)

    def day(self, news: News) -> Change:
        """Newborns are insured, the dead no longer, and some stop paying or go on."""
        dice, rows = news.dice, list[Row]()
        for one in news.changed(BIRTH):
            row = self._row(dice, number_of(one.rybh), one.id_number, one.division[:6], one.birth)
            rows.append([*row[:5], news.today.isoformat(), None, moment(dice, news.today)])
        touched = {str(row[0]) for row in rows}
        for row in news.some(self.place.dataset, some(news, 0.0004, self.place.dataset)):
            if row[4] != ENDED:
                row[4] = INSURED if row[4] == PAUSED else PAUSED
                rows.append([*row[:7], moment(dice, late(dice, news.today))])
                touched.add(str(row[0]))
        for one in news.changed(DEATH):
            known = news.record(self.place.dataset, number_of(one.rybh))
            if known and known[0] not in touched and one.ended and str(known[5]) <= one.ended.isoformat():
                rows.append([*known[:4], ENDED, known[5], one.ended.isoformat(), moment(dice, news.today)])
        return Change(rows)

    def _row(self, dice: Dice, number: str, identity: str, county: str, born: date) -> Row:
        age = DAY_ZERO.year - born.year
        employed = age >= 18 and dice.chance(0.2)
        first = max(_BEGIN, born + timedelta(days=(18 * 366 if employed else 1)))
        begun = first + timedelta(days=int(max(0, (DAY_ZERO - first).days - 2) * dice.random() ** 0.7))
        if begun >= DAY_ZERO:  # came of age in these days
            employed, begun = False, max(_BEGIN, min(born + timedelta(days=1), DAY_ZERO - timedelta(days=1)))
        status, ended = INSURED, None
        value = dice.random()
        if value < 0.012:
            status = PAUSED
        elif value < 0.02 and (DAY_ZERO - begun).days > 40:
            status, ended = ENDED, begun + timedelta(days=30 + dice.below((DAY_ZERO - begun).days - 31))
        return [
            number,
            identity,
            EMPLOYEE if employed else RESIDENT,
            county,
            status,
            begun.isoformat(),
            ended.isoformat() if ended else None,
            moment(dice, ended or begun),
        ]


class Settlements:
    """Settlements, never changed once they are written. What was diagnosed stands in the table too."""

    place = table(
        "hsb",
        "yb",
        "SETL_D",
        "SETL_ID PSN_NO FIXMEDINS_CODE MED_TYPE BEGNDATE ENDDATE FUND_PAY_SUMAMT DRG_CODE DIAG_CODE DIAG_NAME",
        "UPDT_TIME",
        keeps=True,
    )
    key = 0
    mistakes: tuple[Mistake, ...] = (
        missing(1),
        changed("institution_short", FORMAT, 2, lambda v, d: v[:-2]),
        changed("institution_letter", FORMAT, 2, lambda v, d: f"Q{v[1:]}"),
        *code_mistakes(3, "99"),
        spelled("kind_word", 3, {OUTPATIENT: "普通门诊", INPATIENT: "普通住院", PHARMACY: "定点药店购药"}),
        *date_mistakes(4, CONSISTENCY),
        before("left_before_admission", 4, 5),
        changed("pay_negative", RANGE, 6, lambda v, d: f"-{v}" if float(v) > 0 else None),
        changed("pay_beyond", RANGE, 6, lambda v, d: f"{v[:-3]}00000.00" if float(v) > 100 else None),
        absent("group_missing", 7, lambda row: row[3] == INPATIENT),
        repeated(0),
        contradicting(0, 6, lambda v, d: f"{float(v) + 10:.2f}"),
        unknown(1),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """Those of the last two months, in the order in which they were settled."""
        dice, insured = city.dice, _insured(city.truth)
        number = 0
        for ago in range(_KEPT, -1, -1):
            today = city.today - timedelta(days=ago)
            for _ in range(_volume(dice, len(insured))):
                one = dice.pick(insured)
                if str(one[1]) <= _treated(today).isoformat():
                    number += 1
                    yield self._row(dice, number, str(one[0]), today, str(one[1]))

    def day(self, news: News) -> Change:
        """What is told today of people who are insured and alive."""
        number, rows = news.count(self.place.dataset), list[Row]()
        wanted = _volume(news.dice, news.count(Insured.place.dataset))
        found = news.some(Insured.place.dataset, wanted * 2, "settled")
        dead = _dead(news.truth, [str(row[1]) for row in found])
        treated = _treated(news.today).isoformat()
        alive = [row for row in found if row[4] == INSURED and row[1] not in dead and str(row[5]) <= treated]
        for row in alive[:wanted]:
            number += 1
            rows.append(self._row(news.dice, number, str(row[0]), news.today, str(row[5])))
        return Change(rows)

    def _row(self, dice: Dice, number: int, person: str, today: date, begun: str) -> Row:
        kind = dice.pick(_KINDS)
        stay, left = dice.between(2, 20) if kind == INPATIENT else 0, _treated(today)
        came = max(left - timedelta(days=stay), date.fromisoformat(begun))
        institution = f"{'P' if kind == PHARMACY else 'H'}{34150000000 + dice.between(1, 400):011d}"
        paid = dice.between(1500, 30_000) if kind == INPATIENT else dice.between(8, 900)
        return [
            f"341500S{today:%Y%m%d}{number:010d}",
            person,
            institution,
            kind,
            came.isoformat(),
            left.isoformat(),
            f"{paid}.{dice.below(100):02d}",
            dice.pick(_GROUPS) if kind == INPATIENT else None,
            dice.pick(_DIAGNOSES),
            "诊断名称",
            moment(dice, today),
        ]


def _treated(told: date) -> date:
    """The last day of the treatments of which the rows of a day tell."""
    return told - timedelta(days=_UPLOADED_AFTER)


def number_of(record: str) -> str:
    """The insurance's number of a person who has this record number in a register of 公安."""
    return f"3415{'0' if record.startswith('RY') else '9'}{record[2:]:0>12}"


def _outsiders(truth: Connection) -> list[Row]:
    """Registrations in force of people who are not registered in the city."""
    rows = truth.execute("SELECT row FROM truth.record WHERE dataset = %s ORDER BY key", [Floating.place.dataset])
    return [row for (row,) in rows if row[12] == "1" and not row[5].startswith("3415")]


def _insured(truth: Connection) -> list[tuple[str, str]]:
    """Who is insured at present: number and beginning."""
    return truth.execute(
        "SELECT key, row[6] FROM truth.record WHERE dataset = %s AND row[5] = %s ORDER BY key",
        [Insured.place.dataset, INSURED],
    ).fetchall()


def _dead(truth: Connection, identities: list[str]) -> set[str]:
    """Those of them who were cremated: the household office may not know yet."""
    rows = truth.execute(
        "SELECT row[2] FROM truth.record WHERE dataset = %s AND row[2] = ANY(%s)",
        [Cremations.place.dataset, identities],
    )
    return {str(number) for (number,) in rows}


def _volume(dice: Dice, insured: int) -> int:
    expected = _PER_PERSON_AND_DAY * insured * (0.7 + 0.6 * dice.random())
    return int(expected) + dice.chance(expected - int(expected))
