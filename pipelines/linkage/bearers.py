"""One number on several people: which registered records bear it, who of them is who, and as whom each is known since.

A right number names one person. Where records that bear the same number cannot be about one person, each of them gets a
claim of its own, made of the number's claim and the record; the number stays with one of them, its *keeper*, and every
other is *apart*. Until a steward has spoken, or a register has corrected one, the number proves nothing: rows of others
that have it are about nobody unless everything else in them tells whom.

Belongs here: who is apart, and which claims are one person because of it. Does not belong here: ids (`golden`).
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.lake.edition import row_key
from pipelines.linkage.golden import joined
from pipelines.linkage.marks import Participant, form_of, log_of
from pipelines.linkage.reviews import Answer, Question
from pipelines.linkage.sounds import sound_of
from pipelines.linkage.tables import values

SHARED = "shared"
"""Why a record is known by a claim of its own, and why a steward is asked about it: somebody else bears its number."""
BEARER = "bearer"
"""Why a record is listed that bears, or bore, such a number and is known by a number nevertheless."""

MANY = 200
"""So many different bearers of one number are not compared with each other any more: each name is its own person."""

Key = tuple[str, str]
"""A record: its dataset and row key."""


@dataclass(frozen=True, order=True)
class Record:
    """A registered record as it is now, or (not `there`) as it was before it left. `place`: batch:row; `since`: when it
    became known, in microseconds of the epoch."""

    dataset: str
    row_key: str
    place: str
    claim: str
    name: str
    address: str | None
    mobile: str | None
    there: bool
    since: int

    @property
    def key(self) -> Key:
        return self.dataset, self.row_key

    @property
    def own(self) -> str:
        """The record's own claim for the number that it bears now."""
        return own_claim(self.claim, self.key)


@dataclass
class Bearers:
    """What was found. `apart`: records with claims of their own. `same`: claims of one person. `new`: own claims and
    the numbers' claims whose ids they had until now; `moved`: claims of numbers that are somebody else's now; `closed`:
    those that prove nothing. `known`: the claim by which each listed record is known. `shared`: by register the numbers
    of its records that are apart, one for each record."""

    apart: dict[Key, str] = field(default_factory=dict)
    same: list[tuple[str, str]] = field(default_factory=list)
    new: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    known: dict[Key, tuple[str, str]] = field(default_factory=dict)
    shared: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    questions: list[Question] = field(default_factory=list)

    @property
    def owns(self) -> set[str]:
        """Every own claim that there is, or was and stands for somebody."""
        return {*self.new, *self.apart.values(), *(one for one, _ in self.same)}


def own_claim(claim: str, record: Key) -> str:
    """The claim of a record that bears the number of `claim` beside others: nothing that a number could become."""
    return hashlib.sha256("|".join((claim, *record)).encode()).hexdigest()[:32]


def one_person(one: Record, other: Record) -> bool | None:
    """Whether two records with one number, and so with one birth date and sex, are about one person; None: who knows.

    A name that sounds alike in any order is the same name, as clerks write it. Another one is somebody else's if
    nothing else holds the two together: telephone and, within a register, address. A changed given name is common, so
    with the same surname both must be registered now, at different addresses of one register; a new surname is rare.
    """
    a, b = sound_of(one.name), sound_of(other.name)
    if a.sorted_near == b.sorted_near or a.sorted_signs == b.sorted_signs:
        return True
    within = one.dataset == other.dataset
    together = _both(one.mobile, other.mobile) is True or (within and _both(one.address, other.address) is not False)
    if together:
        return None
    if a.first != b.first and {*a.near.split()}.isdisjoint(b.near.split()):
        return False
    return False if within and one.there and other.there else None


def _both(one: str | None, other: str | None) -> bool | None:
    """Whether two values are the same; None if one is not told."""
    return None if one is None or other is None else one == other


def find(
    con: duckdb.DuckDBPyConnection,
    sources: Iterable[Participant],
    crosswalk: str,
    links: str,
    answers: Sequence[Answer],
    model: str,
) -> Bearers:
    """Who bears a number beside others. Reads the views `registration` and `said`; `crosswalk`, `links`: SQL of what
    the run before left."""
    _read(con, list(sources), links)
    concerned = f"SELECT {_FIELDS}, since FROM concerned {_SINCE} ORDER BY ALL"
    records = [Record(*row) for row in con.execute(concerned).fetchall()]
    before = dict(con.execute(f"SELECT claim, person_id FROM {crosswalk} SEMI JOIN bearing USING (claim)").fetchall())
    bore: dict[Key, dict[str, int]] = defaultdict(dict)
    for dataset, key, claim, since in con.execute("FROM borne").fetchall():
        bore[dataset, key][claim] = since
    first = {key: min(claims.values()) for key, claims in bore.items()}
    owns = {one for key, claims in bore.items() for one in (own_claim(claim, key) for claim in claims)}
    listed = values([(one,) for one in sorted(owns)], "claim")
    before |= dict(con.execute(f"SELECT claim, person_id FROM {crosswalk} SEMI JOIN {listed} USING (claim)").fetchall())
    alike = {(dataset, key): count for dataset, key, count in con.execute("FROM alike").fetchall()}

    def order(one: Record) -> tuple[Any, ...]:
        kept = one.own in before and before[one.own] == before.get(one.claim)
        return not kept, one.own in before, -alike.get(one.key, 0), not one.there, first.get(one.key, 0), one.key

    said = {
        (one.question.dataset, one.question.row_key, one.question.person): one
        for one in answers
        if one.question.why == SHARED
    }
    found = Bearers()
    by_claim: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_claim[record.claim].append(record)
    for claim, bearing in sorted(by_claim.items()):
        _part(found, claim, sorted(bearing, key=order), said, before, model)
    _tell_who(found, records, bore, before)
    return found


