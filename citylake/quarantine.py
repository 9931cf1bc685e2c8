"""`citylake quarantine`: refused rows by rule, as a file for the department that owns them, and the file taken back."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from citylake.batch import tell
from citylake.output import known_source, opened_register, private_file, proof_text, told
from citylake.permission import Actor, Why, permit, permitted
from pipelines.admission import correction_book
from pipelines.admission.quarantine import Quarantine
from pipelines.admission.reasons import reasons
from pipelines.contracts.load import load
from pipelines.issues import Issues
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say, translate
from pipelines.register.receipts import Receipts, Stage
from pipelines.run import opened
from pipelines.settings import Settings

app = typer.Typer(help="退回行：查看、导出、交回 / refused rows: look, export, return", no_args_is_help=True)
Source = Annotated[str, typer.Argument(help="来源，如 drc/penalty / the source")]


@app.command("list")
def show(
    source: Annotated[str | None, typer.Argument(help="只看一个来源 / one source only")] = None,
    closed: Annotated[bool, typer.Option(help="列出已办结的及证明 / those that are closed, with the proof")] = False,
) -> None:
    """按规则列出待改正的退回行，不显示内容 / open refused rows by rule, without values."""
    with told():
        settings = Settings.from_environment()
        register, contracts = opened_register(settings), load(settings.contracts)
        for contract in [known_source(contracts, source)] if source else contracts.sources.values():
            if closed:
                for row in Issues(register).proved(contract.id):
                    typer.echo(proof_text(row))
                continue
            receipts = Receipts(register, "quarantine")
            with Quarantine(contract, contracts, settings.lake, receipts) as quarantine:
                counts = quarantine.counts()
            known = {language: reasons(contract, language) for language in ("zh", "en")}
            for count in counts:
                about = {"subject": contract.id, **vars(count)}
                for language, texts in known.items():
                    reason = texts.get(count.rule, "")
                    typer.echo(translate("quarantine.open", language, **about, reason=reason))
        register.close()


@app.command()
def export(
    source: Source,
    file: Annotated[Path, typer.Argument(help="新文件，Excel 工作簿 / a new file, a workbook")],
    who: Actor,
    why: Why,
    rule: Annotated[str | None, typer.Option(help="只导出这条规则退回的行 / only those that this rule refused")] = None,
) -> None:
    """导出待改正的退回行（含个人信息，留痕）/ write the open refused rows; personal data, recorded."""
    with told():
        settings = Settings.from_environment()
        register = permitted(settings, "quarantine.export", who, subject=source)
        contracts = load(settings.contracts)
        contract, receipts = known_source(contracts, source), Receipts(register, f"export-{uuid.uuid4()}")
        with Quarantine(contract, contracts, settings.lake, receipts) as quarantine:
            lines = [line for line in quarantine.lines() if rule is None or rule in line.rules.split(",")]
        if not lines:
            found = {"subject": source} if rule is None else {"subject": source, "rule": rule}
            raise CitylakeError("quarantine.nothing_open" if rule is None else "quarantine.nothing_by_rule", **found)
        made = datetime.now(ZoneInfo(contracts.city.timezone)).strftime("%Y-%m-%d %H:%M")
        about = correction_book.About(who, made)
        with private_file(file, settings.home) as partial:
            with partial.open("r+b") as target:
                ids = correction_book.write(target, contract, contracts, receipts, lines, about, settings.lake)
            body = {"who": who, "why": why, "rule": rule, "rows": len(ids), "sha256": sha256(partial), "ids": ids}
            receipts.add(Stage.EXPORT, source, body)  # before the file has its name: none is out without a receipt
        owner = contracts.codes["organisations"].rows[contract.org]["name"]
        typer.echo(say("quarantine.exported", file=file, rows=len(ids), left=len(lines) - len(ids), owner=owner))
        register.close()


@app.command("return")
def take_back(
    source: Source,
    file: Annotated[Path, typer.Argument(help="改正后的工作簿 / the corrected workbook")],
    who: Actor,
    why: Why,
) -> None:
    """收回改正后的文件并重新入库 / admit the rows of a corrected file."""
    with told():
        settings = Settings.from_environment()
        permit(settings, "quarantine.return", who, subject=source)
        contract = known_source(load(settings.contracts), source)
        with opened(settings, f"return-{uuid.uuid4()}") as run:
            done = run.take_back(source, file, who, why)
        tell(contract, done)
