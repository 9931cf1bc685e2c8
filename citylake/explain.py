"""`citylake explain`: for one released library row, who said what stands in it, in which delivery, by which rule."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer

from citylake.output import opened_register, told
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError, say
from pipelines.release.explain import Cell, Counted, Explainer, Explanation, SourceRow
from pipelines.settings import Settings


def explain(
    model: Annotated[str, typer.Argument(help="基础库模型，如 lib_population__person / the library model")],
    key: Annotated[list[str], typer.Argument(help="主键，列=值 / the key, column=value")],
    column: Annotated[str | None, typer.Option(help="只解释这一列 / explain this column only")] = None,
    values: Annotated[
        bool, typer.Option("--values", help="显示内容，含个人信息 / show values, personal ones too")
    ] = False,
) -> None:
    """说明基础库一行数据的来源：部门、批次、行、规则 / tell where a row of a library comes from."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        with Explainer(load(settings.contracts), settings.lake, register, values) as explainer:
            found = explainer.explain(model, key_of(key), column)
        for line in _lines(found):
            typer.echo(line)
        register.close()


def key_of(pairs: Sequence[str]) -> dict[str, str]:
    """A key from `column=value` texts. Raises CitylakeError for a text that is none."""
    return dict(map(_pair, pairs))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CitylakeError("explain.bad_key", text=text)
    return name, value


def _lines(found: Explanation) -> Iterator[str]:
    """The raw rows with a number each, then the cells and the counted rows, which name them by number."""
    about = {"model": found.model, "version": found.version, "edition": found.edition}
    yield say("explain.row", **about, released=f"{found.released:%Y-%m-%d %H:%M}")
    numbers = {row: number for number, row in enumerate(dict.fromkeys(_raw_rows(found)), 1)}
    for row, number in numbers.items():
        told = say("explain.source", **_about(row))
        if row.linked:
            told += "\n" + say(f"explain.linked_by_{row.linked.basis}", **vars(row.linked))
        yield f"[{number}] " + told.replace("\n", "\n    ")
    for cell in found.cells:
        yield "\n".join(_cell_lines(cell, numbers)).replace("\n", "\n    ")
    if found.counted:
        yield "\n".join(_counted_lines(found.counted, numbers)).replace("\n", "\n    ")


def _raw_rows(found: Explanation) -> Iterator[SourceRow]:
    """Every raw row that is named, as often as it is."""
    yield from (source.row for cell in found.cells for source in cell.sources)
    yield from (source for row in (found.counted.rows if found.counted else ()) for source in row.sources)


def _about(row: SourceRow) -> dict[str, object]:
    delivered = f"{row.delivered:%Y-%m-%d %H:%M}" if row.delivered else "?"
    dataset = f"{row.dataset}#{row.role}" if row.role else row.dataset
    return {**vars(row), "dataset": dataset, "delivered": delivered, "origin": row.origin or "?"}


def _cell_lines(cell: Cell, numbers: Mapping[SourceRow, int]) -> Iterator[str]:
    shown = f" = {cell.value}" if cell.value is not None else ""
    yield f"{cell.column} {cell.name}{shown}"
    if cell.empty:
        yield say("explain.empty")
    if cell.computed_from:
        yield say("explain.computed", columns=", ".join(cell.computed_from))
    if cell.basis:
        yield say("explain.basis", basis=cell.basis)
    for source in cell.sources:
        yield f"<- [{numbers[source.row]}] {source.physical}" + (f" = {source.raw}" if source.raw is not None else "")


def _counted_lines(counted: Counted, numbers: Mapping[SourceRow, int]) -> Iterator[str]:
    about = {"column": counted.column, "model": counted.model, "version": counted.version, "total": counted.total}
    yield say("explain.counted", **about, by=", ".join(counted.by), shown=len(counted.rows))
    for row in counted.rows:
        places = " ".join(f"[{numbers[source]}]" for source in row.sources)
        key = " ".join(f"{name}={value}" for name, value in (row.key or {}).items())
        yield f"<- {places} {key}".rstrip()
