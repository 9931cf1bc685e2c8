"""CSV: what DuckDB copies is what the exact cutter reads, and no cell is ever another than the one that was written."""

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import cutter, encodings, fast_csv, opened
from pipelines.connectors.formats.csv_rows import CsvRows
from pipelines.connectors.formats.delimited import _layout
from pipelines.connectors.formats.notes import NoteRows
from pipelines.engine import connect
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import local, read, read_file, request

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = ["a", "甲", "䃥", "𠮷", ",", '"', '""', "\n", "\r", "\r\n", " ", "\t", ";", "\u3000", "\u2028", "\x85", "\x00",
          "\\N", "NULL", "#", "'", "\ufeff", "|", "\\", ",,", '",', ',"', '" ', ' "']  # fmt: skip
messy = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
cell = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


def ways(data: bytes, encoding: Any = "utf-8", delimiter: Any = ",") -> dict[str, Any]:
    """What each way makes of a file: the rows, a message id, or None for a file it will not take."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = local(folder, data)
        try:
            table = CsvRows(file, _layout(file, encoding, delimiter, 1))
        except CitylakeError as error:
            return {"header": error.code}
        for way in (fast_csv._vouched, fast_csv._sieved):
            try:
                plain = way(table, folder / f"{way.__name__}.csv")
                done = plain and fast_csv._copied(plain, table, request(folder))
                found[way.__name__] = None if done is None else pl.read_parquet(folder / "rows.parquet").rows()
            except CitylakeError as error:
                found[way.__name__] = error.code
        try:
            found["exact"] = [tuple(value or None for value in row) for row in table.rows()]
        except CitylakeError as error:
            found["exact"] = error.code
    return found


@many
@given(st.lists(messy, max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.integers(1, 3))
@example(['1,"a'], "\n", True, 2)
@example(['1,"a', '2,b"'], "\n", True, 2)
@example(["1,2,", "1"], "\n", True, 2)
@example(['1,2,""'], "\r\n", True, 2)
@example(['1, "2"'], "\n", True, 2)
@example(["", "1,2", ""], "\r\n", True, 2)
@example(["\ufeff1,2"], "\n", False, 2)
def test_all_ways_agree(lines: list[str], line_break: str, last: bool, width: int) -> None:
    header = ",".join(f"n{number}" for number in range(width))
    text = line_break.join([header, *lines]) + (line_break if last else "")
    found = ways(text.encode())
    for way, result in found.items():
        assert result is None or result == found.get("exact", result), way


@many
@given(
    st.lists(st.lists(cell, min_size=2, max_size=2), max_size=8),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "|", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
)
def test_what_is_written_is_read(rows: list[list[str]], quoting: Any, end: str, delimiter: Any, encoding: str) -> None:
    rows = [row for row in rows if any(row)]
    assume(quoting == csv.QUOTE_ALL or end == "\r\n" or not any("\r" in one for row in rows for one in row))
    text = io.StringIO(newline="")  # its minimum does not quote a carriage return that is no line terminator
    writer = csv.writer(text, quoting=quoting, lineterminator=end, delimiter=delimiter)
    writer.writerows([["id", "name"], *rows])
    data = text.getvalue().encode(encoding)
    found = read(data, encoding=encoding.removesuffix("-sig"), delimiter=delimiter)
    assert [[row["id"] or "", row["name"] or ""] for row in found] == rows
    assert all(row[UNREAD] is None for row in found)


@many
@given(
    st.lists(st.sampled_from([*b",\n\x00a0\x80\x81\xb0\xa1\xfe\xff\xe4\xbd\xa0\xee\xed"]), max_size=30).map(bytes),
    st.sampled_from(["utf-8", "gbk", "gb18030"]),
)
def test_bytes_without_quotes_are_told_line_by_line(data: bytes, encoding: Any) -> None:
    """Against the simplest decoder there is: a line is text of two fields, or it is refused whole."""
    try:
        rows = read(b"id,name\n" + data, encoding=encoding)
    except CitylakeError as error:
        assert error.code == "format.encoding" or (error.code == "format.utf16" and b"\0" in data)
        return
    expected: list[tuple[str | None, ...]] = []
    for line in data.split(b"\n"):
        try:
            fields = line.decode(encoding).translate(encodings._PUBLISHED_SINCE if encoding == "gb18030" else {})
            expected += [(*(one or None for one in fields.split(",")), None)] if fields.count(",") == 1 else []
            expected += [(None, None, fields)] if fields and fields.count(",") != 1 else []
        except UnicodeDecodeError:
            expected.append((None, None, encodings.shown(line, encoding)))
    assert [tuple(row.values()) for row in rows] == expected


@many
@given(
    st.lists(st.lists(st.text('a甲,\n" 1', max_size=4), min_size=3, max_size=3), min_size=1, max_size=6),
    st.data(),
    st.sampled_from(["utf-8", "gbk"]),
)
def test_a_changed_byte_never_gives_a_wrong_cell(rows: list[list[str]], data: st.DataObject, encoding: Any) -> None:
    """One byte of a written file is replaced. Every row that is read stands in the file as the reference cuts it."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([["x", "y", "z"], *rows])
    written = bytearray(text.getvalue().encode(encoding))
    place = data.draw(st.integers(6, len(written) - 1))
    written[place] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(written), encoding=encoding)
    except CitylakeError as error:
        assert error.code in ("format.encoding", "pull.csv_broken")
        return
    shown = bytes(written).decode(encoding, "backslashreplace")
    good = [[row["x"] or "", row["y"] or "", row["z"] or ""] for row in found if row[UNREAD] is None]
    try:
        reference = list(csv.reader(io.StringIO(shown, newline=""), strict=True))
    except csv.Error:  # quotes that are wrong: what is read begins at some line, and stands there
        lines = shown.split("\n")
        starts = ("\n".join(lines[number:]) for number in range(len(lines)))
        reference = [*rows, *csv.reader(shown.splitlines())]
        reference += [row for text in starts for row in csv.reader(io.StringIO(text, newline=""))]
    assert all(row in reference for row in good)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["auto", "utf-8", "gbk", "gb18030"]), st.sampled_from([1, "auto"]))
