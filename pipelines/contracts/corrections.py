"""Checking the guarded corrections of a source contract: what they name, what they would write, and into which file.

How they are applied is in `pipelines.admission.compile`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from pipelines.contracts.forms.sources import CorrectionForm, SourceForm
from pipelines.contracts.located import Located, Place
from pipelines.contracts.mistakes import check_column, error
from pipelines.contracts.resolved import CodeList, Column

SENSITIVE = 3
"""The level from which values may not stand in a contract."""


def check_corrections(
    file: Located, form: SourceForm, columns: Sequence[Column], codes: Mapping[str, CodeList]
) -> None:
    """Raises CitylakeError, with file and line, for a correction that is repeated, names other columns than the key
    and one beside it, would write down a sensitive value, or sets what a rule of the column refuses."""
    by_name = {column.name: column for column in columns}
    ids: set[str] = set()
    targets: set[tuple[object, ...]] = set()
    for index, one in enumerate(form.corrections):
        place: Place = ("corrections", index)
        target = (one.column, *sorted(one.where.items()), one.expect)
        if one.id in ids or target in targets:
            raise error("contract.duplicate_key", file, (*place, "id"), key=one.id)
        ids.add(one.id)
        targets.add(target)
        check_column(file, (*place, "column"), one.column, by_name)
        for name in one.where:
            check_column(file, (*place, "where", name), name, by_name)
        if set(one.where) != set(form.load.key) or one.column in form.load.key:
            named = {"correction": one.id, "key": ", ".join(form.load.key)}
            raise error("contract.correction_key", file, (*place, "where"), **named)
        _check_sensitive(file, place, one, by_name)
        if one.expect == one.set:
            raise error("contract.correction_same", file, (*place, "set"), correction=one.id)
        for rule in broken(by_name[one.column], one.set, codes):
            about = {"correction": one.id, "column": one.column, "rule": rule}
            raise error("contract.correction_value", file, (*place, "set"), **about)
        if not _is_day(one.since):
            raise error(
                "contract.correction_value", file, (*place, "since"), correction=one.id, column="since", rule="date"
            )


def _check_sensitive(file: Located, place: Place, one: CorrectionForm, columns: Mapping[str, Column]) -> None:
    """Values of sensitive columns, and keys that are personal themselves, may not be written down."""
    column = columns[one.column]
    personal = next((columns[name] for name in one.where if columns[name].definition.personal is not None), None)
    found = column if column.level >= SENSITIVE or column.definition.personal is not None else personal
    if found is not None:
        about = {"correction": one.id, "column": found.name, "level": found.level}
        raise error("contract.correction_sensitive", file, (*place, "column"), **about)


def broken(column: Column, value: str | None, codes: Mapping[str, CodeList]) -> Iterator[str]:
    """What a column demands and a value does not fulfil, as the contract calls it; rules of several columns and
    those only SQL can judge are left to admission."""
    definition, options = column.definition, column.definition.logicalTypeOptions
    if value is None:
        if column.required:
            yield "required"
        return
    read = _read(value, definition.logicalType)
    if read is None:
        yield definition.logicalType
        return
    if definition.codes is not None and value not in codes[definition.codes].rows:
        yield f"codes: {definition.codes}"
    if options.maxLength is not None and len(value) > options.maxLength:
        yield f"maxLength: {options.maxLength}"
    if options.pattern is not None and not re.fullmatch(options.pattern, value):
        yield f"pattern: {options.pattern}"
    for name, sign in (("minimum", 1), ("maximum", -1)):
        bound = getattr(options, name)
        if isinstance(bound, str):
            bound = _read(bound, definition.logicalType)  # None for today and tomorrow, which change
        if isinstance(bound, int | float) and isinstance(read, int | float) and sign * (read - bound) < 0:
            yield f"{name}: {bound}"


def _read(value: str, kind: str) -> str | float | None:
    """A text as what its type compares by, None if it is no such value."""
    try:
        if kind == "integer":
            return int(value)
        if kind == "number":
            return float(value) if math.isfinite(float(value)) else None
        if kind == "date":
            return date.fromisoformat(value).toordinal()
        if kind == "timestamp":
            return datetime.fromisoformat(value).isoformat()
    except ValueError:
        return None
    if kind == "boolean":
        return value if value in ("true", "false") else None
    return value


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
