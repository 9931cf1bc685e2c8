"""The keys of approvers: who enrols and ends them, and whose signature an approval takes; by file and by device."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from catalog.policy import audit, keys, releases
from catalog.policy.users import NotAllowed
from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.approval import heard, unbacked
from pipelines.release.ledger import APPROVAL, RELEASE, Entry, Ledger
from tests.catalog.small_city import (
    ADMINISTRATOR,
    APPROVER,
    GUARD,
    PERSONS,
    SECOND,
    STEWARD,
    asking_for,
    enrolled,
    key_of,
    two_approvers,
)


@pytest.fixture
def register(tmp_path: Path, contracts: Contracts) -> Iterator[Register]:
    with two_approvers(tmp_path, contracts) as register:
        yield register


def pem(name: str) -> bytes:
    return key_of(name).public_key(Encoding.PEM)


def test_an_approval_takes_the_key_of_who_approves(register: Register, contracts: Contracts) -> None:
    asking, ledger = asking_for(contracts, "standing"), Ledger(register)
    releases.propose(register, asking, PERSONS, "共享", actor=STEWARD)
    enrolled(register, SECOND)
    with pytest.raises(CitylakeError) as error:
        releases.approve(register, asking, PERSONS, key_of(APPROVER), actor=APPROVER)
    assert error.value.code == "approver_key.none"
    enrolled(register, APPROVER)
    with pytest.raises(NotAllowed) as refused:
        releases.approve(register, asking, PERSONS, key_of(SECOND), actor=APPROVER)
    assert refused.value.code == "approval.other_key"
    assert audit.recent(register, 1)[0]["body"] == {"actor": APPROVER, "reason": "approval.other_key"}
    assert not ledger.of_kind(APPROVAL)
    releases.approve(register, asking, PERSONS, key_of(APPROVER), actor=APPROVER)
    permit = heard(ledger)[PERSONS].permit
    assert permit is not None and permit.approver == APPROVER
    ledger.record([Entry(RELEASE, PERSONS, "e1", 0, {"approval": permit.said("standing")})])
    assert list(unbacked(ledger)) == []


def test_what_somebody_writes_past_the_platform_is_found(register: Register, contracts: Contracts) -> None:
    """Whoever can write the ledger, chain and all, has not the key of the approver."""
    asking, ledger = asking_for(contracts, "standing"), Ledger(register)
    enrolled(register, APPROVER)
    proposal = releases.propose(register, asking, PERSONS, "共享", actor=STEWARD)
    body = {"who": APPROVER, "proposal": proposal.sequence, "terms": proposal.body["terms"]}
    (forged,) = ledger.record([Entry(APPROVAL, PERSONS, proposal.edition, None, body)])
    assert heard(ledger)[PERSONS].permit is None and ledger.first_break() is None
    said = {"asks": "standing", "row": forged.sequence, "proposal": proposal.sequence}
    said |= {"proposer": STEWARD, "approver": APPROVER, "terms": proposal.body["terms"]}
    ledger.record([Entry(RELEASE, PERSONS, "forged", 0, {"approval": said})])
    assert [row.edition for row in unbacked(ledger)] == ["forged"]


def test_who_enrols_and_ends_keys(register: Register) -> None:
    row = keys.enrol(register, APPROVER, pem("一"), actor=ADMINISTRATOR)
    assert row.body["algorithm"] == "ed25519" and audit.recent(register, 1)[0]["action"] == "key.enrol"
    with pytest.raises(CitylakeError) as error:
        keys.enrol(register, SECOND, pem("一"), actor=ADMINISTRATOR)
    assert error.value.code == "approver_key.taken"
    with pytest.raises(NotAllowed):
        keys.enrol(register, APPROVER, pem("二"), actor=APPROVER)
    with pytest.raises(CitylakeError) as error:
        keys.enrol(register, "无人", pem("二"), actor=ADMINISTRATOR)
    assert error.value.code == "user.gone"
    for text in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "公钥".encode()):
        with pytest.raises(CitylakeError) as error:
            keys.enrol(register, APPROVER, text, actor=ADMINISTRATOR)
        assert error.value.code == "approver_key.bad"
    assert keys.end(register, APPROVER, actor=GUARD).body["key"] is None
    with pytest.raises(CitylakeError) as error:
        keys.end(register, APPROVER, actor=GUARD)
    assert error.value.code == "approver_key.none"


def test_a_private_key_is_a_file_outside_of_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    key = load_pem_private_key(_private(NoEncryption()), None)
    file = tmp_path / "key.pem"
    for secret in (NoEncryption(), BestAvailableEncryption(b"secret")):
        file.write_bytes(_private(secret))
        signer = keys.of_file(file, home, lambda: "secret")
        assert signer.sign(b"m") == key.sign(b"m")  # type: ignore[union-attr,call-arg]
    with pytest.raises(CitylakeError) as error:
        keys.of_file(file, home, lambda: "wrong")
    assert error.value.code == "approver_key.unreadable"
    curve = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for place, text, code in (
        (tmp_path / "none.pem", None, "approver_key.unreadable"),
        (tmp_path / "curve.pem", curve, "approver_key.unreadable"),
        (home / "key.pem", _private(NoEncryption()), "cli.in_the_home"),
    ):
        if text is not None:
            place.write_bytes(text)
        with pytest.raises(CitylakeError) as error:
            keys.of_file(place, home, lambda: "")
        assert error.value.code == code


def test_a_device_signs_with_sm2(register: Register, contracts: Contracts, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    file, asking = tmp_path / "sm2.pem", asking_for(contracts, "standing")
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2")
    subprocess.run([openssl, "genpkey", *curve, "-out", file], check=True, capture_output=True)
    public = subprocess.run([openssl, "pkey", "-in", file, "-pubout"], check=True, capture_output=True).stdout
    row = keys.enrol(register, APPROVER, public, actor=ADMINISTRATOR)
    assert row.body["algorithm"] == "sm2"
    options = ["-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-inkey", str(file)]
    sign = [openssl, "pkeyutl", *options]
    releases.propose(register, asking, PERSONS, "共享", actor=STEWARD)
    releases.approve(register, asking, PERSONS, keys.of_device(sign, row, tmp_path), actor=APPROVER)
    assert heard(Ledger(register))[PERSONS].permit is not None
    enrolled(register, SECOND)
    with pytest.raises(CitylakeError) as error:
        keys.of_device(sign, Ledger(register).of_kind(row.kind)[-1], tmp_path)
    assert error.value.code == "approver_key.no_device"


def _private(secret: NoEncryption | BestAvailableEncryption) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(b"k" * 32).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
