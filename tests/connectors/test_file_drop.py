"""Dropped files: nothing is lost or shifted, half files wait, and what cannot be read is said with file and line."""

import csv
import io
import os
import random
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from pipelines.connectors import base, drop_box, file_drop
from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import cutter
from pipelines.connectors.stores import folder
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from tests.city import seed_from_clock
from tests.connectors.conftest import OWNER, Puller
from tests.connectors.drops import HEADER, NAMES, Drop
from tests.connectors.store_servers import FolderBackend


@pytest.fixture
def drop(tmp_path: Path, puller: Callable[..., Puller]) -> Drop:
    return Drop(FolderBackend(tmp_path), puller)


def good(*rows: tuple[str | None, str | None]) -> list[dict[str, str | None]]:
    return [{"id": id_, "name": name, UNREAD: None} for id_, name in rows]


def test_files_taken_before_are_not_read_again(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        drop.put(f"birth_{number}.csv", f"{HEADER}{number},甲\n")
    read: list[str] = []

    def hashed(file: Path) -> str:
        read.append(file.name)
        return sha256(file)

    for module in (file_drop, folder):
        monkeypatch.setattr(module, "sha256", hashed)
    while drop.pull() is not None:
        pass
    assert len(read) == 10  # each once as the copy and once after it


def test_half_files_wait(drop: Drop) -> None:
    file = drop.store.root / drop.put("birth_1.csv", f"{HEADER}1,甲\n", marker=False)
    assert drop.pull() is None
    (drop.store.root / "birth_1.csv.ok").touch()
    now = time.time()
    os.utime(file, (now + 5, now + 5))  # written anew: the marker is that of the file before
    assert drop.pull() is None
    os.utime(file, (now - 5, now - 5))
    assert drop.pull() == good(("1", "甲"))


@pytest.mark.parametrize(("age", "ready"), [(5, False), (60, True), (-7200, False)])
def test_stable_means_that_nothing_changed_for_a_while(drop: Drop, age: int, ready: bool) -> None:
    file = drop.store.root / drop.put("birth_1.csv", f"{HEADER}1,甲\n", marker=False)
    os.utime(file, (time.time() - age,) * 2)
    assert (drop.pull(complete="stable") is not None) == ready


def test_a_time_of_the_future_does_not_hide_a_file(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    file = drop.store.root / drop.put("birth_1.csv", f"{HEADER}1,甲\n", marker=False)
    os.utime(file, (time.time() + 86400,) * 2)
    monkeypatch.setattr(drop_box, "STABLE_SECONDS", 0)
    assert drop.pull(complete="stable") == good(("1", "甲"))


def test_a_file_replaced_while_it_is_read_is_not_taken(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    file = drop.store.root / drop.put("birth_1.csv", f"{HEADER}1,甲\n")
    real = shutil.copyfileobj

    def replaced(*streams: Any) -> None:
        real(*streams)
        file.write_text(f"{HEADER}2,乙\n", "utf-8")

    monkeypatch.setattr(folder.shutil, "copyfileobj", replaced)
    assert drop.refused().code == "pull.file_changed"
    monkeypatch.undo()
    (drop.store.root / "birth_1.csv.ok").touch()
    assert drop.pull() == good(("2", "乙"))


def test_links_are_no_deliveries(drop: Drop, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://reader:geheim@host/db\n")
    (drop.store.root / "birth_1.csv").symlink_to(secret)
    (drop.store.root / "birth_1.csv.ok").touch()
    assert drop.pull() is None


def test_a_long_name_can_be_kept(drop: Drop) -> None:
    drop.put(f"birth_{'长' * 80}.csv", f"{HEADER}1,甲\n", marker=False)
    drop.pull(complete="stable")
    os.utime(next(drop.store.root.iterdir()), (0, 0))
    assert drop.pull(complete="stable") == good(("1", "甲"))


def test_a_name_that_is_no_text_is_said(drop: Drop) -> None:
    file = os.fsencode(drop.store.root) + "/birth_出生.csv".encode("gbk")
    Path(os.fsdecode(file)).write_text(f"{HEADER}1,甲\n")
    error = drop.refused(complete="stable")
    assert (error.code, error.arguments["file"]) == ("pull.file_name", "birth_出生.csv")
    assert drop.pull(files="death_*", complete="stable") is None  # no affair of other sources


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f'{HEADER}1,"甲\n乙"\n2,"a,b"\n3,"say ""yes"""\n', good(("1", "甲\n乙"), ("2", "a,b"), ("3", 'say "yes"'))),
        (f"{HEADER}1,甲", good(("1", "甲"))),
        (f"{HEADER}\r\n1,甲\r\n\r\n", good(("1", "甲"))),
        (f"{HEADER}1,\n,乙\n", good(("1", None), (None, "乙"))),
        (f"\ufeff{HEADER}1,甲\n", good(("1", "甲"))),
        ("id,name,\n1,甲,\n2,乙\n", good(("1", "甲"), ("2", "乙"))),
        (HEADER, []),
        (f"{HEADER}007, 甲 \n", good(("007", " 甲 "))),
    ],
)
def test_values_come_as_they_are(drop: Drop, text: str, rows: list[dict[str, str | None]]) -> None:
    drop.put("birth_1.csv", text)
    assert drop.pull() == rows


def test_rows_of_another_width_come_whole(drop: Drop) -> None:
    drop.put("birth_1.csv", f'{HEADER}1,甲\n2\n3,丙,x\n4,"丁\n戊",y\r\n5,己\n')
    rows = drop.pull()
    assert rows is not None
    assert [row["id"] for row in rows] == ["1", None, None, None, "5"]
    assert [row["name"] for row in rows] == ["甲", None, None, None, "己"]
    assert [row[UNREAD] for row in rows] == [None, "2", "3,丙,x", '4,"丁\n戊",y', None]


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "pull.no_header", {}),
        (",,\n", "pull.no_header", {}),
        ("id,name,id\n1,甲,2\n", "pull.bad_header", {}),
        ("id,name,ID\n1,甲,2\n", "pull.bad_header", {}),
        ("id,,name\n1,x,甲\n", "pull.bad_header", {}),
        (f"{UNREAD},id,name\n", "pull.bad_header", {}),
        ("id,\0,姓名\n", "pull.bad_header", {}),
        ("id,names\n1,甲\n", "pull.columns_missing", {}),
        (f'{HEADER}1,甲\n2,"乙\n3,丙\n', "pull.csv_broken", {"line": 3}),
    ],
)
def test_what_is_no_table_is_said(drop: Drop, text: str, code: str, told: dict[str, int]) -> None:
    drop.put("birth_1.csv", text)
    error = drop.refused()
    assert error.code == code
    assert told.items() <= error.arguments.items()
    assert "birth_1.csv" in str(error)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("张三丰,男,13900000001,1990-03-07", "pull.row_as_header"),
        ("13900000001,13900000001", "pull.row_as_header"),
        ("id,李建国", "pull.columns_missing"),
        ("id,李建国,李建国", "pull.bad_header"),
    ],
)
def test_a_row_in_the_place_of_the_header_is_not_shown(drop: Drop, header: str, code: str) -> None:
    drop.put("birth_1.csv", f"{header}\n1,甲\n")
    error = drop.refused()
    assert error.code == code
    said = " ".join([error.text("zh"), error.text("en"), str(error.arguments)])
    assert "birth_1.csv" in said
    assert not [one for one in ("张三丰", "李建国", "13900000001", "1990-03-07") if one in said]
    assert code == "pull.row_as_header" or "“#2”" in said or "“#1”" in said


