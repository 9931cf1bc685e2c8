"""`citylake explain --forward` on the published town: from a drawn cell to everyone who received it."""

import random
from collections.abc import Iterator

import duckdb
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.app import create_app
from catalog.policy import administration, audit
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.privacy import pseudonyms
from tests.catalog.small_city import ADMINISTRATOR, AUDITOR, PERSONS, STEWARD, URL, appoint, bearer, granted
from tests.city import Town, published_town, seed_from_clock

pytestmark = pytest.mark.server
MODEL, ANALYSTS = "lib_population__person", "analyst/person"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.fixture(scope="module")
def person(town: Town) -> tuple[str, str]:
    """Id and division of a drawn person."""
    print(f"seed {(seed := seed_from_clock())} (repeat with CITYLAKE_TEST_SEED)")
    where = f"division_code IS NOT NULL AND name IS NOT NULL AND {town.alone('person_id')}"
    found = random.Random(seed).choice(town.rows(MODEL, "person_id, division_code", where))
    return str(found[0]), str(found[1])


@pytest.fixture(scope="module")
def read(town: Town, person: tuple[str, str]) -> None:
    """What was read: one has the division and the columns, one another division, one no name, one asked for counts."""
    contracts = load(town.settings.contracts)
    division = person[1]
    elsewhere = "3415" + ("02" if division[4:6] != "02" else "03")
    limits = {
        "甲": {"divisions": [division[:6]]},
        "乙": {"divisions": [elsewhere]},
        "丙": {"columns": ["division_code", "sex"]},
        "丁": {},
        "戊": {},
    }
    with town.register() as register:
        appoint(register, contracts)
        tokens = {}
        for name, limited in limits.items():
            administration.create_recipient(register, contracts, name, "psb", actor=ADMINISTRATOR)
            tokens[name] = administration.issue_token(register, name, actor=ADMINISTRATOR).token
            granted(register, contracts, name, PERSONS, purpose="核验测试", **limited)
    client = TestClient(create_app(town.settings), base_url=URL, follow_redirects=False)
    for name in ("甲", "乙", "丙"):
        assert client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(tokens[name])).status_code == 200
    asked = {"name": "eq.无此人", "fields": "sex", "limit": "5"}
    for question in (asked, {"group": "sex", "count": "name"}):
        answer = client.get(f"/api/v1/products/{PERSONS}/rows", params=question, headers=bearer(tokens["丁"]))
        assert answer.status_code == 200


def explained(town: Town, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.delenv("CITYLAKE_ACTOR", raising=False)
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def told(output: str, product: str = PERSONS) -> dict[str, str]:
    """By recipient what the lines in Chinese say of a product, none for what nobody received."""
    found, inside = {}, False
    for line in output.splitlines():
        if line.startswith("去向："):
            inside = line.startswith(f"去向：{product} ")
        elif inside and line.startswith("  ") and "：" in line and "（" in line:
            found[line.strip().partition("（")[0]] = line.rpartition("：")[2]
    return found


@pytest.mark.long
def test_a_cell_is_followed_to_everyone_who_received_it(
    town: Town, person: tuple[str, str], read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = (MODEL, f"person_id={person[0]}", "--column", "name", "--forward", "--who")
    output = explained(town, monkeypatch, *cell, AUDITOR)
    assert "<- [1]" in output, "back as before"
    found = told(output)
    assert found.keys() == {"甲", "丁"}
    assert "这一行在内" in found["甲"] and "可能" not in found["甲"]
    assert "用到这一列" in found["丁"]
    assert "）网页，1 次" in output and "）行接口，" in output and ") row API, " in output
    assert f"去向：{ANALYSTS} " not in output, "the analysts' product shows no name"
    with town.register() as register:
        row = audit.recent(register, 1)[0]
    assert (row["action"], row["body"]["column"], row["body"]["actor"]) == ("audit.read", "name", AUDITOR)
    assert person[0] not in str(row)


@pytest.mark.long
def test_the_row_as_the_product_shows_it(
    town: Town, person: tuple[str, str], read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = reference(town, person[0])
    output = explained(town, monkeypatch, PERSONS, f"person_ref={shown}", "--forward", "--who", AUDITOR)
    found = told(output)
    assert found.keys() == {"甲", "丙", "丁"}, "any column of the row"
    assert "可能" in found["丁"], "counts by sex were asked for"
    assert f"去向：{ANALYSTS} " in output and told(output, ANALYSTS) == {}
    explained(town, monkeypatch, PERSONS, f"person_ref={person[0]}", "--forward", "--who", AUDITOR, code=1)
    explained(town, monkeypatch, PERSONS, f"person_id={person[0]}", "--forward", "--who", AUDITOR, code=1)


def reference(town: Town, person: str) -> str:
    """The channel's pseudonym of a person."""
    with duckdb.connect() as con:
        pseudonyms.register(con, town.settings.key("pseudonym_sharing"))
        ((shown,),) = con.execute("SELECT pseudonym(?)", [person]).fetchall()
    assert len(town.rows(PERSONS, "sex", f"person_ref = '{shown}'")) == 1
    return str(shown)


def test_who_may_not_ask_the_audit_learns_nothing(
    town: Town, person: tuple[str, str], read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = (MODEL, f"person_id={person[0]}", "--column", "name", "--forward")
    assert "--who" in explained(town, monkeypatch, *cell, code=1)
    for nobody in (STEWARD, "无此用户"):
        assert told(explained(town, monkeypatch, *cell, "--who", nobody, code=1)) == {}
