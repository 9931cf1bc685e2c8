"""Made-up data say so wherever somebody could take them for real, and are not published without."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.delivery.downloads import about_book
from catalog.delivery.files.datapackage import describe
from catalog.policy.callers import Caller
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Entry, Ledger
from pipelines.run import opened
from pipelines.settings import REPOSITORY, Settings
from pipelines.synthetic import feed, is_test, require_mark, said
from tests.city import Town, published_town

pytestmark = pytest.mark.enable_socket

OPEN = "open/age_structure_by_county"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    made = Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")
    made.prepare()
    return made


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    register = Register(settings.register_url)
    register.upgrade()
    yield Ledger(register)
    register.close()


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    """A folder for deliveries of a simulated city."""
    folder = tmp_path / "a city" / "drops" / "hc"
    folder.mkdir(parents=True)
    (tmp_path / "a city" / "simulator.json").write_text("{}", "utf-8")
    return folder


def test_a_home_of_real_sources_needs_no_mark(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "drops").mkdir()
    settings.store_secret("hc_drop", (tmp_path / "drops").as_uri())
    require_mark(settings, ledger)
    assert not is_test(settings) and said(settings) == {}


@pytest.mark.parametrize("by", ["secret", "variable", "own city"])
def test_a_home_that_a_simulator_feeds_runs_nothing_without_the_mark(
    settings: Settings, simulated: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "secret":
        settings.store_secret("hc_drop", simulated.as_uri())
    elif by == "variable":
        monkeypatch.setenv("CITYLAKE_SECRET_HC_DROP", simulated.as_uri())
    else:
        (settings.home / "city").mkdir()
        (settings.home / "city" / "simulator.json").write_text("{}", "utf-8")
    with pytest.raises(CitylakeError) as caught, opened(settings, "unmarked"):
        pass
    assert caught.value.code == "run.no_test_mark" and "is_test" in str(caught.value)
    feed(settings, {"hc_drop": simulated.as_uri()})
    with opened(settings, "marked"):
        pass


def test_the_mark_cannot_be_taken_from_what_was_published(settings: Settings, ledger: Ledger) -> None:
    ledger.record([Entry(RELEASE, OPEN, "e", 0, {"is_test": True})])
    with pytest.raises(CitylakeError, match="age_structure"):
        require_mark(settings, ledger)
    ledger.record([Entry(WITHDRAWAL, OPEN, "e", None, {})])
    require_mark(settings, ledger)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("marked"))
    yield town
    town.close()


def test_all_that_a_town_published_says_so(town: Town, contracts: Contracts) -> None:
    assert town.published().keys() >= {*contracts.models, *contracts.products}
    for subject, entry in town.published().items():
        location = town.settings.lake.subject(subject)
        assert entry.body["is_test"] is True, subject
        assert delta.open_table(location).metadata().description == "is_test", subject
        assert delta.commit_metadata(location, entry.version or 0)["is_test"] == "true", subject
    with duckdb.connect(str(town.settings.marts), read_only=True) as con:
        told = con.execute("SELECT comment FROM duckdb_tables() WHERE schema_name <> 'information'").fetchall()
    assert told and all(comment.endswith("[is_test]") for (comment,) in told)


def test_every_answer_of_the_catalogue_says_so(town: Town, contracts: Contracts) -> None:
    app = create_app(town.settings)
    client = TestClient(app, base_url="http://127.0.0.1")
    for road in ("/", "/datasets", f"/datasets/{OPEN}", "/datasets/open/nothing", "/rows", "/delta-sharing/shares"):
        assert client.get(road).headers["is-test"] == "true", road
    assert "演示数据（is_test）" in client.get("/").text and "is_test" in client.get("/quality?print=1").text
    (first, *_) = csv.DictReader(io.StringIO(client.get(f"/datasets/{OPEN}/dictionary.csv").text.lstrip("\ufeff")))
    assert first["is_test"] == "true"
    assert client.get(f"/datasets/{OPEN}/dictionary.json").json()["is_test"] is True
    desk = app.state.desk
    admission = desk.admit(Caller(), OPEN, "product.get", "rows")
    held, offering = desk.views.extract(admission.allowed), admission.offering
    assert describe(contracts, offering, held, [], None, [], {}, made_up=bool(desk.said))["citylake:is_test"] is True
    book = about_book(offering, "http://x", admission.allowed, held.columns, held.rows, bool(desk.said))
    assert dict(book.facts)["web.sheet.is_test"]
