"""What the demo says of its libraries after its job: how much of what is true they say, and how much of what they say
is true. Only numbers: nobody's name, number or code.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import duckdb

from citylake.compared.libraries import credit, entities, licences, macro, owners, persons
from citylake.compared.libraries.answers import Answers
from citylake.compared.libraries.told import Libraries
from citylake.compared.scores import TRUE, Score, table
from pipelines.contracts.load import load
from pipelines.lake import delta
from pipelines.register import Register
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings
from simulator import DemoCity

ASKED = {
    persons.PERSON, entities.ENTITY, entities.REPRESENTATIVE, owners.SHAREHOLDER, owners.CONTROL, licences.LICENCE,
    *(f"{credit.LIBRARY[source][0]}_public" for source in (credit.PERMIT, credit.PENALTY, credit.LISTING)),
    macro.OBSERVATION,
}  # fmt: skip
"""The models that the questions are put to."""


class Published:
    """The published libraries of an installation, beside the city that feeds it."""

    def __init__(self, settings: Settings, city: DemoCity) -> None:
        self.city, self.lake = city, settings.lake
        self.contracts = load(settings.contracts)
        register = Register(settings.register_url)
        self._published = Ledger(register).published()
        register.close()

    def has(self, models: Collection[str]) -> bool:
        """Whether all these models were published."""
        return self._published.keys() >= set(models)

    @property
    def today(self) -> date:
        """The day as of which the libraries were built."""
        return date.fromisoformat(self._published[licences.LICENCE].body["as_of"])

    def rows(self, model: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of the published version."""
        read = delta.scan(delta.open_table(self.lake.subject(model), self._published[model].version))
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            return con.execute(f"SELECT {columns} FROM {read.source} WHERE {where}").fetchall()


def truth_report(settings: Settings, city: DemoCity) -> str | None:
    """The table; none while anything that is asked was not published."""
    libraries = Published(settings, city)
    return table(scores(libraries), {}, TRUE) if libraries.has(ASKED) else None


def scores(libraries: Libraries) -> Iterator[Score]:
    """A line for each question that is put to the libraries; those of one library follow each other."""
    shares, _ = persons.residence(libraries)
    for share in shares.values():
        yield Score("residence", share.true, share.right, share.said, share.right)
    known = entities.Entities(libraries)
    yield from _lines("in_business", known.in_business().values())
    yield from _lines("head", known.heads().values())
    yield from _lines("controller", owners.Owners(libraries, known).control().values())
    yield from _lines("licence", licences.Licences(libraries).in_force().values())
    yield from _lines("public", credit.public(libraries, libraries.today).values())
    # an edition has no hour: what came out on its own day is not known yet
    yield from _lines("known_on", [macro.known_on(libraries, libraries.today - timedelta(days=1))])


def _lines(kind: str, found: Iterable[Answers]) -> Iterator[Score]:
    for one in found:
        yield Score(kind, one.true, one.right, one.said, one.right)
