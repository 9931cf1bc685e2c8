"""`citylake deliver`: products kept up to date in tables and folders of recipients, and the receipts of that."""

import json
from pathlib import Path
from typing import Annotated

import typer

from catalog.delivery import ending
from catalog.delivery.deliveries import Form, all_deliveries, named
from catalog.delivery.desk import Desk
from catalog.delivery.files.deliver import FileTask
from catalog.delivery.receipt import signed_by, written
from catalog.delivery.standing import attempt
from catalog.policy.callers import load_grants
from citylake.output import as_json, opened_register, told
from pipelines.contracts.forms.deliveries import DeliveryForm
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now
from pipelines.release.signing import signer_of
from pipelines.settings import Settings

app = typer.Typer(
    help="交付：写入接收方的库表或目录 / deliver into tables and folders of recipients", no_args_is_help=True
)
RUN = "citylake deliver"


@app.command()
def run(
    name: Annotated[str | None, typer.Argument(help="交付名称；省略为全部 / which; all without one")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="文件：重新交付全部行 / files: all rows anew, whatever was delivered before")
    ] = False,
) -> None:
    """把发布的数据推送到接收方的库表和目录 / bring tables and folders of recipients up to date."""
    with told():
        settings = Settings.from_environment()
        desk = Desk(settings, opened_register(settings))
        city = desk.listing.snapshot().contracts.city
        names = named(city, name) if name is not None else list(all_deliveries(city))
        if not names:
            raise CitylakeError("deliver.none")
        failed = [one for one in names if not _run(desk, one, full)]
        desk.register.close()
        if failed:
            raise CitylakeError("deliver.failed", names="、".join(failed))


@app.command("list")
def list_() -> None:
    """列出全部交付及其最近一次的状态 / every delivery with what became of it last."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        receipts, city = Receipts(register, RUN), load(settings.contracts).city
        soon = {name for one in ending.ending(load_grants(register), now()) for name in ending.hanging(city, one)}
        for name, form in all_deliveries(city).items():
            last = receipts.last(Stage.DELIVERY, name)
            said = json.loads(last.body["statement"]) if last else {}
            last_told = {key: said.get(key) for key in ("at", "how", "version", "rows", "package", "until")}
            about = {"product": form.product, **_described(form), **last_told, "ends_soon": name in soon}
            as_json({"delivery": name, **about})
        register.close()


@app.command()
def receipt(
    name: Annotated[str, typer.Argument(help="交付名称 / the delivery")],
    folder: Annotated[Path, typer.Argument(help="写到这个新目录 / a new folder")],
) -> None:
    """写出最近一次交付的签名回执和公钥 / write the last receipt with its signature and our public key."""
    with told():
        settings = Settings.from_environment()
        register = opened_register(settings)
        last = Receipts(register, RUN).last(Stage.DELIVERY, name)
        register.close()
        if last is None:
            raise CitylakeError("deliver.no_receipt", name=name)
        ours = signer_of(settings, load(settings.contracts).city)
        signer = signed_by(last.body["statement"], last.body["signature"], ours)
        if signer is None:
            raise CitylakeError("deliver.bad_receipt", name=name)
        written(folder, last.body["statement"], last.body["signature"], signer)
        as_json(json.loads(last.body["statement"]))


def _described(form: Form) -> dict[str, str]:
    """Of what kind a delivery is, and where it goes."""
    if isinstance(form, DeliveryForm):
        return {"kind": "table", "recipient": form.recipient, "to": f"{form.connection}: {form.table}"}
    if isinstance(form, FileTask):
        return {"kind": "files", "recipient": form.recipient, "to": f"{form.connection}: {form.folder}"}
    return {"kind": "return", "by": form.by, "to": "、".join(form.to)}


def _run(desk: Desk, name: str, full: bool) -> bool:
    """Deliver one; the others go on whatever becomes of it."""
    tried = attempt(desk, name, RUN, full)
    if tried.done is not None:
        as_json(vars(tried.done))
    if tried.problem is not None:
        typer.secho(tried.told, err=True)
    return tried.problem is None
