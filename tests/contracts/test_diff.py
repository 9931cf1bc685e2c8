"""Every change of a contract is named, graded and told; versions must keep up with them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.contracts.diff import diff, version_problems
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts

Edit = Callable[[str, str, str], None]
CITY, FIELDS = "city.yaml", "fields.yaml"
SOURCE, PERSON, COUNT = "sources/psb/person.yaml", "products/population/person.yaml", "products/population/count.yaml"
ANONYMITY = "    anonymity: {k: 10, count: persons, quasi: [county_code, sex], within: [county_code]}\n"
SUBJECTS = {SOURCE: "sources/psb/person", PERSON: "products/population/person", COUNT: "products/population/count"}

CORRECTION = (
    "corrections:\n"
    '  - {id: wrong_area, column: division_code, where: {record_no: "7"}, expect: "9", set: "341502", '
    'reason: 迁移写错, status: sent, since: "2026-11-01"}\n'
)

ACROSS = "across:\n  - refers_to: {columns: [record_no], of: psb/person, their: [record_no]}\n"

# file, old text, new text, column, what, breaking
CHANGES = [
    (SOURCE, "  - {name: sex, physicalName: XB}\n", "", "sex", "column_dropped", True),
    (SOURCE, "physicalName: XB}", "physicalName: XB}\n  - {name: persons, physicalName: RS}",
     "persons", "column_added", False),
    (SOURCE, "XB}", "XB}\n  - {name: persons, physicalName: RS, required: true}", "persons",
     "source_column_required", True),
    (SOURCE, "{name: sex, physicalName: XB}", "{name: county_code, physicalName: XB}", "sex", "column_renamed", True),
    (SOURCE, "physicalName: XB", "physicalName: XBDM", "sex", "source_name_changed", True),
    (SOURCE, "XB}", "XB, required: true}", "sex", "source_required_added", True),
    (SOURCE, "XM, required: true}", "XM}", "name", "source_required_removed", False),
    (SOURCE, "XB}", "XB, unique: true}", "sex", "source_unique_added", True),
    (SOURCE, "1900-01-01", "1910-01-01", "birth_date", "source_limit_narrowed", True),
    (SOURCE, "1900-01-01", "1890-01-01", "birth_date", "source_limit_widened", False),
    (SOURCE, "XB}", "XB, clean: [trim]}", "sex", "clean_changed", False),
    (SOURCE, "key: [record_no]", "key: [id_number]", None, "key_changed", True),
    (SOURCE, "newest: updated_at, ", "", None, "newest_changed", False),
    (SOURCE, "0.02", "0.05", None, "deletion_ceiling_raised", True),
    (SOURCE, "0.02", "0.01", None, "deletion_ceiling_lowered", False),
    (SOURCE, "volumeFloor: 0.9", "volumeFloor: 0.5", None, "volume_floor_lowered", True),
    (SOURCE, "hz.T_RK", "hz.T_RK2", None, "connector_changed", False),
    (SOURCE, "{of: id_number}", "{of: record_no}", "person_id", "derivation_changed", True),
    (SOURCE, "quality:\n", "quality:\n  - sex_matches_id: {id: id_number, sex: sex}\n",
     None, "source_rule_added", True),
    (SOURCE, "quality:\n  - birth_date_matches_id: {id: id_number, birth: birth_date}\n", "",
     None, "source_rule_removed", False),
    (SOURCE, "quality:\n", f"{CORRECTION}quality:\n", "division_code", "correction_added", False),
    (SOURCE, "quality:\n", "drift: {codes: freeze}\nquality:\n", None, "drift_changed", False),
    (SOURCE, "quality:\n", "drift: {units: evolve}\nquality:\n", None, "drift_stop_dropped", True),
    (SOURCE, "quality:\n", f"{ACROSS}quality:\n", None, "across_added", False),
    (SOURCE, "10y", "5y", None, "retention_changed", True),
    (SOURCE, "每日", "每月", None, "frequency_changed", True),
    (SOURCE, "status: active", "status: deprecated", None, "status_ended", True),
    (SOURCE, "户籍人口登记，一人一行。", "户籍人口登记。", None, "other_changed", False),
    (COUNT, "  - {name: persons, required: true}\n", "  - updated_at\n  - {name: persons}\n",
     "persons", "product_required_removed", True),
    (PERSON, "  - birth_date\n", "  - birth_date\n  - updated_at\n", "updated_at", "column_added", False),
    (PERSON, "  - sex\n  - birth_date", "  - {name: sex, required: true}\n  - birth_date", "sex",
     "product_required_added", False),
    (PERSON, "{name: division_code, required: true}", "division_code", "division_code",
     "product_required_removed", True),
    (PERSON, ", unique: true", "", "id_number", "product_unique_removed", True),
    (PERSON, "  - volume_change: {maximum: 0.05}\n", "", None, "product_rule_removed", True),
    (PERSON, "{maximum: 0.05}", "{maximum: 0.5}", None, "rule_changed", True),
    (PERSON, "有条件共享, condition", "无条件共享, condition", None, "share_widened", True),
    (PERSON, "有条件共享, condition: 凭职责申请", "无条件共享", None, "share_widened", True),
    (PERSON, "不予开放, basis", "有条件开放, condition: 申请, basis", None, "open_widened", True),
    (COUNT, "无条件共享", "有条件共享, condition: 申请", None, "share_narrowed", True),
    (COUNT, "无条件开放", "有条件开放, condition: 申请", None, "open_narrowed", True),
    (PERSON, "from: person_id, mask: pseudonym", "from: person_id", "person_ref", "mask_dropped", True),
    (PERSON, "      - sex\n", "      - {name: sex, mask: pseudonym}\n", "sex", "mask_added", True),
    (PERSON, "mask: id_6_4", "mask: pseudonym", "id_number", "mask_changed", True),
    (PERSON, "mask: id_6_4", "mask: sealed", "id_number", "mask_weaker", True),
    (PERSON, "from: person_id, mask: pseudonym", "from: person_id, mask: sealed", "person_ref", "mask_weaker", True),
    (PERSON, "      - sex\n", "      - sex\n      - birth_date\n", "birth_date", "channel_column_added", True),
    (PERSON, "      - sex\n", "", "sex", "channel_column_dropped", True),
    (PERSON, "{name: person_ref, from", "{name: record_no, from", "person_ref", "channel_column_renamed", True),
    (PERSON, "    rows: division_code\n", "", None, "row_filter_dropped", True),
    (PERSON, "rows: division_code", "rows: sex", None, "row_filter_changed", True),
    (PERSON, "    rows: division_code\n", "    rows: division_code\n"
     "    organisations: {column: division_code, departments: organisations}\n", None, "row_filter_added", True),
    (PERSON, "      - sex\n", "      - {name: sex, purposes: [check]}\n", "sex", "purposes_narrowed", True),
    (PERSON, "licence: 共享协议", "licence: 另一协议", None, "licence_changed", True),
    (PERSON, "product: person_of_division", "product: person", None, "product_renamed", True),
    (PERSON, "owner: dsrb", "owner: psb", None, "owner_changed", False),
    (COUNT, "k: 10", "k: 5", None, "k_lowered", True),
    (COUNT, "k: 10", "k: 20", None, "k_raised", False),
    (COUNT, "quasi: [county_code, sex]", "quasi: [county_code]", "sex", "quasi_dropped", True),
    (COUNT, "within: [county_code]", "within: []", "county_code", "within_dropped", True),
    (COUNT, "within: [county_code]}", "within: [county_code], beside: {open/other: {because: 无}}}", None,
     "anonymity_changed", False),
    (COUNT, ANONYMITY, "    notAboutPersons: 无\n    reviewed: {persons: 无}\n", None, "anonymity_dropped", True),
    (COUNT, "key: [county_code, sex]", "key: [county_code]", None, "key_changed", True),
    (COUNT, "model: lib_population__person", "model: mart_population__count", "persons", "rule_changed", True),
]  # fmt: skip


def test_a_rule_about_another_source_that_goes_is_a_weaker_guard(city: Path, edit: Edit) -> None:
    edit(SOURCE, "quality:\n", f"{ACROSS}quality:\n")
    before = load(city)
    edit(SOURCE, "their: [record_no]}", "their: [record_no], tolerance: 3}")
    changed = load(city)
    edit(SOURCE, ACROSS.replace("]}", "], tolerance: 3}"), "")
    (softer,), (gone,) = diff(before, changed), diff(changed, load(city))
    assert (softer.what, softer.breaking) == ("across_changed", False)
    assert (gone.what, gone.breaking, gone.governance) == ("across_removed", True, True)


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: f"{case[0].split('/')[-1]} {case[4]}")
def test_a_change_is_named_and_graded(
    small: Contracts, city: Path, edit: Edit, case: tuple[str, str, str, str | None, str, bool]
) -> None:
    file, old, new, column, what, breaking = case
    edit(file, old, new)
    changes = diff(small, load(city))
    found = [item for item in changes if item.what == what]
    assert [(item.subject, item.column) for item in found] == [(SUBJECTS[file], column)], changes
    assert found[0].breaking is breaking
    assert found[0].subject in found[0].text("zh") and "{" not in found[0].text("zh")
    assert str(found[0]).splitlines() == [found[0].text("zh"), found[0].text("en")]
    assert found[0].text("zh").startswith("[不兼容]" if breaking else "[兼容]")
    problems = [item.what for item in version_problems(small, load(city))]
    harder = any(item.breaking for item in changes)
    assert problems == ["version_major" if harder else "version_same"]


def test_a_mask_that_leaves_a_higher_level_is_weaker(city: Path, edit: Edit) -> None:
    edit(PERSON, "      - sex\n", "      - sex\n      - {name: county_code, from: division_code, mask: town}\n")
    before = load(city)
    edit(PERSON, "mask: town", "mask: pseudonym")
    (weaker,), (stronger,) = diff(before, load(city)), diff(load(city), before)
    assert (weaker.what, weaker.governance) == ("mask_weaker", True)
    assert (stronger.what, stronger.governance) == ("mask_stronger", False)


@pytest.mark.parametrize("mask", ["pseudonym", "id_6_4"])
def test_what_a_key_opens_shows_more_than_what_nothing_opens(city: Path, edit: Edit, mask: str) -> None:
    if mask != "id_6_4":
        edit(PERSON, "mask: id_6_4", f"mask: {mask}")
    closed = load(city)
    edit(PERSON, f"name: id_number, mask: {mask}", "name: id_number, mask: sealed")
    (opened,), (back,) = diff(closed, load(city)), diff(load(city), closed)
    assert (opened.what, opened.governance, back.what, back.governance) == (
        "mask_weaker", True, "mask_stronger", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "what", "breaking"),
    [
        ("  codes: sex", "  codes: divisions", "code_list_changed", True),
        ("  codes: sex\n", "", "code_list_dropped", True),
        ("classification: 4", "classification: 2", "classification_lowered", True),
        ("  unit: 人\n", "  unit: 万人\n", "unit_changed", True),
        ("classification: 4", "classification: 4\n  lowered: {from: [name], by: selected}", "lowered_changed", True),
        ("{minimum: 0}", "{minimum: 1}", "product_limit_narrowed", False),
        ("{minimum: 0}", "{}", "product_limit_widened", True),
        ("{maxLength: 20}", "{maxLength: 18}", "source_limit_narrowed", True),
        (
            'minimum: "1949-10-01", maximum: tomorrow',
            'minimum: "1949-10-01", maximum: today',
            "source_limit_narrowed",
            True,
        ),
        ("[gb11643_format, gb11643_check_digit]", "[gb11643_format]", "product_rule_removed", True),
        ("[0-9a-f]{32}", "[0-9A-F]{32}", "pattern_changed", True),
    ],
)
def test_a_changed_field_is_a_change_of_every_contract_that_uses_it(
    small: Contracts, city: Path, edit: Edit, old: str, new: str, what: str, breaking: bool
) -> None:
    edit(FIELDS, old, new)
    found = [item for item in diff(small, load(city)) if item.what == what]
    assert found
    assert all(item.breaking is breaking for item in found)


MATRIX = """\
population/person:
  name:
    - {source: psb/person, basis: 户口登记条例, confidence: high, from: "2020-01-01"}
  birth_date:
    - {source: psb/person, basis: 户口登记条例, confidence: high, from: "2020-01-01", to: "2025-12-31"}
    - {source: psb/person, column: updated_at, basis: 新规定, confidence: high, from: "2026-01-01"}
