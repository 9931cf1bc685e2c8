"""Environments of their own for programs that cannot live in ours: clients, checkers, engines and peers that others
wrote. What is run in them does not belong here."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from pipelines.settings import REPOSITORY


def environment(name: str) -> Path:
    """The interpreter of an environment with what `requirements/<name>.txt` locks, below CITYLAKE_VENVS; made once for
    each content of it and each version of Python."""
    lock = REPOSITORY / "requirements" / f"{name}.txt"
    root = Path(os.environ.get("CITYLAKE_VENVS", REPOSITORY / ".venvs"))
    folder = root / f"{name}-{hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]}"
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return interpreter
