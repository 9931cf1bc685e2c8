"""Kinship of a published town against the households as the simulator composed them: precision and recall by kind."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date

import pytest

from simulator.kinship import kin, told
from simulator.population import households
from tests.city import PERSONS, Town, published_town

pytestmark = pytest.mark.server

RELATION, PERSON = "lib_population__relation", "lib_population__person"
IN_LAW = {"28": "child_in_law", "38": "child_in_law", **dict.fromkeys(("53", "54", "55", "56"), "parent_in_law")}
KINDS = {
    "1": "spouse",
    "2": "child",
    "3": "child",
    "4": "grandchild",
    "5": "parent",
    "6": "grandparent",
    "7": "sibling",
}
TOWN_SEED = 1
LEAST = {
    "spouse": 0.96, "parent": 0.96, "child": 0.96, "sibling": 0.96, "grandparent": 0.96, "grandchild": 0.96,
    "parent_in_law": 0.96, "child_in_law": 0.96,
}  # fmt: skip
"""Recall by kind, of what registers tell with certainty."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def test_relations_are_those_of_the_households_as_they_were_composed(town: Town) -> None:
    """Of everybody who stands in the register under a number of one's own; who was refused is nobody's relative."""
    unclear = town.shared_numbers() | {None}
    people = town.rows(PERSON, "person_id, id_number", "household_no is not null")
    number = {person: own for person, own in people if own not in unclear}
    known = set(number.values())
    weddings = weddings_of(town)
    true: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tellable: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for household in households(TOWN_SEED, PERSONS):
        for pairs, said in ((true, kin(household)), (tellable, told(household, weddings))):
            for one, kind, other in said:
                if {one, other} <= known:
                    pairs[kind].add((one, other))
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    evidence: Counter[str] = Counter()
    for one, code, other, why in town.rows(
        RELATION, "person_id, person_relation, related_person_id, relation_evidence"
    ):
        if one in number and other in number:
            found[IN_LAW.get(code) or KINDS[code[0]]].add((number[one], number[other]))
            evidence[why] += 1
    print(dict(evidence))
    assert found.keys() == true.keys() == LEAST.keys()
    for kind, least in LEAST.items():
        recall = len(tellable[kind] & found[kind]) / len(tellable[kind])
        precision = len(true[kind] & found[kind]) / len(found[kind])
        share = len(tellable[kind]) / len(true[kind])
        print(
            f"{kind:14} true {len(true[kind]):6} {share=:.4f} found {len(found[kind]):6} {recall=:.4f} {precision=:.4f}"
        )
        assert recall >= least and precision >= 0.99, (kind, found[kind] - true[kind])


def weddings_of(town: Town) -> dict[frozenset[str], date]:
    """The latest day on which each couple was registered."""
    rows = sorted(town.city.records("hydj.T_HYDJ"), key=lambda row: row["DJRQ"] or "")
    return {
        frozenset((str(row["NANZJHM"]), str(row["NVZJHM"]))): date.fromisoformat(row["DJRQ"])
        for row in rows
        if row["DJRQ"] and row["DJLB"] != "2"
    }


def test_refused_claims_name_both_words(town: Town) -> None:
    refused = Counter(one for (one,) in town.rows("lib_population__relation_conflict", "relation_conflict"))
    print(dict(refused))
    assert refused, "the town has no claim of kinship that is refused"
    both = town.rows("lib_population__relation_conflict", "relation_kept, kept_person_id, source_kept")
    assert all((kept is None) == (person is None) for kept, person, _ in both)
    assert all(source is not None for kept, _, source in both if kept is not None)