def test_any_bytes_are_read_or_refused(data: bytes, encoding: Any, header_row: Any) -> None:
    try:
        read(data, encoding=encoding, delimiter="auto", header_row=header_row)
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")


def test_encodings_that_agree_and_that_do_not() -> None:
    """GBK is a part of GB 18030: whichever is said, a cell is right or its row is refused."""
    for lead in range(0x81, 0xFF):
        pairs = [bytes([lead, trail]) for trail in range(0x40, 0xFF) if trail != 0x7F]
        as_gbk, as_gb18030 = ([_or_none(pair, known) for pair in pairs] for known in ("gbk", "gb18030"))
        assert all(one in (None, other) for one, other in zip(as_gbk, as_gb18030, strict=True))


def _or_none(data: bytes, encoding: str) -> str | None:
    try:
        return encodings.decoded(data, encoding)
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize(
    ("data", "as_gbk", "as_gb18030"),
    [
        (b"\x80", None, None),  # the euro of Windows, which neither standard has
        (b"\xa2\xe3", None, "€"),
        (b"\xa8\xbc", None, "ḿ"),
        (b"\xa6\xd9", None, "︐"),
        (b"\xfe\x59", None, "龴"),
        (b"\xfe\x51", None, "𠂇"),
        (bytes.fromhex("82359037"), None, "龴"),
        (bytes.fromhex("8231d637"), None, bytes.fromhex("8231d637").decode("gb18030")),
        ("䃥".encode("gb18030"), None, "䃥"),
        ("六安".encode("gbk"), "六安", "六安"),
    ],
)
def test_characters_of_the_standards(data: bytes, as_gbk: str | None, as_gb18030: str | None) -> None:
    file = "编号,名称\n1,".encode("gbk") + data + "\n2,安\n3,徽\n".encode("gbk")
    for encoding, expected in (("gbk", as_gbk), ("gb18030", as_gb18030)):
        rows = read(file, encoding=encoding)
        assert [row["名称"] for row in rows] == [expected, "安", "徽"]
        assert (rows[0][UNREAD] is None) == (expected is not None)


