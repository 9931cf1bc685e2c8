"""Questions about two datasets, in other words than the rules': as sets that are taken from each other, and as sums in
which what is told is owed and what is there is paid."""

from collections.abc import Mapping
from datetime import timedelta
from math import log
from typing import Any

from pipelines.codecs.sql import identifier, literal
from pipelines.evidence.expectations.base import Asker, Question, asks, escaped


@asks
def _covers(asker: Asker, *, columns: list[str], of: str, their: list[str], **said: Any) -> Question:
    here = _select(columns, "{batch}", _conditions(columns, said.get("among", {})))
    wanted = _conditions(their, said.get("where", {}))
    days, today = int(said.get("days", 0)), asker.context.today
    assert today is not None
    if since := said.get("since"):
        last = (today - timedelta(days=days)).strftime("%Y%m%d")
        wanted.append(f"coalesce({_day(asker, of, since)}, '0') <= '{last}'")
    if until := said.get("until"):
        wanted.append(f"coalesce({_day(asker, of, until)}, '9') > '{today:%Y%m%d}'")
    expected = _select(their, asker.context.models[of], wanted)
    looked = _count(asker, f"SELECT DISTINCT * FROM ({expected})")
    return _within(asker, f"SELECT 1 FROM ({escaped(expected)} EXCEPT {_safe(here)})", looked, said)


@asks
def _refers_to(asker: Asker, *, columns: list[str], of: str, their: list[str], **said: Any) -> Question:
    asked = _conditions(columns, said.get("among", {}))
    if since := said.get("since"):
        today = asker.context.today
        assert today is not None
        last = (today - timedelta(days=int(said.get("days", 0)))).strftime("%Y%m%d")
        asked.append(f"coalesce({asker.day(since)}, '0') <= '{last}'")
    known = _select(their, asker.context.models[of], _conditions(their, said.get("where", {})))
    rows = f"SELECT {', '.join(map(identifier, columns))} FROM {{batch}} WHERE {' AND '.join(asked)}"
    looked = _count(asker, rows.replace("{batch}", asker.context.relation))
    # NOT IN means nothing where a key of either is NULL, and none is
    lost = f"SELECT 1 FROM ({_safe(rows)}) t WHERE struct_pack({_packed('t', columns)}) NOT IN "
    return _within(asker, f"{lost}(SELECT struct_pack({_packed('k', their)}) FROM ({escaped(known)}) k)", looked, said)


@asks
def _totals(
    asker: Asker, *, column: str, by: list[str], of: str, their: list[str], amount: str, **said: Any
) -> Question:
    told = [*_conditions([*by, column], said.get("among", {}))]
    said_here = f"cast({identifier(column)} AS DOUBLE) AS n, 1 AS t, 0 AS d"
    owed = f"SELECT {_as_keys(by)}, {said_here} FROM {{batch}} WHERE {' AND '.join(told)}"
    paid = f"SELECT {_as_keys(their)}, -cast({identifier(amount)} AS DOUBLE), 0, 1 FROM {asker.context.models[of]} "
    paid += f"WHERE {' AND '.join(_conditions([*their, amount], said.get('where', {})))}"
    keys = ", ".join(f"k{number}" for number in range(len(by)))
    settled = (
        f"SELECT sum(n) AS n, sum(CASE WHEN t = 1 THEN n END) AS told FROM ({{}} UNION ALL {{}}) GROUP BY {keys} "
        "HAVING sum(t) > 0 AND sum(d) > 0"
    )
    looked = _count(asker, settled.format(owed.replace("{batch}", asker.context.relation), paid))
    share = max(float(said.get("share", 0)), 1e-6)
    apart = f"abs(n) > {said.get('within', 0)} AND abs(n) > {share} * abs(told)"
    return _within(asker, f"SELECT 1 FROM ({settled.format(_safe(owed), escaped(paid))}) WHERE {apart}", looked, said)


