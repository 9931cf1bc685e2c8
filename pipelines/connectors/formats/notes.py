"""Rows of totals and remarks that people write below or into a table (合计, 填报人：张三), as a contract names them.

Belongs here: the words of a contract, and whether a row begins with one. Does not belong here: how rows are cut.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

Notes = list[Annotated[str, Field(pattern=r"^\S+$")]]
"""Words, without blanks, that rows of totals and remarks begin with."""
ENDED = r"(?:$|[:：(（\d\s])"
"""What follows such a word. Other text behind it makes another word, as in the name of a firm: 合计科技有限公司."""


class NoteRows:
    """Rows of totals and remarks, told by their first filled cell (合  计 is 合计 too), and how many there were."""

    def __init__(self, words: Sequence[str], delimiter: str = "") -> None:
        """`delimiter`: what stands between the cells of a line that is not cut yet."""
        spaced = "|".join(r"\s*".join(map(re.escape, word)) for word in words)
        self._begins = re.compile(rf"\s*(?:{spaced}){ENDED}") if words else None
        self._may = re.compile(rf'[\s"{re.escape(delimiter)}]*(?:{spaced})') if words else None
        self.count = 0

    def __bool__(self) -> bool:
        """Whether the contract names any."""
        return self._begins is not None

    def has(self, cells: Sequence[str]) -> bool:
        """Whether a row with any value is one; then it is counted."""
        if self._begins is None or self._begins.match(next(filter(None, cells), "")) is None:
            return False
        self.count += 1
        return True

    def may_be(self, line: str) -> bool:
        """Whether a line that is not cut yet may be one."""
        return self._may is not None and self._may.match(line) is not None
