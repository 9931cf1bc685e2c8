"""One contract for all stores: a folder, SFTP and S3, each behind a real server; and what only one of them can do."""

import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pipelines.connectors import drop_batch, drop_box
from pipelines.connectors.base import UNREAD
from pipelines.connectors.drop_batch import FILE
from pipelines.connectors.stores import open_store, sftp
from pipelines.connectors.stores.s3 import ATTEMPTS
from tests.connectors.conftest import OWNER, Puller
from tests.connectors.drops import HEADER, Drop
from tests.connectors.store_servers import OLD, S3Backend, SftpBackend, backend

pytestmark = pytest.mark.server


@pytest.fixture(params=["folder", "sftp", "s3"])
def drop(request: pytest.FixtureRequest, tmp_path: Path, puller: Callable[..., Puller]) -> Iterator[Drop]:
    with backend(request.param, tmp_path) as store:
        yield Drop(store, puller)


@pytest.fixture
def sftp_drop(tmp_path: Path, puller: Callable[..., Puller]) -> Iterator[tuple[Drop, SftpBackend]]:
    with backend("sftp", tmp_path) as store:
        assert isinstance(store, SftpBackend)
        yield Drop(store, puller), store


@pytest.fixture
def s3_drop(tmp_path: Path, puller: Callable[..., Puller]) -> Iterator[tuple[Drop, S3Backend]]:
    with backend("s3", tmp_path) as store:
        assert isinstance(store, S3Backend)
        yield Drop(store, puller), store


def test_files_are_deliveries_in_order_and_once(drop: Drop) -> None:
    for day in ("02", "01", "03"):
        drop.put_rows(f"birth_{day}.csv", f"{day},甲\n")
    drop.store.put("other.csv", b"x")
    found = []
    while (rows := drop.pull()) is not None:
        assert drop.source.pulled
        found.append((rows[0]["id"], drop.source.pulled.more, drop.source.pulled.origin))
    assert found == [("01", True, "birth_01.csv"), ("02", True, "birth_02.csv"), ("03", False, "birth_03.csv")]
    assert (drop.source.folder / "1" / "original-birth_01.csv").read_bytes() == f"{HEADER}01,甲\n".encode()


def test_names_of_any_script_come_back(drop: Drop) -> None:
    name = "birth_出生 #1+%20&?.csv"
    drop.put_rows(name, "1,甲\n")
    assert drop.ids() == ["1"]
    assert drop.source.pulled and drop.source.pulled.origin == name


def test_the_same_file_again_is_nothing_new_and_another_content_is(drop: Drop) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n")
    assert drop.ids() == ["1"]
    drop.put_rows("birth_1.csv", "1,甲\n", modified=OLD + 60)
    assert drop.pull() is None
    drop.put_rows("birth_1.csv", "2,乙\n", modified=OLD + 120)
    assert drop.ids() == ["2"]
    drop.store.remove("birth_1.csv")
    drop.put_rows("birth_2.csv", "3,丙\n")
    drop.pull()
    assert list(drop.source.position["files"]) == ["birth_2.csv"]


def test_files_without_their_markers_wait(drop: Drop) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n", marker=False)
    assert drop.pull() is None
    drop.store.put("birth_1.csv.ok", b"")
    assert drop.ids() == ["1"]


def test_a_pattern_does_not_take_markers(drop: Drop) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n")
    assert drop.ids(files="birth_*", complete="stable") == ["1"]
    assert drop.pull(files="birth_*", complete="stable") is None


