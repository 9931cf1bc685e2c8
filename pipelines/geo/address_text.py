"""Reading addresses of Lu'an as people write them, in DuckDB's SQL: the parts of a text, and the villages it may mean.

Belongs here: normalising, names with their other spellings, taking a text apart. Which standard address a text means is
decided in `addresses`. Nothing is guessed: a text that fits several villages names all of them.

Other spellings are rules, not a list: words for a kind of village may be left out or written in full, 镇, 乡 and 街道
may be exchanged, 区 and 县 likewise, and what was another county or town once may be written so. Chinese numerals
before 号, 组, 幢 and the like are digits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pipelines.codecs.sql import literal

_WIDE: Final = "０１２３４５６７８９ＡＢＣＤＥＦＧ＃－—–―～－﹣號組棟樓單戶區縣鎮鄉"
_NARROW: Final = "0123456789ABCDEFG#-------号组栋楼单户区县镇乡"
_BRACKETS: Final = r"[(（\[【〔][^)）\]】〕]*[)）\]】〕]"
_SEPARATORS: Final = r"[\s\x{3000},，、。.;；:：?？□\x{00A0}\x{FFFD}]+"
_RARE: Final = {"\u40e5": ("石童", "石", "疃", "瞳", "")}
"""Characters that GBK does not hold, and what is written for them: parts, a part, one that looks alike, nothing."""
_NUMERAL: Final = "〇零一二三四五六七八九十百廿卅"
_DIGITS: Final = "〇零一二三四五六七八九"
_ONE: Final = "[一二三四五六七八九]"
_SIDE: Final = "东西南北中"

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
_FORMER_COUNTY: Final[Mapping[str, Sequence[str]]] = {
    "341502": ("六安县",),
    "341503": ("六安县",),
    "341504": ("霍邱县", "霍邱", "叶集试验区", "叶集改革发展试验区"),
}
"""What a county's villages may be written under besides its own name: until 1999 or 2015."""
_FORMER_TOWN: Final[Mapping[str, Sequence[str]]] = {"341504001": ("叶集镇",), "341504002": ("叶集镇",)}
"""Towns of before, under the codes of those that were made of them."""

Name = tuple[str, str]
"""A spelling and the code of the division it may mean."""
TownName = tuple[str, str, bool]
"""A spelling, the code, and whether it has the very word (镇, 乡, 街道) of the name."""


def normalised(column: str) -> str:
    """SQL of a text without white space, punctuation and notes in brackets, with narrow digits.

    A bracket that spells a rare character (流波(石童)镇) is kept.
    """
    spelt = "|".join(part for parts in _RARE.values() for part in parts if len(part) > 1)
    text = f"translate({column}, {literal(_WIDE)}, {literal(_NARROW)})"
    text = f"regexp_replace({text}, '[(（]({spelt})[)）]', '\\1', 'g')"
    text = f"regexp_replace({text}, {literal(_BRACKETS)}, '', 'g')"
    text = f"regexp_replace({text}, {literal(_SEPARATORS)}, '', 'g')"
    text = f"regexp_replace({text}, '(?:村民小组|村民组|小组)', '组', 'g')"
    return f"regexp_replace({text}, '第([0-9{_NUMERAL}]+组)', '\\1')"


def in_digits(text: str) -> str:
    """SQL of a normalised text with the Chinese numerals of its groups, gates, buildings, units and rooms as digits.

    三号路 and 三组团 are names and stay, as do numerals before anything else.
    """
    words = "号|组|幢|栋|单元|室|户$|房$"
    marked = f"regexp_replace({text}, '([{_NUMERAL}]+)({words})', '«\\1»\\2', 'g')"
    marked = f"regexp_replace({marked}, '(号之)([{_NUMERAL}]+)$', '\\1«\\2»')"
    marked = f"regexp_replace({marked}, '«([{_NUMERAL}]+)»(号[^0-9«楼之附#-]|组[^0-9«])', '\\1\\2', 'g')"
    written = f"list_distinct(regexp_extract_all({marked}, '«[{_NUMERAL}]+»'))"
    return (
        f"CASE WHEN regexp_matches({text}, '[{_NUMERAL}](?:{words}|$)') THEN list_reduce({written}, "
        f"lambda said, one: replace(said, one, {_value('one')}), {marked}) ELSE {text} END"
    )


