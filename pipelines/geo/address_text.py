"""Reading addresses of Lu'an as people write them, in DuckDB's SQL: the parts of a text, and the villages it may mean.

Belongs here: normalising, names with their other spellings, taking a text apart. Which standard address a text means is
decided in `addresses`. Nothing is guessed: a text that fits several villages names all of them.

Other spellings are rules, not a list: words for a kind of village may be left out or written in full, 镇, 乡 and 街道
may be exchanged, 区 and 县 likewise, and 叶集 may stand under 霍邱, of which it was part until 2015.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pipelines.codecs.sql import literal

_WIDE: Final = "０１２３４５６７８９ＡＢＣＤＥＦＧ＃－—–―～－﹣"
_NARROW: Final = "0123456789ABCDEFG#-------"
_BRACKETS: Final = r"[(（\[【〔][^)）\]】〕]*[)）\]】〕]"
_SEPARATORS: Final = r"[\s\x{3000},，、。.;；:：?？□\x{00A0}\x{FFFD}]+"
_RARE: Final = {"\u40e5": ("石童", "石", "")}
"""Characters that GBK does not hold, and what is written for them: their parts, a part, or nothing."""

_VILLAGE_WORDS: Final = (
    "社区居民委员会", "社区居委会", "居民委员会", "居委会", "村民委员会", "村委会", "社区", "村",
)  # fmt: skip
_SPOKEN_VILLAGE: Final = (
    "",
    "村",
    "社区",
    "居委会",
    "居民委员会",
    "社区居委会",
    "社区居民委员会",
    "村委会",
    "村民委员会",
)
_TOWN_WORDS: Final = ("街道办事处", "街道", "镇", "乡")
_SPOKEN_TOWN: Final = ("街道", "街道办事处", "街道办", "镇", "镇人民政府", "乡", "")
_FORMER_COUNTY: Final[Mapping[str, Sequence[str]]] = {"341504": ("霍邱县", "霍邱")}
"""What a county's villages may be written under besides its own name (叶集区 was founded in 2015)."""

Name = tuple[str, str]
"""A spelling and the code of the division it may mean."""


def normalised(column: str) -> str:
    """SQL of a text without white space, punctuation and notes in brackets, with narrow digits.

    A bracket that spells a rare character (流波(石童)镇) is kept.
    """
    spelt = "|".join(part for parts in _RARE.values() for part in parts if len(part) > 1)
    text = f"translate({column}, {literal(_WIDE)}, {literal(_NARROW)})"
    text = f"regexp_replace({text}, '[(（]({spelt})[)）]', '\\1', 'g')"
    text = f"regexp_replace({text}, {literal(_BRACKETS)}, '', 'g')"
    return f"regexp_replace({text}, {literal(_SEPARATORS)}, '', 'g')"


def parts(text: str) -> dict[str, str]:
    """SQL of the parts of a normalised text: `head` (divisions and street), then gate, building, unit, room as digits.

    Empty where a part is not there; `rest` is what could not be read, empty in a text that is understood.
    """
    number = r"[0-9]+"
    gate = rf"(?:({number}(?:-{number})?)号)?"
    building = rf"(?:({number})(?:幢|栋|号楼|#楼|#|楼))?"
    unit = rf"(?:({number})单元)?"
    room = rf"(?:({number})(?:室|户|房)?)?"
    words = rf"^([^0-9]*(?:{number}组)?){gate}{building}{unit}{room}(.*)$"
    short = rf"^([^0-9]*)({number})-({number})-(?:({number})-)?({number})$"
    names = ("head", "gate", "building", "unit", "room", "rest")
    is_short = f"regexp_matches({text}, {literal(short)})"
    read = {
        pattern: [f"regexp_extract({text}, {literal(pattern)}, {place})" for place in range(1, len(names) + 1)]
        for pattern in (short, words)
    }
    read[short][-1] = "''"
    return {
        name: f"CASE WHEN {is_short} THEN {one} ELSE {other} END"
        for name, one, other in zip(names, read[short], read[words], strict=True)
    }


def without_city(head: str) -> str:
    """SQL of a head without province and city, which are the same for everybody."""
    counties = "金安|裕安|叶集|霍邱|舒城|金寨|霍山"
    text = f"regexp_replace({head}, '^(?:中国)?(?:安徽省?)?(?:六安地区|六安市)?', '')"
    return f"regexp_replace({text}, '^六安({counties})', '\\1')"


def county_names(divisions: Iterable[tuple[str, str, str]]) -> Iterator[Name]:
    """Spellings of the counties among divisions (code, name, level)."""
    for code, name, level in divisions:
        if level == "county":
            for word in ("区", "县", "市", ""):
                yield name[:-1] + word, code
            for former in _FORMER_COUNTY.get(code, ()):
                yield former, code


def town_names(divisions: Iterable[tuple[str, str, str]]) -> Iterator[Name]:
    """Spellings of the towns among divisions; the bare name only where two characters or more are left."""
    for code, name, level in divisions:
        if level == "town":
            stem = _stem(name, _TOWN_WORDS)
            words = _SPOKEN_TOWN if stem != name else ("",)
            yield from ((one, code) for word in words for one in _spelt(stem + word) if len(stem) > 1 or word)


def village_names(divisions: Iterable[tuple[str, str, str]]) -> Iterator[Name]:
    """Spellings of the villages among divisions; the bare name only where two characters or more are left."""
    for code, name, level in divisions:
        if level == "village":
            stem = _stem(name, _VILLAGE_WORDS)
            stems = {stem, stem.removesuffix("村")} if stem.endswith("村") and len(stem) > 2 else {stem}
            for one in stems:
                words = _SPOKEN_VILLAGE if one != name else ("",)
                yield from ((one + word, code) for word in words if len(one) > 1 or word)


def _stem(name: str, words: Sequence[str]) -> str:
    for word in words:
        if name.endswith(word) and name != word:
            return name.removesuffix(word)
    return name


def _spelt(name: str) -> Iterator[str]:
    """A name, and what is left of it where its rare characters are lost."""
    yield name
    for character, others in _RARE.items():
        if character in name:
            yield from (name.replace(character, other) for other in others)
