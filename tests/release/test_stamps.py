"""Time stamps on signed heads: whoever stole the key has none of yesterday. The authority that answers is pyHanko's."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from asn1crypto import keys, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.sign.timestamps import DummyTimeStamper

from pipelines.issues import Issues
from pipelines.messages import CitylakeError
from pipelines.register import Register, heads
from pipelines.register.chain import canonical
from pipelines.register.tables import audit, head, head_stamp
from pipelines.release import check, stamps
from pipelines.release.ledger import REFUSAL, Entry, Ledger
from pipelines.run import opened
from pipelines.settings import REPOSITORY, Settings
from tests.release.test_bundle import AGES, ZONE, House, build, checked, found

FAR = timedelta(days=3650)
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


@dataclass(frozen=True)
class Office:
    """An authority and who issued its certificate. `at`: what its clock says, the time of now if None."""

    issuer: x509.Certificate
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    root: rsa.RSAPrivateKey
    at: datetime | None = None

    @property
    def pem(self) -> str:
        return self.issuer.public_bytes(Encoding.PEM).decode()

    def reply(self, query: bytes) -> bytes:
        """The DER answer to a DER query."""
        secret = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        certificate = asn1.Certificate.load(self.certificate.public_bytes(Encoding.DER))
        at = self.at or datetime.now(UTC)
        stamper = DummyTimeStamper(certificate, keys.PrivateKeyInfo.load(secret), fixed_dt=at)
        return bytes(stamper.request_tsa_response(tsp.TimeStampReq.load(query)).dump())


def office(
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
    until: timedelta = FAR,
    root: rsa.RSAPrivateKey | None = None,
) -> Office:
    """An authority with a key of its own, valid until so long from now, below a root; all have the same names."""
    root, key = root or rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    above, below = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("root", "stamps"))
    now = datetime.now(UTC)

    def made(subject: x509.Name, public: rsa.RSAPublicKey, authority: bool) -> x509.Certificate:
        end = now + (FAR if authority else until)
        builder = x509.CertificateBuilder(above, subject, public, x509.random_serial_number(), now - FAR, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=True)
        return builder.sign(root, hashes.SHA256())

    return Office(made(above, root.public_key(), True), made(below, key.public_key(), False), key, root)


@cache
def trusted() -> Office:
    """The authority that the auditor trusts."""
    return office()


@contextmanager
def answering(answer: Callable[[bytes], bytes], status: int = 200) -> Iterator[str]:
    """The address of a server that answers queries so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == QUERY
            self.send_response(status)
            self.send_header("Content-Type", REPLY)
            self.end_headers()
            self.wfile.write(answer(query))

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stamp(house: House, by: Office) -> None:
    """Stamp the newest heads of both chains."""
    register = Register(house.settings.register_url)
    with answering(by.reply) as address:
        for chain in (None, audit):
            asked = stamps.authority(address, by.pem)
            stamps.stamp(register, asked) if chain is None else stamps.stamp(register, asked, chain)
    register.close()


def token() -> tuple[bytes, bytes]:
    """A stamp of the trusted authority, and what it stamped."""
    with answering(trusted().reply) as address:
        return stamps.authority(address, trusted().pem)(b"a statement"), b"a statement"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path / "house")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """What the auditor trusts, as a file."""
    file = tmp_path / "trusted.pem"
    file.write_text(trusted().pem)
    return file


pytestmark = pytest.mark.server


def test_a_stamp_says_since_when_all_heads_are_there(house: House, tmp_path: Path, pem: Path) -> None:
    stamp(house, trusted())
    folder = house.export(tmp_path / "bundle")
    code, output = checked(folder)
    assert code == 0 and "heads.jsonl has 1 unchecked time stamps" in output
    code, output = checked(folder, "--tsa", pem)
    assert code == 0 and "heads.jsonl: 1 time stamps agree; heads 1-3 were there at" in output


def test_a_head_is_stamped_once(house: House) -> None:
    stamp(house, trusted())
    register = Register(house.settings.register_url)
    before = heads.newest(register)
    stamp(house, trusted())
    assert heads.newest(register) == before and before is not None and before.stamp is not None
    register.close()


