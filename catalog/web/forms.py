"""Posted forms: their fields, and the path of this site to go on to. No page of its own."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

FORM_BYTES = 16_384


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form; empty for one that is too long to be ours."""
    body = await request.body()
    if len(body) > FORM_BYTES:
        return {}
    return {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}


Form = Annotated[dict[str, str], Depends(_form)]


def own_path(path: str) -> str:
    """A path of this site to return to, empty for anything that could lead elsewhere."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else ""
