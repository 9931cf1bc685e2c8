"""SM3 against the standard's vectors and OpenSSL, and the keyed hash built on it."""

import hashlib
import hmac

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import hashes

from pipelines.codecs import sm3
from pipelines.codecs.derive import derivations

KEY = b"the city's key"

# GB/T 32905-2016, annex A
VECTORS = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]


def hmac_sm3(key: bytes, message: bytes) -> str:
    """RFC 2104 written out over the bare hash."""

    def digest(data: bytes) -> bytes:
        state = hashes.Hash(hashes.SM3())
        state.update(data)
        return state.finalize()

    padded = (digest(key) if len(key) > 64 else key).ljust(64, b"\0")
    inner = digest(bytes(byte ^ 0x36 for byte in padded) + message)
    return digest(bytes(byte ^ 0x5C for byte in padded) + inner).hex()


@pytest.mark.parametrize(("message", "expected"), VECTORS)
def test_the_standards_vectors(message: bytes, expected: str) -> None:
    state = hashes.Hash(hashes.SM3())
    state.update(message)
    assert state.finalize().hex() == expected
    if "sm3" in hashlib.algorithms_available:
        assert hashlib.new("sm3", message).hexdigest() == expected


@pytest.mark.parametrize("key", [b"", KEY, b"k" * 64, b"k" * 65, b"k" * 200])
@pytest.mark.parametrize("text", ["", "341502200501010019", "流波䃥镇", "𠀀" * 50])
def test_the_keyed_hash_is_half_of_hmac_sm3(key: bytes, text: str) -> None:
    (found,) = sm3.keyed_hash(key, pa.array([text])).to_pylist()
    assert found == hmac_sm3(key, text.encode())[:32]
    if "sm3" in hashlib.algorithms_available:
        assert hmac.new(key, text.encode(), "sm3").hexdigest()[:32] == found


def test_null_stays_null_and_rows_stay_in_place() -> None:
    found = sm3.keyed_hash(KEY, pa.array(["a", None, "a", "b"])).to_pylist()
    assert found[1] is None
    assert found[0] == found[2] != found[3]
    assert sm3.keyed_hash(KEY, pa.array([], pa.string())).type == pa.string()


def test_another_key_gives_another_hash() -> None:
    assert sm3.keyed_hash(KEY, pa.array(["a"])) != sm3.keyed_hash(b"other", pa.array(["a"]))


def test_the_derivations() -> None:
    assert derivations.keys() == {"keyed_hash", "person_key", "polygon_area"}
    (hashed,) = derivations["keyed_hash"].function(pa.array(["a"]), KEY, of="id").to_pylist()
    assert len(hashed) == sm3.ID_LENGTH
    numbers = pa.array(["341502200501010019", "341502200501010018", "9" * 15, None])
    right, *others = derivations["person_key"].function(numbers, KEY, of="id").to_pylist()
    assert (right, others) == (sm3.keyed_hash(KEY, numbers)[0].as_py(), [None] * 3)
    square = "POLYGON ((116 31, 117 31, 117 32, 116 32, 116 31))"
    areas = derivations["polygon_area"].function(pa.array([square, None]), KEY, of="boundary").to_pylist()
    assert areas == [pytest.approx(10_600, rel=0.01), None]
