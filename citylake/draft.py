"""`citylake contract draft`: skeletons of source contracts, from a connection or a sample file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from citylake.output import told
from pipelines.connectors.base import Request
from pipelines.contracts.load import Contracts, load
from pipelines.contracts.mistakes import UNDECIDED
from pipelines.drafts.contract import Draft, contract, fields
from pipelines.drafts.draft import drafted, looking
from pipelines.drafts.fields import Proposer
from pipelines.drafts.offers import Asked, Offer, of_file, verb_of
from pipelines.messages import CitylakeError, say
from pipelines.settings import Settings

SEVERAL = ("rest_api", "open_portal", "exchange")
"""Connectors of addresses of the web, of which a steward says one."""

Source = Annotated[
    str, typer.Argument(help="city.yaml 中的连接名，或一个样例文件 / a connection of city.yaml, or a sample file")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(help="表、文件、资源、共享表、接口路径；不写则列出 / what to draft; without it all is listed"),
]
Org = Annotated[str | None, typer.Option(help="数源部门代码，如 psb / the owner's code")]
To = Annotated[Path | None, typer.Option(help="写草稿的新目录 / the folder that drafts are written to")]
Verb = Annotated[
    str | None, typer.Option(help="连接器：rest_api、open_portal / the connector, for addresses of the web")
]
Given = Annotated[str, typer.Option("--with", help="连接器的其他参数，YAML / more arguments of the connector, as YAML")]
All = Annotated[bool, typer.Option("--all", help="起草列出的全部 / draft all that is listed")]


def draft(
    source: Source,
    names: Names = None,
    org: Org = None,
    to: To = None,
    verb: Verb = None,
    given: Given = "{}",
    everything: All = False,
) -> None:
    """起草来源合同，草稿中没有任何行的值 / draft source contracts; no value of a row is in them or shown."""
    with told():
        settings = Settings.from_environment()
        contracts = load(settings.contracts)
        settings.prepare()
        owner = _owner(contracts, org)

        def secret(name: str) -> str:
            return settings.connection_string(name, contracts.city.connections[name].secret)

        with looking(contracts, owner, secret, settings.lake.scratch()) as request:
            if source not in contracts.city.connections:
                offers = of_file(_file(source, contracts), request, _arguments(given))
                _write(offers, contracts, owner, request, _folder(to, org))
                return
            asked = Asked(request, source, _verb(source, verb, secret(source)), _arguments(given))
            wanted = names or (asked.names() if everything else None)
            if wanted is None:
                _list(asked)
                return
            _write((one for name in wanted for one in asked.offers(name)), contracts, owner, request, _folder(to, org))


def _list(asked: Asked) -> None:
    names = asked.names()
    for name in names:
        typer.echo(name)
    found = "listed" if names else "nothing_there" if asked.listing else "nothing_listed"
    typer.echo(say(f"draft.{found}", connection=asked.connection, count=len(names)), err=True)


def _write(offers: Iterator[Offer], contracts: Contracts, org: str, request: Request, folder: Path) -> None:
    """Write drafts and tell what is in them. What stood in the folder is never written over."""
    proposer, known = Proposer(contracts), {one.dataset for one in contracts.sources.values() if one.org == org}
    drafts = [drafted(offer, org, request, proposer, known) for offer in offers]
    made = [_new(folder / "sources" / org / f"{one.dataset}.yaml", contract(one)) for one in drafts]
    if any(one.new for one in drafts):
        made.append(_new(folder / "fields.yaml", fields(drafts)))
    for path, one in zip(made, drafts, strict=False):
        typer.echo(say("draft.written", file=path, **_counts(one, path)))
    for path in made[len(drafts) :]:
        typer.echo(say("draft.fields", file=path, count=sum(len(one.new) for one in drafts)))
    typer.echo(say("draft.next", contracts=contracts.root))


def _counts(one: Draft, path: Path) -> dict[str, int]:
    columns, new = len(one.proposals), len(one.new)
    open_ = path.read_text("utf-8").count(f"{UNDECIDED}：")
    return {"columns": columns, "known": columns - new, "new": new, "open": open_, "rows": one.sample.rows}


def _new(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CitylakeError("cli.cannot_write", file=path, problem=error.strerror or type(error).__name__) from None
    return path


def _owner(contracts: Contracts, org: str | None) -> str:
    known = contracts.codes["organisations"].rows
    if org is not None and org not in known:
        raise CitylakeError("draft.no_owner", org=org, known="、".join(sorted(known)))
    return org or contracts.city.operator


def _folder(to: Path | None, org: str | None) -> Path:
    if to is None or org is None:
        raise CitylakeError("draft.where")
    return to


def _file(source: str, contracts: Contracts) -> Path:
    path = Path(source)
    if not path.is_file():
        raise CitylakeError("draft.no_source", name=source, known="、".join(contracts.city.connections))
    return path


def _verb(connection: str, verb: str | None, address: str) -> str:
    found = verb_of(address)
    if found is None and verb not in SEVERAL:
        raise CitylakeError("draft.which_verb", connection=connection, known="、".join(SEVERAL))
    return found or verb or ""


def _arguments(given: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(given)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise CitylakeError("draft.arguments")
    return found
