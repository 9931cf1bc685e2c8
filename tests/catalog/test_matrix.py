"""The matrix: every kind of caller, every road, every product, every column. All roads answer what the rules say.

What ought to be answered is written down here a second time, in the words of the rules (`expected`), and not taken from
the decision: a mistake in it would be everywhere at once.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from catalog.delivery.desk import Refused
from catalog.delivery.extracts import WHOLE
from catalog.delivery.verification.licences import PRODUCT as LICENCES
from catalog.policy import administration, suspension, tokens
from catalog.policy.decision import MARTS, ROADS
from catalog.policy.limits import division_prefix
from catalog.policy.users import ROLES
from pipelines.register.store import now
from pipelines.register.tables import access, token
from tests.catalog.every_road import LAYERS, PAST, QUICK, WAYS, Roads, Row, Seen, agrees, folder_in_memory, text
from tests.catalog.following import Follower
from tests.catalog.small_city import (
    ADMINISTRATOR,
    AGES,
    APPROVER,
    AUDITOR,
    AUTHORITIES,
    COMPONENTS,
    DIVISIONS,
    GUARD,
    PERMITS,
    PERSONS,
    STEWARD,
    VILLAGES,
    City,
)
from tests.catalog.test_verification import GOOD
from tests.catalog.test_verification import rows as licences
from tests.city import seed_from_clock

FREE = "sharing/population_conflict_count"
"""Shared without conditions: with any recipient who shows a good token."""
UNRELEASED, GONE, UNKNOWN = "sharing/credit_repair", "open/plan_indicator", "open/no_such_thing"
LIMITED = (PERSONS, DIVISIONS, PERMITS, COMPONENTS)
"""The products that need a grant and are read by all roads but look-ups."""
FOLLOWED = (PERSONS, PERMITS)
"""Those of them of which there are two versions, so that there is a feed of what changed."""
GRANTED = (*LIMITED, LICENCES, MARTS)
"""Whatever needs a grant. The analysts' database is none of the products: it is one file, given whole."""
STATUS = {
    "token_required": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "unknown_product": 404,
    "not_published": 404,
}
"""Statuses of denials; any other is 403."""


@dataclass
class Kind:
    """One kind of caller: the token it shows, what is wrong with it, and for the products of `LIMITED` (and the
    licences) what it was granted: `limits` of columns, divisions and roads, or the reason why its grant is none."""

    name: str
    token: str | None = None
    problem: str | None = None
    recipient: str | None = None
    refused: str = "grant_required"
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    suspended: bool = False

    def denied(self, product: str, road: str) -> str | None:
        """Why its grant of a product is none by this road, None if it is in force."""
        if product not in self.limits:
            return self.refused
        roads = self.limits[product].get("roads")
        return "grant_road" if roads is not None and road not in roads else None


@dataclass(frozen=True)
class Sight:
    """What may be seen: columns in order, rows of divisions and of organisations, None for all."""

    columns: tuple[str, ...]
    divisions: tuple[str, ...] | None = None
    organisations: tuple[str, ...] | None = None