"""
LATER = '    - {source: psb/person, basis: 补充规定, confidence: high, from: "2026-01-01"}\n'


@pytest.mark.parametrize(
    ("old", "new", "column", "what", "breaking", "told"),
    [
        (', from: "2020-01-01"}\n', ', from: "2020-01-01", to: "2025-12-31"}\n' + LATER, "name", "changed", True,
         "psb/person.name [2020-01-01/..] → psb/person.name [2020-01-01/2025-12-31] > psb/person.name [2026-01-01/..]"),
        ("column: updated_at, ", "", "birth_date", "changed", True, "> psb/person.birth_date [2026-01-01/..]"),
        ("  birth_date:\n", "  sex:\n" + LATER + "  birth_date:\n", "sex", "extended", False, "— → psb/person.sex"),
        ("basis: 新规定", "basis: 居民身份证法", "birth_date", "basis_changed", False, "依据"),
        ("新规定, confidence: high", "新规定, confidence: low", "birth_date", "basis_changed", False, "把握"),
    ],
)  # fmt: skip
def test_who_says_what_a_column_is_changes(
    city: Path, old: str, new: str, column: str, what: str, breaking: bool, told: str
) -> None:
    (city / "authority.yaml").write_text(MATRIX, "utf-8")
    before = load(city)
    assert diff(before, before) == []
    assert MATRIX.count(old) == 1
    (city / "authority.yaml").write_text(MATRIX.replace(old, new), "utf-8")
    (found,) = diff(before, load(city))
    assert (found.subject, found.column) == ("products/population/person", column)
    assert (found.what, found.breaking, found.governance) == (f"authority_{what}", breaking, False)
    assert told in found.text("zh") and "{" not in found.text("en")
    assert [item.what for item in version_problems(before, load(city))] == [
        "version_major" if breaking else "version_same"
    ]


def test_a_source_is_no_longer_asked(city: Path) -> None:
    (city / "authority.yaml").write_text(MATRIX, "utf-8")
    before = load(city)
    (city / "authority.yaml").unlink()
    assert {(item.column, item.what, item.breaking) for item in diff(before, load(city))} == {
        ("name", "authority_changed", True),
        ("birth_date", "authority_changed", True),
    }


def test_what_lowers_a_product_is_told(city: Path, edit: Edit) -> None:
    lowered = "lowered: {from: [name], to: 1, by: aggregated, because: 计数}\n"
    before = load(city)
    edit(COUNT, "channels:\n", f"{lowered}channels:\n")
    after = load(city)
    (stated,), (dropped,) = diff(before, after), diff(after, before)
    assert (stated.what, stated.breaking, stated.governance) == ("lowered_changed", True, True)
    assert (dropped.what, dropped.breaking) == ("lowered_dropped", False)


def test_rows_that_are_shown_for_ever_again_are_a_matter_of_governance(city: Path, edit: Edit) -> None:
    edit(PERSON, "      - sex\n", "      - sex\n      - birth_date\n")
    before = load(city)
    edit(PERSON, "channels:\n", "shownUntil: birth_date\nchannels:\n")
    after = load(city)
    (stated,), (dropped,) = diff(before, after), diff(after, before)
    assert (stated.what, stated.breaking, stated.governance) == ("shown_until_added", True, False)
    assert (dropped.what, dropped.governance) == ("shown_until_dropped", True)


def test_a_field_is_no_longer_personal(city: Path, edit: Edit) -> None:
    edit(PERSON, "mask: surname", "mask: pseudonym")
    before = load(city)
    edit(FIELDS, "  personal: name\n", "")
    found = {(item.subject, item.column, item.what, item.governance) for item in diff(before, load(city))}
    assert ("sources/psb/person", "name", "personal_dropped", True) in found
    assert ("products/population/person", "name", "personal_dropped", True) in found


def test_a_product_drops_a_column(city: Path, edit: Edit) -> None:
    edit(PERSON, "      - {name: birth_year, from: birth_date, mask: year}\n", "")
    before = load(city)
    edit(PERSON, "  - birth_date\n", "")
    found = [(item.column, item.what, item.breaking) for item in diff(before, load(city))]
    assert found == [("birth_date", "column_dropped", True)]


def test_a_product_renames_a_column(city: Path, edit: Edit) -> None:
    edit(PERSON, "  - birth_date\n", "  - birth_date\n  - record_no\n")
    before = load(city)
    edit(PERSON, "  - record_no\n", "  - person_ref\n")
    renamed = [(item.column, item.what) for item in diff(before, load(city)) if item.what == "column_renamed"]
    assert renamed == [("record_no", "column_renamed")]
    edit(PERSON, "  - person_ref\n", "  - persons\n")
    assert {item.what for item in diff(before, load(city))} == {"column_dropped", "column_added"}


def test_a_type_changes(small: Contracts, city: Path, edit: Edit) -> None:
    edit(FIELDS, "unit: 人\n  logicalType: integer", "unit: 人\n  logicalType: number")
    changes = {(item.subject, item.column, item.what) for item in diff(small, load(city))}
    assert ("products/population/count", "persons", "column_retyped") in changes


def test_a_code_list_grows_and_shrinks(small: Contracts, city: Path, edit: Edit) -> None:
    edit("codes/sex.csv", "9,未说明的性别,\n", "3,其他,\n")
    found = {item.what: item for item in diff(small, load(city))}
    assert set(found) == {"code_list_narrowed", "code_list_widened"}
    assert found["code_list_narrowed"].breaking and not found["code_list_widened"].breaking
    assert "删除了代码 9" in found["code_list_narrowed"].text("zh")


def test_a_text_that_means_a_purpose_now_is_a_change_of_governance(small: Contracts, city: Path, edit: Edit) -> None:
    """Grants for it see more; the contracts that show columns for purposes are another, so they are released anew."""
    edit(PERSON, "      - sex\n", "      - {name: sex, purposes: [check]}\n")
    bound = load(city)
    edit("codes/purposes.csv", "核对|核查", "核对|核查|路过")
    (found,) = diff(bound, load(city))
    assert (found.subject, found.what, found.breaking, found.governance) == (
        "codes/purposes", "purpose_means_more", True, True,
    )  # fmt: skip
    assert "路过" in found.text("zh") and "路过" in found.text("en")
    hashes = [{name: one.hash for name, one in contracts.models.items()} for contracts in (bound, load(city))]
    assert {name for name in hashes[0] if hashes[0][name] != hashes[1][name]} == {bound_model(bound)}
    edit("codes/purposes.csv", "|路过", "")
    edit("codes/purposes.csv", "statistics,统计,", "statistics,统计,核查统计")
    moved = diff(bound, load(city))
    assert [item.what for item in moved] == ["purpose_means_more"]


def bound_model(contracts: Contracts) -> str:
    """The model whose channel shows a column for some purposes only."""
    (found,) = [
        name
        for name, contract in contracts.models.items()
        if any(column.purposes for product in contract.products for column in product.columns)
    ]
    return found


def test_contracts_and_channels_come_and_go(small: Contracts, city: Path) -> None:
    (city / COUNT).unlink()
    fewer = load(city)
    assert [(item.what, item.breaking) for item in diff(small, fewer)] == [("contract_removed", True)]
    assert [(item.what, item.breaking) for item in diff(fewer, small)] == [("contract_added", False)]
    text = (city / PERSON).read_text("utf-8")
    (city / PERSON).write_text(text.split("channels:")[0], "utf-8")
    closed = load(city)
    assert [(item.what, item.breaking) for item in diff(fewer, closed)] == [("channel_dropped", True)]
    assert [(item.what, item.breaking) for item in diff(closed, fewer)] == [("channel_added", True)]


def test_a_channel_may_show_more_public_columns_without_a_new_major_version(
    small: Contracts, city: Path, edit: Edit
) -> None:
    edit(COUNT, "quasi: [county_code, sex]", "quasi: [county_code]")
    edit(COUNT, "properties: [county_code, sex, persons]", "properties: [county_code, persons]")
    fewer = load(city)
    added = [item for item in diff(fewer, small) if item.what == "channel_column_added"]
    assert [(item.column, item.breaking) for item in added] == [("sex", False)]


def test_analysts_are_told_the_terms_at_last(small: Contracts, city: Path, edit: Edit) -> None:
    """Only the analysts' channel may go without a licence; stating one breaks nothing, another one does."""
    text = (city / PERSON).read_text("utf-8")
    channel = "  analyst:\n    product: person\n    name: 人口\n    nameEn: persons\n    properties: [sex]\n"
    (city / PERSON).write_text(text + channel, "utf-8")
    silent = load(city)
    edit(PERSON, "nameEn: persons\n", "nameEn: persons\n    licence: 共享协议\n")
    stated = load(city)
    assert [(item.what, item.breaking) for item in diff(silent, stated)] == [("licence_stated", False)]
    assert [(item.what, item.breaking) for item in diff(stated, silent)] == [("licence_changed", True)]
    assert "[兼容]" in diff(silent, stated)[0].text("zh") and "states its licence" in diff(silent, stated)[0].text("en")


