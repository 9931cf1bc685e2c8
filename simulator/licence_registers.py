"""The log of the catalogue of electronic licences: one row per change, numbered in the order in which they happened.

What a licence is belongs to `licences`. Social security cards and identity cards of adults; business licences of all
entities, food permits of those that deal in food, qualifications of builders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from simulator.chance import Dice
from simulator.day import DEATH
from simulator.defects import CERTIFICATE, CHECK_DIGIT, CLEANABLE, CODE, CONSISTENCY, FORMAT, RANGE
from simulator.entities import Entity, all_entities, touched
from simulator.licences import (
    BIRTH,
    BUSINESS,
    CANCELLED,
    CHANGED,
    CONSTRUCTION,
    ENTITY,
    EXPIRED,
    FOOD,
    ID_CARD,
    MARRIAGE,
    PERSON,
    REVOKED,
    ROOT,
    SOCIAL_CARD,
    SUSPENDED,
    VALID,
    Licence,
    file_hash,
    id_card_term,
    licence_types,
    office_moment,
    with_status,
)
from simulator.mistakes import Mistake, changed, code_mistakes, date_mistakes, id_mistakes, missing, spelled
from simulator.organisation_codes import authorities
from simulator.person import Person
from simulator.registers import Change, Everybody, News, Row, Table
from simulator.special_mistakes import before, instead_of_nothing, only, organisation_mistakes, repeated
from simulator.trades import FOOD_INDUSTRIES

SHARE_WITH_SOCIAL_CARD, SHARE_WITH_ID_CARD = 0.95, 0.60
CATALOGUE_BEGINS = date(2017, 3, 1)
"""Older licences were entered from then on."""
OF_AGE = 16
CITY = "341500"
"""The area of every issuer."""
_CARDS_BEGIN = date(2012, 1, 1)
_ID_CARD_DAYS = 365 * 18
_YEARS_OF_PERMIT = 5
_DAYS_TO_ENTER = 400
"""Within so many days after being issued (or after the catalogue began) a licence is entered."""
_SHARE_ENTERED_BY_MISTAKE = 0.003
_ISSUED_AGAIN = 97
"""One in so many cards and business licences was issued again, and the older one is still called valid."""
_RENEWED_PER_PERSON = 0.0001
_BUILDERS = "E4710"
_FAR = ("9999-12-31", "长期", "9999-09-09", "2099-12-31", "长期有效")
INSERT, UPDATE, DELETE = "I", "U", "D"

LICENCES = Table(
    "dsrb",
    "dzzz",
    "T_ZZML_BG",
    (
        ("BGXH", "bigint"),
        ("BGLX", "varchar(20)"),
        ("ZZBS", "varchar(160)"),
        ("ZZLXDM", "varchar(60)"),
        ("ZZMC", "varchar(100)"),
        ("ZZBH", "varchar(60)"),
        ("CZZTLX", "varchar(40)"),
        ("CZZT", "varchar(200)"),
        ("CZZTDM", "varchar(40)"),
        ("FZJG", "varchar(100)"),
        ("FZJGDM", "varchar(40)"),
        ("FZRQ", "varchar(20)"),
        ("YXQQ", "varchar(20)"),
        ("YXQZ", "varchar(20)"),
        ("ZZZT", "varchar(40)"),
        ("BBH", "varchar(10)"),
        ("GLZZBS", "varchar(160)"),  # the licence that this one replaces
        ("BJBH", "varchar(40)"),
        ("XZQH", "varchar(12)"),
        ("CZZTDMLX", "varchar(40)"),  # what kind of code the holder's is
        ("WJGS", "varchar(10)"),
        ("WJZY", "varchar(64)"),
        ("GXSJ", "timestamp(0)"),
    ),
    keeps=True,
    moment=22,
)
_OPERATION, _IDENTIFIER, _KIND, _HOLDER_KIND, _HOLDER, _HOLDER_CODE = 1, 2, 3, 6, 7, 8
_ISSUER, _ISSUED, _FROM, _TO, _STATUS, _VERSION, _ASSOCIATED, _AREA, _CODE_KIND, _FORMAT, _HASH, _HANDLED = (
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    18,
    19,
    20,
    21,
    22,
)
_CODE_KINDS = {PERSON: "111", ENTITY: "001"}
"""Codes of the kind of the holder's code: an identity number, a unified social credit code."""
_NOT_YET = datetime(1, 1, 1)
_SHARE_SUSPENDED = 0.03
"""Of permits and qualifications: suspended once and given back some weeks later."""
_RENEWED_BEFORE = 10
"""Days before the end of a permit on which it is renewed."""
_PERMITS = (FOOD, CONSTRUCTION)

