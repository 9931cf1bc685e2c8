"""The repository's own models are as sensitive as their contracts say; a secret put into any of them is found."""

import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from citylake.lineage import about
from pipelines.contracts.forms.fields import FieldLowering
from pipelines.contracts.forms.products import CountedBeside
from pipelines.contracts.load import Contracts, Product, ProductContract, load
from pipelines.linkage.tables import SHOWN, TABLES
from pipelines.messages import CitylakeError, translate
from pipelines.privacy.sensitivity import PREPARED, ROWS, Problem, Sensitivity
from pipelines.settings import REPOSITORY
from tests.city import seed_from_clock

SECRET = '(select max(p.id_number) from "memory"."staging"."stg_psb__household_person" p)'
COUNT = "mart_population__age_structure"


def codes(problems: list[Problem]) -> set[str]:
    """What is wrong, each with a text in both languages."""
    for problem in problems:
        for language in ("zh", "en"):
            assert "{" not in translate(problem.code, language, **problem.arguments)
    return {problem.code.removeprefix("lineage.") for problem in problems}


def rewritten(proved: Sensitivity, model: str, sql: str) -> Sensitivity:
    """The same models, one of them with other SQL."""
    return Sensitivity(proved.contracts, proved.graph, [{**proved.sql[0], model: sql}])


def restated(proved: Sensitivity, model: str, **update: Any) -> Sensitivity:
    """The same models, one of them under another contract."""
    contract = proved.contracts.models[model]
    changed = replace(contract, form=contract.form.model_copy(update=update))
    products = tuple(replace(product, contract=changed) for product in contract.products)
    object.__setattr__(changed, "products", products)
    contracts = replace(proved.contracts, models={**proved.contracts.models, model: changed})
    return Sensitivity(contracts, proved.graph, proved.sql)


def shown(contract: ProductContract) -> list[str]:
    """Texts of level 1 or 2 that products show."""
    names = {column.source for product in contract.products for column in product.columns}
    fit = (column for column in contract.columns if column.name in names and column.level < 3)
    return [column.name for column in fit if column.definition.logicalType == "string"]


def test_every_model_is_as_sensitive_as_its_contract_says(proved: Sensitivity) -> None:
    assert [translate(one.code, "en", **one.arguments) for one in proved.problems()] == []
    assert not proved.lineage.problems


def test_few_need_a_lowering(proved: Sensitivity) -> None:
    """What is derived fits most contracts as it is: a check that called everything secret would be no check."""
    models = proved.contracts.models
    lowered = [name for name, contract in models.items() if contract.form.lowered]
    assert len(lowered) < len(models) / 4
    above = [
        (name, column.name)
        for name, contract in models.items()
        for column in contract.columns
        if proved.levels(name)[column.name].value > column.level
    ]
    print(f"{len(lowered)} of {len(models)} models lowered, {len(above)} columns")
    assert len(above) < sum(len(contract.columns) for contract in models.values()) / 20


def test_a_secret_under_any_name_is_found(proved: Sensitivity) -> None:
    chance = random.Random(seed_from_clock())
    candidates = [contract for contract in proved.contracts.models.values() if shown(contract)]
    for contract in chance.sample(candidates, 6):
        model, column = contract.form.model, chance.choice(shown(contract))
        columns = [f"m.{one.name}" if one.name != column else f"{SECRET} as {column}" for one in contract.columns]
        changed = rewritten(proved, model, f"select {', '.join(columns)} from ({proved.sql[0][model]}) m")
        product = next(one for one in contract.products if column in {shown.source for shown in one.columns})
        found = [one for one in changed.of_product(product) if one.code == "lineage.value_above"]
        assert [one.arguments["column"] for one in found] == [column], (model, column)
        assert str(found[0].arguments["path"]).startswith("core.psb__household_person.id_number → ")


