"""SM4-GCM: the standard's own example, and texts that only their key opens."""

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from hypothesis import given
from hypothesis import strategies as st

from pipelines.codecs.sm4 import NONCE_BYTES, PREFIX, Sealer

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def test_the_cipher_is_that_of_rfc_8998() -> None:
    """Appendix A.1: whatever OpenSSL is installed must give it."""
    made = Cipher(
        SM4(bytes.fromhex("0123456789abcdeffedcba9876543210")), modes.GCM(bytes.fromhex("00001234567800000000abcd"))
    ).encryptor()
    made.authenticate_additional_data(bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
    plain = b"".join(bytes([value]) * 8 for value in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    sealed = made.update(plain) + made.finalize()
    assert sealed.hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    )
    assert made.tag.hex() == "83de3541e4c2b58177e065a9bf7b62ec"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_is_opened_and_equal_texts_are_sealed_alike(one: str, other: str) -> None:
    sealer = Sealer(KEY)
    first, second = sealer.seal(one), Sealer(KEY).seal(other)
    assert sealer.open(first) == one and (first == second) == (one == other)
    nonces = [base64.urlsafe_b64decode(text.removeprefix(PREFIX))[:NONCE_BYTES] for text in (first, second)]
    assert (nonces[0] == nonces[1]) == (one == other), "no nonce twice under one key"
    assert Sealer(OTHER).seal(one) != first


@pytest.mark.parametrize("place", [0, 11, 12, 20, -17, -16, -1])
def test_what_was_changed_or_sealed_under_another_key_is_not_opened(place: int) -> None:
    sealed = Sealer(KEY).seal("341502200501010019")
    data = bytearray(base64.urlsafe_b64decode(sealed.removeprefix(PREFIX)))
    data[place] ^= 1
    for wrong in (
        PREFIX + base64.urlsafe_b64encode(data).decode(),
        Sealer(OTHER).seal("张三"),
        "",
        "张三",
        sealed[:-5],
    ):
        with pytest.raises(ValueError):
            Sealer(KEY).open(wrong)


def test_half_a_key_seals_nothing() -> None:
    with pytest.raises(ValueError):
        Sealer(KEY[:16])