@asks
def _near_others(asker: Asker, *, column: str, **said: Any) -> Question:
    # by rank: the middle of sorted values, instead of median()
    value, con, context = identifier(column), asker.con, asker.context
    by = ", ".join(["0", *map(identifier, said.get("by", []))])
    month = f"substr({asker.day(said['season'])}, 5, 2)" if said.get("season") else "''"
    kept = [*_conditions([column], said.get("among", {})), *([f"{value} > 0"] if said.get("logarithmic") else [])]
    scaled = f"log10({value}) * {log(10)!r}" if said.get("logarithmic") else f"{value} + 0.0::DOUBLE"
    values = f"SELECT hash(({by}, {month})) AS g, {scaled} AS v FROM {{batch}} WHERE {' AND '.join(kept)}"
    known = f"SELECT g, v, m, n FROM ({values}) JOIN ({_middles('v', 'm', values)}) USING (g)"
    spread = f"SELECT g, v, m, n, s FROM ({known}) JOIN ({_middles('abs(v - m)', 's', known)}) USING (g, n)"
    judged = f"SELECT g, v, m, s FROM ({spread}) WHERE n >= {said.get('fewest', 30)} AND s > 0"
    ((looked,),) = con.execute(f"SELECT count(*) FROM ({judged.replace('{batch}', context.relation)})").fetchall()
    far = f"abs(v - m) / s > {float(said.get('deviations', 8)) * 1.4826!r} * (1 + 1e-12)"
    return _within(asker, f"SELECT 1 FROM ({_safe(judged)}) WHERE {far}", int(looked), said)


def _middles(value: str, name: str, rows: str) -> str:
    """Of each group once: the middle of its sorted values, or the mean of the two that are, and how many there are."""
    ranked = f"SELECT g, list_sort(list({value})) AS l, count(*) AS n FROM ({rows}) GROUP BY g"
    return f"SELECT g, n, (l[(n + 1) // 2] + l[n // 2 + 1]) / 2 AS {name} FROM ({ranked})"


def _within(asker: Asker, query: str, looked: int, said: Mapping[str, Any]) -> Question:
    """The rows that a query finds, or none where so many are tolerated of those that are looked at."""
    tolerance = said.get("tolerance", 0)
    tolerated = looked * tolerance if tolerance < 1 else tolerance
    question = asker.bad_rows(query)
    read = question.read

    def counted(result: Any) -> tuple[int | None, int]:
        failed = read(result)[1]
        return looked, 0 if failed <= tolerated else failed

    return Question(question.expectation, counted)


def _count(asker: Asker, query: str) -> int:
    ((rows,),) = asker.con.execute(f"SELECT count(*) FROM ({query})").fetchall()
    return int(rows)


def _safe(query: str) -> str:
    """A query with its own text escaped and `{batch}` left for Great Expectations to fill in."""
    return "{batch}".join(escaped(part) for part in query.split("{batch}"))


def _select(columns: list[str], relation: str, conditions: list[str]) -> str:
    return f"SELECT {', '.join(map(identifier, columns))} FROM {relation} WHERE {' AND '.join(conditions)}"


def _conditions(present: list[str], values: Mapping[str, list[str]]) -> list[str]:
    found = [f"NOT ({identifier(name)} IS NULL)" for name in present]
    return found + [
        "(" + " OR ".join(f"cast({identifier(name)} AS VARCHAR) = {literal(one)}" for one in some) + ")"
        for name, some in values.items()
    ]


def _packed(alias: str, columns: list[str]) -> str:
    return ", ".join(f"k{number} := {alias}.{identifier(name)}" for number, name in enumerate(columns))


def _as_keys(columns: list[str]) -> str:
    return ", ".join(f"{identifier(name)} AS k{number}" for number, name in enumerate(columns))


def _day(asker: Asker, of: str, column: str) -> str:
    """The local day of a date or time of the other dataset as text YYYYMMDD."""
    value = identifier(column)
    described = asker.con.execute(f"DESCRIBE SELECT {value} FROM {asker.context.models[of]}").fetchall()
    zoned = str(described[0][1]) == "TIMESTAMP WITH TIME ZONE"
    return f"strftime({f'{value} AT TIME ZONE {literal(asker.context.timezone)}' if zoned else value}, '%Y%m%d')"
