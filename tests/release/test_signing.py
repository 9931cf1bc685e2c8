"""Heads and receipts signed by a device outside (SM2, GB/T 32918.2), for which OpenSSL stands in: what it signs
check.py finds good, and an attacker who changes keys or algorithms is told. The register is a small one."""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.delivery import receipt
from pipelines.contracts.forms.city import CityForm, DeviceForm, SigningForm
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain, heads
from pipelines.register.signer import SIGNING, Ed25519Signer, Signer
from pipelines.register.tables import head
from pipelines.release import bundle, check, signing
from pipelines.release.ledger import RELEASE, Entry, Ledger
from pipelines.settings import REPOSITORY
from tests.city import seed_from_clock
from tests.release.test_bundle import ZONE, House, build, checked, found

OPENSSL = shutil.which("openssl") or ""
SIGN = ["pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-inkey"]
EXAMPLE = (
    check.SM2_KEY
    + bytes.fromhex("09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020")
    + bytes.fromhex("CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"),
    0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3,
    0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA,
)
"""Key, r and s on "message digest": GB/T 32918.5-2017, annex A."""

pytestmark = pytest.mark.skipif(not OPENSSL, reason="OpenSSL's program stands in for the device")


def openssl(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([OPENSSL, *map(str, arguments)], input=given, capture_output=True, check=False)


def device(file: Path) -> DeviceForm:
    """A new key in a file, with which OpenSSL signs."""
    made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", file)
    assert made.returncode == 0, made.stderr
    public = openssl("pkey", "-in", file, "-pubout").stdout.decode()
    return DeviceForm(algorithm="sm2", publicKey=public, command=[OPENSSL, *SIGN, str(file)])


@pytest.fixture(scope="module")
def city() -> CityForm:
    return load(REPOSITORY / "data_contracts").city


@dataclass
class Town:
    """A house whose city names devices."""

    house: House
    city: CityForm

    def chosen(self, form: DeviceForm | None, *former: DeviceForm) -> Signer:
        """Who signs when the city names these devices."""
        named = self.city.model_copy(update={"signing": SigningForm(device=form, former=list(former))})
        return signing.signer_of(self.house.settings, named)

    def signed(self, signer: Signer, subject: str) -> None:
        """One more row and its head."""
        register = Register(self.house.settings.register_url)
        try:
            Ledger(register).record([Entry(RELEASE, subject, "e99", 99, {"rows": 1, "as_of": "2026-11-02"})])
            heads.seal(register, signer, ZONE)
        finally:
            register.close()

    def export(self, folder: Path, signer: Signer) -> Path:
        register = Register(self.house.settings.register_url)
        try:
            bundle.export(register, signer, folder, "六安市", ZONE, None, None, signed=False)
        finally:
            register.close()
        return folder


@pytest.fixture
def town(tmp_path: Path, city: CityForm) -> Town:
    """Three heads of the Ed25519 key of the installation."""
    return Town(build(tmp_path), city)


def kept(signer: Signer, file: Path) -> Path:
    file.write_bytes(signer.public_key(Encoding.PEM))
    return file


def test_the_example_of_the_standard_is_good() -> None:
    key, r, s = EXAMPLE
    assert check.sm2(key, encode_dss_signature(r, s), b"message digest")
    assert not check.sm2(key, encode_dss_signature(r, s), b"message digesT")


def test_what_openssl_signs_is_good_and_nothing_else(tmp_path: Path) -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    chance = random.Random(seed)
    for number in range(12):
        form = device(tmp_path / f"{number}.pem")
        key, message = check.public_key(form.publicKey.encode()), chance.randbytes(chance.randrange(300))
        signature = openssl(*form.command[1:], given=message).stdout
        assert check.sm2(key, signature, message)
        place, bit = chance.randrange(len(signature)), 1 << chance.randrange(8)
        changed = bytearray(signature)
        changed[place] ^= bit
        assert not check.sm2(key, bytes(changed), message)
        r, s = decode_dss_signature(signature)
        for wrong in ((0, s), (r, 0), (r, check.SM2_N - r), (r + check.SM2_N, s), (r, s + check.SM2_N), (s, r)):
            assert not check.sm2(key, encode_dss_signature(*wrong), message)
        assert not check.sm2(key, signature + b"\0", message) and not check.sm2(key, signature, message + b"\0")
        assert not check.sm2(EXAMPLE[0], signature, message) and not check.ed25519(key, signature, message)
        unnamed = openssl(
            "pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:other", *form.command[-2:]
        )
        assert not check.sm2(key, unnamed.stdout, b"")


def test_what_we_take_openssl_takes_too(tmp_path: Path) -> None:
    """The other direction: signatures made here by arithmetic, which no part of citylake can make."""
    seed = seed_from_clock()
    print(f"seed {seed}")
    chance, file = random.Random(seed), tmp_path / "message"
    for _ in range(8):
        secret, message = chance.randrange(1, check.SM2_N - 1), chance.randbytes(chance.randrange(1, 200))
        key = check.SM2_KEY + b"".join(number.to_bytes(32, "big") for number in times(secret))
        signature = signed_by_hand(secret, key, message, chance.randrange(1, check.SM2_N))
        assert check.sm2(key, signature, message)
        file.write_bytes(message)
        (tmp_path / "signature").write_bytes(signature)
        (tmp_path / "key").write_bytes(key)
        options = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-keyform", "DER")
        about = ("-pubin", "-inkey", tmp_path / "key", "-in", file, "-sigfile", tmp_path / "signature")
        done = openssl("pkeyutl", "-verify", *options, *about)
        assert done.returncode == 0, done.stdout + done.stderr


def times(number: int) -> tuple[int, int]:
    """So many times the base point."""
    x, y, z = check.sm2_sum(number, check.SM2_G, 0, check.SM2_G)
    return x * pow(z, -2, check.SM2_P) % check.SM2_P, y * pow(z, -3, check.SM2_P) % check.SM2_P


def signed_by_hand(secret: int, key: bytes, message: bytes, k: int) -> bytes:
    """GB/T 32918.2, 6.1."""
    numbers = (check.SM2_P - 3, check.SM2_B, *check.SM2_G)
    about = b"\0\x80" + check.SM2_USER + b"".join(one.to_bytes(32, "big") for one in numbers) + key[-64:]
    digest = int.from_bytes(check.sm3_of(check.sm3_of(about) + message), "big")
    r = (digest + times(k)[0]) % check.SM2_N
    s = pow(1 + secret, -1, check.SM2_N) * (k - r * secret) % check.SM2_N
    return encode_dss_signature(r, s)


def test_a_key_that_is_none_is_refused(town: Town) -> None:
    off_curve = EXAMPLE[0][:-1] + bytes([EXAMPLE[0][-1] ^ 1])
    assert check.sm2_point(EXAMPLE[0]) and not check.sm2_point(off_curve)
    assert not check.sm2(off_curve, encode_dss_signature(*EXAMPLE[1:]), b"message digest")
    good = device(town.house.settings.home / "k.pem")
    lines = good.publicKey.splitlines()
    bad = good.model_copy(update={"publicKey": "\n".join([*lines[:2], lines[2][:-4] + "AAA=", lines[3], ""])})
    with pytest.raises(CitylakeError) as error:
        town.chosen(bad)
    assert error.value.code == "signing.bad_key"


def test_a_city_changes_from_ed25519_to_sm2_and_to_another_device(town: Town, tmp_path: Path) -> None:
    first = town.house.signer
    one, two = device(tmp_path / "one.pem"), device(tmp_path / "two.pem")
    town.signed(town.chosen(one), "open/one")
    town.signed(town.chosen(one), "open/more")
    town.signed(second := town.chosen(two, one), "open/two")
    folder = town.export(tmp_path / "bundle", second)
    for number, signer in enumerate((first, town.chosen(one), second)):  # whatever key somebody kept
        code, output = checked(folder, "--heads", town.house.kept, "--key", kept(signer, tmp_path / f"{number}.key"))
        assert code == 0, output
        assert "from head 4 on the key is another (sm2)" in output and "from head 6 on" in output
        assert "from head 5 on" not in output
    stranger = town.chosen(device(tmp_path / "stranger.pem"))
    code, output = checked(folder, "--key", kept(stranger, tmp_path / "stranger.key"))
    assert code == 1 and found(output) == [
        "the public key is not the one you kept: somebody else may have signed all of this"
    ]


def test_a_city_goes_back_to_its_own_key(town: Town, tmp_path: Path) -> None:
    form = device(tmp_path / "k.pem")
    town.signed(town.chosen(form), "open/one")
    town.signed(own := town.chosen(None, form), "open/two")
    code, output = checked(town.export(tmp_path / "bundle", own), "--key", kept(own, tmp_path / "key"))
    assert code == 0 and "from head 5 on the key is another (ed25519)" in output, output


def test_a_bundle_of_a_new_key_that_signed_no_head_yet(town: Town, tmp_path: Path) -> None:
    signer = town.chosen(device(tmp_path / "k.pem"))
    folder = town.export(tmp_path / "bundle", signer)
    for number, one in enumerate((town.house.signer, signer)):
        code, output = checked(folder, "--key", kept(one, tmp_path / f"{number}.key"))
        assert code == 0, output
    signature = json.loads((folder / "manifest.sig").read_bytes())
    del signature["handover"]
    (folder / "manifest.sig").write_text(json.dumps(signature), "utf-8")
    problems = found(checked(folder, "--key", kept(town.house.signer, tmp_path / "key"))[1])
    assert any("head 3 was signed with another key" in one for one in problems)
    assert any("the public key is not the one you kept" in one for one in problems)


def test_a_key_that_is_gone_hands_over_to_nobody(town: Town, tmp_path: Path) -> None:
    form = device(tmp_path / "k.pem")
    (town.house.settings.home / "secrets" / f"{SIGNING}.key").unlink()
    with pytest.raises(CitylakeError) as error:
        town.signed(town.chosen(form), "open/one")
    assert error.value.code == "heads.no_handover"
    signer = town.chosen(form)
    assert not town.house.settings.has_key(SIGNING) and not signer.former


# Downgrades: the thief has the Ed25519 key of before, or one of his own, and writes everything.


@dataclass
class Thief(Ed25519Signer):
    """Signs with a key, and says of it what he likes."""

    seed: bytes
    algorithm: str = "ed25519"

    def __post_init__(self) -> None:
        super().__init__(self.seed)


def forged(town: Town, signer: Signer, folder: Path, **says: Any) -> Path:
    """The newest head made again by another signer, saying something else too."""
    register = Register(town.house.settings.register_url)
    last = heads.newest(register)
    assert last is not None
    key = {"algorithm": signer.algorithm, "key": signer.public_key(Encoding.DER).hex()}
    statement = chain.canonical({**last.says, **key, **says})
    changed = {"statement": statement, "signature": signer.sign(statement.encode()).hex()}
    with register.begin() as connection:
        connection.execute(sa.update(head).where(head.c.sequence == last.sequence).values(**changed))
    register.close()
    return town.export(folder, signer)


@pytest.mark.parametrize("own", [True, False], ids=["a key of his own", "the key of before"])
def test_a_head_of_sm2_that_ed25519_signed_again_is_told(town: Town, tmp_path: Path, own: bool) -> None:
    sm2 = town.chosen(device(tmp_path / "k.pem"))
    town.signed(sm2, "open/one")
    town.signed(sm2, "open/two")
    file = kept(sm2, tmp_path / "key")
    seed = os.urandom(32) if own else town.house.settings.key(SIGNING)
    folder = forged(town, Thief(seed), tmp_path / "forged")
    problems = found(checked(folder, "--key", file)[1])
    assert any("the key of head 5 is another, and the one before did not hand over" in one for one in problems)
    assert any("the public key is not the one you kept" in one for one in problems)


def test_all_heads_of_sm2_taken_away_are_told_by_the_kept_key(town: Town, tmp_path: Path) -> None:
    """The bundle is what it was before the change of keys: only the new key, or kept heads, tell."""
    signer = town.chosen(device(tmp_path / "k.pem"))
    file, old = kept(signer, tmp_path / "key"), kept(town.house.signer, tmp_path / "old")
    folder = town.house.export(tmp_path / "bundle")
    assert checked(folder, "--key", old)[0] == 0
    assert found(checked(folder, "--key", file)[1])[0].startswith("the public key is not the one you kept")


@pytest.mark.parametrize("algorithm", ["ed25519", "none", "SM2"])
def test_a_head_that_says_another_algorithm_of_its_key_is_told(town: Town, tmp_path: Path, algorithm: str) -> None:
    sm2 = town.chosen(device(tmp_path / "k.pem"))
    town.signed(sm2, "open/one")
    folder = forged(
        town, Thief(os.urandom(32)), tmp_path / "bundle", algorithm=algorithm, key=sm2.public_key(Encoding.DER).hex()
    )
    code, output = checked(folder, "--key", kept(sm2, tmp_path / "key"))
    told = " ".join(found(output))
    assert code == 1 and ("the signature of head 4" in told or f"head 4 has algorithm {algorithm}" in told), output


def test_a_handover_to_one_key_is_none_to_another(town: Town, tmp_path: Path) -> None:
    town.signed(town.chosen(device(tmp_path / "k.pem")), "open/one")
    folder = forged(
        town, Thief(os.urandom(32)), tmp_path / "bundle"
    )  # with the handover that was signed for the device
    assert any("did not hand over" in one for one in found(checked(folder)[1]))


# The device.


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("import sys; sys.stderr.write('PIN 错误\\nmore'); sys.exit(3)", "signing.failed", "PIN 错误"),
        ("import sys; sys.exit(4)", "signing.failed", "exit 4"),
        ("print('no signature')", "signing.not_good", ""),
        ("import time; time.sleep(30)", "signing.slow", "1"),
    ],
)
def test_a_device_that_fails_signs_nothing(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: str, told: str
) -> None:
    monkeypatch.setattr(signing, "SECONDS", 1 if code == "signing.slow" else 20)
    form = device(tmp_path / "k.pem").model_copy(update={"command": [sys.executable, "-c", script]})
    with pytest.raises(CitylakeError) as error:
        town.signed(town.chosen(form), "open/one")
    assert error.value.code == code and told in str(error.value)
    register = Register(town.house.settings.register_url)
    assert len(list(heads.listed(register))) == 3
    register.close()


