"""`citylake explain`: for one released row, who said what stands in it, in which delivery, by which rule; and, with
`--forward`, everyone who received it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import typer

from citylake.forward import forward_lines
from citylake.output import opened_register, told
from citylake.permission import Looker, Values, permit_values
from citylake.shown import Reason, record_shown, require_reason
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError, say
from pipelines.release.explain import Cell, Counted, Explainer, Explanation, SourceRow
from pipelines.release.forward import row_of_product
from pipelines.release.ingredients import Ingredient
from pipelines.settings import Settings


def explain(
    model: Annotated[
        str, typer.Argument(help="基础库模型或产品，如 lib_population__person / a library model or a product")
    ],
    key: Annotated[list[str], typer.Argument(help="主键，列=值 / the key, column=value")],
    column: Annotated[str | None, typer.Option(help="只解释这一列 / explain this column only")] = None,
    values: Values = False,
    onward: Annotated[
        bool, typer.Option("--forward", help="再列出取得过它的各方 / then list everyone who received it")
    ] = False,
    who: Looker = None,
    why: Reason = None,
) -> None:
    """说明已发布的一行或一格从哪里来、到了谁手里 / where a published row or cell comes from, and who received it."""
    with told():
        if onward and who is None:
            raise CitylakeError("forward.who")
        settings = Settings.from_environment()
        if values:
            permit_values(settings, who, model)
            require_reason(why)
        register = opened_register(settings)
        contracts = load(settings.contracts)
        with Explainer(contracts, settings, register, values) as explainer:
            row = row_of(settings, explainer, model, key_of(key), column)
            found = explainer.explain(*row)
            if values:
                record_shown(register, model, row.key, who=who, why=why, column=column)
            for line in _lines(found, values):
                typer.echo(line)
            if onward and who is not None:
                for line in forward_lines(settings, contracts, register, explainer.released, row[:3], who):
                    typer.echo(line)
        register.close()


class RowOf(NamedTuple):
    """A row of a model, or a column of it; `version` is that of the model, None for the published one."""

    model: str
    key: Mapping[str, str]
    column: str | None
    version: int | None = None


def row_of(settings: Settings, explainer: Explainer, subject: str, key: Mapping[str, str], column: str | None) -> RowOf:
    """The row that is named by a model, or as a product shows it. Raises CitylakeError."""
    product = explainer.contracts.products.get(subject)
    if product is None:
        return RowOf(subject, key, column)
    made = {one.name: one.source for one in product.columns}
    if column is not None and column not in made:
        raise CitylakeError("explain.no_column", model=subject, column=column, known="、".join(made))
    if subject not in explainer.released.published:
        raise CitylakeError("explain.not_released", model=subject)
    entry = explainer.released.published[subject]
    row, version = row_of_product(explainer.released, settings.kept_key, product, entry, key)
    return RowOf(product.contract.form.model, row, None if column is None else made[column], version)


def key_of(pairs: Sequence[str]) -> dict[str, str]:
    """A key from `column=value` texts. Raises CitylakeError for a text that is none."""
    return dict(map(_pair, pairs))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CitylakeError("explain.bad_key", text=text)
    return name, value


def _lines(found: Explanation, values: bool) -> Iterator[str]:
    """The raw rows with a number each, then the cells and the rows behind them, which name them by number."""
    about = {"model": found.model, "version": found.version, "edition": found.edition}
    yield say("explain.row", **about, released=f"{found.released:%Y-%m-%d %H:%M}")
    yield from moved_lines(found.moved, values)
    numbers = {row: number for number, row in enumerate(dict.fromkeys(_raw_rows(found)), 1)}
    for row, number in numbers.items():
        told = say("explain.source", **_about(row))
        if row.linked:
            told += "\n" + say(f"explain.linked_by_{row.linked.basis}", **vars(row.linked))
        yield f"[{number}] " + told.replace("\n", "\n    ")
    for cell in found.cells:
        yield "\n".join(_cell_lines(cell, numbers)).replace("\n", "\n    ")
    for counted in _behind(found):
        yield "\n".join(_counted_lines(counted, numbers)).replace("\n", "\n    ")
    for read in found.made_of:
        yield say(f"explain.made_of_{'model' if read.organisation is None else 'source'}", **_about_ingredient(read))


def moved_lines(moved: Mapping[str, str], values: bool, code: str = "explain.id_moved") -> Iterator[str]:
    """That ids in the key are others today; which, only with values."""
    for column, now in moved.items():
        yield say(code, column=column)
        if values:
            yield f"{column} = {now}"


def _raw_rows(found: Explanation) -> Iterator[SourceRow]:
    """Every raw row that is named, as often as it is."""
    yield from (source.row for cell in found.cells for source in cell.sources)
    yield from (source for counted in _behind(found) for row in counted.rows for source in row.sources)


def _behind(found: Explanation) -> tuple[Counted, ...]:
    """The rows of other models behind a row: those it counts, or those with its key."""
    return (found.counted,) if found.counted else found.alike


def _about(row: SourceRow) -> dict[str, object]:
    delivered = _moment(row.delivered)
    dataset = f"{row.dataset}#{row.role}" if row.role else row.dataset
    return {**vars(row), "dataset": dataset, "delivered": delivered, "origin": row.origin or "?"}


def _about_ingredient(read: Ingredient) -> dict[str, object]:
    return {**vars(read), "delivered": _moment(read.delivered), "origin": read.origin or "?"}


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "?"


def _cell_lines(cell: Cell, numbers: Mapping[SourceRow, int]) -> Iterator[str]:
    shown = f" = {cell.value}" if cell.value is not None else ""
    yield f"{cell.column} {cell.name}{shown}"
    if cell.empty:
        yield say("explain.empty")
    if cell.computed_from:
        yield say("explain.computed", columns=", ".join(cell.computed_from))
    if cell.basis:
        yield say("explain.basis", basis=cell.basis, confidence=cell.confidence)
    for source in cell.sources:
        yield f"<- [{numbers[source.row]}] {source.physical}" + (f" = {source.raw}" if source.raw is not None else "")


def _counted_lines(counted: Counted, numbers: Mapping[SourceRow, int]) -> Iterator[str]:
    about = {"column": counted.column, "model": counted.model, "version": counted.version, "total": counted.total}
    code = "explain.alike" if counted.column is None else "explain.counted"
    yield say(code, **about, by=", ".join(counted.by), shown=len(counted.rows))
    for row in counted.rows:
        places = " ".join(f"[{numbers[source]}]" for source in row.sources)
        key = " ".join(f"{name}={value}" for name, value in (row.key or {}).items())
        yield f"<- {places} {key}".rstrip()
