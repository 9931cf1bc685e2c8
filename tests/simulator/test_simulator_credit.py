"""Lists, repairs and commitments: about registered subjects, consistent in time, and changing from day to day."""

from datetime import date
from itertools import pairwise

import pytest

from tests.simulator.towns import Town

LISTS, REPAIRS, COMMITMENTS = "xygs.T_XYMD", "xygs.T_XYXF", "xygs.T_XYCN"
PENALTIES, PERMITS = "xygs.T_XZCF", "xygs.T_XZXK"

pytestmark = pytest.mark.server


def test_entries_in_lists_are_about_registered_entities_or_people(town: Town) -> None:
    with town.city._server.connect("truth") as truth:
        found = truth.execute("SELECT row[2] FROM truth.record WHERE dataset = 'scjg.E_BASEINFO'").fetchall()
    registered = {code for (code,) in found}
    rows = town.clean(town.last, LISTS, "MD_BH")
    assert {row["MD_LX"] for row in rows} == set("1234569")
    for row in rows:
        assert (row["XDR_LB"] == "2") == (row["XDR_ZJHM"] is not None) == (row["XDR_SHXYM"] is None)
        assert row["XDR_SHXYM"] is None or row["XDR_SHXYM"] in registered
        assert row["MD_YCRQ"] is None or row["MD_LRRQ"] <= row["MD_YCRQ"] <= max(town.daily).isoformat()
        assert (row["MD_YCRQ"] is None) == (row["MD_YCSY"] is None)


def test_repairs_are_of_known_records_and_go_on_from_day_to_day(town: Town) -> None:
    records = {row["CF_BH"] for row in town.last[PENALTIES]} | {row["MD_BH"] for row in town.last[LISTS]}
    for row in town.clean(town.last, REPAIRS, "XF_BH"):
        assert row["XF_JLBH"] in records
        assert (row["XDR_LB"] == "2") == (row["XDR_ZJHM"] is not None) == (row["XDR_SHXYM"] is None)
        steps = [row[name] for name in ("XF_SQRQ", "XF_SLRQ", "XF_JDRQ", "XF_ZZGSRQ") if row[name] is not None]
        assert steps == sorted(steps)
        assert (row["XF_JG"] == "1") == (row["XF_ZZGSRQ"] is not None)
        assert (row["XF_JG"] == "4") == (row["XF_JDRQ"] is None)
    assert {row["XDR_LB"] for row in town.last[REPAIRS]} >= {"1", "2", "3"}
    before = {row["XF_BH"]: row["XF_JG"] for row in town.first[REPAIRS]}
    now = {row["XF_BH"]: row["XF_JG"] for row in town.last[REPAIRS]}
    assert now.keys() > before.keys()
    seen = [{row["XF_BH"]: row["XF_JG"] for row in tables[REPAIRS]} for _, tables in sorted(town.daily.items())]
    assert any(earlier.get(key) == "4" and later[key] != "4" for earlier, later in pairwise(seen)
               for key in later)  # fmt: skip


def test_commitments_are_kept_broken_or_open(town: Town) -> None:
    rows = town.clean(town.last, COMMITMENTS, "CN_BH")
    assert {row["CN_LXZT"] for row in rows} == {"1", "2", "3"}
    for row in rows:
        assert (row["CN_LXZT"] == "3") == (row["CN_HCRQ"] is None)
        assert row["CN_HCRQ"] is None or date.fromisoformat(row["CN_RQ"]) <= date.fromisoformat(row["CN_HCRQ"])


def test_old_decisions_name_the_numbers_of_before_the_unified_code(town: Town) -> None:
    named = set()
    for dataset, prefix, number in ((PENALTIES, "CF", "CF_XDR_ZDM"), (PERMITS, "XK", "XK_XDR_ZZJG")):
        for row in town.clean(town.last, dataset, f"{prefix}_BH"):
            if row[f"{prefix}_XDR_LB"] == "2":
                assert row[number] is None
                continue
            named.add(row[number] is not None)
            assert (row[number] is not None) == (row[f"{prefix}_JDRQ"] < "2023-01-01")
            assert row[number] in (None, row[f"{prefix}_XDR_SHXYM"][8:17])
    assert named == {True, False}
