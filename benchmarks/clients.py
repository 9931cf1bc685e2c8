"""Two hundred departments' programs at once: rows, Delta Sharing and downloads, with think time, for ten minutes.

`python -m benchmarks.clients [CLIENTS] [SECONDS] [ROWS]`. A closed loop: each client waits for its answer, then thinks
for 1-3 s. The service is `citylake serve` as shipped, in a process of its own that starts with what a release makes
ahead; the generator is this process, whose CPU is told, because on the same two cores it takes from what it measures.
Forty recipients in groups with whole, narrowed and limited grants, so views, pseudonyms and policies differ. An answer
that is neither good nor an unchanged one ends as an error in the table; "busy" was told to come back, and did.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import quantiles

import httpx
import psutil

from benchmarks.measure import UNLIMITED, free_port, running, server_used
from catalog.delivery.ahead import after_release
from catalog.delivery.desk import Desk
from pipelines.settings import Settings
from tests.catalog.small_city import AGES, PERSONS, City, bearer

RECIPIENTS = 40
ROWS = f"/api/v1/products/{PERSONS}/rows"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"
THINKS = (1.0, 3.0)
SMALL = 100_000
"""Bytes of an answer that counts as small."""


@dataclass
class Kind:
    """What came of one kind of question. `seconds`: of every good answer and whether it was small."""

    seconds: list[tuple[float, bool]] = field(default_factory=list)
    bytes: int = 0
    busy: int = 0
    errors: dict[str, int] = field(default_factory=dict)


@contextmanager
def service(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`citylake serve` for a city, until the end of the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        "CITYLAKE_HOME": str(settings.home),
        "CITYLAKE_PROJECT": str(settings.project),
        "CITYLAKE_PORT": str(port),
        "CITYLAKE_URL": address,
    }
    with running([sys.executable, "-m", "citylake", "serve"], f"{address}/health", environment) as server:
        yield address, server


class Client:
    """One program of a recipient: draws what it asks, waits for the answer, thinks."""

    def __init__(
        self, number: int, token: str, refs: list[str], http: httpx.AsyncClient, kinds: dict[str, Kind]
    ) -> None:
        self._draw = Random(number)
        self._shown = bearer(token)
        self._refs = refs
        self._http = http
        self._kinds = kinds

    async def run(self, until: float) -> None:
        """Ask until the end."""
        await asyncio.sleep(self._draw.uniform(0, THINKS[1]))  # nobody starts all programs in one moment
        while time.monotonic() < until:
            await self._draw.choices((self._rows, self._sharing, self._download), (50, 30, 20))[0]()
            await asyncio.sleep(self._draw.uniform(*THINKS))

    async def _rows(self) -> None:
        ref = self._draw.choice(self._refs)
        await self._ask(
            "rows",
            self._draw.choice(
                (
                    f"{ROWS}?person_ref=eq.{ref}",
                    f"{ROWS}?person_ref=eq.{ref}",
                    f"{ROWS}?birth_year=gt.{self._draw.randrange(1930, 2020)}&sort=birth_year&limit=50",
                    f"{ROWS}?group=sex&count=person_ref",
                )
            ),
        )

    async def _sharing(self) -> None:
        """As clients of Delta Sharing do: what there is, its version, then its files."""
        step = self._draw.randrange(4)
        if step == 0:
            await self._ask("sharing", "/delta-sharing/shares/sharing/all-tables")
        elif step == 1:
            await self._ask("sharing", f"{TABLE}/version")
        else:
            answer = await self._ask("sharing", f"{TABLE}/query", body={"limitHint": 1000})
            if answer is not None and step == 3:
                for line in answer.text.splitlines()[2:3]:
                    await self._ask("sharing file", json.loads(line)["file"]["url"], shown=False)

    async def _download(self) -> None:
        product, kind = self._draw.choice(((PERSONS, "parquet"), (PERSONS, "csv"), (AGES, "csv"), (AGES, "xlsx")))
        await self._ask("download", f"/datasets/{product}/download/{kind}")

    async def _ask(self, kind: str, place: str, body: object = None, shown: bool = True) -> httpx.Response | None:
        told, headers = self._kinds[kind], self._shown if shown else {}
        for _ in range(5):
            begun = time.monotonic()
            try:
                answer = await self._http.request("GET" if body is None else "POST", place, headers=headers, json=body)
            except httpx.HTTPError as error:
                told.errors[type(error).__name__] = told.errors.get(type(error).__name__, 0) + 1
                return None
            if answer.status_code == 503 and "retry-after" in answer.headers:
                told.busy += 1
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
            if answer.status_code != 200:
                name = f"{answer.status_code} {answer.text[:120]}"
                told.errors[name] = told.errors.get(name, 0) + 1
                return None
            told.seconds.append((time.monotonic() - begun, len(answer.content) <= SMALL))
            told.bytes += len(answer.content)
            return answer
        told.errors["busy five times"] = told.errors.get("busy five times", 0) + 1
        return None


async def _load(
    address: str, who: list[tuple[str, list[str]]], clients: int, seconds: float, server: psutil.Process
) -> tuple[dict[str, Kind], list[float]]:
    """What came of each kind of question, and the service's memory (MB) at twenty moments."""
    kinds = {name: Kind() for name in ("rows", "sharing", "sharing file", "download")}
    until, memory = time.monotonic() + seconds, list[float]()

    async def look() -> None:
        while time.monotonic() < until:
            await asyncio.sleep(seconds / 20)
            memory.append(server.memory_info().rss / 2**20)

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as http:
        all_of_them = [Client(number, *who[number % len(who)], http, kinds) for number in range(clients)]
        await asyncio.gather(look(), *(client.run(until) for client in all_of_them))
    return kinds, memory


