"""Rules of identity numbers, codes of organisations and identifiers of certificates, and of columns beside them."""

from typing import Literal

from pipelines.codecs import certificate, gb11643, gb11714, gb32100
from pipelines.codecs.sql import identifier, literal, where
from pipelines.contracts.rules.base import Context, Dimension, Kind, day, row
from pipelines.verbs import Column


@row(Kind.FORMAT, Dimension.NORMALISATION)
def gb11643_format(_: Context, *, column: Column) -> str:
    """18 characters as GB 11643-1999 writes them."""
    return gb11643.well_formed(identifier(column))


@row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb11643_check_digit(_: Context, *, column: Column) -> str:
    """The check digit of GB 11643-1999; NULL if the format is wrong."""
    return gb11643.check_digit_right(identifier(column))


@row(Kind.FORMAT, Dimension.ACCURACY)
def gb11643_content(_: Context, *, column: Column) -> str:
    """A province and a calendar date stand in the number; NULL if the check digit is wrong."""
    return gb11643.content_right(identifier(column))


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def birth_date_matches_id(_: Context, *, id: Column, birth: Column) -> str:
    """The date of birth is the one in the identity number; NULL if the number is wrong."""
    return gb11643.born_on(identifier(id), identifier(birth))


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sex_matches_id(_: Context, *, id: Column, sex: Column) -> str:
    """Sex 1 or 2 is the parity of the identity number; 0 and 9 say nothing and pass."""
    column = identifier(sex)
    return where(gb11643.of_sex(identifier(id), column), f"{column} IN ('1', '2')")


@row(Kind.FORMAT, Dimension.NORMALISATION)
def gb32100_format(_: Context, *, column: Column) -> str:
    """18 characters as GB 32100-2015 writes them."""
    return gb32100.well_formed(identifier(column))


@row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb32100_check_digit(_: Context, *, column: Column) -> str:
    """The check character of GB 32100-2015, and that of the organisation code inside; NULL if the format is wrong."""
    return gb32100.check_digits_right(identifier(column))


@row(Kind.FORMAT, Dimension.NORMALISATION)
def gb11714_format(_: Context, *, column: Column) -> str:
    """9 characters as GB 11714-1997 writes them, without the hyphen."""
    return gb11714.well_formed(identifier(column))


@row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb11714_check_digit(_: Context, *, column: Column) -> str:
    """The check digit of GB 11714-1997; NULL if the format is wrong."""
    return gb11714.check_digit_right(identifier(column))


@row(Kind.FORMAT, Dimension.NORMALISATION)
def certificate_format(_: Context, *, column: Column) -> str:
    """The identifier of an electronic certificate as GB/T 36904-2018 writes it."""
    return certificate.well_formed(identifier(column))


@row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def certificate_check_digit(_: Context, *, column: Column) -> str:
    """The check character of GB/T 36904-2018; NULL if the format is wrong."""
    return certificate.check_character_right(identifier(column))


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def certificate_says(_: Context, *, column: Column, part: certificate.Part, other: Column) -> str:
    """A part of the identifier of a certificate (GB/T 36904-2018) is what `other` says; NULL if the format is wrong."""
    return certificate.says(identifier(column), part, identifier(other))


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def gb11643_sex(_: Context, *, column: Column, sex: Literal["1", "2"]) -> str:
    """The identity number is that of a man (1) or a woman (2); NULL if the number is wrong."""
    return gb11643.of_sex(identifier(column), literal(sex))


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def gb11643_age(context: Context, *, column: Column, at: Column, years: int) -> str:
    """Whoever bears the identity number is `years` old on the day of `at`; NULL if the number is wrong."""
    reached = f"cast({gb11643.birth_date(identifier(column))} + to_years({years}) AS DATE)"
    return f"{reached} <= {day(context, at)}"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def subject_code_format(_: Context, *, column: Column, kind: Column, person: str) -> str:
    """An identity number (GB 11643) where `kind` is `person`, elsewhere a social credit code (GB 32100)."""
    code = identifier(column)
    natural = f"{identifier(kind)} = {literal(person)}"
    return f"CASE WHEN {natural} THEN {gb11643.well_formed(code)} ELSE {gb32100.well_formed(code)} END"


@row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def subject_code_check_digit(_: Context, *, column: Column, kind: Column, person: str) -> str:
    """The check character of that number or code; NULL if its format is wrong."""
    code = identifier(column)
    natural = f"{identifier(kind)} = {literal(person)}"
    return f"CASE WHEN {natural} THEN {gb11643.check_digit_right(code)} ELSE {gb32100.check_digits_right(code)} END"
