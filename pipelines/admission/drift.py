"""Drift: how a batch differs from those admitted before in what its columns are, and what the contract does about it.

Compares profiles and decides by the policies of the contract; measures nothing itself and applies nothing. What was
renamed at the source stops the pull and is guessed in `renames`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, log10, sqrt
from statistics import median
from typing import Any

from pipelines.admission.mixes import BINS, CHANGES, OFTEN, REST, STATES, moved
from pipelines.admission.profile import ENOUGH, Look, Profile
from pipelines.admission.volumes import BATCHES, HISTORY, NORMAL, SPREAD, Unusual
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import CodeList, Column, SourceContract
from pipelines.contracts.texts import LANGUAGES, both
from pipelines.issues import Finding

HOLD = "admit.drift"
"""The guard that holds a batch because of a drift whose policy is stop."""
LEAST_POWER = 1.5
"""A typical amount that moved by more powers of ten than this is nearer to a hundredfold than to a tenfold. What a day
does by itself comes on top of a change of units, so no power is asked for exactly."""
LEAST_CUT = 4
"""By how many cut numbers more than chance and SPREAD of its deviations give they are told: a count of what is rare has
a tail that is so much longer than that of a normal one."""

Lists = Mapping[str, CodeList]


@dataclass(frozen=True)
class Drift:
    """What is to be done. `held`: why the batch is to wait (arguments of HOLD), `quarantined`: columns not taken over,
    `profile`: what the next batch is compared with if this one is admitted."""

    profile: Profile
    findings: tuple[Finding, ...] = ()
    held: Mapping[str, Any] = field(default_factory=dict)
    quarantined: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Seen:
    """One drift, before the policy has spoken. `column`: of the contract; None: the batch as a whole."""

    kind: str
    column: Column | None
    arguments: dict[str, Any]
    rows: int = 1


def repeated(contract: SourceContract, lists: Lists, old: Profile) -> Drift:
    """For kept batches that are judged again: nothing new is learnt, and what is in quarantine stays there."""
    left = [column.name for column in _unsettled(contract, lists, old) if old.looks[column.name].left == "quarantine"]
    return Drift(old, quarantined=frozenset(left))


def compare(
    contract: SourceContract,
    lists: Lists,
    old: Profile,
    new: Profile,
    volume: Unusual | None,
    confirmed: bool,
) -> Drift:
    """Compare a batch with those admitted before. `volume`: what is unusual about its rows; `confirmed`: the steward
    lets this batch pass, so that the next is compared with it."""
    policies = contract.form.drift
    looks = dict(new.looks)
    findings: list[Finding] = []
    stopped: list[_Seen] = []
    quarantined: set[str] = set()
    opened: dict[str, set[str]] = {}
    rescaled: set[str] = set()
    unusual = [_Seen("volume", None, vars(volume))] if volume else []
    changed = list(_drifts(contract, lists, old, new))
    told = {seen.column.name for seen in changed if seen.column}
    # what comes in unusual numbers is made up in another way, and one defect is told once
    mixed = [] if unusual else [seen for seen in _mixes(contract, lists, old, new) if _name(seen) not in told]
    for seen in (*changed, *unusual, *mixed):
        policy: str = getattr(policies, seen.kind)
        if policy == "quarantine" and seen.column is not None and _needed(contract, seen.column):
            policy = "stop"  # rows without this column would all be refused: that is no way to go on
        passes = policy == "evolve" or (policy == "stop" and confirmed)
        key = seen.column.name if seen.column else str(seen.arguments.get("column", ""))
        about = seen.arguments | both("policy", f"drift.policy_{'evolve' if passes else policy}")
        findings.append(Finding(f"drift.{seen.kind}", about, "warning" if passes else "error", key, seen.rows))
        if policy == "stop" and not confirmed:
            stopped.append(seen)
        if seen.kind == "units" and passes:
            rescaled.add(key)
        if policy == "quarantine" and seen.column:
            quarantined.add(seen.column.name)
        if policy in ("freeze", "quarantine") and seen.column:
            terms = _terms(contract, seen.column, lists)
            was = old.looks.get(seen.column.name, new.looks[seen.column.name])
            kinds = opened.setdefault(seen.column.name, set())
            kinds.add(seen.kind)
            typed = kinds == {"retyped"} and (was.retyped or not was.left)
            looks[seen.column.name] = replace(was, left=policy, terms=terms, retyped=typed)
    moved, settled = {finding.key for finding in findings}, set[str]()
    for column in _unsettled(contract, lists, old):
        was = old.looks[column.name]
        if was.retyped and new.looks[column.name].kind == was.kind:  # told by the source itself, not by values
            settled.add(column.name)
        elif column.name not in moved and _too_few(was, new.looks[column.name]):
            about = {"column": column.physical_name} | both("policy", f"drift.policy_{was.left}")
            findings.append(Finding("drift.unsettled", about, "error", column.name))
            looks[column.name] = was
            quarantined |= {column.name} if was.left == "quarantine" else set()
    for name, look in old.looks.items():
        if name in looks and name not in moved and looks[name].values < ENOUGH <= look.values:
            # a few rows say little about a column
            looks[name] = replace(look, left="", terms="", retyped=False) if name in settled else look
    for name, look in looks.items():
        if look is new.looks[name]:
            known = name not in rescaled and name in old.looks
            earlier, mixes = (_levels(old.looks[name]), old.looks[name].mixes) if known else ([], [])
            levels = [*([look.typical] if look.typical else []), *earlier][:HISTORY]
            looks[name] = replace(look, levels=levels, mixes=[*([look.mix] if look.mix else []), *mixes][:HISTORY])
    kept = Profile(new.rows, looks, new.others)
    # what is new is told by the pull, from what it found at the source
    findings = [finding for finding in findings if finding.code != "drift.new_column"]
    return Drift(kept, tuple(findings), _reason(stopped), frozenset(quarantined))


def _unsettled(contract: SourceContract, lists: Lists, old: Profile) -> Iterator[Column]:
    """Columns whose drift was left open and that the contract still treats as it did then."""
    for column in contract.columns:
        look = old.looks.get(column.name)
        if look is not None and look.left and look.terms == _terms(contract, column, lists):
            yield column


def _too_few(was: Look, now: Look) -> bool:
    """Whether a batch has too few values, or too few amounts, to say that a drift is over."""
    return now.values < ENOUGH or (was.typical is not None and now.typical is None)


def _terms(contract: SourceContract, column: Column, lists: Lists) -> str:
    """What the contract says of a column and of drift: when that changes, somebody has answered."""
    codes = lists[column.definition.codes].hash if column.definition.codes else ""
    return hashlib.sha256(repr((column, codes, contract.form.drift)).encode()).hexdigest()[:16]


def _needed(contract: SourceContract, column: Column) -> bool:
    return column.required or column.name in contract.form.load.key


def _reason(stopped: Sequence[_Seen]) -> dict[str, Any]:
    if not stopped:
        return {}
    kinds = [both("kind", f"drift.kind_{seen.kind}", column=seen.arguments.get("column", "")) for seen in stopped]
    return {f"drifts_{language}": "、".join(kind[f"kind_{language}"] for kind in kinds) for language in LANGUAGES}


def _drifts(contract: SourceContract, lists: Lists, old: Profile, new: Profile) -> Iterator[_Seen]:
    if old.looks:
        for name in new.others:
            if name not in old.others:
                yield _Seen("new_column", None, {"column": name})
    for column in contract.columns:
        was, now = old.looks.get(column.name), new.looks[column.name]
        if was is not None and was.left and was.terms != _terms(contract, column, lists):
            continue  # somebody has answered to what was left open
        yield from _digits(column, was, now)
        if was is not None:
            yield from _column_drifts(column, was, now, new.rows)


def _digits(column: Column, was: Look | None, now: Look) -> Iterator[_Seen]:
    """Whether a workbook has cut the long numbers of a column: more of them end in zeros than chance gives, which asks
    for no earlier delivery, nor were there as many before, as in codes that are filled up with zeros."""
    chance = now.long * now.chance
    before = was.cut / was.long if was is not None and was.long else 0.0
    if now.cut >= LEAST_CUT + chance + SPREAD * sqrt(chance) and now.cut / now.long > before + 0.01:
        about = {"column": column.physical_name, "cut": now.cut, "long": now.long, "chance": round(chance, 1)}
        yield _Seen("digits", column, about, now.cut)


def _mixes(contract: SourceContract, lists: Lists, old: Profile, new: Profile) -> Iterator[_Seen]:
    """Columns in which codes, or sizes of amounts, come in other shares than in the batches before. Of deliveries of
    changes codes only: what a day adds in amounts may be weather, of which no day is like another.
    """
    whole = isinstance(contract.form.load, WholeTable)
    batches = STATES if whole else CHANGES
    for column in (one for one in contract.columns if whole or one.definition.codes is not None):
        was, now = old.looks.get(column.name), new.looks[column.name]
        if was is None or (was.left and was.terms != _terms(contract, column, lists)):
            continue
        if (found := moved(now.mix, was.mixes, ENOUGH, batches)) is not None:
            parts = [f"{_part(name, column)} {before:.0%}→{share:.0%}" for name, before, share in found.parts]
            about = {"column": column.physical_name, "index": round(found.index, 2), "usual": round(found.usual, 3)}
            about |= {"batches": len(was.mixes), "parts": "、".join(parts), "values": sum(now.mix.values())}
            yield _Seen("mix", column, about)


def _part(name: str, column: Column) -> str:
    """What a part of a mix is called: a code, or from where to where amounts of a size go."""
    if name == REST or column.definition.codes is not None:
        return "…" if name == REST else name
    if name == "0":
        return "0"
    sign, size = ("-" if name.startswith("-") else ""), int(name[1:])
    return f"{sign}{10 ** (size / BINS):.3g}–{sign}{10 ** ((size + 1) / BINS):.3g}"


def _name(seen: _Seen) -> str:
    return seen.column.name if seen.column else ""


def _column_drifts(column: Column, was: Look, now: Look, rows: int) -> Iterator[_Seen]:
    if was.kind and now.kind and was.kind != now.kind:
        kinds = {**both("old", f"drift.type_{was.kind}"), **both("new", f"drift.type_{now.kind}")}
        yield _Seen("retyped", column, {"column": column.physical_name, **kinds})
    codes = {code: count for code, count in now.codes.items() if code not in was.codes}
    # a delivery of the old size with as many strange values as before is no change
    odd = now.strange if now.strange > OFTEN and now.strange > 2 * was.strange + 0.01 * now.values else 0
    if codes or odd:
        listed = "、".join(f"{code}（{count}）" for code, count in codes.items()) or "—"
        about: dict[str, Any] = {"column": column.physical_name, "list": column.definition.codes, "codes": listed}
        yield _Seen("codes", column, about | {"others": odd, "sample": rows}, sum(codes.values()) + odd)
    if was.chinese > 0 and was.values >= ENOUGH and now.garbled * now.values >= 3 and now.garbled > was.garbled + 0.01:
        yield _Seen("encoding", column, {"column": column.physical_name, "share": now.garbled, "before": was.garbled})
    levels = _levels(was)
    power = _power(levels, now.typical, now.error) if levels and now.typical else 0
    if power:
        about = {"column": column.physical_name, "old": median(levels), "new": now.typical, "batches": len(levels)}
        suspicion = "drift.yuan" if abs(power) == 4 else "drift.scale"
        about |= {"factor": f"{'×' if power > 0 else '÷'}{10 ** abs(power)}", "unit": column.definition.unit or "—"}
        yield _Seen("units", column, about | both("guess", suspicion))


def _levels(look: Look) -> list[float]:
    """Typical amounts up to a look; one that was kept before there were levels knows its own."""
    return look.levels or ([look.typical] if look.typical else [])


def _power(levels: Sequence[float], typical: float, error: float) -> int:
    """The power of ten by which a typical amount has left those before it; 0: it has not, or they vary so much that
    nobody can tell. One level among several that is wrong itself moves neither their median nor their spread much."""
    powers = [log10(level) for level in levels]
    usual = median(powers)
    moved = log10(typical) - usual
    spread = NORMAL * median(abs(power - usual) for power in powers) if len(powers) >= BATCHES else 0.0
    return round(moved) if abs(moved) > max(LEAST_POWER, SPREAD * hypot(spread, error)) else 0
