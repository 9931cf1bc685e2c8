"""Heads that leave by themselves: each once, whole, compared with what stands here; nothing that fails ends a run."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.issues import Issues
from pipelines.messages import CitylakeError
from pipelines.register import Register, heads
from pipelines.register.tables import audit, ledger
from pipelines.release import away
from pipelines.release.ledger import REFUSAL, Entry
from pipelines.run import opened
from pipelines.settings import REPOSITORY, Settings
from tests.catalog.small_city import AGES


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def settings(tmp_path: Path, share: Path) -> Settings:
    """A city that sends its heads to the share."""
    made = Settings(tmp_path / "state", tmp_path, 0, 0, f"sqlite:///{tmp_path / 'register.db'}")
    shutil.copytree(REPOSITORY / "data_contracts", made.contracts)
    with (made.contracts / "city.yaml").open("a", encoding="utf-8") as out:
        out.write(f"\nheadsAway: {{folder: {share}}}\n")
    return made


def run(settings: Settings, number: int) -> list[str]:
    """A run with something to sign; the codes of open issues then."""
    with opened(settings, f"run {number}") as one:
        one.ledger.record([Entry(REFUSAL, AGES, f"e{number}", None, {})])
    register = Register(settings.register_url)
    codes = [row["code"] for row in Issues(register).open("heads")]
    register.close()
    return codes


def test_each_head_leaves_once(settings: Settings, share: Path) -> None:
    assert run(settings, 1) == run(settings, 2) == []
    files = sorted(share.iterdir())
    assert [file.name for file in files] == ["ledger-00000001.jsonl", "ledger-00000002.jsonl"]
    register = Register(settings.register_url)
    known = list(heads.listed(register))
    assert "".join(file.read_text("utf-8") for file in files) == "".join(f"{head.line()}\n" for head in known)
    assert away.leave(register, share, settings.home, ledger) == away.leave(register, share, settings.home, audit) == 0
    register.close()


def test_what_could_not_leave_leaves_with_the_next_run(settings: Settings, share: Path) -> None:
    share.rmdir()
    assert run(settings, 1) == ["away.folder"]
    share.mkdir()
    assert run(settings, 2) == [] and len(list(share.iterdir())) == 2


@pytest.mark.parametrize("change", ["signature", "statement", "text", "more"])
def test_a_head_that_differs_from_what_left_is_told(settings: Settings, share: Path, change: str) -> None:
    run(settings, 1)
    (file,) = share.iterdir()
    kept = json.loads(file.read_text("utf-8"))
    if change == "text":
        file.write_text("{", "utf-8")
    elif change == "more":  # the chain here was cut and is shorter than what left
        shutil.copy(file, share / "ledger-00000009.jsonl")
    else:
        file.write_text(json.dumps({**kept, change: kept[change].replace("1", "2")}), "utf-8")
    left = file.read_bytes()
    assert run(settings, 2) == ["away.differs"]
    assert file.read_bytes() == left, "what left is not written again"
    file.write_text(json.dumps({**kept, "stamp": "00"}), "utf-8")
    (share / "ledger-00000009.jsonl").unlink(missing_ok=True)
    assert run(settings, 3) == []


def test_a_folder_of_the_home_is_outside_of_nothing(settings: Settings) -> None:
    run(settings, 1)
    inside = settings.home / "heads"
    inside.mkdir()
    register = Register(settings.register_url)
    with pytest.raises(CitylakeError) as caught:
        away.leave(register, inside, settings.home, ledger)
    assert caught.value.code == "away.in_the_home" and not list(inside.iterdir())
    register.close()
