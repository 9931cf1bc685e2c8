"""Volumes by the day: what a week, a festival and a season do by themselves is told to nobody, a planted jump is."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission.volumes import HISTORY, LOOKED, Kinds, Volume, unusual
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.load import Contracts
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt
from tests.admission.conftest import Intake
from tests.draws import draws

DAY = timedelta(days=1)
BIRTH = "hc/birth_certificate"


@pytest.fixture(scope="module")
def calendar(contracts: Contracts) -> WorkCalendar:
    assert contracts.city.workCalendar
    return WorkCalendar(contracts.city.workCalendar)


def series(first: date, days: int, rows: Callable[[date], int]) -> list[Volume]:
    return [Volume(first + DAY * place, rows(first + DAY * place)) for place in range(days)]


def told(delivered: list[Volume], calendar: WorkCalendar | None) -> list[date]:
    """The days that are told as unusual, each compared with those before it."""
    found = (
        one.day
        for place, one in enumerate(delivered)
        if unusual(one, delivered[max(place - LOOKED, 0) : place][::-1], calendar)
    )
    return list(found)


@st.composite
def weeks(draw: st.DrawFn) -> tuple[date, int, dict[str, float], bool, list[float]]:
    """A first day of 2026, rows of a worked day, shares of weekends and holidays, whether rows come a day later, and
    noise for some 26 weeks."""
    first = date(2026, 1, 1) + DAY * draw(st.integers(0, 150))
    share = draw(st.floats(0, 0.7))
    shares = {"work": 1.0, "weekend": share, "holiday": share * draw(st.floats(0.1, 1))}
    noise = draw(st.lists(st.floats(0.93, 1.07), min_size=180, max_size=180))
    return first, draw(st.integers(500, 100_000)), shares, draw(st.booleans()), noise


def drawn(case: tuple[date, int, dict[str, float], bool, list[float]], kinds: Kinds) -> list[Volume]:
    first, usual, shares, _, noise = case
    least = 1 if shares["weekend"] else 0  # who delivers on days of rest delivers something

    def rows(day: date) -> int:
        return max(round(usual * shares[kinds.of(day)] * noise[(day - first).days]), least)

    return series(first, len(noise), rows)


@pytest.mark.long
@settings(max_examples=draws(25), deadline=None)
@given(case=weeks())
def test_weekends_and_festivals_are_told_to_nobody(
    calendar: WorkCalendar, case: tuple[date, int, dict[str, float], bool, list[float]]
) -> None:
    assert told(drawn(case, Kinds(calendar)), calendar) == []


@settings(max_examples=draws(25), deadline=None)
@given(case=weeks(), place=st.integers(60, 179), factor=st.sampled_from([0.3, 0.5, 1.6, 3.0]))
def test_a_planted_jump_is_told(
    calendar: WorkCalendar,
    case: tuple[date, int, dict[str, float], bool, list[float]],
    place: int,
    factor: float,
) -> None:
    kinds = Kinds(calendar)
    delivered = drawn(case, kinds)
    while kinds.of(delivered[place].day) != "work":
        place -= 1
    delivered[place] = Volume(delivered[place].day, round(delivered[place].rows * factor))
    assert told(delivered[: place + 1], calendar) == [delivered[place].day]


def test_a_monday_with_the_rows_of_a_sunday_is_told(calendar: WorkCalendar) -> None:
    delivered = series(date(2026, 7, 6), 70, lambda day: 1000 if day.weekday() < 5 else 300)
    assert told(delivered, calendar) == []
    monday = date(2026, 9, 14)
    short = unusual(Volume(monday, 300), delivered[::-1], calendar)
    assert short and (short.received, short.usual) == (300, 1000)
    assert told(delivered, None), "without a calendar no day is of a kind"


def test_what_comes_the_next_morning_is_held_against_its_own_days(calendar: WorkCalendar) -> None:
    delivered = series(date(2026, 7, 6), 70, lambda day: 1000 if (day - DAY).weekday() < 5 else 300)
    assert [day for day in told(delivered, calendar) if day > date(2026, 8, 10)] == []
    assert unusual(Volume(date(2026, 9, 14), 1000), delivered[::-1], calendar), "Sunday's rows, told on Monday"


def test_a_worked_saturday_is_a_day_of_work(calendar: WorkCalendar) -> None:
    kinds, worked, festival = Kinds(calendar), date(2026, 10, 10), date(2026, 10, 4)
    assert (kinds.of(worked), kinds.of(worked + DAY), kinds.of(festival)) == ("work", "weekend", "holiday")
    delivered = series(date(2026, 7, 1), 101, lambda day: 1000 if kinds.of(day) == "work" else 300)
    assert unusual(Volume(worked, 1000), delivered[::-1], calendar) is None
    assert unusual(Volume(worked, 300), delivered[::-1], calendar)


def test_a_holiday_may_be_quieter_not_louder_than_others(calendar: WorkCalendar) -> None:
    kinds = Kinds(calendar)
    delivered = series(date(2026, 1, 5), 268, lambda day: 1000 if kinds.of(day) == "work" else 300)
    festival = date(2026, 10, 1)
    assert unusual(Volume(festival, 10), delivered[::-1], calendar) is None
    assert unusual(Volume(festival, 2000), delivered[::-1], calendar)
    assert unusual(Volume(festival, 0), delivered[::-1], calendar), "nothing at all"
    resting = [Volume(one.day, 0 if kinds.of(one.day) != "work" else one.rows) for one in delivered]
    assert unusual(Volume(festival, 0), resting[::-1], calendar) is None, "as on every day of rest"


@settings(max_examples=draws(25), deadline=None)
@given(
    first=st.dates(date(2025, 7, 1), date(2026, 6, 1)),
    known=st.integers(9, 120),
    usual=st.integers(500, 100_000),
    noise=st.lists(st.floats(0.97, 1.03), min_size=120, max_size=120),
    share=st.floats(0, 0.6),
)
def test_who_delivers_the_same_every_day_has_no_day_of_rest(
    calendar: WorkCalendar, first: date, known: int, usual: int, noise: list[float], share: float
) -> None:
    delivered = series(first, known, lambda day: round(usual * noise[(day - first).days]))
    assert told(delivered, calendar) == []
    today = first + DAY * known
    assert unusual(Volume(today, round(usual * share)), delivered[::-1], calendar), "half a table on whichever day"


def test_who_has_doubled_since_last_year_may_not_halve(calendar: WorkCalendar) -> None:
    kinds = Kinds(calendar)
    level = {2025: 1000, 2026: 2000}
    delivered = series(
        date(2025, 7, 1), 426, lambda day: round(level[day.year] * (1 if kinds.of(day) == "work" else 0.3))
    )
    today = delivered[-1].day + DAY
    assert kinds.of(today) == "work"
    assert unusual(Volume(today, 1000), delivered[::-1], calendar)


def test_what_a_season_did_last_year_is_usual(calendar: WorkCalendar) -> None:
    delivered = series(date(2025, 7, 1), 426, lambda day: 4000 if day.month == 9 else 1000)[:-1]
    first = delivered[-1].day + DAY
    assert first == date(2026, 8, 30)
    delivered += series(first, 2, lambda _: 1000)
    september = date(2026, 9, 1)
    assert unusual(Volume(september, 4000), delivered[::-1], calendar) is None
    assert unusual(Volume(september, 9000), delivered[::-1], calendar)
    assert unusual(Volume(september, 4000), delivered[-200:][::-1], calendar), "no year of it is known"


def test_of_a_monthly_source_days_say_nothing(calendar: WorkCalendar) -> None:
    months: Iterator[date] = (date(2025 + month // 12, month % 12 + 1, 1) for month in range(20))
    delivered = [Volume(day, 1000) for day in months]
    assert unusual(Volume(date(2026, 9, 6), 300), delivered[::-1], calendar), "a Sunday; it has no Sundays to be like"


def test_rows_of_a_failed_day_of_work_may_come_on_a_saturday(calendar: WorkCalendar) -> None:
    delivered = series(date(2026, 7, 6), 67, lambda day: 1000 if day.weekday() < 5 else 300)
    saturday = Volume(date(2026, 9, 12), 1300)
    assert delivered[-1].day == date(2026, 9, 10), "Friday failed"
    assert unusual(saturday, delivered[::-1], calendar, missed=1) is None
    assert unusual(saturday, delivered[::-1], calendar)


def test_volumes_are_read_from_the_receipts(intake: Callable[..., Intake]) -> None:
    """Newest first, as many as are asked for, each with the moment it was admitted."""
    source, today = intake(BIRTH), datetime.now(UTC).date()
    receipts = Receipts(source.register, "test")
    for back in range(56, 0, -1):
        receipts.add(Stage.PULL, BIRTH, {"rows": 1}, back)
        receipts.add(Stage.ADMIT, BIRTH, {"received": back}, back)
        with source.register.begin() as connection:
            at = datetime.combine(today - DAY * back, time(2), UTC)
            connection.execute(sa.update(receipt).where(receipt.c.batch == back).values(at=at))
    found = receipts.volumes(BIRTH, HISTORY)
    assert len(receipts.volumes(BIRTH, 400)) == 56
    assert [rows for _, rows in found] == list(range(1, HISTORY + 1))
    assert [at.date() for at, _ in found] == [today - DAY * back for back in range(1, HISTORY + 1)]