@dataclass
class Stage:
    """A city with one caller of each kind."""

    city: City
    roads: Roads
    kinds: list[Kind]
    rows: dict[str, list[dict[str, str | None]]]

    def expected(self, kind: Kind, product: str, road: str) -> Sight | str:
        """What a caller may see of a product by a road, or the reason why nothing."""
        if kind.problem is not None:
            return kind.problem
        if product == UNKNOWN:
            return "unknown_product"
        if product in (UNRELEASED, GONE):
            return "not_published"
        if product == LICENCES and road != "verification":
            why = kind.denied(product, road)
            return "lookup_only" if why in (None, "grant_required") else why
        everything = ("*",)
        if product != MARTS:
            everything = tuple(column.name for column in self.city.contracts.products[product].columns)
        if product == AGES:
            return Sight(everything)
        if kind.recipient is None:
            return "token_required"
        if product == FREE:
            return Sight(everything)
        if (why := kind.denied(product, road)) is not None:
            return why
        limits = kind.limits[product]
        chosen = limits.get("columns")
        columns = tuple(name for name in everything if chosen is None or name in chosen)
        return Sight(columns, limits.get("divisions"), limits.get("organisations"))

    def shown(self, product: str, sight: Sight) -> Counter[Row]:
        """The rows that a sight shows; what is keyed for the recipient is left out."""
        keyed = self.keyed(product)
        rows = [row for row in self.rows[product] if within(row, sight.divisions) and of(row, sight.organisations)]
        return Counter(tuple(row[name] for name in sight.columns if name not in keyed) for row in rows)

    def plain(self, product: str, sight: Sight, rows: Counter[Any]) -> Counter[Row]:
        """Rows of these columns as texts, without what is keyed for the recipient."""
        keyed = self.keyed(product)
        places = [place for place, name in enumerate(sight.columns) if name not in keyed]
        return Counter(tuple(text(row[place]) for place in places) for row in rows.elements())

    @cached_property
    def marts(self) -> bytes:
        """The file of the analysts' database."""
        return self.city.settings.marts.read_bytes()

    def keyed(self, product: str) -> set[str]:
        return {column.name for column in self.city.contracts.products[product].columns if column.pseudonymised}


def within(row: dict[str, str | None], divisions: tuple[str, ...] | None) -> bool:
    if divisions is None:
        return True
    return (row["division_code"] or "").startswith(tuple(map(division_prefix, divisions)))


WHOSE = dict(zip(AUTHORITIES, ("own", "hc", "amr"), strict=False))
"""Whose rows with these codes are; the recipients with limits are of `psb`, which is its own."""


def of(row: dict[str, str | None], organisations: tuple[str, ...] | None) -> bool:
    return organisations is None or WHOSE.get(row["authority_uscc"] or "") in organisations


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    with folder_in_memory() as home:
        yield staged(City(home), random.Random(number))


def staged(city: City, draw: random.Random) -> Stage:
    """Releases, a withdrawal, and the callers, of whom those with wrong tokens ask more often than a city lets them."""
    city.limit("{credentials: {perMinute: 1000000}}")
    sizes = {PERSONS: 40, AGES: 96, DIVISIONS: 3, PERMITS: 15, COMPONENTS: 5, GONE: 0}
    for product, size in [*((name, sizes[name] - 5) for name in FOLLOWED), *sizes.items()]:
        city.release(product, size)
    city.refresh_marts()
    city.release(LICENCES, query=licences())
    names = [column.name for column in city.contracts.products[FREE].columns]
    city.release(
        FREE, query="select " + ", ".join(f"'{name} ' || i as {name}" for name in names) + " from range(5) t(i)"
    )
    city.withdraw(GONE)
    rows = {product: _released(city, product) for product in (*LIMITED, AGES, FREE)}
    return Stage(city, Roads(city, city.client()), list(callers(city, draw)), rows)


def _released(city: City, product: str) -> list[dict[str, str | None]]:
    names = [column.name for column in city.contracts.products[product].columns]
    columns = [city.values(product, name) for name in names]
    return [dict(zip(names, map(text, values), strict=True)) for values in zip(*columns, strict=True)]


def callers(city: City, draw: random.Random) -> Iterator[Kind]:
    """Every kind of caller, with limits nobody chose."""
    yield Kind("anonymous")
    yield Kind("public token", "public")
    yield Kind("nonsense", "cl_nonsense", "token_invalid")
    yield Kind("wrong secret", f"cl_{'0' * 16}_{'f' * 64}", "token_invalid")
    yield _user(city, "无授权")
    for role, name in zip(ROLES, ("科员", STEWARD, APPROVER, AUDITOR, GUARD, ADMINISTRATOR), strict=True):
        yield _user(city, name, f"named like the {role}")
    whole: dict[str, dict[str, Any]] = {product: {} for product in GRANTED}
    yield _granted(city, "全部", whole)
    for number in range(3):
        yield _granted(city, f"受限{number}", {**_drawn(city, draw), LICENCES: {}, MARTS: {}})
    for road in ROADS:
        yield _granted(city, f"只经{road}", {product: {"roads": [road]} for product in whole})
    for problem in ("pending", "revoked", "expired", "not_yet"):
        yield _ended(city, problem)
    for problem in ("token_expired", "token_revoked", "suspended", "organisation"):
        kind = _granted(city, f"问题{problem}", whole, organisation="hc" if problem == "organisation" else "psb")
        kind.problem = _broken(city, kind, problem)
        yield kind
    yield from _clients(city, draw, whole)


