"""The items of the government-service catalogue: who handles them, how long it may take, who applies.

What becomes of an application belongs to `services`.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.organisation_codes import Authority, authorities

PERSON, ENTITY = "1", "2"
"""Codes of the type of applicant."""


@dataclass(frozen=True, slots=True)
class Item:
    """A service item; ``promised`` is in working days, 0 for what is done on the spot."""

    code: str
    name: str
    organisation: str
    promised: int
    applicant: str
    weight: int

    @property
    def authority(self) -> Authority:
        """Who handles it."""
        return authorities()[self.organisation]


def _item(name: str, organisation: str, promised: int, applicant: str, weight: int, number: int) -> Item:
    return Item(f"11341500{organisation.upper():0>5}{number:04d}", name, organisation, promised, applicant, weight)


_ITEMS = (
    ("居民身份证换领", "psb", 10, PERSON, 9),
    ("居民身份证补领", "psb", 10, PERSON, 5),
    ("户口迁移", "psb", 3, PERSON, 4),
    ("出生登记", "psb", 0, PERSON, 2),
    ("居住证申领", "psb", 5, PERSON, 3),
    ("机动车驾驶证期满换证", "psb", 1, PERSON, 6),
    ("出入境证件签发", "psb", 7, PERSON, 4),
    ("无犯罪记录证明", "psb", 1, PERSON, 2),
    ("社会保障卡申领", "hrssb", 3, PERSON, 7),
    ("社会保障卡补领、换领", "hrssb", 3, PERSON, 5),
    ("城乡居民基本养老保险参保登记", "hrssb", 1, PERSON, 6),
    ("城乡居民养老保险待遇申领", "hrssb", 10, PERSON, 3),
    ("企业职工参保登记", "hrssb", 1, ENTITY, 4),
    ("失业保险金申领", "hrssb", 5, PERSON, 2),
    ("就业创业证申领", "hrssb", 3, PERSON, 2),
    ("灵活就业社会保险补贴申领", "hrssb", 15, PERSON, 2),
    ("职业技能提升补贴申领", "hrssb", 15, PERSON, 1),
    ("劳务派遣经营许可", "hrssb", 10, ENTITY, 1),
    ("企业设立登记", "amr", 1, ENTITY, 5),
    ("企业变更登记", "amr", 1, ENTITY, 5),
    ("企业注销登记", "amr", 1, ENTITY, 2),
    ("个体工商户注册登记", "amr", 0, ENTITY, 7),
    ("食品经营许可（新办）", "amr", 5, ENTITY, 5),
    ("食品经营许可（变更）", "amr", 3, ENTITY, 2),
    ("药品零售企业许可", "amr", 15, ENTITY, 1),
    ("特种设备使用登记", "amr", 3, ENTITY, 1),
    ("结婚登记", "cab", 0, PERSON, 3),
    ("补发婚姻登记证", "cab", 0, PERSON, 2),
    ("最低生活保障审核确认", "cab", 22, PERSON, 1),
    ("高龄津贴申领", "cab", 5, PERSON, 3),
    ("社会团体成立登记", "cab", 20, ENTITY, 1),
    ("出生医学证明补发", "hc", 5, PERSON, 1),
    ("公共场所卫生许可", "hc", 5, ENTITY, 2),
    ("护士执业注册", "hc", 7, PERSON, 1),
    ("医疗机构执业登记", "hc", 20, ENTITY, 1),
    ("建筑工程施工许可证核发", "hurd", 3, ENTITY, 1),
    ("商品房预售许可", "hurd", 5, ENTITY, 1),
    ("公租房租赁补贴审核", "hurd", 15, PERSON, 1),
    ("企业投资项目备案", "drc", 0, ENTITY, 2),
    ("固定资产投资项目节能审查", "drc", 15, ENTITY, 1),
)
ITEMS = tuple(_item(*entry, number) for number, entry in enumerate(_ITEMS, 1))
DECK = tuple(item for item in ITEMS for _ in range(item.weight))
"""All items, each as often as it is asked for."""
BY_CODE = {item.code: item for item in ITEMS}
