"""50 rules over rows of 25 columns, failing rows and uniqueness included: against scanning the columns, and against
Great Expectations running the same suite on the same engine.

`python -m benchmarks.rules [ROWS]`, 600,000 if not said. `scan` reads every column of the Parquet file once; `judged`
is what admission does: it looks for what to clean, judges, and marks each row with the rules it fails, then
the failing rows as a table, counts by rule and duplicates; `measured` is what the gate does (counts only);
`expectations` the same rules as a suite, each shown to have been answered. The goal: `judged` at most 3.0 times `scan`,
and less than `expectations`.

Great Expectations over pandas bears fewer rows, of 1.6 kB of memory each: it and `judged` run on at most six million
of them. `pandas` is asked the expectations that need no SQL, 37 of the 50, and its result is how many of these it
answered; `alike` is `judged` of these rules alone, so that both are asked the same. Both read the file: into a data
frame, or as they go. The goal: a thirtieth of it.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from benchmarks.registers import CONTRACT, DATABASE, SNAPSHOT, SOURCE, contracts, people
from pipelines.admission import screen
from pipelines.admission.compile import compile_contract
from pipelines.codecs.sql import literal, repeated
from pipelines.contracts.load import Contracts, SourceContract, load, rule_context
from pipelines.contracts.rules import Rule, rules
from pipelines.engine import connect
from pipelines.evidence.expectations import Asker, question
from pipelines.evidence.rules import measure
from pipelines.evidence.suite import RESULT_FORMAT, agreement, library, quiet_context, second_opinion
from pipelines.lake.parquet import PASSING, write_file

RULES, COLUMNS, TODAY = 50, 25, date(2026, 11, 23)
GOAL = 3.0
BORNE, TIMES = 6_000_000, 30
"""How many rows Great Expectations over pandas is given, and how many times less than it `judged` is to take."""
_MORE = """\
  - {name: county_code}
  - {name: established_on}
  - {name: status_date}
  - {name: employees}
  - {name: total_assets}
quality:
  - ordered: {earlier: established_on, later: status_date}
  - requires: {column: status_date, when: floating_status, values: ["9"]}
  - differs: {column: address, other: residence_address}
  - age_at_least: {birth: birth_date, at: source_updated_at, years: 0}
  - ordered: {earlier: birth_date, later: source_updated_at}
  - ordered: {earlier: registered_on, later: cancelled_on}
  - differs: {column: record_no, other: household_no}
  - present_with: {column: residence_address, other: floating_status}
  - one_of_present: {columns: [address, residence_address]}