@pytest.mark.parametrize(
    ("written", "said", "fits"),
    [("gbk", "utf-8", "gbk"), ("utf-8", "gbk", "utf-8"), ("utf-8", "gb18030", "utf-8"),
     ("gb18030", "utf-8", "gb18030"), ("utf-8-sig", "gbk", "utf-8")],
)  # fmt: skip
def test_a_wrong_encoding_is_said_with_the_one_that_fits(written: str, said: Any, fits: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        read(
            "编号,名称\n1,出生䃥\n2,六安\n".replace("䃥", "䃥" if written == "gb18030" else "").encode(written),
            encoding=said,
        )
    assert (caught.value.code, caught.value.arguments["fits"]) == ("format.encoding", fits)


@pytest.mark.parametrize(("said", "format"), [("utf-8", "csv"), ("gbk", "csv"), ("auto", "csv"), ("utf-8", "json")])
def test_utf_16_is_to_be_written_anew(said: Any, format: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        read('[{"编号": "1"}]\n'.encode("utf-16"), format, encoding=said)
    assert caught.value.code == "format.utf16"
    if said != "auto":
        with pytest.raises(CitylakeError) as caught:  # without its mark
            read(('[{"编号": "1", "name": "x"}]\n' * 5).encode("utf-16-be"), format, encoding=said)
        assert caught.value.code == "format.utf16"


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_the_encoding_is_found(written: str) -> None:
    data = "编号,名称\n1,六安\n2,b\n".encode(written)
    assert [row["名称"] for row in read(data, encoding="auto")] == ["六安", "b"]


def test_a_damaged_line_does_not_change_the_encoding_that_is_found() -> None:
    rows = read("编号,名称\n1,六安\n2,安".encode() + b"\xff\n", encoding="auto")
    assert [(row["名称"], row[UNREAD]) for row in rows] == [("六安", None), (None, "2,安\\xff")]


def test_what_could_be_two_encodings_is_asked() -> None:
    with pytest.raises(CitylakeError, match="encoding") as caught:
        read("id,name\n1,女\n".encode("gbk"), encoding="auto")  # its bytes are UTF-8 too
    assert caught.value.code == "format.ambiguous"


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("titles", ["", "出生登记,,;|\n", '"2026 年\n汇总",,\n\n'])
def test_header_and_delimiter_are_found(delimiter: str, titles: str) -> None:
    table = f"编号{delimiter}名称{delimiter}备注\n1{delimiter}甲{delimiter}\n"
    data = (titles.replace(",,", delimiter * 2) + table).encode()
    rows = read(data, expected=("名称", "编号"), delimiter="auto", header_row="auto")
    assert rows == [{"编号": "1", "名称": "甲", "备注": None, UNREAD: None}]


def test_a_header_that_is_not_there_is_said() -> None:
    with pytest.raises(CitylakeError) as caught:
        read("编号,姓名\n1,甲\n".encode(), expected=("编号", "名称"), header_row="auto")
    assert caught.value.code == "format.header_not_found"


def test_after_quotes_that_are_wrong_no_later_one_is_trusted() -> None:
    """The second line may be the rest of the first: both are refused, and what has no quotes is read."""
    rows = read(b'id,name\n1,"he said "hi\nthere",2\n3,c"d\n4,e\n')
    assert [row["id"] for row in rows] == [None, None, None, "4"]
    assert read(b'id,name\n3,c"d\n')[0]["name"] == 'c"d'


def test_blocks_and_pieces_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "BLOCK", 7)
    text = "id,name\n" + "".join(f'{n},"甲\n{n}""x"\n{n},b\n' for n in range(50)) + "51\n52,c"
    for encoding in ("utf-8", "gb18030"):
        found = ways(text.encode(encoding), encoding)
        assert found["_sieved"] == found["exact"]
        assert found["exact"][-2:] == [(None, None, "51"), ("52", "c", None)]
        assert found["exact"][0] == ("0", '甲\n0"x', None)


def test_a_line_longer_than_duckdb_takes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "长" * 3_000_000
    assert read(f"id,name\n1,{long}\n2,b\n".encode())[0]["name"] == long
    monkeypatch.setattr(encodings, "LONGEST_LINE", 1000)
    monkeypatch.setattr(encodings, "BLOCK", 100)
    with pytest.raises(CitylakeError) as caught:
        read(f"id,name\n1,{long}\n".encode())
    assert caught.value.code == "format.endless_line"


def test_clean_files_take_the_fast_way() -> None:
    """Else all others would be pointless: the fast way takes what it can, not nothing."""
    for data in (
        b"id,name\n1,a\n2,\n",
        b"id,name\r\n1,a\r\n",
        b'"id","name"\n"1","a\nb"\n',
        b"\xef\xbb\xbfid,name\n1,a",
    ):
        found = ways(data)
        assert found["_vouched"] == found["exact"]
    assert ways("id,name\n1,甲\n".encode("gbk"), "gbk")["_vouched"] == [("1", "甲", None)]


@pytest.mark.parametrize("quoted", [False, True])
def test_many_threads_keep_the_order_of_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quoted: bool) -> None:
    """Where a refused row stands is told by counting: row groups must lie as the lines do, quotes or not."""

    @contextmanager
    def threads(scratch: Path, alone: bool) -> Iterator[Any]:
        with connect(scratch, alone=alone) as con:
            con.execute("SET threads = 8")
            yield con

    monkeypatch.setattr(fast_csv, "connect", threads)
    rows = 400_000
    name = '"x\n,y"' if quoted else "x"
    data = "id,name\n" + "".join(f"{n},{name}\n" for n in range(rows))
    file = local(tmp_path, data.encode())
    table = CsvRows(file, _layout(file, "utf-8", ",", 1))
    assert fast_csv.write(table, request(tmp_path)) == rows
    written = pl.read_parquet(tmp_path / "rows.parquet", columns=["id"])["id"].cast(pl.Int64)
    assert pq.ParquetFile(tmp_path / "rows.parquet").num_row_groups > 2
    assert written.equals(pl.int_range(rows, eager=True).alias("id"))


