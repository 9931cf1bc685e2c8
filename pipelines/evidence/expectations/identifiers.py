"""Questions about identity numbers and codes of organisations and certificates: the standards a second time."""

from pipelines.codecs.sql import identifier, literal
from pipelines.evidence.expectations.base import Asker, Question, asks, escaped


@asks
def _gb11643_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_NUMBER}$")


@asks
def _gb11643_check_digit(asker: Asker, *, column: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {_formed(column)} WHERE _rest <> 1")


@asks
def _gb11643_content(asker: Asker, *, column: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {_dated(column)} WHERE NOT _real")


@asks
def _birth_date_matches_id(asker: Asker, *, id: str, birth: str) -> Question:
    told = f"strftime({identifier(birth)}, '%Y%m%d')"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(id)} WHERE _real AND {told} <> substr(_number, 7, 8)")


@asks
def _sex_matches_id(asker: Asker, *, id: str, sex: str) -> Question:
    male, odd = f"{identifier(sex)} = '1'", "substr(_number, 17, 1) IN ('1', '3', '5', '7', '9')"
    told = f"{identifier(sex)} IN ('1', '2')"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(id)} WHERE _real AND {told} AND ({male}) <> ({odd})")


@asks
def _gb32100_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_CREDIT_CODE}$")


@asks
def _gb32100_check_digit(asker: Asker, *, column: str) -> Question:
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _CREDIT_CODE)} WHERE {_WRONG_CREDIT_CODE}")


@asks
def _gb11714_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_ORGANISATION_CODE}$")


@asks
def _gb11714_check_digit(asker: Asker, *, column: str) -> Question:
    wrong = f"({_organisation_rest('_code')}) <> 0"
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _ORGANISATION_CODE)} WHERE {wrong}")


@asks
def _certificate_format(asker: Asker, *, column: str) -> Question:
    return asker.values("ExpectColumnValuesToMatchRegex", column=column, regex=f"^{_CERTIFICATE}$")


@asks
def _certificate_check_digit(asker: Asker, *, column: str) -> Question:
    # ISO 7064 as it is defined: a sum of 0 counts as 36, and the check character is what 37 lacks
    body = "regexp_replace(regexp_extract(_code, '3005[.]2[.](.*)[.].$', 1), '[.]', '', 'g')"
    values = f"list_transform(regexp_extract_all({body}, '.'), lambda c: strpos('{_CHARACTERS}', c) - 1)"
    step = "CASE (p + x) % 36 WHEN 0 THEN 72 ELSE (p + x) % 36 * 2 END % 37"
    rest = f"(37 - list_reduce(list_prepend(36, {values}), lambda p, x: {step})) % 36"
    wrong = f"strpos('{_CHARACTERS}', right(_code, 1)) - 1 <> {rest}"
    return asker.bad_rows(f"SELECT 1 FROM {_coded(column, _CERTIFICATE)} WHERE {wrong}")


@asks
def _certificate_says(asker: Asker, *, column: str, part: str, other: str) -> Question:
    group = {"type": 1, "issuer": 2, "version": 3}[part]
    fields = r"^1[.]2[.]156[.]3005[.]2[.](.{21})[.](.{18}|.{6})[.][^.]+[.](...)[.].$"
    told = f"regexp_extract({identifier(column)}, '{escaped(fields)}', {group})"
    wanted = f"right('000' || {identifier(other)}, 3)" if part == "version" else identifier(other)
    judged = f"{told} <> {wanted}" + (f" AND len({told}) > 6" if part == "issuer" else "")
    whole = f"regexp_full_match({identifier(column)}, '{escaped(_CERTIFICATE)}')"
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {whole} AND {judged}")


@asks
def _gb11643_sex(asker: Asker, *, column: str, sex: str) -> Question:
    parities = {"1": "'1', '3', '5', '7', '9'", "2": "'0', '2', '4', '6', '8'"}
    return asker.bad_rows(
        f"SELECT 1 FROM {_dated(column)} WHERE _real AND substr(_number, 17, 1) NOT IN ({parities[sex]})"
    )


@asks
def _gb11643_age(asker: Asker, *, column: str, at: str, years: int) -> Question:
    day = f"cast({asker.day(at)} AS BIGINT)"
    year, last = f"({day} // 10000)", f"{day} % 10000 = 228"
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    reached = f"{day} + CASE WHEN {last} AND NOT {leap} THEN 1 ELSE 0 END"
    young = f"{reached} - cast(substr(_number, 7, 8) AS BIGINT) < {years * 10000}"
    return asker.bad_rows(f"SELECT 1 FROM {_dated(column)} WHERE _real AND {young}")


@asks
def _subject_code_format(asker: Asker, *, column: str, kind: str, person: str) -> Question:
    code, natural = identifier(column), f"{identifier(kind)} = {escaped(literal(person))}"
    wrong = (
        f"({natural} AND NOT regexp_full_match({code}, '{escaped(_NUMBER)}')) OR "
        f"(({natural}) IS NOT TRUE AND NOT regexp_full_match({code}, '{escaped(_CREDIT_CODE)}'))"
    )
    return asker.bad_rows(f"SELECT 1 FROM {{batch}} WHERE {wrong}")


