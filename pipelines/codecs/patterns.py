"""Patterns of a fixed length, such as `1[3-9][0-9]{9}`, as tables that whole columns of texts are judged by.

What tables cost stands in decision 0032. Any other pattern is asked of RE2, and does not belong here.
"""

import re
from functools import cache
from itertools import product

import numpy as np

from pipelines.codecs.pairs import Judge

FITTING = 1
"""The verdict on a text that has the form."""
_PART = re.compile(r"(?:\[([A-Za-z0-9-]+)\]|([A-Za-z0-9]))(?:\{([1-9][0-9]?)\})?")
_RANGE = re.compile(r"([A-Za-z0-9])(?:-([A-Za-z0-9]))?")


@cache
def fixed(pattern: str) -> Judge | None:
    """The judge of a pattern of ASCII letters and digits; None for one that says more than one may stand where."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", pattern):
        return None
    places: list[str] = []
    for some, one, times in _PART.findall(pattern):
        signs = one or _signs(some)
        if not signs:
            return None
        places.extend([signs] * int(times or 1))
    pairs = [{"".join(pair): 0 for pair in product(*places[start : start + 2])} for start in range(0, len(places), 2)]
    return Judge(pairs, np.array([FITTING], np.int8))


def _signs(some: str) -> str:
    """The characters of a class; none if it has a hyphen that stands for itself, or a range of more than one kind."""
    if not re.fullmatch(f"(?:{_RANGE.pattern})+", some):
        return ""
    ranges = [_between(first, last or first) for first, last in _RANGE.findall(some)]
    return "".join(sorted(set().union(*ranges))) if all(ranges) else ""


def _between(first: str, last: str) -> str:
    """The characters of a range; none if it is of more than digits, capitals or small letters."""
    signs = "".join(map(chr, range(ord(first), ord(last) + 1)))
    return signs if signs.isdigit() or signs.isalpha() else ""
