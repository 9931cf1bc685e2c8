"""The page of rows for which a model was refused: keys of the open level for those who may look, and nothing else."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from catalog.policy import audit
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import library_of
from pipelines.register.receipts import Receipts, Stage
from tests.catalog.signing_in import Clock, browsing, ready
from tests.catalog.small_city import AUDITOR, GUARD, STEWARD, City

OPEN, CLOSED = "mart_population__age_structure", "lib_population__person_tag"
ROAD = f"/quality/failing/{OPEN}"


def refused(city: City, model: str, query: str, rule: str, failed: int) -> None:
    """As a run leaves it: the candidate, and the evidence that rows of it fail a rule."""
    location, con = city.settings.lake.candidate("e1", library_of(model), model), duckdb.connect()
    location.mkdir(parents=True)
    version = delta.commit(location, query_schema(con, query, model), "table", None, copy_rows(con, query, location))
    asked: dict[str, Any] = {"contract": city.contracts.models[model].hash, "day": "2026-11-02", "version": version}
    asked |= {"previous": None, "confirmed": None, "beside": {}}
    body = {"edition": "e1", "asked": asked, "rules": [{"rule": rule, "failed": failed}]}
    Receipts(city.register, "test").add(Stage.EVIDENCE, model, body)


@pytest.fixture
def refusing(own_city: City, tmp_path: Path) -> City:
    rows = (
        "SELECT '34150' || i AS county_code, '1' AS sex, '0-4' AS age_band, nullif(i, 3) AS persons FROM range(5) t(i)"
    )
    refused(own_city, OPEN, rows, "persons.required", 1)
    tags = "SELECT 'p' || i AS person_id, 'pupil' AS person_tag, NULL::VARCHAR AS source_rows FROM range(2) t(i)"
    refused(own_city, CLOSED, tags, "source_rows.required", 2)
    return own_city


def test_a_steward_sees_keys_of_the_open_level(refusing: City, monkeypatch: pytest.MonkeyPatch) -> None:
    steward = ready(refusing, STEWARD, Clock(monkeypatch)).browser
    page = steward.get(ROAD)
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    assert re.findall(r"<td>(34150\d)</td>", page.text) == ["341503"], page.text[-2500:]
    assert "必填" in page.text and "版次 e1" in page.text and f"citylake evidence failing {OPEN}" in page.text
    row = audit.recent(refusing.register, 1)[0]
    assert (row["action"], row["body"]["actor"], row["body"]["subject"]) == ("failing.show", STEWARD, OPEN)
    assert "341503" in steward.get(f"{ROAD}?lang=en").text


def test_no_page_has_a_key_above_the_open_level(refusing: City, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ready(refusing, AUDITOR, Clock(monkeypatch)).browser.get(f"/quality/failing/{CLOSED}")
    assert page.status_code == 200 and "主键在 1 级以上" in page.text
    assert ">p0<" not in page.text and ">p1<" not in page.text


def test_nobody_else_sees_rows(refusing: City, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = browsing(refusing).get(ROAD)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
    guard = ready(refusing, GUARD, Clock(monkeypatch)).browser
    assert guard.get(ROAD).status_code == 403
    assert audit.recent(refusing.register, 1)[0]["outcome"] == "denied"


def test_what_cannot_be_asked_is_said(refusing: City, monkeypatch: pytest.MonkeyPatch) -> None:
    steward = ready(refusing, STEWARD, Clock(monkeypatch)).browser
    page = steward.get("/quality/failing/lib_population__household")
    assert page.status_code == 200 and "没有判定过的版本" in page.text
    assert steward.get("/quality/failing/lib_nothing__at_all").status_code == 404