def _clients(city: City, draw: random.Random, whole: dict[str, dict[str, Any]]) -> Iterator[Kind]:
    """OAuth clients: by a good access token, an ended one, one of a client that was ended since, one whose signature
    is not ours, and by the client's secret, which is no token."""
    good, key = city.callers(), city.settings.key("access_tokens")
    for problem in (None, "token_expired", "token_revoked", "forged", "secret"):
        name = f"客户端{problem or ''}"
        issued = city.oauth_client(name)
        limits = whole if problem else {**_drawn(city, draw), LICENCES: {}}
        for product, chosen in limits.items():
            city.grant(name, product, **chosen)
        assert good.from_client(issued.client_id, issued.client_secret).problem is None
        shown = tokens.access_token(key, issued.client_id, int(now().timestamp()) + 86_400)  # longer than any test
        if problem == "token_expired":
            shown = tokens.access_token(key, issued.client_id, int(now().timestamp()) - draw.randint(0, 10**6))
        if problem == "token_revoked":
            administration.revoke_token(city.register, issued.client_id, actor=GUARD)
        if problem == "forged":
            shown = tokens.access_token(draw.randbytes(32), issued.client_id, int(now().timestamp()) + 900)
        if problem == "secret":
            shown = f"cl_{issued.client_id}_{issued.client_secret}"
        told = "token_invalid" if problem in ("forged", "secret") else problem
        yield Kind(f"client {problem or 'good'}", shown, told, recipient=name, limits=limits)


def _user(city: City, name: str, what: str | None = None) -> Kind:
    organisation = "sto" if what else "psb"  # that of the users
    return Kind(what or name, city.recipient(name, organisation), recipient=name)


def _granted(city: City, name: str, limits: dict[str, dict[str, Any]], organisation: str = "psb") -> Kind:
    kind = Kind(name, city.recipient(name, organisation), recipient=name, limits=limits)
    for product, chosen in limits.items():
        city.grant(name, product, **chosen)
    return kind


def _drawn(city: City, draw: random.Random) -> dict[str, dict[str, Any]]:
    """Limits of columns, divisions and roads."""
    found: dict[str, dict[str, Any]] = {}
    for product in LIMITED:
        names = [column.name for column in city.contracts.products[product].columns]
        limits: dict[str, Any] = {"columns": draw.sample(names, draw.randint(1, len(names)))}
        if city.contracts.products[product].form.rows is not None and draw.random() < 0.7:
            limits["divisions"] = draw.sample(
                ["341502", "341503", "341504", "341503001", *VILLAGES[:2]], draw.randint(1, 2)
            )
        if product == PERMITS and draw.random() < 0.7:
            limits["organisations"] = draw.sample(["own", "hc", "amr"], draw.randint(1, 2))
        if draw.random() < 0.3:
            limits["roads"] = draw.sample(ROADS, draw.randint(1, 4))
        found[product] = limits
    return found


def _ended(city: City, problem: str) -> Kind:
    """A recipient whose grants are not in force."""
    name, day = f"授权{problem}", timedelta(days=1)
    kind = Kind(name, city.recipient(name), recipient=name, refused=f"grant_{problem}")
    for product in GRANTED:
        given = city.grant(name, product)
        change = {
            "pending": {"pending": True},
            "revoked": {"revoked": now()},
            "expired": {"valid_until": now() - day, "valid_from": now() - 2 * day},
            "not_yet": {"valid_from": now() + day},
        }[problem]
        with city.register.begin() as connection:
            connection.execute(sa.update(access).where(access.c.id == given.id).values(**change))
    return kind