Log = Iterator[tuple[str, Licence]]
"""Changes: the operation and the licence as it is after it."""


def _wrong_check(value: str, dice: Dice) -> str:
    return value[:-1] + dice.pick("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".replace(value[-1], ""))


def _other_kind(value: str, dice: Dice) -> str:
    """A type of which nobody in this catalogue has a licence: it competes with no other one of the holder."""
    return licence_types()[dice.pick((BIRTH, MARRIAGE))][0]


def _other_issuer(value: str, dice: Dice) -> str:
    return dice.pick(sorted({one.uscc for one in authorities().values()} - {value}))


def _mistakes() -> tuple[Mistake, ...]:
    # One rule judges the code by the type of holder, whatever is wrong with it.
    one_rule = (FORMAT, CHECK_DIGIT, CONSISTENCY)
    return (
        changed("identifier_wrong_check", CHECK_DIGIT, _IDENTIFIER, _wrong_check),
        changed("identifier_without_root", FORMAT, _IDENTIFIER, lambda v, d: v.removeprefix(f"{ROOT}.")),
        changed("identifier_lower_case", CLEANABLE, _IDENTIFIER, lambda v, d: v.lower()),
        missing(_IDENTIFIER),
        changed("kind_no_code", CODE, _KIND, lambda v, d: f"{v[:-3]}999"),
        spelled("kind_word", _KIND, dict(licence_types().values())),
        *code_mistakes(_HOLDER_KIND, "3", *one_rule),
        spelled("holder_kind_word", _HOLDER_KIND, {PERSON: "个人", ENTITY: "企业"}),
        missing(_HOLDER),
        missing(_HOLDER_CODE),
        *(only(lambda row: row[_HOLDER_KIND] == PERSON, one) for one in id_mistakes(_HOLDER_CODE, *one_rule)),
        *organisation_mistakes(_HOLDER_CODE, *one_rule, suits=lambda row: row[_HOLDER_KIND] == ENTITY),
        *organisation_mistakes(_ISSUER),
        *date_mistakes(_ISSUED),
        missing(_ISSUED),
        before("validity_reversed", _FROM, _TO),
        instead_of_nothing("validity_without_end", _TO, *_FAR),
        *code_mistakes(_STATUS, "8"),
        changed("version_in_words", FORMAT, _VERSION, lambda v, d: f"第{v}版"),
        changed("version_zero", RANGE, _VERSION, lambda v, d: "0"),
        changed("associated_wrong_check", CHECK_DIGIT, _ASSOCIATED, _wrong_check),
        changed("identifier_of_other_kind", CERTIFICATE, _KIND, _other_kind),
        changed("identifier_of_other_issuer", CERTIFICATE, _ISSUER, _other_issuer),
        changed("identifier_of_other_version", CERTIFICATE, _VERSION, lambda v, d: str(int(v) + 1)),
        changed("area_left", CODE, _AREA, lambda v, d: "341521"),
        *code_mistakes(_CODE_KIND, "9"),
        changed("format_no_code", CODE, _FORMAT, lambda v, d: "DOC"),
        changed("format_lower_case", CLEANABLE, _FORMAT, lambda v, d: v.lower()),
        changed("hash_cut_short", FORMAT, _HASH, lambda v, d: v[:40]),
        spelled("status_word", _STATUS, {VALID: "有效", EXPIRED: "过期", CANCELLED: "注销", CHANGED: "变更"}),
        spelled("operation_word", _OPERATION, {INSERT: "新增", UPDATE: "变更", DELETE: "注销"}),
        repeated(0),
    )


