"""JSON, NDJSON and XML: every value as it was written, and a record that cannot be read is one refused row."""

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import UNREAD
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import read

some = settings(max_examples=60, deadline=None)
names = st.text("abc甲_", min_size=1, max_size=3).filter(lambda name: name != UNREAD)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
                    st.text(st.characters(exclude_categories=["Cs"]), max_size=6))  # fmt: skip
records = st.dictionaries(names, scalars | st.lists(scalars, max_size=2), min_size=1, max_size=4)


def refused(data: bytes, format: str, **options: Any) -> CitylakeError:
    with pytest.raises(CitylakeError) as caught:
        read(data, format, **options)
    assert caught.value.text("zh") and caught.value.text("en")
    return caught.value


def shown(value: Any) -> str | None:
    return (value or None) if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


def folded(found: list[dict[str, Any]]) -> bool:
    """Whether the names of all records differ in more than letter case."""
    keys = {key for one in found for key in one}
    return len({key.casefold() for key in keys}) == len(keys)


@some
@given(st.lists(records, min_size=1, max_size=5).filter(folded), st.booleans(), st.sampled_from(["utf-8", "gb18030"]))
def test_json_values_come_as_they_are(found: list[dict[str, Any]], ascii_only: bool, encoding: Any) -> None:
    text = json.dumps({"data": {"rows": found}}, ensure_ascii=ascii_only)
    lines = "\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in found)
    expected = [{key: shown(value) for key, value in one.items()} for one in found]
    if encoding != "utf-8" and any("\ue000" <= letter <= "\uf8ff" for letter in text):
        return
    for rows in (
        read(text.encode(encoding), "json", records="data/rows", encoding=encoding),
        read(lines.encode(encoding), "ndjson", encoding=encoding),
    ):
        assert [{key: row[key] for key in one} for row, one in zip(rows, expected, strict=True)] == expected
        assert all(row[UNREAD] is None for row in rows)


def test_numbers_keep_their_text() -> None:
    text = b'[{"a": 1.10, "b": 12345678901234567890.12, "c": 1E400, "d": [1.50, {"x": 2.0}], "e": -0}]'
    assert read(text, "json") == [
        {"a": "1.10", "b": "12345678901234567890.12", "c": "1E400", "d": '[1.50, {"x": 2.0}]', "e": "-0", UNREAD: None}
    ]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[1]", b'{"id": 1, "id": 2}', b'{"id": NaN}', b'{"id": {"a": 1, "a": 2}}', b'{"id": "\\ud800"}',
     b"[" * 9999, b'{"id": "\xff"}', b'{"_unread": 1}', b'{"id": 1} {"id": 2}'],
)  # fmt: skip
def test_a_bad_line_is_one_refused_row(line: bytes) -> None:
    rows = read(b'{"id": 1}\n\n' + line + b'\r\n{"id": "3", "n": "\xe7\x94\xb2"}', "ndjson")
    assert [(row["id"], row[UNREAD] is None) for row in rows] == [("1", True), (None, False), ("3", True)]
    assert rows[1][UNREAD] == line.decode("utf-8", "backslashreplace")


@some
@given(st.binary(max_size=80), st.sampled_from(["json", "ndjson", "xml", "geojson", "parquet", "dbf", "gpkg", "xlsx"]))
def test_any_bytes_are_read_or_refused(data: bytes, format: Any) -> None:
    try:
        read(data, format, **({"records": "row"} if format == "xml" else {}))
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")


@pytest.mark.parametrize(
    ("data", "code"), [(b"{", "format.no_json"), (b"{}", "format.no_records"), (b'["\xff"]', "format.encoding")]
)
def test_what_is_no_json_is_said(data: bytes, code: str) -> None:
    assert refused(data, "json").code == code


def test_of_two_arrays_of_records_under_one_key_none_is_chosen() -> None:
    assert refused(b'{"d": [{"a": 1}], "d": [{"a": 2}]}', "json", records="d").code == "format.repeated_key"
    assert refused(b'{"d": {"x": [], "x": [{"a": 2}]}}', "json", records="d/x").code == "format.repeated_key"
    point = b'{"type": "Point", "coordinates": [3, 4]}'
    twice = b'{"features": [{"geometry": null, "geometry": %s, "properties": {"a": 1}}, %%s]}' % point
    good = b'{"geometry": null, "properties": {"a": 2}}'
    rows = read(twice % good, "geojson")
    assert [row["a"] for row in rows] == [None, "2"] and '"coordinates": [3, 4]' in rows[0][UNREAD]
    assert refused(b'{"features": [], "features": [%s]}' % good, "geojson").code == "format.repeated_key"


