"""What every command prints: results as text or JSON, errors in both languages with exit code 1."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from pipelines.messages import CitylakeError, say
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


def proof_text(issue: Mapping[str, Any]) -> str:
    """What a closed issue was solved by, in both languages: batches, or what became of the rows it was about."""
    about, proof = {"id": issue["id"], "subject": issue["subject"]}, issue["text"]["proof"]
    key = issue["code"].partition(":")[2]
    if "batches" in proof:
        batches = "、".join(map(str, proof["batches"]))
        return say("quarantine.proof", **about, rule=key, batches=batches)
    became = "、".join(f"{name} {rows}" for name, rows in proof["became"].items())
    kind = key.partition(".")[2]
    return say("notice.closed", **about, owner=issue["owner"], kind=kind, **{**proof, "became": became})


def opened_register(settings: Settings) -> Register:
    """The register of an installation, made or migrated if need be. Raises CitylakeError when the home is no use."""
    settings.prepare()
    register = Register(settings.register_url)
    register.upgrade()
    return register
