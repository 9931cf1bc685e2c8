"""Erasing persons by order: nothing of them is left in any byte of the home, nothing comes back, all else is as it was,
and the ledger tells an erased version from a corrupt one.
"""

import random
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from citylake.main import app
from pipelines.codecs.sql import literal
from pipelines.contracts.load import load
from pipelines.erasure.order import JOURNAL, Erasure, Order
from pipelines.lake import rewrite
from pipelines.lake.checksums import checksums
from pipelines.lake.parquet import sha256
from pipelines.lake.rewrite import replace_file
from pipelines.linkage import tables
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.release.ledger import Ledger
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from pipelines.release.verify import releases
from pipelines.retention import holds
from pipelines.run import opened
from pipelines.settings import Settings
from tests.catalog.small_city import STEWARD
from tests.city import REPOSITORY, Town, published_town, seed_from_clock
from tests.traces import content, traces

BETWEEN = re.compile(r"\s|-|\+86")
NUMBERS = re.compile(r"(?<![0-9A-Z])(?:[0-9]{17}[0-9X]|[0-9]{15})(?![0-9A-Z])")
MOBILES = re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])")
pytestmark = [pytest.mark.server, pytest.mark.slow]


@dataclass(frozen=True)
class Somebody:
    """A person before the erasure. `texts`: what only this person has: ids, numbers, a telephone nobody shares."""

    id: str
    texts: tuple[str, ...]


@pytest.fixture(scope="module")
def seed() -> int:
    return seed_from_clock()


@pytest.fixture(autouse=True)
def seed_is_told(seed: int) -> None:
    """With every test, for one that fails shows only what was printed for itself."""
    print(f"CITYLAKE_TEST_SEED={seed}")


def chosen(town: Town, model: str, column: str, where: str, seed: int) -> str:
    found = sorted(
        {person for (person,) in town.rows(model, column, f"{column} IS NOT NULL AND {where} AND {town.alone(column)}")}
    )
    return str(found[seed % len(found)])


def known(town: Town, person: str) -> Somebody:
    with town.register() as register:
        released = ReleasedRows(load(town.settings.contracts), town.settings.lake, register)
        one = Person(released, person)
        claims = {*one.ids, *one.claims}
        released.con.close()
    mine = f"person_id IN ({', '.join(map(literal, claims))})"
    rows = town.rows("lib_population__person", "id_number, mobile", mine)
    numbers = {number for number, _ in rows}
    others = telephones_of_others(town.settings.home, numbers)
    mobiles = {mobile for _, mobile in rows if mobile and mobile not in others}
    return Somebody(person, tuple(sorted({*claims, *numbers, *mobiles, *(f"{n[:6]}{n[8:17]}" for n in numbers)})))


def telephones_of_others(home: Path, numbers: Collection[str]) -> set[str]:
    """Telephones in rows of raw, accepted or not, in which somebody else's number stands, however it is written: they
    tell of that person too, so what is left of them is no trace."""
    found: set[str] = set()
    for file in sorted((home / "lake" / "raw").rglob("rows.parquet")):
        rows = duckdb.sql(f"SELECT to_json(r)::VARCHAR FROM read_parquet({literal(str(file))}) r").fetchall()
        for (row,) in rows:
            text = BETWEEN.sub("", unicodedata.normalize("NFKC", row)).upper()
            if any(whole(number) not in numbers for number in NUMBERS.findall(text) if whole(number)):
                found.update(MOBILES.findall(text))
    return found


def whole(number: str) -> str | None:
    """An identity number with 18 digits; None if it cannot be anybody's."""
    body = number[:17] if len(number) == 18 else f"{number[:6]}19{number[6:]}"
    full = body + "10X98765432"[sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(body)) % 11]
    try:
        datetime.strptime(body[6:14], "%Y%m%d")
    except ValueError:
        return None
    return full if len(number) == 15 or full == number else None


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.fixture
def homes(town: Town, tmp_path: Path) -> Iterator[tuple[Settings, Settings]]:
    """Two copies of the town's home, as it was when it was published."""
    made = []
    for name in ("one", "other"):
        subprocess.run(["cp", "-a", str(town.settings.home), str(tmp_path / name)], check=True)
        home = tmp_path / name
        made.append(replace(town.settings, home=home, register_url=f"sqlite:///{home / 'register.db'}"))
    yield made[0], made[1]


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.erasure.order import Erasure, Order
from pipelines.lake import rewrite
from pipelines.release.ledger import Ledger
from pipelines.retention import holds
from pipelines.run import opened
from pipelines.settings import Settings

home, project, person, at = sys.argv[1:]
left, replaced, recorded = int(at), rewrite.replace_file, Ledger.record

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(partial, file):
    global left
    left -= 1
    if left == 0:
        die()
    replaced(partial, file)

def record(self, entries):
    recorded(self, entries)
    if int(at) == 0:
        die()

