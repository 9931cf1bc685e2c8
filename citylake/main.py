"""The commands, one group a file, and where each is made: only the one that was asked for is imported.

All of them are only for help: importing them takes twice what one takes.
"""

from collections.abc import Iterator, MutableMapping
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


class _Made(MutableMapping[str, click.Command]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._made:
            module, attribute = COMMANDS[name].split(".")
            self[name] = _command(name, getattr(import_module(f"citylake.{module}"), attribute))
        return self._made[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _command(name: str, made: Any) -> click.Command:
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
        self.commands = _Made()


usage.headings()
usage.help_of_arguments()
app = typer.Typer(
    name="citylake",
    cls=Citylake,
    help="六安市政务数据湖与数据共享开放平台 / a city's data lake and its publication",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # local variables may hold rows
)


@app.callback()
def _citylake() -> None:
    """Typer makes a group of an app only if it has a callback or commands of its own."""
