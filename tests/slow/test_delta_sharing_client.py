"""The official Delta Sharing client, in an environment of its own, against a real server: both formats, a restricted
grant, and the search for hidden names and values in every byte it can reach."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog.policy import administration, audit
from pipelines.register.times import as_utc
from tests.catalog.conftest import released_city
from tests.catalog.serving import serving
from tests.catalog.small_city import ADMINISTRATOR, AGES, GUARD, PERSONS, City
from tests.environments import environment

pytestmark = [pytest.mark.slow, pytest.mark.server]

COLUMNS = ("person_ref", "name", "county_name", "birth_year")
HIDDEN = ("id_number", "division_code", "town_name", "education", "341502****", "裕安区", "叶集区", "341503")

SCRIPT = """
import json, sys
import delta_sharing
profile, name, use_delta = sys.argv[1:]
client = delta_sharing.SharingClient(profile)
tables = [f"{table.share}.{table.schema}.{table.name}" for table in client.list_all_tables()]
asked = {"true": True, "false": False, "auto": None}[use_delta]
url = f"{profile}#{name}"
frame = delta_sharing.load_as_pandas(url, use_delta_format=asked)
few = delta_sharing.load_as_pandas(url, limit=3, use_delta_format=asked)
sides = [{"op": "column", "name": "county_name", "valueType": "string"}]
sides.append({"op": "literal", "value": "~", "valueType": "string"})
hint = json.dumps({"op": "equal", "children": sides})
nowhere = delta_sharing.load_as_pandas(url, jsonPredicateHints=hint, use_delta_format=asked)
rows = json.loads(frame.to_json(orient="records", date_format="iso"))
version = delta_sharing.get_table_version(url)
told = {"tables": tables, "columns": list(frame.columns), "rows": rows, "few": len(few), "nowhere": len(nowhere)}
print(json.dumps({**told, "version": version}))
"""

CHANGES = """
import json, sys
import delta_sharing
profile, name, use_delta = sys.argv[1:]
asked, url = use_delta == "true", f"{profile}#{name}"
told = {}
for number in range(3):
    frame = delta_sharing.load_as_pandas(url, version=number, use_delta_format=asked)
    told[f"version {number}"] = json.loads(frame.to_json(orient="records"))