def test_whoever_signs_everything_again_has_no_stamps_of_yesterday(house: House, tmp_path: Path, pem: Path) -> None:
    """No head was kept elsewhere, and the thief has the signing key: only the stamps tell."""
    stamp(house, trusted())
    rows = house.rows()
    rows[2] |= {"body": '{"rows":999}'}
    house.sign_again(rows)  # the stamp stays: it is on the head that was
    code, output = checked(house.export(tmp_path / "resigned"), "--tsa", pem)
    assert code == 1 and "the time stamp of head 3 is wrong (other words" in " ".join(found(output))
    house.change(sa.delete(head_stamp))
    code, output = checked(house.export(tmp_path / "without"), "--tsa", pem)
    assert code == 1 and "no head has a time stamp" in " ".join(found(output))
    stamp(house, replace(trusted(), at=datetime.now(UTC) + timedelta(days=30)))
    code, output = checked(house.export(tmp_path / "again"), "--tsa", pem)
    assert code == 0 and "no proof that they were there before" in output


def test_a_fresh_stamp_on_top_does_not_prove_the_heads_below(house: House, tmp_path: Path, pem: Path) -> None:
    """The thief makes all heads but the newest look a month old, and has that one stamped honestly."""
    register = Register(house.settings.register_url)
    made, previous = list(heads.listed(register)), "0" * 64
    for one in made:
        says = {**one.says, "previous": previous}
        says["at"] = (datetime.now(UTC) - timedelta(days=30 if one.sequence < 3 else 0)).isoformat(timespec="seconds")
        statement = canonical(says)
        previous = hashlib.sha256(statement.encode()).hexdigest()
        signature = house.signer.sign(statement.encode()).hex()
        changed = {"statement": statement, "signature": signature}
        house.change(sa.update(head).where(head.c.sequence == one.sequence).values(**changed))
    register.close()
    stamp(house, trusted())
    code, output = checked(house.export(tmp_path / "bundle"), "--tsa", pem)
    assert "heads 1-2 say they are older" in output
    early = ["says it was made at" in one and "before ledger row" in one for one in found(output)]
    assert code == 1 and early == [True, True], "the rows that they signed are younger"


def test_heads_after_the_last_stamp_are_told(house: House, tmp_path: Path, pem: Path) -> None:
    stamp(house, trusted())
    register = Register(house.settings.register_url)
    Ledger(register).record([Entry(REFUSAL, AGES, "late", None, {})])
    heads.seal(register, house.signer, ZONE)
    register.close()
    code, output = checked(house.export(tmp_path / "bundle"), "--tsa", pem)
    assert code == 0 and "no time stamp on heads 4, or on any after them" in output


def test_a_head_without_a_moment_is_none(house: House, tmp_path: Path) -> None:
    for at in ("2026-11-01T00:00:00", "yesterday", 5):
        house.change(sa.delete(head).where(head.c.sequence == 4))
        says = {"at": at, "number": 4, "first": 13, "last": 13, "chain": "", "root": "", "previous": ""}
        statement = canonical({**says, "algorithm": "ed25519", "key": ""})
        row = {"sequence": 4, "last": 13, "statement": statement, "signature": "", "leaves": "[]"}
        house.change(sa.insert(head).values(**row))
        code, output = checked(house.export(tmp_path / str(at)))
        assert code == 1 and "heads.jsonl: line 4 is not a head" in " ".join(found(output))


def test_a_stamp_from_before_the_head_is_told(house: House, tmp_path: Path, pem: Path) -> None:
    stamp(house, replace(trusted(), at=datetime.now(UTC) - timedelta(hours=1)))
    code, output = checked(house.export(tmp_path / "bundle"), "--tsa", pem)
    assert code == 1 and "a wrong clock, or a false time" in " ".join(found(output))


OTHERS: dict[str, Callable[[], Office]] = {
    "of another root": office,
    "for code": lambda: office(ExtendedKeyUsageOID.CODE_SIGNING, root=trusted().root),
    "ended": lambda: office(until=timedelta(hours=-1), root=trusted().root),
}


def test_another_authority_of_the_same_root_is_believed() -> None:
    """What the others of the same root are not refused for."""
    with answering(office(root=trusted().root).reply) as address:
        assert stamps.authority(address, trusted().pem)(b"a statement")


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_stamp_of_another_authority_is_wrong(
    house: House, tmp_path: Path, pem: Path, other: Callable[[], Office]
) -> None:
    response = tsp.TimeStampResp.load(other().reply(stamps.query(house_head(house), 2**60)))
    row = {"chain": "ledger", "sequence": 3, "token": response["time_stamp_token"].dump().hex()}
    house.change(sa.insert(head_stamp).values(**row))
    code, output = checked(house.export(tmp_path / "bundle"), "--tsa", pem)
    assert code == 1 and "the time stamp of head 3 is wrong (other authority" in " ".join(found(output))


def house_head(house: House) -> bytes:
    register = Register(house.settings.register_url)
    newest = heads.newest(register)
    register.close()
    assert newest is not None
    return newest.statement.encode()


