"""Who owns the companies of the city, as the truth knows it: people, companies, the state, collectives, outsiders.

Only the deal itself: shares of one company, in hundredths of a percent so that they add up. Groups and circles of
companies that hold each other are made on purpose; the register of shareholders belongs to `share_registers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from simulator.bodies import Head
from simulator.chance import Dice

WHOLE = 10_000
"""All shares of a company."""
NATURAL, COMPANY, STATE, COLLECTIVE, OTHER = "1", "2", "3", "4", "9"
"""Codes of kinds of shareholders."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who may hold shares: a person by identity number, everything else by unified social credit code."""

    kind: str
    name: str
    identity: str | None = None
    uscc: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """The shares of one holder in one company."""

    company: int
    holder: Holder
    share: int


def person_of(head: Head) -> Holder:
    """A natural person as a shareholder."""
    return Holder(NATURAL, head.name, identity=head.identity)


def split(dice: Dice, whole: int, parts: int) -> list[int]:
    """Shares that add up to `whole`, each at least one percent; often round ones."""
    if parts == 1:
        return [whole]
    cuts = sorted({dice.between(1, whole // 500 - 1) * 500 for _ in range(parts - 1)})
    edges = [0, *cuts, whole]
    return [after - before for before, after in pairwise(edges)]


def portfolio(
    dice: Dice,
    company: int,
    owner: Holder,
    people: Sequence[Holder],
    companies: Sequence[Holder],
    bodies: Sequence[Holder],
    outsiders: Sequence[Holder],
) -> list[Holding]:
    """Who holds a company: its owner alone, people, another company that leads a group, the state, or a mixture.

    `companies` are those that may stand above this one: only earlier ones, so that circles are made by `circle` alone.
    """
    lot = dice.random()
    if lot < 0.38:
        return [Holding(company, owner, WHOLE)]
    if lot < 0.62:
        holders = [owner, *(dice.pick(people) for _ in range(dice.between(1, 3)))]
    elif lot < 0.80 and companies:
        holders = [dice.pick(companies[-40:]), owner, *([dice.pick(people)] if dice.chance(0.4) else [])]
        if dice.chance(0.35):
            return [Holding(company, holders[0], WHOLE)]
    elif lot < 0.94 and bodies:
        holders = [dice.pick(bodies), *([owner] if dice.chance(0.4) else [])]
    else:
        holders = [dice.pick(outsiders), owner] if outsiders else [owner]
    distinct = list(dict.fromkeys(holders))
    shares = split(dice, WHOLE, len(distinct))
    return [Holding(company, holder, share) for holder, share in zip(distinct, shares, strict=False)]


def circle(dice: Dice, members: Sequence[tuple[int, Holder]], owners: Sequence[Holder]) -> list[Holding]:
    """Companies that hold each other in a circle, each a part of the next; the rest belongs to an owner each.

    Now and then each holds more than half of the next: then nobody outside controls any of them.
    """
    part = dice.pick((1_000, 2_000, 3_000, 4_900, 6_000))
    found = []
    for place, (company, _) in enumerate(members):
        found += [Holding(company, members[place - 1][1], part), Holding(company, owners[place], WHOLE - part)]
    return found
