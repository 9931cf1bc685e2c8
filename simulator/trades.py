"""What firms are called and what they do: trades with their codes of GB/T 4754-2017, names and business scopes.

Codes from memory: only their form is relied on. Who runs a firm and what becomes of it belongs to `firms`.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.chance import Dice, deck


@dataclass(frozen=True, slots=True)
class Trade:
    """A line of business: its code, the words for it in a company's and in a shop's name, and its scope."""

    code: str
    company: str
    shop: str
    scope: str
    food: bool = False


_TRADES = (
    (3, Trade("F5212", "商贸", "超市", "日用百货、预包装食品、散装食品销售", food=True)),
    (6, Trade("F5213", "商贸", "便利店", "日用品销售；食品销售；烟草制品零售", food=True)),
    (5, Trade("F5232", "服饰", "服装店", "服装、鞋帽、针纺织品零售")),
    (3, Trade("F5223", "农产品", "水果店", "果品、蔬菜零售", food=True)),
    (3, Trade("F5224", "食品", "鲜肉店", "肉、禽、蛋、奶及水产品零售", food=True)),
    (3, Trade("F5165", "建材", "建材经营部", "建筑材料、装饰材料批发、零售")),
    (2, Trade("F5251", "医药", "大药房", "药品零售；医疗器械销售")),
    (6, Trade("H6210", "餐饮管理", "饭店", "餐饮服务", food=True)),
    (6, Trade("H6291", "餐饮", "小吃店", "小吃服务", food=True)),
    (2, Trade("H6231", "茶文化", "茶馆", "茶馆服务；茶叶销售", food=True)),
    (2, Trade("H6129", "酒店管理", "宾馆", "住宿服务")),
    (4, Trade("O8040", "美容服务", "美发店", "理发服务；生活美容服务")),
    (3, Trade("O8111", "汽车服务", "汽车修理厂", "汽车修理与维护；汽车配件销售")),
    (3, Trade("G5431", "物流", "货运部", "普通货物道路运输；货物装卸")),
    (2, Trade("A0111", "农业发展", "家庭农场", "水稻、小麦种植与销售")),
    (2, Trade("A0313", "牧业", "养殖场", "生猪饲养与销售")),
    (2, Trade("C1530", "茶业", "茶厂", "茶叶种植、加工与销售", food=True)),
    (1, Trade("C1311", "粮油", "米厂", "稻谷加工；粮食收购与销售", food=True)),
)
_COMPANY_TRADES = (
    (4, Trade("E4710", "建筑工程", "", "房屋建筑工程、市政公用工程施工")),
    (3, Trade("E5012", "装饰工程", "", "住宅装饰和装修工程设计、施工")),
    (3, Trade("I6513", "信息科技", "", "应用软件开发；计算机系统服务")),
    (2, Trade("I6560", "数据技术", "", "信息技术咨询服务；数据处理和存储服务")),
    (2, Trade("C1811", "服装", "", "机织服装制造与销售")),
    (2, Trade("C3311", "钢结构", "", "金属结构制造、安装")),
    (1, Trade("K7010", "置业", "", "房地产开发经营")),
    (2, Trade("K7020", "物业服务", "", "物业管理；家政服务")),
    (2, Trade("L7259", "广告传媒", "", "广告设计、制作、代理、发布")),
    (1, Trade("P8391", "职业培训", "", "职业技能培训")),
)
_CO_OPERATIVE_TRADES = (
    (3, Trade("A0111", "水稻种植", "", "组织成员开展水稻种植及产品销售")),
    (3, Trade("A0141", "蔬菜种植", "", "组织采购、供应成员所需的生产资料；组织收购、销售成员种植的蔬菜")),
    (3, Trade("A0164", "茶叶种植", "", "组织成员开展茶叶种植、加工、销售")),
    (2, Trade("A0321", "畜禽养殖", "", "组织成员开展畜禽养殖及产品销售")),
    (1, Trade("A0411", "水产养殖", "", "组织成员开展水产养殖及产品销售")),
)


def _dealt(*lists: tuple[tuple[int, Trade], ...]) -> tuple[Trade, ...]:
    return tuple(trade for trades in lists for copies, trade in trades for _ in range(copies))


SHOP_TRADES = _dealt(_TRADES)
COMPANY_TRADES = _dealt(_TRADES, _COMPANY_TRADES, _COMPANY_TRADES)
CO_OPERATIVE_TRADES = _dealt(_CO_OPERATIVE_TRADES)
FOOD_INDUSTRIES = frozenset(trade.code for trade in SHOP_TRADES if trade.food)
"""Industries that need a food permit."""

_FIRST = deck(
    "鑫*3 宏*3 鸿*2 恒*3 盛*2 泰*2 华*2 金*3 皖*3 大别山 淠河 安*2 润*2 佳*2 众*2 远*2 瑞*3 祥*2 天*2 新*2 德 永 万 嘉"
)
_SECOND = deck(
    "达*3 源*3 盛*2 发*2 隆*2 泰*2 兴*3 诚*2 信*2 丰*3 顺*2 通 腾 利 和*2 美 康*2 创 博 茂 旺 宇 辉 航 森 悦 禾 晟"
)


def brand(dice: Dice) -> str:
    """The distinctive part of a name, for example 鑫源 or 大别山禾丰."""
    middle = dice.pick(_SECOND) if dice.chance(0.35) else ""
    return dice.pick(_FIRST) + middle + dice.pick(_SECOND)