def _value(numeral: str) -> str:
    """SQL of a numeral in «» as digits: 二十三, 廿三 and 二三 as 23; one of another form as it is, without «»."""
    digits = f"translate({numeral}, '{_DIGITS}«»', '00123456789')"
    form = f"^«(?:({_ONE})百零?)?(?:({_ONE})?(十)|(廿|卅))?({_ONE})?»$"
    hundreds, tens, ten, score, ones = (
        f"translate(regexp_extract({numeral}, '{form}', {place}), '{_DIGITS}廿卅', '0012345678923')"
        for place in range(1, 6)
    )
    ten = f"coalesce(nullif({score}, ''), nullif({tens}, ''), CASE WHEN {ten} = '' THEN '0' ELSE '1' END)"
    return (
        f"CASE WHEN regexp_full_match({numeral}, '«[{_DIGITS}]+»') THEN {digits} "
        f"WHEN regexp_matches({numeral}, '{form}') THEN CAST(100 * coalesce(TRY_CAST({hundreds} AS INTEGER), 0) "
        f"+ 10 * CAST({ten} AS INTEGER) + coalesce(TRY_CAST({ones} AS INTEGER), 0) AS VARCHAR) "
        f"ELSE translate({numeral}, '«»', '') END"
    )


def parts(text: str) -> dict[str, str]:
    """SQL of the parts of a normalised text: `head` (divisions and street), then gate, building, unit, room as digits.

    `side`: the direction behind a room. Empty where a part is not there; `rest` is what could not be read, empty in a
    text that is understood.
    """
    number = r"[0-9]+"
    text = f"regexp_replace({text}, '({number})号[之-]({number})号?$', '\\1-\\2号')"
    gate = rf"(?:({number}(?:-{number})?)号)?"
    building = rf"(?:({number})(?:幢|栋|号楼|#楼|#|楼))?"
    unit = rf"(?:({number})单元)?"
    room = rf"(?:({number})(?:室|户|房)?(?:([{_SIDE}])(?:户|室|侧|边)?)?)?"
    words = rf"^([^0-9]*(?:{number}组)?){gate}{building}{unit}{room}(.*)$"
    short = rf"^([^0-9]*(?:{number}组)?)({number})-({number})-(?:({number})-)?({number})()()$"
    names = ("head", "gate", "building", "unit", "room", "side", "rest")
    is_short = f"regexp_matches({text}, {literal(short)})"
    read = {
        pattern: [f"regexp_extract({text}, {literal(pattern)}, {place})" for place in range(1, len(names) + 1)]
        for pattern in (short, words)
    }
    return {
        name: f"CASE WHEN {is_short} THEN {one} ELSE {other} END"
        for name, one, other in zip(names, read[short], read[words], strict=True)
    }


def without_city(head: str) -> str:
    """SQL of a head without province and city, which are the same for everybody."""
    counties = "金安|裕安|叶集|霍邱|舒城|金寨|霍山"
    text = f"regexp_replace({head}, '^(?:中国)?(?:安徽省?)?(?:六安地区|(?:县级)?六安市)?', '')"
    return f"regexp_replace({text}, '^六安({counties})', '\\1')"


def county_names(divisions: Iterable[tuple[str, str, str]]) -> Iterator[Name]:
    """Spellings of the counties among divisions (code, name, level)."""
    for code, name, level in divisions:
        if level == "county":
            for word in ("区", "县", "市", ""):
                yield name[:-1] + word, code
            for former in _FORMER_COUNTY.get(code, ()):
                yield former, code


def town_names(divisions: Iterable[tuple[str, str, str]]) -> Iterator[TownName]:
    """Spellings of the towns among divisions; the bare name only where two characters or more are left."""
    for code, name, level in divisions:
        if level == "town":
            stem = _stem(name, _TOWN_WORDS)
            own = name.removeprefix(stem)
            for word in _SPOKEN_TOWN if own else ("",):
                if len(stem) > 1 or word:
                    yield from ((one, code, bool(word) and word.startswith(own)) for one in _spelt(stem + word))
            yield from ((former, code, True) for former in _FORMER_TOWN.get(code, ()))


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
