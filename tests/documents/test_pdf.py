"""Documents as PDF: what was said is copied and drawn with its own glyphs; the same facts are the same bytes."""

import random
import re
from base64 import b64decode
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from pypdf import PdfReader

from pipelines.documents import html, pdf, subset
from pipelines.documents.model import Bars, Chart, Column, Document, Paragraph, Section, Share, Table, Words
from tests.city import seed_from_clock
from tests.documents import reading

REPOSITORY = Path(__file__).resolve().parents[2]
RARE = "六安市裕安区石婆店镇䃥山、圩埂与畈"
WORDS = Words(page="第 {page} 页，共 {pages} 页", missing="字体中没有：{characters}")


def drawn_document(draw: random.Random, texts: list[str]) -> Document:
    """A document of drawn texts with every kind of block."""

    def some(most: int = 80) -> str:
        return "".join(draw.choice(texts)[:most].split("\n")).strip() or "空"

    columns = tuple(Column(some(8), draw.uniform(0.5, 3), draw.random() < 0.5) for _ in range(draw.randint(1, 7)))
    rows = [
        [draw.choice([some(), draw.randint(0, 10**9), Share(draw.random()), date(2026, 11, 1), None]) for _ in columns]
        for _ in range(draw.randint(0, 60))
    ]
    days = [(date(2026, 1, 1) + timedelta(days=day)).isoformat() for day in range(draw.randint(1, 90))]
    sections = [
        Section(some(20), [Paragraph(some(400)), Paragraph(some(), "note"), Paragraph(some(), "code")]),
        Section(some(20), [Table(some(), columns, rows, some())]),
        Section(some(20), [Chart(some(), [(day, draw.choice([None, draw.random()])) for day in days])]),
        Section(some(20), [Bars(some(), [(some(5), draw.choice([None, draw.random()]), some(20)) for _ in range(6)])]),
    ]
    at = datetime(2026, 11, draw.randint(1, 28), tzinfo=UTC)
    return Document("zh", some(40), some(40), [(some(6), some()), ("地名", RARE)], some(100), at, sections, WORDS)


def flat(text: str) -> str:
    return "".join(text.split())