class Licences:
    """The log of changes of the catalogue."""

    place = LICENCES
    key = 0
    mistakes = _mistakes()

    def initial(self, city: Everybody) -> Iterable[Row]:
        """Everything since the catalogue began, in order of time."""
        log = [*_cards(city), *_entity_licences(city)]
        log.sort(key=lambda change: (change[1].handled, change[1].serial))
        return [_row(number, operation, licence) for number, (operation, licence) in enumerate(log, 1)]

    def day(self, news: News) -> Change:
        """What dying, expiring, founding, altering, ending and renewing did to licences."""
        number = news.count(LICENCES.dataset) + 1
        log: list[tuple[str, Licence]] = []
        for licence in _current(news, "row[9]", [person.id_number for person in news.changed(DEATH)]):
            log.append((UPDATE, with_status(news.dice, licence, CANCELLED, news.today)))
        yesterday = (news.today - timedelta(days=1)).isoformat()
        done = {licence.serial for _, licence in log}
        for licence in _current(news, "row[14]", [yesterday]):
            if licence.serial not in done:
                log.append((UPDATE, with_status(news.dice, licence, EXPIRED, news.today)))
        log += _of_touched(news, number + len(log))
        log += _permits(news, {licence.serial for _, licence in log})
        log += _renewed(news, number + len(log), {licence.serial for _, licence in log})
        return Change([_row(number + count, *change) for count, change in enumerate(log)])


def _cards(city: Everybody) -> Log:
    """Identity and social security cards of adults."""
    dice, serial = city.dice, 0
    for person in city.people:
        if person.age(city.today) < OF_AGE:
            continue
        if dice.chance(SHARE_WITH_SOCIAL_CARD):
            serial += 1
            begin = max(_birthday(person, OF_AGE), _CARDS_BEGIN)
            issued = begin + timedelta(days=dice.below((city.today - begin).days + 1))
            card = _card(SOCIAL_CARD, serial, person, issued, None)
            yield from _entered(city, card)
            if again := _again(card, serial + 1, city.today):
                serial += 1
                yield from _entered(city, again)
        if dice.chance(SHARE_WITH_ID_CARD):
            serial += 1
            begin = max(_birthday(person, OF_AGE), city.today - timedelta(days=_ID_CARD_DAYS))
            issued = begin + timedelta(days=dice.below((city.today - begin).days + 1))
            card = _card(ID_CARD, serial, person, issued, id_card_term(person.birth, issued))
            yield from _entered(city, card)
            if again := _again(card, serial + 1, city.today):
                serial += 1
                yield from _entered(city, replace(again, valid_to=id_card_term(person.birth, again.issued)))


def _entity_licences(city: Everybody) -> Log:
    """Business licences, food permits and qualifications."""
    serial = len(city.people) * 2
    for entity in all_entities(city.truth):
        for licence in _licences_of(city.dice, entity, serial + 1):
            serial += 1
            yield from _entered(city, _renewed_until(licence, city.today), entity)
            if entity.ended is None and licence.kind == BUSINESS and (again := _again(licence, serial + 1, city.today)):
                serial += 1
                yield from _entered(city, again)


def _again(licence: Licence, serial: int, today: date) -> Licence | None:
    """The same licence issued once more as another one, of some; the office forgot to end the first."""
    issued = licence.issued + (today - licence.issued) / 2
    if licence.serial % _ISSUED_AGAIN or issued == licence.issued:
        return None
    return replace(licence, serial=serial, issued=issued)


def _licences_of(dice: Dice, entity: Entity, serial: int) -> Iterator[Licence]:
    """What an entity is given when it is founded."""
    yield _entity_licence(dice, BUSINESS, serial, entity, entity.approved, None)
    if entity.industry in FOOD_INDUSTRIES and dice.chance(0.9):
        serial += 1
        yield _entity_licence(dice, FOOD, serial, entity, entity.established, _YEARS_OF_PERMIT)
    if entity.industry == _BUILDERS and dice.chance(0.7):
        yield _entity_licence(dice, CONSTRUCTION, serial + 1, entity, entity.established, _YEARS_OF_PERMIT)


