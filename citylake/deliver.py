"""`citylake deliver`: products kept up to date in tables of recipients, and the receipts of that."""

import json
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from catalog.delivery.desk import Desk, Refused
from catalog.delivery.tables.deliver import deliver
from catalog.delivery.tables.receipt import holds
from catalog.policy.audit import AuditUnavailable
from citylake.output import as_json, opened_register, told
from pipelines.messages import CitylakeError, say
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.signer import SIGNING, Ed25519Signer
from pipelines.settings import Settings

app = typer.Typer(help="库表推送：写入接收方数据库 / deliver into tables of recipients", no_args_is_help=True)
RUN = "citylake deliver"


@app.command()
def run(
    name: Annotated[str | None, typer.Argument(help="交付名称；省略为全部 / which; all without one")] = None,
) -> None:
    """把发布的数据推送到接收方的库表 / bring tables of recipients up to date."""
    with told():
        settings = Settings.from_environment()
        desk = Desk(settings, opened_register(settings))
        names = [name] if name is not None else sorted(desk.listing.snapshot().contracts.city.deliveries)
        if not names:
            raise CitylakeError("deliver.none")
        failed = [one for one in names if not _run(desk, one)]
        desk.register.close()
        if failed:
            raise CitylakeError("deliver.failed", names="、".join(failed))


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
        signer = Ed25519Signer(settings.key(SIGNING))
        if not holds(last.body["statement"], last.body["signature"], signer.public_key(Encoding.DER)):
            raise CitylakeError("deliver.bad_receipt", name=name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise CitylakeError("deliver.folder", folder=folder) from None
        (folder / "statement.json").write_text(last.body["statement"], "utf-8")
        (folder / "signature.bin").write_bytes(bytes.fromhex(last.body["signature"]))
        (folder / "key.pem").write_bytes(signer.public_key(Encoding.PEM))
        as_json(json.loads(last.body["statement"]))


def _run(desk: Desk, name: str) -> bool:
    """Deliver one; the others go on whatever becomes of it."""
    try:
        as_json(vars(deliver(desk, name, RUN)))
        return True
    except Refused as refused:
        typer.secho(say("deliver.refused", name=name, reason=say(f"web.reason.{refused.reason.value}")), err=True)
    except AuditUnavailable:
        typer.secho(say("web.error.no_audit"), err=True)
    except CitylakeError as error:
        typer.secho(str(error), err=True)
    except Exception as error:  # the text of an error that nobody foresaw may quote rows
        typer.secho(say("deliver.unforeseen", name=name, problem=type(error).__name__), err=True)
    return False
