"""A page in a real browser. No tests."""

import subprocess
from pathlib import Path


def open_page(chromium: str, folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    logged = ("--enable-logging=stderr", "--disable-component-update", f"--user-data-dir={folder / 'profile'}")
    command = [chromium, *quiet.split(), *logged, *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
