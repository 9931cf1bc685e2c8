"""What is permitted and punished, by whom, and whom decisions are about. The tables are in `credit_registers`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from simulator.chance import Dice, deck
from simulator.entities import Entity
from simulator.person import Person

ENTITY, PERSON, SELF_EMPLOYED = "1", "2", "3"
"""Codes of the category of the subject."""
PUBLICATION_BEGINS = date(2021, 1, 4)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a decision is about."""

    category: str
    name: str
    uscc: str | None = None
    representative: str | None = None
    representative_id: str | None = None
    id_number: str | None = None
    since: date = PUBLICATION_BEGINS


@dataclass(frozen=True, slots=True)
class Permit:
    """A kind of permit: who decides, the mark of its documents, its category and contents, how long it is valid."""

    organisation: str
    mark: str
    category: str
    content: str
    years: int | None


@dataclass(frozen=True, slots=True)
class Offence:
    """A kind of offence: who punishes it, the mark of the documents, what it is and what law says so."""

    organisation: str
    mark: str
    offence: str
    basis: str
    fines: str
    """In 万元, from which one is drawn."""


PERMITS_OF_ENTITIES = (
    Permit("amr", "六市监许", "1", "准予食品经营许可", 5),
    Permit("amr", "六市监许", "1", "准予药品经营许可", 5),
    Permit("amr", "六市监登", "5", "准予变更登记", None),
    Permit("amr", "六市监核", "4", "准予特种设备使用登记", None),
    Permit("hrssb", "六人社许", "1", "准予劳务派遣经营", 3),
    Permit("hrssb", "六人社许", "1", "准予人力资源服务", 5),
    Permit("hurd", "六建许", "1", "准予建筑工程施工", None),
    Permit("hurd", "六建许", "3", "准予建筑业企业资质", 5),
    Permit("hurd", "六建许", "1", "准予商品房预售", None),
    Permit("hc", "六卫许", "1", "准予公共场所卫生许可", 4),
    Permit("hc", "六卫许", "1", "准予医疗机构执业", 5),
    Permit("drc", "六发改审", "4", "固定资产投资项目核准", 2),
    Permit("psb", "六公许", "2", "准予爆破作业", 3),
)
PERMITS_OF_PEOPLE = (
    Permit("hc", "六卫许", "3", "准予护士执业注册", 5),
    Permit("hrssb", "六人社许", "3", "颁发职业资格证书", None),
    Permit("psb", "六公许", "1", "准予机动车驾驶", 6),
)
OFFENCES_OF_ENTITIES = (
    Offence("amr", "六市监罚", "经营超过保质期的食品", "《中华人民共和国食品安全法》第一百二十四条", "0.5 1 2 5"),
    Offence("amr", "六市监罚", "未按规定公示年度报告", "《企业信息公示暂行条例》第十七条", "0.1 0.2 0.3"),
    Offence("amr", "六市监罚", "发布虚假广告", "《中华人民共和国广告法》第五十五条", "0.8 3 10 20"),
    Offence("hurd", "六建罚", "未取得施工许可证擅自施工", "《建筑工程施工许可管理办法》第十二条", "1.5 5 12"),
    Offence("hc", "六卫罚", "公共场所未取得卫生许可证", "《公共场所卫生管理条例实施细则》第三十五条", "0.05 0.3 2"),
    Offence("hrssb", "六人社罚", "拖欠劳动者工资", "《劳动保障监察条例》第三十条", "0.2 1 2"),
    Offence("psb", "六公罚", "未落实实名登记", "《中华人民共和国反恐怖主义法》第八十六条", "1 5"),
)
OFFENCES_OF_PEOPLE = (
    Offence("amr", "六市监罚", "无照经营", "《无证无照经营查处办法》第十三条", "0.1 0.5 1"),
    Offence("hurd", "六建罚", "擅自改变房屋承重结构", "《建设工程质量管理条例》第六十九条", "5 8"),
)
PENALTY_CATEGORIES = deck("1*20 2*70 3*3 4*5 9*2")
PENALTY_WORDS = {"1": "警告", "3": "吊销许可证件", "4": "责令停产停业", "9": "其他行政处罚"}


def subject_of_entity(entity: Entity) -> Subject:
    """An entity as a subject."""
    return Subject(
        SELF_EMPLOYED if entity.kind == "9500" else ENTITY,
        entity.name,
        uscc=entity.uscc,
        representative=entity.representative,
        representative_id=entity.representative_id,
        since=max(entity.established, PUBLICATION_BEGINS),
    )


def subject_of_person(person: Person) -> Subject:
    """A living adult as a subject."""
    return Subject(PERSON, person.name, id_number=person.id_number)


def some_day(dice: Dice, subject: Subject, until: date) -> date:
    """A day on which something may have been decided about a subject."""
    return subject.since + timedelta(days=dice.below((until - subject.since).days + 1))


def document_number(dice: Dice, mark: str, decided: date) -> str:
    """The number of a document, in the brackets the rule wants."""
    return f"{mark}〔{decided.year}〕{dice.between(1, 2_000)}号"
