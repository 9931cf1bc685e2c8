"""The files of a package, as they are written on this machine before they go anywhere: rows in each format, their
description, dictionary and licence, and checksums of all of these.

Written once for what is in them and kept beside the views, so that whoever goes on after a kill sends the same bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from catalog.delivery import dictionary, formats, layers, workbooks
from catalog.delivery.changes import CHANGE_TYPE, key_named
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.downloads import about_book
from catalog.delivery.extracts import Extract
from catalog.delivery.files.datapackage import LICENCE, DataFile, describe
from catalog.delivery.work import BOOK_COST
from pipelines.contracts.texts import LANGUAGES
from pipelines.lake.checksums import checksums
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError, say, translate
from pipelines.register.chain import canonical

FORMAT = 2
"""Part of a package's name here: raise it when packages of the same rows are made differently."""
DESCRIPTOR, DICTIONARY = "datapackage.json", "dictionary.csv"
SHA256SUMS, SM3SUMS = "SHA256SUMS", "SM3SUMS"


@dataclass(frozen=True)
class Packed:
    """One file: where it lies, bytes, SHA-256 in hexadecimal."""

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """What it is called in the package."""
        return self.path.name


def packed(
    desk: Desk, admission: Admission, held: Extract, kinds: Sequence[str], key: Sequence[str], since: int | None
) -> list[Packed]:
    """The files of a package of `held`: the view of the admission, or the change set to it from version `since`.

    Raises LakeError; CitylakeError for what no sheet or layer can hold.
    """
    contracts, offering, masks = desk.listing.snapshot().contracts, admission.offering, dict(admission.allowed.masks)
    about = describe(contracts, offering, held, key, since, [], masks, made_up=bool(desk.said))
    said = [FORMAT, sorted(set(kinds)), key_named(key), offering.product.contract.hash, about, masks, desk.url]
    name = f"{held.key}-package-{hashlib.sha256(canonical(said).encode()).hexdigest()[:32]}"

    def build(folder: Path) -> None:
        targets = {kind: folder / _named(offering.product.name, since, kind) for kind in kinds}
        rows = [_write_rows(desk, admission, held, kind, target) for kind, target in targets.items()]
        described = describe(contracts, offering, held, key, since, rows, masks, made_up=bool(desk.said))
        (folder / DESCRIPTOR).write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", "utf-8")
        columns = [column for column in held.columns if column != CHANGE_TYPE]
        entries = dictionary.entries(offering.product, columns, admission.allowed.masks)
        (folder / DICTIONARY).write_bytes(dictionary.as_csv(entries, desk.said))
        licence = say("deliver.licence", product=offering.product.form.name, licence=offering.product.form.licence)
        (folder / LICENCE).write_text(licence + "\n", "utf-8")
        _write_sums(folder)

    cost = sum(BOOK_COST if kind == "xlsx" else 1 for kind in kinds)
    folder = desk.views.beside(admission.allowed, name, build, held.rows * cost)
    return described(sorted(folder.iterdir()))


def described(files: Iterable[Path]) -> list[Packed]:
    """These files with what is checked of them."""
    return [Packed(file, file.stat().st_size, sha256(file)) for file in files]


def _named(product: str, since: int | None, kind: str) -> str:
    return f"{product}{'' if since is None else '_changes'}.{kind}"


def _write_rows(desk: Desk, admission: Admission, held: Extract, kind: str, target: Path) -> DataFile:
    query = f"SELECT * FROM {held.relation} ORDER BY ALL"
    with desk.views.folders.connection() as con:
        if kind == "xlsx":
            _write_book(con, desk, admission, held, query, target)
        elif kind == "geojson":
            layers.write_geojson(con, query, target, _layer(admission, held))
        else:
            formats.WRITERS[kind](con, query, target)
    return DataFile(target.name, kind, target.stat().st_size, sha256(target))


def _write_book(
    con: duckdb.DuckDBPyConnection, desk: Desk, admission: Admission, held: Extract, query: str, target: Path
) -> None:
    columns = [column for column in held.columns if column != CHANGE_TYPE]
    about = about_book(admission.offering, desk.url, admission.allowed, columns, held.rows, bool(desk.said))
    try:
        workbooks.require_rows(held.rows)
        workbooks.write(con, query, target, about)
    except workbooks.DoesNotFit as problem:
        told = say(problem.code, **problem.arguments)
        raise CitylakeError("deliver.no_sheet", product=admission.allowed.product, problem=told) from None


def _layer(admission: Admission, held: Extract) -> layers.Layer:
    """The layer of these rows. Of changes a feature comes up to twice, so it has no id, and says what happened."""
    offering, allowed = admission.offering, admission.allowed
    assert offering.release is not None
    layer = layers.layer_of(offering.product, offering.release, held.columns, dict(allowed.masks))
    if layer is None:
        raise CitylakeError("deliver.no_geometry", product=allowed.product)
    if CHANGE_TYPE not in held.columns:
        return layer
    title, title_en = (translate("deliver.change_type", language) for language in LANGUAGES)
    return replace(layer, key=None, fields=(*layer.fields, layers.Field(CHANGE_TYPE, title, title_en, None)))


def _write_sums(folder: Path) -> None:
    """The lines of `sha256sum` and of `openssl dgst -sm3 -r` of every file that is there."""
    found = {file.name: checksums(file) for file in sorted(folder.iterdir())}
    (folder / SHA256SUMS).write_text("".join(f"{one['sha256']}  {name}\n" for name, one in found.items()), "utf-8")
    (folder / SM3SUMS).write_text("".join(f"{one['sm3']}  {name}\n" for name, one in found.items()), "utf-8")
