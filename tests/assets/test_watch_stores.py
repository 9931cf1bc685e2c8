"""What Dagster watches behind servers: files in a remote store ask for a run as files in a folder do."""

import socket
from pathlib import Path

import pytest

from assets import drops
from assets.drops import look
from assets.sources import source_key
from pipelines.contracts.load import Contracts
from pipelines.settings import Settings
from tests.connectors.store_servers import OLD, backend

pytestmark = pytest.mark.server

SOURCES = [source_key("hc/birth_certificate")]


@pytest.fixture
def settings(tmp_path: Path, repository: Path) -> Settings:
    settings = Settings(tmp_path / "home", repository, 0, 0, f"sqlite:///{tmp_path / 'home' / 'register.db'}")
    settings.prepare()
    return settings


@pytest.mark.parametrize("kind", ["folder", "sftp", "s3"])
def test_a_complete_file_changes_what_is_seen(
    settings: Settings, contracts: Contracts, tmp_path: Path, kind: str
) -> None:
    with backend(kind, tmp_path) as store:
        settings.store_secret("hc_drop", store.address)
        nothing = look(contracts, settings)
        assert nothing[1] == []
        store.put("birth_1.csv", b"half", OLD)
        assert look(contracts, settings) == nothing
        store.put("birth_1.csv.ok", b"")
        first = look(contracts, settings)
        assert first[1] == SOURCES and first[0] != nothing[0]
        assert look(contracts, settings) == first
        store.put("birth_1.csv", b"whole", OLD + 60)
        store.put("birth_1.csv.ok", b"")
        assert look(contracts, settings)[0] != first[0]
    assert look(contracts, settings)[1] == ([] if kind != "folder" else SOURCES)


def test_a_store_that_does_not_answer_holds_up_no_other(
    settings: Settings, contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drops, "PATIENCE", 1.0)
    with backend("folder", tmp_path) as store, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        settings.store_secret("esb_drop", f"sftp://u:p@127.0.0.1:{port}/x?host_key=SHA256:{'A' * 43}")
        settings.store_secret("hc_drop", store.address)
        store.put("birth_1.csv", b"whole", OLD)
        store.put("birth_1.csv.ok", b"")
        assert look(contracts, settings)[1] == SOURCES  # not after the patience of SFTP