def test_a_file_that_is_replaced_while_it_is_read_is_not_taken(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n")
    kind = type(open_store(drop.store.address, "source", OWNER))
    real, times = kind.fetch, iter(range(9))

    def replaced(store: Any, file: Any, target: Path) -> None:
        real(store, file, target)
        number = next(times)
        drop.put_rows("birth_1.csv", "2,乙\n" * (2 + number), modified=OLD + 9 + number)

    monkeypatch.setattr(kind, "fetch", replaced)
    error = drop.refused()
    assert error.code == "pull.file_changed" and OWNER in str(error)
    assert drop.refused(together=True).code == "pull.file_changed"
    monkeypatch.undo()
    assert drop.source.position == {}


def test_an_empty_store_has_nothing(drop: Drop) -> None:
    assert drop.pull() is None
    assert drop.pull(together=True) is None


def test_files_together_are_one_batch(drop: Drop) -> None:
    for day in ("03", "01", "02"):
        drop.put_rows(f"birth_{day}.csv", f"{day}a,甲\n{day}b,乙\n")
    rows = drop.pull(together=True)
    assert rows is not None
    assert [(row["id"], row[FILE]) for row in rows] == [
        (f"{day}{row}", f"birth_{day}.csv") for day in ("01", "02", "03") for row in "ab"
    ]
    assert drop.source.pulled and drop.source.pulled.columns == ("id", "name")
    assert drop.source.pulled.origin == "birth_01.csv … birth_03.csv (3)"
    with tarfile.open(drop.source.batch / "originals.tar") as archive:
        assert archive.getnames() == ["birth_01.csv", "birth_02.csv", "birth_03.csv"]
        member = archive.extractfile("birth_02.csv")
        assert member and member.read() == f"{HEADER}02a,甲\n02b,乙\n".encode()
    assert drop.pull(together=True) is None
    drop.put_rows("birth_01.csv", "01a,甲\n01b,乙\n", modified=OLD + 60)
    drop.put_rows("birth_04.csv", "04a,丁\n")
    assert drop.ids(together=True) == ["04a"]
    assert not drop.source.pulled.more


def test_files_together_may_differ_in_columns(drop: Drop) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n2,乙,多\n")
    drop.store.put("birth_2.csv", "name,remark,id\n丙,注,3\n".encode(), OLD)
    drop.store.put("birth_2.csv.ok", b"")
    drop.store.put("birth_3.csv", "id,name,REMARK\n4,丁,再\n".encode(), OLD)
    drop.store.put("birth_3.csv.ok", b"")
    rows = drop.pull(together=True)
    first, second, third = "birth_1.csv", "birth_2.csv", "birth_3.csv"
    assert rows == [
        {"id": "1", "name": "甲", "remark": None, UNREAD: None, FILE: first},
        {"id": None, "name": None, "remark": None, UNREAD: "2,乙,多", FILE: first},
        {"id": "3", "name": "丙", "remark": "注", UNREAD: None, FILE: second},
        {"id": "4", "name": "丁", "remark": "再", UNREAD: None, FILE: third},
    ]


def test_one_bad_file_among_many_is_named_and_none_is_taken(drop: Drop) -> None:
    drop.put_rows("birth_1.csv", "1,甲\n")
    drop.put_rows("birth_2.csv", '2,"乙\n')
    error = drop.refused(together=True)
    assert (error.code, error.arguments["file"]) == ("pull.csv_broken", "birth_2.csv")
    assert drop.source.position == {}


def test_more_files_than_a_batch_holds(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drop_batch, "MOST_FILES", 2)
    for number in range(3):
        drop.put_rows(f"birth_{number}.csv", f"{number},甲\n")
    assert drop.ids(together=True) == ["0", "1"]
    assert drop.source.pulled and drop.source.pulled.more
    assert drop.ids(together=True) == ["2"]
    assert not drop.source.pulled.more


# --- SFTP ---


def test_a_touched_file_is_not_fetched_twice(sftp_drop: tuple[Drop, SftpBackend]) -> None:
    drop, server = sftp_drop
    drop.put_rows("birth_1.csv", "1,甲\n")
    drop.pull()
    assert drop.pull() is None
    assert server.fetched == ["birth_1.csv"]
    drop.put_rows("birth_1.csv", "1,甲\n", modified=OLD + 60)
    assert drop.pull() is None
    assert drop.pull() is None
    assert server.fetched == ["birth_1.csv"] * 2


@pytest.mark.parametrize(("age", "ready"), [(5, False), (60, True), (-7200, False)])
def test_a_young_file_waits(sftp_drop: tuple[Drop, SftpBackend], age: int, ready: bool) -> None:
    drop, _ = sftp_drop
    drop.put_rows("birth_1.csv", "1,甲\n", marker=False, modified=time.time() - age)
    assert (drop.pull(complete="stable") is not None) == ready


def test_a_server_whose_clock_is_ahead(sftp_drop: tuple[Drop, SftpBackend], monkeypatch: pytest.MonkeyPatch) -> None:
    """What still looks as it did at a look long enough ago is complete; what has grown since waits again."""
    drop, _ = sftp_drop
    now = [time.time()]
    monkeypatch.setattr(drop_box.time, "time", lambda: now[0])
    ahead = now[0] + 7200
    drop.put_rows("birth_1.csv", "1,甲\n", marker=False, modified=ahead)
    assert drop.pull(complete="stable") is None
    assert drop.pull(complete="stable") is None  # a look at once after the other says nothing
    drop.put_rows("birth_1.csv", "1,甲\n2,乙\n", marker=False, modified=ahead)
    now[0] += drop_box.STABLE_SECONDS
    assert drop.pull(complete="stable") is None
    now[0] += drop_box.STABLE_SECONDS
    assert drop.ids(complete="stable", together=True) == ["1", "2"]


def test_only_pinned_servers_are_spoken_to(sftp_drop: tuple[Drop, SftpBackend], tmp_path: Path) -> None:
    drop, server = sftp_drop
    drop.put_rows("birth_1.csv", "1,甲\n")
    known = tmp_path / "known_hosts"
    other = asyncssh.generate_private_key("ssh-ed25519")
    line = f"[127.0.0.1]:{server.port} "
    known.write_text(line + other.export_public_key().decode())
    for address in (
        server.address_with(),
        server.address_with(host_key="SHA256:" + "A" * 43),
        server.address_with(known_hosts=str(known)),
    ):
        drop.source.secret = address
        error = drop.refused()
        assert error.code == "pull.store_host_key" and OWNER in str(error)
    assert server.logins == []  # no account and no password was shown to it
    known.write_text(line + server.key.export_public_key().decode())
    drop.source.secret = server.address_with(known_hosts=str(known))
    assert drop.ids() == ["1"]


def test_a_private_key_opens_too(sftp_drop: tuple[Drop, SftpBackend], tmp_path: Path) -> None:
    drop, server = sftp_drop
    drop.put_rows("birth_1.csv", "1,甲\n")
    file, pinned = tmp_path / "id", server.key.get_fingerprint()
    file.write_bytes(server.user_key.export_private_key("openssh", passphrase="geheim", rounds=1))
    drop.source.secret = server.address_with("wrong", host_key=pinned, key=str(file))
    assert drop.refused().code == "pull.store_unreachable"
    drop.source.secret = server.address_with("geheim", host_key=pinned, key=str(file))
    assert drop.ids() == ["1"]


def test_links_and_folders_behind_sftp_are_no_deliveries(sftp_drop: tuple[Drop, SftpBackend], tmp_path: Path) -> None:
    drop, server = sftp_drop
    (tmp_path / "secret").write_text(HEADER)
    (server.root / "birth_1.csv").symlink_to(tmp_path / "secret")
    (server.root / "birth_2.csv").mkdir()
    drop.put_rows(".birth_3.csv", "1,甲\n")
    assert drop.pull(files="*", complete="stable") is None


def test_a_name_that_is_no_text_is_said_of_sftp_too(sftp_drop: tuple[Drop, SftpBackend]) -> None:
    drop, server = sftp_drop
    (Path(str(server.root).encode().decode()) / "birth_出生.csv".encode("gbk").decode(errors="surrogateescape")).touch()
    error = drop.refused()
    assert (error.code, error.arguments["file"]) == ("pull.file_name", "birth_出生.csv")


def test_what_is_wrong_with_sftp_is_said(sftp_drop: tuple[Drop, SftpBackend], monkeypatch: pytest.MonkeyPatch) -> None:
    drop, server = sftp_drop
    monkeypatch.setattr(sftp, "PATIENCE", 1.0)
    pinned = server.key.get_fingerprint()
    drop.source.secret = server.address_with("wrong geheim", host_key=pinned)
    assert drop.refused().code == "pull.store_unreachable"
    drop.source.secret = server.address.replace("/%E6%8A%95%E6%94%BE", "/nowhere")
    assert drop.refused().code == "pull.store_no_folder"
    with socket.socket() as silent:  # accepts and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        drop.source.secret = server.address.replace(str(server.port), str(silent.getsockname()[1]))
        assert drop.refused().code == "pull.store_unreachable"


# --- S3 ---


def test_only_objects_of_the_prefix(s3_drop: tuple[Drop, S3Backend]) -> None:
    drop, server = s3_drop
    for key in ("birth_0.csv", "投放/birth_0.csv", "投放/卫健/old/birth_0.csv", "投放/卫健2/birth_0.csv"):
        server.client.put_object(Bucket="drop", Key=key, Body=HEADER.encode())
    drop.put_rows("birth_1.csv", "1,甲\n")
    assert drop.ids(complete="stable") == ["1"]
    assert drop.pull(complete="stable") is None


def test_an_upload_in_parts_is_not_seen_before_it_is_whole(s3_drop: tuple[Drop, S3Backend]) -> None:
    drop, server = s3_drop
    key = {"Bucket": "drop", "Key": "投放/卫健/birth_1.csv"}
    upload = server.client.create_multipart_upload(**key)["UploadId"]
    body = (HEADER + "1,甲\n").encode()
    part = server.client.upload_part(**key, UploadId=upload, PartNumber=1, Body=body)
    assert drop.pull(complete="stable") is None
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    server.client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload=parts)
    assert drop.ids(complete="stable") == ["1"]


