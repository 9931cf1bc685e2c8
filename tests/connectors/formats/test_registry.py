"""The registry: an option that belongs to another format is a mistake that is told when contracts load."""

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

from pipelines.connectors import connectors
from pipelines.connectors.formats import Format, formats
from pipelines.contracts.load import load
from pipelines.messages import CitylakeError
from pipelines.verbs import VerbError


def test_signatures_name_every_format() -> None:
    assert sorted(get_args(Format)) == sorted(formats)


def test_file_drop_takes_every_option_of_every_format() -> None:
    options = {name for verb in formats.values() for name in verb.parameters}
    assert options <= set(connectors["file_drop"].parameters)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"format": "csv", "sheet": "一"}, "arguments.not_of_format"),
        ({"format": "parquet", "encoding": "gbk"}, "arguments.not_of_format"),
        ({"format": "xml"}, "arguments.missing"),
        ({"format": "csv", "header_row": 0}, "arguments.bad"),
        ({"format": "csv", "header_row": "first"}, "arguments.bad"),
        ({"format": "tsv"}, "arguments.bad"),
        ({"format": "xlsx", "sheets": "some"}, "arguments.bad"),
    ],
)
def test_options_are_checked(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(VerbError) as caught:
        connectors["file_drop"].bind({"connection": "hc", "files": "*", **arguments})
    assert caught.value.code == code


@pytest.mark.parametrize(
    "arguments",
    [
        {"format": "csv", "encoding": "auto", "delimiter": "auto", "header_row": "auto", "member": "*.csv"},
        {"format": "xlsx", "sheets": "all", "header_row": 3, "header_rows": 2},
        {"format": "xml", "records": "row"},
        {"format": "gpkg", "layer": "区划"},
        {"format": "shapefile", "encoding": "gbk"},
    ],
)
def test_options_of_the_format_are_taken(arguments: dict[str, Any]) -> None:
    given = {"connection": "hc", "files": "*", **arguments}
    assert connectors["file_drop"].bind(given) == given


def test_the_mistake_is_told_with_file_and_line(tmp_path: Path, repository: Path) -> None:
    root = tmp_path / "data_contracts"
    shutil.copytree(repository / "data_contracts", root)
    file = root / "sources" / "hc" / "birth_certificate.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("encoding: gbk", "sheet: 一"), "utf-8")
    with pytest.raises(CitylakeError) as caught:
        load(root)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "file_drop" in one)
    assert caught.value.arguments["line"] == line
    assert "sheet 不是格式 csv 的参数" in caught.value.text("zh")
    assert "encoding, delimiter, header_row" in caught.value.text("en")
