"""Whether open products tell anything of natural persons: every value that they show, of what was built."""

import re
from collections.abc import Iterable, Iterator

from benchmarks.truth.town import LivedTown
from citylake.compared.libraries import credit
from citylake.compared.libraries.told import clean
from simulator.standing import standings

IDENTITY, TELEPHONE = re.compile(r"\d{17}[0-9X]"), re.compile(r"(?<!\d)1\d{10}(?!\d)")
NATURAL = ("2", "3")
"""Categories of subjects of credit that are people: natural persons, and sole traders under their names."""


class Numbers:
    """The identity numbers and telephones of everybody whom the city knows."""

    def __init__(self, town: LivedTown) -> None:
        people = standings(town.city)
        self._known = set(people)
        self._known |= {one.person.phone for one in people.values() if one.person is not None and one.person.phone}

    def within(self, texts: Iterable[str]) -> int:
        """How many of these texts hold one of them."""
        found = ([*IDENTITY.findall(text), *TELEPHONE.findall(text)] for text in texts)
        return sum(any(one in self._known for one in ones) for ones in found)


def open_texts(town: LivedTown) -> Iterator[tuple[str, list[str]]]:
    """Every open product whose model was built, and each of its rows as one text."""
    for product in town.contracts.products.values():
        if product.channel == "open" and product.contract.form.model in town.built.locations:
            columns = ", ".join(f"CAST({column.source} AS VARCHAR)" for column in product.columns)
            rows = town.rows(product.contract.form.model, f"concat_ws(' | ', {columns})")
            yield product.id, [text for (text,) in rows]


def names_of_people(town: LivedTown) -> set[str]:
    """The names of natural persons and sole traders about whom anything was decided."""
    return {
        row["subject_name"]
        for source in (credit.PERMIT, credit.PENALTY, credit.LISTING)
        for row in clean(town, source)
        if row["subject_category"] in NATURAL
    }
