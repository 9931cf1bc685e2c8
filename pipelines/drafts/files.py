"""What a sample file may be: its format, encoding, sheets, layers and records, as the options of a connector.

Told by its name and its content; what cannot be told is left to a person. Rows are read by the formats themselves.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from pipelines.connectors.formats import LocalFile
from pipelines.connectors.formats.encodings import known_encoding
from pipelines.connectors.formats.features import layers_of
from pipelines.connectors.formats.markup import repeated
from pipelines.connectors.formats.objects import arrays, document
from pipelines.connectors.formats.workbook import sheets_of
from pipelines.messages import CitylakeError

FORMATS: Mapping[str, str] = {
    **dict.fromkeys((".csv", ".txt", ".tsv", ".dat"), "csv"),
    **{f".{name}": name for name in ("xlsx", "xls", "ods", "json", "xml", "geojson", "gpkg", "parquet", "dbf")},
    **dict.fromkeys((".ndjson", ".jsonl"), "ndjson"),
    ".et": "xls",  # of WPS, which holds what an xls does
}
"""Formats by the ending of a file's name."""
DELIMITED, WORKBOOKS = "csv", ("xlsx", "xls", "ods")

Options = dict[str, Any]


def guess(file: LocalFile, name: str, given: Options) -> Iterator[tuple[str, Options]]:
    """What can be read of a file: each part with what it is called beside the file, and the options that read it, those
    `given` by the steward before all others.

    Raises CitylakeError for a file of no known format, or one that is not what its name says.
    """
    if given.keys() & {"sheet", "sheets", "layer"}:
        yield "", {"format": FORMATS.get(PurePosixPath(name.lower()).suffix, ""), **given}
        return
    yield from ((part, {**options, **given}) for part, options in _guessed(file, name))


def _guessed(file: LocalFile, name: str) -> Iterator[tuple[str, Options]]:
    ending = PurePosixPath(name.lower()).suffix
    if ending == ".zip":
        yield from _archived(file)
        return
    if ending not in FORMATS:
        raise CitylakeError("draft.no_format", file=file.origin, known="、".join((*FORMATS, ".zip")))
    yield from _parts(file, FORMATS[ending])


def _parts(file: LocalFile, format: str) -> Iterator[tuple[str, Options]]:
    options: Options = {"format": format}
    if format == DELIMITED:
        yield "", {**options, "encoding": known_encoding(file, "auto"), "delimiter": "auto"}
    elif format in WORKBOOKS:
        sheets = sheets_of(file)
        yield from ((sheet, {**options, "sheet": sheet}) for sheet in sheets) if len(sheets) > 1 else [("", options)]
    elif format == "gpkg":
        layers = layers_of(file)
        yield from ((layer, {**options, "layer": layer}) for layer in layers) if len(layers) > 1 else [("", options)]
    elif format == "json":
        encoding = known_encoding(file, "auto")
        found = sorted(arrays(document(file, encoding)), key=lambda one: -one[1])
        own = {**options, **({} if encoding == "utf-8" else {"encoding": encoding})}
        yield from (
            (under if len(found) > 1 else "", {**own, **({"records": under} if under else {})})
            for under, _ in found or [("", 0)]
        )
    elif format == "xml":
        records = repeated(file)
        if records is None:
            raise file.error("format.no_records", records="<…>")
        yield "", {**options, "records": records}
    else:
        yield "", options


def _archived(file: LocalFile) -> Iterator[tuple[str, Options]]:
    """What lies in an archive: a shapefile, or members of one other format, told by their names."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            endings = {PurePosixPath(one.lower()).suffix for one in archive.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise file.error("format.unreadable", format="zip", problem=type(error).__name__) from None
    if ".shp" in endings:
        yield "", {"format": "shapefile"}
        return
    for ending in sorted(endings & FORMATS.keys()):
        found: Options = {"format": FORMATS[ending], "member": f"*{ending}"}
        yield ending, found | ({"encoding": "auto", "delimiter": "auto"} if found["format"] == DELIMITED else {})
