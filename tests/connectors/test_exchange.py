"""Pulling from a Delta Sharing server that is not ours: both formats, partitions, exact values, and every fault."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from pipelines.connectors.base import connectors
from pipelines.connectors.exchange import files, server
from pipelines.messages import CitylakeError
from pipelines.verbs import VerbError
from tests.connectors.conftest import OWNER, Puller
from tests.connectors.sharing_server import TABLE, TOKEN, SharingServer, cut_off, fault, send

pytestmark = pytest.mark.server

FORMATS = pytest.mark.parametrize("kind", ["parquet", "delta"])
ROWS = [{"id": f"{number}", "county": county} for number, county in enumerate(["金安", "裕安", None, "金安"])]

CLIENT = {
    "shareCredentialsVersion": 2, "type": "oauth_client_credentials", "endpoint": "https://x",
    "tokenEndpoint": "https://x/token", "clientId": "city", "clientSecret": "geheim",
}  # fmt: skip


class Shared:
    """A table at a foreign server, and the source that pulls it."""

    def __init__(self, folder: Path, puller: Callable[..., Puller]) -> None:
        self.location = folder / "table"
        self.server = SharingServer(self.location)
        self.source = puller("exchange", self.server.profile(), ["id"])

    def write(self, rows: list[dict[str, Any]] | pa.Table, mode: Any = "append", **options: Any) -> None:
        table = pa.Table.from_pylist(rows) if isinstance(rows, list) else rows
        write_deltalake(self.location, table, mode=mode, **options)

    def pull(self, **arguments: Any) -> list[dict[str, Any]] | None:
        return self.source.pull(**{"table": TABLE} | arguments)

    def refused(self, code: str, **arguments: Any) -> CitylakeError:
        with pytest.raises(CitylakeError) as caught:
            self.pull(**arguments)
        assert caught.value.code == code
        for language in ("zh", "en"):
            assert OWNER in caught.value.text(language)
        assert "geheim" not in str(caught.value) + repr(caught.value.arguments)
        assert not list((self.source.folder / "scratch").rglob("*.parquet"))
        return caught.value


@pytest.fixture
def shared(tmp_path: Path, puller: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    for module in (server, files):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    made = Shared(tmp_path, puller)
    yield made
    made.server.close()


@FORMATS
@pytest.mark.parametrize("partition_by", [[], ["county"]])
def test_rows_come_once_for_each_version(shared: Shared, kind: str, partition_by: list[str]) -> None:
    shared.server.format = kind
    shared.write(ROWS, partition_by=partition_by)
    found = shared.pull()
    assert found is not None and sorted(found, key=lambda row: row["id"]) == ROWS
    shared.server.asked.clear()
    assert shared.pull() is None
    assert shared.server.asked == ["metadata"]
    shared.write([{"id": "9", "county": "霍山"}], "overwrite")
    assert shared.pull() == [{"id": "9", "county": "霍山"}]
    assert shared.source.pulled and shared.source.pulled.origin == f"source:{TABLE}@1"


@FORMATS
@pytest.mark.parametrize("said", ["header", "description"])
def test_made_up_data_come_only_into_a_home_that_has_the_mark(shared: Shared, kind: str, said: str) -> None:
    shared.server.format = kind
    shared.write(ROWS)
    if said == "header":
        shared.server.more_headers = {"Is-Test": "true"}
    else:
        shared.server.description = "常住人口 [is_test]"
    assert "is_test" in shared.refused("pull.exchange_made_up").text("zh")
    shared.source.made_up = True
    assert len(shared.pull() or []) == len(ROWS)


EXACT = {
    "id": "007",
    "amount": Decimal("12345678901234567890123456.0100"),
    "at": datetime(2026, 11, 24, 8, 30, 15, 123456, UTC),
    "local": datetime(2026, 11, 24, 8, 30, 15, 1),
    "day": date(1899, 12, 31),
    "big": 2**63 - 1,
    "small": -7,
    "share": 0.1,
    "yes": True,
    "raw": b"\x00\xff",
    "nested": {"甲": [1, 2]},
}
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("amount", pa.decimal128(38, 4)),
        ("at", pa.timestamp("us", "UTC")),
        ("local", pa.timestamp("us")),
        ("day", pa.date32()),
        ("big", pa.int64()),
        ("small", pa.int16()),
        ("share", pa.float64()),
        ("yes", pa.bool_()),
        ("raw", pa.binary()),
        ("nested", pa.struct([("甲", pa.list_(pa.int32()))])),
    ]
)


@FORMATS
def test_values_are_exact(shared: Shared, kind: str) -> None:
    shared.server.format = kind
    if kind == "delta":
        shared.server.protocol = {"minReaderVersion": 3, "readerFeatures": ["timestampNtz"]}
    nothing = dict.fromkeys(EXACT) | {"id": "0"}
    shared.write(pa.Table.from_pylist([EXACT, nothing], SCHEMA))
    found = shared.pull()
    assert found is not None
    assert sorted(found, key=lambda row: row["id"]) == [nothing, EXACT | {"nested": '{"甲":[1,2]}'}]


@FORMATS
@pytest.mark.parametrize("column", ["amount", "at", "day", "big", "yes", "id"])
def test_values_of_partition_columns_keep_their_types(shared: Shared, kind: str, column: str) -> None:
    shared.server.format = kind
    rows = [{"id": "1", column: EXACT[column], "n": 1}, {"id": "0", column: None, "n": 2}]
    kept = [field for field in SCHEMA if field.name in ("id", column)]
    shared.write(pa.Table.from_pylist(rows, pa.schema([*kept, ("n", pa.int64())])), partition_by=[column])
    found = shared.pull()
    assert found is not None
    assert sorted(found, key=lambda row: row["n"]) == [{name: row[name] for name in found[0]} for row in rows]


def test_a_column_that_older_files_lack_is_null_there(shared: Shared) -> None:
    shared.write([{"id": "1"}])
    shared.write([{"id": "2", "county": "裕安"}], schema_mode="merge")
    found = shared.pull()
    assert found is not None
    assert sorted(found, key=lambda row: row["id"]) == [{"id": "1", "county": None}, {"id": "2", "county": "裕安"}]


def test_columns_named_as_ours_inside_are_columns(shared: Shared) -> None:
    rows = [{"id": "1", "filename": "a", "p": "b", "f": "c", "file_row_number": 7}]
    shared.write(rows, partition_by=["p"])
    found = shared.pull()
    assert found == rows


def test_an_empty_table_has_its_columns(shared: Shared) -> None:
    shared.write(pa.Table.from_pylist([], SCHEMA))
    assert shared.pull() == []
    assert shared.source.pulled and shared.source.pulled.columns == tuple(SCHEMA.names)


def test_a_missing_column_is_said_before_anything_is_fetched(shared: Shared) -> None:
    shared.write([{"ids": "1"}])
    with pytest.raises(CitylakeError) as caught:
        shared.pull()
    assert caught.value.code == "pull.columns_missing" and "“ids”" in str(caught.value)
    assert shared.server.asked == ["metadata"]


def test_a_changed_grant_is_pulled_though_the_version_is_the_same(shared: Shared) -> None:
    shared.write(ROWS)
    shared.pull()
    real = shared.server.lines

    def narrower(table: Any) -> list[dict[str, Any]]:
        lines = real(table)
        fields = json.loads(lines[1]["metaData"]["schemaString"])["fields"]
        lines[1]["metaData"]["schemaString"] = json.dumps({"type": "struct", "fields": fields[:1]})
        return lines

    shared.server.lines = narrower  # type: ignore[method-assign]
    found = shared.pull()
    assert found is not None and sorted(row["id"] for row in found) == ["0", "1", "2", "3"]
    assert list(found[0]) == ["id"]


def test_a_list_of_files_on_several_pages(shared: Shared) -> None:
    for number in range(5):
        shared.write([{"id": str(number)}])
    shared.server.page = 2
    found = shared.pull()
    assert found is not None and sorted(row["id"] for row in found) == ["0", "1", "2", "3", "4"]
    assert shared.server.asked.count("query") == 3


def test_a_server_without_end_of_stream(shared: Shared) -> None:
    shared.server.end_action = False
    shared.write(ROWS)
    assert len(shared.pull() or []) == 4


def test_the_token_goes_to_the_server_and_not_to_the_store(shared: Shared) -> None:
    shared.write(ROWS)
    shared.pull()
    shown = [headers.get("authorization") for headers in shared.server.headers]
    assert shown == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", None]


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_the_clocks_of_two_cities_may_differ(shared: Shared, skew: float) -> None:
    shared.server.skew = skew
    shared.write(ROWS)
    assert len(shared.pull() or []) == 4


def test_passing_faults_are_got_over(shared: Shared) -> None:
    shared.write(ROWS)
    shared.server.faults = [fault(503), fault(429)]
    assert len(shared.pull() or []) == 4


def test_files_that_came_are_kept_when_addresses_end(shared: Shared) -> None:
    for number in range(3):
        shared.write([{"id": str(number)}])
    served: list[str] = []
    real = shared.server.send_file

    def ends_after_one(request: Any, path: str, query: dict[str, list[str]]) -> None:
        if len(served) in (1, 3):  # the second file fails twice, each time with its address too old
            served.append("")
            send(request, 403, b"<Error/>")
        else:
            served.append(path)
            real(request, path, query)

    shared.server.send_file = ends_after_one  # type: ignore[method-assign]
    found = shared.pull()
    assert found is not None and sorted(row["id"] for row in found) == ["0", "1", "2"]
    fetched = [path for path in served if path]
    assert len(fetched) == len(set(fetched)) == 3
    assert shared.server.asked.count("query") == 3


def test_an_address_that_is_over_is_not_asked_for(shared: Shared) -> None:
    shared.write(ROWS)
    shared.server.lifetime = -60
    error = shared.refused("pull.exchange_file")
    assert error.arguments["problem"] == "Expired"
    assert shared.server.asked == ["metadata", "query", "query", "query"]
    shared.server.lifetime = 900
    assert len(shared.pull() or []) == 4


@pytest.mark.parametrize("broken", [cut_off, fault(500), fault(200, b"short"), fault(200, b"x" * 100_000)])
def test_a_file_that_does_not_come_whole_is_not_taken(shared: Shared, broken: Any) -> None:
    shared.write(ROWS)
    real = shared.server.send_file
    shared.server.send_file = lambda request, path, query: broken(request)  # type: ignore[method-assign]
    shared.refused("pull.exchange_file")
    assert shared.source.position == {}
    shared.server.send_file = real  # type: ignore[method-assign]
    assert len(shared.pull() or []) == 4


def test_a_digest_that_the_store_shows_is_checked(shared: Shared) -> None:
    shared.write(ROWS)

    def wrong(request: Any, path: str, query: Any) -> None:
        body = (shared.location / path).read_bytes()
        send(request, 200, body, {"Content-MD5": base64.b64encode(b"0" * 16).decode()})

    shared.server.send_file = wrong  # type: ignore[method-assign]
    assert shared.refused("pull.exchange_file").arguments["problem"] == "Content-MD5"


def test_another_number_of_rows_than_told_is_not_taken(shared: Shared) -> None:
    shared.write(ROWS)
    shared.server.change_file = lambda add: add.update(stats='{"numRecords": 5}')
    assert shared.refused("pull.exchange_rows").arguments["problem"] == "4 ≠ 5"


def test_a_file_that_is_no_parquet_is_said(shared: Shared) -> None:
    shared.write(ROWS)

    def scrambled(request: Any, path: str, query: Any) -> None:
        send(request, 200, bytes(len((shared.location / path).read_bytes())))

    shared.server.send_file = scrambled  # type: ignore[method-assign]
    shared.refused("pull.exchange_rows")


def test_a_version_that_comes_while_files_are_fetched_is_taken_instead(shared: Shared) -> None:
    for number in range(2):
        shared.write([{"id": str(number)}])
    real, calls = shared.server.send_file, []

    def republished(request: Any, path: str, query: Any) -> None:
        calls.append(path)
        if len(calls) == 2:
            shared.write([{"id": "7"}], "overwrite")
            send(request, 404)
        else:
            real(request, path, query)

    shared.server.send_file = republished  # type: ignore[method-assign]
    assert shared.pull() == [{"id": "7"}]
    assert shared.source.position["version"] == 2


def test_a_revoked_token_is_said_and_nothing_is_lost(shared: Shared) -> None:
    shared.write(ROWS)
    shared.pull()
    kept = dict(shared.source.position)
    shared.write([{"id": "9", "county": "霍山"}])
    shared.server.tokens.clear()
    error = shared.refused("pull.exchange_denied")
    assert (error.arguments["status"], error.arguments["reason"]) == (401, "UNAUTHENTICATED")
    assert shared.source.position == kept
    shared.server.tokens.add(TOKEN)
    assert len(shared.pull() or []) == 5


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "denied"),
        (404, "no_table"),
        (400, "refused"),
        (302, "refused"),
        (500, "unreachable"),
        (503, "unreachable"),
    ],
)
def test_every_refusal_names_the_owner(shared: Shared, status: int, code: str) -> None:
    shared.server.faults = [fault(status, b'{"errorCode": "geheim secret"}')] * 3
    assert shared.refused(f"pull.exchange_{code}").arguments.get("reason", "—") == "—"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"protocol": {"minReaderVersion": 1}}', b'{"a": 1', b"5"])
def test_what_is_not_the_protocol_is_said(shared: Shared, body: bytes) -> None:
    shared.server.faults = [lambda request: send(request, 200, body, {"Delta-Table-Version": "0"})]
    shared.refused("pull.exchange_answer")


def test_a_list_that_is_cut_off_is_not_taken_for_whole(shared: Shared) -> None:
    shared.write(ROWS)
    shared.write(ROWS)
    lines = shared.server.lines(DeltaTable(shared.location))
    body = "\n".join(map(json.dumps, lines)).encode()
    headers = {"Delta-Table-Version": "1", "delta-sharing-capabilities": "includeEndStreamAction=true"}

    def answer(request: Any) -> None:
        send(request, 200, body, headers)

    shared.server.faults = [answer] * 4  # the first for the metadata, which has no stream
    shared.refused("pull.exchange_unreachable")


@pytest.mark.parametrize(
    ("protocol", "configuration", "feature"),
    [
        ({"minReaderVersion": 4}, {}, "minReaderVersion 4"),
        ({"minReaderVersion": 3, "readerFeatures": ["variantType"]}, {}, "variantType"),
        ({"minReaderVersion": 2}, {"delta.columnMapping.mode": "name"}, "columnMapping"),
    ],
)
def test_a_table_for_other_readers_is_said(
    shared: Shared, protocol: dict[str, Any], configuration: dict[str, str], feature: str
) -> None:
    shared.write(ROWS)
    shared.server.format = "delta"
    shared.server.protocol, shared.server.configuration = protocol, configuration
    assert shared.refused("pull.exchange_unsupported").arguments["feature"] == feature


def test_features_without_use_do_not_hinder(shared: Shared) -> None:
    shared.write(ROWS)
    shared.server.format = "delta"
    shared.server.protocol = {"minReaderVersion": 3, "readerFeatures": ["deletionVectors", "columnMapping"]}
    shared.server.configuration = {"delta.columnMapping.mode": "none"}
    assert len(shared.pull() or []) == 4


def test_deleted_rows_are_not_pulled_as_if_they_were_there(shared: Shared) -> None:
    shared.write(ROWS)
    shared.server.format = "delta"
    shared.server.change_file = lambda add: add.update(deletionVector={"storageType": "u", "cardinality": 1})
    assert shared.refused("pull.exchange_unsupported").arguments["feature"] == "deletionVectors"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_profile"),
        ("geheim-token", "no_profile"),
        ("[]", "no_profile"),
        ('{"shareCredentialsVersion": 1, "endpoint": "https://x"}', "no_profile"),
        ('{"shareCredentialsVersion": 1, "endpoint": "file:///x", "bearerToken": "geheim"}', "no_profile"),
        ('{"shareCredentialsVersion": 1, "endpoint": "https://x", "bearerToken": "geheim\\n"}', "no_profile"),
        ('{"shareCredentialsVersion": 2, "clientSecret": "geheim"}', "profile_version"),
        ('{"shareCredentialsVersion": 3, "type": "geheim", "endpoint": "https://x"}', "profile_version"),
        ('{"shareCredentialsVersion": 2, "type": "oauth_client_credentials", "endpoint": "https://x"}', "no_profile"),
        (json.dumps(CLIENT | {"tokenEndpoint": "file:///geheim"}), "no_profile"),
        (json.dumps(CLIENT | {"clientSecret": 7}), "no_profile"),
        (json.dumps(CLIENT | {"expirationTime": "2001-01-01T00:00:00Z"}), "profile_expired"),
        (
            '{"shareCredentialsVersion": 1, "endpoint": "https://x", "bearerToken": "geheim", '
            '"expirationTime": "2026-01-01T00:00:00.0Z"}',
            "profile_expired",
        ),
    ],
)  # fmt: skip
def test_a_profile_that_is_none_is_said_without_its_text(shared: Shared, text: str, code: str) -> None:
    shared.source.secret = text
    shared.refused(f"pull.{code}")


def test_a_profile_that_is_still_good(shared: Shared) -> None:
    shared.write(ROWS)
    shared.source.secret = shared.server.profile(expirationTime="2999-01-01T00:00:00Z")
    assert len(shared.pull() or []) == 4


@pytest.mark.parametrize("table", ["residents", "a.b", "a.b.c.d", "a..c", "a.b.c/d"])
def test_a_table_is_named_in_three_parts(table: str) -> None:
    with pytest.raises(VerbError):
        connectors["exchange"].bind({"connection": "x", "table": table})


def test_a_server_without_a_feed_is_pulled_whole(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    shared.write(ROWS)
    assert shared.pull(follow=True) == ROWS and not caplog.messages
    shared.write([{"id": "9", "county": "霍山"}])
    found = shared.pull(follow=True)
    assert found is not None and sorted(row["id"] for row in found) == ["0", "1", "2", "3", "9"]
    assert "（404）" in caplog.text and shared.pull(follow=True) is None


@FORMATS
@pytest.mark.parametrize("partition_by", [[], ["county"]])
def test_whole_files_that_came_and_went_are_followed(
    shared: Shared, kind: str, partition_by: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What a foreign server without files of changes tells of versions; values of partition columns are in its list."""
    shared.server.format, shared.server.feed = kind, True
    shared.write(ROWS, partition_by=partition_by)
    assert shared.pull(follow=True) is not None
    for row in ({"id": "9", "county": "霍山"}, {"id": "9", "county": "霍山"}, {"id": None, "county": "裕安"}):
        shared.write([row], partition_by=partition_by)
    DeltaTable(shared.location).delete("county = '金安'")
    shared.server.asked.clear()
    found = shared.pull(follow=True)
    wanted = DeltaTable(shared.location).to_pyarrow_table().to_pylist()
    assert found is not None and sorted(map(repr, found)) == sorted(map(repr, wanted)) and len(found) == 5
    assert shared.source.position["by"] == "changes" and not caplog.messages
    assert shared.server.asked[:2] == ["metadata", "changes"] and shared.server.asked[-1] == "query"


def test_a_feed_that_fails_every_time_is_not_waited_for(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    """The snapshot of the same server is there."""
    shared.server.feed = True
    shared.write(ROWS)
    shared.pull(follow=True)
    real = shared.server.send_table

    def broken(request: Any, body: dict[str, Any]) -> None:
        send(request, 500, b"{}") if "/changes" in request.path else real(request, body)

    shared.server.send_table = broken  # type: ignore[method-assign]
    shared.write([{"id": "9", "county": "霍山"}])
    assert len(shared.pull(follow=True) or []) == 5
    assert shared.source.position["by"] == "snapshot" and "（HTTP 500）" in caplog.text
