"""Format `xml`: a document in which one element repeats, read as a stream. Names are taken without their namespaces.

Entities of its own and references out of the document are refused: they are how XML blows up and reads other files.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, iterparse

from pipelines.connectors.formats.encodings import ALL_KNOWN, Known, byte_blocks, decoded, fitting, not_encoded
from pipelines.connectors.formats.objects import table_of_objects
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Table, formats, numbered

_DECLARED = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9_.-]+)["']""")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_CHINESE: dict[str, Known] = {
    **dict.fromkeys(("gb2312", "gb_2312-80", "euc-cn", "x-euc-cn", "gbk", "x-gbk", "cp936", "windows-936"), "gbk"),
    **dict.fromkeys(("gb18030", "gb18030-2000", "gb18030-2005", "gb18030-2022", "cp54936"), "gb18030"),
}  # fmt: skip


@formats.register(FormatAbout())
def xml(file: LocalFile, *, records: str) -> Table:
    """Each element `records` is a row; its attributes and children are columns, children with parts of their own as
    XML, repeated ones as a JSON array of texts.

    A record with text between its children, with one name for an attribute and a child, or for children of two
    namespaces, has only its text, in UNREAD. Raises CitylakeError for a document that is not well-formed, has entities,
    or has no such element.
    """
    if next(_records(file, records), None) is None:
        raise file.error("format.no_records", records=f"<{records}>")
    return table_of_objects(
        file,
        lambda: ((_columns(one), tostring(one, "unicode")) for one in _records(file, records)),
        numbered(file, lambda: _records(file, records), f"<{records}>"),
    )


def repeated(file: LocalFile) -> str | None:
    """The element that may be a record, for a contract that does not say: below the outermost one, with children, and
    the most frequent. None if there is none. Raises CitylakeError as reading does."""
    counts, above = Counter[str](), list[Element]()
    for event, element in _parsed(file):
        if event == "start":
            above.append(element)
            continue
        above.pop()
        if above:
            counts[_local(element.tag)] += bool(len(element))
        if len(above) == 1:
            above[0].remove(element)
    return max((name for name in counts if counts[name]), key=lambda name: counts[name], default=None)


def _records(file: LocalFile, name: str) -> Iterator[Element]:
    """The elements of that name, outermost ones only; what was read is dropped on the way."""
    above: list[Element] = []
    inside = 0
    for event, element in _parsed(file):
        if event == "start":
            above.append(element)
            inside += bool(inside) or _local(element.tag) == name
            continue
        above.pop()
        if inside > 1:
            inside -= 1
            continue
        if inside:
            inside = 0
            yield element
        if above:
            above[-1].remove(element)


def _parsed(file: LocalFile) -> Iterator[tuple[str, Element]]:
    """The elements of a document as they begin and end."""
    declared = _declared(file)
    encoding = _CHINESE.get(declared.lower())
    parser = DefusedXMLParser(target=TreeBuilder(), encoding="utf-8" if encoding else None)
    try:
        with file.path.open("rb") as plain:
            stream = _Utf8(file, encoding) if encoding else plain
            yield from iterparse(stream, ("start", "end"), parser)
    except ParseError as error:
        if not declared and (fits := fitting(file)) in ("gbk", "gb18030"):
            raise not_encoded(file, "utf-8", fits) from None  # what a document is that declares nothing
        line, column = error.position
        raise file.error("format.no_xml", line=line, byte=column + 1) from None
    except DefusedXmlException as error:
        raise file.error("format.xml_entities", problem=type(error).__name__) from None
    except (ValueError, LookupError):  # an encoding that the library does not know, or one of several bytes
        raise file.error("format.encoding", encoding=declared, fits=ALL_KNOWN, line=1, byte=1) from None


def _columns(record: Element) -> dict[str, str | None] | None:
    columns: dict[str, str | None] = {_local(name): value for name, value in record.attrib.items()}
    found: dict[str, list[str | None]] = {}
    whole = {child.tag for child in record}
    if _has_text(record.text) or len(columns) < len(record.attrib) or len({*map(_local, whole)}) < len(whole):
        return None
    for child in record:
        if _has_text(child.tail):
            return None
        found.setdefault(_local(child.tag), []).append(_text(child))
    if columns.keys() & found.keys():
        return None
    for name, texts in found.items():
        columns[name] = texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)
    return columns


def _text(child: Element) -> str | None:
    if child.get(_NIL) in ("true", "1"):
        return None
    if not len(child) and not child.attrib:
        return child.text
    tail, child.tail = child.tail, None
    text = tostring(child, "unicode")
    child.tail = tail
    return text


def _has_text(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _declared(file: LocalFile) -> str:
    """The encoding that a document declares; empty if it does not."""
    with file.path.open("rb") as stream:
        found = _DECLARED.match(stream.read(200))
    return found[1].decode() if found else ""


class _Utf8:
    """A file in another encoding as a stream of UTF-8, block by block."""

    def __init__(self, file: LocalFile, encoding: Known) -> None:
        self.file, self.encoding = file, encoding
        self.blocks = byte_blocks(file, 0, b">")
        self.rest = BytesIO()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes. Raises CitylakeError for bytes that are no text."""
        if data := self.rest.read(size):
            return data
        try:
            self.rest = BytesIO(decoded(next(self.blocks, b""), self.encoding).encode())
        except UnicodeDecodeError:
            raise not_encoded(self.file, self.encoding, None) from None
        return self.rest.read(size)
