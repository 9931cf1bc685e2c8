"""How numbers of persons are told in texts: identity numbers, telephones, plates, cards, and the spellings that hide
them.

Belongs here: what a text is made comparable by, and the SQL tests of one text. Does not belong here: names (`names`),
which columns are searched and what is counted (`scanner`).

Three forms of a text are looked at. `normal`: capitals, half-width, nothing invisible; of a value that is nothing but a
digest NULL. `digits`: the same with a run of digits, some of them Chinese or circled, written in figures. `joined`: the
same without spaces, dashes, underscores and middle dots between digits. A full stop is no such sign, for it makes
decimals: it is passed over only where it stands at the parts of a number (6-8-4 of an identity number, with the date in
parts or not; 3-4-4 of a mobile).
"""

from pipelines.codecs import gb11643
from pipelines.codecs.cleaning import half_width
from pipelines.codecs.sql import literal

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_ODD = rf"[\x{{3000}}\x{{FF01}}-\x{{FF5E}}{_INVISIBLE}]"
_FIGURES = "〇零○一二三四五六七八九壹贰叁肆伍陆柒捌玖幺⓪①②③④⑤⑥⑦⑧⑨"
_AS_DIGITS = "0001234567891234567891" + "0123456789"

_SIGNS = r"\s\x{A0}\x{2000}-\x{200A}_·\x{2022}\x{2027}\x{2219}\x{22C5}\x{30FB}\x{2010}-\x{2015}\x{2212}\x{2500}-"
_BETWEEN = f"[{_SIGNS}]"
# Between the parts of an identity number anything that is neither digit, letter nor Han character.
_PART = r"[^0-9A-Z\x{3400}-\x{9FFF}]{0,3}"

