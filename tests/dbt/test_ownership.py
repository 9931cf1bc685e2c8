"""Who stands behind a company: the SQL of the models on graphs nobody chose, against solutions of its own.

Shares through companies are a system of linear equations: it is solved here exactly, in fractions. Chains of majorities
are walked here step by step.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libraries import PROJECT

from citylake.compared.libraries import owners
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts
from pipelines.lake.models import compiled, place_project
from tests.draws import draws

STAKE, CONTROL, HELD = (f"lib_legal_entity__{name}" for name in ("stake", "control", "shareholder"))
STEPS = 32
"""The walks of fewer steps are all seen; what longer ones carry stands in a row of its own."""
Edges = Mapping[tuple[str, str], int]
"""Hundredths that a holder (second) has in a company (first)."""


Stake = tuple[str, str, float, int]
Control = tuple[str, str | None, int | None]


@dataclass(frozen=True)
class Models:
    """The compiled SQL of both models, over a table `held`."""

    stake: str
    control: str

    def run(
        self, edges: Edges
    ) -> tuple[list[tuple[str, str, float, int]], dict[str, tuple[str, str | None, int | None]]]:
        """Stakes (company, holder, share, depth), and by company its control (state, controller, depth)."""
        companies = {company for company, _ in edges}
        with duckdb.connect() as con:
            con.execute("CREATE TABLE held_table (investment_no VARCHAR, uscc VARCHAR, holder_key VARCHAR, "
                        "holder_kind VARCHAR, shareholder_person_id VARCHAR, shareholder_uscc VARCHAR, "
                        "held_share DOUBLE, source_rows VARCHAR)")  # fmt: skip
            for number, ((company, holder), share) in enumerate(edges.items()):
                kinds = {"P": "person", "U": "unidentified", "X": "undisclosed"}
                kind = "company" if holder in companies else kinds.get(holder[0], "state")
                rows = f'{{"amr/shareholder":"1:{number}","amr/enterprise":"1:{number}"}}'
                person, code = (
                    holder if kind in told else None for told in (("person",), ("company", "state", "undisclosed"))
                )
                values = [holder[1:], company, holder, kind, person, code, share / 100]
                con.execute("INSERT INTO held_table VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*values, rows])
            stakes = con.execute(
                f"SELECT uscc, holder_key, total_share, ownership_depth FROM ({self.stake}) ORDER BY ALL"
            ).fetchall()
            controls = con.execute(
                f"SELECT uscc, control_state, coalesce(controller_person_id, controller_uscc, "
                f"controller_investment_no), control_depth "
                f"FROM ({self.control})"
            ).fetchall()
        return stakes, {company: (state, who, depth) for company, state, who, depth in controls}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Models:
    work = tmp_path_factory.mktemp("ownership")
    placed = place_project(PROJECT, work, generated(contracts, date(2026, 11, 1)))
    found = {model.name: model.sql for model in compiled(placed, work, incremental=False)}
    name = next(word for word in found[STAKE].split() if word.endswith(f'"{HELD}"'))
    return Models(found[STAKE].replace(name, "held_table"), found[CONTROL].replace(name, "held_table"))


def exact(edges: Edges) -> dict[tuple[str, str], Fraction] | None:
    """What everybody who is no company holds of each company; None where companies hold all of each other."""
    companies = sorted({company for company, _ in edges})
    place = {company: number for number, company in enumerate(companies)}
    ends = sorted({holder for _, holder in edges} - place.keys())
    rows = []
    for company in companies:
        row = [Fraction(int(company == other)) for other in companies] + [Fraction(0)] * len(ends)
        for (held, holder), share in edges.items():
            if held == company:
                if holder in place:
                    row[place[holder]] -= Fraction(share, 100)
                else:
                    row[len(companies) + ends.index(holder)] += Fraction(share, 100)
        rows.append(row)
    for column in range(len(companies)):
        pivot = next((number for number in range(column, len(rows)) if rows[number][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for number, row in enumerate(rows):
            if number != column and row[column]:
                rows[number] = [a - row[column] * b for a, b in zip(row, rows[column], strict=True)]
    return {
        (company, end): rows[number][len(companies) + at]
        for number, company in enumerate(companies)
        for at, end in enumerate(ends)
        if rows[number][len(companies) + at]
    }


def shortest(edges: Edges, company: str, end: str) -> int:
    """Steps from a company to somebody at an end, breadth first."""
    companies, layer, depth = {held for held, _ in edges}, {company}, 0
    while True:
        depth += 1
        reached = {holder for held, holder in edges if held in layer}
        if end in reached:
            return depth
        layer = reached & companies


def controller(edges: Edges, company: str) -> tuple[str, str | None, int | None]:
    """Up the majorities until there is none, somebody at an end, or a company seen before."""
    companies, seen, depth = {held for held, _ in edges}, {company}, 0
    while True:
        above = next((holder for (held, holder), share in edges.items() if held == company and share > 50), None)
        depth += 1
        if above is None:
            known = sum(share for (held, _), share in edges.items() if held == company)
            return "no_majority" if known >= 50 else "incomplete", None, None
        if above not in companies:
            return "controlled", above, depth
        if above in seen:
            return "circular", None, None
        company = above
        seen.add(above)


@st.composite
def graphs(draw: st.DrawFn) -> Edges:
    """Up to nine companies that hold each other, people and the state as holders; shares add up to at most all."""
    size = draw(st.integers(1, 9))
    holders = [f"C{number}" for number in range(size)] + ["P1", "P2", "P3", "S1"]
    edges: dict[tuple[str, str], int] = {}
    for number in range(size):
        left = 100
        for holder in draw(st.lists(st.sampled_from(holders), min_size=1, max_size=4, unique=True)):
            if left:
                share = draw(st.one_of(st.integers(1, left), st.just(left), st.just(min(51, left))))
                edges[f"C{number}", holder] = share
                left -= share
    return edges


@pytest.mark.long
@given(edges=graphs())
@settings(max_examples=draws(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shares_and_control_are_those_of_an_exact_solution(models: Models, edges: Edges) -> None:
    stakes, controls = models.run(edges)
    found = {(company, holder): (share, depth) for company, holder, share, depth in stakes}
    assert controls == {company: controller(edges, company) for company, _ in edges}
    left: dict[str, float] = defaultdict(float) | {company: share for (company, holder), (share, _) in found.items()
                                                  if holder == "C"}  # fmt: skip
    solution = exact(edges)
    ends = {key: value for key, value in found.items() if key[1] != "C"}
    for (company, end), (_, depth) in ends.items():
        assert depth == shortest(edges, company, end)
    if solution is None:
        return  # companies that own each other entirely: nobody at an end can be told how much
    for key, share in solution.items():
        reached, _ = ends.get(key, (0.0, 0))
        # Never too much; too little by no more than what is said to circulate still.
        assert -1e-5 <= float(share) - reached <= left[key[0]] + 1e-5, (key, reached, float(share))
    assert ends.keys() <= solution.keys()


@given(edges=graphs())
@settings(max_examples=draws(30), deadline=None)
def test_the_truth_that_towns_are_held_against_is_the_exact_solution_too(edges: Edges) -> None:
    """What `citylake.compared` computes of a graph, without any SQL."""
    holdings = [owners.Holding(f"{pair}", *pair, share / 100) for pair, share in edges.items()]
    assert owners.controllers(holdings) == {company: controller(edges, company) for company, _ in edges}
    solution = exact(edges)
    if solution is not None:
        found = {key: share for key, share in owners.stakes(holdings).items() if key[1] != owners.CIRCULAR}
        assert found == pytest.approx({key: float(share) for key, share in solution.items()}, abs=1e-6)


@pytest.mark.long
def test_a_long_chain_is_walked_to_its_end(models: Models) -> None:
    """One company above the other, as many as the walks see, and one more: that one is said, not lost."""
    chain = {(f"C{number}", f"C{number + 1}"): 100 for number in range(STEPS)} | {(f"C{STEPS}", "S1"): 100}
    stakes, controls = models.run(chain)
    depths = {company: depth for company, holder, _, depth in stakes if holder == "S1"}
    assert depths == {f"C{number}": STEPS + 1 - number for number in range(1, STEPS + 1)}
    assert [row for row in stakes if row[1] == "C"] == [("C0", "C", 1.0, 1)]
    assert controls["C1"] == ("controlled", "S1", STEPS)


def test_companies_that_hold_each_other(models: Models) -> None:
    """A third of each other: each owner has nine tenths and three tenths of that of the other's company, and so on."""
    edges = {("CA", "CB"): 30, ("CB", "CA"): 30, ("CA", "P1"): 70, ("CB", "P2"): 70}
    stakes, controls = models.run(edges)
    own, other = 0.7 / (1 - 0.09), 0.21 / (1 - 0.09)
    assert stakes == [("CA", "P1", round(own, 6), 1), ("CA", "P2", round(other, 6), 2),
                      ("CB", "P1", round(other, 6), 2), ("CB", "P2", round(own, 6), 1)]  # fmt: skip
    assert controls == {"CA": ("controlled", "P1", 1), "CB": ("controlled", "P2", 1)}


