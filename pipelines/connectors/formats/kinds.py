"""What a file is that is called a workbook and is none, so that its department is told what it sent.

Only messages are made of this: no file is ever read as what it looks like.
"""

import re
from pathlib import Path
from typing import Literal

Kind = Literal["html", "xml", "protected", "text", "damaged"]

_LOOK = 4096
_COMPOUND, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK"
_SEALED = "EncryptedPackage".encode("utf-16-le")
_HTML = re.compile(rb"<\s*(!doctype\s+html|html|head|meta|table|style)\b", re.IGNORECASE)
_XML = re.compile(rb"<\?mso-application|urn:schemas-microsoft-com:office:spreadsheet|^\s*(\xef\xbb\xbf)?<\?xml")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def kind_of(path: Path) -> Kind:
    """What a file that is no readable workbook looks like: web pages and texts under its name are common."""
    with path.open("rb") as stream:
        start = stream.read(_LOOK)
        if start.startswith(_COMPOUND):
            return "protected" if _SEALED in start + stream.read() else "damaged"
    if not start or start.startswith(_ZIP):
        return "damaged"
    if _HTML.search(start):
        return "html"
    if _XML.search(start):
        return "xml"
    return "damaged" if _CONTROL.search(start) else "text"