def _part(
    found: Bearers,
    claim: str,
    records: list[Record],
    said: Mapping[tuple[str, str, str], Answer],
    before: Mapping[str, str],
    model: str,
) -> None:
    """Part the records of one number; the first of them is its keeper. `before`: the ids of claims until now."""
    keeper = records[0]
    word = {one.key: _word(one, said.get((*one.key, claim))) for one in records[1:]}
    apart = {one.key: before[one.own] for one in records if before.get(one.own, before.get(claim)) != before.get(claim)}
    alike: dict[Hashable, list[Record]] = defaultdict(list)
    for one in records:  # of those that say the same one is compared
        says = one.dataset, one.name, one.address, one.mobile, one.there
        alike[says, word.get(one.key), apart.get(one.key)].append(one)
    many = len(alike) > MANY
    same = [(keeper, one) for one in records[1:] if word[one.key] == "accept"]
    same += [(group[0], one) for group in alike.values() for one in group[1:]]
    firsts = [group[0] for group in alike.values()]
    if many:
        named = {one.name: one for one in reversed(firsts)}
        same += [(named[one.name], one) for one in firsts]
    for one, other in combinations(firsts, 2) if not many else ():
        verdict, words = one_person(one, other), {word.get(one.key), word.get(other.key)}
        # who was told apart stays so until somebody says otherwise
        doubt = verdict is None and apart.get(one.key) == apart.get(other.key)
        if verdict or (doubt and not words & {"never", "accept"}):
            same.append((one, other))
    pairs = [(one.own, other.own) for one, other in same]
    people = joined([*pairs, *((one.own, one.own) for one in records)])
    kept = next(cluster for cluster in people if keeper.own in cluster)
    others = [one for one in records if one.own not in kept]
    for one in others:
        found.apart[one.key] = one.own
        if one.there:
            found.shared[one.dataset].append(claim)
        if word[one.key] is None:
            found.closed.add(claim)
    if others:
        found.new |= {one.own: claim for one in records}
        found.same += [(one, min(cluster)) for cluster in people if cluster is not kept for one in sorted(cluster)]
    for one in records[1:]:
        if many and found.questions and found.questions[-1].person == claim:
            break  # one at a time
        verdict = one_person(keeper, one)
        if word[one.key] is None and (verdict is False or (verdict is None and one.dataset == keeper.dataset)):
            asked = Question(one.dataset, one.row_key, one.place, one.own, claim, SHARED, None, model)
            found.questions.append(asked)


def _word(record: Record, answer: Answer | None) -> str | None:
    """What a steward said of a record and its number: a `reject` holds while the record says the same."""
    if answer is None or (answer.word == "reject" and answer.question.place != record.place):
        return None
    return "accept" if answer.word == "accept" else "never"


def _tell_who(
    found: Bearers, records: Sequence[Record], bore: Mapping[Key, Mapping[str, int]], before: Mapping[str, str]
) -> None:
    """The claim by which each record is known, and the claims that are therefore the same person: own ones, and those
    of numbers that the record had in between and nobody has any more. `bore`: since when it has each claim. Moments are
    compared and not batches, which every register counts for itself; rows of one run have one moment."""
    held = {one.claim for one in records}
    mine: dict[Key, set[str]] = {}
    holders: dict[str, list[Record]] = defaultdict(list)
    kept: dict[str, set[Key]] = defaultdict(set)
    for one in records:
        ident = found.apart.get(one.key, one.claim)
        owns = {own_claim(claim, one.key): claim for claim in bore[one.key]} | {one.own: one.claim}
        had = {own: claim for own, claim in owns.items() if own in before or own in found.new}
        if had:
            found.known[one.key] = (ident, SHARED if one.key in found.apart else BEARER)
        mine[one.key] = {before[own] for own in had if own in before}
        between = {claim for claim in bore[one.key].keys() - held if before.get(claim) in mine[one.key]}
        found.same += [(own, ident) for own in sorted({*had, *between}) if own != ident]
        if one.key not in found.apart:
            holders[one.claim].append(one)
        for own, claim in had.items():
            if own in before and before[own] == before.get(claim):
                kept[claim].add(one.key)
    for claim, former in kept.items():
        if claim not in holders:  # nobody has the number any more: it goes with whom it stood for
            found.same += [(own_claim(claim, key), claim) for key in sorted(former)]
        elif former.isdisjoint(one.key for one in holders[claim]):
            found.moved.add(claim)

    def was(one: Record, other: Record) -> bool:
        """Whether `one`, who has a number that the other had in between, was that person: known to be, or not known as
        anybody, but it had the number, and the id is named after it, in a run before that in which the other's record
        became what it is."""
        claim = one.claim
        if mine[one.key]:
            return before[claim] in mine[one.key]
        return before[claim] == claim and bore[one.key][claim] < other.since

    for one in records:
        for claim in (bore[one.key].keys() & held) - {one.claim}:
            if before.get(claim) in mine[one.key] and not any(was(holder, one) for holder in holders[claim]):
                found.moved.add(claim)  # in between, and taken by somebody else


