"""Deliveries into tables of recipients, on real PostgreSQL and MariaDB: each day the table equals the released product
under the grant, or nothing in it changed."""

import contextlib
import json
import math
import os
import random
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from assets.deliveries import delivery_assets
from catalog.delivery import dictionary, receipt, standing
from catalog.delivery.changes import key_named
from catalog.delivery.deliveries import deliver, refusal
from catalog.delivery.desk import Desk, Refused
from catalog.delivery.extracts import Extract
from catalog.delivery.push import Push
from catalog.delivery.tables import rows
from catalog.delivery.tables.deliver import open_target
from catalog.delivery.tables.mysql import MysqlTable
from catalog.delivery.tables.postgres import PostgresTable
from catalog.delivery.tables.rows import Room
from catalog.policy import administration, audit, epochs, suspension
from catalog.policy.decision import Reason
from citylake.main import app
from pipelines.connectors.database import patience
from pipelines.messages import CitylakeError, translate
from pipelines.register.receipts import Receipts, Stage
from pipelines.release.ledger import RETENTION, Entry
from pipelines.run import opened
from simulator.server import Server
from tests.catalog.conftest import released_city
from tests.catalog.filing import end_grants
from tests.catalog.receiving import (
    DELIVERIES,
    PASSWORD,
    RECIPIENT,
    Bureau,
    Bureaus,
    mariadb_receiver,
    openssl,
    postgres_receiver,
)
from tests.catalog.small_city import AGES, APPROVER, GUARD, PERSONS, ROWS, STEWARD, VILLAGES
from tests.catalog.test_changes import COLUMNS, table_of
from tests.city import seed_from_clock
from tests.connectors.databases import MariaDB

pytestmark = pytest.mark.server
ENGINES = ("postgresql", "mariadb")


@pytest.fixture(scope="module")
def bureaus(tmp_path_factory: pytest.TempPathFactory, postgres: Server, mariadb: MariaDB) -> Bureaus:
    receivers = [postgres_receiver(postgres, "bureau"), mariadb_receiver(mariadb, "bureau")]
    return Bureaus(released_city(tmp_path_factory.mktemp("bureaus")), receivers)


@pytest.fixture(params=ENGINES)
def bureau(request: pytest.FixtureRequest, bureaus: Bureaus) -> Bureau:
    """A database to which nothing was delivered yet, nobody has a grant, and 40 persons are published."""
    made = Bureau(bureaus, request.param)
    made.receiver.clear()
    made.end()
    made.city.release(PERSONS)
    made.city.release(AGES, 96)
    return made


def drawn(dice: random.Random) -> dict[int, tuple[Any, ...]]:
    """Some persons; without their key many are alike."""
    return {
        number: (
            dice.choice(["张**", "李'*", "a\\%s", "Z**"]),
            dice.choice("12"),
            dice.choice([None, 1950, 1951]),
            dice.choice(VILLAGES),
            "金安区",
            dice.choice([None, "20"]),
        )
        for number in dice.sample(range(60), dice.randrange(20, 60))
    }