for start in (1, 0):
    frame = delta_sharing.load_table_changes_as_pandas(url, starting_version=start, use_delta_format=asked)
    frame["_commit_timestamp"] = frame["_commit_timestamp"].astype("int64")
    told[f"changes {start}"] = json.loads(frame.to_json(orient="records"))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with the locked client."""
    return environment("sharing-client")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, str]]:
    """A released city and the address of its catalogue."""
    city = released_city(tmp_path_factory.mktemp("served"))
    with serving(city.settings) as address:
        yield city, address


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, str]]:
    """A city that released its persons three times."""
    city = released_city(tmp_path_factory.mktemp("changed"))
    city.release(PERSONS, 60)
    city.release(PERSONS, 52)
    with serving(city.settings) as address:
        yield city, address


def load(
    python: Path, profile: dict[str, Any], table: str, use_delta: str, folder: Path, script: str = SCRIPT
) -> dict[str, Any]:
    """What the client makes of a table; `use_delta` is true, false or auto."""
    file = folder / "test.share"
    file.write_text(json.dumps(profile), "utf-8")
    run = subprocess.run(
        [str(python), "-c", script, str(file), table, use_delta],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def restricted(city: City, name: str, base: str, oauth: bool = False, **limits: Any) -> dict[str, Any]:
    """The profile of a new recipient with a grant: of a bearer token, or of an OAuth client."""
    administration.create_recipient(city.register, city.contracts, name, "psb", actor=ADMINISTRATOR)
    issue = administration.issue_client if oauth else administration.issue_token
    issued = issue(city.register, name, actor=ADMINISTRATOR)
    city.grant(name, **limits)
    return administration.profile(issued, f"{base}/delta-sharing")


@pytest.mark.parametrize("use_delta", ["true", "false", "auto"])
def test_open_data_in_both_formats(python: Path, served: tuple[City, str], tmp_path: Path, use_delta: str) -> None:
    city, base = served
    with urllib.request.urlopen(f"{base}/open.share") as answer:
        profile = json.load(answer)
    found = load(python, profile, "open.population.age_structure_by_county", use_delta, tmp_path)
    assert found["tables"] == ["open.population.age_structure_by_county"]
    assert found["columns"] == [column.name for column in city.contracts.products[AGES].columns]
    assert (len(found["rows"]), found["few"], found["nowhere"], found["version"]) == (96, 3, 0, 0)
    assert sum(row["persons"] for row in found["rows"]) == sum(city.values(AGES, "persons"))


@pytest.mark.parametrize("use_delta", ["true", "false"])
def test_a_restricted_grant_gives_its_rows_and_columns(
    python: Path, served: tuple[City, str], tmp_path: Path, use_delta: str
) -> None:
    city, base = served
    profile = restricted(city, f"限制{use_delta}", base, divisions=["341502"], columns=list(COLUMNS))
    found = load(python, profile, "sharing.population.person_of_division", use_delta, tmp_path)
    assert sorted(found["tables"]) == [
        "open.population.age_structure_by_county",
        "sharing.population.person_of_division",
    ]
    assert set(found["columns"]) == set(COLUMNS)
    assert {row["county_name"] for row in found["rows"]} == {"金安区"}
    assert len(found["rows"]) == sum(1 for code in city.values(PERSONS, "division_code") if code.startswith("341502"))
    assert not {row["person_ref"] for row in found["rows"]} & set(city.values(PERSONS, "person_ref"))
    reads = {row["action"] for row in audit.recent(city.register, recipient=f"限制{use_delta}")}
    assert {"share.list", "table.query", "file.read"} <= reads


@pytest.mark.parametrize("use_delta", ["true", "false"])
def test_changes_lead_from_every_version_to_the_next(
    python: Path, changed: tuple[City, str], tmp_path: Path, use_delta: str
) -> None:
    city, base = changed
    profile = restricted(city, f"变更{use_delta}", base, divisions=["341502"], columns=list(COLUMNS))
    told = load(python, profile, "sharing.population.person_of_division", use_delta, tmp_path, CHANGES)
    versions = [told[f"version {number}"] for number in range(3)]
    assert [len(rows) for rows in versions] == [20, 30, 26]
    at = [as_utc(row.at) for row in reversed(city.ledger.history(PERSONS))]
    for start, held in ((1, versions[0]), (0, [])):
        rows = Counter(json.dumps(row, sort_keys=True) for row in held)
        for change in sorted(told[f"changes {start}"], key=lambda row: row["_commit_version"]):
            kind, version, stamp = (
                change.pop(name) for name in ("_change_type", "_commit_version", "_commit_timestamp")
            )
            # milliseconds in one format; the client keeps seconds in the other, in whatever unit its kernel gives
            assert str(stamp).startswith(str(int(at[version].timestamp()))), (stamp, at[version])
            rows[json.dumps(change, sort_keys=True)] += 1 if kind in ("insert", "update_postimage") else -1
        assert +rows == Counter(json.dumps(row, sort_keys=True) for row in versions[2]) and not -rows


def test_polars_reads_change_files_by_their_address(changed: tuple[City, str]) -> None:
    city, base = changed
    profile = restricted(city, "变更文件", base, divisions=["341502"], columns=list(COLUMNS))
    road = "/shares/sharing/schemas/population/tables/person_of_division/changes?startingVersion=1"
    urls = _FILE.findall(_ask(profile, road).decode())
    frames = pl.concat([pl.read_parquet(url) for url in urls])
    assert sorted(frames["_change_type"].value_counts().rows()) == [("delete", 4), ("insert", 10)]
    assert set(frames.columns) == {*COLUMNS, "_change_type"}


@pytest.mark.parametrize("use_delta", ["true", "false"])
def test_a_division_without_rows_gives_an_empty_frame(
    python: Path, served: tuple[City, str], tmp_path: Path, use_delta: str
) -> None:
    city, base = served
    profile = restricted(city, f"空{use_delta}", base, divisions=["341525"], columns=["name"])
    found = load(python, profile, "sharing.population.person_of_division", use_delta, tmp_path)
    assert (found["columns"], found["rows"]) == (["name"], [])


@pytest.mark.parametrize("use_delta", ["true", "false"])
def test_an_oauth_client_reads_what_its_grant_says(
    python: Path, served: tuple[City, str], tmp_path: Path, use_delta: str
) -> None:
    city, base = served
    name = f"客户端{use_delta}"
    profile = restricted(city, name, base, oauth=True, divisions=["341502"], columns=list(COLUMNS))
    assert profile["shareCredentialsVersion"] == 2
    found = load(python, profile, "sharing.population.person_of_division", use_delta, tmp_path)
    assert set(found["columns"]) == set(COLUMNS)
    assert len(found["rows"]) == sum(1 for code in city.values(PERSONS, "division_code") if code.startswith("341502"))
    reads = audit.recent(city.register, recipient=name)
    assert {"token.exchange", "share.list", "table.query", "file.read"} <= {row["action"] for row in reads}
    ids = {row["body"]["token_id"] for row in reads if row["action"] in ("token.exchange", "table.query")}
    assert ids == {profile["clientId"]}


def test_a_successor_and_the_one_before_both_read_until_the_overlap_ends(
    python: Path, served: tuple[City, str], tmp_path: Path
) -> None:
    city, base = served
    old = restricted(city, "换发客户端", base, oauth=True, columns=["name"])
    issued = administration.rotate_token(city.register, old["clientId"], timedelta(days=7), actor=ADMINISTRATOR)
    new = administration.profile(issued, f"{base}/delta-sharing")
    for profile in (old, new):
        assert load(python, profile, "sharing.population.person_of_division", "false", tmp_path)["columns"] == ["name"]
    administration.revoke_token(city.register, old["clientId"], actor=GUARD)
    with pytest.raises(AssertionError, match="401"):
        load(python, old, "sharing.population.person_of_division", "false", tmp_path)
    assert load(python, new, "sharing.population.person_of_division", "false", tmp_path)["few"] == 3


def test_no_hidden_name_or_value_in_any_reachable_byte(served: tuple[City, str]) -> None:
    city, base = served
    profile = restricted(city, "字节", base, divisions=["341502"], columns=list(COLUMNS))
    hidden = [*HIDDEN, *city.values(PERSONS, "person_ref")]
    seen = list(_reachable(profile))
    assert sum(content[:4] == b"PAR1" for _, content in seen) >= 2
    for road, content in seen:
        for text in hidden:
            assert text.encode() not in content, (road, text)
            assert json.dumps(text)[1:-1].encode() not in content, (road, text)


_FILE = re.compile(r'"(?:url|path)":\s*"(http://[^"]+)"')
"""Where an answer names a file of the table. Its dictionary is the catalogue's, the same for everybody."""


