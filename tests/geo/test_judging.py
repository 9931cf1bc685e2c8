"""The functions behind shape rules, in SQL as admission asks them: true, false, and NULL for what is no geometry."""

from typing import Any

import duckdb
import pytest

from pipelines.contracts.load import rule_context
from pipelines.contracts.resolved import Contracts
from pipelines.contracts.rules import Rule, rules
from pipelines.geo import judging

BOX = {"west": 115.3, "south": 31.0, "east": 117.3, "north": 32.7}
SIZE = {"size": "told", "tolerance": 0.02}
SQUARE = "POLYGON ((116.5 31.7, 116.501 31.7, 116.501 31.701, 116.5 31.701, 116.5 31.7))"  # about 94.8 m x 110.9 m
OPEN = "POLYGON ((116.5 31.7, 116.501 31.7, 116.501 31.701, 116.5 31.701))"
CROSSED = "POLYGON ((116.5 31.7, 116.501 31.701, 116.501 31.7, 116.5 31.701, 116.5 31.7))"
LINE = "LINESTRING (116.5 31.7, 116.5 31.71)"  # 1109 m
COUNTY = {"code": "code", "kilometres": 2.0}

CASES: list[tuple[str, dict[str, Any], str | None, float | None, str | None, bool | None]] = [
    ("shape_closed", {}, SQUARE, None, None, True),
    ("shape_closed", {}, OPEN, None, None, False),
    ("shape_closed", {}, LINE, None, None, True),
    ("shape_closed", {}, "POLYGON", None, None, None),
    ("shape_closed", {}, None, None, None, None),
    ("shape_simple", {}, SQUARE, None, None, True),
    ("shape_simple", {}, OPEN, None, None, True),
    ("shape_simple", {}, CROSSED, None, None, False),
    ("shape_simple", {}, None, None, None, None),
    ("shape_within", BOX, SQUARE, None, None, True),
    ("shape_within", BOX, "POINT (0 0)", None, None, False),
    ("shape_within", BOX, "LINESTRING (116.5 31.7, 117.4 31.7)", None, None, False),
    ("shape_within", BOX, "POINT (x y)", None, None, None),
    ("shape_size", SIZE, SQUARE, 10_510.0, None, True),
    ("shape_size", SIZE, SQUARE, 10_000.0, None, False),
    ("shape_size", {**SIZE, "least": 600.0}, SQUARE, 10_000.0, None, True),
    ("shape_size", SIZE, LINE, 1_109.0, None, True),
    ("shape_size", SIZE, LINE, 1.109, None, False),
    ("shape_size", SIZE, SQUARE, None, None, None),
    ("shape_in_county", COUNTY, "POINT (116.53 31.72)", None, "341502", True),
    ("shape_in_county", COUNTY, "POINT (116.53 31.72)", None, "341502001001", True),
    ("shape_in_county", COUNTY, "POINT (116.53 31.72)", None, "341524001001", False),
    ("shape_in_county", {"code": "code", "kilometres": 500.0}, "POINT (116.53 31.72)", None, "341524", True),
    ("shape_in_county", COUNTY, "POINT (116.53 31.72)", None, "340422", None),
    ("shape_in_county", COUNTY, "POINT (116.53 31.72)", None, None, None),
]


@pytest.mark.parametrize(("verb", "arguments", "text", "told", "code", "expected"), CASES)
def test_a_shape_is_judged(
    contracts: Contracts, verb: str, arguments: dict[str, Any], text: str | None, told: float | None,
    code: str | None, expected: bool | None,
) -> None:  # fmt: skip
    rule = Rule("x", verb, ("shape",), rules[verb].bind({"column": "shape", **arguments}))
    with duckdb.connect() as con:
        judging.register(con, contracts)
        row = "SELECT ?::VARCHAR AS shape, ?::DOUBLE AS told, ?::VARCHAR AS code"
        asked = f"SELECT {rule.sql(rule_context(contracts, today=None))} FROM ({row})"
        assert con.execute(asked, [text, told, code]).fetchone() == (expected,)


def test_every_shape_rule_is_tried_true_false_and_null() -> None:
    tried: dict[str, set[bool | None]] = {}
    for verb, *_, expected in CASES:
        tried.setdefault(verb, set()).add(expected)
    assert tried == {name: {True, False, None} for name, verb in rules.items() if verb.about.scope == "shape"}
