"""How an approver brings a key along to a command: in a file, or in a device that a command asks.

Does not belong here: which approvals are signed, and with what (catalog/policy).
"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from catalog.policy import keys
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.signer import Signer
from pipelines.release.ledger import Ledger
from pipelines.release.signed import keys_of
from pipelines.settings import Settings

KeyFile = Annotated[Path | None, typer.Option("--key", help="本人私钥文件（PEM，Ed25519）/ the file of one's own key")]
Device = Annotated[str | None, typer.Option(help="以本人 SM2 密钥签名的命令 / command that signs with an SM2 key")]


def brought(
    settings: Settings, register: Register, who: str, key: Path | None, device: str | None, subject: str
) -> Signer | None:
    """The signer of who approves, None for none. Raises CitylakeError for both and for what cannot sign."""
    if key is not None and device is not None:
        raise CitylakeError("approval.key_or_device", subject=subject)
    if key is not None:
        return keys.of_file(key, settings.home, _password)
    if device is not None:
        return keys.of_device(shlex.split(device), keys.in_force(keys_of(Ledger(register)), who), Path.cwd())
    return None


def _password() -> str:
    return str(typer.prompt("密码 / password", hide_input=True, err=True))
