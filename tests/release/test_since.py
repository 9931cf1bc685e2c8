"""Which erasures and ended periods forbid to build a model by key from its published version."""

from datetime import UTC, datetime

import pytest

from pipelines.lake.models import Model
from pipelines.release.ledger import RETENTION, Recorded
from pipelines.release.since import concerns


def model(name: str, depends_on: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> Model:
    return Model(name, "lib", None, None, depends_on, sources, f"{name}.sql", "")


GRAPH = {
    "stg_psb__person": model("stg_psb__person", sources=("core.psb__person__log",)),
    "lib_person": model("lib_person", ("stg_psb__person",), ("identity.alias",)),
    "lib_tag": model("lib_tag", ("lib_person",)),
    "lib_firm": model("lib_firm", sources=("core.amr__enterprise",)),
}


def ended(*places: str, releases: tuple[str, ...] = ()) -> Recorded:
    body = {"places": {one: {"rows": 1} for one in places}, "releases": {one: {} for one in releases}}
    return Recorded(1, datetime(2026, 11, 26, tzinfo=UTC), RETENTION, "retention-1", "retention-1", None, body, "")


@pytest.mark.parametrize("place", ["core/psb/person", "lib_tag", "lib_person", "linkage/link", "matched/address"])
def test_what_a_model_is_made_from(place: str) -> None:
    assert concerns(ended(place), GRAPH, "lib_tag")


def test_an_ended_version_of_what_a_model_is_made_from() -> None:
    assert concerns(ended(releases=("lib_person",)), GRAPH, "lib_tag")


@pytest.mark.parametrize(
    "place", ["raw/psb/person", "quarantine/psb/person", "core/amr/enterprise", "core/psb/personal", "lib_firm"]
)
def test_what_it_is_not_made_from(place: str) -> None:
    assert not concerns(ended(place, releases=("sharing/person", "lib_firm")), GRAPH, "lib_tag")