def _broken(city: City, kind: Kind, problem: str) -> str:
    """Make a token or its holder bad; the reason that is told from now on."""
    register, contracts = city.register, city.contracts
    assert kind.recipient is not None
    if problem == "suspended":
        suspension.suspend(register, contracts, "recipient", kind.recipient, "试", actor=GUARD)
    elif problem == "organisation":
        suspension.suspend(register, contracts, "organisation", "hc", "试", actor=GUARD)
    else:
        end = {"token_expired": {"expires": now()}, "token_revoked": {"revoked": now()}}[problem]
        with register.begin() as connection:
            connection.execute(sa.update(token).where(token.c.recipient == kind.recipient).values(**end))
        return problem
    kind.suspended = True
    return "suspended"


PUSHED = ("tables", "files")
POSITION = "component_position"
TELLING = 9
"""Bytes of a value that stands in no file by chance."""
MARTS_FILE = "/marts/marts.duckdb"
PRODUCTS = (*LIMITED, AGES, FREE, LICENCES, UNRELEASED, GONE, UNKNOWN)


@pytest.mark.long
def test_all_roads_answer_what_the_rules_say(stage: Stage) -> None:
    checked = sum(the_matrix(stage, QUICK))
    assert checked >= len(stage.kinds) * len(PRODUCTS) * (len(QUICK) + 2)


@pytest.mark.slow
def test_all_ways_and_many_draws() -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    draw = random.Random(number)
    ways = [way for way in WAYS if not way.endswith("xlsx")]  # a book tells dates in its own way; see test_formats
    for _ in range(3):
        with folder_in_memory() as home:
            assert sum(the_matrix(staged(City(home), draw), ways))


def the_matrix(stage: Stage, ways: Any) -> Iterator[int]:
    """Compare every answer with the rules; how many were compared."""
    for kind in stage.kinds:
        for product in PRODUCTS:
            where = f"{kind.name} / {product}"
            for way in ways:
                _compare_way(stage, kind, product, way, where)
            for road in PUSHED:
                _compare_pushed(stage, kind, product, road, where)
            _compare_changes(stage, kind, product, where)
            if product == LICENCES:
                _compare_lookup(stage, kind, where)
            yield len(ways) + len(PUSHED)
        for way in LAYERS if len(ways) > len(QUICK) else ("download geojson",):
            _compare_layer(stage, kind, way)
        _compare_marts(stage, kind)
        _compare_lists(stage, kind)
        _compare_columns(stage, kind)


def _compare_way(stage: Stage, kind: Kind, product: str, way: str, where: str) -> None:
    road = WAYS[way][0]
    right, seen = stage.expected(kind, product, road), stage.roads.read(way, product, kind.token)
    if isinstance(right, str):
        _compare_denied(seen, right, f"{where} / {way}")
        return
    assert seen.status == 200, (where, way)
    assert len(seen.audited) == 1 + len(seen.addresses), (where, way)
    assert {row[0] for row in seen.audited} == {"allowed"}, (where, way)
    if seen.rows or not way.endswith("json"):
        assert seen.columns == right.columns, (where, way)
    assert agrees(way, stage.plain(product, right, seen.rows), stage.shown(product, right)), (where, way)
    _compare_keys(stage, product, right, seen.rows)


def _compare_denied(seen: Seen, right: str, where: str) -> None:
    assert (seen.status, seen.rows) == (STATUS.get(right, 403), Counter()), (where, right)
    outcome = "not_found" if STATUS.get(right) == 404 else "denied"
    assert [row[:2] for row in seen.audited] == [(outcome, right)], where


