"""Signed heads of the audit: one that was changed, cut off or made anew is told, by the platform and by check.py."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from catalog.policy import audit as reads
from catalog.policy.decision import MARTS
from citylake.main import app
from pipelines.contracts.load import Contracts
from pipelines.issues import Issues
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain, heads
from pipelines.register.tables import audit, audit_head
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Entry, Ledger
from pipelines.run import opened
from tests.catalog.small_city import AUDITOR
from tests.release.test_bundle import AGES, ZONE, House, build, checked, found, victim

__all__ = ["victim"]
READS = (6, 5)
"""How many rows each head of the audit signs; those of the first left the house."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"))
    register = Register(house.settings.register_url)
    for number, size in enumerate(READS):
        for row in range(size):
            body = {"road": "web", "columns": ["a"], "rows": row, "purpose": "核验"}
            reads.record(register, "download", "allowed", body, recipient="甲", product=AGES, version=number)
        heads.seal(register, house.signer, ZONE, audit)
        if number == 0:
            lines = (f"{one.line()}\n" for one in heads.listed(register, audit))
            kept_of(house).write_text("".join(lines), "utf-8")
    register.close()
    return house


@pytest.fixture
def house(made: House, tmp_path: Path) -> House:
    shutil.copytree(made.settings.home.parent, tmp_path / "copy")
    home = tmp_path / "copy"
    settings = type(made.settings)(
        home / "state", made.settings.project, 0, 0, f"sqlite:///{home / 'state' / 'register.db'}"
    )
    return House(settings, home / "kept.jsonl")


def kept_of(house: House) -> Path:
    return house.kept.with_name("kept_audit.jsonl")


def rows_of(house: House) -> list[dict[str, Any]]:
    register = Register(house.settings.register_url)
    try:
        return register.rows(sa.select(audit).order_by(audit.c.sequence))
    finally:
        register.close()


def sign_again(house: House, rows: list[dict[str, Any]]) -> None:
    """Put these rows in place of the audit: numbered, chained and signed again with the stolen key."""
    house.change(sa.delete(audit), sa.delete(audit_head))
    register, previous = Register(house.settings.register_url), chain.FIRST
    for number, row in enumerate(rows, 1):
        forged = {**row, "sequence": number, "previous": previous}
        previous = forged["hash"] = chain.row_hash(forged)
        with register.begin() as connection:
            connection.execute(sa.insert(audit).values(**forged))
        if number == READS[0]:
            heads.seal(register, house.signer, ZONE, audit)
    heads.seal(register, house.signer, ZONE, audit)
    register.close()


