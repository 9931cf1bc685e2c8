"""`citylake issue`: what people say is wrong in the data, and how departments answer (疑义数据反馈、校核)."""

from datetime import datetime
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

import typer

from catalog import corrected
from catalog.delivery import ending
from citylake.explain import key_of, row_of
from citylake.output import opened_register, told
from citylake.permission import Actor, permitted
from citylake.usage import GREATEST
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.issues import Issues, corrections, overdue
from pipelines.issues.corrections import WrongCell
from pipelines.issues.feedback import DUTIES, Feedback, Origin, due, require_harmless
from pipelines.messages import CitylakeError, say
from pipelines.register.store import now
from pipelines.release.explain import Explainer
from pipelines.settings import Settings

app = typer.Typer(help="疑义反馈 / doubts about data", no_args_is_help=True)
Number = Annotated[int, typer.Argument(max=GREATEST, help="疑义单号 / number of the issue")]


@app.command("raise")
def raise_(
    subject: Annotated[str, typer.Argument(help="来源、模型或产品 / a source, model or product")],
    who: Annotated[str, typer.Option(help="提出人，不必是用户 / who says it; need not be a user")],
    what: Annotated[str, typer.Option(help="疑义，不写个人信息 / what is wrong, without personal values")],
    column: Annotated[str | None, typer.Option(help="哪一列 / which column")] = None,
    row: Annotated[
        str | None, typer.Option(help="来源的哪一行，批次:行号 / which row of a source, batch:number")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="模型或产品的哪一行，列=值 / which row of a model or product, column=value")
    ] = None,
    origin: Annotated[str, typer.Option("--from", help="steward、department 或 public / who says it")] = "steward",
) -> None:
    """提出疑义，转数源部门 / raise an issue; it goes to the department that says the column."""
    with told():
        if origin not in get_args(Origin):
            raise CitylakeError("feedback.origin")
        feedback, contracts = _opened()
        cells = _cells(feedback, subject, column, key_of(key), row) if key else []
        number = feedback.raise_(subject, column, origin, who, what, row, cells)  # type: ignore[arg-type]
        (issue,) = [one for one in Issues(feedback.register).open(subject) if one["id"] == number]
        typer.echo(say("feedback.raised", number=number, owner=issue["owner"]))
        for line in due_text(issue, contracts):
            typer.echo(line)
        if not key and row is None:
            typer.echo(say("feedback.no_place"))


@app.command()
def verify(number: Number, who: Actor, note: Annotated[str, typer.Option(help="说明 / note")] = "—") -> None:
    """数源部门开始核实 / the department looks into it."""
    with told():
        _answering("issue.verify", number, who).take_up(number, who, note)


@app.command()
def settle(
    number: Number,
    who: Actor,
    note: Annotated[str, typer.Option(help="核实结论 / what was found")],
    source: Annotated[str | None, typer.Option(help="更正的来源 / the source that was corrected")] = None,
    batch: Annotated[int | None, typer.Option(max=GREATEST, help="更正入库的批次 / the batch that brought it")] = None,
    row: Annotated[
        str | None, typer.Option(help="来源的哪一行错了，批次:行号 / which row of the source was wrong, batch:number")
    ] = None,
    column: Annotated[str | None, typer.Option(help="来源的哪一列错了 / which column of the source")] = None,
    unfounded: Annotated[bool, typer.Option("--unfounded", help="数据无误 / the data are right")] = False,
) -> None:
    """办结：更正后的批次为证，或数据无误 / close it: a batch proves the correction, or the data are right."""
    with told():
        feedback = _answering("issue.settle", number, who)
        if source is not None and batch is not None and not unfounded:
            known = feedback.corrected(number, who, note, source, batch, row, column)
            typer.echo(say("feedback.will_tell" if known else "feedback.nobody_told", number=number))
        elif unfounded and source is None and batch is None and row is None and column is None:
            feedback.unfounded(number, who, note)
        else:
            raise CitylakeError("feedback.one_of")


