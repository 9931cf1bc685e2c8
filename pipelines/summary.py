"""What a run amounts to, told when it is over from receipts and ledger. Nothing here takes part in a run."""

from pipelines.contracts.load import load
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import Ledger
from pipelines.settings import Settings


def summary(settings: Settings, run_id: str) -> dict[str, int | list[str]]:
    """What a run amounts to: rows of the last admitted delivery of every source, releases of the run, what is not out.

    Keys: received, accepted, refused (rows), releases (ledger rows of this run), published and unpublished (subjects).
    """
    contracts, register = load(settings.contracts), Register(settings.register_url)
    receipts, ledger = Receipts(register, run_id), Ledger(register)
    admitted = [receipt.body for name in contracts.sources for receipt in receipts.deliveries_admitted(name, 1)]
    published = ledger.published()
    editions = {receipt.subject for receipt in receipts.of_run(run_id) if receipt.stage == Stage.EDITION}
    promised = [*contracts.models, *contracts.products]
    register.close()
    return {
        **{name: sum(body[name] for body in admitted) for name in ("received", "accepted", "refused")},
        "releases": sum(entry.edition in editions for entry in published.values()),
        "published": len(published),
        "unpublished": sorted(name for name in promised if name not in published),
    }