def test_the_city_lets_more_into_a_channel(small: Contracts, city: Path, edit: Edit) -> None:
    edit(CITY, "maxLevel: 1", "maxLevel: 2")
    changes = diff(small, load(city))
    assert [(item.subject, item.what, item.breaking, item.governance) for item in changes] == [
        ("city", "max_level_raised", True, True)
    ]


@pytest.mark.parametrize(
    ("old", "new", "version", "problem"),
    [
        ("0.02", "0.05", "1.0.1", ["version_major"]),
        ("0.02", "0.05", "1.9.0", ["version_major"]),
        ("0.02", "0.05", "2.0.0", []),
        ("0.02", "0.01", "1.0.1", []),
        ("0.02", "0.01", "1.0.0", ["version_same"]),
        ("0.02", "0.01", "0.9.9", ["version_fell"]),
        ("0.02", "0.02", "1.0.0", []),
        ("0.02", "0.02", "1.10.0", []),
    ],
)
def test_versions_keep_up(
    small: Contracts, city: Path, edit: Edit, old: str, new: str, version: str, problem: list[str]
) -> None:
    edit(SOURCE, old, new)
    edit(SOURCE, "1.0.0", version)
    assert [item.what for item in version_problems(small, load(city))] == problem


def test_nothing_changes_by_itself(small: Contracts, city: Path) -> None:
    assert diff(small, load(city)) == []


