"""Telling those who received what was corrected, as an asset with a job and a schedule of its own. It reads what is
published and opens issues, so no run is needed."""

import dagster as dg

from catalog.corrected import tell
from pipelines.contracts.load import load
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.settings import Settings

MORNING = "30 6 * * *"
"""When the sources of the night are published by the city's clocks."""


@dg.asset(key=["notices_of_corrections"], group_name="operations", description=say("dagster.corrections"))
def corrections(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Open a notice for everybody who received what a source has corrected since."""
    settings = Settings.from_environment()
    register = Register(settings.register_url)
    try:
        opened = tell(settings, register, load(settings.contracts))
    finally:
        register.close()
    return dg.MaterializeResult(metadata={translate("dagster.corrections_opened", "zh"): opened})
