"""`citylake person`: the rights of one person: to see what is kept, to have it corrected or erased. All is recorded."""

import uuid
from contextlib import closing
from typing import Annotated, Literal

import typer

from catalog.delivery.ahead import after_release
from citylake.output import as_json, opened_register, told
from citylake.permission import Actor, Why, permit, permitted
from citylake.ready import make_ready
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import load
from pipelines.erasure.copies import copies
from pipelines.erasure.lifting import lift
from pipelines.erasure.order import Erasure, Order, erasing_key
from pipelines.messages import CitylakeError, say
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import correct
from pipelines.release.explain import Explainer
from pipelines.release.ledger import Ledger
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from pipelines.run import opened
from pipelines.settings import Settings

MOST_NAMED = 20
"""Files that a message names."""


def person(
    person: Annotated[str, typer.Argument(help="人员标识 person_id，旧标识也可 / the golden id, an old one will do")],
    action: Annotated[
        Literal["see", "correct", "erase", "check-erased", "lift-erasure"],
        typer.Argument(
            help="查阅 see、更正 correct、删除 erase、核对备份 check-erased、撤销删除令 lift-erasure"
            " / see, correct, erase, look into backups, or lift an erasure"
        ),
    ] = "see",
    *,
    who: Actor,
    why: Why,
    values: Annotated[
        bool, typer.Option("--values", help="逐行显示内容，含个人信息 / the rows themselves, personal data")
    ] = False,
    field: Annotated[str | None, typer.Option(help="更正人口库的哪一字段 / column of the library to correct")] = None,
    said: Annotated[str | None, typer.Option("--from", help="现在的值，空值不写 / what it says now")] = None,
    wanted: Annotated[str | None, typer.Option("--to", help="正确的值，空值不写 / what it should say")] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="来源改正之前先按正确的值入库 / let it count before the source mends it")
    ] = False,
    order: Annotated[str | None, typer.Option(help="删除令编号 / number of the order to erase")] = None,
    end_versions: Annotated[
        bool,
        typer.Option(
            "--end-versions",
            help="产品的旧版本中找不到应删的行时整版清除 / end old versions of products in which a row is not found",
        ),
    ] = False,
) -> None:
    """查阅、更正、删除一个人在各库和各来源中的记录，留痕 / see, correct or erase what is kept of a person; recorded."""
    with told():
        settings = Settings.from_environment()
        if action == "erase":
            _erase(settings, person, order, who, why, end_versions)
        elif action == "check-erased":
            permit(settings, "erasure.check", who)
            _check_erased(settings, order)
        elif action == "lift-erasure":
            _lift(settings, person, who, why)
        elif action == "correct":
            _correct(settings, person, field, said, wanted, {"who": who, "why": why}, apply)
        else:
            _see(settings, person, who, why, values)


def _see(settings: Settings, person: str, who: str, why: str, values: bool) -> None:
    register, contracts = permitted(settings, "person.see", who), load(settings.contracts)
    released = ReleasedRows(contracts, settings.lake, register)
    one, receipts = Person(released, person), Receipts(register, f"person-{uuid.uuid4()}")
    receipts.add(Stage.EXPORT, "person", {"who": who, "why": why, "person": one.id, "values": values})
    if one.id != person:
        typer.echo(say("person.resolved", person=person, now=one.id))
    for kept in (*one.libraries(), *one.sources(core_versions(contracts, settings.lake, receipts))):
        about = {"place": kept.place, "name": kept.name, "owner": kept.owner, "columns": ", ".join(kept.columns)}
        typer.echo(say("person.kept", **about, rows=len(kept.rows)))
        for row in kept.rows if values else ():
            as_json(row)
    released.con.close()
    register.close()


def _correct(
    settings: Settings,
    person: str,
    field: str | None,
    said: str | None,
    wanted: str | None,
    about: dict[str, str],
    applied: bool,
) -> None:
    if field is None:
        raise CitylakeError("rights.no_field")
    permit(settings, "person.correct", about["who"])
    with opened(settings, f"correct-{uuid.uuid4()}") as run:
        released = ReleasedRows(run.contracts, settings.lake, run.register)
        one = Person(released, person).id
        released.con.close()
        versions = core_versions(run.contracts, settings.lake, run.receipts)
        about = {**about, "since": run.today.isoformat()}
        with Explainer(run.contracts, settings, run.register) as explainer:
            source, asked, row = correct.asked(
                explainer, run.contracts, versions, one, field, said, wanted, about, applied
            )
        run.ask(source, asked, row)
        owner = run.contracts.codes["organisations"].rows[run.contracts.sources[source].org]["name"]
        incremental = not isinstance(run.contracts.sources[source].form.load, WholeTable)
    typer.echo(say("rights.asked", id=asked.id, subject=source, owner=owner))
    if applied:
        typer.echo(say("rights.replay" if incremental else "rights.applied", subject=source))


def _lift(settings: Settings, person: str, who: str, why: str) -> None:
    register = permitted(settings, "person.lift", who)
    ledger = Ledger(register)
    orders = lift(ledger, erasing_key(settings, ledger), person, who, why)
    register.close()
    typer.echo(say("erase.lifted", orders="、".join(orders)))


def _erase(settings: Settings, person: str, order: str | None, who: str, why: str, end_versions: bool) -> None:
    if not (order := (order or "").strip()):
        raise CitylakeError("erase.no_order")
    permit(settings, "person.erase", who)
    with opened(settings, f"erase-{uuid.uuid4()}", erasing=True) as run:
        given = Order(order, who, why, end_versions)
        done = Erasure(settings, run.contracts, run.register).carry_out(person, given)
        run.marts()
    for place, counts in done["places"].items():
        typer.echo(say("erase.place", place=place, **counts))
    for product, versions in done.get("versions", {}).items():  # receipts of before have none
        typer.echo(say("erase.ended", product=product, versions="、".join(map(str, versions))))
    for one in done["refused"]:
        typer.echo(say("erase.refused", **one))
    if done["kept"]:
        typer.echo(say("erase.kept", models="、".join(done["kept"])))
    if done["refused"] or done["kept"]:
        typer.echo(say("erase.again", order=order))
    if done["unknown"]:
        typer.echo(say("erase.unknown", folders="、".join(done["unknown"])))
    register = opened_register(settings)
    make_ready(settings, register, after_release)  # an erasure drops all that was made of rows
    register.close()
    if settings.backups:
        _require_no_copies(settings, order)
    else:
        typer.echo(say("erase.none_configured", order=order))
    typer.echo(say("erase.done", order=order, files=len(done["files"])))


def _check_erased(settings: Settings, order: str | None) -> None:
    _require_no_copies(settings, order)
    folders = "、".join(map(str, settings.backups))
    typer.echo(say("erase.backups_clean", order=order, folders=folders))


def _require_no_copies(settings: Settings, order: str | None) -> None:
    """Raises CitylakeError while a backup holds a file from before the order, or one that may be."""
    with closing(opened_register(settings)) as register:
        receipt = next((one for one in Ledger(register).erasures() if one.subject == order), None)
        if receipt is None:
            raise CitylakeError("erase.no_order")
        found = copies(settings, register, receipt)
    for key, files in (
        ("erase.in_backups", found.held),
        ("erase.unknown_in_backups", found.unknown),
        ("erase.closed_in_backups", found.closed),
    ):
        if files:
            raise CitylakeError(key, order=order, count=len(files), files="、".join(map(str, files[:MOST_NAMED])))
