"""The bundle for auditors: ledger, audit, signed heads, public key and evidence, a page that people read (`pack`), and
the program that checks them. The list of its files is signed.

Belongs here: writing it. Does not belong here: checking it (check, which runs without citylake).
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.documents import pdf
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain, heads
from pipelines.register.heads import Head
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.register.tables import audit, ledger
from pipelines.register.times import as_utc
from pipelines.release import check, pack

FORMAT = "citylake-evidence/2"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
ARCHIVE = ".zip"
"""A bundle whose name ends so is one file."""


@dataclass(frozen=True)
class Exported:
    """What a bundle holds: rows of the ledger, heads of it, rows of the audit, evidence files; SHA-256 (hex) of its
    manifest."""

    rows: int
    heads: int
    audit: int
    evidence: int
    manifest: str


def export(
    register: Register,
    signer: Signer,
    folder: Path,
    city: str,
    zone: ZoneInfo,
    since: date | None,
    until: date | None,
    signed: bool,
) -> Exported:
    """Write a bundle into a new folder, or as a new archive if its name says so. Of a period (days of the city) it
    holds the rows of all heads that touch it, and beside them the releases of before that still stood.

    `signed`: both chains were just signed without a problem, so rows after the last head only came since, and are left
    out; otherwise they stay and speak for themselves. All heads are in every bundle, those of the audit too.

    Raises CitylakeError for an empty ledger or period, and for a folder that exists.
    """
    known = list(heads.listed(register))
    rows = register.rows(sa.select(ledger).order_by(ledger.c.sequence))
    if not rows:
        raise CitylakeError("bundle.empty")
    partial, standing = since is not None or until is not None, list[dict[str, Any]]()
    vouched = list(heads.listed(register, audit))  # first: what is read and signed meanwhile is for the next bundle
    read = register.rows(sa.select(audit).order_by(audit.c.sequence))
    if signed:
        rows, read = _vouched_for(rows, known), _vouched_for(read, vouched)
    if partial:
        every, rows = rows, _of_period(rows, known, zone, since, until)
        if not rows:
            raise CitylakeError("bundle.no_rows")
        first = rows[0]["sequence"]
        standing = pack.stood(row for row in every if row["sequence"] < first)
        read = _of_period(read, vouched, zone, since, until)
    working = folder.with_name(f".{folder.name}.partial")
    try:
        if folder.exists():
            raise FileExistsError(None, "exists", folder)
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(mode=0o700)
        evidence = _write(working, register, rows, known, signer)
        if partial:
            _lines(working / check.EARLIER, map(chain.row_text, standing))
        _lines(working / "audit.jsonl", map(chain.row_text, read))
        _lines(working / "audit_heads.jsonl", (one.line() for one in vouched))
        page = pack.pack(city, zone, (since, until), rows, standing, known, len(read), signed)
        (working / pack.FILE).write_bytes(pdf.render(page))
        _write_manifest(working, city, zone, rows, read, known, partial)
        manifest = sha256(working / MANIFEST)
        _sign_manifest(working, signer, known)
        if folder.suffix == ARCHIVE:
            _archive(working, folder)
        else:
            os.replace(working, folder)
    except OSError as error:
        shutil.rmtree(working, ignore_errors=True)
        raise CitylakeError("bundle.folder", folder=folder, problem=error.strerror) from error
    return Exported(len(rows), len(known), len(read), evidence, manifest)


def _archive(working: Path, target: Path) -> None:
    """The files of a bundle as one; the same files make the same bytes."""
    partial = working / f".{target.name}"
    files = sorted(path for path in working.rglob("*") if path.is_file())
    with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            about = zipfile.ZipInfo(path.relative_to(working).as_posix())  # of 1980: what was when says the manifest
            about.external_attr = 0o600 << 16
            about.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(about, "w", force_zip64=True) as out:
                shutil.copyfileobj(source, out, 1 << 20)
    partial.chmod(0o600)
    os.replace(partial, target)
    shutil.rmtree(working)


def _vouched_for(rows: Sequence[dict[str, Any]], known: Sequence[Head]) -> list[dict[str, Any]]:
    """The rows up to the last head."""
    return [row for row in rows if known and row["sequence"] <= known[-1].last]


def _of_period(
    rows: Sequence[dict[str, Any]], known: Sequence[Head], zone: ZoneInfo, since: date | None, until: date | None
) -> list[dict[str, Any]]:
    """The rows of a period, and those beside them that the same heads signed; none if the period has none."""
    wanted = [row["sequence"] for row in rows if (since or date.min) <= _day(row["at"], zone) <= (until or date.max)]
    if not wanted:
        return []
    first, last = wanted[0], wanted[-1]
    starts = [head.says["first"] for head in known if head.says["first"] <= first]
    ends = [head.last for head in known if head.last >= last]
    first, last = max(starts, default=first), min(ends, default=last)
    return [row for row in rows if first <= row["sequence"] <= last]


def _day(at: datetime, zone: ZoneInfo) -> date:
    return as_utc(at).astimezone(zone).date()


def _write(
    folder: Path, register: Register, rows: Sequence[Mapping[str, Any]], known: Sequence[Head], signer: Signer
) -> int:
    """Everything but the manifest; returns the number of evidence files."""
    _lines(folder / "ledger.jsonl", map(chain.row_text, rows))
    _lines(folder / "heads.jsonl", (head.line() for head in known))
    (folder / "public_key.pem").write_bytes(signer.public_key(Encoding.PEM))
    shutil.copyfile(check.__file__, folder / "check.py")
    (folder / "evidence").mkdir()
    (folder / "editions").mkdir()
    receipts, written = Receipts(register, "export"), 0
    named = {json.loads(row["body"]).get("built_from"): row["edition"] for row in rows}
    for digest, edition in named.items():
        built = receipts.last(Stage.EDITION, edition) if digest else None
        if built is not None:
            (folder / "editions" / f"{digest}.json").write_text(chain.canonical(built.body), "utf-8", newline="")
    for row in rows:
        proof = json.loads(row["body"]).get("proof")
        found = _evidence(receipts, row, proof) if proof else None
        if found is not None:
            (folder / "evidence" / f"{row['sequence']}.json").write_text(chain.canonical(found), "utf-8", newline="")
            written += 1
    return written


def _evidence(receipts: Receipts, row: Mapping[str, Any], proof: str) -> dict[str, Any] | None:
    """The evidence that a row names by its hash; if there is none of this hash what stands in its place."""
    found = [one.body for one in receipts.of_edition(Stage.EVIDENCE, row["subject"], row["edition"])]
    return next((body for body in found if chain.digest(body) == proof), found[0] if found else None)


def _lines(file: Path, lines: Iterator[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(f"{line}\n" for line in lines)


def _write_manifest(
    folder: Path,
    city: str,
    zone: ZoneInfo,
    rows: Sequence[Mapping[str, Any]],
    read: Sequence[Mapping[str, Any]],
    known: Sequence[Head],
    partial: bool,
) -> None:
    made = now()
    clock = heads.offset_minutes(made, zone)
    if known:  # what its newest head signed; an older version's says none
        clock = known[-1].says.get("utc_offset_minutes", clock)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "city": city,
        "made": made.isoformat(timespec="seconds"),
        "utc_offset_minutes": clock,
        "partial": partial,
        "first": rows[0]["sequence"],
        "last": rows[-1]["sequence"],
        "audit": [read[0]["sequence"], read[-1]["sequence"]] if read else [0, 0],
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in files},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text, "utf-8", newline="")


def _sign_manifest(folder: Path, signer: Signer, known: Sequence[Head]) -> None:
    """The signature of the list of files; with the handover to this key if no head of the ledger has it yet."""
    signature = signer.sign((folder / MANIFEST).read_bytes()).hex()
    follows: dict[str, str] = {}
    if known:
        with contextlib.suppress(CitylakeError):  # a key that is gone: the bundle is written, and check tells
            follows = heads.handover(known[-1], signer)
    said = {"algorithm": signer.algorithm, "signature": signature, **follows}
    (folder / SIGNATURE).write_text(chain.canonical(said), "utf-8", newline="")
