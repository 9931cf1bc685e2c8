"""Whatever is done, in whatever order: every road shows what a simple model says, now and by addresses of before.

Grants for drawn rows, columns and purposes that are given, approved, ended, tokens that are ended, recipients and
organisations that are cut off and let in again, releases, withdrawals of products and of versions, reinstatements;
between them reads by all roads, of past versions, of signed addresses handed out earlier, followers of the change feed,
and deliveries into a recipient's own database and folder. Each read leaves its audit row.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from catalog.policy import administration, audit, suspension
from catalog.policy.limits import division_prefix
from pipelines.register.store import now
from pipelines.register.tables import access, token
from pipelines.release import withdrawal
from simulator.server import Server
from tests.catalog.every_road import WAYS, Row, folder_in_memory, text
from tests.catalog.filing import end_grants
from tests.catalog.following import Follower
from tests.catalog.pushed import PUSHED, RECIPIENT, PushedRoad
from tests.catalog.remembered import CHECK, COUNTIES, OTHER, STATISTICS, Given, Handed, Holder, House, Product, Right
from tests.catalog.small_city import ADMINISTRATOR, AGES, APPROVER, GUARD, PERSONS, ROWS, STEWARD, VILLAGES
from tests.city import seed_from_clock

WORD = ("王安全", "试")
ORGANISATIONS = ("psb", "cab")
READ = ("download csv", "download parquet", "query", "rows ndjson", "rows parquet")
SHIFTED = {
    PERSONS: "select * replace ((birth_year + {shift})::integer as birth_year) from ({query}) "
    "where birth_year % 5 <> {shift} % 5",
    AGES: "select * replace ((persons + {shift})::integer as persons) from ({query})",
}
"""Releases of other content: rows go, come and change."""
places = st.sampled_from(["341502", "341503", "341503001", *VILLAGES[:2]])
columns = st.lists(
    st.sampled_from(["person_ref", "name", "birth_year", "division_code", "county_name", "sex", "education"]),
    min_size=1,
    unique=True,
)


class Machine(RuleBasedStateMachine):
    """The rules and the model."""

    house: House

    @initialize()
    def begin(self) -> None:
        """Three recipients; both products are released anew, and what was before cannot be read any more."""
        self.city, self.roads = self.house.city, self.house.roads
        self.holders: list[Holder] = []
        self.handed: list[Handed] = []
        self.cut: set[str] = set()
        self.products = {name: self._known(name) for name in (PERSONS, AGES)}
        self.pushed = self._delivered_to()
        self.holders.append(self.pushed)
        for organisation in ORGANISATIONS:
            self._enter(organisation)
        for name in self.products:
            if name in self.city.ledger.published():
                withdrawal.withdraw(self.city.register, self.city.contracts, name, *WORD)
            if name in self.city.ledger.withdrawn():
                withdrawal.reinstate(self.city.register, name, *WORD)
            for size in (10, 12):
                self._release(name, size)
        self._give(self.pushed, {}, approved=True)
        for road in PUSHED:
            self._push(road)

    def _known(self, name: str) -> Product:
        found = self.city.contracts.products[name].columns
        return Product(tuple(c.name for c in found), frozenset(c.name for c in found if c.pseudonymised))

    def _delivered_to(self) -> Holder:
        """The recipient that stays, with no grant in force."""
        end_grants(self.city, RECIPIENT)
        for one in self.house.given:
            one.over = "grant_revoked"
        issued = administration.issue_token(self.city.register, RECIPIENT, actor=ADMINISTRATOR)
        return Holder(RECIPIENT, "psb", issued.token, issued.id, grants=self.house.given)

    def _enter(self, organisation: str) -> None:
        name = next(self.house.names)
        shown = self.city.recipient(name, organisation)
        token_id = self.city.callers().from_token(shown).token
        assert token_id is not None
        self.holders.append(Holder(name, organisation, shown, token_id))

    def teardown(self) -> None:
        """What is cut off is let in again, for the next run."""
        for name in getattr(self, "cut", set()):
            if name in (*ORGANISATIONS, RECIPIENT):
                whom: suspension.Whom = "organisation" if name in ORGANISATIONS else "recipient"
                suspension.lift(self.city.register, whom, name, "试", actor=GUARD)

    # what people do

    @precondition(lambda self: len(self.holders) < 5)
    @rule(organisation=st.sampled_from(ORGANISATIONS))
    def enter(self, organisation: str) -> None:
        self._enter(organisation)

    @rule(
        data=st.data(),
        chosen=st.none() | columns,
        divisions=st.none() | st.lists(places, min_size=1, max_size=2, unique=True),
        roads=st.none() | st.sampled_from([["web"], ["delta_sharing", "rows"], ["tables", "files"]]),
        organisations=st.none()
        | st.lists(st.sampled_from(["own", *ORGANISATIONS]), min_size=1, max_size=2, unique=True),
        purpose=st.sampled_from([CHECK, STATISTICS, OTHER]),
        waits=st.integers(0, 3),
    )
    def give(
        self,
        data: st.DataObject,
        chosen: list[str] | None,
        divisions: list[str] | None,
        roads: Any,
        organisations: list[str] | None,
        purpose: str,
        waits: int,
    ) -> None:
        """A grant in place of the one in force, if there is one; one of four is left to wait for its approval."""
        holder = data.draw(st.sampled_from(self.holders))
        for old in holder.grants:
            if old.over is None:
                self._end(old)
        limits = {"columns": chosen, "divisions": divisions, "roads": roads, "organisations": organisations}
        self._give(holder, limits, bool(waits), purpose)
        self._look(data, holder, PERSONS)

    def _give(self, holder: Holder, limits: dict[str, Any], approved: bool, purpose: str = OTHER) -> None:
        given = administration.grant(
            self.city.register, self.city.contracts, holder.name, PERSONS, purpose=purpose, actor=STEWARD, **limits
        )
        chosen, divisions = limits.get("columns"), limits.get("divisions")
        kept = tuple(name for name in self.products[PERSONS].names if chosen is None or name in chosen)
        prefixes = None if divisions is None else tuple(sorted({division_prefix(one) for one in divisions}))
        levels = {column.name: column.level for column in self.city.contracts.products[PERSONS].columns}
        asks = any(self.city.contracts.city.levels[levels[name]].approval for name in kept)
        assert given.pending == asks
        whose = limits.get("organisations")
        named = {holder.organisation if name == "own" else name for name in whose or ()}
        counties = None if whose is None else frozenset(COUNTIES[name] for name in named)
        seen = tuple(name for name in kept if name != "education" or purpose == CHECK)
        keyed = frozenset({"sex"} & set(seen)) if purpose == OTHER else frozenset[str]()
        holder.grants.append(Given(given.id, Right(seen, prefixes, counties, keyed), given.roads, asks))
        if asks and approved:
            self._approve(holder.grants[-1])

    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        waiting = [pair for pair in self._standing() if pair[1].pending]
        if waiting:
            holder, given = data.draw(st.sampled_from(waiting))
            self._approve(given)
            self._look(data, holder, PERSONS)

    def _standing(self) -> list[tuple[Holder, Given]]:
        return [(holder, one) for holder in self.holders for one in holder.grants if one.over is None]

    def _approve(self, given: Given) -> None:
        administration.approve_grant(self.city.register, given.id, actor=APPROVER)
        given.pending = False

    @rule(data=st.data())
    def revoke_grant(self, data: st.DataObject) -> None:
        if standing := self._standing():
            holder, given = data.draw(st.sampled_from(standing))
            self._hand_out(holder, PERSONS)
            self._end(given)
            self._look(data, holder, PERSONS)

    def _end(self, given: Given) -> None:
        administration.revoke_grant(self.city.register, given.id, actor=STEWARD)
        given.over = "grant_revoked"

    @rule(data=st.data())
    def grant_expires(self, data: st.DataObject) -> None:
        if standing := [pair for pair in self._standing() if not pair[1].pending]:
            holder, chosen = data.draw(st.sampled_from(standing))
            self._hand_out(holder, PERSONS)
            self._set(access, chosen.id, valid_from=now() - timedelta(days=2), valid_until=now() - timedelta(seconds=1))
            chosen.over = "grant_expired"
            self._look(data, holder, PERSONS)

    @rule(data=st.data(), how=st.sampled_from(["token_revoked", "token_expired"]))
    def token_ends(self, data: st.DataObject, how: str) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        if holder.bad is None:
            name = data.draw(st.sampled_from([PERSONS, AGES]))
            self._hand_out(holder, name)
            if how == "token_revoked":
                administration.revoke_token(self.city.register, holder.token_id, actor=GUARD)
            else:
                self._set(token, holder.token_id, expires=now() - timedelta(seconds=1))
            holder.bad = how
            self._look(data, holder, name)

    def _set(self, table: sa.Table, key: object, **values: Any) -> None:
        with self.city.register.begin() as connection:
            connection.execute(sa.update(table).where(table.c.id == key).values(**values))

    @rule(data=st.data())
    def new_token(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        if holder.bad is not None:
            issued = administration.issue_token(self.city.register, holder.name, actor=ADMINISTRATOR)
            holder.token, holder.token_id, holder.bad = issued.token, issued.id, None
            self.handed = [one for one in self.handed if one.holder != holder.name]  # those name the old token

    @rule(data=st.data(), whole=st.booleans())
    def suspend_or_lift(self, data: st.DataObject, whole: bool) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        name = holder.organisation if whole else holder.name
        whom: suspension.Whom = "organisation" if whole else "recipient"
        product = data.draw(st.sampled_from([PERSONS, AGES]))
        self._hand_out(holder, product)
        if name in self.cut:
            suspension.lift(self.city.register, whom, name, "试", actor=GUARD)
            self.cut.discard(name)
        else:
            suspension.suspend(self.city.register, self.city.contracts, whom, name, "试", actor=GUARD)
            self.cut.add(name)
        self._look(data, holder, product)

    @precondition(lambda self: self.cut)
    @rule()
    def lift_all(self) -> None:
        for name in sorted(self.cut):
            whom: suspension.Whom = "organisation" if name in ORGANISATIONS else "recipient"
            suspension.lift(self.city.register, whom, name, "试", actor=GUARD)
        self.cut.clear()

    # what becomes of products

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]), size=st.integers(6, 14))
    def release_anew(self, data: st.DataObject, name: str, size: int) -> None:
        if not self.products[name].withdrawn:
            holder = self._holder_of(data, name)
            self._hand_out(holder, name)
            self._release(name, size)
            self._look(data, holder, name)

    def _release(self, name: str, size: int) -> None:
        product = self.products[name]
        query = SHIFTED[name].format(shift=next(self.house.shifts) % 7, query=ROWS[name].format(rows=size))
        version = self.city.release(name, query=query)
        columns = [self.city.values(name, column) for column in product.names]
        rows = [dict(zip(product.names, map(text, row), strict=True)) for row in zip(*columns, strict=True)]
        product.readable[version], product.published = rows, version

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]), sure=st.integers(0, 2))
    def withdraw_or_reinstate(self, data: st.DataObject, name: str, sure: int) -> None:
        """Withdrawn is one time of three, so that versions come together to be followed."""
        product, holder = self.products[name], self._holder_of(data, name)
        self._hand_out(holder, name)
        if product.withdrawn:
            withdrawal.reinstate(self.city.register, name, *WORD)
            product.withdrawn = False
        elif not sure and product.published is not None:
            withdrawal.withdraw(self.city.register, self.city.contracts, name, *WORD)
            product.withdrawn, product.published = True, None
            product.readable.clear()
        self._look(data, holder, name)

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]))
    def withdraw_past(self, data: st.DataObject, name: str) -> None:
        product = self.products[name]
        past = sorted(set(product.readable) - {product.published})
        if past:
            version, holder = data.draw(st.sampled_from(past)), self._holder_of(data, name)
            self._read(holder, name, "query", version)
            withdrawal.withdraw(self.city.register, self.city.contracts, name, *WORD, version)
            del product.readable[version]
            self._look(data, holder, name, version)

    # what is seen of it at once

    def _holder_of(self, data: st.DataObject, name: str) -> Holder | None:
        """Somebody who was handed an address of the product, rather than anybody."""
        held = {one.holder for one in self.handed if one.product == name}
        known = [holder for holder in self.holders if holder.name in held]
        return data.draw(st.sampled_from(known or [None, *self.holders]))

    def _hand_out(self, holder: Holder | None, name: str) -> None:
        """Ask by the road that answers with signed addresses."""
        self._read(holder, name, "query")

    def _look(self, data: st.DataObject, holder: Holder | None, name: str, version: int | None = None) -> None:
        """One way, and the newest address that was handed out for this: an act that is not seen is not tested."""
        handed = [
            one
            for one in self.handed
            if one.product == name
            and one.holder == (holder.name if holder else None)
            and version in (None, one.version)
        ]
        ways = READ if version is None else ("query", "rows ndjson")
        self._read(holder, name, data.draw(st.sampled_from(ways)), version)
        if name == PERSONS and (holder is self.pushed or data.draw(st.booleans())):
            self._push(data.draw(st.sampled_from(PUSHED)))
        if handed:
            self._open(handed[-1])

    # what readers get

    @rule(data=st.data(), name=st.sampled_from([PERSONS, PERSONS, AGES]), way=st.sampled_from(READ))
    def read(self, data: st.DataObject, name: str, way: str) -> None:
        """By one way, as anybody."""
        self._read(data.draw(st.sampled_from([None, *self.holders])), name, way)

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]))
    def read_by_all(self, data: st.DataObject, name: str) -> None:
        holder = data.draw(st.sampled_from([None, *self.holders]))
        for way in READ:
            self._read(holder, name, way)

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]), way=st.sampled_from(["query", "rows ndjson"]))
    def read_past(self, data: st.DataObject, name: str, way: str) -> None:
        """A version that is or was there."""
        product, holder = self.products[name], data.draw(st.sampled_from([None, *self.holders]))
        newest = max(product.readable, default=4)
        self._read(holder, name, way, max(0, newest - data.draw(st.integers(0, 4))))

    def _read(self, holder: Holder | None, name: str, way: str, version: int | None = None) -> None:
        right = self._right(holder, name, WAYS[way][0])
        seen = self.roads.read(way, name, None if holder is None else holder.token, version)
        where = (None if holder is None else holder.name, name, way, version)
        product = self.products[name]
        if version is not None and not isinstance(right, str) and version not in product.readable:
            assert seen.status == 404 and not seen.rows, where
            assert [row[0] for row in seen.audited] in (["not_found"], ["denied"]), where
            return
        if isinstance(right, str):
            assert (seen.status, not seen.rows) == (_status(right), True), (where, right)
            assert [row[1] for row in seen.audited] == [right], where
            return
        read = product.published if version is None else version
        assert read is not None
        assert seen.status == 200, (where, right)
        assert [row[0] for row in seen.audited] == ["allowed"] * (1 + len(seen.addresses)), where
        assert {row[3] for row in seen.audited} == {read}, where
        if seen.rows or way not in ("rows ndjson",):
            assert seen.columns == right.columns, where
        assert self._plain(product, right, seen.rows) == self._shown(product, read, right), where
        for url in seen.addresses:
            self.handed.append(Handed(url, None if holder is None else holder.name, name, read, right))

    @rule(road=st.sampled_from(PUSHED))
    def push(self, road: PushedRoad) -> None:
        self._push(road)

    def _push(self, road: PushedRoad) -> None:
        """No token is shown. What is held stays while it may come back, and goes from the table when nothing covers
        it any more."""
        house, product = self.house, self.products[PERSONS]
        right = self._right(replace(self.pushed, bad=None), PERSONS, road)
        reasons: list[str | None] = []
        seen = self.roads.audited(lambda: reasons.append(house.pushed.deliver(road)))
        held = house.held[road]
        if isinstance(right, str):
            passing = right in ("suspended", "grant_empty")
            assert reasons == [right if passing or held is None else None], (road, right)
            assert [row[1] for row in seen] == [right], (road, right)
            if not passing and road == "tables" and held is not None:
                house.held[road] = (held[0], Counter())
        else:
            assert reasons == [None] and product.published is not None, (road, right)
            assert {(row[0], row[3]) for row in seen} <= {("allowed", product.published)}, road
            names = self._names(product, right)
            house.held[road] = (names, self._shown(product, product.published, right))
        if (now_held := house.held[road]) is not None:
            assert house.pushed.held(road, now_held[0]) == now_held[1], (road, right)

    @precondition(lambda self: self.handed)
    @rule(data=st.data())
    def open_what_was_handed_out(self, data: st.DataObject) -> None:
        self._open(data.draw(st.sampled_from(self.handed)))

    def _open(self, one: Handed) -> None:
        """A signed address opens what it did while its policy shows just that, and nothing ever after."""
        holder = next((holder for holder in self.holders if holder.name == one.holder), None)
        right, product = self._right(holder, one.product, "delta_sharing"), self.products[one.product]
        seen = self.roads.open(one.url)
        if isinstance(right, str):
            assert seen.status == _status(right) and [row[1] for row in seen.audited] == [right], (one, right)
        elif right != one.policy or one.version not in product.readable:
            assert seen.status == 403 and [row[1] for row in seen.audited] == ["address_outdated"], one
        else:
            assert seen.status == 200 and seen.columns == right.columns, one
            assert [(row[0], row[3]) for row in seen.audited] == [("allowed", one.version)], one
            mine, whole = self._plain(product, right, seen.rows), self._shown(product, one.version, right)
            assert mine <= whole, one

    @rule(data=st.data(), name=st.sampled_from([PERSONS, AGES]))
    def follow(self, data: st.DataObject, name: str) -> None:
        """A snapshot of any version that can be read, and the changes up to now, are the version of now."""
        holder = data.draw(st.sampled_from([None, *self.holders]))
        right, product = self._right(holder, name, "delta_sharing"), self.products[name]
        if isinstance(right, str):
            shown = None if holder is None else holder.token
            answer = self.roads.get(f"{self.roads.table(name)}/changes?startingVersion=0", shown)
            assert answer.status_code == _status(right), (name, right)
            return
        follower = Follower(self.roads.client, holder.token if holder else "public", self.roads.table(name))
        begin = sorted(product.readable)[data.draw(st.integers(0, len(product.readable) - 1))]
        follower.snapshot(begin)
        if begin != product.published and follower.follow():
            assert product.published is not None
            held: Counter[Row] = Counter(tuple(text(value) for value in row) for row in follower.rows.elements())
            assert self._plain(product, right, held) == self._shown(product, product.published, right)

    @rule()
    def the_chain_holds(self) -> None:
        assert audit.first_break(self.city.register) is None

    # what the model says

    def _right(self, holder: Holder | None, name: str, road: str) -> Right | str:
        """What may be seen, or the reason why nothing."""
        product = self.products[name]
        if holder is not None and holder.bad is not None:
            return holder.bad
        if holder is not None and {holder.name, holder.organisation} & self.cut:
            return "suspended"
        if product.published is None:
            return "not_published"
        if name == AGES:
            return Right(product.names)
        if holder is None:
            return "token_required"
        why = None
        for given in reversed(holder.grants):
            problem = given.over or ("grant_pending" if given.pending else None)
            if problem is None and given.roads is not None and road not in given.roads:
                problem = "grant_road"
            if problem is None:
                return given.right if given.right.columns else "grant_empty"
            why = why or problem
        return why or "grant_required"

    def _shown(self, product: Product, version: int, right: Right) -> Counter[Row]:
        rows, within = product.readable[version], right.divisions
        mine = [row for row in rows if within is None or (row["division_code"] or "").startswith(within)]
        mine = [row for row in mine if right.counties is None or row["county_name"] in right.counties]
        return Counter(tuple(row[name] for name in self._names(product, right)) for row in mine)

    @staticmethod
    def _names(product: Product, right: Right) -> list[str]:
        """The columns that are not keyed for the recipient."""
        return [name for name in right.columns if name not in product.keyed | right.keyed]

    def _plain(self, product: Product, right: Right, rows: Counter[Row]) -> Counter[Row]:
        """Rows without what is keyed for the recipient."""
        names = self._names(product, right)
        kept = [place for place, name in enumerate(right.columns) if name in names]
        return Counter(tuple(row[place] for place in kept) for row in rows.elements())


def _status(reason: str) -> int:
    if reason.startswith("token_"):
        return 401
    return 404 if reason == "not_published" else 403


def run(examples: int, steps: int, folder: Path) -> None:
    number = seed_from_clock()
    print("CITYLAKE_TEST_SEED", number)
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with folder_in_memory() as home:
        server = Server(folder)
        server.start()
        try:

            class Lived(Machine):
                house = House(home, server)

            run_state_machine_as_test(seed(number)(Lived), settings=limits)
        finally:
            server.stop()


@pytest.mark.long
@pytest.mark.server
def test_every_road_shows_what_the_model_says(tmp_path: Path) -> None:
    run(examples=4, steps=25, folder=tmp_path)


@pytest.mark.slow
def test_every_road_shows_what_the_model_says_for_long(tmp_path: Path) -> None:
    run(examples=60, steps=60, folder=tmp_path)
