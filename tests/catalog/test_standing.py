"""What a recipient sees of deliveries: where they stand, why one failed, and the receipts that it can check."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from catalog.delivery import receipt, standing
from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk
from catalog.policy import audit, suspension
from catalog.policy.decision import Reason
from pipelines.contracts.texts import LANGUAGES
from pipelines.messages import CitylakeError, translate
from pipelines.register.receipts import Receipts, Stage
from tests.catalog.filing import add_deliveries, end_grants
from tests.catalog.small_city import AGES, GUARD, PERSONS, City, bearer


@pytest.fixture
def desk(own_city: City, tmp_path: Path) -> Desk:
    """Two recipients with a folder each, one of them with a table behind an address where nobody listens too."""
    to = {"product": PERSONS, "connection": "drop", "formats": ["csv"]}
    forms = {
        "first": {**to, "recipient": "甲", "folder": "a"},
        "broken": {"product": AGES, "recipient": "甲", "connection": "front", "table": "share.t"},
        "second": {**to, "recipient": "乙", "folder": "b"},
    }
    store = tmp_path / "store"
    store.mkdir()
    add_deliveries(own_city, {"drop": f"file://{store}", "front": "postgresql://nobody:geheim@127.0.0.1:1/x"}, forms)
    return Desk(own_city.settings, own_city.register)


def row_of(page: str, delivery: str) -> str:
    """The line of a delivery in the table."""
    (table,) = re.findall(r'<table id="deliveries">.*?</table>', page, re.DOTALL)
    (line,) = (one for one in table.split("<tr>") if f"<code>{delivery}</code>" in one)
    return line


def test_a_recipient_sees_its_own_deliveries_and_takes_their_receipts(own_city: City, desk: Desk) -> None:
    shown, other = bearer(own_city.recipient("甲")), bearer(own_city.recipient("乙"))
    own_city.grant("甲"), own_city.grant("乙")
    client = own_city.client()
    page = client.get("/access?lang=en", headers=shown).text
    assert "nothing delivered yet" in row_of(page, "first") and "second" not in page
    for name in ("first", "second"):
        assert standing.attempt(desk, name, "test").problem is None
    tried = standing.attempt(desk, "broken", "test")
    assert tried.done is None and tried.problem is not None
    page = client.get("/access?lang=en", headers=shown).text
    assert "delivered" in row_of(page, "first") and ">40<" in row_of(page, "first")
    assert "failed" in row_of(page, "broken") and "cannot be reached" in row_of(page, "broken")
    assert "geheim" not in page and ">0<" not in row_of(page, "broken")
    (link,) = re.findall(r'href="(/access/deliveries/first/\d+/receipt.zip)"', page)
    answer = client.get(link, headers=shown)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as parts:
        statement, signature = parts.read("statement.json").decode(), parts.read("signature.bin").hex()
    said = json.loads(statement)
    assert (said["recipient"], said["delivery"], said["rows"]) == ("甲", "first", 40)
    assert receipt.holds(statement, signature, said["algorithm"], bytes.fromhex(said["key"]))
    (told,) = audit.recent(own_city.register, 1)
    assert (told["action"], told["recipient"], told["outcome"]) == ("audit.read", "甲", "allowed")
    assert told["body"]["delivery"] == "first"
    for headers, status in ((other, 404), ({}, 401), (bearer("cl_0123456789abcdef_" + "f" * 64), 401)):
        assert client.get(link, headers=headers).status_code == status
    assert client.get("/access/deliveries/first/x/receipt.zip", headers=shown).status_code == 404
    assert client.get("/access/deliveries/nothing/1/receipt.zip", headers=shown).status_code == 404


def test_why_it_failed_stays_until_one_succeeds(own_city: City, desk: Desk) -> None:
    shown = bearer(own_city.recipient("甲"))
    own_city.grant("甲")
    client, register = own_city.client(), own_city.register
    assert standing.attempt(desk, "first", "test").problem is None
    suspension.suspend(register, own_city.contracts, "recipient", "甲", "演练", actor=GUARD)
    tried = standing.attempt(desk, "first", "test")
    assert tried.problem and translate("web.reason.suspended", "zh") in tried.problem["zh"]
    assert tried.problem["en"] in tried.told and tried.problem["zh"] in tried.told
    suspension.lift(register, "recipient", "甲", "演练结束", actor=GUARD)
    line = row_of(client.get("/access?lang=zh", headers=shown).text, "first")
    assert "未完成" in line and "receipt.zip" in line
    made = standing.attempt(desk, "first", "test").done
    assert made is not None and made.how == "unchanged"
    assert "未完成" not in row_of(client.get("/access?lang=zh", headers=shown).text, "first")
    end_grants(own_city, "甲")
    assert deliver(desk, "first", "test").how == "ended"  # type: ignore[union-attr]
    line = row_of(client.get("/access?lang=en", headers=shown).text, "first")
    assert "ended" in line and translate(f"web.reason.{Reason.GRANT_REVOKED.value}", "en") in line


def test_a_receipt_of_another_recipient_of_the_same_delivery_is_not_shown(
    own_city: City, desk: Desk, tmp_path: Path
) -> None:
    """As after city.yaml named another recipient for it."""
    own_city.recipient("甲"), own_city.grant("甲")
    standing.attempt(desk, "first", "test")
    other = bearer(own_city.recipient("丙"))
    named_instead(own_city, "甲", "丙")
    client: TestClient = own_city.client()
    page = client.get("/access?lang=en", headers=other).text
    assert "nothing delivered yet" in row_of(page, "first") and "receipt.zip" not in row_of(page, "first")


def named_instead(city: City, recipient: str, other: str) -> None:
    """city.yaml names another recipient for the first delivery."""
    file, folder = city.own_contracts() / "city.yaml", '", "folder": "a"'
    text = file.read_text("utf-8")
    assert f"{recipient}{folder}" in text
    file.write_text(text.replace(f"{recipient}{folder}", f"{other}{folder}"), "utf-8")


def test_a_failure_of_the_recipient_before_is_not_shown(own_city: City, desk: Desk) -> None:
    before, other = bearer(own_city.recipient("甲")), bearer(own_city.recipient("丙"))
    assert standing.attempt(desk, "first", "test").problem is not None  # there is no grant
    client: TestClient = own_city.client()
    assert "failed" in row_of(client.get("/access?lang=en", headers=before).text, "first")
    named_instead(own_city, "甲", "丙")
    client, desk = own_city.client(), Desk(own_city.settings, own_city.register)
    assert "failed" not in row_of(client.get("/access?lang=en", headers=other).text, "first")
    assert standing.attempt(desk, "first", "test").problem is not None
    assert "failed" in row_of(client.get("/access?lang=en", headers=other).text, "first")
    own_city.grant("丙")
    assert standing.attempt(desk, "first", "test").problem is None
    assert "failed" not in row_of(client.get("/access?lang=en", headers=other).text, "first")


def test_what_another_recipient_has_is_not_for_a_denial_to_end(own_city: City, desk: Desk, tmp_path: Path) -> None:
    own_city.recipient("甲"), own_city.grant("甲"), own_city.recipient("丙"), own_city.grant("丙")
    assert standing.attempt(desk, "first", "test").problem is None
    end_grants(own_city, "丙")
    there = {file: file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file()}
    assert there
    named_instead(own_city, "甲", "丙")
    desk = Desk(own_city.settings, own_city.register)
    tried = standing.attempt(desk, "first", "test")
    told = translate("deliver.other_recipient", "en", name="first", whose="甲", recipient="丙")
    assert tried.problem is not None and tried.problem["en"].endswith(told)
    assert tried.shown is not None and "甲" not in "".join(tried.shown.values())
    assert {file: file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file()} == there


def test_what_a_contract_stops_is_told_to_a_recipient_without_our_advice(own_city: City, desk: Desk) -> None:
    own_city.recipient("甲"), own_city.grant("甲", columns=["education"])
    assert standing.attempt(desk, "first", "test").problem is None
    contract = own_city.own_contracts() / "products" / "population" / "person.yaml"
    plain, bound = "      - education\n", "      - {name: education, purposes: [subsistence_check]}\n"
    contract.write_text(contract.read_text("utf-8").replace(plain, bound, 1), "utf-8")
    tried = standing.attempt(Desk(own_city.settings, own_city.register), "first", "test")
    assert tried.problem is not None and tried.shown is not None
    for language in LANGUAGES:
        assert translate("deliver.by_contract", language, name="first", product=PERSONS) in tried.problem[language]
        assert tried.shown[language].splitlines()[1:] == [translate("deliver.stopped", language, name="first")]
        assert translate("web.reason.grant_empty", language) in tried.shown[language]


def test_what_is_on_our_side_is_told_to_the_operator_alone(own_city: City, desk: Desk) -> None:
    """The text names where the secret should be on our machine."""
    shown = bearer(own_city.recipient("甲"))
    own_city.grant("甲"), own_city.grant("甲", AGES)
    home = own_city.settings.home
    for name, delivery in {"front": "broken", "drop": "first"}.items():
        (home / "secrets" / name).unlink()
        tried = standing.attempt(desk, delivery, "test")
        assert tried.problem and str(home) in tried.told
        page = own_city.client().get("/access?lang=en", headers=shown).text
        assert "on its own side" in row_of(page, delivery) and str(home) not in page and "CITYLAKE" not in page
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "甲", "演练", actor=GUARD)
    tried = standing.attempt(desk, "first", "test")  # refused, and then the folder could not be opened
    assert tried.shown and str(home) in tried.told and str(home) not in "".join(tried.shown.values())
    assert translate("web.reason.suspended", "zh") in tried.shown["zh"]


@pytest.mark.parametrize(
    ("code", "problem", "whole"),
    [
        ("deliver.unreachable", "connection refused", True),
        ("deliver.unreachable", 'root certificate file "/home/operator/root.crt" does not exist', False),
        ("deliver.overtaken", "", False),
    ],
)
def test_no_path_of_ours_is_in_what_a_driver_says(
    own_city: City, desk: Desk, monkeypatch: pytest.MonkeyPatch, code: str, problem: str, whole: bool
) -> None:
    def fail(*_: object) -> None:
        raise CitylakeError(code, connection="front", problem=problem, name="first")

    monkeypatch.setattr(standing, "deliver", fail)
    tried = standing.attempt(desk, "first", "test")
    assert tried.problem and tried.shown
    assert problem in tried.told and (tried.shown == tried.problem) is whole
    last = Receipts(own_city.register, "").last(Stage.FAILURE, "delivery:first")
    assert last is not None and last.body == {"message": tried.shown, "recipient": "甲"}


@pytest.mark.parametrize("kind", [OperationalError, InternalError, InterfaceError])
def test_a_register_that_cannot_be_written_does_not_stop_the_others(
    own_city: City, desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: type[DBAPIError]
) -> None:
    def fail(*_: object) -> None:
        raise kind("INSERT", None, Exception("read only"))

    monkeypatch.setattr(Receipts, "add", fail)
    assert standing.attempt(desk, "first", "test").problem is not None


def test_an_account_of_a_return_is_no_receipt_of_anybody(own_city: City) -> None:
    shown = bearer(own_city.recipient("甲"))
    own_city.grant("甲")
    to = {"341502": {"recipient": "甲", "connection": "drop", "folder": "c"}}
    store = own_city.settings.home / "counties"
    store.mkdir()
    form = {"by": "division", "product": PERSONS, "formats": ["csv"], "to": to}
    add_deliveries(own_city, {"drop": f"file://{store}"}, {"back": form})
    desk = Desk(own_city.settings, own_city.register)
    for name in ("back.341502", "back"):
        assert standing.attempt(desk, name, "test").problem is None
    kept = Receipts(own_city.register, "").last(Stage.DELIVERY, "back")
    assert kept is not None
    client = own_city.client()
    assert client.get(f"/access/deliveries/back/{kept.id}/receipt.zip", headers=shown).status_code == 404
    (link,) = re.findall(r'href="(/access/deliveries/back[^"]+)"', client.get("/access", headers=shown).text)
    assert client.get(link, headers=shown).status_code == 200
