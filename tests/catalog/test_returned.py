"""回流: each county and town receives the rows of its own that its own grant covers, and all rows are accounted for."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.delivery.deliveries import deliver, named
from catalog.delivery.desk import Desk
from catalog.delivery.files.returned import Account
from catalog.delivery.push import narrowed
from catalog.policy import administration
from catalog.policy.decision import Allowed
from citylake.main import app
from pipelines.contracts.load import load
from pipelines.register.receipts import Receipts, Stage
from simulator.server import Server
from tests.catalog.conftest import released_city
from tests.catalog.filing import Office, add_deliveries, end_grants, expected, put_into
from tests.catalog.pushed import PUSHED, Pushed
from tests.catalog.pushed import RECIPIENT as PUSHED_TO
from tests.catalog.remembered import CHECK, bind
from tests.catalog.remembered import COUNTIES as WHOSE
from tests.catalog.small_city import APPROVER, PERSONS, STEWARD, SYNTHETIC, City
from tests.catalog.test_changes import COLUMNS, table_of
from tests.catalog.test_tables import drawn
from tests.city import seed_from_clock
from tests.connectors.store_servers import FolderBackend

COUNTIES = {"341502": "金安区", "341503": "裕安区"}
TOWN = "341502001"
TO = {**COUNTIES, TOWN: "中市街道"}
NOWHERE = ("", "999999999999", "3415", "341500000000", "321502001001")
ELSEWHERE = "341525001001"


@pytest.fixture(scope="module")
def returning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, Desk, FolderBackend]]:
    city, store = released_city(tmp_path_factory.mktemp("returned")), FolderBackend(tmp_path_factory.mktemp("counties"))
    for name in TO.values():
        city.recipient(f"{name}平台")
    to = {code: {"recipient": f"{name}平台", "connection": "drop", "folder": code} for code, name in TO.items()}
    form = {"by": "division", "product": PERSONS, "formats": ["csv"], "to": to}
    add_deliveries(city, {"drop": store.address}, {"returned": form})
    yield city, Desk(city.settings, city.register), store


@pytest.fixture(autouse=True)
def packing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """So each part is asked about once more before it leaves."""
    monkeypatch.setattr("catalog.delivery.desk.LONG", 0)


def account(desk: Desk) -> Account:
    made = deliver(desk, "returned", "test")
    assert isinstance(made, Account)
    return made


def test_each_division_has_its_own_rows_at_every_version_and_none_is_lost(
    returning: tuple[City, Desk, FolderBackend], tmp_path: Path
) -> None:
    city, desk, store = returning
    dice = random.Random(seed_from_clock())
    made = {column.name: [column.source, column.mask] for column in city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    offices = {code: Office(store, code, tmp_path) for code in TO}
    for code, name in TO.items():
        end_grants(city, f"{name}平台")
        # a county's grant may reach further than the county, or less far
        limits = {"341502": None, "341503": ["341503", "341504"], TOWN: ["341502001001"]}[code]
        city.grant(f"{name}平台", divisions=limits)
    for day in range(3):
        rows = drawn(dice)
        for number in rows:
            where = dice.choice([rows[number][3], rows[number][3], ELSEWHERE, None, *NOWHERE])
            rows[number] = (*rows[number][:3], where, *rows[number][4:])
        city.release(PERSONS, query=table_of(rows, COLUMNS), columns=body)
        truth = Counter(row[3] for row in rows.values())
        for code, office in offices.items():
            done = put_into(desk, f"returned.{code}")
            assert done.how == ("changes" if day else "snapshot")
            office.take()
            own = "341502001001" if code == TOWN else code
            columns, wanted = expected(desk, f"{TO[code]}平台", prefix=own)
            assert (office.columns, office.rows) == (columns, wanted)
            place = columns.index("division_code")
            assert all(str(row[place]).startswith(own) for row in office.rows)
            assert office.rows.total() == sum(n for where, n in truth.items() if where and where.startswith(own))
            said = office.taken[-1]
            assert (said["division"], said["recipient"]) == (code, f"{TO[code]}平台")
            assert not {"unknown", "elsewhere"} & said.keys(), "no county is told of rows that are not its own"
        told = account(desk)
        unknown = sum(n for where, n in truth.items() if where in (None, *NOWHERE))
        elsewhere = sum(n for where, n in truth.items() if where and where[:6] in ("341504", "341525"))
        assert (told.rows, told.unknown, told.elsewhere) == (len(rows), unknown, elsewhere)
        assert told.placed + told.elsewhere + told.unknown == told.rows
        assert {code: one["delivered"] for code, one in told.divisions.items()} == {
            code: office.rows.total() for code, office in offices.items()
        }
    kept = Receipts(city.register, "test")
    assert len(kept.of_stage(Stage.DELIVERY, "returned", 99)) == 3 and account(desk) == told
    assert len(kept.of_stage(Stage.DELIVERY, "returned", 99)) == 3, "an account is kept when it is new"


def test_a_county_without_a_grant_of_its_own_receives_nothing(
    returning: tuple[City, Desk, FolderBackend], tmp_path: Path
) -> None:
    city, desk, store = returning
    city.release(PERSONS)
    for name in TO.values():
        end_grants(city, f"{name}平台")
    city.grant("金安区平台", divisions=["341502"])
    city.grant("裕安区平台", divisions=["341502"])  # of another county: nothing of it is in 裕安区
    where = {"CITYLAKE_HOME": str(city.settings.home), "CITYLAKE_PROJECT": str(city.settings.project)}
    done = CliRunner().invoke(app, ["deliver", "run", "returned"], env=where)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["delivery"] for one in told][-1] == "returned"
    last = {code: one["delivered"] for code, one in told[-1]["divisions"].items()}
    assert last == {"341502": 20, "341503": None, TOWN: None}
    for code in ("341503", TOWN):
        folder = store.root / code
        assert not folder.exists() or (folder / "RECALL.txt").exists()
    receipt = CliRunner().invoke(app, ["deliver", "receipt", "returned", str(tmp_path / "receipt")], env=where)
    assert json.loads(receipt.stdout)["unknown"] == 0 and (tmp_path / "receipt" / "signature.bin").exists()
    assert named(desk.listing.snapshot().contracts.city, "returned") == [
        "returned.341502",
        f"returned.{TOWN}",
        "returned.341503",
        "returned",
    ]


MIXED = SYNTHETIC.replace("['张', '王', '李', '赵'][1 + i % 4] || '**'", "'甲' || i").replace(
    "['金安区', '金安区', '裕安区', '叶集区'][1 + i % 4]", "['金安区', '裕安区', '叶集区'][1 + i % 3]"
)
"""Rows whose county says nothing of their division."""


@pytest.mark.long
@pytest.mark.server
def test_rows_of_an_organisation_are_delivered_and_returned_at_every_version(tmp_path: Path) -> None:
    """A limit by organisation, by table and folder, and with that of a division for a county: just what both allow."""
    for name in ("counties", "pushed", "postgres"):
        (tmp_path / name).mkdir()
    city, store = released_city(tmp_path / "city"), FolderBackend(tmp_path / "counties")
    bind(city)
    server = Server(tmp_path / "postgres")
    server.start()
    try:
        pushed = Pushed(city, server, tmp_path / "pushed")
        city.recipient("裕安区平台", "cab")
        to = {"341503": {"recipient": "裕安区平台", "connection": "counties", "folder": "341503"}}
        form = {"by": "division", "product": PERSONS, "formats": ["csv"], "to": to}
        file = city.settings.contracts / "city.yaml"
        listed = json.dumps(form, ensure_ascii=False)
        text = file.read_text("utf-8").replace("\ndeliveries:\n", f"\ndeliveries:\n  returned: {listed}\n", 1)
        city.settings.store_secret("counties", store.address)
        connection = "\nconnections:\n  counties: {description: 县区, secret: counties}\n"
        file.write_text(text.replace("\nconnections:\n", connection, 1), "utf-8")
        desk, office = Desk(city.settings, city.register), Office(store, "341503", tmp_path)
        pushed.desk, city.contracts = desk, desk.listing.snapshot().contracts
        grant(city, PUSHED_TO, organisations=["own"], columns=["name", "county_name"])
        grant(city, "裕安区平台", organisations=["psb"], columns=["name", "division_code", "county_name"])
        for shift in range(3):
            city.release(PERSONS, query=MIXED.replace("range(0, {rows})", f"range({shift}, {41 - shift})"))
            values = (city.values(PERSONS, name) for name in ("name", "division_code", "county_name"))
            shown = list(zip(*values, strict=True))
            for road in PUSHED:
                assert pushed.deliver(road) is None
                held = pushed.held(road, ["name", "county_name"])
                assert held == Counter((name, county) for name, _, county in shown if county == WHOSE["psb"])
            assert put_into(desk, "returned.341503").how == ("changes" if shift else "snapshot")
            office.take()
            mine = Counter(one for one in shown if one[1].startswith("341503") and one[2] == WHOSE["psb"])
            assert office.rows == mine and 0 < mine.total() < sum(one[1].startswith("341503") for one in shown)
            assert office.taken[-1]["rows"] == mine.total()
    finally:
        server.stop()


def grant(city: City, name: str, **limits: Any) -> None:
    """A grant for what sees every column, in force."""
    made = administration.grant(city.register, city.contracts, name, PERSONS, purpose=CHECK, actor=STEWARD, **limits)
    if made.pending:
        administration.approve_grant(city.register, made.id, actor=APPROVER)


def test_an_account_counts_only_rows_that_are_shown_today(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    city, store = released_city(tmp_path), FolderBackend(tmp_path_factory.mktemp("shown"))
    city.recipient("金安区平台")
    to = {"341502": {"recipient": "金安区平台", "connection": "drop", "folder": "341502"}}
    form = {"by": "division", "product": PERSONS, "formats": ["csv"], "to": to}
    add_deliveries(city, {"drop": store.address}, {"returned": form})
    contract = city.own_contracts() / "products" / "population" / "person.yaml"
    text = contract.read_text("utf-8").replace("\nlowered:", "\nshownUntil: moved_out_on\nlowered:", 1)
    shown = "      - residence_status\n"
    text = text.partition("  analyst:\n")[0]  # which may not show that day
    contract.write_text(text.replace(shown, f"{shown}      - moved_out_on\n"), "utf-8")
    city.contracts = load(city.settings.contracts)
    over = random.Random(seed_from_clock()).randrange(1, 30)
    days = f"case when i < {over} then date '2020-01-01' when i % 2 = 0 then date '2100-01-01' end as moved_out_on"
    city.release(PERSONS, query=SYNTHETIC.replace("from range", f", {days} from range"))
    city.grant("金安区平台")
    desk = Desk(city.settings, city.register)
    sent, told = put_into(desk, "returned.341502"), account(desk)
    assert (told.rows, told.divisions["341502"]) == (40 - over, {"rows": sent.rows, "delivered": sent.rows})


CODES = st.text("12", min_size=1, max_size=6)


@given(st.none() | st.lists(CODES, min_size=1, max_size=4), CODES, CODES)
def test_what_is_narrowed_is_just_what_both_allow(granted: list[str] | None, division: str, code: str) -> None:
    divisions = None if granted is None else tuple(granted)
    allowed = Allowed("p", 1, ("d",), "d", divisions, (), "r", 1, "x")

    def reads(one: Any) -> bool:
        return one is not None and (one.divisions is None or any(code.startswith(prefix) for prefix in one.divisions))

    both = reads(allowed) and code.startswith(division)
    assert reads(narrowed(allowed, division)) == both
