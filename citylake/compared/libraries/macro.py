"""What was known of the macro-economy on a day, against what the statistics bureau had published by then."""

from datetime import date

from citylake.compared.libraries.answers import UNEXPLAINED, Answers, Planted, answers
from citylake.compared.libraries.told import Libraries
from simulator.macro import Observation, published

OBSERVATION, SERIES = "lib_macro__observation", "lib_macro__series"
MODELS = (SERIES, OBSERVATION)
FIGURES = "sb/macro_observation"
Figure = tuple[str, str, str]
"""Code of the series, area, period."""


def known_on(libraries: Libraries, day: date) -> Answers:
    """The figure of each series, area and period that was the last one out on a day, and which revision it was."""
    city, planted = libraries.city, Planted(libraries)
    out: dict[Figure, list[Observation]] = {}
    for one in published(city.seed, city.persons, city.today):
        out.setdefault((one.indicator, one.area, one.period), []).append(one)
    true = {
        key: (float(last.value), last.revision)
        for key, ones in out.items()
        if (last := next((one for one in reversed(ones) if one.published.date() <= day), None))
    }
    columns = "series_code, area_code, period, series_value, revision_no, published_at, replaced_at"
    said = {
        row[:3]: (row[3], row[4])
        for row in libraries.rows(OBSERVATION, columns)
        if row[5].date() <= day and (row[6] is None or row[6].date() > day)
    }

    def why(key: Figure) -> str:
        wrong = (planted.of(FIGURES, f"{' '.join(key)} {one.revision}") for one in out.get(key, ()))
        return next((one for one in wrong if one), UNEXPLAINED)

    return answers(true, said, why)
