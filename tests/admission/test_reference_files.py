"""What the repository itself delivers is admitted whole: no row of its own files breaks its own contracts."""

from datetime import date
from pathlib import Path

import pytest

from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.settings import REPOSITORY
from tests.connectors.raw_lake import RawLake

TODAY = date(2026, 11, 23)
SOURCES = [
    source.id
    for source in load(REPOSITORY / "data_contracts").sources.values()
    if source.connector and source.connector.verb == "reference"
]


@pytest.mark.parametrize("source", SOURCES)
def test_every_row_of_a_reference_file_is_admitted(source: str, tmp_path: Path) -> None:
    lake = RawLake(tmp_path, source)
    delivery = receive(lake.contract, lake.contracts, lake.lake, lambda _: "", lake.receipts)
    assert delivery and delivery.rows
    admitted = admit(
        lake.contract,
        lake.contracts,
        lake.lake,
        b"k" * 32,
        delivery,
        TODAY,
        "2026-11-23 00:00:00+00",
        lake.receipts,
    )
    assert (admitted.accepted, admitted.refused) == (delivery.rows, 0), admitted.by_rule
