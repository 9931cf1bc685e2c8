"""Large downloads: a released file by the catalogue against the same file by nginx with sendfile.

`python -m benchmarks.downloads [ROWS] [TIMES]`. Each in turn, so many times, with curl as client; token, policy, audit
and counted bytes are on. Needs nginx and curl from Debian.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.clients import service
from benchmarks.measure import UNLIMITED, free_port, server_used
from tests.catalog.small_city import PERSONS, City, bearer

CONFIGURATION = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server of `files` in a folder that does nothing else."""
    port = free_port()
    (folder / "nginx.conf").write_text("user root;" + CONFIGURATION.format(folder=folder, port=port), "utf-8")
    with subprocess.Popen([_nginx(), "-c", str(folder / "nginx.conf"), "-p", str(folder)]) as process:
        try:
            time.sleep(1)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid).children()[0]
        finally:
            process.terminate()


def _nginx() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        raise SystemExit("nginx is not here: apt-get install nginx-light")
    return found


def _download(address: str, token: str) -> None:
    subprocess.run(["curl", "-sf", "-o", "/dev/null", "-H", f"Authorization: Bearer {token}", address], check=True)


def main() -> None:
    rows, times = (int(text) for text in (*sys.argv[1:], *("8000000", "9")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        folder, city = Path(name), City(Path(name) / "city")
        (folder / "files").mkdir()
        city.limit(UNLIMITED)
        city.release(PERSONS, rows)
        token = city.recipient("基准")
        city.grant("基准")
        with service(city.settings) as (ours, server), nginx(folder) as (theirs, worker):
            place = f"{ours}/datasets/{PERSONS}/download/csv"
            with httpx.stream("GET", place, headers=bearer(token), timeout=1200) as answer:
                answer.raise_for_status()
                with (folder / "files" / "file").open("wb") as file:
                    file.writelines(answer.iter_raw())
            found: dict[str, list[tuple[float, float]]] = {"nginx": [], "citylake": []}
            for _ in range(times):
                for who, where, process in (("nginx", f"{theirs}/file", worker), ("citylake", place, server)):
                    begun, before = time.monotonic(), server_used(process)
                    _download(where, token)
                    found[who].append((time.monotonic() - begun, server_used(process) - before))
            size = (folder / "files" / "file").stat().st_size / 1e9
    print(f"{size:.2f} GB, median of {times}\n| server | s | GB/s | CPU s |\n|---|---|---|---|")
    for who, runs in found.items():
        wall = median(one for one, _ in runs)
        print(f"| {who} | {wall:.2f} | {size / wall:.2f} | {median(cpu for _, cpu in runs):.2f} |")


if __name__ == "__main__":
    main()
