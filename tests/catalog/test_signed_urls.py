"""DuckDB and polars read signed addresses of Delta Sharing as they read any file over HTTP: HEAD, then ranges."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import polars as pl
import pytest

from catalog.policy import administration, audit
from pipelines import engine
from tests.catalog.conftest import released_city
from tests.catalog.serving import serving
from tests.catalog.small_city import GUARD, PERSONS, City, bearer

pytestmark = pytest.mark.server

TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
SHOWN = "person_ref, name, county_name"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, str]]:
    """A city of so many persons that nobody reads a file in one piece, and its address."""
    made = released_city(tmp_path_factory.mktemp("city"))
    made.release(PERSONS, 60_000)
    made.release(PERSONS, 60_010)
    with pytest.MonkeyPatch.context() as patch, serving(made.settings) as base:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "*")
        yield made, base


def address(served: tuple[City, str], token: str) -> str:
    """The address of the one file of a recipient's view."""
    answer = httpx.post(f"{served[1]}{TABLE}/query", json={}, headers=bearer(token), trust_env=False)
    (url,) = (line["file"]["url"] for line in map(json.loads, answer.text.splitlines()) if "file" in line)
    return str(url)


def wanted(city: City) -> Counter[tuple[Any, ...]]:
    """What the grant shows, but for the pseudonym."""
    names = ("division_code", "name", "county_name")
    rows = zip(*(city.values(PERSONS, name) for name in names), strict=True)
    return Counter(row[1:] for row in rows if row[0].startswith("341502"))


def asked(city: City, before: int) -> list[dict[str, Any]]:
    """How files were asked for since a row of the audit."""
    rows = audit.recent(city.register, 200)
    return [row["body"] for row in rows if row["action"] == "file.read" and row["sequence"] > before]


def newest(city: City) -> int:
    return int(audit.recent(city.register, 1)[0]["sequence"])


def invited(city: City, name: str) -> str:
    token = city.recipient(name)
    city.grant(name, divisions=["341502"], columns=["person_ref", "name", "county_name"])
    return token


def test_duckdb_reads_by_head_and_ranges(served: tuple[City, str], tmp_path: Path) -> None:
    """With httpfs from its wheel; elsewhere from DuckDB's own repository."""
    city, token = served[0], invited(served[0], "鸭")
    url, before = address(served, token), newest(city)
    with engine.connect(tmp_path) as con:
        engine.load_extension(con, "httpfs")
        rows = con.execute(f"SELECT {SHOWN} FROM read_parquet(?)", [url]).fetchall()
        assert Counter(row[1:] for row in rows) == wanted(city) and len({row[0] for row in rows}) == len(rows)
        assert con.execute("SELECT count(*) FROM read_parquet(?)", [url]).fetchone() == (len(rows),)
        found = asked(city, before)
        assert {"HEAD"} <= {one["method"] for one in found} and any(one["range"] for one in found)
        with pytest.raises(duckdb.HTTPException):
            con.execute("SELECT * FROM read_parquet(?)", [url.replace("-Signature=", "-Signature=0")])


def test_polars_reads_by_ranges_what_it_needs(served: tuple[City, str]) -> None:
    city, token = served[0], invited(served[0], "熊")
    url, before = address(served, token), newest(city)
    frame = pl.scan_parquet(url).select(SHOWN.split(", ")).collect()
    assert Counter(frame.select("name", "county_name").iter_rows()) == wanted(city)
    assert frame["person_ref"].n_unique() == frame.height
    found = asked(city, before)
    assert any(one["range"] for one in found), found
    assert pl.read_parquet(url).equals(frame)


def test_a_revoked_token_closes_addresses_that_were_given(served: tuple[City, str], tmp_path: Path) -> None:
    city, token = served[0], invited(served[0], "离")
    url = address(served, token)
    assert pl.read_parquet(url).height
    (mine,) = administration.list_tokens(city.register, "离")
    administration.revoke_token(city.register, mine.id, actor=GUARD)
    with pytest.raises(OSError, match=r"40[13]"):
        pl.scan_parquet(url).collect()
    with engine.connect(tmp_path) as con, pytest.raises(duckdb.HTTPException):  # it tells no status
        engine.load_extension(con, "httpfs")
        con.execute("SELECT * FROM read_parquet(?)", [url])
    assert {row["outcome"] for row in audit.recent(city.register, 2)} == {"denied"}


def test_files_of_changes_are_read_too(served: tuple[City, str], tmp_path: Path) -> None:
    token = invited(served[0], "变")
    answer = httpx.get(f"{served[1]}{TABLE}/changes?startingVersion=2", headers=bearer(token), trust_env=False)
    lines = list(map(json.loads, answer.text.splitlines()))
    urls = [line["cdf"]["url"] for line in lines if "cdf" in line]
    with engine.connect(tmp_path) as con:
        engine.load_extension(con, "httpfs")
        told = con.execute("SELECT _change_type, count(*) FROM read_parquet(?) GROUP BY 1", [urls]).fetchall()
    counted = pl.concat([pl.read_parquet(url) for url in urls]).group_by("_change_type").len()
    assert dict(told) == dict(counted.iter_rows()) == {"insert": 6}
