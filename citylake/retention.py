"""`citylake retention`: what is due by the periods of contracts, ending it, and legal holds against that."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from citylake.output import opened_register, told
from citylake.permission import Actor, Why, permit, permitted
from citylake.usage import GREATEST
from pipelines.contracts.load import Contracts, load
from pipelines.lake.lock import run_lock
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.release.ledger import Ledger
from pipelines.retention import holds
from pipelines.retention.apply import require_not_begun, unfound
from pipelines.retention.due import Due, Search
from pipelines.retention.period import due_on
from pipelines.run import opened
from pipelines.settings import Settings

AHEAD = "1m"
"""How far ahead the list looks."""
PATIENCE = 60
"""Seconds that a hold waits for a run to end."""

app = typer.Typer(help="保存期限：到期清单、清除、保全 / retention: what is due, ending it, legal holds")


@app.callback(invoke_without_command=True)
def show(context: typer.Context) -> None:
    """列出到期和一个月内将到期的数据、生效的保全、保全结束后应再执行的删除令 / list what is due, what will be, holds in
    force, and orders to erase that are to be given again since a hold is over."""
    if context.invoked_subcommand is not None:
        return
    with told():
        settings = Settings.from_environment()
        contracts, register = load(settings.contracts), opened_register(settings)
        today = _today(contracts)
        for line in _listed(settings, contracts, register, today):
            typer.echo(line)
        register.close()


@app.command()
def apply(who: Actor, why: Why) -> None:
    """清除到期的数据，记入账本 / end what is due; recorded in the ledger."""
    with told():
        settings = Settings.from_environment()
        permit(settings, "retention.apply", who)
        with opened(settings, f"retention-{uuid.uuid4()}") as run:
            body = run.retain(who, why)
        if body is None:
            typer.echo(say("retention.nothing_due"))
            return
        typer.echo(say("retention.applied", rows=body["rows"], files=len(body["files"])))


@app.command()
def hold(
    dataset: Annotated[str, typer.Argument(help="来源或模型 / a source, or a model with its products")],
    who: Actor,
    why: Why,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="最后一日，不写则至解除 / last day")
    ] = None,
) -> None:
    """保全：到期也不清除 / hold a dataset: nothing of it ends."""
    with told():
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "retention.hold", who, subject=dataset), load(settings.contracts)
        last = until.date() if until else None
        # under the lock: a run that has looked for what is due ends it whatever is held by then
        with run_lock(settings.home, "retention hold", PATIENCE):
            require_not_begun(settings.home, dataset)
            given = holds.give(Ledger(register), contracts, dataset, who, why, last, _today(contracts))
        typer.echo(_both("retention.held", given))
        register.close()


@app.command()
def release(
    number: Annotated[int, typer.Argument(max=GREATEST, help="保全编号 / number of the hold")], who: Actor, why: Why
) -> None:
    """解除保全 / lift a hold."""
    with told():
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "retention.release", who, number=number), load(settings.contracts)
        lifted = holds.lift(Ledger(register), number, who, why, _today(contracts))
        typer.echo(_both("retention.lifted", lifted))
        for line in _unfinished(Ledger(register), _today(contracts)):
            typer.echo(line)
        register.close()


def _today(contracts: Contracts) -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(contracts.city.timezone)).date()


def _listed(settings: Settings, contracts: Contracts, register: Register, today: date) -> Iterator[str]:
    """The table of what is due now and within a month, then the holds."""
    found = Search(settings, contracts, register).due(today)
    now = found.due
    ahead = due_on(today, AHEAD) or today
    later = [*_more(now, Search(settings, contracts, register).due(ahead).due, ahead)]
    lines = [*_lines(now, "now"), *_lines(later, "later")]
    if lines:
        yield say("retention.head", today=today, city=contracts.city.name)
        yield say("retention.columns")
        yield from lines
    else:
        yield say("retention.nothing")
    for name in found.unfound:
        yield from (say(one.code, **one.arguments) for one in unfound(name, found.unfound))
    for one in holds.in_force(Ledger(register), today):
        yield _both("retention.hold", one)
    yield from _unfinished(Ledger(register), today)
    if lines:
        yield say("retention.next")


def _more(now: Sequence[Due], later: Sequence[Due], ahead: date) -> Iterator[Due]:
    """What is due later and not now; its files are those that are not rewritten or dropped now already."""
    known = {(one.dataset, one.layer): one for one in now}
    for one in later:
        if (same := known.get((one.dataset, one.layer))) is None:
            yield one
        elif one.rows > same.rows or one.files > same.files:
            rows, files, size = one.rows - same.rows, one.files - same.files, one.bytes - same.bytes
            yield replace(one, rows=rows, files=files, bytes=size, since=ahead)


def _lines(due: Sequence[Due], fate: str) -> Iterator[str]:
    for one in due:
        layer = translate(f"retention.layer.{one.layer}", "zh")
        said = f"retention.fate.{fate if one.held is None else 'held'}"
        end = " / ".join(translate(said, language, hold=one.held) for language in ("zh", "en"))
        cells = (one.dataset, layer, one.retention, one.rows, one.files, one.bytes, one.since, end)
        yield "\t".join(map(str, cells))


def _unfinished(ledger: Ledger, today: date) -> Iterator[str]:
    """The orders to erase that are to be given again, for what they left is held no longer."""
    for dataset, orders in sorted(holds.unfinished(ledger, today).items()):
        yield say("retention.orders_left", dataset=dataset, orders="、".join(orders))


def _both(code: str, hold: holds.Hold) -> str:
    """A message about a hold in both languages."""
    about = {"number": hold.number, "dataset": hold.dataset, "who": hold.who, "why": hold.why}
    return "\n".join(
        translate(code, language, **about, until=hold.until or translate("retention.no_end", language))
        for language in ("zh", "en")
    )
