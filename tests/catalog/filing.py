"""Recipients' folders for tests of deliveries of files: real stores, and an office that takes packages as
docs/deliveries.md tells it to, with programs that are not ours: sha256sum, openssl, DuckDB.

Belongs here: what such tests stand on. Does not belong here: tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk
from catalog.delivery.push import Delivered
from catalog.policy import administration
from pipelines.settings import REPOSITORY, Settings
from tests.catalog.small_city import PERSONS, STEWARD, City
from tests.connectors.store_servers import Backend, FolderBackend, S3Backend, SftpBackend

RECIPIENT = "文件接收方"
FOLDER = "六安/persons"
SIGNS = {"insert": 1, "update_postimage": 1, "delete": -1, "update_preimage": -1}
Row = tuple[str | None, ...]


def add_deliveries(city: City, secrets: Mapping[str, str], deliveries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write connections (their secrets named as they are) and deliveries into city.yaml."""
    for name, address in secrets.items():
        city.settings.store_secret(name, address)
    connections = "".join(f"  {name}:\n    description: 接收方\n    secret: {name}\n" for name in secrets)
    listed = "".join(f"  {name}: {json.dumps(form, ensure_ascii=False)}\n" for name, form in deliveries.items())
    file = city.own_contracts() / "city.yaml"
    text = file.read_text("utf-8").replace(
        "\nconnections:\n", f"\ndeliveries:\n{listed}\nconnections:\n{connections}", 1
    )
    file.write_text(text, "utf-8")


def end_grants(city: City, recipient: str) -> None:
    """Revoke every grant."""
    for one in administration.list_grants(city.register):
        if one.recipient == recipient and one.revoked is None:
            administration.revoke_grant(city.register, one.id, actor=STEWARD)


def put_into(desk: Desk, name: str, full: bool = False) -> Delivered:
    """Deliver files."""
    made = deliver(desk, name, "test", full)
    assert isinstance(made, Delivered)
    return made


def expected(desk: Desk, recipient: str, product: str = PERSONS, prefix: str = "") -> tuple[list[str], Counter[Row]]:
    """The columns and rows of the published version that a grant lets through now, as texts; of one division only."""
    allowed = desk.admit(desk.callers.on_behalf(recipient), product, "test", "files").allowed
    extract = desk.views.extract(allowed)
    shown = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in extract.columns)
    where = f"WHERE starts_with(division_code, '{prefix}')" if prefix else ""
    with duckdb.connect() as con:
        rows = con.execute(f"SELECT {shown} FROM {extract.relation} {where}").fetchall()
    return list(extract.columns), Counter(rows)


