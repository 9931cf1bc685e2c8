"""Texts of drafts in both languages, and how they stand in YAML. What a person must still decide begins with 待定."""

import json
import re
from typing import Any

from pipelines.contracts.mistakes import UNDECIDED
from pipelines.messages import translate

_PLAIN = re.compile(r"[A-Za-z_\u4e00-\u9fff][A-Za-z0-9_./（）\u4e00-\u9fff-]*")
"""What needs no quotes, also between brackets."""
_MEANT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"})


def undecided(what: str, **about: object) -> str:
    """A text that says what a person must decide; a contract with it is refused."""
    return f"{UNDECIDED}：{both(f'draft.todo.{what}', **about)}"


def both(code: str, **about: object) -> str:
    """A message in both languages on one line."""
    return " / ".join(translate(code, language, **about) for language in ("zh", "en"))


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.casefold() not in _MEANT
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def comment(text: str) -> str:
    """A text as what follows # on one line, whatever a source has written in it."""
    return "# " + " ".join(text.split())
