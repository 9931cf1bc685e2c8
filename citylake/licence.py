"""`citylake licence`: what the officer on this machine asks of licences, audited like questions over HTTP."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from catalog.delivery.verification.licences import PRODUCT, verify
from catalog.delivery.verification.router import ACTION, hashed
from catalog.policy import audit
from citylake.output import as_json, opened_register, told
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register.store import now
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings

app = typer.Typer(help="电子证照 / e-licences", no_args_is_help=True)


@app.callback()
def licence() -> None:
    """电子证照 / e-licences."""


@app.command("verify")
def verify_licence(
    identifier: Annotated[str, typer.Argument(help="证照标识（GB/T 36904）/ the licence's identifier")],
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="核验哪一天的状态 / as of which day")
    ] = None,
) -> None:
    """核验一份证照：真伪、某日状态、类型、颁发机构、有效期；不是本市证照的退出码为 1 / verify one licence."""
    with told():
        settings = Settings.from_environment()
        register, contracts = opened_register(settings), load(settings.contracts)
        entry = Ledger(register).published().get(PRODUCT)
        if entry is None or entry.version is None:
            raise CitylakeError("licence.not_published", product=PRODUCT)
        today = now().astimezone(ZoneInfo(contracts.city.timezone)).date()
        columns = tuple(column.name for column in contracts.products[PRODUCT].columns)
        read = delta.scan(delta.open_table(settings.lake.product(*PRODUCT.split("/")), entry.version))
        known_on = datetime.fromisoformat(entry.body["as_of"]).date()
        with connect(settings.lake.scratch()) as con:
            relation = f"(SELECT {read.columns} FROM {read.source})"
            answer = verify(con, identifier, on.date() if on else today, relation, columns, known_on)
        facts = {"road": "command", "verdict": answer.verdict.value, "licence": hashed(settings, register, identifier)}
        body = {**facts, "as_of": answer.asked_for.isoformat()}
        audit.record(register, ACTION, "allowed", body, product=PRODUCT, version=entry.version)
        as_json(answer.to_json())
        register.close()
    if not answer.genuine:
        raise typer.Exit(1)
