"""Levels and paths through several models; what is not understood is of the highest level, with all that reads it."""

import pytest

from pipelines.privacy.flows import Flow, Relation
from pipelines.privacy.lineage import HIGHEST, UNKNOWN, Lineage, Step

SOURCES = {
    "core.person": {"person_id": 3, "id_number": 4, "sex": 2, "county": 1},
    "core.county": {"code": 1, "name": 1},
}
MODELS = {
    "staging.person": ['select person_id, id_number as no, sex, county from "memory"."core"."person"'],
    "lib.person": ["select person_id, substr(no, 1, 6) as home, sex, county from staging.person where no is not null"],
    "mart.count": ["select county, count(*) as n from lib.person group by county"],
    "mart.named": ["select c.name, m.n from mart.count m left join core.county c on c.code = m.county"],
}


def _levels(lineage: Lineage, relation: str) -> dict[str, int]:
    found = lineage.derived(relation)
    if found is None:
        return {}
    return {"*": lineage.level(found.rows), **{name: lineage.level(flow.all) for name, flow in found.columns}}


def test_levels_go_through_models() -> None:
    lineage = Lineage(MODELS, SOURCES)
    assert _levels(lineage, "lib.person") == {"*": 4, "person_id": 3, "home": 4, "sex": 2, "county": 1}
    assert _levels(lineage, "mart.count") == {"*": 4, "county": 1, "n": 4}
    assert _levels(lineage, "mart.named") == {"*": 4, "name": 1, "n": 4}
    assert not lineage.problems


def test_a_path_leads_from_the_source() -> None:
    lineage = Lineage(MODELS, SOURCES)
    secret = lineage.origin("core.person", "id_number", 4)
    assert lineage.path("mart.named", "n", secret) == [
        Step("core.person", "id_number"),
        Step("staging.person", "no"),
        Step("lib.person", None),
        Step("mart.count", "n"),
        Step("mart.named", "n"),
    ]
    assert lineage.path("lib.person", "home", secret)[0] == Step("core.person", "id_number")
    assert lineage.path("mart.count", None, secret)[0] == Step("core.person", "id_number")


def test_what_a_model_declares_is_where_its_readers_begin() -> None:
    def declare(relation: str, found: Relation) -> Relation:
        if relation != "lib.person":
            return found
        own = {name: lineage.origin(relation, name, 2) for name, _ in found.columns}
        return Relation(tuple((name, Flow(own[name])) for name in own), 0)

    lineage = Lineage(MODELS, SOURCES, declare=declare)
    assert _levels(lineage, "lib.person")["home"] == 4
    assert _levels(lineage, "mart.count") == {"*": 2, "county": 2, "n": 1}
    own = lineage.origin("lib.person", "county", 2)
    assert lineage.path("mart.count", "county", own)[0] == Step("lib.person", "county")


@pytest.mark.parametrize(
    "sql",
    [
        ["select to_json(p) as x from core.person p"],
        ["select a from core.unknown"],
        ["select nobody from core.person"],
        ["select from where"],
        ["select sex from core.person; select sex from core.person"],
        ["select sex from mart.bad"],
        ["select sex from mart.other"],
        ["select sex from core.person", "select sex, county from core.person"],
        ["select " + "(" * 3000 + "sex" + ")" * 3000 + " as x from core.person"],
        [],
    ],
)
def test_what_is_not_understood_is_of_the_highest_level(sql: list[str]) -> None:
    models = {
        "mart.bad": sql,
        "mart.other": ["select sex from mart.bad"],
        "mart.next": ["select count(*) as n from mart.bad"],
    }
    lineage = Lineage(models, SOURCES)
    assert lineage.derived("mart.next") is None
    assert lineage.derived("mart.bad") is None
    assert lineage.problems["mart.bad"] and lineage.problems["mart.next"]
    assert lineage.path("mart.next", "n", UNKNOWN)[-1] == Step("mart.next", "n")
    assert lineage.level(UNKNOWN) == HIGHEST


def test_two_ways_to_build_a_model_both_count() -> None:
    models = {"mart.both": ["select county as x from core.person", "select sex as x from core.person where sex = '1'"]}
    assert _levels(Lineage(models, SOURCES), "mart.both") == {"*": 2, "x": 2}
