"""Deliveries of files by a process that is really killed, at many points: whoever applies what has a marker has one
whole version, and the next run goes on. Packages are read by Frictionless' own program."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from catalog.delivery.desk import Desk
from pipelines.settings import REPOSITORY, Settings
from tests.catalog.conftest import released_city
from tests.catalog.filing import FOLDER, RECIPIENT, Office, add_deliveries, expected, killed_by, process_of, put_into
from tests.catalog.small_city import ADMINISTRATOR, AGES, APPROVER, COMPONENTS, DIVISIONS, PERSONS, STEWARD
from tests.city import seed_from_clock
from tests.connectors.store_servers import SftpBackend, backend
from tests.environments import environment
from tests.slow.test_deliveries import tomorrow

pytestmark = [pytest.mark.slow, pytest.mark.server]

ROWS, DAYS = 60_000, 4
VALIDATE = """
import frictionless
from frictionless import Checklist
uncounted = Checklist(skip_errors=["byte-count", "hash-count"])  # it counts the bytes of CSV and NDJSON only
for resource in frictionless.Package("datapackage.json").resources:
    report = resource.validate(uncounted if resource.format in ("parquet", "json") else None)
    assert report.valid, report.to_summary()
    if resource.format != "geojson":  # a layer is no table
        assert len(resource.read_rows()) == resource.to_descriptor()["rows"], resource.name
"""


@pytest.mark.parametrize("kind", ["folder", "sftp", "s3"])
@pytest.mark.parametrize("columns", [None, ["name", "sex", "birth_year"]], ids=["key", "rows"])
def test_a_run_killed_anywhere_leaves_one_whole_version(tmp_path: Path, kind: str, columns: list[str] | None) -> None:
    dice, city = random.Random(seed_from_clock()), released_city(tmp_path / "city")
    city.recipient(RECIPIENT)
    with backend(kind, tmp_path) as store:
        form = {"recipient": RECIPIENT, "product": PERSONS, "connection": "drop", "folder": FOLDER}
        add_deliveries(city, {"drop": store.address}, {"files": {**form, "formats": ["csv", "parquet"]}})
        city.grant(RECIPIENT, columns=columns)
        desk, office, killed = Desk(city.settings, city.register), Office(store, FOLDER, tmp_path), 0
        for day in range(DAYS):
            held = office.rows.copy()
            city.release(PERSONS, ROWS, query=tomorrow(day))
            for _ in range(3):
                killed += _kill_while_it_writes(city.settings, office, dice.uniform(0, 0.6))
                office.take()
                assert office.rows in (held, expected(desk, RECIPIENT)[1])
            put_into(desk, "files")
            office.take()
            assert (office.columns, office.rows) == expected(desk, RECIPIENT)
            assert office.taken[-1]["how"] == ("changes" if day else "snapshot") and len(office.taken) == day + 1
        assert killed >= 2, "otherwise this test showed nothing"
        assert not [path for path in office.look().iterdir() if ".part" in path.name]


def test_a_run_killed_at_any_third_file_is_gone_on_with(tmp_path: Path) -> None:
    dice, city = random.Random(seed_from_clock()), released_city(tmp_path / "city")
    city.recipient(RECIPIENT)
    with backend("sftp", tmp_path) as store:
        assert isinstance(store, SftpBackend)
        form = {"recipient": RECIPIENT, "product": PERSONS, "connection": "drop", "folder": FOLDER}
        add_deliveries(city, {"drop": store.address}, {"files": form})
        city.grant(RECIPIENT)
        desk, office, killed = Desk(city.settings, city.register), Office(store, FOLDER, tmp_path), 0
        for day, nth in enumerate(range(dice.randrange(1, 4), 22, 3), start=1):
            held = office.rows.copy()
            city.release(PERSONS, 40 + nth)
            killed += killed_by(store, city.settings, "files", nth)
            office.take()
            assert office.rows in (held, expected(desk, RECIPIENT)[1])
            put_into(desk, "files")
            office.take()
            assert office.rows == expected(desk, RECIPIENT)[1] and len(office.taken) == day
        assert killed >= 4, "otherwise this test showed nothing"


def _kill_while_it_writes(settings: Settings, office: Office, patience: float) -> bool:
    """Start a delivery in a process of its own and kill it once it has written; False if it was faster."""
    before = _written(office)
    process = process_of(settings, "files")
    while process.poll() is None and _written(office) == before:
        time.sleep(0.01)
    time.sleep(patience)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def _written(office: Office) -> set[str]:
    """The names in the folder; a package may be renamed while it is looked into, which `os.walk` bears."""
    return {os.path.join(at, name) for at, folders, files in os.walk(office.look()) for name in (*folders, *files)}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Packages of persons, of changes, of counts, of places and of a layer, in all formats."""
    city = released_city(tmp_path_factory.mktemp("described"))
    city.recipient(RECIPIENT)
    with backend("folder", tmp_path_factory.mktemp("packages")) as store:
        products = {"persons": PERSONS, "ages": AGES, "places": DIVISIONS, "map": COMPONENTS}
        forms = {
            name: {"recipient": RECIPIENT, "product": product, "connection": "drop", "folder": name}
            | {"formats": ["csv", "parquet", "json", "ndjson", "xlsx", *(["geojson"] if name == "map" else [])]}
            for name, product in products.items()
        }
        add_deliveries(city, {"drop": store.address}, forms)
        city.grant(RECIPIENT)
        city.grant(RECIPIENT, DIVISIONS)
        city.grant(RECIPIENT, COMPONENTS)
        city.release(COMPONENTS, 12)
        desk = Desk(city.settings, city.register)
        for name in forms:
            put_into(desk, name)
        city.release(PERSONS, 60)
        put_into(desk, "persons")
        root = Office(store, ".", tmp_path_factory.mktemp("look")).look()
        yield sorted(path.parent for path in root.rglob("datapackage.json"))