_DATED = "[1-9][0-9]{5}(18|19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]"
_IN_PARTS = _PART.join(
    ("[1-9][0-9]{5}", "(?:18|19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])", "[0-9]{3}", "[0-9X]")
)
_LONGEST = 18 + 5 * 3
"""Characters of a number in its parts."""
_FIRST_GENERATION = "[1-9][0-9]{7}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}"
# Neither more digits nor decimals before or behind: 0.13800138000 and 13800138000.50 are no mobiles.
_MOBILE = (
    rf"(^|[^0-9.]|[^0-9][.])((00|[+])?86{_BETWEEN}{{0,2}})?"
    rf"1[3-9][0-9]({_BETWEEN}{{0,3}}[0-9]{{4}}{_BETWEEN}{{0,3}}[0-9]{{4}}|[.][0-9]{{4}}[.][0-9]{{4}})"
    r"([^0-9.]|[.]([^0-9]|$)|$)"
)
# Otherwise parted: digit by digit; 4-3-4, 4-4-3 (not from 19 on, which are years) and 3-3-5 with one sign. Digits
# before or behind, parted by the same signs, make it a row of other numbers.
_SPREAD = (
    rf"(?:^|[^0-9.{_SIGNS}])[{_SIGNS}]*("
    rf"1{_BETWEEN}{{1,3}}[3-9](?:{_BETWEEN}{{1,3}}[0-9]){{9}}"
    r"|1[3-8][0-9]{2}(?:-[0-9]{3}-[0-9]{4}|-[0-9]{4}-[0-9]{3}| [0-9]{3} [0-9]{4}| [0-9]{4} [0-9]{3})"
    r"|1[3-9][0-9](?:-[0-9]{3}-[0-9]{5}| [0-9]{3} [0-9]{5})"
    rf")(?:[{_SIGNS}]*(?:[^0-9.{_SIGNS}]|[.](?:[^0-9]|$)|$)|[{_SIGNS}]+[0-9]{{2}})"
)
# Accounts of QQ and WeChat after their name. Groups and official accounts are nobody's: 群 and 公众号 stand between.
_QQ = (
    r"(?:(?:^|[^A-Z0-9])QQ|扣扣|企鹅)(?:号码?|账号|帐号)?[^0-9A-Z\x{3400}-\x{9FFF}]{0,3}([1-9][0-9]{4,10})(?:[^0-9]|$)"
)
_WECHAT = "(?:微信|薇信|V信|WECHAT|WEIXIN)"
_WECHAT_ID = "([A-Z][A-Z0-9_-]{5,19})(?:[^A-Z0-9_-]|$)"
_NAMED_ID = rf"{_WECHAT} ?(?:ID|号码?|账号|帐号)[:是为 ]{{0,3}}{_WECHAT_ID}|(WXID_[A-Z0-9]{{6,}})"
# Where only the name of the service stands before, and not that an account follows, one with a figure in it.
_LIKELY_ID = rf"(?:{_WECHAT}[:是为 ]{{0,3}}|(?:^|[^A-Z0-9])[VW]X[:是为 ]{{1,3}}){_WECHAT_ID}"
_SERVICES = f"QQ|扣扣|企鹅|{_WECHAT}|[VW]X"
# Where somebody lives, to the door. 28号 behind a month is a day; windows, lines and documents have numbers too.
_HOME = (
    "(?:家住|家庭住?址|住址|现住(?:址|在|于)|住在|居住(?:地址?|于|在)|户籍地?址|户籍地|暂住(?:地|于|在)|租住(?:地|于|在)?)"
    r"([^。；;\n]{0,30}?[^月0-9一二三四五六七八九十。；;\n](?:[0-9]{1,4}|[一二三四五六七八九十]{1,4})(?:-[0-9]{1,3})?"
    "(?:号[^窗线文令公]|号$|栋|幢|单元|室))"
)
# Area code and number, and something that parts them: a run of digits with a 0 before it may be any code.
_LANDLINE = (
    rf"(?:^|[^0-9])[(]?0(?:10|2[0-9]|[3-9][0-9]{{2}})(?:[)]{_BETWEEN}?|{_BETWEEN}{{1,2}})[2-9][0-9]{{6,7}}(?:[^0-9]|$)"
)
# Cards of Chinese banks begin with 62: no code of ours does, nor an identity number that is not one.
_CARD = r"(?:^|[^0-9.])(62[0-9]{2}(?:[ -]?[0-9]{4}){3}(?:[ -]?[0-9]{1,3})?)(?:[^0-9.]|[.][^0-9]|[.]?$)"
_LUHN = (
    "list_sum(list_transform(range(1, length(w) + 1), lambda i:"
    " CASE WHEN (length(w) - i) % 2 = 1 THEN (2 * substr(w, i, 1)::INTEGER) % 10 + (2 * substr(w, i, 1)::INTEGER) // 10"
    " ELSE substr(w, i, 1)::INTEGER END)) % 10 = 0"
)
_PASSPORT = "(?:护照|PASSPORT|通行证|回乡证|台胞证)[^0-9A-Z]{0,8}([A-Z]{1,2}[0-9]{7,10})(?:[^0-9]|$)"
# Of permits of people from Taiwan: they have no letter.
_MAINLAND = "(?:台胞证|来往大陆通行证)[^0-9A-Z]{0,8}([0-9]{8})(?:[^0-9]|$)"
# By its form alone, for a whole column: ordinary and official passports, permits to and of Hong Kong, Macau and Taiwan.
# Codes of registers begin with zeros, and letters of many kinds.
_TRAVEL = "[EGC][1-9][0-9]{7}|[EC][A-HJ-NP-Z][0-9]{7}|[DSP]E[0-9]{7}|[HM][0-9]{8}(?:[0-9]{2})?"
_EMAIL = r"[A-Z0-9_%+-]@[A-Z0-9-]+(\.[A-Z0-9-]+)*\.[A-Z]{2,}"
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_GAP = r"[\s·._-]?"
_PLATE = (
    f"[{_PROVINCES}][A-Z]{_GAP}[A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳领]"
    f"|WJ{_GAP}[{_PROVINCES}]{_GAP}[0-9]{{4}}[0-9A-Z]"
    r"|(^|[^\x{3400}-\x{9FFF}])使 ?[0-9]{6}([^0-9\x{3400}-\x{9FFF}]|$)"
)
# A digest or UUID, which holds eleven digits between letters often enough.
_DIGEST = "[0-9A-F]{32}|[0-9A-F]{40}|[0-9A-F]{64}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"


