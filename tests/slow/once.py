"""One run of the engine in a process of its own: `python -m tests.slow.once HOME`. Made to be killed.

Prints `ready` when the run lock is held, and `done` at the end.
"""

import sys
from pathlib import Path

from pipelines.run import opened
from pipelines.settings import Settings

home = Path(sys.argv[1])
settings = Settings(home, Path(__file__).parents[2], 0, 0, f"sqlite:///{home / 'register.db'}")
with opened(settings, "once") as run:
    print("ready", flush=True)
    for source in run.contracts.sources:
        run.ingest(source)
    run.publish()
print("done", *run.problems, flush=True)