def _compare_layer(stage: Stage, kind: Kind, way: str) -> None:
    """A map of things is for who may see where they are; it has no column that the caller may not see."""
    right, seen = stage.expected(kind, COMPONENTS, "web"), stage.roads.read(way, COMPONENTS, kind.token)
    if isinstance(right, str):
        _compare_denied(seen, right, f"{kind.name} / {way}")
    elif POSITION not in right.columns:
        assert (seen.status, seen.audited) == (404, ()), (kind.name, way)
    else:
        names = sorted("geometry" if name == POSITION else name for name in right.columns)
        places = [right.columns.index(POSITION if name == "geometry" else name) for name in names]
        whole = Counter(tuple(row[place] for place in places) for row in stage.shown(COMPONENTS, right).elements())
        assert (seen.status, list(seen.columns), seen.rows) == (200, names, whole), (kind.name, way)
        assert [row[0] for row in seen.audited] == ["allowed"], (kind.name, way)


def _compare_changes(stage: Stage, kind: Kind, product: str, where: str) -> None:
    """The version before and what changed since are what may be seen now; who may not see it has no feed."""
    right, table = stage.expected(kind, product, "delta_sharing"), stage.roads.table(product)
    if isinstance(right, str):
        seen = stage.roads.answered(lambda: stage.roads.get(f"{table}/changes?startingVersion=0", kind.token))
        _compare_denied(seen, right, f"{where} / changes")
    elif product in FOLLOWED:
        follower = Follower(stage.roads.client, kind.token or "public", table)
        follower.snapshot(0)
        assert follower.follow() and tuple(follower.columns) == right.columns, where
        assert stage.plain(product, right, follower.rows) == stage.shown(product, right), where


def _compare_marts(stage: Stage, kind: Kind) -> None:
    """The analysts' database whole, or nothing of it."""
    right, answers = stage.expected(kind, MARTS, "web"), []
    seen = stage.roads.answered(lambda: answers.append(stage.roads.get(MARTS_FILE, kind.token)) or answers[0])
    if isinstance(right, str):
        _compare_denied(seen, right, f"{kind.name} / marts")
    else:
        assert [row[0] for row in seen.audited] == ["allowed"] and answers[0].content == stage.marts, kind.name


def _compare_keys(stage: Stage, product: str, right: Sight, rows: Counter[Row]) -> None:
    """What is keyed shows no value of the released table."""
    for name in stage.keyed(product) & set(right.columns):
        place, plain = right.columns.index(name), {row[name] for row in stage.rows[product]}
        assert not {row[place] for row in rows} & plain, (product, name)


def _compare_pushed(stage: Stage, kind: Kind, product: str, road: str, where: str) -> None:
    """A road by which the city delivers itself: no token is shown, so nothing can be wrong with one."""
    if kind.recipient is None:
        return
    desk = stage.roads.client.app.state.desk  # type: ignore[attr-defined]
    caller = desk.callers.on_behalf(kind.recipient)
    alive = replace(kind, problem="suspended" if kind.suspended else None)
    right = stage.expected(alive, product, road)
    try:
        admission = desk.admit(caller, product, f"{road.removesuffix('s')}.deliver", road)
    except Refused as refused:
        assert refused.reason.value == right, where
        return
    assert isinstance(right, Sight), where
    extract = desk.views.extract(admission.allowed)
    assert (extract.columns, extract.rows) == (right.columns, stage.shown(product, right).total()), where
    if extract.key != WHOLE and product in stage.rows:
        _search_bytes(stage, product, right, desk.views.folder(product, extract.version), extract.key, where)


