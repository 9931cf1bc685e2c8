"""Scoring rows of no known person against registered persons: candidates, Splink's weights, and what follows from them.

All in one DuckDB connection. Given are two relations with the columns of `MARKS` and `claim`, the person that a right
identity number stands for: `registered`, one row for each registration, and `residue`, one row for each row to be
linked, with a `number` of its own. Nothing is learned here: weights and thresholds are those of the frozen model.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.linkage.sounds import table_of

MARKS = ("id_number", "name", "sex", "birth_date", "division", "address", "mobile")
"""What a row may say of the person it is about; all texts but `birth_date`, a date."""

UNKNOWN, CONTRADICTED, STRANGER = "unknown", "contradicted", "stranger"
"""Why a row is left: it has no right number; its number is not its own, for the other marks contradict it; or its
number is right and no register knows it, as an old number with a slip is after it was made 18 digits long."""

DECIMALS = 6
"""Weights are rounded to so many places, beyond which the order of additions shows."""

KEYS: Mapping[str, str] = {
    "k_name_division": "sorted_near || '|' || division",
    "k_name_birth": "sorted_near || '|' || birth",
    "k_mobile": "mobile",
    "k_address": "address",
    "k_birth_division": "birth || '|' || division",
    "k_id_ends": "id_head || id_tail || '|' || first",
    "k_id_head": "id_birth || '|' || first",
    "k_id_right": "id_right || '|' || first",
    "k_id_name": "id_year || '|' || sorted_near",
}
"""Blocking: a row is compared with the persons that agree with it in one of these keys."""

CHILD = 7
"""Years. Younger children often have no number yet, and a twin may be registered before the other."""

SCORED = 20_000
"""Rows scored at a time: Splink keeps all marks of both sides of a pair, and choosing among pairs spills nothing."""

SOUNDED = 100_000
"""Names whose sounds are made at a time: as Python's objects those of a large city's million would be gigabytes."""

PAIR = "number BIGINT, claim VARCHAR, weight DOUBLE, birth DATE, numbered BOOLEAN"
"""What is known of a row and a person beside the level of each comparison. `numbered`: the person has a number."""

CROWD = 200
"""A key that more persons have tells nothing; a row is not compared by it."""


@dataclass(frozen=True)
class Model:
    """The frozen model. Weights are in bits.

    `accept`: from here on the best candidate is the person, if it is ahead of the next one by `margin`. `review`: from
    here on a steward is asked, if it is ahead by `close`: between two who are as likely nobody can tell.
    """

    version: str
    accept: float
    margin: float
    review: float
    close: float
    splink: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Model":
        """A model file as training writes it."""
        text = json.loads(path.read_text("utf-8"))
        return cls(*(text[name] for name in ("version", "accept", "margin", "review", "close", "splink")))


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Tables `a_row` and `b_person`: the residue, and the registrations that share a key with any of it."""
    con.execute(f"CREATE TEMP TABLE a_marked AS {_marked('residue', 'number', 'claim')}")
    sounds(con, "SELECT DISTINCT name FROM residue UNION SELECT DISTINCT name FROM registered", "name_sound")
    con.execute(f"CREATE TEMP TABLE a_keyed AS {_keyed('a_marked')}")
    con.execute(f"CREATE TEMP TABLE wanted AS SELECT DISTINCT key FROM ({_listed('a_keyed')})")
    # One pass over the registers: whoever shares no key with any row is never stored.
    shared = " OR ".join(f"hash('{name}', {name}) IN (SELECT key FROM wanted)" for name in KEYS)
    marked = _marked("registered", "row_number() OVER ()", "claim")
    con.execute(f"CREATE TEMP TABLE b_person AS SELECT * FROM ({_keyed(f'({marked})')}) WHERE {shared}")
    crowded = f"SELECT key FROM ({_listed('b_person')}) GROUP BY key HAVING count(*) > {CROWD}"
    con.execute(f"CREATE TEMP TABLE crowded AS {crowded}")
    kept = ", ".join(
        f"CASE WHEN hash('{name}', {name}) NOT IN (SELECT key FROM crowded) THEN {name} END AS {name}" for name in KEYS
    )
    con.execute(f"CREATE TEMP TABLE a_row AS SELECT * REPLACE ({kept}) FROM a_keyed")


