"""Two cities over several days: the city follows the change feed of what the county publishes, and holds its rows every
day, whatever happens to versions, grants, pseudonyms and either service meanwhile."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.policy import administration, epochs
from pipelines.connectors.base import Request
from pipelines.connectors.exchange import files, follow, server
from pipelines.connectors.exchange.answers import SharedFile, SharedTable
from pipelines.connectors.exchange.files import Part
from pipelines.connectors.exchange.server import NoFeed
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from tests.catalog.conftest import released_city
from tests.catalog.recipient import SOURCE, Recipient
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, GUARD, PERSONS, STEWARD, SYNTHETIC
from tests.city import seed_from_clock

ZONE = ZoneInfo("Asia/Shanghai")
NAME = "六安市"


class Pair:
    """The county that publishes and serves, and the city that follows."""

    def __init__(self, folder: Path, service: ExitStack) -> None:
        self.county, self.city, self.service = released_city(folder / "county"), Recipient(folder / "city"), service
        contract = self.city.settings.contracts / "sources" / f"{SOURCE}.yaml"
        text = contract.read_text("utf-8").replace("person_of_division}", "person_of_division, follow: true}")
        contract.write_text(text.replace("deletionCeiling: 0.9", "deletionCeiling: 1.0"), "utf-8")
        administration.create_recipient(self.county.register, self.county.contracts, NAME, "dsrb", actor=ADMINISTRATOR)
        self.county.grant(NAME, divisions=["341502", "341503"])
        self.issued = administration.issue_token(self.county.register, NAME, actor=ADMINISTRATOR)
        self.again()

    def again(self) -> None:
        """The county's service starts anew, at another address."""
        self.service.close()
        base = self.service.enter_context(serving(self.county.settings))
        self.city.profile(administration.profile(self.issued, f"{base}/delta-sharing"))

    def publish(self, rows: int, gone: int = 0, moved: int = 0) -> None:
        """A new version: the first persons are not there, the next ones have moved to another town."""
        query = SYNTHETIC.format(rows=rows)
        town = "['中市街道', '中市街道', '鼓楼街道', '叶集镇'][1 + i % 4]"
        query = (
            query.replace(town, f"case when i < {gone + moved} then '新街道' else {town} end") + f" where i >= {gone}"
        )
        self.county.release(PERSONS, query=query)

    def pulled(self) -> tuple[str, str]:
        """What became of a run of the city, and how the rows came."""
        done = self.city.run()
        register = Register(self.city.settings.register_url)
        last = Receipts(register, "test").last(Stage.PULL, SOURCE)
        register.close()
        return done.status, last.body["position"]["by"] if last else ""

    def same(self) -> bool:
        """Whether the city holds what the county publishes in the divisions of the grant."""
        names = ("division_code", "town_name", "sex", "county_name")
        columns = zip(*(self.county.values(PERSONS, name) for name in names), strict=True)
        wanted = sorted(row[1:] for row in columns if row[0].startswith(("341502", "341503")))
        held = sorted((row["town_name"], row["sex"], row["county_name"]) for row in self.city.state().values())
        return bool(held == wanted)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    for module in (server, files):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    with ExitStack() as service:
        yield Pair(tmp_path, service)


