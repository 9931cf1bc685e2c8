"""Local times of a city as instants and back, as SQL expressions that DuckDB runs vectorised.

Belongs here: TIMESTAMP to TIMESTAMPTZ and the other way. Texts of times are read in `cleaning`.
"""

from functools import cache

import duckdb

from pipelines.codecs.sql import literal

_DAYS = "range(TIMESTAMP '1980-01-01', TIMESTAMP '2038-01-01', INTERVAL 1 DAY)"
END = "TIMESTAMP '2038-01-01'"


def instant(local: str, zone: str) -> str:
    """The instant of a local time. A calendar is asked only for the years in which the zone moved its clocks.

    DuckDB's timezone() works out the calendar of each value, for 120 ns; China's clocks stand still since 1991.
    """
    since, ahead = still_since(zone)
    steady = f"{local} >= TIMESTAMP {literal(since)} AND {local} < {END}"
    moved = f"make_timestamptz(epoch_us({local}) - ({ahead}))"
    return f"CASE WHEN {steady} THEN {moved} ELSE timezone({literal(zone)}, {local}) END"


def local(moment: str, zone: str) -> str:
    """The local time of an instant, by the same arithmetic: to ask the calendar costs 120 ns here too."""
    since, ahead = still_since(zone)
    first, end = (f"make_timestamptz(epoch_us({bound}) - ({ahead}))" for bound in (f"TIMESTAMP {literal(since)}", END))
    moved = f"make_timestamp(epoch_us({moment}) + ({ahead}))"
    return (
        f"CASE WHEN {moment} >= {first} AND {moment} < {end} THEN {moved} ELSE timezone({literal(zone)}, {moment}) END"
    )


def of_our_era(moment: str) -> str:
    """An instant, NULL for one outside the years 1 to 9999 of UTC: hardly a program could read it."""
    bounds = (f"TIMESTAMPTZ '{text}+00'" for text in ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"))
    return f"CASE WHEN {moment} BETWEEN {' AND '.join(bounds)} THEN {moment} END"


@cache
def still_since(zone: str) -> tuple[str, int]:
    """The local time since which the clocks of a zone do not move, and the microseconds that they are ahead of UTC, by
    DuckDB's own calendar."""
    ahead = f"epoch_us(day) - epoch_us(timezone({literal(zone)}, day))"
    offsets = f"SELECT day, {ahead} AS ahead, last_value({ahead}) OVER (ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING "
    offsets += f"AND UNBOUNDED FOLLOWING) AS now FROM (SELECT unnest({_DAYS}) AS day)"
    moved = "coalesce(max(day) FILTER (ahead <> now) + INTERVAL 2 DAY, min(day))"  # clocks also skip and repeat hours
    with duckdb.connect() as con:
        row = con.execute(f"SELECT strftime({moved}, '%Y-%m-%d'), any_value(now) FROM ({offsets})").fetchone()
    assert row is not None
    return str(row[0]), int(row[1])
