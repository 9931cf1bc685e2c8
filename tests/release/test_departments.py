"""What the departments' tables become, counted by hand from the simulator's truth of a published town."""

import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from pipelines.lake import delta
from pipelines.run import Run
from simulator.department import DATASET
from simulator.elderly_registers import Institutions
from simulator.facility_registers import SmartSchools, Stations
from simulator.hotline_registers import ORDERS
from tests.city import Town, published_town

pytestmark = pytest.mark.server

TAG, PERSON = "lib_population__person_tag", "lib_population__person"
TOWN_DAY, RECONCILIATION = "mart_population__town_day", "mart_population__reconciliation"
HOUSEHOLDS, REPORT = "psb/household_person", "psb/population_report"
TAGS = {
    "elderly": ("ylfw.T_LNR", "LNRBH", "GMSFHM", lambda row: True),
    "housing_fund": ("deposit_*.zip", "个人账号", "证件号码", lambda row: row["账户状态"] in ("1", "2")),
    "medical_insured": ("yb.PSN_INSU_D", "PSN_NO", "CERTNO", lambda row: row["PSN_INSU_STAS"] in ("1", "2")),
}
"""By tag: the register that says so, its key, whom a row is about, and which rows count."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


@pytest.mark.parametrize("tag", TAGS)
def test_tags_are_those_of_the_truth(town: Town, tag: str) -> None:
    dataset, key, identity, counts = TAGS[tag]
    number = dict(town.rows(PERSON, "person_id, id_number"))
    unclear = town.shared_numbers() | {None}
    tagged = [number[person] for (person,) in town.rows(TAG, "person_id", f"person_tag = '{tag}'")]
    found = [one for one in tagged if one not in unclear]
    expected = {row[identity] for row in town.accepted(dataset, key) if counts(row)} & set(number.values()) - unclear
    assert sorted(found) == sorted(expected)
    assert found


def test_the_hotline_by_month_is_that_of_the_truth(town: Town) -> None:
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * 7)
    for row in town.accepted(ORDERS.dataset, "orderNo"):
        finished, due = row["finishTime"], str(row["dueTime"])
        key = (str(row["areaCode"])[:6], str(row["typeCode"])[:2], str(row["callTime"])[:7])
        facts = (
            True,
            finished is not None,
            finished is not None and finished <= due,
            finished > due if finished else due[:10] < as_of(town),
            row["repeatOf"] is not None,
            row["satisfied"] is not None,
            row["satisfied"] == "1",
        )
        expected[key] = [count + fact for count, fact in zip(expected[key], facts, strict=True)]
    columns = "orders, orders_finished, orders_on_time, orders_overdue, orders_repeated, orders_asked, orders_satisfied"
    found = town.rows("mart_gov_service__hotline_month", f"county_code, hotline_class, month, {columns}")
    assert {row[:3]: list(row[3:]) for row in found} == expected
    shown = town.rows("open/hotline_month", "orders")
    assert all(orders >= 10 for (orders,) in shown)


def test_urban_cases_by_month_are_those_of_the_truth(town: Town) -> None:
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * 5)
    for row in town.accepted("cg.T_AJ", "AJBH"):
        done, due = row["CZSJ"], str(row["JZSJ"])
        key = (str(row["WGBH"])[:6], str(row["DLDM"]), str(row["SBSJ"])[:7])
        facts = (
            True,
            row["JASJ"] is not None,
            done is not None and done <= due,
            done > due if done else due[:10] < as_of(town),
            row["FGCS"] != "0",
        )
        expected[key] = [count + fact for count, fact in zip(expected[key], facts, strict=True)]
    columns = "cases_reported, cases_closed, cases_on_time, cases_overdue, cases_reworked"
    found = town.rows("mart_urban_mgmt__case_month", f"county_code, urban_case_class, month, {columns}")
    assert {row[:3]: list(row[3:]) for row in found} == expected


def test_indicators_of_the_plan_count_the_registers_of_what_was_built(town: Town) -> None:
    stations = town.accepted(Stations.place.dataset, "站址编码")
    schools = [row for row in town.accepted(SmartSchools.place.dataset, "学校标识码") if row["城乡类型"] == "3"]
    in_use = sum(row["状态"] == "1" for row in stations)
    smart = sum(row["智慧学校等级"] in ("1", "2") for row in schools)
    columns = "DISTINCT indicator_code, numerator, denominator, value, status, period"
    found = town.rows("mart_smart_city__indicator", columns, "indicator_code IN ('K01', 'K13')")
    month = as_of(town)[:7]
    assert found == [
        ("K01", in_use, None, in_use, "value", month),
        ("K13", smart, len(schools), round(smart / len(schools) * 100, 4), "value", month),
    ]
    attained = town.rows("mart_smart_city__indicator", "target_year, attained", "indicator_code = 'K01'")
    assert attained == [(2023, "yes"), (2025, "yes" if in_use >= 10_000 else "no")]


def test_institutions_for_the_elderly_are_listed_as_they_are(town: Town) -> None:
    true = {
        (row["统一社会信用代码"], row["机构名称"], int(str(row["床位数"])), int(str(row["入住人数"])))
        for row in town.accepted(Institutions.place.dataset, "统一社会信用代码")
    }
    assert set(town.rows("mart_elderly_social__institution", "uscc, institution_name, beds, occupied_beds")) == true
    shown = {(uscc, name, beds) for uscc, name, beds, _ in true}
    assert set(town.rows("open/elderly_institution", "uscc, institution_name, beds")) == shown


def test_what_callers_said_and_what_was_diagnosed_never_enters_the_lake(town: Town) -> None:
    assert any("希望尽快处理" in str(row["content"]) for row in town.city.records(ORDERS.dataset))
    raw = town.settings.lake.raw("dsrb", "hotline_order")
    pages = [gzip.decompress(file.read_bytes()).decode() for file in raw.rglob("*.gz")]
    assert pages and not any("希望尽快处理" in text or "content" in text.split("\n", 1)[1] for text in pages)
    received = [file for file in town.settings.lake.raw("hsb", "settlement").rglob("*.parquet")]
    names = {name for file in received for name in duckdb.read_parquet(str(file)).columns}
    assert "DRG_CODE" in names and not {"DIAG_CODE", "DIAG_NAME"} & names


def as_of(town: Town) -> str:
    """The day of the edition."""
    ((day,),) = town.rows("mart_gov_service__case", "DISTINCT as_of")
    return str(day)


def test_an_account_that_is_open_has_no_day_of_closing(town: Town) -> None:
    core = delta.scan(delta.open_table(town.settings.lake.core("hpf", "fund_deposit")))
    found = duckdb.sql(f"SELECT fund_account, fund_account_status, account_closed_on FROM {core.source}").fetchall()
    true = {row["个人账号"]: row["销户日期"] for row in town.accepted("deposit_*.zip", "个人账号")}
    assert len(found) == len(true) and any(str(day).startswith("1899-12-31") for day in true.values())
    for account, status, closed in found:
        assert (closed is None) == (status != "3") == str(true[account]).startswith("1899-12-31")


def test_the_library_has_whom_the_household_office_counts_but_for_refused_rows(town: Town) -> None:
    rows = {str(row["RYBH"]): str(row["SSXQ"])[:9] for row in town.city.department_rows()}
    planted = [item for item in town.city.planted() if item.dataset == DATASET and item.ended is None]
    refused = {item.rybh for item in planted if item.refusable and item.kind != "duplicate"}
    unsure = {str(code)[:9] for item in planted if item.column == "SSXQ" for code in (item.shown, item.true)}
    expected = Counter(rows[rybh] for rybh in refused if rybh in rows)
    found = dict(town.rows(RECONCILIATION, "town_code, persons_missing", "report_day is not null"))
    assert {code: found[code] for code in found.keys() - unsure} == {
        code: expected[code] for code in found.keys() - unsure
    }
    assert 0 < sum(found.values()) <= len(refused) and len(found.keys() - unsure) > 50


@pytest.mark.long
def test_persons_by_town_and_day_are_those_of_the_library_and_earlier_days_stay(town: Town) -> None:
    first = as_of(town)
    day = date.fromisoformat(first)
    before = town.rows(TOWN_DAY)
    assert {row[-1] for row in before} == {day}
    counted = dict(town.rows(TOWN_DAY, "residence_status, sum(persons)", "true group by 1"))
    where = "coalesce(case residence_status when '3' then residence_division else division_code end, '') <> ''"
    library = dict(town.rows(PERSON, "residence_status, count(*)", f"{where} group by 1"))
    assert counted == library
    town.city.tick()
    town.run("same day", sources=[HOUSEHOLDS, REPORT])
    assert {row[-1] for row in town.rows(TOWN_DAY)} == {day}  # counted anew, not twice
    same = town.rows(TOWN_DAY)
    assert same != before

    def later(run: Run) -> None:
        run.started += timedelta(days=1)

    town.run("next day", before=later, sources=[])
    assert town.rows(TOWN_DAY, where=f"as_of = DATE '{first}'") == same
    assert {row[-1] for row in town.rows(TOWN_DAY)} == {day, day + timedelta(days=1)}
    reported = town.rows(RECONCILIATION, "DISTINCT as_of, report_day", "registered_persons > 0")
    assert max(reported) == (day + timedelta(days=1), town.city.today)
