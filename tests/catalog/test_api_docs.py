"""The page about the row API: its examples run, as they stand, against the service that shows them."""

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest
from fastapi.testclient import TestClient

from catalog.policy.decision import Reason
from pipelines.engine import load_extension
from pipelines.messages import catalogue
from tests.catalog.serving import serving
from tests.catalog.small_city import AGES, COUNTS, City

CODE = re.compile(r'<h3 id="(\w+)">.*?<pre tabindex="0"><code>(.*?)</code></pre>', re.DOTALL)


@pytest.fixture(scope="module")
def examples(city: City) -> Iterator[dict[str, str]]:
    """The examples of the page of a running service, by language."""
    with serving(city.settings) as address:
        text = httpx.get(f"{address}/docs/api?lang=zh").text
        yield {name: html.unescape(code) for name, code in CODE.findall(text)}


@pytest.mark.server
def test_curl_saves_some_rows(examples: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(examples["curl"], shell=True, check=True, cwd=tmp_path)
    lines = (tmp_path / "rows.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 33 and lines[0].startswith("county_code,")


@pytest.mark.server
def test_python_reads_all_rows(examples: dict[str, str]) -> None:
    plain = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run([sys.executable, "-c", examples["python"]], text=True, capture_output=True, env=plain)
    assert done.stdout.startswith("96 {'county_code':"), done.stderr


@pytest.mark.server
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_r_reads_texts_whatever_the_language_of_the_machine(examples: dict[str, str], locale: str) -> None:
    """In the locale C it once ended at the first Chinese sign, with a warning alone."""
    told = "cat(nrow(rows), names(rows)[1], rows$county_code[1], utf8ToInt(rows$county_name[1]))"
    plain = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {"LC_ALL": locale}
    command = ["Rscript", "--vanilla", "-e", f"{examples['r']}\n{told}"]
    done = subprocess.run(command, text=True, capture_output=True, env=plain, check=True)
    wanted = f"32 county_code 341502 {' '.join(str(ord(sign)) for sign in '金安区')}"
    assert done.stdout.endswith(wanted), done.stdout + done.stderr


@pytest.mark.server
def test_duckdb_reads_an_aggregate(examples: dict[str, str]) -> None:
    installing, query = examples["sql"].split("\n", 1)
    assert installing == "INSTALL httpfs; LOAD httpfs;"  # from its wheel here, from DuckDB's own repository elsewhere
    with duckdb.connect() as con:
        load_extension(con, "httpfs")
        assert len(con.execute(query).fetchall()) == 3


@pytest.mark.server
def test_the_addresses_of_the_other_examples_answer(examples: dict[str, str]) -> None:
    assert set(examples) == {"curl", "python", "r", "sql", "excel"}
    for name in ("r", "excel"):
        (address,) = re.findall(r"http://[^\"' ]+", examples[name])
        answer = httpx.get(address)
        assert answer.status_code == 200 and len(answer.text.splitlines()) == 33


def test_the_page_tells_every_rule_in_both_languages(client: TestClient) -> None:
    for language in ("zh", "en"):
        text = client.get(f"/docs/api?lang={language}").text
        assert "<script" not in text and 'href="/api/v1/openapi.json"' in text
        anchors = set(re.findall(r'<tr id="(\w+)">', text))
        rules = {name.split(".")[1] for name in catalogue() if re.fullmatch(r"rows\.\w+\.next", name)}
        assert anchors >= rules - {"next", "doc"} | {
            reason.value for reason in (Reason.GRANT_REQUIRED, Reason.VERSION_ENDED)
        }


def test_without_open_rows_the_page_has_no_example(own_city: City) -> None:
    own_city.release(AGES, query=f"select * from ({COUNTS}) where false")
    client = own_city.client()
    assert "目前没有已发布的开放数据" in client.get("/docs/api?lang=zh").text
    own_city.withdraw(AGES)
    assert client.get("/docs/api").status_code == 200
