"""`citylake asof`: a whole library as it was true on one day and known on another, as a file. Recorded."""

import uuid
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from citylake.core import FORMATS
from citylake.output import private_file, told
from citylake.permission import Actor, Why, permitted
from pipelines.codecs.sql import literal
from pipelines.contracts.load import load
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.history import BOOKS, all_as_of, kept_since, require_kept
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings


def write(
    model: Annotated[str, typer.Argument(help="记变化史的基础库模型，如 lib_population__person / the library model")],
    file: Annotated[Path, typer.Argument(help="写到 .parquet 或 .csv / the file to write")],
    who: Actor,
    why: Why,
    true_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="还原某日为真的状态 / rows as they were true on this day"),
    ] = None,
    known_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="还原某日所知的状态 / rows as they were known on this day"),
    ] = None,
) -> None:
    """还原某日为真、某日所知的整库（含个人信息，留痕）/ a whole library as true, as known on a day; recorded."""
    with told():
        form = FORMATS.get(file.suffix.lower())
        if form is None:
            raise CitylakeError("core.format", file=file, known="、".join(FORMATS))
        if true_on is None and known_on is None:
            raise CitylakeError("history.no_day")
        days = {name: str(day.date()) for name, day in (("true_on", true_on), ("known_on", known_on)) if day}
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "values.show", who, subject=model), load(settings.contracts)
        released = ReleasedRows(contracts, settings.lake, register)
        true, known = (date.fromisoformat(days[name]) if name in days else date.max for name in ("true_on", "known_on"))
        query = all_as_of(released, model, true, known)
        require_kept(released.ledger, model, true, known)
        with private_file(file, settings.home) as partial:
            ((rows,),) = released.con.execute(f"COPY ({query}) TO {literal(str(partial))} ({form})").fetchall()
            body = {"who": who, "why": why, "rows": rows, "sha256": sha256(partial), "as_of": days}
            # before the file has its name: none is out without a receipt
            Receipts(register, f"asof-{uuid.uuid4()}").add(Stage.EXPORT, model, body)
        shown = {name: days.get(name, "-") for name in ("true_on", "known_on")}
        typer.echo(say("history.written", model=model, file=file, rows=rows, **shown))
        typer.echo(say("history.not_told", columns="、".join(BOOKS)))
        if (horizon := kept_since(released.ledger, model)) is not None:
            typer.echo(say("retention.history_since", horizon=horizon))
        released.con.close()
        register.close()
