"""Words of two persons in any order: what counts, what the decision makes of it, and what auditors find afterwards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.forms.products import Approval
from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.evidence.record import Check, Evidence
from pipelines.register import Register
from pipelines.release import check
from pipelines.release.approval import Asked, Words, asked, counting, heard, overtaken, terms, unbacked, waiting
from pipelines.release.decision import REQUIRED, decide
from pipelines.release.ledger import (
    APPROVAL,
    APPROVAL_END,
    PROPOSAL,
    REINSTATEMENT,
    RELEASE,
    WITHDRAWAL,
    Entry,
    Ledger,
    Recorded,
)
from pipelines.release.signed import Keys
from pipelines.settings import REPOSITORY

PRODUCT = "open/ages"
START = datetime(2026, 12, 1, tzinfo=UTC)
GOOD = Evidence(PRODUCT, "f", tuple(Check(name, "pass", 0, 0) for name in sorted(REQUIRED["open"])))

people = st.sampled_from(["甲", "乙"])
acts = st.one_of(
    st.tuples(st.just("propose"), people, st.sampled_from([None, 0, 3])),
    st.tuples(st.just("approve"), people, st.integers(0, 3)),
    st.tuples(st.just("end"), people, st.integers(0, 3)),
    st.tuples(st.sampled_from(["withdraw", "reinstate", "change"])),
    st.tuples(st.just("run")),
    st.tuples(st.just("run")),
)
stale = st.tuples(st.just("stale"), st.integers(0, 5))


@dataclass
class Book:
    """Rows about one product, what it shows by now, and the hour."""

    asks: Approval
    rows: list[Recorded] = field(default_factory=list)
    shows: int = 0
    hour: int = 0

    @property
    def now(self) -> datetime:
        return START + timedelta(hours=self.hour)

    def add(self, kind: str, **body: Any) -> None:
        self.rows.append(Recorded(len(self.rows) + 1, self.now, kind, PRODUCT, "e", None, body, "h"))

    def of_kind(self, *kinds: str) -> list[Recorded]:
        return [row for row in self.rows if row.kind in kinds]

    def proposals(self, back: int) -> int:
        """The number of a proposal, counted from the newest; one that is no proposal if there are too few."""
        numbers = [row.sequence for row in self.of_kind(PROPOSAL)]
        return numbers[-1 - back] if back < len(numbers) else 0

    def withdrawn(self) -> Recorded | None:
        last = self.of_kind(RELEASE, WITHDRAWAL, REINSTATEMENT)[-1:]
        return last[0] if last and last[0].kind == WITHDRAWAL else None

    def do(self, act: str, *about: Any) -> None:
        """Write the row of an act, allowed or not: the ledger is asked whatever stands in it."""
        self.hour += 1
        match act, about:
            case "propose", (who, hours):
                since = None if hours is None else (self.now + timedelta(hours=hours)).isoformat()
                self.add(PROPOSAL, who=who, terms=f"t{self.shows}", **{"from": since})
            case "approve", (who, back):
                self.add(APPROVAL, who=who, proposal=self.proposals(back))
            case "end", (who, back):
                self.add(APPROVAL_END, who=who, proposal=self.proposals(back))
            case "withdraw", _:
                self.add(WITHDRAWAL)
            case "reinstate", _:
                self.add(REINSTATEMENT)
            case "change", _:
                self.shows += 1
            case "stale", (back,):
                self.stale(back)
            case _:
                self.run()

    def run(self) -> None:
        release = Asked(self.now, self.asks, f"t{self.shows}", None, counting(self.rows, Keys()))
        if decide(PRODUCT, "f", GOOD, None, (), self.withdrawn(), release).approved:
            assert release.words.permit is not None
            self.by_two(release.words)
            self.add(RELEASE, approval=release.words.permit.said(self.asks))

    def stale(self, back: int) -> None:
        """Release by what counted some rows ago, as no run may: something was said meanwhile."""
        permit = counting(self.rows[: max(len(self.rows) - back, 0)], Keys()).permit
        if permit is not None:
            self.add(RELEASE, approval=permit.said(self.asks))

    def by_two(self, words: Words) -> None:
        """Said a second time, by looking back: two persons said just this, and nothing speaks against it since."""
        allowed = []
        for approval in self.of_kind(APPROVAL):
            proposal = next((one for one in self.of_kind(PROPOSAL) if one.sequence == approval.body["proposal"]), None)
            if proposal is None or proposal.body["who"] == approval.body["who"]:
                continue
            ends = [one for one in self.of_kind(APPROVAL_END) if one.body["proposal"] == proposal.sequence]
            taken = [one for one in self.of_kind(WITHDRAWAL) if one.sequence > proposal.sequence]
            used = [one for one in self.of_kind(RELEASE) if one.sequence > approval.sequence]
            moment = datetime.fromisoformat(proposal.body["from"] or START.isoformat())
            same = proposal.body["terms"] == f"t{self.shows}" and proposal.sequence < approval.sequence
            if same and moment <= self.now and not ends and not taken and not (used and self.asks == "each"):
                allowed.append(approval.sequence)
        assert words.permit is not None and words.permit.row in allowed
        assert words.permit.proposer != words.permit.approver


def backed_by_check(rows: Sequence[Recorded]) -> list[bool]:
    """What the auditors' program, which knows nothing of the engine, says of each release."""
    seen = [
        check.Row(one.sequence, b"", one.sequence, "", one.kind, one.subject, one.version, one.at, one.body)
        for one in rows
    ]
    return [check.backed(one, one.body["approval"], seen, ()) for one in seen if one.kind == RELEASE]


