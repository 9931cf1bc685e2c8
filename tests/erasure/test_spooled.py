"""Pages that came and are not in raw yet, searched for a person who is to be erased."""

from pathlib import Path

from pipelines.connectors.spool import Page, Spool
from pipelines.erasure.rows import Wanted
from pipelines.erasure.traces import traces_in

NUMBER, OTHER = "341502200501010019", "341502199001010004"


def spooled(home: Path, dataset: str, *bodies: str) -> Path:
    spool = Spool(home / "lake" / "spool" / "psb" / dataset, None)
    spool.begin({"address": "http://psb"})
    for body in bodies:
        spool.add(Page({}, {}, 1, None, [], True, body))
    return spool.file


def test_pages_with_the_person_go_and_so_do_pages_that_a_kill_cut_off(tmp_path: Path) -> None:
    hers, others = spooled(tmp_path, "hers", OTHER, NUMBER), spooled(tmp_path, "others", OTHER)
    torn = spooled(tmp_path, "torn", OTHER, OTHER)
    torn.write_bytes(torn.read_bytes()[:-9])
    assert set(traces_in(tmp_path, Wanted({NUMBER: "order"}))) == {hers, torn}
    assert others.is_file()
