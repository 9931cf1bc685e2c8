"""Golden ids: properties that hold for every sequence of clusterings."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.linkage.golden import CREATED, ENDED, MERGED, RESTORED, RETIRED, SPLIT, Event, joined, renumber, resolve

CLAIMS = [f"c{number:02}" for number in range(12)]


@st.composite
def clusterings(draw: st.DrawFn) -> list[set[str]]:
    """Disjoint clusters of some of the claims."""
    present = draw(st.lists(st.sampled_from(CLAIMS), unique=True))
    clusters: dict[int, set[str]] = {}
    for claim in present:
        clusters.setdefault(draw(st.integers(0, 5)), set()).add(claim)
    return list(clusters.values())


class History:
    """What a lake remembers between runs."""

    def __init__(self) -> None:
        self.crosswalk: Mapping[str, str] = {}
        self.taken: set[str] = set()
        self.retired: set[str] = set()
        self.merged: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.last: dict[str, set[str]] = {}

    def run(self, clusters: list[set[str]]) -> list[Event]:
        """`last`: the claims that an id had when it ended."""
        found = renumber(self.crosswalk, clusters, self.taken, self.retired)
        before, self.crosswalk = self.crosswalk, found.crosswalk
        self.taken |= set(self.crosswalk.values())
        for event in found.events:
            if event.kind == MERGED:
                assert event.other is not None
                self.merged[event.person_id] = event.other
            elif event.kind == ENDED:
                assert event.other is not None
                self.ended[event.person_id] = event.other
                self.last[event.person_id] = {claim for claim, one in before.items() if one == event.person_id}
            elif event.kind == RETIRED:
                self.retired.add(event.person_id)
            elif event.kind == RESTORED:
                self.retired.remove(event.person_id)
        return list(found.events)


@given(st.lists(clusterings(), max_size=6))
def test_each_cluster_has_one_id_and_each_id_one_cluster(runs: list[list[set[str]]]) -> None:
    history = History()
    for clusters in runs:
        history.run(clusters)
        ids = [{history.crosswalk[claim] for claim in cluster} for cluster in clusters]
        assert all(len(one) == 1 for one in ids)
        assert len({next(iter(one)) for one in ids}) == len(ids)


@given(st.lists(clusterings(), max_size=6))
def test_an_id_is_created_once_and_resolves_for_ever(runs: list[list[set[str]]]) -> None:
    history, created = History(), Counter[str]()
    for clusters in runs:
        created.update(event.person_id for event in history.run(clusters) if event.kind == CREATED)
        assert max(created.values(), default=0) <= 1
        assert set(history.crosswalk.values()) <= created.keys()
        for old in created:
            assert resolve(old, history.merged) in set(history.crosswalk.values()) - history.merged.keys()


@given(st.lists(clusterings(), max_size=8))
def test_an_id_that_ended_is_found_with_whom_it_stood_for(runs: list[list[set[str]]]) -> None:
    history, created = History(), set[str]()
    for clusters in runs:
        events = history.run(clusters)
        created |= {event.person_id for event in events if event.kind == CREATED}
        assert created - set(history.crosswalk.values()) == history.ended.keys() == history.merged.keys()
        for event in events:
            if event.kind == MERGED:
                assert history.crosswalk[history.ended[event.person_id]] == event.other
        for old, claim in history.ended.items():
            people = {history.crosswalk[one] for one in history.last[old]}
            assert claim in history.last[old] and history.crosswalk[claim] in people


@given(st.lists(clusterings(), min_size=1, max_size=6))
def test_nothing_happens_when_nothing_changed(runs: list[list[set[str]]]) -> None:
    history = History()
    for clusters in runs:
        history.run(clusters)
    assert history.run(runs[-1]) == []


@given(clusterings(), clusterings())
def test_most_claims_keep_the_id(before: list[set[str]], after: list[set[str]]) -> None:
    history = History()
    history.run(before)
    old = dict(history.crosswalk)
    history.run(after)
    for cluster in before:
        parts = sorted((len(cluster & one), min(one)) for one in after if cluster & one)
        alone = [one for one in after if cluster & one and len({old.get(c, c) for c in one if c in old}) == 1]
        if len(alone) == len(parts) and parts and parts[-1][0] > max([n for n, _ in parts[:-1]], default=0):
            keeper = max(alone, key=lambda one: len(cluster & one))
            assert {history.crosswalk[claim] for claim in keeper} == {old[min(cluster)]}


@given(st.lists(clusterings(), max_size=4), clusterings())
def test_claims_that_stand_alone_are_not_touched_by_others(runs: list[list[set[str]]], last: list[set[str]]) -> None:
    """The lake asks only about claims that are new or joined: for all others the answer is known."""
    history = History()
    for clusters in runs:
        history.run([*clusters, {"alone"}])
    events = history.run([*last, {"alone"}])
    assert history.crosswalk["alone"] == "alone"
    assert all("alone" not in (event.person_id, event.other) for event in events) or not runs


def test_a_merge_and_its_undoing() -> None:
    history = History()
    assert history.run([{"a"}, {"b"}]) == [Event(CREATED, "a"), Event(CREATED, "b")]
    assert history.run([{"a", "b"}]) == [Event(ENDED, "b", "b"), Event(MERGED, "b", "a")]
    assert resolve("b", history.merged) == "a"
    events = history.run([{"a"}, {"b"}])
    assert [event.kind for event in events] == [CREATED, SPLIT]
    assert history.crosswalk["a"] == "a"
    assert history.crosswalk["b"] not in ("a", "b")  # the id that was merged away is not given out again


def test_a_person_who_is_gone_and_comes_back() -> None:
    history = History()
    history.run([{"a"}, {"b"}])
    assert history.run([{"a"}]) == [Event(RETIRED, "b")]
    assert history.run([{"a"}, {"b"}]) == [Event(RESTORED, "b")]
    assert history.crosswalk["b"] == "b"


def test_overlapping_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        renumber({}, [{"a", "b"}, {"b"}])


@given(st.lists(st.tuples(st.sampled_from(CLAIMS), st.sampled_from(CLAIMS))))
def test_joined_is_the_finest_partition_that_holds_all_pairs(pairs: list[tuple[str, str]]) -> None:
    clusters = joined(pairs)
    assert sum(map(len, clusters)) == len({claim for pair in pairs for claim in pair})
    assert all(any(one in cluster and other in cluster for cluster in clusters) for one, other in pairs)
    assert joined([*pairs, *((min(cluster), claim) for cluster in clusters for claim in cluster)]) == clusters