def test_no_records_are_an_empty_table() -> None:
    assert read(b"[]", "json", expected=("id",)) == []
    assert read(b"", "ndjson", expected=("id",)) == []


letters = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=5
)
elements = st.dictionaries(st.sampled_from(["id", "name", "名称", "x-1"]), letters, min_size=1, max_size=4)


@some
@given(st.lists(elements, min_size=1, max_size=5), st.booleans(), st.sampled_from(["utf-8", "gb18030", "utf-16"]))
def test_xml_values_come_as_they_are(found: list[dict[str, str]], attributes: bool, encoding: str) -> None:
    rows = ""
    for one in found:
        if attributes:
            rows += f"<row {' '.join(f'{name}={quoteattr(value)}' for name, value in one.items())}/>"
        else:
            rows += f"<row>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in one.items())}\n</row>"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<a><b>{rows}</b><c/></a>'
    if encoding == "gb18030" and any("\ue000" <= letter <= "\uf8ff" for letter in text):
        return
    result = read(text.encode(encoding), "xml", records="row")
    assert [{key: row[key] for key in one} for row, one in zip(result, found, strict=True)] == [
        {key: value or None for key, value in one.items()} for one in found
    ]


def test_xml_records_of_all_kinds() -> None:
    data = """<r xmlns="urn:a" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><note>x</note>
    <row no="1"><id>7</id><tag>a</tag><tag/><addr><city>六安</city></addr><none xsi:nil="true"/></row>
    <row no="2">text<id>8</id></row><row id="3"><id>9</id></row><row no="4"><row><id>10</id></row></row></r>"""
    rows = read(data.encode(), "xml", records="row")
    assert (rows[0]["no"], rows[0]["id"], rows[0]["tag"], rows[0]["none"]) == ("1", "7", '["a", null]', None)
    assert "<city" in (rows[0]["addr"] or "").replace("ns0:", "")
    assert [row[UNREAD] is None for row in rows] == [True, False, False, True]
    assert "text" in (rows[1][UNREAD] or "")


@pytest.mark.parametrize("declared", ["GB2312", "euc-cn", "x-gbk", "GB18030-2022", "gb_2312-80"])
def test_xml_in_a_chinese_encoding_by_whatever_name(declared: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?><r><row><id>六安</id></row></r>'
    assert read(text.encode("gbk"), "xml", records="row")[0]["id"] == "六安"


def test_one_name_in_two_namespaces_is_no_list() -> None:
    data = b'<r xmlns:a="urn:a" xmlns:b="urn:b"><row><a:id>1</a:id><b:id>2</b:id></row><row><a:id>3</a:id></row></r>'
    rows = read(data, "xml", records="row")
    assert [row["id"] for row in rows] == [None, "3"]
    assert "<ns1:id>2" in (rows[0][UNREAD] or "")


@pytest.mark.parametrize(("data", "format"), [(b'[{"id": 1}]', "ndjson"), (b"[1, 2]", "json")])
def test_records_of_which_none_can_be_read_say_no_columns(data: bytes, format: str) -> None:
    assert refused(data, format).code == "format.no_objects"


def test_a_definition_elsewhere_is_not_fetched() -> None:
    assert read(OTHER_DTD, "xml", records="row")[0]["id"] == "1"


BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r><row><id>&b;</id></row></r>'
OUTSIDE = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r><row><id>&a;</id></row></r>'
OTHER_DTD = b'<!DOCTYPE r SYSTEM "http://example.org/a.dtd"><r><row><id>1</id></row></r>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BOMB, "format.xml_entities"),
        (OUTSIDE, "format.xml_entities"),
        (OTHER_DTD.replace(b">1<", b">1&other;<"), "format.no_xml"),
        (b"<r><row></r>", "format.no_xml"),
        (b"", "format.no_xml"),
        (b"<r><row><id>\xff</id></row></r>", "format.no_xml"),
        (b'<?xml version="1.0" encoding="GBK"?><r><row><id>\xff</id></row></r>', "format.encoding"),
        ("<r><row><id>六安</id></row></r>".encode("gbk"), "format.encoding"),
        *(
            (f'<?xml version="1.0" encoding="{one}"?><r/>'.encode(), "format.encoding")
            for one in ("big5", "shift_jis", "foo")
        ),
        (b"<r/>", "format.no_records"),
    ],
)
def test_xml_that_is_refused(data: bytes, code: str) -> None:
    assert refused(data, "xml", records="row").code == code
