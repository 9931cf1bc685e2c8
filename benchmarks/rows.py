"""The row API: look-ups by key against an endpoint that does nothing, and exports of all rows with their memory.

`python -m benchmarks.rows [ROWS] [SECONDS] [postgresql]`; with the last, register and audit are a PostgreSQL server
whose CPU is not told. One service with one process, token, grant, pseudonyms and durable audit, asked over kept
connections by one other process. What is compared with does nothing on the same service: as an `async def`, and in a
thread as all our roads are.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from urllib.parse import quote

import httpx
import psutil

from benchmarks.measure import UNLIMITED, free_port, running, server_used
from simulator.server import HOST, Server
from tests.catalog.small_city import PERSONS, City, bearer

CONNECTIONS = 16
ROWS = f"/api/v1/products/{PERSONS}/rows"
SERVICE = """
import sys, uvicorn
from pathlib import Path
from fastapi import Response
from catalog.app import create_app
from pipelines.settings import Settings
home, project, register, port = sys.argv[1:]
app = create_app(Settings(Path(home), Path(project), 0, 0, register, url=f"http://127.0.0.1:{port}"))
@app.get("/nothing")
async def nothing(): return Response(b"[]", media_type="application/json")
@app.get("/nothing-in-a-thread")
def nothing_in_a_thread(): return Response(b"[]", media_type="application/json")
uvicorn.run(app, port=int(port), access_log=False, log_level="warning")
"""


@contextmanager
def service(city: City) -> Iterator[tuple[str, psutil.Process]]:
    """The catalogue of a city in a process of its own."""
    port, settings = free_port(), city.settings
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-c",
        SERVICE,
        str(settings.home),
        str(settings.project),
        settings.register_url,
        str(port),
    ]
    with running(command, f"{address}/nothing", {}) as server:
        yield address, server


async def _ask(port: int, requests: Iterator[bytes], until: float) -> int:
    """Ask one after the other over one connection; how many answers came. Raises ValueError for one that is not 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = 0
    while time.monotonic() < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise ValueError(head)
        await reader.readexactly(int(length[1]))
        answers += 1
    writer.close()
    return answers


async def _load(port: int, requests: list[bytes], seconds: float) -> float:
    """Answers a second over all connections."""
    shared, begun = cycle(requests), time.monotonic()
    counts = await asyncio.gather(*(_ask(port, shared, begun + seconds) for _ in range(CONNECTIONS)))
    return sum(counts) / (time.monotonic() - begun)


def lookups(address: str, server: psutil.Process, token: str, seconds: float) -> None:
    """Print requests a second and CPU of each contender, the best of three rounds in turn."""
    port = int(address.rsplit(":", 1)[1])
    refs = httpx.get(f"{address}{ROWS}?fields=person_ref&limit=20000", headers=bearer(token), timeout=600).json()
    Random(1).shuffle(refs)
    shown = f"Authorization: Bearer {token}\r\n"
    targets = {
        "nothing (async)": ["/nothing"],
        "nothing (in a thread)": ["/nothing-in-a-thread"],
        "row by key": [f"{ROWS}?person_ref=eq.{row['person_ref']}" for row in refs],
        "row by key, without the index (CSV)": [f"{ROWS}?person_ref=eq.{row['person_ref']}&format=csv" for row in refs],
    }
    best = dict.fromkeys(targets, (0.0, 0.0))
    for _ in range(3):
        for name, paths in targets.items():
            requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\n{shown}\r\n".encode() for path in paths]
            httpx.get(address + paths[0], headers=bearer(token), timeout=600).raise_for_status()
            before = server_used(server)
            rate = asyncio.run(_load(port, requests, seconds))
            cpu = (server_used(server) - before) / (rate * seconds)
            best[name] = max(best[name], (rate, cpu))
    print("| endpoint | requests/s | server CPU ms | of nothing in a thread |\n|---|---|---|---|")
    for name, (rate, cpu) in best.items():
        print(f"| {name} | {rate:.0f} | {cpu * 1000:.2f} | {rate / best['nothing (in a thread)'][0]:.0%} |")


def exports(address: str, server: psutil.Process, token: str, rows: int) -> None:
    """Print time, bytes and the service's peak memory of all rows in every streamed format."""
    print("| format | rows | MB | first byte s | all s | peak MB of the service |\n|---|---|---|---|---|---|")
    for kind in ("json", "csv", "ndjson", "arrow", "parquet", "csv&sort=name,-birth_year,id_number"):
        begun, size = time.monotonic(), 0
        with httpx.stream(
            "GET", f"{address}{ROWS}?limit={rows}&format={kind}", headers=bearer(token), timeout=600
        ) as answer:
            answer.raise_for_status()
            first = time.monotonic() - begun
            for part in answer.iter_raw():
                size += len(part)
        status = Path(f"/proc/{server.pid}/status").read_text("utf-8")
        peak = int(re.findall(r"VmHWM:\s*([0-9]+) kB", status)[0]) / 1024
        told = f"{size / 1e6:.0f} | {first:.1f} | {time.monotonic() - begun:.1f} | {peak:.0f}"
        print(f"| {kind} | {answer.headers['row-count']} | {told} |", flush=True)


@contextmanager
def register(folder: Path, kind: str = "sqlite") -> Iterator[str | None]:
    """The address of a register, None for the city's own in SQLite."""
    if kind != "postgresql":
        yield None
        return
    (folder / "server").mkdir()
    server = Server(folder / "server")
    server.start()
    with server.connect("postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE register")
        owner = f"{connection.info.user}:{quote(connection.info.password)}"
    yield f"postgresql+psycopg://{owner}@{HOST}:{server.port}/register"
    server.stop()


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with tempfile.TemporaryDirectory() as folder, register(Path(folder), *sys.argv[3:]) as address_of_register:
        city = City(Path(folder), address_of_register)
        city.limit(UNLIMITED)
        city.release(PERSONS, rows)
        token = city.recipient("基准")
        city.grant("基准")
        with service(city) as (address, server):
            begun = time.monotonic()
            first = f"{address}{ROWS}?limit=1"
            httpx.get(first, headers=bearer(token), timeout=600).raise_for_status()
            print(f"view and ordered rows built in {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            httpx.get(f"{address}{ROWS}?person_ref=eq.x", headers=bearer(token), timeout=600).raise_for_status()
            print(f"index by key built in {time.monotonic() - begun:.1f} s")
            lookups(address, server, token, seconds)
        with service(city) as (address, server):
            exports(address, server, token, rows)


if __name__ == "__main__":
    main()