def score(con: duckdb.DuckDBPyConnection, model: Mapping[str, Any]) -> None:
    """Table `pair`: number, claim, weight and the level of each comparison, for every pair that shares a key.

    `model` is a settings dictionary of Splink. One pair for each row and person: of several registrations the best.
    """
    from splink import DuckDBAPI, Linker  # a second to import, and most runs have nothing to link

    logging.getLogger("splink").setLevel(logging.ERROR)
    database = DuckDBAPI(con)
    tables = [database.register(name, dataset_display_name=name) for name in ("a_row", "b_person")]
    linker = Linker(tables, dict(model), log_level=logging.ERROR)
    levels = [f"gamma_{one['output_column_name']}" for one in model["comparisons"]]
    con.execute(f"CREATE TEMP TABLE pair ({PAIR}, {', '.join(f'{level} INT' for level in levels)})")
    ((rows,),) = con.execute("SELECT count(*) FROM a_row").fetchall()
    parts = rows // SCORED + 1
    for part in range(1, parts + 1):
        predicted = linker.inference.predict_chunk(left_chunk=(part, parts), threshold_match_weight=-1e6)
        con.execute(
            f"INSERT INTO pair SELECT DISTINCT ON (number, claim) unique_id_l AS number, claim_r AS claim, "
            f"round(match_weight, {DECIMALS}) AS weight, birth_date_r AS birth, "
            f"id_r IS NOT NULL AS numbered, {', '.join(levels)} "
            f"FROM {predicted.physical_name} WHERE claim_l IS DISTINCT FROM claim_r "
            f"ORDER BY number, claim, weight DESC, {', '.join(levels)}, birth, numbered"
        )
        predicted.drop_table_from_database_and_remove_from_cache()


def decide(con: duckdb.DuckDBPyConnection, model: Model, today: date) -> None:
    """Table `decision`, one row for each row of the residue that anything is to be said of: `number`, the person
    `claim`, the `weight`, by how much it is `ahead` of the next person (NULL without one), and `word`.

    `accept`: the row is about this person. `review`: a steward is asked. `none`: nobody is likely enough. Three kinds
    of rows are not accepted but asked about: one whose right number is another than that person's while the name sounds
    the same and the birth date is no other (one person with two numbers; with another name it is a twin, and who has no
    number in the register, as two people who share one, has this one); one whose number belongs to somebody whom the
    row contradicts by the name alone while nobody else is likely (a new name, or one number on two persons), where the
    candidate is the bearer of the number; and one without a number whose name sounds otherwise than that of a person
    who is `CHILD` at most in the year of `today`, and may have a twin that no register knows yet.
    """
    ranked = (
        "SELECT *, row_number() OVER (PARTITION BY number ORDER BY weight DESC, claim) AS place, "
        "lead(weight) OVER (PARTITION BY number ORDER BY weight DESC, claim) AS next FROM pair"
    )
    best = (
        "SELECT r.number, r.why, r.by_name, r.claim AS own, p.claim, p.weight, "
        f"round(p.weight - p.next, {DECIMALS}) AS ahead, "
        f"p.numbered, p.gamma_id > 0 AS slip, "
        f"p.gamma_name >= {_SOUNDS_ALIKE} AND p.gamma_birth NOT BETWEEN 0 AND {_SAME_YEAR} AS alike, "
        f"p.gamma_id <= 0 AND p.gamma_name < {_SOUNDS_ALIKE} "
        f"AND p.birth > DATE '{today.year - CHILD}-01-01' AS twin "
        f"FROM residue r LEFT JOIN ({ranked}) p ON p.number = r.number AND p.place = 1"
    )
    sure = f"weight >= {model.accept} AND coalesce(ahead, {model.margin}) >= {model.margin}"
    likely = f"weight >= {model.review} AND coalesce(ahead, {model.close}) >= {model.close}"
    asked = f"CASE WHEN NOT alike OR NOT ({sure}) THEN 'none' WHEN numbered THEN 'review' ELSE 'accept' END"
    word = (
        f"CASE WHEN why = '{STRANGER}' AND NOT slip THEN {asked} "
        f"WHEN {sure} AND NOT coalesce(twin, false) THEN 'accept' WHEN {likely} THEN 'review' "
        "WHEN by_name THEN 'owner' ELSE 'none' END"
    )
    con.execute(
        f"CREATE TEMP TABLE decision AS SELECT number, CASE WHEN word = 'owner' THEN own ELSE claim END AS claim, "
        f"CASE WHEN word <> 'owner' THEN weight END AS weight, CASE WHEN word <> 'owner' THEN ahead END AS ahead, "
        f"CASE WHEN word = 'owner' THEN 'review' ELSE word END AS word FROM (SELECT *, {word} AS word FROM ({best}))"
    )


