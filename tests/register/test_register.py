"""The register: migrations lead to the declared tables and back; the ledger's chain shows every kind of tampering."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from pipelines.issues import Finding, Issues
from pipelines.register import Register, chain
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import _MIGRATIONS
from pipelines.register.tables import access, audit, issue, issue_act, ledger, metadata, pseudonym_epoch, token
from pipelines.register.times import as_utc
from pipelines.release.approval import overtaken
from pipelines.release.ledger import (
    PAST_WITHDRAWAL,
    REFUSAL,
    REINSTATEMENT,
    RELEASE,
    WITHDRAWAL,
    Entry,
    Ledger,
)
from tests.register.filled import contents, downgrade, fill, revisions_lose_nothing_but_what_they_added


def test_migrations_make_exactly_the_declared_tables(register: Register) -> None:
    with register.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrations_go_down_and_up_again(register: Register) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with register.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    register.upgrade()
    assert set(metadata.tables) <= set(sa.inspect(register.engine).get_table_names())


def test_migrations_keep_the_rows_of_other_tables(register: Register) -> None:
    revisions_lose_nothing_but_what_they_added(register)


def test_a_pending_grant_is_not_in_force_after_going_down(register: Register) -> None:
    """Older versions do not know that a grant can await approval."""
    fill(register)
    with register.begin() as connection:
        connection.execute(sa.update(access).values(revoked=None, roads=None, organisations=None))
        connection.execute(sa.update(access).where(access.c.id == 2).values(pending=True))
    downgrade(register, "0004")
    assert [row["revoked"] is None for row in contents(register)["access"]] == [True, False, True]


def test_a_clients_secret_is_no_token_after_going_down(register: Register) -> None:
    """An older version takes any row for a bearer token."""
    fill(register)
    with register.begin() as connection:
        connection.execute(sa.update(token).values(revoked=None))
        connection.execute(sa.update(token).where(token.c.id == "r2").values(client=True))
    downgrade(register, "0013")
    assert [row["revoked"] is None for row in contents(register)["token"]] == [True, False, True]


def test_when_older_issues_were_closed(register: Register) -> None:
    """Going up: by the last act, and where nobody acted when it was last seen."""
    fill(register)
    first, second = (datetime(2026, month, 3, 8, tzinfo=UTC) for month in (1, 2))
    with register.begin() as connection:
        connection.execute(sa.update(issue).values(status="closed", last_seen=first))
        connection.execute(sa.update(issue).where(issue.c.id == 3).values(status="open"))
        connection.execute(sa.delete(issue_act))
        act = {"issue": 2, "who": "x", "act": "corrected", "note": "", "proof": None}
        connection.execute(sa.insert(issue_act), [act | {"id": 1, "at": second}, act | {"id": 2, "at": first}])
    downgrade(register, "0009")
    register.upgrade()
    closed = [row["closed"] and as_utc(row["closed"]) for row in contents(register)["issue"]]
    assert closed == [first, second, None]


def test_going_down_does_not_break_a_chain_that_needs_the_columns(register: Register) -> None:
    row = {"recipient": None, "action": "download", "outcome": "allowed", "level": 3}
    with register.begin() as connection:
        chain.append(connection, audit, row, {})
    with pytest.raises(RuntimeError, match="chain"):
        downgrade(register, "0007")
    with register.engine.connect() as connection:
        assert chain.first_break(connection, audit) is None


def test_going_down_does_not_bring_old_pseudonyms_back(register: Register) -> None:
    moment = datetime(2026, 11, 23, 8, tzinfo=UTC)
    row = {
        "recipient": "甲",
        "number": 2,
        "since": moment,
        "at": moment,
        "who": "x",
        "why": "泄露",
        "compromised": True,
    }
    with register.begin() as connection:
        connection.execute(sa.insert(pseudonym_epoch).values(**row))
    before = contents(register)["pseudonym_epoch"]
    with pytest.raises(RuntimeError, match="pseudonyms"):
        downgrade(register, "0018")
    assert contents(register)["pseudonym_epoch"] == before != []


def test_a_grant_for_some_roads_is_not_one_for_all_after_going_down(register: Register) -> None:
    fill(register)
    with register.begin() as connection:
        connection.execute(sa.update(access).values(revoked=None, roads=None, organisations=None))
        connection.execute(sa.update(access).where(access.c.id == 2).values(roads=["web"]))
    downgrade(register, "0007")
    assert [row["revoked"] is None for row in contents(register)["access"]] == [True, False, True]


def test_the_newest_release_is_published_unless_withdrawn(register: Register) -> None:
    book = Ledger(register)
    book.record([Entry(RELEASE, "a", "e1", 0, {"rows": 1}), Entry(RELEASE, "b", "e1", 0, {})])
    book.record([Entry(RELEASE, "a", "e2", 1, {"rows": 2}), Entry(REFUSAL, "b", "e2", None, {"reasons": []})])
    assert {name: entry.version for name, entry in book.published().items()} == {"a": 1, "b": 0}
    book.record([Entry(WITHDRAWAL, "a", "e3", 1, {})])
    assert set(book.published()) == {"b"}
    assert book.released_versions() == {"a": {0, 1}, "b": {0}}


def test_a_release_that_meets_a_withdrawal_is_not_written(register: Register) -> None:
    book = Ledger(register)
    book.record([Entry(RELEASE, "a", "e1", 0, {}), Entry(RELEASE, "b", "e1", 0, {})])
    book.record([Entry(WITHDRAWAL, "a", "e1", 0, {})])
    edition = [Entry(RELEASE, "a", "e2", 1, {}), Entry(RELEASE, "b", "e2", 1, {}), Entry(REFUSAL, "a", "e2", None, {})]
    against = book.publish(edition, overtaken)
    assert {subject: entry.sequence for subject, entry in against.items()} == {"a": 3}
    assert {name: entry.version for name, entry in book.published().items()} == {"b": 1}
    assert [entry.kind for entry in book.history("a")] == [REFUSAL, WITHDRAWAL, RELEASE]
    book.record([Entry(REINSTATEMENT, "a", "e1", None, {})])
    assert book.withdrawn() == {} and "a" not in book.published()
    assert book.publish(edition[:1], overtaken) == {}
    assert book.published()["a"].version == 1 and book.first_break() is None


def test_what_a_withdrawal_took_back(register: Register) -> None:
    book = Ledger(register)
    steps = [(RELEASE, 0), (RELEASE, 1), (PAST_WITHDRAWAL, 0), (RELEASE, 2), (WITHDRAWAL, 2), (REINSTATEMENT, None)]
    for kind, version in [*steps, (RELEASE, 3), (WITHDRAWAL, 3)]:
        book.record([Entry(kind, "a", "e", version, {})])
    book.record([Entry(RELEASE, "b", "e", 9, {})])
    found = [(entry.sequence, [one.version for one in releases]) for entry, releases in book.taken_back("a")]
    assert found == [(3, [0]), (5, [1, 2]), (8, [3])]
    assert book.taken_back("b") == []


def test_receipts_are_found_by_their_edition(register: Register) -> None:
    receipts = Receipts(register, "run")
    for number, edition in enumerate(("e1", "e2", "e2")):
        receipts.add(Stage.EVIDENCE, "a", {"edition": edition, "number": number})
    receipts.add(Stage.EVIDENCE, "b", {"edition": "e2"})
    receipts.add(Stage.BUILD, "a", {"edition": "e2"})
    receipts.add(Stage.EVIDENCE, "a", {"other": "e2"})
    assert [found.body["number"] for found in receipts.of_edition(Stage.EVIDENCE, "a", "e2")] == [2, 1]


def test_an_edition_is_recorded_whole_or_not_at_all(register: Register) -> None:
    book = Ledger(register)
    with pytest.raises(sa.exc.SQLAlchemyError):
        book.record([Entry(RELEASE, "a", "e1", 0, {}), Entry(RELEASE, "b", None, 0, {})])  # type: ignore[arg-type]
    assert book.published() == {}


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (lambda: None, None),
        (lambda: sa.update(ledger).where(ledger.c.sequence == 2).values(body='{"rows":9}'), 2),
        (lambda: sa.update(ledger).where(ledger.c.sequence == 3).values(version=7), 3),
        (lambda: sa.delete(ledger).where(ledger.c.sequence == 2), 3),
        (lambda: sa.update(ledger).where(ledger.c.sequence == 1).values(subject="z"), 1),
    ],
)
def test_tampering_is_found_where_it_happened(
    register: Register, tamper: Callable[[], sa.Executable | None], broken: int | None
) -> None:
    book = Ledger(register)
    for number in range(4):
        book.record([Entry(RELEASE, "a", f"e{number}", number, {"rows": number})])
    statement = tamper()
    if statement is not None:
        with register.begin() as connection:
            connection.execute(statement)
    assert book.first_break() == broken


def test_a_problem_seen_again_is_one_issue_and_closes_when_it_is_gone(register: Register) -> None:
    desk = Issues(register)
    about = {"subject": "psb/x", "rule": "name.required", "reason_zh": "姓名：必填", "reason_en": "name: required"}
    finding = Finding("admit.refused", {**about, "rows": 3}, "warning", "name.required", 3)
    other = Finding("drift.new_column", {"column": "X"}, "warning", "X")
    desk.report("psb/x", "psb", "admit", [finding])
    desk.report("psb/x", "psb", "drift", [other])
    desk.report(
        "psb/x",
        "psb",
        "admit",
        [Finding("admit.refused", {**about, "rows": 5}, "warning", "name.required", 5)],
    )
    assert [(row["code"], row["count"]) for row in desk.open("psb/x") if row["code"].startswith("admit")] == [
        ("admit.refused:name.required", 5)
    ]
    desk.report("psb/x", "psb", "admit", [])
    assert [row["code"] for row in desk.open()] == ["drift.new_column:X"]
