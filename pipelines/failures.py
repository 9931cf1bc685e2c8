"""What goes wrong in a run: the receipt, the issue and the traceback of a failed step, and the word that it is gone.

What a failure stops is not decided here: each step says for itself what stands when it fails.
"""

import contextlib
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import OperationalError

from pipelines.issues import Finding, Issues
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now


@dataclass
class Failures:
    """The failures of one run. `log`: where tracebacks lie; `subjects`: what failed or was not published, in order."""

    receipts: Receipts
    issues: Issues
    log: Path
    subjects: list[str] = field(default_factory=list)

    def add(self, subject: str, owner: str, error: Exception) -> Finding:
        """Record a failure. Where the register cannot be written either, the run ends with the failure's message."""
        finding = _finding(subject, error)
        self.subjects.append(subject)
        if not isinstance(error, CitylakeError):
            self._trace(subject)
        try:
            self.receipts.add(Stage.FAILURE, subject, {"finding": finding.code, "message": finding.both()})
            self.issues.report(subject, owner, finding.code.partition(".")[0], [finding])
        except OperationalError:
            raise CitylakeError(finding.code, **finding.arguments) from error
        return finding

    def gone(self, subject: str, owner: str, *areas: str) -> None:
        """Close what was ever reported of a subject in these areas."""
        for area in areas:
            self.issues.report(subject, owner, area, [])

    def _trace(self, subject: str) -> None:
        """Keep the traceback of what nobody expected. It may quote rows, so only the owner of the home can read it."""
        with contextlib.suppress(OSError), self.log.open("a") as log:
            log.write(f"{now().isoformat()} {subject}\n{traceback.format_exc()}\n")


def _finding(subject: str, error: Exception) -> Finding:
    if isinstance(error, CitylakeError):
        return Finding(error.code, error.arguments, "error")
    # only the kind of error: its text may hold values of rows, and issues are read by many
    return Finding("run.failed", {"subject": subject, "problem": type(error).__name__}, "error")
