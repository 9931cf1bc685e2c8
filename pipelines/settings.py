"""Where this installation keeps its state, its ports and its secrets. All of it comes from the environment.

`CITYLAKE_HOME` (default `.citylake` in the working directory) holds everything that is ever written.
"""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.lake.errors import LostKey
from pipelines.lake.parquet import sync
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError

REPOSITORY = Path(__file__).resolve().parent.parent
"""Where the contracts and models ship, unless CITYLAKE_PROJECT says otherwise."""


KEY_BYTES = 32


@dataclass(frozen=True)
class Provider:
    """The OpenID provider by which people sign in. `name` is what people call it; `scopes` are asked for beside
    `openid`; an `acr` of these says that a second factor was shown."""

    issuer: str
    client_id: str
    name: str
    scopes: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """One installation. `home` holds all state; `project` holds `data_contracts/` and `dbt_project/`."""

    home: Path
    project: Path
    port: int
    dagster_port: int
    register_url: str

    url: str = ""
    provider: Provider | None = None
    backups: tuple[Path, ...] = ()
    """Folders in which copies of this home are kept; an order to erase somebody is not done while they hold them."""

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read CITYLAKE_HOME, _PROJECT, _PORT, _DAGSTER_PORT, _REGISTER, _URL (how others reach the catalogue) and
        _OIDC_ISSUER, _OIDC_CLIENT, _OIDC_NAME, _OIDC_SCOPES and _OIDC_ACR (by which provider people sign in) and
        _BACKUPS (folders, as PATH separates them).

        Raises CitylakeError for a port that is no number, and for a provider that cannot be one.
        """
        home = Path(os.environ.get("CITYLAKE_HOME") or ".citylake").resolve()
        port = _port("CITYLAKE_PORT", "8080")
        return cls(
            home=home,
            project=Path(os.environ.get("CITYLAKE_PROJECT") or REPOSITORY).resolve(),
            port=port,
            dagster_port=_port("CITYLAKE_DAGSTER_PORT", "3000"),
            register_url=os.environ.get("CITYLAKE_REGISTER") or f"sqlite:///{home / 'register.db'}",
            url=(os.environ.get("CITYLAKE_URL") or f"http://127.0.0.1:{port}").rstrip("/"),
            provider=_provider(),
            backups=tuple(Path(one) for one in os.environ.get("CITYLAKE_BACKUPS", "").split(os.pathsep) if one),
        )

    @property
    def contracts(self) -> Path:
        """The folder of contracts."""
        return self.project / "data_contracts"

    @property
    def dbt_project(self) -> Path:
        """The folder of models."""
        return self.project / "dbt_project"

    @property
    def lake(self) -> Lake:
        """The zones of the lake."""
        return Lake(self.home / "lake")

    @property
    def reports(self) -> Path:
        """Reports of months that are over, kept with their hashes in the ledger: `<month>/<name>.pdf`."""
        return self.home / "reports"

    @property
    def marts(self) -> Path:
        """The analysts' database: a symlink to the newest edition's file."""
        return self.home / "marts" / "marts.duckdb"

    def prepare(self) -> None:
        """Make what is missing. A new home is for its owner only; whoever opens it wider decided to.

        Raises CitylakeError when the home cannot be made or written.
        """
        try:
            if not self.home.exists():
                self.home.mkdir(mode=0o700, parents=True)
            for name in ("secrets", "dbt", "logs", "marts"):
                folder = self.home / name
                folder.mkdir(exist_ok=True)
                folder.chmod(0o700)
            (self.home / "register.db").touch(mode=0o600)
            self.lake.prepare()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise CitylakeError(
                "run.no_home", home=self.home, problem=error.strerror or type(error).__name__
            ) from error

    def connection_string(self, connection: str, secret: str) -> str:
        """The connection string of a source: variable CITYLAKE_SECRET_<NAME> or file secrets/<name>.

        Raises CitylakeError naming both places if neither is there.
        """
        variable, file = self._places(secret)
        if found := _kept(variable, file):
            return found
        raise CitylakeError("pull.no_secret", connection=connection, variable=variable, file=file)

    def provider_secret(self) -> str:
        """The client secret at the provider: variable CITYLAKE_SECRET_OIDC or file secrets/oidc.

        Raises CitylakeError naming both places if neither is there.
        """
        variable, file = self._places("oidc")
        if found := _kept(variable, file):
            return found
        raise CitylakeError("run.no_provider_secret", variable=variable, file=file)

    def _places(self, secret: str) -> tuple[str, Path]:
        return f"CITYLAKE_SECRET_{secret.upper()}", self.home / "secrets" / secret

    def store_secret(self, secret: str, value: str) -> None:
        """Put a connection string where `connection_string` finds it, readable by this account only."""
        file = self.home / "secrets" / secret
        file.touch(mode=0o600)
        file.write_text(value, "utf-8")

    def has_key(self, name: str) -> bool:
        """Whether a key of this installation was made."""
        return self.key_file(name).is_file()

    def kept_key(self, name: str) -> bytes:
        """A key under which something was released already: made anew it would be another. Raises LostKey."""
        if not self.has_key(name):
            raise LostKey("lake.lost_key", file=self.key_file(name))
        return self.key(name)

    def first_key(self, name: str, used: Callable[[], bool]) -> bytes:
        """A key that is made at its first use and never again. `used`, asked if it is not there: whether anything was
        made under it, by what is recorded. Raises LostKey."""
        return self.key(name) if self.has_key(name) or not used() else self.kept_key(name)

    def key_file(self, name: str) -> Path:
        """Where a key of this installation lies."""
        return self.home / "secrets" / f"{name}.key"

    def key(self, name: str) -> bytes:
        """A 32-byte key of this installation, made on first use and kept in secrets/."""
        file = self.key_file(name)
        if not file.is_file():
            fresh = file.with_suffix(f".{secrets.token_hex(8)}")  # of this thread alone
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32), "utf-8")
            sync(fresh)
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)  # the first of several processes wins; a half-written key is never seen
            fresh.unlink()
            sync(file.parent)  # what is made under it outlasts a power cut, so its name has to
        key = bytes.fromhex(file.read_text("utf-8"))
        if len(key) != KEY_BYTES:
            raise CitylakeError("run.bad_key", file=file)
        return key


def is_safe_address(address: object) -> bool:
    """Whether what is said to an address is read by nobody on the way: https, or on this machine."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - read alone tells a port that is no number
    except ValueError:
        return False
    near = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or near)


def _kept(variable: str, file: Path) -> str | None:
    """A secret of a variable, else of a file; None for none."""
    return os.environ.get(variable) or (file.read_text("utf-8").strip() if file.is_file() else None)


def _provider() -> Provider | None:
    issuer, client = (os.environ.get(f"CITYLAKE_OIDC_{name}") or "" for name in ("ISSUER", "CLIENT"))
    if not issuer and not client:
        return None
    if not client or not is_safe_address(issuer) or re.search(r"[?#\s]", issuer):
        raise CitylakeError("run.bad_provider", issuer=issuer, client=client)
    scopes, acr = (os.environ.get(f"CITYLAKE_OIDC_{name}", "").split() for name in ("SCOPES", "ACR"))
    name = os.environ.get("CITYLAKE_OIDC_NAME") or urlsplit(issuer).netloc
    return Provider(issuer, client, name, tuple(one for one in scopes if one != "openid"), tuple(acr))


def _port(variable: str, default: str) -> int:
    text = os.environ.get(variable) or default
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise CitylakeError("run.bad_port", variable=variable, value=text)
    return int(text)
