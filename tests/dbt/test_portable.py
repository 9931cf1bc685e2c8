"""The portable macros, evaluated through dbt on DuckDB; tests/slow/test_sail.py asks the second engine the same."""

from court import City

AGES = """
select birth, as_of, {{ age_years('birth', 'as_of') }} as age,
    {{ age_band(age_years('birth', 'as_of')) }} as band from (
    select cast('2000-02-29' as date) as birth, cast('2026-02-28' as date) as as_of
    union all select cast('2000-02-29' as date), cast('2026-03-01' as date)
    union all select cast('2000-11-01' as date), cast('2026-11-01' as date)
    union all select cast('2000-11-02' as date), cast('2026-11-01' as date)
    union all select cast('2026-11-01' as date), cast('2026-11-01' as date)
    union all select cast('1926-11-01' as date), cast('2026-11-01' as date)
    union all select cast('2027-11-01' as date), cast('2026-11-01' as date)
    union all select cast(null as date), cast('2026-11-01' as date)
) t
"""


def test_ages_and_bands(city: City) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = AGES
    result = city.build(["mart_court__urgent"])
    found = {(str(row[0]), str(row[1])[5:]): row[2:] for row in city.candidate_rows(result, "mart_court__urgent")}
    assert found == {
        ("2000-02-29", "02-28"): (25, "25-29"),
        ("2000-02-29", "03-01"): (26, "25-29"),
        ("2000-11-01", "11-01"): (26, "25-29"),
        ("2000-11-02", "11-01"): (25, "25-29"),
        ("2026-11-01", "11-01"): (0, "00-04"),
        ("1926-11-01", "11-01"): (100, "85+"),
        ("2027-11-01", "11-01"): (-1, None),
        ("None", "11-01"): (None, None),
    }
