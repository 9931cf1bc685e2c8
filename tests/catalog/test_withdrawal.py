"""Taking back and cutting off: every road ends at once, who read is told, and it can be undone by a person's word."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from catalog.delivery.desk import Desk, Refused
from catalog.delivery.verification.licences import PRODUCT as LICENCES
from catalog.policy import audit, recall, suspension
from catalog.policy.decision import ANONYMOUS, MARTS, Reason
from citylake.main import app as commands
from pipelines.issues import Issues
from pipelines.lake.lock import run_lock
from pipelines.messages import CitylakeError
from pipelines.release import withdrawal
from pipelines.release.ledger import WITHDRAWAL
from tests.catalog.small_city import AGES, COUNTIES, DIVISIONS, GUARD, PERSONS, PLAN, STEWARD, City, bearer
from tests.catalog.test_verification import rows as licences

LAYER = "sharing/component"
WORD = ("--who", GUARD, "--why", "脱敏规则有漏洞")
SHARED = "/delta-sharing/shares/{channel}/schemas/{library}/tables/{name}"
runner = CliRunner()


@pytest.fixture
def command(own_city: City, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command on the city; returns what it printed. It must exit as `code` says."""
    monkeypatch.setenv("CITYLAKE_HOME", str(own_city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(own_city.settings.project))

    def run(*arguments: str, code: int = 0) -> str:
        result = runner.invoke(commands, list(arguments))
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return run


def roads(city: City, product: str) -> list[str]:
    """Every address under which a product is read."""
    found = city.contracts.products[product]
    table = SHARED.format(channel=found.channel, library=found.contract.library, name=found.name)
    downloads = [f"/datasets/{product}/download/{kind}" for kind in ("csv", "parquet", "json", "ndjson", "xlsx")]
    return [f"/datasets/{product}/preview", *downloads, f"{table}/version", f"{table}/metadata"]


def query(client: TestClient, city: City, product: str, token: str) -> list[str]:
    """The signed addresses that Delta Sharing gives of a product; none if it refuses."""
    found = city.contracts.products[product]
    table = SHARED.format(channel=found.channel, library=found.contract.library, name=found.name)
    answer = client.post(f"{table}/query", headers=bearer(token), json={})
    if answer.status_code != 200:
        assert answer.status_code in (401, 403, 404)
        return []
    return [line["file"]["url"] for line in map(json.loads, answer.text.splitlines()) if "file" in line]


def statuses(client: TestClient, city: City, product: str, token: str) -> set[int]:
    return {client.get(road, headers=bearer(token)).status_code for road in roads(city, product)}


@pytest.mark.parametrize("product", [AGES, PERSONS, DIVISIONS])
def test_every_road_of_a_withdrawn_product_ends_at_once(
    own_city: City, command: Callable[..., str], product: str
) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", product) if product != AGES else None
    assert statuses(client, own_city, product, token) == {200}
    urls = query(client, own_city, product, token)
    assert urls and {client.get(url).status_code for url in urls} == {200}
    said = command("withdraw", product, *WORD)
    assert f"已撤回 {product}" in said and "甲" in said
    assert statuses(client, own_city, product, token) == {404}
    assert {client.get(url).status_code for url in urls} == {404} and query(client, own_city, product, token) == []
    for page in (f"/datasets/{product}", f"/datasets/{product}/dictionary.csv", f"/datasets/{product}/dictionary.json"):
        assert client.get(page).status_code == 404
    assert product not in client.get("/datasets").text
    others = {AGES, PERSONS, DIVISIONS} - {product}
    assert all(client.get(f"/datasets/{other}").status_code == 200 for other in others)
    tomb = own_city.ledger.history(product)[0]
    assert (tomb.kind, tomb.version, tomb.body["who"]) == (WITHDRAWAL, 0, GUARD)
    assert own_city.ledger.released_versions()[product] == {0}, "the files stay"
    assert "撤回" in client.get("/decisions?lang=zh").text


def test_the_analysts_database_without_the_product(own_city: City, command: Callable[..., str]) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    own_city.refresh_marts()
    file = own_city.settings.marts.resolve()
    assert client.get("/marts/marts.duckdb", headers=bearer(token)).status_code == 200
    withdrawal.withdraw(own_city.register, own_city.contracts, DIVISIONS, "王", "漏")
    assert client.get("/marts/marts.duckdb", headers=bearer(token)).status_code in (404, 503), "before it is made anew"
    withdrawal.reinstate(own_city.register, DIVISIONS, "王", "试")
    own_city.release(DIVISIONS, 4)
    own_city.refresh_marts()
    said = command("withdraw", DIVISIONS, *WORD)
    assert client.get("/marts/marts.duckdb", headers=bearer(token)).status_code == 404
    assert not file.exists() and not own_city.settings.marts.exists()
    assert "甲" not in said, "the file of the second release was downloaded by nobody"
    (first, second) = recall.recalls(own_city.register, DIVISIONS)
    assert [(one.recipient, one.in_marts, one.reads) for one in first.readers] == [("甲", True, 1)]
    assert second.readers == ()


def test_a_withdrawal_that_is_stopped_after_its_word_is_finished(
    own_city: City, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", DIVISIONS)
    own_city.refresh_marts()
    assert client.get(f"/datasets/{DIVISIONS}/download/csv", headers=bearer(token)).status_code == 200

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recall, "tell", stop)
        command("withdraw", DIVISIONS, *WORD, code=130)
    assert not own_city.settings.marts.exists()
    desk = Issues(own_city.register)
    assert DIVISIONS in own_city.ledger.withdrawn() and desk.open(DIVISIONS) == []
    assert recall.tell_all(own_city.register, own_city.contracts) == 1
    assert [row["code"].partition(":")[0] for row in desk.open(DIVISIONS)] == ["recall.read"]


def test_an_answer_that_took_long_is_asked_about_again(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Withdrawn, or cut off, while the file was being made."""
    desk = Desk(own_city.settings, own_city.register)
    own_city.recipient("甲")
    own_city.grant("甲")
    caller = own_city.callers().on_behalf("甲")
    first = desk.admit(caller, PERSONS, "download", "web")
    second = desk.admit(ANONYMOUS, AGES, "download", "web")
    monkeypatch.setattr("catalog.delivery.desk.LONG", 0)
    desk.answered(second, "download", "web")
    withdrawal.withdraw(own_city.register, own_city.contracts, AGES, "李安全", "误发")
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "甲", "令牌外泄", actor=GUARD)
    for admission, reason in ((first, Reason.SUSPENDED), (second, Reason.NOT_PUBLISHED)):
        with pytest.raises(Refused) as refused:
            desk.answered(admission, "download", "web")
        assert refused.value.reason is reason
        assert audit.recent(own_city.register, 1)[0]["outcome"] != "allowed"


def test_a_withdrawal_does_not_wait_for_a_run(own_city: City, command: Callable[..., str]) -> None:
    own_city.refresh_marts()
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲", MARTS)
    with run_lock(own_city.settings.home, "a run of hours"):
        said = command("withdraw", DIVISIONS, *WORD)
        assert "另一次运行" in said
        assert client.get("/marts/marts.duckdb", headers=bearer(token)).status_code == 404
    assert not own_city.settings.marts.exists()


@pytest.mark.long
def test_licences_layers_and_indicator_pages_end_too(
    own_city: City, command: Callable[..., str], tmp_path: Path
) -> None:
    own_city.release(LICENCES, query=licences())
    own_city.release(LAYER, 5)
    own_city.release(PLAN)
    own_city.release(COUNTIES)
    client, token = own_city.client(), own_city.recipient("甲")
    for product in (LICENCES, LAYER):
        own_city.grant("甲", product)
    asked, layer = f"/verify/licence/{'0' * 5}", f"/datasets/{LAYER}/download/geojson"
    assert client.get(asked, headers=bearer(token)).status_code == 200
    assert client.get(layer, headers=bearer(token)).status_code == 200
    steward = ("--who", STEWARD, "--why", "核对")
    command("layer", LAYER, str(tmp_path / "before.geojson"), *steward)
    assert "政务系统上云率" in client.get("/indicators?lang=zh").text
    assert "<svg" in client.get("/indicators/map").text
    for product in (LICENCES, LAYER, PLAN, COUNTIES):
        command("withdraw", product, *WORD)
    assert client.get(asked, headers=bearer(token)).status_code == 404
    assert client.get(layer, headers=bearer(token)).status_code == 404
    assert "没有已发布的图层" in command("layer", LAYER, str(tmp_path / "after.geojson"), *steward, code=1)
    assert not (tmp_path / "after.geojson").exists()
    assert "政务系统上云率" not in client.get("/indicators?lang=zh").text
    assert "<svg" not in client.get("/indicators/map").text
    (reads,) = recall.recalls(own_city.register, LAYER)
    assert [(one.recipient, one.reads) for one in reads.readers] == [("甲", 1), (None, 1)], "the command line too"


def test_an_earlier_version_alone(own_city: City, command: Callable[..., str]) -> None:
    client, token = own_city.client(), own_city.recipient("甲")
    own_city.grant("甲")
    old = query(client, own_city, PERSONS, token)
    assert {client.get(url).status_code for url in old} == {200}
    own_city.release(PERSONS, 44)
    new = query(client, own_city, PERSONS, token)
    assert {client.get(url).status_code for url in [*old, *new]} == {200}
    assert "版本 0" in command("withdraw", PERSONS, *WORD, "--version", "0")
    assert {client.get(url).status_code for url in old} == {403}
    assert {client.get(url).status_code for url in new} == {200} and statuses(client, own_city, PERSONS, token) == {200}
    assert "没有可撤回的版本 0" in command("withdraw", PERSONS, *WORD, "--version", "0", code=1)
    assert "没有可撤回的版本 9" in command("withdraw", PERSONS, *WORD, "--version", "9", code=1)
    command("withdraw", PERSONS, *WORD, "--version", "1")
    assert own_city.ledger.withdrawn().keys() == {PERSONS}, "the published version is the product"
    command("reinstate", PERSONS, *WORD)
    own_city.release(PERSONS, 40)
    assert {client.get(url).status_code for url in [*old, *new]} == {403}, "what was taken back stays so"


def test_words_that_mean_nothing_are_refused(own_city: City, command: Callable[..., str]) -> None:
    model = own_city.contracts.products[PERSONS].contract.form.model
    assert PERSONS in command("withdraw", model, *WORD, code=1)
    assert "没有已发布的版本" in command("withdraw", "sharing/nothing", *WORD, code=1)
    assert "没有处于撤回状态" in command("reinstate", PERSONS, *WORD, code=1)
    assert "从未撤回" in command("recall", PERSONS, code=1)
    assert "--who" in command("withdraw", PERSONS, "--who", " ", "--why", "x", code=1)
    assert own_city.ledger.withdrawn() == {}


def test_who_read_is_told_until_they_answer(own_city: City, command: Callable[..., str]) -> None:
    client = own_city.client()
    one, two = own_city.recipient("甲", "psb"), own_city.recipient("乙", "cab")
    own_city.grant("甲"), own_city.grant("乙")
    for _ in range(2):
        client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(one))
    client.get(f"/datasets/{PERSONS}/preview")
    client.get(roads(own_city, PERSONS)[-1], headers=bearer(two))  # metadata show no row
    command("withdraw", PERSONS, *WORD)
    (issue,) = Issues(own_city.register).open(PERSONS)
    assert (issue["owner"], issue["count"], issue["severity"]) == ("psb", 2, "error")
    assert "甲" in issue["text"]["zh"] and GUARD not in str(issue["text"]) and "漏洞" not in str(issue["text"])
    client.post("/login", data={"token": one})
    assert "已撤回" in client.get("/access?lang=zh").text
    client.cookies.clear()
    client.post("/login", data={"token": two})
    assert "已撤回的" not in client.get("/access?lang=zh").text
    assert "没有关于" in command("recall", PERSONS, "--answered", "乙", *WORD, code=1)
    assert "--who" in command("recall", PERSONS, "--answered", "甲", code=1)
    command("recall", PERSONS, "--answered", "甲", "--who", GUARD, "--why", "已删除副本")
    assert Issues(own_city.register).open(PERSONS) == []
    assert "已答复" in command("recall", PERSONS) and "已删除副本" in command("issues", "--closed")
    command("reinstate", PERSONS, *WORD)
    own_city.release(PERSONS)
    client.get(f"/datasets/{PERSONS}/download/csv", headers=bearer(one))
    command("withdraw", PERSONS, *WORD)
    (again,) = Issues(own_city.register).open(PERSONS)
    assert again["count"] == 1, "an answer is about one withdrawal"
    assert audit.first_break(own_city.register) is None and own_city.ledger.first_break() is None


@pytest.fixture
def cut(own_city: City, command: Callable[..., str]) -> Iterator[Callable[..., None]]:
    yield lambda *arguments: command("access", *arguments, "--who", GUARD, "--why", "疑似泄露")


@pytest.mark.parametrize("whom", [("甲",), ("psb", "--organisation")])
def test_who_is_cut_off_reads_nothing_by_any_road(own_city: City, cut: Callable[..., None], whom: tuple[str]) -> None:
    own_city.refresh_marts()
    client, token, other = own_city.client(), own_city.recipient("甲", "psb"), own_city.recipient("乙", "cab")
    for name, product in (("甲", PERSONS), ("甲", MARTS), ("乙", PERSONS)):
        own_city.grant(name, product)
    urls, shown = query(client, own_city, PERSONS, token), bearer(token)
    signed_in = own_city.client()
    signed_in.post("/login", data={"token": token})
    more = ["/marts/marts.duckdb", f"/datasets/{AGES}/preview", "/verify/licence/1"]

    def read() -> set[int]:
        lists = client.get("/delta-sharing/shares", headers=shown).status_code
        found = {client.get(road, headers=shown).status_code for road in [*roads(own_city, PERSONS), *more[:2]]}
        page = signed_in.get(f"/datasets/{PERSONS}/preview").status_code
        return {lists, page, *found, *(client.get(url).status_code for url in urls)}

    assert read() == {200}
    cut("suspend", *whom)
    assert read() == {403, 401}, "a session that ended is nobody's"
    assert signed_in.get(f"/datasets/{PERSONS}/preview").status_code == 401
    assert client.get(more[2], headers=shown).status_code == 403
    assert query(client, own_city, PERSONS, token) == []
    assert client.post("/login", data={"token": token}).status_code == 401
    assert query(client, own_city, PERSONS, other), "nobody else is meant"
    assert own_city.callers().from_token(token).problem is Reason.SUSPENDED
    denied = [row for row in audit.recent(own_city.register, 40) if row["outcome"] == "denied" and row["recipient"]]
    assert {row["body"]["reason"] for row in denied} == {"suspended"}
    cut("lift", *whom)
    assert read() == {200}


def test_a_new_token_of_a_suspended_organisation_opens_nothing(own_city: City) -> None:
    suspension.suspend(own_city.register, own_city.contracts, "organisation", "psb", "泄露", actor=STEWARD)
    token = own_city.recipient("甲", "psb")
    assert own_city.callers().from_token(token).problem is Reason.SUSPENDED
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "甲", "泄露", actor=STEWARD)
    suspension.lift(own_city.register, "organisation", "psb", "查清", actor=GUARD)
    assert own_city.callers().from_token(token).problem is Reason.SUSPENDED, "each ends by itself"
    suspension.lift(own_city.register, "recipient", "甲", "查清", actor=GUARD)
    assert own_city.callers().from_token(token).problem is None
    rows = [row for row in audit.recent(own_city.register, 8) if row["action"].endswith((".suspend", ".lift"))]
    assert [(row["action"], row["body"]["actor"]) for row in rows] == [
        ("recipient.lift", GUARD),
        ("organisation.lift", GUARD),
        ("recipient.suspend", STEWARD),
        ("organisation.suspend", STEWARD),
    ]
    assert [item.lifted is None for item in suspension.listed(own_city.register)] == [False, False]


def test_suspensions_are_checked(own_city: City) -> None:
    own_city.recipient("甲", "psb")
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "甲", "泄露", actor=STEWARD)
    cases = {
        "suspension.standing": lambda: suspension.suspend(
            own_city.register, own_city.contracts, "recipient", "甲", "再", actor=STEWARD
        ),
        "suspension.unknown": lambda: suspension.suspend(
            own_city.register, own_city.contracts, "recipient", "psb", "错", actor=STEWARD
        ),
        "suspension.none": lambda: suspension.lift(own_city.register, "organisation", "psb", "错", actor=GUARD),
        "withdrawal.who_and_why": lambda: suspension.lift(own_city.register, "recipient", "甲", " ", actor=GUARD),
    }
    for code, act in cases.items():
        with pytest.raises(CitylakeError) as error:
            act()
        assert error.value.code == code
