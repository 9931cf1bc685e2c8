"""Who says that a product may be released: two persons, at the command line and by policy; what pages tell of it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from typer.testing import CliRunner

from catalog.policy import audit, releases, users
from catalog.policy.users import NotAllowed
from citylake.main import app
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.release import withdrawal
from pipelines.release.approval import asked, heard
from pipelines.release.ledger import APPROVAL, APPROVAL_END, PROPOSAL
from tests.catalog.small_city import (
    ADMINISTRATOR,
    AGES,
    APPROVER,
    OFFICE,
    PERSONS,
    STEWARD,
    City,
    asking_for,
    enrolled,
)

BOTH = "一人两职"
CONTRACT = "products/population/age_structure.yaml"
NAMED = "    product: age_structure_by_county\n"
SETTING = "    release: {approval: standing}\n"


def test_two_persons_and_what_was_proposed(own_city: City) -> None:
    """One person never suffices, whatever roles they hold; what changed since is not what was proposed."""
    city, register = own_city, own_city.register
    contracts = asking_for(city.contracts, "standing")
    users.create(register, contracts, BOTH, OFFICE, ["steward", "approver"], actor=ADMINISTRATOR)
    key = enrolled(register, APPROVER)
    with pytest.raises(CitylakeError) as error:
        releases.propose(register, city.contracts, PERSONS, "试", actor=STEWARD)
    assert error.value.code == "approval.not_asked"
    with pytest.raises(CitylakeError) as error:
        releases.approve(register, contracts, PERSONS, key, actor=APPROVER)
    assert error.value.code == "approval.none_waits"
    since = now() + timedelta(hours=1)
    proposal = releases.propose(register, contracts, PERSONS, "年度共享", since, actor=BOTH)
    with pytest.raises(CitylakeError) as error:
        releases.propose(register, contracts, PERSONS, "再试", actor=STEWARD)
    assert error.value.code == "approval.proposed_already"
    with pytest.raises(NotAllowed) as refused:
        releases.approve(register, contracts, PERSONS, key, actor=BOTH)
    assert refused.value.code == "approval.own_proposal"
    row = audit.recent(register, 1)[0]
    assert (row["action"], row["outcome"], row["body"]["actor"]) == ("release.approve", "denied", BOTH)
    product = contracts.products[PERSONS]
    fewer = replace(product, columns=product.columns[1:])
    model = replace(product.contract, products=(fewer,))
    other = replace(contracts, models={**contracts.models, product.contract.form.model: model})
    with pytest.raises(CitylakeError) as error:
        releases.approve(register, other, PERSONS, key, actor=APPROVER)
    assert error.value.code == "approval.terms_changed"
    approval = releases.approve(register, contracts, PERSONS, key, actor=APPROVER)
    assert (proposal.kind, approval.kind, approval.body["proposal"]) == (PROPOSAL, APPROVAL, proposal.sequence)
    permit = heard(city.ledger)[PERSONS].permit
    assert permit is not None and (permit.proposer, permit.approver, permit.since) == (BOTH, APPROVER, since)
    assert permit.terms == asked(product, contracts.city, heard(city.ledger)[PERSONS], now()).terms
    ended = releases.refuse(register, PERSONS, "暂缓", actor=STEWARD)
    assert ended.kind == APPROVAL_END and heard(city.ledger)[PERSONS].permit is None
    with pytest.raises(CitylakeError) as error:
        releases.refuse(register, PERSONS, "再", actor=STEWARD)
    assert error.value.code == "approval.nothing_to_end"
    assert audit.first_break(register) is None and city.ledger.first_break() is None


def test_a_withdrawal_ends_what_was_approved(own_city: City) -> None:
    """Reinstating is one person's word, so the product waits for two again."""
    contracts = asking_for(own_city.contracts, "standing")
    own_city.release(PERSONS)
    releases.propose(own_city.register, contracts, PERSONS, "试", actor=STEWARD)
    releases.approve(own_city.register, contracts, PERSONS, enrolled(own_city.register, APPROVER), actor=APPROVER)
    withdrawal.withdraw(own_city.register, contracts, PERSONS, "王", "漏")
    withdrawal.reinstate(own_city.register, PERSONS, "王", "已修正")
    assert heard(own_city.ledger)[PERSONS].permit is None


