"""What people must not write of somebody where everybody reads it: more than is searched for in data.

A false alarm costs a writer another wording, so what only looks like a name counts here. Belongs here: texts that
people write. Columns of products belong to `scanner`.
"""

from collections.abc import Mapping
from typing import Final, Literal

import duckdb

from pipelines.codecs.sql import literal
from pipelines.privacy import names, numbers

Said = Literal["named", "birth_of_somebody", "room"]

_BIRTH = "(?:出生|生日|生于)[^0-9]{0,8}[0-9]{4}[年./-]|[0-9]{4}[年./-][0-9]{1,2}[月./-][0-9]{0,2}[日号]?(?:出生|生)"
_ROOM = (
    "[0-9](?:号|弄|巷)?[^0-9]{0,6}[0-9]+ ?(?:栋|幢|座|号楼|楼|单元)[^0-9]{0,4}[0-9]{3,4}"
    "|[0-9](?:栋|幢|座|号楼|单元|号)[^0-9]{0,4}[0-9]{3,4} ?(?:室|户)"
)

_TESTS: Final[Mapping[Said, str]] = {
    "named": names.before_of("t"),
    "birth_of_somebody": f"regexp_matches(t, {literal(_BIRTH)}) AND {names.looks_named('t')}",
    "room": f"regexp_matches(t, {literal(_ROOM)})",
}


def said_in(con: duckdb.DuckDBPyConnection, text: str) -> frozenset[Said]:
    """What a text says of somebody: whose something is (张伟的), a birth beside a name, a house to the room."""
    query = f"SELECT {', '.join(_TESTS.values())} FROM (SELECT {numbers.normal(literal(text))} AS t)"
    (row,) = con.execute(query).fetchall()
    return frozenset(kind for kind, held in zip(_TESTS, row, strict=True) if held)
