"""Data Docs of a released model: Great Expectations' own sections on one page that asks nobody for anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from citylake.main import app
from pipelines.evidence import data_docs
from pipelines.messages import translate
from pipelines.register import chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt
from tests.catalog.small_city import AGE_CELLS, AGE_MODEL, COUNTED, MODEL, City

MARK = "机密值7f3a"
NASTY = '"><script>alert(1)</script>'
DOCS = f"/quality/data-docs/{AGE_MODEL}"
STATES = ("equal", "changed", "missing", "unnamed")


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of style sheets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "style":
            self.styles.append(data)


def stands_alone(text: str) -> None:
    """No tag, attribute or style of a page fetches anything or leads anywhere but inside of it."""
    found = Tags(text)
    assert not {"script", "img", "iframe", "object", "embed", "base", "form", "link"} & {tag for tag, _ in found.tags}
    for _, about in found.tags:
        assert not [name for name in about if name.startswith("on") or name in ("src", "srcset", "action", "data")]
        assert (about.get("href") or "#").startswith("#")
    styles = [*found.styles, *(about.get("style") or "" for _, about in found.tags)]
    assert not [one for one in styles if re.search(r"url\((?!\"data:)|@import|image-set", one)]
    assert "http-equiv" in dict(found.tags[3][1]) and not re.search(r"https?://", text)


def kept_of(city: City) -> data_docs.Kept:
    named = city.ledger.published()[AGE_MODEL].body["proof"]
    found = data_docs.kept(Receipts(city.register, "test"), AGE_MODEL, "2026-11-01.1", named)
    assert found is not None and found.agreement == "equal"
    return found


@pytest.mark.long
def test_pages_hold_evidence_against_the_ledger(own_city: City) -> None:
    own_city.prove(AGE_MODEL, AGE_CELLS, COUNTED)
    client, page = own_city.client(), f"/quality/evidence/{AGE_MODEL}"
    alarm, said = 'role="alert"', {name: translate(f"data_docs.{name}", "zh") for name in STATES}

    def told(*roads: str) -> set[str]:
        return {name for road in roads for name, text in said.items() if text in client.get(road).text}

    assert told(page, DOCS) == {"equal"} and alarm not in client.get(page).text
    with own_city.register.begin() as connection:
        mine = receipt.c.stage == Stage.EVIDENCE.value
        ((body,),) = connection.execute(sa.select(receipt.c.body).where(mine)).all()
        connection.execute(sa.update(receipt).where(mine).values(body={**body, "fingerprint": "f2"}))
    assert told(page, DOCS, f"{page}?print=1") == {"changed"} and alarm in client.get(page).text
    with own_city.register.begin() as connection:
        connection.execute(sa.update(receipt).where(mine).values(body={"edition": "2026-11-01.1"}))
    assert told(page) == {"changed"} and client.get(DOCS).status_code == 404
    with own_city.register.begin() as connection:
        connection.execute(sa.delete(receipt).where(mine))
    assert told(page) == {"missing"} and alarm in client.get(page).text
    own_city.release_model(AGE_MODEL, version=1)
    assert own_city.client().get(page).status_code == 404, "a row that names none lacks none"


def test_the_page_stands_alone_and_tells_every_rule(own_city: City) -> None:
    bad = AGE_CELLS.replace("'金安区', '1'", f"'{MARK}', '{MARK}'").replace("'85+'", f"'{MARK}'")
    evidence = own_city.prove(AGE_MODEL, bad, COUNTED)
    client = own_city.client()
    assert f'href="{DOCS}"' in client.get(f"/quality/evidence/{AGE_MODEL}").text
    for language in ("zh", "en"):
        answer = client.get(DOCS, params={"lang": language})
        assert answer.status_code == 200 and answer.headers["content-security-policy"] == data_docs.POLICY
        stands_alone(answer.text)
        assert MARK not in answer.text and MARK.encode("unicode_escape").decode() not in answer.text
        assert "unexpected Exception" not in answer.text, "each expectation is shown as itself"
    rules = {rule.rule for rule in evidence.rules}
    assert rules == {rule for rule in rules if f">{rule}<" in answer.text}
    failed = sum(rule.failed > 0 for rule in evidence.rules)
    asked = len(rules) + len(own_city.contracts.models[AGE_MODEL].columns) + 1  # types of columns, and which there are
    assert failed and f"{failed} of {asked} expectations are not met" in answer.text
    assert answer.text.count('class="fas fa-times text-danger"') == failed
    kept = kept_of(own_city)
    assert kept.evidence is not None and chain.digest(kept.evidence) in answer.text
    assert data_docs.page(kept, "题目", "zh") == data_docs.page(kept, "题目", "zh"), "made again, it is the same page"


def test_names_and_rules_are_no_markup(own_city: City) -> None:
    own_city.prove(AGE_MODEL, AGE_CELLS, COUNTED)
    kept = kept_of(own_city)
    assert kept.evidence is not None
    for result in kept.evidence["suite"]["results"]:
        result["expectation_config"]["meta"]["rule"] = NASTY
        if "regex" in result["expectation_config"]["kwargs"]:
            result["expectation_config"]["kwargs"]["regex"] = NASTY
    text = data_docs.page(replace(kept, evidence={**kept.evidence, "subject": NASTY}), NASTY, "zh")
    assert "alert(1)" in text
    stands_alone(text)


def test_nothing_is_shown_of_what_has_no_suite(own_city: City) -> None:
    client = own_city.client()
    for subject in ("nothing", MODEL, AGE_MODEL):
        assert client.get(f"/quality/data-docs/{subject}").status_code == 404


def test_the_command_writes_the_page(own_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_city.prove(AGE_MODEL, AGE_CELLS, COUNTED)
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    file = tmp_path / "docs.html"
    result = CliRunner().invoke(app, ["evidence", "docs", AGE_MODEL, "-o", str(file)])
    assert result.exit_code == 0, result.output
    assert file.read_text("utf-8") == own_city.client().get(DOCS, params={"lang": "zh"}).text
    result = CliRunner().invoke(app, ["evidence", "docs", MODEL, "-o", str(tmp_path / "none.html")])
    assert result.exit_code == 1 and MODEL in result.output and not (tmp_path / "none.html").exists()
