"""Which field a column of a source may be: by how other contracts use its name, by its remark, by its values.

A field is only proposed where the values do not speak against it. What fits no field becomes a proposal for a new one,
with the highest level unless something says what it is. Nothing here is decided: a person does that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pypinyin import lazy_pinyin

from pipelines.contracts.forms.fields import FieldDefinition
from pipelines.contracts.forms.words import NAME, LogicalType
from pipelines.contracts.resolved import Contracts
from pipelines.drafts.looks import DIVISIONS, Look
from pipelines.drafts.texts import undecided
from pipelines.privacy.scanner import Kind

LONGEST_NAME = 40
_PERSONAL: Mapping[Kind, str] = {
    "id_number": "id_number",
    "id_number_15": "id_number",
    "name": "name",
    "mobile": "mobile",
}
"""What fields call a kind of personal value."""
_TITLE_END = re.compile(r"[\s(（\[【:：,，;；、。/]")
_UNIT = re.compile(r"[（(\[【]\s*(?:单位[:：])?\s*([^（()）\[\]【】]+?)\s*[）)\]】]\s*$")
"""What stands in brackets at the end of a header."""
_UNITS = frozenset(
    [
        *("元", "千元", "万元", "亿元", "%", "‰", "人", "万人", "户", "个", "件", "次", "家", "辆", "岁", "天", "小时"),
        *("亩", "公顷", "米", "公里", "平方米", "平方公里", "吨", "万吨", "千克"),
    ]
)
"""Units that headers name; those of the city's fields are others."""
_CHECKED = {"id_number": "gb11643_check_digit", "uscc": "gb32100_check_digit"}
"""What has a check digit, by the rule that asks for it."""


@dataclass(frozen=True)
class SourceColumn:
    """A column as its source tells it: `title` its remark, `type` where the source knows types, `size` the length of
    its texts. `place`: where it stands, from 1, if its own name is kept out of the draft and `name` stands for it."""

    name: str
    title: str = ""
    type: LogicalType | None = None
    nullable: bool = True
    size: int | None = None
    place: int | None = None


@dataclass(frozen=True)
class Proposal:
    """What a column may be. `new`: the definition of a field that is not there yet; `level`: one above the field's own;
    `reasons`: ids of messages under `draft.why`, with what fills them."""

    column: SourceColumn
    field: str
    new: Mapping[str, Any] | None = None
    level: int | None = None
    reasons: Sequence[tuple[str, dict[str, Any]]] = ()


