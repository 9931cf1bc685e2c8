"""Looking people up in the truth: by number, by household, by what is planted. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from psycopg import sql

from simulator.department import DATASET
from simulator.households import Household
from simulator.identity import identity_number
from simulator.person import PERSON_COLUMNS, Person
from simulator.schema import TRUTH, Connection

_PEOPLE = sql.SQL("SELECT {} FROM {} AS p").format(
    sql.SQL(", ").join(sql.Identifier("p", name) for name in PERSON_COLUMNS), sql.Identifier(TRUTH, "person")
)


class Records:
    """The people of the truth as one open transaction sees them."""

    def __init__(self, truth: Connection) -> None:
        self._truth = truth

    def households_of(self, rybh: Sequence[str]) -> dict[str, Household]:
        """The whole households, as living now, of those of these people who live in the city, by their number."""
        rows = self._truth.execute(
            _PEOPLE
            + sql.SQL(
                " WHERE p.status = 'living' AND p.household IN ("
                " SELECT q.household FROM truth.person AS q WHERE q.rybh = ANY(%s) AND q.status = 'living')"
                " ORDER BY p.household, p.rybh"
            ),
            [list(rybh)],
        )
        homes: dict[str, Household] = {}
        for row in rows:
            person = Person(*row)
            homes.setdefault(person.household, []).append(person)
        return {person.rybh: home for home in homes.values() for person in home}

    def dirty_people(self, day: date, limit: int) -> list[Person]:
        """Some living people whose row carries a defect, chosen by lot that depends only on the day."""
        rows = self._truth.execute(
            _PEOPLE
            + sql.SQL(
                " WHERE p.status = 'living' AND p.rybh IN ("
                " SELECT rybh FROM truth.planted WHERE ended IS NULL AND dataset = %s"
                " ORDER BY md5(rybh || %s), rybh LIMIT %s)"
                " ORDER BY p.rybh"
            ),
            [DATASET, day.isoformat(), limit],
        )
        return [Person(*row) for row in rows]

    def cancelled_on(self, day: date) -> list[str]:
        """The numbers of those whose record was cancelled on a day, in order."""
        rows = self._truth.execute(
            "SELECT rybh FROM truth.person WHERE ended IS NOT NULL AND updated::date = %s ORDER BY rybh", [day]
        )
        return [str(rybh) for (rybh,) in rows]

    def new_identity(self, prefix: str, birth: date, sex: str, unwritten: Iterable[Person]) -> str:
        """The next unused identity number; ``unwritten`` are exactly those people who are not yet in the database."""
        # Numbers are never given back, so how many a place has given for a birthday and sex says which comes next.
        start, parity = f"{prefix}{birth:%Y%m%d}", int(sex) % 2
        (given,) = self._truth.execute(
            "SELECT count(*) FROM truth.person WHERE id_number >= %s AND id_number < %s"
            " AND substr(id_number, 17, 1)::integer %% 2 = %s",
            [start, start + "~", parity],
        ).fetchone() or (0,)
        also = sum(
            person.id_number.startswith(start) and int(person.id_number[16]) % 2 == parity for person in unwritten
        )
        return identity_number(prefix, birth, sex, given + also)