class Office:
    """A recipient that applies packages in their order, each once it is whole, and believes nothing unchecked."""

    def __init__(self, backend: Backend, folder: str, desk: Path) -> None:
        self.backend, self.folder, self.desk = backend, folder, desk
        self.rows: Counter[Row] = Counter()
        self.columns: list[str] = []
        self.number, self.version = 0, -1
        self.taken: list[dict[str, Any]] = []

    def look(self) -> Path:
        """The folder as files of this machine."""
        if isinstance(self.backend, FolderBackend):
            return self.backend.root / self.folder
        assert isinstance(self.backend, S3Backend)
        copy = self.desk / "copy" / self.folder
        shutil.rmtree(copy, ignore_errors=True)
        prefix = f"投放/卫健/{self.folder}/"
        pages = self.backend.client.get_paginator("list_objects_v2").paginate(Bucket="drop", Prefix=prefix)
        for key in (one["Key"] for page in pages for one in page.get("Contents", ()) if not one["Key"].endswith("/")):
            target = copy / key.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.backend.client.get_object(Bucket="drop", Key=key)["Body"].read())
        copy.mkdir(parents=True, exist_ok=True)
        return copy

    def remove(self, name: str) -> None:
        """Take a file or all of a package away."""
        if isinstance(self.backend, S3Backend):
            listed = self.backend.client.list_objects_v2(Bucket="drop", Prefix=f"投放/卫健/{self.folder}/{name}")
            for one in listed.get("Contents", ()):
                self.backend.client.delete_object(Bucket="drop", Key=one["Key"])
        else:
            path = self.look() / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def put(self, name: str, content: bytes) -> None:
        """Write, or spoil, a file."""
        if isinstance(self.backend, S3Backend):
            self.backend.client.put_object(Bucket="drop", Key=f"投放/卫健/{self.folder}/{name}", Body=content)
        else:
            (self.look() / name).parent.mkdir(parents=True, exist_ok=True)
            (self.look() / name).write_bytes(content)

    def clear(self) -> None:
        """Take everything away."""
        if isinstance(self.backend, S3Backend):
            found = self.backend.client.list_objects_v2(Bucket="drop", Prefix=f"投放/卫健/{self.folder}/")
            if keys := [{"Key": one["Key"]} for one in found.get("Contents", ())]:
                self.backend.client.delete_objects(Bucket="drop", Delete={"Objects": keys})
            return
        for name in {path.relative_to(self.look()).parts[0] for path in self.look().glob("*")}:
            self.remove(name)

    def take(self) -> None:
        """Check and apply every package that came since."""
        folder = self.look()
        for marker in sorted(folder.glob("*.ok")):
            if int(marker.name[:6]) > self.number:
                self._apply(folder / marker.name.removesuffix(".ok"), json.loads(marker.read_text("utf-8")))

    def _apply(self, package: Path, told: dict[str, str]) -> None:
        said = check(package)
        assert told["statement"] == (package / "statement.json").read_text("utf-8")
        assert said["number"] > self.number
        (described,) = [
            one
            for one in json.loads((package / "datapackage.json").read_text("utf-8"))["resources"]
            if one["format"] == "csv"
        ]
        file = package / described["path"]
        with duckdb.connect() as con:
            read = f"read_csv('{file}', all_varchar = true, header = true, nullstr = '', allow_quoted_nulls = false)"
            found = con.execute(f"SELECT * FROM {read}")
            columns, rows = [one[0] for one in found.description], found.fetchall()
        assert columns == [field["name"] for field in described["schema"]["fields"]] and len(rows) == described["rows"]
        if said["how"] == "snapshot":
            self.columns, self.rows = columns, Counter(rows)
        else:
            assert said["since"] == self.version and columns == [*self.columns, "_change_type"]
            for row in rows:
                self.rows[row[:-1]] += SIGNS[row[-1]]
            assert min(self.rows.values(), default=0) >= 0
            self.rows = +self.rows
        self.number, self.version = said["number"], said["version"]
        self.taken.append(said)
        assert self.rows.total() == said["rows"]


def check(package: Path) -> dict[str, Any]:
    """The receipt of a package, once everything in it is what it says, by programs of the recipient alone."""
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=package, check=True)
    sums = (package / "SM3SUMS").read_text("utf-8").splitlines()
    for line in sums:
        name = line.split("  ")[1]
        made = subprocess.run(["openssl", "dgst", "-sm3", "-r", name], cwd=package, check=True, capture_output=True)
        assert made.stdout.decode().split()[0] == line.split("  ")[0]
    verify = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in statement.json -sigfile signature.bin"
    subprocess.run(verify.split(), cwd=package, check=True, capture_output=True)
    said: dict[str, Any] = json.loads((package / "statement.json").read_text("utf-8"))
    for name, size, _ in said["files"]:
        assert (package / name).stat().st_size == size
    told = {name: mark for name, _, mark in said["files"]}
    listed = dict(reversed(line.split("  ")) for line in (package / "SHA256SUMS").read_text("utf-8").splitlines())
    assert {name: mark for name, mark in told.items() if not name.endswith("SUMS")} == listed
    made = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=package, check=True, capture_output=True).stdout.decode()
    assert made.split()[0] == told["SHA256SUMS"]
    assert {path.name for path in package.iterdir()} == {*told, "statement.json", "signature.bin", "key.pem"}
    return said


def process_of(settings: Settings, name: str) -> "subprocess.Popen[bytes]":
    """A delivery by a process of its own, that can be killed."""
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    environment = {**os.environ, **where, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "citylake", "deliver", "run", name]
    return subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def killed_by(store: SftpBackend, settings: Settings, name: str, nth: int) -> bool:
    """Deliver in a process of its own that is killed when it opens its nth file at the server; whether it was."""

    class Trap(list[str]):
        def append(self, name: str) -> None:
            super().append(name)
            if len(self) == nth:
                process.send_signal(signal.SIGKILL)

    store.fetched = Trap()
    process = process_of(settings, name)
    process.wait(120)
    store.fetched = []
    return process.returncode == -signal.SIGKILL
