"""Loading all rows into tables of recipients, on real PostgreSQL and MariaDB: killed in the middle it goes on behind
the last batch that was committed, and nobody sees half of it."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from catalog.delivery.desk import Refused
from catalog.delivery.tables import rows
from catalog.delivery.tables.deliver import deliver as deliver_table
from catalog.delivery.tables.mysql import MysqlTable
from catalog.delivery.tables.postgres import PostgresTable
from catalog.delivery.tables.target import staging_name
from catalog.policy import administration, audit, epochs, suspension
from pipelines.contracts.forms.deliveries import DeliveryForm
from pipelines.messages import CitylakeError
from pipelines.register.tables import access
from tests.catalog.receiving import RECIPIENT, Bureau
from tests.catalog.small_city import GUARD, PERSONS, STEWARD

pytestmark = pytest.mark.server
MANY = 110_000
GONE = ("withdrawn", "new pseudonyms")
"""After these what was let in is not there any more; after others the grant is not."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 7 rows."""
    monkeypatch.setattr(rows, "BATCH", 7)


def held(bureau: Bureau) -> int:
    return int(bureau.receiver.run("SELECT count(*) FROM t")[0][0])


def loaded(bureau: Bureau) -> int | None:
    found = bureau.receiver.run("SELECT loaded FROM _citylake_progress")
    return int(found[0][0]) if found else None


def sent_since(bureau: Bureau, sequence: int) -> int:
    """Rows that the audit knows of after a place of its own."""
    told = audit.recent(bureau.city.register, 1000, RECIPIENT)
    return sum(row["body"]["rows"] for row in told if row["sequence"] > sequence and row["action"] == "table.deliver")


def now_in_audit(bureau: Bureau) -> int:
    return int(audit.recent(bureau.city.register, 1)[0]["sequence"])


def stop_after(monkeypatch: pytest.MonkeyPatch, bureau: Bureau, batches: int, what: Any = KeyboardInterrupt) -> None:
    """Let the run end as if it was killed, before it commits one more batch."""
    table = PostgresTable if bureau.receiver.engine == "postgresql" else MysqlTable
    put, left = table.put, [batches]

    def stop(self: Any, *given: Any) -> None:
        put(self, *given)
        if left[0] == 0:
            monkeypatch.setattr(table, "put", put)
            if what is KeyboardInterrupt:
                raise KeyboardInterrupt
            what()
        left[0] -= 1

    monkeypatch.setattr(table, "put", stop)


