"""The readable page of a bundle: what happened in its period, what is published, and how the bundle is checked.

Made of the very rows and heads that lie in the bundle, so that it says nothing else than they do. Chinese, for the
auditor's file; `bundle` writes it and signs the list of files that names it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pipelines.documents.model import Cell, Column, Document, Paragraph, Section, Table, Words
from pipelines.lake.checksums import named
from pipelines.messages import translate
from pipelines.register.heads import Head
from pipelines.register.times import as_utc
from pipelines.release.check import EARLIER
from pipelines.release.ledger import (
    APPROVAL,
    APPROVAL_END,
    ERASURE,
    PAST_WITHDRAWAL,
    PROPOSAL,
    REFUSAL,
    RELEASE,
    RETENTION,
    WITHDRAWAL,
)

COUNTED = (RELEASE, REFUSAL, WITHDRAWAL, PAST_WITHDRAWAL, ERASURE, RETENTION, PROPOSAL, APPROVAL, APPROVAL_END)
FILE = "pack.pdf"
MOST = 1000
"""Rows that a page lists one by one; the bundle has them all."""
Row = Mapping[str, Any]
R = TypeVar("R", bound=Row)


def pack(
    city: str,
    zone: ZoneInfo,
    period: tuple[date | None, date | None],
    rows: Sequence[Row],
    standing: Sequence[Row],
    known: Sequence[Head],
    read: int,
    signed: bool,
) -> Document:
    """The document of a bundle of these ledger rows (at least one), the releases before them that still stood, all
    heads and so many rows of the audit. `signed`: both chains were just signed without a problem."""
    heads = [head for head in known if head.last >= rows[0]["sequence"]]
    newest = known[-1] if known else None
    running = (
        t("no_head") if newest is None else t("head", number=newest.sequence, last=newest.last, hash=_chain(newest))
    )
    facts = [
        (t("city"), city),
        (t("period"), t("days", first=period[0] or "…", last=period[1] or "…") if any(period) else t("all")),
        (t("rows"), t("span", first=rows[0]["sequence"], last=rows[-1]["sequence"], count=len(rows))),
        (t("audit"), str(read)),
        (t("until"), _when(rows[-1]["at"], zone)),
        *((t("warning"), text) for text in _warnings(rows, newest, signed)),
    ]
    sections = [_counts(rows), _heads(heads), _published(standing, rows, zone), _others(rows, zone), _checking()]
    return Document(
        "zh",
        t("title", city=city),
        t("subtitle"),
        facts,
        running,
        as_utc(rows[-1]["at"]),
        sections,
        Words(page=translate("report.page", "zh", page="{page}", pages="{pages}"), missing=t_missing()),
    )


def _warnings(rows: Sequence[Row], newest: Head | None, signed: bool) -> Iterator[str]:
    """What makes these rows doubtful: that signing was refused, and rows that no head vouches for."""
    if not signed:
        yield t("refused")
    late = [row["sequence"] for row in rows if newest is None or row["sequence"] > newest.last]
    if late:
        yield t("unsigned", first=late[0], last=late[-1], count=len(late))


def t(code: str, **arguments: object) -> str:
    """A text of the page."""
    return translate(f"pack.{code}", "zh", **arguments)


def t_missing() -> str:
    """What is said of characters without a glyph."""
    return translate("report.missing", "zh", characters="{characters}")


def _chain(head: Head) -> str:
    return str(head.says["chain"])


def _when(at: datetime, zone: ZoneInfo) -> str:
    return as_utc(at).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _counts(rows: Sequence[Row]) -> Section:
    kinds = Counter(row["kind"] for row in rows)
    counted: list[list[Cell]] = [[t(f"kind.{kind}"), kinds[kind]] for kind in COUNTED]
    counted.append([t("kind.other"), sum(kinds.values()) - sum(kinds[kind] for kind in COUNTED)])
    columns = (Column(t("what"), 3), Column(t("number"), 1, True))
    return Section(t("counts"), [Table(t("counts_caption"), columns, counted)])


def _heads(heads: Sequence[Head]) -> Section:
    rows: list[list[Cell]] = [
        [
            head.sequence,
            t("rows_of", first=head.says["first"], last=head.last),
            str(head.says["at"]),
            f"{_chain(head)}\n{head.says['algorithm']} {head.signature}",
        ]
        for head in heads
    ]
    columns = (
        Column(t("head_number"), 0.6, True),
        Column(t("signed_rows"), 1.2),
        Column(t("signed_at"), 1.3),
        Column(t("signature"), 3.6),
    )
    return Section(t("heads"), [Table(t("heads_caption"), columns, rows, t("no_head")), Paragraph(t("kept"), "note")])


def stood(rows: Iterable[R]) -> list[R]:
    """The releases among ledger rows that none of the later ones replaced or withdrew, by subject."""
    last = {row["subject"]: row for row in rows if row["kind"] in (RELEASE, WITHDRAWAL)}
    return [row for _, row in sorted(last.items()) if row["kind"] == RELEASE]


def _published(standing: Sequence[Row], rows: Sequence[Row], zone: ZoneInfo) -> Section:
    """What was released by these rows, or before and stood, and not withdrawn by them, as check.py tells it."""
    shown: list[list[Cell]] = []
    for row in stood((*standing, *rows)):
        subject = row["subject"]
        body = json.loads(row["body"])
        since = _since(rows, row, body.get("files", ()))
        files = [t("file", file=one["name"], **named(one)) for one in body.get("files", ())]
        count = body.get("rows")
        shown.append(
            [
                f"{subject}\n{_when(row['at'], zone)}",
                row["version"],
                row["sequence"],
                count if isinstance(count, int) else None,
                "\n".join([row["hash"], *files, *since]),
            ]
        )
    columns = (
        Column(t("dataset"), 2.2),
        Column(t("version"), 0.6, True),
        Column(t("row"), 0.7, True),
        Column(t("count"), 0.9, True),
        Column(t("hashes"), 3.4),
    )
    first = rows[0]["sequence"]
    before = [Paragraph(t("published_before", first=first, file=EARLIER), "note")] if first > 1 else []
    return Section(t("published"), [Table(t("published_caption"), columns, shown, t("nothing")), *before])


def _since(rows: Sequence[Row], release: Row, files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What later rows made of a released version and its files: the row, and the new hash or that it ended."""
    subject, version = release["subject"], str(release["version"])
    for row in rows:
        if row["kind"] not in (ERASURE, RETENTION) or row["sequence"] < release["sequence"]:
            continue
        body, number = json.loads(row["body"]), row["sequence"]
        change = body.get("releases", {}).get(subject, {}).get(version)
        if change is not None and change[1] is None:
            yield t("ended", row=number)
            continue
        if change is not None:
            yield t("rewritten", row=number, hash=change[1])
        for file in files:
            now = body.get("files", {}).get(f"lake/released/files/{subject}/v{version}/{file['name']}")
            if now is not None:
                code = "file_ended" if now[1] is None else "file_rewritten"
                yield t(code, row=number, file=file["name"], **(now[1] or {}))