def _entered(city: Everybody, licence: Licence, entity: Entity | None = None) -> Log:
    """A licence entered in the catalogue, and what became of it until today."""
    dice, today = city.dice, city.today
    first = max(licence.issued, CATALOGUE_BEGINS)
    entered = min(first + timedelta(days=dice.below(_DAYS_TO_ENTER)), today)
    licence = replace(licence, handled=office_moment(dice, entered))
    yield INSERT, licence
    if dice.chance(_SHARE_ENTERED_BY_MISTAKE):
        yield DELETE, with_status(dice, licence, CANCELLED, _later(dice, entered, today))
        return
    if licence.kind in _PERMITS and dice.chance(_SHARE_SUSPENDED):
        suspended = _later(dice, entered, today)
        licence = with_status(dice, licence, SUSPENDED, suspended)
        yield UPDATE, licence
        licence = with_status(dice, licence, VALID, _later(dice, suspended, today))
        yield UPDATE, licence
        entered = licence.handled.date()
    if entity is not None and entity.ended is not None:
        status = REVOKED if entity.status == "2" else CANCELLED
        yield UPDATE, with_status(dice, licence, status, max(entered, entity.ended))
    elif licence.valid_to is not None and licence.valid_to < today:
        yield UPDATE, with_status(dice, licence, EXPIRED, max(entered, licence.valid_to + timedelta(days=1)))


def _of_touched(news: News, serial: int) -> Log:
    """Licences of entities founded, altered or ended today."""
    entities = {entity.uscc: entity for entity in touched(news.truth, news.today)}
    for entity in entities.values():
        if entity.established == news.today:
            for licence in _licences_of(news.dice, entity, serial):
                serial += 1
                yield INSERT, replace(licence, handled=office_moment(news.dice, news.today))
    for licence in _current(news, "row[9]", list(entities)):
        entity = entities[licence.holder_code]
        if entity.ended == news.today:
            yield UPDATE, with_status(news.dice, licence, REVOKED if entity.status == "2" else CANCELLED, news.today)
        elif entity.approved == news.today and licence.kind == BUSINESS:
            altered = replace(licence, holder=entity.name, issued=news.today)
            yield UPDATE, with_status(news.dice, altered, VALID, news.today)


def _permits(news: News, done: set[int]) -> Log:
    """Permits near their end are renewed under a new version; now and then one is suspended, or given back."""
    due = (news.today + timedelta(days=_RENEWED_BEFORE)).isoformat()
    for licence in _current(news, "row[14]", [due]):
        if licence.kind in _PERMITS and licence.serial not in done and licence.serial % 10:
            done.add(licence.serial)
            yield UPDATE, with_status(news.dice, licence, CHANGED, news.today)
            renewed = _renewed_until(licence, date.fromisoformat(due) + timedelta(days=1))
            yield INSERT, replace(renewed, status=VALID, handled=office_moment(news.dice, news.today))
    permits = [licence_types()[kind][0] for kind in _PERMITS]
    for licence in _current(news, "row[4]", permits, SUSPENDED):
        if licence.serial not in done and news.dice.chance(0.2):
            done.add(licence.serial)
            yield UPDATE, with_status(news.dice, licence, VALID, news.today)
    valid = [one for one in _current(news, "row[4]", permits) if one.serial not in done]
    if valid and news.dice.chance(0.5):
        yield UPDATE, with_status(news.dice, news.dice.pick(valid), SUSPENDED, news.today)


