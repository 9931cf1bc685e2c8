"""Formats: how a local file, whoever brought it, becomes rows of text. `opened` opens a file in any of them.

A format is one function in `table.formats`; its keyword-only parameters are the options that a contract may give.
Importing this package registers them all.
"""

from pipelines.connectors.formats import columnar, dbase, delimited, features, markup, objects, workbook
from pipelines.connectors.formats.delimited import HeaderRow
from pipelines.connectors.formats.notes import Notes
from pipelines.connectors.formats.reading import Format, opened
from pipelines.connectors.formats.table import LocalFile, Place, Table, check_options, formats

__all__ = [
    "Format",
    "HeaderRow",
    "LocalFile",
    "Notes",
    "Place",
    "Table",
    "check_options",
    "columnar",
    "dbase",
    "delimited",
    "features",
    "formats",
    "markup",
    "objects",
    "opened",
    "workbook",
]
