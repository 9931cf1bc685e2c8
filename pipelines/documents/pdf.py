"""Documents as PDF: A4, one embedded font, vector charts; the same document gives the same bytes.

The file follows PDF/A-2B as far as fpdf2 enforces it: font and colour profile embedded, no encryption, no scripts. A
character that the font lacks is printed by its code point and named at the end, never as an empty box.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import cache
from html import escape
from itertools import pairwise

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import OutputIntentSubType, TextMode
from fpdf.output import PDFICCProfile
from PIL import ImageCms

from pipelines.documents.model import Bars, Block, Chart, Document, Paragraph, Table, shown
from pipelines.documents.subset import FONT

INK, QUIET, LINE, SOFT, ACCENT, BAR = (28, 37, 48), (85, 96, 108), (211, 218, 225), (243, 246, 249), (11, 83, 148), 155
WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 210.0, 297.0, 18.0, 24.0, 20.0
INNER = WIDTH - 2 * MARGIN
POINT = 0.352778
"""Millimetres."""
LEADING = 1.5
PAD = 1.2
CELL_SIZE = 8.0
CELL_STEP = CELL_SIZE * POINT * 1.38
"""Type in cells, in points, and the height of one line of it."""
CHART_HEIGHT, BAR_HEIGHT = 46.0, 6.4
FAMILY = "document"
CLOSING = "，。、；：！？）》」』】〕’”%‰℃,.;:!?)]}"
"""Characters that begin no line."""
OPENING = "（《「『【〔‘“([{"
"""Characters that end no line."""
PIECES = re.compile(r"[A-Za-z0-9]+(?:[._/:#=-]+|(?=$|[^A-Za-z0-9]))|.", re.DOTALL)
"""What a line may break between: words end after their joining signs, other characters stand alone."""


def render(document: Document) -> bytes:
    """The document as one file."""
    return _Pages(document).file()


def missing(document: Document) -> str:
    """The characters of the document that the font lacks, each once, in order."""
    return "".join(dict.fromkeys(one for text in texts(document) for one in text if not _printable(one)))


def texts(document: Document) -> Iterator[str]:
    """Every text that is drawn of a document in reading order, the head of pages last."""
    yield from (document.title, document.subtitle)
    for label, value in document.facts:
        yield from (label, value)
    for section in document.sections:
        yield section.title
        for block in section.blocks:
            yield from _texts(block)
    yield document.running


def _texts(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield block.text
        return
    yield block.caption
    if isinstance(block, Table):
        if not block.rows:  # no headings over nothing
            yield block.empty
            return
        yield from (column.heading for column in block.columns)
        yield from (shown(cell) for row in block.rows for cell in row)
    elif isinstance(block, Chart):
        yield from (block.points[place][0] for place in _labelled(block))
    else:
        yield from (text for label, _, said in block.bars for text in (label, said))


def _labelled(chart: Chart) -> list[int]:
    """The places of the points whose label is drawn: the first, the middle and the last."""
    return sorted({0, len(chart.points) // 2, len(chart.points) - 1}) if chart.points else []


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(TTFont(str(FONT), lazy=True).getBestCmap())


def _printable(character: str) -> bool:
    return character == "\n" or ord(character) in _glyphs()


def _said(text: str) -> str:
    """The text with every character that has no glyph replaced by its code point."""
    return "".join(one if _printable(one) else f"[U+{ord(one):04X}]" for one in text)


class _File(FPDF):
    """FPDF whose identifier follows from its content alone."""

    identity: str

    def file_id(self) -> str:
        return f"<{self.identity}><{self.identity}>"


class _Pages:
    """One document being laid out, from the top of a page down; lengths in millimetres, sizes of type in points."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.pdf = pdf = _File(format="A4", enforce_compliance="PDF/A-2B")
        pdf.set_auto_page_break(False)
        pdf.set_margin(0)
        pdf.add_font(FAMILY, fname=str(FONT))
        pdf.add_output_intent(
            OutputIntentSubType.PDFA, "sRGB", "sRGB", None, PDFICCProfile(_profile(), 3, "DeviceRGB"), "sRGB"
        )
        self._describe()
        self._widths: dict[str, float] = {}
        self.size = 0.0
        self.page()

    def file(self) -> bytes:
        """Lay everything out and write it."""
        self._front()
        for number, section in enumerate(self.document.sections, 1):
            self._heading(f"{number}  {section.title}", section.blocks[0])
            for block in section.blocks:
                self._block(block)
        if lacking := missing(self.document):
            named = "、".join(f"U+{ord(one):04X} {unicodedata.name(one, '?')}" for one in lacking)
            self._paragraph(Paragraph(self.document.words.missing.format(characters=named), "note"))
        self._frames()
        return bytes(self.pdf.output())

    def page(self) -> None:
        """Begin a new page."""
        self.pdf.add_page()
        self.pdf.set_font(FAMILY, size=1)
        self.size, self.y = 1.0, TOP

    def room(self, height: float) -> bool:
        """Make sure of so much height; whether a new page began."""
        if self.y + height <= HEIGHT - BOTTOM:
            return False
        self.page()
        return True

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: tuple[int, int, int] = INK,
        right: bool = False,
        heavy: bool = False,
    ) -> None:
        """One line of type on the baseline y; `right` ends it at x."""
        x -= self.width(text, size) if right else 0  # first: measuring may change the font
        if self.size != size:
            self.pdf.set_font(FAMILY, size=size)
            self.size = size
        self.pdf.set_text_color(*colour)
        if heavy:  # the subset has one weight: a thin outline makes another
            self.pdf.set_draw_color(*colour)
            with self.pdf.local_context(text_mode=TextMode.FILL_STROKE, line_width=size * 0.011):
                self.pdf.text(x, y, text)
        else:
            self.pdf.text(x, y, text)

    def width(self, text: str, size: float) -> float:
        """How wide a line of type is."""
        total = 0.0
        for one in text:
            if one not in self._widths:
                if self.size != 10:
                    self.pdf.set_font(FAMILY, size=10)
                    self.size = 10
                self._widths[one] = self.pdf.get_string_width(one) / 10
            total += self._widths[one]
        return total * size

    def lines(self, text: str, size: float, room: float) -> list[str]:
        """Break a text into lines: between Chinese characters and after joining signs, no line begins with a closing
        mark, and what is wider than a line is broken anywhere."""
        found: list[str] = []
        for part in _said(text).split("\n"):
            line = ""
            for piece in PIECES.findall(part):
                if self.width(line + piece, size) <= room or not line or piece in CLOSING:
                    line += piece
                else:
                    kept = line.rstrip(OPENING) or line
                    found.append(kept.rstrip())
                    line = (line[len(kept) :] + piece).lstrip()
                while self.width(line, size) > room and len(line) > 1 and line[-1] not in CLOSING:
                    cut = next(
                        at for at in range(len(line) - 1, 0, -1) if self.width(line[:at], size) <= room or at == 1
                    )
                    found.append(line[:cut])
                    line = line[cut:]
            found.append(line.rstrip())
        return found

    def _front(self) -> None:
        document = self.document
        self.y += 4
        for line in self.lines(document.title, 20, INNER):
            self.room(10)
            self.text(MARGIN, self.y + 6, line, 20, ACCENT, heavy=True)
            self.y += 10
        for line in self.lines(document.subtitle, 11, INNER):
            self.room(6)
            self.text(MARGIN, self.y + 3.5, line, 11, QUIET)
            self.y += 6
        self.y += 3
        for label, value in document.facts:
            rows = self.lines(value, 9, INNER - 34)
            step = 9 * POINT * LEADING
            self.room(len(rows) * step + 1)
            self.text(MARGIN, self.y + 3.6, _said(label), 9, QUIET)
            for line in rows:
                self.room(step)
                self.text(MARGIN + 34, self.y + 3.6, line, 9)
                self.y += step
            self.y += 1
            self._rule(self.y - 0.2)
        self.y += 2

    def _heading(self, title: str, first: Block) -> None:
        """A heading stands on the page on which what follows begins."""
        self.room(16 + (CHART_HEIGHT + 6 if isinstance(first, Chart) else 24))
        self.y += 4
        for line in self.lines(title, 13, INNER):
            self.room(7)
            self.text(MARGIN, self.y + 5, line, 13, ACCENT, heavy=True)
            self.y += 7
        self._rule(self.y, ACCENT)
        self.y += 3

    def _block(self, block: Block) -> None:
        if isinstance(block, Paragraph):
            self._paragraph(block)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Chart):
            self._chart(block)
        else:
            self._bars(block)
        self.y += 2.5

    def _paragraph(self, block: Paragraph) -> None:
        size, colour = {"plain": (9.5, INK), "note": (8.0, QUIET), "code": (8.5, INK)}[block.kind]
        inset = 2.5 if block.kind == "code" else 0.0
        step = size * POINT * LEADING
        for line in self.lines(block.text, size, INNER - 2 * inset):
            self.room(step)
            if inset:
                self._fill(MARGIN, self.y, INNER, step, SOFT)
            self.text(MARGIN + inset, self.y + step * 0.74, line, size, colour)
            self.y += step

    def _caption(self, caption: str, below: float) -> None:
        rows = self.lines(caption, 8, INNER) if caption else []
        self.room(len(rows) * 4.3 + below)
        for line in rows:
            self.room(4.3)
            self.text(MARGIN, self.y + 3.2, line, 8, QUIET)
            self.y += 4.3
        self.y += 0.8

    def _table(self, table: Table) -> None:
        if not table.rows:
            self._caption(table.caption, 6)
            self._paragraph(Paragraph(table.empty))
            return
        whole = sum(column.width for column in table.columns)
        widths = [INNER * column.width / whole for column in table.columns]
        self._caption(table.caption, 16)
        headings = [column.heading for column in table.columns]
        self._row(table, widths, headings, heading=True)
        for row in table.rows:
            self._row(table, widths, [shown(cell) for cell in row])

    def _row(self, table: Table, widths: Sequence[float], cells: Sequence[str], heading: bool = False) -> None:
        """A row that a page has room for stands on one page; what is taller goes on under headings on the next."""
        laid = self._laid(widths, cells)
        headings = [] if heading else [column.heading for column in table.columns]
        taken = max(map(len, self._laid(widths, headings)), default=0) * CELL_STEP + 2 * PAD if headings else 0.0
        if taken > (HEIGHT - TOP - BOTTOM) / 2:  # headings that leave no room are said once
            headings, taken = [], 0.0
        lines, here = max(map(len, laid)), _fitting(self.y)
        turn = lines > here and (here < 1 or lines <= _fitting(TOP + taken))
        begun = 0
        while begun < lines:
            if turn:
                self.page()
                if headings:
                    self._row(table, widths, headings, heading=True)
            some = min(lines - begun, _fitting(self.y))
            self._lines_of_row(table, widths, [rows[begun : begun + some] for rows in laid], some, heading)
            begun, turn = begun + some, True

    def _laid(self, widths: Sequence[float], cells: Sequence[str]) -> list[list[str]]:
        """Of every cell its lines."""
        return [self.lines(cell, CELL_SIZE, room - 2 * PAD) for cell, room in zip(cells, widths, strict=True)]

    def _lines_of_row(
        self, table: Table, widths: Sequence[float], laid: Sequence[Sequence[str]], lines: int, heading: bool
    ) -> None:
        height = lines * CELL_STEP + 2 * PAD
        if heading:
            self._fill(MARGIN, self.y, INNER, height, (230, 237, 245))
        x, colour = MARGIN, ACCENT if heading else INK
        for column, room, rows in zip(table.columns, widths, laid, strict=True):
            for place, line in enumerate(rows):
                at = x + room - PAD if column.number else x + PAD
                self.text(at, self.y + PAD + CELL_STEP * (place + 0.76), line, CELL_SIZE, colour, right=column.number)
            x += room
        self.y += height
        self._rule(self.y)

    def _chart(self, chart: Chart) -> None:
        self._caption(chart.caption, CHART_HEIGHT)
        left, right, top, bottom = MARGIN + 13, WIDTH - MARGIN - 2, self.y + 2, self.y + CHART_HEIGHT - 7
        floor = chart.floor
        for place in range(5):
            share = floor + (1 - floor) * place / 4
            height = bottom - (bottom - top) * place / 4
            self._rule(height, start=left, end=right)
            self.text(left - 1.5, height + 1, f"{share * 100:g}%", 7, QUIET, right=True)
        points = [
            (left + (right - left) * (place / (len(chart.points) - 1) if len(chart.points) > 1 else 0.5), share)
            for place, (_, share) in enumerate(chart.points)
        ]
        drawn = [
            None if share is None else (x, bottom - (bottom - top) * (share - floor) / (1 - floor))
            for x, share in points
        ]
        self.pdf.set_draw_color(*ACCENT)
        self.pdf.set_line_width(0.5)
        for before, after in pairwise(drawn):
            if before and after:
                self.pdf.line(*before, *after)
        self.pdf.set_fill_color(*ACCENT)
        for point in drawn:
            if point:
                self.pdf.circle(point[0], point[1], 0.7, style="F")
        for place in _labelled(chart):
            label = _said(chart.points[place][0])
            half = self.width(label, 7) / 2
            self.text(min(max(points[place][0] - half, MARGIN), right - 2 * half), bottom + 4.5, label, 7, QUIET)
        self.y += CHART_HEIGHT

    def _bars(self, bars: Bars) -> None:
        self._caption(bars.caption, BAR_HEIGHT * len(bars.bars))
        start, length = MARGIN + 26, INNER - 26 - 66
        for label, share, said in bars.bars:
            self.room(BAR_HEIGHT)
            self.text(MARGIN, self.y + 4.3, _said(label), 9)
            self._fill(start, self.y + 1.2, length, 3.8, (232, 237, 242))
            if share is not None:
                colour = (26, 107, 53) if share >= 0.95 else (176, 98, 0) if share >= 0.8 else (163, 25, 31)
                self._fill(start, self.y + 1.2, length * share, 3.8, colour)
            self.text(start + length + 3, self.y + 4.3, _said(said), 8, QUIET)
            self.y += BAR_HEIGHT

    def _frames(self) -> None:
        """The head and foot of every page, once it is known how many there are."""
        pages = self.pdf.pages_count
        for number in range(1, pages + 1):
            self.pdf.page = number
            self.pdf.set_font(FAMILY, size=1)
            self.pdf.set_draw_color(*INK)  # what fpdf2 believes of a page left is what the one before it was left with
            self.size = 1.0
            for place, line in enumerate(self.lines(self.document.running, 6.5, INNER)[:2]):
                self.text(MARGIN, 9 + place * 3.4, line, 6.5, QUIET)
            self._rule(15)
            self._rule(HEIGHT - 14)
            self.text(MARGIN, HEIGHT - 9.5, _said(self.document.title), 7, QUIET)
            said = self.document.words.page.format(page=number, pages=pages)
            self.text(WIDTH - MARGIN, HEIGHT - 9.5, said, 7, QUIET, right=True)

    def _rule(
        self, y: float, colour: tuple[int, int, int] = LINE, start: float = MARGIN, end: float = WIDTH - MARGIN
    ) -> None:
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(0.2)
        self.pdf.line(start, y, end, y)

    def _fill(self, x: float, y: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        self.pdf.set_fill_color(*colour)
        self.pdf.rect(x, y, width, height, style="F")

    def _describe(self) -> None:
        """Information, identifier and metadata: of the document's moment, never of the time of writing."""
        document, pdf = self.document, self.pdf
        moment = document.at.astimezone(UTC)
        pdf.identity = _identity(document)
        pdf.set_creation_date(moment)
        pdf.set_title(document.title)
        pdf.set_subject(document.subtitle)
        pdf.set_producer("citylake")
        pdf.set_lang("zh-CN" if document.language == "zh" else "en")
        pdf.set_xmp_metadata(
            XMP.format(
                title=escape(document.title), subject=escape(document.subtitle), at=moment.isoformat(timespec="seconds")
            )
        )


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
  xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
  <rdf:Description rdf:about="" xmp:CreateDate="{at}" pdf:Producer="citylake">
   <pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{subject}</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


def _fitting(top: float) -> int:
    """How many lines of a row fit on a page below this height."""
    return int((HEIGHT - BOTTOM - top - 2 * PAD) / CELL_STEP + 1e-9)


def _identity(document: Document) -> str:
    """32 hex digits that follow from all that the document says, the values of its charts too."""
    return hashlib.sha256(repr(document).encode()).hexdigest()[:32].upper()


@cache
def _profile() -> bytes:
    """The sRGB profile of Pillow, without the time at which it was made (bytes 24 to 36 of an ICC header)."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + made[36:84] + bytes(16) + made[100:]
