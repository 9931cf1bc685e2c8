"""The forms of a report: PDF to be kept, HTML to be printed, XLSX to count with."""

from pathlib import Path

from catalog.delivery import workbooks
from pipelines.documents import html, pdf
from pipelines.documents.model import Document
from pipelines.messages import CitylakeError

MEDIA_TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html; charset=utf-8",
}


def write(document: Document, form: str, target: Path) -> None:
    """Write a document into a file. Raises CitylakeError for a form that there is not."""
    if form == "pdf":
        target.write_bytes(pdf.render(document))
    elif form == "html":
        target.write_text(html.render(document), "utf-8", newline="")
    elif form == "xlsx":
        workbooks.write_document(document, target)
    else:
        raise CitylakeError("report.bad_format", format=form[:20])
