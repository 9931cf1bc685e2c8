"""The comparison itself: what is missed, what is a false alarm, and what the table says of both."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from citylake.compared.deliveries import Explained, Found, explained, scores, undetectable
from citylake.compared.report import keep_drill, kept_drill
from citylake.compared.scores import Score, summed, table
from pipelines.contracts.load import Contracts
from pipelines.settings import REPOSITORY, Settings
from simulator import Fault, PlantedFault
from simulator import disturbances as d

FIRST, SECOND = date(2026, 1, 6), date(2026, 1, 7)
FIRMS, FIRMS_TABLE = "amr/enterprise", "scjg.E_BASEINFO"
UNITS = PlantedFault(FIRST, Fault(d.OTHER_UNIT, FIRMS_TABLE, "REGCAP", "10000"), SECOND)
RENAMED = PlantedFault(FIRST, Fault(d.RENAMED_COLUMN, "hzgl.T_CZRK_JBXX", "GMSFHM", "SFZH"), SECOND)
UNSEEN = PlantedFault(FIRST, Fault(d.TOO_LATE, "zwfw.T_BJHJ"), SECOND)
MOVED = Found(FIRST, FIRMS, "drift.units", "registered_capital", "…")
HELD = Found(FIRST, FIRMS, "admit.drift", "", "…")


def compared(contracts: Contracts, *found: Found) -> tuple[dict[str, Score], list[Explained], list[Found]]:
    told, strange = explained(contracts, [UNITS, RENAMED, UNSEEN], found)
    return {score.kind: score for score in scores(told, strange)}, told, strange


def test_what_is_found_of_a_fault_is_no_false_alarm(contracts: Contracts) -> None:
    missing = Found(FIRST, "psb/household_person", "pull.columns_missing", "", "…")
    offer = Found(FIRST, "psb/household_person", "drift.renamed", "id_number", "列“SFZH”可能是……")
    by_kind, told, strange = compared(contracts, MOVED, HELD, missing, offer)
    assert strange == [] and all(one.complete for one in told) and len(told) == 2
    assert by_kind == {
        d.RENAMED_COLUMN: Score(d.RENAMED_COLUMN, 1, 1, 2, 2),
        d.OTHER_UNIT: Score(d.OTHER_UNIT, 1, 1, 1, 1),
    }


def test_a_fault_is_found_only_with_all_that_is_expected_of_it(contracts: Contracts) -> None:
    by_kind, _, _ = compared(contracts, MOVED)
    assert by_kind[d.OTHER_UNIT].recall == 0  # it was told, but the batch was not held
    other = Found(FIRST, "psb/household_person", "drift.renamed", "id_number", "列“XM”可能是……")
    missing = Found(FIRST, "psb/household_person", "pull.columns_missing", "", "…")
    by_kind, _, strange = compared(contracts, missing, other)
    assert by_kind[d.RENAMED_COLUMN].recall == 0 and strange == [other]


@pytest.mark.parametrize(
    "false", [{"day": SECOND}, {"source": "drc/permit"}, {"key": "established_on"}, {"code": "drift.codes"}]
)
def test_a_finding_of_another_day_source_column_or_kind_is_a_false_alarm(
    contracts: Contracts, false: dict[str, object]
) -> None:
    alarm = replace(MOVED, **false)  # type: ignore[arg-type]
    by_kind, _, strange = compared(contracts, MOVED, HELD, alarm)
    assert strange == [alarm]
    kind = by_kind[d.OTHER_UNIT] if alarm.code == "drift.units" else by_kind["other"]
    assert kind.precision == (0.5 if alarm.code == "drift.units" else 0.0)


def test_what_nobody_can_tell_is_declared_and_any_finding_of_it_is_false(contracts: Contracts) -> None:
    alarm = Found(FIRST, "dsrb/evaluation", "drift.codes", "service_channel", "…")
    _, _, strange = compared(contracts, alarm)
    assert strange == [alarm]
    assert undetectable([UNITS, UNSEEN]) == {d.TOO_LATE: 1}


def test_scores_add_up_and_the_table_says_them_in_chinese_first() -> None:
    parts = [Score("format", 10, 9, 12, 9), Score("late", 3, 3), Score("format", 10, 10, 8, 8)]
    assert summed(parts) == [Score("format", 20, 19, 20, 17), Score("late", 3, 3)]
    lines = table(parts, {"plausible": 4}).splitlines()
    assert [line.split()[0] for line in lines] == ["种类", "格式", "迟到的行（应当收到）", "看似合理的错值"]
    assert lines[1].split()[-5:] == ["20", "19", "0.9500", "20", "0.8500"]
    assert "声明测不出" in lines[3] and lines[3].split()[-5:] == ["4", "0", "—", "—", "—"]


def test_the_lines_of_a_drill_are_kept_for_the_table_of_the_demo(tmp_path: Path) -> None:
    settings = Settings(tmp_path, REPOSITORY, 0, 0, "sqlite://")
    assert kept_drill(settings) == ([], {})
    mixed = Score(d.CODES_EXCHANGED, 2, 2, 2, 2)
    keep_drill(settings, [mixed, Score("late", 3, 3)], {d.TOO_LATE: 1})
    assert kept_drill(settings) == ([mixed], {d.TOO_LATE: 1})  # late rows are those of the demo's own city


@pytest.mark.parametrize(
    "text", ["", '{"scores": [', "[]", "{}", '{"scores": [{"kind": "x", "before": 1}], "undetectable": {}}']
)
def test_a_kept_drill_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    settings = Settings(tmp_path, REPOSITORY, 0, 0, "sqlite://")
    (tmp_path / "drill.json").write_text(text, "utf-8")
    assert kept_drill(settings) == ([], {})
    keep_drill(settings, [], {"x": 1})
    assert kept_drill(settings) == ([], {"x": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["drill.json"]