class Proposer:
    """Proposes fields of one city. `taken`: names of new fields of other drafts."""

    def __init__(self, contracts: Contracts, taken: Iterable[str] = ()) -> None:
        self.contracts = contracts
        self.taken = {*taken}

    @property
    def highest(self) -> int:
        """The level of what nobody knows anything about."""
        return max(self.contracts.city.levels)

    @cached_property
    def _used(self) -> dict[str, Counter[str]]:
        """Fields by the name that departments give their columns."""
        found: dict[str, Counter[str]] = {}
        for source in self.contracts.sources.values():
            for column in source.columns:
                found.setdefault(_folded(column.physical_name), Counter())[column.name] += 1
        return found

    def knows(self, text: str) -> bool:
        """Whether a text is what a department calls a column, or the city a field."""
        return _folded(text) in self._used or any(one.businessName == text for one in self.contracts.fields.values())

    def propose(self, columns: Iterable[tuple[SourceColumn, Look]]) -> list[Proposal]:
        """A proposal for each column; no field twice."""
        found: list[Proposal] = []
        used: set[str] = set()
        for column, look in columns:
            one = self._known(column, look, used) or self._new(column, look, used)
            used.add(one.field)
            found.append(one)
        return found

    def _known(self, column: SourceColumn, look: Look, used: set[str]) -> Proposal | None:
        for why, name in self._candidates(column, look):
            definition = self.contracts.fields[name]
            if name in used or not self._agrees(definition, column, look):
                continue
            level = self._level(look)
            raised = level if level is not None and level > definition.classification else None
            return Proposal(column, name, None, raised, [(why, {"field": definition.businessName}), *_seen(look)])
        return None

    def _candidates(self, column: SourceColumn, look: Look) -> Iterable[tuple[str, str]]:
        """Fields, the likeliest first, each with the reason. By values alone only what has a check digit."""
        for name, _ in self._used.get(_folded(column.name), Counter()).most_common():
            yield "used", name
        titles = {_title(column.title), _title(column.name)} - {""}
        for name, definition in self.contracts.fields.items():
            if definition.businessName in titles:
                yield "title", name
        if (own := column.name.strip().lower()) in self.contracts.fields:
            yield "called", own
        checked = {"id_number": look.holds("id_number"), "uscc": look.mostly("uscc")}
        for rule in (_CHECKED[what] for what, holds in checked.items() if holds):
            yield from (("values", name) for name, one in self.contracts.fields.items() if rule in one.quality)

    def _agrees(self, definition: FieldDefinition, column: SourceColumn, look: Look) -> bool:
        """Whether neither the values nor the source's own type speak against a field."""
        kind = definition.logicalType
        if kind in ("integer", "number") and self._unit(column) not in (None, definition.unit):
            return False
        if column.type in ("date", "timestamp") and kind != column.type:
            return False
        if definition.geometry is not None:
            return not look.mostly("number") and not look.mostly("date")
        if not look.filled:
            return True
        if kind in ("date", "timestamp", "integer", "number") and not (
            look.mostly(kind) or (kind == "timestamp" and look.mostly("date"))
        ):
            return False
        if definition.codes is not None and definition.codes not in look.codes:
            return False
        if look.holds("id_number"):
            return definition.personal == "id_number"
        return definition.personal != "id_number" or bool(look.personal.get("id_number"))

    def _new(self, column: SourceColumn, look: Look, used: set[str]) -> Proposal:
        name = self._name(column, used)
        self.taken.add(name)
        kind = column.type or look.type
        personal = next((_PERSONAL[one] for one in _PERSONAL if look.holds(one)), None)
        codes = look.codes[0] if kind == "string" and _surely_codes(look) else None
        title = _title(column.title) or ("" if column.name.isascii() else column.name)
        definition: dict[str, Any] = {
            "businessName": title or undecided("title", column=column.name),
            "businessNameEn": undecided("english"),
            "description": undecided("meaning"),
        }
        definition["logicalType"] = "string" if personal or codes else kind
        if definition["logicalType"] in ("integer", "number") and (unit := self._unit(column)):
            definition["unit"] = unit
        if definition["logicalType"] == "string" and column.size and codes is None:
            definition["logicalTypeOptions"] = {"maxLength": column.size}
        definition["classification"] = self._level(look) or self.highest
        if personal:
            definition["personal"] = personal
        definition["clean"] = ["trim", "half_width", "null_words", *([{"code_of": {"codes": codes}}] if codes else [])]
        if codes:
            definition["codes"] = codes
        elif look.mostly("uscc"):
            definition["quality"] = ["gb32100_format", "gb32100_check_digit"]
        elif look.holds("id_number"):
            definition["clean"] = ["trim", "half_width", "upper", "null_words", "gb11643_upgrade"]
            definition["quality"] = ["gb11643_format", "gb11643_check_digit", "gb11643_content"]
        why = [] if self._level(look) else [("unknown_level", {"level": self.highest})]
        return Proposal(column, name, definition, None, [("new", {}), *_seen(look), *why])

    def _unit(self, column: SourceColumn) -> str | None:
        """The unit that a header or remark names: 金额（万元）."""
        known = _UNITS | {one.unit for one in self.contracts.fields.values() if one.unit}
        found = (_UNIT.search(text) for text in (column.title, column.name))
        units = (one[1].replace("％", "%") for one in found if one)
        return next((unit for unit in units if unit in known), None)

    def _level(self, look: Look) -> int | None:
        """The level that personal values ask for, were there but one of them; None where none was found."""
        levels = [self._level_of(kind) for kind, rows in look.personal.items() if rows]
        return max(levels, default=None)

    def _level_of(self, kind: Kind) -> int:
        """The highest level that the city gives this kind of personal value; of kinds without a field the highest."""
        own = _PERSONAL.get(kind)
        levels = [one.classification for one in self.contracts.fields.values() if own and one.personal == own]
        return max(levels, default=self.highest)

    def _name(self, column: SourceColumn, used: set[str]) -> str:
        """A name for a new field, from the name at the source, Chinese ones by their sound."""
        text = column.name if column.name.isascii() else "_".join(lazy_pinyin(column.name))
        slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:LONGEST_NAME].strip("_")
        slug = slug if NAME.fullmatch(slug) else f"column_{slug}".strip("_")
        known = {*self.contracts.fields, *self.taken, *used}
        return next(one for one in (slug, *(f"{slug}_{number}" for number in range(2, 10_000))) if one not in known)


def _surely_codes(look: Look) -> bool:
    """Whether values can only be codes of one list: a few digits could be those of any."""
    return bool(look.codes) and (len(look.codes) == 1 or look.codes[0] == DIVISIONS) and look.distinct > 1


def _seen(look: Look) -> list[tuple[str, dict[str, Any]]]:
    """What was seen in the values."""
    found: list[tuple[str, dict[str, Any]]] = []
    if not look.filled:
        return [("empty", {})]
    for kind, rows in look.personal.items():
        found.append((kind, {"rows": rows, "filled": look.filled}))
    if look.mostly("uscc"):
        found.append(("uscc", {"rows": look.fits["uscc"], "filled": look.filled}))
    if look.codes and not look.mostly("number"):
        found.append(("codes", {"lists": "、".join(look.codes[:4])}))
    return found


def _title(text: str) -> str:
    """The first word of a remark: what follows explains it."""
    return _TITLE_END.split(text.strip(), maxsplit=1)[0]


def _folded(name: str) -> str:
    return name.strip().casefold()
