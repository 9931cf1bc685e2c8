"""`citylake across`: rules about two sources, what they found by the last run, and which ones as a file."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from citylake.output import known_source, opened_register, private_file, told
from citylake.permission import Actor, Why, permitted
from pipelines.contracts.load import SourceContract, load
from pipelines.evidence.across import Seen, failing, unanswered
from pipelines.evidence.across_book import write
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings

app = typer.Typer(
    help="跨数据集规则：登记完整、引用、合计 / rules about two datasets: registers, references, totals",
    no_args_is_help=True,
)


@app.command("list")
def show(source: Annotated[str | None, typer.Argument(help="只看一个来源 / one source only")] = None) -> None:
    """列出各规则最近的核对结果，不显示内容 / what each rule found last, without values."""
    with told():
        settings = Settings.from_environment()
        register, contracts = opened_register(settings), load(settings.contracts)
        receipts = Receipts(register, "across")
        for contract in [known_source(contracts, source)] if source else contracts.sources.values():
            seen = _seen(receipts, contract)
            for one in seen.looked if seen else ():
                about = {"subject": contract.id, "day": seen.day, **vars(one)} if seen else {}
                typer.echo(say("across.line", **about))
            for finding in unanswered(contract, contracts, seen) if seen else ():
                typer.echo(say(finding.code, **finding.arguments))
        register.close()


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="来源，如 amr/shareholder / the source")],
    rule: Annotated[str, typer.Argument(help="规则编号，见 list / the rule, as list shows it")],
    file: Annotated[Path, typer.Argument(help="新文件，Excel 工作簿 / a new file, a workbook")],
    who: Actor,
    why: Why,
) -> None:
    """导出缺的、不符的是哪些（可能含个人信息，留痕）/ write which ones; may be personal data, recorded."""
    with told():
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "across.export", who, subject=source), load(settings.contracts)
        contract, receipts = known_source(contracts, source), Receipts(register, f"across-{uuid.uuid4()}")
        known, seen = {one.id: one for one in contract.across}, _seen(receipts, contract)
        looked = next((one for one in seen.looked if one.rule == rule), None) if seen else None
        if rule not in known or seen is None or looked is None:
            raise CitylakeError("across.unknown_rule", subject=source, rule=rule, known="、".join(known) or "—")
        names, rows = failing(contract, contracts, settings.lake, known[rule], seen)
        if not rows:
            raise CitylakeError("across.nothing", subject=source, rule=rule)
        made = datetime.now(ZoneInfo(contracts.city.timezone)).strftime("%Y-%m-%d %H:%M")
        about = {"day": seen.day, "made": made, "who": who}
        with private_file(file, settings.home) as partial:
            with partial.open("r+b") as target:
                other = contracts.sources[looked.of]
                written = write(target, contract, other, looked, names, rows, about, settings.lake.scratch())
            versions = dict(looked.versions)
            body = {"who": who, "why": why, "rule": rule, "rows": written, "versions": versions}
            # before the file has its name: none is out without a receipt
            receipts.add(Stage.EXPORT, source, {**body, "sha256": sha256(partial)})
        typer.echo(say("across.exported", file=file, rows=written, left=len(rows) - written))
        register.close()


def _seen(receipts: Receipts, contract: SourceContract) -> Seen | None:
    last = receipts.last(Stage.ACROSS, contract.id)
    return Seen.read(last.body) if last else None