def test_rows_chosen_by_a_secret_are_found(proved: Sensitivity) -> None:
    chance = random.Random(seed_from_clock())
    candidates = [product for product in proved.contracts.products.values() if product.channel == "open"]
    for product in chance.sample(candidates, 6):
        model = product.contract.form.model
        place = '(select max(p.native_place) from "memory"."staging"."stg_psb__household_person" p)'
        changed = rewritten(proved, model, f"select * from ({proved.sql[0][model]}) m where {place} is not null")
        (found,) = [one for one in changed.of_product(product) if one.code == "lineage.influence_above"]
        assert "core.psb__household_person.native_place → " in str(found.arguments["path"])


BOUNDARY = 'select {} from "memory"."staging"."stg_nrpb__county_boundary" b'


def as_public(proved: Sensitivity) -> Sensitivity:
    """The same, with boundaries of the lowest level: nothing but being schematic closes them."""
    source = proved.contracts.sources["nrpb/county_boundary"]
    columns = tuple(replace(column, level=1) for column in source.columns)
    sources = {**proved.contracts.sources, "nrpb/county_boundary": replace(source, columns=columns)}
    return Sensitivity(replace(proved.contracts, sources=sources), proved.graph, proved.sql)


@pytest.mark.long
@pytest.mark.parametrize(
    "value", ["max(b.county_boundary)", "max(upper(b.county_boundary))", "max(substr(b.county_boundary, 1, 400))"]
)
def test_a_schematic_geometry_is_never_opened_under_any_name(proved: Sensitivity, value: str) -> None:
    chance = random.Random(seed_from_clock())
    public = as_public(proved)
    products = [one for one in proved.contracts.products.values() if one.channel == "open"]
    texts = [(one, [c.source for c in one.columns if c.column.definition.logicalType == "string"]) for one in products]
    for product, names in chance.sample([one for one in texts if one[1]], 4):
        model, column = product.contract.form.model, chance.choice(names)
        columns = [one.name for one in product.contract.columns if one.name != column]
        made = f"({BOUNDARY.format(value)}) as {column}"
        changed = rewritten(public, model, f"select {', '.join([*columns, made])} from ({public.sql[0][model]}) m")
        (found,) = [one for one in changed.of_product(product) if one.code == "lineage.schematic"]
        assert found.arguments["column"] == column and "value_above" not in codes(changed.of_product(product))
        assert str(found.arguments["path"]).startswith("core.nrpb__county_boundary.county_boundary → ")
        assert [one.code for one in changed.problems() if one.code == "lineage.schematic"] != []


def test_a_contract_that_opens_a_schematic_geometry_is_refused(tmp_path: Path) -> None:
    contracts = shutil.copytree(REPOSITORY / "data_contracts", tmp_path / "data_contracts")
    fields, division = contracts / "fields.yaml", contracts / "products" / "geography" / "division.yaml"
    text = fields.read_text("utf-8")
    before, _, after = text.partition("\ncounty_boundary:\n")
    fields.write_text(
        f"{before}\ncounty_boundary:\n{after.replace('classification: 2', 'classification: 1', 1)}", "utf-8"
    )
    text = division.read_text("utf-8").replace(
        "open: {type: 不予开放, basis: 边界非公开地图产品，未取得审图号}", "open: {type: 无条件开放}"
    )
    about = "product: division, name: 区划, nameEn: divisions, licence: 许可"
    opened = f"  open: {{{about}, properties: [division_level, county_boundary]}}"
    division.write_text(f"{text}{opened}\n", "utf-8")
    with pytest.raises(CitylakeError) as error:
        load(contracts)
    assert error.value.code == "contract.schematic" and "division.yaml" in str(error.value)
    assert "示意图" in str(error.value) and "county_boundary" in str(error.value)


def test_other_channels_and_what_is_measured_of_a_schematic_geometry_stay(proved: Sensitivity) -> None:
    public = as_public(proved)
    assert not [one for one in public.problems() if one.code == "lineage.schematic"]
    assert "area_km2" in {one.source for one in proved.contracts.products["analyst/division"].columns}