def _others(rows: Sequence[Row], zone: ZoneInfo) -> Section:
    """Every row that is no release, with its hash: what was refused, taken back, erased, ended, held."""
    shown: list[list[Cell]] = [
        [row["sequence"], _when(row["at"], zone), _kind(row["kind"]), row["subject"], row["hash"]]
        for row in rows
        if row["kind"] != RELEASE
    ]
    more = [Paragraph(t("more", shown=MOST, all=len(shown)), "note")] if len(shown) > MOST else []
    columns = (
        Column(t("row"), 0.6, True),
        Column(t("at"), 1.2),
        Column(t("what"), 1),
        Column(t("subject"), 2),
        Column(t("hashes"), 2.6),
    )
    return Section(t("others"), [Table(t("others_caption"), columns, shown[:MOST], t("nothing")), *more])


def _kind(kind: str) -> str:
    return t(f"kind.{kind}") if kind in COUNTED else kind


def _checking() -> Section:
    return Section(
        t("checking"),
        [
            Paragraph(t("check.1")),
            Paragraph("pip install cryptography\npython check.py --heads heads-kept.jsonl --key key-kept.pem", "code"),
            Paragraph(t("check.2")),
            Paragraph("python check.py --published-on 2026-11-30\npython check.py --received open/…", "code"),
            Paragraph(t("check.3")),
        ],
    )
