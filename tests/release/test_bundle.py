"""The bundle for auditors: whatever an attacker who has everything but the heads kept elsewhere changes is told, and
told where, by check.py alone. The register is a small one that nobody else has."""

import ast
import hashlib
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.lake.checksums import checksums
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain, heads
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.signer import SIGNING, Ed25519Signer
from pipelines.register.tables import head, ledger, receipt
from pipelines.release import bundle, check, pack, verify
from pipelines.release.ledger import ERASURE, REFUSAL, RELEASE, RETENTION, WITHDRAWAL, Entry, Ledger
from pipelines.run import opened
from pipelines.settings import REPOSITORY, Settings
from tests.catalog.small_city import AUDITOR, appoint
from tests.city import seed_from_clock
from tests.documents import reading

ZONE = ZoneInfo("Asia/Shanghai")
AGES, ROADS = "open/ages", "open/roads"
BATCHES = (4, 3, 5)
"""How many rows each head signs."""
RESIGNED = sum(BATCHES[:2])
"""Rows that the heads kept elsewhere vouch for."""


@dataclass
class House:
    """A home with a ledger, its heads, evidence and published files; `kept`: heads that were exported earlier."""

    settings: Settings
    kept: Path

    @property
    def signer(self) -> Ed25519Signer:
        return Ed25519Signer(self.settings.key(SIGNING))

    def file(self, version: int, subject: str = AGES) -> Path:
        return self.settings.lake.root / "released" / "files" / subject / f"v{version}" / "rows.csv"

    def data(self, subject: str) -> Path:
        """The one data file of all versions of a subject."""
        return self.settings.lake.root / "released" / "products" / subject / "part-1.parquet"

    def rows(self) -> list[dict[str, Any]]:
        register = Register(self.settings.register_url)
        try:
            return register.rows(sa.select(ledger).order_by(ledger.c.sequence))
        finally:
            register.close()

    def staffed(self, contracts: Contracts) -> None:
        register = Register(self.settings.register_url)
        appoint(register, contracts)
        register.close()

    def change(self, *statements: sa.Executable) -> None:
        """Write into the register past the platform."""
        register = Register(self.settings.register_url)
        with register.begin() as connection:
            for statement in statements:
                connection.execute(statement)
        register.close()

    def sign_again(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put these rows in place of the ledger: numbered, chained and signed again with the stolen key."""
        self.change(sa.delete(ledger), sa.delete(head))
        register, previous = Register(self.settings.register_url), chain.FIRST
        ends = {BATCHES[0], RESIGNED, len(rows)}
        for number, row in enumerate(rows, 1):
            forged = {**row, "sequence": number, "previous": previous}
            previous = forged["hash"] = chain.row_hash(forged)
            with register.begin() as connection:
                connection.execute(sa.insert(ledger).values(**forged))
            if number in ends:
                heads.seal(register, self.signer, ZONE)
        register.close()

    def export(self, folder: Path, **period: Any) -> Path:
        register = Register(self.settings.register_url)
        span = {"since": None, "until": None, **period}
        try:
            bundle.export(register, self.signer, folder, "六安市", ZONE, **span, signed=False)
        finally:
            register.close()
        return folder


def test_a_bundle_of_one_file_is_checked_as_it_is(made: House, tmp_path: Path) -> None:
    folder, archive = made.export(tmp_path / "bundle"), made.export(tmp_path / "bundle.zip")
    assert archive.stat().st_mode & 0o777 == 0o600 and sorted(tmp_path.iterdir()) == [folder, archive]
    with zipfile.ZipFile(archive) as packed:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        assert packed.namelist() == names and {one.date_time[0] for one in packed.infolist()} == {1980}
        assert packed.read("ledger.jsonl") == (folder / "ledger.jsonl").read_bytes()

    def run(bundle: Path) -> tuple[int, str]:
        """check.py alone, as an auditor has it."""
        command = [sys.executable, "-I", str(folder / "check.py"), str(bundle)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    assert run(archive)[0] == run(folder)[0] == 0
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(archive) as packed, zipfile.ZipFile(changed, "w") as out:
        for name in packed.namelist():
            out.writestr(
                name, packed.read(name).replace(b"refusal", b"release") if "ledger" in name else packed.read(name)
            )
        out.writestr("../outside.txt", "x")
    code, said = run(changed)
    assert code == 1 and "outside.txt" in said and not (tmp_path / "outside.txt").exists()
    (tmp_path / "no.zip").write_bytes(archive.read_bytes()[:2000])
    assert run(tmp_path / "no.zip")[0] == 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    home = tmp_path_factory.mktemp("house")
    return build(home)


def build(home: Path) -> House:
    settings = Settings(home / "state", REPOSITORY, 0, 0, f"sqlite:///{home / 'state' / 'register.db'}")
    settings.prepare()
    house, register = House(settings, home / "kept.jsonl"), Register(settings.register_url)
    register.upgrade()
    book, receipts = Ledger(register), Receipts(register, "test")
    number = 0
    for size in BATCHES:
        for _ in range(size):
            subject = (AGES, ROADS)[number % 2]
            path = house.file(number, subject)
            path.parent.mkdir(parents=True)
            path.write_text(f"列,{number}\n", "utf-8")
            evidence = {"edition": f"e{number}", "subject": subject, "checks": [{"measured": 0.1 * number}]}
            receipts.add(Stage.EVIDENCE, subject, evidence)
            files, data = [{"name": "rows.csv", **check.checksums(path)}], house.data(subject)
            if not data.exists():
                data.parent.mkdir(parents=True)
                data.write_bytes(subject.encode())
            for version in range(number + 1):
                begun = [] if version else [*LOGGED, {"add": {"path": data.name, "size": data.stat().st_size}}]
                commit(data.parent, version, [{"commitInfo": {}}, *begun])
            parts = [{"path": data.relative_to(settings.lake.root).as_posix(), **check.checksums(data)}]
            body = {"rows": number, "as_of": "2026-11-01", "proof": chain.digest(evidence), "files": files}
            body["data"] = parts
            body["built_from"] = chain.digest(sources_of(number))
            book.record([Entry(RELEASE, subject, f"e{number}", number, body)])
            number += 1
        heads.seal(register, house.signer, ZONE)
        if number == RESIGNED:
            house.kept.write_text("".join(f"{one.line()}\n" for one in heads.listed(register)), "utf-8")
    for one in range(number):
        receipts.add(Stage.EDITION, f"e{one}", sources_of(one))
    register.close()
    return house


_FIELDS = [{"name": "persons", "type": "long", "nullable": True, "metadata": {}}]
_SCHEMA = json.dumps({"type": "struct", "fields": _FIELDS})
LOGGED: list[dict[str, Any]] = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {"metaData": {"schemaString": _SCHEMA, "configuration": {"delta.enableExpiredLogCleanup": "false"}}},
]
"""What a log begins with, as deltalake writes it for us."""


def commit(table: Path, version: int, actions: Sequence[dict[str, Any]]) -> Path:
    """Write one file of a Delta log."""
    file = table / "_delta_log" / f"{version:020}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{json.dumps(action)}\n" for action in actions), "utf-8")
    return file


def sources_of(number: int) -> dict[str, Any]:
    """What an edition was built from."""
    return {"sources": {"core.psb__household_person": number}}


@pytest.fixture
def house(made: House, tmp_path: Path) -> House:
    """A copy of it, to be changed."""
    shutil.copytree(made.settings.home.parent, tmp_path / "copy")
    home = tmp_path / "copy"
    url = f"sqlite:///{home / 'state' / 'register.db'}"
    return House(Settings(home / "state", REPOSITORY, 0, 0, url), home / "kept.jsonl")


def checked(folder: Path, *options: object) -> tuple[int, str]:
    """Exit code and output of the bundle's own check.py, run from elsewhere and isolated from this environment."""
    command = [sys.executable, "-I", str(folder / "check.py"), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def found(output: str) -> list[str]:
    """The problems in English."""
    lines = output.splitlines()
    return [lines[place + 1].strip() for place, line in enumerate(lines) if line.startswith("✗")][:-1]


@pytest.fixture
def victim() -> int:
    """A row in the middle of what heads kept elsewhere vouch for, chosen by nobody."""
    seed = seed_from_clock()
    print(f"seed {seed}")
    return random.Random(seed).randrange(2, RESIGNED - 1)


def test_a_bundle_that_nobody_touched_is_told_good(made: House, tmp_path: Path) -> None:
    folder = made.export(tmp_path / "bundle")
    key = tmp_path / "key.pem"
    key.write_bytes(made.signer.public_key(Encoding.PEM))
    code, output = checked(folder, "--heads", made.kept, "--key", key, "--lake", made.settings.lake.root)
    assert code == 0, output
    assert f"账本 {sum(BATCHES)} 条，签名头 3 个" in output and f"{sum(BATCHES)} ledger rows, 3 heads" in output
    assert (made.settings.home / "secrets" / f"{SIGNING}.key").stat().st_mode & 0o777 == 0o600


def test_the_cryptography_of_the_system_is_enough(made: House, tmp_path: Path) -> None:
    """What a machine of the auditor's may have is years older than ours."""
    system = [shutil.which("python3", path="/usr/bin:/bin") or "python3", "-I"]
    if subprocess.run([*system, "-c", "import cryptography"], capture_output=True, check=False).returncode:
        pytest.skip("the Python of this system has no cryptography")
    bundle = made.export(tmp_path / "bundle")
    done = subprocess.run([*system, str(bundle / "check.py"), str(bundle)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_cryptography_it_says_what_is_missing() -> None:
    command = [sys.executable, "-I", "-S", str(Path(check.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "需要 cryptography 38 以上" in done.stderr and "cryptography 38 or newer is needed" in done.stderr


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(Path(check.__file__).read_text("utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"cryptography"}


# The register is changed, nothing is signed again.


def test_an_edited_row_is_told_by_its_number(house: House, tmp_path: Path, victim: int) -> None:
    house.change(sa.update(ledger).where(ledger.c.sequence == victim).values(body='{"rows":999}'))
    code, output = checked(house.export(tmp_path / "bundle"))
    assert code == 1 and f"ledger rows {victim} are not what head" in output
    assert f"the chain breaks between rows {victim} and {victim + 1}" in output


def test_a_deleted_row_is_told_by_its_number(house: House, tmp_path: Path, victim: int) -> None:
    house.change(sa.delete(ledger).where(ledger.c.sequence == victim))
    code, output = checked(house.export(tmp_path / "bundle"))
    assert code == 1 and f"ledger rows {victim} are missing" in output
    assert f"is row {victim + 1}, not {victim}" in output


def test_reordered_rows_are_told_by_their_numbers(house: House, tmp_path: Path, victim: int) -> None:
    swap = sa.case((ledger.c.sequence == victim, victim + 1), else_=victim)
    away = sa.update(ledger).where(ledger.c.sequence.in_([victim, victim + 1])).values(sequence=-swap)
    back = sa.update(ledger).where(ledger.c.sequence < 0).values(sequence=-ledger.c.sequence)
    house.change(away, back)
    problems = found(checked(house.export(tmp_path / "bundle"))[1])
    changed = " ".join(one for one in problems if "are not what head" in one)
    assert str(victim) in changed and str(victim + 1) in changed


def test_rows_inserted_and_cut_off_are_told_by_their_numbers(house: House, tmp_path: Path) -> None:
    rows = house.rows()
    more = {**rows[-1], "sequence": len(rows) + 1, "previous": rows[-1]["hash"], "subject": "open/forged"}
    more["hash"] = chain.row_hash(more)
    house.change(sa.insert(ledger).values(**more))
    code, output = checked(house.export(tmp_path / "inserted"))
    assert code == 1 and f"no head signed ledger rows {len(rows) + 1}" in output
    house.change(sa.delete(ledger).where(ledger.c.sequence >= len(rows)))
    code, output = checked(house.export(tmp_path / "cut"))
    assert code == 1 and f"ledger rows {len(rows)} are missing" in output


# Everything is signed again with the stolen key: the bundle alone is consistent, heads kept elsewhere are not.


def edited(rows: list[dict[str, Any]], victim: int) -> str:
    rows[victim - 1] |= {"body": '{"rows":999}'}
    return f"ledger rows {victim}"


def deleted(rows: list[dict[str, Any]], victim: int) -> str:
    del rows[victim - 1]
    return f"ledger rows {victim}"


def inserted(rows: list[dict[str, Any]], victim: int) -> str:
    rows.insert(victim - 1, {**rows[0], "subject": "open/forged", "body": "{}"})
    return f"ledger rows {victim}"


def reordered(rows: list[dict[str, Any]], victim: int) -> str:
    rows[victim - 1], rows[victim] = rows[victim], rows[victim - 1]
    return f"ledger rows {victim}"


def cut(rows: list[dict[str, Any]], victim: int) -> str:
    del rows[victim - 1 :]
    return "are missing"


@pytest.mark.parametrize("attack", [edited, deleted, inserted, reordered, cut])
def test_a_ledger_signed_again_is_told_by_heads_kept_elsewhere(
    house: House, tmp_path: Path, victim: int, attack: Callable[[list[dict[str, Any]], int], str]
) -> None:
    rows = house.rows()
    where = attack(rows, victim)
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    alone, output = checked(folder)
    assert alone == 0, output
    assert "no heads kept elsewhere" in output
    code, output = checked(folder, "--heads", house.kept)
    assert code == 1, output
    told = [one for one in found(output) if "kept.jsonl" in one]
    assert any(where in one for one in told), output
    # nothing before it is called changed
    first = min(int(one.split("ledger rows ")[1].split(" ")[0].split("-")[0].strip(",")) for one in told)
    assert first == victim


def test_another_key_is_told(house: House, tmp_path: Path) -> None:
    key = tmp_path / "kept.pem"
    key.write_bytes(house.signer.public_key(Encoding.PEM))
    (house.settings.home / "secrets" / f"{SIGNING}.key").unlink()
    house.sign_again(house.rows())
    folder = house.export(tmp_path / "bundle")
    assert checked(folder)[0] == 0
    assert "the public key is not the one you kept" in checked(folder, "--key", key)[1]
    assert "was signed with another key" in checked(folder, "--heads", house.kept)[1]


# Published bytes and evidence.


def test_a_changed_published_byte_is_told_by_row_and_file(house: House, tmp_path: Path, victim: int) -> None:
    path = house.file(victim - 1, (AGES, ROADS)[(victim - 1) % 2])
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder, "--lake", house.settings.lake.root)
    assert code == 1 and f"row {victim} " in found(output)[0] and f"v{victim - 1}/rows.csv was changed" in output
    path.unlink()
    assert f"v{victim - 1}/rows.csv is missing" in checked(folder, "--lake", house.settings.lake.root)[1]


def test_a_changed_byte_of_a_data_file_is_told_once(house: House, tmp_path: Path) -> None:
    path, content = house.data(AGES), bytearray(house.data(AGES).read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    folder = house.export(tmp_path / "bundle")
    (problem,) = found(checked(folder, "--lake", house.settings.lake.root)[1])
    assert problem.startswith(f"row 1 ({AGES} version 0): published file released/products/{AGES}/part-1.parquet")
    assert "neither its SHA-256 nor its SM3" in problem


@pytest.mark.parametrize("attack", ["added", "taken out", "hidden"])
def test_a_delta_log_that_names_other_files_is_told_by_row(house: House, tmp_path: Path, attack: str) -> None:
    """The files are as they were, and readers of the table see others."""
    data, ages = house.data(AGES), [row for row in house.rows() if row["subject"] == AGES]
    known = {"path": data.name, "size": data.stat().st_size}
    actions, wrong = {
        "added": ([{"add": {"path": "evil%2Eparquet", "size": 1}}], "evil.parquet"),
        "taken out": ([{"remove": {"path": data.name}}], data.name),
        "hidden": ([{"add": known | {"deletionVector": {"storageType": "i", "cardinality": 1}}}], data.name),
    }[attack]
    folder = house.export(tmp_path / "bundle")
    assert checked(folder, "--lake", house.settings.lake.root)[0] == 0
    changed = ages[2]["version"]
    commit(data.parent, changed, actions)
    code, output = checked(folder, "--lake", house.settings.lake.root)
    wanted = ages[2:3] if attack == "hidden" else ages[2:]
    assert code == 1 and [one.split(" (")[0] for one in found(output)] == [f"row {row['sequence']}" for row in wanted]
    assert all(f"{wrong} was added, taken out, or has rows hidden" in one for one in found(output))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"configuration": {', '"description": "is_test", "configuration": {', "description"),
        ('"configuration": {', '"name": "假", "configuration": {', "name"),
        ('"delta.enableExpiredLogCleanup": "false"', '"delta.columnMapping.mode": "name"', "configuration"),
        ('"minReaderVersion": 1', '"minReaderVersion": 3, "readerFeatures": ["deletionVectors"]', "protocol"),
        ('\\"metadata\\": {}', '\\"metadata\\": {\\"comment\\": \\"假\\"}', "persons"),
        ('\\"nullable\\": true', '\\"nullable\\": false', "persons"),
    ],
)
def test_what_a_delta_log_says_besides_files_is_told_by_row(
    house: House, tmp_path: Path, before: str, after: str, told: str
) -> None:
    log = house.data(AGES).parent / "_delta_log" / f"{0:020}.json"
    text = log.read_text("utf-8")
    assert text.count(before) == 1
    log.write_text(text.replace(before, after), "utf-8")
    output = checked(house.export(tmp_path / "bundle"), "--lake", house.settings.lake.root)[1]
    ages = [f"row {row['sequence']} " for row in house.rows() if row["subject"] == AGES]
    problems = found(output)
    assert [one[: len(row)] for one, row in zip(problems, ages, strict=True)] == ages
    assert all(one.endswith(f": {told}") for one in problems)


def test_a_delta_log_without_a_commit_is_told(house: House, tmp_path: Path) -> None:
    log = house.data(ROADS).parent / "_delta_log"
    folder = house.export(tmp_path / "bundle")
    (log / f"{0:020}.checkpoint.parquet").write_bytes(b"PAR1")
    code, output = checked(folder, "--lake", house.settings.lake.root)
    told = (
        f"1 tables have checkpoints or compacted commits, which readers read first and this program does not, {ROADS}"
    )
    assert code == 0 and told in output
    for damage in ("[]", "{", '{"add":[]}'):
        (log / f"{2:020}.json").write_text(damage, "utf-8")
        (problem,) = found(checked(folder, "--lake", house.settings.lake.root)[1])
        assert (
            problem.startswith(f"row 4 ({ROADS} version 3)") and f"{2:020}.json of the Delta log is missing" in problem
        )
    shutil.rmtree(log)
    (problem,) = found(checked(folder, "--lake", house.settings.lake.root)[1])
    assert problem.startswith(f"row 2 ({ROADS} version 1)") and f"{0:020}.json" in problem


@pytest.mark.parametrize(("key", "good", "wrong"), [("sha256", "SM3", "SHA-256"), ("sm3", "SHA-256", "SM3")])
def test_a_receipt_with_one_wrong_hash_says_which(
    house: House, tmp_path: Path, victim: int, key: str, good: str, wrong: str
) -> None:
    rows = house.rows()
    body = json.loads(rows[victim - 1]["body"])
    body["files"][0][key] = "0" * 64
    rows[victim - 1]["body"] = chain.canonical(body)
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    (problem,) = found(checked(folder, "--lake", house.settings.lake.root)[1])
    assert f"row {victim} " in problem and f"its {good} is what the ledger says, its {wrong} is not" in problem


def test_a_row_without_both_hashes_is_told(house: House, tmp_path: Path, victim: int) -> None:
    rows = house.rows()
    body = json.loads(rows[victim - 1]["body"])
    del body["data"][0]["sm3"]
    rows[victim - 1]["body"] = chain.canonical(body)
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder, "--lake", house.settings.lake.root)
    (problem,) = found(output)
    assert code == 1 and problem.startswith(f"row {victim} ") and "does not say both SHA-256 and SM3" in problem


def test_a_row_of_another_form_is_no_traceback(house: House, tmp_path: Path, victim: int) -> None:
    rows = house.rows()
    body = json.loads(rows[victim - 1]["body"])
    body["data"] = [7]
    rows[victim - 1]["body"] = chain.canonical(body)
    house.sign_again(rows)
    code, output = checked(house.export(tmp_path / "bundle"), "--lake", house.settings.lake.root)
    assert code == 2 and "has not the form it should have" in output


def test_both_hashes_are_those_of_openssl(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"", b"abc", random.Random(1).randbytes((1 << 20) + 17)):
        file.write_bytes(content)
        for key in check.CHECKSUMS:
            said = subprocess.run(["openssl", "dgst", f"-{key}", "-r", str(file)], check=True, capture_output=True)
            assert checksums(file)[key] == check.checksums(file)[key] == said.stdout.decode().split()[0]  # type: ignore[literal-required]


def test_sm3_is_there_where_python_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> None:
        raise ValueError(name)

    (tmp_path / "abc").write_bytes(b"abc")
    monkeypatch.setattr(check.hashlib, "new", without)
    vector = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905-2016, A.1
    assert check.checksums(tmp_path / "abc")["sm3"] == vector


def test_changed_evidence_is_told_by_row(house: House, tmp_path: Path, victim: int) -> None:
    forged = {"edition": f"e{victim - 1}", "checks": []}
    house.change(sa.update(receipt).where(receipt.c.id == victim).values(body=forged))
    folder = house.export(tmp_path / "bundle")  # its manifest names the forged file
    assert [f"row {victim} " in one and "was changed" in one for one in found(checked(folder)[1])] == [True]
    (folder / "evidence" / f"{victim}.json").unlink()
    assert f"evidence/{victim}.json is missing" in checked(folder)[1]


def test_the_platform_tells_itself_whose_evidence_was_changed(made: House, house: House, victim: int) -> None:
    def unproved(one: House) -> list[int]:
        register = Register(one.settings.register_url)
        found = [row.sequence for row in verify.unproved(Ledger(register), Receipts(register, "test"))]
        register.close()
        return sorted(found)

    assert unproved(made) == []
    mine = (receipt.c.stage == Stage.EDITION.value) & (receipt.c.subject == f"e{victim - 1}")
    house.change(sa.update(receipt).where(mine).values(body=sources_of(victim + 1000)))
    assert unproved(house) == [victim]
    house.change(sa.delete(receipt).where(receipt.c.id == victim + 1))
    assert unproved(house) == [victim, victim + 1]


def test_evidence_that_no_row_names_is_told_though_the_manifest_has_it(house: House, tmp_path: Path) -> None:
    """A row without evidence is given some, by who has the key: the manifest names it and is signed."""
    rows = house.rows()
    rows[-1] |= {"body": '{"rows":1}'}
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    assert checked(folder)[0] == 0
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in (f"evidence/{len(rows)}.json", "editions/more.json"):
        (folder / name).write_text('{"checks":[]}')
        manifest["files"][name] = check.sha256(folder / name)
    message = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(message)
    said = json.loads((folder / check.SIGNATURE).read_bytes())
    (folder / check.SIGNATURE).write_text(json.dumps(said | {"signature": house.signer.sign(message).hex()}))
    problems = found(checked(folder)[1])
    assert [one.split(":")[0] for one in problems] == [
        f"no ledger row names evidence/{len(rows)}.json",
        "no ledger row names editions/more.json",
    ]


def test_an_empty_file_of_kept_heads_compares_nothing_and_says_so(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    (tmp_path / "empty.jsonl").touch()
    code, output = checked(folder, "--heads", tmp_path / "empty.jsonl")
    assert code == 1 and "holds no head, so nothing was compared" in output


def test_a_bundle_older_than_the_heads_that_were_kept_says_so(house: House, tmp_path: Path) -> None:
    folder, register = house.export(tmp_path / "bundle"), Register(house.settings.register_url)
    Ledger(register).record([Entry(REFUSAL, AGES, "later", None, {})])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "now", lambda: datetime.now(UTC) + timedelta(minutes=1))
        heads.seal(register, house.signer, ZONE)
    house.kept.write_text("".join(f"{one.line()}\n" for one in heads.listed(register)), "utf-8")
    register.close()
    code, output = checked(folder, "--heads", house.kept)
    assert (
        code == 1 and "head 4 that you kept" in output and output.count("ask for a bundle that was written since") == 1
    )


def test_what_a_release_was_built_from_cannot_be_changed(house: House, tmp_path: Path, victim: int) -> None:
    mine = (receipt.c.stage == Stage.EDITION.value) & (receipt.c.subject == f"e{victim - 1}")
    house.change(sa.update(receipt).where(mine).values(body=sources_of(victim + 1000)))
    folder = house.export(tmp_path / "bundle")
    assert [f"row {victim}: editions/" in one and "was changed" in one for one in found(checked(folder)[1])] == [True]
    (folder / "editions" / f"{chain.digest(sources_of(victim - 1))}.json").unlink()
    assert any(f"row {victim}: editions/" in one and "is missing" in one for one in found(checked(folder)[1]))


def test_a_changed_bundle_is_told_by_its_manifest(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    with (folder / "heads.jsonl").open("a") as lines:
        lines.write("{}\n")
    (folder / "note.txt").write_text("x")
    problems = found(checked(folder)[1])
    assert "file heads.jsonl is not what the manifest says: it was changed" in problems
    assert "file note.txt is not in the manifest: it was added" in problems
    assert "heads.jsonl: line 4 is not a head" in problems
    (folder / "manifest.json").write_text("[]")
    assert checked(folder)[0] == 2


def test_the_readable_page_says_what_the_ledger_says(house: House, tmp_path: Path) -> None:
    register = Register(house.settings.register_url)
    said = [Entry(REFUSAL, AGES, "e90", None, {"reasons": []}), Entry(WITHDRAWAL, ROADS, "e91", 3, {"why": "有误"})]
    Ledger(register).record(said)
    heads.seal(register, house.signer, ZONE)
    folder = house.export(tmp_path / "bundle")
    copied = "".join(reading.text((folder / pack.FILE).read_bytes()).split())
    rows, known = house.rows(), list(heads.listed(register))
    register.close()
    for one in known:
        assert one.says["chain"] in copied and one.signature in copied
    newest = {row["subject"]: row for row in rows if row["kind"] in (RELEASE, WITHDRAWAL)}
    published = [row for row in newest.values() if row["kind"] == RELEASE]
    assert [row["subject"] for row in published] == [AGES]
    for row in published:
        (file,) = json.loads(row["body"])["files"]
        assert row["hash"] in copied and file["sha256"] in copied and file["sm3"] in copied
    for row in rows:
        named = row["kind"] != RELEASE or row in published or row["hash"] in {one.says["chain"] for one in known}
        assert (row["hash"] in copied) is named
    for kind, name in ((RELEASE, "发布"), (REFUSAL, "拒绝发布"), (WITHDRAWAL, "撤回")):
        assert f"{name}{sum(row['kind'] == kind for row in rows)}" in copied


def page_of(folder: Path) -> str:
    """The readable page of a bundle without spaces."""
    return "".join(reading.text((folder / pack.FILE).read_bytes()).split())


def test_the_page_names_what_later_rows_made_of_a_release(house: House, tmp_path: Path) -> None:
    newest = {row["subject"]: row for row in house.rows()}
    ages, roads = newest[AGES]["version"], newest[ROADS]["version"]
    after, fingerprint = {"sha256": "a" * 64, "sm3": "b" * 64}, "f" * 64
    file = f"lake/released/files/{AGES}/v{ages}/rows.csv"
    erased = {
        "files": {file: [check.checksums(house.file(ages)), after]},
        "releases": {AGES: {str(ages): ["x", fingerprint]}},
    }
    over = {"files": {}, "releases": {ROADS: {str(roads): ["x", None]}}}
    register = Register(house.settings.register_url)
    Ledger(register).record([Entry(ERASURE, "K-1", "e", None, erased), Entry(RETENTION, "r-1", "e", None, over)])
    heads.seal(register, house.signer, ZONE)
    register.close()
    page, last = page_of(house.export(tmp_path / "bundle")), sum(BATCHES)
    assert f"依第{last + 1}条改写，现指纹{fingerprint}" in page
    assert f"rows.csv依第{last + 1}条改写，现SHA-256{after['sha256']}SM3{after['sm3']}" in page
    assert page.count(f"依第{last + 2}条清除") == 1 and check.sha256(house.file(ages)) in page


def test_the_page_says_which_rows_nobody_signed(house: House, tmp_path: Path) -> None:
    register = Register(house.settings.register_url)
    assert "没有签名：" not in page_of(house.export(tmp_path / "before"))
    bundle.export(register, house.signer, tmp_path / "good", "六安市", ZONE, None, None, signed=True)
    assert "拒绝签名：" not in page_of(tmp_path / "good")
    Ledger(register).record([Entry(REFUSAL, AGES, "late", None, {})] * 2)
    register.close()
    page, last = page_of(house.export(tmp_path / "bundle")), sum(BATCHES)
    assert f"账本第{last + 1}–{last + 2}条（2条）没有签名" in page and "系统拒绝签名" in page


def test_a_page_that_was_replaced_is_told(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    page = folder / pack.FILE
    content = bytearray(page.read_bytes())
    content[random.randrange(len(content))] ^= 1
    page.write_bytes(content)
    assert f"file {pack.FILE} is not what the manifest says: it was changed" in found(checked(folder)[1])
    manifest = folder / "manifest.json"
    said = json.loads(manifest.read_text("utf-8"))
    said["files"][pack.FILE] = check.sha256(page)
    manifest.write_text(json.dumps(said, ensure_ascii=False, indent=1), "utf-8")
    (problem,) = found(checked(folder)[1])
    assert "the signature of manifest.json is wrong" in problem
    (folder / "manifest.sig").unlink()
    assert found(checked(folder)[1]) == ["file manifest.sig is missing"]
    said["format"] = check.UNSIGNED  # "an older version wrote it": no older version wrote a page
    manifest.write_text(json.dumps(said), "utf-8")
    code, output = checked(folder)
    assert code == 1 and "the manifest is not signed" in output
    (problem,) = found(output)
    assert f"nothing vouches for {pack.FILE}" in problem


def test_a_page_is_not_hidden_by_another_name_in_an_unsigned_bundle(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    manifest = folder / "manifest.json"
    said = json.loads(manifest.read_text("utf-8")) | {"format": check.UNSIGNED}
    (folder / "manifest.sig").unlink()
    del said["files"][pack.FILE]
    for name in ("说明.pdf", "evidence/pack.pdf", "evidence.pdf"):
        (folder / pack.FILE).rename(folder / name)
        files = said["files"] | {name: check.sha256(folder / name)}
        manifest.write_text(json.dumps(said | {"files": files}), "utf-8")
        code, output = checked(folder)
        assert code == 1 and any(name in problem for problem in found(output)), name
        (folder / name).rename(folder / pack.FILE)


def test_a_bundle_of_an_older_version_is_checked_as_before(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    for name in ("manifest.sig", pack.FILE):
        (folder / name).unlink()
    manifest = folder / "manifest.json"
    said = json.loads(manifest.read_text("utf-8")) | {"format": check.UNSIGNED}
    del said["files"][pack.FILE]
    manifest.write_text(json.dumps(said), "utf-8")
    code, output = checked(folder)
    assert code == 0 and "the manifest is not signed" in output


# What is no attack, and questions.


def test_what_was_erased_or_ended_is_told_so_and_not_as_corrupt(house: House, tmp_path: Path) -> None:
    register = Register(house.settings.register_url)
    before = {number: check.checksums(house.file(number)) for number in (0, 2)}
    house.file(0).write_text("列\n", "utf-8")
    house.file(2).unlink()
    name = {number: f"lake/released/files/{AGES}/v{number}/rows.csv" for number in (0, 2)}
    erased = {
        "files": {name[0]: [before[0], check.checksums(house.file(0))]},
        "releases": {AGES: {"0": ["before", "since"]}},
    }
    over = {"files": {name[2]: [before[2], None]}, "releases": {AGES: {"2": ["before", None]}}}
    entries = [Entry(ERASURE, "K-1", "erasure", None, erased), Entry(RETENTION, "r-1", "retention", None, over)]
    Ledger(register).record(entries)
    heads.seal(register, house.signer, ZONE)
    register.close()
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder, "--heads", house.kept, "--lake", house.settings.lake.root)
    assert code == 0, output
    assert f"{sum(BATCHES)} agree, 1 agree as the ledger says they were rewritten, 1 ended" in output
    assert "erased by order K-1" in output and "retention ended (r-1)" in output


def test_it_says_what_was_published_on_a_day(house: House, tmp_path: Path) -> None:
    rows = house.rows()
    noon = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)  # half an hour before midnight in the city
    for number, row in enumerate(rows):
        row["at"] = noon + timedelta(days=number)
    rows[2] |= {"kind": WITHDRAWAL, "subject": AGES, "version": None, "body": "{}"}
    for number in (3, 5):
        rows[number] |= {"kind": REFUSAL, "body": "{}"}
    house.sign_again(rows)
    folder = house.export(tmp_path / "bundle")
    shown = checked(folder, "--published-on", "2026-03-02")[1]
    assert f"{AGES} version 0" in shown and f"{ROADS} version 1" in shown and "2026-03-02T23:30:00+08:00" in shown
    shown = checked(folder, "--published-on", "2026-03-04")[1]
    assert f"{AGES} version" not in shown and f"{ROADS} version 1" in shown
    assert "nothing was published" in checked(folder, "--published-on", "2026-02-28")[1]
    later = checked(folder, "--published-on", "9999-12-30")[1]
    assert f"the bundle ends with ledger row {sum(BATCHES)} " in later
    day = datetime(2026, 3, 6).date()
    part = house.export(tmp_path / "part", since=day, until=day)
    code, output = checked(part, "--heads", house.kept, "--published-on", "2026-03-20")
    assert code == 1 and "ledger rows 5-7 only" in output and "the bundle ends with ledger row 7" in output
    assert f"{ROADS} version 1, " in output and "ledger row 2" in output, "released before the period, and it stood"
    assert "the bundle begins with ledger row 5" in output
    assert f"{AGES} version 0" not in output, "withdrawn before the period"


def test_what_is_said_of_before_the_period_was_signed_then(house: House, tmp_path: Path) -> None:
    day = house.rows()[-1]["at"].replace(tzinfo=UTC).astimezone(ZONE).date()
    rows = house.rows()
    for number, row in enumerate(rows):
        row["at"] -= timedelta(days=len(rows) - number)
    house.sign_again(rows)
    last = day - timedelta(days=1)
    folder = house.export(tmp_path / "part", since=last, until=last)
    sound = checked(folder)[1]
    assert "earlier.jsonl" not in sound
    file = folder / "earlier.jsonl"
    said = file.read_text("utf-8")
    assert said.count('"release"') == said.count("\n") > 0
    file.write_text(said.replace('\\"rows\\":', '\\"rows\\":1'), "utf-8")
    assert file.read_text("utf-8") != said
    code, output = checked(folder)
    assert code == 1 and "(earlier.jsonl)" in output
    before = house.rows()[-2]  # of the subject that the period has no row of
    older = next(row for row in house.rows() if row["subject"] == before["subject"])
    file.write_text(f"{chain.row_text(before)}\n{chain.row_text(older)}\n", "utf-8")
    output = checked(folder, "--published-on", last)[1]
    assert f"{before['subject']} version {before['version']}, " in output, "the later row counts, wherever it stands"


def test_a_part_of_the_ledger_is_checked_by_the_heads_beside_it(house: House, tmp_path: Path) -> None:
    rows = house.rows()
    day = rows[0]["at"].replace(tzinfo=UTC).astimezone(ZONE).date()
    code, output = checked(house.export(tmp_path / "part", since=day, until=day), "--heads", house.kept)
    assert code == 0 and "this bundle is a part" in output
    with pytest.raises(CitylakeError):
        house.export(tmp_path / "none", since=day + timedelta(days=9))


# The platform itself.


def test_a_ledger_that_was_tampered_with_is_not_signed(house: House, tmp_path: Path) -> None:
    house.change(sa.delete(ledger).where(ledger.c.sequence == sum(BATCHES)))
    register = Register(house.settings.register_url)
    Ledger(register).record([Entry(REFUSAL, AGES, "late", None, {})])
    with pytest.raises(CitylakeError, match=str(sum(BATCHES))):
        heads.seal(register, house.signer, ZONE)
    register.close()


def test_a_run_signs_what_it_wrote_and_tells_the_operator_why_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state' / 'register.db'}"
    settings = Settings(tmp_path / "state", REPOSITORY, 0, 0, url)
    for number in (1, 2):
        with opened(settings, f"run {number}") as run:
            run.ledger.record([Entry(REFUSAL, AGES, f"e{number}", None, {})])
    with opened(settings, "idle") as run:
        assert [one.last for one in heads.listed(run.register)] == [1, 2]
    register = Register(url)
    assert [one.last for one in heads.listed(register)] == [1, 2]
    with register.begin() as connection:
        connection.execute(sa.update(ledger).where(ledger.c.sequence == 2).values(subject="open/other"))
    with opened(settings, "after") as run:
        run.ledger.record([Entry(REFUSAL, AGES, "e3", None, {})])
    assert [row["code"] for row in Issues(register).open("heads")] == ["heads.not_the_ledger"]
    assert len(list(heads.listed(register))) == 2
    register.close()


def test_the_commands_write_bundle_heads_and_key(
    house: House, contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.staffed(contracts)
    monkeypatch.setenv("CITYLAKE_HOME", str(house.settings.home))
    runner = CliRunner()
    for arguments in (["export", str(tmp_path / "bundle"), "--who", AUDITOR], ["heads", str(tmp_path / "heads.jsonl")]):
        result = runner.invoke(app, ["evidence", *arguments])
        assert result.exit_code == 0, result.output
    result = runner.invoke(app, ["evidence", "export", str(tmp_path / "later"), "--who", AUDITOR])
    first = check.sha256(tmp_path / "bundle" / "manifest.json")
    assert first in (tmp_path / "later" / "audit.jsonl").read_text("utf-8"), "a later audit tells which bundles left"
    assert check.sha256(tmp_path / "later" / "manifest.json") in result.output
    result = runner.invoke(app, ["evidence", "key"])
    (tmp_path / "key.pem").write_text(result.output)
    options = ("--heads", tmp_path / "heads.jsonl", "--key", tmp_path / "key.pem")
    assert checked(tmp_path / "bundle", *options)[0] == 0
    again = runner.invoke(app, ["evidence", "export", str(tmp_path / "bundle"), "--who", AUDITOR])
    assert again.exit_code == 1 and "已存在" in again.output
    house.change(sa.update(ledger).where(ledger.c.sequence == sum(BATCHES)).values(kind="refusal"))
    result = runner.invoke(app, ["evidence", "export", str(tmp_path / "tampered"), "--who", AUDITOR])
    assert result.exit_code == 1 and checked(tmp_path / "tampered")[0] == 1


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40))
def test_both_ways_to_the_root_agree(texts: list[bytes]) -> None:
    leaves = [hashlib.sha256(text).digest() for text in texts]
    assert heads.merkle_root(leaves) == check.merkle_root(leaves)


def test_the_root_is_that_of_rfc_6962() -> None:
    # the tree of seven entries of certificate transparency's own tests
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    leaves = [hashlib.sha256(b"\x00" + bytes.fromhex(entry)).digest() for entry in entries]
    assert heads.merkle_root(leaves).hex() == "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
    assert heads.leaf_hash("") == leaves[0]