def openssl_key() -> bytes:
    """A private key as `openssl genpkey` writes it."""
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_at_the_command_line_and_on_pages(own_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city, runner = own_city, CliRunner()
    path = city.own_contracts() / CONTRACT
    monkeypatch.setenv("CITYLAKE_HOME", str(city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(city.settings.project))

    def told(*words: str) -> tuple[int, str]:
        result = runner.invoke(app, ["release", *words])
        return result.exit_code, result.output

    code, output = told("list")
    assert code == 0, output
    assert "没有产品要求两人批准" in output and "No product asks for two persons" in output
    text = path.read_text("utf-8")
    assert NAMED in text
    path.write_text(text.replace(NAMED, NAMED + SETTING), "utf-8")

    def line() -> dict[str, object]:
        code, output = told("list")
        assert code == 0, output
        (found,) = [json.loads(one) for one in output.splitlines()]
        return found  # type: ignore[no-any-return]

    assert (line()["product"], line()["asks"], line()["proposal"]) == (AGES, "standing", None)
    for moment in ("2026-13-01T09:00", "2026-12-01T09:00Z", "2026-12-01T09:00+08:00"):
        code, output = told("propose", AGES, "--who", STEWARD, "--why", "每日发布", "--from", moment)
        assert code == 1 and moment in output and "不是时刻" in output and "Traceback" not in output
    code, output = told("propose", AGES, "--who", STEWARD, "--why", "每日发布", "--from", "2026-01-01T09:00")
    assert code == 0 and "已提请发布" in output, output
    assert "等待另一人批准" in str(line()["waits"])
    keyed = ("--key", str(tmp_path / "key.pem"))
    (tmp_path / "key.pem").write_bytes(openssl_key())
    assert "citylake access key" in told("approve", AGES, *keyed, "--who", APPROVER)[1]
    public = load_pem_private_key(openssl_key(), None).public_key()
    (tmp_path / "public.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    enrol = ["access", "key", APPROVER, str(tmp_path / "public.pem"), "--who", ADMINISTRATOR]
    assert "（ed25519" in runner.invoke(app, enrol).output
    assert told("approve", AGES, *keyed, "--who", STEWARD)[0] == 1
    assert "--key" in told("approve", AGES, "--who", APPROVER)[1]
    inside = city.settings.home / "key.pem"
    inside.write_bytes(openssl_key())
    assert told("approve", AGES, "--key", str(inside), "--who", APPROVER)[0] == 1
    code, output = told("approve", AGES, *keyed, "--who", APPROVER)
    assert code == 0 and "已批准" in output, output
    assert line()["waits"] == [] and line()["approval"] is not None
    permit = heard(city.ledger)[AGES].permit
    assert permit is not None
    city.release(AGES, approval=permit.said("standing"))
    client = city.client()
    decisions = client.get("/decisions").text
    assert "提请发布" in decisions and "批准发布" in decisions and "decision.kinds" not in decisions
    quality = client.get(f"/quality/{AGES}").text
    assert f"经两人批准，账本第 {permit.row} 条" in quality
    for page in (decisions, quality, client.get(f"/datasets/{AGES}").text):
        assert STEWARD not in page and APPROVER not in page, "pages are public"
    assert told("propose", AGES, "--who", STEWARD, "--why", "改期")[0] == 0
    code, output = told("refuse", AGES, "--who", APPROVER, "--why", "不必")
    assert code == 0 and "的提请" in output and f"批准（账本第 {permit.row} 条）仍然有效" in output, output
    assert line()["proposal"] is None and line()["waits"] == [], "the approval before stays in force"
    code, output = told("refuse", AGES, "--who", APPROVER, "--why", "暂停")
    assert code == 0 and "的批准" in output and "没有有效的批准" in output and "citylake withdraw" in output, output
    assert "尚无有效批准" in str(line()["waits"])