rewrite.replace_file, Ledger.record = counted, record
settings = Settings(Path(home), Path(project), 0, 0, f"sqlite:///{home}/register.db")
with opened(settings, "killed", erasing=True) as run:
    Erasure(settings, run.contracts, run.register).carry_out(person, Order("K-1", "a", "b"))
"""


def test_an_order_whose_process_is_killed_ends_the_same(
    homes: tuple[Settings, Settings], people: list[Somebody], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice while files are replaced, once between the receipt and the end; against one that was not killed.

    The first file of all is the journal: killed before it nothing was begun, so the first kill is after it. What a
    killed process replaced is not replaced again, so what is left for the second kill is known too.
    """
    one, other = homes
    somebody = people[-1]
    replaced: list[Path] = []
    with monkeypatch.context() as patched:
        patched.setattr(rewrite, "replace_file", lambda *files: (replaced.append(files[1]), replace_file(*files)))
        _carried_out(one, somebody.id)
    assert replaced[0] == one.home / JOURNAL and len(replaced) > 2
    generator = random.Random(seed)
    first = generator.randint(2, len(replaced))
    second = generator.randint(1, len(replaced) - (first - 1))
    print(f"{len(replaced)} files to replace, killed at {first} and then at {second}")
    for at in (first, second, 0):
        asked = [sys.executable, "-c", KILLED, str(other.home), str(other.project), somebody.id, str(at)]
        assert subprocess.run(asked).returncode == -signal.SIGKILL
        if at:
            with pytest.raises(CitylakeError, match="K-1"), opened(other, "run"):
                raise AssertionError("a run began while an order was half done")
    _carried_out(other, somebody.id)
    assert not traces(other.home, somebody.texts)
    lake = {path.relative_to(one.home): content(path) for path in one.home.rglob("*.parquet")}
    assert lake == {path.relative_to(other.home): content(path) for path in other.home.rglob("*.parquet")}
    bodies = []
    for settings in homes:
        register = Register(settings.register_url)
        (receipt,) = Ledger(register).erasures()
        assert Ledger(register).first_break() is None
        assert {one.state for one in releases(settings.lake, Ledger(register))} == {"erased", "unchanged"}
        bodies.append(receipt.body)
        register.close()
    assert {name: old for name, (old, _) in bodies[0]["files"].items()} == {
        name: old for name, (old, _) in bodies[1]["files"].items()
    }
    assert bodies[0]["places"] == bodies[1]["places"]


def _carried_out(settings: Settings, person: str) -> None:
    with opened(settings, "erase", erasing=True) as run:
        Erasure(settings, run.contracts, run.register).carry_out(person, Order("K-1", "a", "b"))


def test_a_changed_file_is_corrupt_and_not_erased(homes: tuple[Settings, Settings], people: list[Somebody]) -> None:
    settings, _ = homes
    _carried_out(settings, people[0].id)
    (file, *_) = sorted((settings.lake.root / "released" / "population" / "lib_population__person").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    register = Register(settings.register_url)
    found = {one.subject: one.state for one in releases(settings.lake, Ledger(register))}
    register.close()
    assert found["lib_population__person"] == "corrupt" and found["lib_population__registered"] == "erased"


def test_what_law_keeps_stays_and_is_told(
    homes: tuple[Settings, Settings], people: list[Somebody], tmp_path: Path
) -> None:
    """The household register refuses: its rows and the libraries made from it stay, the person's other rows go."""
    settings, _ = homes
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "data_contracts", project / "data_contracts")
    (project / "dbt_project").symlink_to(REPOSITORY / "dbt_project")
    contract = project / "data_contracts" / "sources" / "psb" / "household_person.yaml"
    refused = "{refused: {basis: 某法, source: 测试, confidence: low}}"
    contract.write_text(contract.read_text("utf-8").rstrip() + f"\nerasure: {refused}\n", "utf-8")
    settings = replace(settings, project=project)
    somebody = people[0]
    _carried_out(settings, somebody.id)
    register = Register(settings.register_url)
    (receipt,) = Ledger(register).erasures()
    register.close()
    assert [one["source"] for one in receipt.body["refused"]] == ["psb/household_person"]
    assert receipt.body["refused"][0]["basis"] == "某法" and "lib_population__person" in receipt.body["kept"]
    left = traces(settings.home, somebody.texts)
    assert any("core/psb/household_person" in path for path in left)
    assert not any(f"{zone}/hc/health_record" in path for path in left for zone in ("core", "raw", "quarantine"))