def _marked(relation: str, number: str, claim: str) -> str:
    """Marks as the comparisons need them. What is hidden or cut of an identity number is in no part of it."""
    return f"""
        SELECT {number} AS unique_id, {claim} AS claim, name, sex, birth_date, division, address, mobile,
            id_number AS id,
            replace(CASE WHEN contains(id_number, '*') THEN id_number END, '*', '_') AS id_pattern,
            strftime(birth_date, '%Y%m%d') AS birth,
            strftime(birth_date, '%Y%d%m') AS birth_swapped,
            substr(division, 1, 9) AS town,
            {_part("left(id_number, 6)", 6)} AS id_head,
            {_part("left(id_number, 10)", 10)} AS id_year,
            {_part("left(id_number, 14)", 14)} AS id_birth,
            {_part("right(id_number, 8)", 8)} AS id_right,
            {_part("right(id_number, 4)", 4)} AS id_tail
        FROM {relation}"""


def _part(text: str, length: int) -> str:
    return f"CASE WHEN regexp_full_match({text}, '[0-9X]{{{length}}}') THEN {text} END"


def _keyed(marked: str) -> str:
    """Marks with the sounds of the name and the keys."""
    keys = ", ".join(f"{key} AS {name}" for name, key in KEYS.items())
    return f"SELECT *, {keys} FROM (SELECT m.*, s.* EXCLUDE (name) FROM {marked} m LEFT JOIN name_sound s USING (name))"


def _listed(keyed: str) -> str:
    """Every key of every row, as a hash."""
    return " UNION ALL ".join(
        f"SELECT hash('{name}', {name}) AS key FROM {keyed} WHERE {name} IS NOT NULL" for name in KEYS
    )


def sounds(con: duckdb.DuckDBPyConnection, names: str, table: str) -> None:
    """A table of the sounds of some names."""
    found = con.execute(names).to_arrow_table().column("name")
    con.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{name} VARCHAR' for name in _SOUNDS.names)})")
    for start in range(0, len(found), SOUNDED):
        part = found.slice(start, SOUNDED).to_pylist()
        con.register("sounds_of_names", pa.table(table_of(name for name in part if name), schema=_SOUNDS))
        con.execute(f"INSERT INTO {table} FROM sounds_of_names")
        con.unregister("sounds_of_names")


_SOUNDS_ALIKE = 3
"""The lowest level of the comparison of names (`comparisons`) at which all characters sound alike."""
_SAME_YEAR = 1
"""The highest level of the comparison of birth dates at which they are not one: up from the lowest, 0."""
_SOUNDS = pa.schema([(name, pa.string()) for name in table_of([])])
