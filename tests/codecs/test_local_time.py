"""Local times become the instants that DuckDB's calendar says, and instants local times, whether or not it is asked."""

from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.codecs.local_time import instant, local
from pipelines.codecs.sql import literal

ZONES = ("Asia/Shanghai", "Europe/Berlin", "Asia/Pyongyang", "America/Sao_Paulo", "UTC")


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(start=st.datetimes(datetime(1900, 1, 1), datetime(2060, 1, 1)), zone=st.sampled_from(ZONES))
@example(datetime(1991, 9, 13), "Asia/Shanghai")
@example(datetime(2018, 5, 3, 20), "Asia/Pyongyang")
@example(datetime(2037, 12, 30), "Asia/Shanghai")
@settings(max_examples=60, deadline=None)
def test_every_hour_of_a_week_is_the_calendars(con: duckdb.DuckDBPyConnection, start: datetime, zone: str) -> None:
    hours = f"range(TIMESTAMP '{start}', TIMESTAMP '{start + timedelta(days=7)}', INTERVAL 13 MINUTE)"
    to_instant = f"{instant('t', zone)} IS DISTINCT FROM timezone({literal(zone)}, t)"
    to_local = f"{local('m', zone)} IS DISTINCT FROM timezone({literal(zone)}, m)"
    moments = f"SELECT t, make_timestamptz(epoch_us(t)) AS m FROM (SELECT unnest({hours}) AS t)"
    assert con.execute(f"SELECT count(*) FROM ({moments}) WHERE {to_instant} OR {to_local}").fetchone() == (0,)


@pytest.mark.parametrize("value", ["NULL", "TIMESTAMP 'infinity'", "TIMESTAMP '-infinity'"])
def test_what_is_no_moment_stays_none(con: duckdb.DuckDBPyConnection, value: str) -> None:
    same = f"{instant('t', 'Asia/Shanghai')} IS NOT DISTINCT FROM timezone('Asia/Shanghai', t)"
    assert con.execute(f"SELECT {same} FROM (SELECT {value}::TIMESTAMP AS t)").fetchone() == (True,)
    same = f"{local('m', 'Asia/Shanghai')} IS NOT DISTINCT FROM timezone('Asia/Shanghai', m)"
    assert con.execute(f"SELECT {same} FROM (SELECT {value}::TIMESTAMPTZ AS m)").fetchone() == (True,)
