"""Released versions end when others stood in their place long enough; the ledger says so to all."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.lake.checksums import checksums, named
from pipelines.lake.errors import LacksChecksums
from pipelines.messages import CitylakeError
from pipelines.release.files import changes_of, data_files
from pipelines.release.ledger import ERASURE, RELEASE, RETENTION, Entry
from pipelines.release.publish import files_folder
from pipelines.release.verify import releases
from pipelines.retention import ended, holds
from tests.retention.homes import Home, only, values
from tests.traces import traces

TODAY = date(2026, 11, 26)
MODEL = "lib_population__registered"
PERSON, HISTORY = "lib_population__person", "lib_population__person_history"


def day(ago: int) -> date:
    return TODAY - timedelta(ago)


@pytest.fixture
def home(contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A model of four versions, published 90, 60, 30 and 0 days ago; an extra file stays the same."""
    home = Home(tmp_path, only(contracts, models=[MODEL], registered="30d"))
    for ago in (90, 60, 30, 0):
        home.release(MODEL, day(ago), f"SELECT 'version-{ago}-x' AS said", monkeypatch)
    return home


def states(home: Home) -> list[str]:
    return [one.state for one in releases(home.lake, home.ledger)]


def test_versions_end_when_their_period_is_over(home: Home) -> None:
    (due,) = home.search.due(TODAY).due
    assert (due.layer, due.rows, due.files, due.since) == ("released", 2, 2, day(30))
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and {version: new for version, (_, new) in body["releases"][MODEL].items()} == {
        "0": None,
        "1": None,
    }
    assert states(home) == ["ended", "ended", "unchanged", "unchanged"]
    assert not traces(home.settings.home, ["version-90-x", "version-60-x"])
    assert home.rows(home.lake.subject(MODEL), "said", 2) == [("version-30-x",)]
    assert home.ledger.released_versions()[MODEL] == {2, 3}
    assert home.retention.apply(TODAY, "甲", "期满") is None and len(home.ledger.of_kind(RETENTION)) == 1
    assert home.retention.apply(TODAY + timedelta(29), "甲", "期满") is None
    assert home.retention.apply(TODAY + timedelta(30), "甲", "期满") is not None
    assert states(home) == ["ended", "ended", "ended", "unchanged"]


def test_a_version_that_is_gone_without_a_word_is_corrupt(home: Home) -> None:
    home.retention.apply(TODAY, "甲", "期满")
    for file in home.lake.subject(MODEL).glob("*.parquet"):
        if file.stat().st_size:
            file.unlink()
    assert states(home) == ["ended", "ended", "corrupt", "corrupt"]


