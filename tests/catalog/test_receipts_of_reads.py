"""Signed receipts of what was read: made from the audit when asked for, verified offline with the files beside them."""

import hashlib
import io
import json
import random
import re
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.delivery import receipt
from catalog.policy import audit, inquiry, reads
from catalog.policy.decision import Allowed, OfOrganisations
from catalog.policy.inquiry import Asked
from citylake.main import app
from pipelines.messages import CitylakeError
from pipelines.register import Register, heads
from pipelines.register.signer import Ed25519Signer
from pipelines.register.store import now
from pipelines.register.tables import audit as table
from pipelines.release import check
from pipelines.release.signing import signer_of
from pipelines.settings import REPOSITORY
from tests.catalog.receiving import openssl
from tests.catalog.small_city import AGES, AUDITOR, PERMITS, PERSONS, STEWARD, City, bearer

ZONE = ZoneInfo("Asia/Shanghai")
RECEIPT, ROWS = "/api/v1/receipt", f"/api/v1/products/{PERSONS}/rows"
PAGE = "/access/reads"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"


def period() -> dict[str, str]:
    """Days around now: a test may see a midnight."""
    today = now().astimezone(ZONE).date()
    return {"first": f"{today - timedelta(days=1)}", "last": f"{today + timedelta(days=1)}"}


