"""Which keys of a model changed since its released version was built, and the statements that build it for those alone.

A model is built by key when its code is that of the released version, nothing that it reads whole changed, and few keys
did; else whole. What changed is found, never told: a view's rows of then and now are compared, or, where it is proved
local in a source's own key, made anew for the rows that core has since; for a model that is itself built by key its
keys are taken.

Belongs here: finding keys, before dbt starts. Does not belong here: the proof (locality), which version a release was
built from (the run knows), putting old and new rows together (the materialisation).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.dbt import LOG
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.edition import CONTROL, CoreVersion, Prepared, current_state
from pipelines.lake.errors import NO_SPACE
from pipelines.lake.locality import Project
from pipelines.lake.models import without_values
from pipelines.lake.proofs import ROWS, Aside, Input, Local, Pair, RowWise
from pipelines.lake.query_parts import parsed
from pipelines.lake.ties import changing, proved
from pipelines.lake.zones import schema_of

log = logging.getLogger(__name__)
SHARE = 0.1
"""Of more keys than this share of the largest input's rows the model is built whole: that costs less then."""
EARLIER = "earlier"
"""The schema of what a released version was built from."""
LATER = "/* when its input is built */ "
"""How a query of keys begins that reads what this build makes."""

Source = CoreVersion | Prepared


@dataclass(frozen=True)
class Built:
    """What the released version of a model was built from, by the code of today: versions of sources by relation, and
    of models by name."""

    sources: Mapping[str, Source]
    models: Mapping[str, int]


@dataclass(frozen=True)
class Since:
    """What a build may be made by key from: the sources of its edition by relation (`core.psb__household_person`,
    `linkage.link`), and by model what its released version was built from."""

    now: Mapping[str, Source]
    built: Mapping[str, Built]


@dataclass(frozen=True)
class ByKey:
    """How a model is built: for so many `keys` alone (None if only the build can tell), or whole and `why`.

    `why`: first (there is no released version), code (it was built by other code or in another week, or an erasure or
    an ended period has rewritten what it was built from), sources (one that is read whole changed, or what one was is
    gone), models (the same of a model), share (too many keys changed), error (the keys could not be found).
    """

    keys: int | None
    why: str = ""


