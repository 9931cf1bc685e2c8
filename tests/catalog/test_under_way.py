"""An answer under way ends when what it was given by ends: the client sees that it is cut, the audit says why."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from catalog import metering
from catalog.delivery.desk import Desk, Refused
from catalog.delivery.marts import MartsFile
from catalog.policy import administration, audit, suspension
from catalog.policy.decision import MARTS, Reason
from pipelines.register.store import now
from pipelines.release import withdrawal
from pipelines.release.ledger import RELEASE, Entry
from pipelines.release.shown import said_of
from tests.catalog.conftest import released_city
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, DIVISIONS, GUARD, PERSONS, STEWARD, SYNTHETIC, City, bearer
from tests.catalog.test_signed_urls import TABLE, address

ROADS = ("download", "rows.read", "file.read")
MEGABYTES = 4
"""What lies in the buffers of two sockets; every answer here is larger."""
WIDE = SYNTHETIC.replace("'**' as name", "md5('a' || i) || md5('b' || i) || md5('c' || i) || md5('d' || i) as name")
Served = tuple[City, str]
_names = iter(range(100))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A city with a product of many megabytes in any format, and its address."""
    made = released_city(tmp_path_factory.mktemp("city"))
    made.release(PERSONS, 100_000, WIDE)
    with pytest.MonkeyPatch.context() as patch, serving(made.settings) as base:
        patch.setattr(metering, "LOOK", 0.1)
        yield made, base


class Reading:
    """One answer over a socket that takes nothing before it is asked to."""

    def __init__(self, served: Served, action: str, token: str) -> None:
        paths = {
            "download": f"/datasets/{PERSONS}/download/csv",
            "rows.read": f"/api/v1/products/{PERSONS}/rows?limit=1000000&format=ndjson",
        }
        url = urlsplit(paths[action] if action in paths else address(served, token))
        lines = (
            f"GET {url.path}?{url.query} HTTP/1.1",
            "Host: x",
            "Connection: close",
            f"Authorization: Bearer {token}",
        )
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        base = urlsplit(served[1])
        self.socket.connect((base.hostname, base.port))
        self.socket.settimeout(60)
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head, self.body = b"", b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(4096)
        head, _, self.body = head.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").lower().split("\r\n")
        assert status.split()[1] == "200"
        self.promised = int(dict(field.split(": ", 1) for field in fields)["content-length"])
        assert self.promised > 2 * MEGABYTES << 20 or action == "file.read"
        assert self.promised > MEGABYTES << 20

    def rest(self) -> int:
        """How many bytes came in all, when everything is read."""
        count = len(self.body)
        while piece := self.socket.recv(1 << 20):
            count += len(piece)
        return count

    def close(self) -> None:
        """Go away: a server that stops waits for who is still there."""
        self.socket.close()


def suspended(city: City, name: str) -> Reason:
    suspension.suspend(city.register, city.contracts, "recipient", name, "令牌外泄", actor=GUARD)
    return Reason.SUSPENDED


def token_revoked(city: City, name: str) -> Reason:
    (found,) = administration.list_tokens(city.register, name)
    administration.revoke_token(city.register, found.id, actor=ADMINISTRATOR)
    return Reason.TOKEN_REVOKED


def grant_revoked(city: City, name: str) -> Reason:
    """Though a smaller one is given for it."""
    (grant,) = city.callers().on_behalf(name).grants
    administration.revoke_grant(city.register, grant.id, actor=STEWARD)
    city.grant(name, columns=["county_name"])
    return Reason.GRANT_REVOKED


def withdrawn(city: City, name: str) -> Reason:
    withdrawal.withdraw(city.register, city.contracts, PERSONS, "李安全", "误发")
    return Reason.NOT_PUBLISHED


@pytest.mark.long
@pytest.mark.server
@pytest.mark.parametrize(
    ("act", "action"),
    [
        *((suspended, action) for action in ROADS),
        (token_revoked, "file.read"),
        (grant_revoked, "download"),
        (withdrawn, "rows.read"),
    ],
)
def test_it_is_cut(served: Served, action: str, act: Callable[[City, str], Reason]) -> None:
    city, name = served[0], f"甲{next(_names)}"
    token = city.recipient(name)
    city.grant(name)
    with closing(Reading(served, action, token)) as reading:
        reason = act(city, name)
        time.sleep(0.2)
        came = reading.rest()
    if act is withdrawn:
        withdrawal.reinstate(city.register, PERSONS, "李安全", "试")
        city.release(PERSONS, 100_000, WIDE)
    assert came < reading.promised - (1 << 20)
    row = next(row for row in audit.recent(city.register, recipient=name) if row["action"] == action)
    assert row["outcome"] == ("not_found" if act is withdrawn else "denied") and row["product"] == PERSONS
    assert row["body"]["reason"] == reason.value and 0 <= row["body"]["sent"] < reading.promised


@pytest.mark.server
def test_it_goes_on_while_others_are_cut_off(served: Served) -> None:
    city, action, name, other = served[0], "download", f"甲{next(_names)}", f"乙{next(_names)}"
    token, _ = city.recipient(name), city.recipient(other)
    city.grant(name)
    with closing(Reading(served, action, token)) as reading:
        suspended(city, other)
        city.grant(other)
        time.sleep(0.2)
        assert reading.rest() == reading.promised


