"""The household department's table as the department itself laid it out, odd names included, and a person's row in it.

Rows made here are clean; what clerks do to them belongs to `defects`. Facts that nothing else depends on (native place,
military service, former name, police station) follow from what the truth knows of a person, and are not kept there.
"""

from __future__ import annotations

from datetime import date
from zlib import crc32

from simulator.names import surname_of
from simulator.person import MALE, Person

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
    ("CSD", "varchar(20)"),  # county of birth, as it was called then
    ("JG", "varchar(20)"),  # native place
    ("HKXZ", "varchar(20)"),  # kind of registration
    ("BYZK", "varchar(20)"),  # military service
    ("PCS", "varchar(20)"),  # police station
    ("JWH", "varchar(20)"),  # residents' group: the village or community, and three digits
    ("QCRQ", "varchar(20)"),  # moved out on
    ("QCLB", "varchar(20)"),  # kind of moving out
    ("SWRQ", "varchar(20)"),  # died on
    ("SWZXLB", "varchar(20)"),  # kind of death
    ("ZXRQ", "varchar(20)"),  # cancelled on
    ("ZXBS", "varchar(10)"),  # 1: cancelled; the row stays for some days
    ("CYM", "varchar(100)"),  # former name
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
    BIRTH_PLACE,
    NATIVE_PLACE,
    KIND,
    MILITARY,
    POLICE_STATION,
    GROUP,
    MOVED_OUT,
    MOVE_KIND,
    DIED,
    DEATH_KIND,
    CANCELLED_ON,
    CANCELLED,
    FORMER_NAME,
    REMARKS,
    UPDATED,
) = range(len(COLUMNS))
"""Positions of the columns in a row."""


DAYS_KEPT = 5
"""Days for which the row of somebody who died or left stays in the table, marked as cancelled."""
_CALLED_BEFORE = ("小毛", "大宝", "跃进", "卫东", "红卫", "招弟", "来娣", "建国", "文革", "小兰")
_OLD_COUNTIES = ("342401", "342421", "342422", "342423", "342425", "342426", "342427")
_KINDS = ("1",) * 80 + ("3",) * 12 + ("4",) * 6 + ("2",) * 2
_MOVES = ("1",) * 6 + ("2",) * 11 + ("4",) * 2 + ("3",)
_DEATHS = ("1",) * 38 + ("2", "3")


def row_of(person: Person) -> Row:
    """The clean row of a person; of one who died or left, the row that says so."""
    return [
        person.rybh,
        person.id_number,
        person.name,
        person.sex,
        person.ethnicity,
        _compact(person.birth),
        person.household,
        person.relation,
        person.division,
        person.address,
        person.education,
        person.marital,
        person.phone,
        *_particulars(person),
        *_cancellation(person),
        _former_name(person),
        person.remarks,
        person.updated.isoformat(" "),
    ]


def _particulars(person: Person) -> Row:
    """Where from, of which kind, in whose care."""
    lot = crc32(person.rybh.encode())
    home = person.id_number[:6]
    native = home if lot % 10 else _OLD_COUNTIES[lot // 10 % len(_OLD_COUNTIES)]
    served = person.sex == MALE and person.birth.year < 2004 and lot % 17 == 0
    group = f"{person.division}{int(person.household) % 24 + 1:03d}"
    return [home, native, _KINDS[lot // 7 % 100], "2" if served else "0", f"{person.division[:9]}000", group]


def _former_name(person: Person) -> str | None:
    """What somebody was called before: most often another given name, and nothing for nearly everybody."""
    lot = crc32(f"{person.rybh} {person.id_number}".encode())
    surname = surname_of(person.name)
    if lot % 40 or "·" in person.name:
        return None
    given = _CALLED_BEFORE[lot // 40 % len(_CALLED_BEFORE)]
    return surname + given if surname + given != person.name else None


def _cancellation(person: Person) -> Row:
    """Moving out or death, and when the record was cancelled for it."""
    if person.ended is None:
        return [None, None, None, None, None, "0"]
    lot, ended, cancelled = crc32(person.rybh.encode()), _compact(person.ended), _compact(person.updated)
    if person.status == "dead":
        return [None, None, ended, _DEATHS[lot % len(_DEATHS)], cancelled, "1"]
    return [ended, _MOVES[lot % len(_MOVES)], None, None, cancelled, "1"]


def _compact(day: date) -> str:
    return day.isoformat()[:10].replace("-", "")
