"""Changes of columns: names, types, limits, code lists, sensitivity.

In a source a tighter demand breaks (rows are refused); in a product a looser promise does.
"""

from collections.abc import Iterator, Sequence

from pipelines.contracts.diff_change import Change, change
from pipelines.contracts.resolved import Column, Contracts


def column_changes(
    subject: str, was: Sequence[Column], now: Sequence[Column], old: Contracts, new: Contracts, *, source: bool
) -> list[Change]:
    """Every change between two lists of columns."""
    before, after = {column.name: column for column in was}, {column.name: column for column in now}
    renamed = _renamed(was, now, source)
    found: list[Change] = [
        change(subject, "column_renamed", name, old=name, new=renamed[name]) for name in before if name in renamed
    ]
    for name in before:
        if name not in after and name not in renamed:
            found.append(change(subject, "column_dropped", name))
    for name, column in after.items():
        if name not in before and name not in renamed.values():
            demanding = source and column.required
            found.append(change(subject, "source_column_required" if demanding else "column_added", name))
    pairs = [(before[name], after[name]) for name in before if name in after]
    pairs += [(before[name], after[other]) for name, other in renamed.items()]
    for one, other in pairs:
        found += _column_changes(subject, one, other, source)
    return found


def _renamed(was: Sequence[Column], now: Sequence[Column], source: bool) -> dict[str, str]:
    """Old name -> new name: in a source by the physical name, in a product by position and type."""
    before, after = {column.name for column in was}, {column.name for column in now}
    gone = [(index, column) for index, column in enumerate(was) if column.name not in after]
    came = [(index, column) for index, column in enumerate(now) if column.name not in before]
    return {
        one.name: other.name
        for index, one in gone
        for position, other in came
        if (one.physical_name == other.physical_name if source else index == position and _same_type(one, other))
    }


def _same_type(one: Column, other: Column) -> bool:
    return (one.definition.logicalType, one.definition.codes) == (other.definition.logicalType, other.definition.codes)


def _column_changes(subject: str, was: Column, now: Column, source: bool) -> Iterator[Change]:
    side, name = "source" if source else "product", now.name
    old, new = was.definition, now.definition
    if source and was.physical_name != now.physical_name:
        yield change(subject, "source_name_changed", name, old=was.physical_name, new=now.physical_name)
    if old.logicalType != new.logicalType:
        yield change(subject, "column_retyped", name, old=old.logicalType, new=new.logicalType)
    if old.unit != new.unit:
        yield change(subject, "unit_changed", name, old=old.unit, new=new.unit)
    for mark in ("required", "unique"):
        if getattr(was, mark) != getattr(now, mark):
            yield change(subject, f"{side}_{mark}_{'added' if getattr(now, mark) else 'removed'}", name)
    yield from _limit_changes(subject, was, now, side)
    yield from _code_changes(subject, name, old.codes, new.codes)
    if was.clean != now.clean:
        yield change(subject, "clean_changed", name)
    if was.level != now.level:
        what = "classification_lowered" if now.level < was.level else "classification_raised"
        yield change(subject, what, name, old=was.level, new=now.level)
    if old.lowered != new.lowered:
        yield change(subject, "lowered_dropped" if new.lowered is None else "lowered_changed", name)
    if old.personal != new.personal:
        what = "personal_dropped" if new.personal is None else "personal_marked"
        yield change(subject, what, name, old=old.personal, new=new.personal)


def _limit_changes(subject: str, was: Column, now: Column, side: str) -> Iterator[Change]:
    old, new = was.definition.logicalTypeOptions, now.definition.logicalTypeOptions
    for limit, sign in (("minimum", -1), ("maximum", 1), ("maxLength", 1)):
        before, after = getattr(old, limit), getattr(new, limit)
        if before != after:
            wider = after is None or (before is not None and _is_greater(after, before) == (sign > 0))
            what = f"{side}_limit_{'widened' if wider else 'narrowed'}"
            yield change(subject, what, now.name, limit=limit, old=_shown(before), new=_shown(after))
    if old.pattern != new.pattern:
        yield change(subject, "pattern_changed", now.name, old=_shown(old.pattern), new=_shown(new.pattern))


def _is_greater(one: int | float | str, other: int | float | str) -> bool:
    """Numbers by value; dates as ISO text, after which `today` and `tomorrow` sort, in this order."""
    if isinstance(one, str) or isinstance(other, str):
        return str(one) > str(other)
    return one > other


def _code_changes(subject: str, name: str, old: str | None, new: str | None) -> Iterator[Change]:
    if old == new:
        return
    what = "code_list_dropped" if new is None else "code_list_changed"
    yield change(subject, what, name, old=_shown(old), new=_shown(new))


def _shown(value: object) -> object:
    return "—" if value is None else value
