"""What loading gives: inheritance, implied rules, key columns, hashes, and speed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.contracts.load import load, rule_context
from pipelines.contracts.located import read
from pipelines.contracts.resolved import Contracts, ProductContract, SourceContract
from pipelines.geo import judging
from pipelines.messages import CitylakeError
from tests.memory import connection

Edit = Callable[[str, str, str], None]
TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "boolean": "BOOLEAN",
}


def test_a_bare_name_inherits_the_field(small: Contracts) -> None:
    column = small.models["lib_population__person"].columns[3]
    assert (column.name, column.definition.codes, column.level, column.required) == ("sex", "sex", 1, False)
    assert [step.arguments for step in column.clean] == [{"codes": "sex"}]


def test_an_option_is_overridden_alone(small: Contracts) -> None:
    options = small.sources["psb/person"].columns[4].definition.logicalTypeOptions
    assert (options.minimum, options.maximum) == ("1900-01-01", "today")


def test_key_columns_are_required(small: Contracts) -> None:
    contract = small.models["lib_population__person"]
    assert contract.columns[0].required
    assert [rule.id for rule in contract.rules[:3]] == ["unique(person_id)", "person_id.required", "person_id.matches"]


def test_derived_columns_bring_no_rules_for_admission(small: Contracts) -> None:
    source = small.sources["psb/person"]
    assert source.all_columns[-1].name == "person_id"
    assert not [rule for rule in source.rules if "person_id" in rule.columns]


def test_a_contract_may_call_one_verb_for_several_columns(city: Path, edit: Edit) -> None:
    between = "  - between: {column: %s, maximum: today}\n"
    rules = (
        between % "birth_date"
        + between % "updated_at"
        + "  - birth_date_matches_id: {id: record_no, birth: birth_date}\n"
    )
    edit("sources/psb/person.yaml", "quality:\n", "quality:\n" + rules)
    ids = [rule.id for rule in load(city).sources["psb/person"].rules]
    assert len(ids) == len(set(ids))
    assert {"birth_date.between", "between(birth_date)", "between(updated_at)"} <= set(ids)
    assert {"birth_date_matches_id", "birth_date_matches_id(id_number+birth_date)"} <= set(ids)


def test_a_shown_column_has_the_lower_of_column_and_mask(small: Contracts) -> None:
    levels = {column.name: column.level for column in small.products["sharing/person_of_division"].columns}
    assert levels == {
        "person_ref": 3, "id_number": 3, "name": 3, "birth_year": 2, "sex": 1, "division_code": 2
    }  # fmt: skip


def test_products_know_their_contract_and_can_be_compared(small: Contracts, city: Path) -> None:
    again = load(city).models["lib_population__person"].products[0]
    product = small.products["sharing/person_of_division"]
    assert product.contract is small.models["lib_population__person"]
    assert product == again
    assert "contract=" not in repr(product)


def test_every_product_states_its_terms(real: Contracts) -> None:
    terms = {
        channel: {product.form.licence for product in real.products.values() if product.channel == channel}
        for channel in ("open", "sharing", "analyst")
    }
    assert terms["open"] == {"六安市公共数据开放许可（无条件开放，注明来源）"}
    assert all(text and text.startswith("政务数据共享使用协议") for text in terms["sharing"] | terms["analyst"])


def test_the_hash_follows_meaning_not_layout(city: Path, edit: Edit, small: Contracts) -> None:
    edit("sources/psb/person.yaml", "status: active\n", "status:   active  # comment\n")
    assert load(city).sources["psb/person"].hash == small.sources["psb/person"].hash


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("sources/psb/person.yaml", "0.02", "0.03"),
        ("fields.yaml", "gb11643_format, ", ""),
        ("codes/sex.csv", "女性|F", "女性|F|女士"),
        ("codes/divisions.csv", "某村", "另一村"),
    ],
)
def test_the_hash_changes_with_what_the_contract_uses(city: Path, edit: Edit, file: str, old: str, new: str) -> None:
    before = load(city).sources["psb/person"].hash
    edit(file, old, new)
    assert load(city).sources["psb/person"].hash != before


def test_the_hash_of_a_product_covers_fields_only_its_channels_show(city: Path, edit: Edit, small: Contracts) -> None:
    edit("fields.yaml", "businessName: 人员假名", "businessName: 假名")
    name = "lib_population__person"
    assert load(city).models[name].hash != small.models[name].hash


def test_yaml_means_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: no\nb: 010\nc: 2020-01-01\nd: 12:30\ne: true\nf: 7\ng: 0.5\nh: ~\ni: 2020-99-99\n", "utf-8")
    expected = {"a": "no", "b": "010", "c": "2020-01-01", "d": "12:30", "e": True, "f": 7, "g": 0.5, "h": None}
    assert read(path).value == expected | {"i": "2020-99-99"}


@pytest.mark.long
@pytest.mark.parametrize("city_name", ["small", "real"])
def test_every_rule_of_every_contract_runs(city_name: str, request: pytest.FixtureRequest) -> None:
    contracts: Contracts = request.getfixturevalue(city_name)
    context = rule_context(
        contracts, today=None, relation="judged", models={name: "judged" for name in contracts.models}
    )
    both: list[SourceContract | ProductContract] = [*contracts.sources.values(), *contracts.models.values()]
    for contract in both:
        columns = contract.all_columns if isinstance(contract, SourceContract) else contract.columns
        typed = ", ".join(f'NULL::{TYPES[column.definition.logicalType]} AS "{column.name}"' for column in columns)
        with connection() as con:
            judging.register(con, contracts)
            con.execute(f"CREATE TABLE judged AS SELECT {typed}, NULL::BIGINT AS _row WHERE false")
            for rule in contract.rules:
                asked = {
                    "row": "SELECT {} FROM judged",
                    "shape": "SELECT {} FROM judged",
                    "table": "SELECT {}",
                    "history": "{}",
                    "across": "{}",
                }[rule.about.scope]
                con.execute(asked.format(rule.sql(context)))


def test_a_hundred_contracts_load(city: Path) -> None:
    root = Path(__file__).parents[2] / "data_contracts"
    source = (root / "sources/psb/household_person.yaml").read_text("utf-8")
    shutil.copy(root / "fields.yaml", city)
    whole = (root / "city.yaml").read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in whole if not line.startswith("addressBook:"))  # it names sources of the real city
    (city / "city.yaml").write_text(text, "utf-8")
    shutil.copytree(root / "codes", city / "codes", dirs_exist_ok=True)
    shutil.rmtree(city / "products")
    shutil.rmtree(city / "sources")
    (city / "sources/psb").mkdir(parents=True)
    for number in range(100):
        (city / f"sources/psb/person_{number}.yaml").write_text(source, "utf-8")
    assert len(load(city).sources) == 100


def test_an_error_is_a_citylake_error(tmp_path: Path) -> None:
    with pytest.raises(CitylakeError, match=r"city\.yaml 不存在"):
        load(tmp_path)


def test_contracts_are_read_again_only_if_a_byte_of_theirs_is_another(city: Path, edit: Edit) -> None:
    first = load(city)
    (city / "sources" / ".draft.yaml").write_text("not: looked at", "utf-8")
    assert load(city) is first
    file = city / "fields.yaml"
    about = file.stat()
    edit("fields.yaml", "source record number", "source record NUMBER")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert load(city).fields["record_no"].businessNameEn == "source record NUMBER"
    shutil.copy(file, city / "sources" / "left over.yaml")
    with pytest.raises(CitylakeError):
        load(city)


def test_every_text_out_of_a_workbook_or_saved_from_one_is_a_whole_cell(real: Contracts) -> None:
    found = {
        source.id: {rule.columns[0] for rule in source.rules if rule.verb == "cell_whole"}
        for source in real.sources.values()
    }
    texts = {
        source.id: {column.name for column in source.columns if column.definition.logicalType == "string"}
        for source in real.sources.values()
        if source.connector.arguments.get("format") in ("xlsx", "csv")
    }
    assert "subject_no" in texts["sto/institution"]
    assert found == {source: texts.get(source, set()) for source in real.sources}
