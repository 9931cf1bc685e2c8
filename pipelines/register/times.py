"""Moments of the register: UTC inside, whatever its database gives; the city's time zone is for pages."""

from datetime import UTC, datetime


def as_utc(moment: datetime) -> datetime:
    """A moment of the register with its time zone: SQLite gives naive UTC, PostgreSQL any zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def as_utc_or_none(moment: datetime | None) -> datetime | None:
    """`as_utc`, None for None."""
    return None if moment is None else as_utc(moment)
