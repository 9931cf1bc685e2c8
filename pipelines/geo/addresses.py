"""Which standard address a text means: vectorised in DuckDB, measured by `benchmarks.addresses`.

A text is taken apart (`address_text`), its divisions are found by name within each other, and what is left is compared
with the standard addresses of that village. Where several villages or several addresses fit, none is taken.
The division a row is registered under may decide between villages, or stand in for one that the text leaves out; it
never overrules the text. That the register has no such address is said only of a text that was read to its end, in a
village that it names and a street that the register knows there.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import duckdb

from pipelines.codecs.sql import literal
from pipelines.geo.address_text import (
    county_names,
    in_digits,
    normalised,
    parts,
    town_names,
    village_names,
    without_city,
)

MATCHED: Final = "address_matched"
"""The table that `match` leaves: text, hint, status, division_code, address_id, basis."""
_LONGEST: Final = 14
"""Characters of the longest spelling of a town or village that is looked for."""
_CUT_SHORT: Final = "^(路|大道|大街|街|巷|弄|组|道|号|镇|乡|村|社区|居委|居民委)"
"""What is left of a name whose beginning was taken for that of a village or town."""


class Status(StrEnum):
    """What became of a text."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    """Several villages, or several addresses of one."""
    INCOMPLETE = "incomplete"
    """There are such houses, and the text leaves out which flat or street: one address is never chosen for another."""
    ABSENT = "absent"
    """Read to its end, in a street that the register knows in the village that is named, and not in the register."""
    UNREAD = "unread"
    """No village of the city, or something behind it that was not understood, as a street unknown to the register."""


class Basis(StrEnum):
    """What a match rests on."""

    TEXT = "text"
    HINT = "hint"
    """The division the row is registered under chose or gave the village."""


def match(con: duckdb.DuckDBPyConnection, texts: str, standard: str, divisions: Sequence[tuple[str, str, str]]) -> None:
    """Leave the table MATCHED in the connection: one row for each distinct pair of text and hint.

    `texts`: SQL of columns text and hint (a division code or NULL). `standard`: SQL of columns address_id,
    division_code (12 digits), street, gate, building, unit, room (texts, NULL or empty where there is none).
    `divisions`: code, name and level of every division of the city. Texts that are NULL are left out.
    """
    _names(con, divisions)
    _standard(con, standard)
    _taken_apart(con, texts)
    _villages(con)
    _placed(con)
    _decided(con)
    for name in ("geo_name", "geo_standard", "geo_part", "geo_village", "geo_placed"):
        con.execute(f"DROP TABLE {name}")


def _names(con: duckdb.DuckDBPyConnection, divisions: Sequence[tuple[str, str, str]]) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE geo_name (level VARCHAR, name VARCHAR, code VARCHAR, exact BOOLEAN)")
    for level, names in (
        ("county", [(*name, True) for name in county_names(divisions)]),
        ("town", town_names(divisions)),
        ("village", [(*name, True) for name in village_names(divisions)]),
    ):
        rows = [
            f"({literal(level)}, {literal(name)}, {literal(code)}, {exact})" for name, code, exact in sorted(set(names))
        ]
        if rows:
            con.execute(f"INSERT INTO geo_name VALUES {', '.join(rows)}")


def _standard(con: duckdb.DuckDBPyConnection, standard: str) -> None:
    fields = ("street", "gate", "building", "unit", "room")
    listed = ", ".join(f"coalesce({name}, '') AS {name}" for name in fields)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE geo_standard AS
        WITH given AS (SELECT address_id, division_code, {listed} FROM ({standard})),
        streets AS (
            SELECT street, {in_digits("clean")} AS clean
            FROM (SELECT DISTINCT street, {normalised("street")} AS clean FROM given)
        )
        SELECT given.* REPLACE (streets.clean AS street) FROM given JOIN streets USING (street)
    """)


