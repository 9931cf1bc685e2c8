"""The book of corrections that persons asked for: private, counting only when applied, gone with the person."""

import stat
from dataclasses import replace
from pathlib import Path

from pipelines.admission import granted
from pipelines.contracts.load import Contracts
from pipelines.lake.zones import Lake

SOURCE = "psb/household_person"
ASKED = granted.Asked("r0", "mobile", {"record_no": "1"}, "1", "13800000000", None, False, "专员", "申请", "2026-11-26")


def test_only_an_applied_correction_says_something_else(tmp_path: Path, contracts: Contracts) -> None:
    lake = Lake(tmp_path)
    assert granted.with_asked(contracts, lake) == contracts
    applied = replace(ASKED, id="r1", where={"record_no": "2"}, row_key="2", applied=True)
    granted.write(lake, contracts.sources[SOURCE], [ASKED, applied])
    changed = granted.with_asked(contracts, lake)
    assert [name for name, one in changed.sources.items() if one.hash != contracts.sources[name].hash] == [SOURCE]
    said = [(one.id, one.expect, one.set) for one in changed.sources[SOURCE].form.corrections]
    assert said == [("r0", "13800000000", "13800000000"), ("r1", "13800000000", None)]


def test_what_is_asked_of_an_erased_row_goes(tmp_path: Path, contracts: Contracts) -> None:
    lake, contract = Lake(tmp_path), contracts.sources[SOURCE]
    file = lake.corrections("psb", "household_person")
    granted.write(lake, contract, [ASKED, replace(ASKED, id="r1", row_key="2")])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    granted.forget(lake, contract, ["1"])
    assert [one.id for one in granted.read(lake, contract)] == ["r1"]
    granted.forget(lake, contract, ["2"])
    assert not file.exists() and granted.read(lake, contract) == []