@pytest.mark.server
def test_nothing_is_given_while_nobody_can_be_asked(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    city, name = served[0], f"甲{next(_names)}"
    token = city.recipient(name)
    city.grant(name)
    with closing(Reading(served, "download", token)) as reading:
        monkeypatch.setattr(audit, "write", _unavailable)
        suspended(city, name)
        time.sleep(0.2)
        assert reading.rest() < reading.promised


def _unavailable(*_: object) -> None:
    raise audit.AuditUnavailable


def test_it_is_asked_when_the_register_moved_or_long_ago(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    lasting = metering._Lasting(asked.append)
    for sent in (1, 2):
        lasting.look(own_city.register, sent)
    assert asked == [1], "first, for something may have moved between the decision and the first byte"
    own_city.recipient("甲")
    lasting.look(own_city.register, 3)
    monkeypatch.setattr(metering, "AGAIN", -1.0)
    lasting.look(own_city.register, 4)
    assert asked == [1, 3, 4]


def test_the_analysts_file_ends_with_any_release_in_it(own_city: City) -> None:
    own_city.refresh_marts()
    own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    desk = Desk(own_city.settings, own_city.register)
    caller, file = own_city.callers().on_behalf("甲"), desk.marts_file()
    desk.marts_stand(caller, file, "download", "web")
    own_city.release(DIVISIONS, 4)
    desk.marts_stand(caller, file, "download", "web")
    withdrawal.withdraw(own_city.register, own_city.contracts, DIVISIONS, "李安全", "误发", 0)
    with pytest.raises(Refused) as refused:
        desk.marts_stand(caller, file, "download", "web")
    assert refused.value.reason is Reason.NOT_PUBLISHED
    suspended(own_city, "甲")
    with pytest.raises(Refused) as refused:
        desk.marts_stand(caller, file, "download", "web")
    assert refused.value.reason is Reason.SUSPENDED


def test_an_ordinary_release_ends_no_answer(own_city: City) -> None:
    """Nor of a product of which only the newest version may be begun: its rows are shown until their day."""
    product = own_city.contracts.products["analyst/credit_list"]
    assert product.contract.form.shownUntil
    own_city.refresh_marts()
    own_city.recipient("甲")
    own_city.grant("甲", MARTS)

    def released(version: int) -> None:
        body = {
            **said_of(product, own_city.contracts.city),
            "rows": 1,
            "model": product.contract.form.model,
            "model_version": 0,
        }
        as_of = {"as_of": "2026-11-01"}
        own_city.ledger.record([Entry(RELEASE, product.id, f"2026-11-0{version + 1}.1", version, {**body, **as_of})])

    released(0)
    desk = Desk(own_city.settings, own_city.register)
    caller, file = own_city.callers().on_behalf("甲"), MartsFile(Path("none"), 1, "", 1, ((product.id, 0),))
    desk.marts_stand(caller, file, "download", "web")
    released(1)
    assert desk.listing.readable_versions(product.id).keys() == {1}
    desk.marts_stand(caller, file, "download", "web")
    withdrawal.withdraw(own_city.register, own_city.contracts, product.id, "李安全", "误发", 0)
    with pytest.raises(Refused) as refused:
        desk.marts_stand(caller, file, "download", "web")
    assert refused.value.reason is Reason.NOT_PUBLISHED


def test_an_access_token_that_ends_ends_its_answers(own_city: City) -> None:
    """Though the client that it was exchanged for is good for long."""
    issued = own_city.oauth_client("甲")
    own_city.grant("甲")
    desk = Desk(own_city.settings, own_city.register)
    shown = desk.callers.access_token(desk.callers.from_client(issued.client_id, issued.client_secret))[0]
    caller = desk.callers.from_token(shown)
    desk.stands(admission := desk.admit(caller, PERSONS, "rows.read", "rows"), "rows.read", "rows")
    over = replace(caller, expires=now() - timedelta(seconds=1))
    with pytest.raises(Refused) as refused:
        desk.stands(replace(admission, caller=over), "rows.read", "rows")
    assert refused.value.reason is Reason.TOKEN_EXPIRED


def test_a_file_of_changes_ends_with_either_version(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_city.release(PERSONS, 41)
    own_city.release(PERSONS, 43)
    token = own_city.recipient("甲")
    own_city.grant("甲")
    asked = list[Callable[[int], None]]()
    monkeypatch.setattr(metering, "lasts", lambda request, stands: asked.append(stands))
    client = own_city.client()
    answer = client.get(f"{TABLE}/changes?startingVersion={before + 1}", headers=bearer(token))
    (url,) = (line["cdf"]["url"] for line in map(json.loads, answer.text.splitlines()) if "cdf" in line)
    sent = urlsplit(url)
    assert client.get(f"{sent.path}?{sent.query}").status_code == 200
    asked[-1](0)
    withdrawal.withdraw(own_city.register, own_city.contracts, PERSONS, "李安全", "误发", before)
    with pytest.raises(Refused) as refused:
        asked[-1](1)
    assert refused.value.reason is Reason.NOT_PUBLISHED


def test_a_smaller_grant_does_not_hold_a_larger_answer(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same before the first byte, of an answer that took long to make."""
    own_city.recipient("甲")
    own_city.grant("甲")
    desk = Desk(own_city.settings, own_city.register)
    admission = desk.admit(own_city.callers().on_behalf("甲"), PERSONS, "download", "web")
    monkeypatch.setattr("catalog.delivery.desk.LONG", 0)
    desk.answered(admission, "download", "web")
    grant_revoked(own_city, "甲")
    with pytest.raises(Refused) as refused:
        desk.answered(admission, "download", "web")
    assert refused.value.reason is Reason.GRANT_REVOKED
