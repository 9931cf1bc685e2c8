"""Which files of a source were taken before, from its receipts, whether they still lie where they were dropped or not.

Belongs here: what was taken under which name, and which file of a whole table is the newest. Does not belong here: what
lies there now and whether it is complete (`connectors.drop_box`), and what is done with an older file (`admit`).
"""

import re
from collections.abc import Mapping
from typing import Any

from pipelines.contracts.load import SourceContract
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage

TAKEN = "taken"
"""In the receipt of a pull: the SHA-256 of every file that it took, by name."""
_DIGITS = re.compile(r"([0-9]+)")


def known_files(contract: SourceContract, asked: Mapping[str, Any], receipts: Receipts) -> dict[str, str]:
    """The SHA-256 of what was taken last under each name, since the source is asked as it is now (`asked`). What a
    steward went back behind is to be taken again."""
    told: list[tuple[int, Mapping[str, str]]] = []
    batch = 0
    for stage, number, body in receipts.steps(contract.id):
        if stage == Stage.POSITION:
            told = [one for one in told if one[0] < (body.get("batch") or 0)]
        elif stage == Stage.PULL and body.get("asked") != asked:
            told.clear()
        else:
            batch = number or batch
            told.append((batch, _files(body)))
    return {name: mark for _, files in told for name, mark in files.items()}


def newer_file(contract: SourceContract, receipts: Receipts, batch: int) -> str:
    """The newest file, by name, that was admitted before that of a batch; empty if it is none, or that is newer."""
    admitted = receipts.batches(Stage.ADMIT, contract.id)
    pulls = {number: body for stage, number, body in receipts.steps(contract.id) if stage == Stage.PULL}
    mine = pulls.get(batch, {})
    if not _files(mine) or _ours(mine):
        return ""
    names = [
        str(body["origin"])
        for number, body in pulls.items()
        if number in admitted and body.get("asked") == mine.get("asked") and not _ours(body)
    ]
    newest = max(names, key=in_order, default="")
    return newest if newest and in_order(newest) > in_order(str(mine["origin"])) else ""


def in_order(name: str) -> list[tuple[int, str]]:
    """What names of files are ordered by: numbers in them by their size, so that _10 comes after _9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


def _files(body: Mapping[str, Any]) -> Mapping[str, str]:
    """What a pull took; receipts of before say only what lay there then."""
    if (taken := body.get(TAKEN)) is not None:
        return dict(taken)
    return {name: one["sha256"] for name, one in (body.get("files") or {}).items()}


def _ours(body: Mapping[str, Any]) -> bool:
    return str(body["origin"]).startswith((REPLAY, RETURNED))
