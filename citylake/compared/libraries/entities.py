"""Legal entities against the clean rows of their registers: who there is and of what kind, what became of them, whom
they belong to, who heads them, what was altered. Who owns them belongs to `owners`.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from citylake.compared.libraries.answers import UNEXPLAINED, Answers, Planted, answers
from citylake.compared.libraries.persons import PERSON
from citylake.compared.libraries.told import Libraries, Row, clean, doubtful_numbers
from simulator.firms import ACTIVE, BRANCH, NAME
from simulator.standing import DEAD, Standing, standings

ENTITY = "lib_legal_entity__entity"
REPRESENTATIVE, ALTERATION, FORMER_NAME = (
    f"lib_legal_entity__{name}" for name in ("representative", "alteration", "former_name")
)
MODELS = ("lib_geography__division", PERSON, ENTITY, REPRESENTATIVE, ALTERATION, FORMER_NAME)
MARKET, CHANGES, TAX = "amr/enterprise", "amr/enterprise_change", "txb/taxpayer"
REGISTERS = (MARKET, "cab/social_organisation", "sto/institution", "ara/collective")
WEEKLY = ("sto/institution", "ara/collective")
"""Registers whose office shows them on Mondays only."""
KINDS = {
    "92": "self_employed", "93": "co_operative", "91": "enterprise", "11": "government", "12": "institution",
    "13": "mass_organisation", "51": "social_organisation", "52": "social_organisation", "53": "social_organisation",
    "N1": "collective", "N2": "collective", "N3": "collective",
}  # fmt: skip
"""What an entity is by the first two characters of its code; a branch is one by the type that the register says."""
PEOPLE, FLOATING, LODGING = "psb/household_person", "psb/floating_person", "DJBH"
"""The registers of people, and what the second calls the number of its rows."""
DROPPED = "left_register"
"""Of whom the household register dropped the row before anybody read what became of him."""
FOUND = ("linked", "name_differs", "deceased")
"""Outcomes in which the number of a head is somebody's in the population library."""


def kind_of(uscc: str, entity_type: str | None) -> str:
    """What an entity is; who is in no register of the city is another taxpayer."""
    return "branch" if entity_type == BRANCH else KINDS.get(uscc[:2], "other_taxpayer")