NUMBER = 'from "memory"."staging"."stg_psb__household_person" p'


def opened(proved: Sensitivity, value: str) -> tuple[Sensitivity, Product, str]:
    """The models with another value in a column of an open product, whose field says that anything made it coarser."""
    product = proved.contracts.products["open/hotline_month"]
    columns = [one.name if one.name != "month" else f"({value}) as month" for one in product.contract.columns]
    model = product.contract.form.model
    changed = rewritten(proved, model, f"select {', '.join(columns)} from ({proved.sql[0][model]}) m")
    return changed, product, model


@pytest.mark.parametrize(
    "value",
    [
        "max(cast(p.id_number as bigint) * 7 + 3)",
        "max(substr(p.id_number, 11, 8))",
        "max('n' || p.id_number || 'x')",
        "max(upper(replace(p.id_number, '1', 'a')))",
        "max(case when p.sex = '1' then p.id_number end)",
        "max(length(p.id_number))",
    ],
)
def test_no_identity_number_is_opened_whatever_lowers_it(proved: Sensitivity, value: str) -> None:
    changed, product, model = opened(proved, f"select {value} {NUMBER}")
    fields = {name: one for name, one in changed.contracts.fields.items()}
    lowering = FieldLowering.model_validate({"from": ["id_number", "sex"], "by": "generalised"})
    lowered = fields["month"].model_copy(update={"lowered": lowering})
    contract = changed.contracts.models[model]
    columns = tuple(replace(one, definition=lowered) if one.name == "month" else one for one in contract.columns)
    again = replace(contract, columns=columns)
    models = {**changed.contracts.models, model: again}
    contracts = replace(changed.contracts, models=models, fields={**fields, "month": lowered})
    found = Sensitivity(contracts, changed.graph, changed.sql).of_product(replace(product, contract=again))
    (refused,) = [one for one in found if one.code == "lineage.id_number"]
    assert refused.arguments["column"] == "month" and codes(found)
    assert ("value_above" in codes(found)) == ("case when" in value or "upper" in value or "||" in value)
    assert str(refused.arguments["path"]).startswith("core.psb__household_person.id_number → ")


@pytest.mark.parametrize("value", ["md5(p.id_number)", "sha256(p.id_number)", "hash(p.id_number)"])
def test_a_hashed_identity_number_is_refused(proved: Sensitivity, value: str) -> None:
    changed, product, _ = opened(proved, f"select max({value}) {NUMBER}")
    assert codes(changed.of_product(product)) & {"not_understood", "id_number"}


@pytest.mark.parametrize("value", ["count(distinct p.id_number)", "count(p.id_number)"])
def test_counts_of_identity_numbers_may_be_opened(proved: Sensitivity, value: str) -> None:
    changed, product, _ = opened(proved, f"select cast({value} as varchar) {NUMBER}")
    assert "id_number" not in codes(changed.of_product(product))


def test_a_copy_is_no_generalisation(proved: Sensitivity) -> None:
    sql = proved.sql[0][COUNT]
    copied = '(select max(cast(r.birth_date as string)) from "memory"."lib"."lib_population__registered" r) as age_band'
    columns = [copied if one.name == "age_band" else one.name for one in proved.contracts.models[COUNT].columns]
    changed = rewritten(proved, COUNT, f"select {', '.join(columns)} from ({sql}) m")
    assert "value_above" in codes(changed.of_product(proved.contracts.products["open/age_structure_by_county"]))


@pytest.mark.parametrize("sql", ["select to_json(t) as x from core.psb__household_person t", "select from where"])
def test_what_is_not_understood_stays_closed(proved: Sensitivity, sql: str) -> None:
    changed = rewritten(proved, "lib_population__registered", sql)
    for product in proved.contracts.models[COUNT].products:
        assert codes(changed.of_product(product)) == {"not_understood"}
    assert set(changed.levels(COUNT)) == {ROWS, *(one.name for one in proved.contracts.models[COUNT].columns)}


