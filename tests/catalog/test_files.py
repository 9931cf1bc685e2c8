"""Deliveries of files to a folder, an SFTP server and an S3-compatible store: whoever applies the packages has the
released product under the grant, and whatever was not finished does not count."""

import json
import os
import random
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import polars as pl
import pyogrio.raw
import pytest
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from catalog.delivery import workbooks
from catalog.delivery.deliveries import deliver, refusal
from catalog.delivery.desk import Desk, Refused
from catalog.delivery.files import deliver as delivering
from catalog.delivery.files.deliver import DeliveredFiles
from catalog.delivery.files.outboxes import open_outbox
from catalog.delivery.files.outboxes.base import Outbox
from catalog.delivery.files.outboxes.folder import FolderOutbox
from catalog.delivery.push import Push
from catalog.policy import administration, audit, epochs, suspension
from catalog.policy.decision import Reason
from citylake.main import app
from pipelines.lake.lock import run_lock
from pipelines.messages import CitylakeError, translate
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import ERASURE, PAST_WITHDRAWAL, Entry
from pipelines.release.shown import said_of
from tests.catalog.conftest import released_city
from tests.catalog.filing import (
    FOLDER,
    RECIPIENT,
    Office,
    add_deliveries,
    check,
    end_grants,
    expected,
    killed_by,
    put_into,
)
from tests.catalog.reading import sheet
from tests.catalog.small_city import AGES, COMPONENTS, GUARD, PERSONS, STEWARD, City
from tests.catalog.test_changes import COLUMNS, table_of
from tests.catalog.test_receipts_of_reads import verified
from tests.catalog.test_tables import drawn
from tests.city import seed_from_clock
from tests.connectors.store_servers import PASSWORD, SECRET, Backend, SftpBackend, backend

pytestmark = pytest.mark.server
KINDS = ("folder", "sftp", "s3")
FORM = {"recipient": RECIPIENT, "product": PERSONS, "formats": ["csv", "parquet"]}


class Filing:
    """A city that delivers into one store, and the office that takes from it."""

    def __init__(self, city: City, desk: Desk, kind: str, store: Backend, folder: Path) -> None:
        self.city, self.desk, self.kind, self.store = city, desk, kind, store
        self.receipts = Receipts(city.register, "test")
        self.folder = folder

    def office(self, folder: str = FOLDER) -> Office:
        return Office(self.store, folder, self.folder)

    def tree(self, folder: str) -> dict[Path, bytes]:
        """Every file in a folder, as it is."""
        return {path: path.read_bytes() for path in self.office(folder).look().rglob("*") if path.is_file()}

    def grant(self, **limits: Any) -> None:
        end_grants(self.city, RECIPIENT)
        self.city.grant(RECIPIENT, **limits)

    def deliver(self, full: bool = False, name: str = "files") -> Any:
        return put_into(self.desk, f"{self.kind}_{name}", full)

    def outbox(self, folder: str = FOLDER) -> Outbox:
        return open_outbox(self.store.address, self.kind, RECIPIENT, folder)

    def last(self) -> dict[str, Any]:
        """What the last receipt says."""
        kept = self.receipts.last(Stage.DELIVERY, f"{self.kind}_files")
        assert kept is not None
        said: dict[str, Any] = json.loads(kept.body["statement"])
        return said

    def kept(self) -> int:
        return len(self.receipts.of_stage(Stage.DELIVERY, f"{self.kind}_files", 999))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Backend]]:
    with (
        backend("folder", tmp_path_factory.mktemp("folder")) as folder,
        backend("sftp", tmp_path_factory.mktemp("sftp")) as sftp,
        backend("s3", tmp_path_factory.mktemp("s3")) as s3,
    ):
        yield {"folder": folder, "sftp": sftp, "s3": s3}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, stores: dict[str, Backend]) -> tuple[City, Desk]:
    return with_outboxes(released_city(tmp_path_factory.mktemp("filing")), stores)


def with_outboxes(city: City, stores: dict[str, Backend]) -> tuple[City, Desk]:
    """A city that delivers into these stores."""
    city.recipient(RECIPIENT)
    forms: dict[str, dict[str, Any]] = {}
    for kind in stores:
        forms[f"{kind}_files"] = {**FORM, "connection": kind, "folder": FOLDER}
        forms[f"{kind}_empty"] = {**FORM, "connection": kind, "folder": "emptied", "whenEnded": "empty"}
        forms[f"{kind}_ages"] = {
            **FORM, "product": AGES, "connection": kind, "folder": "ages", "content": "full",
            "formats": ["csv", "parquet", "json", "ndjson"],
        }  # fmt: skip
        forms[f"{kind}_sheet"] = {**FORM, "connection": kind, "folder": "sheet", "formats": ["csv", "xlsx"]}
        forms[f"{kind}_map"] = {
            **FORM, "product": COMPONENTS, "connection": kind, "folder": "map", "formats": ["csv", "geojson"],
        }  # fmt: skip
    add_deliveries(city, {kind: store.address for kind, store in stores.items()}, forms)
    return city, Desk(city.settings, city.register)


