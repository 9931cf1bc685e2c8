"""`citylake withdraw`, `reinstate`, `recall`: taking a released product back, and who had read it."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from catalog.policy import recall as recalls
from catalog.policy.recall import Reader, Recall
from citylake.output import opened_register, told
from citylake.permission import Actor, Why, permitted
from citylake.usage import GREATEST
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.lake.errors import RunLocked
from pipelines.lake.lock import run_lock
from pipelines.messages import CitylakeError, say, translate
from pipelines.register import Register
from pipelines.register.times import as_utc
from pipelines.release import marts, withdrawal
from pipelines.release.ledger import WITHDRAWAL
from pipelines.settings import Settings

Product = Annotated[str, typer.Argument(help="产品，如 sharing/person_of_division / the product")]


def withdraw(
    product: Product,
    who: Actor,
    why: Why,
    version: Annotated[
        int | None, typer.Option(max=GREATEST, help="只撤回这个旧版本 / only this earlier version")
    ] = None,
) -> None:
    """撤回已发布的产品，即刻生效，列出读过的各方 / take a released product back at once; lists who read it."""
    with told():
        settings = Settings.from_environment()
        register, contracts = permitted(settings, "product.withdraw", who, product=product), load(settings.contracts)
        row = withdrawal.withdraw(register, contracts, product, who, why, version)
        code = "withdrawal.done" if row.kind == WITHDRAWAL else "withdrawal.done_past"
        typer.echo(say(code, subject=product, version=row.version, row=row.sequence))
        if product.startswith("analyst/") and row.kind == WITHDRAWAL:
            _renew_marts(settings, contracts, register)  # before the audit is asked, which may take its time
        for one in recalls.tell(register, contracts, product):
            if one.withdrawal.sequence == row.sequence:
                _show(register, contracts, product, one)
        register.close()


def reinstate(product: Product, who: Actor, why: Why) -> None:
    """恢复被撤回的产品，下次运行过门后发布 / let a withdrawn product be released again by the next run."""
    with told():
        register = permitted(Settings.from_environment(), "product.reinstate", who, product=product)
        row = withdrawal.reinstate(register, product, who, why)
        typer.echo(say("withdrawal.reinstated", subject=product, row=row.sequence))
        register.close()


def recall(
    product: Product,
    answered: Annotated[str | None, typer.Option(help="已答复的接收方 / the recipient that answered")] = None,
    who: Annotated[str, typer.Option(envvar="CITYLAKE_ACTOR", help="办结的用户 / the user who closes it")] = "",
    why: Annotated[str, typer.Option(help="如何处理的 / what was done")] = "",
) -> None:
    """列出读过被撤回版本的各方；--answered 办结 / list who read what was withdrawn; close what was answered."""
    with told():
        settings = Settings.from_environment()
        if answered is not None and not (who.strip() and why.strip()):
            raise CitylakeError("withdrawal.who_and_why")
        asks = answered is None
        register = opened_register(settings) if asks else permitted(settings, "recall.answer", who, product=product)
        contracts = load(settings.contracts)
        if answered is not None:
            count = recalls.answer(register, contracts, product, answered, who, why)
            typer.echo(say("recall.answered", subject=product, recipient=answered, count=count))
        found = recalls.tell(register, contracts, product)
        if not found:
            raise CitylakeError("recall.none", subject=product)
        for one in found:
            _show(register, contracts, product, one)
        register.close()


def _renew_marts(settings: Settings, contracts: Contracts, register: Register) -> None:
    """The file holds what was withdrawn: its link goes at once, also for those who read it on this machine."""
    settings.marts.unlink(missing_ok=True)
    try:
        with run_lock(settings.home, "withdraw"):
            marts.refresh(settings, contracts, register)
    except RunLocked:
        typer.echo(say("withdrawal.marts_later"))


def _show(register: Register, contracts: Contracts, product: str, one: Recall) -> None:
    body, answered = one.withdrawal.body, recalls.answered(register, product)
    about = {"who": body.get("who", "—"), "why": body.get("why", "—"), "at": _time(contracts, one.withdrawal.at)}
    versions = _versions(one.versions)
    typer.echo(say("recall.head", subject=product, row=one.withdrawal.sequence, versions=versions, **about))
    for reader in one.readers:
        state = _state(reader, recalls.identity(one, reader) in answered)
        for language in ("zh", "en"):
            typer.echo(_line(contracts, product, reader, state, language))
    if not one.readers:
        typer.echo(say("recall.no_reader"))


def _state(reader: Reader, answered: bool) -> str:
    if reader.recipient is None:
        return "nobody"
    return "answered" if answered else "open"


def _line(contracts: Contracts, product: str, reader: Reader, state: str, language: str) -> str:
    nobody = "recall.public" if product.startswith("open/") else "recall.command"
    organisations = contracts.codes["organisations"].rows
    known = organisations.get(reader.organisation or "", {})
    return translate(
        "recall.reader",
        language,
        recipient=reader.recipient or translate(nobody, language),
        organisation=known.get("name" if language == "zh" else "name_en") or reader.organisation or "—",
        versions=translate("recall.in_marts", language) if reader.in_marts else _versions(reader.versions),
        reads=reader.reads,
        last=_time(contracts, reader.last),
        state=translate(f"recall.state.{state}", language),
    )


def _versions(versions: tuple[int, ...]) -> str:
    return "、".join(map(str, versions)) or "—"


def _time(contracts: Contracts, moment: datetime) -> str:
    return as_utc(moment).astimezone(ZoneInfo(contracts.city.timezone)).isoformat(" ", "minutes")
