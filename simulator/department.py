"""The household department's table as the department itself laid it out, odd names included, and a person's row in it.

Rows made here are clean; what clerks do to them belongs to `defects`.
"""

from __future__ import annotations

from simulator.person import Person

DATABASE = "psb"
SCHEMA = "hzgl"
TABLE = "T_CZRK_JBXX"
DATASET = f"{SCHEMA}.{TABLE}"

Row = list[str | None]
"""A row as text, one value per column in the order of ``COLUMNS``; the last is ``YYYY-MM-DD HH:MM:SS``."""

COLUMNS: tuple[tuple[str, str], ...] = (
    ("RYBH", "varchar(20)"),  # the department's own number of the record; no constraint keeps it unique
    ("GMSFHM", "varchar(40)"),  # identity number
    ("XM", "varchar(100)"),  # name
    ("XBDM", "varchar(20)"),  # sex
    ("MZDM", "varchar(20)"),  # ethnicity
    ("CSRQ ", "varchar(20)"),  # birth date YYYYMMDD; the trailing space is part of the name
    ("HH", "varchar(20)"),  # household number
    ("YHZGX", "varchar(10)"),  # relation to the head
    ("SSXQ", "varchar(12)"),  # registered division
    ("HJ XZ", "varchar(200)"),  # address; the space inside is part of the name
    ("WHCD", "varchar(20)"),  # education
    ("HYZK", "varchar(10)"),  # marriage
    ("LXDH", "varchar(40)"),  # telephone
    ("BZ", "varchar(200)"),  # remarks
    ("GXSJ", "timestamp(0) without time zone"),  # last update, local time (+08:00)
)
COLUMN_NAMES = tuple(name for name, _ in COLUMNS)
(
    RECORD,
    ID,
    NAME,
    SEX,
    ETHNICITY,
    BIRTH,
    HOUSEHOLD,
    RELATION,
    DIVISION,
    ADDRESS,
    EDUCATION,
    MARITAL,
    PHONE,
    REMARKS,
    UPDATED,
) = range(len(COLUMNS))
"""Positions of the columns in a row."""


def row_of(person: Person) -> Row:
    """The clean row of a person."""
    return [
        person.rybh,
        person.id_number,
        person.name,
        person.sex,
        person.ethnicity,
        person.birth.isoformat().replace("-", ""),
        person.household,
        person.relation,
        person.division,
        person.address,
        person.education,
        person.marital,
        person.phone,
        person.remarks,
        person.updated.isoformat(" "),
    ]
