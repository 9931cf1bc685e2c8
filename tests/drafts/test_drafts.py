"""Drafts of contracts: from real servers and files, with nothing of a row in them, refused until they are decided."""

import json
import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
import yaml
from typer.testing import CliRunner

from citylake.main import app
from pipelines.contracts.load import Contracts, load
from pipelines.drafts.draft import _dataset
from pipelines.drafts.fields import Proposer, SourceColumn
from pipelines.drafts.looks import Look
from simulator.identity import identity_number
from simulator.server import Server
from tests.connectors.databases import Engine, mysql_engine, postgres_engine, sqlite_engine
from tests.connectors.formats.xls import xls
from tests.connectors.rest_server import Answer, Asked, as_json
from tests.connectors.rest_server import Server as RestServer
from tests.connectors.test_catalogues import CkanPortal

pytestmark = pytest.mark.server

runner = CliRunner()
PERSONS = [(identity_number("341502", date(1980, 1, 1 + n), "12"[n % 2], n), f"1390000{n:04d}") for n in range(20)]
SECRETS = [value for pair in PERSONS for value in pair] + ["张秘密", "geheim"]
COLUMNS = {"bh": "integer", "sfzh": "varchar(18)", "xbdm": "varchar(10)", "lxdh": "varchar(20)", "qita": "varchar(50)",
           "gxsj": "time"}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with the city's contracts, and a home."""
    shutil.copytree(repository / "data_contracts", tmp_path / "project" / "data_contracts")
    monkeypatch.setenv("CITYLAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(tmp_path / "project"))
    return tmp_path


def drafted(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["contract", "draft", *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert not any(secret in result.output for secret in SECRETS)
    return result.output


def written(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    text = (folder / "sources" / "psb" / f"{name}.yaml").read_text("utf-8")
    assert not any(secret in text for secret in SECRETS)
    return text, yaml.safe_load(text)


def decide(project: Path, folder: Path, name: str, **decided: str) -> None:
    """What a steward does: puts words where 待定 stands, moves the fields and the contract."""
    contracts = project / "project" / "data_contracts"
    words = {"frequency": "每日", "retention": "10y", "status": "active", **decided}

    def word(text: str) -> str:
        for key, value in words.items():
            text = re.sub(rf'({key}: \[?)"待定[^"]*"', rf"\g<1>{value}", text)
        return re.sub(r'"待定[^"]*"', '"已定"', text)

    target = contracts / "sources" / "psb" / f"{name}.yaml"
    target.write_text(word((folder / "sources" / "psb" / f"{name}.yaml").read_text("utf-8")), "utf-8")
    if (folder / "fields.yaml").is_file():
        with (contracts / "fields.yaml").open("a", encoding="utf-8") as file:
            file.write("\n" + word((folder / "fields.yaml").read_text("utf-8")))


def check(project: Path) -> str:
    return runner.invoke(app, ["contract", "check", "--contracts", str(project / "project" / "data_contracts")]).output


@pytest.fixture(params=["postgresql", "mysql", "sqlite", "postgresql+psycopg"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    scheme: str = request.param
    if scheme == "sqlite":
        return sqlite_engine(tmp_path)
    if scheme == "mysql":
        return mysql_engine(request.getfixturevalue("mariadb"))
    return postgres_engine(request.getfixturevalue("postgres"), scheme)


def filled(engine: Engine) -> None:
    """A table of persons with a key, and remarks where the database keeps any."""
    types = {name: engine.types.get(kind, kind) for name, kind in COLUMNS.items()}
    listed = [f"{name} {kind}" for name, kind in types.items()]
    listed[0] += " PRIMARY KEY"
    listed[-1] += " NOT NULL"
    if engine.name == "mysql":
        listed[4] += " COMMENT '备注，随便写'"
    engine.run(f"DROP TABLE IF EXISTS {engine.table}")
    engine.run(
        f"CREATE TABLE {engine.table} ({', '.join(listed)})" + (" COMMENT '人员表'" if engine.name == "mysql" else "")
    )
    if engine.name.startswith("postgresql"):
        engine.run(f"COMMENT ON COLUMN {engine.table}.qita IS '备注，随便写'")
        engine.run(f"COMMENT ON TABLE {engine.table} IS '人员表'")
    engine.add(
        [
            [
                str(n),
                f"'{number}'",
                "'男'" if n % 2 else "'女'",
                f"'{mobile}'",
                "'张秘密 geheim'",
                "'2026-01-02 03:04:05'",
            ]
            for n, (number, mobile) in enumerate(PERSONS)
        ]
    )


@pytest.mark.long
def test_a_table_of_every_database(project: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(engine)
    monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", engine.address)
    assert engine.table in drafted("psb").split()
    out = project / "drafts"
    told = drafted("psb", engine.table, "--org", "psb", "--to", str(out))
    assert "待定" in told and "contract check" in told
    _, made = written(out, "t")
    assert made["connector"] == {"database": {"connection": "psb", "table": engine.table}}
    properties = {one.get("physicalName", one["name"]): one for one in made["properties"]}
    assert list(properties) == list(COLUMNS)
    assert properties["sfzh"]["name"] == "id_number" and properties["xbdm"]["name"] == "sex"
    assert properties["lxdh"]["name"] == "mobile" and properties["gxsj"]["name"] == "source_updated_at"
    assert made["load"]["mode"] == "cursor"
    assert made["load"]["key"] == [properties["bh"]["name"]]
    new = yaml.safe_load((out / "fields.yaml").read_text("utf-8"))
    assert not any(secret in (out / "fields.yaml").read_text("utf-8") for secret in SECRETS)
    other = new[properties["qita"]["name"]]
    assert other["classification"] == 4
    if engine.name != "sqlite":
        assert made["name"] == "人员表" and other["businessName"] == "备注"
        assert properties["gxsj"]["required"]
    name = "t"
    shutil.copy(out / "sources" / "psb" / f"{name}.yaml", project / "project" / "data_contracts" / "sources" / "psb")
    assert "待定" in check(project) and f"{name}.yaml 第" in check(project)
    decide(project, out, name)
    assert "合同检查通过" in check(project)
    assert f"psb/{name}" in load(project / "project" / "data_contracts").sources


def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "身份证号": [number for number, _ in PERSONS],
            "性别": ["男", "女"] * 10,
            "手机": [mobile for _, mobile in PERSONS],
            "说明": ["张秘密 geheim"] * 20,
            "登记日期": ["2026-01-02"] * 20,
        }
    )


@pytest.mark.long
@pytest.mark.parametrize("kind", ["gbk", "utf-8", "xlsx", "et", "json", "ndjson", "parquet", "xml", "zip"])
def test_a_sample_file_of_every_format(project: Path, kind: str) -> None:
    text = rows().write_csv()
    file = project / f"登记20260102.{dict.fromkeys(('gbk', 'utf-8'), 'csv').get(kind, kind)}"
    match kind:
        case "gbk" | "utf-8":
            file.write_bytes(text.encode(kind))
        case "xlsx":
            rows().write_excel(file)
        case "et":
            file.write_bytes(xls([rows().columns, *map(list, rows().iter_rows())]))
        case "json":
            file.write_text(json.dumps({"data": {"list": rows().to_dicts()}}, ensure_ascii=False), "utf-8")
        case "ndjson":
            rows().write_ndjson(file)
        case "parquet":
            rows().write_parquet(file)
        case "xml":
            records = "".join(
                f"<行>{''.join(f'<{name}>{value}</{name}>' for name, value in row.items())}</行>"
                for row in rows().to_dicts()
            )
            file.write_text(f"<表>{records}</表>", "utf-8")
        case "zip":
            import zipfile

            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("a.csv", text)
    out = project / "drafts"
    drafted(str(file), "--org", "psb", "--to", str(out))
    _, made = written(out, "deng_ji")
    call = made["connector"]["file_drop"]
    assert call["files"].startswith("登记*.") and call["connection"].startswith("待定")
    assert call["format"] == {"gbk": "csv", "utf-8": "csv", "zip": "csv", "et": "xls"}.get(kind, kind)
    assert call.get("records") == {"json": "data/list", "xml": "行"}.get(kind)
    assert kind not in ("gbk", "utf-8") or call["encoding"] == {"gbk": "gb18030"}.get(kind, kind)
    found = {one.get("physicalName", one["name"]): one["name"] for one in made["properties"]}
    assert found["身份证号"] == "id_number" and found["性别"] == "sex" and found["登记日期"] == "registered_on"
    assert made["load"]["key"][0].startswith("待定")
    decide(project, out, "deng_ji", connection="hc", key="id_number")
    assert "合同检查通过" in check(project)


ROW = ("张三", "34240119900307123X", "13905641234", "2026-01-02")
AS_NAMES = (*ROW, "zhang_san", "李四", "li_si", "解放路12号")


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        ",".join(ROW) + "\n李四,34240119900307123X,13905641235,2026-01-03\n",
        "张三,男,解放路12号3室\n李四,女,解放路12号4室\n",
        "张三,13905641234,13905641234\n李四,13905641235,13905641236\n",
        "张三,张三\n李四,李四\n",
        "序号,2026年1月2日\n1,5\n",
    ],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_row_in_place_of_the_header_is_refused_and_not_shown(project: Path, text: str, kind: str) -> None:
    file = project / f"a.{kind}"
    if kind == "csv":
        file.write_text(text, "utf-8")
    else:
        lines = [line.split(",") for line in text.splitlines()]
        with xlsxwriter.Workbook(file) as book:
            sheet = book.add_worksheet()
            for number, line in enumerate(lines):
                sheet.write_row(number, 0, line)
    told = drafted(str(file), "--org", "psb", "--to", str(project / "drafts"), code=1)
    assert "表头" in told and "header_row" in told
    assert not any(value in told for value in AS_NAMES)
    assert not (project / "drafts").exists()


@pytest.mark.parametrize(
    "document",
    [
        [{"张三": 5, "李四": 6, "区县": "裕安区"}],
        {"data": {"张三": [{"区县": "裕安区"}], "李四": [{"区县": "裕安区"}]}},
    ],
)
def test_keys_that_are_persons_stay_out_of_the_draft(project: Path, document: Any) -> None:
    file = project / "a.json"
    file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    out = project / "drafts"
    told = drafted(str(file), "--org", "psb", "--to", str(out))
    made = [*out.rglob("*")]
    texts = [told, *map(str, made), *(one.read_text("utf-8") for one in made if one.is_file())]
    assert not any(value in text for text in texts for value in AS_NAMES)
    drafts = [yaml.safe_load(one.read_text("utf-8")) for one in (out / "sources" / "psb").iterdir()]
    assert all("区县" in {column.get("physicalName") for column in one["properties"]} for one in drafts)
    if isinstance(document, list):
        names = [column.get("physicalName") for column in drafts[0]["properties"]]
        assert [name.startswith("待定：第 ") for name in names] == [True, True, False]
    else:
        assert all(one["connector"]["file_drop"]["records"].startswith("待定") for one in drafts)


def test_sheets_and_remarks_that_name_persons_stay_out_of_the_draft(project: Path) -> None:
    file = project / "a.xlsx"
    with xlsxwriter.Workbook(file) as book:
        for name in ("张三", "李四", "人口表"):
            book.add_worksheet(name).write_column(0, 0, ["区县", "裕安区"])
    drafted(str(file), "--org", "psb", "--to", str(project / "drafts"))
    made = [one for one in (project / "drafts").rglob("*.yaml") if one.name != "fields.yaml"]
    assert not any(value in f"{one}{one.read_text('utf-8')}" for one in made for value in AS_NAMES)
    sheets = [yaml.safe_load(one.read_text("utf-8"))["connector"]["file_drop"]["sheet"] for one in made]
    assert sorted(sheet.startswith("待定") for sheet in sheets) == [False, True, True] and "人口表" in sheets


def test_a_table_of_a_database_that_was_made_of_a_file_without_a_header(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlite_engine(tmp_path)
    monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", engine.address)
    engine.run(f'CREATE TABLE {engine.table} ("张三" varchar(10) PRIMARY KEY, gxsj varchar(20))')
    drafted("psb", engine.table, "--org", "psb", "--to", str(project / "drafts"))
    text, made = written(project / "drafts", "t")
    assert not any(value in text for value in AS_NAMES)
    assert made["properties"][0]["name"] == "column_1" and made["load"]["key"] == ["column_1"]
    engine.run(f'ALTER TABLE {engine.table} ADD "13905641234" varchar(10)')
    told = drafted("psb", engine.table, "--org", "psb", "--to", str(project / "others"), code=1)
    assert "表头" in told and "13905641234" not in told


def test_a_remark_that_names_somebody_is_left_out(
    postgres: Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = postgres_engine(postgres)
    monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", engine.address)
    filled(engine)
    engine.run(f"COMMENT ON TABLE {engine.table} IS '人员表，联系人：张三'")
    engine.run(f"COMMENT ON COLUMN {engine.table}.qita IS '备注，问 13905641234'")
    drafted("psb", engine.table, "--org", "psb", "--to", str(project / "drafts"))
    texts = [one.read_text("utf-8") for one in (project / "drafts").rglob("*.yaml")]
    assert not any(value in text for text in texts for value in AS_NAMES)


def test_a_folder_of_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = project / "drop"
    drop.mkdir()
    for day in ("20260101", "20260102"):
        (drop / f"dj{day}.csv").write_text(rows().write_csv(), "utf-8")
        (drop / f"dj{day}.csv.ok").touch()
    monkeypatch.setenv("CITYLAKE_SECRET_HC_DROP", drop.as_uri())
    assert drafted("hc").splitlines()[0] == "dj*.csv"
    out = project / "drafts"
    drafted("hc", "--all", "--org", "psb", "--to", str(out))
    _, made = written(out, "dj")
    assert made["connector"]["file_drop"]["connection"] == "hc" and "complete" not in made["connector"]["file_drop"]
    decide(project, out, "dj", key="id_number")
    assert "合同检查通过" in check(project)


@pytest.mark.parametrize("of_drop", [False, True])
def test_a_header_further_down_is_read_where_the_steward_says(
    project: Path, of_drop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = project / "drop"
    drop.mkdir()
    rows = [f"A{number},皖N0000{number}" for number in range(9)]
    lines = ["道路运输从业人员,", "填报单位：交通局,", "证号,车牌", *rows]
    (drop / "cyry20261101.csv").write_text("\n".join(lines), "utf-8")
    monkeypatch.setenv("CITYLAKE_SECRET_HC_DROP", drop.as_uri())
    source = ["hc", "cyry*.csv"] if of_drop else [str(drop / "cyry20261101.csv")]
    asked = [*source, "--org", "hc", "--to", str(project / "new"), "--with"]
    assert "没有参数 header" in drafted(*asked, "{header: 3}", code=1)
    drafted(*asked, "{header_row: 3}")
    made = yaml.safe_load((project / "new/sources/hc/cyry.yaml").read_text("utf-8"))
    assert made["connector"]["file_drop"]["header_row"] == 3
    assert [one["physicalName"] for one in made["properties"]] == ["证号", "车牌"]


def test_an_interface_and_a_file_of_a_portal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(asked: Asked) -> Answer:
        if asked.path == "/a.csv":
            return 200, {"Content-Type": "text/csv"}, rows().write_csv().encode("gbk")
        return as_json({"code": 0, "data": {"list": rows().to_dicts(), "total": 20}})

    server = RestServer(handle)
    try:
        monkeypatch.setenv("CITYLAKE_SECRET_HOTLINE_API", server.url)
        assert "--verb" in drafted("hotline", code=1)
        out = project / "drafts"
        drafted("hotline", "/api/list", "--verb", "rest_api", "--org", "psb", "--to", str(out))
        drafted("hotline", "/a.csv", "--verb", "open_portal", "--org", "psb", "--to", str(project / "others"))
        _, made = written(out, "list")
        _, portal = written(project / "others", "a")
    finally:
        server.stop()
    for one in (made, portal):
        assert "id_number" in {column["name"] for column in one["properties"]}
    assert made["connector"]["rest_api"]["path"] == "/api/list"


def test_personal_values_in_a_column_that_should_have_none_raise_its_level(project: Path) -> None:
    file = project / "a.csv"
    lines = "\n".join(f"R{n},{number if n == 7 else 'x'}" for n, (number, _) in enumerate(PERSONS))
    file.write_text(f"record_no,备考\n{lines}\n", "utf-8")
    out = project / "drafts"
    drafted(str(file), "--org", "psb", "--to", str(out))
    written(out, "a")
    fields = yaml.safe_load((out / "fields.yaml").read_text("utf-8"))
    assert next(iter(fields.values()))["classification"] == 4
    assert "1 个是公民身份号码" in (out / "fields.yaml").read_text("utf-8")


def test_the_unit_that_a_header_names_is_the_unit_of_the_field(contracts: Contracts) -> None:
    """And no field of another unit is meant, whatever it is called."""
    look = Look(filled=3, distinct=3, longest=4, fits={"number": 3})
    known = contracts.fields["monthly_amount"].model_copy(update={"businessName": "合计数"})
    city = replace(contracts, fields={**contracts.fields, "total": known})
    headers = (("合计数（万元）", ""), ("b", "合计数(单位：元)"), ("增幅【％】", ""), ("数量（见附件）", ""))
    made = Proposer(city).propose((SourceColumn(name, title), look) for name, title in headers)
    assert [(one.field == "total", (one.new or {}).get("unit")) for one in made] == [
        (False, "万元"),
        (True, None),
        (False, "%"),
        (False, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere"], "既不是"),
        (["psb", "t"], "CITYLAKE_SECRET_PSB_DSN"),
        (["psb", "--org", "nobody"], "没有部门"),
        (["psb", "x", "--with", "["], "YAML"),
    ],
)
def test_what_cannot_be_drafted_is_said(
    project: Path, arguments: list[str], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--with" in arguments:
        monkeypatch.setenv("CITYLAKE_SECRET_PSB_DSN", "sqlite:////nowhere.db")
    assert part in drafted(*arguments, code=1)


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        ("public.visit", "visit"),
        ("hzgl.T_CZRK_JBXX", "czrk_jbxx"),
        ("sharing.population.resident", "resident"),
        ("在册/登记20260102.CSV", "deng_ji"),
        ("名册.xlsx#企业", "ming_ce_qi_ye"),
        ("包.zip", "bao"),
    ],
)
def test_a_dataset_is_called_as_its_table_or_file(offered: str, name: str) -> None:
    assert _dataset(offered, set()) == name


def test_drafts_are_never_written_over(project: Path) -> None:
    file = project / "a.csv"
    file.write_text(rows().write_csv(), "utf-8")
    drafted(str(file), "--org", "psb", "--to", str(project / "drafts"))
    before = (project / "drafts" / "sources" / "psb" / "a.yaml").read_text("utf-8")
    assert "a.yaml" in drafted(str(file), "--org", "psb", "--to", str(project / "drafts"), code=1)
    assert (project / "drafts" / "sources" / "psb" / "a.yaml").read_text("utf-8") == before
    assert "--to" in drafted(str(file), "--org", "psb", code=1)


def test_what_another_server_shares_is_listed_by_pages(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(asked: Asked) -> Answer:
        if asked.path == "/shares":
            second = "pageToken" in asked.query
            return as_json(
                {"items": [{"name": "市 b" if second else "a"}], **({} if second else {"nextPageToken": "2"})}
            )
        return as_json({"items": [{"share": "s", "schema": "x", "name": f"t{len(asked.path)}"}]})

    server = RestServer(handle)
    try:
        profile = {"shareCredentialsVersion": 1, "endpoint": server.url, "bearerToken": "geheim"}
        monkeypatch.setenv("CITYLAKE_SECRET_HOTLINE_API", json.dumps(profile))
        assert drafted("hotline").splitlines()[:2] == ["s.x.t20", "s.x.t32"]
    finally:
        server.stop()
    assert [one.raw for one in server.asked][-1] == "/shares/%E5%B8%82%20b/all-tables"


def test_a_server_that_granted_nothing_yet_is_told_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = RestServer(lambda _: as_json({"items": []}))
    try:
        profile = {"shareCredentialsVersion": 1, "endpoint": server.url, "bearerToken": "geheim"}
        monkeypatch.setenv("CITYLAKE_SECRET_HOTLINE_API", json.dumps(profile))
        assert drafted("hotline").startswith("连接 hotline 连得上，但现在没有可起草的")
    finally:
        server.stop()
    monkeypatch.setenv("CITYLAKE_SECRET_EEB_BROKER", "mqtts://broker.example:8883")
    assert drafted("eeb").startswith("连接 eeb 不能列出内容")


def test_a_resource_of_a_catalogue(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portal = CkanPortal(3)
    portal.files["/files/a.csv"] = rows().write_csv().encode()
    server = RestServer(portal)
    try:
        monkeypatch.setenv("CITYLAKE_SECRET_SB_PORTAL", server.url)
        asked = ["sb", "--verb", "open_portal", "--with", "{catalogue: {kind: ckan}}"]
        names = drafted(*asked).splitlines()[:3]
        assert len(names) == 3 and all("/" in name for name in names)
        drafted("sb", names[0], *asked[1:], "--org", "psb", "--to", str(project / "drafts"))
    finally:
        server.stop()
    (path,) = (project / "drafts" / "sources" / "psb").iterdir()
    call = yaml.safe_load(path.read_text("utf-8"))["connector"]["open_portal"]
    named = call["catalogue"]
    assert named["kind"] == "ckan" and f"{named['dataset']}/{named['resource']}" == names[0]
