"""Day-to-day commands: run the city job, serve the catalogue, decide about held batches, look at issues, verify."""

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import typer

from citylake.batch import tell
from citylake.feedback import due_text
from citylake.jobs import run_job
from citylake.output import as_json, known_source, opened_register, proof_text, told
from citylake.permission import Actor, Why, permit, permitted
from citylake.usage import GREATEST
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import load
from pipelines.held import decide_batch
from pipelines.issues import Issues
from pipelines.messages import CitylakeError, say, translate
from pipelines.register import Register, heads, tables
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import marts, volume
from pipelines.release.approval import unbacked
from pipelines.release.ledger import Ledger
from pipelines.release.verify import releases, unproved
from pipelines.run import opened
from pipelines.settings import Settings
from pipelines.summary import summary

IDLE_SECONDS = 75
"""How long a connection stays open between two questions: longer than a proxy before the catalogue keeps its own (60 s
is usual), else a question and the end of its connection cross now and then."""

Source = Annotated[str, typer.Argument(help="来源，如 drc/penalty / the source")]
Batch = Annotated[
    int, typer.Argument(max=GREATEST, help="批次号，见 citylake issues / the number that citylake issues tells")
]


def run(job: Annotated[str, typer.Argument(help="任务：city、daily、yearly / the job")] = "city") -> None:
    """运行一次：汇聚、入库、构建、过门、发布 / pull, admit, build, prove and release once."""
    started = time.monotonic()
    with told():
        settings = Settings.from_environment()
        run_id, success = run_job(settings, job)
        as_json({**summary(settings, run_id), "seconds": round(time.monotonic() - started, 1)})
    raise typer.Exit(0 if success else 1)


def serve() -> None:
    """启动目录服务 / serve the catalogue."""
    import uvicorn

    from catalog.app import create_app

    with told():
        settings = Settings.from_environment()
        opened_register(settings).close()
        uvicorn.run(
            create_app(settings),
            host="127.0.0.1",
            port=settings.port,
            access_log=False,
            log_level="warning",
            timeout_keep_alive=IDLE_SECONDS,
        )


def confirm(source: Source, batch: Batch, who: Actor, why: Why) -> None:
    """确认被暂停的批次，下次运行时入库 / confirm a held batch; the next run admits it."""
    _decide(source, batch, Stage.CONFIRM, who, why)


def confirm_volume(
    subject: Annotated[str, typer.Argument(help="模型，如 lib_population__person / the model")], who: Actor, why: Why
) -> None:
    """确认发布对象变化了的行数，下次运行时按此比较 / confirm a row count that closed the gate."""
    with told():
        register = permitted(Settings.from_environment(), "volume.confirm", who, subject=subject)
        rows = volume.confirm_volume(register, subject, who, why)
        register.close()
        for language in ("zh", "en"):
            typer.echo(translate("volume.confirmed", language, subject=subject, rows=rows))


def reject(source: Source, batch: Batch, who: Actor, why: Why) -> None:
    """驳回被暂停的批次 / reject a held batch."""
    _decide(source, batch, Stage.REJECT, who, why)


def replay(
    source: Source,
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="首日 / first day")],
    last: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="末日 / last day")],
    who: Actor,
    why: Why,
) -> None:
    """按现行合同重新判定某几日收到的批次 / judge what a source delivered on some days again."""
    with told():
        settings = Settings.from_environment()
        permit(settings, "batch.replay", who, subject=source)
        with opened(settings, f"replay-{uuid.uuid4()}") as run:
            contract = known_source(run.contracts, source)
            done = run.replay(source, first.date(), last.date(), {"who": who, "why": why})
        tell(contract, done.replayed(source))


def issues(
    closed: Annotated[bool, typer.Option(help="列出已办结的及证明 / those that are closed, with the proof")] = False,
) -> None:
    """列出未结问题 / list open issues."""
    with told():
        settings = Settings.from_environment()
        desk, contracts = Issues(opened_register(settings)), load(settings.contracts)
        for row in desk.proved() if closed else []:
            typer.echo(proof_text(row))
        for row in [] if closed else desk.open():
            typer.echo(f"#{row['id']} [{row['severity']}] {row['subject']} ({row['owner']}) × {row['count']}")
            typer.echo(f"   {row['text']['zh']}\n   {row['text']['en']}")
            for line in due_text(row, contracts):
                typer.echo(line)