def test_what_is_wrong_with_s3_is_said(s3_drop: tuple[Drop, S3Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    drop, server = s3_drop
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")  # not of this machine's account: the secret alone counts
    drop.source.secret = server.address_of("nobucket")
    assert drop.refused().code == "pull.store_no_folder"
    attempts: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        threading.Thread(target=hang_up, args=(deaf, attempts), daemon=True).start()
        drop.source.secret = server.address_of("drop", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert drop.refused().code == "pull.store_unreachable"
    assert len(attempts) == ATTEMPTS
    for address in ("s3://drop/x", "s3://drop/x?endpoint=nowhere", "s3:///x?endpoint=http://h"):
        drop.source.secret = address
        assert drop.refused().code == "pull.store_unreachable"


def hang_up(listening: socket.socket, attempts: list[object]) -> None:
    """Accept every connection and end it without a word, until the socket is closed."""
    with suppress(OSError):
        while True:
            connection, address = listening.accept()
            attempts.append(address)
            connection.close()


# --- many small files ---


@pytest.mark.long
def test_very_many_small_files_are_one_batch(drop: Drop) -> None:
    most = 100 if isinstance(drop.store, S3Backend) else 250  # the test's S3 server is slow
    for number in range(most):
        drop.store.put(f"birth_{number:04}.csv", f"{HEADER}{number},甲\n{number}x,乙\n".encode(), OLD)
    rows = drop.pull(together=True, complete="stable")
    assert rows is not None
    assert [row[FILE] for row in rows] == [f"birth_{number:04}.csv" for number in range(most) for _ in "12"]
    assert drop.pull(together=True, complete="stable") is None
    assert len(drop.source.position["files"]) == most