def test_companies_that_control_each_other_have_no_controller(models: Models) -> None:
    edges = {("CA", "CB"): 60, ("CB", "CA"): 60, ("CA", "P1"): 40, ("CB", "P1"): 40, ("CC", "CA"): 100}
    stakes, controls = models.run(edges)
    assert {state for state, _, _ in controls.values()} == {"circular"} and len(controls) == 3
    assert {holder: share for company, holder, share, _ in stakes if company == "CC"}["P1"] == pytest.approx(
        1, abs=1e-5
    )


def test_less_than_half_of_the_shares_does_not_tell_who_controls(models: Models) -> None:
    """Whoever has the other 51 may control the company, and the one that it has whole."""
    _, controls = models.run({("CA", "CB"): 100, ("CB", "P1"): 49, ("CC", "P1"): 40, ("CC", "P2"): 10})
    assert controls == {
        "CA": ("incomplete", None, None), "CB": ("incomplete", None, None), "CC": ("no_majority", None, None),
    }  # fmt: skip


def test_a_company_of_which_no_shareholder_is_known_is_nobodys_ultimate_controller(models: Models) -> None:
    """Its shares end with it; somebody stands behind it, and nobody can tell who."""
    stakes, controls = models.run({("CA", "CB"): 100, ("CB", "X1"): 60, ("CB", "P1"): 40, ("CC", "X1"): 50})
    assert ("CA", "X1", 0.6, 2) in stakes
    assert controls == {
        "CA": ("incomplete", None, None), "CB": ("incomplete", None, None), "CC": ("no_majority", None, None),
    }  # fmt: skip


def test_a_controller_of_whom_nothing_is_known_is_told_by_the_number_of_the_holding(models: Models) -> None:
    _, controls = models.run({("CA", "CB"): 51, ("CB", "U77"): 60, ("CB", "P1"): 40, ("CC", "U78"): 50})
    assert controls == {
        "CA": ("controlled", "77", 2), "CB": ("controlled", "77", 1), "CC": ("no_majority", None, None),
    }  # fmt: skip


def test_exactly_half_controls_nothing(models: Models) -> None:
    _, controls = models.run({("CA", "P1"): 50, ("CA", "P2"): 50})
    assert controls == {"CA": ("no_majority", None, None)}