def normal(text: str) -> str:
    """The written form in capitals and half-width characters, nothing invisible; NULL for a digest."""
    capitals = f"upper({text})"
    odd = f"regexp_matches({text}, {literal(_ODD)})"  # a look at the text costs a tenth of writing it anew
    visible = f"translate({capitals}, {literal(_INVISIBLE)}, '')"
    plain = f"CASE WHEN {odd} THEN {half_width(visible, {})} ELSE {capitals} END"
    digest = f"regexp_full_match({capitals}, '{_DIGEST}')"
    return f"CASE WHEN {digest} AND regexp_matches({capitals}, '[A-F]') THEN NULL ELSE {plain} END"


def digits(text: str) -> str:
    """A normal text in which eleven and more digits in a row, some of them Chinese, are figures."""
    run = literal(f"([{_FIGURES}0-9]{_BETWEEN}{{0,3}}){{10}}[{_FIGURES}0-9]")
    figures = f"translate({text}, {literal(_FIGURES)}, {literal(_AS_DIGITS)})"
    chinese = f"regexp_matches({text}, {literal(f'[{_FIGURES}]')}) AND regexp_matches({text}, {run})"
    return f"CASE WHEN {chinese} THEN {figures} ELSE {text} END"


def joined(text: str) -> str:
    """A text of digits without the signs between them."""
    found = text
    for _ in range(2):  # the first round misses every second sign of 1-2-3
        found = f"regexp_replace({found}, '([0-9]){_BETWEEN}+([0-9X])', '\\1\\2', 'g')"
    return f"CASE WHEN regexp_matches({text}, '[0-9]{_BETWEEN}+[0-9X]') THEN {found} ELSE {text} END"


def id_numbers(text: str, compact: str) -> str:
    """The right identity numbers in a text of digits, and at any place of the same joined, without signs; also those
    that share digits with another."""
    return f"list_concat({_joined_numbers(compact)}, {_numbers_in_parts(text)})"


def first_generation(text: str) -> str:
    """The runs of 15 digits, neither more nor fewer, that can be identity numbers of the first generation."""
    whole = f"list_filter(regexp_extract_all({text}, '[0-9]+X?'), lambda w: length(w) = 15)"
    return f"list_filter({whole}, lambda w: {gb11643.content_right(gb11643.upgrade('w'))})"


def mobiles(text: str) -> str:
    """The mobile numbers in a text of digits, without signs; one of two with a single sign between them may lack."""
    usual = f"regexp_extract_all({text}, {literal(_MOBILE)})"
    found = f"list_concat({usual}, regexp_extract_all({text}, {literal(_SPREAD)}, 1))"
    return f"list_transform({found}, lambda w: right(regexp_replace(w, '[^0-9]', '', 'g'), 11))"


def landlines(text: str) -> str:
    """The fixed telephones with their area codes in a text of digits, without signs."""
    found = f"regexp_extract_all({text}, {literal(_LANDLINE)})"
    return f"list_transform({found}, lambda w: regexp_replace(w, '[^0-9]', '', 'g'))"


def bank_cards(text: str) -> str:
    """The numbers of bank cards with a right check digit in a text of digits, without signs."""
    found = f"regexp_extract_all({text}, {literal(_CARD)}, 1)"
    return f"list_filter(list_transform({found}, lambda w: regexp_replace(w, '[^0-9]', '', 'g')), lambda w: {_LUHN})"


def passports(text: str) -> str:
    """The numbers in a normal text that are said to be of passports, or of permits to cross a border."""
    found = (f"regexp_extract_all({text}, {literal(pattern)}, 1)" for pattern in (_PASSPORT, _MAINLAND))
    return f"list_concat({', '.join(found)})"


def travel_documents(text: str) -> str:
    """The text itself as a list, if it has the form of a passport's number or of such a permit's."""
    return f"regexp_extract_all({text}, {literal(f'^(?:{_TRAVEL})$')})"


def emails(text: str) -> str:
    """The e-mail addresses in a normal text."""
    return f"regexp_extract_all({text}, {literal(f'[A-Z0-9._%+-]*{_EMAIL}')})"


def accounts(text: str) -> str:
    """The accounts of QQ and WeChat in a normal text."""
    sure = [f"regexp_extract_all({text}, {literal(_QQ)}, 1)"]
    sure += [f"regexp_extract_all({text}, {literal(_NAMED_ID)}, {group})" for group in (1, 2)]
    likely = f"regexp_extract_all({text}, {literal(_LIKELY_ID)}, 1)"
    found = f"list_concat({', '.join(sure)}, list_filter({likely}, lambda w: regexp_matches(w, '[0-9]')))"
    return f"list_filter({found}, lambda w: w != '')"