def _reachable(profile: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every answer of the protocol about the table, and every file an answer names."""
    table = "/shares/sharing/schemas/population/tables/person_of_division"
    for road in ("/shares", "/shares/sharing", "/shares/sharing/schemas", "/shares/sharing/all-tables"):
        yield road, _ask(profile, road)
    for kind in ("parquet", "delta"):
        changes = (f"{table}/changes?startingVersion=0", None)
        for road, body in ((f"{table}/version", None), (f"{table}/metadata", None), (f"{table}/query", b"{}"), changes):
            content = _ask(profile, road, body, kind)
            yield f"{road} {kind}", content
            for url in _FILE.findall(content.decode()):
                with urllib.request.urlopen(url) as answer:
                    yield url, answer.read() + str(answer.headers).encode()
    base = profile["endpoint"].removesuffix("/delta-sharing")
    for kind in ("csv", "parquet"):
        yield kind, _ask({**profile, "endpoint": base}, f"/datasets/{PERSONS}/download/{kind}")


def _ask(profile: dict[str, Any], road: str, body: bytes | None = None, kind: str = "parquet") -> bytes:
    headers = {
        "Authorization": f"Bearer {profile['bearerToken']}",
        "Delta-Sharing-Capabilities": f"responseformat={kind}",
    }
    with urllib.request.urlopen(urllib.request.Request(profile["endpoint"] + road, body, headers)) as answer:
        return bytes(answer.read()) + str(answer.headers).encode()


def test_a_revoked_token_fails_at_once_without_retries(python: Path, served: tuple[City, str], tmp_path: Path) -> None:
    city, base = served
    profile = restricted(city, "吊销", base)
    (issued,) = administration.list_tokens(city.register, "吊销")
    administration.revoke_token(city.register, issued.id, actor=GUARD)
    begun = time.monotonic()
    with pytest.raises(AssertionError, match="401"):
        load(python, profile, "sharing.population.person_of_division", "false", tmp_path)
    assert time.monotonic() - begun < 30, "a retrying client takes over a hundred seconds"