def verify() -> None:
    """校验账本、审计的哈希链和签名头，全部证据和发布版本 / verify ledger, audit, heads, evidence, every version."""
    from catalog.policy import audit, proved
    from catalog.reporting import monthly

    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        ledger = Ledger(register)
        chains = ((tables.ledger, ledger.first_break()), (tables.audit, audit.first_break(register)))
        for table, broken in chains:
            if broken is not None:
                raise CitylakeError("verify.broken", chain=table.name, sequence=broken)
            different = heads.difference(register, table)
            if different is not None and different.unfit:
                raise CitylakeError(f"heads.unfit.{different.unfit}", chain=table.name, head=different.head)
            if different is not None:
                raise CitylakeError("verify.not_signed", chain=table.name, sequence=different.row, head=different.head)
            typer.echo(f"{table.name}: OK")
        wrong = _problems(
            say("verify.unproved", row=row.sequence, subject=row.subject, edition=row.edition)
            for row in unproved(ledger, Receipts(register, "verify"))
        )
        if not wrong:
            typer.echo("evidence: OK")
        wrong += _verified_releases(settings, ledger)
        wrong += _problems(
            say("verify.unapproved", row=row.sequence, subject=row.subject, version=row.version)
            for row in unbacked(ledger)
        )
        wrong += _problems(
            say("verify.grant_unproved", grant=given.id, recipient=given.recipient, product=given.product)
            for given in proved.unproved(register)
        )
        wrong += _problems(say("verify.token_unproved", token=token) for token in proved.unissued(register))
        wrong += _problems(say("verify.let_in", name=name) for name in proved.let_in(register))
        wrong += _problems(say("verify.restated", name=name) for name in proved.restated(register))
        wrong += _problems(say("verify.report", file=file) for file in monthly.different(settings, ledger))
        if not wrong:  # it is compared with what was just found right
            altered = marts.altered(settings, load(settings.contracts), register)
            wrong += _problems(say("verify.marts", file=settings.marts.resolve(), table=table) for table in altered)
            wrong += _verified_views(settings, register)
        register.close()
    if wrong:
        raise typer.Exit(1)


def _verified_releases(settings: Settings, ledger: Ledger) -> int:
    """Tell of every release that is not as it was published; how many are not what the ledger says."""
    states: Counter[str] = Counter()
    for one in releases(settings.lake, ledger):
        about = {"subject": one.subject, "version": one.version}
        if one.state == "corrupt":
            _problems([say("verify.corrupt", **about, what=one.what)])
        elif one.state != "unchanged":
            typer.echo(say(f"verify.{one.state}", **about, orders="、".join(one.orders)))
        states[one.state] += 1
    if not states["corrupt"]:
        typer.echo(f"releases: OK ({states.total()})")
    return states["corrupt"]


def _verified_views(settings: Settings, register: Register) -> int:
    """Tell of every folder of views that is not as it would be made now; how many there are."""
    from catalog.delivery import rebuilt

    found = rebuilt.compared(settings, register)
    for one in found.altered:
        about = {"product": one.product, "version": one.version, "folder": one.folder}
        _problems([say("verify.view", **about, files="、".join(one.files))])
    if not found.altered:
        typer.echo(f"views: OK ({found.same})")
    if found.idle:
        typer.echo(say("verify.views_idle", views=found.idle))
    return len(found.altered)


def _problems(texts: Iterable[str]) -> int:
    """Tell each problem, and go on: whoever changed one thing may have changed others. How many there are."""
    count = 0
    for text in texts:
        typer.secho(text, err=True, fg=typer.colors.RED)
        count += 1
    return count


def _decide(source: str, batch: int, stage: Literal[Stage.CONFIRM, Stage.REJECT], who: str, why: str) -> None:
    with told():
        settings = Settings.from_environment()
        permit(settings, f"batch.{stage.value}", who, subject=source)
        contract = known_source(load(settings.contracts), source)
        decide_batch(settings, source, batch, stage, who, why)
        whole = isinstance(contract.form.load, WholeTable)
        done = "confirmed" if stage is Stage.CONFIRM else "rejected" if whole else "rejected_changes"
        typer.echo(say(f"batch.{done}", subject=source, batch=batch))