def _taken_apart(con: duckdb.DuckDBPyConnection, texts: str) -> None:
    read = ", ".join(f"{expression} AS {name}" for name, expression in parts("clean").items())
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE geo_part AS SELECT text, hint, {read} FROM ("
        f"SELECT text, hint, {in_digits('clean')} AS clean FROM ("
        f"SELECT text, hint, {normalised('text')} AS clean FROM ({texts}) WHERE text IS NOT NULL GROUP BY text, hint))"
    )


def _villages(con: duckdb.DuckDBPyConnection) -> None:
    """geo_village: for each head the places it may begin with, and what is left: street or group.

    Names are looked for one behind the other: county, town, village, each of which may be left out. Of readings that
    name a village those that explain most of the text remain. `exchanged`: that the word of the town (镇, 乡) is that
    of another town of the same name.
    """
    towns, villages = _beginning("counted", "town"), _beginning("towned", "village")
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE geo_village AS
        WITH begun AS (
            SELECT DISTINCT head, rest FROM (
                SELECT head, head AS rest FROM geo_part UNION ALL SELECT head, {without_city("head")} FROM geo_part)
        ),
        counted AS (
            SELECT head, rest, NULL AS county FROM begun
            UNION ALL
            SELECT head, substr(rest, 1 + length(n.name)), n.code
            FROM begun, geo_name n WHERE n.level = 'county' AND starts_with(rest, n.name)
        ),
        towned AS (
            SELECT head, rest, county, NULL AS town, false AS exchanged FROM counted
            UNION ALL
            SELECT head, behind, coalesce(county, substr(code, 1, 6)), code,
                NOT exact AND bool_or(exact) OVER (PARTITION BY head, county, behind)
            FROM {towns} WHERE county IS NULL OR starts_with(code, county)
        ),
        placed AS (
            SELECT head, behind AS street, code AS village, NULL AS town, NULL AS county, exchanged FROM {villages}
            WHERE (town IS NULL OR starts_with(code, town)) AND (county IS NULL OR starts_with(code, county))
                AND NOT regexp_matches(behind, '{_CUT_SHORT}')
            UNION ALL
            SELECT head, rest, NULL, town, county, exchanged FROM towned
            WHERE town IS NULL OR NOT regexp_matches(rest, '{_CUT_SHORT}')
        )
        SELECT head, village, street, town, county, exchanged FROM placed
        QUALIFY rank() OVER (
            PARTITION BY head, village IS NULL ORDER BY length(street)) = 1
    """)


def _beginning(relation: str, level: str) -> str:
    """SQL of the rows of a relation whose `rest` begins with a name of a level: its code, and what is `behind` it."""
    return (
        f"(SELECT c.*, n.code, n.exact, substr(rest, 1 + length(n.name)) AS behind "
        f"FROM {relation} c, range(1, {_LONGEST + 1}) l(size), geo_name n "
        f"WHERE n.level = '{level}' AND size <= length(rest) AND n.name = substr(rest, 1, size))"
    )


def _placed(con: duckdb.DuckDBPyConnection) -> None:
    """geo_placed: for each text the one village it means, or how many it may mean."""
    con.execute("""
        CREATE OR REPLACE TEMP TABLE geo_placed AS
        WITH said AS (
            SELECT p.text, p.hint, count(DISTINCT v.village) AS villages, min(v.village) AS village,
                min(v.street) AS street, bool_or(v.village = p.hint) AS fits,
                min(v.street) FILTER (v.village = p.hint) AS street_of_hint
            FROM geo_part p JOIN geo_village v ON v.head = p.head AND v.village IS NOT NULL
            WHERE NOT v.exchanged OR v.village = p.hint GROUP BY p.text, p.hint
        ),
        unsaid AS (
            SELECT p.text, p.hint, count(DISTINCT v.street) AS streets, min(v.street) AS street
            FROM geo_part p JOIN geo_village v ON v.head = p.head AND v.village IS NULL
            WHERE length(p.hint) = 12 AND starts_with(p.hint, coalesce(v.town, v.county, ''))
            GROUP BY p.text, p.hint
        )
        SELECT p.*,
            CASE WHEN s.villages = 1 THEN s.village WHEN s.villages > 1 AND s.fits THEN p.hint
                WHEN s.villages IS NULL AND u.streets = 1 THEN p.hint END AS village,
            CASE WHEN s.villages = 1 THEN s.street WHEN s.villages > 1 AND s.fits THEN s.street_of_hint
                WHEN s.villages IS NULL AND u.streets = 1 THEN u.street END AS street,
            CASE WHEN s.villages = 1 THEN 'text' ELSE 'hint' END AS basis,
            coalesce(s.villages > 1, false) AS several
        FROM geo_part p
        LEFT JOIN said s ON s.text = p.text AND s.hint IS NOT DISTINCT FROM p.hint
        LEFT JOIN unsaid u ON u.text = p.text AND u.hint IS NOT DISTINCT FROM p.hint
    """)


def _decided(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE {MATCHED} AS
        WITH fitting AS (
            SELECT p.text, p.hint, s.address_id, p.unit = s.unit AS same_unit,
                p.street = s.street AND p.building = s.building AND (p.room = s.room OR p.side <> '') AS same
            FROM geo_placed p JOIN geo_standard s ON s.division_code = p.village AND s.gate = p.gate
                AND (p.street = '' OR s.street = p.street) AND (p.building = '' OR s.building = p.building)
                AND (p.unit = '' OR s.unit = '' OR s.unit = p.unit)
                AND (p.room = '' OR s.room IN (p.room, p.room || p.side))
            WHERE p.gate <> '' AND p.rest = ''
        ),
        counted AS (
            SELECT text, hint,
                count(*) FILTER (same AND same_unit) AS exact, min(address_id) FILTER (same AND same_unit) AS exact_id,
                count(*) FILTER (same) AS close, min(address_id) FILTER (same) AS close_id
            FROM fitting GROUP BY text, hint
        ),
        unfound AS (
            SELECT p.text, p.hint,
                CASE WHEN count(*) FILTER (s.gate = p.gate OR starts_with(s.gate, p.gate || '-')) = 0
                    OR count(*) FILTER (s.gate = p.gate AND (p.building <> '' OR s.building = '')) > 0
                    THEN '{Status.ABSENT}' ELSE '{Status.INCOMPLETE}' END AS status
            FROM geo_placed p
            JOIN geo_standard s ON s.division_code = p.village AND s.street = p.street
            LEFT JOIN counted c ON c.text = p.text AND c.hint IS NOT DISTINCT FROM p.hint
            WHERE c.text IS NULL AND p.basis = '{Basis.TEXT}' AND p.rest = '' AND regexp_full_match(p.gate, '[0-9]+')
            GROUP BY p.text, p.hint
        ),
        decided AS (
            SELECT p.text, p.hint, p.village, p.basis,
                CASE
                    WHEN p.several AND p.village IS NULL THEN '{Status.AMBIGUOUS}'
                    WHEN p.village IS NULL OR p.rest <> '' THEN '{Status.UNREAD}'
                    WHEN c.exact = 1 OR (coalesce(c.exact, 0) = 0 AND c.close = 1) THEN '{Status.MATCHED}'
                    WHEN c.close > 1 THEN '{Status.AMBIGUOUS}'
                    WHEN c.text IS NOT NULL OR p.gate = '' THEN '{Status.INCOMPLETE}'
                    WHEN u.status IS NOT NULL THEN u.status
                    WHEN p.several THEN '{Status.AMBIGUOUS}'
                    WHEN p.street = '' THEN '{Status.INCOMPLETE}'
                    ELSE '{Status.UNREAD}'
                END AS status,
                CASE WHEN c.exact = 1 THEN c.exact_id ELSE c.close_id END AS found
            FROM geo_placed p
            LEFT JOIN counted c ON c.text = p.text AND c.hint IS NOT DISTINCT FROM p.hint
            LEFT JOIN unfound u ON u.text = p.text AND u.hint IS NOT DISTINCT FROM p.hint
        )
        SELECT text, hint, status, village AS division_code,
            CASE WHEN status = '{Status.MATCHED}' THEN found END AS address_id,
            CASE WHEN status = '{Status.MATCHED}' THEN basis END AS basis
        FROM decided
    """)
