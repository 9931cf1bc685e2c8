"""`citylake contract`: check, export, compare and generate the editors' schemas."""

from pathlib import Path
from typing import Annotated

import typer

from citylake.output import told
from pipelines.contracts import coverage as coverages
from pipelines.contracts import diff as differences
from pipelines.contracts import export as odcs
from pipelines.contracts import schema as schemas
from pipelines.contracts.load import load
from pipelines.messages import say
from pipelines.settings import Settings

app = typer.Typer(help="数据合同 / data contracts", no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option("--contracts", help="合同目录 / the folder of contracts")]


@app.command()
def check(contracts: Folder = None) -> None:
    """检查全部合同 / check all contracts."""
    with told():
        loaded = load(_folder(contracts))
        counts = {"sources": len(loaded.sources), "products": len(loaded.models), "fields": len(loaded.fields)}
        typer.echo(say("contract.ok", **counts))


@app.command()
def export(target: Path, contracts: Folder = None) -> None:
    """导出为 ODCS 3.2 / write complete ODCS 3.2 documents into a folder."""
    with told():
        for path in odcs.write(load(_folder(contracts)), target):
            typer.echo(str(path))


@app.command()
def diff(old: Path, contracts: Folder = None) -> None:
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


def _folder(contracts: Path | None) -> Path:
    return contracts or Settings.from_environment().contracts
