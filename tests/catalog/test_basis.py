"""What is remembered of callers and releases is what the register would say: whatever is written is heard at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from catalog import listing
from catalog.listing import Listing
from catalog.policy import administration, callers, epochs, suspension
from catalog.policy.callers import Callers
from catalog.policy.decision import Caller, Reason
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import access, basis, ledger, metadata, pseudonym_epoch, recipient, token
from pipelines.register.tables import suspension as suspensions
from tests.catalog.small_city import ADMINISTRATOR, GUARD, PERSONS, City
from tests.register.filled import every_writing_moves, value

KEY = b"k" * 32


class Asked:
    """A recipient with a token, an OAuth client and a grant, as a service that runs knows them."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.token = city.recipient("甲")
        self.client = administration.issue_client(city.register, "甲", actor=ADMINISTRATOR)
        city.grant("甲")
        self.service = Callers(city.register, lambda: KEY)
        self.listing = Listing(city.settings.contracts, city.register)
        self.access = self.service.access_token(self._client(self.service))[0]

    def _client(self, service: Callers) -> Caller:
        return service.from_client(self.client.client_id, self.client.client_secret)

    def _all(self, service: Callers) -> list[Caller]:
        """By everything that names them."""
        shown = [service.from_token(self.token), service.from_token(self.access), self._client(service)]
        return [*shown, service.from_token_id(self.token.split("_")[1]), service.on_behalf("甲")]

    def callers(self) -> list[Caller]:
        """What the service that runs says."""
        return self._all(self.service)

    def callers_of_now(self) -> list[Caller]:
        """What one says that is started now; it need not try secrets again."""
        fresh = Callers(self.city.register, lambda: KEY)
        fresh._verifier = self.service._verifier
        return self._all(fresh)

    def published_now(self) -> Any:
        """What a service that is started now says is published."""
        return Listing(self.city.settings.contracts, self.city.register).snapshot().published


@contextmanager
def statements(register: Register) -> Iterator[list[sa.ClauseElement]]:
    """What is asked through SQLAlchemy within the block."""
    found: list[sa.ClauseElement] = []

    def note(_: object, statement: Any, *more: object) -> None:
        found.append(statement)

    sa.event.listen(register.engine, "before_execute", note)
    yield found
    sa.event.remove(register.engine, "before_execute", note)


def tables_read(asked: Asked) -> set[str]:
    """The tables that decisions are made from."""
    with statements(asked.city.register) as found:
        asked.callers_of_now(), asked.published_now()
    return {part.name for one in found for part in visitors.iterate(one) if isinstance(part, sa.Table)}


def test_whatever_decisions_read_moves_the_number_and_nothing_else_does(own_city: City) -> None:
    read = tables_read(Asked(own_city))
    assert read == {one.name for one in (access, ledger, pseudonym_epoch, recipient, suspensions, token)}
    with own_city.register.begin() as connection:
        for table in (one for one in reversed(metadata.sorted_tables) if one is not basis):
            connection.execute(sa.delete(table))
    every_writing_moves(own_city.register, read)


def test_an_unchanged_register_is_not_asked_again(own_city: City) -> None:
    asked = Asked(own_city)
    before = asked.callers(), asked.listing.snapshot().published
    with statements(own_city.register) as found:
        assert (asked.callers(), asked.listing.snapshot().published) == before
    assert len(found) == 2, "whom the city delivers to by itself is looked up, and his grants"


def test_every_writing_about_callers_is_heard_at_once(own_city: City) -> None:
    """Each column of each row that a decision read is changed by another process, and changed back."""
    asked, other = Asked(own_city), Register(own_city.settings.register_url)
    suspension.suspend(other, own_city.contracts, "recipient", "甲", "试", actor=GUARD)
    suspension.lift(other, "recipient", "甲", "试", actor=GUARD)
    epochs.rotate(other, "甲", "试", actor=GUARD, zone="Asia/Shanghai")
    seen = set[str]()
    for table in (access, pseudonym_epoch, recipient, suspensions, token):
        for row in other.rows(sa.select(table)):
            mine = sa.and_(*(column == row[column.name] for column in table.primary_key.columns))
            for column in (one for one in table.columns if not one.primary_key and not one.foreign_keys):
                for new in (value(column, 7), *([None] if column.nullable else []), row[column.name]):
                    before = asked.callers()
                    with other.begin() as connection:
                        connection.execute(sa.update(table).where(mine).values({column: new}))
                    assert asked.callers() == asked.callers_of_now(), (column, new)
                    seen |= {table.name} if asked.callers() != before else set()
    assert seen == {"access", "pseudonym_epoch", "recipient", "suspension", "token"}, "each matters"
    other.close()


