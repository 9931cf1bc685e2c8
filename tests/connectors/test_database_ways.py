"""One table through every engine: the same text cells in raw, and the same answers when something is wrong."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines.connectors.base import connectors
from pipelines.messages import CitylakeError
from tests.connectors.conftest import Puller
from tests.connectors.databases import Engine, MariaDB, mysql_engine, postgres_engine, sqlite_engine

pytestmark = pytest.mark.server

WAYS = ["postgresql", "postgresql+psycopg", "mysql", "mariadb", "mysql+pymysql", "sqlite", "sqlite+pysqlite"]
COLUMNS = {
    "id": "integer", "name": "text", "amount": "decimal", "big": "bigint", "born": "date", "at": "time",
    "ratio": "double", "photo": "binary", "code": "varchar(18)",
}  # fmt: skip
ROWS = [
    ["1", "'𠮷野家😀'", "'1234567890123456789012345678.0123456789'", "9223372036854775807", "'2026-02-28'",
     "'2026-01-01 10:00:00.123456'", "0.1", "", "'007'"],
    ["2", "''", "'-0.0000000001'", "-9223372036854775807", "'0987-01-01'", "'1999-12-31 23:59:59.500000'", "-2.5", "",
     "'34150220050101001X'"],
    ["3", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "", "NULL"],
    ["4", "'换行\n，\"引号\" ''单'' \t'", "'0.0000000000'", "0", "'2026-12-31'", "'2026-01-01 00:00:00.000001'",
     "1234.5678", "", "' x '"],
]  # fmt: skip
BINARY = [b"\x00\xff'\\", b"", None, b"\x41"]
SHOWN = [
    ("1", "𠮷野家😀", "1234567890123456789012345678.0123456789", "9223372036854775807", "2026-02-28",
     "2026-01-01 10:00:00.123456", "0.1", "00ff275c", "007"),
    ("2", "", "-0.0000000001", "-9223372036854775807", "0987-01-01", "1999-12-31 23:59:59.5", "-2.5", "",
     "34150220050101001X"),
    ("3", None, None, None, None, None, None, None, None),
    ("4", "换行\n，\"引号\" '单' \t", "0.0000000000", "0", "2026-12-31", "2026-01-01 00:00:00.000001", "1234.5678",
     "41", " x "),
]  # fmt: skip


@pytest.fixture(params=WAYS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    scheme = request.param
    if scheme.startswith("postgresql"):
        return postgres_engine(request.getfixturevalue("postgres"), scheme)
    if scheme.startswith("sqlite"):
        return sqlite_engine(tmp_path, scheme)
    return mysql_engine(request.getfixturevalue("mariadb"), scheme)


Make = Callable[..., Puller]


def filled(engine: Engine) -> None:
    rows = [list(row) for row in ROWS]
    for row, content in zip(rows, BINARY, strict=True):
        row[7] = "NULL" if content is None else engine.binary(content)
    engine.fill(COLUMNS, rows)


def refusal(found: Puller, **arguments: str) -> CitylakeError:
    with pytest.raises(CitylakeError) as caught:
        found.pull(**arguments)
    return caught.value


def test_the_same_table_gives_the_same_cells(engine: Engine, puller: Make) -> None:
    filled(engine)
    found = puller("database", engine.address, list(COLUMNS))
    request = found.request()
    pulled = connectors["database"].function(request, connection="source", table=engine.table)
    assert pulled is not None
    assert (pulled.rows, pulled.columns, pulled.origin) == (4, tuple(COLUMNS), f"source:{engine.table}")
    # A time has as many digits of a second as its engine shows; where zeros end it they say nothing.
    shown = ", ".join(
        "regexp_replace(\"at\"::VARCHAR, '(\\.[0-9]*[1-9])0+$', '\\1')" if name == "at" else f'"{name}"::VARCHAR'
        for name in COLUMNS
    )
    rows = duckdb.sql(f"SELECT {shown} FROM '{request.target}' ORDER BY 1").fetchall()
    assert rows == SHOWN


def test_a_dropped_column_is_named(engine: Engine, puller: Make) -> None:
    filled(engine)
    error = refusal(puller("database", engine.address, ["id", "gone"]), table=engine.table)
    assert error.code == "pull.columns_missing"
    assert (error.arguments["missing"], "“name”" in str(error.arguments["extra"])) == ("“gone”", True)


@pytest.mark.long
@pytest.mark.parametrize("table", ["nowhere", "no.where", "t; DROP TABLE t", "t` x", 't" x', "t' x"])
def test_a_table_that_is_none_is_said(engine: Engine, puller: Make, table: str) -> None:
    filled(engine)
    error = refusal(puller("database", engine.address, ["id"]), table=table)
    assert error.code in ("pull.no_table", "pull.unreachable")
    assert engine.run(f"SELECT count(*) FROM {engine.table}")[0][0] == 4


def test_names_may_be_anything(engine: Engine, puller: Make) -> None:
    quoted = "`" if engine.name.startswith(("mysql", "mariadb")) else '"'
    odd = [f"{quoted}{name}{quoted}" for name in ("编号", "a b%s:c", "select")]
    engine.fill(dict.fromkeys(odd, "integer"), [["1", "2", "3"]])
    rows = puller("database", engine.address, ["编号"]).pull(table=engine.table)
    assert rows is not None
    assert [{name: str(value) for name, value in row.items()} for row in rows] == [
        {"编号": "1", "a b%s:c": "2", "select": "3"}
    ]


def test_an_empty_table_has_its_columns(engine: Engine, puller: Make) -> None:
    engine.fill(COLUMNS, [])
    found = puller("database", engine.address, list(COLUMNS))
    assert found.pull(table=engine.table) == []
    assert found.pulled is not None
    assert found.pulled.columns == tuple(COLUMNS)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql"])
@pytest.mark.parametrize("secret", ["wr@ng' p/ss", "simple-secret"])
def test_a_wrong_password_is_told_to_nobody(mariadb: MariaDB, puller: Make, scheme: str, secret: str) -> None:
    address = mariadb.address(scheme, secret)
    error = refusal(puller("database", address, ["id"]), table="t")
    assert error.code == "pull.unreachable"
    for part in (secret, "wr%40ng", "wr@ng", "simple-secret", address):
        assert part not in str(error)


@pytest.mark.parametrize(
    ("address", "package"),
    [
        ("oracle+oracledb://reader:secret-word@127.0.0.1:1/x", "oracledb"),
        ("mssql+pymssql://reader:secret-word@127.0.0.1:1/x", "pymssql"),
        ("dm+dmPython://reader:secret-word@127.0.0.1:1/x", "dmSQLAlchemy"),
        ("dm://reader:secret-word@127.0.0.1:1/x", "dmSQLAlchemy"),
        ("kingbase://reader:secret-word@127.0.0.1:1/x", "ksycopg2"),
        ("nothing+known://reader:secret-word@127.0.0.1:1/x", "—"),
    ],
)
def test_a_missing_driver_is_named(puller: Make, address: str, package: str) -> None:
    error = refusal(puller("database", address, ["id"]), table="a.t")
    assert (error.code, error.arguments["package"]) == ("pull.no_driver", package)
    assert "secret-word" not in str(error)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://reader:secret-word@127.0.0.1:1/x",
        "mysql://reader:secret-word@127.0.0.1:port/x",
        "mysql+pymysql://reader:secret-word@127.0.0.1:1/x",
        "mysql://reader:secret-word@[::1/x",
        "sqlite:///relative.db",
        "sqlite:////nowhere/at all.db",
        "sqlite://",
        "mysql+pymysql:///?password=secret-word&read_default_file=x",
    ],
)
def test_a_connection_that_leads_nowhere_is_said(puller: Make, address: str) -> None:
    error = refusal(puller("database", address, ["id"]), table="t")
    assert error.code == "pull.unreachable"
    assert "secret-word" not in str(error)


def test_an_unknown_option_is_named_without_its_value(puller: Make) -> None:
    error = refusal(puller("database", "mysql://r:x@127.0.0.1:1/x?passwort=secret-word", ["id"]), table="t")
    assert (error.code, error.arguments["option"]) == ("pull.database_option", "passwort")
    assert "secret-word" not in str(error)
