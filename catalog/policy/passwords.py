"""Passwords of people: what is good enough, and what is kept of one. Knows no account and no register.

Rules are those of NIST SP 800-63B: length counts, anything that can be typed may be in it, and what is easily guessed
is refused, whatever it is made of. A password is normalised (NFKC) before it is hashed: each keyboard gives the same.
"""

import unicodedata

from zxcvbn import zxcvbn

from catalog.policy.tokens import HASHER, hash_fits
from pipelines.messages import CitylakeError

MOST = 256
"""Characters; longer ones are refused, as hashing them is work."""
LOOKED_AT = 24
"""Characters that are judged: of seventy, made for it, the judge thinks for ten seconds."""
STRENGTH = 3
"""Of zxcvbn, 0 to 4: more than ten to the eighth guesses."""
_NOBODYS = HASHER.hash("no password has this hash")


def hashed(password: str) -> str:
    """What is stored of a password."""
    return HASHER.hash(_normal(password))


def fits(stored: str | None, password: str) -> bool:
    """Whether a password is the one whose hash is stored. None, for nobody's, takes as long and never fits."""
    text = _normal(password)
    right = hash_fits(stored or _NOBODYS, text[:MOST])
    return right and stored is not None and len(text) <= MOST


def require_other(password: str, before: str) -> None:
    """Raises CitylakeError for a password that is the one of before: changing it would change nothing."""
    if _normal(password) == _normal(before):
        raise CitylakeError("signin.password_same")


def require_good(password: str, least: int, about: list[str]) -> None:
    """Raises CitylakeError for a password that is too short or long, or easily guessed. `about`: words that whoever
    guesses would try first, such as the name."""
    text = _normal(password)
    if not least <= len(text) <= MOST:
        raise CitylakeError("signin.password_length", least=least, most=MOST)
    words = [word for word in ("".join(filter(str.isalnum, one)) for one in about) if len(word) > 1]
    bare = text.lower()
    for word in words:
        bare = bare.replace(_normal(word).lower(), "")
    if not bare or any(zxcvbn(one[:LOOKED_AT])["score"] < STRENGTH for one in {text, bare}):
        raise CitylakeError("signin.password_weak")


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
