"""An export of many rows takes no more memory than one of few: it streams, from the query to the last byte. Also one
that chooses its rows, a million of them."""

from pathlib import Path

import httpx
import pytest

from benchmarks.clients import service
from benchmarks.measure import UNLIMITED
from tests.catalog.small_city import PERSONS, SYNTHETIC, City, bearer

pytestmark = [pytest.mark.server, pytest.mark.slow]  # half a million rows
FEW, MANY, MILLION = 50_000, 500_000, 1_000_000
WIDE = SYNTHETIC.replace("'**' as name", "repeat(md5('a' || i), 4) as name")


def most(process: int) -> int:
    """The most megabytes that a process has had in memory."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text("utf-8").splitlines())
    return int(told["VmHWM"].removesuffix("kB")) // 1024


def exported(address: str, token: str, limit: int, asked: str = "", kind: str = "ndjson") -> tuple[int, int]:
    """Lines and megabytes that came."""
    url = f"{address}/api/v1/products/{PERSONS}/rows?limit={limit}&format={kind}{asked}"
    rows = size = 0
    with httpx.stream("GET", url, headers=bearer(token), timeout=120, trust_env=False) as answer:
        for piece in answer.iter_raw(1 << 20):
            rows, size = rows + piece.count(b"\n"), size + len(piece)
    return rows, size >> 20


def wide_city(folder: Path, rows: int) -> tuple[City, str]:
    """A city with so many wide rows, and the token of who may have them; a first export was made."""
    city = City(folder)
    city.limit(UNLIMITED)
    city.release(PERSONS, rows, WIDE)
    token = city.recipient("甲")
    city.grant("甲")
    with service(city.settings) as (address, _):
        assert exported(address, token, 1)[0] == 1  # the view is made once, and sorting all rows takes more than this
    return city, token


def test_an_export_takes_no_more_memory_for_more_rows(tmp_path: Path) -> None:
    city, token = wide_city(tmp_path, MANY)
    with service(city.settings) as (address, server):
        assert exported(address, token, FEW)[0] == FEW
        before = most(server.pid)
        rows, megabytes = exported(address, token, 1_000_000)
        after = most(server.pid)
    assert rows == MANY and megabytes > 150
    assert after - before < 120, f"{before} MB, then {after} MB"


def test_a_million_wide_rows_as_csv_take_no_more_memory_than_few(tmp_path: Path) -> None:
    city, token = wide_city(tmp_path, MILLION)
    with service(city.settings) as (address, server):
        assert exported(address, token, FEW, kind="csv")[0] == FEW + 1
        before = most(server.pid)
        for _ in range(3):
            rows, megabytes = exported(address, token, 1_000_000, kind="csv")
        after = most(server.pid)
    assert rows == MILLION + 1 and megabytes > 200
    assert after < 750 and after - before < 120, f"{before} MB, then {after} MB"


def test_an_export_that_chooses_its_rows_takes_no_more_memory_for_more(tmp_path: Path) -> None:
    """Also where it ends before the last row that fits."""
    city, token = wide_city(tmp_path, MILLION)
    asked = "&birth_year=ge.1900"
    with service(city.settings) as (address, server):
        assert exported(address, token, FEW, asked)[0] == FEW
        before = most(server.pid)
        for limit in (MILLION - 1, 1_000_000):
            assert exported(address, token, limit, asked)[0] == limit
        after = most(server.pid)
    assert after - before < 120, f"{before} MB, then {after} MB"
