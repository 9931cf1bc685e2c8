"""Real estate and the provident fund: owners and depositors are of the city, and their rows fit together."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal

import pytest

from simulator.fund_registers import NOT_CLOSED, Deposits, Loans
from simulator.insurance_registers import employed
from tests.simulator.towns import Rows, Town, people

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

ESTATES = "bdc.T_BDCDJ"


@pytest.fixture(scope="module")
def estates(town: Town) -> Rows:
    return town.city.records(ESTATES)


def test_units_have_numbers_of_28_characters_and_owners_that_exist(town: Town, estates: Rows) -> None:
    firms = {row["UNI_ SOCIAL_CRD_ CD"] for row in town.city.records("scjg.E_BASEINFO")}
    persons = people(town.city).keys()
    for row in estates:
        assert re.fullmatch(r"3415[0-9]{8}[GJ][BC][0-9]{5}F[0-9]{8}", row["BDCDYH"])
        assert row["QLRZJH"] in (persons if row["QLRLX"] == "1" else firms)
    assert {row["QLRLX"] for row in estates} == {"1", "2"}


def test_shares_of_a_registration_are_a_whole(estates: Rows) -> None:
    shares: dict[str, list[Decimal]] = defaultdict(list)
    for row in estates:
        if row["QLBL"] is not None:
            shares[row["YWH"]].append(Decimal(row["QLBL"]))
    assert {sum(one) for one in shares.values()} == {Decimal(100)}
    assert {len(one) for one in shares.values()} >= {1, 2}


def test_nothing_befalls_a_unit_before_its_first_registration(estates: Rows) -> None:
    first = {row["BDCDYH"]: row["DJSJ"] for row in estates if row["DJLX"] == "1"}
    assert {row["DJLX"] for row in estates} >= {"1", "2", "4"}
    assert all(first[row["BDCDYH"]] <= row["DJSJ"] for row in estates)


def test_depositors_are_employed_and_borrowers_are_depositors(town: Town) -> None:
    deposits = town.city.records(Deposits.place.dataset)
    with town.city._server.connect("truth") as truth:
        working = {row[4] for row in employed(truth)}
        ever = {row[0] for row in truth.execute("SELECT row[5] FROM truth.record WHERE dataset = 'sb.AC02_BG'")}
    numbers = {row["证件号码"] for row in deposits}
    assert numbers <= ever and len(numbers & working) > 0.9 * len(numbers) > 20
    accounts = {row["个人账号"]: row for row in deposits}
    loans = town.city.records(Loans.place.dataset)
    assert loans
    for row in deposits:
        assert 5 <= int(row["缴存比例"]) <= 12
        assert (row["销户日期"][:10] == NOT_CLOSED) == (row["账户状态"] != "3")
    for row in loans:
        assert accounts[row["GRZH"]]["开户日期"] < row["FFRQ"] <= (row["JQRQ"] or "9")
