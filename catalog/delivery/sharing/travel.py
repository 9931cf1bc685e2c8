"""What a request asks of versions: the parameters of the protocol, read strictly, and the releases that they name."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.timeline import Timeline
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

VERSION, TIMESTAMP = "version", "timestamp"
STARTING_VERSION, STARTING_TIMESTAMP = "startingVersion", "startingTimestamp"
ENDING_VERSION, ENDING_TIMESTAMP = "endingVersion", "endingTimestamp"
RANGE = (STARTING_VERSION, STARTING_TIMESTAMP, ENDING_VERSION, ENDING_TIMESTAMP)
ALL = (VERSION, TIMESTAMP, *RANGE)
_OLD_FORM = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6})\d*)?)?", re.ASCII
)
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Asked:
    """The version or the moment that one end of a question names; neither: the published one."""

    version: int | None
    moment: datetime | None

    @property
    def anything(self) -> bool:
        """Whether the question names this end at all."""
        return self.version is not None or self.moment is not None


def asked(question: Mapping[str, Any], version: str, timestamp: str, zone: str) -> Asked:
    """The version or the moment in two parameters; `zone` is for a moment that names none.

    Raises BadRequest for a value that is none, and for both at once.
    """
    number, text = question.get(version), question.get(timestamp)
    if number is not None and text is not None:
        raise BadRequest("web.sharing.two_ends", names=f"{version}, {timestamp}")
    return Asked(
        None if number is None else _version(version, number), None if text is None else _moment(timestamp, text, zone)
    )


def release_asked(timeline: Timeline, question: Asked) -> Recorded | int | None:
    """The release that a question names, or the number of one that cannot be read; None where none was published yet.

    A question that names nothing must not come here.
    """
    if question.version is not None:
        return timeline.find(question.version) or question.version
    assert question.moment is not None
    then = timeline.as_of(question.moment)
    if then is None or then.version is None:
        return None
    return timeline.find(then.version) or then.version


def after_newest(newest: Recorded | None, name: str) -> BadRequest:
    """The error for a parameter that lies after the published release."""
    assert newest is not None
    moment = as_utc(newest.at).isoformat(timespec="seconds").replace("+00:00", "Z")
    return BadRequest("web.sharing.after_newest", version=newest.version, moment=moment, name=name)


def require_only(question: Mapping[str, Any], allowed: Collection[str], code: str) -> None:
    """Raises BadRequest, with message `code`, for a parameter about versions that the road does not take."""
    if others := [name for name in ALL if name not in allowed and question.get(name) is not None]:
        raise BadRequest(code, names=", ".join(others))


def _version(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise BadRequest("web.sharing.bad_version", name=name, value=str(value)[:40])
    return value


def _moment(name: str, value: Any, zone: str) -> datetime:
    """ISO 8601 as the protocol now writes moments, or its older form `yyyy-[m]m-[d]d hh:mm:ss[.f...]`."""
    text = value.strip() if isinstance(value, str) and len(value) < 60 else ""
    try:
        if parts := _OLD_FORM.fullmatch(text):
            *numbers, fraction = parts.groups(default="0")
            year, month, day, hour, minute, second = map(int, numbers)
            moment = datetime(year, month, day, hour, minute, second, int(fraction.ljust(6, "0")))
        else:
            moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest("web.sharing.bad_timestamp", name=name, value=str(value)[:40]) from None
