"""A lake of millions of persons, made of a small city's: what the simulator would need hours for.

A small city is drawn by the simulator and admitted as every delivery is. Then its core is written again as often as
asked (`clone`), or what departments would deliver of so many copies (`deliver`): each copy has persons, households,
telephones, names, birth days and record numbers of its own, by a mapping that is one to one within the copy. So rows
join, disagree and are wrong as often as in the small city. Divisions, addresses, other days and codes stay; what tells
of no persons (divisions, boundaries) is taken over as it is, but for official totals of persons, which grow with them.

How well rows are linked is not to be measured here: an identity number that is masked or has lost a digit does not move
with that of its person, for the digits that would say how are not there. `linkage` draws whole cities for that.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.measure import REPOSITORY
from pipelines import synthetic
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.dbt import LOG, generated
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import CONTROL, CoreVersion, current_rows
from pipelines.lake.models import models
from pipelines.lake.parquet import copy_rows, write_file
from pipelines.lake.zones import Lake
from pipelines.linkage import step, tables
from pipelines.linkage.marks import log_of
from pipelines.linkage.matching import Model
from pipelines.linkage.reviews import Reviews
from pipelines.preparation import core_versions
from pipelines.run import opened
from pipelines.settings import Settings
from simulator import DemoCity

DAYS = 3
"""Days that pass in the small city between its first and its second delivery."""
COPIES = 300
"""At most: as many as there are provinces with a digit."""
SPAN = 10**9
"""What lies between the numbers of two copies, where they are integers."""
NUMBERS = ("household_no", "record_no", "residence_permit_no", "change_no")
"""Besides keys: numbers that no two copies may have in common."""
FORMED = ("health_record_no", "student_no")
"""Keys with a length or a form that no longer text has: digits of a hash take the place of all but the first sign."""
DIGITS = "0123456789"
MOBILE_PLACES = (4, 5, 6)
"""Digits of a telephone that a copy changes."""
PROVINCES = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65"
"""An identity number gets another province and another digit behind it, so that no two copies have one in common."""
BIRTHS = ("birth_date", "born_at")
"""Columns that tell of a birth. Were the days the same in all copies, a hundred people of each village would share one,
and linkage, which compares whoever shares village and birth day, would have to tell them apart."""
WEIGHTS = {1: 7, 2: 9, 3: 10, 7: 2, 8: 1, 9: 6, 10: 3, 11: 7, 12: 9, 13: 10, 14: 5}
CHECK_DIGITS = "10X98765432"
"""GB 11643: the weights of the digits that a copy changes, by place, and the check digit of each sum modulo 11."""
DIRTY = 100
FILES = "hc"
"""A connection of the city to files, by which all of these are taken."""
TOTALS = {
    "psb/population_report": ("true", [f"registered_{who}" for who in ("households", "persons", "males", "females")]),
    "sb/macro_observation": ("series_code = 'resident_population'", ["series_value"]),
}
"""Official totals: in which rows of a source and which columns. Shares in them would be above 100 % else."""
CONTRIBUTIONS, MONTHS = "hrssb/insurance_payment", 12
"""Contributions of so many months come besides the two that the simulator draws: whoever is connected has years."""

Sources = Mapping[str, CoreVersion]


def read_by(chosen: Collection[str], contracts: Contracts, settings: Settings, work: Path) -> set[str]:
    """The sources that models read, themselves or through others."""
    graph = models(settings.dbt_project, work, generated(contracts, date.today()))
    waiting, seen, found = list(chosen), set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name].depends_on
            read = [source.partition(".") for source in graph[name].sources]
            found |= {table.removesuffix(LOG).replace("__", "/") for schema, _, table in read if schema == "core"}
    return found


def small_city(home: Path, persons: int, seed: int, wanted: Collection[str]) -> dict[str, CoreVersion]:
    """Draw a city, admit its first delivery and that of some days later, and link; its core as it then is."""
    settings = Settings(home / "home", REPOSITORY, 0, 0, f"sqlite:///{home / 'home' / 'register.db'}")
    with DemoCity(home / "city", seed, persons) as city:
        city.populate()
        settings.prepare()
        synthetic.feed(settings, city.connections())
        for name in ("first", "second"):
            with opened(settings, name) as run:
                for source in sorted(wanted):
                    run.ingest(source)
                sources = core_versions(run.contracts, run.lake, run.receipts)
                model, number = Model.read(settings.contracts / step.MODEL), int(run.started.timestamp() * 1000)
                tables.ensure(run.lake)
                step.link(run.contracts, sources, run.lake, model, Reviews(run.register), run.today, number)
            if name == "first":
                city.tick(DAYS)
    return {source: sources[source] for source in wanted}


def clone(small: Lake, sources: Sources, contracts: Contracts, big: Lake, copies: int) -> dict[str, CoreVersion]:
    """Write core and linkage of `big` as so many copies of `small`. Raises ValueError for more than `COPIES`."""
    if copies > COPIES:
        raise ValueError(f"{copies} copies: numbers of persons would meet")
    found = {}
    with connect(big.scratch()) as con:
        con.execute("SET preserve_insertion_order = true")  # copies lie one after another, as rows of households do
        letters = _letters(con, [(contracts.sources[name], source) for name, source in sources.items()])
        for name, source in sources.items():
            contract = contracts.sources[name]
            location = big.core(contract.org, contract.dataset)
            found[name] = replace(source, location=location, version=0)
            if name not in TOTALS and not _about_persons(contract):
                shutil.copytree(source.location, location)
                found[name] = replace(source, location=location)
                continue
            con.execute(f"CREATE OR REPLACE TEMP TABLE small AS FROM {log_of(source)}")
            ((rows, begun),) = con.execute("SELECT max(_row) + 1, min(_batch) FROM small").fetchall()
            if name in TOTALS:
                mapped = [_multiplied(con, *TOTALS[name], copies)]
            else:
                columns = [*source.columns, *CONTROL]
                mapped = [_mapped(contract, columns, letters, rows, copy) for copy in range(copies)]
            # The log of a real source has its later batches in files of their own, which is what readers skip by.
            for batches in (f"_batch = {begun}", f"_batch > {begun}"):
                parts = (f"{rows_of_copy} WHERE {batches}" for rows_of_copy in mapped)
                version = _append(con, " UNION ALL ".join(parts), location)
                found[name] = replace(found[name], version=version)
        _clone_linkage(con, small, big, copies)
    return found


def deliver(sources: Sources, contracts: Contracts, project: Path, folder: Path, copies: int) -> dict[str, int]:
    """Write what departments would deliver of so many copies, a Parquet file of each source that tells of persons, and
    make its contract in `project` take it there. Returns the rows of each.

    Columns have the names and types by which the source delivers them; one name in `DIRTY` has a blank before it, for
    real rows are not all clean. Raises ValueError for more than `COPIES`.
    """
    if copies > COPIES:
        raise ValueError(f"{copies} copies: numbers of persons would meet")
    folder.mkdir(parents=True)
    found = {}
    with connect(folder / "scratch") as con:
        con.execute("SET preserve_insertion_order = true")
        con.execute(f"SET TimeZone = {literal(contracts.city.timezone)}")
        letters = _letters(con, [(contracts.sources[name], source) for name, source in sources.items()])
        for name, source in sources.items():
            contract = contracts.sources[name]
            if name not in TOTALS and not _about_persons(contract):
                continue
            con.execute(f"CREATE OR REPLACE TEMP TABLE small AS {current_rows(source)}")
            if name == CONTRIBUTIONS:
                con.execute(_of_earlier_months())
            if name in TOTALS:
                mapped = [_multiplied(con, *TOTALS[name], copies)]
            else:
                mapped = [_mapped(contract, [*source.columns], letters, 0, copy) for copy in range(copies)]
            file = folder / f"{name.replace('/', '-')}.parquet"
            found[name] = write_file(con, _as_delivered(con, contract, " UNION ALL ".join(mapped)), file)
            file.with_name(f"{file.name}.ok").touch()
            _take_from(project / "data_contracts" / "sources" / f"{name}.yaml", file.name)
    return found


def _of_earlier_months() -> str:
    """Add the contributions of two months once more for the months before them."""
    back = "to_months(CAST(2 * pair AS INTEGER))"
    earlier = ", ".join(
        f"strftime(strptime({period}, '%Y%m') - {back}, '%Y%m') AS {period}"
        for period in ("contribution_period", "accounting_period")
    )
    return (
        "INSERT INTO small BY NAME SELECT * EXCLUDE (pair) "
        f"REPLACE (payment_no || '-' || pair AS payment_no, {earlier}, "
        f"CAST(paid_on - {back} AS DATE) AS paid_on, handled_at - {back} AS handled_at) "
        "FROM small SEMI JOIN (SELECT contribution_period FROM small GROUP BY ALL ORDER BY count(*) DESC LIMIT 2) "
        f"USING (contribution_period), range(1, {MONTHS // 2 + 1}) AS months (pair)"
    )


def about_persons(contracts: Contracts) -> set[str]:
    """The sources of which copies are made."""
    return {name for name, contract in contracts.sources.items() if name in TOTALS or _about_persons(contract)}


def _as_delivered(con: duckdb.DuckDBPyConnection, contract: SourceContract, rows: str) -> str:
    """Rows of core as their source writes them."""
    kinds = {name: kind for name, kind, *_ in con.execute("DESCRIBE small").fetchall()}
    told = []
    for column in contract.columns:
        value = identifier(column.name)
        if kinds[column.name] == "TIMESTAMP WITH TIME ZONE":
            value = f"CAST({value} AS TIMESTAMP)"
        elif kinds[column.name] == "BOOLEAN":
            value = f"CAST({value} AS VARCHAR)"
        elif column.definition.personal == "name":
            value = f"CASE WHEN hash({value}) % {DIRTY} = 0 THEN ' ' || {value} ELSE {value} END"
        told.append(f"{value} AS {identifier(column.physical_name)}")
    return f"SELECT {', '.join(told)} FROM ({rows})"


def _take_from(contract: Path, name: str) -> None:
    """Make a contract take a file."""
    text = contract.read_text("utf-8")
    begin = text.index("\nconnector:") + 1
    rest = text[begin:].splitlines(keepends=True)
    end = 1 + next(place for place, line in enumerate(rest[1:]) if not line.startswith((" ", "#")))
    told = f'connector: {{file_drop: {{connection: {FILES}, files: "{name}", format: parquet, complete: marker}}}}\n'
    contract.write_text(text[:begin] + told + "".join(rest[end:]), "utf-8")


def change(sources: Sources, contracts: Contracts, lake: Lake, every: int) -> dict[str, CoreVersion]:
    """A day on which all rows of one person in `every` are told anew, with another telephone where they have one."""
    found = dict(sources)
    with connect(lake.scratch()) as con:
        for name, source in sources.items():
            contract = contracts.sources[name]
            if not _about_persons(contract):
                continue
            told = {
                "_op": "'U'",
                "_batch": f"CAST({source.batch + 1} AS BIGINT)",
                "_row": "CAST(row_number() OVER () - 1 AS BIGINT)",
                "mobile": _digits("mobile", MOBILE_PLACES, 7),
                "source_updated_at": "source_updated_at + INTERVAL 1 DAY",
            }
            columns = [*source.columns, *CONTROL]
            listed = ", ".join(f"{told.get(column, column)} AS {identifier(column)}" for column in columns)
            person = next(column for column in source.columns if column.endswith("person_id"))
            rows = f"SELECT {listed} FROM ({current_rows(source)}) WHERE hash({person}) % {every} = 0"
            version = _append(con, rows, source.location)
            found[name] = replace(source, version=version, batch=source.batch + 1)
    return found


def row_counts(sources: Sources) -> dict[str, int]:
    """The rows of each source, those that were overtaken among them."""
    return {name: delta.row_count(delta.open_table(one.location, one.version)) for name, one in sources.items()}


def _append(con: duckdb.DuckDBPyConnection, query: str, location: Path) -> int:
    schema, base = query_schema(con, query, location.name), delta.latest(location)
    return delta.commit(location, schema, "append", base, copy_rows(con, query, location))


def _about_persons(contract: SourceContract) -> bool:
    return any(column.name.endswith("person_id") for column in contract.all_columns)


def _clone_linkage(con: duckdb.DuckDBPyConnection, small: Lake, big: Lake, copies: int) -> None:
    tables.ensure(big)
    for name, column, mapped in ((tables.LINK, "row_key", _text), (tables.ALIAS, "claim", _person)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE small AS FROM {tables.read(small, name)}")
        parts = (
            f"SELECT * REPLACE ({_person('person_id', copy)} AS person_id, {mapped(column, copy)} AS {column}) "
            "FROM small"
            for copy in range(copies)
        )
        tables.replace(con, big, name, " UNION ALL ".join(parts))


def _mapped(contract: SourceContract, wanted: Sequence[str], letters: str, rows: int, copy: int) -> str:
    """The rows of a copy of a source of which so many rows were received, with these columns."""
    columns = {column.name: column for column in contract.all_columns}
    found, moved = [], []
    for name in wanted:
        value, column = identifier(name), columns.get(name)
        personal = column.definition.personal if column else None
        if name == "_row":
            value = f"{value} + {copy * rows}"
        elif name.endswith("person_id"):
            value = _person(value, copy)
        elif personal == "id_number":
            moved.append(f"{_moved(value, copy)} AS {identifier('moved ' + name)}")
            value = _id_number(value, identifier("moved " + name))
        elif name in BIRTHS:
            value = f"CAST({value} - INTERVAL {copy} DAY AS {'DATE' if name == 'birth_date' else 'TIMESTAMPTZ'})"
        elif personal == "mobile":
            value = _digits(value, MOBILE_PLACES, copy)
        elif personal == "name":
            value = _name(value, letters, copy)
        elif (
            column is not None
            and column.definition.codes is None
            and (name in contract.form.load.key or name in NUMBERS)
        ):
            if column.definition.logicalType == "integer":
                value = f"{value} + CAST({copy * SPAN} AS BIGINT)"
            else:
                value = _of_form(value, copy) if name in FORMED else _text(value, copy)
        found.append(f"{value} AS {identifier(name)}")
    return f"SELECT {', '.join(found)} FROM (SELECT {', '.join(['*', *moved])} FROM small)"


def _text(key: str, copy: int) -> str:
    return f"{key} || '{copy:03}'"


def _of_form(key: str, copy: int) -> str:
    hashed = f"translate(sha256({_text(key, copy)}), 'abcdef', '012345')"
    return f"substr({key}, 1, 1) || substr({hashed}, 1, length({key}) - 1)"


def _person(claim: str, copy: int) -> str:
    """A keyed hash is as good as any other text of its form."""
    return f"substr(sha256({_text(claim, copy)}), 1, length({claim}))"


def _moved(number: str, copy: int) -> str:
    """An identity number of another place and, where it is told, a birth day as many days earlier as the copy has."""
    turn = copy // 10 * 3
    place = f"instr('{PROVINCES}', substr({number}, 1, 2))"
    province = f"substr('{PROVINCES[turn:]} {PROVINCES[:turn]}', {place}, 2)"
    head = (
        f"CASE WHEN {place} > 0 THEN {province} ELSE substr({number}, 1, 2) END || "
        f"{_digit(number, 3, copy % 10)} || substr({number}, 4, 3)"
    )
    born = f"strftime(try_strptime(substr({number}, 7, 8), '%Y%m%d') - INTERVAL {copy} DAY, '%Y%m%d')"
    shown = f"CASE WHEN length({number}) = 18 THEN {born} END"
    return f"{head} || coalesce({shown}, substr({number}, 7, 8)) || substr({number}, 15)"


def _id_number(number: str, moved: str) -> str:
    """A number that was moved, with a check digit that is as right or wrong as it was."""
    added = " + ".join(
        f"{weight} * (CAST(substr({moved}, {place}, 1) AS INT) - CAST(substr({number}, {place}, 1) AS INT))"
        for place, weight in WEIGHTS.items()
    )
    place = f"((instr('{CHECK_DIGITS}', substr({number}, 18)) - 1 + {added}) % 11 + 11) % 11 + 1"
    return (
        f"CASE WHEN regexp_full_match({number}, '[0-9]{{17}}[0-9X]') "
        f"THEN substr({moved}, 1, 17) || substr('{CHECK_DIGITS}', CAST({place} AS INT), 1) ELSE {moved} END"
    )


def _multiplied(con: duckdb.DuckDBPyConnection, where: str, columns: Sequence[str], copies: int) -> str:
    """The rows of `small`, with totals that are so many times as high."""
    kinds = {name: kind for name, kind, *_ in con.execute("DESCRIBE small").fetchall()}
    told = (
        f"CASE WHEN {where} THEN CAST({name} * {copies} AS {kinds[name]}) ELSE {name} END AS {name}" for name in columns
    )
    return f"SELECT * REPLACE ({', '.join(told)}) FROM small"


def _digits(text: str, places: Sequence[int], copy: int) -> str:
    """The digits in three places, each moved on by one digit of the copy's number; what is no digit stays."""
    moved = (_digit(text, place, int(digit)) for place, digit in zip(places, f"{copy:03}", strict=True))
    return f"substr({text}, 1, {places[0] - 1}) || {' || '.join(moved)} || substr({text}, {places[-1] + 1})"


def _digit(text: str, place: int, by: int) -> str:
    return f"translate(substr({text}, {place}, 1), '{DIGITS}', '{DIGITS[by:] + DIGITS[:by]}')"


def _letters(con: duckdb.DuckDBPyConnection, sources: Iterable[tuple[SourceContract, CoreVersion]]) -> str:
    """Every character that a name begins with."""
    names = " UNION ".join(
        f"SELECT {identifier(column.name)} AS name FROM {log_of(source)}"
        for contract, source in sources
        for column in contract.all_columns
        if column.definition.personal == "name"
    )
    query = f"SELECT DISTINCT substr(name, 1, 1) AS letter FROM ({names}) WHERE name <> '' ORDER BY letter"
    return "".join(letter for (letter,) in con.execute(query).fetchall())


def _name(name: str, letters: str, copy: int) -> str:
    """The first character becomes another one that names begin with."""
    start = copy * 7 % len(letters)
    place = f"instr({literal(letters)}, substr({name}, 1, 1))"
    return f"substr({literal(letters[start:] + letters[:start])}, {place}, 1) || substr({name}, 2)"
