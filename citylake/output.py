"""What every command prints: results as text or JSON, errors in both languages with an exit code, usually 1."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from sqlalchemy.exc import DatabaseError, InterfaceError, InternalError, OperationalError

from catalog.policy.audit import AuditUnavailable
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.messages import CitylakeError, say
from pipelines.register import Register
from pipelines.settings import Settings


@contextmanager
def told(code: int = 1) -> Iterator[None]:
    """Show an expected error as its message instead of a traceback, and exit with `code`."""
    try:
        yield
        return
    except CitylakeError as error:
        problem = str(error)
    except AuditUnavailable as error:
        problem = say("cli.no_audit", problem=_of_database(error.__cause__ and error.__cause__.__cause__))
    except (OperationalError, InternalError, InterfaceError) as error:  # read only, locked, not there
        problem = say("cli.no_register", problem=_of_database(error))
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a statement was wrong
            raise
        problem = say("cli.no_register", problem=_of_database(error))  # the file is none of SQLite
    typer.secho(problem, err=True, fg=typer.colors.RED)
    raise typer.Exit(code) from None


def _of_database(error: BaseException | None) -> str:
    """What a database said of itself, in its words; of any other error the kind alone, its text may quote rows."""
    if isinstance(error, OperationalError | InternalError | InterfaceError) or type(error) is DatabaseError:
        return str(error.orig).partition("\n")[0]
    return type(error).__name__


def as_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def proof_text(issue: Mapping[str, Any]) -> str:
    """What a closed issue was solved by, in both languages: batches, or what became of the rows it was
    about, or the answer of who was asked."""
    about, proof = {"id": issue["id"], "subject": issue["subject"]}, issue["text"]["proof"]
    key = issue["code"].partition(":")[2]
    if "feedback" in proof:
        return say(f"feedback.proof.{proof['feedback']}", **about, owner=issue["owner"], **proof)
    if "anomaly" in proof:
        return say("anomaly.proof", **about, owner=issue["owner"], who=proof["who"], why=proof["anomaly"])
    if "corrected" in proof:
        return say("corrected.proof", **about, owner=issue["owner"], **proof)
    if "why" in proof:
        return say("recall.proof", **about, owner=issue["owner"], **proof)
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


def known_source(contracts: Contracts, source: str) -> SourceContract:
    """The contract of a source that somebody named. Raises CitylakeError."""
    if source not in contracts.sources:
        raise CitylakeError("cli.no_source", subject=source)
    return contracts.sources[source]


@contextmanager
def private_file(file: Path, home: Path) -> Iterator[Path]:
    """A new file for this account alone, outside of the home, with content only when all went well.

    No links: not every drive has them. Raises CitylakeError for a file that exists or cannot be written.
    """
    if file.resolve().is_relative_to(home.resolve()):
        raise CitylakeError("cli.in_the_home", file=file, home=home)
    partial = file.with_name(f".{file.name}.partial")
    try:
        _make(file)  # takes the name, so that nothing that is there is ever replaced
        try:
            partial.unlink(missing_ok=True)
            _make(partial)
            yield partial
            os.replace(partial, file)
        except BaseException:
            partial.unlink(missing_ok=True)
            file.unlink()
            raise
    except OSError as error:
        raise CitylakeError("cli.cannot_write", file=file, problem=error.strerror) from error


def _make(file: Path) -> None:
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
