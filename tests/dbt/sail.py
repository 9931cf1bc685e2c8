"""Sail, a Spark Connect server, and dbt talking to it, in an environment of their own (`requirements/spark.txt`).

Belongs here: the server process, and calls across. Does not belong here: what is tested.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.lake.build import BuildResult, ModelResult, TestResult
from pipelines.lake.zones import Lake

REPOSITORY = Path(__file__).parents[2]

# Prints its address, serves until its input closes: it ends with the tests even when they are killed.
SERVER = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print("%s:%d" % server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass
class Sail:
    """A running server, and the environment whose dbt talks to it."""

    python: Path
    address: str

    def ask(self, request: Mapping[str, Any]) -> Any:
        """One request to tests.dbt.on_sail, in a process of its own: a session of its own."""
        done = subprocess.run(
            [self.python, "-m", "tests.dbt.on_sail"],
            cwd=REPOSITORY,
            env=os.environ | {"SPARK_REMOTE": f"sc://{self.address}"},
            input=json.dumps(request, default=str),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def build(self, project: Path, lake: Lake, *where: Any, **options: Any) -> BuildResult:
        """pipelines.lake.build.build with target sail, over there."""
        edition, snapshot, *rest = where
        request = {"project": project, "lake": lake.root, "edition": edition, "snapshot": snapshot}
        request |= {"select": rest[0] if rest else None, "full_refresh": False, **options}
        answer = self.ask(request)
        models = {name: ModelResult(**_placed(model)) for name, model in answer["models"].items()}
        tests = [TestResult(**{**test, "models": tuple(test["models"])}) for test in answer["tests"]]
        return BuildResult(models, tests, answer["seconds"])


def _placed(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "location": None if model["location"] is None else Path(model["location"])}


@contextmanager
def serving(python: Path) -> Iterator[Sail]:
    """A server on a free port of this machine, in a process group of its own, ended at exit."""
    server = subprocess.Popen(
        [python, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address, "Sail did not start"
        yield Sail(python, address)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
