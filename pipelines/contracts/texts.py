"""Fragments of messages in both languages, to be set into a message as `{name_zh}` and `{name_en}`."""

import string

from pipelines.messages import catalogue

LANGUAGES = ("zh", "en")


def both(name: str, message: str, /, **arguments: object) -> dict[str, str]:
    """Message `message` in both languages: {"<name>_zh": text, "<name>_en": text}.

    An argument `x_zh` or `x_en` fills `{x}` in its own language.
    """
    return {f"{name}_{language}": fill(message, language, arguments) for language in LANGUAGES}


def fill(code: str, language: str, arguments: dict[str, object]) -> str:
    """Message `code` in one language, with the arguments of that language."""
    own = {key.removesuffix(f"_{language}"): value for key, value in arguments.items() if key.endswith(f"_{language}")}
    return string.Formatter().vformat(catalogue()[code][language], (), {**arguments, **own})
