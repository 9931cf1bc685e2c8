"""`citylake evidence`: what an auditor takes along: the bundle, signed heads to keep elsewhere, the public key."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.policy import heads as policy_heads
from catalog.policy.audit import record
from catalog.reporting import forms, quality
from citylake import failing
from citylake.output import opened_register, private_file, told
from citylake.permission import Actor, permitted
from pipelines.contracts.load import load
from pipelines.evidence import data_docs
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register import Register, chain, heads
from pipelines.register.receipts import Receipts
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.register.tables import audit, ledger
from pipelines.release import bundle
from pipelines.release.ledger import Ledger
from pipelines.release.signing import signer_of
from pipelines.settings import Settings

app = typer.Typer(help="证据：离线证据包、签名头、公钥 / evidence for auditors", no_args_is_help=True)
app.command("failing")(failing.export)


@app.command("export")
def export_bundle(
    folder: Annotated[Path, typer.Argument(help="新目录，或一个新的 .zip / a new folder, or a .zip")],
    who: Actor,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="首日 / first day")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="末日 / last day")] = None,
) -> None:
    """导出可离线核验的证据包 / write a bundle that is checked offline, without citylake."""
    with told():
        settings = Settings.from_environment()
        if folder.resolve().is_relative_to(settings.home):
            raise CitylakeError("cli.in_the_home", file=folder, home=settings.home)
        register, city = permitted(settings, "evidence.export", who), load(settings.contracts).city
        signer = _signer(settings)
        refused = _sealed(register, settings)
        zone = ZoneInfo(city.timezone)
        done = bundle.export(register, signer, folder, city.name, zone, _date(first), _date(until), refused is None)
        record(register, "evidence.export", "allowed", {"actor": who, "manifest": done.manifest})
        typer.echo(say("bundle.written", folder=folder, **vars(done)))
        register.close()
        if refused is not None:  # the bundle is written all the same: it shows where the ledger was tampered with
            raise refused


@app.command("report")
def quality_report(
    file: Annotated[Path, typer.Option("-o", "--output", help="新文件 / a new file")],
    month: Annotated[str | None, typer.Option(help="月份，如 2026-11；默认本月 / the month")] = None,
    dataset: Annotated[str | None, typer.Option(help="来源、模型或产品 / a source, model or product")] = None,
    department: Annotated[str | None, typer.Option(help="部门代码 / code of a department")] = None,
    form: Annotated[str, typer.Option("--format", help="pdf、xlsx 或 html")] = "pdf",
    english: Annotated[bool, typer.Option("--english", help="英文 / in English")] = False,
) -> None:
    """一个月的数据质量报告：全市、一个部门或一个数据，留痕 / the quality report of a month; recorded."""
    with told():
        settings = Settings.from_environment()
        if dataset is not None and department is not None:
            raise CitylakeError("report.one_scope")
        register, contracts = opened_register(settings), load(settings.contracts)
        month = month or f"{now().astimezone(ZoneInfo(contracts.city.timezone)):%Y-%m}"
        document = quality.report(
            contracts, register, month, dataset, department, "en" if english else "zh", url=settings.url
        )
        with private_file(file, settings.home) as partial:
            forms.write(document, form, partial)
            digest = sha256(partial)
            about = {"month": month, "dataset": dataset, "department": department}
            # before the file has its name: none is out without a row
            record(register, "report", "allowed", {"road": "command", "format": form, "sha256": digest, **about})
        typer.echo(say("report.written", file=file, size=file.stat().st_size, sha256=digest))
        register.close()


@app.command("docs")
def data_docs_page(
    subject: Annotated[str, typer.Argument(help="模型或 通道/产品 / a model, or channel/product")],
    file: Annotated[Path, typer.Option("-o", "--output", help="新文件 / a new file")],
    english: Annotated[bool, typer.Option("--english", help="英文 / in English")] = False,
) -> None:
    """已发布版本的 Great Expectations Data Docs，单个离线网页 / of the published version, one page for offline use."""
    with told():
        settings = Settings.from_environment()
        register, contracts = opened_register(settings), load(settings.contracts)
        entry = Ledger(register).published().get(subject)
        receipts = Receipts(register, "export")
        found = data_docs.kept(receipts, subject, entry.edition, entry.body.get("proof")) if entry else None
        about = contracts.models.get(subject) or contracts.products.get(subject)
        if found is None or found.evidence is None or about is None:
            raise CitylakeError("data_docs.none", subject=subject)
        form = about.form
        text = data_docs.page(found, form.nameEn if english else form.name, "en" if english else "zh")
        with private_file(file, settings.home) as partial:
            partial.write_text(text, "utf-8", newline="")
        typer.echo(say("data_docs.written", file=file, size=file.stat().st_size, proof=chain.digest(found.evidence)))
        typer.echo(say(f"data_docs.{found.agreement}"))
        register.close()


@app.command("heads")
def export_heads(
    file: Annotated[Path, typer.Argument(help="新文件 / a new file")],
    of_audit: Annotated[bool, typer.Option("--audit", help="审计的签名头 / those of the audit")] = False,
) -> None:
    """导出签名头，供系统之外留存 / write all signed heads, to be kept outside of this system."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        if (refused := _sealed(register, settings)) is not None:
            raise refused
        known = list(heads.listed(register, audit if of_audit else ledger))
        if not known:
            raise CitylakeError("bundle.no_audit" if of_audit else "bundle.empty")
        with private_file(file, settings.home) as partial:
            partial.write_text("".join(f"{head.line()}\n" for head in known), "utf-8", newline="")
        code = "bundle.audit_heads" if of_audit else "bundle.heads"
        typer.echo(say(code, file=file, heads=len(known), last=known[-1].last))
        register.close()


@app.command()
def accept_head(
    who: Actor,
    why: Annotated[str, typer.Option(help="为什么认可 / why it is ours")],
    of_audit: Annotated[bool, typer.Option("--audit", help="审计的签名头 / that of the audit")] = False,
) -> None:
    """认可已移交的旧钥匙所签的最后一个签名头 / vouch for the last head, of a key that was handed over."""
    with told():
        settings = Settings.from_environment()
        register, of = opened_register(settings), audit if of_audit else ledger
        zone = ZoneInfo(load(settings.contracts).city.timezone)
        _sealed(register, settings)  # the other book first: its last key is the one that may say so
        last, made = policy_heads.accept(register, _signer(settings), zone, of, why, actor=who)
        typer.echo(say("heads.accepted", chain=of.name, head=last, by=made.sequence))
        register.close()


@app.command("key")
def show_key() -> None:
    """显示签名公钥（PEM） / print the public key of signatures."""
    with told():
        settings = Settings.from_environment()
        settings.prepare()
        typer.echo(_signer(settings).public_key(Encoding.PEM).decode(), nl=False)


def _signer(settings: Settings) -> Signer:
    return signer_of(settings, load(settings.contracts).city)


def _sealed(register: Register, settings: Settings) -> CitylakeError | None:
    """Sign what no head covers yet; why the ledger or the audit was not signed, if so."""
    refused, city = None, load(settings.contracts).city
    signer, zone = signer_of(settings, city), ZoneInfo(city.timezone)
    for links in (audit, ledger):
        try:
            heads.seal(register, signer, zone, links)
        except CitylakeError as error:
            refused = error
    return refused


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
