"""Which format an answer is in: the parameter `format`, else the Accept header by RFC 9110, else JSON."""

from collections.abc import Mapping

from catalog.delivery.rows.pages import MEDIA_TYPES
from catalog.delivery.rows.problems import Problem

_PAGES = ("text/html", "application/xhtml+xml")
"""What browsers ask for when somebody follows a link; they can show JSON."""


def chosen(parameter: str | None, accept: str | None) -> str:
    """A name of `MEDIA_TYPES`. Raises Problem."""
    if parameter is not None:
        if parameter not in MEDIA_TYPES:
            raise Problem("bad_format", "format", value=parameter[:40], formats=", ".join(MEDIA_TYPES))
        return parameter
    if accept is None or not accept.strip():
        return "json"
    weights = _weights(accept)
    best = max(MEDIA_TYPES, key=lambda kind: _weight(weights, MEDIA_TYPES[kind]))
    if _weight(weights, MEDIA_TYPES[best]) > 0:
        return best
    if any(weights.get(page, 0) > 0 for page in _PAGES):
        return "json"
    raise Problem("not_acceptable", "Accept", 406, formats=", ".join(MEDIA_TYPES))


def _weights(accept: str) -> Mapping[str, float]:
    found = dict[str, float]()
    for part in accept.lower().split(","):
        name, *parameters = (item.strip() for item in part.split(";"))
        weight = next((item[2:].strip() for item in parameters if item.startswith("q=")), "1")
        try:
            found[name] = min(1.0, max(0.0, float(weight)))
        except ValueError:
            found[name] = 0.0
    return found


def _weight(weights: Mapping[str, float], media_type: str) -> float:
    name = media_type.partition(";")[0]
    for pattern in (name, f"{name.partition('/')[0]}/*", "*/*"):
        if pattern in weights:
            return weights[pattern]
    return 0.0
