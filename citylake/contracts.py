"""`citylake contract`: draft, check, export, compare, generate the editors' schemas, and ask for levels of columns."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import typer

from catalog.policy.administration import list_recipients
from citylake import draft
from citylake.lineage import about
from citylake.output import told
from pipelines.contracts import coverage as coverages
from pipelines.contracts import diff as differences
from pipelines.contracts import export as odcs
from pipelines.contracts import schema as schemas
from pipelines.contracts.deliveries import check_recipients
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError, say
from pipelines.privacy.sensitivity import sensitivity
from pipelines.register import Register
from pipelines.register.tables import recipient
from pipelines.settings import Settings

app = typer.Typer(help="数据合同 / data contracts", no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option("--contracts", help="合同目录 / the folder of contracts")]


@app.command()
def check(contracts: Folder = None) -> None:
    """检查全部合同 / check all contracts."""
    with told():
        loaded = load(_folder(contracts))
        _check_recipients(loaded, _folder(contracts))
        counts = {"sources": len(loaded.sources), "products": len(loaded.models), "fields": len(loaded.fields)}
        typer.echo(say("contract.ok", **counts))


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="写到这个目录 / the folder to write to")], contracts: Folder = None
) -> None:
    """导出为 ODCS 3.2 / write complete ODCS 3.2 documents into a folder."""
    with told():
        try:
            for path in odcs.write(load(_folder(contracts)), target):
                typer.echo(str(path))
        except OSError as error:
            raise CitylakeError("cli.cannot_write", file=target, problem=error.strerror) from None


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="旧的合同目录 / the folder of the old contracts")],
    contracts: Folder = None,
) -> None:
    """与旧合同目录比较；有破坏性变化时退出码为 1 / compare with an older folder; exit code 1 if anything breaks."""
    with told():
        before, after = load(old), load(_folder(contracts))
        changes = [*differences.diff(before, after), *differences.version_problems(before, after)]
        for change in changes:
            typer.echo(str(change))
        if not changes:
            typer.echo(say("contract.no_changes"))
        raise typer.Exit(1 if any(change.breaking for change in changes) else 0)


@app.command()
def schema(contracts: Folder = None) -> None:
    """生成编辑器用的 JSON Schema / generate the JSON Schemas for editors."""
    with told():
        for path in schemas.write(_folder(contracts)):
            typer.echo(str(path))


@app.command()
def coverage(contracts: Folder = None) -> None:
    """生成规划系统的数据覆盖页 docs/coverage.md / write the page of the plan's systems that have data."""
    with told():
        target = Settings.from_environment().project / coverages.PAGE
        target.write_text(coverages.page(load(_folder(contracts))), "utf-8")
        typer.echo(str(target))


@app.command()
def lineage(
    model: Annotated[
        str | None, typer.Argument(help="模型，不写则检查全部 / a model; without it all are checked")
    ] = None,
    column: Annotated[str | None, typer.Argument(help="列；* 指有哪些行 / a column; * is which rows there are")] = None,
) -> None:
    """由 SQL 推得的数据级别和路径 / levels derived from SQL, and paths; exit code 1 if any is above its contract."""
    with told():
        settings = Settings.from_environment()
        loaded = load(settings.contracts)
        cache = settings.home / "dbt" / "lineage"  # of its own: a run may be using the other
        cache.mkdir(parents=True, exist_ok=True)
        today = datetime.now(ZoneInfo(loaded.city.timezone)).date()
        found = sensitivity(loaded, settings.dbt_project, cache, today)
        problems = [] if model else found.problems()
        for line in about(found, model, column) if model else [say(one.code, **one.arguments) for one in problems]:
            typer.echo(line)
        if problems:
            raise typer.Exit(1)
        if model is None:
            typer.echo(say("lineage.ok", models=len(found.graph), products=len(loaded.products)))


app.command("draft")(draft.draft)


def _check_recipients(loaded: Contracts, folder: Path) -> None:
    """Deliveries to nobody who is registered are told, where this installation has a register already."""
    address = sa.make_url(Settings.from_environment().register_url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return
    with closing(Register(address.render_as_string(hide_password=False))) as register:
        if sa.inspect(register.engine).has_table(recipient.name):
            check_recipients(folder, loaded, (one.name for one in list_recipients(register)))


def _folder(contracts: Path | None) -> Path:
    return contracts or Settings.from_environment().contracts
