"""What a bundle says beside its chains, the city's clock and the program that checks it: heads sign both, so whoever
kept heads is told of another one, even if the thief of the signing key put it there."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipelines.register import Register, chain, heads
from pipelines.release import check
from pipelines.release.ledger import REFUSAL, Entry, Ledger
from tests.release.test_bundle import AGES, RESIGNED, ZONE, House, build, checked, found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path / "house")


def signed_again(house: House, folder: Path, **said: object) -> None:
    """Put these words into the manifest of a bundle, with the hashes of the files that now lie there, and sign it with
    the stolen key."""
    manifest = json.loads((folder / "manifest.json").read_bytes()) | said
    manifest["files"] = {name: check.sha256(folder / name) for name in manifest["files"]}
    message = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(message)
    signature = json.loads((folder / check.SIGNATURE).read_bytes()) | {"signature": house.signer.sign(message).hex()}
    (folder / check.SIGNATURE).write_text(json.dumps(signature))


def test_another_clock_in_the_manifest_is_told_and_moves_no_day(house: House, tmp_path: Path) -> None:
    rows = house.rows()
    for number, row in enumerate(rows):
        row["at"] = datetime(2026, 3, 1, 15, 30, tzinfo=UTC) + timedelta(days=number)
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    asked = ("--published-on", "2026-03-01")
    before = [line for line in checked(folder, *asked)[1].splitlines() if "released 2026" in line]
    signed_again(house, folder, utc_offset_minutes=0)
    code, output = checked(folder, *asked)
    assert code == 1 and found(output) == [
        "the manifest says that the city's clock is UTC+0000, head 3 signed UTC+0800: it was rewritten"
    ]
    assert [line for line in output.splitlines() if "released 2026" in line] == before != []


@pytest.mark.parametrize("key", ["utc_offset_minutes", "check"])
def test_another_clock_or_program_in_the_heads_is_told_by_heads_kept_elsewhere(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    forged = {"utc_offset_minutes": ("offset_minutes", 0), "check": ("program", "0" * 64)}
    name, value = forged[key]
    monkeypatch.setattr(heads, name, lambda *_: value)
    house.sign_again(house.rows())
    folder = house.export(tmp_path / "bundle")
    told = found(checked(folder, "--heads", house.kept)[1])
    differing = [one for one in told if "is not the one you kept" in one]
    assert [one.split(" (")[0] for one in differing] == ["head 1", "head 2"]


def test_the_day_of_a_row_is_told_by_the_clock_of_its_head(house: House, tmp_path: Path) -> None:
    """Clocks are put forward: what was written at the same hour by UTC falls on another day of the city."""
    rows, berlin = house.rows(), ZoneInfo("Europe/Berlin")
    for number, row in enumerate(rows):
        row["at"] = datetime(2026, 3, 28 if number < RESIGNED else 30, 22, 30, tzinfo=UTC) + timedelta(seconds=number)
    clocks = iter([60, 60, 120])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "offset_minutes", lambda *_: next(clocks))
        house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    for day, newest in (("2026-03-28", RESIGNED), ("2026-03-30", RESIGNED), ("2026-03-31", len(rows))):
        code, output = checked(folder, "--published-on", day)
        assert code == 0 and f"ledger row {newest}," in output, (day, output)
    said = max(row["at"] for row in rows).replace(tzinfo=UTC).astimezone(berlin)
    assert f"released {said.isoformat(timespec='seconds')}" in output


def test_heads_of_older_versions_say_no_clock_and_that_is_told(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = heads._made

    def older(*arguments: Any) -> heads.Head:
        one = made(*arguments)
        said = {name: value for name, value in one.says.items() if name not in ("utc_offset_minutes", "check")}
        text = chain.canonical(said)
        return heads.Head(one.sequence, one.last, text, house.signer.sign(text.encode()).hex(), one.leaves)

    monkeypatch.setattr(heads, "_made", older)
    house.sign_again(house.rows())
    monkeypatch.undo()
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder)
    assert code == 0 and "heads 1-3 are of an older version" in output and "UTC+0800" in output
    signed_again(house, folder, utc_offset_minutes=10**20)
    assert checked(folder)[0] == 2
    signed_again(house, folder, utc_offset_minutes=0)
    assert "UTC+0000, for which only its signature vouches" in checked(folder)[1]


def test_another_program_in_the_bundle_is_told_by_the_one_that_was_kept(house: House, tmp_path: Path) -> None:
    folder, mine = house.export(tmp_path / "bundle"), tmp_path / "check.py"
    shutil.copy(folder / "check.py", mine)

    def told() -> str:
        command = [sys.executable, "-I", str(mine), str(folder), "--heads", str(house.kept)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert "✗" not in told() and "upgraded since" not in told()
    (folder / "check.py").write_text("print('✓')\n", "utf-8")
    signed_again(house, folder)
    (problem,) = found(told())
    assert "it was replaced, do not run it" in problem and check.sha256(folder / "check.py") in problem


def test_a_program_of_a_later_version_is_no_problem_and_is_told(house: House, tmp_path: Path) -> None:
    kept, register = house.kept, Register(house.settings.register_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "program", lambda: "0" * 64)
        house.sign_again(house.rows())
        kept.write_text("".join(f"{one.line()}\n" for one in heads.listed(register)), "utf-8")
    Ledger(register).record([Entry(REFUSAL, AGES, "later", None, {})])
    heads.seal(register, house.signer, ZONE)
    register.close()
    code, output = checked(house.export(tmp_path / "bundle"), "--heads", kept)
    assert code == 0 and "is not the one of head 3 that you kept" in output