def test_frictionless_finds_no_mistake(packages: list[Path]) -> None:
    assert len(packages) == 5
    python = environment("frictionless")
    for package in packages:
        run = [str(python), "-c", VALIDATE]
        done = subprocess.run(run, cwd=package, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
        assert done.returncode == 0, done.stdout + done.stderr
    # a value that is no number, and a file that is cut, are found
    described = json.loads((packages[0] / "datapackage.json").read_text("utf-8"))
    file = packages[0] / described["resources"][0]["path"]
    file.write_bytes(file.read_bytes()[:-20])
    assert subprocess.run(run, cwd=packages[0], capture_output=True, check=False).returncode != 0


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """The contract and the commands of docs/deliveries.md as they stand there, but for its people and its folder."""
    city, drop, programs = released_city(tmp_path / "city"), tmp_path / "drop", tmp_path / "bin"
    text = (REPOSITORY / "docs/deliveries.md").read_text("utf-8").partition("# 文件交付")[2]
    said, script = re.findall(r"^```(?:yaml|sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[:2]
    form = yaml.safe_load(said)
    add_deliveries(city, {one["secret"]: "none yet" for one in form["connections"].values()}, form["deliveries"])
    for here, there in {"/tmp/drop": str(drop), "王主任": ADMINISTRATOR, "张专员": STEWARD, "李审批": APPROVER}.items():
        assert here in script
        script = script.replace(here, there)
    programs.mkdir()
    query = "import duckdb, sys; print(duckdb.sql(sys.argv[2]).fetchall())"
    for name, run in {"citylake": "-m citylake", "duckdb": f"-c '{query}'"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {run} "$@"\n', "utf-8")
        (programs / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    environ |= {"CITYLAKE_HOME": str(city.settings.home), "CITYLAKE_PROJECT": str(city.settings.project)}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout and "Signature Verified Successfully" in done.stdout
    rows = json.loads(next(iter(drop.glob("persons/000001-v*/statement.json"))).read_text("utf-8"))["rows"]
    assert done.stdout.splitlines()[-1] == f"[({rows},)]"
