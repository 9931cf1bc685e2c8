"""Rows that fail rules of a model as a list for stewards: reason, key, values of the rule, and the raw rows behind.

One line for each row and rule, every cell text; values above a level are hidden. Who may have the list, and the record
of who did, belong to the command that writes it.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.admission.reasons import of_model
from pipelines.contracts.load import ProductContract
from pipelines.evidence import text_book
from pipelines.messages import say, translate
from pipelines.release.explain import ROWS
from pipelines.release.failing import Judged, places

FORMS = ("xlsx", "csv")
MASKED = "***"


@dataclass(frozen=True)
class Listing:
    """The lines of a list. `level`: the highest whose values are shown, None for all."""

    contract: ProductContract
    judged: Judged
    level: int | None

    @property
    def titles(self) -> list[str]:
        """What the columns are called."""
        names = {column.name: column.definition.businessName for column in self.contract.columns}
        told = ("rule", "reason", "values", "expected", "sources")
        rule, reason, values, expected, sources = (translate(f"failing.title.{one}", "zh") for one in told)
        return [rule, reason, *(names[name] for name in self.contract.form.key), values, expected, sources]

    def lines(self) -> Iterator[list[str | None]]:
        """A line for each failing row, or one for a rule about the table as a whole."""
        reasons, key = of_model(self.contract, "zh"), self.contract.form.key
        for found in self.judged.found:
            reason = reasons[found.rule.id]
            if found.rows is None:
                whole = translate("failing.whole", "zh", failed=found.failed)
                yield [found.rule.id, reason, *(None for _ in key), whole, None, None]
            for row in found.rows or ():
                shown = [self._shown(name, row.key.get(name)) for name in key]
                mine = [name for name in row.values if name not in key]
                told = "；".join(f"{self._name(name)}={self._shown(name, row.values[name]) or ''}" for name in mine)
                expected = None if row.expected is None else str(row.expected)
                yield [found.rule.id, reason, *shown, told or None, expected, self._sources(row.key, places(row))]

    def _shown(self, name: str, value: object) -> str | None:
        if self.level is not None and value is not None and self._levels.get(name, self.level + 1) > self.level:
            return MASKED
        return text_book.text(value)

    def _name(self, name: str) -> str:
        return next((one.definition.businessName for one in self.contract.columns if one.name == name), name)

    @cached_property  # asked for every cell
    def _levels(self) -> Mapping[str, int]:
        return {column.name: column.level for column in self.contract.columns}

    def _sources(self, key: Mapping[str, object], named: Sequence[tuple[str, str]]) -> str | None:
        """The raw rows; of a model that keeps no books the command that leads there, if its key is in the list."""
        if named:
            return "；".join(_place(source, place) for source, place in named)
        shown = {name: self._shown(name, value) for name, value in key.items()}
        if ROWS in self._levels or not shown or MASKED in shown.values():
            return None
        pairs = " ".join(f"{name}={value}" for name, value in shown.items())
        return f"citylake explain {self.contract.form.model} {pairs}"


def write(listing: Listing, form: str, target: Path, about: Mapping[str, str], scratch: Path) -> int:
    """Write a list as one of `FORMS`; returns its lines, in Excel those that fit."""
    lines = list(listing.lines())
    if form == "csv":
        _write_csv(target, [listing.titles, *lines])
        return len(lines)
    fitting, judged = lines[: text_book.MOST_ROWS], listing.judged
    facts = {"subject": judged.model, "edition": judged.edition, "rows": len(fitting)}
    code = "failing.about_refused" if judged.refused else "failing.about_published"
    with target.open("r+b") as file:
        text_book.write(file, say(code, **facts, **about), listing.titles, fitting, scratch)
    return len(fitting)


def _write_csv(target: Path, lines: Iterable[Sequence[str | None]]) -> None:
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(lines)


def _place(source: str, place: str) -> str:
    batch, _, row = place.partition(":")
    return translate("failing.place", "zh", source=source, batch=batch, row=row)
