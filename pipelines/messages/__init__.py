"""The one catalogue of user-facing text: Chinese first, English second, kept in the YAML files of this folder.

Text that a person reads belongs there, under an id `area.name`. Code and log keys do not.
"""

import string
from functools import cache
from pathlib import Path

import yaml


class CitylakeError(Exception):
    """An error a person can act on. `code` is a message id; the arguments fill its placeholders.

    Every message names the thing that is wrong, where, and what to do next.
    """

    def __init__(self, code: str, /, **arguments: object) -> None:
        self.code = code
        self.arguments = arguments
        super().__init__(say(code, **arguments))

    def text(self, language: str) -> str:
        """The message in one language, `zh` or `en`."""
        return translate(self.code, language, **self.arguments)


def translate(code: str, language: str, /, **arguments: object) -> str:
    """The text of message `code` in `language` (`zh` or `en`). Raises KeyError for an unknown id."""
    return string.Formatter().vformat(catalogue()[code][language], (), arguments)


def name_of(code: str, language: str, otherwise: str) -> str:
    """The text of message `code` in `language`; what it is called `otherwise` where there is no such message."""
    return translate(code, language) if code in catalogue() else otherwise


def say(code: str, /, **arguments: object) -> str:
    """The message in Chinese, then in English, one line each."""
    return f"{translate(code, 'zh', **arguments)}\n{translate(code, 'en', **arguments)}"


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All messages: id -> {"zh": text, "en": text}. Raises ValueError if an id stands in two files."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        for code, texts in (yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) or {}).items():
            if code in found:
                raise ValueError(f"{path.name}: message {code} stands twice")
            found[code] = texts
    return found
