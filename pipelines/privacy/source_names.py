"""Names that a source gives, of columns, keys, sheets and members of archives. Some are values of a row, where a file
has no header, and some are persons: texts that people see do not say those.

Belongs here: how such names are told, and what a message says in their place. Does not belong here: personal data in
values (`scanner`), what to do about such a name.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.engine import connect
from pipelines.privacy.scanner import Kind, kinds_of

_FIGURES = re.compile(r"[-+0-9.,:/ T]+[Xx]?|[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日|[0-9A-Z]{18}")
_MANY = 5
"""Digits that make a name without any word a number, a day or an amount; years and counted columns have fewer."""
_ADDRESS = re.compile(r"[路街道巷村组镇乡园区]\S*?[0-9]+(?:号|栋|幢|弄|单元|室)")
_PLAIN = re.compile(r"[A-Za-z_]+[0-9]{0,3}")
"""Names that are nobody and no value: most are, and asking the database takes longer than anything else here."""
_DELIMITER = re.compile("[,;|\\t，；]")


@dataclass(frozen=True)
class Told:
    """What some names look like."""

    kinds: Mapping[str, frozenset[Kind]]

    def value(self, name: str) -> bool:
        """Whether a name is surely a value: a number of somebody, a day, an amount, an address; or a whole row that
        was not cut, with one of these or a person in it."""
        pieces = _pieces(name)
        if len(pieces) > 1 and any(self.value(one) or self.person(one) for one in pieces):
            return True
        figures = _FIGURES.fullmatch(name.strip()) and sum(map(str.isdigit, name)) >= _MANY
        return bool(figures or _ADDRESS.search(name) or self.kinds[name] - {"name", "name_in_text"})

    def person(self, name: str) -> bool:
        """Whether a name may be that of a person, or hold one."""
        asked = "name" in self.kinds[name] and "name_in_text" in self.kinds[_asked(name)]
        return asked or "name_in_text" in self.kinds[name]

    def speaks(self, remark: str) -> bool:
        """Whether a remark names somebody."""
        return bool(self.kinds[remark] - {"name"})


def told(con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Told:
    """Look at some names."""
    listed = {text for name in names for text in (name, *_pieces(name))}
    return Told(kinds_of(con, sorted({*listed, *map(_asked, listed)})))


def _pieces(name: str) -> list[str]:
    """What stands between delimiters."""
    return _DELIMITER.split(name)


def _asked(name: str) -> str:
    """A name behind what asks for one: a common word that begins like a name is none there."""
    return f"姓名：{name}"


def shown(names: Sequence[str]) -> tuple[str, ...]:
    """The names as a message may say them: `#` and the place, from 1, for one that may be a value or a person."""
    looks = _looked(names)
    hidden = [looks.value(name) or looks.person(name) for name in names]
    return tuple(f"#{place}" if hide else name for place, (name, hide) in enumerate(zip(names, hidden, strict=True), 1))


def has_value(names: Sequence[str]) -> bool:
    """Whether one of the names is surely a value, so that a row stands where the names should."""
    looks = _looked(names)
    return any(map(looks.value, names))


def _looked(names: Sequence[str]) -> Told:
    doubtful = [name for name in names if not _PLAIN.fullmatch(name)]
    if not doubtful:
        return Told({name: frozenset() for name in names})
    with tempfile.TemporaryDirectory() as scratch, connect(Path(scratch)) as con:
        return told(con, names)
