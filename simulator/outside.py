"""What the platform reaches neither as a database nor as a folder: the stations' broker and the statistics portal.

Belongs here: running both and handing them each day's messages and files. What they serve is in `air_feed` and
`macro_feed`
and `macro_benchmark`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from simulator import air_feed, macro_benchmark, macro_feed
from simulator.daemons import BROKER, PORTAL, USER, Daemon
from simulator.dirt import DirtRates, Planted
from simulator.disturbances import PlantedFault
from simulator.outbox import FOLDER, Outbox
from simulator.person import DAY_ZERO
from simulator.server import HOST

_ZONE = ZoneInfo("Asia/Shanghai")
ELSEWHERE = (air_feed.PLACE.dataset,)
"""What may be delivered wrongly without being a table or a dropped file."""


class Outside:
    """Broker and portal of the city under ``home``. What they serve follows from seed, size, rates and day alone."""

    def __init__(self, home: Path, seed: int, persons: int, rates: DirtRates) -> None:
        self._home = home
        self._seed, self._persons, self._rates = seed, persons, rates
        self._broker, self._portal = Daemon(home, BROKER), Daemon(home, PORTAL)
        self._outbox = Outbox(home / FOLDER)

    def start(self) -> None:
        """Start both, unless they run.

        Raises:
            ServerError: one of them does not come up.
        """
        self._broker.start()
        self._portal.start()

    def stop(self) -> None:
        """Stop both; messages that nobody acknowledged and the published files stay."""
        self._broker.stop()
        self._portal.stop()

    def hand_over(self, day: date, wrongs: Sequence[PlantedFault] = ()) -> None:
        """Hand over a day, and whatever a killed process left out before it; again does no harm.

        `wrongs`: all faults ever committed; those of the messages of each day are seen in them.
        """
        known = self._outbox.days()
        missed = date.fromisoformat(known[-1]) + timedelta(days=1) if known else DAY_ZERO
        while missed <= day:
            seen = [one.fault for one in wrongs if one.fault.dataset in ELSEWHERE and one.seen_on(missed)]
            self._outbox.put(missed, air_feed.messages(self._seed, self._rates, missed, seen))
            missed += timedelta(days=1)
        published = macro_feed.last_published(self._seed, self._persons, day).replace(tzinfo=_ZONE)
        content = macro_feed.sheet(self._seed, self._persons, self._rates, day)
        _publish(self._home / PORTAL / macro_feed.OBSERVATIONS, content, published)
        beside = macro_benchmark.sheet(self._seed, self._rates, day)
        told = macro_benchmark.last_published(self._seed, day).astimezone(_ZONE)
        _publish(self._home / PORTAL / macro_benchmark.BENCHMARKS, beside, told)

    def connections(self) -> dict[str, str]:
        """How the platform reaches both. Secrets: never log them."""
        return {
            "eeb_broker": f"mqtt://{USER}:{self._broker.password}@{HOST}:{self._broker.port}",
            "sb_portal": f"http://{HOST}:{self._portal.port}",
            "hotline_api": json.dumps({"url": f"http://{HOST}:{self._portal.port}", "key": self._portal.password}),
        }

    def planted(self) -> list[Planted]:
        """Everything wrong in what was handed over so far, in order of days."""
        days = [date.fromisoformat(day) for day in self._outbox.days()]
        messages = [entry for day in days for entry in air_feed.planted(self._seed, self._rates, day)]
        figures = macro_feed.planted(self._seed, self._persons, self._rates, days[-1]) if days else []
        benchmarks = macro_benchmark.planted(self._seed, self._rates, days[-1]) if days else []
        return sorted([*messages, *figures, *benchmarks], key=lambda entry: (entry.day, entry.dataset, entry.rybh))


def _publish(file: Path, content: bytes, published: datetime) -> None:
    """Put a file on the portal, or replace it in one step; ``published`` becomes its Last-Modified."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_bytes(content)
    # The simulated moment, not the real one: the same city shows the same dates.
    os.utime(fresh, (published.timestamp(), published.timestamp()))
    fresh.replace(file)
