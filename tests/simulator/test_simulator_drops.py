"""Dropped files that are damaged: as many lines cannot be decoded as are on record, and no other."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from simulator import drops
from simulator.care_registers import Births, HealthRecords
from simulator.chance import Dice
from simulator.dirt import DirtRates
from simulator.registers import Row, with_mistakes

ONLY_ENCODING = DirtRates(**dict.fromkeys(asdict(DirtRates()), 0.0) | {"encoding": 0.05})


@pytest.mark.parametrize(("register", "encoding"), [(Births(), "gbk"), (HealthRecords(), "gb18030")])
def test_every_damaged_line_is_on_record(register: Births | HealthRecords, encoding: str, tmp_path: Path) -> None:
    width = len(register.place.names)
    clean: list[Row] = [[f"K{number:09d}", *["王小明"] * (width - 1)] for number in range(400)]
    day = date(2026, 1, 5)
    delivery, _ = with_mistakes(register, clean, ONLY_ENCODING, day, Dice(1, encoding))
    drops.prepare(tmp_path, day, register, delivery.rows)
    drops.deliver(tmp_path, day)
    (file,) = (tmp_path / "drops" / register.place.folder).glob(f"*.{register.place.kind}")
    lines = file.read_bytes().removesuffix(b"\r\n").split(b"\r\n")
    damaged = {line[:10].decode() for line in lines if not decodes(line, encoding)}

    assert len(lines) == len(clean) + 1
    assert {entry.defect for entry in delivery.planted} == {"stray_byte", "torn_character", "line_in_utf8"}
    assert damaged == {entry.rybh for entry in delivery.planted}
    assert all(entry.kind == "encoding" and entry.refusable for entry in delivery.planted)


def decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
