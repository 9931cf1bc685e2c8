"""Reads a PDF again, independently of what wrote it: each drawn character by its code, with the outline that it gets.

A code leads through ToUnicode to the character that a reader copies, and through the font's encoding and the embedded
font program to what a reader sees. Both are looked at.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fontTools.cffLib import CFFFontSet
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from pypdf import PageObject, PdfReader
from pypdf.generic import ContentStream

Outline = list[tuple[str, tuple[Any, ...]]]
_PAIRS = re.compile(r"<([0-9A-Fa-f]{4})>\s+(?:<([0-9A-Fa-f]+)>|([0-9]+))\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Drawn:
    """A character as it is copied, and the outline that it is drawn with."""

    character: str
    outline: Outline


def drawn(file: bytes) -> Iterator[list[list[Drawn]]]:
    """Of every page the pieces of text in the order in which they are drawn."""
    reader = PdfReader(io.BytesIO(file))
    for page in reader.pages:
        yield _pieces(reader, page)


def text(file: bytes) -> str:
    """All that can be copied, page after page, a line for each piece."""
    return "\n".join("".join(one.character for one in piece) for page in drawn(file) for piece in page)


def baselines(file: bytes) -> Iterator[list[float]]:
    """Of every page how high above the lower edge of the paper each piece of text stands, in millimetres."""
    reader = PdfReader(io.BytesIO(file))
    for page in reader.pages:
        found, height = [], 0.0
        for operands, operator in ContentStream(page.get_contents(), reader).operations:
            if operator == b"Td":
                height = float(operands[1]) * 25.4 / 72
            elif operator == b"Tj":
                found.append(height)
        yield found


def outline_of(font: TTFont, character: str) -> Outline:
    """What a font draws for a character. Raises KeyError if it has no glyph."""
    pen = RecordingPen()
    font.getGlyphSet()[font.getBestCmap()[ord(character)]].draw(pen)
    return pen.value


def _pieces(reader: PdfReader, page: PageObject) -> list[list[Drawn]]:
    (font,) = (one.get_object() for one in page["/Resources"]["/Font"].values())
    copied = {code: bytes.fromhex(said).decode("utf-16-be") for code, said, _ in _map(font["/ToUnicode"])}
    cids = {code: int(number) for code, _, number in _map(font["/Encoding"]) if number}
    descendant = font["/DescendantFonts"][0].get_object()
    program = CFFFontSet()
    program.decompile(io.BytesIO(descendant["/FontDescriptor"]["/FontFile3"].get_object().get_data()), None)
    glyphs = program[0].CharStrings
    known: dict[str, Drawn] = {}
    found = []
    for operands, operator in ContentStream(page.get_contents(), reader).operations:
        if operator != b"Tj":
            continue
        said = operands[0].original_bytes
        codes = [said[at : at + 2].hex().upper() for at in range(0, len(said), 2)]
        for code in {*codes} - known.keys():
            pen = RecordingPen()
            glyphs[f"cid{cids[code]:05}"].draw(pen)
            known[code] = Drawn(copied[code], pen.value)
        found.append([known[code] for code in codes])
    return found


def _map(stream: Any) -> list[tuple[str, str, str]]:
    pairs = _PAIRS.findall(stream.get_object().get_data().decode())
    return [(code.upper(), said, number) for code, said, number in pairs]
