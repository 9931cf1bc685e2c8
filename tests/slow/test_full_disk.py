"""A full disk at any stage: a clear message, the last good version stays, and room is all the next run needs.

Runs in a mount namespace of its own with a small tmpfs as home, which works as root and, where the kernel allows user
namespaces, as anybody.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.messages import CitylakeError
from pipelines.run import opened
from pipelines.settings import Settings
from tests.city import REPOSITORY, Town, seed_from_clock

pytestmark = pytest.mark.slow

DISK = 96 << 20


def test_a_full_disk_harms_nothing(tmp_path: Path) -> None:
    town = Town(tmp_path, persons=3_000, seed=9)
    try:
        seed = seed_from_clock()
        print(f"\nfull-disk seed {seed} (repeat with CITYLAKE_TEST_SEED)")
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        inside = [sys.executable, "-m", "tests.slow.test_full_disk", str(tmp_path), str(seed)]
        result = subprocess.run(
            ["unshare", *user, "--mount", *inside], cwd=REPOSITORY, capture_output=True, text=True, timeout=3600
        )
        print(result.stdout)
        assert result.returncode == 0, result.stderr[-3000:]
    finally:
        town.close()


def main(folder: Path, seed: int) -> None:
    home = folder / "lake home"
    secret = (home / "secrets" / "psb_dsn").read_text("utf-8")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(home)], check=True)
    town = Town(folder, persons=3_000, seed=9)
    assert (home / "secrets" / "psb_dsn").read_text("utf-8") == secret
    town.run("first")
    dice, full = random.Random(seed), 0
    for _ in range(10):
        town.city.tick()
        before = town.published()
        left = int(dice.choice([0, 0.05, 0.2, 0.5, 1, 2, 4, 8]) * dice.uniform(0.5, 1.5) * (1 << 20))
        ballast = fill(home, left)
        message = attempt(town)
        ballast.unlink()
        full += "磁盘" in message
        after = town.published()
        assert set(after) == set(before)
        assert message or after != before
        for subject, entry in after.items():
            assert town.rows(subject, "count(*)") == [(entry.body["rows"],)]
        print(f"{left >> 10} KiB left: {message.splitlines()[0] if message else 'enough'}")
        recovered = attempt(town)
        assert recovered == "", recovered
        assert town.published() != before
    assert full >= 3, "the disk was hardly ever full: choose other sizes"


def fill(home: Path, left: int) -> Path:
    ballast = home / "ballast"
    stat = os.statvfs(home)
    with ballast.open("wb") as file:
        file.write(b"\0" * max(stat.f_bavail * stat.f_frsize - left, 0))
    return ballast


def attempt(town: Town) -> str:
    """One run in a process of its own; its messages if anything went wrong."""
    code = "import sys; from pathlib import Path; from tests.slow.test_full_disk import once; once(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(town.settings.home)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def once(home: Path) -> None:
    """A run as the command line does it: what a person can act on is told, anything else is a traceback."""
    settings = Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")
    try:
        with opened(settings, "once") as run:
            for source in run.contracts.sources:
                if (ingested := run.ingest(source)).message:
                    print(ingested.message)
            run.publish()
            for issue in run.issues.open():
                if issue["severity"] == "error":
                    print(issue["text"]["zh"])
    except CitylakeError as error:
        print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
