"""Pages of names: `maxResults` and `pageToken` of list requests. A page begins after the last name before it."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from catalog.delivery.sharing.errors import BadRequest

MOST = 500
MARK = "after:"


def page(items: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of `items`, ordered by key: `{"items": [...], "nextPageToken": text}`, the text empty on the last page.

    Raises BadRequest for a `maxResults` that is no whole number or a `pageToken` that this server did not give.
    """
    size, after = _size(query.get("maxResults")), _after(query.get("pageToken"))
    names = [name for name in sorted(items) if after is None or name > after]
    shown = names[:size]
    more = len(names) > len(shown)
    last = shown[-1] if shown else after or ""
    return {
        "items": [items[name] for name in shown],
        "nextPageToken": urlsafe_b64encode(f"{MARK}{last}".encode()).decode() if more else "",
    }


def _size(text: str | None) -> int:
    if text is None or text == "":
        return MOST
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRequest("web.sharing.bad_max_results", value=text[:40])
    return min(int(text), MOST)


def _after(token: str | None) -> str | None:
    if not token:
        return None
    try:
        text = urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest("web.sharing.bad_page_token") from error
    if not text.startswith(MARK):
        raise BadRequest("web.sharing.bad_page_token")
    return text.removeprefix(MARK)
