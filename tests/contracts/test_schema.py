"""The editors' schemas accept what the loader accepts, offer the names that exist, and are up to date."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pipelines.contracts import schema
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.words import Strict
from pipelines.contracts.located import read
from pipelines.contracts.resolved import Contracts
from pipelines.messages import catalogue

Edit = Callable[[str, str, str], None]
FILES = {
    "source.json": "sources/*/*.yaml",
    "product.json": "products/*/*.yaml",
    "city.json": "city.yaml",
    "fields.json": "fields.yaml",
}


def problems(document: schema.Schema, path: Path) -> list[str]:
    value = json.loads(json.dumps(read(path).value))
    return [error.message for error in Draft202012Validator(document).iter_errors(value)]


@pytest.mark.parametrize("city_name", ["small", "real"])
def test_they_accept_every_contract(city_name: str, request: pytest.FixtureRequest) -> None:
    contracts: Contracts = request.getfixturevalue(city_name)
    documents = schema.render(contracts)
    for name, pattern in FILES.items():
        for path in contracts.root.glob(pattern):
            assert problems(documents[name], path) == []


def test_they_are_valid_schemas_without_open_marks(small: Contracts) -> None:
    for document in schema.render(small).values():
        Draft202012Validator.check_schema(document)
        assert "x-list" not in json.dumps(document)


@pytest.mark.parametrize(
    ("file", "name", "old", "new"),
    [
        ("sources/psb/person.yaml", "source.json", "ignored:", "ignord:"),
        ("sources/psb/person.yaml", "source.json", "connection: psb", "connection: pdb"),
        ("sources/psb/person.yaml", "source.json", "keyed_hash", "keyed_hsh"),
        ("sources/psb/person.yaml", "source.json", "birth: birth_date", "birth: nothing"),
        ("products/population/person.yaml", "product.json", "owner: dsrb", "owner: nobody"),
        ("products/population/person.yaml", "product.json", "mask: surname", "mask: surnam"),
        ("products/population/person.yaml", "product.json", "{minimum: 1}", "{}"),
        ("fields.yaml", "fields.json", "  codes: sex", "  codes: nothing"),
        ("fields.yaml", "fields.json", "clean: [trim]", "clean: [trimm]"),
        ("city.yaml", "city.json", "operator: dsrb", "operator: nobody"),
    ],
)
def test_they_refuse_unknown_names(
    city: Path, edit: Edit, small: Contracts, file: str, name: str, old: str, new: str
) -> None:
    edit(file, old, new)
    assert problems(schema.render(small)[name], city / file)


def forms_of(base: type[Strict]) -> Iterator[type[Strict]]:
    for form in base.__subclasses__():
        yield form
        yield from forms_of(form)


def test_every_key_is_described_in_both_languages() -> None:
    forms = list(forms_of(Strict))
    assert CityForm in forms
    for form in forms:
        for name, field in form.model_fields.items():
            key = field.alias or name
            codes = {f"key.{form.__name__}.{key}", f"key.{key}"} & catalogue().keys()
            assert codes, f"{form.__name__}.{key}"
            assert all({"zh", "en"} == catalogue()[code].keys() for code in codes)


def test_descriptions_reach_the_editor(small: Contracts) -> None:
    source = schema.render(small)["source.json"]
    assert source["properties"]["load"]["description"] == "交付如何变成变更记录\nhow deliveries become changes"
    assert source["$defs"]["SnapshotDiff"]["properties"]["deletionCeiling"]["description"].startswith("一次交付")
    assert source["properties"]["quality"]["items"] == {"$ref": "#/$defs/rule"}
    (_, calls) = source["$defs"]["rule"]["anyOf"]
    assert calls["properties"]["unique"]["description"] == "不重复\nno duplicates"
    assert calls["properties"]["sex_matches_id"]["required"] == ["id", "sex"]


def test_writing_makes_them_fresh_and_a_new_name_makes_them_stale(city: Path, edit: Edit) -> None:
    assert len(schema.stale(city)) == 5
    assert [path.name for path in schema.write(city)] == [
        "authority.json",
        "city.json",
        "fields.json",
        "product.json",
        "source.json",
    ]
    assert schema.stale(city) == []
    with (city / "codes/organisations.csv").open("a", encoding="utf-8") as file:
        file.write("drc,市发展和改革委员会,DRC\n")
    assert {path.name for path in schema.stale(city)} == {"product.json", "city.json"}


def test_the_repository_has_fresh_schemas_and_points_to_them(real: Contracts) -> None:
    assert [path.name for path in schema.stale(real.root)] == []
    for name, pattern in FILES.items():
        for path in real.root.glob(pattern):
            first = path.read_text("utf-8").splitlines()[0]
            target = first.removeprefix("# yaml-language-server: $schema=")
            assert (path.parent / target).resolve() == (real.root / schema.FOLDER / name).resolve(), path
