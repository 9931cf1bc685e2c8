"""Reading on from a position on every engine: single cursors as on PostgreSQL, and composite ones against a plain model
of them: late rows, ties, changes, rows without a time and of the future, restarts that forget a pull."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import Cursor
from pipelines.messages import CitylakeError
from simulator.server import Server
from tests.connectors.conftest import Puller
from tests.connectors.databases import Engine, MariaDB, mysql_engine, postgres_engine, sqlite_engine
from tests.draws import draws

pytestmark = pytest.mark.server

WAYS = ["postgresql", "postgresql+psycopg", "mysql", "mysql+pymysql", "sqlite"]


@pytest.fixture(scope="module", params=WAYS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    scheme, folder = request.param, tmp_path_factory.mktemp("server")
    if scheme == "sqlite":
        yield sqlite_engine(folder)
        return
    server: Server | MariaDB = Server(folder) if scheme.startswith("postgresql") else MariaDB(folder)
    if isinstance(server, Server):
        server.start()
        yield postgres_engine(server, scheme)
    else:
        yield mysql_engine(server, scheme)
    server.stop()


def ids(found: Puller, engine: Engine) -> list[int] | None:
    rows = found.pull(table=engine.table, columns=["id"])
    return None if rows is None else sorted(int(row["id"]) for row in rows)


CASES = [
    ("time", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00"], 3600, "9999-12-31 00:00:00"),
    ("date", ["2026-01-01", "2026-01-02", "2026-01-03"], 1, "9999-12-31"),
    ("bigint", ["9", "10", "11"], 1, None),
    ("varchar(30)", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00"], 3600, "9999-99-99 00:00:00"),
    ("varchar(30)", ["20260101100000", "20260101110000", "20260101120000"], 3600, "今天"),
    ("varchar(30)", ["2026-01-01", "2026-01-02", "2026-01-03"], 1, "2026/01/05"),
    ("char(26)", ["2026-01-01 10:00:00.000001", "2026-01-01 11:00:00.000000", "2026-01-01 12:00:00.999999"], 3601, " "),
]


@pytest.mark.long
@pytest.mark.parametrize(("type_", "values", "overlap", "wrong"), CASES)
def test_from_the_position_on_with_an_overlap(
    engine: Engine, puller: Callable[..., Puller], type_: str, values: list[str], overlap: int, wrong: str | None
) -> None:
    shown = [value if type_ == "bigint" else f"'{value}'" for value in values]
    engine.fill({"id": "integer", "changed": type_}, [[str(n), value] for n, value in enumerate(shown, 1)])
    found = puller("database", engine.address, ["id", "changed"], Cursor("changed", overlap))
    assert ids(found, engine) == [1, 2, 3]
    assert ids(found, engine) == [2, 3]
    engine.add([["4", shown[1]], ["5", shown[0]], ["6", "NULL"]])  # late within the overlap, too late, without a value
    assert ids(found, engine) == [2, 3, 4, 6]
    if wrong is not None:
        engine.add([["7", f"'{wrong}'"]])
        assert ids(found, engine) == [2, 3, 4, 6, 7]
        assert ids(found, engine) == [2, 3, 4, 6, 7]


def test_a_type_without_order_is_said(engine: Engine, puller: Callable[..., Puller]) -> None:
    engine.fill({"id": "integer", "changed": "binary"}, [])
    found = puller("database", engine.address, ["id"], Cursor("changed", 0))
    with pytest.raises(CitylakeError) as caught:
        ids(found, engine)
    assert caught.value.code == "pull.cursor_type"


def test_an_empty_table_has_nothing_new(engine: Engine, puller: Callable[..., Puller]) -> None:
    engine.fill({"id": "integer", "changed": "time"}, [])
    assert ids(puller("database", engine.address, ["id"], Cursor("changed", 0)), engine) is None


def test_a_zero_date_comes_each_time(engine: Engine, puller: Callable[..., Puller]) -> None:
    """As a NULL does: it says as little. Only MySQL has it as a time, SQLite as a text; SQLAlchemy knows of neither."""
    if engine.name == "mysql+pymysql":
        return
    if engine.name.startswith("postgresql"):
        with pytest.raises(Exception, match="out of range"):
            engine.fill({"id": "integer", "changed": "time"}, [["1", "'0000-00-00 00:00:00'"]])
        return
    rows = [["1", "'2026-01-01 00:00:00'"], ["2", "'0000-00-00 00:00:00'"], ["3", "'2026-02-01 00:00:00'"]]
    engine.fill({"id": "integer", "changed": "datetime"}, rows)
    found = puller("database", engine.address, ["id"], Cursor("changed", 0))
    assert [ids(found, engine) for _ in range(3)] == [[1, 2, 3], [2, 3], [2, 3]]


def test_a_mysql_timestamp_goes_on_whatever_the_zone_of_the_server(
    engine: Engine, puller: Callable[..., Puller]
) -> None:
    if engine.name != "mysql":
        return
    rows = [["1", "'2026-01-01 10:00:00'"], ["2", "'2026-01-01 11:00:00'"], ["3", "'2026-01-01 12:00:00'"]]
    engine.fill({"id": "integer", "changed": "timestamp NULL"}, rows)
    found = puller("database", engine.address, ["id"], Cursor("changed", 3600))
    assert [ids(found, engine) for _ in range(3)] == [[1, 2, 3], [2, 3], [2, 3]]
    assert found.position == {"value": "2026-01-01 04:00:00+00"}


START = datetime(2026, 1, 1)
OVERLAPS = st.sampled_from([0, 0, 2])
MOMENTS = st.none() | st.integers(0, 6) | st.just(10**10)
"""Seconds after the start; None says nothing, the last lies in the future."""


@dataclass(frozen=True)
class Step:
    """Rows written (number -> moment, tie-breaker), rows removed, and whether the pull is remembered."""

    written: dict[int, tuple[int | None, int | None]]
    removed: frozenset[int]
    kept: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.dictionaries(st.integers(1, 8), st.tuples(MOMENTS, st.none() | st.integers(-2, 3)), max_size=5),
        st.frozensets(st.integers(1, 8), max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@dataclass
class Model:
    """What a composite cursor is: all rows above the position, or from the overlap on, and those that say nothing."""

    overlap: int
    rows: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    position: tuple[int, int] | None = None

    def pull(self, kept: bool) -> list[int] | None:
        came = {number: row for number, row in self.rows.items() if self._wanted(row)}
        if not came:
            return None
        usable = [(at, n) for at, n in came.values() if at is not None and n is not None and at < 10**10]
        if kept and usable:
            self.position = max(usable)
        return sorted(came)

    def _wanted(self, row: tuple[int | None, int | None]) -> bool:
        at, number = row
        if self.position is None or at is None or number is None:
            return True
        return at >= self.position[0] - self.overlap if self.overlap else (at, number) > self.position


def moment(at: int | None) -> str:
    if at is None:
        return "NULL"
    return "'9999-12-31 00:00:00'" if at == 10**10 else f"'{START + timedelta(seconds=at)}'"


@pytest.mark.long
@settings(max_examples=draws(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(overlap=OVERLAPS, steps=STEPS)
def test_a_composite_cursor_brings_what_its_model_says(engine: Engine, overlap: int, steps: list[Step]) -> None:
    engine.fill({"id": "integer", "changed": "time", "number": "integer"}, [])
    model = Model(overlap)
    with tempfile.TemporaryDirectory() as folder:
        cursor = Cursor("changed", overlap, ("number",))
        found = Puller(Path(folder), "database", engine.address, ["id"], cursor)
        for step in steps:
            gone = step.removed | step.written.keys()
            if gone:
                engine.run(f"DELETE FROM {engine.table} WHERE id IN ({', '.join(map(str, gone))})")
            model.rows = {number: row for number, row in model.rows.items() if number not in gone} | step.written
            engine.add(
                [[str(id_), moment(at), "NULL" if n is None else str(n)] for id_, (at, n) in step.written.items()]
            )
            assert found_again(found, engine, step.kept) == model.pull(step.kept)


def found_again(found: Puller, engine: Engine, kept: bool) -> list[int] | None:
    rows = found.pull(keep=kept, table=engine.table, columns=["id"])
    return None if rows is None else sorted(int(row["id"]) for row in rows)


@pytest.mark.long
@settings(max_examples=draws(4), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_rows_that_come_in_order_come_once(engine: Engine, steps: list[Step]) -> None:
    """Without late rows a composite cursor misses none and repeats none, however many share a moment."""
    engine.fill({"id": "integer", "changed": "time", "number": "integer"}, [])
    at, number, came = 0, 0, list[int]()
    with tempfile.TemporaryDirectory() as folder:
        found = Puller(Path(folder), "database", engine.address, ["id"], Cursor("changed", 0, ("number",)))
        for step in steps:
            new = []
            for tie in step.written:
                number, at = number + 1, at + (tie % 2)
                new.append([str(number), moment(at), str(number)])
            engine.add(new)
            rows = found_again(found, engine, step.kept) or []
            came += rows if step.kept else []
        came += found_again(found, engine, True) or []
    assert came == list(range(1, number + 1))
