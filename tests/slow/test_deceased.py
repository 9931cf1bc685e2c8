"""The list of deaths, pulled by the official Delta Sharing client: each payer opens the numbers with its own key, and
nobody opens another's."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from catalog.delivery import sealing_keys
from catalog.delivery.desk import Desk
from catalog.policy import administration
from pipelines import engine
from pipelines.privacy import channel_keys
from pipelines.release.products import product_query
from tests.catalog.conftest import released_city
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, GUARD, City, granted
from tests.environments import environment
from tests.slow.test_delta_sharing_client import load

pytestmark = [pytest.mark.slow, pytest.mark.server]

DECEASED, TABLE = "sharing/deceased", "sharing.elderly_social.deceased"
PAYERS = {"社保待遇系统": "hrssb", "医保待遇系统": "hsb"}
ROWS = 30
MODEL = f"""(
    select md5('d' || i) as person_id, '张三' as name,
        if(i = 7, null, '34150219400101' || lpad(cast(i as varchar), 4, '0')) as id_number,
        date '2026-01-01' + cast(i as integer) as died_on, 'cremated' as residence_evidence,
        if(i < 20, '341502001001', '341503001001') as division_code, if(i < 20, '金安区', '裕安区') as county_name
    from range({ROWS}) t(i)
)"""
"""One number is unknown, as of somebody whose number is registered for two people."""


@dataclass(frozen=True)
class Payer:
    """What one recipient pulled, and the key that it was handed."""

    rows: list[dict[str, Any]]
    key: bytes

    @property
    def sealed(self) -> list[str]:
        return [row["id_number"] for row in self.rows if row["id_number"] is not None]


@dataclass(frozen=True)
class Pulled:
    """What each payer was shown, and what those who were granted another purpose or one county."""

    city: City
    payers: list[Payer]
    statistician: list[dict[str, Any]]
    county: list[dict[str, Any]]


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    folder, python = tmp_path_factory.mktemp("deceased"), environment("sharing-client")
    city = released_city(folder / "city")
    cut, product = folder / "cut.parquet", city.contracts.products[DECEASED]
    with engine.connect(city.settings.lake.scratch()) as con:
        channel_keys.register(con, city.settings.key, "sharing", [column.mask for column in product.columns])
        con.execute(f"COPY ({product_query(product, MODEL)}) TO '{cut}' (FORMAT parquet)")
    city.release(DECEASED, query=f"SELECT * FROM '{cut}'")
    with serving(city.settings) as base:

        def pull(name: str, organisation: str, purpose: str, **limits: Any) -> list[dict[str, Any]]:
            administration.create_recipient(city.register, city.contracts, name, organisation, actor=ADMINISTRATOR)
            issued = administration.issue_token(city.register, name, actor=ADMINISTRATOR)
            granted(city.register, city.contracts, name, DECEASED, purpose=purpose, **limits)
            profile = administration.profile(issued, f"{base}/delta-sharing")
            return load(python, profile, TABLE, "false", folder)["rows"]  # type: ignore[no-any-return]

        payers = []
        for number, (name, organisation) in enumerate(PAYERS.items()):
            rows, file = pull(name, organisation, "待遇核查"), folder / f"{number}.json"
            sealing_keys.write(Desk(city.settings, city.register), name, DECEASED, file, "待遇核查", actor=GUARD)
            payers.append(Payer(rows, bytes.fromhex(json.loads(file.read_text("utf-8"))["keys"]["id_number"])))
        county = pull("霍邱社保", "hrssb", "待遇核查", divisions=["341503"])
        yield Pulled(city, payers, pull("统计台", "sb", "统计分析"), county)


def opened(sealed: str, key: bytes) -> str:
    """By the cipher of the standard and nothing of ours."""
    data = base64.urlsafe_b64decode(sealed.removeprefix("sm4gcm."))
    decryptor = Cipher(SM4(key), modes.GCM(data[:12], data[-16:])).decryptor()
    return (decryptor.update(data[12:-16]) + decryptor.finalize()).decode()


def numbers() -> list[str]:
    return [f"34150219400101{number:04}" for number in range(ROWS) if number != 7]


def test_each_payer_opens_who_is_dead(pulled: Pulled) -> None:
    for payer in pulled.payers:
        assert len(payer.rows) == ROWS and sorted(opened(one, payer.key) for one in payer.sealed) == numbers()
        days = {opened(row["id_number"], payer.key): row["died_on"][:10] for row in payer.rows if row["id_number"]}
        assert days[numbers()[0]] == "2026-01-01" and {row["name"] for row in payer.rows} == {"张*"}


def test_nobody_opens_or_recognises_what_another_was_shown(pulled: Pulled) -> None:
    first, second = pulled.payers
    assert first.sealed and not set(first.sealed) & set(second.sealed)
    for one in first.sealed:
        with pytest.raises(InvalidTag):
            opened(one, second.key)


def test_no_number_is_in_any_file_that_was_released(pulled: Pulled) -> None:
    files = [file for file in pulled.city.settings.lake.subject(DECEASED).rglob("*") if file.is_file()]
    assert files and not [file for file in files if b"34150219400101" in file.read_bytes()]


def test_another_purpose_is_shown_no_number_and_a_county_its_own_rows(pulled: Pulled) -> None:
    assert len(pulled.statistician) == ROWS and "id_number" not in pulled.statistician[0]
    assert {row["county_name"] for row in pulled.county} == {"裕安区"} and len(pulled.county) == 10