def verified(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `citylake verify` says of the chains; the lake of this house is not a real one."""
    monkeypatch.setenv("CITYLAKE_HOME", str(house.settings.home))
    return CliRunner().invoke(app, ["verify"]).output


def test_an_audit_that_nobody_touched_is_told_good(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder, "--heads", house.kept, "--audit-heads", kept_of(house))
    assert code == 0, output
    assert f"审计：{sum(READS)} 条，签名头 2 个" in output
    assert "no heads kept elsewhere (--audit-heads)" in checked(folder, "--heads", house.kept)[1]
    assert "audit: OK" in verified(house, monkeypatch)


def test_changed_and_deleted_rows_are_told_by_their_numbers(
    house: House, tmp_path: Path, victim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 2 + victim % (READS[0] - 2)
    house.change(sa.update(audit).where(audit.c.sequence == number).values(recipient="乙"))
    code, output = checked(house.export(tmp_path / "changed"))
    assert code == 1 and f"audit rows {number} are not what head 1" in output and "ledger rows" not in found(output)[0]
    assert f"{number}" in verified(house, monkeypatch) and "ledger: OK" in verified(house, monkeypatch)
    house.change(sa.delete(audit).where(audit.c.sequence == number))
    code, output = checked(house.export(tmp_path / "deleted"))
    assert code == 1 and f"audit rows {number} are missing" in output


def test_a_cut_audit_whose_chain_is_whole_is_told(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.change(sa.delete(audit).where(audit.c.sequence > READS[0] + 2))
    register = Register(house.settings.register_url)
    assert reads.first_break(register) is None, "the chain alone does not tell"
    assert heads.difference(register, audit) == heads.Difference(2, READS[0] + 3)
    with pytest.raises(CitylakeError, match="审计"):
        heads.seal(register, house.signer, ZONE, audit)
    register.close()
    assert "第 2 个签名头" in verified(house, monkeypatch)
    assert f"audit rows {READS[0] + 3}-{sum(READS)} are missing" in checked(house.export(tmp_path / "cut"))[1]


def altered(rows: list[dict[str, Any]]) -> None:
    rows[2]["product"] = "open/other"


def dropped(rows: list[dict[str, Any]]) -> None:
    del rows[2]


def shortened(rows: list[dict[str, Any]]) -> None:
    del rows[3:]


def emptied(rows: list[dict[str, Any]]) -> None:
    rows.clear()


@pytest.mark.parametrize("attack", [altered, dropped, shortened, emptied])
def test_an_audit_made_anew_is_told_by_heads_kept_elsewhere(
    house: House, tmp_path: Path, attack: Callable[[list[dict[str, Any]]], None]
) -> None:
    rows = rows_of(house)
    attack(rows)
    sign_again(house, rows)
    folder = house.export(tmp_path / "bundle")
    assert checked(folder, "--heads", house.kept)[0] == 0, "alone it is consistent"
    code, output = checked(folder, "--audit-heads", kept_of(house))
    assert code == 1
    told = [one for one in found(output) if "kept_audit.jsonl" in one or "that you kept" in one or "you kept" in one]
    first = {altered: "3", dropped: "3", shortened: "4", emptied: "1"}[attack]
    assert any(f"audit rows {first}" in one for one in told), output


def test_a_bundle_without_its_audit_is_told(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    manifest = (folder / "manifest.json").read_text("utf-8")
    for name in ("audit.jsonl", "audit_heads.jsonl"):
        (folder / name).unlink()
    assert checked(folder)[0] == 2, "files that the manifest promises"

    said = json.loads(manifest)
    del said["audit"]
    said["files"] = {name: digest for name, digest in said["files"].items() if not name.startswith("audit")}
    (folder / "manifest.json").write_text(json.dumps(said), "utf-8")
    code, output = checked(folder)
    assert code == 1 and "the signature of manifest.json is wrong" in output
    said["format"] = "citylake-evidence/1"  # as an older version wrote it, without a page to read
    del said["files"]["pack.pdf"]
    (folder / "manifest.json").write_text(json.dumps(said), "utf-8")
    for name in ("manifest.sig", "pack.pdf"):
        (folder / name).unlink()
    code, output = checked(folder)
    assert code == 0 and "the bundle has no audit" in output
    assert f"audit rows 1-{READS[0]}" in checked(folder, "--audit-heads", kept_of(house))[1]


def test_heads_of_one_chain_do_not_pass_for_the_other(house: House, tmp_path: Path) -> None:
    folder = house.export(tmp_path / "bundle")
    assert "is not one of the ledger" in checked(folder, "--heads", kept_of(house))[1]
    assert "is not one of the audit" in checked(folder, "--audit-heads", house.kept)[1]


def test_a_period_takes_the_audit_of_its_days(house: House, tmp_path: Path) -> None:
    day = rows_of(house)[0]["at"].replace(tzinfo=UTC).astimezone(ZONE).date()
    code, output = checked(
        house.export(tmp_path / "part", since=day, until=day), "--audit-heads", kept_of(house), "--heads", house.kept
    )
    assert code == 0 and f"audit rows 1-{sum(READS)} only" in output


def test_it_says_who_received_a_product(house: House, tmp_path: Path) -> None:
    register = Register(house.settings.register_url)
    reads.record(register, "table.metadata", "allowed", {}, recipient="只看结构", product=AGES, version=1)
    reads.record(register, "download", "denied", {}, recipient="被拒", product=AGES)
    reads.record(register, "download", "allowed", {"method": "HEAD"}, recipient="只问大小", product=AGES, version=1)
    reads.record(register, "download", "allowed", {"method": "GET"}, product=AGES, version=1)
    reads.record(register, "download", "allowed", {}, recipient="别的", product="open/roads", version=1)
    heads.seal(register, house.signer, ZONE, audit)
    register.close()
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder, "--received", AGES)
    assert code == 0 and f"甲：版本 0, 1，读取 {sum(READS)} 次" in output and "公众或本机：版本 1，读取 1 次" in output
    assert not any(name in output for name in ("只看结构", "被拒", "别的", "只问大小"))
    assert "没有人读过" in checked(folder, "--received", "open/nothing")[1]


def test_the_command_writes_heads_of_the_audit(
    house: House, contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.staffed(contracts)
    monkeypatch.setenv("CITYLAKE_HOME", str(house.settings.home))
    for arguments in (
        ["heads", str(tmp_path / "heads.jsonl"), "--audit"],
        ["export", str(tmp_path / "bundle"), "--who", AUDITOR],
    ):
        result = CliRunner().invoke(app, ["evidence", *arguments])
        assert result.exit_code == 0 and "审计" in result.output
    assert checked(tmp_path / "bundle", "--audit-heads", tmp_path / "heads.jsonl")[0] == 0
    last = sa.select(sa.func.max(audit.c.sequence)).scalar_subquery()
    house.change(sa.update(audit).where(audit.c.sequence == last).values(outcome="denied"))
    result = CliRunner().invoke(app, ["evidence", "heads", str(tmp_path / "more.jsonl"), "--audit"])
    assert result.exit_code == 1 and not (tmp_path / "more.jsonl").exists()
    result = CliRunner().invoke(app, ["evidence", "export", str(tmp_path / "told"), "--who", AUDITOR])
    assert result.exit_code == 1 and "审计第" in result.output
    assert checked(tmp_path / "told")[0] == 1, "the bundle shows where"


def test_many_rows_are_several_heads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "MOST_ROWS", 4)
    register = Register(house.settings.register_url)
    for _ in range(10):
        reads.record(register, "preview", "denied", {})
    sealed = heads.seal(register, house.signer, ZONE, audit)
    ends = [one.last for one in heads.listed(register, audit)]
    assert sealed is not None and ends == [6, 11, 15, 19, 21] and sealed.last == 21
    assert heads.difference(register, audit) is None
    register.close()


def test_a_run_signs_the_audit_and_tells_the_operator_why_not(house: House) -> None:
    shutil.rmtree(house.settings.lake.root / "released" / "products")  # no table: a run would look for its log
    register = Register(house.settings.register_url)
    reads.record(register, "preview", "denied", {})
    with opened(house.settings, "signs"):
        pass
    assert [one.last for one in heads.listed(register, audit)] == [6, 11, 12]
    house.change(sa.update(audit).where(audit.c.sequence == 12).values(outcome="allowed"))
    reads.record(register, "preview", "denied", {})
    with opened(house.settings, "refuses"):
        pass
    assert [row["code"] for row in Issues(register).open("audit_heads")] == ["heads.not_the_audit"]
    assert len(list(heads.listed(register, audit))) == 3
    register.close()


def test_downloads_of_the_whole_analysts_database_are_told(house: House, tmp_path: Path) -> None:
    """For each product that was in the file then, and for the file itself; never for what was not in it."""
    register, one, other = Register(house.settings.register_url), "analyst/division", "analyst/age_structure"
    book = Ledger(register)

    def downloaded(who: str, outcome: reads.Outcome = "allowed") -> None:
        reads.record(register, "download", outcome, {"file": "marts-a.duckdb"}, recipient=who, product=MARTS)

    downloaded("太早")
    book.record([Entry(RELEASE, one, "e1", 0, {})])
    downloaded("甲"), downloaded("被拒", "denied")
    book.record([Entry(RELEASE, one, "e2", 1, {}), Entry(RELEASE, other, "e2", 0, {})])
    downloaded("甲"), downloaded("乙")
    book.record([Entry(WITHDRAWAL, one, "e2", 1, {"who": "王", "why": "漏"})])
    downloaded("太晚")
    reads.record(register, "download", "allowed", {}, recipient="乙", product=one, version=1)
    heads.seal(register, house.signer, ZONE, audit), heads.seal(register, house.signer, ZONE)
    register.close()
    folder = house.export(tmp_path / "bundle")
    told = {product: checked(folder, "--received", product)[1] for product in (one, other, MARTS, AGES)}
    assert "甲：下载分析库整库 2 次" in told[one] and "其中的版本 0, 1" in told[one]
    assert "乙：下载分析库整库 1 次" in told[one] and "乙：版本 1，读取 1 次" in told[one]
    assert not any(name in told[one] for name in ("太早", "太晚", "被拒"))
    assert "甲：下载分析库整库 1 次" in told[other] and "太晚：下载分析库整库 1 次" in told[other]
    assert all(f"{name}：下载分析库整库" in told[MARTS] for name in ("太早", "甲", "乙", "太晚"))
    assert "被拒" not in told[MARTS] and "分析库" not in told[AGES]
