"""Workbooks: what a cell shows is what comes, under headers as departments draw them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import LocalFile, cell_errors, opened
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import local, read, read_file, request
from tests.connectors.formats.xls import xls

Draw = Callable[[xlsxwriter.Workbook], None]


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., LocalFile]:
    def make(draw: Draw, *expected: str) -> LocalFile:
        path = tmp_path / "名册.xlsx"
        with xlsxwriter.Workbook(str(path)) as workbook:
            draw(workbook)
        return LocalFile(path, path.name, request(tmp_path, expected))

    return make


def errors(workbook: xlsxwriter.Workbook) -> None:
    for name in ("空表", "学生"):
        sheet = workbook.add_worksheet(name)
    sheet.write_row("B1", ["id", "name", "age"])
    for row, error in enumerate(["#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?"], 2):
        sheet.write(f"B{row}", str(row))
        sheet.write_formula(f"C{row}", "=A1", None, error)
        sheet.write_formula(f"D{row}", "=1+1", None, 2)


def test_errors_come_as_their_text_never_as_empty(book: Callable[..., LocalFile]) -> None:
    rows = read_file(book(errors), "xlsx", sheet="学生")
    assert [row["name"] for row in rows] == ["#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?"]
    assert {row["age"] for row in rows} == {"2"}


def headers(workbook: xlsxwriter.Workbook) -> None:
    sheet = workbook.add_worksheet("一")
    sheet.merge_range("A1:D1", "2026 年出生登记汇总表")
    sheet.merge_range("A3:A4", "编号")
    sheet.merge_range("B3:C3", "监护人")
    sheet.write_row("B4", ["姓名", "电话"])
    sheet.merge_range("D3:D4", "区县")
    sheet.write_row("A5", ["1", "甲", "138"])
    sheet.write_row("A6", ["2", "乙", "139"])
    sheet.merge_range("D5:D6", "金安区")


@pytest.mark.parametrize("header_row", [3, "auto"])
def test_headers_of_two_rows_and_merged_cells(book: Callable[..., LocalFile], header_row: Any) -> None:
    names = ("编号", "监护人_姓名", "监护人_电话", "区县")
    rows = read_file(book(headers, *names), "xlsx", header_row=header_row, header_rows=2)
    assert [tuple(row.values()) for row in rows] == [
        ("1", "甲", "138", "金安区", None),
        ("2", "乙", "139", "金安区", None),
    ]
    assert tuple(rows[0]) == (*names, UNREAD)


def several(workbook: xlsxwriter.Workbook) -> None:
    for name in ("金安", "裕安", "旧"):
        sheet = workbook.add_worksheet(name)
        sheet.write_row("A1", ["id", "name"])
        sheet.write_row("A2", [f"{name}1", "甲"])
    sheet.hide()


def test_all_sheets_and_where_a_row_is_from(book: Callable[..., LocalFile]) -> None:
    rows = read_file(book(several, "id", "_sheet"), "xlsx", sheets="all")
    assert [(row["id"], row["_sheet"]) for row in rows] == [("金安1", "金安"), ("裕安1", "裕安")]
    assert "_sheet" not in read_file(book(several, "id"), "xlsx", sheets="all")[0]


def different(workbook: xlsxwriter.Workbook) -> None:
    several(workbook)
    workbook.add_worksheet("附").write_row("A1", ["id", "姓名"])


def titled(workbook: xlsxwriter.Workbook) -> None:
    workbook.add_worksheet().write_row("A1", ["id", "姓名"])


@pytest.mark.parametrize(
    ("draw", "options", "code"),
    [
        (different, {"sheets": "all"}, "format.sheets_differ"),
        (titled, {"header_row": "auto"}, "format.header_not_found"),
        (lambda workbook: workbook.add_worksheet(), {"sheets": "all"}, "pull.no_header"),
    ],
)
def test_what_does_not_fit_is_said(book: Callable[..., LocalFile], draw: Draw, options: Any, code: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        read_file(book(draw, "id", "name"), "xlsx", **options)
    assert caught.value.code == code


def test_a_workbook_that_swells_is_stopped(book: Callable[..., LocalFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_errors, "LARGEST", 100)
    with pytest.raises(CitylakeError) as caught:
        read_file(book(titled), "xlsx")
    assert caught.value.code == "format.too_large"


def test_a_zip_that_is_no_workbook_is_said(tmp_path: Path) -> None:
    file = local(tmp_path, b"")
    with zipfile.ZipFile(file.path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<no")
    with pytest.raises(CitylakeError) as caught:
        read_file(file, "xlsx")
    assert caught.value.code == "format.no_workbook"


SHEET_2003 = b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>'
SEALED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000) + "EncryptedPackage".encode("utf-16-le")


@pytest.mark.parametrize("format", ["xls", "xlsx"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("<html><meta charset=gbk><table><tr><td>编号</td></tr></table>".encode("gbk"), "网页"),
        ("编号,名称\n1,甲\n".encode("gbk"), "纯文本"),
        (SHEET_2003, "XML"),
        (SEALED, "密码"),
        (SEALED[:3000], "损坏"),
        (b"", "损坏"),
    ],
)
def test_what_is_called_a_workbook_and_is_none_is_named(data: bytes, kind: str, format: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        read(data, format)
    assert caught.value.code == "format.no_workbook"
    assert kind in caught.value.text("zh")


def test_a_sheet_that_is_not_there_is_said_with_those_that_are(book: Callable[..., LocalFile]) -> None:
    with pytest.raises(CitylakeError) as caught:
        read_file(book(several, "id"), "xlsx", sheet="人员")
    assert (caught.value.code, caught.value.arguments["names"]) == ("pull.no_sheet", "“金安”、“裕安”、“旧”")


def test_a_workbook_under_the_older_name_is_read(book: Callable[..., LocalFile]) -> None:
    assert len(read_file(book(several, "id"), "xls")) == 1


def before(workbook: xlsxwriter.Workbook) -> None:
    """The sheet of the year before lies hidden before that of this year, as programs leave it."""
    for name in ("去年", "今年"):
        sheet = workbook.add_worksheet(name)
        sheet.write_row("A1", ["id", "name"])
        sheet.write_row("A2", [name, "甲"])
    sheet.activate()
    sheet.set_first_sheet()
    workbook.worksheets()[0].hide()


def test_a_hidden_sheet_is_read_only_if_it_is_named(book: Callable[..., LocalFile]) -> None:
    assert [row["id"] for row in read_file(book(before), "xlsx")] == ["今年"]
    assert [row["id"] for row in read_file(book(before), "xlsx", sheet="去年")] == ["去年"]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c r="B2"><f>A2+1</f></c>', "#NO_RESULT!=A2+1"),
        ('<c r="B2"><f>A2+1</f><v/></c>', "#NO_RESULT!=A2+1"),
        ('<c r="B2"><f>A2&amp;"x"</f><v></v></c>', '#NO_RESULT!=A2&"x"'),
        ('<c r="B2"><f t="shared" si="0"/></c>', "#NO_RESULT!="),
        ('<c r="B2" t="str"><f>A2&amp;"x"</f></c>', '#NO_RESULT!=A2&"x"'),
        ('<c r="B2" t="str"><f>""</f><v></v></c>', None),
        ('<c r="B2"><f>A2+1</f><v>2</v></c>', "2"),
        ('<c r="B2" t="inlineStr"><is><t>=&gt; 见附件</t></is></c>', "=> 见附件"),
        ('<c r="B2"/>', None),
    ],
)
def test_a_formula_without_a_result_is_no_empty_cell(
    book: Callable[..., LocalFile], tmp_path: Path, cell: str, shown: str | None
) -> None:
    """Programs that compute nothing write such files; Excel shows results in them."""

    def draw(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row("A1", ["id", "name"])
        sheet.write_string("A2", "1")
        sheet.write_number("B2", 7)

    file, part = book(draw), "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(file.path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = parts[part].replace(b'<c r="B2"><v>7</v></c>', cell.encode())
    assert cell.encode() in parts[part]
    with zipfile.ZipFile(file.path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert [row["name"] for row in read_file(file, "xlsx")] == [shown]


def totalled(workbook: xlsxwriter.Workbook) -> None:
    sheet = workbook.add_worksheet()
    for line, row in enumerate(
        [["id", "name"], ["1", "甲"], ["小 计", "1"], ["合计生", "乙"], [], ["  合\u3000计", 2], [None, "填报人：李四"]]
    ):
        sheet.write_row(line, 0, row)


def test_rows_of_totals_and_remarks_are_none_where_the_contract_names_them(book: Callable[..., LocalFile]) -> None:
    rows = read_file(book(totalled), "xlsx", notes=["小计", "合计", "填报人"])
    assert [row["id"] for row in rows] == ["1", "合计生"]
    assert [row["id"] for row in read_file(book(totalled), "xlsx", notes=["小计"])] == [
        "1",
        "合计生",
        "  合\u3000计",
        None,
    ]
    with opened(book(totalled), "xlsx", notes=["小计"]) as table:
        assert [place.number for place in table.places()] == [2, 4, 6, 7]


def test_a_name_that_begins_with_such_a_word_is_data_and_what_is_left_out_is_counted(
    book: Callable[..., LocalFile], tmp_path: Path
) -> None:
    cells = [
        "合计科技有限公司",
        "合计",
        "合  计",
        "合计：3",
        "合计（户）",
        "合计 3",
        "合计3",
        "备注信息服务部",
        "备注:无",
    ]

    def firms(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        for line, row in enumerate([["id", "name"], *([cell, "x"] for cell in cells)]):
            sheet.write_row(line, 0, row)

    file = book(firms)
    with opened(file, "xlsx", notes=["合计", "备注"]) as table:
        assert table.write(file.request) == 2
        assert table.left_out() == 7
    kept = read_file(book(firms), "xlsx", notes=["合计", "备注"])
    assert [row["id"] for row in kept] == ["合计科技有限公司", "备注信息服务部"]


def test_old_workbooks(tmp_path: Path) -> None:
    file = local(tmp_path, xls([["id", "姓名"], ["341502200501010013", "甲"], [341502200501010013.0, 2.5]]))
    rows = read_file(file, "xls", header_row="auto")
    assert [(row["id"], row["姓名"]) for row in rows] == [
        ("341502200501010013", "甲"),
        ("3.41502200501010E+17", "2.5"),
    ]


@pytest.mark.parametrize("error", [b"\x2a", b"\x00\x07", b"\x00", b"\x00\x17"])
def test_errors_in_old_workbooks_are_never_read_as_empty(tmp_path: Path, error: bytes) -> None:
    with pytest.raises(CitylakeError) as caught:
        read_file(local(tmp_path, xls([["id", "name"], ["1", "甲"], ["2", error]])), "xls")
    assert caught.value.code == "format.cell_error"
    assert (caught.value.arguments["row"], caught.value.arguments["column"]) == (3, 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_workbook_never_crashes(data: st.DataObject) -> None:
    whole = bytearray(xls([["id", "name"], ["1", "甲"], ["2", 3.5]]))
    whole[data.draw(st.integers(0, 2500))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(whole), "xls")
    except CitylakeError as error:
        assert error.text("zh") and error.text("en")


def test_a_stray_cell_at_the_end_of_the_sheet_does_not_end_the_process(book: Callable[..., LocalFile]) -> None:
    def stray(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row("A1", ["id", "name"])
        sheet.write("XFD1048576", "x")

    with pytest.raises(CitylakeError) as caught:
        read_file(book(stray), "xlsx")
    assert caught.value.code == "format.unreadable"


def text(value: str, attributes: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {attributes}><text:p>{value}</text:p></table:table-cell>'


def number(value: str, shown: str, kind: str = "float", style: str = "") -> str:
    named = f'table:style-name="{style}"' if style else ""
    return (
        f'<table:table-cell {named} office:value-type="{kind}" office:value="{value}"><text:p>{shown}</text:p>'
        "</table:table-cell>"
    )


ODS_STYLES = """
<number:number-style style:name="N1"><number:number number:min-integer-digits="6"/></number:number-style>
<number:number-style style:name="N2"><number:number number:decimal-places="1" number:display-factor="1000"/>
</number:number-style>
<style:style style:name="code" style:family="table-cell" style:data-style-name="N1"/>
<style:style style:name="child" style:family="table-cell" style:parent-style-name="code"/>
<style:style style:name="scaled" style:family="table-cell" style:data-style-name="N2"/>
"""


def ods(folder: Path, rows: str, columns: str = "", common: str = "") -> LocalFile:
    """The smallest spreadsheet of OpenDocument, of table-row elements below the header id, name."""
    names = {name: name for name in ("office", "table", "text", "style")} | {"number": "datastyle"}
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{urn}:1.0"' for name, urn in names.items())
    file = local(folder, b"")
    with zipfile.ZipFile(file.path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        archive.writestr("styles.xml", f"<office:document-styles {spaces}>{common}</office:document-styles>")
        header = f"<table:table-row>{text('id')}{text('name')}</table:table-row>"
        archive.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:automatic-styles>{'' if common else ODS_STYLES}"
            '</office:automatic-styles><office:body><office:spreadsheet><table:table table:name="前一张">'
            f'<table:table-row>{text("x")}</table:table-row></table:table><table:table table:name="一">{columns}'
            f"{header}{rows}</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    return file


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (text("#N/A"), "#N/A"),
        (text("#N/A", 'office:string-value="" table:formula="of:=NA()"'), "#N/A"),  # as LibreOffice writes an error
        (text("Err:522", 'office:string-value="" table:formula="of:=[.B2]"'), "#NO_RESULT!=of:=[.B2]"),
        (number("0", "#DIV/0!").replace("<table:table-cell", '<table:table-cell table:formula="of:=1/0"'), "#DIV/0!"),
        ('<table:table-cell table:formula="of:=[.A2]+1"/>', "#NO_RESULT!=of:=[.A2]+1"),
        (number("3", "3").replace("<table:table-cell", '<table:table-cell table:formula="of:=1+2"'), "3"),
        (number("0.125", "13%", "percentage"), "12.5%"),
        (number("123", "000123", style="code"), "000123"),
        (number("123", "000123", style="child"), "000123"),
        (number("12345", "12.3", style="scaled"), "12345 [÷1000]"),
        (number("12.5", "￥12.50", "currency"), "12.5"),
        (number("341502199001011234", "341502199001011234"), "3.41502199001011E+17"),
        (text('甲<text:tab/>乙<text:s text:c="2"/>丙<text:line-break/><text:span>丁</text:span>'), "甲\t乙  丙\n丁"),
        (text("甲</text:p><text:p>乙"), "甲\n乙"),
    ],
)
@pytest.mark.parametrize("common", ["", ODS_STYLES])
def test_a_cell_of_ods_comes_as_it_is_shown(tmp_path: Path, cell: str, shown: str, common: str) -> None:
    repeated = f'<table:table-row table:number-rows-repeated="2">{text("1")}{cell}</table:table-row>'
    above = '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>'
    file = ods(tmp_path, f"{repeated}<table:table-row>{text('2')}{text('末')}</table:table-row>", above, common)
    rows = read_file(file, "ods", sheet="一", header_row=4)
    assert [(row["id"], row["name"]) for row in rows] == [("1", shown), ("1", shown), ("2", "末")]


def test_the_style_of_a_column_of_ods_counts(tmp_path: Path) -> None:
    columns = '<table:table-column/><table:table-column table:default-cell-style-name="code"/>'
    file = ods(tmp_path, f"<table:table-row>{number('7', '7')}{number('7', '000007')}</table:table-row>", columns)
    assert read_file(file, "ods", sheet="一") == [{"id": "7", "name": "000007", UNREAD: None}]


def test_a_merged_cell_of_ods_is_read_in_every_row(tmp_path: Path) -> None:
    merged = text("金安区", 'table:number-rows-spanned="2"')
    rows = f"<table:table-row>{text('1')}{merged}</table:table-row>"
    rows += f"<table:table-row>{text('2')}<table:covered-table-cell/></table:table-row>"
    rows += f"<table:table-row>{text('3')}<table:table-cell/></table:table-row>"
    found = read_file(ods(tmp_path, rows), "ods", sheet="一")
    assert [row["name"] for row in found] == ["金安区", "金安区", None]


def test_a_day_that_two_numbers_of_excel_mean_is_refused(book: Callable[..., LocalFile]) -> None:
    """Excel counts a 29 February 1900; calamine gives the 28th for both."""

    def days(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["id", "name"])
        day, moment = (workbook.add_format({"num_format": code}) for code in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm"))
        for line, serial in enumerate([58, 59, 60, 61], 1):
            sheet.write_number(line, 0, serial, day)
            sheet.write_number(line, 1, serial + 0.25, moment)

    rows = [(row["id"], row["name"]) for row in read_file(book(days), "xlsx")]
    assert rows == [
        ("1900-02-27", "1900-02-27 06:00:00"),
        ("1900-02-28?", "1900-02-28?"),
        ("1900-02-28?", "1900-02-28?"),
        ("1900-03-01", "1900-03-01 06:00:00"),
    ]


SHOWN = [("0%", True), ("0.00%", True), ("#,##0.0%", True), ("[Red]0.0%;-0.0%", True), ("0.0", False),
         ('0.0"%"', False), ("0.0\\%", False), ("General", False)]  # fmt: skip


def test_a_percentage_is_what_its_cell_shows(book: Callable[..., LocalFile]) -> None:
    """With all its digits, for 12.345% that is shown as 12% is no whole number."""

    def shares(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["id", "name"])
        for line, (code, _) in enumerate(SHOWN, 1):
            sheet.write_number(line, 0, 0.07, workbook.add_format({"num_format": code}))
            sheet.write_number(line, 1, 0.12345)
        percent = workbook.add_format({"num_format": "0%"})
        sheet.write_formula(9, 0, "=1/8", percent, 0.125)
        sheet.write_string(10, 0, "8", percent)
        sheet.write_number(11, 0, -12, percent)
        sheet.write_number(12, 0, 0, percent)

    rows = [row["id"] for row in read_file(book(shares), "xlsx")]
    assert rows == [*("7%" if shown else "0.07" for _, shown in SHOWN), "12.5%", "8", "-1200%", "0%"]
    assert {row["name"] for row in read_file(book(shares), "xlsx")[:8]} == {"0.12345"}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("0!.0,", "12345 [0!.0,]"),
        ("0\\.0,", "12345 [0\\.0,]"),
        ("#,##0,", "12345 [#,##0,]"),
        ("0.00,,", "12345 [0.00,,]"),
        ("#,##0", "12345"),
        ("#,##0.00;-#,##0.00", "12345"),
        ('0"千,"', "12345"),
    ],
)
def test_a_number_that_is_shown_smaller_is_none(book: Callable[..., LocalFile], code: str, text: str) -> None:
    """A column in 万元 and a cell that shows 1.2 and holds 12345: either may be meant."""

    def sums(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["id", "name"])
        sheet.write_number(1, 0, 12345, workbook.add_format({"num_format": code}))
        sheet.write_number(1, 1, 12345)

    assert [(row["id"], row["name"]) for row in read_file(book(sums), "xlsx")] == [(text, "12345")]


REFUSED = {1: "format.cell_percent", 2: "format.cell_percent", 5: "format.cell_scaled", 6: "format.cell_padded"}


@pytest.mark.parametrize("style", range(1, 8))
@pytest.mark.parametrize("several", [False, True])
def test_an_old_workbook_that_shows_other_numbers_than_it_holds_is_refused(
    tmp_path: Path, style: int, several: bool
) -> None:
    """Its own formats are found by their code, those of Excel by their number."""
    data = xls([["id", "name"], ["1", 0.125, 2.0]], style, several)
    file = local(tmp_path, data)
    if style in REFUSED:
        with pytest.raises(CitylakeError) as caught:
            read_file(file, "xls")
        told = caught.value
        assert (told.code, told.arguments["row"], told.arguments["column"]) == (REFUSED[style], 2, 2)
        assert "第 2 行第 2 列" in told.text("zh")
    else:
        assert read_file(local(tmp_path, xls([["id", "name"], ["1", 0.125]], style)), "xls")[0]["name"] == "0.125"


def test_zeros_that_only_the_format_of_a_cell_shows_are_read(book: Callable[..., LocalFile]) -> None:
    """The sender saw a code with them; other formats and long numbers are as ever."""

    def codes(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["id", "name"])
        six, both = (workbook.add_format({"num_format": code}) for code in ("000000", "0000;-0000"))
        other = workbook.add_format({"num_format": "0.00"})
        for line, (value, form) in enumerate([(123, six), (1234567, six), (7, both), (1.5, six), (12, other)], 1):
            sheet.write_number(line, 0, value, form)
            sheet.write_number(line, 1, 5)
        sheet.write_formula(6, 0, "=1+1", six, 2)
        sheet.write_string(7, 0, "8", six)
        sheet.write_number(8, 0, 10**15, six)

    rows = [row["id"] for row in read_file(book(codes), "xlsx")]
    assert rows == ["000123", "1234567", "0007", "1.5", "12", "000002", "8", "1.00000000000000E+15"]
    assert {row["name"] for row in read_file(book(codes), "xlsx")[:5]} == {"5"}
