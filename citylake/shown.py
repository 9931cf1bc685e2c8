"""What a command that shows values of one row leaves: a receipt that says who saw which row and why.

Does not belong here: whether somebody may see them (permission).
"""

import uuid
from collections.abc import Mapping
from typing import Annotated

import typer

from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage

Reason = Annotated[str | None, typer.Option("--why", help="显示内容的理由 / why values are shown")]


def require_reason(why: str | None) -> None:
    """Raises CitylakeError for values that are asked for without a reason."""
    if not why:
        raise CitylakeError("cli.values_why")


def record_shown(register: Register, model: str, key: Mapping[str, str], **about: str | None) -> None:
    """The receipt of values of a row, to be written before the first of them is shown. `about`: who, why and what."""
    receipts = Receipts(register, f"shown-{uuid.uuid4()}")
    receipts.add(Stage.EXPORT, model, {"key": dict(key), "values": True, **about})
