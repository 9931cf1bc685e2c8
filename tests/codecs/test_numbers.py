"""Telephone numbers and plates: forms that are right, and near misses."""

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.codecs import numbers

Run = Callable[..., Any]

CASES: list[tuple[Callable[[str], str], list[str], list[str]]] = [
    (
        numbers.mobile,
        ["13812345678", "19900000000"],
        ["", "12812345678", "1381234567", "138123456789", "138****5678", "+8613812345678", "138 1234 5678",
         "１３８１２３４５６７８"],
    ),
    (
        numbers.fixed_line,
        ["0564-3312345", "05643312345", "055152345678", "010-62345678", "0551-62345678-8001", "02162345678"],
        ["", "3312345", "0564-331234", "0564-331234567", "010-6234567", "0564-1312345", "0164-3312345", "0564--3312345",
         "0564 3312345", "(0564)3312345", "0564-3312345-", "13812345678", "4008123456"],
    ),
    (
        numbers.plate,
        ["皖N12345", "皖NA1B23", "皖ND12345", "皖NDA1234", "皖N12345D", "皖NF01234", "皖N1234挂", "皖N1234学",
         "皖N1234警"],
        ["", "皖NI2345", "皖N123O5", "皖N123456", "皖NI12345", "皖N1234", "皖I12345", "皖n12345", "N12345", "六N12345",
         "皖N·12345", "皖N 12345", "皖N1234挂1", "皖NL12345", "皖N12345L", "皖N1****"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("predicate", "right", "wrong"), CASES)
def test_its_form(run: Run, predicate: Callable[[str], str], right: list[str], wrong: list[str]) -> None:
    assert {text: run(predicate, text) for text in right} == dict.fromkeys(right, True)
    assert {text: run(predicate, text) for text in wrong} == dict.fromkeys(wrong, False)
    assert run(predicate, None) is None