"""
VALUES = """'341502' AS county_code, registered_on AS established_on, cancelled_on AS status_date,
    cast(i % 300 AS INTEGER) AS employees, cast(i % 4000 AS DOUBLE) AS total_assets"""


def scan(file: str, folder: Path) -> int:
    """Every value of every column is read."""
    with connect(folder) as con:
        con.execute(f"SELECT max(COLUMNS(*)) FROM read_parquet({literal(file)})").fetchall()
        return 0


def judged(file: str, folder: Path) -> int:
    """How many rows fail a rule, or repeat another."""
    return _judged(file, folder, register()[1])


def alike(file: str, folder: Path) -> int:
    """The same of those rules alone that `pandas` is asked."""
    contract = register()[1]
    return _judged(file, folder, replace(contract, rules=tuple(r for r in contract.rules if r.id in plain(file))))


def _judged(file: str, folder: Path, contract: SourceContract) -> int:
    known = register()[0]
    with connect(folder / "spill") as con:
        kinds = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(file)})").fetchall()
        admission = compile_contract(contract, known, TODAY, {name: kind for name, kind, *_ in kinds})
        marked = folder / "judged.parquet"
        found = screen.judged(con, admission, known, Path(file), "record_no", folder / "suspects")
        write_file(con, found.query, marked, PASSING)
        con.execute(f"CREATE VIEW judged AS SELECT * FROM read_parquet({literal(str(marked))})")
        con.execute(f"CREATE TABLE failing AS SELECT * FROM judged WHERE NOT ({admission.accepted})")
        marks = range(len(admission.judgements))
        counts = ", ".join(f"count(*) FILTER (WHERE {admission.failed(index)})" for index in marks)
        con.execute(f"SELECT {counts} FROM failing").fetchall()
        among = f"judged WHERE hash(record_no) IN ({repeated('record_no', 'judged')})"
        twice = f"SELECT count(*) - count(DISTINCT record_no) FROM {among}"
        ((failing, again),) = con.execute(f"SELECT (SELECT count(*) FROM failing), ({twice})").fetchall()
        return int(failing + again)


def measured(file: str, folder: Path) -> int:
    """How many failures the rules count."""
    known, contract = register()
    with connect(folder / "spill") as con:
        context = rule_context(known, today=TODAY, relation=f"read_parquet({literal(file)})")
        return sum(result.failed for result in measure(con, _rules(contract), context))


def expectations(file: str, folder: Path) -> int:
    """How many failures Great Expectations counts; every rule has an answer, and it is that of `measured`."""
    known, contract = register()
    with connect(folder / "spill") as con:
        context = rule_context(known, today=TODAY, relation=f"read_parquet({literal(file)})")
        opinions = second_opinion(con, _rules(contract), context).opinions
        assert len(opinions) == RULES
        return sum(opinion.failed for opinion in opinions)


def pandas(file: str, folder: Path) -> int:
    """How many rules Great Expectations answers of a data frame: of all that are no queries."""
    gx = library()
    with connect(folder / "spill") as con:
        frame = con.execute(f"SELECT * FROM read_parquet({literal(file)})").df()
    suite = gx.ExpectationSuite("rules", list(plain(file).values()))
    source = quiet_context(gx).data_sources.add_pandas("benchmark")
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    found = whole.get_batch({"dataframe": frame}).validate(suite, result_format=RESULT_FORMAT)
    return sum(bool(one.result) for one in found.results)


@cache
def plain(file: str) -> dict[str, Any]:
    """The expectations that need no SQL, by the rule that each is of."""
    from great_expectations.expectations.core import UnexpectedRowsExpectation

    known, contract = register()
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder) / "spill") as con:
        asker = Asker(library(), con, rule_context(known, today=TODAY, relation=f"read_parquet({literal(file)})"))
        asked = {rule.id: question(asker, rule).expectation for rule in _rules(contract)}
    return {rule: one for rule, one in asked.items() if not isinstance(one, UnexpectedRowsExpectation)}


@cache
def register() -> tuple[Contracts, SourceContract]:
    """The contracts, read once and before anything is measured."""
    root = contracts(Path(tempfile.mkdtemp()))
    first, _, last = CONTRACT.partition("quality:\n")
    text = (first + _MORE + last).replace("{CONNECTOR}", DATABASE).replace("{LOAD}", SNAPSHOT)
    (root / "sources" / f"{SOURCE}.yaml").write_text(text, "utf-8")
    known = load(root)
    shutil.rmtree(root.parent)
    return known, known.sources[SOURCE]


def _rules(contract: SourceContract) -> list[Rule]:
    """The rules of the contract, and those of its key."""
    bound = rules["unique"].bind({"columns": ["record_no"]})
    found = [*contract.rules, Rule("unique(record_no)", "unique", ("record_no",), bound)]
    assert (len(found), len(contract.columns)) == (RULES, COLUMNS), (len(found), len(contract.columns))
    return found


def _agree(file: str) -> None:
    """Both count the same, rule by rule."""
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder) / "spill") as con:
        known, contract = register()
        context = rule_context(known, today=TODAY, relation=f"read_parquet({literal(file)})")
        asked = _rules(contract)
        assert agreement(measure(con, asked, context), second_opinion(con, asked, context).opinions) == []


CONTENDERS: dict[str, Callable[[str, Path], int]] = {
    "scan": scan,
    "judged": judged,
    "measured": measured,
    "expectations": expectations,
}
LESS: dict[str, Contender] = {"judged": judged, "alike": alike, "pandas": pandas}
"""Those that run on the fewer rows that pandas bears."""


def main(rows: int) -> None:
    """Write the rows and run every contender on them."""
    with tempfile.TemporaryDirectory() as home:
        file = str(Path(home) / "rows.parquet")
        with connect(Path(home) / "spill") as con:
            numbered = f"SELECT *, cast(record_no AS BIGINT) AS i FROM ({people(rows)})"
            write_file(con, f"SELECT * EXCLUDE (i), {VALUES} FROM ({numbered})", Path(file))
        print(f"{rows} rows, {COLUMNS} columns, {RULES} rules")
        _agree(file)
        contenders: dict[str, Contender] = dict(CONTENDERS)
        found = table("benchmarks.rules", contenders, file)
        print(f"judged: {found['judged'] / found['scan']:.2f} times scan, goal {GOAL}")
        print(f"judged: {found['judged'] / found['expectations']:.2f} times expectations, goal below 1")
        less, few = str(Path(home) / "less.parquet"), min(rows, BORNE)
        with connect(Path(home) / "spill") as con:
            write_file(con, f"SELECT * FROM read_parquet({literal(file)}) LIMIT {few}", Path(less))
        print(f"{few} rows")
        found = table("benchmarks.rules", LESS, less, runs=1)
        for name in ("alike", "judged"):
            print(f"pandas: {found['pandas'] / found[name]:.1f} times {name}, goal {TIMES}")


if __name__ == "__main__":
    if "--one" in sys.argv:
        register()  # what is read and imported before the call does not count
        asked = sys.stdin.read()
        if sys.argv[-1] == "expectations":
            library()
        elif sys.argv[-1] in ("alike", "pandas"):
            plain(asked)
        one((LESS | CONTENDERS)[sys.argv[-1]], asked)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 600_000)
