"""`citylake audit`: asking the audit who read what, or was denied it, as lines and as CSV.

An auditor or security officer asks about everybody, a department user about their own organisation. Every question is a
row of the audit itself.
"""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

import typer

from catalog.delivery.desk import Desk
from catalog.delivery.reads import receipt_of_reads
from catalog.delivery.receipt import written
from catalog.policy import anomalies, audit, inquiry
from catalog.policy.decision import ROADS
from catalog.policy.inquiry import Asked
from citylake.output import as_json, opened_register, private_file, told
from citylake.permission import Actor
from citylake.usage import GREATEST
from pipelines.contracts.load import load
from pipelines.lake.parquet import sha256
from pipelines.messages import say
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.signing import signer_of
from pipelines.settings import Settings

app = typer.Typer(help="查询审计：谁读了什么 / asking the audit: who read what", no_args_is_help=True)

First = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="首日 / first day")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="末日 / last day")]
Recipient = Annotated[str | None, typer.Option(help="接收方 / the recipient")]
Organisation = Annotated[str | None, typer.Option(help="单位代码 / code of the organisation")]
Application = Annotated[str | None, typer.Option(help="应用系统 / the application")]
By = Annotated[str | None, typer.Option("--actor", help="操作的用户 / the user who did it")]
Product = Annotated[str | None, typer.Option(help="产品 / the product")]
Road = Annotated[str | None, typer.Option(help=f"方式 / road: {', '.join((*ROADS, inquiry.COMMAND))}")]
Level = Annotated[int | None, typer.Option(min=1, max=4, help="数据级别，至少 / level of the data, at least")]
Action = Annotated[str | None, typer.Option(help="动作，如 download / what was done")]
Outcome = Annotated[str | None, typer.Option(help=f"结果 / outcome: {', '.join(get_args(audit.Outcome))}")]
Grant = Annotated[int | None, typer.Option(max=GREATEST, help="授权编号 / number of the grant")]
Purpose = Annotated[str | None, typer.Option(help="用途中的文字 / a part of the purpose")]
Case = Annotated[str | None, typer.Option(help="授权的事项编号 / case number of the grant")]


@app.command("list")
def show(
    who: Actor,
    first: First = None,
    until: Until = None,
    recipient: Recipient = None,
    organisation: Organisation = None,
    application: Application = None,
    actor: By = None,
    product: Product = None,
    road: Road = None,
    level: Level = None,
    action: Action = None,
    outcome: Outcome = None,
    grant: Grant = None,
    purpose: Purpose = None,
    case: Case = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多几条 / rows at most")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, max=GREATEST, help="早于第几条 / those older than this row")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="全部写入新的 CSV 文件 / all of them, to a new CSV file")
    ] = None,
) -> None:
    """查询审计，由新到旧：列出，或全部导出为 CSV / rows of the audit that answer, the newest first; or all as CSV."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        zone = ZoneInfo(load(settings.contracts).city.timezone)
        asked = Asked(
            first=_day(first),
            last=_day(until),
            recipient=recipient,
            organisation=organisation,
            application=application,
            actor=actor,
            product=product,
            road=road,
            level=level,
            action=action,
            outcome=outcome,
            grant=grant,
            purpose=purpose,
            case=case,
        )
        asked = inquiry.permitted(register, asked, who)
        inquiry.require_known(register, asked)
        if file is None:
            _list(register, zone, asked, who, limit, before)
        else:
            _export(register, zone, asked, who, file, settings.home)
        register.close()


@app.command()
def receipt(
    recipient: Annotated[str, typer.Argument(help="接收方 / the recipient")],
    folder: Annotated[Path, typer.Argument(help="写到这个新目录 / a new folder")],
    who: Actor,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="首日 / first day")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="末日 / last day")],
) -> None:
    """写出接收方这些日子里读取内容的签名回执和公钥 / a signed receipt of what a recipient read, and our public key."""
    with told():
        settings = Settings.from_environment()
        desk = Desk(settings, opened_register(settings))
        asked = inquiry.permitted(desk.register, Asked(first.date(), until.date(), recipient), who)
        inquiry.require_known(desk.register, asked)
        signer = signer_of(settings, desk.listing.city())
        statement, signature, reads = receipt_of_reads(desk, asked, signer)
        digest = hashlib.sha256(statement.encode()).hexdigest()
        inquiry.record(desk.register, asked, inquiry.COMMAND, reads, actor=who, sha256=digest)
        written(folder, statement, signature, signer)
        desk.register.close()
        typer.echo(say("receipt.written", folder=folder, reads=reads))


@app.command("anomalies")
def show_anomalies(
    who: Actor,
    days: Annotated[int, typer.Option(min=1, max=366, help="看过去几天 / days that are over")] = anomalies.DAYS,
) -> None:
    """找出并列出反常读取：大量、夜间、超出授权 / find and list reads that are not as others: bulk, night, beyond."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        anomalies.standing(register, who)  # whoever may not see them does not start a search
        opened = anomalies.tell(register, load(settings.contracts).city, now(), days)
        found = anomalies.standing(register, who)
        for row in found:
            typer.echo(f"#{row['id']} {row['subject']} × {row['count']}")
            typer.echo(f"   {row['text']['zh']}\n   {row['text']['en']}")
        typer.echo(say("anomaly.counted", opened=opened, standing=len(found)))
        register.close()


@app.command()
def settle(
    number: Annotated[int, typer.Argument(max=GREATEST, help="问题编号 / number of the issue")],
    who: Actor,
    why: Annotated[str, typer.Option(help="核实结论，不写个人信息 / what was found, without personal values")],
) -> None:
    """办结一项反常读取 / close an anomaly."""
    with told():
        settings = Settings.from_environment()
        anomalies.settle(opened_register(settings), number, why, actor=who)
        typer.echo(say("anomaly.settled", number=number))


def _list(register: Register, zone: ZoneInfo, asked: Asked, who: str, limit: int, before: int | None) -> None:
    found = inquiry.page(register, zone, asked, limit + 1, before)
    inquiry.record(register, asked, inquiry.COMMAND, min(len(found), limit), actor=who, before=before)
    for row in found[:limit]:
        as_json({**row, "at": row["at"].astimezone(zone).isoformat(timespec="seconds")})
    if len(found) > limit:
        typer.echo(say("audit.more", limit=limit, before=found[limit - 1]["sequence"]))


def _export(register: Register, zone: ZoneInfo, asked: Asked, who: str, file: Path, home: Path) -> None:
    rows = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal rows
        for row in inquiry.rows(register, zone, asked):
            rows += 1
            yield row

    with private_file(file, home) as partial:
        with partial.open("wb") as out:
            out.writelines(inquiry.as_csv(register, zone, counted()))
        digest = sha256(partial)
        # before the file has its name: none is out without a row
        inquiry.record(register, asked, inquiry.COMMAND, rows, actor=who, sha256=digest)
    typer.echo(say("audit.written", file=file, rows=rows, size=file.stat().st_size, sha256=digest))


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
