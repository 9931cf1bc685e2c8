"""`citylake person`: everything that is kept of one person, for a request to see it; every look is recorded."""

import uuid
from typing import Annotated

import typer

from citylake.operations import Who, Why
from citylake.output import as_json, opened_register, told
from pipelines.contracts.load import load
from pipelines.messages import say
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.person import Person
from pipelines.release.rows import ReleasedRows
from pipelines.settings import Settings


def show(
    person: Annotated[str, typer.Argument(help="人员标识 person_id，旧标识也可 / the golden id, an old one will do")],
    who: Who,
    why: Why,
    values: Annotated[
        bool, typer.Option("--values", help="逐行显示内容，含个人信息 / the rows themselves, personal data")
    ] = False,
) -> None:
    """查阅一个人在各库和各来源中的全部记录，留痕 / all rows about one person, in libraries and sources; recorded."""
    with told():
        settings = Settings.from_environment()
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