def test_a_quote_that_swallows_a_large_file_is_said(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutter, "LONGEST_FIELD", 1000)
    drop.put("birth_1.csv", f'{HEADER}1,"甲\n' + "2,乙\n" * 1000)
    assert drop.refused().arguments["line"] == 2


@pytest.mark.parametrize(
    ("encoding", "data", "line", "byte"),
    [
        ("gbk", f"\ufeff{HEADER}1,甲\n".encode(), 1, 1),
        ("gbk", f"{HEADER}1,䃥\n".encode("gb18030"), 2, 3),
        ("utf-8", f"{HEADER}1,甲\n".encode("gbk"), 2, 3),
    ],
)
def test_bytes_that_are_no_text_are_said(drop: Drop, encoding: str, data: bytes, line: int, byte: int) -> None:
    drop.put("birth_1.csv", data)
    error = drop.refused(encoding=encoding)
    assert (error.code, error.arguments["line"], error.arguments["byte"]) == ("format.encoding", line, byte)
    for language in ("zh", "en"):
        assert "birth_1.csv" in error.text(language)
        assert OWNER in error.text(language)


@pytest.mark.parametrize(
    ("encoding", "line", "shown"),
    [
        ("gbk", b"2," + b"\xff\xb0\xa1", "2,\\xff啊"),
        ("gb18030", b"2,x\x81", "2,x\\x81"),
        ("utf-8", "2,甲".encode()[:-1], "2,\\xe7\\x94"),
        ("utf-8", b"2,a\rb", "2,a\rb"),
        ("utf-8", b'2,"a"b', '2,"a"b'),
    ],
)
def test_a_line_that_cannot_be_read_is_one_refused_row(drop: Drop, encoding: Any, line: bytes, shown: str) -> None:
    good_lines = [f"{HEADER}1,甲\n".encode(encoding), "3,乙\n".encode(encoding)]
    drop.put("birth_1.csv", good_lines[0] + line + b"\n" + good_lines[1])
    assert drop.pull(encoding=encoding) == [
        *good(("1", "甲")),
        {"id": None, "name": None, UNREAD: shown},
        *good(("3", "乙")),
    ]


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "六安"), ("gb18030", "䃥𠮷"), ("utf-8", "䃥𠮷")])
def test_encodings(drop: Drop, encoding: Any, name: str) -> None:
    drop.put("birth_1.csv", f"{HEADER}1,{name}\n".encode(encoding))
    assert drop.pull(encoding=encoding) == good(("1", name))


