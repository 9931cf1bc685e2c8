"""Whether models mean the same on every engine: the portable subset of SQL, checked on what dbt compiles.

Belongs here: which texts of a model are checked, and the findings as a person reads them. Does not belong here: the
rules (portable_tokens, portable_queries), or running anything.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot.errors import SqlglotError

from pipelines.lake.models import compiled, place_project
from pipelines.lake.portable_queries import unportable_query
from pipelines.lake.portable_tokens import Found, unportable_words, without_jinja, words
from pipelines.messages import translate


@dataclass(frozen=True)
class Unportable:
    """One thing in a model that not every engine understands alike. `line` is None where a macro brought it in."""

    path: str
    line: int | None
    rule: str
    found: str

    def text(self, language: str) -> str:
        """Where, what, and how to write it instead, in one language (`zh` or `en`)."""
        text = translate(f"lake.sql_{self.rule}", language, found=self.found, dialect="DuckDB / Spark")
        where = {"path": self.path, "line": self.line, "text": text}
        return translate("lake.sql_in" if self.line is None else "lake.sql_at", language, **where)

    def __str__(self) -> str:
        return f"{self.text('zh')}\n{self.text('en')}"


def check_project(project_dir: Path, work: Path, generated: Mapping[str, str] | None = None) -> list[Unportable]:
    """Everything in a project's models that is not portable, by file and line; both branches of incremental models.

    `generated` and `work` are those of build. Raises BuildFailed when the project does not compile.
    """
    project = place_project(project_dir, work, generated or {})
    found = [
        finding
        for incremental in (False, True)
        for model in compiled(project, work, incremental=incremental)
        for finding in check_model(model.path, model.raw, model.sql, model.relations)
    ]
    return sorted(set(found), key=lambda finding: (finding.path, finding.line or 0, finding.rule, finding.found))


def check_model(path: str, raw: str, sql: str, relations: Collection[str]) -> list[Unportable]:
    """Everything in one model that is not portable, from what its author wrote and what dbt made of it for DuckDB.

    `relations` are the tables it may read, as `schema.name`.
    """
    written = list(unportable_words(words(without_jinja(raw)), written=True))
    seen = {found.rule for found in written}
    brought = [found for found in unportable_words(words(sql), written=False) if found.rule not in seen]
    lines = _raw_lines(raw, sql)
    findings = [*written, *_placed(brought, lines), *_placed(_unportable_sql(sql, relations), lines)]
    return list(dict.fromkeys(Unportable(path, found.line, found.rule, found.found) for found in findings))


def _unportable_sql(sql: str, relations: Collection[str]) -> Iterator[Found]:
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement]
        for statement in statements:
            spark = statement.sql("spark")
            sqlglot.parse_one(spark, dialect="spark")
    except SqlglotError as error:
        yield Found("unparsed", str(error).splitlines()[0], None)
        return
    if len(statements) != 1:
        yield Found("no_query", f"{len(statements)} statements", None)
        return
    yield from unportable_query(statements[0], relations)


def _placed(findings: Iterable[Found], lines: Mapping[int, int]) -> Iterator[Found]:
    """Findings in compiled SQL, at the line its author wrote."""
    for found in findings:
        yield Found(found.rule, found.found, lines.get(found.line or 0))


def _raw_lines(raw: str, sql: str) -> dict[int, int]:
    """Line of compiled SQL to line of the model, for those that are the same but for Jinja."""
    matcher = difflib.SequenceMatcher(None, sql.splitlines(), raw.splitlines(), autojunk=False)
    return {
        first + offset + 1: second + offset + 1
        for kind, first, first_end, second, second_end in matcher.get_opcodes()
        if kind == "equal" or (kind == "replace" and first_end - first == second_end - second)
        for offset in range(first_end - first)
    }
