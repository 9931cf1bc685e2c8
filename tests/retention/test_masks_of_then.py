"""Versions that were published under other masks are erased by these: no file of them holds anything of the person."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.contracts.forms.products import Anonymity
from pipelines.contracts.load import Contracts
from pipelines.engine import connect
from pipelines.erasure.order import JOURNAL, Erasure, Order
from pipelines.erasure.products import in_product
from pipelines.lake.parquet import files_of
from pipelines.lake.rewrite import Change, Planned
from pipelines.linkage import tables
from pipelines.messages import CitylakeError
from pipelines.privacy.masks import masks
from pipelines.release.verify import releases
from tests.retention.homes import Home, only, values
from tests.retention.test_sealed_columns import cut, sealing
from tests.traces import traces

TODAY = date(2026, 11, 26)
PERSON, PRODUCT = "lib_population__person", "sharing/person_of_division"
ORDER = Order("20261126-2", "专员", "本人申请删除")
BEFORE = {"person_id": "pseudonym", "id_number": "id_6_4", "name": "surname", "birth_date": None, "sex": None}
NOW = {"person_id": "pseudonym", "id_number": "sealed", "name": None, "birth_date": "year"}
SHOWN = ("person_id", "id_number", "name", "birth_date", "sex")
PEOPLE = [(f"p{n}", f"34150219800101{n}00{n}", f"{'赵钱孙'[n - 1]}一二", date(1980, 1, n), "1") for n in (1, 2, 3)]


class Twice:
    """A home whose product was published twice: under masks of before, and under those of now."""

    def __init__(self, contracts: Contracts, root: Path, patch: pytest.MonkeyPatch, told: bool = True) -> None:
        self.few, self.product = only(contracts, models=[PERSON]), contracts.products[PRODUCT]
        self.home = Home(root, self.few)
        tables.ensure(self.home.lake)
        others = [one.name for one in contracts.models[PERSON].columns if one.name not in SHOWN]
        empty = "".join(f", NULL::VARCHAR AS {name}" for name in others)
        for days, shown in ((9, BEFORE), (0, NOW)):
            # a different first row makes another file of the model
            people = [*PEOPLE, (f"q{days}", "341502198001014004", "李四", date(1990, 1, 1), "2")]
            rows = f"SELECT *{empty} FROM ({values(people, *SHOWN)})"
            day = TODAY - timedelta(days)
            version = self.home.release(PERSON, day, rows, patch)
            self._publish(day, rows, version, shown, patch, told)

    def _publish(
        self, day: date, rows: str, version: int, shown: Mapping[str, str | None], patch: pytest.MonkeyPatch, told: bool
    ) -> None:
        self.home.contracts = sealing(self.few, PERSON, self.product, dict(shown))
        product = self.home.contracts.models[PERSON].products[0]
        columns = {"columns": {name: [name, mask] for name, mask in shown.items()}} if told else {}
        about = {"model": PERSON, "model_version": version, **columns}
        self.home.release(PRODUCT, day, cut(self.home, product, rows), patch, **about)

    @property
    def erasure(self) -> Erasure:
        return Erasure(self.home.settings, self.home.contracts, self.home.register)

    def rows(self, version: int) -> int:
        return len(self.home.rows(self.home.lake.product(*PRODUCT.split("/")), "*", version))


def test_a_version_under_masks_of_before_is_cut_too(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = Twice(contracts, tmp_path, monkeypatch)
    files = len(files_of(twice.home.lake.product(*PRODUCT.split("/"))))
    body = twice.erasure.carry_out("p2", ORDER)
    assert {place: counts["rows"] for place, counts in body["places"].items()} == {PERSON: 2, PRODUCT: files}
    assert body["backups"] == []
    assert twice.rows(0) == twice.rows(1) == 3
    assert not traces(twice.home.lake.root, ("34150219800101200", "341502********2002", "钱一二", "钱**", "1980-01-02"))


def test_a_row_that_is_not_found_ends_the_order_before_it_begins(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function of a mask was changed since: what it makes stands in no file."""
    twice = Twice(contracts, tmp_path, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setitem(masks, "surname", masks["id_6_4"])
        with pytest.raises(CitylakeError, match=r"sharing/person_of_division 第 0 版.*1 行"):
            twice.erasure.carry_out("p2", ORDER)
    with monkeypatch.context() as patched:
        patched.delitem(masks, "surname")
        with pytest.raises(CitylakeError, match="surname"):
            twice.erasure.carry_out("p2", ORDER)
    assert not (twice.home.settings.home / JOURNAL).exists() and not twice.home.ledger.erasures()
    assert twice.erasure.carry_out("p2", ORDER)["places"][PRODUCT]["rows"] == 2


def test_a_release_that_does_not_say_how_it_was_made_is_not_taken_for_one_without_the_person(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = Twice(contracts, tmp_path, monkeypatch, told=False)
    with pytest.raises(CitylakeError, match=r"第 0 版.*--end-versions"):
        twice.erasure.carry_out("p2", ORDER)


@pytest.mark.parametrize("how", ["other code", "no code"])
def test_an_order_may_end_a_version_in_which_a_row_is_not_found(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """As retention ends it: files go, the log keeps no value, the ledger says so; the present one never ends."""
    twice = Twice(contracts, tmp_path, monkeypatch)
    location = twice.home.lake.product(*PRODUCT.split("/"))
    wanted, files = replace(ORDER, end_versions=True), len(files_of(location))
    with monkeypatch.context() as patched:
        patched.delitem(masks, "year")
        with pytest.raises(CitylakeError, match=r"第 1 版"):
            twice.erasure.carry_out("p2", wanted)
    assert not twice.home.ledger.erasures() and len(files_of(location)) == files
    with monkeypatch.context() as patched:
        if how == "no code":
            patched.delitem(masks, "surname")
        else:
            patched.setitem(masks, "surname", masks["id_6_4"])
        body = twice.erasure.carry_out("p2", wanted)
    assert body["versions"] == {PRODUCT: [0]} and body["places"][PRODUCT]["rows"] == files - 1 == 1
    assert body["releases"][PRODUCT]["0"][1] is None and body["releases"][PRODUCT]["1"][1] is not None
    assert len(files_of(location)) == 1 and twice.rows(1) == 3
    assert not traces(twice.home.lake.root, ("34150219800101200", "341502********2002", "钱一二", "钱**", "1980-01-02"))
    ledger = twice.home.ledger
    assert [*ledger.ended_versions()[PRODUCT]] == [0] and ledger.released_versions()[PRODUCT] == {1}
    found = {one.version: one for one in releases(twice.home.lake, ledger) if one.subject == PRODUCT}
    assert [found[version].state for version in (0, 1)] == ["ended", "erased"]
    assert found[0].orders == (ORDER.number,)


def test_a_product_that_was_made_anonymous_has_no_row_of_its_model(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an order nor the end of a history's period looks for one: it would end before it begins."""
    home, product = Home(tmp_path, only(contracts, models=[PERSON])), contracts.products[PRODUCT]
    rows = values([("p1", "赵一")], "person_id", "name")
    version = home.release(PERSON, TODAY, rows, monkeypatch)
    counted = values([("赵", 1)], "name", "persons")
    about = {"model": PERSON, "model_version": version, "columns": {"name": ["name", "surname"]}}
    home.release(PRODUCT, TODAY, counted, monkeypatch, **about)
    form = product.form.model_copy(update={"anonymity": Anonymity(k=5, count="persons", quasi=["name"])})
    (model,) = files_of(home.lake.subject(PERSON))
    changes, releases = [Planned(PERSON, model, Change([0]))], home.ledger.releases()[1:]
    with connect(home.lake.scratch()) as con:
        key = home.settings.kept_key
        assert not list(in_product(con, home.lake, key, replace(product, form=form), releases, changes))
        with pytest.raises(CitylakeError, match="1 行"):
            list(in_product(con, home.lake, key, product, releases, changes))


def test_of_rows_that_say_the_same_each_has_its_own_fate(
    contracts: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows of a model that a product cannot tell apart: one goes, the other loses a cell."""
    home = Home(tmp_path, only(contracts, models=[PERSON]))
    rows = values([("p1", "赵一"), ("p2", "赵二"), ("p3", "赵三"), ("p4", "钱一")], "person_id", "name")
    version = home.release(PERSON, TODAY, rows, monkeypatch)
    product = (
        sealing(home.contracts, PERSON, contracts.products[PRODUCT], {"name": "surname"}).models[PERSON].products[0]
    )
    about = {"model": PERSON, "model_version": version, "columns": {"name": ["name", "surname"]}}
    home.release(PRODUCT, TODAY, cut(home, product, rows), monkeypatch, **about)
    (model,) = files_of(home.lake.subject(PERSON))
    places = {person: at for at, (person,) in enumerate(read(model, "person_id"))}
    change = Change([places["p2"]], {"name": [places["p1"]], "person_id": [places["p4"]]})
    with connect(home.lake.scratch()) as con:
        key = home.settings.kept_key
        (found,) = in_product(
            con, home.lake, key, product, home.ledger.releases()[1:], [Planned(PERSON, model, change)]
        )
    gone, emptied = found.change.gone, found.change.cells["name"]
    assert len(gone) == len(emptied) == 1 and gone != emptied
    shown = read(found.file, "name")
    assert [shown[gone[0]], shown[emptied[0]]] == [("赵*",), ("赵*",)] and [*found.change.cells] == ["name"]


def read(file: Path, column: str) -> list[tuple[str, ...]]:
    return duckdb.sql(f"SELECT {column} FROM '{file}'").fetchall()
