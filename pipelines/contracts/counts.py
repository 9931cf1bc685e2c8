"""Counts of people in channels: every open product says that it has none, or what each of its figures counts.

Belongs here: whether a contract says this wholly. What is done about small counts belongs to `pipelines.privacy`.
"""

from collections.abc import Iterator, Mapping

from pipelines.contracts.forms.products import Anonymity, ChannelForm, OpenChannelForm
from pipelines.contracts.located import Located, Place
from pipelines.contracts.mistakes import check_column, check_known, error
from pipelines.contracts.resolved import ShownColumn
from pipelines.privacy.breakdowns import determined

FIGURES = ("integer", "number")
"""The logical types that can count."""
PERSONS = frozenset({"人", "人次"})
"""The units of fields that count persons."""


def check_counts(file: Located, place: Place, view: ChannelForm, shown: Mapping[str, ShownColumn]) -> None:
    """Raises CitylakeError for an open channel that says neither what it counts nor why it counts nobody, for one that
    says so and shows a number of persons that it has not reviewed, for names that are no columns, texts or groups, for
    groups that the counts do not determine, for figures left out, and for two counts of one breakdown whose totals
    others show.
    """
    anonymity = view.anonymity
    if isinstance(view, OpenChannelForm) and (anonymity is None) == (view.notAboutPersons is None):
        raise error("contract.counts_unsaid", file, place)
    if isinstance(view, OpenChannelForm):
        for name in view.reviewed:
            check_column(file, (*place, "reviewed", name), name, shown)
        for name, column in shown.items():
            if anonymity is None and counts_persons(column) and name not in view.reviewed:
                raise error("contract.persons_unsaid", file, (*place, "notAboutPersons"), column=name)
        texts = [name for name, column in shown.items() if column.column.definition.logicalType == "string"]
        for number, one in enumerate(view.overruled):
            check_column(file, (*place, "overruled", number, "column"), one.column, texts)
    if anonymity is None:
        return
    for where, name in _columns(anonymity):
        check_column(file, (*place, "anonymity", *where), name, shown)
    for index, breakdown in enumerate(anonymity.breakdowns):
        here: Place = (*place, "anonymity", "breakdowns", index)
        for name, groups in breakdown.counts.items():
            for number, group in enumerate(groups):
                check_known(file, (*here, "counts", name, number), "group", group, breakdown.groups)
        if not determined(breakdown):
            raise error("contract.groups_undetermined", file, here, groups="、".join(breakdown.groups))
        if len(both := sorted(anonymity.totals & breakdown.counts.keys())) > 1:
            raise error("contract.totals_together", file, (*place, "anonymity", "beside"), columns="、".join(both))
    counts = [anonymity.count, *(name for breakdown in anonymity.breakdowns for name in breakdown.counts)]
    for other, beside in anonymity.beside.items():
        for number, name in enumerate(beside.totals):
            check_known(file, (*place, "anonymity", "beside", other, "totals", number), "count", name, counts[1:])
    for rate, name in anonymity.rates.items():
        check_known(file, (*place, "anonymity", "rates", rate), "count", name, counts)
    period: list[tuple[Place, str]] = [(("period",), anonymity.period)] if anonymity.period is not None else []
    for where, name in [*period, *((("notPeriods", name), name) for name in anonymity.notPeriods)]:
        check_known(file, (*place, "anonymity", *where), "quasi", name, anonymity.quasi)
    said = {name for _, name in _columns(anonymity)}
    for name, column in shown.items():
        if column.column.definition.logicalType in FIGURES and name not in said:
            raise error("contract.figure_unsaid", file, (*place, "anonymity"), column=name)


def counts_persons(column: ShownColumn) -> bool:
    """Whether a column holds numbers of persons, by the unit of its field."""
    definition = column.column.definition
    return definition.logicalType in FIGURES and definition.unit in PERSONS


def _columns(anonymity: Anonymity) -> Iterator[tuple[Place, str]]:
    """Where a column is named, and which."""
    yield ("count",), anonymity.count
    for key in ("quasi", "within"):
        yield from (((key, index), name) for index, name in enumerate(getattr(anonymity, key)))
    for index, breakdown in enumerate(anonymity.breakdowns):
        yield from ((("breakdowns", index, "counts", name), name) for name in breakdown.counts)
    yield from ((("rates", rate), rate) for rate in anonymity.rates)
    if anonymity.only is not None:
        yield ("only", "column"), anonymity.only.column