_FIELDS = "dataset, row_key, place, claim, name, address, mobile, there"
_SINCE = (
    "JOIN (SELECT dataset, row_key, _batch, since FROM told_ever) USING (dataset, row_key) "
    "WHERE _batch = CAST(split_part(place, ':', 1) AS BIGINT)"
)


def _read(con: duckdb.DuckDBPyConnection, sources: Sequence[Participant], links: str) -> None:
    """Tables `concerned` (records of numbers with more than one name, those that were listed before, and whoever has a
    number that one of these had), `told_ever` (all that was ever said of these, and since when), `borne` (every claim
    that these ever had, and since when), `bearing` (their claims) and `alike` (by how many rows of others that have the
    number a record's name is borne out)."""
    left, logs = [_NONE], [_NO_LOG]
    for contract, version in sources:
        form = form_of(contract)
        named = {mark: identifier(column) for mark, column in form.marks.items()}
        marks = ", ".join(f"{named.get(mark, 'NULL::VARCHAR')} AS {mark}" for mark in ("name", "address", "mobile"))
        where = f"{literal(contract.id)} AS dataset, {row_key(version.key)} AS row_key"
        claim = f"{identifier(form.person)} AS claim"
        logs.append(f"SELECT {where}, {claim}, _batch, _known_at FROM {log_of(version)}")
        left.append(
            f"SELECT {where}, _batch || ':' || coalesce(_row, 0) AS place, {claim}, {marks}, _batch "
            f"FROM {log_of(version)} WHERE _op = 'D'"
        )
    con.execute(
        f"CREATE TEMP TABLE record AS SELECT {_FIELDS.replace('there', 'true AS there')} FROM registration UNION ALL "
        f"SELECT {_FIELDS.replace('there', 'false')} FROM (SELECT DISTINCT ON (dataset, row_key) * FROM "
        f"({' UNION ALL BY NAME '.join(left)}) ORDER BY dataset, row_key, _batch DESC) "
        "ANTI JOIN registration USING (dataset, row_key)"
    )
    con.execute(f"CREATE TEMP VIEW borne_ever AS {' UNION ALL BY NAME '.join(logs)}")
    con.execute(
        f"CREATE TEMP TABLE noted AS SELECT dataset, row_key FROM {links} WHERE why IN ('{SHARED}', '{BEARER}')"
    )
    con.execute(
        "CREATE TEMP TABLE concerned AS SELECT * FROM record WHERE claim IS NOT NULL AND name IS NOT NULL AND "
        "(claim IN (SELECT claim FROM record WHERE claim IS NOT NULL GROUP BY claim HAVING min(name) <> max(name)) "
        "OR claim IN (SELECT claim FROM borne_ever SEMI JOIN noted USING (dataset, row_key)) "
        "OR (dataset, row_key) IN (FROM noted))"
    )
    con.execute("DROP TABLE record")  # all that registers say of everybody: the memory that comparing needs
    con.execute(
        "CREATE TEMP TABLE told_ever AS SELECT * EXCLUDE (_known_at), epoch_us(_known_at) AS since FROM borne_ever "
        "SEMI JOIN concerned USING (dataset, row_key)"
    )
    con.execute(
        "CREATE TEMP TABLE borne AS SELECT dataset, row_key, claim, min(since) AS since FROM told_ever "
        "WHERE claim IS NOT NULL GROUP BY ALL"
    )
    con.execute("CREATE TEMP TABLE bearing AS SELECT claim FROM concerned UNION SELECT claim FROM borne")
    con.execute(
        "CREATE TEMP TABLE alike AS SELECT c.dataset, c.row_key, count(*) AS rows FROM concerned c "
        "JOIN said s ON s.claim = c.claim AND s.name = c.name GROUP BY ALL"
    )


_NONE = (
    "SELECT '' AS dataset, '' AS row_key, '' AS place, '' AS claim, '' AS name, NULL::VARCHAR AS address, "
    "NULL::VARCHAR AS mobile, 0::BIGINT AS _batch WHERE false"
)
_NO_LOG = (
    "SELECT '' AS dataset, '' AS row_key, '' AS claim, 0::BIGINT AS _batch, NULL::TIMESTAMPTZ AS _known_at WHERE false"
)