@dataclass
class Keys:
    """The keys of one build's models. `released`: the lines of the snapshot about released models, by name."""

    project: Project
    since: Since
    released: Mapping[str, Mapping[str, Any]]
    chosen: Collection[str]
    folder: Path
    decided: dict[str, ByKey] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    found: dict[tuple[Input | Aside, tuple[str, ...]], str] = field(default_factory=dict)
    ties: dict[Pair, str] = field(default_factory=dict)
    closed: dict[tuple[frozenset[Pair], str], str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    files: int = 0
    told: list[tuple[Local, str]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.con = connect(self.folder / "spill")

    def find(self) -> dict[str, ByKey]:
        """How each chosen model with a key is built. The statements are in `lines`, the keys in files of the folder.

        Raises NotLocal for a model that is not provably local.
        """
        with self.con:
            keyed = [name for name in sorted(self.chosen) if self.project.graph[name].key is not None]
            kept = [name for name in keyed if self.project.graph[name].library is None]
            for name in keyed:
                if name not in kept:
                    self._decide(name)
            for name in kept:
                self._keep(name)
            self._tell(self._rows_once())
        return self.decided

    def _decide(self, name: str) -> ByKey:
        if name not in self.decided:
            try:
                self.decided[name] = self._decided(name)
            except duckdb.Error as error:  # what is wrong with an input, if anything, its readers tell
                if NO_SPACE.search(str(error)):
                    raise
                log.warning("%s is built whole: %s", name, without_values(str(error)))
                self.decided[name] = ByKey(None, "error")
        return self.decided[name]

    def _decided(self, name: str) -> ByKey:
        built = self.since.built.get(name)
        if name not in self.released or built is None:
            return ByKey(None, "code" if name in self.released else "first")
        return self._found(proved(self.project, name), built)

    def _keep(self, name: str) -> None:
        """Of an interim result only what its readers need is made, if all of them are built by key."""
        readers = self._readers(name)
        if readers and readers <= self.queries.keys():
            keys = _united([self.queries[reader] for reader in sorted(readers)])
            self.told.append((proved(self.project, name), keys))

    def _readers(self, name: str) -> set[str]:
        """The chosen models that read a view, themselves or through others."""
        found = set[str]()
        for reader in self.chosen:
            if name in self.project.graph[reader].depends_on:
                found |= {reader} if self.project.graph[reader].library else self._readers(reader)
        return found

    def _found(self, proof: Local, built: Built) -> ByKey:
        for relation in proof.fixed:
            if why := self._why_changed(relation, built):
                return ByKey(None, why)
        queries = self._of_all(*changing(self.project, proof), built)
        if queries and not isinstance(queries, ByKey) and self.project.graph[proof.model].tied:
            queries = self._closed(proof, queries, built)
        if isinstance(queries, ByKey):
            return queries
        none = f"SELECT {identifier(proof.key)} AS key FROM {self.released[proof.model]['source']} WHERE false"
        query = _united(queries) or none
        count = None
        if not any(LATER in one for one in queries):
            ((count,),) = self.con.execute(f"SELECT count(*) FROM ({query})").fetchall()
            if count > SHARE * self._size(proof):
                return ByKey(None, "share")
        self.queries[proof.model] = query
        self.told.append((proof, query))
        return ByKey(count)

    def _tell(self, once: Mapping[Input, str]) -> None:
        """Write down for the materialisation how each model is built for its keys, from inputs read `once`."""
        for proof, query in self.told:
            rows = [_rows(one, proof.columns.get(one), once.get(one, one.relation)) for one in proof.inputs]
            line = {"name": proof.model, "key": proof.key, "keys": query, "rows": rows, "query": proof.sql}
            self.lines.append(line)

    def _rows_once(self) -> dict[Input, str]:
        """Of what several models read for their keys alone, the rows of the keys of all of them: each would read
        through all rows for a few. What models read that this build makes is not there yet."""
        readers = dict[Input, list[tuple[Local, str]]]()
        for proof, query in self.told:
            for one in proof.inputs if LATER not in query else ():
                readers.setdefault(one, []).append((proof, query))
        found = dict[Input, str]()
        for one, reading in readers.items():
            if len(reading) < 2 or not self._is_of_sources(one.relation):
                continue
            try:
                found[one] = self._read(one, reading)
            except duckdb.Error as error:  # what is wrong with an input its readers tell
                if NO_SPACE.search(str(error)):
                    raise
                log.warning("%s is read by each model: %s", one.relation, without_values(str(error)))
        return found

    def _is_of_sources(self, relation: str) -> bool:
        """Whether a relation is made of sources alone, each time that it is read: no interim result, no model."""
        if (view := self.project.view(relation)) is None:
            return _source(relation) in self.since.now
        return not self.project.is_kept(relation) and all(map(self._is_of_sources, _tables(view)))

    def _read(self, one: Input, reading: Sequence[tuple[Local, str]]) -> str:
        """The rows of an input that these models read, in a file of their own."""
        flat = self.project.flat(one.relation)
        self._show(_tables(flat), self.since.now)
        listed = [proof.columns.get(one) for proof, _ in reading]
        wanted = [] if None in listed else list(dict.fromkeys(name for names in listed for name in names or ()))
        keys = _united(sorted({query for _, query in reading}))
        shown = f"({flat.sql('duckdb')})"
        self.files += 1
        file = literal(str(self.folder / f"rows-{self.files}.parquet"))
        self.con.execute(f"COPY ({_rows(one, wanted, shown)} ({keys})) TO {file} (FORMAT parquet)")
        return f"read_parquet({file})"

    def _closed(self, proof: Local, queries: Sequence[str], built: Built) -> list[str] | ByKey:
        """The query of keys, and of all that is tied to them or was. Ties that are gone were of a key that changed."""
        if any(LATER in one for one in queries):
            return ByKey(None, "models")
        pairs = frozenset(proof.pairs)
        whole = [query for (ties, _), query in self.closed.items() if ties == pairs and query in queries]
        changed = _united(sorted(set(queries) - set(whole)))
        if changed and (pairs, changed) not in self.closed:
            ties = self._ties(proof.pairs, changed, built)
            if isinstance(ties, ByKey):
                return ties
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE tie AS {ties}")
            if not self._reach(changed, SHARE * self._size(proof)):
                return ByKey(None, "share")
            self.closed[pairs, changed] = self._stored("FROM reached")
        return [*whole, *([self.closed[pairs, changed]] if changed else [])]

    def _ties(self, pairs: Sequence[Pair], changed: str, built: Built) -> str | ByKey:
        """SQL of all ties there are, and of those that changed keys had."""
        found = list[str]()
        for pair in pairs:
            flat = self.project.flat(pair.relation)
            tables = _tables(flat)
            if not all(self._is_known(table, built) for table in tables):
                return ByKey(None, "sources")
            self._show_both(tables, built)
            if pair not in self.ties:
                self.ties[pair] = self._written(_tie(flat, pair), "key, other")
            found += [self.ties[pair], f"{_tie(_then(flat), pair)} WHERE {identifier(pair.key)} IN ({changed})"]
        return " UNION ALL ".join(found)

    def _reach(self, changed: str, enough: float) -> bool:
        """Put keys and all that ties lead to from them, step by step, into `reached`. Whether that is not too much."""
        for table in ("reached", "step"):
            query = f"SELECT DISTINCT CAST(key AS VARCHAR) AS key FROM ({changed})"
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")
        ways = (("key", "other"), ("other", "key"))
        sides = " UNION ALL ".join(f"SELECT {to} AS key FROM tie WHERE {by} IN (FROM step)" for to, by in ways)
        while True:
            step = f"SELECT DISTINCT key FROM ({sides}) WHERE key NOT IN (FROM reached) AND key IS NOT NULL"
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE step AS {step}")
            self.con.execute("INSERT INTO reached FROM step")
            counts = self.con.execute("SELECT (SELECT count(*) FROM step), (SELECT count(*) FROM reached)").fetchall()
            if counts[0][0] == 0 or counts[0][1] > enough:
                return bool(counts[0][1] <= enough)

    def _of_all(self, inputs: Sequence[Input], asides: Sequence[Aside], built: Built) -> list[str] | ByKey:
        """Queries of the keys that changed inputs concern, directly or by what is looked up."""
        queries = list[str]()
        for found in (
            *(self._keys(one, built) for one in inputs),
            *(self._keys_aside(one, built) for one in asides),
        ):
            if isinstance(found, ByKey):
                return found
            queries += found
        return queries

    def _keys_aside(self, aside: Aside, built: Built) -> list[str] | ByKey:
        """The keys that look up what changed: as the rows that say so are, and as they were."""
        changed = self._of_all(aside.inputs, aside.asides, built)
        if isinstance(changed, ByKey) or not changed:
            return changed
        if any(LATER in one for one in changed):
            return ByKey(None, "models")
        others, found, then = _united(changed), list[str](), list[str]()
        for pair in aside.pairs:
            flat = self.project.flat(pair.relation)
            tables = _tables(flat)
            if not all(self._is_known(table, built) for table in tables):
                return ByKey(None, "sources")
            self._show_both(tables, built)
            then += [str(built.sources[_source(table)].version) for table in tables]
            for query in (flat, _then(flat)):
                found.append(
                    f"SELECT {identifier(pair.key)} AS key FROM ({query.sql('duckdb')}) "
                    f"WHERE {identifier(pair.other)} IN ({others})"
                )
        made = (aside, (others, *then))
        if made not in self.found:
            self.found[made] = self._stored(" UNION ALL ".join(found))
        return [self.found[made]]

    def _keys(self, one: Input, built: Built) -> list[str] | ByKey:
        """Queries of the keys (`key`) of an input that changed since; or why there are none."""
        name = one.relation.partition(".")[2]
        if self.project.view(one.relation) is not None or name not in self.project.graph:
            return self._keys_of_rows(one, built)
        if not self._why_changed(one.relation, built):
            return []
        released = self.released.get(name)
        if name not in self.chosen or released is None or released["version"] != built.models.get(name):
            return ByKey(None, "models")
        key = self.project.graph[name].key
        if key is None or self._decide(name).why:
            return ByKey(None, "models")
        keys = self.queries[name]
        if key == one.column:
            return [keys]
        rows = (f"(SELECT {released['columns']} FROM {released['source']})", one.relation)
        of_both = (
            f"SELECT {identifier(one.column)} AS key FROM {rows_of} WHERE {identifier(key)} IN ({keys})"
            for rows_of in rows
        )
        return [LATER + " UNION ".join(of_both)]

    def _why_changed(self, relation: str, built: Built) -> str:
        """Why what a released version was built from is not what there is now; empty if it is."""
        name = relation.partition(".")[2]
        if self.project.view(relation) is not None:
            tables = _tables(self.project.flat(relation))
            return next(filter(None, (self._why_changed(table, built) for table in tables)), "")
        if name in self.project.graph:
            released = self.released.get(name)
            same = name not in self.chosen and released is not None and released["version"] == built.models.get(name)
            return "" if same else "models"
        now, then = (sources.get(_source(relation)) for sources in (self.since.now, built.sources))
        return "" if now is not None and then is not None and now.version == then.version else "sources"

    def _keys_of_rows(self, one: Input, built: Built) -> list[str] | ByKey:
        """The keys of a source or a view over sources, in a file for all models that were built from the same."""
        flat = self.project.flat(one.relation)
        tables = _tables(flat)
        if not any(self._why_changed(table, built) for table in tables):
            return []
        if not all(self._is_known(table, built) for table in tables):
            return ByKey(None, "sources")
        made = (one, tuple(str(built.sources[_source(table)].version) for table in tables))
        if made not in self.found:
            query = self._changed_rows(one, flat, tables, built)
            self.found[made] = self._stored(f"SELECT {identifier(one.column)} AS key FROM ({query})")
        return [self.found[made]]

    def _is_known(self, table: str, built: Built) -> bool:
        """Whether a source can be read as it is and as it was."""
        source = _source(table)
        then = built.sources.get(source)
        return source in self.since.now and then is not None and delta.is_readable(then.location, then.version)

    def _stored(self, query: str) -> str:
        """Put keys into a file of their own, each once; returns the query that reads it."""
        return self._written(f"SELECT DISTINCT key FROM ({query})", "key")

    def _written(self, query: str, columns: str) -> str:
        """Put keys, with what is beside them, into a file of their own; returns the query that reads it."""
        self.files += 1
        file = literal(str(self.folder / f"keys-{self.files}.parquet"))
        rows = f"SELECT {columns} FROM ({query}) WHERE key IS NOT NULL"
        self.con.execute(f"COPY ({rows}) TO {file} (FORMAT parquet)")
        return f"SELECT {columns} FROM read_parquet({file})"

    def _changed_rows(self, one: Input, flat: exp.Expr, tables: Sequence[str], built: Built) -> str:
        """SQL of rows of a view as it is and as it was, among them every row that only one of the two has."""
        self._show_both(tables, built)
        keys = {name: source.key for name, source in self.since.now.items() if isinstance(source, CoreVersion)}
        proof = self.project.row_wise(one.relation, keys)
        ids = self._ids(proof, built) if proof else None
        if proof is None or ids is None:
            now, then = flat.sql("duckdb"), _then(flat).sql("duckdb")
            return f"(({now}) EXCEPT ALL ({then})) UNION ALL (({then}) EXCEPT ALL ({now}))"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE ids AS {ids}")
        found = []
        for schema in (None, EARLIER):
            query = parsed(proof.sql)
            for table in list(query.find_all(exp.Table)):
                if table.name.startswith(ROWS):
                    relation = proof.inputs[int(table.name.removeprefix(ROWS))]
                    shown = relation if schema is None else f"{EARLIER}.{relation.replace('.', '__', 1)}"
                    rows = f"(SELECT * FROM {shown} WHERE {identifier(proof.key)} IN (FROM ids))"
                    table.replace(exp.alias_(parsed(rows), table.alias_or_name, table=True))
            found.append((query if schema is None else _then(query)).sql("duckdb"))
        return " UNION ALL ".join(f"SELECT {identifier(one.column)} FROM ({query})" for query in found)

    def _ids(self, proof: RowWise, built: Built) -> str | None:
        """SQL of the values of a source's key whose rows, or what is looked up for them, changed; None if a file of
        the earlier version is gone."""
        now, then = (
            delta.open_table(one[proof.source].location, one[proof.source].version)
            for one in (self.since.now, built.sources)
        )
        rows = delta.added(now, then)
        if rows is None:
            return None
        found = [f"SELECT {identifier(proof.key)} AS id FROM {rows}"]
        for lookup in proof.lookups:
            one, other = lookup.relation, f"{EARLIER}.{lookup.relation.replace('.', '__', 1)}"
            told = f"((FROM {one} EXCEPT ALL FROM {other}) UNION ALL (FROM {other} EXCEPT ALL FROM {one}))"
            log = f"{proof.source}{LOG}"
            found.append(
                f"SELECT {identifier(proof.key)} AS id FROM {log} WHERE {identifier(lookup.of)} IN "
                f"(SELECT {identifier(lookup.column)} FROM {told})"
            )
        return " UNION ".join(found)

    def _show_both(self, tables: Sequence[str], built: Built) -> None:
        """Views of sources as they are and, in EARLIER, as they were."""
        self._show(tables, self.since.now)
        self._show(tables, built.sources, f"{EARLIER}.")

    def _show(self, tables: Sequence[str], sources: Mapping[str, Source], below: str = "") -> None:
        """Views of sources, under their own names or below a schema."""
        for table in tables:
            place = f"{below}{table.replace('.', '__', 1)}" if below else table
            self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {place.partition('.')[0]}")
            for relation, query in _relations(place, sources[_source(table)]):
                self.con.execute(f"CREATE OR REPLACE VIEW {relation} AS {query}")

    def _size(self, proof: Local) -> int:
        """Rows of the largest input of a model."""
        if proof.model not in self.sizes:
            self.sizes[proof.model] = self._counted(changing(self.project, proof)[0])
        return self.sizes[proof.model]

    def _counted(self, inputs: Sequence[Input]) -> int:
        tables = {table for one in inputs for table in _tables(self.project.flat(one.relation))}
        read = [self.since.now[_source(table)] for table in tables if _source(table) in self.since.now]
        places = [(one.location, one.version) for one in read] + [
            (Path(one["location"]), one["version"])
            for name, one in self.released.items()
            if f"{schema_of(name)}.{name}" in tables
        ]
        return max((delta.row_count(delta.open_table(*place)) for place in places), default=0)


def columns(now: Mapping[str, Source]) -> dict[str, list[str]]:
    """The columns of sources by relation, in order; of core those of the current state and of the log."""
    found: dict[str, list[str]] = {}
    for relation, source in now.items():
        stored = list(delta.column_types(delta.open_table(source.location, source.version).schema()))
        if isinstance(source, CoreVersion):
            found |= {relation: [*source.columns, *CONTROL], f"{relation}{LOG}": stored}
        else:
            found[relation] = stored
    return found


def _rows(one: Input, columns: Sequence[str] | None, shown: str) -> str:
    """The beginning of SQL of the rows of an input as it is `shown`: of all columns if it is not known which matter."""
    listed = ", ".join(map(identifier, columns)) if columns else "*"
    return f"SELECT {listed} FROM {shown} WHERE {identifier(one.column)} IN"


def _united(queries: Sequence[str]) -> str:
    """The query of the keys of several; empty if there are none."""
    return queries[0] if len(queries) == 1 else " UNION ".join(f"SELECT key FROM ({one})" for one in queries)


def _tables(query: exp.Expr) -> list[str]:
    """The relations that a query reads."""
    return sorted({f"{table.db}.{table.name}" for table in query.find_all(exp.Table)})


def _source(relation: str) -> str:
    """The name under which an edition has a relation of core: that of the current state."""
    return relation.removesuffix(LOG)


def _relations(place: str, source: Source) -> list[tuple[str, str]]:
    """The views that show a source under a name: its rows, of core the log and the current state."""
    table = delta.open_table(source.location, source.version)
    read = delta.scan(table)
    rows = f"SELECT {read.columns} FROM {read.source}"
    if not isinstance(source, CoreVersion):
        return [(place, rows)]
    name = _source(place)
    first = delta.lowest(table, "_batch")
    return [(f"{name}{LOG}", rows), (name, current_state(f"{name}{LOG}", source.key, source.columns, first, '"'))]


def _tie(query: exp.Expr, pair: Pair) -> str:
    """SQL of keys and what ties them, as a view shows them."""
    tied = ", ".join(
        f"CAST({identifier(one)} AS VARCHAR) AS {name}" for one, name in ((pair.key, "key"), (pair.other, "other"))
    )
    return f"SELECT {tied} FROM ({query.sql('duckdb')})"


def _then(query: exp.Expr) -> exp.Expr:
    """A query over sources as they were."""
    made = query.copy()
    for table in made.find_all(exp.Table):
        if table.db and table.db != EARLIER:
            table.set("this", exp.to_identifier(f"{table.db}__{table.name}"))
            table.set("db", exp.to_identifier(EARLIER))
    return made