def _search_bytes(stage: Stage, product: str, right: Sight, folder: Path, key: str, where: str) -> None:
    """No file that is made for what may be seen, rows, their order or index, has a value that is not: of a column or a
    row that is hidden, long enough to be none by chance."""
    keyed, rows = stage.keyed(product), stage.rows[product]
    seen = [row for row in rows if within(row, right.divisions) and of(row, right.organisations)]
    shown = "\n".join(str(row[name]) for row in seen for name in right.columns if name not in keyed)
    values = {value for row in rows for value in row.values() if value is not None and len(value.encode()) >= TELLING}
    hidden = [value.encode() for value in values if value not in shown]
    files = [file for place in folder.glob(f"*{key}*") for file in place.rglob("*") if file.is_file()]
    assert files, where
    for content in (file.read_bytes() for file in files):
        assert not [value for value in hidden if value in content], where


def _compare_lookup(stage: Stage, kind: Kind, where: str) -> None:
    right = stage.expected(kind, LICENCES, "verification")
    answer = stage.roads.get(f"/verify/licence/{GOOD}", kind.token)
    assert answer.status_code == (STATUS.get(right, 403) if isinstance(right, str) else 200), (where, right)


def _compare_lists(stage: Stage, kind: Kind) -> None:
    """A product is listed where it may be read, and nowhere else."""
    products = stage.roads.get("/api/v1/products", kind.token)
    if kind.problem is not None:
        assert products.status_code == STATUS.get(kind.problem, 403)
        return
    listed = {"rows": {item["id"] for item in products.json()["products"]}, "delta_sharing": set[str]()}
    for share in stage.roads.get("/delta-sharing/shares", kind.token).json()["items"]:
        tables = stage.roads.get(f"/delta-sharing/shares/{share['name']}/all-tables", kind.token).json()["items"]
        listed["delta_sharing"] |= {item["id"] for item in tables}
    for road, found in listed.items():
        right = {product for product in PRODUCTS if isinstance(stage.expected(kind, product, road), Sight)}
        assert found == right, (kind.name, road)


def _compare_columns(stage: Stage, kind: Kind) -> None:
    """Column by column: one that is seen can be shown, filtered, sorted and counted by; any other is unknown."""
    for product in LIMITED:
        right = stage.expected(kind, product, "rows")
        if isinstance(right, str) or set(right.columns) == {
            c.name for c in stage.city.contracts.products[product].columns
        }:
            continue
        for column in stage.city.contracts.products[product].columns:
            for asked in (
                f"fields={column.name}",
                f"{column.name}=null.false",
                f"sort={column.name}",
                f"count={column.name}",
            ):
                answer = stage.roads.get(f"/api/v1/products/{product}/rows?{asked}", kind.token)
                seen = column.name in right.columns
                assert (answer.status_code == 200) == seen, (kind.name, product, asked)
                assert seen or answer.json()["rule"] == "unknown_column", (kind.name, product, asked)


@pytest.mark.long
def test_the_analysts_database_holds_the_rows_of_its_channel_and_nothing_else(stage: Stage) -> None:
    with tempfile.NamedTemporaryFile(suffix=".duckdb") as file:
        file.write(stage.marts)
        file.flush()
        with duckdb.connect(file.name, read_only=True) as con:
            listed = con.execute(
                "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            ).fetchall()
            for product in (DIVISIONS, PERMITS):
                known = stage.city.contracts.products[product]
                names = tuple(column.name for column in known.columns)
                place = (known.contract.library, known.name)
                assert [one[2] for one in listed if one[:2] == place] == [*names]
                shown = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in names)
                rows = Counter(con.execute(f"SELECT {shown} FROM {'.'.join(place)}").fetchall())
                assert rows == stage.shown(product, Sight(names))
    libraries = {stage.city.contracts.products[product].contract.library for product in (*LIMITED, AGES, FREE)}
    tables = {one[:2] for one in listed if one[0] in libraries}
    assert tables == {("geography", "division"), ("credit", "permit")}


def test_the_matrix_covers_every_road_and_past_versions_are_among_its_ways() -> None:
    """Whoever adds a road has to say here how it is read."""
    assert {road for road, _ in WAYS.values()} | {"verification", *PUSHED} == set(ROADS)
    assert {WAYS[way][0] for way in QUICK} == {"web", "delta_sharing", "rows"} and set(PAST) <= set(WAYS)
