"""Electronic licences against the catalogue's log as it would be if nothing in it were spoilt: which are in force, what
was done to each and when, what is told of one that somebody asks about on a day, which are about to end.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

import duckdb
import pyarrow as pa

from catalog.delivery.verification.licences import Verdict, verify
from citylake.compared.libraries.answers import UNEXPLAINED, Answers, Planted, answers
from citylake.compared.libraries.told import Libraries, Row, clean
from simulator.licences import CANCELLED, CHANGED, EXPIRED, REVOKED, SUSPENDED, VALID

LICENCE, EVENT, PERIOD, EXPIRING = (f"lib_e_licence__{name}" for name in ("licence", "event", "period", "expiring"))
MODELS = (LICENCE, EVENT, PERIOD, EXPIRING)
LOG, NOTICE = "dsrb/e_licence", "dsrb/licence_expiry"
ISSUED, DELETED = "I", "D"
YES = "1"
EVENTS = {EXPIRED: "expired", CANCELLED: "cancelled", REVOKED: "revoked", CHANGED: "replaced", SUSPENDED: "suspended"}
"""What happened to a licence by the status in which a change leaves it."""
SHOWN = (
    "licence_identifier", "change_no", "since_day", "licence_status", "valid_from", "valid_to", "issued_on",
    "superseded_since",
)  # fmt: skip
"""The columns of the verification product that an answer is made of."""


class Licences:
    """The true log, and why a library may know another one."""

    def __init__(self, libraries: Libraries) -> None:
        self._libraries, self._planted = libraries, Planted(libraries)
        self._today = libraries.today
        self.log: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(clean(libraries, LOG), key=lambda row: float(row["change_no"])):
            self.log[row["licence_identifier"]].append(row)
        self.last = {one: rows[-1] for one, rows in self.log.items() if rows[-1]["operation"] != DELETED}
        self._alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for one in self.log:
            self._alike[self._kept_once(one)].append(one)
        self._superseded = dict(self._replaced())

    def in_force(self) -> dict[str, Answers]:
        """By type: which licences are in force. The catalogue keeps some as valid whose last day is over."""
        said = dict(self._libraries.rows(LICENCE, "licence_identifier, licence_type", "in_force"))
        true = {one: row["licence_type"] for one, row in self.last.items() if self._in_force(one, row, self._today)}
        return {
            kind: answers(
                {one: kind for one, other in true.items() if other == kind},
                {one: kind for one, other in said.items() if other == kind},
                self.why,
            )
            for kind in sorted(set(true.values()))
        }

    def twice(self) -> int:
        """How many licences too many are in force by the library: of one type and one true holder, and of types of
        which a holder may have several also with one number."""
        rows = self._libraries.rows(LICENCE, "licence_identifier", "in_force")
        holders = Counter(self._kept_once(one) if one in self.log else (one,) for (one,) in rows)
        return sum(count - 1 for count in holders.values())

    def superseded(self) -> Answers:
        """Which licences a newer one of their holder replaced although they are called valid, and since when."""
        said = dict(self._libraries.rows(LICENCE, "licence_identifier, superseded_since", "superseded"))
        true = {one: since for one, since in self._superseded.items() if _good(self.last[one], self._today)}
        return answers(true, said, self.why)

    def several(self) -> Answers:
        """Who has several licences of one type in force, under whatever numbers, and how many."""
        said = Counter(
            (kind, self._holder(one))
            for one, kind in self._libraries.rows(LICENCE, "licence_identifier, licence_type", "in_force")
        )
        good = (row for one, row in self.last.items() if self._in_force(one, row, self._today))
        true = Counter((row["licence_type"], row["holder_code"]) for row in good)
        of: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one, rows in self.log.items():
            of[rows[-1]["licence_type"], rows[-1]["holder_code"]].append(one)

        def why(key: tuple[str, str]) -> str:
            return next((wrong for one in of[key] if (wrong := self.why(one)) != UNEXPLAINED), UNEXPLAINED)

        return answers(
            {key: count for key, count in true.items() if count > 1},
            {key: count for key, count in said.items() if count > 1},
            why,
        )

    def events(self) -> dict[str, Answers]:
        """By what happened: to which licence, in which change, on which day."""
        true = {}
        for one, rows in self.log.items():
            for row, before in zip(rows, [None, *rows], strict=False):
                true[str(int(row["change_no"]))] = (one, _event(row, before), _day(row))
        columns = "change_no, licence_identifier, licence_event, since_day"
        said = {str(row[0]): row[1:] for row in self._libraries.rows(EVENT, columns)}

        def why(number: str) -> str:
            return self.why((said.get(number) or true[number])[0])

        return {
            event: answers(
                {number: one for number, one in true.items() if one[1] == event},
                {number: one for number, one in said.items() if one[1] == event},
                why,
            )
            for event in sorted({one[1] for one in true.values()})
        }

    def verified(self, asked: Iterable[str], day: date) -> Answers:
        """What the verification service answers about each of these identifiers as of a day: whether it is genuine or
        why not, its status, and whether it was in force."""
        known = list(asked)
        rows = self._libraries.rows(PERIOD, ", ".join(SHOWN))
        with duckdb.connect() as con:
            con.register("period", pa.table(dict(zip(SHOWN, map(list, zip(*rows, strict=True)), strict=True))))
            con.execute("CREATE TABLE periods AS SELECT * FROM period")
            said = {one: _told(con, one, day, self._today) for one in known}
        return answers({one: self._truly(one, day) for one in known}, said, self.why)

    def expiring(self) -> Answers:
        """Which licences in force end within the days of notice of their type, and in how many days."""
        path = self._libraries.contracts.root / "reference" / "licence_expiry.csv"
        notice = {
            row["licence_type"]: int(row["warn_days"]) for row in csv.DictReader(path.read_text("utf-8").splitlines())
        }
        true = {}
        for one, row in self.last.items():
            if self._in_force(one, row, self._today) and row["valid_to"] and row["licence_type"] in notice:
                left = (row["valid_to"] - self._today).days
                if left <= notice[row["licence_type"]]:
                    true[one] = left
        said = dict(self._libraries.rows(EXPIRING, "licence_identifier, days_left"))
        return answers(true, said, self.why)

    def why(self, identifier: str) -> str:
        """What is wrong with a row of the log about a licence, or about one that it replaces or is replaced by."""
        alike = self._alike[self._kept_once(identifier)] if identifier in self.log else []
        rows = (row for one in (identifier, *alike) for row in self.log.get(one, ()))
        wrong = (self._planted.of(LOG, str(int(row["change_no"]))) for row in rows)
        return next((one for one in wrong if one), UNEXPLAINED)

    def _kept_once(self, identifier: str) -> tuple[str, ...]:
        """What only one valid licence may have at a time: type and holder; of some types besides the number."""
        row = self.log[identifier][-1]
        kind = row["licence_type"]
        once = self._libraries.contracts.codes["licence_type"].rows[kind]["one_per_holder"] == YES
        return (kind, row["holder_code"], *(() if once else (row["licence_no"],)))

    def _replaced(self) -> Iterator[tuple[str, date]]:
        """Each licence beside which a newer one was good on its last day, and the day since which."""
        for alike in self._alike.values():
            known = [one for one in alike if one in self.last]
            known.sort(key=lambda one: (self.last[one]["issued_on"], float(self.last[one]["change_no"])))
            for place, one in enumerate(known):
                row = self.last[one]
                day = min(row["valid_to"] or self._today, self._today)
                day = day if row["licence_status"] == VALID else min(day, _day(row))
                newer = [other for other in map(self.last.__getitem__, known[place + 1 :]) if _good(other, day)]
                if newer:
                    yield (
                        one,
                        min(max(other["issued_on"], other["valid_from"] or other["issued_on"]) for other in newer),
                    )

    def _in_force(self, identifier: str, row: Row, day: date) -> bool:
        return _good(row, day) and day < self._superseded.get(identifier, date.max)

    def _holder(self, identifier: str) -> str:
        return str(self.log[identifier][-1]["holder_code"]) if identifier in self.log else identifier

    def _truly(self, identifier: str, day: date) -> tuple[str, str | None, bool | None]:
        if identifier not in self.last:
            return Verdict.UNKNOWN, None, None
        then = [row for row in self.log[identifier] if _day(row) <= day]
        if not then:
            issued = self.log[identifier][0]["issued_on"]
            return Verdict.NOT_YET if issued > day else Verdict.NO_STATUS, None, None
        return Verdict.GENUINE, then[-1]["licence_status"], self._in_force(identifier, then[-1], day)


def _told(
    con: duckdb.DuckDBPyConnection, identifier: str, day: date, today: date
) -> tuple[str, str | None, bool | None]:
    answer = verify(con, identifier, day, "periods", SHOWN, today)
    return answer.verdict, answer.licence["licence_status"] if answer.licence else None, answer.in_force


def _good(row: Row, day: date) -> bool:
    return row["licence_status"] == VALID and (row["valid_from"] or day) <= day <= (row["valid_to"] or day)


def _day(row: Row) -> date:
    return date.fromisoformat(row["handled_at"][:10])


def _event(row: Row, before: Row | None) -> str:
    if row["operation"] == DELETED:
        return "deleted"
    if row["operation"] == ISSUED:
        return "renewed" if row["associated_licence"] else "issued"
    if row["licence_status"] == VALID:
        return "resumed" if before is not None and before["licence_status"] == SUSPENDED else "changed"
    return EVENTS[row["licence_status"]]