class Entities:
    """Everything that the registers truly say, and why a library may know less."""

    def __init__(self, libraries: Libraries) -> None:
        self._libraries, self.planted = libraries, Planted(libraries)
        self.true: dict[str, Row] = {}
        for source in reversed(REGISTERS):
            for row in clean(libraries, source):
                self.true[row["uscc"]] = {"entity_type": None, **row, "source": source}
        self._payers = {row["uscc"]: row for row in clean(libraries, TAX) if row["uscc"] not in self.true}
        self.by_number = {row["subject_no"]: row for row in self.true.values() if row["source"] == MARKET}
        self._monday = libraries.today - timedelta(days=libraries.today.weekday())

    def why(self, uscc: str) -> str:
        """What is wrong with the row of an entity, or whether its office has not shown the change yet."""
        row = self.true.get(uscc)
        if row is None:
            return "tax" if uscc in self._payers else UNEXPLAINED
        if row["source"] in WEEKLY and date.fromisoformat(row["source_updated_at"][:10]) > self._monday:
            return "not_shown_yet"
        return self.planted.of(row["source"], row["subject_no"]) or UNEXPLAINED

    def known(self) -> dict[str, Answers]:
        """By kind: which entities there are."""
        true = {uscc: kind_of(uscc, row["entity_type"]) for uscc, row in self.true.items()}
        true |= {uscc: kind_of(uscc, None) for uscc in self._payers}
        said = {uscc: kind_of(uscc, kind) for uscc, kind in self._libraries.rows(ENTITY, "uscc, entity_type")}
        return self._by_kind(true, said, true, said)

    def standing(self) -> dict[str, Answers]:
        """By kind: what became of those that the library has, and on which day."""
        rows = self._libraries.rows(
            ENTITY, "uscc, entity_type, entity_status, status_date", "register_source is not null"
        )
        said = {uscc: (status, day) for uscc, _, status, day in rows}
        true = {uscc: (row["entity_status"], row["status_date"]) for uscc, row in self.true.items() if uscc in said}
        kinds = {uscc: kind_of(uscc, row["entity_type"]) for uscc, row in self.true.items()}
        return self._by_kind(true, said, kinds, {uscc: kind_of(uscc, kind) for uscc, kind, _, _ in rows})

    def in_business(self) -> dict[str, Answers]:
        """By kind: which ones are in business, of all that are."""
        rows = self._libraries.rows(ENTITY, "uscc, entity_type", f"entity_status = '{ACTIVE}'")
        said = dict.fromkeys((uscc for uscc, _ in rows), True)
        true = {uscc: True for uscc, row in self.true.items() if row["entity_status"] == ACTIVE}
        kinds = {uscc: kind_of(uscc, row["entity_type"]) for uscc, row in self.true.items()}
        return self._by_kind(true, said, kinds, {uscc: kind_of(uscc, kind) for uscc, kind in rows})

    def branches(self) -> Answers:
        """Which company each branch belongs to, of those that the library has."""
        known = {uscc for (uscc,) in self._libraries.rows(ENTITY, "uscc")}
        said = dict(self._libraries.rows(ENTITY, "uscc, sub_of", "sub_of is not null"))
        true = {uscc: row["superior_uscc"] for uscc, row in self.true.items() if row.get("superior_uscc")}
        return answers({uscc: one for uscc, one in true.items() if uscc in known}, said, self.why)

    def heads(self) -> dict[str, Answers]:
        """By outcome: whether the head of an entity that the library has is who it says, and found or rightly not.
        Numbers that stand on two people are nobody's."""
        doubtful, people = doubtful_numbers(self._libraries.city), standings(self._libraries.city)
        numbers = dict(self._libraries.rows(PERSON, "person_id, id_number", "id_number is not null"))
        dropped = {one for (one,) in self._libraries.rows(PERSON, "id_number", f"residence_evidence = '{DROPPED}'")}
        rows = self._libraries.rows(REPRESENTATIVE, "uscc, representative_link, legal_representative_person_id")
        said = {uscc: (link, numbers.get(person) if link in FOUND else None) for uscc, link, person in rows}
        true = {
            uscc: _head(row, people.get(row["legal_representative_id"]))
            for uscc, row in self.true.items()
            if uscc in said and row["legal_representative_id"] not in doubtful
        }

        def why(uscc: str) -> str:
            head = people.get(self.true[uscc]["legal_representative_id"])
            reason = self.why(uscc)
            if reason != UNEXPLAINED or head is None:
                return reason
            number = self.true[uscc]["legal_representative_id"]
            return "person_dropped_unread" if number in dropped else self._why_person(head)

        return {
            outcome: answers(
                {uscc: one for uscc, one in true.items() if one[0] == outcome},
                {uscc: one for uscc, one in said.items() if one[0] == outcome and uscc in true},
                why,
            )
            for outcome in sorted({link for link, _ in true.values()} | {said[uscc][0] for uscc in true})
        }

    def _why_person(self, one: Standing) -> str:
        """What is wrong with the row of a person in the register that is believed of him."""
        if one.person is not None:
            wrong = self.planted.of(PEOPLE, one.person.rybh)
        else:
            assert one.lodging is not None
            wrong = self.planted.of(FLOATING, one.lodging[LODGING])
        return UNEXPLAINED if wrong is None else f"person_{wrong}"

    def altered(self) -> Answers:
        """What was altered, from what to what, on which day, of which entity."""
        true = {}
        for row in clean(self._libraries, CHANGES):
            owner = self.by_number.get(row["subject_no"])
            what = (row["alteration_item"], row["value_before"], row["value_after"], row["altered_on"])
            true[row["alteration_no"]] = (owner["uscc"] if owner else None, *what)
        columns = "alteration_no, uscc, alteration_item, value_before, value_after, altered_on"
        said = {row[0]: row[1:] for row in self._libraries.rows(ALTERATION, columns)}

        def why(number: str) -> str:
            wrong = self.planted.of(CHANGES, number)
            return wrong or (self.why(str(true[number][0])) if number in true else UNEXPLAINED)

        return answers(true, said, why)

    def former_names(self) -> Answers:
        """The names that an entity of the library once had, and the days on which it had them."""
        known = {uscc for (uscc,) in self._libraries.rows(ENTITY, "uscc")}
        log: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(clean(self._libraries, CHANGES), key=lambda row: row["alteration_no"]):
            if row["alteration_item"] == NAME:
                log[row["subject_no"]].append(row)
        true = {}
        for number, rows in log.items():
            owner = self.by_number[number]
            rows.sort(key=lambda row: row["altered_on"])
            since = [owner["established_on"], *(row["altered_on"] for row in rows)]
            if owner["uscc"] in known:
                for place, one in enumerate(rows, 1):
                    true[owner["uscc"], place] = (one["value_before"], since[place - 1], one["altered_on"])
        said = {
            row[:2]: row[2:]
            for row in self._libraries.rows(FORMER_NAME, "uscc, name_no, entity_name, name_from, name_to")
        }

        def why(key: tuple[str, int]) -> str:
            rows = log[self.true[key[0]]["subject_no"]]
            wrong = (self.planted.of(CHANGES, row["alteration_no"]) for row in rows)
            return next((one for one in wrong if one), None) or self.why(key[0])

        return answers(true, said, why)

    def _by_kind(
        self, true: Mapping[str, Any], said: Mapping[str, Any], kinds: Mapping[str, str], told: Mapping[str, str]
    ) -> dict[str, Answers]:
        """Compare kind by kind: what is true by what they are, what is said by what the library says they are."""
        return {
            kind: answers(
                {uscc: one for uscc, one in true.items() if kinds[uscc] == kind},
                {uscc: one for uscc, one in said.items() if told[uscc] == kind},
                self.why,
            )
            for kind in sorted({kinds[uscc] for uscc in true} | {told[uscc] for uscc in said})
        }


def _head(row: Row, one: Standing | None) -> tuple[str, str | None]:
    """Whether the head of an entity is somebody of the city, and who."""
    number = row["legal_representative_id"]
    if one is None:
        return ("no_number" if number is None else "not_in_library"), None
    name = one.person.name if one.person is not None else (one.lodging or {})["XM"]
    if name != row["legal_representative"]:
        return "name_differs", number
    return ("deceased" if one.status == DEAD else "linked"), number