def test_the_command_tells_every_version_that_was_changed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changed one may have changed others, and hidden them behind it."""
    changed = [home.lake.root / one.body["data"][0]["path"] for one in home.ledger.releases()][1:3]
    for path in changed:
        path.write_bytes(path.read_bytes()[::-1])
    monkeypatch.setenv("CITYLAKE_HOME", str(home.settings.home))
    told = CliRunner().invoke(app, ["verify"])
    assert told.exit_code == 1 and "releases: OK" not in told.output
    assert [str(path) in told.output for path in changed] == [True, True], told.output


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"description":null', '"description":"is_test"', "description"),
        ('"name":null', '"name":"假"', "name"),
        ('"delta.enableExpiredLogCleanup":"false"', '"delta.enableExpiredLogCleanup":"true"', "configuration"),
        ('\\"metadata\\":{}', '\\"metadata\\":{\\"comment\\":\\"假\\"}', "said"),
        ('\\"nullable\\":true', '\\"nullable\\":false', "said"),
    ],
)
def test_what_a_delta_log_says_besides_files_is_as_we_write_it(home: Home, before: str, after: str, told: str) -> None:
    log = home.lake.subject(MODEL) / "_delta_log" / f"{0:020}.json"
    text = log.read_text("utf-8")
    assert text.count(before) == 1
    log.write_text(text.replace(before, after), "utf-8")
    found = list(releases(home.lake, home.ledger))
    assert {one.state for one in found} == {"corrupt"}
    assert {one.what for one in found} == {f"{log.parent} ({told})"}


def test_a_changed_byte_is_found_in_every_version_that_has_it(home: Home) -> None:
    home.release(MODEL, TODAY, "SELECT 'version-0-x' AS said", pytest.MonkeyPatch())
    (path,) = {Path(one["path"]) for one in home.ledger.published()[MODEL].body["data"]}
    content = bytearray((home.lake.root / path).read_bytes())
    content[len(content) // 2] ^= 1
    (home.lake.root / path).write_bytes(content)
    found = [one for one in releases(home.lake, home.ledger) if one.state == "corrupt"]
    assert {one.what for one in found} == {f"{home.lake.root / path} (SHA-256, SM3)"}
    home.release(MODEL, TODAY, "SELECT 'other' AS said", pytest.MonkeyPatch())
    assert [one.version for one in releases(home.lake, home.ledger) if one.state == "corrupt"] == [
        one.version for one in found
    ]


@pytest.mark.parametrize(("key", "name"), [("sha256", "SHA-256"), ("sm3", "SM3")])
def test_a_receipt_with_one_wrong_hash_says_which(
    home: Home, monkeypatch: pytest.MonkeyPatch, key: str, name: str
) -> None:
    body = home.ledger.published()[MODEL].body
    version = home.ledger.published()[MODEL].version
    wrong = [{**one, key: "0" * 64} for one in body["data"]]
    home.ledger.record([Entry(RELEASE, MODEL, "forged", version, {**body, "data": wrong})])
    (found,) = [one for one in releases(home.lake, home.ledger) if one.state == "corrupt"]
    assert found.what == f"{home.lake.root / wrong[0]['path']} ({name})"


def test_a_data_file_keeps_the_hashes_of_its_first_release(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was changed meanwhile is not attested anew by the next version that has it."""
    newest = home.ledger.published()[MODEL]
    assert newest.version is not None
    location = home.lake.subject(MODEL)
    (said,) = newest.body["data"]
    path = home.lake.root / said["path"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert data_files(home.lake, location, newest.version, newest, {}) == [said]
    assert data_files(home.lake, location, newest.version, None, {}) != [said]
    since = checksums(path)
    order = {"files": {f"lake/{said['path']}": [named(said), since]}, "releases": {}}
    home.ledger.record([Entry(ERASURE, "K-1", "e", None, order)])
    changes = changes_of(home.ledger.rewritings())
    assert data_files(home.lake, location, newest.version, newest, changes) == [{**said, **since}]


def test_a_receipt_from_before_both_hashes_is_told_with_what_to_do(home: Home) -> None:
    """The next release reads every file once; what the old one was cannot be verified."""
    newest = home.ledger.published()[MODEL]
    assert newest.version is not None
    said = newest.body.pop("data")
    assert data_files(home.lake, home.lake.subject(MODEL), newest.version, newest, {}) == said
    files = [{"name": "rows.csv", "sha256": "0" * 64}]
    for body in (newest.body, {**newest.body, "data": said, "files": files}):
        home.ledger.record([Entry(RELEASE, MODEL, "older", newest.version, body)])
        with pytest.raises(LacksChecksums, match="CITYLAKE_HOME"):
            list(releases(home.lake, home.ledger))


def test_a_held_dataset_stays_until_the_hold_is_lifted_or_over(home: Home) -> None:
    hold = holds.give(home.ledger, home.contracts, MODEL, "甲", "法院调取", TODAY, TODAY)
    other = holds.give(home.ledger, home.contracts, MODEL, "乙", "审计", None, TODAY)
    (due,) = home.search.due(TODAY).due
    assert due.held == other.number and home.retention.apply(TODAY, "甲", "期满") is None
    assert states(home) == ["unchanged"] * 4
    holds.lift(home.ledger, other.number, "乙", "审计结束", TODAY)
    with pytest.raises(CitylakeError, match=str(hold.number)):
        holds.lift(home.ledger, other.number, "乙", "再来", TODAY)
    assert [one.number for one in holds.in_force(home.ledger, TODAY)] == [hold.number]
    assert home.retention.apply(TODAY, "甲", "期满") is None
    assert not holds.in_force(home.ledger, TODAY + timedelta(1))
    assert home.retention.apply(TODAY + timedelta(1), "甲", "期满") is not None
    for dataset, until in (("no/thing", None), (MODEL, day(1))):
        with pytest.raises(CitylakeError):
            holds.give(home.ledger, home.contracts, dataset, "甲", "无", until, TODAY)


def test_changes_of_a_history_end_from_the_oldest_on(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path, only(contracts, models=[PERSON, HISTORY], person_history="30d"))
    names = ("person_id", "history_field", "known_in", "known_on", "holds_from", "history_before")
    rows = [
        ("p1", "a", "e1", day(60), day(70), "gone-1"),
        ("p1", "a", "e2", day(50), day(10), "stays-2"),  # announced ahead
        ("p1", "a", "e3", day(45), day(45), "stays-3"),  # known after one that stays
        ("p1", "b", "e4", day(30), day(30), "gone-4"),
        ("p2", "a", "e5", day(29), day(60), "stays-5"),
    ]
    home.release(HISTORY, day(20), values(rows, *names), monkeypatch)
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and body["rows"] == 2 and states(home) == ["shortened"]
    location = home.lake.subject(HISTORY)
    assert home.rows(location, "history_before") == [("stays-2",), ("stays-3",), ("stays-5",)]
    assert not traces(home.settings.home, ["gone-1", "gone-4"])
    with pytest.raises(CitylakeError, match=str(day(30))):
        ended.require_history(home.ledger, HISTORY, date.max, day(30))
    ended.require_history(home.ledger, HISTORY, day(29), day(29))
    assert home.retention.apply(TODAY, "甲", "期满") is None


def test_a_model_version_stays_as_long_as_a_product_of_it(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path, only(contracts, models=[PERSON], person="30d"))
    product = home.contracts.models[PERSON].products[0].id
    downloads = files_folder(home.lake, home.contracts.products[product], 0)
    downloads.mkdir(parents=True)
    (downloads / "rows.csv").write_text("product-x")
    for ago in (90, 60):
        version = home.release(PERSON, day(ago), f"SELECT 'model-{ago}-x' AS said", monkeypatch)
        if ago == 90:
            about = {"model": PERSON, "model_version": version}
            home.release(product, day(ago), "SELECT 'product-x' AS said", monkeypatch, **about)
    assert home.retention.apply(TODAY, "甲", "期满") is None
    about = {"model": PERSON, "model_version": 1}
    home.release(product, day(30), "SELECT 'product-y' AS said", monkeypatch, **about)
    body = home.retention.apply(TODAY, "甲", "期满")
    assert body is not None and {name: list(one) for name, one in body["releases"].items()} == {
        PERSON: ["0"],
        product: ["0"],
    }
    assert not downloads.exists() and not traces(home.settings.home, ["product-x", "model-90-x"])


def test_what_is_asked_of_raw_that_ended_is_refused_by_contract_and_day(contracts: Contracts, tmp_path: Path) -> None:
    home = Home(tmp_path, only(contracts, ["hsb/settlement"], settlement="30d"))
    source = home.contracts.sources["hsb/settlement"]
    home.raw(source, 1, day(40), "SELECT 1 AS i")
    home.raw(source, 2, day(4), "SELECT 1 AS i")
    home.retention.apply(TODAY, "甲", "期满")
    ended.require_raw(home.ledger, source, [2])
    with pytest.raises(CitylakeError, match=f"(?s)第 1 批.*30d.*{TODAY}"):
        ended.require_raw(home.ledger, source, [1, 2])
