"""Which licences are in force on the town's day, against the catalogue as it would be if nothing were spoilt."""

from collections import defaultdict
from dataclasses import dataclass

from benchmarks.truth.town import LivedTown
from simulator.licences import VALID

LICENCE = "lib_e_licence__licence"
CATALOGUE = "dzzz.T_ZZML_BG"
DELETED = "D"


@dataclass(frozen=True)
class InForce:
    """Of one type of licence: how many are truly in force, how many the library says are, and both. `twice`: holders
    with several in force by the library that are not all truly in force, or that people with several numbers have of
    whom the register does not say that they are one or the other."""

    true: int
    said: int
    right: int
    twice: int


def in_force(town: LivedTown) -> dict[str, InForce]:
    """By type of licence. A licence is truly in force if its last change left it valid, and the day is one of its
    own; the catalogue keeps some as valid whose last day is over."""
    town.build(LICENCE)
    last: dict[str, dict[str, str | None]] = {}
    for row in sorted(town.city.records(CATALOGUE), key=lambda row: int(str(row["BGXH"]))):
        last[str(row["ZZBS"])] = row
    today = town.today.isoformat()
    true = {
        identifier: row
        for identifier, row in last.items()
        if row["BGLX"] != DELETED and row["ZZZT"] == VALID and (row["YXQQ"] or today) <= today <= (row["YXQZ"] or today)
    }
    columns = "licence_identifier, licence_type, coalesce(holder_person_id, holder_uscc, licence_identifier)"
    said = {identifier: (kind, holder) for identifier, kind, holder in town.rows(LICENCE, columns, "in_force")}
    found, doubtful = {}, town.doubtful_numbers()
    for kind in sorted({str(row["ZZLXDM"]) for row in true.values()}):
        mine = {identifier for identifier, row in true.items() if row["ZZLXDM"] == kind}
        told = {identifier for identifier, (other, _) in said.items() if other == kind}
        held = defaultdict(list)
        for one in told:
            held[said[one][1]].append(one)
        several = [{*ones} for ones in held.values() if len(ones) > 1]
        numbers = [{str(true[one]["CZZTDM"]) for one in ones & mine} for ones in several]
        twice = sum(
            not ones <= mine or (len(whose) > 1 and not whose <= doubtful)
            for ones, whose in zip(several, numbers, strict=True)
        )
        found[kind] = InForce(len(mine), len(told), len(mine & told), twice)
    return found
