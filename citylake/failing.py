"""`citylake evidence failing`: which rows of a model fail its rules, as a file; every file is recorded."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from citylake.output import private_file, told
from citylake.permission import Actor, Values, Why, permit_values, permitted
from pipelines.contracts.load import load
from pipelines.evidence.text_book import MOST_ROWS
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import failing_list
from pipelines.release.failing import failing
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings


def export(
    model: Annotated[str, typer.Argument(help="模型，如 lib_population__person / a model")],
    file: Annotated[Path, typer.Option("-o", "--output", help="新文件：.xlsx 或 .csv / a new file")],
    who: Actor,
    why: Why,
    rule: Annotated[str | None, typer.Option(help="只列这条规则 / only those that fail this rule")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="查已发布版本，不查被拒版本 / of the published version")
    ] = False,
    values: Values = False,
) -> None:
    """哪些行不符合模型的规则：主键、原因、来源行，留痕 / which rows fail the rules of a model; recorded."""
    with told():
        settings, form = Settings.from_environment(), file.suffix.lower().removeprefix(".")
        if form not in failing_list.FORMS:
            raise CitylakeError("failing.form", file=file)
        if values:
            permit_values(settings, who, model)
        register = permitted(settings, "failing.show", who, subject=model)
        contracts, receipts = load(settings.contracts), Receipts(register, f"failing-{uuid.uuid4()}")
        judged = failing(contracts, Ledger(register), receipts, settings.lake, model, rule, MOST_ROWS, published)
        if not judged.found:
            raise CitylakeError("failing.none", subject=model, edition=judged.edition)
        listing = failing_list.Listing(contracts.models[model], judged, None if values else contracts.shown_to_all)
        made = datetime.now(ZoneInfo(contracts.city.timezone)).strftime("%Y-%m-%d %H:%M")
        with private_file(file, settings.home) as partial:
            rows = failing_list.write(listing, form, partial, {"who": who, "made": made}, settings.lake.scratch())
            version = {"edition": judged.edition, "version": judged.version, "refused": judged.refused}
            body = {"who": who, "why": why, "rule": rule, "rows": rows, "values": values, **version}
            # before the file has its name: none is out without a receipt
            receipts.add(Stage.EXPORT, model, {**body, "sha256": sha256(partial)})
        code = "failing.exported" if values else "failing.exported_masked"
        typer.echo(say(code, file=file, rows=rows, edition=judged.edition))
        register.close()