def homes(text: str) -> str:
    """The addresses in a normal text, to the door, where words say that somebody lives there."""
    return f"regexp_extract_all({text}, {literal(_HOME)}, 1)"


def plates(text: str) -> str:
    """The number plates in a normal text."""
    return f"regexp_extract_all({text}, {literal(_PLATE)})"


def holds_id_number(text: str, compact: str) -> str:
    """Whether a right identity number stands in a text of digits, or at any place of the same joined."""
    cases = (
        f"WHEN regexp_matches({compact}, {literal(_DATED)}) AND len({_joined_numbers(compact)}) > 0 THEN true",
        f"WHEN regexp_matches({text}, {literal(_IN_PARTS)}) THEN len({_numbers_in_parts(text)}) > 0",
    )
    return f"CASE {' '.join(cases)} ELSE false END"


def holds_first_generation(text: str) -> str:
    """Whether 15 digits, neither more nor fewer, can be an identity number of the first generation."""
    right = f"len({first_generation(text)}) > 0"
    return f"CASE WHEN regexp_matches({text}, {literal(_FIRST_GENERATION)}) THEN {right} ELSE false END"


def holds_mobile(text: str) -> str:
    """Whether a mobile number stands in a text of digits."""
    return f"regexp_matches({text}, {literal(f'{_MOBILE}|{_SPREAD}')})"


def holds_landline(text: str) -> str:
    """Whether a fixed telephone with its area code stands in a text of digits."""
    return f"regexp_matches({text}, {literal(_LANDLINE)})"


def holds_bank_card(text: str) -> str:
    """Whether the number of a bank card stands in a text of digits."""
    return f"CASE WHEN regexp_matches({text}, {literal(_CARD)}) THEN len({bank_cards(text)}) > 0 ELSE false END"


def holds_passport(text: str) -> str:
    """Whether a number that is said to be of a passport or such a permit stands in a normal text."""
    return f"regexp_matches({text}, {literal(f'{_PASSPORT}|{_MAINLAND}')})"


def is_travel_document(text: str) -> str:
    """Whether a normal text has the form of a passport's number or of such a permit's."""
    return f"regexp_full_match({text}, {literal(_TRAVEL)})"


def is_mobile(number: str) -> str:
    """Whether a number of any type is a mobile."""
    return f"({number} BETWEEN 13000000000 AND 19999999999 AND {number} = floor({number}))"


def holds_email(text: str) -> str:
    """Whether an e-mail address stands in a normal text."""
    return f"contains({text}, '@') AND regexp_matches({text}, {literal(_EMAIL)})"


def holds_account(text: str) -> str:
    """Whether an account of QQ or WeChat stands in a normal text."""
    return f"CASE WHEN regexp_matches({text}, {literal(_SERVICES)}) THEN len({accounts(text)}) > 0 ELSE false END"


def holds_home(text: str) -> str:
    """Whether somebody's home stands in a normal text, to the door."""
    return f"regexp_matches({text}, {literal(_HOME)})"


def holds_plate(text: str) -> str:
    """Whether a number plate stands in a normal text: of anybody, of police, armed police and embassies."""
    return f"regexp_matches({text}, {literal(_PLATE)})"


def _joined_numbers(compact: str) -> str:
    return _right(f"list_filter({_windows(compact, 18)}, lambda w: regexp_full_match(w, {literal(_DATED)}))")


def _numbers_in_parts(text: str) -> str:
    parts = f"list_transform({_windows(text, _LONGEST)}, lambda w: regexp_extract(w, {literal(f'^{_IN_PARTS}')}))"
    return _right(f"list_transform({parts}, lambda w: regexp_replace(w, '[^0-9X]', '', 'g'))")


def _windows(text: str, length: int) -> str:
    """What stands at each place of a text, up to a length; nothing shorter than a number."""
    return f"list_transform(range(1, length({text}) - 16), lambda i: substr({text}, i, {length}))"


def _right(found: str) -> str:
    return f"list_filter({found}, lambda w: {gb11643.content_right('w')})"
