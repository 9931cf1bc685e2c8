"""A run is green only if it looked at what its job looks at."""

from types import SimpleNamespace

import dagster as dg
import pytest

from assets.health import health
from assets.releases import EDITION


@dg.asset(key=EDITION)
def edition() -> None:
    """Stands for what builds and publishes."""


@pytest.mark.parametrize(
    ("chosen", "tags", "green"),
    [
        ([EDITION, health.key], {}, True),
        ([health.key], {}, False),
        ([EDITION, health.key], {"dagster/is_resume_retry": "true"}, False),
    ],
)
def test_a_run_from_failure_is_not_green(chosen: list[dg.AssetKey], tags: dict[str, str], green: bool) -> None:
    run = SimpleNamespace(problems=[], issues=SimpleNamespace(open=list))
    resources = {"run": dg.ResourceDefinition.hardcoded_resource(run)}
    done = dg.materialize([edition, health], resources=resources, selection=chosen, tags=tags, raise_on_error=False)
    assert done.success == green
    if not green:
        (failed,) = done.get_step_failure_events()
        assert failed.step_failure_data.error is not None and "citylake run" in str(failed.step_failure_data.error)
