"""`citylake source`: try a source before a run does, and move where it is read on from."""

import json
import uuid
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from citylake.batch import tell_rules
from citylake.output import known_source, opened_register, told
from citylake.permission import Actor, Why, permit
from citylake.usage import GREATEST
from pipelines.admission import position
from pipelines.admission.profile import Profile
from pipelines.admission.receive import asked_of, position_of
from pipelines.admission.renames import ColumnsRenamed
from pipelines.admission.taken import known_files
from pipelines.admission.trial import Trial, trial
from pipelines.connectors.base import listed
from pipelines.contracts.load import SourceContract, load
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.run import opened
from pipelines.settings import Settings
from pipelines.synthetic import is_test

app = typer.Typer(help="来源：试连、移动读取位置 / try a source, move where it is read on", no_args_is_help=True)
Source = Annotated[str, typer.Argument(help="来源，如 drc/penalty / the source")]


@app.command()
def test(source: Source) -> None:
    """试读若干行并按合同判定，什么也不留；退出码 1 即不能用 / read some rows, judge them, keep nothing."""
    with told():
        settings = Settings.from_environment()
        contracts = load(settings.contracts)
        contract = known_source(contracts, source)
        receipts = Receipts(opened_register(settings), "trial")
        before = receipts.last(Stage.ADMIT, source)
        looks = Profile.read(before.body.get("profile", {}) if before else {}).looks

        def secret(name: str) -> str:
            return settings.connection_string(name, contracts.city.connections[name].secret)

        today = datetime.now(ZoneInfo(contracts.city.timezone)).date()
        lake, made_up = settings.lake, is_test(settings)
        unmarked: list[str] = []
        try:
            asked = partial(trial, contract, contracts, secret, lake.scratch(), today, looks, made_up=made_up)
            found = asked(
                position=position_of(contract, receipts.last(Stage.PULL, source), receipts),
                known=partial(known_files, contract, asked_of(contract), receipts),
                unmarked=lambda name, _: unmarked.append(name),
            )
        except ColumnsRenamed as error:
            for finding in error.findings:
                typer.echo(say(finding.code, **finding.arguments))
            raise CitylakeError(error.code, **error.arguments) from None
        if unmarked:
            typer.echo(say("order.no_marker", files=listed(unmarked), rows=len(unmarked)))
        if found is None:
            raise CitylakeError("trial.nothing", subject=source)
        _show(contract, found)
        raise typer.Exit(0 if found.good else 1)


def _show(contract: SourceContract, found: Trial) -> None:
    about = {"subject": contract.id, "origin": found.origin, "rows": found.rows, "refused": found.refused}
    word = "good" if found.good else "empty" if not found.rows else "held" if found.held else "bad"
    typer.echo(say(f"trial.{word}", **about, **found.held))
    if not found.new:
        typer.echo(say("trial.known", subject=contract.id))
    for name in found.unknown:
        typer.echo(say("drift.new_column", column=name))
    tell_rules(contract, found.by_rule)


@app.command()
def rewind(
    source: Source,
    who: Actor,
    why: Why,
    value: Annotated[
        list[str] | None, typer.Option(help="从续取列的这个值起；复合的依次各写一次 / from this value of the cursor on")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(max=GREATEST, help="从这一批开始处起 / from where this batch began")
    ] = None,
) -> None:
    """移动读取位置，下次运行从那里重新向来源取数 / move where the next run reads on from; the source is asked again."""
    with told():
        if bool(value) is (batch is not None):
            raise CitylakeError("position.one_of")
        settings = Settings.from_environment()
        permit(settings, "source.rewind", who, subject=source)
        with opened(settings, f"position-{uuid.uuid4()}") as run:
            contract = known_source(run.contracts, source)
            if batch is not None:
                moved = position.to_batch(contract, run.receipts, batch, who, why)
            else:
                moved = position.to_value(contract, run.receipts, value or [], who, why)
        typer.echo(say("position.moved", subject=source, before=_shown(moved.before), after=_shown(moved.after)))
        if moved.forward:
            typer.echo(say("position.forward", subject=source))


def _shown(place: dict[str, Any]) -> str:
    """A position as a person reads it: the value of the cursor, else how many files or what else is known."""
    if not place:
        return "∅"
    if position.VALUE in place:
        return json.dumps(place[position.VALUE], ensure_ascii=False)
    files = place.get("files")
    return f"{len(files)} files" if isinstance(files, dict) else "、".join(sorted(place))
