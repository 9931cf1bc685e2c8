"""Notices: rows of a released version that departments are told of in time, as findings of theirs.

A contract says whom and about what (`notice`): one finding for each addressee and kind, and for each month of what
ends or came late, with counts and days, never with what else stands in the rows. What became of the rows, once none is
left, is the proof with which the issue closes, where the contract says where they stay.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb

from pipelines.codecs.sql import identifier
from pipelines.contracts.forms.products import Notice
from pipelines.contracts.resolved import Contracts, ProductContract
from pipelines.issues import Finding

AREA = "notice"


@dataclass(frozen=True)
class Notices:
    """The findings of one version, and by identity of any finding, open or not, what became of its rows."""

    findings: tuple[Finding, ...] = ()
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def proof(self, identity: str, _: datetime) -> dict[str, Any] | None:
        """What became of the rows of an issue: how many there are, are past their end, and by what is said of them."""
        return self.outcomes.get(identity)


def notices(
    con: duckdb.DuckDBPyConnection,
    contract: ProductContract,
    notice: Notice,
    relation: str,
    outcome: str | None,
    contracts: Contracts,
    day: date,
) -> Notices:
    """What departments are told of the rows of `relation`.

    `outcome`: the relation of the model in which the rows stay whatever becomes of them, if there is one. A code that
    is no department's is told to the owner of the contract.
    """
    departments = {code: row["organisation"] for code, row in contracts.codes[notice.departments].rows.items()}
    ends = identifier(notice.ends)
    month_of = "NULL" if notice.about == "superseded" else f"strftime({ends}, '%Y-%m')"
    group = ", ".join((identifier(notice.to), identifier(notice.kind), month_of))
    told = con.execute(
        f"SELECT {group}, count(*), min({ends}) FROM {relation} WHERE {ends} IS NOT NULL "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    names, findings = _names(contracts, contract.form.model, notice.kind), []
    for to, kind, month, rows, first in told.fetchall():
        about = {"kind": names.get(kind, kind), "month": month, "rows": rows, "first": first.isoformat()}
        owner = departments.get(to, contract.form.owner)
        findings.append(Finding(f"notice.{notice.about}", about, "warning", _key(to, kind, month), rows, owner))
    outcomes = _became(con, contracts, notice, group, outcome, day) if outcome is not None else {}
    return Notices(tuple(findings), outcomes)


def _became(
    con: duckdb.DuckDBPyConnection, contracts: Contracts, notice: Notice, group: str, outcome: str, day: date
) -> dict[str, dict[str, Any]]:
    """By identity of the finding of each group: how many rows it has, how many are past their end, what became."""
    assert notice.outcome is not None  # a relation of outcomes is that of the contract
    names = _names(contracts, notice.outcome.model, notice.outcome.column)
    ends, became = identifier(notice.ends), identifier(notice.outcome.column)
    counted = con.execute(
        f"SELECT {group}, {became}, count(*), count(*) FILTER ({ends} < DATE '{day}') FROM {outcome} "
        f"WHERE {ends} IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    outcomes: dict[str, dict[str, Any]] = {}
    for to, kind, month, value, rows, over in counted.fetchall():
        said = outcomes.setdefault(
            f"notice.{notice.about}:{_key(to, kind, month)}",
            {"day": day.isoformat(), "rows": 0, "ended": 0, "became": {}},
        )
        said["rows"] += rows
        said["ended"] += over
        said["became"][names.get(value, str(value))] = rows
    return outcomes


def _names(contracts: Contracts, model: str, name: str) -> dict[str, str]:
    """What the codes in a column of a model mean; nothing of one without codes."""
    (codes,) = (column.definition.codes for column in contracts.models[model].columns if column.name == name)
    return {code: row["name"] for code, row in contracts.codes[codes].rows.items()} if codes else {}


def _key(to: str, kind: str, month: str | None) -> str:
    return ".".join((to, kind, *([month.replace("-", "")] if month else [])))
