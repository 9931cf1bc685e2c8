"""Archives: the members that are asked for and nothing else, whatever their names lead to and however they swell."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.connectors.base import UNREAD
from pipelines.connectors.formats import archive
from pipelines.messages import CitylakeError
from tests.connectors.formats.reading import local, read, read_file

CSV = "编号,名称\n{},六安\n"


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes], mode: Any = "w:gz", kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            info.linkname = "/etc/passwd"
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def refused(data: bytes, **options: Any) -> CitylakeError:
    with pytest.raises(CitylakeError) as caught:
        read(data, **{"member": "*.csv"} | options)
    assert caught.value.text("zh") and caught.value.text("en")
    return caught.value


@pytest.mark.parametrize("pack", [zipped, tarred, lambda members: tarred(members, "w")])
def test_members_follow_each_other_by_name(pack: Any) -> None:
    data = pack({"b/2.csv": CSV.format(2).encode(), "1.csv": CSV.format(1).encode(), "readme.txt": b"x"})
    rows = read(data, member="*.csv")
    assert rows == [{"编号": number, "名称": "六安", UNREAD: None} for number in ("1", "2")]
    assert len(read(data, member="b/*.csv")) == 1


def test_names_in_gbk_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("AA.csv", CSV.format(1).encode("gbk"))
    data = out.getvalue().replace(b"AA.csv", "出".encode("gbk") + b".csv")
    assert read(data, member="出.csv", encoding="gbk")[0]["名称"] == "六安"


@pytest.mark.parametrize("name", ["../a.csv", "/etc/a.csv", "b/../../a.csv", "C:\\a.csv", "..\\a.csv"])
def test_paths_that_lead_out_are_refused(name: str) -> None:
    for data in (zipped({name: b"x"}), tarred({name: b"x"})):
        assert refused(data).code == "format.member_path"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes) -> None:
    assert refused(tarred({"a.csv": b""}, kind=kind)).code == "format.member_path"
    info = zipfile.ZipInfo("a.csv")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(info, "/etc/passwd")
    assert refused(out.getvalue()).code == "format.member_path"


def test_what_swells_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "HARMLESS", 100_000)
    assert refused(zipped({"a.csv": b"0" * 10_000_000})).code == "format.too_large"
    monkeypatch.setattr(archive, "LARGEST", 10)
    assert refused(zipped({"a.csv": CSV.format(1).encode()})).code == "format.too_large"


def test_archives_in_archives_are_refused() -> None:
    inner = zipped({"a.csv": b"x"})
    for data in (
        zipped({"b.csv": inner}),
        zipped({"b.csv": tarred({"a": b"x"}, "w")}),
        zipped({"b.csv": tarred({"a": b"x"})}),
    ):
        assert refused(data).code == "format.nested_archive"


def test_encrypted_members_are_said() -> None:
    data = bytearray(zipped({"a.csv": b"x"}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    assert refused(bytes(data)).code == "format.encrypted"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped({"a.txt": b"x"}), "format.no_member"),
        (zipped({"a.csv": b"id\n1\n", "b.csv": b"no\n1\n"}), "format.members_differ"),
        (zipped({"a.csv": b"id\n1\n", "b.csv": "id,李建国\n1,2\n".encode()}), "format.members_differ"),
        (b"id,name\n", "format.no_archive"),
        (b"Rar!\x1a\x07\x00", "format.archive_kind"),
        (gzip.compress(b"id,name\n"), "format.archive_kind"),
        (b"", "format.no_archive"),
        (zipped({"a.csv": b"id\n" + bytes(range(256)) * 99})[:-200], "format.no_archive"),
        (tarred({"a.csv": b"id\n" + bytes(range(256)) * 99})[:300], "format.archive_broken"),
    ],
)
def test_what_is_no_archive_is_said(data: bytes, code: str) -> None:
    error = refused(data)
    assert error.code == code
    assert "李建国" not in error.text("zh") + error.text("en") + str(error.arguments)  # a column called like somebody


def test_an_archive_without_a_member_named_is_said() -> None:
    assert refused(zipped({"a.csv": b"x"}), member=None).code == "format.is_archive"
    assert refused(gzip.compress(b"id,name\n"), member=None).code == "format.archive_kind"


def test_a_damaged_member_is_said(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.csv": bytes(range(256)) * 40}))
    data[60] ^= 0xFF
    with pytest.raises(CitylakeError) as caught:
        read_file(local(tmp_path, bytes(data)), "csv", member="*")
    assert caught.value.code == "format.archive_broken"
    assert not list((tmp_path / "scratch").glob("members-*"))
