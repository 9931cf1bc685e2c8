"""Whether the user who acts may do what a command is about to do: asked before anything is looked up or changed.

Belongs here: opening the register for an act, or refusing it. Does not belong here: which roles may do which act
(catalog/policy/users), what the act writes about itself.
"""

import re
from typing import Annotated

import typer

from catalog.policy import users
from citylake.output import opened_register
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.settings import Settings

Actor = Annotated[str, typer.Option("--who", envvar="CITYLAKE_ACTOR", help="操作的用户 / the user who acts")]
Looker = Annotated[
    str | None,
    typer.Option(
        "--who", envvar="CITYLAKE_ACTOR", help="操作的用户，要留痕的须写 / the user; needed for what is recorded"
    ),
]
Values = Annotated[bool, typer.Option("--values", help="显示内容，含个人信息 / show values, personal ones too")]
Why = Annotated[str, typer.Option(help="理由 / why")]
NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)?")
"""Of a source, model or product. What is called otherwise is a slip, maybe somebody's number, and not in the audit."""


def permitted(
    settings: Settings,
    act: str,
    who: str,
    *,
    subject: str | None = None,
    product: str | None = None,
    number: int | None = None,
    organisation: str | None = None,
) -> Register:
    """The register of a home, opened for a user who may do an act; the audit names what it is about. `organisation`:
    whose it is, where a department's user acts for their own alone.

    Raises NotAllowed, which is audited, and CitylakeError when the home is no use.
    """
    said = {name: value for name, value in (("subject", _name(subject)), ("number", number)) if value is not None}
    register = opened_register(settings)
    users.permit(register, act, who, said, _name(product), organisation)
    return register


def permit(settings: Settings, act: str, who: str, *, subject: str | None = None) -> None:
    """The same before what opens the register itself."""
    permitted(settings, act, who, subject=subject).close()


def permit_values(settings: Settings, who: str | None, subject: str) -> None:
    """Let a user see what stands in a row. Raises CitylakeError if nobody is named, NotAllowed."""
    if not who:
        raise CitylakeError("cli.values_who")
    permit(settings, "values.show", who, subject=subject)


def _name(text: str | None) -> str | None:
    return text if text is not None and NAME.fullmatch(text) else None
