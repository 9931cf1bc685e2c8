"""The register on PostgreSQL, as in production: the same tables, and one chain however many write at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from catalog.policy import administration, identities, logins, suspension, users
from catalog.policy import audit as audit_trail
from pipelines.contracts.load import load
from pipelines.evidence import days
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now
from pipelines.register.tables import access, audit, metadata
from pipelines.register.tables import suspension as suspensions
from pipelines.release.ledger import RELEASE, Entry, Ledger
from pipelines.settings import REPOSITORY
from simulator.server import HOST, Server
from tests.catalog.test_anomalies import what_is_planted_is_told
from tests.catalog.test_inquiry import every_question_has_its_rows
from tests.catalog.test_receipts_of_reads import sums_are_those_of_a_plain_reading
from tests.register.filled import every_writing_moves, revisions_lose_nothing_but_what_they_added
from tests.register.test_group import ROW, bodies, together, unbroken

pytestmark = pytest.mark.server


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    server = Server(tmp_path)
    server.start()
    with server.connect("postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE register")
        owner = f"{connection.info.user}:{quote(connection.info.password)}"
    register = Register(f"postgresql+psycopg://{owner}@{HOST}:{server.port}/register")
    register.upgrade()
    yield register
    register.close()
    server.stop()


def test_migrations_make_the_declared_tables(register: Register) -> None:
    with register.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.long
def test_migrations_keep_the_rows_of_other_tables(register: Register) -> None:
    revisions_lose_nothing_but_what_they_added(register)


def test_what_decisions_are_made_from_moves_the_number(register: Register) -> None:
    """The same tables as tests/catalog/test_basis.py finds."""
    every_writing_moves(register, {"access", "ledger", "pseudonym_epoch", "recipient", "suspension", "token"})


def test_the_number_moves_when_a_transaction_is_over_and_not_before(register: Register) -> None:
    """Whoever saw it earlier would take what was there before for what is there since."""
    before = register.basis()
    with register.begin() as connection:
        connection.execute(sa.text("INSERT INTO recipient (name, organisation, created) VALUES ('甲', 'psb', now())"))
        assert register.basis() == before
    assert register.basis() == (before or 0) + 1
    with register.begin() as connection:
        connection.execute(sa.text("TRUNCATE recipient CASCADE"))
    assert (register.basis() or 0) > (before or 0) + 1


def test_a_token_has_one_successor_however_many_rotate_it(register: Register) -> None:
    contracts = load(REPOSITORY / "data_contracts")
    users.begin(register, contracts, "管理员", "sto")
    administration.create_recipient(register, contracts, "甲", "psb", actor="管理员")
    issued = administration.issue_client(register, "甲", actor="管理员")
    codes = list[str]()

    def rotate(_: int) -> None:
        try:
            administration.rotate_token(register, issued.client_id, timedelta(days=7), actor="管理员")
        except CitylakeError as error:
            codes.append(error.code)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(rotate, range(6)))
    old, new = administration.list_tokens(register, "甲")
    assert codes == ["token.succeeded"] * 5 and new.client
    assert (old.successor, new.succeeds) == (new.id, old.id)


def test_the_same_act_twice_at_once_is_done_once(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits before it commits until the other has looked how things stand, or waits its turn."""
    contracts, plain, both = load(REPOSITORY / "data_contracts"), audit_trail.append, Barrier(2)
    users.begin(register, contracts, "管理员", "sto")
    for name, role in (("专员", "steward"), ("批", "approver"), ("准", "approver"), ("安", "security_officer")):
        users.create(register, contracts, name, "dsrb", [role], actor="管理员")
    administration.create_recipient(register, contracts, "甲", "psb", actor="管理员")

    def slow(*asked: Any, **about: Any) -> None:
        with suppress(BrokenBarrierError):
            both.wait(1)
        plain(*asked, **about)

    def twice(act: Callable[[int], object]) -> tuple[list[str], int]:
        """The codes of errors, and how many succeeded."""
        codes = list[str]()
        both.reset()

        def one(number: int) -> int:
            try:
                act(number)
            except CitylakeError as error:
                codes.append(error.code)
                return 0
            return 1

        with monkeypatch.context() as slowly, ThreadPoolExecutor(2) as pool:
            slowly.setattr(audit_trail, "append", slow)
            return codes, sum(pool.map(one, range(2)))

    def give(_: int) -> None:
        administration.grant(register, contracts, "甲", "sharing/person_of_division", purpose="试", actor="专员")

    def cut(_: int) -> None:
        suspension.suspend(register, contracts, "recipient", "甲", "试", actor="安")

    assert twice(give) == (["web.policy.overlap"], 1)
    pending = register.rows(sa.select(access.c.id))[0]["id"]
    with register.begin() as connection:
        connection.execute(sa.update(access).values(pending=True))
    approve = lambda number: administration.approve_grant(register, pending, actor=("批", "准")[number])  # noqa: E731
    assert twice(approve) == (["user.not_pending"], 1)
    assert twice(cut) == (["suspension.standing"], 1)
    lift = lambda _: suspension.lift(register, "recipient", "甲", "试", actor="安")  # noqa: E731
    assert twice(lift) == (["suspension.none"], 1)
    issue = lambda _: administration.issue_token(register, "甲", actor="管理员", request="一")  # noqa: E731
    assert twice(issue) == (["token.issued_before"], 1)
    with register.begin() as connection:  # as an older version could leave it
        row = {"whom": "recipient", "name": "甲", "at": now(), "who": "安", "why": "试"}
        connection.execute(sa.insert(suspensions), [row, row])
    suspension.lift(register, "recipient", "甲", "试", actor="安")
    assert all(one.lifted for one in suspension.listed(register))


