"""Texts come back out of a book as they went into it, whatever they look like."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from pipelines.codecs import books

letters = st.text("<>/&\"'=_x0041 r\r\n\t\x01张", min_size=1, max_size=20)


def read_back(text: str, folder: Path) -> object:
    target = folder / "x.xlsx"
    book = books.streamed(str(target), folder)
    book.add_worksheet().write_string(0, 0, text)
    book.close()
    return CalamineWorkbook.from_path(str(target)).get_sheet_by_index(0).to_python()[0][0]


@given(letters | letters.map(lambda text: f"<r>{text}</r>"))
def test_a_text_is_read_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert read_back(text, tmp_path_factory.getbasetemp()) == text


@pytest.mark.parametrize(
    "text", ["<r></r>", "<r>&</r>", "<r><t>别的</t></r>", "_x0041_", "=1+1", "012", "http://x.example"]
)
def test_what_looks_like_something_else_is_a_text(tmp_path: Path, text: str) -> None:
    assert read_back(text, tmp_path) == text
