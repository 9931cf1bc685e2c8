"""The lineage of columns of a thousand models: what deriving the level of every column costs.

`python -m benchmarks.lineage [MODELS]`, 1,000 if not said. Models are generated: each reads two earlier ones or sources
of 20 columns, with conditions, windows, subqueries, groups and unions, about as long as the repository's own. Measured
are `derive` (reading SQL, the flows into every column and the rows, the levels) and `parse` (reading SQL alone, the
part that is sqlglot's). The goal: 1,000 models in 6 CPU seconds.
"""

import json
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import sqlglot

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from pipelines.privacy.lineage import Lineage

GOAL = 6.0
SOURCES, COLUMNS = 60, 20


def derive(where: str, _: Path) -> int:
    """Levels of all columns of all models; how many there are."""
    given = json.loads(Path(where).read_text("utf-8"))
    lineage, found = Lineage(given["models"], given["sources"]), 0
    for relation in lineage.models:
        derived = lineage.derived(relation)
        assert derived is not None, lineage.problems
        found += len([lineage.level(flow.all | derived.rows) for _, flow in derived.columns])
    return found


def parse(where: str, _: Path) -> int:
    """Read the SQL of all models; how many there are."""
    given = json.loads(Path(where).read_text("utf-8"))
    return sum(len(sqlglot.parse(text, dialect="duckdb")) for texts in given["models"].values() for text in texts)


CONTENDERS: Mapping[str, Contender] = {"derive": derive, "parse": parse}


def write(path: Path, models: int) -> None:
    """Generated models and the levels of their sources, as JSON."""
    chance = random.Random(models)
    sources = {
        f"core.s{at}": {f"c{column}": chance.choice((1, 1, 2, 3, 4)) for column in range(COLUMNS)}
        for at in range(SOURCES)
    }
    made = dict[str, list[str]]()
    for at in range(models):
        near = [f"mart.m{earlier}" for earlier in range(max(0, at - 30), at)]
        one_source, other = (chance.choice([*near, *sources]) for _ in range(2))
        made[f"mart.m{at}"] = [_model(chance, one_source, other)]
    path.write_text(json.dumps({"sources": sources, "models": made}), encoding="utf-8")


def _model(chance: random.Random, one_source: str, other: str) -> str:
    """A model of as many columns as a source."""

    def column(alias: str) -> str:
        return f"{alias}.c{chance.randrange(COLUMNS)}"

    def value(alias: str) -> str:
        return chance.choice(
            (
                column(alias),
                column(alias),
                f"coalesce({column(alias)}, {column(alias)})",
                f"case when {column(alias)} > {column(alias)} then {column(alias)} else {column(alias)} end",
                f"substr(cast({column(alias)} as string), 1, 6) || '-' || cast({column(alias)} as string)",
            )
        )

    shown = ", ".join(f"{value(chance.choice('ab'))} as c{at}" for at in range(COLUMNS))
    ranked = f"row_number() over (partition by {column('x')} order by {column('x')} desc nulls last)"
    counted = ", ".join(f"max({value('y')}) as c{at}" for at in range(1, COLUMNS))
    return f"""
        with ranked as (
            select x.*, {ranked} as place from "memory".{one_source} x where {column("x")} <> 'D'
        ),
        counted as (
            select y.c0, {counted} from "memory".{other} y group by y.c0 having count(*) > 1
        )
        select {shown}
        from ranked a left join counted b on b.c0 = a.c{chance.randrange(COLUMNS)}
        where a.place = 1 and exists (select 1 from "memory".{other} z where z.c1 = {column("a")})
        union all
        select {", ".join(f"c{at}" for at in range(COLUMNS))} from "memory".{one_source} where c3 in ('1', '2')
    """


def main(models: int) -> None:
    """Make the models and run every contender on them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.json"
        write(path, models)
        print(f"{models} models, {path.stat().st_size / models / 1024:.1f} KiB of SQL each")
        used = table("benchmarks.lineage", CONTENDERS, str(path))["derive"]
        print(f"goal {GOAL} CPU s for 1,000 models: {'met' if used * 1000 / models <= GOAL else 'missed'}")


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
