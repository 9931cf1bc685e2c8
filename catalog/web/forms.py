"""What people send: fields of forms, days, numbers, and the path of this site to go on to. No page of its own."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from pipelines.messages import CitylakeError

FORM_BYTES = 16_384
MOST = 120
"""Characters of a text that is asked for."""
FIRST_YEAR, LAST_YEAR = 2000, 2200


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form, without U+0000, which PostgreSQL takes in no text; empty for one that is too long to
    be ours."""
    body = await request.body()
    if len(body) > FORM_BYTES:
        return {}
    fields = parse_qs(body.decode("utf-8", "replace"))
    return {key: values[-1].replace("\0", "") for key, values in fields.items()}


Form = Annotated[dict[str, str], Depends(_form)]


def day_of(text: str) -> date | None:
    """A day (ISO 8601) that somebody asks for, None for a text that is none of these centuries."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if FIRST_YEAR <= found.year < LAST_YEAR else None


def number_of(text: str, digits: int) -> int | None:
    """A number of no more than so many digits, None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def require_readable(query: Mapping[str, str], read: Mapping[str, Callable[[str], object]]) -> None:
    """Raises CitylakeError for a day or number that is none: left out, the answer would be to another question.
    `read`: the names of what is not text, and what reads it."""
    for name, value in read.items():
        text = query.get(name, "")
        if text and value(text) is None:
            raise CitylakeError("audit.unreadable", name=name, value=text[:MOST])


def own_path(path: str) -> str:
    """A path of this site to return to, empty for anything that could lead elsewhere."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else ""
