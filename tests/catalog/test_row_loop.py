"""Rows by key in the event loop: they are answered there when nothing has to be waited for, and by the same rules."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from catalog.delivery.rows import router
from catalog.policy import administration, audit
from pipelines.waits import Tried, WouldWait, holding, waits, without_waiting
from tests.catalog.small_city import GUARD, PERSONS, SYNTHETIC, City, bearer, outcomes

ROWS = f"/api/v1/products/{PERSONS}/rows"
opened: list[str] = []
listening: list[bool] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if listening and event in ("open", "sqlite3.connect", "socket.connect", "subprocess.Popen"):
        opened.append(f"{event} {arguments[0]}")


sys.addaudithook(_hear)


class Asking:
    """A recipient who asks one service for one row."""

    def __init__(self, city: City, client: TestClient) -> None:
        self.client, self.token = client, city.recipient("甲")
        city.grant("甲")
        first = client.get(f"{ROWS}?fields=person_ref&limit=1", headers=bearer(self.token)).json()
        self.row = f"{ROWS}?person_ref=eq.{first[0]['person_ref']}"
        assert self.ask() == 200

    def ask(self, token: str | None = None) -> int:
        """The status of the answer."""
        return self.client.get(self.row, headers=bearer(token or self.token)).status_code


@contextmanager
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Answers that threads are asked for within the block."""
    found: list[str] = []
    plain = router.run_in_threadpool

    async def noted(made: Any, *arguments: Any) -> Any:
        found.append(made.__name__)
        return await plain(made, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(router, "run_in_threadpool", noted)
        yield found


def test_a_row_is_answered_where_it_was_asked_and_opens_nothing(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(own_city, own_city.client())
    made: list[str] = []

    @contextmanager
    def heard() -> Iterator[Tried]:
        opened.clear()
        listening.append(True)
        try:
            with without_waiting() as tried:
                yield tried
        finally:
            listening.clear()
            made.extend(opened)

    monkeypatch.setattr(router, "without_waiting", heard)
    monkeypatch.setattr("catalog.listing.CONTRACTS_LOOK_SECONDS", 600)
    with threads(monkeypatch) as used:
        assert [asking.ask() for _ in range(3)] == [200] * 3
    assert (used, made) == ([], [])
    assert outcomes(audit.recent(own_city.register))[-3:] == [("rows.read", "allowed")] * 3
    assert audit.first_break(own_city.register) is None


def test_whatever_changed_is_looked_at_by_a_thread_and_heard_at_once(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(own_city, own_city.client())
    monkeypatch.setattr("catalog.listing.CONTRACTS_LOOK_SECONDS", 600)
    with threads(monkeypatch) as used:
        own_city.release(PERSONS)
        assert asking.ask() == 200 and used
        assert asking.ask() == 200  # it is noted that the version is read
        used.clear()
        assert asking.ask() == 200 and not used
        administration.revoke_grant(own_city.register, 1, actor=GUARD)
        assert asking.ask() == 403 and used
    assert outcomes(audit.recent(own_city.register))[-1] == ("rows.read", "denied")


def test_many_rows_of_one_key_are_read_by_a_thread(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = "case when birth_year % 2 = 0 then 'many' else person_ref end as person_ref"
    own_city.release(PERSONS, 280, f"select * replace ({twice}) from ({SYNTHETIC})")
    asking = Asking(own_city, own_city.client())
    refs = asking.client.get(f"{ROWS}?fields=person_ref", headers=bearer(asking.token)).json()
    asking.row = f"{ROWS}?person_ref=eq.{Counter(row['person_ref'] for row in refs).most_common(1)[0][0]}"
    assert asking.ask() == 200
    with threads(monkeypatch) as used:
        answer = asking.client.get(asking.row, headers=bearer(asking.token))
    assert len(answer.json()) == 140 and used


def test_a_question_counts_once_however_often_it_was_tried(own_city: City) -> None:
    """Each is begun in the loop; after an act and for a refusal that is told a thread begins again."""
    anybody = "{perMinute: 600, rowsPerDay: 100000, bytesPerDay: 100000000}"
    own_city.limit(
        f"{{callers: {{organisation: {{perMinute: 8, rowsPerDay: 1000, bytesPerDay: 1000000}}, anonymous: {anybody}}}}}"
    )
    asking, seen = Asking(own_city, own_city.client()), list[int]()
    for _ in range(9):
        administration.issue_token(own_city.register, "甲", actor="管理员")
        seen.append(asking.ask())
    assert seen == [200] * 6 + [429] * 3
    told = [row["body"] for row in audit.recent(own_city.register) if row["body"].get("reason") == "too_many"]
    assert [body["tries"] for body in told] == [1]


def test_a_wrong_credential_counts_once(own_city: City) -> None:
    own_city.limit("{credentials: {perMinute: 4}}")
    asking = Asking(own_city, own_city.client())
    wrong = f"{asking.token[:-4]}ffff"
    assert [asking.ask(wrong) for _ in range(6)] == [401] * 4 + [429] * 2
    assert asking.ask() == 200


def test_no_row_without_its_audit(own_city: City) -> None:
    asking = Asking(own_city, own_city.client())
    with own_city.register.begin() as connection:
        connection.execute(
            sa.text("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    answer = asking.client.get(asking.row, headers=bearer(asking.token))
    assert answer.status_code == 503 and "审计" in answer.text and "person_ref" not in answer.text


def test_nothing_waits_where_nobody_may() -> None:
    lock = threading.Lock()
    waits()
    with holding(lock), without_waiting(), pytest.raises(WouldWait), holding(lock):
        raise AssertionError("not reached")
    with without_waiting():
        with pytest.raises(WouldWait):
            waits()
        with holding(lock):
            assert lock.locked()
    waits()
    assert not lock.locked()