def _renewed(news: News, serial: int, done: set[int]) -> Log:
    """Some adults fetch a new identity card: the old one is replaced, if there was one."""
    wanted = max(2, round(_RENEWED_PER_PERSON * news.day.state.living))
    adults = [person for person in news.people(wanted * 2) if person.age(news.today) >= OF_AGE][:wanted]
    held = {licence.holder_code: licence for licence in _current(news, "row[9]", [one.id_number for one in adults])
            if licence.kind == ID_CARD and licence.serial not in done}  # fmt: skip
    for person in adults:
        former = held.get(person.id_number)
        if former is not None:
            serial += 1
            yield UPDATE, with_status(news.dice, former, CHANGED, news.today)
        card = _card(ID_CARD, serial, person, news.today, id_card_term(person.birth, news.today))
        serial += 1
        yield INSERT, replace(card, handled=office_moment(news.dice, news.today))


def _current(news: News, column: str, values: Sequence[str], status: str = VALID) -> list[Licence]:
    """The licences of a status with one of these values in a column, each as its last change left it."""
    rows = news.truth.execute(
        f"SELECT row FROM truth.record WHERE dataset = %s AND {column} = ANY(%s) ORDER BY key::bigint",
        [LICENCES.dataset, list(values)],
    ).fetchall()
    last = {row[_IDENTIFIER]: row for (row,) in rows}
    return [_licence_of(row) for row in last.values() if row[_STATUS] == status and row[_OPERATION] != DELETE]


def _card(kind: str, serial: int, person: Person, issued: date, valid_to: date | None) -> Licence:
    return Licence(kind, serial, 1, PERSON, person.name, person.id_number, issued, valid_to, VALID, _NOT_YET)


def _entity_licence(dice: Dice, kind: str, serial: int, entity: Entity, since: date, years: int | None) -> Licence:
    issued = since if kind == BUSINESS else since + timedelta(days=dice.below(30))
    if issued > entity.approved and entity.ended is not None:
        issued = since
    valid_to = None if years is None else issued.replace(year=issued.year + years, day=min(issued.day, 28))
    return Licence(kind, serial, 1, ENTITY, entity.name, entity.uscc, issued, valid_to, VALID, _NOT_YET)


def _renewed_until(licence: Licence, today: date) -> Licence:
    """A permit renewed again and again; one in ten is not renewed the last time."""
    while licence.valid_to is not None and licence.valid_to < today and licence.serial % 10:
        issued = licence.valid_to
        valid_to = issued.replace(year=issued.year + _YEARS_OF_PERMIT)
        licence = replace(licence, issued=issued, valid_to=valid_to, version=licence.version + 1)
    return licence


def _later(dice: Dice, day: date, today: date) -> date:
    return day + timedelta(days=dice.below((today - day).days + 1))


def _birthday(person: Person, age: int) -> date:
    return person.birth.replace(year=person.birth.year + age, day=min(person.birth.day, 28))


def _row(number: int, operation: str, licence: Licence) -> Row:
    code, name = licence_types()[licence.kind]
    identifier = licence.identifier
    return [
        str(number),
        operation,
        identifier,
        code,
        name,
        licence.number,
        licence.holder_kind,
        licence.holder,
        licence.holder_code,
        f"六安{licence.issuer.name}",
        licence.issuer.uscc,
        licence.issued.isoformat(),
        licence.issued.isoformat(),
        licence.valid_to.isoformat() if licence.valid_to else None,
        licence.status,
        str(licence.version),
        licence.former,
        licence.case_number,
        CITY,
        _CODE_KINDS[licence.holder_kind],
        "OFD",
        file_hash(identifier),
        licence.handled.isoformat(" "),
    ]


def _licence_of(row: Row) -> Licence:
    serial, version = str(row[_IDENTIFIER]).split(".")[-3:-1]
    return Licence(
        kind=str(row[_KIND])[-3:],
        serial=int(serial),
        version=int(version),
        holder_kind=str(row[_HOLDER_KIND]),
        holder=str(row[_HOLDER]),
        holder_code=str(row[_HOLDER_CODE]),
        issued=date.fromisoformat(str(row[_ISSUED])),
        valid_to=date.fromisoformat(row[_TO]) if row[_TO] else None,
        status=str(row[_STATUS]),
        handled=datetime.fromisoformat(str(row[_HANDLED])),
    )