def test_a_correction_that_is_changed_or_removed_is_named(city: Path, edit: Edit) -> None:
    edit(SOURCE, "quality:\n", f"{CORRECTION}quality:\n")
    with_one = load(city)
    edit(SOURCE, "status: sent", "status: confirmed")
    assert [(item.what, item.breaking) for item in diff(with_one, load(city))] == [("correction_changed", False)]
    edit(SOURCE, CORRECTION.replace("status: sent", "status: confirmed"), "")
    (removed,) = diff(with_one, load(city))
    assert (removed.what, removed.column) == ("correction_removed", "division_code")
    assert "wrong_area" in removed.text("zh")


def test_guards_of_a_release_that_become_weaker_break(city: Path, edit: Edit) -> None:
    """Fewer persons or an earlier moment weakens a guard; more of either breaks nothing."""
    place, before = "    product: person_of_division\n", ""
    steps = [load(city)]
    for keys in (
        "approval: standing",
        "approval: each",
        "approval: each, notBefore: 2026-12-01T09:00",
        "approval: each, notBefore: 2027-01-01T09:00",
    ):
        edit(PERSON, f"{place}{before}", f"{place}    release: {{{keys}}}\n")
        before = f"    release: {{{keys}}}\n"
        steps.append(load(city))
    edit(CITY, "{name: 共享目录", "{approval: {3: standing}, name: 共享目录")
    steps.append(load(city))
    for weak, strong in pairwise(steps):
        (fewer,), (more,) = diff(strong, weak), diff(weak, strong)
        assert (fewer.breaking, fewer.governance, more.breaking) == (True, True, False)
        assert all(one.text(language) for one in (fewer, more) for language in ("zh", "en"))
    edit(CITY, "{approval: {3: standing}, name: 共享目录", "{approval: {3: standing, 4: standing}, name: 共享目录")
    assert diff(steps[-1], load(city)) == [], "a level asks for those above it too"


