"""`citylake release`: what waits for two persons or for its moment, and their words."""

from datetime import datetime
from typing import Annotated, Any

import typer

from catalog.policy import releases
from citylake.output import as_json, opened_register, told
from citylake.permission import Actor, Why
from citylake.signing import Device, KeyFile, brought
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts, Product
from pipelines.messages import CitylakeError, say
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.approval import Words, against, asked, heard, local, terms
from pipelines.release.ledger import Ledger, Recorded
from pipelines.settings import Settings

app = typer.Typer(help="发布：两人批准、定时 / release by two persons, at a set time", no_args_is_help=True)

Named = Annotated[str, typer.Argument(help="产品，如 sharing/person_of_division / the product")]


@app.command("list")
def show() -> None:
    """列出发布须两人批准或定时的产品 / products that ask for more than the gate."""
    with told():
        contracts, register = _opened()
        ledger = Ledger(register)
        said, published = heard(ledger), ledger.published()
        lines = [
            line
            for name, product in sorted(contracts.products.items())
            if (line := _line(contracts, product, said.get(name, Words()), published.get(name))) is not None
        ]
        for line in lines:
            as_json(line)
        if not lines:
            typer.echo(say("approval.nobody_asks"))
        register.close()


@app.command()
def propose(
    product: Named,
    who: Actor,
    why: Why,
    since: Annotated[str | None, typer.Option("--from", help="此前不发布，如 2026-12-01T09:00 / not before")] = None,
) -> None:
    """提请发布产品，另一人批准后生效 / propose the release of a product; another person approves it."""
    with told():
        contracts, register = _opened()
        moment = None if since is None else _moment(contracts, since)
        _say(releases.propose(register, contracts, product, why, moment, actor=who))
        register.close()


@app.command()
def approve(product: Named, who: Actor, key: KeyFile = None, device: Device = None) -> None:
    """批准他人提请的发布，用本人的密钥签名 / approve what another person proposed, signed with one's own key."""
    with told():
        settings = Settings.from_environment()
        contracts, register = load(settings.contracts), opened_register(settings)
        signer = brought(settings, register, who, key, device, product)
        if signer is None:
            raise CitylakeError("approval.key_or_device", subject=product)
        _say(releases.approve(register, contracts, product, signer, actor=who))
        register.close()


@app.command()
def refuse(product: Named, who: Actor, why: Why) -> None:
    """不批准提请；没有提请时终止已有的批准 / refuse a proposal, or end the approval in force."""
    with told():
        register = _opened()[1]
        row = releases.refuse(register, product, why, actor=who)
        permit = heard(Ledger(register)).get(product, Words()).permit
        register.close()
        about = {"subject": product, "row": row.sequence, "proposal": row.body["proposal"]}
        typer.echo(say(f"approval.done.ended.{row.body['ended']}", **about))
        if permit is None:
            typer.echo(say("approval.none_in_force", subject=product))
        else:
            typer.echo(say("approval.in_force", subject=product, row=permit.row))


def _opened() -> tuple[Contracts, Register]:
    settings = Settings.from_environment()
    return load(settings.contracts), opened_register(settings)


def _moment(contracts: Contracts, text: str) -> datetime:
    try:
        return local(text, contracts.city)
    except ValueError:
        raise CitylakeError("approval.bad_moment", value=text) from None


def _line(contracts: Contracts, product: Product, words: Words, release: Recorded | None) -> dict[str, Any] | None:
    """One product as JSON; None for one that asks for nothing and of which nobody said anything."""
    wanted = asked(product, contracts.city, words, now())
    if wanted.approval is None and wanted.not_before is None and words == Words():
        return None
    return {
        "product": product.id,
        "asks": wanted.approval,
        "not_before": wanted.not_before,
        "published": release.version if release else None,
        "waits": [reason.text("zh") for reason in against(product.id, wanted)],
        "proposal": _spoken(words.proposal),
        "approval": vars(words.permit) if words.permit else None,
        "shows": terms(product),
    }


def _spoken(proposal: Recorded | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    return {"row": proposal.sequence, **{name: proposal.body[name] for name in ("who", "why", "from", "terms")}}


def _say(row: Recorded) -> None:
    typer.echo(say(f"approval.done.{row.kind}", subject=row.subject, row=row.sequence))
