"""Air values and statistics without any server: calibrated, the same every time, wrong only where it is on record."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from simulator import air, air_feed, macro, macro_feed
from simulator.dirt import DirtRates, Planted
from simulator.population import households

SEED = 341500
FIRST_DAY = date(2026, 1, 1)
NO_DIRT = DirtRates(0, 0, 0, 0, 0, 0, 0, 0, 0)
Message = tuple[str, str]


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


@pytest.fixture(scope="module")
def year() -> list[dict[str, list[list[float]]]]:
    """For every day and pollutant the values of all stations, hour by hour."""
    found = []
    for number in range(365):
        hours = [[air.reading(SEED, station, day(number), hour) for station in air.stations()] for hour in range(24)]
        found.append(
            {
                name: [[float(one[name]) for one in hour if one[name] is not None] for hour in hours]
                for name in air.POLLUTANTS
            }
        )
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def daily(hours: list[list[float]]) -> float:
    return mean([value for hour in hours for value in hour])


def test_the_year_is_like_the_published_one(year: list[dict[str, list[list[float]]]]) -> None:
    def is_good(values: dict[str, list[list[float]]]) -> bool:
        ozone = [mean(hour) for hour in values["o3"]]
        eight_hours = max(mean(ozone[start : start + 8]) for start in range(17))
        limits = {"pm25": 75, "pm10": 150, "so2": 150, "no2": 80, "co": 4}
        return eight_hours <= 160 and all(daily(values[name]) <= limit for name, limit in limits.items())

    assert 31 < mean([daily(values["pm25"]) for values in year]) < 36
    assert 0.82 < sum(map(is_good, year)) / 365 < 0.90


def test_winter_is_hazy_summer_has_ozone_and_afternoons_more_of_it(year: list[dict[str, list[list[float]]]]) -> None:
    winter, summer = [*year[:59], *year[-31:]], year[151:243]

    assert mean([daily(values["pm25"]) for values in winter]) > 2 * mean([daily(values["pm25"]) for values in summer])
    assert mean([daily(values["o3"]) for values in summer]) > 1.5 * mean([daily(values["o3"]) for values in winter])
    assert all(mean(values["o3"][15]) > mean(values["o3"][5]) for values in summer)


def test_faulty_hours_lack_some_values_but_never_all() -> None:
    readings = [
        air.reading(SEED, station, day(n), hour) for n in range(60) for station in air.stations() for hour in range(24)
    ]
    flagged = [one for one in readings if one["flag"] != "N"]

    assert 0.004 < len(flagged) / len(readings) < 0.014
    assert all(1 <= sum(one[name] is None for name in air.POLLUTANTS) <= 3 for one in flagged)
    assert not any(None in one.values() for one in readings if one["flag"] == "N")


def test_the_same_seed_sends_the_same_messages() -> None:
    for number in range(3):
        sent = air_feed.messages(SEED, DirtRates(), day(number))
        assert sent == air_feed.messages(SEED, DirtRates(), day(number))
        assert sent != air_feed.messages(SEED + 1, DirtRates(), day(number))


def test_without_dirt_every_hour_of_every_station_is_sent_once_from_a_week_before() -> None:
    sent = [message for number in range(4) for message in air_feed.messages(SEED, NO_DIRT, day(number))]
    bodies = [json.loads(body) for _, body in sent]
    hours = Counter((one["station"], one["ts"]) for one in bodies)
    begin = datetime(2025, 12, 25)
    wanted = {
        (station, f"{(begin + timedelta(hours=hour)).isoformat()}+08:00")
        for station in air.stations()
        for hour in range(24 * 9)
    }

    assert wanted <= hours.keys() and set(hours.values()) == {1}
    assert all(topic == f"luan/air/{one['station']}/hour" for (topic, _), one in zip(sent, bodies, strict=True))
    assert all(
        list(one) == ["station", "ts", "so2", "no2", "co", "o3", "pm10", "pm25", "flag", "t", "rh"] for one in bodies
    )
    assert not air_feed.planted(SEED, NO_DIRT, FIRST_DAY)


def test_some_messages_are_late_by_a_day_or_two() -> None:
    lateness: Counter[int] = Counter()
    for number in range(1, 8):
        for _, body in air_feed.messages(SEED, NO_DIRT, day(number)):
            lateness[(day(number) - date.fromisoformat(json.loads(body)["ts"][:10])).days] += 1

    assert set(lateness) == {0, 1, 2}
    assert 5 < lateness[1] + lateness[2] < 40


def is_broken(message: Message) -> bool:
    try:
        json.loads(message[1])
    except ValueError:
        return True
    return False


def shows(check: Callable[[dict[str, object]], bool]) -> Callable[[Message], bool]:
    return lambda message: not is_broken(message) and check(json.loads(message[1]))


def number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


# What a receiver sees of each mistake; written from the description, not from the code that plants it.
SHOWS: dict[tuple[str, str], Callable[[Message], bool]] = {
    ("broken_json", "(message)"): is_broken,
    ("missing", "station"): shows(lambda m: m["station"] in (None, "", "\\N", "暂无", "无")),
    ("missing", "ts"): shows(lambda m: m["ts"] in (None, "", "\\N", "暂无", "无")),
    ("station_unknown", "station"): shows(lambda m: m["station"] == "LA09"),
    ("station_full_width", "station"): shows(lambda m: re.fullmatch("ＬＡ０[１-８]", str(m["station"])) is not None),
    ("moment_is_none", "ts"): shows(lambda m: "T25:00:00" in str(m["ts"])),
    ("clock_runs_ahead", "ts"): shows(lambda m: str(m["ts"]) > "2060"),
    ("pm25_negative", "pm25"): shows(lambda m: number(m["pm25"]) < 0),
    ("pm10_absurd", "pm10"): shows(lambda m: m["pm10"] == 99999),
    ("co_in_micrograms", "co"): shows(lambda m: number(m["co"]) >= 300),
    ("pm25_no_number", "pm25"): shows(lambda m: m["pm25"] in ("ERR", "<LOD", "1.2.3")),
    ("pm25_full_width", "pm25"): shows(lambda m: re.fullmatch("[０-９]+", str(m["pm25"])) is not None),
    ("nothing_measured", "pm25"): shows(lambda m: all(m[name] is None for name in air.POLLUTANTS)),
    ("pm_swapped", "pm25"): shows(lambda m: number(m["pm25"]) > number(m["pm10"])),
    ("flag_unknown", "flag"): shows(lambda m: m["flag"] == "Z"),
    ("flag_word", "flag"): shows(lambda m: m["flag"] in ("正常", "维护", "故障")),
    ("temperature_absurd", "t"): shows(lambda m: m["t"] == -99.9),
    ("humidity_absurd", "rh"): shows(lambda m: m["rh"] == 999),
}


def test_every_mistake_is_sent_as_it_is_on_record_and_nothing_else_is_wrong() -> None:
    sent = air_feed.messages(SEED, DirtRates(), FIRST_DAY)
    clean = air_feed.messages(SEED, NO_DIRT, FIRST_DAY)
    planted = air_feed.planted(SEED, DirtRates(), FIRST_DAY)
    differing = [message for message, count in (Counter(sent) - Counter(clean)).items() for _ in range(count)]

    assert {(entry.defect, entry.column) for entry in planted} == SHOWS.keys() | {("repeated", "(message)")}
    assert len(differing) == len(planted)
    assert len({entry.rybh for entry in planted}) == len(planted)
    for entry in planted:
        of_station = [message for message in differing if message[0] == f"luan/air/{entry.rybh[:4]}/hour"]
        check = SHOWS.get((entry.defect, entry.column), lambda message: message in clean and sent.count(message) == 2)
        assert any(map(check, of_station)), entry


def macro_rows(by: date, rates: DirtRates = NO_DIRT, persons: int = 2_000) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(macro_feed.sheet(SEED, persons, rates, by).decode())))


def test_the_figures_cover_every_indicator_and_all_years() -> None:
    rows = macro_rows(FIRST_DAY)

    assert {row["indicator"] for row in rows} == macro.indicators().keys()
    for code, entry in macro.indicators().items():
        periods = {row["period"] for row in rows if row["indicator"] == code}
        years = {str(year) for year in range(2019, 2025)}
        months = {f"2025-{month:02d}" for month in range(1, 12)}
        quarters = {f"{year}Q{number}" for year in range(2019, 2026) for number in range(1, 5)} - {"2025Q4"}
        assert periods == {"Y": years, "Q": quarters, "M": months}[entry["frequency"]]
    areas = {code: {row["area"] for row in rows if row["indicator"] == code} for code in macro.indicators()}
    assert areas["gdp"] == {"341500"} and areas["digital_core_share_province"] == {"340000"}
    assert areas["resident_population"] == {
        "341500",
        *(["341502", "341503", "341504", "341522", "341523", "341524", "341525"]),
    }


def test_figures_add_up_in_every_revision() -> None:
    values = {
        (row["indicator"], row["area"], row["period"], row["revision"]): float(row["value"])
        for row in macro_rows(date(2027, 1, 1))
    }
    for year in range(2019, 2026):
        for revision in "01":
            sectors = [
                values[f"gdp_{sector}", "341500", str(year), revision]
                for sector in ("primary", "secondary", "tertiary")
            ]
            assert values["gdp", "341500", str(year), revision] == pytest.approx(sum(sectors))
        counties = [
            value for (code, area, period, _), value in values.items()
            if code == "resident_population" and period == str(year) and area != "341500"
        ]  # fmt: skip
        assert values["resident_population", "341500", str(year), "0"] == pytest.approx(sum(counties))
    for year in range(2019, 2026):  # the year as it was first reckoned is what its quarters come to
        quarters = [values["gdp_quarter", "341500", f"{year}Q{number}", "0"] for number in range(1, 5)]
        assert quarters == sorted(quarters) and quarters[-1] == values["gdp", "341500", str(year), "0"]
    totals = [values["retail_sales", "341500", f"2025-{month:02d}", "0"] for month in range(1, 13)]
    assert totals == sorted(totals)


def test_residents_fit_the_simulated_city() -> None:
    persons = 5_000
    registered = Counter(person.division[:6] for home in households(SEED, persons) for person in home)
    residents = macro.residents(persons, 2024)

    assert residents.keys() == registered.keys()
    assert all(1 < residents[county] / count < 1.1 for county, count in registered.items())


def test_revisions_follow_first_releases_and_nothing_is_published_ahead() -> None:
    by = date(2026, 6, 30)
    first: dict[tuple[str, str, str], str] = {}
    for row in macro_rows(by):
        key = (row["indicator"], row["area"], row["period"])
        assert row["published_at"][:10] <= by.isoformat()
        assert (row["revision"] == "0") == (key not in first)
        assert first.setdefault(key, row["published_at"]) <= row["published_at"]


def test_days_only_add_to_the_file() -> None:
    sheets = [macro_feed.sheet(SEED, 2_000, DirtRates(), day(number)) for number in range(32)]

    assert all(later.startswith(earlier) for earlier, later in pairwise(sheets))
    assert len(set(sheets)) > 4


def test_mistakes_of_the_bureau_spare_what_indicators_are_made_of() -> None:
    planted = macro_feed.planted(SEED, 2_000, DirtRates(), FIRST_DAY)
    clean = {tuple(row.values()) for row in macro_rows(FIRST_DAY)}
    shown = Counter(tuple(row.values()) for row in macro_rows(FIRST_DAY, DirtRates()))

    assert len(planted) > 10
    assert sum((shown - Counter(clean)).values()) == len(planted)
    refused = [entry for entry in planted if entry.refusable and entry.kind != "duplicate"]
    assert refused and all(period_of(entry) < "2023" for entry in refused)


def period_of(entry: Planted) -> str:
    return entry.rybh.split()[2]