@given(st.sampled_from(["standing", "each"]), st.lists(acts, max_size=25))
def test_nothing_is_released_without_two_persons(asks: Approval, said: list[tuple[Any, ...]]) -> None:
    book = Book(asks)
    for act, *about in said:
        book.do(act, *about)
    assert list(unbacked(cast(Ledger, book))) == []
    assert all(backed_by_check(book.rows))


@given(st.sampled_from(["standing", "each"]), st.lists(acts, max_size=25), st.data())
def test_a_release_whose_words_are_changed_is_found(
    asks: Approval, said: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    """Whichever part of the words of a release somebody changes, both programs that look find this release."""
    book = Book(asks)
    for act, *about in [*said, ("propose", "甲", None), ("approve", "乙", 0), ("reinstate",), ("run",)]:
        book.do(act, *about)
    release = data.draw(st.sampled_from(book.of_kind(RELEASE)))
    name, other = data.draw(
        st.sampled_from(
            [("row", 0), ("proposal", 0), ("proposer", "丙"), ("approver", "丙"), ("terms", "u"), ("approver", None)]
        )
    )
    words = release.body["approval"]
    forged = replace(release, body={"approval": {**words, name: words["proposer"] if other is None else other}})
    book.rows[release.sequence - 1] = forged
    assert forged in list(unbacked(cast(Ledger, book)))
    place = book.of_kind(RELEASE).index(forged)
    assert not backed_by_check(book.rows)[place]


@given(st.sampled_from(["standing", "each"]), st.lists(st.one_of(acts, stale), max_size=25))
def test_both_programs_find_the_same_releases(asks: Approval, said: list[tuple[Any, ...]]) -> None:
    """Releases by words that were ended, used or said anew since they were read, and good ones."""
    book = Book(asks)
    for act, *about in [*said, ("propose", "甲", None), ("approve", "乙", 0), ("propose", "甲", None)]:
        book.do(act, *about)
    book.do("approve", "乙", 0)
    book.do("stale", 1)
    found = list(unbacked(cast(Ledger, book)))
    assert book.rows[-1] in found, "the approval before is not the one in force"
    releases = book.of_kind(RELEASE)
    assert [one not in found for one in releases] == backed_by_check(book.rows)


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return load(REPOSITORY / "data_contracts")


def test_the_city_as_shipped_asks_nobody(contracts: Contracts) -> None:
    assert waiting(contracts, {}, START) == {}


def asking(contracts: Contracts, approval: dict[int, Approval]) -> Contracts:
    """The same contracts in a city whose channel of sharing asks so."""
    channel = contracts.city.channels["sharing"].model_copy(update={"approval": approval})
    channels = {**contracts.city.channels, "sharing": channel}
    return replace(contracts, city=contracts.city.model_copy(update={"channels": channels}))


def shown(contracts: Contracts) -> dict[str, int]:
    """The highest level of what each product of sharing shows."""
    products = {name: one for name, one in contracts.products.items() if one.channel == "sharing"}
    return {name: max(column.level for column in product.columns) for name, product in products.items()}


def test_a_level_asks_for_those_above_it_too(contracts: Contracts) -> None:
    """Whoever asks two persons for a level means what is more sensitive as well; of two levels the stricter counts."""
    highest = shown(contracts)
    assert len(set(highest.values())) > 1
    for lowest in contracts.city.levels:
        found = waiting(asking(contracts, {lowest: "standing"}), {}, START)
        assert found.keys() == {name for name, level in highest.items() if level >= lowest}
        for other in contracts.city.levels:
            mixed = asking(contracts, {lowest: "standing", **{other: "each"}})
            for name, level in highest.items():
                wanted = "each" if level >= other else "standing" if level >= lowest else None
                assert asked(mixed.products[name], mixed.city, Words(), START).approval == wanted


def test_levels_ask_by_channel_and_contracts_only_more(contracts: Contracts) -> None:
    """A contract never asks for less than the city."""
    city = asking(contracts, {3: "standing"}).city
    product = contracts.products[min(name for name, level in shown(contracts).items() if level == 3)]
    for own, result in ((None, "standing"), ("standing", "standing"), ("each", "each")):
        form = product.form.model_copy(update={"release": product.form.release.model_copy(update={"approval": own})})
        assert asked(replace(product, form=form), city, Words(), START).approval == result


def test_a_moment_is_one_of_the_city(contracts: Contracts) -> None:
    product = contracts.products["open/age_structure_by_county"]
    release = product.form.release.model_copy(update={"notBefore": "2026-12-01T09:00"})
    held = replace(product, form=product.form.model_copy(update={"release": release}))
    moment = asked(held, contracts.city, Words(), START).not_before
    assert moment is not None and moment.astimezone(UTC) == datetime(2026, 12, 1, 1, tzinfo=UTC)


def test_terms_are_what_is_shown_and_not_how_it_is_called(contracts: Contracts) -> None:
    """Every product: another name is the same publication; a mask, a column or a level less is another one."""
    for product in contracts.products.values():
        before = terms(product)
        json.dumps(before)
        named = replace(product, form=product.form.model_copy(update={"name": "别名", "description": "另"}))
        assert terms(named) == before
        first, *others = product.columns
        for changed in ((replace(first, mask="x"),), (replace(first, level=first.level % 4 + 1),), ()):
            assert terms(replace(product, columns=(*changed, *others))) != before
        some, more = (replace(first, purposes=("a",), covered=frozenset(texts)) for texts in ("a", "ab"))
        assert terms(replace(product, columns=(some, *others))) != terms(replace(product, columns=(more, *others)))


def test_the_ledger_says_what_its_rows_say(tmp_path: Path) -> None:
    """`heard` reads only the newest releases and withdrawals, and comes to the same."""
    register = Register(f"sqlite:///{tmp_path / 'register.db'}")
    register.upgrade()
    ledger = Ledger(register)
    said = {"who": "甲", "terms": "t", "from": None}
    for entry in (
        Entry(RELEASE, PRODUCT, "e", 1, {}),
        Entry(PROPOSAL, PRODUCT, "e", None, said),
        Entry(WITHDRAWAL, PRODUCT, "e", 1, {}),
        Entry(PROPOSAL, PRODUCT, "e", None, said),
        Entry(APPROVAL, PRODUCT, "e", None, {"who": "甲", "proposal": 4}),
        Entry(APPROVAL, PRODUCT, "e", None, {"who": "乙", "proposal": 2}),
        Entry(APPROVAL, PRODUCT, "e", None, {"who": "乙", "proposal": 4}),
        Entry(RELEASE, PRODUCT, "e", 2, {}),
        Entry(PROPOSAL, "open/other", "e", None, said),
        Entry(PROPOSAL, PRODUCT, "e", None, said),
        Entry(APPROVAL_END, PRODUCT, "e", None, {"who": "乙", "proposal": 10}),
        Entry(APPROVAL_END, PRODUCT, "e", None, {"who": "乙", "proposal": 4}),
        Entry(WITHDRAWAL, PRODUCT, "e", 1, {}),
    ):
        ledger.record([entry])
        rows = list(reversed(ledger.history(PRODUCT)))
        assert heard(ledger).get(PRODUCT, Words()) == counting(rows, Keys())
        if len(rows) == 8:
            permit = heard(ledger)[PRODUCT].permit
            assert permit is not None and (permit.row, permit.proposer, permit.approver, permit.used) == (
                7, "甲", "乙", True,
            )  # fmt: skip
    assert heard(ledger)["open/other"].proposal is not None
    register.close()


def end(proposal: int) -> tuple[str, dict[str, Any]]:
    return APPROVAL_END, {"who": "乙", "proposal": proposal}


PROPOSED_ANEW = (PROPOSAL, {"who": "丙", "terms": "t", "from": None})
REFUSED, APPROVED_ANEW, BY_ONESELF = (
    end(3),
    (APPROVAL, {"who": "丁", "proposal": 3}),
    (APPROVAL, {"who": "丙", "proposal": 3}),
)
OUT, IN = (WITHDRAWAL, {}), (REINSTATEMENT, {})
RELEASED = (
    RELEASE,
    {"approval": {"asks": "each", "row": 2, "proposal": 1, "proposer": "甲", "approver": "乙", "terms": "t"}},
)


@pytest.mark.parametrize(
    ("meanwhile", "standing", "each"),
    [
        ([], None, None),
        ([end(1)], 3, 3),
        ([OUT, IN], 3, 3),
        ([OUT], 3, 3),
        ([PROPOSED_ANEW], None, None),
        ([PROPOSED_ANEW, REFUSED], None, None),
        ([PROPOSED_ANEW, BY_ONESELF], None, None),
        ([PROPOSED_ANEW, APPROVED_ANEW], 4, 4),
        ([PROPOSED_ANEW, APPROVED_ANEW, end(1)], 4, 4),
        ([PROPOSED_ANEW, APPROVED_ANEW, REFUSED], 5, 5),
        ([RELEASED], None, 3),
    ],
)
def test_no_release_is_written_whose_approval_ended_meanwhile(
    tmp_path: Path, meanwhile: list[tuple[str, dict[str, Any]]], standing: int | None, each: int | None
) -> None:
    """A run decided; before it wrote, somebody ended the approval, withdrew the product, or two approved anew. What
    counts for nothing stops nothing. Whatever was written, the ledger bears the releases out."""
    asks: Approval
    for asks, row in (("standing", standing), ("each", each)):
        register = Register(f"sqlite:///{tmp_path / f'{asks}.db'}")
        register.upgrade()
        ledger = Ledger(register)
        ledger.record([Entry(PROPOSAL, PRODUCT, "e", None, {"who": "甲", "terms": "t", "from": None})])
        ledger.record([Entry(APPROVAL, PRODUCT, "e", None, {"who": "乙", "proposal": 1})])
        permit = heard(ledger)[PRODUCT].permit
        assert permit is not None
        ledger.record([Entry(kind, PRODUCT, "e", 1, body) for kind, body in meanwhile])
        before = len(ledger.releases())
        release = Entry(RELEASE, PRODUCT, "e", 1, {"approval": permit.said(asks)})
        stopped = ledger.publish([release, Entry(RELEASE, "open/other", "e", 1, {})], overtaken)
        assert {name: word.sequence for name, word in stopped.items()} == ({PRODUCT: row} if row else {})
        assert len(ledger.releases()) == before + (1 if row else 2)
        assert list(unbacked(ledger)) == []
        register.close()
