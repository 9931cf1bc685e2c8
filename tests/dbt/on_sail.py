"""Runs one build or compilation on the second engine, inside its own environment: request and answer are JSON lines.

Belongs here: nothing but the call; tests.dbt.sail starts it. Imports only what requirements/spark.txt holds.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.lake.build import build
from pipelines.lake.models import compiled, place_project
from pipelines.lake.zones import Lake

TARGET = "sail"


def answer(request: dict[str, Any]) -> Any:
    """The result of a build, or the compiled SQL of every model."""
    project, work = Path(request["project"]), Path(request["work"])
    if "snapshot" not in request:
        placed = place_project(project, work, request["generated"])
        return {model.name: model.sql for model in compiled(placed, work, incremental=True, target=TARGET)}
    result = build(
        project,
        Lake(Path(request["lake"])),
        request["edition"],
        Path(request["snapshot"]),
        request["select"],
        target=TARGET,
        full_refresh=request["full_refresh"],
        work=work,
        generated=request["generated"],
    )
    return asdict(result)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=str, ensure_ascii=False), flush=True)
