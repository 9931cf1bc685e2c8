"""Keys that hand over, in ledger and audit: neither a thief of the new key nor one of a retired key writes history that
whoever kept a key finds good. Both keys are Ed25519; the register is a small one."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.policy import audit as reads
from catalog.policy import heads as accepting
from catalog.policy import users
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain, heads
from pipelines.register.heads import TABLES
from pipelines.register.signer import Ed25519Signer, Signer
from pipelines.register.tables import audit, ledger
from pipelines.release import bundle
from pipelines.release.ledger import RELEASE, Entry, Ledger
from pipelines.settings import REPOSITORY
from tests.catalog.small_city import GUARD, STEWARD, appoint
from tests.release.test_bundle import ZONE, checked, found

OLD = Ed25519Signer(b"1" * 32)
NEW = Ed25519Signer(b"2" * 32, [OLD])
STOLEN = Ed25519Signer(b"2" * 32)
"""The new key in the hands of a thief, who has no older one."""


@dataclass
class Books:
    """A register, into whose chains rows and heads go one after another, each head a minute later."""

    register: Register
    folder: Path

    def signed(self, of: sa.Table, signer: Signer) -> None:
        """One more row of a chain and its head."""
        if of is ledger:
            Ledger(self.register).record([Entry(RELEASE, "open/ages", "e1", 1, {"rows": 1, "as_of": "2026-11-02"})])
        else:
            reads.record(self.register, "download", "allowed", {"road": "web"}, product="open/ages", version=1)
        heads.seal(self.register, signer, ZONE, of)

    def again(self, of: sa.Table, signer: Signer) -> None:
        """All heads of a chain made anew."""
        with self.register.begin() as connection:
            connection.execute(sa.delete(TABLES[of.name]))
        heads.seal(self.register, signer, ZONE, of)

    def export(self, signer: Signer) -> Path:
        folder = self.folder / "bundle"
        bundle.export(self.register, signer, folder, "六安市", ZONE, None, None, signed=False)
        return folder

    def problems(self, folder: Path, kept: Signer) -> list[str]:
        """What check.py finds for an auditor who kept this key."""
        return found(self.said(folder, kept))

    def said(self, folder: Path, kept: Signer) -> str:
        file = self.folder / "kept.pem"
        file.write_bytes(kept.public_key(Encoding.PEM))
        return checked(folder, "--key", file)[1]


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    minutes = itertools.count()
    start = datetime(2026, 11, 2, tzinfo=UTC)
    monkeypatch.setattr(chain, "now", lambda: start)
    monkeypatch.setattr(heads, "now", lambda: start + timedelta(minutes=next(minutes)))
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield Books(register, tmp_path)
    register.close()


@pytest.mark.parametrize("kept", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("quiet", [True, False], ids=["the audit has no row since", "the audit changes too"])
def test_a_change_in_both_books_is_good_for_either_key(books: Books, kept: Signer, quiet: bool) -> None:
    books.signed(ledger, OLD), books.signed(audit, OLD)
    books.signed(ledger, NEW)
    if not quiet:
        books.signed(audit, NEW)
    assert books.problems(books.export(NEW), kept) == []


@pytest.mark.parametrize("of", [ledger, audit], ids=["ledger", "audit"])
def test_a_thief_of_the_new_key_signs_no_history_of_the_old_one(books: Books, of: sa.Table) -> None:
    for signer in (OLD, NEW):
        books.signed(ledger, signer), books.signed(audit, signer)
    books.again(of, STOLEN)
    (problem,) = books.problems(books.export(STOLEN), OLD)
    assert "no head was signed with the key you kept" in problem and of.name in problem


def test_a_key_that_handed_over_in_one_book_signs_nothing_more_in_the_other(books: Books) -> None:
    books.signed(ledger, OLD), books.signed(audit, OLD)
    books.signed(ledger, NEW)
    with pytest.raises(CitylakeError) as error:
        books.signed(audit, OLD)  # a city.yaml of before
    assert error.value.code == "heads.retired"
    with pytest.MonkeyPatch.context() as thief:
        thief.setattr(heads, "_refuse_retired", lambda *_: None)
        books.signed(audit, OLD)
    with pytest.raises(CitylakeError) as error:
        books.signed(audit, NEW)
    assert error.value.code == "heads.retired"
    problems = books.problems(books.export(NEW), NEW)
    assert any(
        one.startswith("audit_heads.jsonl: head 2 is of a key that was retired: heads.jsonl") for one in problems
    )


def stuck(books: Books) -> None:
    """The audit was signed with the old key after the ledger had left it."""
    books.signed(ledger, OLD), books.signed(audit, OLD)
    books.signed(ledger, NEW)
    with pytest.MonkeyPatch.context() as outdated:
        outdated.setattr(heads, "_refuse_retired", lambda *_: None)
        books.signed(audit, OLD)
    with pytest.raises(CitylakeError):
        books.signed(audit, NEW)


def test_a_security_officer_vouches_for_a_head_of_a_retired_key(books: Books) -> None:
    appoint(books.register, load(REPOSITORY / "data_contracts"))
    stuck(books)
    for wrong in (OLD, Ed25519Signer(b"3" * 32, [OLD, NEW])):
        with pytest.raises(CitylakeError) as error:
            accepting.accept(books.register, wrong, ZONE, audit, "自己用旧配置签的", actor=GUARD)
        assert error.value.code == "heads.retired", "only the key that followed may say so"
    last, made = accepting.accept(books.register, NEW, ZONE, audit, "自己用旧配置签的", actor=GUARD)
    assert (last, made.sequence, made.says["accepted"]) == (2, 3, {"who": GUARD, "why": "自己用旧配置签的"})
    books.signed(audit, NEW), books.signed(ledger, NEW)
    for kept in (OLD, NEW):
        said = books.said(books.export(NEW), kept)
        assert not found(said) and "vouches for it in head 3: 自己用旧配置签的" in said
        shutil.rmtree(books.folder / "bundle")
    with pytest.raises(CitylakeError) as error:
        accepting.accept(books.register, NEW, ZONE, audit, "再来", actor=GUARD)
    assert error.value.code == "heads.nothing_to_accept"


def test_nothing_is_told_as_accepted_that_cannot_be(books: Books) -> None:
    """A book without new rows has no next head to say it in; another key signs none."""
    appoint(books.register, load(REPOSITORY / "data_contracts"))
    books.signed(ledger, OLD), books.signed(audit, OLD)
    books.signed(audit, NEW)
    with pytest.MonkeyPatch.context() as outdated:
        outdated.setattr(heads, "_refuse_retired", lambda *_: None)
        books.signed(ledger, OLD)
    refused = []
    for signer, of in ((NEW, ledger), (OLD, ledger), (NEW, audit)):
        with pytest.raises(CitylakeError) as error:
            accepting.accept(books.register, signer, ZONE, of, "旧配置签的", actor=GUARD)
        refused.append(error.value.code)
    assert refused == ["heads.no_rows_since", "heads.retired", "heads.nothing_to_accept"]
    assert not books.register.rows(sa.select(audit).where(audit.c.action == accepting.ACT))


def test_nobody_else_vouches_and_a_thief_of_the_old_key_cannot(books: Books) -> None:
    appoint(books.register, load(REPOSITORY / "data_contracts"))
    stuck(books)
    with pytest.raises(users.NotAllowed):
        accepting.accept(books.register, NEW, ZONE, audit, "试", actor=STEWARD)
    own = Ed25519Signer(b"9" * 32, [OLD])
    with pytest.MonkeyPatch.context() as thief:
        thief.setattr(heads, "_refuse_retired", lambda *_: None)
        heads.accept(books.register, own, ZONE, audit, {"who": "安全员", "why": "伪造"})
    problems = books.problems(books.export(NEW), NEW)
    assert any(one.startswith("audit_heads.jsonl: head 2 is of a key that was retired") for one in problems)


def test_keys_are_read_only_where_they_changed(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = heads._keys
    monkeypatch.setattr(heads, "_keys", lambda register, of: read.append(of.name) or real(register, of))
    for _ in range(3):
        books.signed(ledger, OLD), books.signed(audit, OLD)
    assert not read
    books.signed(ledger, NEW)
    assert read


def test_a_key_that_comes_back_is_not_retired(books: Books) -> None:
    back = Ed25519Signer(b"1" * 32, [NEW])
    for signer in (OLD, NEW, back):
        books.signed(ledger, signer), books.signed(audit, signer)
    books.signed(audit, back)
    assert books.problems(books.export(back), OLD) == []


def test_a_key_that_handed_over_to_two_keys_is_told(books: Books) -> None:
    third = Ed25519Signer(b"3" * 32, [OLD, NEW])
    books.signed(ledger, OLD), books.signed(audit, OLD)
    books.signed(ledger, NEW), books.signed(ledger, third), books.signed(audit, third)
    said = books.said(books.export(third), OLD)
    assert not found(said) and said.count("handed over to more than one key") == 2


def test_a_handover_beside_the_manifest_is_told(books: Books) -> None:
    books.signed(ledger, OLD)
    said = books.said(books.export(NEW), OLD)
    assert "manifest.sig: from head 2 on the key is another (ed25519)" in said and not found(said)


@pytest.mark.parametrize("damaged", ["", "x", "[]", "[" * 200_000, '{"algorithm":[],"signature":1,"handover":{}}'])
def test_a_damaged_signature_of_the_manifest_is_one_problem_among_others(books: Books, damaged: str) -> None:
    books.signed(ledger, OLD), books.signed(audit, OLD)
    folder = books.export(OLD)
    (folder / "manifest.sig").write_text(damaged, "utf-8")
    (folder / "check.py").write_bytes((folder / "check.py").read_bytes() + b"#\n")
    problems = books.problems(folder, OLD)
    assert problems[0] == "file check.py is not what the manifest says: it was changed"
    assert len(problems) == 3 and problems[1].startswith("the signature of manifest.json is wrong")
    assert "it was replaced, do not run it" in problems[2]


def test_a_head_of_a_form_that_nobody_writes_is_a_problem_of_its_line(books: Books) -> None:
    books.signed(ledger, OLD)
    folder = books.export(OLD)
    held = json.loads((folder / "heads.jsonl").read_text("utf-8"))
    strange = json.dumps(held | {"statement": json.dumps(json.loads(held["statement"]) | {"algorithm": []})})
    (folder / "heads.jsonl").write_text(f"{'[' * 200_000}\n{strange}\n", "utf-8")
    problems = books.problems(folder, OLD)
    assert "heads.jsonl: line 1 is not a head" in problems
    assert any("head 1 has algorithm []" in one for one in problems)


# The house itself: whoever writes into the register has no head of his own signed over.


def rewritten(books: Books, number: int, **values: Any) -> None:
    table = TABLES["ledger"]
    with books.register.begin() as connection:
        connection.execute(sa.update(table).where(table.c.sequence == number).values(**values))


def signed_by(signer: Signer, statement: dict[str, Any]) -> dict[str, str]:
    text = chain.canonical(statement)
    return {"statement": text, "signature": signer.sign(text.encode()).hex()}


@pytest.mark.parametrize("what", ["signature", "order", "no_handover", "root", "text"])
def test_a_forged_head_is_told_by_the_house_as_by_check_and_nothing_is_signed_over_it(books: Books, what: str) -> None:
    for _ in range(2):
        books.signed(ledger, OLD)
    last = heads.newest(books.register)
    assert last is not None and heads.difference(books.register) is None
    stranger = Ed25519Signer(b"4" * 32)
    key = {"key": stranger.public_key(Encoding.DER).hex()}
    changes = {
        "signature": {"signature": "00" * 64},
        "order": signed_by(OLD, {**last.says, "previous": chain.FIRST}),
        "no_handover": signed_by(stranger, {**last.says, **key}),
        "root": signed_by(OLD, {**last.says, "root": chain.FIRST}),
        "text": {"statement": "[" * 200_000},
    }
    rewritten(books, 2, **changes[what])
    told = "signature" if what == "text" else what
    assert heads.difference(books.register) == heads.Difference(2, 2, told)
    for signer in (OLD, NEW):
        with pytest.raises(CitylakeError) as error:
            books.signed(ledger, signer)
        assert error.value.code == f"heads.unfit.{told}"
    if what != "text":  # nothing of that can be exported
        words = {"signature": "signature of head 2", "order": "head 2 does not follow", "root": "leaves of head 2"}
        problems = books.problems(books.export(OLD), OLD)
        assert any(words.get(what, "the key of head 2 is another") in one for one in problems)


@dataclass
class Slow(Ed25519Signer):
    """A device in front of which something happens while it signs, once."""

    meanwhile: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        super().__init__(b"1" * 32)

    def sign(self, message: bytes) -> bytes:
        now, self.meanwhile = self.meanwhile, None
        if now is not None:
            now()
        return super().sign(message)


@pytest.mark.parametrize("of", [ledger, audit], ids=["ledger", "audit"])
def test_the_register_is_free_while_a_device_signs(books: Books, of: sa.Table) -> None:
    books.signed(of, Slow(lambda: Ledger(books.register).record([Entry(RELEASE, "open/roads", "e1", 1, {})])))
    assert len(list(heads.listed(books.register, of))) == 1


def test_what_another_one_signed_meanwhile_is_signed_once(books: Books) -> None:
    books.signed(ledger, Slow(lambda: books.signed(ledger, OLD)))
    assert [one.last for one in heads.listed(books.register)] == [2]
    assert heads.difference(books.register) is None
