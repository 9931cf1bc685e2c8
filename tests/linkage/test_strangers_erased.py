"""Two people under one number until the register corrected it: who is erased then also goes from what was published
while the number was nobody's, and neither the other nor somebody of the same name goes along.
"""

import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.load import Contracts
from pipelines.erasure.rows import persons
from pipelines.lake.parquet import files_of
from pipelines.linkage.bearers import BEARER
from pipelines.register import Register
from simulator.identity import identity_number
from tests.city import seed_from_clock
from tests.dbt.libraries import AS_OF, new_bench
from tests.linkage.test_bearers import erase, listed
from tests.linkage.test_step import BIRTH, NUMBER, REGISTER, Desk
from tests.linkage.test_strangers import CLAIM, FAMILIES, MODELS, NAMES, deliver, of_family
from tests.traces import content

OWN = identity_number("342401", BIRTH, "1", 7)
BOTH, CORRECTED = "both", "own"
"""What the number that both have becomes, and that of the one whom the register corrects."""
NAMESAKE = "x"
CORRECTION = 3
"""The batch that corrects."""
Rows = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def desk(tmp_path: Path, contracts: Contracts) -> Iterator[Desk]:
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    yield Desk(new_bench(tmp_path, contracts), register)
    register.close()


def named(family: str) -> Rows:
    """What departments say of a family's man, with the names that they write, but for what only a number places."""
    rows = []
    for dataset, row in of_family(family):
        if dataset in ("drc/penalty", "drc/permit"):
            row = {**row, "legal_representative": NAMES[family], "subject_name": NAMES[family]}
        if dataset == "drc/credit_list":
            row = {**row, "subject_name": NAMES[family]}
        if dataset not in ("cab/marriage", "hc/birth_certificate", "cab/cremation", "hrssb/insurance"):
            rows.append((dataset, row))
    return rows


def under(contracts: Contracts, rows: Rows, claim: str, number: str) -> Rows:
    """Of rows those about the man, under a number: core has it beside what it becomes."""
    found = []
    for dataset, row in rows:
        columns = persons(contracts.sources[dataset])
        mine = {person: number_of for person, number_of in columns.items() if row.get(person) == CLAIM}
        if mine:
            found.append((dataset, {**row, **dict.fromkeys(mine, claim), **dict.fromkeys(mine.values(), number)}))
    return found


def of_namesake(contracts: Contracts, family: str) -> Rows:
    """Rows of somebody of the same name, without a number: in firms and under keys of the namesake's own, one of which
    is that of another source's row about the man."""
    rows = []
    for dataset, row in named(family):
        if dataset == REGISTER:
            continue
        own = {name: text.replace(f"-{family}", f"-{NAMESAKE}") for name, text in row.items() if isinstance(text, str)}
        row = {**row, **own, **dict.fromkeys(persons(contracts.sources[dataset]))}
        if "uscc" in row:
            row["uscc"] = f"9134150000000000{NAMESAKE}"
        if dataset == "dsrb/e_licence":  # of a firm, in a case that the man asked for
            row |= {"case_no": f"G-{family}", "holder_type": "2", "holder_code": f"9134150000000000{NAMESAKE}"}
        rows.append((dataset, row))
    return rows


def released(desk: Desk, contracts: Contracts) -> dict[str, list[str]]:
    """By model the rows in its files as texts, whatever version they belong to, but for the number: it is one's now."""
    found = {}
    for model in MODELS:
        files = files_of(desk.bench.lake.released(contracts.models[model].library, model))
        found[model] = sorted(
            text.replace(f'"{NUMBER}"', "null") for file in files for text in content(Path(file)).elements()
        )
    return found


@pytest.mark.long
def test_who_was_published_under_a_number_of_two_goes_whole_and_alone(desk: Desk, contracts: Contracts) -> None:
    seed = seed_from_clock()
    print(f"seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    dice = random.Random(seed)
    gone, corrected, keeper = (dice.choice(FAMILIES) for _ in range(3))
    (other,) = {*FAMILIES} - {gone}
    print(f"erased {gone}, corrected {corrected}, keeper {keeper}")
    apart = [row for family in FAMILIES for row in under(contracts, named(family), BOTH, NUMBER)]
    left = [  # a row of the other man that no department corrects: it counts as the keeper's, his name does not
        (dataset, {**row, "investment_no": f"W-{other}"})
        for dataset, row in under(contracts, named(other), BOTH, NUMBER)
        if dataset == "amr/shareholder" and corrected == other
    ]
    deliver(desk, apart + left + of_namesake(contracts, gone), dice, keeper)
    desk.bench.complete()
    desk.link()
    assert {key for key, (_, why) in listed(desk).items() if why == BEARER} == {f"{keeper}02"}
    desk.bench.build(*MODELS)
    for model in MODELS:  # as published then
        library = contracts.models[model].library
        candidate = desk.bench.lake.candidate(f"e{AS_OF:%Y%m%d}", library, model)
        shutil.copytree(candidate, desk.bench.lake.released(library, model))
    for dataset, row in under(contracts, named(corrected), CORRECTED, OWN):
        desk.bench.load(dataset, row, batch=CORRECTION)
    desk.link()
    before = released(desk, contracts)
    person, _ = listed(desk)[f"{gone}02"]
    erase(desk, person, "N-1")
    after = released(desk, contracts)
    theirs = (f"-{gone}", f"9134150000000000{gone}")
    for model in MODELS:
        mine = [row for row in after[model] if NAMES[gone] in row and f"-{NAMESAKE}" not in row]
        assert not [row for row in mine if any(mark in row for mark in theirs)], model
        whole = {row for row in before[model] if any(mark in row for mark in (NAMES[other], f"-{other}"))}
        whole = {row for row in whole if f"W-{other}" not in row}
        assert whole <= {*after[model]}, model
        assert {row for row in before[model] if f"-{NAMESAKE}" in row or row.count(f"0{NAMESAKE}")} <= {*after[model]}
    lost = [model for model in MODELS if before[model] != after[model]]
    assert {"lib_legal_entity__shareholder", "lib_e_licence__licence", "lib_credit__penalty"} <= {*lost}
    assert {"lib_credit__permit", "lib_credit__listing", "lib_legal_entity__entity"} <= {*lost}
    assert "lib_legal_entity__representative" in lost
