"""Ids of persons that stay: from the old crosswalk and new clusters of claims to the new crosswalk and its events.

A claim is what a right identity number stands for (its keyed hash); a cluster is all claims of one person. A person's
id is named after the claim that founded it and is never given to anybody else. Pure functions; nothing is read or
written here.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

Kind = Literal["created", "merged", "split", "ended", "retired", "restored"]
CREATED: Literal["created"] = "created"
MERGED: Literal["merged"] = "merged"
SPLIT: Literal["split"] = "split"
ENDED: Literal["ended"] = "ended"
RETIRED: Literal["retired"] = "retired"
RESTORED: Literal["restored"] = "restored"


@dataclass(frozen=True, order=True)
class Event:
    """What became of an id. `created`: it is new. `merged`: it is `other` now. `split`: some of its claims are `other`
    now, the rest keep it. `ended`: no claim has it any more, and from now on it is found as whoever has the claim
    `other`; the last word counts. `retired`: none of its claims is told any more. `restored`: they are told again."""

    kind: Kind
    person_id: str
    other: str | None = None


@dataclass(frozen=True)
class Renumbered:
    """The new crosswalk, claim -> id of the person, and its events in order."""

    crosswalk: Mapping[str, str]
    events: tuple[Event, ...]


def renumber(
    crosswalk: Mapping[str, str],
    clusters: Iterable[Collection[str]],
    taken: Set[str] = frozenset(),
    retired: Set[str] = frozenset(),
) -> Renumbered:
    """Ids for new clusters: of those that lay claim to an old id, the one with most of its claims keeps it.

    `taken`: ids given out before that no claim of the crosswalk has any more. `retired`: ids whose claims were gone.
    Among equals an id stays with the claim that founded it, then with the smallest claim. Claims that are in no cluster
    keep their id or go where it went. An id that ends stays with a claim that went where it went, the one that founded
    it if that did: so it is found for ever, also after what it became is parted. Raises ValueError if clusters overlap.
    """
    found = sorted(sorted(set(cluster)) for cluster in clusters if cluster)
    if len({claim for cluster in found for claim in cluster}) != sum(map(len, found)):
        raise ValueError("clusters overlap")
    shares = [Counter(crosswalk[claim] for claim in cluster if claim in crosswalk) for cluster in found]
    ids = _kept(found, shares)
    used = {*crosswalk.values(), *taken}
    events: list[Event] = []
    for number, cluster in enumerate(found):
        if number not in ids:
            ids[number] = _new(cluster, used)
            used.add(ids[number])
            events.append(Event(CREATED, ids[number]))
    kept = set(ids.values())
    heirs: dict[str, tuple[int, str]] = {}
    for number, share in enumerate(shares):
        for old, count in share.items():
            if old in kept and old != ids[number]:
                events.append(Event(SPLIT, old, ids[number]))
            heirs[old] = min(heirs.get(old, (1, "")), (-count, ids[number]))
    merged = {old: heir for old, (_, heir) in heirs.items() if old not in kept}
    events += [Event(MERGED, old, heir) for old, heir in merged.items()]
    events += [Event(RESTORED, old) for old in kept & retired]
    events += [Event(RETIRED, old) for old in set(crosswalk.values()) - heirs.keys() - retired]
    new = {claim: merged.get(old, old) for claim, old in crosswalk.items()}
    new |= {claim: ids[number] for number, cluster in enumerate(found) for claim in cluster}
    stays: dict[str, tuple[bool, bool, str]] = {}
    for claim, old in crosswalk.items():
        if old in merged:
            rank = new[claim] != merged[old], claim != old, claim
            stays[old] = min(stays.get(old, rank), rank)
    events += [Event(ENDED, old, claim) for old, (*_, claim) in stays.items()]
    return Renumbered(new, tuple(sorted(events, key=lambda one: (one.kind, one.person_id, one.other or ""))))


def resolve(person_id: str, merged: Mapping[str, str]) -> str:
    """The id that stands for a person today. `merged`: of every merged event, id -> what it is since."""
    while person_id in merged:
        person_id = merged[person_id]
    return person_id


def joined(pairs: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Clusters of claims that are the same person, directly or through others."""
    above: dict[str, str] = {}

    def top(claim: str) -> str:
        while (higher := above.setdefault(claim, claim)) != claim:
            above[claim] = above[higher]
            claim = higher
        return claim

    for one, other in pairs:
        first, second = sorted((top(one), top(other)))
        above[second] = first  # the smallest of a cluster is its top
    clusters: dict[str, set[str]] = {}
    for claim in list(above):
        clusters.setdefault(top(claim), set()).add(claim)
    return sorted(clusters.values(), key=min)


def _kept(clusters: list[list[str]], shares: list[Counter[str]]) -> dict[int, str]:
    """Cluster -> the old id that it keeps. An id is kept by one cluster at most, a cluster keeps one at most."""
    offers = sorted(
        (-count, old not in clusters[number], clusters[number][0], old, number)
        for number, share in enumerate(shares)
        for old, count in share.items()
    )
    ids: dict[int, str] = {}
    given: set[str] = set()
    for _, _, _, old, number in offers:
        if number not in ids and old not in given:
            ids[number] = old
            given.add(old)
    return ids


def _new(cluster: list[str], used: Set[str]) -> str:
    """An id that nobody ever had: the first claim whose own name is free, else one made of the claims."""
    for claim in cluster:
        if claim not in used:
            return claim
    number = 1
    while True:
        made = hashlib.sha256("|".join([*cluster, str(number)]).encode()).hexdigest()[:32]
        if made not in used:
            return made
        number += 1
