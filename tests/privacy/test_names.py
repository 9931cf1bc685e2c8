"""Names inside sentences: how many of the simulator's people are found, and that its other texts hold none."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.privacy.scanner import scan
from simulator.chance import Dice
from simulator.credit import OFFENCES_OF_ENTITIES, OFFENCES_OF_PEOPLE, PERMITS_OF_ENTITIES, PERMITS_OF_PEOPLE
from simulator.hotline_registers import SUBJECTS
from simulator.names import new_name
from simulator.trades import COMPANY_TRADES, SHOP_TRADES, brand
from tests.memory import connection

DIVISIONS = Path("simulator/data/luan_divisions.csv")
SENTENCES = (
    "申请人{0}因未提供材料被退回",
    "经查，当事人{0}于2026年3月1日在金安区无证经营，事实清楚。",
    "法定代表人（负责人）：{0}",
    "联系人 {0}，电话另附",
    "来电人反映居民{0}家门口垃圾没有清运",
    "请{0}同志补正材料",
    "{0}（男，汉族）在孙岗镇摆摊",
    "经查，{0}、{1}无证经营",
    "{0}、{1}、{2}",
    "由{0}和{1}共同申请",
)


def found(texts: Sequence[str]) -> int:
    con = connection()
    con.register("texts", pa.table({"text": list(texts)}))
    return sum(one.rows for one in scan(con, "texts") if one.kind == "name_in_text")


def people(number: int) -> list[str]:
    dice = Dice(7, "people")
    return [new_name(dice, "01", str(1 + at % 2), 1950 + at % 70) for at in range(number)]


def other_texts() -> list[str]:
    """What stands in registers and is no name: firms named after people among them, places, complaints, offences."""
    dice, persons = Dice(7, "others"), people(900)
    with DIVISIONS.open(encoding="utf-8") as file:
        places = [row["name"] for row in csv.DictReader(file)]
    firms = [f"六安市{brand(dice)}{dice.pick(COMPANY_TRADES).company}有限公司" for _ in range(900)]
    shops = [f"{places[at % len(places)]}{name}{dice.pick(SHOP_TRADES).shop}" for at, name in enumerate(persons)]
    said = [words for _, _, words in SUBJECTS.values()]
    said += [f"当事人{kind.offence}，事实清楚" for kind in (*OFFENCES_OF_ENTITIES, *OFFENCES_OF_PEOPLE)]
    said += [kind.content for kind in (*PERMITS_OF_ENTITIES, *PERMITS_OF_PEOPLE)]
    said += [trade.scope for trade in (*COMPANY_TRADES, *SHOP_TRADES)]
    lists = ["、".join(places[at : at + 3]) for at in range(len(places))]
    short = ["、".join(place[:-1] for place in places[at : at + 3]) for at in range(len(places))]
    about = [f"{role}{place}" for place in places for role in ("居民", "申请人", "负责人：", "当事人在")]
    addresses = [
        f"{place}{name[1:]}路{at % 90 + 1}号" for at, (place, name) in enumerate(zip(places, persons * 3, strict=False))
    ]
    return [*places, *firms, *shops, *said, *lists, *short, *about, *addresses]


def test_people_are_found_in_sentences_and_nothing_else() -> None:
    persons = people(1200)
    told = [sentence.format(*persons[at : at + 3]) for at in range(0, 1200, 12) for sentence in SENTENCES]
    hits, others = found(told), other_texts()
    false = found(others)
    print(f"recall {hits} of {len(told)}, false alarms {false} of {len(others)}")
    assert hits >= 0.9 * len(told)
    assert false == 0


@pytest.mark.parametrize(
    "text",
    [
        "申请人张三丰因材料不齐",
        "法定代表人：欧阳明月",
        "户主诸葛正被纳入低保",
        "申请人：张 三",
        "负责人：石磊",
        "张三、李四",
        "李红梅等三人反映",
        "我叫王小二，今年35岁",
        "您好，我是张伟",
        "本人李秀英因病不能到场",
    ],
)
def test_named(text: str) -> None:
    assert found([text]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "六安市裕安区张三丰饭店",
        "孙岗镇王店村",
        "当事人陈述、申辩意见不予采纳",
        "申请人应当补正，当事人尚未改正，居民方可领取",
        "当事人于当日改正，申请人向我局说明",
        "全体党员同志",
        "负责人：高新区管委会",
        "金寨、霍山、舒城",
        "黄豆、白菜、马铃薯",
        "房屋、车辆",
        "申请人王某因材料不齐，李某某同志、张先生来电",
        "当事人从事食品经营，违反《中华人民共和国食品安全法》",
        "张三",
        "患者和医生之间有纠纷，市民和学生的意见，居民和学生。",
        "驾驶员应文明驾驶，市民应文明，经营者应文明经营；学生成才的条件",
        "高三老师，文学老师",
        "患者：白血病，患者：高烧，病人 焦虑，死者系车祸，司机：左转",
        "申请人：单身，申请人为单亲，患者为龙凤胎，负责人 车间，户主：安置",
        "申请人：霍山，负责人：霍邱，申请人：万佛湖，林芝、许昌",
        "许昌和梁平，罗平和余庆",
        "业主：万达，投资人：安踏，股东：万科、华润",
        "居民路灯，居民水电，群众查询，职工安康，居民高兴，居民时常反映",
        "我是金安区居民，我是高中生，我是商户，本人任职期间，本人于当日到场，本人余额不足，我是党员，我是安徽人",
        "我是明日小区业主，本人付款后，本人申请退款，我是万达商户，本人多次反映，本人曾经投诉，本人解除合同",
    ],
)
def test_not_named(text: str) -> None:
    assert found([text]) == 0


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("李娜代为签收", 1),
        ("材料由李娜负责", 1),
        ("张伟的房子漏水", 1),
        ("业主 阿依古丽·买买提 反映", 1),
        ("签收人：卓玛", 1),
        ("收货人李娜已领取", 1),
        ("签收人：扎西", 1),
        ("申请人扎西卓玛因材料不齐", 1),
        ("联系人：ZHANG WEI", 1),
        ("Name: Li Xiaoming.", 1),
        ("CONTACT: HE SHAN GROUP", 0),
        ("联系人：ABC公司", 0),
        ("负责人：达瓦路派出所", 0),
        ("签收人：高新区管委会", 0),
        ("领取人须本人到场，寄件人信息不全", 0),
        ("由高新区负责", 0),
        ("由街道代办", 0),
        ("由社区工作人员代为签收", 0),
        ("小区的房子漏水", 0),
        ("万达·华府南门", 0),
        ("业主反映万达·华府漏水", 0),
    ],
)
def test_what_somebody_does_or_has_tells_a_name(text: str, rows: int) -> None:
    assert found([text]) == rows