def test_an_open_quote_that_never_ends_is_said_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutter, "LONGEST_FIELD", 1000)
    with pytest.raises(CitylakeError) as caught:
        read(b'id,name\n1,"' + b'a""\n' * 1000)
    assert (caught.value.code, caught.value.arguments["line"]) == ("pull.csv_broken", 2)


NOTED = (
    "id,name,amount\n"
    "1,甲,2\n"
    "合计科技有限公司,乙,3\n"
    ",合计,5\n"
    '"合  计",,5\n'
    "填报人：张三\n"
    "填报人 李四 审核人 王五,,,,\n"
    '"备注：\n两行",,\n'
    "填报人张三\n"
    "合计\n"
    "2,丙,4\n"
    "合计：1,2\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_totals_and_remarks_that_a_contract_names_are_left_out(tmp_path: Path, encoding: str, end: str) -> None:
    """However many fields they have; what only begins so is a row, or a refused one."""
    file = local(tmp_path, NOTED.replace("\n", end).encode(encoding))
    options: dict[str, Any] = {"encoding": encoding, "notes": ["合计", "填报人", "备注"]}
    rows = read_file(file, "csv", **options)
    assert [(row["id"], row[UNREAD]) for row in rows] == [
        ("1", None),
        ("合计科技有限公司", None),
        (None, "填报人张三"),
        ("2", None),
    ]
    with opened(file, "csv", **options) as table:
        assert table.write(file.request) == 4 and table.left_out() == 7
    with opened(file, "csv", **options) as table:
        assert [place.number for place in table.places()] == [2, 3, 10, 12]
    assert len(read_file(file, "csv", encoding=encoding)) == 11, "without the contract's word all are rows"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.lists(
            st.sampled_from(["", "合计", "合 计", "合计：", "合计x", "1", '"合计"', '"a\n合计"', " 合计"]), max_size=4
        ),
        max_size=8,
    )
)
def test_every_way_of_reading_leaves_out_the_same(tmp_path: Path, lines: list[list[str]]) -> None:
    text = "a,b,c\n" + "".join(f"{','.join(line)}\n" for line in lines)
    file = local(tmp_path, text.encode())
    layout = _layout(file, "utf-8", ",", 1)
    slow, fast = (CsvRows(file, layout, NoteRows(["合计"], ",")) for _ in range(2))
    expected = [[value or None for value in row] for row in slow.rows()]
    assert fast_csv.write(fast, file.request) == len(expected)
    assert [list(row) for row in pl.read_parquet(file.request.target).rows()] == expected
    assert fast.notes.count == slow.notes.count