def asked(client: TestClient, token: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What a receipt says, and the answer as it came."""
    answer = client.get(RECEIPT, params=period(), headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return json.loads(answer.json()["statement"]), answer.json()


def verified(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """check.py alone, as a recipient has it."""
    command = [sys.executable, "-I", check.__file__, "--receipt", str(folder), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_by_every_road(client: TestClient, token: str, folder: Path) -> None:
    """A download, a query of Delta Sharing with its file, pages and look-ups; what came as files is in the folder."""
    shown = bearer(token)
    (folder / "persons.csv").write_bytes(client.get(f"/datasets/{PERSONS}/download/csv", headers=shown).content)
    lines = client.post(f"{TABLE}/query", headers=shown, json={}).text.splitlines()
    url = json.loads(lines[-1])["file"]["url"]
    assert client.head(url).status_code == 200
    client.get(url, headers={"Range": "bytes=-100"})
    (folder / "persons.parquet").write_bytes(client.get(url).content)
    (folder / "export.json").write_bytes(client.get(f"{ROWS}?sort=name", headers=shown).content)
    some = json.loads((folder / "export.json").read_bytes())
    for row in some[:5]:
        assert client.get(f"{ROWS}?person_ref=eq.{row['person_ref']}", headers=shown).json() == [row]
    client.get("/datasets/open/nothing/preview", headers=shown)


def test_a_receipt_tells_what_was_read_and_is_verified_offline(own_city: City, tmp_path: Path) -> None:
    client, token, other = own_city.client(), own_city.recipient("甲", "psb"), own_city.recipient("乙", "cab")
    own_city.grant("甲", divisions=["341502"], columns=["person_ref", "name"]), own_city.grant("乙")
    folder = tmp_path / "receipt"
    folder.mkdir()
    read_by_every_road(client, token, folder)
    client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(other))
    said, answer = asked(client, token)
    assert (said["recipient"], said["organisation"], said["denied"]) == ("甲", "psb", 1)
    told = [(one["action"], one["reads"], one.get("rows", one.get("named"))) for one in said["reads"]]
    assert said["reads"][1]["named"] == 20, "a query names files, and gives no row"
    assert told == [
        ("download", 1, 20),
        ("table.query", 1, 20),
        ("file.read", 1, 20),
        ("file.read", 1, 20),
        ("rows.read", 1, 20),
        ("rows.read", 5, 5),
    ]
    tail, whole = (one for one in said["reads"] if one["action"] == "file.read")
    assert tail["part"] is True and "part" not in whole and tail["sha256"] == whole["sha256"]
    looked_up, exported = sorted(
        (one for one in said["reads"] if one["action"] == "rows.read"), key=lambda one: one["rows"]
    )
    assert (looked_up["reads"], looked_up["rows"], looked_up["used"]) == (5, 5, ["person_ref"])
    assert (exported["reads"], exported["rows"]) == (1, 20) and "sha256" in exported
    for one in said["reads"]:
        assert (one["product"], one["version"], one["grant"], one["purpose"]) == (PERSONS, 0, 1, "核验测试")
        assert one["columns"] == ["person_ref", "name"] and one["divisions"] == ["341502"]
    assert len({one["policy"] for one in said["reads"]}) == 1, "the same view by every road"
    newest = audit.recent(own_city.register, 2)
    assert newest[0]["action"] == "audit.read" and newest[0]["body"]["rows"] == 10
    assert said["audit"] == {"newest": newest[1]["sequence"], "hash": newest[1]["hash"]}

    (folder / "statement.json").write_text(answer["statement"], "utf-8")
    (folder / "signature.bin").write_bytes(bytes.fromhex(answer["signature"]))
    (folder / "key.pem").write_bytes(signer_of(own_city.settings, own_city.contracts.city).public_key(Encoding.PEM))
    good = verified(folder, "--key", folder / "key.pem")
    assert good.returncode == 0, good.stdout + good.stderr
    assert all(f"文件 {name} 在回执中" in good.stdout for name in ("persons.csv", "persons.parquet", "export.json"))
    (folder / "persons.csv").write_bytes((folder / "persons.csv").read_bytes() + b"\n")
    changed = verified(folder)
    assert changed.returncode == 1 and "文件 persons.csv 不在回执中" in changed.stdout
    (folder / "statement.json").write_text(answer["statement"].replace("20", "21"), "utf-8")
    assert verified(folder).returncode == 1


SIGNER = Ed25519Signer(b"7" * 32)


def receipt_in(folder: Path, form: str = receipt.FORMAT, **facts: Any) -> Path:
    """A folder with a receipt of ours and its key."""
    about = {"from": "市局", "recipient": "甲", "product": PERSONS, **facts}
    receipt.written(folder, *receipt.signed(SIGNER, form, **about), SIGNER)
    return folder


@pytest.mark.parametrize("form", [heads.FORMAT, heads.HANDOVER, "citylake-delivery/2", None])
def test_whatever_else_the_key_signs_is_no_receipt(tmp_path: Path, form: Any) -> None:
    done = verified(receipt_in(tmp_path / "receipt", form))
    assert done.returncode == 1 and "statement.json 不是回执" in done.stdout and "is no receipt" in done.stdout


def test_a_file_without_a_key_is_named_and_not_the_receipt(tmp_path: Path) -> None:
    kept = tmp_path / "kept.pem"
    kept.write_text("$ citylake evidence key\n-----BEGIN PUBLIC KEY-----", "utf-8")
    done = verified(receipt_in(tmp_path / "receipt"), "--key", kept)
    assert done.returncode == 2 and f"{kept} 不是 PEM 公钥" in done.stdout and f"{kept} holds no PEM" in done.stdout


@pytest.mark.parametrize("key", [Ed25519Signer(b"8" * 32).public_key(Encoding.PEM), b"", b"-----BEGIN PUBLIC KEY-----"])
def test_a_key_beside_the_receipt_that_is_not_its_own_is_told(tmp_path: Path, key: bytes) -> None:
    folder = receipt_in(tmp_path / "receipt")
    assert verified(folder).returncode == 0
    (folder / "key.pem").write_bytes(key)
    done = verified(folder)
    assert done.returncode == 1 and "key.pem 不是回执所写的公钥" in done.stdout
    (folder / "key.pem").unlink()
    assert verified(folder).returncode == 0, "who kept the key needs none beside the receipt"


def test_only_the_receipts_own_files_are_passed_over(tmp_path: Path) -> None:
    """A file below of such a name is a file like others."""
    folder = receipt_in(tmp_path / "receipt")
    for name in check.OF_RECEIPT:
        (folder / "more").mkdir(exist_ok=True)
        (folder / "more" / name).write_bytes(b"forged")
        done = verified(folder)
        assert done.returncode == 1 and f"文件 more/{name} 不在回执中" in done.stdout
        (folder / "more" / name).unlink()
    assert verified(folder).returncode == 0


def test_files_that_were_exchanged_or_are_missing_are_told_by_name(tmp_path: Path) -> None:
    content = {"a.csv": b"1", "b.csv": b"2", "c.csv": b"3"}
    files = [[name, len(text), hashlib.sha256(text).hexdigest()] for name, text in content.items()]
    folder = receipt_in(tmp_path / "receipt", files=files, policy=hashlib.sha256(b"9").hexdigest())
    for name, text in content.items():
        (folder / name).write_bytes(text)
    assert verified(folder).returncode == 0
    (folder / "c.csv").unlink()
    done = verified(folder)
    assert done.returncode == 0 and "还有 1 个文件不在目录中，如 c.csv" in done.stdout
    (folder / "a.csv").write_bytes(b"2"), (folder / "b.csv").write_bytes(b"1")
    done = verified(folder)
    assert done.returncode == 1 and done.stdout.count("与回执中同名文件的内容不同") == 2
    (folder / "a.csv").write_bytes(b"1"), (folder / "b.csv").write_bytes(b"2"), (folder / "d.csv").write_bytes(b"9")
    done = verified(folder)
    assert done.returncode == 1 and "文件 d.csv 不在回执中" in done.stdout, "other hashes of the receipt are no files"


def test_what_the_documentation_makes_of_an_answer_is_verified(tmp_path: Path) -> None:
    """The lines of docs/deliveries.md that turn an answer into files for openssl."""
    statement, signature = receipt.signed(SIGNER, receipt.OF_READS, reads=[], recipient="甲")
    (tmp_path / "receipt.json").write_text(json.dumps({"statement": statement, "signature": signature}), "utf-8")
    text = (REPOSITORY / "docs/deliveries.md").read_text("utf-8")
    (command,) = re.findall(r"^python3? - <<'END'\n.*?^END$", text, re.MULTILINE | re.DOTALL)
    subprocess.run(["bash", "-ec", command.replace("python3 ", f"{sys.executable} ", 1)], cwd=tmp_path, check=True)
    (tmp_path / "receipt" / "key.pem").write_bytes(SIGNER.public_key(Encoding.PEM))
    done = subprocess.run(openssl("openssl", tmp_path / "receipt"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verified(tmp_path / "receipt").returncode == 0


def test_every_limit_of_a_read_is_told(own_city: City) -> None:
    """What policy tells the audit stands in the receipt: also whose rows they were, and what was masked."""
    client, token = own_city.client(), own_city.recipient("甲", "psb")
    own_city.release(PERMITS, 15)
    own_city.grant("甲", PERMITS, organisations=["own"])
    assert client.get(f"/api/v1/products/{PERMITS}/rows", headers=bearer(token)).status_code == 200
    (row,) = [one for one in audit.recent(own_city.register, 3) if one["action"] == "rows.read"]
    said, _ = asked(client, token)
    assert said["reads"][0]["organisations"] == row["body"]["organisations"] != []
    everything = Allowed(
        *("sharing/a", 0, ("x", "y"), None, ("341502",), (), "甲", 1, "p"),
        organisations=OfOrganisations("org", ("1",)),
        masks=(("y", "town"),),
    ).told
    audit.record(own_city.register, "rows.read", "allowed", {"road": "rows", **everything}, recipient="乙", product="x")
    (entry,) = reads.summed(own_city.register, ZONE, Asked(recipient="乙")).entries
    assert {name: entry[name] for name in everything} == json.loads(json.dumps(everything))


def test_answers_that_are_no_whole_export_are_one_entry(own_city: City) -> None:
    """However many questions there were; and what was not sent again is none."""
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    for year in range(1950, 1954):
        assert client.get(ROWS, params={"birth_year": f"eq.{year}"}, headers=bearer(token)).status_code == 200
    pages = [client.get(ROWS, params={"limit": "30"}, headers=bearer(token))]
    pages.append(client.get(pages[0].links["next"]["url"], headers=bearer(token)))
    first = client.get(ROWS, headers=bearer(token))
    again = client.get(ROWS, headers=bearer(token) | {"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and [page.status_code for page in pages] == [200, 200]
    said, _ = asked(client, token)
    told = sorted((one["reads"], one["rows"], "sha256" in one) for one in said["reads"])
    assert told == [(1, 40, True), (2, 40, False), (4, 4, False)]


def test_who_may_ask_and_how(own_city: City) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    assert client.get(RECEIPT, params=period()).status_code == 401
    for days in ({}, {"first": "2026-11-01"}, {"first": "20261101", "last": "2026-11-02"}):
        answer = client.get(RECEIPT, params=days, headers=bearer(token))
        assert (answer.status_code, answer.json()["rule"]) == (400, "bad_day")
    answer = client.get(RECEIPT, params={"first": "2026-11-03", "last": "2026-11-02"}, headers=bearer(token))
    assert (answer.status_code, answer.json()["rule"]) == (400, "bad_period")
    year = {"first": "2025-11-01", "last": "2026-11-02"}
    answer = client.get(RECEIPT, params=year, headers=bearer(token))
    assert (answer.status_code, answer.json()["rule"]) == (400, "receipt_too_long")
    for days in ({}, {"first": "2026-11-01"}, year):
        answer = client.get(f"{PAGE}/receipt.zip", params=days, headers=bearer(token))
        assert answer.status_code == 400 and "zip" not in answer.headers["content-type"], days
    said, _ = asked(client, token)
    assert said["reads"] == [] and said["denied"] == 0
    for path in (RECEIPT, f"{PAGE}/receipt.zip", RECEIPT, f"{PAGE}/receipt.zip", RECEIPT):
        assert client.get(path, params=period(), headers=bearer(token)).status_code == 200
    for path in (RECEIPT, f"{PAGE}/receipt.zip"):
        answer = client.get(path, params=period(), headers=bearer(token))
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) <= 10, path


def test_too_many_kinds_of_reads_are_asked_for_in_parts(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    for kind in ("csv", "json"):
        client.get(f"/datasets/{AGES}/download/{kind}", headers=bearer(token))
    monkeypatch.setattr(reads, "MOST_ENTRIES", 1)
    answer = client.get(RECEIPT, params=period(), headers=bearer(token))
    assert (answer.status_code, answer.json()["rule"]) == (413, "receipt_too_many")
    with pytest.raises(CitylakeError, match="分几份索取"):
        reads.summed(own_city.register, ZONE, Asked(recipient="甲"))


def test_people_get_it_from_their_page(own_city: City, tmp_path: Path) -> None:
    client, token, stranger = own_city.client(), own_city.recipient("甲"), own_city.client()
    assert stranger.get(f"{PAGE}/receipt.zip").status_code == 303
    own_city.grant("甲")
    folder = tmp_path / "receipt"
    folder.mkdir()
    (folder / "a.csv").write_bytes(client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(token)).content)
    shown = client.get(PAGE, params=period(), headers=bearer(token)).text
    assert "/access/reads/receipt.zip?" in shown
    asked = {**period(), "product": PERSONS, "outcome": "denied"}
    answer = client.get(f"{PAGE}/receipt.zip", params=asked, headers=bearer(token))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(folder)
    good = verified(folder)
    assert good.returncode == 0 and "文件 a.csv 在回执中" in good.stdout, good.stdout + good.stderr
    told = audit.recent(own_city.register, 1)[0]["body"]
    statement = (folder / "statement.json").read_bytes()
    assert (told["rows"], told["sha256"]) == (1, hashlib.sha256(statement).hexdigest())
    bad = client.get(f"{PAGE}/receipt.zip", params={**period(), "product": "我的话"}, headers=bearer(token))
    assert bad.status_code == 400 and "zip" not in bad.headers["content-type"]


def test_the_command_writes_a_receipt_of_anybody_for_an_auditor(
    own_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    client.get(f"/datasets/{AGES}/download/csv", headers=bearer(token))
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    monkeypatch.setenv("CITYLAKE_CONTRACTS", str(own_city.settings.contracts))
    days = ["--from", period()["first"], "--until", period()["last"]]

    def command(who: str, name: str) -> Any:
        return CliRunner().invoke(app, ["audit", "receipt", "甲", str(tmp_path / name), *days, "--who", who])

    assert command(STEWARD, "refused").exit_code == 1 and not (tmp_path / "refused").exists()
    done = command(AUDITOR, "receipt")
    assert done.exit_code == 0, done.output
    assert {file.name for file in (tmp_path / "receipt").iterdir()} == {"statement.json", "signature.bin", "key.pem"}
    assert verified(tmp_path / "receipt", "--key", tmp_path / "receipt" / "key.pem").returncode == 0
    assert command(AUDITOR, "receipt").exit_code == 1, "nothing is written over"


def sums_are_those_of_a_plain_reading(register: Register) -> None:
    """Drawn reads; on either database."""
    chance = random.Random(7)
    for _ in range(300):
        action = chance.choice(("rows.read", "file.read", "download", "table.query"))
        body = {"road": "rows", "policy": chance.choice("ab"), "columns": chance.choice((["x"], ["x", "y"]))}
        body |= {"rows": 7 if action == "file.read" else chance.randrange(9), "since": chance.choice((None, 3))}
        body |= {"sha256": chance.choice("xy"), "status": chance.choice((None, None, 304))}
        body |= {"method": chance.choice(("GET", "HEAD")), "range": chance.choice((None, "bytes=9-", "bytes=0-"))}
        who, outcome = chance.choice("甲乙"), chance.choice(("allowed", "allowed", "denied"))
        about: dict[str, Any] = {"product": chance.choice(("open/a", "open/b", None)), "version": 1, "grant": None}
        audit.record(register, action, outcome, body, recipient=who, **about)
    told = list(inquiry.rows(register, ZONE, Asked(recipient="甲", outcome="allowed")))
    wanted: dict[str, list[int]] = {}
    for row in told:
        body = row["body"]
        if row["product"] is None or body["method"] == "HEAD" or body["status"]:
            continue
        hashed = None if row["action"] == "rows.read" else body["sha256"]
        part = body["range"] is not None
        alike = json.dumps(
            [row["action"], row["product"], body["policy"], body["columns"], body["since"], hashed, part]
        )
        line = wanted.setdefault(alike, [0, 0])
        again = body["range"] == "bytes=9-"
        line[0] += 1
        line[1] = 7 if row["action"] == "file.read" else line[1] + (0 if again else body["rows"])
    found = reads.summed(register, ZONE, Asked(recipient="甲"))
    got = {
        json.dumps(
            [
                *(one["action"], one["product"], one["policy"], one["columns"]),
                *(one.get("since"), one.get("sha256"), one.get("part", False)),
            ]
        ): [one["reads"], one.get("rows", one.get("named"))]
        for one in found.entries
    }
    assert got == wanted and len(found.entries) == len(wanted)
    with register.engine.connect() as connection:
        others = sa.select(sa.func.count()).where(table.c.recipient == "甲", table.c.outcome == "denied")
        assert found.denied == connection.execute(others).scalar_one() and found.newest == 300


def test_sums_are_those_of_a_plain_reading(tmp_path: Path) -> None:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    sums_are_those_of_a_plain_reading(register)
    register.close()
