"""The steward's word about a batch that no run may admit by itself. What the next run does with it is for the run."""

from typing import Literal

from pipelines.admission.admit import applied
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.settings import Settings


def decide_batch(
    settings: Settings, source: str, batch: int, stage: Literal[Stage.CONFIRM, Stage.REJECT], who: str, why: str
) -> None:
    """The steward's word about a batch that is not admitted: confirmed ones are by the next run, rejected ones never.

    What is held can be confirmed; whatever is pulled and cannot be admitted can be rejected, its rows are then lost to
    core. Raises CitylakeError for any other batch, and for one that core has already: the next run records that.
    """
    register = Register(settings.register_url)
    receipts = Receipts(register, "steward")
    try:
        if receipts.last(Stage.CONFIRM, source, batch) or receipts.last(Stage.REJECT, source, batch):
            raise CitylakeError("batch.decided", subject=source, batch=batch)
        waiting = [pull.batch for pull in receipts.unsettled(source)]
        newest = receipts.last(Stage.PULL, source)
        latest = newest is not None and newest.batch == batch  # core takes the higher number for the later word
        held = receipts.last(Stage.HOLD, source, batch) is not None and latest
        if batch not in waiting or (stage is Stage.CONFIRM and not held):
            raise CitylakeError("batch.unknown", subject=source, batch=batch)
        if batch == applied(settings.lake.core(*source.split("/"))):
            raise CitylakeError("batch.applied", subject=source, batch=batch)
        receipts.add(stage, source, {"who": who, "why": why}, batch)
    finally:
        register.close()
