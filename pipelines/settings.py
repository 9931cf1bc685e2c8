"""Where this installation keeps its state, its ports and its secrets. All of it comes from the environment.

`CITYLAKE_HOME` (default `.citylake` in the working directory) holds everything that is ever written.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError

REPOSITORY = Path(__file__).resolve().parent.parent
"""Where the contracts and models ship, unless CITYLAKE_PROJECT says otherwise."""


@dataclass(frozen=True)
class Settings:
    """One installation. `home` holds all state; `project` holds `data_contracts/` and `dbt_project/`."""

    home: Path
    project: Path
    port: int
    dagster_port: int
    register_url: str

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read CITYLAKE_HOME, CITYLAKE_PROJECT, CITYLAKE_PORT, CITYLAKE_DAGSTER_PORT and CITYLAKE_REGISTER."""
        home = Path(os.environ.get("CITYLAKE_HOME", ".citylake")).resolve()
        return cls(
            home=home,
            project=Path(os.environ.get("CITYLAKE_PROJECT", REPOSITORY)).resolve(),
            port=int(os.environ.get("CITYLAKE_PORT", "8080")),
            dagster_port=int(os.environ.get("CITYLAKE_DAGSTER_PORT", "3000")),
            register_url=os.environ.get("CITYLAKE_REGISTER", f"sqlite:///{home / 'register.db'}"),
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
    def marts(self) -> Path:
        """The analysts' database: a symlink to the newest edition's file."""
        return self.home / "marts" / "marts.duckdb"

    def prepare(self) -> None:
        """Make the folders; those with personal data or secrets are for the owner only."""
        for name, mode in (("", 0o755), ("secrets", 0o700), ("marts", 0o755), ("logs", 0o755)):
            folder = self.home / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        self.lake.prepare()

    def connection_string(self, connection: str, secret: str) -> str:
        """The connection string of a source: variable CITYLAKE_SECRET_<NAME> or file secrets/<name>.

        Raises CitylakeError naming both places if neither is there.
        """
        variable, file = f"CITYLAKE_SECRET_{secret.upper()}", self.home / "secrets" / secret
        if value := os.environ.get(variable):
            return value
        if file.is_file():
            return file.read_text("utf-8").strip()
        raise CitylakeError("pull.no_secret", connection=connection, variable=variable, file=file)

    def key(self, name: str) -> bytes:
        """A 32-byte key of this installation, made on first use and kept in secrets/."""
        file = self.home / "secrets" / f"{name}.key"
        if not file.is_file():
            fresh = file.with_suffix(f".{secrets.token_hex(8)}")  # of this thread alone
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32), "utf-8")
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)  # the first of several processes wins; a half-written key is never seen
            fresh.unlink()
        return bytes.fromhex(file.read_text("utf-8"))
