"""A penalty leaves every public view on the day that it is due, repaired or expired; natural persons are never in one.

Days pass by the clock of the run: what is looked at is the released files of the current version, the analysts'
database, and what the roads of the catalogue give out.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from fastapi.testclient import TestClient

from catalog.app import create_app
from catalog.policy import administration
from pipelines.contracts.load import Contracts, load
from pipelines.run import Run
from tests.catalog.small_city import ADMINISTRATOR, appoint, granted
from tests.city import Town, published_town
from tests.dbt.planted import AUTHORITY, COMPANIES
from tests.release.personal import decoded

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXPIRING, REPAIRED, LISTED = "CF3415EXPIRING", "CF3415REPAIRED", "MD3415REMOVED"
PENALTY = """INSERT INTO xygs."T_XZCF" ("CF_BH", "CF_GSJZQ", "CF_XDR_LB", "CF_WSH", "CF_WFXW", "CF_SY", "CF_CFLB1",
    "CF_NR", "CF_ZT", "CF_XDR_SHXYM", "CF_XDR_MC", "CF_CFJG", "CF_CFJGDM", "CF_JDRQ", "GXSJ")
    VALUES (%s, %s, '1', '六市监罚〔2026〕1号', '发布虚假广告', '经查属实', '1', '警告', '1', %s, %s, %s, %s,
    '2025-12-30', %s)"""
LISTING = """INSERT INTO xygs."T_XYMD" ("MD_BH", "MD_LX", "XDR_LB", "MD_YJ", "MD_LRSY", "MD_LRRQ", "MD_YCSY",
    "MD_YCRQ", "XDR_SHXYM", "XDR_MC", "RDJG", "RDJGDM", "GXSJ")
    VALUES (%s, '3', '1', '条例', '未公示年报', '2025-12-30', '已履行义务', %s, %s, %s, %s, %s, %s)"""
REPAIR = """INSERT INTO xygs."T_XYXF" ("XF_BH", "XF_DX", "XF_JLBH", "XF_SQRQ", "XF_SLRQ", "XF_JDRQ", "XF_JG",
    "XF_ZZGSRQ", "XDR_LB", "XDR_SHXYM", "XDR_MC", "SLJG", "SLJGDM", "GXSJ")
    VALUES ('XF3415TEST', '1', %s, '2025-12-30', '2025-12-31', '2026-01-01', '1', %s, '1', %s, %s, %s, %s, %s)"""
SOURCES = ("drc/penalty", "drc/credit_list", "drc/credit_repair")


@dataclass
class Public:
    """A town with three records of one company that are public, and what is due when."""

    town: Town
    contracts: Contracts
    start: date

    def run(self, days: int) -> None:
        """What the nightly run does so many days after the first."""

        def later(run: Run) -> None:
            run.started += timedelta(days=days)

        outcomes = self.town.run(f"day {days}", before=later, sources=SOURCES)
        assert all(getattr(outcome, "version", 1) is not None for outcome in outcomes.values()), outcomes

    def shown(self, token: str) -> dict[str, str]:
        """All that is given out of the credit library, by where it was found."""
        mine = [one for one in self.contracts.products.values() if one.contract.library == "credit"]
        found = {"marts": decoded(self.town.settings.marts.resolve())}
        published = self.town.published()
        with TestClient(create_app(self.town.settings)) as client:
            for product in mine:
                version = published[product.id].version
                folder = self.town.settings.lake.root / "released" / "files" / product.channel / product.name
                for file in (folder / f"v{version}").glob("*.csv"):
                    found[str(file)] = file.read_text("utf-8")
                if product.channel == "analyst":
                    continue
                for road in ("download/csv", "download/json", "preview"):
                    answer = client.get(f"/datasets/{product.id}/{road}", headers={"Authorization": f"Bearer {token}"})
                    assert answer.status_code == 200, (product.id, road)
                    found[f"{product.id} {road}"] = answer.text
        return found

    def seen(self, token: str) -> set[str]:
        """Which of the three records stands anywhere but in the list of repairs, which names what it repaired."""
        texts = {place: text for place, text in self.shown(token).items() if "credit_repair" not in place}
        return {name for name in (EXPIRING, REPAIRED, LISTED) if any(name in text for text in texts.values())}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    start = date.fromisoformat(town.published()["lib_credit__penalty_public"].body["as_of"])
    dirty = {entry.rybh for entry in town.city.planted()}
    with town.city._server.connect("amr") as amr:
        _, code, name, _ = next(row for row in amr.execute(COMPANIES).fetchall() if row[0] not in dirty)
    with town.city._server.connect("drc") as drc:
        authority = drc.execute(AUTHORITY).fetchone() or ()
        about, now = (code, name, *authority), town.city.today
        drc.execute(PENALTY, [EXPIRING, start + timedelta(days=1), *about, now])
        drc.execute(PENALTY, [REPAIRED, None, *about, now])
        drc.execute(LISTING, [LISTED, start + timedelta(days=2), *about, now])
        drc.execute(REPAIR, [REPAIRED, start + timedelta(days=2), *about, now])
    yield Public(town, load(town.settings.contracts), start)
    town.close()


@pytest.fixture(scope="module")
def token(public: Public) -> str:
    """A recipient who may read everything that is shared."""
    with public.town.register() as register:
        appoint(register, public.contracts)
        administration.create_recipient(register, public.contracts, "信用查询", "drc", actor=ADMINISTRATOR)
        for product in public.contracts.products.values():
            if product.id.startswith("sharing/") and product.contract.form.share.type == "有条件共享":
                granted(register, public.contracts, "信用查询", product.id, purpose="信用监管", days=90)
        return administration.issue_token(register, "信用查询", 90, actor=ADMINISTRATOR).token


def test_what_is_repaired_or_expired_leaves_every_public_view_on_the_day_due(public: Public, token: str) -> None:
    public.run(0)
    everything = {EXPIRING, REPAIRED, LISTED}
    assert public.seen(token) == everything
    places = {place for place, text in public.shown(token).items() if any(name in text for name in everything)}
    assert {"marts", "open/penalty_of_legal_persons download/csv", "sharing/penalty preview"} <= places
    public.run(1)  # the last day of publicity of the one that expires
    assert public.seen(token) == everything
    public.run(2)  # the day on which publicity ends by repair, and that of the removal from the list
    assert public.seen(token) == set()
    kept = public.town.rows(
        "lib_credit__penalty", "credit_record_no", f"credit_record_no in ('{EXPIRING}', '{REPAIRED}')"
    )
    assert kept == [(EXPIRING,), (REPAIRED,)]  # the library forgets nothing


def test_no_natural_person_is_in_an_open_file(public: Public) -> None:
    """Neither the records about natural persons and sole traders, nor their names as a value of any cell."""
    for model, key in (("penalty", "credit_record_no"), ("permit", "credit_record_no"), ("listing", "list_record_no")):
        about = public.town.rows(f"lib_credit__{model}", f"{key}, subject_name", "subject_category in ('2', '3')")
        assert about, model
        hidden = {value for row in about for value in row}
        for product in public.contracts.products.values():
            if product.id.startswith("open/") and product.contract.library == "credit":
                version = public.town.published()[product.id].version
                folder = public.town.settings.lake.root / "released" / "files" / product.id / f"v{version}"
                text = (folder / f"{product.name}.csv").read_text("utf-8-sig")
                assert not {cell for row in csv.reader(io.StringIO(text)) for cell in row} & hidden, product.id


def test_no_product_is_cut_from_a_model_with_people_and_ended_publicity(public: Public) -> None:
    for model in ("lib_credit__penalty", "lib_credit__listing"):
        assert public.contracts.models[model].products == ()
