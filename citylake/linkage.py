"""`citylake linkage`: rows of which nobody knows for sure whom they are about, and the steward's word."""

import uuid
from typing import Annotated, Any

import typer

from citylake.output import as_json, opened_register, told
from citylake.permission import Actor, Looker, Why, permitted
from citylake.usage import GREATEST
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.linkage import marks
from pipelines.linkage.reviews import Reviews, Word
from pipelines.messages import CitylakeError, say
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings

app = typer.Typer(help="人员比对：查看与判断 / whom rows are about: look, decide", no_args_is_help=True)
WORDS: tuple[Word, ...] = ("accept", "reject", "never")


@app.command()
def review(
    values: Annotated[
        bool, typer.Option("--values", help="显示内容，含个人信息，留痕 / show what both say; personal data, recorded")
    ] = False,
    who: Looker = None,
) -> None:
    """列出待判断的行 / open questions: which row may be about which person."""
    with told():
        if values and not who:
            raise CitylakeError("cli.values_who")
        settings = Settings.from_environment()
        register = permitted(settings, "linkage.review", who) if values and who else opened_register(settings)
        contracts = load(settings.contracts)
        questions, receipts = Reviews(register).open(), Receipts(register, f"review-{uuid.uuid4()}")
        if values and questions:
            body = {"who": who, "linkage": [question["id"] for question in questions]}
            receipts.add(Stage.EXPORT, "linkage", body)
        sources = marks.participants(contracts, core_versions(contracts, settings.lake, receipts))
        with connect(settings.lake.scratch()) as con:
            for question in questions:
                typer.echo(say(f"linkage.asked_{question['why']}", **_about(question)))
                if values:
                    row, person = marks.of_question(con, sources, question)
                    as_json({"id": question["id"], "row": row, "person": person})
        if not questions:
            typer.echo(say("linkage.nothing_open"))
        register.close()


@app.command()
def decide(
    number: Annotated[int, typer.Argument(max=GREATEST, help="问题编号 / the number of the question")],
    word: Annotated[str, typer.Argument(help="accept 是此人、reject 不是、never 永不再问 / the word")],
    who: Actor,
    why: Why,
) -> None:
    """判断一行是否是某人，下次运行时生效 / say whether a row is about a person; the next run goes by it."""
    with told():
        said = next((known for known in WORDS if known == word), None)
        if said is None:
            raise CitylakeError("linkage.no_word", word=word)
        register = permitted(Settings.from_environment(), "linkage.decide", who, number=number)
        Reviews(register).decide(number, said, who, why)
        as_json({"question": number, "word": said})
        register.close()


def _about(question: dict[str, Any]) -> dict[str, Any]:
    weight = question["weight"]
    return {**question, "weight": "-" if weight is None else f"{weight:.1f}"}
