"""The commands, one group a file, and where each is made: only the one that was asked for is imported.

All of them are only for help: importing them takes twice what one takes.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import click
import typer

from citylake import usage

COMMANDS: Final = {
    "run": "operations.run",
    "serve": "operations.serve",
    "confirm": "operations.confirm",
    "confirm-volume": "operations.confirm_volume",
    "reject": "operations.reject",
    "replay": "operations.replay",
    "withdraw": "withdrawal.withdraw",
    "reinstate": "withdrawal.reinstate",
    "recall": "withdrawal.recall",
    "issues": "operations.issues",
    "verify": "operations.verify",
    "reproduce": "reproduce.show",
    "explain": "explain.explain",
    "history": "history.show",
    "asof": "asof.write",
    "core": "core.core",
    "person": "person.person",
    "layer": "layer.write",
    "contract": "contracts.app",
    "source": "sources.app",
    "access": "access.app",
    "audit": "audit.app",
    "demo": "demo.app",
    "quarantine": "quarantine.app",
    "across": "across.app",
    "linkage": "linkage.app",
    "licence": "licence.app",
    "retention": "retention.app",
    "evidence": "evidence.app",
    "deliver": "deliver.app",
    "issue": "feedback.app",
    "release": "release.app",
}
"""Module and attribute of each, in the order of help: a group (Typer) or one command (a function)."""


class _Made(Mapping[str, click.Command]):
    """The commands by name, each made when it is first asked for."""

    def __getitem__(self, name: str) -> click.Command:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _command(name: str) -> click.Command:
    module, attribute = COMMANDS[name].split(".")
    made = getattr(import_module(f"citylake.{module}"), attribute)
    if isinstance(made, typer.Typer):
        command: click.Command = typer.main.get_group(made)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(made)
        command = typer.main.get_command(alone)
    command.name = name
    return command


class Citylake(usage.Commands):
    """All commands, none of them imported yet."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.commands = _Made()  # type: ignore[assignment]  # nobody adds to them


usage.headings()
usage.help_of_arguments()
usage.help_of_options()
app = typer.Typer(
    name="citylake",
    cls=Citylake,
    help="政务数据湖与数据共享开放平台 / a city's data lake and its publication",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # local variables may hold rows
)


@app.callback()
def _citylake() -> None:
    """Typer makes a group of an app only if it has a callback or commands of its own."""