@pytest.fixture(scope="module")
def written() -> list[str]:
    """Texts that this repository writes: messages, contracts, code lists."""
    found: list[str] = []
    for folder, pattern in subset.WRITTEN:
        for file in sorted((REPOSITORY / folder).rglob(pattern)):
            found += [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    return found


def test_everything_that_was_said_is_copied_and_drawn_with_its_own_glyph(written: list[str]) -> None:
    seed = seed_from_clock()
    print("seed", seed)
    source = TTFont(str(subset.FONT))
    for number in range(4):
        document = drawn_document(random.Random(seed + number), written)
        assert pdf.missing(document) == ""
        file = pdf.render(document)
        pages = list(reading.drawn(file))
        copied = flat("".join(one.character for page in pages for piece in page for one in piece))
        wanted = {one for text in pdf.texts(document) for one in text if not one.isspace()}
        assert wanted <= set(copied), wanted - set(copied)
        for said in (document.title, document.subtitle, document.sections[0].blocks[0].text, RARE):
            assert flat(said) in copied
        seen = {one.character: one.outline for page in pages for piece in page for one in piece}
        for character, outline in seen.items():
            assert outline == reading.outline_of(source, character), f"U+{ord(character):04X}"
            assert outline or character.isspace() or character == "\u00ad", f"U+{ord(character):04X} is empty"


def test_rows_of_a_table_are_whole(written: list[str]) -> None:
    """Each cell of a table can be put together again from its pieces: nothing is cut off, whatever its width."""
    seed = seed_from_clock()
    print("seed", seed)
    draw = random.Random(seed)
    cells = [draw.choice(written)[:120].strip() for _ in range(40)]
    table = Table(
        "一列", (Column("文本"), Column("数", 0.3, True)), [[cell, place] for place, cell in enumerate(cells)]
    )
    document = Document("zh", "表", "", [], "", datetime(2026, 1, 1, tzinfo=UTC), [Section("一", [table])], WORDS)
    copied = flat(reading.text(pdf.render(document)))
    at = 0
    for place, cell in enumerate(cells):
        text = f"{flat(cell)}{place}"
        at = copied.find(text, at)
        if at < 0:  # a new page came between, with its heading again
            pytest.fail(f"{cell!r} is not whole")


def test_nothing_is_drawn_beyond_the_paper(written: list[str]) -> None:
    """Whatever is long: cells taller than pages, values, captions, titles, headings of columns."""
    seed = seed_from_clock()
    print("seed", seed)
    draw = random.Random(seed)
    long = [f"第{number}行{draw.choice(written)[:10]}。" for number in range(draw.randint(90, 260))]
    columns = (Column("长", 2), Column("数", 0.5, True), Column(draw.choice(["短", "标题" * draw.randint(1, 900)]), 1))
    rows = [["前", 1, "短"], ["\n".join(long), 2, "短"], ["后", 3, "\n".join(long[:70])]]
    many = "多" * draw.randint(1, 9000)
    section = Section(many[:2000], [Table(many[:7000], columns, rows), Paragraph(many, "note")])
    document = Document(
        "zh", many[:900], many[:2500], [("值", many)], "", datetime(2026, 1, 1, tzinfo=UTC), [section], WORDS
    )
    file = pdf.render(document)
    for number, page in enumerate(reading.baselines(file), 1):
        for height in page:
            assert abs(height - 9.5) < 0.1 or 20 < height < 297 - 5, (number, height)
    copied, at = flat(reading.text(file)), 0
    for line in long:
        at = copied.find(flat(line), at)
        assert at >= 0, line


def test_the_same_document_is_the_same_file(written: list[str]) -> None:
    seed = seed_from_clock()
    print("seed", seed)
    one, again = (drawn_document(random.Random(seed), written) for _ in range(2))
    assert one == again and pdf.render(one) == pdf.render(again)
    other = Document(**{**vars(one), "title": one.title + "二"})
    assert pdf.render(other) != pdf.render(one)
    assert html.render(one) == html.render(again)


def test_a_page_brings_along_the_glyphs_of_what_it_says(written: list[str]) -> None:
    seed = seed_from_clock()
    print("seed", seed)
    source = TTFont(str(subset.FONT))
    document = drawn_document(random.Random(seed), written)
    page = html.render(document)
    (carried,) = re.findall(r"data:font/woff;base64,([A-Za-z0-9+/=]+)", page)
    font = TTFont(BytesIO(b64decode(carried)))
    assert len(font.getBestCmap()) < len(source.getBestCmap()) / 2
    for character in {one for text in pdf.texts(document) for one in text if not one.isspace()}:
        assert reading.outline_of(font, character) == reading.outline_of(source, character), f"U+{ord(character):04X}"


def test_a_character_without_a_glyph_is_told_by_name() -> None:
    lacking = "\U00020bb7\u0e01"
    sections = [Section("一", [Paragraph(f"店名{lacking[0]}野家")])]
    document = Document("zh", f"标题{lacking[1]}", "", [], "", datetime(2026, 1, 1, tzinfo=UTC), sections, WORDS)
    assert pdf.missing(document) == lacking[::-1]
    copied = flat(reading.text(pdf.render(document)))
    assert "店名[U+20BB7]野家" in copied and "标题[U+0E01]" in copied
    assert "字体中没有：U+0E01THAICHARACTERKOKAI、U+20BB7CJKUNIFIEDIDEOGRAPH-20BB7" in copied


def test_the_subset_holds_what_it_promises() -> None:
    have = set(TTFont(str(subset.FONT)).getBestCmap())
    assert {ord(one) for one in RARE} <= have
    gb2312 = {
        ord(bytes([row, cell]).decode("gb2312"))
        for row in range(0xB0, 0xF8)
        for cell in range(0xA1, 0xFF)
        if row != 0xD7 or cell < 0xFA
    }
    assert len(gb2312) == 6763 and gb2312 <= have
    assert {chr(one) for one in subset.characters() - have} == set(), "run python -m pipelines.documents.subset again"
    assert subset.FONT.stat().st_size < 4_000_000


def test_pages_have_numbers_and_the_head(written: list[str]) -> None:
    table = Table("长表", (Column("数", 1, True),), [[number] for number in range(300)])
    running = "账本签名头第 7 个，链哈希 " + "ab" * 32
    document = Document(
        "zh", "长表", "", [], running, datetime(2026, 1, 1, tzinfo=UTC), [Section("一", [table])], WORDS
    )
    file = pdf.render(document)
    pages = [flat("".join(one.character for piece in page for one in piece)) for page in reading.drawn(file)]
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert f"第{number}页，共{len(pages)}页" in page and flat(running) in page
        assert number == 1 or page.startswith("数"), "headings stand on every page"
    meta = PdfReader(BytesIO(file))
    assert meta.xmp_metadata is not None and meta.xmp_metadata.dc_title == {"x-default": "长表"}
    catalogue = meta.trailer["/Root"].get_object()
    assert catalogue["/OutputIntents"][0].get_object()["/S"] == "/GTS_PDFA1" and "/Metadata" in catalogue
    assert "/Encrypt" not in meta.trailer and "/JavaScript" not in str(catalogue)
