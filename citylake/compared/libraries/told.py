"""The two sides that are compared: what libraries say, and the clean records of registers."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from citylake.compared.rows import place
from pipelines.contracts.load import Contracts
from pipelines.lake.zones import Lake
from simulator import DemoCity

Row = Mapping[str, Any]


class Libraries(Protocol):
    """Libraries that were built as of the city's day, and that city."""

    @property
    def city(self) -> DemoCity: ...

    @property
    def contracts(self) -> Contracts: ...

    @property
    def lake(self) -> Lake: ...

    @property
    def today(self) -> date: ...

    def rows(self, model: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of a model as a library has them."""
        ...


def clean(libraries: Libraries, source: str) -> list[dict[str, Any]]:
    """The clean records of a source by the names of its contract."""
    rows = libraries.city.records(place(libraries.contracts.sources[source]))
    return [named(row, source, libraries.contracts) for row in rows]


def named(row: Mapping[str, str | None], source: str, contracts: Contracts) -> dict[str, Any]:
    """A clean row of a register by the names of its contract, days as days and numbers as numbers."""
    found: dict[str, Any] = {}
    for column in contracts.sources[source].columns:
        value, kind = row.get(column.physical_name), column.definition.logicalType
        if value is not None and kind == "date":
            found[column.name] = date.fromisoformat(value[:10])
        elif value is not None and kind in ("number", "integer"):
            found[column.name] = float(value)
        else:
            found[column.name] = value
    return found


def doubtful_numbers(city: DemoCity) -> set[str]:
    """Numbers that are registered for two people, and those that these people have: they prove nothing."""
    shared = [one for one in city.planted() if one.kind == "shared" and one.ended is None]
    return {str(number) for one in shared for number in (one.shown, one.true)}
