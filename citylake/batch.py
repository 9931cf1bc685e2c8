"""What became of a batch, in words and as JSON: which rules refused how many rows, and why. No value of a row.

Belongs here: what several commands say of one batch. Does not belong here: the reasons themselves
(pipelines/admission/reasons), and what stays open of all batches (`quarantine`).
"""

from collections.abc import Mapping

import typer

from citylake.output import as_json
from pipelines.admission.admit import Admitted
from pipelines.admission.reasons import reasons, told
from pipelines.contracts.load import SourceContract
from pipelines.messages import say, translate


def tell(contract: SourceContract, admitted: Admitted) -> None:
    """Why rows were refused, if any were, and on the last line all counts as JSON."""
    if admitted.refused:
        about = {name: getattr(admitted, name) for name in ("batch", "received", "refused")}
        typer.echo(say("quarantine.refused", subject=contract.id, **about))
        tell_rules(contract, admitted.by_rule)
    as_json({"source": contract.id, "batch": admitted.batch, **admitted.counts, "by_rule": admitted.by_rule})


def tell_rules(contract: SourceContract, by_rule: Mapping[str, int]) -> None:
    """Each rule that refused rows, the one with the most rows first."""
    for language in ("zh", "en"):
        known = reasons(contract, language)
        for rule, rows in sorted(by_rule.items(), key=lambda one: -one[1]):
            reason = told(rule, known, language)
            typer.echo(translate("quarantine.by_rule", language, rule=rule, rows=rows, reason=reason))
