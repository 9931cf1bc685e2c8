"""`citylake layer`: one released layer as a file that geographic programs open; every file is recorded."""

from pathlib import Path
from typing import Annotated

import typer

from catalog.delivery import layers
from catalog.policy import audit
from citylake.output import private_file, told
from citylake.permission import Actor, Why, permitted
from pipelines.codecs.sql import identifier
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.engine import connect
from pipelines.lake import delta
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say
from pipelines.register import Register
from pipelines.release import publicity
from pipelines.release.ledger import Ledger
from pipelines.release.shown import released_columns, shown_until
from pipelines.settings import Settings

FORMATS = {".geojson": "geojson", ".gpkg": "gpkg", ".parquet": "geoparquet"}
"""The format by the end of a file's name."""


def write(
    product: Annotated[str, typer.Argument(help="图层产品，如 sharing/parcel / the product of a layer")],
    file: Annotated[Path, typer.Argument(help="新文件：.geojson、.gpkg 或 .parquet（GeoParquet）/ the new file")],
    who: Actor,
    why: Why,
) -> None:
    """写出一个已发布图层，任何 GIS 软件可读，留痕 / write a released layer for any GIS program; recorded."""
    with told():
        settings = Settings.from_environment()
        kind = FORMATS.get(file.suffix.lower())
        if kind is None:
            raise CitylakeError("layer.format", file=file)
        register = permitted(settings, "layer.export", who, product=product)
        contracts = load(settings.contracts)
        layer, columns, until = _published(contracts, register, product)
        read = delta.scan(delta.open_table(settings.lake.product(*product.split("/")), layer.version))
        names = ", ".join(map(identifier, columns))
        where = "" if until is None else f" WHERE {publicity.shown_on(until, publicity.today(contracts))}"
        query = f"SELECT {names} FROM (SELECT {read.columns} FROM {read.source}){where} ORDER BY ALL"
        with private_file(file, settings.home) as partial, connect(settings.lake.scratch()) as con:
            layers.WRITERS[kind](con, query, partial, layer)
            rows = int((con.execute(f"SELECT count(*) FROM ({query})").fetchone() or (0,))[0])
            body = {"road": "command", "who": who, "why": why, "format": kind, "rows": rows, "sha256": sha256(partial)}
            # before the file has its name: none is out without a row
            audit.record(register, "download", "allowed", body, product=product, version=layer.version)
        typer.echo(say("layer.written", product=product, version=layer.version, rows=rows, file=file))
        if kind == "geojson":
            typer.echo(say("layer.note"))
        register.close()


def _published(
    contracts: Contracts, register: Register, product: str
) -> tuple[layers.Layer, tuple[str, ...], str | None]:
    """A layer as it was released, the columns of it that may still be shown, and the one with the last day of a row.

    Raises CitylakeError for no layer.
    """
    found = {}
    for name, entry in Ledger(register).published().items():
        if name in contracts.products and entry.version is not None:
            columns = released_columns(contracts.products[name], entry.body)
            until = shown_until(contracts.products[name], entry.body)
            if until not in {None, *columns}:
                continue  # the release cannot say which of its rows may be shown
            if layer := layers.layer_of(contracts.products[name], entry, columns):
                found[name] = layer, columns, until
    if product not in found:
        raise CitylakeError("layer.unknown", product=product, known="、".join(sorted(found)) or "—")
    return found[product]