@asks
def _subject_code_check_digit(asker: Asker, *, column: str, kind: str, person: str) -> Question:
    natural = f"{identifier(kind)} = {escaped(literal(person))}"
    credit = f"({natural}) IS NOT TRUE AND regexp_full_match({identifier(column)}, '{escaped(_CREDIT_CODE)}')"
    codes = f"(SELECT {identifier(column)} AS _code FROM {{batch}} WHERE {credit})"
    people = f"SELECT 1 FROM {_formed(column)} WHERE {natural} AND _rest <> 1"
    return asker.bad_rows(f"{people} UNION ALL SELECT 1 FROM {codes} WHERE {_WRONG_CREDIT_CODE}")


_NUMBER = r"[1-9]\d{16}(\d|X)"


_PROVINCES = (
    "'11','12','13','14','15','21','22','23','31','32','33','34','35','36','37','41','42','43','44','45','46',"
    "'50','51','52','53','54','61','62','63','64','65','71','81','82','83',"
    "'90','91','92','93','94','95','96','97','98','99'"
)


_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


_CREDIT_CODE = (
    "(11|12|13|19|21|29|31|32|33|34|35|39|41|49|51|52|53|54|59|61|62|69|71|72|79|81|89|91|92|93|A1|A9|N1|N2|N3|N9|Y1)"
    r"[1-9]\d{5}[0-9A-HJ-NP-RTUWXY]{8}[\dX][0-9A-HJ-NP-RTUWXY]"
)


_ORGANISATION_CODE = r"[\dA-Z]{8}[\dX]"


_CERTIFICATE = r"1[.]2[.]156[.]3005[.]2[.][\dA-Z]{18}\d{3}[.]([\dA-Z]{18}|\d{6})[.][\dA-Z]{1,}[.]\d{3}[.][\dA-Z]"


def _coded(column: str, pattern: str) -> str:
    """Rows whose value matches the pattern, as `_code`."""
    codes = f"SELECT {identifier(column)} AS _code FROM {{batch}}"
    return f"(SELECT _code FROM ({codes}) WHERE regexp_full_match(_code, '{escaped(pattern)}'))"


def _organisation_rest(code: str) -> str:
    """0 for a right check digit in position 9: with it, the sum of value * 2^(9 - place) is divisible by 11."""
    sum_ = "0"
    for place in range(1, 10):
        value = f"(strpos('{_CHARACTERS}', substr({code}, {place}, 1)) - 1)"
        # X as the check digit is 10, not the value of the letter
        sum_ = f"(({sum_}) * 2 + {value if place < 9 else f'least({value}, 10)'})"
    return f"{sum_} % 11"


def _credit_rest(code: str) -> str:
    """0 for a right check character in position 18, by Horner's scheme in base 3 from position 17 to 1."""
    values = [f"(strpos('{_CREDIT_CHARACTERS}', substr({code}, {place}, 1)) - 1)" for place in range(1, 19)]
    sum_ = "0"
    for value in reversed(values[:17]):
        sum_ = f"(({sum_}) * 3 + {value})"
    return f"({sum_} + {values[17]}) % 31"


def _formed(column: str) -> str:
    """Rows with a well-formed number: all columns, `_number`, and `_rest`, which is 1 for a right check digit.

    ISO 7064 as it is defined, by Horner's scheme in base 2: weights and a table of check digits follow from it.
    """
    digits = [f"(strpos('0123456789X', substr(_number, {place}, 1)) - 1)" for place in range(1, 19)]
    sum_ = digits[0]
    for digit in digits[1:]:
        sum_ = f"({sum_} * 2 + {digit})"
    formed = f"regexp_full_match({identifier(column)}, '{escaped(_NUMBER)}')"
    numbers = f"SELECT *, {identifier(column)} AS _number FROM {{batch}} WHERE {formed}"
    return f"(SELECT *, {sum_} % 11 AS _rest FROM ({numbers}))"


def _dated(column: str) -> str:
    """Rows with a right check digit: all columns, `_number`, and `_real`: province and date exist."""
    year, month, day = (
        f"try_cast(substr(_number, {place}, {length}) AS INTEGER)" for place, length in ((7, 4), (11, 2), (13, 2))
    )
    leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
    february = f"28 + CAST({leap} AS INTEGER)"
    days = f"CASE WHEN {month} = 2 THEN {february} WHEN {month} IN (4, 6, 9, 11) THEN 30 ELSE 31 END"
    date = f"{year} >= 1 AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND {days}"
    real = f"substr(_number, 1, 2) IN ({_PROVINCES}) AND {date}"
    return f"(SELECT *, {real} AS _real FROM {_formed(column)} WHERE _rest = 1)"


_WRONG_CREDIT_CODE = f"({_credit_rest('_code')}) <> 0 OR ({_organisation_rest('substr(_code, 9)')}) <> 0"
"""That one of the two check characters of the credit code `_code` is wrong."""
