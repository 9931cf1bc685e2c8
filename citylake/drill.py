"""`citylake demo drill`: departments commit every fault there is, in a small city of its own; what is found of each.

Everything lies under `<home>/drill` and is made anew each time; the demo itself is not touched. Which faults are
committed where is the simulator's, what is compared is in `compared`.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from citylake.compared import deliveries, rows
from citylake.compared.deliveries import Explained, Found, Taken
from citylake.compared.scores import Score, name_of, summed, table
from pipelines import synthetic
from pipelines.contracts.load import Contracts, load
from pipelines.held import decide_batch
from pipelines.messages import say
from pipelines.register.receipts import Stage
from pipelines.register.times import as_utc
from pipelines.run import Run, opened
from pipelines.settings import Settings
from simulator import DemoCity, Fault, PlantedFault
from simulator.drill import lasting, schedule

ORDINARY_DAYS = 5
"""Days without a fault before those with one: what is usual is known after five deliveries."""
_DELIVERED = ("admitted", "held", "failed")
_AREAS = ("drift.", "pull.", "format.", "admit.", "run.", "lake.")
_NO_FINDINGS = ("admit.refused", "pull.nothing_yet")
"""What is told of single rows, and of sources that have not begun."""


@dataclass(frozen=True)
class Result:
    """What the drill showed. `told`: the faults that are to be found; `ordinary`: deliveries with which nothing was
    wrong as a whole; `false_alarms`: findings that no fault explains."""

    scores: tuple[Score, ...]
    undetectable: dict[str, int]
    told: tuple[Explained, ...]
    false_alarms: tuple[Found, ...]
    ordinary: int


@dataclass
class Drill:
    """One drill in its own home."""

    settings: Settings
    city: DemoCity
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        self.found: list[Found] = []
        self.outcomes: list[Taken] = []

    def run(self, ordinary_days: int, faults: Sequence[Sequence[Fault]]) -> Result:
        """Ordinary days, those with faults, and one on which everything is well again."""
        self._day()
        for _ in range(ordinary_days):
            self.city.tick()
            self._day()
        ends: list[str] = []
        kept: list[str] = []
        for wrongs in faults:
            self.city.tick(1, wrongs, ends)
            self._day()
            still = lasting(wrongs)
            ends = [fault.dataset for fault in wrongs if fault not in still]
            kept += [fault.dataset for fault in still]
        self.city.tick(1, (), [*ends, *kept])
        self._day()
        return self._result()

    def _day(self) -> None:
        """The sources of a day are ingested; what is held is rejected, as a steward would after a call."""
        today = self.city.today
        self.tell(today.isoformat())
        with opened(self.settings, f"drill {today}") as run:
            for source in rows.judged(run.contracts):
                outcome = run.ingest(source.id)
                admitted = outcome.admitted if outcome.status == "admitted" else None
                changed = admitted.inserted + admitted.updated + admitted.deleted if admitted else None
                self.outcomes.append(Taken(today, source.id, outcome.status, changed))
                if outcome.status in _DELIVERED:
                    self.found += _findings(run, source.id, today)
            held = [(name, pull.batch or 0) for name in run.contracts.sources for pull in run.receipts.unsettled(name)]
        for name, batch in held:
            decide_batch(self.settings, name, batch, Stage.REJECT, "演练 drill", "演练中埋设的故障 a planted fault")

    def _result(self) -> Result:
        contracts, lake = load(self.settings.contracts), self.settings.lake
        planted, faults = self.city.planted(), self.city.planted_faults()
        told, strange = deliveries.explained(contracts, faults, self.found)
        scores = [*deliveries.scores(told, strange)]
        scores += deliveries.taken(contracts, lake, self.city, faults, self.outcomes)
        for source in rows.judged(contracts):
            compared = rows.compare(source, contracts, lake, planted, rows.delivered_until(source, self.city))
            scores += [one for one in compared.scores if one.kind in (rows.LATE, rows.CORRECTED)]
        named = deliveries.undetectable(faults)
        ordinary = self._ordinary(contracts, faults)
        return Result(tuple(summed(scores)), named, tuple(told), tuple(strange), ordinary)

    def _ordinary(self, contracts: Contracts, faults: Sequence[PlantedFault]) -> int:
        """How many deliveries there were of sources that had no fault on that day."""
        datasets = {source.id: rows.place(source) for source in rows.judged(contracts)}
        return sum(
            not any(fault.fault.dataset == datasets[one.source] and fault.seen_on(one.day) for fault in faults)
            for one in self.outcomes
            if one.status in _DELIVERED
        )


def drill(
    settings: Settings,
    seed: int,
    persons: int,
    tell: Callable[[str], None],
    ordinary_days: int = ORDINARY_DAYS,
) -> Result:
    """Hold a drill under `<home>/drill`, which is made anew and removed afterwards. Raises RunLocked, CitylakeError."""
    with _scratch(settings) as (own, home):
        city = DemoCity(home / "city", seed, persons)
        try:
            city.start()
            city.populate()
            synthetic.feed(own, city.connections())
            return Drill(own, city, tell).run(ordinary_days, schedule(seed))
        finally:
            city.stop()


def report(result: Result) -> str:
    """The table, and below it each fault that was to be found with what was found, and every false alarm."""
    lines = [table(result.scores, result.undetectable), ""]
    for one in sorted(result.told, key=lambda entry: (entry.fault.day, entry.source)):
        codes = ", ".join(finding.code for finding in one.findings) or "—"
        mark = "✓" if one.complete else "✗"
        about = " ".join(filter(None, (one.fault.fault.column, one.fault.fault.value)))
        lines.append(f"{mark} {one.fault.day} {one.source} {name_of(one.fault.fault.kind)} {about} → {codes}")
    for alarm in result.false_alarms:
        lines.append(f"! {alarm.day} {alarm.source} {alarm.code} {alarm.key}: {alarm.text}")
    lines.append(say("planted.ordinary", deliveries=result.ordinary, alarms=len(result.false_alarms)))
    return "\n".join(lines)


@contextmanager
def _scratch(settings: Settings) -> Iterator[tuple[Settings, Path]]:
    home = settings.home / "drill"
    if (home / "city" / "simulator.json").is_file():
        DemoCity.open(home / "city").stop()  # a drill that was killed left its servers
    shutil.rmtree(home, ignore_errors=True)
    lake = home / "home"
    own = replace(settings, home=lake, register_url=f"sqlite:///{lake / 'register.db'}")
    settings.prepare()
    own.prepare()
    try:
        yield own, home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _findings(run: Run, source: str, today: date) -> Iterator[Found]:
    """What the run told of a source: the open issues that it saw."""
    for issue in run.issues.open(source):
        code, _, key = issue["code"].partition(":")
        seen = as_utc(issue["last_seen"]) >= run.started
        if seen and code.startswith(_AREAS) and code not in _NO_FINDINGS:
            yield Found(today, source, code, key, issue["text"]["zh"])
