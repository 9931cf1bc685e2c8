"""Mixes: how often each code, or each size of amount, comes in a batch, and whether that left what batches before had.

Arithmetic on counts only. How mixes are taken is in `profile`, what is done about a finding in `drift`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from statistics import median

OFTEN = 5
"""What comes in no more rows than this is counted together: a rare value may be somebody's."""
REST = "~"
BINS = 4
"""Sizes of amounts in each power of ten: one ends at 1.78 times where it begins."""
MOST = 64
"""Codes of a list whose mix is looked at: of one with more, most are rare."""
STATES, CHANGES = 5, 10
"""Batches that must be known to say how mixes vary: of whole tables, which hardly do; of what changes from day to day,
so that both kinds of days of the week are among them."""
SHIFT = 0.25
"""The population stability index from which a mix is called another one in the practice of credit scoring."""
TIMES = 6
"""And how many times that of the batches before it must be, the oddest of them left out."""
CERTAIN = 7.0
"""Standard deviations by which the G statistic must be beyond what draws of one mix give (1 in 10^12)."""
EXPECTED = 10
"""Rows that a value must have, or be expected to have, to count by itself: the G statistic is not made for fewer."""

Mix = Mapping[str, int]


@dataclass(frozen=True)
class Moved:
    """A mix that is another one. `index`: population stability index against the usual mix; `usual`: of the batches
    before; `parts`: what changed most, with its share before and now."""

    index: float
    usual: float
    parts: tuple[tuple[str, float, float], ...]


def folded(counts: Mix) -> dict[str, int]:
    """Counts with those of rare values together."""
    often = {name: count for name, count in counts.items() if count > OFTEN}
    rest = sum(counts.values()) - sum(often.values())
    return often | ({REST: rest} if rest else {})


def moved(now: Mix, before: Sequence[Mix], fewest: int, batches: int) -> Moved | None:
    """Whether a mix of at least `fewest` values is another one than those before, newest first; None: it is not, or
    fewer than `batches` of them are known, or they vary so much themselves that nobody can tell.

    The usual mix has the median share of each value. Days that differ regularly (weekends) are among those before: so a
    mix is odd only if it is much further away than the second furthest of them, and like none of them.
    """
    total, known = sum(now.values()), [mix for mix in before if sum(mix.values()) >= fewest]
    if total < fewest or len(known) < batches:
        return None
    usual = _middle({*now, *(name for mix in known for name in mix)}, known)
    common = {name for name in usual if max(now.get(name, 0), total * usual[name]) >= EXPECTED}
    now, known = _within(common, now), [_within(common, mix) for mix in known]
    if len(names := sorted({*now, *(name for mix in known for name in mix)})) < 2:
        return None
    usual = _middle(names, known)
    index, distances = _index(names, now, usual), sorted(_index(names, mix, usual) for mix in known)
    alike = any(_index(names, now, _middle(names, [mix])) < SHIFT for mix in known)
    odd = max(SHIFT, TIMES * distances[-2])
    if alike or index <= odd or _certainty(names, now, usual) <= CERTAIN:
        return None
    shares = ((name, usual[name], now.get(name, 0) / total) for name in names)
    most = sorted(shares, key=lambda part: -abs(part[2] - part[1]))[:3]
    return Moved(index, distances[-2], tuple(most))


def _within(common: Collection[str], mix: Mix) -> Mix:
    """A mix with everything else together."""
    kept = {name: count for name, count in mix.items() if name in common and name != REST}
    rest = sum(mix.values()) - sum(kept.values())
    return kept | ({REST: rest} if rest else {})


def _middle(names: Collection[str], mixes: Sequence[Mix]) -> dict[str, float]:
    """The median share of each value, none of them 0: what did not come yet may come."""
    totals = [sum(mix.values()) for mix in mixes]
    least = 0.5 / median(totals)
    raw = {
        name: max(median(mix.get(name, 0) / total for mix, total in zip(mixes, totals, strict=True)), least)
        for name in names
    }
    whole = sum(raw.values())
    return {name: share / whole for name, share in raw.items()}


def _index(names: Sequence[str], mix: Mix, usual: Mapping[str, float]) -> float:
    """The population stability index: the sum of (p - q) ln(p / q)."""
    total = sum(mix.values())
    shares = {name: max(mix.get(name, 0), 0.5) / total for name in names}
    return sum((shares[name] - usual[name]) * log(shares[name] / usual[name]) for name in names)


def _certainty(names: Sequence[str], mix: Mix, usual: Mapping[str, float]) -> float:
    """The G statistic against the usual mix in standard deviations (Wilson and Hilferty)."""
    total, degrees = sum(mix.values()), len(names) - 1
    counted = ((mix[name], total * usual[name]) for name in names if mix.get(name))
    statistic = max(0.0, 2 * sum(found * log(found / expected) for found, expected in counted))
    cube = (statistic / degrees) ** (1 / 3)
    return float((cube - (1 - 2 / (9 * degrees))) / sqrt(2 / (9 * degrees)))
