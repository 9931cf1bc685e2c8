"""The change data feed: which steps between releases a question asks for, and what is told of each: its rows that
changed (`/changes`), or its files that took the place of others (a query with `startingVersion`).

A step is a release and the one before it that can be read. Where the follower's own version cannot be read any more,
shows other columns, or may have been read with pseudonyms of an earlier epoch or by another policy, no changes lead on
from it, and the answer says to take a new snapshot.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from catalog.delivery.changes import SchemaChanged, both
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.extracts import Extract
from catalog.delivery.sharing import travel
from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.sharing.travel import Asked
from catalog.delivery.timeline import NoWay, Timeline, timeline
from catalog.policy import held
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

MOST_STEPS = 400
"""In one answer: more than a year of daily releases."""
HISTORY = "includeHistoricalMetadata"


@dataclass(frozen=True)
class Step:
    """What a release brought: the read of it, and of the one before it, None where the follower has nothing."""

    before: Admission | None
    after: Admission

    def changes(self, desk: Desk) -> Extract:
        """Its change set, or the whole of it where nothing went before. Raises BadRequest, LakeError."""
        if self.before is None:
            return desk.views.extract(self.after.allowed)
        with self._same_columns():
            return desk.changes(self.before, self.after)

    def files(self, desk: Desk) -> tuple[Extract | None, Extract]:
        """The view before, if there was one, and the view. Raises BadRequest, LakeError."""
        if self.before is None:
            return None, desk.views.extract(self.after.allowed)
        with self._same_columns():
            return both(desk.views, self.before.allowed, self.after.allowed)

    @contextmanager
    def _same_columns(self) -> Iterator[None]:
        try:
            yield
        except SchemaChanged as problem:
            raise BadRequest("web.sharing.schema_changed", version=self.after.allowed.version) from problem


@dataclass(frozen=True)
class Feed:
    """`start`: the version the feed begins with; `last`: the read of the version that its end shows."""

    start: int
    last: Admission
    steps: tuple[Step, ...]


def read_feed(desk: Desk, admission: Admission, question: Mapping[str, Any], zone: str) -> Feed | None:
    """The feed a question asks for, None when nothing in its range can be read. Raises BadRequest, LakeError."""
    starting = travel.asked(question, travel.STARTING_VERSION, travel.STARTING_TIMESTAMP, zone)
    ending = travel.asked(question, travel.ENDING_VERSION, travel.ENDING_TIMESTAMP, zone)
    travel.require_only(question, travel.RANGE, "web.sharing.not_of_changes")
    if str(question.get(HISTORY, "false")).lower() not in ("true", "false"):  # columns never change within a feed
        raise BadRequest("web.sharing.bad_flag", name=HISTORY, value=question[HISTORY][:40])
    versions = timeline(desk.listing, admission.allowed.product)
    start = _start(versions, starting, admission)
    end = _end(versions, ending, admission)
    if end < start:
        raise BadRequest("web.sharing.ends_before", start=start, end=end)
    try:
        base, releases = versions.way(start, end)
        if len(releases) > MOST_STEPS:
            raise BadRequest("web.sharing.too_many_versions", most=MOST_STEPS)
        return _walk(desk, admission, start, base, releases)
    except NoWay as problem:
        raise BadRequest("web.sharing.no_way", version=problem.version) from problem


def _walk(
    desk: Desk, admission: Admission, start: int, base: Recorded | None, releases: tuple[Recorded, ...]
) -> Feed | None:
    before, steps = None if base is None else _base(desk, admission, base), list[Step]()
    for release in releases:
        after = _read(desk, admission, release)
        steps.append(Step(before, after))
        before = after
    return None if before is None else Feed(start, before, tuple(steps))


def _base(desk: Desk, admission: Admission, base: Recorded) -> Admission:
    """The read of what the follower has, by the policy of now. Raises BadRequest where they may have it by another one:
    what a grant or a contract took away since is in neither end of a difference made by the policy of now."""
    _require_pseudonyms(admission, base)
    before = _read(desk, admission, base)
    shown = held.policies(desk.register, before.allowed.product, before.allowed.recipient, base)
    if shown - {desk.views.extract(before.allowed).key}:
        raise BadRequest("web.sharing.other_policy", version=base.version)
    return before


def _require_pseudonyms(admission: Admission, base: Recorded) -> None:
    """Raises BadRequest for a version from before the epoch of the caller's pseudonyms: nobody knows with which ones
    the follower read it, and changes told with those of now would not fit the old ones."""
    since = admission.allowed.epoch.since
    if since is not None and as_utc(base.at) < since:
        raise BadRequest("web.sharing.new_pseudonyms", version=base.version, since=since.isoformat(timespec="seconds"))


def _read(desk: Desk, admission: Admission, release: Recorded) -> Admission:
    """Raises NoWay for a version of which the policy of now shows nothing."""
    assert release.version is not None
    then = desk.at_version(admission, release.version)
    if then is None:
        raise NoWay(release.version)
    return replace(then, offering=replace(then.offering, release=release))


def _start(versions: Timeline, starting: Asked, admission: Admission) -> int:
    newest = admission.allowed.version
    if starting.version is not None:
        if starting.version > newest:
            raise travel.after_newest(admission.offering.release, travel.STARTING_VERSION)
        return starting.version
    if starting.moment is None:
        raise BadRequest("web.sharing.no_start")
    first = versions.since(starting.moment)
    if first is None or first.version is None:
        raise travel.after_newest(admission.offering.release, travel.STARTING_TIMESTAMP)
    return first.version


def _end(versions: Timeline, ending: Asked, admission: Admission) -> int:
    newest = admission.allowed.version
    if ending.moment is not None:
        last = versions.as_of(ending.moment)
        if last is None or last.version is None:
            raise BadRequest("web.sharing.before_first", name=travel.ENDING_TIMESTAMP)
        return last.version
    return newest if ending.version is None else min(ending.version, newest)
