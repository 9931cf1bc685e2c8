"""`citylake core`: the table of a source as core had it by a batch or a day, as a file for whoever must see it."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from citylake.output import known_source, private_file, told
from citylake.permission import Actor, Why, permitted
from citylake.usage import GREATEST
from pipelines.admission import as_of
from pipelines.codecs.sql import literal
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings

FORMATS = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER true"}


def core(
    source: Annotated[str, typer.Argument(help="来源，如 drc/penalty / the source")],
    file: Annotated[Path, typer.Argument(help="写到 .parquet 或 .csv / the file to write")],
    who: Actor,
    why: Why,
    batch: Annotated[int | None, typer.Option(max=GREATEST, help="截至这一批 / as of this batch")] = None,
    known_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="截至这一日终 / as of the end of this day")
    ] = None,
) -> None:
    """还原某来源在某批或某日的整表（含个人信息，留痕）/ the table of a source as of a batch or day; recorded."""
    with told():
        form = FORMATS.get(file.suffix.lower())
        if form is None:
            raise CitylakeError("core.format", file=file, known="、".join(FORMATS))
        if (batch is None) == (known_on is None):
            raise CitylakeError("core.one_moment")
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "core.export", who, subject=source), load(settings.contracts)
        contract, ledger = known_source(contracts, source), Ledger(register)
        receipts, zone = Receipts(register, f"core-{uuid.uuid4()}"), ZoneInfo(contracts.city.timezone)
        if batch is not None:
            query = as_of.by_batch(contract, settings.lake, receipts, ledger, batch, zone)
        else:
            assert known_on is not None
            query = as_of.by_day(contract, settings.lake, ledger, known_on.date(), zone)
        with private_file(file, settings.home) as partial, connect(settings.lake.scratch()) as con:
            target = f"{literal(str(partial))} ({form})"
            ((rows,),) = con.execute(f"COPY ({query}) TO {target}").fetchall()
            moment: dict[str, Any] = {"batch": batch} if known_on is None else {"known_on": known_on.date().isoformat()}
            body = {"who": who, "why": why, "rows": rows, "sha256": sha256(partial), "core": moment}
            receipts.add(Stage.EXPORT, source, body)  # before the file has its name: none is out without a receipt
        typer.echo(say("core.written", subject=source, file=file, rows=rows))
        register.close()
