"""`citylake history`: what changed in one library row, since when it is true, since when it is known; and the row as of
a day.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated

import typer

from citylake.explain import key_of, moved_lines
from citylake.output import opened_register, told
from citylake.permission import Looker, Values, permit_values
from citylake.shown import Reason, record_shown, require_reason
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError, say
from pipelines.release.history import BOOKS, History, as_of, history, kept_since, require_kept
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings


def show(
    model: Annotated[str, typer.Argument(help="基础库模型，如 lib_population__person / the library model")],
    key: Annotated[list[str], typer.Argument(help="主键，列=值 / the key, column=value")],
    true_on: Annotated[
        str | None, typer.Option("--true-on", help="还原某日为真的状态 / the row as it was true on this day")
    ] = None,
    known_on: Annotated[
        str | None, typer.Option("--known-on", help="还原某日所知的状态 / the row as it was known on this day")
    ] = None,
    values: Values = False,
    who: Looker = None,
    why: Reason = None,
) -> None:
    """基础库一行数据的变化，或其在某日的状态 / what changed in a row of a library, or the row as of a day."""
    with told():
        settings = Settings.from_environment()
        if values:
            permit_values(settings, who, model)
            require_reason(why)
        register = opened_register(settings)
        released = ReleasedRows(load(settings.contracts), settings.lake, register)
        found = history(released, model, key_of(key))
        true, known = _day(true_on), _day(known_on)
        require_kept(released.ledger, model, true or date.max, known or date.max)
        if values:
            record_shown(register, model, key_of(key), who=who, why=why, true_on=true_on, known_on=known_on)
        for line in moved_lines(found.moved, values, "history.until_then" if found.until_then else "explain.id_moved"):
            typer.echo(line)
        for line in _state(found, true, known, values) if true or known else _changes(found, values):
            typer.echo(line)
        if (horizon := kept_since(released.ledger, model)) is not None:
            typer.echo(say("retention.history_since", horizon=horizon))
        released.con.close()
        register.close()


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise CitylakeError("history.bad_day", text=text) from None


def _changes(found: History, values: bool) -> Iterator[str]:
    yield say("history.of", model=found.model, changes=len(found.changes))
    for change in found.changes:
        shown = f": {change.before or '∅'} -> {change.after or '∅'}" if values else ""
        about = {"known_on": change.known_on, "known_in": change.known_in, "holds_from": change.holds_from}
        yield f"{change.field}{shown}\n    " + say("history.change", **about, basis=change.basis).replace(
            "\n", "\n    "
        )


def _state(found: History, true_on: date | None, known_on: date | None, values: bool) -> Iterator[str]:
    """The row as of the days; a day that is not given is the last there is."""
    days = {"true_on": true_on or date.max, "known_on": known_on or date.max}
    row = as_of(found, **days)
    shown = {name: str(day) if day != date.max else "-" for name, day in days.items()}
    if row is None:
        yield say("history.not_there", model=found.model, **shown)
        return
    yield say("history.as_of", model=found.model, **shown)
    for name, value in row.items():
        empty = "" if value is not None else " ∅"
        yield f"{name} = {value}" if values and value is not None else f"{name}{empty}"
    yield say("history.not_told", columns="、".join(BOOKS))
