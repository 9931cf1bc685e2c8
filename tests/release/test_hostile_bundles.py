"""Bundles made by somebody who wants check.py to say something else, or nothing: names in archives, names that paint
over what a terminal shows, times of long ago, files that are damaged. It tells each, and never ends in a traceback."""

import random
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from pipelines.register import Register, heads
from pipelines.release import check
from pipelines.release.ledger import APPROVAL, PROPOSAL, RELEASE, Entry, Ledger
from tests.city import seed_from_clock
from tests.evidence.test_signed_approvals import AT
from tests.release.test_bundle import AGES, ROADS, ZONE, House, build, checked, commit, found
from tests.release.test_clock_and_program import signed_again

Said = tuple[int, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def own(tmp_path: Path) -> House:
    return build(tmp_path / "own")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """check.py in this process: what it raises is raised here."""

    def told(*options: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["check.py", *map(str, options)])
        code = check.main()
        return code, capsys.readouterr().out

    return told


def packed(folder: Path, target: Path, more: Mapping[str, bytes]) -> Path:
    """A bundle as one file, with other entries before its own."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in more.items():
            archive.writestr(name, content)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["pack.pdf", "PACK.PDF", "../pack.pdf", "/pack.pdf", "./pack.pdf", "evidence\\x"])
def test_an_archive_in_which_programs_find_different_files_is_told(
    house: House, tmp_path: Path, run: Callable[..., Said], name: str
) -> None:
    """The entry that is unpacked last is the genuine one; who opens the archive by hand may see the first."""
    folder = house.export(tmp_path / "bundle")
    assert run(packed(folder, tmp_path / "good.zip", {"evidence/": b""}))[0] == 0, "a folder that was packed by hand"
    code, said = run(packed(folder, tmp_path / "bad.zip", {name: b"forged"}))
    assert code == 1 and f"the archive has {name.encode('unicode_escape').decode()}" in said.replace("\\", "\\\\")


def test_links_and_hidden_folders_are_no_files_of_a_bundle(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    (folder / "more").symlink_to(house.settings.home)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "pack.pdf").write_bytes(b"x")
    unknown = [f"file {name} is not in the manifest: it was added" for name in ("__pycache__/pack.pdf", "gone", "more")]
    assert found(checked(folder)[1]) == unknown


def test_no_name_paints_over_what_is_told(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    for name in (
        b"\x1b[2J\r\xe2\x9c\x93 \xe6\xa0\xb8\xe9\xaa\x8c\xe9\x80\x9a\xe8\xbf\x87",
        b"\xff",
        "\u202etxt".encode(),
    ):
        Path(str(folder) + "/" + name.decode("utf-8", "surrogateescape")).write_bytes(b"")
    code, output = checked(folder)
    assert code == 1 and len(found(output)) == 3
    assert all(sign.isprintable() for line in output.splitlines() for sign in line)
    assert not any(line.startswith("✓") for line in output.splitlines())


def test_a_row_added_under_an_earlier_time_is_told_though_the_key_signed_it(
    own: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads that were kept are whole, so only its time tells that the row came later."""
    last = own.rows()[-1]
    earlier = last["at"].replace(tzinfo=UTC) - timedelta(days=7)
    monkeypatch.setattr("pipelines.register.chain.now", lambda: earlier)
    monkeypatch.setattr("pipelines.register.heads.now", lambda: earlier - timedelta(hours=1))
    register = Register(own.settings.register_url)
    Ledger(register).record([Entry(RELEASE, AGES, "e99", 99, {"rows": 1, "as_of": "2026-11-01"})])
    heads.seal(register, own.signer, ZONE)
    register.close()
    monkeypatch.undo()
    code, output = checked(own.export(tmp_path / "bundle"), "--heads", own.kept)
    row, head = found(output)
    assert code == 1 and f"row {last['sequence'] + 1} says it was written at" in row
    assert "head 4 says it was made at" in head and f"before ledger row {last['sequence'] + 1}" in head


def test_what_no_row_names_is_told_of_a_delta_log(house: House, tmp_path: Path) -> None:
    folder, copy = house.export(tmp_path / "bundle"), tmp_path / "lake"
    shutil.copytree(house.settings.lake.root, copy)
    assert "versions later than the ledger names" not in checked(folder, "--lake", copy)[1]
    table = copy / house.data(ROADS).parent.relative_to(house.settings.lake.root)
    commit(table, 12, [{"add": {"path": "forged.parquet", "size": 1}}])
    (table / "_delta_log" / f"{0:020}.{11:020}.compacted.json").write_text("")
    code, output = checked(folder, "--lake", copy)
    assert code == 0 and f"1 tables have versions later than the ledger names, {ROADS} among them" in output
    assert "1 tables have checkpoints or compacted commits" in output


def test_words_that_nobody_signed_take_no_time() -> None:
    """Each approval asks whether one before it counted: of many that do not the question must not double each time."""
    proposal = check.Row(1, b'{"edition":"e"}', 1, "", PROPOSAL, AGES, None, AT, {"who": "甲", "terms": "t"})
    key = check.Row(
        1, b"{}", 0, "", "approver_key", "approvers", None, AT, {"user": "乙", "key": "00", "algorithm": "x"}
    )
    words = [
        proposal._replace(sequence=number, kind=APPROVAL, body={"who": "乙", "proposal": 1, "key": 0, "signature": ""})
        for number in range(2, 2000)
    ]
    assert not check.answers(words[-1], proposal, [proposal, *words], [key])


def test_kept_heads_with_a_separator_of_lines_in_a_word_are_read(house: House, tmp_path: Path) -> None:
    """Of Unicode's separators of lines only the one that files have ends a head."""
    folder, kept = house.export(tmp_path / "bundle"), tmp_path / "kept.jsonl"
    lines = house.kept.read_text("utf-8").splitlines()
    kept.write_text("\n".join(f'{line[:-1]},"note":"\u2028\x85"}}' for line in lines), "utf-8")
    assert checked(folder, "--heads", kept)[0] == 0
    kept.write_bytes(house.kept.read_bytes() + b"\xff\n")
    assert found(checked(folder, "--heads", kept)[1]) == [f"{kept}: line {len(lines) + 1} is not a head"]


HUGE = b"9" * 5000


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Content that is cut, doubled, or has other values."""
    lines, place = content.splitlines(keepends=True), draw.randrange(len(content) + 1)
    line = draw.randrange(len(lines) or 1)
    return draw.choice(
        (
            content[:place],
            content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :],
            b"".join([*lines[: line + 1], *lines[line:]]),
            b"".join(draw.sample(lines, len(lines))),
            content.replace(
                str(draw.randrange(13)).encode(), draw.choice((HUGE, b"-1", b"1e999", b"NaN", b"null", b'"x"'))
            ),
            content.replace(b'"', draw.choice((b"", b"[", b'\\"', b"\\ud800"))),
            content.replace(b"2026", draw.choice((b"0001", b"9999", b"20260", "２０２６".encode()))),
            content.replace(b"{", b"[" * draw.choice((1, 100_000)), 1),
            b"[]",
            b"\xef\xbb\xbf" + content,
            content.decode("latin-1").encode("utf-16"),
        )
    )


@pytest.mark.parametrize("thief", [False, True], ids=["found", "signed again by a thief of the key"])
def test_no_damage_ends_in_a_traceback(house: House, tmp_path: Path, run: Callable[..., Said], thief: bool) -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    draw, folder = random.Random(seed), house.export(tmp_path / "bundle")
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    texts = [name for name in names if name.endswith((".json", ".jsonl", ".sig", ".pem"))]
    asked = ("--published-on", "2026-11-28", "--received", AGES, "--lake", house.settings.lake.root)
    for _ in range(30):
        copy, name = tmp_path / "damaged", draw.choice(texts)
        shutil.copytree(folder, copy)
        content = (folder / name).read_bytes()
        (copy / name).write_bytes(bad := damaged(draw, content))
        if thief and name not in ("manifest.json", check.SIGNATURE):
            signed_again(house, copy)
        code, said = run(copy, *asked, "--heads", draw.choice((house.kept, copy / "heads.jsonl")))
        assert code or thief or bad == content or name == check.SIGNATURE, (name, said)
        shutil.rmtree(copy)


def test_no_damaged_archive_ends_in_a_traceback(house: House, tmp_path: Path, run: Callable[..., Said]) -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    draw, content = random.Random(seed), house.export(tmp_path / "bundle.zip").read_bytes()
    for _ in range(80):
        (tmp_path / "damaged.zip").write_bytes(damaged(draw, content))
        run(tmp_path / "damaged.zip")
