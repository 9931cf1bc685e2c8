"""Whoever received what a source corrected is told: from the doubt about one cell to the notices of recipients."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.app import create_app
from catalog.policy import administration
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.issues import Issues, corrections
from pipelines.issues.corrections import WrongCell
from pipelines.messages import translate
from pipelines.run import opened
from tests.catalog.small_city import ADMINISTRATOR, PERSONS, STEWARD, URL, appoint, bearer, granted
from tests.city import Town, published_town, seed_from_clock

pytestmark = [pytest.mark.server, pytest.mark.long]
COUNTED = "mart_population__town_day"
FEW = ("--column", "persons", "--who", "市民", "--what", "人数过少", "--from", "public")
MODEL, SOURCE, TABLE = "lib_population__person", "psb/household_person", 'hzgl."T_CZRK_JBXX"'


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


class Cell:
    """The education of a drawn person, that of whom no other department says it: where it was delivered and stands."""

    def __init__(self, town: Town) -> None:
        print(f"seed {(seed := seed_from_clock())} (repeat with CITYLAKE_TEST_SEED)")
        where = f"education IS NOT NULL AND division_code IS NOT NULL AND {town.alone('person_id')}"
        told = "person_id, division_code, source_rows, left(id_number, 6) || '********' || right(id_number, 4)"
        people = town.rows(MODEL, told, f"{where} AND source_rows LIKE '%{SOURCE}%' AND id_number IS NOT NULL")
        shown = {row[0] for row in town.rows(MODEL, "person_id", "residence_status = '1'")}
        seen = Counter(one[1:2] + one[3:] for one in people)
        chosen = [one for one in people if one[0] in shown and seen[one[1:2] + one[3:]] == 1]
        person, self.division, books, self.number = random.Random(seed).choice(chosen)
        self.row = json.loads(books)[SOURCE]
        batch, _, number = self.row.partition(":")
        raw = town.settings.lake.raw(*SOURCE.split("/")) / batch / "rows.parquet"
        read = f"read_parquet('{raw}', file_row_number = true)"
        ((self.record, said),) = duckdb.sql(
            f'SELECT "RYBH", "WHCD" FROM {read} WHERE file_row_number = {number}'
        ).fetchall()
        others = f'SELECT "WHCD" FROM {read} GROUP BY 1 HAVING count(*) > 50 AND "WHCD" != \'{said}\' ORDER BY ALL'
        self.other = duckdb.sql(others).fetchall()[0][0]
        self.values = (str(person), str(self.record))


def ran(town: Town, monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> str:
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    result = CliRunner().invoke(app, ["issue", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def recipients(town: Town, limits: dict[str, dict[str, Any]]) -> dict[str, str]:
    contracts = load(town.settings.contracts)
    with town.register() as register:
        appoint(register, contracts)
        tokens = {}
        for name, limited in limits.items():
            administration.create_recipient(register, contracts, name, "cab", actor=ADMINISTRATOR)
            tokens[name] = administration.issue_token(register, name, actor=ADMINISTRATOR).token
            granted(register, contracts, name, PERSONS, purpose="核验测试", **limited)
    return tokens


def test_each_who_received_it_is_told_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(town)
    elsewhere = "3415" + ("02" if cell.division[4:6] != "02" else "03")
    limits: dict[str, dict[str, Any]] = {
        "甲": {"divisions": [cell.division[:6]]},
        "乙": {},
        "丙": {"divisions": [elsewhere]},
        "丁": {"columns": ["division_code", "sex"]},
        "戊": {},
    }
    tokens = recipients(town, limits)
    client = TestClient(create_app(town.settings), base_url=URL, follow_redirects=False)

    def download(name: str, on: TestClient) -> None:
        assert on.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(tokens[name])).status_code == 200

    for name in ("甲", "丙", "丁"):
        download(name, client)
    asked = {"fields": "education", "limit": "5"}
    rows = client.get(f"/api/v1/products/{PERSONS}/rows", params=asked, headers=bearer(tokens["乙"]))
    assert rows.status_code == 200
    doubt = ("--column", "education", "--who", "民政局 李工", "--what", "文化程度与学籍不符")
    ran(town, monkeypatch, "raise", SOURCE, *doubt, "--row", "99:0", code=1)
    ran(town, monkeypatch, "raise", SOURCE, *doubt, "--key", "record_no=1", code=1)
    ran(town, monkeypatch, "raise", PERSONS, *doubt, "--key", f"division_code={cell.division}", "--row", "1:0", code=1)
    said = ran(town, monkeypatch, "raise", COUNTED, *FEW, "--key", "county_code=341502", code=1)
    assert "请写全主键" in said
    names = load(town.settings.contracts).models[COUNTED].form.key
    values = zip(names, town.rows(COUNTED, ", ".join(names))[0], strict=True)
    counted = [part for name, value in values for part in ("--key", f"{name}={value}")]
    said = ran(town, monkeypatch, "raise", COUNTED, *FEW, *counted, code=1)
    assert translate("feedback.no_cell", "zh", subject=COUNTED, column="persons") in said, "no one row says a count"
    with town.register() as register:
        assert [one for one in Issues(register).open(COUNTED) if one["code"].startswith("feedback.")] == []
    shown = ("--key", f"division_code={cell.division}", "--key", f"id_number={cell.number}")
    said = ran(town, monkeypatch, "raise", PERSONS, *doubt, *shown)  # a department sees a product, and no raw rows
    assert "psb" in said and "未写明哪一行" not in said
    with town.register() as register:
        (issue,) = (one for one in Issues(register).open(PERSONS) if one["code"].startswith("feedback."))
        assert corrections.wrong_cells(register, issue) == [WrongCell(SOURCE, "education", cell.row)]
    number = str(issue["id"])
    assert f"{SOURCE} education {cell.row}" in ran(town, monkeypatch, "show", number)
    with town.city._server.connect("psb", autocommit=True) as department:
        mended = f'UPDATE {TABLE} SET "WHCD" = %s WHERE "RYBH" = %s'
        assert department.execute(mended, [cell.other, cell.record]).rowcount == 1
    with opened(town.settings, "ingested only") as run:
        batch = run.ingest(SOURCE).admitted.batch
    said = ran(
        town,
        monkeypatch,
        "settle",
        number,
        "--who",
        STEWARD,
        "--note",
        "已改",
        "--source",
        SOURCE,
        "--batch",
        str(batch),
    )
    assert "更正发布后，将逐一通知" in said
    assert "已通知 0 方" in ran(town, monkeypatch, "tell"), "it is not published yet"
    before = town.published()[PERSONS].version
    town.run("published", sources=[])
    after = town.published()[PERSONS].version
    assert before is not None and after == before + 1
    client = TestClient(create_app(town.settings), base_url=URL, follow_redirects=False)
    for name in ("乙", "戊"):
        download(name, client)
    said = ran(town, monkeypatch, "tell")
    assert "已通知 2 方" in said and "应于" in said
    assert "已通知 0 方" in ran(town, monkeypatch, "tell")
    with town.register() as register:
        notices = {corrections.recipient_of(one["code"]): one for one in corrections.notices(register)}
        assert len(corrections.notices(register)) == 2 and notices.keys() == {"甲", "乙"}
    for name, one in notices.items():
        text = one["text"]["zh"]
        assert (one["subject"], one["owner"], one["count"]) == (PERSONS, "cab", 1)
        assert f"版本 {before}，" in text and f"版本 {after} 起内容正确" in text and f"批次 {batch} " in text
        assert ("更正后的版本也已取得" in text, "可能含这一行" in text) == (name == "乙", name == "乙")
        assert not any(value in str(one) for value in cell.values)
        page = client.get("/access", headers=bearer(tokens[name])).text
        assert f"#{one['id']}" in page and "education" in page
    assert 'id="corrected"' not in client.get("/access", headers=bearer(tokens["丙"])).text
    word = ("--who", STEWARD, "--note", "已重新下载")
    ran(town, monkeypatch, "acknowledge", str(notices["甲"]["id"]), *word)
    ran(town, monkeypatch, "acknowledge", str(notices["甲"]["id"]), *word, code=1)
    assert "已通知 0 方" in (said := ran(town, monkeypatch, "tell")) and "未确认的通知 1 张" in said
    town.run("the next", sources=[])
    with town.register() as register:
        assert [corrections.recipient_of(one["code"]) for one in corrections.notices(register)] == ["乙"]
    assert "acknowledged" in ran(town, monkeypatch, "show", str(notices["甲"]["id"]))
