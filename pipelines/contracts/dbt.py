"""What dbt learns from contracts: its sources, the authority matrix, the work calendar. Generated for each build, never
committed."""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from pipelines.contracts.authority import order_on
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.forms.city import WorkCalendarForm
from pipelines.contracts.load import Contracts, SourceContract

MACROS = "macros/"
"""Generated files below this folder take part in every model, as the project's own macros do."""

LOG = "__log"
"""What the name of a source's change log ends with; without it the name is that of the current state."""


BEFORE = "before"
"""The schema in which a history finds, under its own name, the version of its subject that it has already told of."""


def generated(contracts: Contracts, day: date) -> dict[str, str]:
    """The generated files of the dbt project for an edition of `day`: relative path -> text.

    Of the authority matrix only the claims that count on that day are told, so the text, and with it every model's
    inputs, changes on the days on which a claim begins or ends and on no other. The calendar goes on a year beyond
    those that are announced, and changes when one is.
    """
    core = [table for source in contracts.sources.values() for table in _tables(source)]
    lake = [
        {"name": "edition", "description": "本次版次：编号与统计时点 / the edition: its id and day"},
        {
            "name": "build",
            "description": "同上，只作记录，不因日期变化而重建 / the same, noted only: its day builds nothing anew",
        },
    ]
    before = [
        {"name": name, "description": f"{name} 上次发布时所依据的版本 / what {name} was made from when last released"}
        for name in contracts.models
    ]
    linkage = [
        {"name": "link", "description": "按其他信息比对到人的行 / rows that are linked to persons"},
        {"name": "alias", "description": "合并后的人员标识 / ids of persons with several numbers"},
    ]
    matched = [
        {"name": "address", "description": "各来源地址与标准地址的比对 / addresses of all sources matched"},
        {"name": "position", "description": "标准地址的位置核对 / where standard addresses lie"},
        {"name": "layer", "description": "各图层要素的位置核对 / where the things of every layer lie"},
    ]
    sources = [
        {"name": "core", "schema": "core", "tables": core},
        {"name": "lake", "schema": "lake", "tables": lake},
        {"name": BEFORE, "schema": BEFORE, "tables": before},
        {"name": "linkage", "schema": "linkage", "tables": linkage},
        {"name": "matched", "schema": "matched", "tables": matched},
    ]
    return {
        "models/sources.yml": json.dumps({"version": 2, "sources": sources}, ensure_ascii=False, indent=1),
        f"{MACROS}authority.sql": _authority(contracts, day),
        f"{MACROS}work_years.sql": work_years(contracts.city.workCalendar, day),
    }


def _tables(source: SourceContract) -> Iterator[dict[str, str]]:
    """The current state of a source, and the log of all its changes."""
    name = f"{source.org}__{source.dataset}"
    yield {"name": name, "description": f"{source.form.name}：{source.form.description}"}
    yield {"name": f"{name}{LOG}", "description": f"{source.form.name}：全部变更 / all its changes"}


def _authority(contracts: Contracts, day: date) -> str:
    """A macro that returns library -> column -> sources in order; JSON is a value of Jinja as it stands."""
    matrix = json.dumps(order_on(contracts.authority, day), indent=1)
    return f"{{% macro authority_matrix() %}}{{{{ return({matrix}) }}}}{{% endmacro %}}\n"


def work_years(form: WorkCalendarForm | None, day: date) -> str:
    """A macro that is a table of years for `macros/portable/work_days.sql`. Three times, by the calendar (`worked`) and
    of a year that is not announced none (`fewest`) or all of its days (`most`): a sign for each of the 31 days that a
    month may have (1: worked), and the working days of all years before. Without a calendar no year is announced."""
    form = form or WorkCalendarForm(years={}, statutory=[])
    calendar, rows, before = WorkCalendar(form), list[str](), [0, 0, 0]
    for year in range(min((day.year, *form.years)), max((day.year, *(year + 1 for year in form.years))) + 1):
        worked, bounds = _signs(year, calendar.works), (_signs(year, lambda _: False), _signs(year, lambda _: True))
        counted = (worked, *((worked, worked) if year in form.years else bounds))
        told = (f"'{signs}', {so_far}" for signs, so_far in zip(counted, before, strict=True))
        rows.append(f"({year}, {', '.join(told)})")
        before = [so_far + signs.count("1") for signs, so_far in zip(counted, before, strict=True)]
    return f"{{% macro work_years() %}}(values {', '.join(rows)}){{% endmacro %}}\n"


def _signs(year: int, works: Callable[[date], bool]) -> str:
    """A sign for each of twelve times 31 days of a year; those that it does not have are not worked."""
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    worked = {(day.month, day.day) for day in days if day.year == year and works(day)}
    return "".join(str(int((month, day) in worked)) for month in range(1, 13) for day in range(1, 32))
