"""What the demo says after its job: how much of what was planted was found, by kind.

Mistakes in rows and between sources, and what libraries tell of those that rows keep, are those of the demo's city.
Faults of whole deliveries need days: their lines are those of the last drill, which is kept for this.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from citylake.compared import accepted, across, rows
from citylake.compared.libraries.report import Published
from citylake.compared.scores import Score, summed, table
from pipelines.contracts.load import load
from pipelines.evidence.across import Seen
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings
from simulator import DemoCity


def first_report(settings: Settings, city: DemoCity) -> str:
    """The table of all sources; sources without an admitted delivery are left out, and what libraries tell before they
    are published.

    Of mistakes that were corrected since nothing is asked: the day on which they could be seen may never have been
    delivered.
    """
    contracts, lake, planted = load(settings.contracts), settings.lake, city.planted()
    register = Register(settings.register_url)
    receipts = Receipts(register, "compared")
    last = {name: receipts.last(Stage.ACROSS, name) for name, source in contracts.sources.items() if source.across}
    register.close()
    seen = {name: Seen.read(receipt.body) for name, receipt in last.items() if receipt}
    scores = [
        score
        for source in rows.judged(contracts)
        if lake.core(source.org, source.dataset).exists()
        for score in rows.compare(
            source, contracts, lake, planted, rows.delivered_until(source, city), lambda item: item.ended is None
        ).scores
    ]
    scores.sort(key=lambda score: rows.ORDER.index(score.kind))
    libraries = Published(settings, city)
    kept = accepted.compare(libraries) if libraries.has(accepted.MODELS) else ()
    drilled, beyond = kept_drill(settings)
    alone = rows.undetectable(planted)
    between = across.compare(contracts, lake, city, seen)
    return table([*scores, *between, *kept, *drilled], {**alone, **beyond})


def keep_drill(settings: Settings, scores: Sequence[Score], undetectable: Mapping[str, int]) -> None:
    """Remember what a drill showed of faults of whole deliveries, until the next one."""
    lines = [asdict(score) for score in scores if score.kind not in rows.ORDER]
    place = _place(settings)
    beside = place.with_suffix(".part")
    beside.write_text(json.dumps({"scores": lines, "undetectable": dict(undetectable)}), encoding="utf-8")
    beside.replace(place)


def kept_drill(settings: Settings) -> tuple[list[Score], dict[str, int]]:
    """What the last drill showed, by kind of fault, and what it had declared undetectable; nothing if none was held, or
    by another version of citylake that kept something else."""
    try:
        kept = json.loads(_place(settings).read_text(encoding="utf-8"))
        return summed(Score(**line) for line in kept["scores"]), dict(kept["undetectable"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return [], {}


def _place(settings: Settings) -> Path:
    return settings.home / "drill.json"
