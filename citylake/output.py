"""What every command prints: results as text or JSON, errors in both languages with exit code 1."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import typer

from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.settings import Settings


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Show an expected error as its message instead of a traceback."""
    try:
        yield
    except CitylakeError as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None


def as_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def opened_register(settings: Settings) -> Register:
    """The register of an installation, made or migrated if need be. Raises CitylakeError when the home is no use."""
    settings.prepare()
    register = Register(settings.register_url)
    register.upgrade()
    return register
