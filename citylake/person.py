"""`citylake person`: the rights of one person: to see what is kept, and to have it erased. All is recorded."""

import uuid
from typing import Annotated, Literal

import typer

from citylake.operations import Who, Why
from citylake.output import as_json, opened_register, told
from pipelines.contracts.load import load
from pipelines.erasure.order import Erasure, Order
from pipelines.messages import CitylakeError, say
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from pipelines.run import opened
from pipelines.settings import Settings


def person(
    person: Annotated[str, typer.Argument(help="人员标识 person_id，旧标识也可 / the golden id, an old one will do")],
    action: Annotated[Literal["see", "erase"], typer.Argument(help="查阅 see、删除 erase / see or erase")] = "see",
    *,
    who: Who,
    why: Why,
    values: Annotated[
        bool, typer.Option("--values", help="逐行显示内容，含个人信息 / the rows themselves, personal data")
    ] = False,
    order: Annotated[str | None, typer.Option(help="删除令编号 / number of the order to erase")] = None,
) -> None:
    """查阅、删除一个人在各库和各来源中的全部记录，留痕 / see or erase all rows about one person; recorded."""
    with told():
        settings = Settings.from_environment()
        if action == "erase":
            _erase(settings, person, order, who, why)
        else:
            _see(settings, person, who, why, values)


def _see(settings: Settings, person: str, who: str, why: str, values: bool) -> None:
    register, contracts = opened_register(settings), load(settings.contracts)
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


def _erase(settings: Settings, person: str, order: str | None, who: str, why: str) -> None:
    if order is None:
        raise CitylakeError("erase.no_order")
    with opened(settings, f"erase-{uuid.uuid4()}", erasing=True) as run:
        done = Erasure(settings, run.contracts, run.register).carry_out(person, Order(order, who, why))
        run.marts()
    for place, counts in done["places"].items():
        typer.echo(say("erase.place", place=place, **counts))
    for one in done["refused"]:
        typer.echo(say("erase.refused", **one))
    if done["kept"]:
        typer.echo(say("erase.kept", models="、".join(done["kept"])))
    if done["unknown"]:
        typer.echo(say("erase.unknown", folders="、".join(done["unknown"])))
    typer.echo(say("erase.done", order=order, files=len(done["files"])))