def test_files_that_hold_nothing_of_the_kind_are_named(house: House, tmp_path: Path) -> None:
    folder, file = house.export(tmp_path / "bundle"), tmp_path / "notes.txt"
    file.write_text("nothing")
    for option, words in (("--tsa", "no PEM certificate"), ("--key", "no PEM public key")):
        code, output = checked(folder, option, file)
        assert code == 2 and f"{file} holds {words}" in output
        code, output = checked(folder, option, tmp_path / "gone.pem")
        assert code == 2 and f"{tmp_path / 'gone.pem'} cannot be read" in output


@given(st.data())
def test_a_changed_token_says_the_same_or_nothing(data: st.DataObject) -> None:
    good, message = _TOKEN()
    anchors = [trusted().issuer]
    stamp = check.stamp_of(good, message, anchors)
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))
    for one in (bytes(changed), good[:place]):
        try:
            assert check.stamp_of(one, message, anchors) == stamp
        except check.NotStamped:
            continue


def test_a_certificate_of_no_version_is_no_stamp() -> None:
    good, message = _TOKEN()
    version = good.index(bytes.fromhex("a003020102")) + 4  # of the certificate: v3
    for number in range(3, 256):
        with pytest.raises(check.NotStamped):
            check.stamp_of(good[:version] + bytes([number]) + good[version + 1 :], message, [trusted().issuer])


_TOKEN = cache(token)


# What an authority may answer.


def asked(answer: Callable[[bytes], bytes], status: int = 200) -> str:
    """The code of the error when an authority answers so."""
    with answering(answer, status) as address, pytest.raises(CitylakeError) as caught:
        stamps.authority(address, trusted().pem)(b"a statement")
    return caught.value.code


def test_answers_that_are_not_to_be_believed_are_not_taken() -> None:
    old, refused = trusted().reply(stamps.query(b"a statement", 2**60)), tsp.PKIStatusInfo({"status": "rejection"})
    assert asked(lambda _: old) == "stamps.not_good"  # of another request: its nonce differs
    assert asked(office().reply) == "stamps.not_good"
    assert asked(lambda _: bytes(tsp.TimeStampResp({"status": refused}).dump())) == "stamps.not_good"
    assert asked(lambda _: b"<html>") == "stamps.not_good"
    assert asked(lambda _: bytes(stamps.MOST_BYTES + 1)) == "stamps.not_good"
    assert asked(trusted().reply, 503) == "stamps.refused"


def test_no_answer_and_no_certificate_are_named() -> None:
    with answering(trusted().reply) as address:
        pass
    for wrong in (address, "http://a:port/", "http://a..b/", "https://xn--/"):
        with pytest.raises(CitylakeError) as caught:
            stamps.authority(wrong, trusted().pem)(b"a statement")
        assert caught.value.code == "stamps.unreachable"
    with pytest.raises(CitylakeError) as caught:
        stamps.authority(address, "-----BEGIN CERTIFICATE-----\nnothing\n")
    assert caught.value.code == "stamps.certificate"


def test_a_run_has_its_heads_stamped_and_says_who_did_not(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "state", tmp_path, 0, 0, f"sqlite:///{tmp_path / 'register.db'}")
    shutil.copytree(REPOSITORY / "data_contracts", settings.contracts)
    city, shipped = settings.contracts / "city.yaml", (settings.contracts / "city.yaml").read_text("utf-8")
    pem = "".join(f"    {line}\n" for line in trusted().pem.splitlines())

    def run(number: int, address: str) -> list[str]:
        """Something to sign; the codes of open issues then."""
        about = f"timeStamps:\n  address: {address}\n  certificate: |\n{pem}"
        city.write_text(f"{shipped}\n{about}", "utf-8")
        with opened(settings, f"run {number}") as one:
            one.ledger.record([Entry(REFUSAL, AGES, f"e{number}", None, {})])
        register = Register(settings.register_url)
        codes = [row["code"] for row in Issues(register).open("heads")]
        stamped.append([one.sequence for one in heads.listed(register) if one.stamp])
        register.close()
        return codes

    stamped: list[list[int]] = []
    with answering(trusted().reply) as address:
        assert run(1, address) == []
    assert run(2, address) == ["stamps.unreachable"]
    with answering(trusted().reply) as address:
        assert run(3, address) == []
    assert stamped == [[1], [1], [1, 3]]
    assert run(4, address) == ["stamps.unreachable"]
    city.write_text(shipped, "utf-8")
    with opened(settings, "without"):
        """Nobody is asked any more."""
    register = Register(settings.register_url)
    assert list(Issues(register).open("heads")) == []
    register.close()