@pytest.fixture(params=KINDS)
def filing(
    request: pytest.FixtureRequest, desk: tuple[City, Desk], stores: dict[str, Backend], tmp_path: Path
) -> Filing:
    """A store from which all packages were taken; 40 persons are published."""
    return begun(*desk, stores[request.param], request.param, tmp_path)


def begun(city: City, desk: Desk, store: Backend, kind: str, folder: Path) -> Filing:
    """A store from which all packages were taken; 40 persons are published."""
    made = Filing(city, desk, kind, store, folder)
    for name in (FOLDER, "emptied"):
        made.office(name).clear()
    made.city.release(PERSONS)
    made.grant()
    return made


@pytest.mark.long
@pytest.mark.parametrize("columns", [None, ["name", "sex", "county_name"]], ids=["key", "rows"])
def test_each_day_whoever_applies_the_packages_has_the_product_under_the_grant(
    filing: Filing, columns: list[str] | None
) -> None:
    dice, office = random.Random(seed_from_clock()), filing.office()
    filing.grant(divisions=["341502", "341503"], columns=columns)
    made = {column.name: [column.source, column.mask] for column in filing.city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    first = audit.recent(filing.city.register, 1)[0]["sequence"]
    for day in range(3):
        filing.city.release(PERSONS, query=table_of(drawn(dice), COLUMNS), columns=body)
        done = filing.deliver(full=day == 0)
        assert isinstance(done, DeliveredFiles) and not done.redone
        office.take()
        said = office.taken[-1]
        assert (office.columns, office.rows) == expected(filing.desk, RECIPIENT)
        assert done.how == said["how"] == ("changes" if day else "snapshot") and len(office.taken) == day + 1
        assert (said["inserted"], said["updated"], said["deleted"]) == (done.inserted, done.updated, done.deleted)
        kept = filing.kept()
        assert filing.deliver().how == "unchanged" and filing.kept() == kept
    told = [row for row in audit.recent(filing.city.register, 99, RECIPIENT) if row["sequence"] > first]
    sent = [row["body"]["package"] for row in told if row["action"] == "file.deliver"]
    assert sorted(sent) == [one["package"] for one in office.taken]


def test_every_format_holds_the_same_rows_unaltered(filing: Filing) -> None:
    """Read by DuckDB, polars and the standard library; what a spreadsheet would take for a formula stays."""
    texts = ["=1+1", "+86", "-3", "@x", 'a"b', "a,b", "a\r\nb", " ", "甲"]
    rows = {n: (text, "1", 1950, "341502001001", "金安区", None if n % 2 else "") for n, text in enumerate(texts)}
    made = {column.name: [column.source, column.mask] for column in filing.city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    filing.city.release(PERSONS, query=table_of(rows, COLUMNS), columns=body)
    office, done = filing.office(), filing.deliver(full=True)
    office.take()
    package = office.look() / done.package
    columns, wanted = expected(filing.desk, RECIPIENT)
    assert sorted(row[columns.index("name")] for row in office.rows) == sorted(texts) and office.rows == wanted
    frame = pl.read_parquet(package / "person_of_division.parquet")
    assert sorted(frame["name"]) == sorted(texts) and frame.columns == columns
    assert (package / "LICENCE.txt").read_text("utf-8").count(filing.city.contracts.products[PERSONS].form.licence) == 2
    listed = (package / "dictionary.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in listed[1:]] == columns

    filing.city.release(AGES, 96)
    done = filing.deliver(full=True, name="ages")
    package = filing.office("ages").look() / done.package
    check(package)
    whole = pl.read_parquet(package / "age_structure_by_county.parquet")
    assert len(whole) == 96
    lines = [json.loads(line) for line in (package / "age_structure_by_county.ndjson").read_text("utf-8").splitlines()]
    assert lines == json.loads((package / "age_structure_by_county.json").read_text("utf-8"))
    assert [line["persons"] for line in lines] == whole["persons"].to_list()


def described(package: Path, kind: str) -> dict[str, Any]:
    """What the descriptor of a package says of its file of a format."""
    (found,) = (one for one in json.loads((package / "datapackage.json").read_text("utf-8"))["resources"]
                if one["format"] == kind)  # fmt: skip
    return dict(found)


def test_a_book_holds_the_rows_as_texts_and_is_refused_beyond_its_limit(
    filing: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by calamine; changes too. Nothing of a package that is refused is there."""
    texts = ["=1+1", "+86", "007", "甲"]
    rows = {n: (text, "1", 1950, "341502001001", "金安区", None) for n, text in enumerate(texts)}
    made = {column.name: [column.source, column.mask] for column in filing.city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    office = filing.office("sheet")
    office.clear()
    filing.city.release(PERSONS, query=table_of(rows, COLUMNS), columns=body)
    first = filing.deliver(full=True, name="sheet")
    rows[1] = ("改", *rows[1][1:])
    filing.city.release(PERSONS, query=table_of(rows, COLUMNS), columns=body)
    second = filing.deliver(name="sheet")
    assert (second.how, second.updated) == ("changes", 1)
    office.take()
    assert office.rows == expected(filing.desk, RECIPIENT)[1]
    for package, wanted in ((first.package, sorted(texts)), (second.package, sorted(["+86", "改"]))):
        folder = office.look() / package
        said = described(folder, "xlsx")
        book = folder / said["path"]
        names = CalamineWorkbook.from_path(book).sheet_names
        assert names[0] == said["dialect"]["sheetName"] and len(names) == 2, "with dictionary and licence"
        held = sheet(book.read_bytes(), 0)
        assert list(held[0]) == [field["name"] for field in said["schema"]["fields"]] and len(held) == said["rows"]
        assert sorted(row["name"] for row in held) == wanted
        with zipfile.ZipFile(book) as parts:
            assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml"), "no text is a formula"
    monkeypatch.setattr(workbooks, "MOST_ROWS", 3)
    with pytest.raises(CitylakeError, match="CSV 或 Parquet") as refused:
        filing.deliver(full=True, name="sheet")
    assert PERSONS in str(refused.value)
    assert sorted(packages_in(filing, "sheet")) == [first.package, second.package]


def test_a_layer_is_a_geojson_that_gdal_reads_and_needs_its_geometry(filing: Filing) -> None:
    office = filing.office("map")
    office.clear()
    filing.city.release(COMPONENTS, 12)
    end_grants(filing.city, RECIPIENT)
    filing.city.grant(RECIPIENT, COMPONENTS)
    first = filing.deliver(full=True, name="map")
    filing.city.release(COMPONENTS, 14)
    second = filing.deliver(name="map")
    assert (second.how, second.inserted) == ("changes", 2)
    for package, rows in ((first.package, 12), (second.package, 2)):
        folder = office.look() / package
        check(folder)
        said = described(folder, "geojson")
        assert said["mediatype"] == "application/geo+json" and said["citylake:rows"] == rows
        assert not said.keys() & {"rows", "schema", "type"}, "a layer is no table to those who validate packages"
        about, _, shapes, values = pyogrio.raw.read(folder / said["path"])
        assert len(shapes) == rows and about["geometry_type"] == "Point"
        changed = "_change_type" in list(about["fields"])
        assert changed is (package == second.package)
        if changed:
            assert set(values[list(about["fields"]).index("_change_type")]) == {"insert"}
    end_grants(filing.city, RECIPIENT)
    filing.city.grant(RECIPIENT, COMPONENTS, columns=["component_no", "county_name"])
    with pytest.raises(CitylakeError, match="不含几何列"):
        filing.deliver(full=True, name="map")
    assert sorted(packages_in(filing, "map")) == [first.package, second.package]


def test_a_package_asks_only_what_its_version_was_asked(filing: Filing) -> None:
    office = filing.office("map")
    end_grants(filing.city, RECIPIENT)
    filing.city.grant(RECIPIENT, COMPONENTS)
    asked = list[set[str]]()
    for more in ({}, {"contract": "0" * 64}):  # the second by a contract of before
        office.clear()
        filing.city.release(COMPONENTS, 12, **more)
        made = filing.deliver(full=True, name="map")
        fields = described(office.look() / made.package, "csv")["schema"]["fields"]
        asked.append({one["name"] for one in fields if one.get("constraints", {}).get("required")})
    assert {"component_no", "component_class"} <= asked[0] and asked[1] == {"component_no"}


STEPS = ("put", "put_text", "show", "remove", "keep")
QUICK = {("sftp", "show"), ("s3", "put_text")}
DYING = [
    pytest.param(kind, step, marks=() if kind == "folder" or (kind, step) in QUICK else pytest.mark.slow)
    for kind in KINDS
    for step in STEPS
]


@pytest.mark.long
@pytest.mark.parametrize(("filing", "step"), DYING, indirect=["filing"])
def test_a_run_that_dies_at_any_step_does_not_count_and_the_next_goes_on(
    filing: Filing, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """At the first, second, third ... call of each step, before it does anything."""
    office = filing.office()
    filing.deliver(full=True)
    office.take()
    rows, version = office.rows, office.version
    filing.city.release(PERSONS, 55)
    owner, died = (Push if step == "keep" else type(filing.outbox())), 0
    for nth in range(20):
        with monkeypatch.context() as patched:
            calls, real = [0], getattr(owner, step)

            def dying(*args: Any, calls: list[int] = calls, real: Any = real, nth: int = nth) -> Any:
                calls[0] += 1
                if calls[0] > nth:
                    raise KeyboardInterrupt
                return real(*args)

            patched.setattr(owner, step, dying)
            try:
                done = filing.deliver()
                break
            except KeyboardInterrupt:
                died += 1
        office.take()
        assert (office.rows, office.version) == (rows, version) or office.rows == expected(filing.desk, RECIPIENT)[1]
    assert died, "otherwise this test showed nothing"
    office.take()
    assert office.rows == expected(filing.desk, RECIPIENT)[1] and done.how in ("changes", "unchanged")
    assert len(office.taken) == 2, "no version comes twice"
    assert (
        json.loads(filing.receipts.last(Stage.DELIVERY, f"{filing.kind}_files").body["statement"]) == office.taken[-1]
    )  # type: ignore[union-attr]
    names = {path.name for path in office.look().iterdir() if path.name.startswith(f"{office.number:06d}")}
    assert names == {office.taken[-1]["package"], f"{office.taken[-1]['package']}.ok"}
    assert not [path for path in office.look().iterdir() if ".part" in path.name]
    position = json.loads((office.look() / "_citylake_position.json").read_text("utf-8"))
    assert position["state"] == "current" and json.loads(position["statement"]) == office.taken[-1]
    assert not (office.look() / "RECALL.txt").exists()


@pytest.mark.long
@pytest.mark.parametrize("filing", ["sftp"], indirect=True)
def test_a_process_killed_at_any_file_is_gone_on_with(filing: Filing) -> None:
    assert isinstance(filing.store, SftpBackend)
    office, nth = filing.office(), random.Random(seed_from_clock()).randrange(1, 14)
    filing.deliver(full=True)
    office.take()
    filing.city.release(PERSONS, 50)
    assert killed_by(filing.store, filing.city.settings, "sftp_files", nth)
    office.take()
    filing.deliver()
    office.take()
    assert office.rows == expected(filing.desk, RECIPIENT)[1] and len(office.taken) == 2


def test_what_is_there_whole_is_not_sent_again(filing: Filing, monkeypatch: pytest.MonkeyPatch) -> None:
    filing.city.release(PERSONS, 44)
    owner = type(filing.outbox())
    sent: list[str] = []
    real = owner.put

    def counted(self: Any, name: str, source: Path) -> None:
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(source.name)
        real(self, name, source)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(owner, "put", counted)
        filing.deliver(full=True)
    with monkeypatch.context() as patched:
        before = sent.copy()
        patched.setattr(
            owner, "put", lambda self, name, source: (sent.append(source.name), real(self, name, source))[1]
        )
        done = filing.deliver(full=True)
    assert done.redone and len(sent) == len(set(sent)) and len(before) == 3
    check(filing.office().look() / done.package)


def test_files_that_read_otherwise_than_written_get_no_marker(filing: Filing, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = type(filing.outbox())
    real = owner.put

    def torn(self: Any, name: str, source: Path) -> None:
        real(self, name, source)
        if source.suffix == ".parquet":
            office.put(name, source.read_bytes()[:-1])

    office = filing.office()
    with monkeypatch.context() as patched, pytest.raises(CitylakeError, match=r"person_of_division\.parquet"):
        patched.setattr(owner, "put", torn)
        filing.deliver(full=True)
    assert not list(office.look().glob("*.ok"))
    done = filing.deliver(full=True)
    assert done.redone
    said = check(office.look() / done.package)
    # the store loses half of a file afterwards: told, and all rows come anew
    office.put(f"{done.package}/person_of_division.csv", b"half")
    again = filing.deliver()
    assert (
        again.how == "snapshot"
        and again.redone
        and check(office.look() / again.package)["number"] == said["number"] + 1
    )
    # what was taken away was received
    office.remove(again.package)
    assert filing.deliver().how == "unchanged"


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_a_torn_package_goes_once_another_is_there(filing: Filing, monkeypatch: pytest.MonkeyPatch) -> None:
    first = filing.deliver(full=True)
    filing.office().put(f"{first.package}/person_of_division.csv", b"half")

    def dying(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(type(filing.outbox()), "put", dying)
        filing.deliver()
    again = filing.deliver()
    assert (again.how, again.version) == ("snapshot", first.version) and filing.deliver().how == "unchanged"
    assert {path.name for path in filing.office().look().glob("0*")} == {again.package, f"{again.package}.ok"}


def packages_in(filing: Filing, folder: str = FOLDER) -> set[str]:
    return {path.name for path in filing.office(folder).look().glob("0*") if path.suffix != ".ok"}


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_new_pseudonyms_send_everything_anew_and_old_packages_go(filing: Filing) -> None:
    filing.deliver()
    first = filing.last()["package"]
    epochs.rotate(filing.city.register, RECIPIENT, "年度更换", actor=GUARD, zone="Asia/Shanghai")
    done = filing.deliver()
    assert done.how == "snapshot" and first not in filing.outbox().names()
    filing.city.release(PERSONS, 50)
    assert filing.deliver().how == "changes"
    office = filing.office()
    office.take()
    assert (office.columns, office.rows) == expected(filing.desk, RECIPIENT)


@pytest.mark.long
def test_packages_of_a_withdrawn_version_go(filing: Filing) -> None:
    filing.deliver(full=True)
    filing.city.withdraw(PERSONS)
    filing.city.release(PERSONS, 44)
    done = filing.deliver()
    assert done.how == "snapshot" and packages_in(filing) == {done.package}
    again = filing.deliver(full=True)
    # a change set whose first version was taken back holds its rows too
    filing.city.release(PERSONS, 45)
    assert filing.deliver().how == "changes"
    filing.city.ledger.record([Entry(PAST_WITHDRAWAL, PERSONS, "2026-11-02.1", again.version, {"reasons": ["错"]})])
    last = filing.deliver()
    assert last.how == "snapshot" and packages_in(filing) == {last.package}


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_an_end_takes_away_what_was_erased_even_if_it_keeps_the_rest(filing: Filing) -> None:
    first = filing.deliver(full=True)
    filing.city.release(PERSONS, 50)
    second = filing.deliver(full=True)
    rewritten = {PERSONS: {str(first.version): ["f", "g"]}}
    filing.city.ledger.record([Entry(ERASURE, "删2号", "r", None, {"releases": rewritten})])
    end_grants(filing.city, RECIPIENT)
    assert filing.deliver().how == "ended" and packages_in(filing) == {second.package}
    assert filing.last()["removed"] == [first.package]


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_a_contract_that_empties_a_grant_stops_its_packages_but_takes_erased_ones_away(filing: Filing) -> None:
    filing.grant(columns=["education"])
    first = filing.deliver(full=True)
    filing.city.release(PERSONS, 51)
    second = filing.deliver(full=True)
    contract = filing.city.own_contracts() / "products" / "population" / "person.yaml"
    whole = contract.read_text("utf-8")
    columns = "      - {name: education, purposes: [subsistence_check]}\n"
    try:
        contract.write_text(whole.replace("      - education\n", columns, 1), "utf-8")
        closed, rewritten = (
            Desk(filing.city.settings, filing.city.register),
            {PERSONS: {str(first.version): ["f", "g"]}},
        )
        for gone in (set[str](), {first.package}):
            with pytest.raises(Refused) as refused:
                deliver(closed, f"{filing.kind}_files", "test")
            assert refused.value.reason is Reason.GRANT_EMPTY
            assert packages_in(filing) == {first.package, second.package} - gone
            assert not (filing.office().look() / "RECALL.txt").exists() and filing.last()["state"] == "current"
            filing.city.ledger.record([Entry(ERASURE, "删3号", "r", None, {"releases": rewritten})])
    finally:
        contract.write_text(whole, "utf-8")
    filing.city.release(PERSONS, 52)
    assert deliver(Desk(filing.city.settings, filing.city.register), f"{filing.kind}_files", "test").how == "changes"  # type: ignore[union-attr]


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_a_store_that_is_away_does_not_hide_why_a_delivery_stopped(
    filing: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    filing.grant()
    filing.deliver()
    suspension.suspend(filing.city.register, filing.city.contracts, "recipient", RECIPIENT, "演练", actor=GUARD)
    away = CitylakeError("deliver.unreachable", connection="front", problem="gone")

    def unreachable(*_: object) -> Outbox:
        raise away

    try:
        with monkeypatch.context() as patch, pytest.raises(Refused) as refused:
            patch.setattr(delivering, "open_outbox", unreachable)
            filing.deliver()
    finally:
        suspension.lift(filing.city.register, "recipient", RECIPIENT, "演练结束", actor=GUARD)
    assert refused.value.reason is Reason.SUSPENDED
    told = refusal(filing.city.register, "any", refused.value)
    for language in ("zh", "en"):
        assert translate("web.reason.suspended", language) in told[language] and away.text(language) in told[language]


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_a_contract_that_asks_for_grants_now_takes_nothing_from_who_never_needed_one(filing: Filing) -> None:
    """What was free when it was delivered stays, and whoever runs it is told what to do."""
    name, city = "从未授权", filing.city
    city.recipient(name)
    place = {"recipient": name, "product": PERSONS, "connection": "folder", "folder": "free"}
    task = delivering.FileTask(**place, formats=("csv",), content="full", when_ended="empty")
    contract = city.own_contracts() / "products" / "population" / "person.yaml"
    whole, shows = contract.read_text("utf-8"), said_of(city.contracts.products[PERSONS], city.contracts.city)["shows"]
    free = whole.replace("type: 有条件共享", "type: 无条件共享")
    city.release(PERSONS, 42, shows={**shows, "share": "无条件共享"})
    try:
        contract.write_text(free, "utf-8")
        assert free != whole
        desk = Desk(city.settings, city.register)
        assert delivering.deliver(desk, "free", task, "test").how == "snapshot"
    finally:
        contract.write_text(whole, "utf-8")
    held = filing.tree("free")
    desk = Desk(city.settings, city.register)
    with pytest.raises(Refused) as refused:
        delivering.deliver(desk, "free", task, "test")
    assert filing.tree("free") == held
    told = refusal(city.register, "free", refused.value)["zh"]
    assert translate("deliver.no_grant", "zh", name="free", product=PERSONS) in told
    unknown = replace(task, recipient="没有登记", when_ended="empty")
    with pytest.raises(Refused) as refused:
        delivering.deliver(desk, "free", unknown, "test")
    assert filing.tree("free") == held, "whoever mistypes a recipient takes nothing from the one that was meant"
    told = refusal(city.register, "free", refused.value)["en"]
    assert translate("deliver.no_recipient", "en", name="free", product=PERSONS) in told
    given = city.grant(name)
    administration.revoke_grant(city.register, given.id, actor=STEWARD)
    assert delivering.deliver(desk, "free", task, "test").how == "ended", "so it is called back"


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_a_removal_that_fails_does_not_send_all_rows_again(filing: Filing, monkeypatch: pytest.MonkeyPatch) -> None:
    filing.deliver(full=True)
    filing.grant(divisions=["341502"])
    owner, real = type(filing.outbox()), FolderOutbox.remove

    def refusing(self: Any, name: str) -> None:
        if name in old:
            raise CitylakeError("deliver.store", problem="PermissionError", connection="c", owner="o", folder="f")
        real(self, name)

    old, number = packages_in(filing), filing.last()["number"]
    with monkeypatch.context() as patched:
        patched.setattr(owner, "remove", refusing)
        for _ in range(3):
            with pytest.raises(CitylakeError):
                filing.deliver()
    assert filing.last()["number"] == number + 1 and packages_in(filing) == {*old, filing.last()["package"]}
    assert filing.deliver().how == "unchanged" and packages_in(filing) == {filing.last()["package"]}


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_what_killed_runs_left_beside_an_unchanged_version_is_put_right(
    filing: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    filing.deliver(full=True)
    office, owner = filing.office(), type(filing.outbox())
    whole = (office.look() / "_citylake_position.json").read_bytes()

    def dying(*_: Any) -> None:
        raise KeyboardInterrupt

    def die_in(step: str, **how: Any) -> None:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(owner, step, dying)
            filing.deliver(**how)

    die_in("show", full=True)
    assert len(packages_in(filing)) == 1 and list(office.look().glob(".0*"))
    assert filing.deliver().how == "unchanged" and not list(office.look().glob(".0*"))
    # an end that was begun, and a grant that came back before it was told
    for name, folder, how in (("files", FOLDER, "unchanged"), ("empty", "emptied", "snapshot")):
        filing.deliver(full=True, name=name)
        end_grants(filing.city, RECIPIENT)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(delivering._Delivery, "_tell_end", dying)
            filing.deliver(name=name)
        assert (filing.office(folder).look() / "RECALL.txt").exists()
        filing.grant()
        assert filing.deliver(name=name).how == how and packages_in(filing, folder)
        assert not (filing.office(folder).look() / "RECALL.txt").exists()
    position = office.look() / "_citylake_position.json"
    newest = position.read_bytes()
    assert newest != whole
    position.write_bytes(whole)
    assert filing.deliver().how == "unchanged" and position.read_bytes() == newest


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
@pytest.mark.parametrize("changed", ["folder", "recipient", "product", "connection"])
def test_another_place_gets_everything_whatever_the_last_one_had(filing: Filing, changed: str) -> None:
    """A line of city.yaml was changed; the name of the delivery is the same."""
    name, other = f"moving_{changed}", "另一接收方"
    place = {"recipient": RECIPIENT, "product": PERSONS, "connection": "folder", "folder": f"moved/{changed}"}
    if changed == "recipient":
        filing.city.recipient(other)
        filing.city.grant(other, columns=["name", "sex"])
        filing.grant(columns=["name", "sex"])
    filing.city.release(AGES, 96)
    filing.city.settings.store_secret("folder_again", filing.store.address)
    to = {"folder": "moved/on", "recipient": other, "product": AGES, "connection": "folder_again"}

    def run(**place: str) -> Any:
        task = delivering.FileTask(**place, formats=("csv",), content="changes", when_ended="keep")
        return delivering.deliver(filing.desk, name, task, "test")

    connections = filing.desk.listing.snapshot().contracts.city.connections
    connections.setdefault("folder_again", connections["folder"].model_copy(update={"secret": "folder_again"}))
    assert (run(**place).how, run(**place).how) == ("snapshot", "unchanged")
    place[changed] = to[changed]
    done = run(**place)
    assert done.how == "snapshot" and (filing.office(place["folder"]).look() / f"{done.package}.ok").exists()
    assert run(**place).how == "unchanged"


@pytest.mark.long
def test_an_end_is_told_and_takes_packages_away_only_if_the_target_says_so(filing: Filing) -> None:
    filing.deliver(full=True)
    filing.grant(roads=["tables"])
    assert filing.deliver().how == "ended" and "grant_road" in (
        filing.office().look() / "_citylake_position.json"
    ).read_text("utf-8")
    filing.grant(roads=["files"])
    for name, folder in (("files", FOLDER), ("empty", "emptied")):
        office = filing.office(folder)
        filing.deliver(full=True, name=name)
        end_grants(filing.city, RECIPIENT)
        assert filing.deliver(name=name).how == "ended"
        position = json.loads((office.look() / "_citylake_position.json").read_text("utf-8"))
        notice = (office.look() / "RECALL.txt").read_text("utf-8")
        assert position["state"] == json.loads(position["statement"])["state"] == "grant_revoked"
        assert all(translate("web.reason.grant_revoked", language) in notice for language in ("zh", "en"))
        packages = [path for path in office.look().iterdir() if path.name[0].isdigit()]
        assert bool(packages) == (name == "files")
        kept = filing.kept()
        assert filing.deliver(name=name).how == "ended" and filing.kept() == kept, "it is told once"
        filing.grant()
        done = filing.deliver(name=name)
        assert done.how == "snapshot" and not (office.look() / "RECALL.txt").exists()
        filing.city.withdraw(PERSONS)
        assert filing.deliver(name=name).how == "ended"
        assert translate("web.reason.not_published", "zh") in (office.look() / "RECALL.txt").read_text("utf-8")
        filing.city.release(PERSONS)
    assert filing.deliver().how == "snapshot"
    suspension.suspend(filing.city.register, filing.city.contracts, "recipient", RECIPIENT, "调查", actor=GUARD)
    try:
        filing.city.release(PERSONS, 41)
        before = sorted(path.name for path in filing.office().look().iterdir())
        with pytest.raises(Refused) as refused:
            filing.deliver()
        assert refused.value.reason is Reason.SUSPENDED
        assert sorted(path.name for path in filing.office().look().iterdir()) == before
    finally:
        suspension.lift(filing.city.register, "recipient", RECIPIENT, "查毕", actor=GUARD)
    assert filing.deliver().how == "changes"


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
def test_what_was_erased_or_ended_from_a_version_is_replaced_at_once(filing: Filing) -> None:
    office = filing.office()
    first = filing.deliver(full=True)
    filing.city.release(PERSONS, 50)
    second = filing.deliver()
    rewritten = {PERSONS: {str(first.version): ["f", "g"]}}
    filing.city.ledger.record([Entry(ERASURE, "删1号", "r", None, {"releases": rewritten})])
    third = filing.deliver()
    assert (second.how, third.how, third.version) == ("changes", "snapshot", second.version)
    assert {path.name for path in office.look().glob("0*")} == {third.package, f"{third.package}.ok"}
    office.take()
    assert office.rows == expected(filing.desk, RECIPIENT)[1] and filing.deliver().how == "unchanged"
    filing.city.release(PERSONS, 51)
    assert filing.deliver().how == "changes"
    filing.grant(divisions=["341502"], columns=["name", "sex"])
    narrow = filing.deliver()
    assert narrow.how == "snapshot" and filing.deliver().how == "unchanged"
    assert {path.name for path in office.look().glob("0*")} == {narrow.package, f"{narrow.package}.ok"}


def test_a_grant_that_ends_while_files_are_written_takes_them_away(
    filing: Filing, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, office = type(filing.outbox()), filing.office()
    filing.deliver(full=True)
    real, before = owner.put, sorted(path.name for path in office.look().iterdir())

    def ending(self: Any, name: str, source: Path) -> None:
        real(self, name, source)
        end_grants(filing.city, RECIPIENT)

    with monkeypatch.context() as patched, pytest.raises(Refused):
        patched.setattr(owner, "put", ending)
        filing.deliver(full=True)
    assert sorted(path.name for path in office.look().iterdir()) == before


def test_folders_of_others_are_left_alone_and_errors_tell_no_secret(filing: Filing) -> None:
    office = filing.office("foreign")
    outbox = filing.outbox("foreign")
    outbox.put_text("000001-v0.ok", json.dumps({"statement": "{}", "signature": ""}))
    outbox.close()
    task = delivering.FileTask(RECIPIENT, PERSONS, filing.kind, "foreign", ("csv",), "changes", "empty")
    with pytest.raises(CitylakeError, match="foreign"):
        delivering.deliver(filing.desk, "other", task, "test")
    end_grants(filing.city, RECIPIENT)
    with pytest.raises((CitylakeError, Refused)):
        delivering.deliver(filing.desk, "other", task, "test")
    assert [path.name for path in office.look().iterdir()] == ["000001-v0.ok"]
    filing.grant()
    with run_lock(filing.city.settings.home / "deliveries" / f"{filing.kind}_files", "x"), pytest.raises(CitylakeError):
        filing.deliver()
    address = filing.store.address
    broken = {
        "folder": "file:///nowhere/at/all",
        "sftp": address.replace("%E6", "%E7"),
        "s3": address.replace("@drop", "@drip"),
    }
    filing.city.settings.store_secret(filing.kind, broken[filing.kind])
    try:
        with pytest.raises(CitylakeError) as caught:
            filing.deliver(full=True)
    finally:
        filing.city.settings.store_secret(filing.kind, address)
    assert PASSWORD not in str(caught.value) and SECRET not in str(caught.value)


def test_a_link_of_the_recipient_leads_nowhere(
    desk: tuple[City, Desk], stores: dict[str, Backend], tmp_path: Path
) -> None:
    filing = Filing(*desk, "folder", stores["folder"], tmp_path)
    filing.city.release(PERSONS)
    filing.grant()
    target, office = tmp_path / "elsewhere", filing.office("linked")
    target.mkdir()
    office.look().parent.mkdir(exist_ok=True)
    office.look().symlink_to(target)
    task = delivering.FileTask(RECIPIENT, PERSONS, "folder", "linked", ("csv",), "changes", "keep")
    with pytest.raises(CitylakeError):
        delivering.deliver(filing.desk, "linked", task, "test")
    assert not list(target.iterdir())


@pytest.mark.parametrize("filing", ["folder"], indirect=True)
@pytest.mark.parametrize("name", ["_citylake_position.json", "_citylake_position.json.part", "{package}/{file}"])
def test_a_pipe_of_the_recipient_holds_nobody_up(filing: Filing, name: str) -> None:
    package = filing.deliver(full=True).package
    path = filing.office().look() / name.format(package=package, file="LICENCE.txt")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    filing.city.release(PERSONS, 44)
    done = SimpleQueue[Any]()

    def run() -> None:
        try:
            if "{" in name:
                list(filing.outbox().read(name.format(package=package, file="LICENCE.txt")))
            else:
                filing.deliver()
        except CitylakeError as error:
            done.put(error)

    Thread(target=run, daemon=True).start()
    assert isinstance(done.get(timeout=120), CitylakeError), "it is told, and nobody waits for it"


def test_nothing_that_a_recipient_writes_makes_us_stumble(filing: Filing) -> None:
    office, deep = filing.office(), "[" * 200_000
    nested = json.dumps({"statement": deep, "signature": "00"}).encode()
    filing.deliver(full=True)
    for text in (deep.encode(), nested, b" " * (3 << 20), b"\xff"):
        office.put("_citylake_position.json", text)
        assert filing.deliver().how == "unchanged"
        assert json.loads((office.look() / "_citylake_position.json").read_bytes())["state"] == "current"


@pytest.mark.parametrize("filing", ["folder", "sftp"], indirect=True)
def test_a_folder_in_a_package_goes_with_it_but_nothing_behind_a_link(filing: Filing, tmp_path: Path) -> None:
    outbox, look = filing.outbox(), filing.office().look()
    kept = look / "kept"
    for folder in (look / "000001-v0" / "a" / "b", kept):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    (look / "000001-v0" / "a" / "link").symlink_to("../../kept")
    outbox.remove("000001-v0")
    outbox.close()
    assert not (look / "000001-v0").exists() and (kept / "file").exists()


def test_the_command_delivers_lists_and_writes_receipts(filing: Filing, tmp_path: Path) -> None:
    runner, settings = CliRunner(), filing.city.settings
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    done = runner.invoke(app, ["deliver", "run", f"{filing.kind}_files", "--full"], env=where)
    assert done.exit_code == 0, done.output
    package = json.loads(done.stdout)["package"]
    told = runner.invoke(app, ["deliver", "receipt", f"{filing.kind}_files", str(tmp_path / "receipt")], env=where)
    assert json.loads(told.stdout)["package"] == package
    for file in (filing.office().look() / package).glob("person_of_division*"):
        shutil.copyfile(file, tmp_path / "receipt" / file.name)
    said = json.loads((tmp_path / "receipt" / "statement.json").read_text("utf-8"))
    recipients = {one.name: one.organisation for one in administration.list_recipients(filing.city.register)}
    assert said["organisation"] == recipients[said["recipient"]]
    offline = verified(tmp_path / "receipt", "--key", tmp_path / "receipt" / "key.pem")
    assert offline.returncode == 0 and offline.stdout.count("在回执中") == 2, offline.stdout
    listed = [json.loads(line) for line in runner.invoke(app, ["deliver", "list"], env=where).stdout.splitlines()]
    (mine,) = [one for one in listed if one["delivery"] == f"{filing.kind}_files"]
    assert (mine["kind"], mine["package"], mine["how"]) == ("files", package, "snapshot") and len(listed) == 15
    unknown = runner.invoke(app, ["deliver", "run", "nothing"], env=where)
    assert unknown.exit_code == 1 and "nothing" in unknown.output
