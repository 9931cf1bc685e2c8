"""Adding a dataset of a known kind: one YAML and one SQL a step, a small fixture, and no Python."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from tests.city import REPOSITORY, Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

SOURCE = """\
name: 婚姻登记
nameEn: marriage registration
version: 1.0.0
status: active
description: 婚姻登记记录，一次登记一行。
connector: {database: {connection: psb, table: hzgl.T_HYDJ}}
load: {mode: snapshot_diff, key: [record_no], deletionCeiling: 0.5, volumeFloor: 0.5}
slaProperties: {frequency: 每日, retention: 10y}
properties:
  - {name: record_no, physicalName: DJBH, required: true}
  - {name: division_code, physicalName: DJQH, required: true}
  - {name: marital_status, physicalName: DJLX, required: true}
"""
STAGING = """\
select record_no, division_code, marital_status
from {{ source('core', 'cab__marriage_registration') }}
"""
PRODUCT = """\
name: 婚姻登记分县区件数
nameEn: marriage registrations by county
version: 1.0.0
status: active
description: 各县区婚姻登记件数。
model: mart_population__marriage
owner: cab
key: [county_code]
share: {type: 无条件共享, mode: 平台接口}
open: {type: 无条件开放}
slaProperties: {frequency: 每日, retention: 10y}
catalogue: {classCode: "101003", number: 1, format: 电子表格}
properties:
  - {name: county_code, required: true}
  - {name: persons, required: true}
quality:
  - row_count: {minimum: 1}
lowered: {from: [division_code], to: 1, by: aggregated, because: 全县区的件数}
channels:
  open:
    product: marriage_by_county
    name: 六安市婚姻登记件数
    nameEn: marriage registrations of Lu'an
    licence: 六安市公共数据开放许可
    anonymity: {k: 2, count: persons, quasi: [county_code]}
    properties: [county_code, persons]
"""
MART = """\
select substr(division_code, 1, 6) as county_code, cast(count(*) as bigint) as persons
from {{ ref('stg_cab__marriage_registration') }}
group by substr(division_code, 1, 6)
"""
FIXTURE = """\
DJBH,DJQH,DJLX
D1,341502001001,20
D2,341502001002,20
D3,341502001003,21
D4,341503,20
D5,999999,20
D6,341503,99
D7,341503,23
"""
ADDED_SOURCE = "cab/marriage_registration"
ADDED = {
    "data_contracts/sources/cab/marriage_registration.yaml": SOURCE,
    "dbt_project/models/staging/cab/stg_cab__marriage_registration.sql": STAGING,
    "data_contracts/products/population/marriage.yaml": PRODUCT,
    "dbt_project/models/marts/population/mart_population__marriage.sql": MART,
}


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Town]:
    """A city in which everything else is published already."""
    project = tmp_path / "project"
    for folder in ("data_contracts", "dbt_project"):
        shutil.copytree(REPOSITORY / folder, project / folder)
    for name, text in ADDED.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, "utf-8")
    town = published_town(tmp_path_factory, tmp_path, project)
    load_fixture(town)
    yield town
    town.close()


def load_fixture(town: Town) -> None:
    header, *rows = csv.reader(FIXTURE.splitlines())
    with town.city._server.connect("psb", autocommit=True) as connection:
        columns = sql.SQL(", ").join(sql.SQL("{} varchar").format(sql.Identifier(name)) for name in header)
        connection.execute(sql.SQL('CREATE TABLE hzgl."T_HYDJ" ({})').format(columns))
        connection.execute('GRANT SELECT ON hzgl."T_HYDJ" TO citylake_reader')
        with connection.cursor() as cursor:
            cursor.executemany('INSERT INTO hzgl."T_HYDJ" VALUES (%s, %s, %s)', rows)


def test_a_new_dataset_is_published_without_python(town: Town) -> None:
    outcomes = town.run(sources=[ADDED_SOURCE])
    admitted = outcomes[ADDED_SOURCE].admitted
    assert (admitted.received, admitted.refused) == (7, 2)
    assert admitted.by_rule == {"division_code.in_codes": 1, "marital_status.in_codes": 1}
    assert town.rows("open/marriage_by_county") == [("341502", 3), ("341503", 2)]
    assert all(len(text.splitlines()) <= (60 if name.endswith("yaml") else 25) for name, text in ADDED.items())
    assert not list(town.settings.project.rglob("*.py"))
