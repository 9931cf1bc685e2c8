"""What the state machine of all roads knows: its model of grants, recipients, addresses and products, and its city.

Belongs here: what is remembered. Does not belong here: what is done (test_machine).
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from pipelines.contracts.load import load
from simulator.server import Server
from tests.catalog.every_road import Roads, Row
from tests.catalog.pushed import PUSHED, Pushed, PushedRoad
from tests.catalog.small_city import AGES, PERSONS, City

COUNTIES = {"psb": "金安区", "cab": "裕安区"}
"""Whose the rows of a county are, in the contract of the machine's city; those of any other are nobody's."""
CHECK, STATISTICS, OTHER = "低保核对", "统计分析", "试"
"""Purposes of grants: the first sees all, the second no education, the third neither, and sex as a pseudonym."""
BOUND = {
    "    rows: division_code\n": "    rows: division_code\n"
    "    organisations: {column: county_name, departments: county_offices}\n",
    "      - sex\n      - {name: birth_year": "      - {name: sex, purposes: [subsistence_check, statistics], "
    "otherwise: pseudonym}\n      - {name: birth_year",
    "      - education\n": "      - {name: education, purposes: [subsistence_check]}\n",
}
"""What its contract says otherwise than the repository's, in the sharing channel."""


@dataclass(frozen=True)
class Right:
    """What may be seen: columns, rows of divisions and of counties (None: all), and what is keyed for the purpose."""

    columns: tuple[str, ...]
    divisions: tuple[str, ...] | None = None
    counties: frozenset[str] | None = None
    keyed: frozenset[str] = frozenset()


@dataclass
class Given:
    """A grant as the model keeps it."""

    id: int
    right: Right
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
    """A signed address: whose, of what, under which policy."""

    url: str
    holder: str | None
    product: str
    version: int
    policy: Right


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
        bind(self.city)
        self.pushed = Pushed(self.city, server, home)
        self.held: dict[PushedRoad, tuple[list[str], Counter[Row]] | None] = dict.fromkeys(PUSHED)
        self.given: list[Given] = []
        for product in (PERSONS, AGES):
            self.city.release(product, 12)
        self.roads = Roads(self.city, self.city.client())
        self.names = (f"甲{number}" for number in count())
        self.shifts = count(1)


def bind(city: City) -> None:
    """Show some columns of persons for some purposes only, and say whose their rows are."""
    root = city.own_contracts()
    offices = "".join(f"{county},{county},{organisation}\n" for organisation, county in COUNTIES.items())
    (root / "codes" / "county_offices.csv").write_text(f"code,name,organisation\n{offices}", "utf-8")
    file = root / "products" / "population" / "person.yaml"
    text, analyst, rest = file.read_text("utf-8").partition("\n  analyst:")
    for old, new in BOUND.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(f"{text}{analyst}{rest}", "utf-8")
    city.contracts = load(root)