def test_every_word_about_a_release_is_heard_at_once(own_city: City) -> None:
    asked = Asked(own_city)
    for act in (own_city.release, own_city.withdraw, own_city.release):
        before = asked.listing.snapshot().published
        act(PERSONS)
        assert asked.listing.snapshot().published == asked.published_now() != before


def test_a_word_about_a_release_that_comes_past_the_triggers_is_heard_after_a_while(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_city.release(PERSONS)
    asked, moment = Asked(own_city), time.monotonic()
    monkeypatch.setattr(listing.time, "monotonic", lambda: moment)
    before = asked.listing.snapshot().published
    with own_city.register.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER ledger_insert_moves_basis"))
    own_city.withdraw(PERSONS)
    assert PERSONS in before and asked.listing.snapshot().published is before
    moment += listing.LEDGER_LOOK_SECONDS
    assert PERSONS not in asked.listing.snapshot().published


@pytest.mark.parametrize("read", [callers._OF_TOKEN, callers._OF_RECIPIENT], ids=["token", "grants"])
def test_what_is_written_while_a_token_is_looked_up_is_heard_with_the_next_question(
    own_city: City, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    asked, done = Asked(own_city), list[Any]()
    token_id, plain = asked.token.split("_")[1], Register.rows

    def slow(register: Register, statement: Any, **values: Any) -> Any:
        """Token and grant are revoked after this was read and before anything is remembered."""
        found = plain(register, statement, **values)
        if statement is read and not done:
            done.append(administration.revoke_grant(own_city.register, 1, actor=GUARD))
            done.append(administration.revoke_token(own_city.register, token_id, actor=GUARD))
        return found

    monkeypatch.setattr(Register, "rows", slow)
    assert asked.service.from_token(asked.token).problem is None and done
    assert asked.service.from_token(asked.token).problem is Reason.TOKEN_REVOKED
    assert asked.service.from_token(asked.token).grants[0].revoked is not None


def test_an_epoch_begins_at_its_moment_and_no_clock_that_goes_back_ends_it_late(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, moment = Asked(own_city), now()
    row = {"recipient": "甲", "number": 2, "since": moment + timedelta(seconds=20), "at": moment, "who": "试"}
    with own_city.register.begin() as connection:
        connection.execute(sa.insert(pseudonym_epoch).values(**row, why="试", compromised=False))
    for seconds, number in ((0, 1), (19, 1), (20, 2), (21, 2), (19, 1)):
        monkeypatch.setattr(callers, "now", lambda at=moment + timedelta(seconds=seconds): at)
        assert asked.service.from_token(asked.token).epoch.number == number, seconds


def test_a_token_ends_at_its_moment(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(own_city)
    ends = asked.service.from_token(asked.token).expires
    assert ends is not None
    for seconds, problem in ((-2, None), (-1, None), (0, Reason.TOKEN_EXPIRED)):
        monkeypatch.setattr(callers, "now", lambda at=ends + timedelta(seconds=seconds): at)
        assert asked.service.from_token(asked.token).problem is problem, seconds


def test_nothing_is_remembered_for_long_nor_without_the_number_nor_of_too_many(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(own_city)
    asked.service.from_token(asked.token)

    def selects() -> int:
        with statements(own_city.register) as found:
            asked.service.from_token(asked.token)
        return len(found)

    assert selects() == 0
    moment = now()
    with monkeypatch.context() as later:
        later.setattr(callers, "now", lambda: moment + callers.REMEMBER)
        assert selects() == 2, "also whoever writes past the triggers is heard after a while"
    second = administration.issue_token(own_city.register, "甲", actor=ADMINISTRATOR).token
    monkeypatch.setattr(callers, "REMEMBER_MOST", 1)
    assert (selects(), selects()) == (2, 0)
    asked.service.from_token(second)
    assert selects() == 2, "it had to go"
    with own_city.register.begin() as connection:
        connection.execute(sa.delete(basis))
    assert own_city.register.basis() is None and selects() == selects() == 2


def test_a_connection_that_broke_is_another_one_the_next_time(own_city: City) -> None:
    number = own_city.register.basis()
    own_city.register._looking[0].close()
    assert own_city.register.basis() == number and not own_city.register._looking
    assert own_city.register.basis() == number and own_city.register._looking