def test_titles_above_the_header_and_other_delimiters(drop: Drop) -> None:
    drop.put("birth_1.csv", "出生登记\n\nid|name\n1|a,b\n")
    assert drop.pull(header_row=3, delimiter="|") == good(("1", "a,b"))


def test_random_tables_come_back(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in fields: the rows of the raw file are those that were written, in their order, in pieces."""
    monkeypatch.setattr(base, "PIECE", 7)
    seed = seed_from_clock()
    chance = random.Random(seed)
    rows = [["".join(chance.choices('a甲𠮷,"\n\r \0;', k=chance.randrange(5))) for _ in NAMES] for _ in range(200)]
    rows = [row for row in rows if any(row)]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([list(NAMES), *rows])
    drop.put("birth_1.csv", text.getvalue())
    assert drop.pull() == good(*((id_ or None, name or None) for id_, name in rows)), seed


@pytest.mark.parametrize("address", ["/tmp", "file:///no/such/folder", "http://x/y", ""])
def test_a_folder_that_is_none_is_said(puller: Callable[..., Puller], address: str) -> None:
    with pytest.raises(CitylakeError) as caught:
        puller("file_drop", address, NAMES).pull(files="*", format="csv")
    assert caught.value.code == "pull.no_folder"


class Sheet:
    """A workbook made by xlsxwriter."""

    def __init__(self, file: Path) -> None:
        self.book = xlsxwriter.Workbook(str(file))
        self.sheet = self.book.add_worksheet("学生")
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.file = file

    def done(self) -> None:
        self.book.close()
        self.file.with_name(f"{self.file.name}.ok").touch()


@pytest.fixture
def sheet(drop: Drop) -> Sheet:
    return Sheet(drop.store.root / "birth_1.xlsx")


def test_cells_become_texts_and_ruined_numbers_cannot_pass_for_ids(drop: Drop, sheet: Sheet) -> None:
    sheet.sheet.write_row("A1", NAMES)
    sheet.sheet.write_string("A2", "341502200501010013")
    sheet.sheet.write_number("A3", 341502200501010013)
    sheet.sheet.write_number("A4", 999_999_999_999_999)
    sheet.sheet.write_number("A5", 1e15)
    sheet.sheet.write_number("A6", 12)
    sheet.sheet.write_number("A7", 12.5)
    sheet.sheet.write_datetime("A8", datetime(2026, 1, 2), sheet.day)
    sheet.sheet.write_datetime("A9", datetime(2026, 1, 2, 3, 4, 5), sheet.day)
    sheet.sheet.write_boolean("A10", True)
    sheet.sheet.write_string("A11", "007")
    sheet.sheet.write_number("A12", 0)
    sheet.done()
    rows = drop.pull(format="xlsx")
    assert rows is not None
    assert [row["id"] for row in rows] == [
        "341502200501010013", "3.41502200501010E+17", "999999999999999", "1.00000000000000E+15", "12", "12.5",
        "2026-01-02", "2026-01-02 03:04:05", "TRUE", "007", "0",
    ]  # fmt: skip


@pytest.mark.parametrize("together", [False, True])
def test_a_delivery_says_how_many_rows_its_contract_leaves_out(drop: Drop, sheet: Sheet, together: bool) -> None:
    for line, row in enumerate([NAMES, ["1", "甲"], ["合计", "1"], ["合计科技有限公司", "乙"], ["合计：2", None]]):
        sheet.sheet.write_row(line, 0, row)
    sheet.done()
    rows = drop.pull(format="xlsx", files="*.xlsx", notes=["合计"], together=together)
    assert rows is not None and [row["id"] for row in rows] == ["1", "合计科技有限公司"]
    assert drop.source.pulled is not None and drop.source.pulled.left_out == 2


def test_a_sheet_has_titles_empty_edges_and_remarks(drop: Drop, sheet: Sheet) -> None:
    sheet.sheet.merge_range("A1:B1", "学生名册")
    sheet.sheet.write_row("A2", NAMES)
    sheet.sheet.write_row("A3", ["1", "甲"])
    sheet.sheet.write_row("A5", ["2", None])
    sheet.sheet.write_row("A6", ["3", "丙", None, "补录"])
    sheet.sheet.write_blank("H40", None, sheet.day)
    sheet.done()
    rows = drop.pull(format="xlsx", header_row=2, sheet="学生")
    assert rows == [*good(("1", "甲"), ("2", None)), {"id": None, "name": None, UNREAD: rows[2][UNREAD]}]
    assert rows[2][UNREAD].split("\t")[:4] == ["3", "丙", "", "补录"]


@pytest.mark.parametrize(("sheet_name", "data"), [("教师", None), (None, b"no workbook"), (None, b"")])
def test_a_sheet_that_is_none_is_said(drop: Drop, sheet: Sheet, sheet_name: str | None, data: bytes | None) -> None:
    sheet.sheet.write_row("A1", NAMES)
    sheet.done()
    if data is not None:
        drop.put("birth_1.xlsx", data)
    code = "pull.no_sheet" if data is None else "format.no_workbook"
    assert drop.refused(format="xlsx", sheet=sheet_name).code == code


def test_an_empty_sheet_is_said(drop: Drop, sheet: Sheet) -> None:
    sheet.done()
    assert drop.refused(format="xlsx").code == "pull.no_header"