def test_whoever_is_unbound_while_they_come_in_has_no_session(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = load(REPOSITORY / "data_contracts")
    users.begin(register, contracts, "管理员", "sto")
    users.create(register, contracts, "员", "sto", ["steward"], actor="管理员")
    identities.bind(register, "员", "https://id.example", "7", actor="管理员")
    form, begin = contracts.city.signIn, logins.begin
    with ThreadPoolExecutor(1) as pool:

        def meanwhile(*asked: Any) -> str:
            unbound.append(pool.submit(identities.unbind, register, "员", actor="管理员"))
            wait(unbound, 2)
            return begin(*asked)

        unbound = list[Future[int]]()
        monkeypatch.setattr(logins, "begin", meanwhile)
        session = identities.enter(register, identities.Identity("https://id.example", "7", False), form)
        assert unbound[0].result(20) == 1
    assert logins.find(register, session, form) is None


def test_scores_of_days_are_read(register: Register) -> None:
    receipts = Receipts(register, "test")
    for day, received in (("2026-11-01", 1), ("2026-11-01", 2), ("2026-11-02", 3)):
        body = {"day": day, "received": received, "refused": 0, "scores": {}, "by_rule": {}, "open": {}, "late": 0}
        receipts.add(Stage.SCORE, "psb/x", body)
    found = days.measured(register, ["psb/x"], date(2026, 11, 1), date(2026, 11, 30))
    assert [(one.day.day, one.received) for one in found] == [(1, 2), (2, 3)]
    assert days.newest_day(register, ["psb/x"]) == date(2026, 11, 2) and days.first_day(register) == found[0].day


@pytest.mark.long
def test_every_question_to_the_audit_has_its_rows(register: Register) -> None:
    every_question_has_its_rows(register)


def test_sums_of_receipts_are_those_of_a_plain_reading(register: Register) -> None:
    sums_are_those_of_a_plain_reading(register)


def test_anomalies_are_told(register: Register) -> None:
    what_is_planted_is_told(register, load(REPOSITORY / "data_contracts").city)


def test_a_group_commit_and_other_writers_make_one_chain(register: Register) -> None:
    def act(number: int) -> None:
        with register.begin() as connection:
            chain.append(connection, audit, ROW, {"act": number})

    with ThreadPoolExecutor(2) as pool:
        acts = [pool.submit(act, number) for number in range(20)]
        assert together(register, 8, 10) == []
        for one in acts:
            one.result()
    assert len(bodies(register)) == 100 and unbroken(register)


def test_many_writers_make_one_chain(register: Register) -> None:
    def write(number: int) -> None:
        Ledger(register).record([Entry(RELEASE, f"s{number % 4}", f"e{number}", number, {"rows": number})])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    book = Ledger(register)
    assert book.first_break() is None
    assert len(book.published()) == 4
