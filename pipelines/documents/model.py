"""What a document says, without its form: sections of paragraphs, tables, charts and bars.

Cells are values and no texts, so that a sheet can count with them: numbers, shares, days, texts, links, None for
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal


@dataclass(frozen=True)
class Share:
    """A part of a whole, 0 to 1."""

    part: float

    @property
    def text(self) -> str:
        """A percentage; only what is complete is called 100 %."""
        return "100%" if self.part >= 1 else f"{min(self.part * 100, 99.99):.2f}%"


@dataclass(frozen=True)
class Link:
    """What leads to a page: on paper the words and the address, elsewhere the words."""

    text: str
    address: str


Cell = str | int | Share | Link | date | None


@dataclass(frozen=True)
class Paragraph:
    """Running text. `code` is to be typed as it stands, `note` is small print."""

    text: str
    kind: Literal["plain", "note", "code"] = "plain"


@dataclass(frozen=True)
class Column:
    """A column: its heading, its share of the width, and whether it holds numbers."""

    heading: str
    width: float = 1.0
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings. `empty` is said instead when there are none."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str = ""


@dataclass(frozen=True)
class Chart:
    """Shares over time, oldest first; None for a moment without one. Drawn from `floor` to 1."""

    caption: str
    points: Sequence[tuple[str, float | None]]

    @property
    def floor(self) -> float:
        """The bottom of the drawing: the highest of 0, 50 %, 80 %, 90 %, 98 % below all points."""
        lowest = min((share for _, share in self.points if share is not None), default=0.0)
        return next(floor for floor in (0.98, 0.9, 0.8, 0.5, 0.0) if lowest >= floor)


@dataclass(frozen=True)
class Bars:
    """Shares side by side, each with a label and what is said beside its bar; None where nothing was measured."""

    caption: str
    bars: Sequence[tuple[str, float | None, str]]


Block = Paragraph | Table | Chart | Bars


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Words:
    """The words of the form itself, in the document's language. `page` has the places {page} and {pages}, `missing`
    {characters}."""

    page: str
    missing: str


@dataclass(frozen=True)
class Document:
    """A document. `facts`: what stands under its title; `running`: the head of every page, by which paper is checked;
    `at`: the moment (UTC) of what it says, and no later one: the same facts make the same bytes."""

    language: Literal["zh", "en"]
    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    running: str
    at: datetime
    sections: Sequence[Section]
    words: Words


def shown(cell: Cell) -> str:
    """A cell as text: thousands separated, shares as percentages, days in ISO 8601, a dash for nothing."""
    if cell is None:
        return "—"
    if isinstance(cell, Share):
        return cell.text
    if isinstance(cell, Link):
        return f"{cell.text}\n{cell.address}"
    if isinstance(cell, date):
        return cell.isoformat()
    return f"{cell:,}" if isinstance(cell, int) else cell
