"""A register of invented people for benchmarks: 20 columns, one row in a hundred with something wrong, made by SQL.

The same statement runs in PostgreSQL and in DuckDB, so that a table of any size costs minutes at most.
"""

import shutil
from pathlib import Path

from benchmarks.measure import REPOSITORY

SNAPSHOT = "{mode: snapshot_diff, key: [record_no], newest: source_updated_at, deletionCeiling: 0.5, volumeFloor: 0.5}"
CHANGES = "{mode: cursor, key: [record_no], cursor: source_updated_at}"
SOURCE = "psb/bench_person"
TABLE = "bench.person"
DATABASE = "{database: {connection: psb, table: bench.person}}"
CONTRACT = """\
name: 基准登记
nameEn: benchmark register
version: 1.0.0
status: active
description: 基准测试用的登记表。
connector: {CONNECTOR}
load: {LOAD}
slaProperties: {frequency: 每日, retention: 10y}
properties:
  - {name: record_no, required: true}
  - {name: id_number, required: true}
  - {name: name, required: true}
  - {name: sex, required: true}
  - {name: ethnicity}
  - {name: birth_date, required: true}
  - {name: household_no, required: true}
  - {name: household_relation}
  - {name: division_code, required: true}
  - {name: address}
  - {name: education}
  - {name: marital_status}
  - {name: mobile}
  - {name: residence_address}
  - {name: origin_county}
  - {name: floating_status}
  - {name: registered_on}
  - {name: cancelled_on}
  - {name: registered_capital}
  - {name: source_updated_at, required: true}
quality:
  - birth_date_matches_id: {id: id_number, birth: birth_date}
  - sex_matches_id: {id: id_number, sex: sex}
"""
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def people(rows: int, changed: int = 0) -> str:
    """A query of the register; `i` runs from 0. With `changed` = n every n-th row says something new, and every n-th
    of those has a new key instead of its old one. Understood by PostgreSQL and DuckDB alike."""
    later = f"i % {changed} = 0" if changed else "false"
    key = f"CASE WHEN {later} AND {_by(changed or 1)} % {changed or 1} = 0 THEN i + {rows} ELSE i END"
    digits = " + ".join(f"cast(substr(id17, {place + 1}, 1) AS int) * {w}" for place, w in enumerate(_WEIGHTS))
    born = "DATE '1930-01-01' + cast(i * 7919 % 33000 AS int)"
    return f"""
        SELECT
            cast(record AS varchar) AS record_no,
            CASE WHEN i % 100 = 7 THEN id17 || '?' ELSE id17 || substr('10X98765432', ({digits}) % 11 + 1, 1) END
                AS id_number,
            substr('王李张刘陈杨赵黄周吴', cast(i % 10 AS int) + 1, 1)
                || substr('伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰', cast({_by(10)} % 20 AS int) + 1, 1)
                || substr('华平国建文红玉春志海', cast({_by(200)} % 10 AS int) + 1, 1) AS name,
            cast(i % 2 + 1 AS varchar) AS sex,
            CASE WHEN i % 50 = 0 THEN '03' ELSE '01' END AS ethnicity,
            to_day AS birth_date,
            'H' || cast({_by(3)} AS varchar) AS household_no,
            CASE WHEN i % 3 = 0 THEN '02' ELSE '10' END AS household_relation,
            '341502001001' AS division_code,
            '六安市金安区皖西大道' || cast(i % 997 AS varchar) || '号' || cast(i % 31 AS varchar) || '室' AS address,
            '60' AS education,
            CASE WHEN i % 4 = 0 THEN '10' ELSE '20' END AS marital_status,
            CASE WHEN i % 3 = 0 THEN NULL ELSE '13' || lpad(cast(i % 1000000000 AS varchar), 9, '0') END AS mobile,
            CASE WHEN i % 5 = 0 THEN '裕安区解放路' || cast(i % 613 AS varchar) || '号' END AS residence_address,
            '341502' AS origin_county,
            CASE WHEN i % 5 = 0 THEN '1' END AS floating_status,
            DATE '2001-01-01' + cast(i % 9000 AS int) AS registered_on,
            CASE WHEN i % 20 = 0 THEN DATE '2025-01-01' END AS cancelled_on,
            cast(i % 100000 AS double precision) / 4 + CASE WHEN {later} THEN 1 ELSE 0 END AS registered_capital,
            TIMESTAMP '2026-01-01 00:00:00' + cast(i % 20000000 AS int) * INTERVAL '1 second' AS source_updated_at
        FROM (
            SELECT i, {key} AS record, {born} AS to_day,
                '341502' || {_text(born)} || lpad(cast({_by(33000)} % 450 * 2 + 1 - i % 2 AS varchar), 3, '0') AS id17
            FROM (SELECT cast(s AS bigint) AS i FROM generate_series(0, {rows - 1}) AS g(s)) numbers
        ) person
    """


def _text(day: str) -> str:
    parts = (f"lpad(cast(extract({part} FROM {day}) AS varchar), {width}, '0')" for part, width in _PARTS)
    return " || ".join(parts)


_PARTS = (("year", 4), ("month", 2), ("day", 2))


def _by(divisor: int) -> str:
    """`i` divided, without the rest: the engines differ in what / does."""
    return f"cast((i - i % {divisor}) / {divisor} AS bigint)"


def contracts(folder: Path, connector: str = DATABASE, load: str = SNAPSHOT) -> Path:
    """The city's contracts with that of the register beside them; how it is delivered and loaded as YAML."""
    copy = folder / "data_contracts"
    shutil.copytree(REPOSITORY / "data_contracts", copy)
    text = CONTRACT.replace("{CONNECTOR}", connector).replace("{LOAD}", load)
    (copy / "sources" / f"{SOURCE}.yaml").write_text(text, "utf-8")
    return copy
