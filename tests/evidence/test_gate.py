"""Evidence of whole candidates: what passes, what fails and for which reason, and what cannot be checked."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from pipelines.contracts.forms.products import Overruled
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.load import Contracts, Product, ProductContract, rule_context
from pipelines.contracts.rules import Context
from pipelines.evidence import gate
from pipelines.evidence.gate import TYPES, prove_model, prove_product
from pipelines.evidence.record import Check, Evidence
from pipelines.evidence.rules import measure
from pipelines.evidence.shown import shown_rules, shown_types, withheld
from pipelines.privacy.anonymity import Before
from pipelines.privacy.sensitivity import Sensitivity
from pipelines.release.decision import REQUIRED, decide
from pipelines.release.products import Counted
from tests.evidence.tables import TODAY
from tests.memory import connection

MODEL = "mart_population__age_structure"
GOOD = "('341502', '金安区', '1', '00-04', 12::BIGINT, DATE '2026-11-23')"
OTHER = "('341503', '裕安区', '2', '85+', 30::BIGINT, DATE '2026-11-23')"
ONE_MORE = OTHER.replace("30", "31")
NAMES = "county_code, county_name, sex, age_band, persons, as_of"


def cells(*rows: str) -> str:
    return f"(SELECT * FROM (VALUES {', '.join(rows)}) t({NAMES}))"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return connection()


@pytest.fixture
def contract(contracts: Contracts) -> ProductContract:
    return contracts.models[MODEL]


@pytest.fixture
def product(contracts: Contracts) -> Product:
    return contracts.products["open/age_structure_by_county"]


Prove = Callable[..., Evidence]
"""Makes the evidence of a candidate of a product, a relation, cut from a model of three rows; `truth`: all that was
counted, if not just that; `levels`: of models with other SQL."""


@pytest.fixture
def prove(con: duckdb.DuckDBPyConnection, contracts: Contracts, proved: Sensitivity) -> Prove:
    def made(product: Product, relation: str, truth: str | None = None, levels: Sensitivity = proved) -> Evidence:
        counts = Counted(con.sql(f"SELECT * FROM {truth or cells(GOOD, OTHER)}").to_arrow_table())
        counted = counts if product.form.anonymity else None
        return prove_product(con, product, contracts, relation, 3, "f2", counted, levels, TODAY)

    return made


def context_of(contracts: Contracts, relation: str, people: int = 42) -> Context:
    """What rules are asked with: as many registered people, first those of the good cell, then those of the other."""
    each = f"(SELECT *, unnest(range(persons)) AS person FROM {cells(GOOD, OTHER)})"
    registered = f"(SELECT county_code, sex, age_band FROM {each} LIMIT {people})"
    return rule_context(contracts, today=TODAY, relation=relation, models={"lib_population__registered": registered})


def status(evidence: Evidence) -> dict[str, str]:
    return {check.check: check.status for check in evidence.checks}


def said(evidence: Evidence, name: str) -> list[str]:
    check = evidence.check(name)
    assert check is not None
    for detail in check.details:
        assert detail.text("zh") and detail.text("en")
    return [detail.code for detail in check.details]


def test_a_good_model(con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts) -> None:
    evidence = prove_model(con, contract, context_of(contracts, cells(GOOD, OTHER)), "f1")
    assert (evidence.subject, evidence.fingerprint) == (MODEL, "f1")
    assert status(evidence) == {"schema": "pass", "rules": "pass", "second_opinion": "pass"}
    assert [rule.rule for rule in evidence.rules] == [rule.id for rule in contract.rules]
    assert all(rule.failed == rule.second_opinion == 0 for rule in evidence.rules)
    asked = [one["expectation_config"]["meta"]["rule"] for one in (evidence.suite or {})["results"]]
    types = [f"{column.name}.type" for column in contract.columns]
    assert sorted(asked) == sorted([*(rule.id for rule in contract.rules), "columns", *types])
    assert decide(MODEL, "f1", evidence, None).approved


@pytest.mark.parametrize(
    ("logical", "stands_for"), [("integer", "persons::DOUBLE AS persons"), ("string", "1 AS county_name")]
)
def test_a_mistake_about_types_is_noticed(
    con: duckdb.DuckDBPyConnection,
    contract: ProductContract,
    contracts: Contracts,
    monkeypatch: pytest.MonkeyPatch,
    logical: LogicalType,
    stands_for: str,
) -> None:
    lax = {**TYPES, logical: TYPES[logical] | {"DOUBLE", "INTEGER"}}
    monkeypatch.setattr("pipelines.evidence.gate.TYPES", lax)
    context = context_of(contracts, f"(SELECT * REPLACE ({stands_for}) FROM {cells(GOOD)})", 12)
    evidence = prove_model(con, replace(contract, rules=()), context, "f1")
    assert status(evidence) == {"schema": "pass", "rules": "pass", "second_opinion": "fail"}
    assert said(evidence, "second_opinion") == ["evidence.opinion_differs"]


def test_both_find_what_is_wrong_with_the_columns(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts
) -> None:
    relation = f"(SELECT * EXCLUDE (as_of) REPLACE (persons::DOUBLE AS persons), 1 AS secret FROM {cells(GOOD)})"
    kept = tuple(column for column in contract.columns if column.name != "as_of")
    evidence = prove_model(con, replace(contract, rules=(), columns=kept), context_of(contracts, relation), "f1")
    assert said(evidence, "schema") == ["evidence.column_extra", "evidence.column_type"]
    assert status(evidence)["second_opinion"] == "pass", "it says the same"
    found = {one["expectation_config"]["meta"]["rule"] for one in evidence.suite["results"] if not one["success"]}
    assert found == {"columns", "persons.type"}


def test_evidence_survives_json(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts
) -> None:
    evidence = prove_model(con, contract, context_of(contracts, cells(GOOD), 13), "f1")
    assert not decide(MODEL, "f1", evidence, None).approved
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


def test_a_failing_rule(con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts) -> None:
    evidence = prove_model(con, contract, context_of(contracts, cells(GOOD, GOOD)), "f1")
    assert status(evidence) == {"schema": "pass", "rules": "fail", "second_opinion": "pass"}
    check = evidence.check("rules")
    assert check and check.measured == 2 and check.threshold == 0
    assert {str(detail.arguments["rule"]) for detail in check.details} == {
        "unique(county_code,sex,age_band)",
        "counts_rows",
    }
    assert said(evidence, "rules") == ["evidence.rule_failed"] * 2


def test_a_wrong_schema(con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts) -> None:
    relation = f"(SELECT * EXCLUDE (as_of) REPLACE (persons::DOUBLE AS persons), 1 AS secret FROM {cells(GOOD)})"
    evidence = prove_model(con, contract, context_of(contracts, relation), "f1")
    assert said(evidence, "schema") == ["evidence.column_missing", "evidence.column_extra", "evidence.column_type"]
    assert status(evidence) == {"schema": "fail", "rules": "error", "second_opinion": "error"}
    assert "BinderException" in evidence.checks[1].details[0].text("en")


def test_the_order_of_columns_is_free(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts
) -> None:
    relation = f"(SELECT as_of, * EXCLUDE (as_of) REPLACE (persons::SMALLINT AS persons) FROM {cells(GOOD)})"
    assert status(prove_model(con, contract, context_of(contracts, relation, 12), "f1"))["schema"] == "pass"


def test_a_second_opinion_that_differs(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*arguments: Any) -> Any:
        return [replace(result, failed=0) for result in measure(*arguments)]

    monkeypatch.setattr(gate, "measure", mistaken)
    evidence = prove_model(con, contract, context_of(contracts, cells(GOOD, GOOD)), "f1")
    assert status(evidence) == {"schema": "pass", "rules": "pass", "second_opinion": "fail"}
    assert said(evidence, "second_opinion") == ["evidence.opinion_differs"] * 2


def test_a_candidate_that_cannot_be_read(
    con: duckdb.DuckDBPyConnection, contract: ProductContract, contracts: Contracts
) -> None:
    evidence = prove_model(con, contract, context_of(contracts, "nowhere"), "f1")
    assert set(status(evidence).values()) == {"error"} and evidence.rules == ()


def test_a_good_product(prove: Prove, product: Product) -> None:
    evidence = prove(product, cells(GOOD, OTHER))
    assert evidence.checks == (
        Check("allow_list", "pass", 0, 0),
        Check("levels", "pass", 1, 1),
        Check("lineage", "pass", 0, 0),
        Check("rows", "pass", 2, 3),
        Check("schema", "pass", 0, 0),
        Check("personal_values", "pass", 0, 0),
        Check("anonymity", "pass", 12, 10),
        Check("attack", "pass", None, 10),
        Check("rules", "pass", 0, 0),
        Check("second_opinion", "pass", 0, 0),
    )
    assert decide(product.id, "f2", evidence, None).approved


@pytest.mark.parametrize(
    ("relation", "check", "code"),
    [
        (f"(SELECT *, 1 AS more FROM {cells(GOOD)})", "allow_list", "evidence.column_extra"),
        (f"(SELECT * EXCLUDE (as_of) FROM {cells(GOOD)})", "allow_list", "evidence.column_missing"),
        (cells(*(GOOD.replace("00-04", f"0{n}-0{n + 4}") for n in range(4))), "rows", "evidence.too_many_rows"),
        (f"(SELECT * REPLACE (persons::DOUBLE AS persons) FROM {cells(GOOD)})", "schema", "evidence.column_type"),
        (cells(GOOD, GOOD), "rules", "evidence.rule_failed"),
        (cells(GOOD.replace("'金安区'", "NULL::VARCHAR")), "rules", "evidence.rule_failed"),
        (cells(GOOD.replace("12", "9")), "anonymity", "evidence.small_cells"),
        (cells(GOOD.replace("金安区", "电话13800138000")), "personal_values", "evidence.personal_mobile"),
        (cells(GOOD.replace("金安区", "116.12345,31.98765")), "personal_values", "evidence.personal_position"),
        (cells(GOOD.replace("金安区", "居民张三丰反映")), "personal_values", "evidence.personal_name_in_text"),
    ],
)
def test_a_product_that_must_stay_closed(prove: Prove, product: Product, relation: str, check: str, code: str) -> None:
    evidence = prove(product, relation, cells(GOOD))
    consequences = {"rules", "second_opinion"} if code == "evidence.column_missing" else set()
    assert {name for name, found in status(evidence).items() if found != "pass"} == {check} | consequences
    assert said(evidence, check) == [code]
    assert not decide(product.id, "f2", evidence, None).approved


@pytest.mark.parametrize("name", ["longitude", "institution_name"])
def test_only_fields_of_positions_about_nobody_are_exact(prove: Prove, contracts: Contracts, name: str) -> None:
    product = contracts.products["open/elderly_institution"]
    shown = {"longitude": "116.123456::DOUBLE", "latitude": "31.987654::DOUBLE"} | {
        "institution_name": "'116.123456,31.987654'" if name == "institution_name" else "'敬老院'"
    }
    candidate = ", ".join(f"{shown.get(one.name, 'NULL')} AS {one.name}" for one in product.columns)
    evidence = prove(product, f"(SELECT {candidate})")
    assert (status(evidence)["personal_values"] == "pass") is (name == "longitude")
    product = replace(product, form=product.form.model_copy(update={"notAboutPersons": None}))
    assert "evidence.personal_position" in said(prove(product, f"(SELECT {candidate})"), "personal_values")


def test_a_count_that_follows_from_the_others(prove: Prove, product: Product) -> None:
    small = "('341503', '裕安区', '1', '85+', 3::BIGINT, DATE '2026-11-23')"
    evidence = prove(product, cells(GOOD, OTHER), cells(GOOD, OTHER, small))
    assert said(evidence, "attack") == ["evidence.cells_bounded"]
    assert evidence.check("attack") == replace(evidence.check("attack"), measured=1, threshold=10, status="fail")
    assert not decide(product.id, "f2", evidence, None).approved
    assert status(prove(product, cells(GOOD), cells(GOOD, OTHER, small)))["attack"] == "pass"


def test_a_count_that_moved_by_fewer_than_k_since_any_release(
    con: duckdb.DuckDBPyConnection, product: Product, contracts: Contracts, proved: Sensitivity
) -> None:
    then, now = (con.sql(f"SELECT * FROM {cells(GOOD, other)}").to_arrow_table() for other in (OTHER, ONE_MORE))
    for earlier, closed in (([then], True), ([now], False), ([then, now], False), ([], False)):
        counts = Counted(now, tuple(Before(one, one) for one in earlier))
        evidence = prove_product(con, product, contracts, cells(GOOD, ONE_MORE), 3, "f2", counts, proved, TODAY)
        assert said(evidence, "attack") == ["evidence.cells_moved"] * closed
        assert decide(product.id, "f2", evidence, None).approved is not closed


def test_an_open_table_by_period_that_does_not_say_so(prove: Prove, product: Product) -> None:
    months = cells(GOOD.replace("'1', ", "'2026-09', "), OTHER.replace("'2', ", "'2026-10', "))
    assert "evidence.period_unsaid" in said(prove(product, months, months), "anonymity")
    assert product.form.anonymity is not None
    by_month = product.form.anonymity.model_copy(update={"period": "sex"})
    said_so = replace(product, form=product.form.model_copy(update={"anonymity": by_month}))
    assert "evidence.period_unsaid" not in said(prove(said_so, months, months), "anonymity")


def test_only_a_product_that_withholds_small_cells_may_be_empty(prove: Prove, product: Product) -> None:
    nothing = f"(SELECT * FROM {cells(GOOD)} WHERE false)"
    few = cells(GOOD.replace("12", "3"))
    assert decide(product.id, "f2", prove(product, nothing, few), None).approved
    complete = replace(product, form=product.form.model_copy(update={"anonymity": None}))
    evidence = prove(complete, nothing)
    assert said(evidence, "rows") == ["evidence.no_rows"]
    assert not decide(product.id, "f2", evidence, None).approved


def test_a_column_above_the_level_of_its_channel(prove: Prove, product: Product) -> None:
    columns = (replace(product.columns[0], level=3), *product.columns[1:])
    evidence = prove(replace(product, columns=columns), cells(GOOD))
    assert evidence.checks[1].measured == 3
    assert said(evidence, "levels") == ["evidence.level_above"]


def test_a_secret_under_the_name_of_an_open_column(
    prove: Prove, product: Product, contracts: Contracts, proved: Sensitivity
) -> None:
    shown = ", ".join("p.name as county_name" if name == "county_name" else f"m.{name}" for name in NAMES.split(", "))
    secret = f'select {shown} from ({proved.sql[0][MODEL]}) m cross join "memory"."lib"."lib_population__person" p'
    changed = Sensitivity(contracts, proved.graph, [{**proved.sql[0], MODEL: secret}])
    evidence = prove(product, cells(GOOD, OTHER), levels=changed)
    assert "lineage.value_above" in said(evidence, "lineage")
    decision = decide(product.id, "f2", evidence, None)
    path = "lib.lib_population__person.name → mart.mart_population__age_structure.county_name"
    assert not decision.approved and path in decision.reasons[0].text("zh")
    assert evidence.levels and evidence.levels["county_name"]["value"] == 3
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))) == evidence


def test_a_second_opinion_about_a_product_that_differs(
    prove: Prove, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*arguments: Any) -> Any:
        return [replace(result, failed=0) for result in measure(*arguments)]

    monkeypatch.setattr(gate, "measure", mistaken)
    evidence = prove(product, cells(GOOD, GOOD))
    assert status(evidence)["rules"] == "pass" and said(evidence, "second_opinion") == ["evidence.opinion_differs"]
    assert not decide(product.id, "f2", evidence, None).approved


def test_of_every_product_both_ask_what_its_contract_says_of_what_is_shown(contracts: Contracts) -> None:
    for product in contracts.products.values():
        asked = {rule.id for rule in shown_rules(product)}
        emptied, shown = withheld(product), {one.source for one in product.columns if one.mask is None}
        left = [rule for rule in product.contract.rules if rule.id not in asked and set(rule.columns) <= shown]
        for rule in left:
            of_the_whole = rule.about.scope in ("table", "across") and rule.verb != "unique"
            assert of_the_whole or emptied & set(rule.columns), (product.id, rule.id)
        assert set(shown_types(product)) == {one.name for one in product.columns}
        key = {f"{name}.required" for name in product.contract.form.key} - {f"{name}.required" for name in emptied}
        assert {rule.id for rule in product.contract.rules if set(rule.columns) <= shown} & key <= asked, product.id


def test_a_count_that_may_be_withheld_may_be_empty_and_not_below_nothing(contracts: Contracts) -> None:
    product = contracts.products["open/case_month"]
    ids = {rule.id for rule in shown_rules(product)}
    assert "cases_finished" in withheld(product) and "cases_finished.required" not in ids
    assert "cases_accepted.required" in ids and "cases_finished.between" in ids


def test_other_channels_are_not_searched(prove: Prove, contracts: Contracts) -> None:
    product = contracts.products["analyst/age_structure"]
    assert set(status(prove(product, cells(GOOD)))) == REQUIRED["product"]


def test_an_error_is_told_without_its_text(prove: Prove, product: Product) -> None:
    relation = f"(SELECT * REPLACE (cast(county_name AS BIGINT) AS county_name) FROM {cells(GOOD)})"
    evidence = prove(product, relation)
    assert status(evidence)["personal_values"] == "error"
    assert "金安区" not in json.dumps(evidence.to_json(), ensure_ascii=False)


def test_a_false_find_is_overruled_with_a_reason_and_nothing_else_is(prove: Prove, product: Product) -> None:
    told = Overruled(column="county_name", text="张三丰", reason="景区名“张三丰故里”")
    form = product.form.model_copy(update={"overruled": [told]})
    relation = cells(GOOD.replace("金安区", "居民张三丰反映"), OTHER)
    evidence = prove(replace(product, form=form), relation)
    assert decide(product.id, "f2", evidence, None).approved
    assert said(evidence, "personal_values") == ["evidence.overruled"]
    (detail,) = evidence.check("personal_values").details  # type: ignore[union-attr]
    assert detail.arguments == {"column": "county_name", "rows": 1, "reason": "景区名“张三丰故里”"}
    other = cells(GOOD.replace("金安区", "居民张三丰反映"), OTHER.replace("裕安区", "居民李四光反映"))
    evidence = prove(replace(product, form=form), other)
    assert said(evidence, "personal_values") == ["evidence.personal_name_in_text"]
    number = cells(GOOD.replace("金安区", "张三丰13800138000"), OTHER)
    assert said(prove(replace(product, form=form), number), "personal_values") == ["evidence.personal_mobile"]
    assert said(prove(replace(product, form=form), cells(GOOD, OTHER)), "personal_values") == [
        "evidence.overruled_idle"
    ]


def test_a_text_in_which_nothing_is_found_by_itself_overrules_nothing(prove: Prove, product: Product) -> None:
    told = Overruled(column="county_name", text="13", reason="编号前缀")
    form = product.form.model_copy(update={"overruled": [told]})
    evidence = prove(replace(product, form=form), cells(GOOD.replace("金安区", "致电13800138000"), OTHER))
    assert said(evidence, "personal_values") == ["evidence.overruled_nothing", "evidence.personal_mobile"]
    assert not decide(product.id, "f2", evidence, None).approved
