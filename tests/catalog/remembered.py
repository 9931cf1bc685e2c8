"""What the state machine of all roads knows: its model of grants, recipients, addresses and products, and its city.

Belongs here: what is remembered. Does not belong here: what is done (test_machine).
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from simulator.server import Server
from tests.catalog.every_road import Roads, Row
from tests.catalog.pushed import PUSHED, Pushed, PushedRoad
from tests.catalog.small_city import AGES, PERSONS, City


@dataclass
class Given:
    """A grant as the model keeps it."""

    id: int
    columns: tuple[str, ...] | None
    divisions: tuple[str, ...] | None
    roads: tuple[str, ...] | None
    pending: bool
    over: str | None = None


@dataclass
class Holder:
    """A recipient with one token."""

    name: str
    organisation: str
    token: str
    token_id: str
    bad: str | None = None
    grants: list[Given] = field(default_factory=list)


@dataclass(frozen=True)
class Handed:
    """A signed address: whose, of what, under which policy (columns and divisions)."""

    url: str
    holder: str | None
    product: str
    version: int
    policy: tuple[tuple[str, ...], tuple[str, ...] | None]


@dataclass
class Product:
    """What the model knows of a product: rows by version that may be read, and the published one."""

    names: tuple[str, ...]
    keyed: frozenset[str]
    readable: dict[int, list[dict[str, str | None]]] = field(default_factory=dict)
    published: int | None = None
    withdrawn: bool = False


class House:
    """One city for all runs of the machine: each begins with recipients of its own and closes what was before. One
    recipient stays, and with it what it was delivered: `held`, columns and rows by road, None before the first; and
    what it was `given`."""

    def __init__(self, home: Path, server: Server) -> None:
        self.city = City(home)
        self.pushed = Pushed(self.city, server, home)
        self.held: dict[PushedRoad, tuple[list[str], Counter[Row]] | None] = dict.fromkeys(PUSHED)
        self.given: list[Given] = []
        for product in (PERSONS, AGES):
            self.city.release(product, 12)
        self.roads = Roads(self.city, self.city.client())
        self.names = (f"甲{number}" for number in count())
        self.shifts = count(1)