def test_a_device_with_another_key_or_none_signs_nothing(town: Town, tmp_path: Path) -> None:
    one, two = device(tmp_path / "one.pem"), device(tmp_path / "two.pem")
    for command, code in ((two.command, "signing.not_good"), (["/no/such/tool"], "signing.failed")):
        with pytest.raises(CitylakeError) as error:
            town.chosen(one.model_copy(update={"command": command})).sign(b"words")
        assert error.value.code == code


def test_a_device_sees_no_password_and_works_in_a_folder_of_its_own(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CITYLAKE_SECRET_PSB_DSN", "CITYLAKE_REGISTER", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "pass-word")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    script = "import os, pathlib; pathlib.Path('seen').write_text(repr(dict(os.environ)))"
    form = device(tmp_path / "k.pem").model_copy(update={"command": [sys.executable, "-c", script]})
    with pytest.raises(CitylakeError):
        town.chosen(form).sign(b"words")
    folder = town.house.settings.home / "secrets" / "signing"
    seen = (folder / "seen").read_text("utf-8")
    assert "pass-word" not in seen and "PATH" in seen and "LC_ALL" in seen
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_device_says_of_a_failure_is_one_short_line(town: Town, tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('\\x1b[31mPIN' + 'x' * 100_000 + '\\nmore'); sys.exit(3)"
    form = device(tmp_path / "k.pem").model_copy(update={"command": [sys.executable, "-c", script]})
    with pytest.raises(CitylakeError) as error:
        town.chosen(form).sign(b"words")
    told = str(error.value.arguments["problem"])
    assert told.startswith("[31mPINx") and len(told) == 200


@pytest.mark.parametrize("text", ["[" * 200_000, "{", "", "\ud800"])
def test_a_receipt_that_nobody_signed_is_not_parsed(town: Town, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert receipt.signed_by(text, "00", town.house.signer) is None
    signed = town.house.signer.sign(text.encode("utf-8", "replace")).hex()
    assert receipt.signed_by(text, signed, town.house.signer) is None
    monkeypatch.setattr("catalog.delivery.receipt.json.loads", lambda _: pytest.fail("it was parsed"))
    assert receipt.signed_by(text, "00", town.house.signer) is None


def test_receipts_of_every_key_count_and_openssl_takes_them(town: Town, tmp_path: Path) -> None:
    one, two = device(tmp_path / "one.pem"), device(tmp_path / "two.pem")
    signers = (town.house.signer, town.chosen(one), town.chosen(two, one))
    receipts = [receipt.signed(signer, product="open/ages") for signer in signers]
    now = signers[-1]
    for signer, (statement, signature) in zip(signers, receipts, strict=True):
        found = receipt.signed_by(statement, signature, now)
        assert found is not None and found.public_key(Encoding.DER) == signer.public_key(Encoding.DER)
        assert receipt.signed_by(statement.replace("open/ages", "open/roads"), signature, now) is None
    stranger = town.chosen(device(tmp_path / "stranger.pem"))
    assert receipt.signed_by(*receipt.signed(stranger, product="open/ages"), now) is None
    (tmp_path / "statement.json").write_text(receipts[-1][0], "utf-8")
    (tmp_path / "signature.bin").write_bytes(bytes.fromhex(receipts[-1][1]))
    options = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-pubin")
    files = ("-inkey", kept(now, tmp_path / "key"), "-in", tmp_path / "statement.json")
    done = openssl("pkeyutl", "-verify", *options, *files, "-sigfile", tmp_path / "signature.bin")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_city_names_its_device(tmp_path: Path) -> None:
    form = device(tmp_path / "k.pem")
    contracts = shutil.copytree(REPOSITORY / "data_contracts", tmp_path / "data_contracts")
    shipped = (contracts / "city.yaml").read_text("utf-8")

    def named(one: DeviceForm) -> None:
        text = json.dumps({"device": one.model_dump()})  # JSON is YAML
        (contracts / "city.yaml").write_text(f"{shipped}\nsigning: {text}\n", "utf-8")

    named(form)
    assert load(contracts).city.signing == SigningForm(device=form)
    ed25519 = Ed25519Signer(bytes(32)).public_key(Encoding.PEM).decode()
    named(form.model_copy(update={"publicKey": ed25519}))
    with pytest.raises(CitylakeError, match="publicKey"):
        load(contracts)