def test_who_says_that_a_column_tells_of_nobody_weakens_a_guard(city: Path, edit: Edit) -> None:
    said = "    reviewed: {persons: 无}\n"
    edit(COUNT, ANONYMITY, f"    notAboutPersons: 无\n{said}")
    before = load(city)
    edit(COUNT, said, "    reviewed: {persons: 无, sex: 无}\n")
    (found,) = diff(before, load(city))
    assert (found.what, found.column, found.breaking, found.governance) == ("reviewed_added", "sex", True, True)
    assert not any(item.breaking for item in diff(load(city), before))


GRADES = ["very_satisfied", "content", "fairly_satisfied", "dissatisfied", "very_dissatisfied"]


@pytest.mark.parametrize(
    ("update", "weaker"),
    [
        ({"insensitive": "无"}, True),
        ({"closeness": 0.9}, True),
        ({"diversity": 3}, False),
        ({"closeness": 0.1}, False),
        ({"groups": GRADES[::-1], "insensitive": "无"}, True),
        ({"groups": [*GRADES[:-1], "other"], "insensitive": "无"}, True),
        ({"groups": GRADES[::-1]}, False),
    ],
)
def test_groups_that_are_asked_less_are_a_weaker_guard(
    contracts: Contracts, update: dict[str, object], weaker: bool
) -> None:
    contract = contracts.models["mart_gov_service__evaluation_month"]
    product = next(one for one in contract.products if one.channel == "open")
    anonymity = product.form.anonymity
    assert anonymity is not None
    (breakdown,) = anonymity.breakdowns
    now = anonymity.model_copy(update={"breakdowns": [breakdown.model_copy(update=update)]})
    again = replace(product, form=product.form.model_copy(update={"anonymity": now}))
    products = tuple(again if one is product else one for one in contract.products)
    models = {**contracts.models, contract.form.model: replace(contract, products=products)}
    found = {item.what for item in diff(contracts, replace(contracts, models=models))}
    assert found == {"anonymity_changed"} | ({"diversity_weaker"} if weaker else set())


