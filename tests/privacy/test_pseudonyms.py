"""The SQL function `pseudonym`: the keyed hash, row by row, under one key."""

import duckdb
import pyarrow as pa

from pipelines.codecs.sm3 import keyed_hash
from pipelines.privacy.masks import masks
from pipelines.privacy.pseudonyms import register

KEY, OTHER = b"k" * 32, b"o" * 32


def test_it_is_the_keyed_hash_of_each_value() -> None:
    con = duckdb.connect()
    register(con, KEY)
    values = ["110105194912310021", None, "", "张三"]
    con.register("given", pa.table({"place": range(4), "value": values}))
    mask = masks["pseudonym"].function("value")
    found = con.execute(f"SELECT {mask} FROM given ORDER BY place").fetchall()
    assert [row[0] for row in found] == keyed_hash(KEY, pa.array(values)).to_pylist()
    assert found[1] == (None,)


def test_constants_and_empty_tables() -> None:
    con = duckdb.connect()
    register(con, KEY)
    assert con.execute("SELECT pseudonym(NULL)").fetchall() == [(None,)]
    assert con.execute("SELECT pseudonym(a) FROM (SELECT 'x' AS a) WHERE false").fetchall() == []


def test_many_rows_come_back_in_their_places() -> None:
    con = duckdb.connect()
    register(con, KEY)
    con.execute("CREATE TABLE t AS SELECT range AS i, range::VARCHAR AS v FROM range(10000)")
    found = con.execute("SELECT i, pseudonym(v) FROM t WHERE i % 1777 = 0 ORDER BY i").fetchall()
    assert found == [(i, keyed_hash(KEY, pa.array([str(i)]))[0].as_py()) for i, _ in found]


def test_another_key_gives_another_pseudonym_even_with_an_open_result() -> None:
    con = duckdb.connect()
    register(con, KEY)
    first = con.execute("SELECT pseudonym('a') FROM range(3)").fetchone()
    register(con, OTHER)
    second = con.execute("SELECT pseudonym('a')").fetchone()
    assert first and second and first != second
