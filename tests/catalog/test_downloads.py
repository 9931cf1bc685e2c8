"""Downloads: checksums, file names, ranges, CSV as RFC 4180 wants it, and files made at release."""

import hashlib
import shutil
from base64 import b64decode
from urllib.parse import unquote

import polars as pl
import pytest
from fastapi.testclient import TestClient

from tests.catalog.small_city import AGES, PERSONS, City, bearer

TRICKY = """
select county_code, text as county_name, '1' as sex, '00-04' as age_band, 1 as persons, date '2026-11-01' as as_of
from (values ('341502', 'a,b'), ('341503', 'say "hi"'), ('341504', ''), ('341522', null), ('341523', E'two\\nlines'),
    ('341524', ' 0123 '), ('341525', '=1+1')) as t(county_code, text)
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_open_files_are_those_of_the_release(city: City, client: TestClient, kind: str) -> None:
    answer = client.get(f"/datasets/{AGES}/download/{kind}")
    said = {file["format"]: file for file in city.ledger.published()[AGES].body["files"]}[kind]
    assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (said["size"], said["sha256"])
    assert answer.headers["x-checksum-sha256"] == said["sha256"]
    assert answer.headers["etag"] == f'"{said["sha256"]}"'
    digest = answer.headers["repr-digest"].removeprefix("sha-256=:").removesuffix(":")
    assert b64decode(digest).hex() == said["sha256"]
    plain, chinese = answer.headers["content-disposition"].split("; ")[1:]
    assert plain == f'filename="age_structure_by_county_v0.{kind}"'
    assert unquote(chinese.removeprefix("filename*=UTF-8''")) == f"六安市各县区户籍人口年龄结构_v0.{kind}"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_restricted_files_are_made_once_and_checked(city: City, client: TestClient, kind: str) -> None:
    name = f"下载测试{kind}"
    token = city.recipient(name)
    city.grant(name, divisions=["341503"])
    road = f"/datasets/{PERSONS}/download/{kind}"
    first, second = (client.get(road, headers=bearer(token)) for _ in range(2))
    assert first.content == second.content
    assert hashlib.sha256(first.content).hexdigest() == first.headers["x-checksum-sha256"]
    part = client.get(road, headers=bearer(token) | {"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, first.content[3:10])
    head = client.head(road, headers=bearer(token))
    assert head.headers["content-length"] == str(len(first.content)) and head.content == b""


def test_csv_keeps_every_value(own_city: City) -> None:
    client = own_city.client()
    own_city.release(AGES, query=TRICKY, files=[])  # without files of the release they are written by the catalogue
    content = client.get(f"/datasets/{AGES}/download/csv").content
    assert content.startswith(b"\xef\xbb\xbfcounty_code,county_name,sex,age_band,persons,as_of\r\n")
    text = content.decode("utf-8-sig")
    for line in (
        '341502,"a,b",1,00-04,1,2026-11-01\r\n',
        '341503,"say ""hi""",1,',
        '341504,"",1,',
        "341522,,1,",
        '341523,"two\nlines",1,',
        "341524, 0123 ,1,",
        "341525,=1+1,1,",
    ):
        assert line in text
    frame = pl.read_parquet(client.get(f"/datasets/{AGES}/download/parquet").content)
    assert frame["county_name"].to_list()[2:4] == ["", None]


def test_unknown_formats_and_dictionaries(client: TestClient) -> None:
    assert client.get(f"/datasets/{AGES}/download/pdf").status_code == 404
    assert client.get(f"/datasets/{AGES}/dictionary.pdf").status_code == 404
    table = client.get(f"/datasets/{PERSONS}/dictionary.csv").content
    assert table.startswith(b"\xef\xbb\xbfcolumn,name_zh,name_en,type,level,mask")
    columns = client.get(f"/datasets/{PERSONS}/dictionary.json").json()["columns"]
    assert columns[0]["column"] == "person_ref" and columns[0]["mask"] == "pseudonym"


def test_a_released_file_that_changed_is_not_given_out(own_city: City) -> None:
    client = own_city.client()
    (file,) = (own_city.settings.lake.root / "released" / "files").rglob("*.csv")
    file.write_bytes(file.read_bytes()[:-1])
    answer = client.get(f"/datasets/{AGES}/download/csv")
    assert answer.status_code == 503 and str(file.parent) not in answer.text
    file.unlink()
    assert client.get(f"/datasets/{AGES}/download/csv", headers={"Accept": "text/html"}).status_code == 503


def test_a_lost_table_is_the_servers_fault_and_says_so(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    shutil.rmtree(own_city.settings.lake.product(*PERSONS.split("/")))
    for road in ("preview", "download/csv"):
        assert client.get(f"/datasets/{PERSONS}/{road}", headers=bearer(token)).status_code == 503
    assert "0.00%" in client.get(f"/quality/{PERSONS}").text, "accessibility is measured"