@pytest.mark.long
@pytest.mark.parametrize("columns", [None, ["name", "sex", "county_name"]], ids=["key", "rows"])
def test_each_day_the_table_equals_the_product_under_the_grant(
    bureau: Bureau, columns: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 7)
    dice = random.Random(seed_from_clock())
    bureau.grant(divisions=["341502", "341503"], columns=columns)
    made = {column.name: [column.source, column.mask] for column in bureau.city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    kept = Receipts(bureau.city.register, "test")
    before = len(kept.of_stage(Stage.DELIVERY, bureau.name("persons"), 99))
    first = audit.recent(bureau.city.register, 1)[0]["sequence"]
    for day in range(4):
        bureau.city.release(PERSONS, query=table_of(drawn(dice), COLUMNS), columns=body)
        done = bureau.deliver()
        assert bureau.equal() and done.how == ("changes" if day else "snapshot")
        said = json.loads(bureau.receiver.position()["statement"])
        assert (said["version"], said["rows"], said["how"]) == (done.version, done.rows, done.how)
        assert (said["inserted"], said["updated"], said["deleted"]) == (done.inserted, done.updated, done.deleted)
        again = bureau.deliver()
        assert (again.how, again.version, again.rows) == ("unchanged", done.version, done.rows)
    told = [row for row in audit.recent(bureau.city.register, 1000, RECIPIENT) if row["sequence"] > first]
    sent = [row for row in told if row["action"] == "table.deliver"]
    assert {(row["outcome"], row["product"]) for row in sent} == {("allowed", PERSONS)}
    assert max(row["body"]["rows"] for row in sent) <= 7
    assert len(kept.of_stage(Stage.DELIVERY, bureau.name("persons"), 99)) == before + 4


@pytest.mark.long
@pytest.mark.parametrize("delivery", ["ages", "divisions"])
def test_values_of_every_type_arrive_as_they_are(bureau: Bureau, delivery: str) -> None:
    product = DELIVERIES[delivery]["product"]
    if delivery == "divisions":
        bureau.grant(product)
    assert bureau.deliver(delivery).how == "snapshot" and bureau.equal(delivery)
    bureau.city.release(product, 6)
    assert bureau.deliver(delivery).how == "changes" and bureau.equal(delivery)


@pytest.mark.slow  # a process of its own; tests/lake/test_engine.py is the fast look at the cause
@pytest.mark.parametrize("bureau", ["mariadb"], indirect=True)  # where a moment loses its zone
def test_moments_arrive_in_utc_wherever_the_machine_stands(bureau: Bureau) -> None:
    moment = datetime(2026, 11, 1, 20, 30, tzinfo=UTC)
    bureau.city.release(AGES, 12, query=ROWS[AGES].replace("date '2026-11-01'", f"timestamptz '{moment}'"))
    settings = bureau.city.settings
    where = {"TZ": "Asia/Shanghai", "CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    asked = [sys.executable, "-m", "citylake", "deliver", "run", bureau.name("ages")]
    told = subprocess.run(asked, env={**os.environ, **where}, check=True, capture_output=True, text=True).stdout
    assert json.loads(told)["how"] == "snapshot"
    ((held,),) = bureau.receiver.run("SELECT DISTINCT as_of FROM t")
    assert (held if held.tzinfo else held.replace(tzinfo=UTC)) == moment
    assert bureau.deliver("ages").how == "unchanged", "checks were made of the same texts"


def test_a_receipt_can_be_checked_offline(bureau: Bureau, tmp_path: Path) -> None:
    program = shutil.which("openssl")
    assert program is not None
    bureau.grant(divisions=["341502"], columns=["name", "sex"])
    runner, settings = CliRunner(), bureau.city.settings
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    done = runner.invoke(app, ["deliver", "run", bureau.name("persons")], env=where)
    assert done.exit_code == 0 and json.loads(done.stdout)["how"] == "snapshot"
    folder = tmp_path / "receipt"
    told = runner.invoke(app, ["deliver", "receipt", bureau.name("persons"), str(folder)], env=where)
    assert told.exit_code == 0
    position = bureau.receiver.position()
    assert position["statement"] == (folder / "statement.json").read_text("utf-8")
    assert bytes.fromhex(position["signature"]) == (folder / "signature.bin").read_bytes()
    said = json.loads(position["statement"])
    assert (said["recipient"], said["organisation"]) == (RECIPIENT, "psb")
    assert receipt.holds(position["statement"], position["signature"], said["algorithm"], bytes.fromhex(said["key"]))
    (held,) = bureau.receiver.run("SELECT count(*), sum(_citylake_check) FROM t")
    assert (said["rows"], said["checksum"]) == (held[0], int(held[1])) == (20, int(position["checksum"]))
    assert (
        said["purpose"] == "核验测试" and [name for name, _ in said["columns"]] == ["name", "sex"] and said["licence"]
    )
    told_beside = bureau.receiver.run(
        "SELECT column_name, name_zh, type, level, codes, licence FROM _citylake_dictionary ORDER BY number"
    )
    product = bureau.city.contracts.products[PERSONS]
    entries = dictionary.entries(product, ["name", "sex"])
    assert told_beside == [
        (one.column, one.name_zh, one.type, one.level, one.codes, product.form.licence) for one in entries
    ]
    assert entries[1].codes, "the code list of sex"
    assert subprocess.run(openssl(program, folder), check=False, capture_output=True).returncode == 0
    statement = folder / "statement.json"
    statement.write_text(statement.read_text("utf-8").replace('"rows":20', '"rows":21'), "utf-8")
    assert subprocess.run(openssl(program, folder), check=False, capture_output=True).returncode != 0
    assert bureau.equal()


@pytest.mark.long
@pytest.mark.parametrize("what", ["audit", "grant", "put"])
def test_whatever_fails_between_batches_leaves_the_table_as_it_was(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(rows, "BATCH", 5)
    given_grant = bureau.grant()
    bureau.deliver()
    before = bureau.receiver.rows("t", COLUMNS), bureau.receiver.position()
    bureau.city.release(PERSONS, 70)
    table = PostgresTable if bureau.receiver.engine == "postgresql" else MysqlTable
    put = table.put

    def stop(self: Any, *given: Any) -> None:
        put(self, *given)
        monkeypatch.setattr(table, "put", put)
        if what == "grant":
            administration.revoke_grant(bureau.city.register, given_grant.id, actor=STEWARD)
        elif what == "audit":
            _rename(bureau, "audit", "audit_away")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(table, "put", stop)
    with pytest.raises((Refused, audit.AuditUnavailable, KeyboardInterrupt)):
        bureau.deliver()
    assert (bureau.receiver.rows("t", COLUMNS), bureau.receiver.position()) == before
    if what == "audit":
        _rename(bureau, "audit_away", "audit")
    if what != "grant":
        assert bureau.deliver().how == "changes" and bureau.equal()


def _rename(bureau: Bureau, table: str, name: str) -> None:
    with bureau.city.register.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_who_was_overtaken_takes_no_recipient_back(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    bureau.grant()
    table = PostgresTable if bureau.receiver.engine == "postgresql" else MysqlTable
    put, transaction = table.put, table.transaction

    def newer_version_comes_out(self: Any, *given: Any) -> None:
        monkeypatch.setattr(table, "put", put)
        bureau.city.release(PERSONS, 50)
        put(self, *given)

    def somebody_else_delivers(self: Any, name: str) -> Any:
        monkeypatch.setattr(table, "transaction", transaction)
        bureau.city.release(PERSONS, 60)
        bureau.deliver()
        return transaction(self, name)

    monkeypatch.setattr(rows, "BATCH", 30)
    monkeypatch.setattr(table, "put", newer_version_comes_out)
    with pytest.raises(CitylakeError, match="有变化"):
        bureau.deliver()
    assert bureau.receiver.run("SELECT count(*) FROM t")[0] == (0,)
    monkeypatch.setattr(table, "transaction", somebody_else_delivers)
    with pytest.raises(CitylakeError, match="有变化"):
        bureau.deliver()
    assert bureau.equal() and bureau.deliver().how == "unchanged" and len(bureau.receiver.rows("t", COLUMNS)) == 60


def test_who_waits_for_a_database_gives_up(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    bureau.deliver("ages")
    monkeypatch.setattr(patience, "LOCK", 1)
    holder = open_target(bureau.desk, bureau.desk.listing.snapshot().contracts.city.deliveries[bureau.name("ages")])
    with holder.transaction(bureau.name("ages")), pytest.raises(CitylakeError, match="拒绝了操作"):
        bureau.deliver("ages")
    holder.close()
    monkeypatch.setattr(patience, "CONNECT", 2)
    address = bureau.receiver.address
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"{address.rpartition('@')[0]}@127.0.0.1:{silent.getsockname()[1]}/bureau"
        bureau.city.settings.store_secret(bureau.receiver.engine, place)
        try:
            with pytest.raises(CitylakeError, match="不能访问"):
                bureau.deliver("ages")
        finally:
            bureau.city.settings.store_secret(bureau.receiver.engine, address)


def test_only_receipts_that_we_signed_are_kept(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    name, kept = bureau.name("ages"), Receipts(bureau.city.register, "test")
    before = len(kept.of_stage(Stage.DELIVERY, name, 99))
    killed = KeyboardInterrupt()

    def kill(*_: Any) -> None:
        raise killed

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Push, "keep", kill)
        bureau.deliver("ages")
    assert len(kept.of_stage(Stage.DELIVERY, name, 99)) == before
    assert bureau.deliver("ages").how == "unchanged"
    (last, *_) = held = kept.of_stage(Stage.DELIVERY, name, 99)
    assert len(held) == before + 1 and last.body["statement"] == bureau.receiver.position()["statement"]
    bureau.receiver.run("UPDATE _citylake_position SET signature = 'x y', statement = '{\"at\": 1}'")
    assert bureau.deliver("ages").how == "unchanged" and kept.of_stage(Stage.DELIVERY, name, 99) == held


def test_columns_or_a_key_in_another_order_are_sent_anew(bureau: Bureau) -> None:
    assert key_named(("a", "b")) != key_named(("b", "a")) != key_named(()) == "rows"
    bureau.city.release(AGES, 12)
    bureau.deliver("ages")
    turned = ", ".join(reversed(bureau.expected("ages")[0]))
    query = f"select {turned} from ({ROWS[AGES]})"
    # Delta keeps the order of a schema unless its columns change
    bureau.city.release(AGES, 18, query=f"select {turned}, 1 as more from ({ROWS[AGES]})")
    bureau.city.release(AGES, 18, query=query)
    assert bureau.deliver("ages").how == "snapshot" and bureau.equal("ages")
    bureau.city.release(AGES, 24, query=query)
    assert bureau.deliver("ages").how == "changes" and bureau.equal("ages")


def test_decimals_fit_where_there_is_room_and_what_no_column_holds_is_named(bureau: Bureau) -> None:
    form = bureau.desk.listing.snapshot().contracts.city.deliveries[bureau.name("ages")]
    moment = "datetime" if bureau.receiver.engine == "mariadb" else "timestamp(0) with time zone"
    cases = {"decimal(12,2)": True, "decimal(9,2)": False, "decimal(12,1)": False, "numeric(20,4)": True}
    target = open_target(bureau.desk, form)
    try:
        target.prepare("one", {"amount": "decimal(10,2)", "at": "timestamp"})
        target.prepare("one", {"amount": "decimal(10,2)", "at": "timestamp", "more": "decimal(38,0)"})
        with target.transaction("one"):
            target.put(["amount"], [(Decimal("12345678.90"), "a" * 64, 1)])
        assert bureau.receiver.run("SELECT amount FROM t") == [(Decimal("12345678.90"),)]
        verb = "MODIFY {} {}" if bureau.receiver.engine == "mariadb" else "ALTER {} TYPE {}"
        for kind, good in cases.items():
            bureau.receiver.run("DELETE FROM t")
            bureau.receiver.run(f"ALTER TABLE t {verb.format('amount', kind)}")
            with contextlib.nullcontext() if good else pytest.raises(CitylakeError, match="amount"):
                target.prepare("one", {"amount": "decimal(10,2)"})
        bureau.receiver.run(f"ALTER TABLE t {verb.format('at', moment)}")
        with pytest.raises(CitylakeError, match="列 at"):
            target.prepare("one", {"at": "timestamp"})
        with pytest.raises(CitylakeError, match="列 tags 的类型 array"):
            target.prepare("one", {"tags": {"type": "array", "elementType": "string", "containsNull": True}})
    finally:
        target.close()


def test_a_value_that_the_database_cannot_hold_is_told_with_its_column(bureau: Bureau) -> None:
    form = bureau.desk.listing.snapshot().contracts.city.deliveries[bureau.name("ages")]
    target = open_target(bureau.desk, form)
    try:
        target.prepare("one", {"ratio": "double", "remark": "string"})
        bad, column = ((math.nan, "x"), "ratio") if bureau.receiver.engine == "mariadb" else ((1.5, "a\0b"), "remark")
        with pytest.raises(CitylakeError, match=column) as caught, target.transaction("one"):
            target.put(["ratio", "remark"], [(2.5, "好", "a" * 64, 1), (*bad, "b" * 64, 2)])
        assert "不能保存" in str(caught.value) and target.totals().rows == 0
    finally:
        target.close()


def test_a_table_that_somebody_changed_is_made_whole(bureau: Bureau) -> None:
    bureau.grant()
    bureau.deliver()
    bureau.receiver.run("DELETE FROM t WHERE sex = '1'")
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    bureau.receiver.run("DELETE FROM t WHERE sex = '2'")
    bureau.city.release(PERSONS, 50)
    assert bureau.deliver().how == "snapshot" and bureau.equal()


def test_new_pseudonyms_send_everything_anew(bureau: Bureau) -> None:
    bureau.grant()
    bureau.deliver()
    old = {ref for (ref,) in bureau.receiver.run("SELECT person_ref FROM t")}
    epochs.rotate(bureau.city.register, RECIPIENT, "年度更换", actor=GUARD, zone="Asia/Shanghai")
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    assert not old & {ref for (ref,) in bureau.receiver.run("SELECT person_ref FROM t")}
    bureau.city.release(PERSONS, 50)
    assert bureau.deliver().how == "changes" and bureau.equal()


def test_another_grant_or_rows_that_were_ended_send_everything_anew(bureau: Bureau) -> None:
    first = bureau.grant()
    bureau.deliver()
    administration.revoke_grant(bureau.city.register, first.id, actor=STEWARD)
    bureau.grant(divisions=["341502"], columns=["person_ref", "name"])
    assert bureau.deliver().how == "snapshot" and bureau.equal()
    (left,) = bureau.receiver.run("SELECT count(*) FROM t WHERE sex IS NOT NULL OR education IS NOT NULL")
    assert left[0] == 0, "columns that the grant does not show any more are empty"
    rewritten = {PERSONS: {str(bureau.receiver.position()["version"]): ["f", "g"]}}
    bureau.city.ledger.record([Entry(RETENTION, "retention-1", "r", None, {"releases": rewritten})])
    bureau.city.release(PERSONS, 50)
    assert bureau.deliver().how == "snapshot" and bureau.equal()


@pytest.mark.long
@pytest.mark.parametrize("delivery", ["persons", "persons_empty"])
def test_a_withdrawal_is_told_and_empties_the_table_only_if_the_target_says_so(bureau: Bureau, delivery: str) -> None:
    bureau.grant()
    bureau.city.withdraw(PERSONS)
    with pytest.raises(Refused):
        bureau.deliver(delivery)
    bureau.city.release(PERSONS, 30)
    bureau.deliver(delivery)
    bureau.city.withdraw(PERSONS)
    assert bureau.deliver(delivery).how == "ended"
    position = bureau.receiver.position()
    said = json.loads(position["statement"])
    kept = 30 if delivery == "persons" else 0
    assert bureau.receiver.run("SELECT count(*) FROM t")[0] == (kept,)
    assert (position["state"], said["how"], said["rows"]) == ("not_published", "ended", kept)
    assert said["deleted"] == 30 - kept
    bureau.deliver(delivery)
    assert bureau.receiver.position() == position, "it is told once"
    bureau.city.release(PERSONS, 44)
    assert bureau.deliver(delivery).how == "snapshot" and bureau.equal(delivery)


def test_a_grant_that_is_over_ends_the_delivery_and_a_suspension_only_stops_it(bureau: Bureau) -> None:
    bureau.grant()
    bureau.deliver()
    suspension.suspend(bureau.city.register, bureau.city.contracts, "recipient", RECIPIENT, "演练", actor=GUARD)
    with pytest.raises(Refused, match="suspended"):
        bureau.deliver()
    suspension.lift(bureau.city.register, "recipient", RECIPIENT, "演练结束", actor=GUARD)
    assert bureau.deliver().how == "unchanged"
    bureau.end()
    assert bureau.deliver().how == "ended" and bureau.receiver.position()["state"] == "grant_revoked"
    told = {translate(f"web.reason.{reason.value}", language) for reason in Reason for language in ("zh", "en")}
    assert len(told) >= 2 * len(Reason) - 2


@pytest.mark.parametrize("bureau", ["postgresql"], indirect=True)  # what is decided, whatever the database
@pytest.mark.parametrize("what", ["pending", "later", "road"])
def test_any_grant_that_covers_nothing_ends_the_delivery(bureau: Bureau, what: str) -> None:
    bureau.grant()
    bureau.deliver("persons_empty")
    bureau.end()
    contracts, register = bureau.city.contracts, bureau.city.register
    limits: dict[str, Any] = {"purpose": "核验测试", "actor": STEWARD}
    if what == "later":
        limits["valid_from"] = datetime.now(UTC) + timedelta(days=3)
    elif what == "road":
        limits["roads"] = ["delta_sharing"]
    given = administration.grant(register, contracts, RECIPIENT, PERSONS, **limits)
    if given.pending and what != "pending":
        administration.approve_grant(register, given.id, actor=APPROVER)
    assert bureau.deliver("persons_empty").how == "ended"
    state = {"pending": "grant_pending", "later": "grant_not_yet", "road": "grant_road"}[what]
    assert bureau.receiver.position()["state"] == state
    assert bureau.receiver.run("SELECT count(*) FROM t")[0] == (0,)


@pytest.mark.parametrize("bureau", ["postgresql"], indirect=True)  # what is decided, whatever the database
def test_a_contract_that_empties_a_grant_stops_its_delivery_and_no_other(bureau: Bureau) -> None:
    """What was delivered stays even where an end empties the table, and a mended contract is gone on with."""
    bureau.grant(columns=["education"])
    bureau.deliver("persons_empty")
    held, position = bureau.receiver.rows("t", ["education"]), bureau.receiver.position()
    where = {"CITYLAKE_HOME": str(bureau.city.settings.home), "CITYLAKE_PROJECT": str(bureau.city.settings.project)}
    contract = bureau.city.own_contracts() / "products" / "population" / "person.yaml"
    whole = contract.read_text("utf-8")
    plain, bound = "      - education\n", "      - {name: education, purposes: [subsistence_check]}\n"
    assert plain in whole
    try:
        contract.write_text(whole.replace(plain, bound, 1), "utf-8")
        done = CliRunner().invoke(app, ["deliver", "run", bureau.name("persons_empty")], env=where)
        assert done.exit_code == 1 and PERSONS in done.stderr and bureau.name("persons_empty") in done.stderr
        assert all(translate("web.reason.grant_empty", language) in done.stderr for language in ("zh", "en"))
        assert (bureau.receiver.rows("t", ["education"]), bureau.receiver.position()) == (held, position)
        (told,) = audit.recent(bureau.city.register, 1)
        assert (told["outcome"], told["body"]["reason"]) == ("denied", "grant_empty")
    finally:
        contract.write_text(whole, "utf-8")
    bureau.city.release(PERSONS, 47)
    done = CliRunner().invoke(app, ["deliver", "run", bureau.name("persons_empty")], env=where)
    assert (done.exit_code, json.loads(done.stdout)["how"]) == (0, "changes")
    assert bureau.equal("persons_empty")


@pytest.mark.parametrize("bureau", ["postgresql"], indirect=True)  # what is decided, whatever the database
def test_a_recipient_who_is_not_registered_is_told_by_the_check_and_ends_nothing(bureau: Bureau) -> None:
    """Whoever mistypes one in city.yaml, or restores a register without it, empties no table."""
    bureau.grant()
    name = bureau.name("persons_empty")
    bureau.deliver("persons_empty")
    position = bureau.receiver.position()
    settings = bureau.city.settings
    where = {"CITYLAKE_HOME": str(settings.home), "CITYLAKE_PROJECT": str(settings.project)}
    runner, file = CliRunner(), bureau.city.own_contracts() / "city.yaml"
    whole = file.read_text("utf-8")
    assert runner.invoke(app, ["contract", "check"], env=where).exit_code == 0
    lines = whole.splitlines()
    line = next(at for at in range(lines.index(f"  {name}:"), len(lines)) if lines[at].strip().startswith("recipient:"))
    try:
        lines[line] = "    recipient: 前置机库"
        file.write_text("\n".join(lines) + "\n", "utf-8")
        checked = runner.invoke(app, ["contract", "check"], env=where)
        assert checked.exit_code == 1 and f"city.yaml 第 {line + 1} 行" in checked.output
        assert "前置机库" in checked.output and f"是否想写 {RECIPIENT}" in checked.output
        done = runner.invoke(app, ["deliver", "run", name], env=where)
        assert done.exit_code == 1
        assert translate("deliver.no_recipient", "zh", name=name, product=PERSONS) in done.stderr
    finally:
        file.write_text(whole, "utf-8")
    assert bureau.receiver.position() == position and bureau.equal("persons_empty")


@pytest.mark.parametrize("bureau", ["postgresql"], indirect=True)  # what is decided, whatever the database
def test_what_another_recipient_has_is_not_for_a_denial_to_end(bureau: Bureau) -> None:
    bureau.grant()
    name, other = bureau.name("persons_empty"), "另一前置机"
    bureau.deliver("persons_empty")
    position = bureau.receiver.position()
    if other not in {one.name for one in administration.list_recipients(bureau.city.register)}:
        bureau.city.recipient(other)
    bureau.city.grant(other), end_grants(bureau.city, other)
    file = bureau.city.own_contracts() / "city.yaml"
    whole = file.read_text("utf-8")
    before, named, after = whole.partition(f"  {name}:\n")
    try:
        file.write_text(before + named + after.replace(f"recipient: {RECIPIENT}", f"recipient: {other}", 1), "utf-8")
        with pytest.raises(CitylakeError) as told:
            deliver(Desk(bureau.city.settings, bureau.city.register), name, "test")
    finally:
        file.write_text(whole, "utf-8")
    assert told.value.code == "deliver.other_recipient" and RECIPIENT in str(told.value)
    assert bureau.receiver.position() == position and bureau.equal("persons_empty")


@pytest.mark.parametrize("bureau", ["postgresql"], indirect=True)  # what is decided, whatever the database
def test_of_a_delivery_that_ended_by_contract_before_it_is_not_told_that_data_stay(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until such contracts only stopped deliveries, they ended them."""
    bureau.grant(columns=["education"])
    bureau.deliver("persons_empty")
    contract = bureau.city.own_contracts() / "products" / "population" / "person.yaml"
    whole = contract.read_text("utf-8")
    bound = "      - {name: education, purposes: [subsistence_check]}\n"
    name, product = bureau.name("persons_empty"), PERSONS
    try:
        contract.write_text(whole.replace("      - education\n", bound, 1), "utf-8")
        desk = Desk(bureau.city.settings, bureau.city.register)
        with monkeypatch.context() as patch:
            patch.setattr("catalog.delivery.tables.deliver.PASSING", frozenset())
            assert deliver(desk, name, "test").how == "ended"  # type: ignore[union-attr]
        with pytest.raises(Refused) as refused:
            deliver(desk, name, "test")
    finally:
        contract.write_text(whole, "utf-8")
    told = "\n".join(refusal(bureau.city.register, name, refused.value).values())
    assert translate("deliver.by_contract_ended", "zh", name=name, product=product) in told
    assert translate("deliver.by_contract", "en", name=name, product=product) not in told


def test_the_dictionary_is_written_again_where_it_says_anything_else(bureau: Bureau) -> None:
    """As after an upgrade that makes it, empty, beside a table whose version stays."""
    bureau.grant()
    bureau.deliver()
    meanings = "SELECT * FROM _citylake_dictionary ORDER BY number"
    written = bureau.receiver.run(meanings)
    for change in ("DELETE FROM _citylake_dictionary", "UPDATE _citylake_dictionary SET name_zh = 'x'"):
        bureau.receiver.run(change)
        assert bureau.deliver().how == "unchanged"
        assert bureau.receiver.run(meanings) == written != []


def test_tables_that_are_not_ours_or_do_not_fit_are_left_alone(bureau: Bureau) -> None:
    name = "char(64) CHARACTER SET ascii" if bureau.receiver.engine == "mariadb" else "text"
    own = f"_citylake_row {name} PRIMARY KEY, _citylake_check bigint NOT NULL"
    bureau.receiver.run("CREATE TABLE t (county_code varchar(6))")
    with pytest.raises(CitylakeError, match="_citylake_row"):
        bureau.deliver("ages")
    bureau.receiver.run("DROP TABLE t")
    bureau.receiver.run(f"CREATE TABLE t (county_code date, {own})")
    with pytest.raises(CitylakeError, match="county_code"):
        bureau.deliver("ages")
    bureau.receiver.run("DROP TABLE t")
    bureau.receiver.run(f"CREATE TABLE t (county_name char(10), {own})")
    with pytest.raises(CitylakeError, match="county_name"):  # it fills up with blanks, or cuts them off the end
        bureau.deliver("ages")
    bureau.receiver.run("DROP TABLE t")
    bureau.receiver.run(f"CREATE TABLE t (county_code varchar(6), remark varchar(9), {own})")
    bureau.receiver.run("INSERT INTO t VALUES ('341502', 'ours', 'x', 1)")
    with pytest.raises(CitylakeError, match="不是平台写入"):
        bureau.deliver("ages")
    bureau.receiver.run("DELETE FROM t")
    assert bureau.deliver("ages").rows == 96 and bureau.equal("ages"), "columns that are missing are added"


def test_a_column_that_is_too_short_is_named_before_anything_is_written(bureau: Bureau) -> None:
    mysql = bureau.receiver.engine == "mariadb"
    name = "char(64) CHARACTER SET ascii" if mysql else "text"
    own = f"_citylake_row {name} PRIMARY KEY, _citylake_check bigint NOT NULL"
    bureau.receiver.run(f"CREATE TABLE t (county_name varchar(2), county_code varchar(99), {own})")
    before = audit.recent(bureau.city.register, 1)
    with pytest.raises(CitylakeError, match=r"列 county_name 最多 2 个字符，要写入的值最长 \d 个") as caught:
        bureau.deliver("ages")
    assert caught.value.code == "deliver.too_long" and "county_code=3415" in str(caught.value)
    assert bureau.receiver.run("SELECT count(*) FROM t") == [(0,)] and bureau.receiver.staging() == []
    assert audit.recent(bureau.city.register, 1) == before
    longer = "MODIFY county_name varchar(9)" if mysql else "ALTER county_name TYPE varchar(9)"
    bureau.receiver.run(f"ALTER TABLE t {longer}{' CHARACTER SET utf8mb4' if mysql else ''}")
    assert bureau.deliver("ages").how == "snapshot" and bureau.equal("ages")


def test_length_is_told_as_the_column_counts_it(bureau: Bureau, tmp_path: Path) -> None:
    with duckdb.connect() as con:
        file = tmp_path / "x.parquet"
        con.execute(f"COPY (SELECT 'a' AS k, '金安区 ' AS t, 'abc'::BLOB AS b) TO '{file}'")
        fields = ({"name": "k", "type": "string"}, {"name": "t", "type": "string"}, {"name": "b", "type": "binary"})
        extract = Extract("open/x", 0, "x", tmp_path, fields, (), (), f"read_parquet('{file}')")
        for room, longest in ((Room("t", 3), 4), (Room("t", 9, True), 10), (Room("b", 2, True), 3)):
            assert rows.too_long(con, extract, room, ("k",)) == rows.TooLong(longest, 1, ("k=a",))
            assert rows.too_long(con, extract, replace(room, most=longest), ()) is None


def test_errors_of_databases_tell_no_value_and_no_password(bureau: Bureau) -> None:
    bureau.grant(columns=["name", "division_code"])
    bureau.deliver()
    bureau.city.release(PERSONS, 60)
    kind = "varchar(3) CHARACTER SET utf8mb4" if bureau.receiver.engine == "mariadb" else "varchar(3)"
    bureau.receiver.run("DELETE FROM t")
    alter = (
        f"MODIFY division_code {kind}" if bureau.receiver.engine == "mariadb" else f"ALTER division_code TYPE {kind}"
    )
    bureau.receiver.run(f"ALTER TABLE t {alter}")
    with pytest.raises(CitylakeError, match="最长 12 个，共 60 行（主键：—）"):  # its key is not for everybody
        bureau.deliver()
    bureau.receiver.run(f"ALTER TABLE t {alter.replace('(3)', '(12)')}")
    bureau.receiver.run("ALTER TABLE t ADD CONSTRAINT short CHECK (char_length(division_code) < 9)")
    with pytest.raises(CitylakeError, match="拒绝了操作") as caught:
        bureau.deliver()
    assert not any(village[:6] in str(caught.value) for village in VILLAGES) and "**" not in str(caught.value)
    address = bureau.receiver.address
    bureau.city.settings.store_secret(bureau.receiver.engine, address.replace("127.0.0.1", "127.0.0.9"))
    try:
        with pytest.raises(CitylakeError, match="不能访问") as caught:
            bureau.deliver()
    finally:
        bureau.city.settings.store_secret(bureau.receiver.engine, address)
    assert PASSWORD not in str(caught.value) and address not in str(caught.value)


@pytest.mark.long
def test_after_a_release_one_delivery_that_fails_stops_no_other(
    bureaus: Bureaus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the asset: the databases have one table each, so the second delivery to it is refused."""
    for receiver in bureaus.receivers.values():
        receiver.clear()
    bureaus.city.release(AGES, 96)
    deliver = standing.deliver

    def unforeseen(desk: Any, name: str, run: str, anew: bool) -> Any:
        if name == "mariadb_divisions":
            raise duckdb.IOException("张三")
        return deliver(desk, name, run, anew)

    monkeypatch.setattr(standing, "deliver", unforeseen)
    with opened(bureaus.city.settings, "dagster") as run:
        made = dg.materialize(delivery_assets(run.contracts), resources={"run": run}, raise_on_error=False)
    assert not made.success
    told = str(made.failure_data_for_node("deliveries"))
    for receiver in bureaus.receivers.values():
        assert receiver.run("SELECT count(*) FROM t")[0] == (96,)
        assert f"{receiver.engine}_divisions" in told and f"{receiver.engine}_ages" not in told
    assert "张三" not in told
