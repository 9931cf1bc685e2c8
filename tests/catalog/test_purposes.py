"""What a grant is for decides which columns it shows as they are, on every road, and a request may not say another."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import duckdb
import pytest

from catalog.delivery.changes import shown_key
from catalog.delivery.deliveries import deliver
from catalog.delivery.desk import Desk
from catalog.delivery.extracts import WHOLE
from catalog.policy import administration, anomalies, audit, inquiry
from catalog.policy.decision import Allowed, Bound, Caller, Denied, Reason, decide
from catalog.policy.inquiry import Asked
from pipelines.messages import translate
from pipelines.register.store import now
from tests.catalog.every_road import Roads, folder_in_memory
from tests.catalog.filing import FOLDER, RECIPIENT, Office, add_deliveries
from tests.catalog.small_city import AGES, APPROVER, PERSONS, STEWARD, City, bearer
from tests.catalog.test_decision import NOW, caller, grant, offer
from tests.catalog.test_formats import cells
from tests.connectors.store_servers import FolderBackend

COVERED, OTHER = "低保核对", "路过看看"
BINDING = {
    "      - education\n": "      - {name: education, purposes: [subsistence_check]}\n",
    "      - sex\n      - {name: birth_year": "      - {name: sex, purposes: [subsistence_check, statistics], "
    "otherwise: pseudonym}\n      - {name: birth_year",
    "      - division_code\n      - county_name\n      - town_name\n      - education": "      - {name: division_code, "
    "purposes: [subsistence_check], otherwise: town}\n      - county_name\n      - town_name\n      - education",
}
"""In the contract of persons: a column that others do not see, one that they see keyed, one that they see coarser."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderBackend:
    return FolderBackend(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def bound(store: FolderBackend) -> Iterator[City]:
    """A city that shows some columns of persons for some purposes only; divisions do not limit its rows."""
    with folder_in_memory() as home:
        city = City(home)
        file = city.own_contracts() / "products/population/person.yaml"
        head, rest = file.read_text("utf-8").split("\n  analyst:", 1)
        text = head.replace("    rows: division_code\n", "")
        for old, new in reversed(BINDING.items()):
            assert old in text
            text = text.replace(old, new)
        file.write_text(f"{text}\n  analyst:{rest}", "utf-8")
        to = {"recipient": RECIPIENT, "product": PERSONS, "connection": "drop", "folder": FOLDER}
        add_deliveries(city, {"drop": store.address}, {"persons": to})
        city.contracts = Desk(city.settings, city.register).listing.snapshot().contracts
        city.release(PERSONS, 30)
        city.release(PERSONS, 40)
        yield city


def given(city: City, name: str, purpose: str) -> str:
    token = city.recipient(name)
    grant_for(city, name, purpose)
    return token


def grant_for(city: City, name: str, purpose: str) -> None:
    made = administration.grant(city.register, city.contracts, name, PERSONS, purpose=purpose, actor=STEWARD)
    if made.pending:
        administration.approve_grant(city.register, made.id, actor=APPROVER)


def lengths(office: Office, column: str) -> set[int]:
    """Of the values that an office holds."""
    place = office.columns.index(column)
    return {len(row[place] or "") for row in office.rows}


def test_the_decision_follows_the_purpose_of_the_grant() -> None:
    product = replace(
        offer(),
        bound=(
            Bound("name", frozenset({"a", "甲"}), None),
            Bound("division_code", frozenset({"a", "甲", "b", "乙"}), "town"),
        ),
        purposes={"甲": "a", "a": "a", "乙": "b"},
    )

    def shown(purpose: str) -> Allowed:
        decision = decide(caller(grant(purpose=purpose)), product, NOW)
        assert isinstance(decision, Allowed)
        return decision

    assert (shown("甲").columns, shown("甲").masks) == (("person_ref", "name", "division_code"), ())
    assert (shown("乙").columns, shown("乙").masks) == (("person_ref", "division_code"), ())
    other = shown("丙")
    assert (other.columns, other.masks, other.plain) == (
        ("person_ref", "division_code"),
        (("division_code", "town"),),
        ("person_ref",),
    )
    assert other.told["masks"] == {"division_code": "town"}
    keyed = replace(product, bound=(Bound("name", frozenset({"a"}), "pseudonym", keyed=True),))
    decision = decide(caller(grant(purpose="丙")), keyed, NOW)
    assert isinstance(decision, Allowed)
    assert (decision.pseudonyms, decision.masks) == (("person_ref", "name"), (("name", "pseudonym"),))
    assert decision.coarser == () and "name" in decision.plain and decision.told["masks"] == {"name": "pseudonym"}
    alone = decide(caller(grant(purpose="丙", columns=("name",))), product, NOW)
    assert alone == Denied(Reason.GRANT_EMPTY)


@pytest.mark.parametrize(("stated", "allowed"), [(None, True), ("甲", True), ("a", True), ("乙", False), ("丙", False)])
def test_a_stated_purpose_must_be_the_granted_one(stated: str | None, allowed: bool) -> None:
    product = replace(offer(), purposes={"甲": "a", "a": "a", "乙": "b"})
    who = replace(caller(grant(purpose="甲")), purpose=stated)
    decision = decide(who, product, NOW)
    assert isinstance(decision, Allowed) if allowed else decision == Denied(Reason.PURPOSE_OTHER)
    free = decide(replace(who, grants=()), replace(product, share_type="无条件共享"), NOW)
    known = stated in ("甲", "a", "乙")
    assert isinstance(free, Allowed) and free.purpose == (stated if known else None), "free text is not kept"
    assert isinstance(
        decide(Caller(purpose="x"), replace(product, channel="open", pseudonyms=frozenset()), NOW), Allowed
    )


def test_every_road_shows_what_the_purpose_covers(bound: City) -> None:
    roads = Roads(bound, bound.client())
    tokens = {purpose: given(bound, f"路{purpose}", purpose) for purpose in (COVERED, OTHER)}
    plain = {name: set(bound.values(PERSONS, name)) for name in ("education", "sex", "division_code")}
    names = tuple(column.name for column in bound.contracts.products[PERSONS].columns)
    for way in ("download csv", "preview", "query", "rows ndjson", "rows parquet"):
        mine, theirs = (roads.read(way, PERSONS, tokens[purpose]) for purpose in (COVERED, OTHER))
        assert mine.columns == names and theirs.columns == tuple(name for name in names if name != "education"), way
        sexes, places = (
            [{row[seen.columns.index(name)] for row in seen.rows} for seen in (mine, theirs)]
            for name in ("sex", "division_code")
        )
        assert sexes[0] == plain["sex"] and not sexes[1] & plain["sex"] and len(sexes[1]) == 2, way
        assert places[0] == plain["division_code"] and places[1] == {code[:9] for code in places[0] if code}, way
    for column in ("education", "sex"):
        answer = roads.get(f"/api/v1/products/{PERSONS}/rows?{column}=eq.20", tokens[OTHER])
        assert answer.status_code == (200 if column == "sex" else 400)
        assert column == "education" or answer.json() == [], "what is filtered by is what is shown"
    page = roads.get(f"/datasets/{PERSONS}", tokens[OTHER]).text
    assert "脱敏后提供：sex, division_code" in page


def test_a_recipient_is_told_how_it_is_shown_each_column(bound: City) -> None:
    """Not how the product is to others: in the row API, Delta Sharing, books, packages and on pages."""
    roads = Roads(bound, bound.client())
    tokens = {purpose: given(bound, f"词{purpose}", purpose) for purpose in (COVERED, OTHER)}
    product = {column.name: column.mask for column in bound.contracts.products[PERSONS].columns}
    told = {COVERED: product, OTHER: {**product, "sex": "pseudonym", "division_code": "town"}}
    del told[OTHER]["education"]
    for purpose, token in tokens.items():
        got = roads.get(f"/api/v1/products/{PERSONS}", token).json()["columns"]
        assert {one["column"]: one["mask"] for one in got} == told[purpose]
        levels = {one["column"]: one["level"] for one in got}
        assert levels["division_code"] == (1 if purpose == OTHER else levels["division_code"])
        lines = roads.get(f"{roads.table(PERSONS)}/metadata", token).text.splitlines()
        fields = json.loads(json.loads(lines[1])["metaData"]["schemaString"])["fields"]
        comments = {one["name"]: one["metadata"]["comment"] for one in fields}
        masked = {name: mask for name, mask in told[purpose].items() if mask is not None}
        assert {name for name, text in comments.items() if text.endswith("）")} == masked.keys()
        assert all(translate(f"web.mask.{mask}", "zh") in comments[name] for name, mask in masked.items())
        about = cells(roads.get(f"/datasets/{PERSONS}/download/xlsx", token).content, 1)
        (heading,) = (row for row in about if any(str(cell).partition(" ")[0] == "脱敏" for cell in row))
        place = next(n for n, cell in enumerate(heading) if str(cell).partition(" ")[0] == "脱敏")
        assert {row[0]: row[place] or None for row in about if row[0] in product} == told[purpose]
    public = {one["column"]: one for one in roads.get(f"/datasets/{PERSONS}/dictionary.json", None).json()["columns"]}
    assert {name: one["mask"] for name, one in public.items()} == product
    assert (public["education"]["purposes"], public["education"]["otherwise"]) == ("subsistence_check", None)
    assert public["sex"]["otherwise"] == "pseudonym"
    page = roads.get(f"/datasets/{PERSONS}", None).text
    assert "只按原样提供给这些用途：subsistence_check, statistics；其他用途：接收方专用假名" in page


def test_what_changed_names_rows_by_no_masked_column(bound: City) -> None:
    product = bound.contracts.products[PERSONS]
    desk = Desk(bound.settings, bound.register)
    given(bound, "跟随", OTHER)
    admission = desk.admit(desk.callers.on_behalf("跟随"), PERSONS, "test", "files")
    before = desk.at_version(admission, 0)
    assert before is not None and before.allowed.coarser == (("division_code", "town"),)
    changes = desk.changes(before, admission)
    with duckdb.connect() as con:
        held = {row[0] for row in con.execute(f"SELECT DISTINCT division_code FROM {changes.relation}").fetchall()}
    assert {len(code) for code in held} == {9}
    named = replace(admission.allowed, masks=(("person_ref", "town"),), pseudonyms=())
    assert shown_key(product, admission.allowed.plain) == ("person_ref",) and shown_key(product, named.plain) == ()


def test_a_delivery_follows_the_purpose_and_is_whole_when_that_changes(
    bound: City, store: FolderBackend, tmp_path: Path
) -> None:
    desk = Desk(bound.settings, bound.register)
    office = Office(store, FOLDER, tmp_path)
    given(bound, RECIPIENT, OTHER)
    assert deliver(desk, "persons", "test").how == "snapshot"  # type: ignore[union-attr]
    office.take()
    assert "education" not in office.columns and {
        len(row[office.columns.index("division_code")] or "") for row in office.rows
    } == {9}
    package = max(path for path in office.look().iterdir() if path.is_dir())
    told = {
        column.name: column.mask
        for column in bound.contracts.products[PERSONS].columns
        if column.name in office.columns
    }
    told |= {"sex": "pseudonym", "division_code": "town"}
    listed = csv.DictReader((package / "dictionary.csv").read_text("utf-8-sig").splitlines())
    assert {row["column"]: row["mask"] or None for row in listed} == told
    described = json.loads((package / "datapackage.json").read_text("utf-8"))["resources"][0]["schema"]["fields"]
    assert {one["name"]: one.get("citylake:mask") for one in described} == told
    for one in administration.list_grants(bound.register, RECIPIENT):
        administration.revoke_grant(bound.register, one.id, actor=STEWARD)
    grant_for(bound, RECIPIENT, COVERED)
    assert deliver(desk, "persons", "test").how == "snapshot"  # type: ignore[union-attr]
    office.take()
    assert "education" in office.columns and {
        len(row[office.columns.index("division_code")] or "") for row in office.rows
    } == {12}


STATED = {COVERED: 200, "subsistence_check": 200, "低保核查": 200, "统计分析": 403, OTHER: 403}


def test_a_request_that_states_another_purpose_is_refused_and_audited(bound: City) -> None:
    roads, token = Roads(bound, bound.client()), given(bound, "声明", COVERED)
    rows = f"/api/v1/products/{PERSONS}/rows"
    for path in (rows, f"/datasets/{PERSONS}/download/csv", f"{roads.table(PERSONS)}/metadata"):
        for stated, status in STATED.items():
            headers = bearer(token) | {"Citylake-Purpose": quote(stated)}
            seen = roads.answered(partial(roads.client.get, path, headers=headers))
            told = None if status == 200 else "purpose_other"
            assert (seen.status, [row[1] for row in seen.audited]) == (status, [told]), (path, stated)
    raw = {name.encode(): value.encode() for name, value in {**bearer(token), "Citylake-Purpose": OTHER}.items()}
    assert roads.client.get(rows, headers=raw).status_code == 403, "in UTF-8 as it is, too"


def test_what_anybody_says_is_kept_only_if_it_is_a_purpose(own_city: City) -> None:
    """The audit is for ever, and what strangers write must not stop anybody from asking it."""
    client, path, zone = own_city.client(), f"/datasets/{AGES}/download/csv", ZoneInfo("Asia/Shanghai")
    for said, kept in {
        "%00": None,
        quote('=HYPERLINK("http://example.org";"a")'): None,
        quote("统计分析"): "统计分析",
        "statistics": "statistics",
        quote("统计\0分析"): None,
    }.items():
        assert client.get(path, headers={"Citylake-Purpose": said}).status_code == 200
        assert audit.recent(own_city.register, 1)[0]["body"].get("purpose") == kept, said
    audit.record(
        own_city.register, "download", "allowed", {"road": "web", "rows": 3, "purpose": "旧\0行"}, product=AGES
    )
    (total,) = inquiry.totals(own_city.register, zone, Asked(road="web", action="download"))
    assert total.count == 6
    assert len(list(inquiry.rows(own_city.register, zone, Asked(road="web", purpose="旧")))) == 1
    city = own_city.contracts.city
    anomalies.counted(own_city.register, city, city.anomalies, now().astimezone(zone).date())


def test_a_contract_opens_nothing_before_its_next_release(bound: City) -> None:
    """Neither by other purposes or masks of a column nor by another text that means a purpose."""
    desk, given_for = Desk(bound.settings, bound.register), {"拆一": COVERED, "拆二": OTHER, "拆三": "低保复核"}
    for name, purpose in given_for.items():
        given(bound, name, purpose)

    def shown(desk: Desk) -> dict[str, tuple[bool, tuple[tuple[str, str], ...]]]:
        made = {name: desk.admit(desk.callers.on_behalf(name), PERSONS, "test", "files").allowed for name in given_for}
        return {name: ("education" in one.columns, one.masks) for name, one in made.items()}

    masked = (("sex", "pseudonym"), ("division_code", "town"))
    before = {"拆一": (True, ()), "拆二": (False, masked), "拆三": (False, masked)}
    assert shown(desk) == before
    contract, codes = (
        bound.settings.contracts / name for name in ("products/population/person.yaml", "codes/purposes.csv")
    )
    texts = {file: file.read_text("utf-8") for file in (contract, codes)}
    free = texts[contract].replace("{name: education, purposes: [subsistence_check]}", "education")
    free = free.replace(", otherwise: town}", "}").replace(
        "{name: division_code, purposes: [subsistence_check]}", "division_code"
    )
    alias = texts[codes].replace("低保核对|低保核查", "低保核对|低保核查|低保复核")
    assert free != texts[contract] and alias != texts[codes]
    try:
        for file, text, after in (
            (contract, free, {"拆一": (True, ()), **dict.fromkeys(("拆二", "拆三"), (True, masked[:1]))}),
            (codes, alias, {**before, "拆三": (True, ())}),
        ):
            file.write_text(text, "utf-8")
            changed = Desk(bound.settings, bound.register)
            assert shown(changed) == before, file
            bound.contracts = changed.listing.snapshot().contracts
            bound.release(PERSONS, 40)
            assert shown(changed) == after, file
            file.write_text(texts[file], "utf-8")
            bound.contracts = Desk(bound.settings, bound.register).listing.snapshot().contracts
            bound.release(PERSONS, 40)
    finally:
        for file, text in texts.items():
            file.write_text(text, "utf-8")


def test_the_policy_has_another_hash_when_the_contract_binds_otherwise(bound: City) -> None:
    """So no view, package or position of the older words is taken for one of the newer."""
    desk = Desk(bound.settings, bound.register)
    given(bound, "哈希", OTHER)
    allowed = desk.admit(desk.callers.on_behalf("哈希"), PERSONS, "test", "files").allowed
    bare = replace(allowed, pseudonyms=(), columns=("division_code", "name"), masks=())
    keys = [desk.views.extract(replace(bare, masks=masks)).key for masks in ((), (("division_code", "town"),))]
    assert keys[0] != keys[1] and WHOLE not in keys