def test_a_column_that_the_model_lacks_is_of_the_highest_level(proved: Sensitivity) -> None:
    changed = rewritten(proved, COUNT, f"select county_code, persons from ({proved.sql[0][COUNT]}) m")
    found = changed.of_product(proved.contracts.products["open/age_structure_by_county"])
    assert {"county_name", "sex", "as_of"} <= {one.arguments.get("column") for one in found}


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (None, {"influence_above", "value_above"}),
        ({"sources": ["birth_date", "residence_status", "lib_population__person"]}, {"influence_above", "value_above"}),
        ({"sources": ["birth_date", "residence_status", "sex"]}, {"influence_above"}),
        ({"sources": ["birth_date", "residence_status", "sex", "lib_population__person", "name"]}, {"lowered_idle"}),
        ({"to": 2}, {"influence_above", "lowered_idle"}),
        ({"columns": []}, {"value_above"}),
        ({"columns": ["sex", "persons"]}, {"lowered_column"}),
    ],
)
def test_a_lowering_is_what_is_derived(
    proved: Sensitivity, update: Mapping[str, object] | None, expected: set[str]
) -> None:
    form = proved.contracts.models[COUNT].form.lowered
    assert form is not None
    changed = restated(proved, COUNT, lowered=None if update is None else form.model_copy(update=update))
    problems = [
        problem for product in changed.contracts.models[COUNT].products for problem in changed.of_product(product)
    ]
    assert codes(problems) == expected


def test_a_field_that_lowers_nothing_is_told(proved: Sensitivity) -> None:
    fields = dict(proved.contracts.fields)
    form = fields["age_band"].lowered
    assert form is not None
    fields["age_band"] = fields["age_band"].model_copy(
        update={"lowered": form.model_copy(update={"sources": ["name"]})}
    )
    changed = Sensitivity(replace(proved.contracts, fields=fields), proved.graph, proved.sql)
    assert ("age_band", "name") in {
        (one.arguments.get("field"), one.arguments.get("source")) for one in changed.problems()
    }


def test_prepared_tables_are_known(contracts: Contracts) -> None:
    for name in SHOWN:
        assert set(PREPARED[f"linkage.{name}"][1]) <= set(TABLES[name])
    for _, columns in PREPARED.values():
        assert set(columns.values()) <= set(contracts.fields)


def test_the_command_tells_levels_and_the_path(proved: Sensitivity) -> None:
    lines = "\n".join(about(proved, COUNT, "age_band"))
    assert "core.psb__household_person." in lines or "core.psb__floating_person." in lines
    assert lines.count("→") > 4
    assert len(list(about(proved, "stg_psb__household_person", None))) > 20
    assert "core.psb__" in "\n".join(about(proved, COUNT, ROWS))
    for names in (("nobody", None), (COUNT, "nobody")):
        with pytest.raises(CitylakeError):
            list(about(proved, *names))


def with_form(proved: Sensitivity, name: str, **update: Any) -> Product:
    """An open product with another form."""
    product = proved.contracts.products[name]
    return replace(product, form=product.form.model_copy(update=update))


def test_what_is_made_from_attributes_of_persons_is_declared_or_reviewed(proved: Sensitivity) -> None:
    directory = "open/enterprise_directory"
    assert set(proved.contracts.products[directory].form.model_dump()["reviewed"]) == {"public_name", "county_code"}
    found = proved.of_product(with_form(proved, directory, reviewed={"public_name": "法人的名称"}))
    assert codes(found) == {"quasi_identifier"} and found[0].arguments["column"] == "county_code"
    assert str(found[0].arguments["path"]).startswith("core.ara__collective.division_code → ")
    for idle in ("uscc", "no_such_column"):
        reviewed = {"public_name": "法人的名称", "county_code": "集体所在的县", idle: "无"}
        found = proved.of_product(with_form(proved, directory, reviewed=reviewed))
        assert codes(found) == {"reviewed_idle"} and found[0].arguments["column"] == idle