def test_what_is_held_is_not_erased(homes: tuple[Settings, Settings], people: list[Somebody]) -> None:
    """A court wants the health records and a library as they are: they stay whole, the person's other rows go."""
    settings, _ = homes
    register = Register(settings.register_url)
    contracts, today = load(settings.contracts), date.today()
    for dataset in ("hc/health_record", "lib_population__conflict_count"):
        holds.give(Ledger(register), contracts, dataset, "法务", "诉讼保全", None, today)
    core = settings.lake.core("hc", "health_record")
    before = {path: content(path) for path in core.rglob("*.parquet")}
    somebody = people[0]
    _carried_out(settings, somebody.id)
    (receipt,) = Ledger(register).erasures()
    register.close()
    assert [one["source"] for one in receipt.body["refused"]] == ["hc/health_record"]
    assert "法律保全" in receipt.body["refused"][0]["basis"]
    assert "lib_population__conflict_count" in receipt.body["kept"]
    assert {path: content(path) for path in core.rglob("*.parquet")} == before
    assert not any("core/psb/household_person" in path for path in traces(settings.home, somebody.texts))


@pytest.fixture(scope="module")
def people(town: Town, seed: int) -> list[Somebody]:
    """Somebody to whom a row was linked, the head of a household, both sides of relations, the owner of a firm, whom
    nobody chose."""
    links = f"{tables.read(town.settings.lake, tables.LINK)} WHERE basis = 'model' AND {town.alone('person_id')}"
    linked = sorted(one for (one,) in duckdb.sql(f"SELECT DISTINCT person_id FROM {links}").fetchall())
    found = [
        linked[seed % len(linked)],
        chosen(town, "lib_population__household", "head_person_id", "members > 1", seed),
        chosen(town, "lib_population__relation", "person_id", "true", seed),
        chosen(town, "lib_population__relation", "related_person_id", "relation_evidence = 'derived'", seed),
        chosen(town, "lib_legal_entity__entity", "legal_representative_person_id", "true", seed),
    ]
    return [known(town, one) for one in dict.fromkeys(found)]


def erase(town: Town, person: str, order: str) -> None:
    with opened(town.settings, f"erase-{order}", erasing=True) as run:
        Erasure(town.settings, run.contracts, run.register).carry_out(person, Order(order, "专员", "本人申请删除"))
        run.marts()


def test_an_erased_person_is_nowhere_and_does_not_come_back(
    town: Town, people: list[Somebody], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = town.settings.home
    monkeypatch.setenv("CITYLAKE_HOME", str(home))
    everything = tuple(text for one in people for text in one.texts)
    assert traces(home, everything)
    CliRunner().invoke(app, ["person", people[0].id, "--who", STEWARD, "--why", "查阅"])  # leaves a receipt with the id
    for number, one in enumerate(people):
        before = tmp_path / str(number)
        subprocess.run(["cp", "-a", str(home / "lake"), str(before)], check=True)
        erase(town, one.id, f"N-{number}")
        with town.register() as register:
            receipt = Ledger(register).erasures()[-1].body
        _all_else_is_as_it_was(home, before, receipt)
        assert not traces(home, one.texts)
    assert not (home / JOURNAL).exists()
    with pytest.raises(CitylakeError, match="person_id"):
        known(town, people[0].id)
    outcomes = town.run("second")
    closed = [name for name, outcome in outcomes.items() if getattr(outcome, "findings", None)]
    assert not closed, [outcomes[name] for name in closed]
    assert {name: one for name, one in outcomes.items() if getattr(one, "status", "") in ("failed", "held")} == {}
    assert not traces(home, everything)
    with opened(town.settings, "replay") as run:
        days = [run.today, run.today]
        for source in ("cab/marriage", "psb/floating_person", "hrssb/insurance", "hsb/insured"):
            first = min(run._day(pull.at) for pull in run.receipts.pulls(source))
            assert run.replay(source, first, days[1]).status in ("admitted", "unchanged")
        run.publish()
    assert not traces(home, everything)
    with town.register() as register:
        receipts = Receipts(register, "test")
        admissions = [one for name in load(town.settings.contracts).sources for one in receipts.history(name)]
        withheld = [one.body.get("by_rule", {}).get("row.erased", 0) for one in admissions if one.stage == "admit"]
        assert sum(withheld) >= len(people)
        states = Counter(one.state for one in releases(town.settings.lake, Ledger(register)))
    assert states["corrupt"] == 0 and states["erased"] > 10 and states["unchanged"] > 10
    told = CliRunner().invoke(app, ["verify"])
    assert told.exit_code == 0 and "N-0" in told.output


def _all_else_is_as_it_was(home: Path, before: Path, receipt: dict[str, Any]) -> None:
    """Files without the person are the same bytes; of others only the rows that the receipt counts differ."""
    for old in before.rglob("*.parquet"):
        path = home / "lake" / old.relative_to(before)
        name = str(path.relative_to(home))
        if name not in receipt["files"]:
            assert not path.exists() or sha256(path) == sha256(old) or "hashes" in path.parts, name
            continue
        rows, now = content(old), content(path)
        gone, new = rows - now, now - rows
        assert receipt["files"][name] == [checksums(old), checksums(path)] and gone, name
        assert gone.total() <= 12 and new.total() <= gone.total(), (name, gone.total(), new.total())
