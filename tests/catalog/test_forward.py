"""Who received a row: held against what the answers really held, for drawn reads by drawn grants on every road."""

import random
from collections import defaultdict
from contextlib import closing
from functools import partial
from io import BytesIO

import polars as pl
from fastapi.testclient import TestClient

from catalog.policy.receivers import Place, Received, Sure, receivers
from pipelines.register.store import now
from pipelines.release.forward import Standing, visible
from pipelines.release.rows import ReleasedRows
from tests.catalog.small_city import PERSONS, SYNTHETIC, VILLAGES, City, bearer
from tests.catalog.test_withdrawal import query
from tests.city import seed_from_clock

COLUMNS = ("id_number", "name")
"""Columns in which every row has a text of its own, so that it is known where the row is."""
TEXTS = {"id_number": "341502********{row:04}", "name": "名{row:05}"}
UNLIKE = SYNTHETIC.replace("['张', '王', '李', '赵'][1 + i % 4] || '**'", "'名' || lpad(cast(i as varchar), 5, '0')")
API = f"/api/v1/products/{PERSONS}/rows"
READS = 40


def read(client: TestClient, city: City, dice: random.Random, token: str, rows: int) -> tuple[str, str]:
    """One drawn read; its road, and everything that came back as text."""
    shown = bearer(token)
    road = dice.choice(("rows", "rows", "rows", "download", "preview", "shared"))
    if road == "rows":
        asked = {"limit": str(dice.choice((1, rows // 2, 1000)))}
        if dice.random() < 0.4:
            asked["division_code"] = f"eq.{dice.choice(VILLAGES)}"
        if dice.random() < 0.3:
            asked["id_number"] = f"eq.{TEXTS['id_number'].format(row=dice.randrange(rows))}"
        if dice.random() < 0.4:
            asked["fields"] = ",".join(dice.sample(("id_number", "name", "sex", "division_code"), 2))
        elif dice.random() < 0.3:
            asked |= {"group": dice.choice(("sex", "name")), dice.choice(("count", "max")): "id_number"}
        if dice.random() < 0.3 and "group" not in asked:
            asked["sort"] = "-id_number"
        asked["format"] = dice.choice(("json", "ndjson", "csv"))
        method = "HEAD" if dice.random() < 0.1 else "GET"
        return "rows", client.request(method, API, params=asked, headers=shown).text
    if road == "preview":
        return "web", client.get(f"/datasets/{PERSONS}/preview", headers=shown).text
    if road == "download":
        method = "HEAD" if dice.random() < 0.2 else "GET"
        return "web", client.request(method, f"/datasets/{PERSONS}/download/csv", headers=shown).text
    urls, text = query(client, city, PERSONS, token), ""
    for url in urls if dice.random() < 0.7 else ():
        if dice.random() < 0.2:
            client.head(url)
        else:
            text += str(pl.read_parquet(BytesIO(client.get(url).content)).rows())
    return "delta_sharing", text


def place(released: ReleasedRows, city: City, version: int, column: str, row: int) -> Place:
    """Where the row of this number stands; the village that it is in is the one that the query gives it."""
    standing = Standing(city.contracts.products[PERSONS], version, now(), column, "division_code")
    divisions = (VILLAGES[row % len(VILLAGES)],)
    return Place(PERSONS, version, column, divisions, partial(visible, released, standing))


def test_what_the_audit_proves_is_what_the_answers_held(own_city: City) -> None:
    seed = seed_from_clock()
    print(f"seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    dice = random.Random(seed)
    rows = dice.randint(10, 30)
    versions = [own_city.release(PERSONS, rows, UNLIKE)]
    tokens = {name: own_city.recipient(name) for name in ("甲", "乙", "丙", "丁")}
    for name in tokens:
        divisions = dice.sample(("341502", "341503", "341504", "341522"), 2) if dice.random() < 0.7 else None
        columns = ["division_code", *dice.sample(("id_number", "name", "sex"), 2)] if dice.random() < 0.5 else None
        own_city.grant(name, PERSONS, divisions=divisions, columns=columns)
    client = own_city.client()
    held: dict[tuple[str, str, int], str] = defaultdict(str)
    for number in range(READS):
        if number == READS // 2:  # the second version lacks the last rows
            versions.append(own_city.release(PERSONS, rows - dice.randint(1, 5), UNLIKE))
        name = dice.choice(sorted(tokens))
        road, text = read(client, own_city, dice, tokens[name], rows)
        held[name, road, versions[-1]] += text
    with closing((released := ReleasedRows(own_city.contracts, own_city.settings.lake, own_city.register)).con):
        for row in dice.sample(range(rows), 5):
            for column in COLUMNS:
                there = [version for version in versions if row < rows_of(released, own_city, version)]
                places = [place(released, own_city, version, column, row) for version in there]
                text = TEXTS[column].format(row=row)
                compare(receivers(own_city.register, places), held, text, there)


def rows_of(released: ReleasedRows, city: City, version: int) -> int:
    return visible(released, Standing(city.contracts.products[PERSONS], version, now(), None), None)


def compare(found: list[Received], held: dict[tuple[str, str, int], str], text: str, versions: list[int]) -> None:
    """Everybody who has the cell is named, who is said to have it has it, who is not named has it not."""
    sure = {(one.recipient, one.road, one.version): one.sure for one in found}
    assert len(sure) == len(found)
    for (name, road, version), all_of_it in held.items():
        said = sure.pop((name, road, version), None)
        if version not in versions:
            assert said is None
            continue
        assert (text in all_of_it) <= (said in (Sure.PART, Sure.WHOLE)), (name, road, version, text, said)
        assert (said is Sure.WHOLE) <= (text in all_of_it), (name, road, version, text, said)
    assert not sure, "nobody else"
