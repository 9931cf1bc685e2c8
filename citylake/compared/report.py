"""What the demo says after its job: how much of the mistakes planted in rows was found."""

from citylake.compared import across, rows
from citylake.compared.scores import table
from pipelines.contracts.load import load
from pipelines.evidence.across import Seen
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings
from simulator import DemoCity


def first_report(settings: Settings, city: DemoCity) -> str:
    """The table of all sources; sources without an admitted delivery are left out.

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
    return table([*scores, *across.compare(contracts, lake, city, seen)], rows.undetectable(planted))
