"""What is known of one electronic licence, by its identifier: genuine or not, and its status as of a day.

Belongs here: the question to the released product and the answer. Who may ask, how often, and over which road belongs
to policy and to `router`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import duckdb

from pipelines.codecs import certificate
from pipelines.codecs.sql import identifier

PRODUCT = "sharing/licence_verify"
"""The product that is asked; its contract says which column is the key and how often one may ask."""
KEY = "licence_identifier"
IN_FORCE = "1"
"""The status of a licence that is good, on the days of its validity."""


class Verdict(StrEnum):
    """What is said of an identifier. All but `GENUINE` and `NO_STATUS` mean that no licence of this city bears it (on
    that day)."""

    GENUINE = "genuine"
    MALFORMED = "malformed"
    WRONG_CHECK = "wrong_check_character"
    UNKNOWN = "not_in_catalogue"
    NOT_YET = "not_yet_issued"
    NO_STATUS = "status_not_known"
    """Issued by then, but entered in the catalogue later: what its status was on that day nobody has recorded."""


@dataclass(frozen=True)
class Answer:
    """The answer about one identifier. `known_on` is the day of the released version, None if it was not asked.

    `licence` has the columns of the product that the caller may see, as they were on the day `asked_for`; `in_force` is
    None where they do not tell.
    """

    identifier: str
    verdict: Verdict
    asked_for: date
    known_on: date | None = None
    licence: Mapping[str, Any] | None = None
    in_force: bool | None = None

    @property
    def genuine(self) -> bool:
        """Whether a licence of this city bears the identifier on that day."""
        return self.verdict in (Verdict.GENUINE, Verdict.NO_STATUS)

    def to_json(self) -> dict[str, Any]:
        """The answer as the service and the command tell it; days are ISO 8601."""
        return {
            "identifier": self.identifier,
            "genuine": self.genuine,
            "verdict": self.verdict.value,
            "asOf": self.asked_for.isoformat(),
            "knownOn": self.known_on.isoformat() if self.known_on else None,
            "inForce": self.in_force,
            "licence": {
                name: value.isoformat() if isinstance(value, date) else value for name, value in self.licence.items()
            }
            if self.licence is not None
            else None,
        }


def cleaned(text: str) -> str:
    """An identifier as it is compared: without white space at its ends, in capitals."""
    return text.strip().upper()


def verify(
    con: duckdb.DuckDBPyConnection, text: str, day: date, relation: str, columns: tuple[str, ...], known_on: date
) -> Answer:
    """Look one identifier up in the rows of the product (`relation`, of which `columns` may be shown).

    An identifier that is no such thing is not looked up. Raises duckdb.Error.
    """
    number = cleaned(text)
    if (wrong := _wrong(con, number)) is not None:
        return Answer(number, wrong, day)
    shown = ", ".join(identifier(name) for name in columns)
    order = ' ORDER BY "change_no"' if "change_no" in columns else ""
    query = f"SELECT {shown} FROM {relation} WHERE {identifier(KEY)} = ?{order}"
    rows = [dict(zip(columns, row, strict=True)) for row in con.execute(query, [number]).fetchall()]
    if not rows:
        return Answer(number, Verdict.UNKNOWN, day, known_on)
    then = [row for row in rows if _since(row) <= day]
    if not then:
        return Answer(number, Verdict.NOT_YET if _issued_after(rows[0], day) else Verdict.NO_STATUS, day, known_on)
    return Answer(number, Verdict.GENUINE, day, known_on, then[-1], _in_force(then[-1], day))


def _wrong(con: duckdb.DuckDBPyConnection, number: str) -> Verdict | None:
    """Whether the text cannot be an identifier (GB/T 36904-2018: its form, and ISO 7064 MOD 37,36)."""
    formed, right = certificate.well_formed("n"), certificate.check_character_right("n")
    ((well, checked),) = con.execute(f"SELECT {formed}, {right} FROM (SELECT ?::VARCHAR AS n)", [number]).fetchall()
    if not well:
        return Verdict.MALFORMED
    return None if checked else Verdict.WRONG_CHECK


def _since(row: Mapping[str, Any]) -> date:
    """The first day of a row; one that does not tell it holds always."""
    since = row.get("since_day")
    return since if isinstance(since, date) else date.min


def _issued_after(row: Mapping[str, Any], day: date) -> bool:
    """Whether a licence was issued after a day, by what the row says; one that does not tell says nothing of it."""
    issued = row.get("issued_on")
    return isinstance(issued, date) and issued > day


def _in_force(row: Mapping[str, Any], day: date) -> bool | None:
    if not {"licence_status", "valid_from", "valid_to", "superseded_since"} <= row.keys():
        return None
    begins, ends = row["valid_from"] or date.min, row["valid_to"] or date.max
    return row["licence_status"] == IN_FORCE and begins <= day <= ends and day < (row["superseded_since"] or date.max)
