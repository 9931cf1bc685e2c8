"""One admission in a process that is killed at a boundary. Contracts are loaded once for all of them, by the import."""

import os
import signal
from pathlib import Path
from typing import Any

from pipelines.admission.receive import Delivery
from pipelines.contracts.load import load
from tests.admission.conftest import Intake, ending
from tests.admission.test_load_modes import intake
from tests.city import REPOSITORY

CONTRACTS = load(REPOSITORY / "data_contracts")


def source_in(folder: Path, name: str, mode: Any) -> Intake:
    """The source in a lake of its own."""
    return intake(str(folder), CONTRACTS, name, mode)


def admit(folder: Path, name: str, mode: Any, delivery: Delivery, boundary: int) -> None:
    """Admit a delivery; the kernel ends this process at the boundary."""
    with ending(boundary, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        source_in(folder, name, mode).admit(delivery)
