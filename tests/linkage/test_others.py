"""What a person is shown of rows that are about others too, where no number says who the other is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.linkage import tables
from pipelines.register import Register
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from tests.dbt.libraries import Bench, new_bench

OTHER = "他人 / somebody else"
ME = "me"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("others"), contracts)
    told = {"mother_name": "周母", "mother_id_number": "1", "mother_person_id": ME, "father_name": "周父"}
    bench.load("hc/birth_certificate", {"birth_certificate_no": "1", "name": "周子", **told})
    decided = {"subject_name": "某某", "subject_category": "2", "legal_representative": "代表"}
    mine = {"representative_id_number": "1", "representative_person_id": ME}
    subject = {"subject_id_number": "1", "subject_person_id": ME}
    for source in ("drc/penalty", "drc/permit"):
        bench.load(
            source,
            {"credit_record_no": "I am the subject", **decided, **subject},
            {"credit_record_no": "I am the representative", **decided, **mine},
            {"credit_record_no": "I represent another", **decided, **mine, "subject_person_id": "another"},
            {"credit_record_no": "I am both", **decided, **mine, **subject},
        )
    bench.complete()
    with connect(bench.lake.scratch()) as con:
        crosswalk = tables.values([(ME, ME)], "claim", "person_id")
        tables.replace(con, bench.lake, tables.CROSSWALK, f"SELECT * FROM {crosswalk}")
    yield bench


@pytest.fixture
def shown(bench: Bench, contracts: Contracts, tmp_path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """By source and key, what the person is shown."""
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    released = ReleasedRows(contracts, bench.lake, register)
    with closing(register), closing(released.con):
        versions = dict(bench.versions())
        yield {
            kept.place: {row[versions[kept.place].key[0]]: row for row in kept.rows}
            for kept in Person(released, ME).sources(versions)
        }


def test_a_father_without_a_number_is_somebody_else(shown: dict[str, dict[str, Any]]) -> None:
    row = shown["hc/birth_certificate"]["1"]
    assert (row["mother_name"], row["father_name"], row["father_person_id"]) == ("周母", OTHER, None)


@pytest.mark.parametrize("source", ["drc/penalty", "drc/permit"])
def test_a_representative_and_a_subject_do_not_see_each_other(source: str, shown: dict[str, dict[str, Any]]) -> None:
    names = {key: (row["subject_name"], row["legal_representative"]) for key, row in shown[source].items()}
    assert names == {
        "I am the subject": ("某某", OTHER),
        "I am the representative": (OTHER, "代表"),
        "I represent another": (OTHER, "代表"),
        "I am both": ("某某", "代表"),
    }
