"""The keys of approvers: an administrator enrols the public one, whoever approves signs with the private one.

Belongs here: enrolling and ending keys, the signer of a file or device that an approver brings along, their word with
its signature. Does not belong here: which key counts for an approval and what is signed (pipelines/release/signed).
"""

import base64
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from catalog.policy import audit, users
from pipelines.contracts.forms.city import DeviceForm
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.signer import Ed25519Signer, Signer
from pipelines.register.store import now
from pipelines.register.tables import ledger as table
from pipelines.release.check import ED25519_KEY, public_key
from pipelines.release.ledger import APPROVER_KEY, KEYS, Entry, Ledger, Recorded, appended
from pipelines.release.signed import Keys, is_signed, keys_of, signature
from pipelines.release.signing import DeviceSigner

LATER = 2**62
"""More than any row of the ledger."""


def enrol(register: Register, user: str, pem: bytes, *, actor: str) -> Recorded:
    """Enrol the public key of an approver, in place of the one before. Approvals are signed from then on.

    Raises CitylakeError for who is not in office and for a key that is none or somebody else's; NotAllowed.
    """
    try:
        key = public_key(pem)
    except ValueError as error:
        raise CitylakeError("approver_key.bad", problem=error) from None
    body = {"algorithm": "ed25519" if key.startswith(ED25519_KEY) else "sm2", "key": key.hex()}
    with users.acting(register, "key.enrol", actor) as (connection, _):
        chain.take_place(connection, table)
        users.require_standing(connection, user)
        for known in keys_of(Ledger(register)).rows:
            if known.body["key"] == key.hex() and known.body["user"] != user:
                raise CitylakeError("approver_key.taken", holder=known.body["user"])
        row = appended(connection, _entry({"who": actor, "user": user, **body}))
        audit.append(connection, "key.enrol", "allowed", {"actor": actor, "user": user, "row": row.sequence})
    return row


def end(register: Register, user: str, *, actor: str) -> Recorded:
    """End the key of somebody: nothing signed with it counts from then on, what was approved before stays approved.

    Raises CitylakeError for who has none; NotAllowed.
    """
    with users.acting(register, "key.end", actor) as (connection, _):
        chain.take_place(connection, table)
        if keys_of(Ledger(register)).of(user, LATER) is None:
            raise CitylakeError("approver_key.none", user=user)
        row = appended(connection, _entry({"who": actor, "user": user, "algorithm": None, "key": None}))
        audit.append(connection, "key.end", "allowed", {"actor": actor, "user": user, "row": row.sequence})
    return row


def in_force(keys: Keys, user: str) -> Recorded:
    """The key with which somebody signs now. Raises CitylakeError for who has none."""
    key = keys.of(user, LATER)
    if key is None:
        raise CitylakeError("approver_key.none", user=user)
    return key


@dataclass(frozen=True)
class Word:
    """What somebody signed: `about` is what they answer for, `key` the row of the key they had, None for none, `said`
    what the row of an approval says of the signature, nothing where there is none that is theirs."""

    about: Mapping[str, Any] | None
    key: Recorded | None
    said: Mapping[str, Any]

    def proved(self, ledger: Ledger, about: Mapping[str, Any], actor: str, subject: str) -> Mapping[str, Any]:
        """What the row says of the signature, in the transaction that writes it.

        Raises CitylakeError for who has no key now, and if that or what they answer for is not what was signed;
        NotAllowed for a signature that is not theirs.
        """
        if in_force(keys_of(ledger), actor) != self.key or self.about != about:
            raise CitylakeError("approval.said_meanwhile", subject=subject)
        if not self.said:
            raise users.NotAllowed("approval.other_key", actor=actor)
        return self.said


def word(ledger: Ledger, signer: Signer, about: Mapping[str, Any] | None, actor: str) -> Word:
    """The word of an approver, before the register is kept from others: a device takes seconds. `about`: what they
    answer for, None if there is nothing, which is for the transaction to tell."""
    key = keys_of(ledger).of(actor, LATER)
    if about is None or key is None:
        return Word(about, key, {})
    said = signature(signer, about, actor, key)
    return Word(about, key, said if is_signed(said, about, actor, key) else {})


def said_if_asked(
    ledger: Ledger, word: Word | None, about: Mapping[str, Any], actor: str, subject: str
) -> Mapping[str, Any]:
    """The same where a word counts without a signature as long as no approver ever had a key. Raises as `proved` does,
    and CitylakeError where there has to be one and is none."""
    if word is not None:
        return word.proved(ledger, about, actor, subject)
    if keys_of(ledger).asked(LATER):
        raise CitylakeError("approval.key_or_device", subject=subject)
    return {}


def of_file(file: Path, home: Path, password: Callable[[], str]) -> Signer:
    """The signer of a private key in a PEM file outside of the home (Ed25519); `password` is asked if it has one.

    Raises CitylakeError for a file that is none.
    """
    if file.resolve().is_relative_to(home.resolve()):
        raise CitylakeError("cli.in_the_home", file=file, home=home)
    try:
        text = file.read_bytes()
        try:
            key = load_pem_private_key(text, None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(text, password().encode())
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CitylakeError("approver_key.unreadable", file=file, problem=type(error).__name__) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CitylakeError("approver_key.unreadable", file=file, problem=type(key).__name__)
    return Ed25519Signer(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))


def of_device(command: list[str], key: Recorded, folder: Path) -> Signer:
    """The signer of an SM2 key in a device: a program that signs what it reads, run in a folder of the approver's.

    Raises CitylakeError for an enrolled key of another algorithm.
    """
    if key.body["algorithm"] != "sm2":
        raise CitylakeError("approver_key.no_device", user=key.body["user"])
    text = base64.b64encode(bytes.fromhex(key.body["key"])).decode()
    pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *textwrap.wrap(text, 64), "-----END PUBLIC KEY-----", ""])
    return DeviceSigner(DeviceForm(algorithm="sm2", publicKey=pem, command=command), folder)


def _entry(body: dict[str, str | None]) -> Entry:
    return Entry(APPROVER_KEY, KEYS, f"key-{now():%Y-%m-%d}", None, body)