def test_a_table_that_shows_periods_under_way_is_a_weaker_guard(contracts: Contracts) -> None:
    product = contracts.products["open/case_month"]
    assert product.form.anonymity is not None
    anonymity = product.form.anonymity.model_copy(update={"period": None})
    now = replace(product, form=product.form.model_copy(update={"anonymity": anonymity}))
    contract = replace(product.contract, products=(now,))
    changed = replace(contracts, models={**contracts.models, contract.form.model: contract})
    found = {(one.what, one.column, one.governance) for one in diff(contracts, changed)}
    assert found == {("period_dropped", "month", True), ("anonymity_changed", None, False)}


def test_a_total_of_another_table_that_is_no_longer_minded_is_a_weaker_guard(contracts: Contracts) -> None:
    name = "open/evaluation_month"
    product = contracts.products[name]
    assert product.form.anonymity is not None
    beside = {other: one.model_copy(update={"totals": []}) for other, one in product.form.anonymity.beside.items()}
    anonymity = product.form.anonymity.model_copy(update={"beside": beside})
    now = replace(product, form=product.form.model_copy(update={"anonymity": anonymity}))
    contract = replace(
        product.contract, products=tuple(now if one.id == name else one for one in product.contract.products)
    )
    changed = replace(contracts, models={**contracts.models, contract.form.model: contract})
    found = {(one.what, one.column, one.governance) for one in diff(contracts, changed)}
    assert ("totals_dropped", "satisfied", True) in found
