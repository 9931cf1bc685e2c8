"""Who owns the companies of the city, against the clean register of shareholders: holdings, what stands behind them at
the ends of all walks, and who controls each company. Walks are followed here share by share, not by the models' way.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from citylake.compared.libraries.answers import UNEXPLAINED, Answers, answers
from citylake.compared.libraries.entities import MARKET, Entities
from citylake.compared.libraries.persons import PERSON
from citylake.compared.libraries.told import Libraries, clean
from pipelines.lake import delta

SHAREHOLDER, STAKE, CONTROL = (f"lib_legal_entity__{name}" for name in ("shareholder", "stake", "control"))
MODELS = (SHAREHOLDER, STAKE, CONTROL)
SHARES = "amr/shareholder"
CIRCULAR, CONTROLLED, NO_MAJORITY, INCOMPLETE = "circular", "controlled", "no_majority", "incomplete"
_LEFT = 1e-9
"""Of a company what may stay under way: shares are compared to four digits."""


@dataclass(frozen=True)
class Holding:
    """What somebody has in a company. `holder`: an identity number, a code, or that nobody said who it is."""

    number: str
    company: str
    holder: str
    share: float


def stakes(holdings: Iterable[Holding]) -> dict[tuple[str, str], float]:
    """What everybody who stands at an end has in each company, over all walks; what never ends is `circular`."""
    of = _by_company(holdings)
    found: dict[tuple[str, str], float] = defaultdict(float)
    for company in of:
        moving = {company: 1.0}
        for _ in range(10_000):
            further: dict[str, float] = defaultdict(float)
            for place, part in moving.items():
                for holder, share in of[place].items():
                    if holder in of:
                        further[holder] += part * share
                    else:
                        found[company, holder] += part * share
            moving = further
            if sum(moving.values()) < _LEFT:
                break
        else:
            found[company, CIRCULAR] += sum(moving.values())
    return dict(found)


def controllers(holdings: Iterable[Holding]) -> dict[str, tuple[str, str | None, int | None]]:
    """Who controls each company: up from majority to majority, to the state of control, who it is, and in how many
    steps."""
    of = _by_company(holdings)
    found: dict[str, tuple[str, str | None, int | None]] = {}
    for company in of:
        place, seen = company, [company]
        while True:
            above = next((holder for holder, share in of[place].items() if share > 0.5), None)
            if above is None:
                known = round(sum(of[place].values()), 6)
                found[company] = (NO_MAJORITY if known >= 0.5 else INCOMPLETE, None, None)
            elif above not in of:
                found[company] = (CONTROLLED, above, len(seen))
            elif above in seen:
                found[company] = (CIRCULAR, None, None)
            else:
                place = above
                seen.append(above)
                continue
            break
    return found


def _by_company(holdings: Iterable[Holding]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in holdings:
        found[one.company][one.holder] += one.share
    return {company: dict(holders) for company, holders in found.items()}


class Owners:
    """The true holdings beside those of the library."""

    def __init__(self, libraries: Libraries, entities: Entities) -> None:
        self._libraries, self._entities, self._people = libraries, entities, _numbers(libraries)
        self._companies = {
            str(row["subject_no"]): uscc for uscc, row in entities.true.items() if row["source"] == MARKET
        }
        self.true = {one.number: one for one in self._true()}
        columns = "investment_no, uscc, shareholder_uscc, shareholder_person_id, held_share"
        self.said = {
            row[0]: Holding(row[0], row[1], self._who(row[0], row[2], row[3]), row[4])
            for row in libraries.rows(SHAREHOLDER, columns)
        }

    def holdings(self) -> Answers:
        """Who holds how much of which company."""
        return answers(_plain(self.true), _plain(self.said), self._why)

    def ends(self) -> Answers:
        """Who stands at the ends of all walks, with which share."""
        columns = "uscc, shareholder_uscc, shareholder_person_id, holder_key, total_share"
        said = {
            (row[0], CIRCULAR if row[3] == "C" else self._who(row[3][1:], row[1], row[2])): round(row[4], 4)
            for row in self._libraries.rows(STAKE, columns)
        }
        true = {key: round(share, 4) for key, share in stakes(self.true.values()).items()}
        wrong = self._touched()
        return answers(true, said, lambda key: "rows" if key[0] in wrong else UNEXPLAINED)

    def control(self) -> dict[str, Answers]:
        """By state of control: who controls a company in how many steps. That nobody can tell is no answer."""
        columns = "uscc, control_state, controller_investment_no, controller_uscc, controller_person_id, control_depth"
        said = {
            row[0]: (row[1], self._who(*row[2:5]) if row[1] == CONTROLLED else None, row[5])
            for row in self._libraries.rows(CONTROL, columns, f"control_state <> '{INCOMPLETE}'")
        }
        true, wrong = controllers(self.true.values()), self._touched()
        return {
            state: answers(
                {company: one for company, one in true.items() if one[0] == state},
                {company: one for company, one in said.items() if one[0] == state},
                lambda company: "rows" if company in wrong else UNEXPLAINED,
            )
            for state in (CONTROLLED, NO_MAJORITY, CIRCULAR)
        }

    def _true(self) -> Iterable[Holding]:
        for row in clean(self._libraries, SHARES):
            holder = row["shareholder_id_number"] or row["shareholder_uscc"] or f"? {row['investment_no']}"
            yield Holding(row["investment_no"], self._companies[row["subject_no"]], holder, row["share_ratio"] / 100)

    def _who(self, number: str | None, uscc: str | None, person: str | None) -> str:
        if person is not None:
            return self._people.get(person, person)
        return uscc or f"? {number}"

    def _why(self, number: str) -> str:
        wrong = self._entities.planted.of(SHARES, number)
        return wrong or (self._entities.why(self.true[number].company) if number in self.true else UNEXPLAINED)

    def _touched(self) -> set[str]:
        """The companies in whose walks a row is not as it truly is."""
        true, said = _plain(self.true), _plain(self.said)
        wrong = [number for number in true.keys() | said.keys() if true.get(number) != said.get(number)]
        reached = {one.company for number in wrong for one in (self.true.get(number), self.said.get(number)) if one}
        below: dict[str, set[str]] = defaultdict(set)
        for one in (*self.true.values(), *self.said.values()):
            below[one.holder].add(one.company)
        waiting = list(reached)
        while waiting:
            further = below[waiting.pop()] - reached
            reached |= further
            waiting += further
        return reached


def _numbers(libraries: Libraries) -> dict[str, str]:
    """Identity numbers by the library's ids of persons; of whom the population library does not know as the register of
    shareholders was told."""
    source = libraries.contracts.sources[SHARES]
    read = delta.scan(delta.open_table(libraries.lake.core(source.org, source.dataset)))
    columns = "shareholder_person_id, shareholder_id_number"
    query = f"SELECT {columns} FROM {read.source} WHERE shareholder_person_id IS NOT NULL"
    known = libraries.rows(PERSON, "person_id, id_number", "id_number is not null")
    return {**dict(duckdb.sql(query).fetchall()), **dict(known)}


def _plain(holdings: Mapping[str, Holding]) -> dict[str, tuple[str, str, float]]:
    return {number: (one.company, one.holder, round(one.share, 6)) for number, one in holdings.items()}