@app.command()
def show(number: Number) -> None:
    """一张疑义单的全部经过 / everything that was done about an issue."""
    with told():
        for done in _opened()[0].history(number):
            act = say(f"feedback.act.{done.act}").replace("\n", " / ")
            typer.echo(f"{done.at:%Y-%m-%d %H:%M}Z {act} {done.who}: {done.note}")
            if done.proof and "batch" in done.proof:
                typer.echo(f"   {done.proof['source']} #{done.proof['batch']} {done.proof['admitted']}")
            for cell in (done.proof or {}).get("cells", ()):
                typer.echo(f"   {cell['source']} {cell['column']} {cell['row']}")


@app.command()
def tell() -> None:
    """告知取得过错误数据的各方，列出未确认的通知 / tell who received what was corrected; list notices."""
    with told():
        settings = Settings.from_environment()
        contracts, register = load(settings.contracts), opened_register(settings)
        count = corrected.tell(settings, register, contracts)
        waiting = corrections.notices(register)
        typer.echo(say("corrected.told", count=count, open=len(waiting)))
        for row in waiting:
            typer.echo(f"#{row['id']} ({row['owner']})\n   {row['text']['zh']}\n   {row['text']['en']}")
            for line in due_text(row, contracts):
                typer.echo(line)
        register.close()


@app.command("overdue")
def escalate() -> None:
    """列出超期未答复的和即将到期的授权 / what nobody answered in time, and grants that end soon, become issues."""
    with told():
        settings = Settings.from_environment()
        contracts, register = load(settings.contracts), opened_register(settings)
        count = overdue.escalate(register, contracts.city, datetime.now(ZoneInfo(contracts.city.timezone)).date())
        typer.echo(say("overdue.counted", count=count))
        typer.echo(say("ending.counted", count=ending.tell(register, contracts, now())))
        for row in Issues(register).open():
            if row["code"].startswith((f"{overdue.AREA}.", f"{ending.AREA}.")):
                typer.echo(f"{row['subject']}\n   {row['text']['zh']}\n   {row['text']['en']}")
        register.close()


@app.command()
def acknowledge(
    number: Number, who: Actor, note: Annotated[str, typer.Option(help="如何处理的 / what was done")]
) -> None:
    """接收方确认已按更正更新 / a recipient says that it brought its data up to date."""
    with told():
        register = _answering("notice.acknowledge", number, who).register
        require_harmless(note)
        with register.begin() as connection:
            corrections.acknowledge(connection, number, who, note)
        register.close()


def due_text(issue: dict[str, Any], contracts: Contracts) -> list[str]:
    """Until when the owner of an open issue has to act, in two languages; nothing for issues without a deadline."""
    last = due(issue, contracts.city)
    if last is None:
        return []
    zone = ZoneInfo(contracts.city.timezone)
    late = datetime.now(zone).date() > last.day
    state = "overdue" if late else "provisional" if last.provisional else "due"
    duty = DUTIES[issue["code"].partition(".")[0]]
    return [f"   {line}" for line in say(f"overdue.{duty}.{state}", day=last.day).splitlines()]


def _cells(
    feedback: Feedback, subject: str, column: str | None, key: dict[str, str], row: str | None
) -> list[WrongCell]:
    """The cells of sources behind a cell of a published model or product. Raises CitylakeError if there are none."""
    if column is None or row is not None or subject in feedback.contracts.sources:
        raise CitylakeError("feedback.key", subject=subject)
    settings = feedback.settings
    with Explainer(feedback.contracts, settings, feedback.register) as explainer:
        found = explainer.explain(*row_of(settings, explainer, subject, key, column))
    sources = [source for cell in found.cells for source in cell.sources]
    if not sources:
        raise CitylakeError("feedback.no_cell", subject=subject, column=column)
    return [WrongCell(one.row.dataset, one.column, f"{one.row.batch}:{one.row.number}") for one in sources]


def _opened() -> tuple[Feedback, Contracts]:
    settings = Settings.from_environment()
    contracts = load(settings.contracts)
    return Feedback(opened_register(settings), contracts, settings), contracts


def _answering(act: str, number: int, who: str) -> Feedback:
    """The issues, for a user who may answer this one: a department's user one of their own organisation."""
    settings = Settings.from_environment()
    register = opened_register(settings)
    owner = Issues(register).owner(number)
    register.close()
    register = permitted(settings, act, who, number=number, organisation=owner)
    return Feedback(register, load(settings.contracts), settings)