@pytest.mark.parametrize("column", ["sex", "age_band"])
def test_what_people_are_counted_by_is_a_quasi_identifier_whoever_forgets_it(proved: Sensitivity, column: str) -> None:
    name = "open/age_structure_by_county"
    anonymity = proved.contracts.products[name].form.anonymity
    assert anonymity is not None
    less = anonymity.model_copy(update={"quasi": [one for one in anonymity.quasi if one != column]})
    (found,) = proved.of_product(with_form(proved, name, anonymity=less))
    assert codes([found]) == {"quasi_identifier"} and found.arguments["column"] == column
    (found,) = proved.of_product(with_form(proved, name, anonymity=None, notAboutPersons="无"))[:1]
    assert codes([found]) == {"quasi_identifier"}


def beside(proved: Sensitivity, name: str, **beside: CountedBeside) -> Sensitivity:
    """The same with this product saying what other open products count beside it."""
    anonymity = proved.contracts.products[name].form.anonymity
    assert anonymity is not None
    given = {f"open/{other}": one for other, one in beside.items()}
    return with_product(proved, with_form(proved, name, anonymity=anonymity.model_copy(update={"beside": given})))


def with_product(proved: Sensitivity, product: Product) -> Sensitivity:
    """The same with another form of one product."""
    contract = product.contract
    products = tuple(product if one.id == product.id else one for one in contract.products)
    models = {**proved.contracts.models, contract.form.model: replace(contract, products=products)}
    return Sensitivity(replace(proved.contracts, models=models), proved.graph, proved.sql)


def test_an_open_table_names_every_other_that_counts_the_same(proved: Sensitivity) -> None:
    name = "open/evaluation_month"
    form = proved.contracts.products[name].form.anonymity
    assert form is not None and form.totals == {"satisfied"}
    less = {other.removeprefix("open/"): one for other, one in form.beside.items()}
    del less["county_indicator"]
    changed = beside(proved, name, **less)
    for closed in (name, "open/county_indicator"):
        (found,) = changed.of_product(changed.contracts.products[closed])
        assert codes([found]) == {"counts_shared"}
        assert found.arguments["other"] == "open/county_indicator"
        assert "core.dsrb__service_case" in str(found.arguments["sources"])
    assert not changed.of_product(changed.contracts.products["open/hotline_month"])


def test_what_is_named_beside_in_vain_or_counts_with_less_care_is_told(proved: Sensitivity) -> None:
    name, other = "open/evaluation_month", "open/county_indicator"
    form, its = (proved.contracts.products[one].form.anonymity for one in (name, other))
    assert form is not None and its is not None
    given = {one.removeprefix("open/"): said for one, said in form.beside.items()}
    idle = beside(proved, name, **given, hotline_month=CountedBeside(because="…"), gone=CountedBeside(because="…"))
    found = idle.of_product(idle.contracts.products[name])
    assert codes(found) == {"beside_idle"} and len(found) == 2
    changed = with_product(proved, with_form(proved, other, anonymity=its.model_copy(update={"k": 5})))
    (found_,) = changed.of_product(changed.contracts.products[name])
    assert codes([found_]) == {"totals_smaller"} and found_.arguments["less"] == 5


def test_a_directory_with_the_sex_of_its_representatives_stays_closed(proved: Sensitivity) -> None:
    model = "lib_legal_entity__entity"
    sex = '(select max(p.sex) from "memory"."staging"."stg_psb__household_person" p) as entity_status'
    columns = [sex if one.name == "entity_status" else one.name for one in proved.contracts.models[model].columns]
    shown = f"select {', '.join(columns)} from ({proved.sql[0][model]}) m"
    found = rewritten(proved, model, shown).of_product(proved.contracts.products["open/enterprise_directory"])
    assert {one.arguments["column"] for one in found if one.code == "lineage.quasi_identifier"} >= {"entity_status"}