@pytest.mark.long
@pytest.mark.server
def test_the_city_holds_what_the_county_publishes_every_day(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A day a line: what happens, how the rows come, and why not by changes."""

    def withdrawn() -> None:
        pair.publish(60)
        pair.county.withdraw(PERSONS)
        pair.publish(58, gone=3)

    def rotated() -> None:
        pair.publish(57, gone=4)
        epochs.rotate(pair.county.register, NAME, "年度更换", actor=GUARD, zone=ZONE)

    def wider() -> None:
        (given,) = administration.list_grants(pair.county.register, NAME)
        administration.revoke_grant(pair.county.register, given.id, actor=STEWARD)
        pair.county.grant(
            NAME, divisions=["341502", "341503"], columns=["person_ref", "town_name", "sex", "county_name"]
        )

    def lost() -> None:
        pair.publish(59, gone=4)
        raw = pair.city.settings.lake.raw(*SOURCE.split("/"))
        max(raw.glob("[0-9]*/rows.parquet"), key=lambda file: int(file.parent.name)).unlink()

    def restarted() -> None:
        pair.publish(61, gone=5, moved=2)
        pair.again()

    days: list[tuple[Callable[[], None], str, str, str]] = [
        (lambda: None, "admitted", "snapshot", ""),
        (lambda: None, "unchanged", "snapshot", ""),
        (lambda: pair.publish(44, moved=6), "admitted", "changes", ""),
        (lambda: pair.publish(44, gone=2, moved=9), "admitted", "changes", ""),
        (lambda: [pair.publish(45 + day, gone=2) for day in range(4)] and None, "admitted", "changes", ""),
        (restarted, "admitted", "changes", ""),
        (withdrawn, "admitted", "snapshot", "400"),
        (lambda: pair.publish(58, gone=3, moved=5), "admitted", "changes", ""),
        (rotated, "admitted", "snapshot", "first"),
        # read before the epoch, for all anybody knows
        (lambda: pair.publish(58, gone=4), "admitted", "snapshot", "400"),
        (lambda: pair.publish(59, gone=4, moved=3), "admitted", "changes", ""),
        (wider, "admitted", "snapshot", "first"),
        (lost, "admitted", "snapshot", "kept"),
        (lambda: pair.publish(59, gone=6), "admitted", "changes", ""),
    ]
    for number, (happens, status, by, why) in enumerate(days):
        caplog.clear()
        happens()
        assert pair.pulled() == (status, by), number
        assert pair.same(), number
        assert [f"（{why}）" in record.getMessage() for record in caplog.records if "exchange" in record.name] == (
            [True] if why else []
        ), (number, caplog.messages)
    assert not list(pair.city.settings.lake.scratch().rglob("*.parquet"))


@pytest.mark.server
def test_a_pull_that_fails_on_the_way_goes_on_from_the_same_version(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.pulled()
    pair.publish(43, gone=1)

    def killed(*_: Any) -> int:
        raise OSError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(follow, "write_file", killed)
        assert pair.city.run().status == "failed"
    pair.publish(45, gone=2)
    assert pair.pulled() == ("admitted", "changes") and pair.same()


@pytest.mark.server
def test_a_feed_that_does_not_lead_there_is_not_followed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changed what is kept: rows, or a value of one that stays, which no count would tell."""

    def other_value(kept: pa.Table) -> pa.Table:
        rows = kept.to_pylist()
        rows[-1]["town_name"] = "改过的镇"
        return pa.Table.from_pylist(rows, kept.schema)

    pair.pulled()
    raw = pair.city.settings.lake.raw(*SOURCE.split("/"))
    changes = [lambda kept: kept.slice(1), lambda kept: pa.concat_tables([kept, kept.slice(0, 1)]), other_value]
    for batch, changed in enumerate(changes, 1):
        file = raw / str(batch) / "rows.parquet"
        pq.write_table(changed(pq.read_table(file)), file)
        pair.publish(42 + batch, gone=batch)
        assert pair.pulled()[1] == "snapshot" and pair.same()


class Told:
    """A server whose feed and list of files say what a test wants them to."""

    def __init__(self, table: SharedTable, rows: int) -> None:
        self.table, self.rows = table, rows

    def query(self) -> tuple[SharedTable, list[SharedFile]]:
        return self.table, [SharedFile("1", "", 0, self.rows, None, {})]


@pytest.mark.long
def test_kept_rows_and_drawn_changes_are_the_new_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are there more than once, empty values, several steps, rows that come and go again."""
    seed = seed_from_clock()
    chance = random.Random(seed)
    types = {"a": "VARCHAR", "b": "BIGINT", "c": "DOUBLE"}
    table = SharedTable("t", 9, types, ())
    schema = pa.schema([("a", pa.string()), ("b", pa.int64()), ("c", pa.float64())])

    def drawn(count: int) -> list[tuple[Any, ...]]:
        numbers = (0.0, 1.5, float("nan"), None)
        return [
            (chance.choice(("x", "", None)), chance.choice((1, None)), chance.choice(numbers)) for _ in range(count)
        ]

    def written(rows: list[tuple[Any, ...]], name: str, kinds: list[str] | None = None) -> Path:
        columns = [pa.array([row[place] for row in rows], kind.type) for place, kind in enumerate(schema)]
        made = pa.table(columns, schema)
        made = made if kinds is None else made.append_column("_change_type", pa.array(kinds, pa.string()))
        pq.write_table(made, tmp_path / name)
        return tmp_path / name

    for number in range(40):
        rows = drawn(chance.randrange(12))
        kept, parts = written(rows, "kept.parquet"), list[Part]()
        for step in range(chance.randrange(1, 4)):
            went, came = chance.sample(rows, chance.randrange(len(rows) + 1)), drawn(chance.randrange(4))
            for row in went:
                rows.remove(row)
            rows += came
            kinds = [chance.choice(follow.WENT) for _ in went] + [chance.choice(follow.CAME) for _ in came]
            if went and not came and chance.random() < 0.5:
                parts.append(Part(written(went, f"{step}.parquet"), None, {}, "delete"))
            elif kinds:
                parts.append(Part(written(went + came, f"{step}.parquet", kinds), None, {}, "changes"))
        target = tmp_path / "target.parquet"
        monkeypatch.setattr(follow, "download", lambda *_, parts=parts: (table, parts))
        position = {"version": 8, "shape": follow.shape(table)}
        request = Request(target, tmp_path, str, "", (), (), tmp_path, position, previous=lambda kept=kept: kept)
        told: Any = Told(table, len(rows))
        assert follow.followed(request, told, table, tmp_path) == len(rows), (seed, number)
        got = duckdb.sql(f"SELECT * FROM read_parquet('{target}')").fetchall()
        assert sorted(map(repr, got)) == sorted(map(repr, rows)), (seed, number)
        for wrong in (Told(table, len(rows) + 1), Told(replace(table, version=10), len(rows))):
            with pytest.raises(NoFeed):
                follow.followed(request, wrong, table, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("kinds", [["update_before", "update_after"], ["delete", None], None])
def test_a_change_of_a_kind_that_is_not_known_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: list[str | None] | None
) -> None:
    """As many rows come as go, so that no count would tell it."""
    table = SharedTable("t", 9, {"a": "VARCHAR"}, ())
    kept, changes = tmp_path / "kept.parquet", tmp_path / "changes.parquet"
    pq.write_table(pa.table({"a": ["旧", "x"]}), kept)
    told = pa.table({"a": ["旧", "新"]})
    pq.write_table(told if kinds is None else told.append_column(follow.CHANGE, pa.array(kinds, pa.string())), changes)
    monkeypatch.setattr(follow, "download", lambda *_: (table, [Part(changes, None, {}, "changes")]))
    position = {"version": 8, "shape": follow.shape(table)}
    request = Request(tmp_path / "target.parquet", tmp_path, str, "", (), (), tmp_path, position, previous=lambda: kept)
    server: Any = Told(table, 1 if kinds and None in kinds else 2)
    with pytest.raises(NoFeed, match="kinds"):
        follow.followed(request, server, table, tmp_path)