def _recipients(city: City) -> list[str]:
    """Tokens of recipients with different grants: all, fewer columns, fewer rows."""
    divisions = sorted({code[:6] for code in city.values(PERSONS, "division_code")})
    tokens = []
    for number in range(RECIPIENTS):
        name = f"基准 {number}"
        tokens.append(city.recipient(name))
        columns = ["person_ref", "name", "sex", "birth_year"]
        city.grant(name, **({}, {"columns": columns}, {"divisions": [divisions[number % len(divisions)]]})[number % 3])
    return tokens


def _print(kinds: dict[str, Kind], seconds: float) -> None:
    print("| question | answers | a second | MB | p50 ms | p99 ms | p99 ms small | most ms | busy | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, kind in kinds.items():
        every = [took * 1000 for took, _ in kind.seconds]
        cuts = quantiles(every, n=100)
        small = quantiles([took * 1000 for took, is_small in kind.seconds if is_small] or [0.0, 0.0], n=100)[98]
        rate, errors = len(every) / seconds, sum(kind.errors.values())
        middle = f"{kind.bytes / 1e6:.0f} | {cuts[49]:.0f} | {cuts[98]:.0f} | {small:.0f} | {max(every):.0f}"
        print(f"| {name} | {len(every)} | {rate:.1f} | {middle} | {kind.busy} | {errors} |")
    for name, kind in kinds.items():
        for error, times in kind.errors.items():
            print(f"{name}: {times} times {error}")


def main() -> None:
    clients, seconds, rows = (int(text) for text in (*sys.argv[1:], *("200", "600", "100000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        city.limit(UNLIMITED)
        city.release(PERSONS, rows)
        city.release(AGES, 100)
        tokens = _recipients(city)
        begun = time.monotonic()
        ready = sum(len(made.ready) for made in after_release(Desk(city.settings, city.register)))
        print(f"{ready} views with rows and indexes made ahead in {time.monotonic() - begun:.1f} s")
        with service(city.settings) as (address, server):
            who = []
            for token in tokens:
                answer = httpx.get(f"{address}{ROWS}?fields=person_ref&limit=100", headers=bearer(token), timeout=600)
                who.append((token, [row["person_ref"] for row in answer.raise_for_status().json()]))
            before, own = server_used(server), time.process_time()
            kinds, memory = asyncio.run(_load(address, who, clients, seconds, server))
            served, asked = server_used(server) - before, time.process_time() - own
        _print(kinds, seconds)
        print(f"CPU: service {served / seconds:.0%} of a core, generator {asked / seconds:.0%}")
        print("memory of the service, MB:", " ".join(f"{each:.0f}" for each in memory))


if __name__ == "__main__":
    main()
