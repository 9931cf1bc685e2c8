"""Names of invented people, with the frequencies, fashions and oddities real registers have.

Characters are put together at random; that a combination is also the name of somebody living cannot be avoided.
"""

from __future__ import annotations

from simulator.chance import Dice, deck

HAN, HUI, UYGHUR, KAZAKH = "01", "03", "05", "17"

SURNAMES = deck(
    "王*80 李*76 张*74 陈*52 刘*50 杨*34 吴*32 周*27 徐*26 朱*25 胡*23 孙*22 黄*20 何*18 郭*17 高*16 马*16 "
    "罗*14 林*13 汪*22 程*18 许*16 方*15 潘*14 江*13 余*13 曹*12 鲍*6 夏*12 谢*12 董*11 韩*10 冯*10 邓*8 彭*9 "
    "曾*7 蔡*9 田*9 袁*10 蒋*10 沈*8 唐*9 葛*8 卫*5 束*3 郝*5 台*2 荣*3 储*6 查*3 戴*7 丁*9 魏*8 叶*9 姚*8 "
    "卢*7 范*7 陆*6 金*7 石*6 邹*5 熊*6 孟*6 秦*5 史*5 侯*4 龚*5 万*5 段*4 钱*5 汤*5 尹*4 武*4 贾*4 赖*2 宋*12 "
    "梁*9 郑*9 赵*16 傅*5 杜*7 窦*3 凌*3 翁*2 从 郎 司 昌 桂*2 晏 竺 詹*2 欧阳*1 司马*1 诸葛*1 上官*1 夏侯*1"
)
COMPOUND_SURNAMES = ("欧阳", "司马", "诸葛", "上官", "夏侯")
HUI_SURNAMES = deck("马*30 王*8 李*8 张*6 杨*5 沙*4 白*4 哈 丁*4 穆*2 金*3 海*2 回 兰*2")

ETHNICITIES = deck("01*9890 03*64 11*9 15*8 06*7 05*4 07*3 08*3 17 10 02*3 12*2 13 09 14 22 04")

# Characters of given names by sex and by the birth year in which the next fashion began.
MALE = (
    (
        1967,
        deck(
            "国*4 华*4 明*4 德*4 文*3 平*3 志*3 富*2 贵*2 祥*2 云*2 山*2 海*2 林*3 根*2 树 正*2 金*2 银 福*2 寿 "
            "家*3 宝*2 良*2 忠*2 义*2 礼 友*2 才 发"
        ),
    ),
    (
        1995,
        deck(
            "军*6 伟*6 勇*5 强*5 涛*4 斌*4 刚*3 辉*3 峰*3 鹏*3 波*3 亮*3 飞*3 杰*3 超*3 俊*3 磊*3 浩*2 宏*3 东*2 "
            "建*4 海*2 健*2 松*2 兵*3 龙*2"
        ),
    ),
    (
        9999,
        deck(
            "浩*5 宇*6 轩*5 杰*3 博*4 子*5 涵*3 辰*5 泽*5 俊*4 铭*4 睿*4 皓*3 晨*4 昊*4 天*3 佑 嘉*4 梓*4 奕*3 "
            "一*2 诺*2 恒 景 熙*3 润 航*2"
        ),
    ),
)
FEMALE = (
    (
        1967,
        deck(
            "英*6 兰*5 芳*5 秀*6 珍*5 梅*4 桂*4 玉*5 凤*4 荣*3 翠*2 香*3 莲*3 霞*3 菊*2 琴*3 云*2 华*3 素*2 如*2 "
            "传 道 世 家*2 先"
        ),
    ),
    (
        1995,
        deck(
            "丽*6 娟*5 燕*5 敏*5 静*5 红*4 艳*4 玲*4 霞*3 芬*2 萍*2 娜*3 婷*4 雪*3 慧*3 莉*3 倩*3 洁*2 晶*2 梅*2 "
            "云*2 玉*2 晓*3 小*2 媛*2"
        ),
    ),
    (
        9999,
        deck(
            "欣*5 怡*5 梓*5 涵*5 诗*4 雨*4 萱*4 妍*3 彤*3 悦*4 琪*3 语*3 馨*3 可*4 若*3 一*3 依*3 诺*3 佳*3 思*3 "
            "瑶*3 汐*2 沐*2 晗*2 梦*3"
        ),
    ),
)
GENERATIONS = tuple("传家世泽长光先道德永承锡大成启文明士学正邦国绍克昌贤良宗祖孝友")
# Characters outside the common sets: extension A, CJK beyond the basic plane, and some that only look harmless.
RARE = ("䃥", "䶮", "㛃", "䥽", "龑", "堃", "喆", "骉", "犇", "甪", "𬭎", "𫖯", "𬍛")
SHARE_RARE = 0.0015
SHARE_ONE_CHARACTER = 0.13
TURKIC_MALE = ("买买提", "艾力", "阿卜杜拉", "玉素甫", "吐尔逊", "库尔班", "哈力克", "依明")
TURKIC_FEMALE = ("阿依古丽", "古丽娜尔", "阿米娜", "热依汗", "帕提古丽", "茹仙古丽", "玛依拉")


def ethnicity(dice: Dice) -> str:
    """A code of GB/T 3304, nearly always 01 (Han)."""
    return dice.pick(ETHNICITIES)


def is_turkic(code: str) -> bool:
    """Whether people of this ethnicity are written as given name · father's name."""
    return code in (UYGHUR, KAZAKH)


def new_name(dice: Dice, code: str, sex: str, birth_year: int) -> str:
    """A full name for somebody whose parents are not in the household."""
    if is_turkic(code):
        return f"{_turkic(dice, sex)}·{dice.pick(TURKIC_MALE)}"
    surname = dice.pick(HUI_SURNAMES if code == HUI else SURNAMES)
    return surname + given_name(dice, sex, birth_year, "")


def child_name(dice: Dice, parent_name: str, code: str, sex: str, birth_year: int, generation: str) -> str:
    """A full name after a parent, with the siblings' common generation character ('' for none)."""
    if is_turkic(code) and "·" in parent_name:
        return f"{_turkic(dice, sex)}·{parent_name.partition('·')[0]}"
    return surname_of(parent_name) + given_name(dice, sex, birth_year, generation)


def surname_of(name: str) -> str:
    """The surname a full name begins with; compound surnames are kept whole."""
    return name[:2] if name[:2] in COMPOUND_SURNAMES else name[:1]


def given_name(dice: Dice, sex: str, birth_year: int, generation: str) -> str:
    """One or two characters in the fashion of the birth year."""
    eras = MALE if sex == "1" else FEMALE
    characters = next(characters for end, characters in eras if birth_year < end)
    last = dice.pick(RARE) if dice.chance(SHARE_RARE) else dice.pick(characters)
    if generation:
        return generation + last
    if dice.chance(SHARE_ONE_CHARACTER):
        return last
    return dice.pick(characters) + last


def generation_character(dice: Dice, birth_year: int) -> str:
    """The character a family gives to all children of one generation, or '' when it keeps no such custom."""
    custom = 0.65 if birth_year < 1975 else 0.3 if birth_year < 2000 else 0.08
    return dice.pick(GENERATIONS) if dice.chance(custom) else ""


def _turkic(dice: Dice, sex: str) -> str:
    return dice.pick(TURKIC_MALE if sex == "1" else TURKIC_FEMALE)