@pytest.mark.long
def test_a_process_that_is_killed_is_gone_on_with_behind_its_last_batch(bureau: Bureau) -> None:
    """With SIGKILL, while the recipient looks on; the version is taken over in parts, as a large one is."""
    bureau.city.release(PERSONS, MANY)
    settings = bureau.city.settings
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    asked = [sys.executable, "-m", "citylake", "deliver", "run", bureau.name("persons")]
    with subprocess.Popen(asked, env={**os.environ, **where}, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not (bureau.receiver.staging() and loaded(bureau)):
            assert process.poll() is None and time.monotonic() < deadline, "it was to be killed in the middle"
            time.sleep(0.02)
        assert held(bureau) == 0, "nobody sees half of it"
        process.send_signal(signal.SIGKILL)
    done = loaded(bureau)
    assert done and done % rows.BATCH == 0 and done < MANY and held(bureau) == 0
    before = now_in_audit(bureau)
    assert bureau.deliver().how == "snapshot" and bureau.equal() and held(bureau) == MANY
    assert sent_since(bureau, before) == MANY - done, "no row was sent again"
    assert bureau.receiver.staging() == [] and loaded(bureau) is None


@pytest.mark.long
@pytest.mark.parametrize("columns", [None, ["sex", "county_name"]], ids=["key", "rows"])
def test_a_reload_is_gone_on_with_while_the_old_rows_stay(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None, columns: list[str] | None
) -> None:
    """Also of rows that nothing names, many of which are alike."""
    bureau.grant(columns=columns)
    bureau.deliver()
    bureau.receiver.run("DELETE FROM t WHERE sex = '1'")
    left = held(bureau)
    for more in (2, 1):
        stop_after(monkeypatch, bureau, more)
        with pytest.raises(KeyboardInterrupt):
            bureau.deliver()
        assert held(bureau) == left
    assert loaded(bureau) == 21
    before = now_in_audit(bureau)
    assert bureau.deliver().how == "snapshot" and bureau.equal() and bureau.receiver.staging() == []
    assert sent_since(bureau, before) == 40 - 21


def test_one_killed_while_rows_are_put_in_their_place_sends_none_again(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    table = PostgresTable if bureau.receiver.engine == "postgresql" else MysqlTable

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(table, "move", stop)
        bureau.deliver()
    assert held(bureau) == 0 and loaded(bureau) == 40
    before = now_in_audit(bureau)
    assert bureau.deliver().how == "snapshot" and bureau.equal() and sent_since(bureau, before) == 0


@pytest.mark.long
@pytest.mark.parametrize("what", ["withdrawn", "revoked", "expired", "new pseudonyms", "newer version"])
@pytest.mark.parametrize("how", ["snapshot", "changes"])
def test_what_is_taken_back_after_the_last_batch_is_not_committed(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None, how: str, what: str
) -> None:
    """Putting rows in their place takes minutes, and nothing is sent meanwhile. A newer version takes nothing back."""
    given, register, before = bureau.grant(), bureau.city.register, 0
    if how == "changes":
        before = bureau.deliver().rows
        bureau.city.release(PERSONS, 60)
    table = PostgresTable if bureau.receiver.engine == "postgresql" else MysqlTable
    move = table.move

    def meanwhile(self: Any, *moved: Any) -> None:
        monkeypatch.setattr(table, "move", move)
        if what == "withdrawn":
            bureau.city.withdraw(PERSONS)
        elif what == "revoked":
            administration.revoke_grant(register, given.id, actor=STEWARD)
        elif what == "expired":
            with register.begin() as connection:
                over = sa.update(access).where(access.c.id == given.id)
                connection.execute(over.values(valid_until=datetime.now(UTC)))
        elif what == "new pseudonyms":
            epochs.rotate(register, RECIPIENT, "试", actor=GUARD, zone="Asia/Shanghai")
        else:
            bureau.city.release(PERSONS, 50)
        move(self, *moved)

    monkeypatch.setattr(table, "move", meanwhile)
    if what == "newer version":
        assert bureau.deliver().how == how and held(bureau) > before
        assert bureau.deliver().how == "changes" and bureau.equal()
        return
    with pytest.raises(Refused):
        bureau.deliver()
    assert held(bureau) == before and bureau.receiver.staging() == []
    denied = audit.recent(register, 1)[0]
    assert (denied["action"], denied["outcome"]) == ("table.deliver", "not_found" if what in GONE else "denied")
    if what == "new pseudonyms":
        assert bureau.deliver().how == "snapshot" and bureau.equal()


@pytest.mark.long
@pytest.mark.parametrize("what", ["version", "grant", "touched", "dropped"])
def test_what_was_loaded_of_anything_else_is_loaded_anew(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None, what: str
) -> None:
    stop_after(monkeypatch, bureau, 3)
    with pytest.raises(KeyboardInterrupt):
        bureau.deliver()
    (staging,) = bureau.receiver.staging()
    if what == "version":
        bureau.city.release(PERSONS, 50)
    elif what == "grant":
        bureau.grant(divisions=["341502"], columns=["name", "sex"])
    else:
        bureau.receiver.run(f"DELETE FROM {staging} WHERE sex = '1'" if what == "touched" else f"DROP TABLE {staging}")
    before = now_in_audit(bureau)
    assert bureau.deliver().how == "snapshot" and bureau.equal() and bureau.receiver.staging() == []
    assert sent_since(bureau, before) == held(bureau)


def test_what_was_loaded_goes_with_the_grant_and_stays_under_a_suspension(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    register, contracts = bureau.city.register, bureau.city.contracts

    def suspend() -> None:
        suspension.suspend(register, contracts, "recipient", RECIPIENT, "演练", actor=GUARD)

    stop_after(monkeypatch, bureau, 2, suspend)
    with pytest.raises(Refused, match="suspended"):
        bureau.deliver()
    with pytest.raises(Refused, match="suspended"):
        bureau.deliver()
    assert loaded(bureau) == 21
    suspension.lift(register, "recipient", RECIPIENT, "演练结束", actor=GUARD)
    stop_after(monkeypatch, bureau, 0, bureau.end)
    with pytest.raises(Refused, match="grant_revoked"):
        bureau.deliver()
    assert bureau.receiver.staging() == [] and loaded(bureau) is None, "in the run that is refused"
    bureau.grant()
    stop_after(monkeypatch, bureau, 2)
    with pytest.raises(KeyboardInterrupt):
        bureau.deliver()
    bureau.end()
    with pytest.raises(Refused, match="grant_revoked"):
        bureau.deliver()
    assert bureau.receiver.staging() == [] and loaded(bureau) is None and held(bureau) == 0, "or in the next one"


def test_what_was_loaded_of_a_delivery_that_was_renamed_goes_and_nothing_else_does(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    form = bureau.desk.listing.snapshot().contracts.city.deliveries[bureau.name("persons")]
    assert isinstance(form, DeliveryForm)
    stop_after(monkeypatch, bureau, 2)
    with pytest.raises(KeyboardInterrupt):
        deliver_table(bureau.desk, 'before "renaming"', form, "test")
    other = staging_name("of another city")
    bureau.receiver.run(f"CREATE TABLE {other} (mine integer)")
    bureau.receiver.run("CREATE TABLE _citylake_load_mine (mine integer)")
    row = "INSERT INTO _citylake_progress VALUES ('of another city', 'p', 1, 'x', '', 3, 7)"
    bureau.receiver.run(row)
    assert len(bureau.receiver.staging()) == 3
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    assert sorted(bureau.receiver.staging()) == sorted([other, "_citylake_load_mine"]) and loaded(bureau) == 3


def test_two_that_load_at_once_lose_and_double_nothing(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    def somebody_else() -> None:
        """Between two batches: it holds no lock then."""
        monkeypatch.setattr(type(bureau.desk), "answered", answered)
        stop_after(monkeypatch, bureau, 1)
        with pytest.raises(KeyboardInterrupt):
            bureau.deliver()

    answered, left = type(bureau.desk).answered, [2]

    def interrupt(self: Any, *given: Any, **facts: Any) -> None:
        answered(self, *given, **facts)
        left[0] -= 1
        if left[0] == 0:
            somebody_else()

    monkeypatch.setattr(type(bureau.desk), "answered", interrupt)
    with pytest.raises(CitylakeError, match="同时在交付"):
        bureau.deliver()
    assert loaded(bureau) == 14 and held(bureau) == 0
    assert bureau.deliver().how == "snapshot" and bureau.equal()


def test_an_owners_columns_and_keys_stay(bureau: Bureau, small: None) -> None:
    """The table stays the recipient's: what it added to it asks for nothing and is there after a reload."""
    name = "char(64) CHARACTER SET ascii" if bureau.receiver.engine == "mariadb" else "text"
    own = f"_citylake_row {name} PRIMARY KEY, _citylake_check bigint NOT NULL, seen int NOT NULL DEFAULT 7"
    bureau.receiver.run(f"CREATE TABLE t ({own})")
    bureau.receiver.run("CREATE VIEW v AS SELECT seen FROM t")
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    bureau.receiver.run("DELETE FROM t WHERE sex = '1'")
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    assert bureau.receiver.run("SELECT count(*), min(seen) FROM v") == [(40, 7)]
    bureau.receiver.run("DROP VIEW v")


def test_no_administration_is_needed_to_go_on(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """Who revokes and grants the same again gets the same rows, from where it stood."""
    stop_after(monkeypatch, bureau, 2)
    with pytest.raises(KeyboardInterrupt):
        bureau.deliver()
    first = next(one for one in bureau.desk.callers.on_behalf(RECIPIENT).grants if one.revoked is None)
    administration.revoke_grant(bureau.city.register, first.id, actor=STEWARD)
    bureau.city.grant(RECIPIENT, PERSONS)
    before = now_in_audit(bureau)
    assert bureau.deliver().how == "snapshot" and bureau.equal() and sent_since(bureau, before) == 40 - 14
