"""How a Chinese name sounds: syllables without tones, and syllables as a clerk of the region may hear them.

The readings are those of pypinyin, the first of each character, without its phrases: both sides of a comparison are
read alike, so a wrong reading of a rare surname harms nobody. Characters without a reading stand for themselves.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

_FOLDED = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))
"""Initials that are heard as one in 江淮官话: 平翘舌, and n/l."""


@dataclass(frozen=True)
class Sound:
    """A name's sounds, each as text with spaces. `sound`: syllables without tones. `near`: as heard in the region.
    `sorted_near`, `sorted_signs`: the same in no order, so that an exchange of surname and given name does not show.
    `first`, `second`, `last`: single syllables of `near`; `second` is None for a name of two characters."""

    sound: str
    near: str
    sorted_near: str
    sorted_signs: str
    first: str
    second: str | None
    last: str


def sound_of(name: str) -> Sound:
    """The sounds of a name."""
    signs = [sign for sign in name if sign not in " ·•．.　"] or list(name)
    plain = [syllable(sign) for sign in signs]
    near = [folded(one) for one in plain]
    return Sound(
        " ".join(plain),
        " ".join(near),
        " ".join(sorted(near)),
        "".join(sorted(signs)),
        near[0],
        near[1] if len(near) > 2 else None,
        near[-1],
    )


@cache
def syllable(sign: str) -> str:
    """The first reading of a character without its tone; the character itself if it has none."""
    from pypinyin.pinyin_dict import pinyin_dict

    reading = pinyin_dict.get(ord(sign), sign).partition(",")[0]
    letters = unicodedata.normalize("NFD", reading).replace("u\u0308", "v")
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@cache
def folded(sound: str) -> str:
    """A syllable with the initials and finals that are easily confused made one: in/ing, en/eng, zh/z, n/l."""
    for initial, heard in _FOLDED:
        if sound.startswith(initial) and len(sound) > len(initial):
            sound = heard + sound[len(initial) :]
            break
    return sound[:-1] if sound.endswith("ng") and sound[-3:-2] in ("i", "e") else sound


def table_of(names: Iterable[str]) -> dict[str, list[str | None]]:
    """Columns of a table of sounds, one row for each name: `name` and the fields of `Sound`."""
    fields = ("sound", "near", "sorted_near", "sorted_signs", "first", "second", "last")
    columns: dict[str, list[str | None]] = {"name": [], **{field: [] for field in fields}}
    for name in names:
        found = sound_of(name)
        columns["name"].append(name)
        for field in fields:
            columns[field].append(getattr(found, field))
    return columns
