"""Connectors of installed packages, found by real distributions in a folder of their own; in a new process where it is
about what a process says.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.connectors import discovery
from pipelines.connectors.base import connectors
from pipelines.messages import CitylakeError
from tests.connectors.rest_server import Server, as_json

REPOSITORY = Path(__file__).resolve().parents[2]

TOWN = '''
"""Connector `town_hall`: one row."""
from pipelines.connectors.base import About, Pulled, Request, connectors, write_rows

@connectors.register(About(asks=True))
def town_hall(request: Request, *, connection: str, desk: int) -> Pulled | None:
    """Ask one desk."""
    print("asked desk", desk)
    return Pulled(write_rows(request, ["id"], iter([["1", ""]])), ("id",), f"{connection}:{desk}")
'''
PULL = """
from pathlib import Path
import sys
from pipelines.contracts.load import load
load(Path("data_contracts")), load(Path("data_contracts"))
import pipelines.connectors
from tests.connectors.conftest import Puller
print(Puller(Path(sys.argv[1]), "town_hall", "", ["id"]).pull(desk=3))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


def install(site: Path, package: str, verb: str, text: str) -> None:
    """Lay out a distribution as pip does."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(text, "utf-8")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[citylake.connectors]\n{verb} = {module}\n", "utf-8")
    (info / "RECORD").write_text(f"{module}.py,,\n", "utf-8")


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "CITYLAKE_HOME": str(site / "home"),
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.fixture
def refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """What is told when the packages of the folder are refused; afterwards nobody has heard of them."""
    before, modules = dict(connectors), set(sys.modules)
    monkeypatch.setattr(discovery, "_loaded", {})

    def told() -> str:
        monkeypatch.syspath_prepend(site)
        with pytest.raises(CitylakeError) as error:
            discovery.load_installed.__wrapped__()
        return str(error.value)

    yield told
    discovery._restore(before)
    for name in {one for one in sys.modules if one.endswith("_connector")} - modules:
        del sys.modules[name]


def test_a_connector_is_one_file_of_an_installed_package(site: Path, tmp_path: Path) -> None:
    install(site, "town-connector", "town_hall", TOWN + "print('imported')\n")
    found = run(site, "-c", PULL, str(tmp_path / "pulls"))
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["imported", "asked desk 3", "[{'id': '1', '_unread': None}]"]


DESK = """
from pathlib import Path
import sys
from pipelines.connectors.discovery import load_installed
from pipelines.messages import CitylakeError
from tests.connectors.conftest import Puller
load_installed()
hall = Puller(Path(sys.argv[1]), "town_hall", sys.argv[2], ["no", "what"])
for desk in (3, 3, 4, 5):
    try:
        print(hall.pull(desk=desk))
    except CitylakeError as error:
        print(error.code)
"""


@pytest.mark.server
@pytest.mark.long
def test_the_connector_of_the_documentation_works(site: Path, tmp_path: Path) -> None:
    """Rows, nothing new, a column that is missing, and nobody who answers."""
    text = (REPOSITORY / "docs/connectors.md").read_text("utf-8").split("## A connector of your own")[1]
    install(site, "town-connector", "town_hall", text.split("```python\n")[1].split("```")[0])
    desks = {"/desks/3": [{"no": 1, "what": "路灯"}, {"no": 2}], "/desks/4": [{"no": 3, "where": "桥"}]}
    server = Server(lambda asked: as_json(desks[asked.path]) if asked.path in desks else (404, {}, b""))
    found = run(site, "-c", DESK, str(tmp_path / "pulls"), server.url)
    server.stop()
    assert found.returncode == 0, found.stderr
    rows = "[{'no': '1', 'what': '路灯', '_unread': None}, {'no': '2', 'what': None, '_unread': None}]"
    assert found.stdout.splitlines() == [rows, "None", "pull.columns_missing", "pull.unreachable"]


@pytest.mark.long
def test_a_package_that_does_not_import_is_named(site: Path) -> None:
    install(site, "town-connector", "town_hall", TOWN + "import no_such_driver\n")
    found = run(site, "-m", "citylake", "contract", "check")
    assert found.returncode != 0
    assert "Traceback" not in found.stderr
    text = " ".join((found.stdout + found.stderr).split())
    assert "town-connector 1.0" in text
    assert "town_hall" in text
    assert "ModuleNotFoundError" in text


def test_two_packages_with_one_name_are_refused(site: Path, refused: Callable[[], str]) -> None:
    install(site, "town-connector", "town_hall", TOWN)
    install(site, "other-connector", "town_hall", TOWN)
    text = refused()
    assert "town-connector 1.0" in text
    assert "other-connector 1.0" in text


def test_a_package_cannot_replace_a_connector_of_the_list(site: Path, refused: Callable[[], str]) -> None:
    install(site, "town-connector", "database", TOWN.replace("town_hall", "database"))
    text = refused()
    assert "town-connector 1.0" in text
    assert "database" in text


@pytest.mark.parametrize("text", ["", TOWN.replace("town_hall", "village_hall")])
def test_a_package_must_register_what_it_declares(site: Path, refused: Callable[[], str], text: str) -> None:
    install(site, "town-connector", "town_hall", text)
    assert "town-connector 1.0" in refused()
