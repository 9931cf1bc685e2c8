"""Candidates: clones share files, promotion makes released equal to the candidate, whatever happened before."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_tables import put_query, read_rows

from pipelines.lake.candidate import clone_released, fingerprint, promote
from pipelines.lake.delta import commit_metadata, latest, open_table, table_files
from pipelines.lake.errors import ChangedColumns, DiskFull, StaleWrite, TornFile
from tests.draws import draws

Put = Callable[..., int]


def release(candidate: Path, version: int, released: Path, number: int, allow: bool = True) -> int:
    return promote(
        candidate,
        version,
        released,
        allow_schema_change=allow,
        metadata={"n": str(number)},
        transaction=("release", number),
    )


def test_a_clone_links_the_files_and_forgets_the_history(tmp_path: Path, put: Put) -> None:
    released, clone = tmp_path / "r", tmp_path / "c"
    put(released, "select i as id, i % 2 as part from range(10) t(i)", partition_by=("part",))
    put(released, "select 11::bigint as id, 1::bigint as part", "append", 0, partition_by=("part",))
    clone_released(released, 1, clone)
    assert latest(clone) == 0
    assert table_files(open_table(clone)) == table_files(open_table(released, 1))
    assert fingerprint(clone, 0) == fingerprint(released, 1) != fingerprint(released, 0)
    for file in table_files(open_table(clone)):
        assert (clone / file.path).samefile(released / file.path)


def test_a_clone_across_devices_copies(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another device")

    put(tmp_path / "r", "select 1 as id")
    monkeypatch.setattr(os, "link", refuse)
    clone_released(tmp_path / "r", 0, tmp_path / "c")
    shutil.rmtree(tmp_path / "r")
    assert read_rows(tmp_path / "c") == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "select i as id, 'a' as name from range(11) t(i)",  # rows
        "select i as id, 'b' as name from range(10) t(i)",  # a value
        "select i as id, 'a' as other from range(10) t(i)",  # a column's name
        "select cast(i as int) as id, 'a' as name from range(10) t(i)",  # a type
        "select 'a' as name, i as id from range(10) t(i)",  # the order of columns
    ],
)
def test_the_fingerprint_changes_with_the_content(tmp_path: Path, put: Put, query: str) -> None:
    put(tmp_path / "a", "select i as id, 'a' as name from range(10) t(i)")
    clone_released(tmp_path / "a", 0, tmp_path / "same")
    put(tmp_path / "b", query)
    name = table_files(open_table(tmp_path / "a"))[0].path
    (tmp_path / "b" / table_files(open_table(tmp_path / "b"))[0].path).rename(tmp_path / "b" / name)
    assert fingerprint(tmp_path / "a", 0) == fingerprint(tmp_path / "same", 0) != fingerprint(tmp_path / "b", 0)


def test_promotion_is_idempotent_by_transaction(tmp_path: Path, put: Put) -> None:
    candidate, released = tmp_path / "c", tmp_path / "r"
    put(candidate, "select 1 as id")
    put(candidate, "select 2 as id", "append", 0)
    assert [release(candidate, 0, released, 1), release(candidate, 1, released, 2)] == [0, 1]
    assert [release(candidate, 0, released, 1), release(candidate, 1, released, 2)] == [0, 1]  # replays
    assert release(candidate, 1, released, 3) == 1  # equal already
    assert latest(released) == 1
    assert commit_metadata(released, 1) == {"n": "2"}
    assert fingerprint(released, 1) == fingerprint(candidate, 1)


def test_changed_columns_need_permission(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "a", "select 1 as id, 1 as day", partition_by=("day",))
    put(tmp_path / "b", "select 1 as id, 2 as day, 3 as more", partition_by=("day",))
    put(tmp_path / "c", "select 1 as id, 2 as day, 3 as more")
    released = tmp_path / "r"
    release(tmp_path / "a", 0, released, 1)
    for number, name in enumerate(("b", "c", "a"), 2):
        with pytest.raises(ChangedColumns):
            release(tmp_path / name, 0, released, number, allow=False)
        version = release(tmp_path / name, 0, released, number)
        assert read_rows(released, version) == read_rows(tmp_path / name)
        assert fingerprint(released, version) == fingerprint(tmp_path / name, 0)


def test_a_file_kept_while_columns_change(tmp_path: Path, put: Put) -> None:
    """A killed run released a grown schema; the next candidate continues the version before it."""
    candidate, released = tmp_path / "c", tmp_path / "r"
    put(candidate, "select 1 as id")
    put(candidate, "select 2 as id, 3 as more", "append", 0, evolve=True)
    release(candidate, 0, released, 1)
    release(candidate, 2, released, 2)
    version = release(candidate, 0, released, 3)
    assert read_rows(released, version) == [(1,)]
    assert polars.read_delta(str(released)).rows() == [(1,)]


def test_columns_come_without_an_empty_version(tmp_path: Path, put: Put) -> None:
    """A table that keeps its days grows: whoever reads the newest version in between finds every row."""
    candidate, released = tmp_path / "c", tmp_path / "r"
    put(candidate, "select 1 as id, 1 as day", partition_by=("day",))
    put(candidate, "select 2 as id, 3 as more, 2 as day", "replace_partition", 0, partition_by=("day",))
    release(candidate, 0, released, 1)
    version = release(candidate, 2, released, 2)
    assert fingerprint(released, version) == fingerprint(candidate, 2)
    assert [len(read_rows(released, one)) for one in range(version + 1)] == [1, 1, 2]


def test_a_torn_candidate_is_not_promoted(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "c", "select 1 as id")
    file = tmp_path / "c" / table_files(open_table(tmp_path / "c"))[0].path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TornFile):
        release(tmp_path / "c", 0, tmp_path / "r", 1)
    assert latest(tmp_path / "r") is None


@pytest.mark.parametrize("call", ["link", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_version(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    candidate, released = tmp_path / "c", tmp_path / "r"
    put(candidate, "select 1 as id")
    release(candidate, 0, released, 1)
    put(candidate, "select 2 as id", "table", 0)
    with monkeypatch.context() as full:
        full.setattr(os, call, refuse)
        with pytest.raises(DiskFull, match="disk full"):
            release(candidate, 1, released, 2)
    assert latest(released) == 0
    assert read_rows(released) == [(1,)]
    assert release(candidate, 1, released, 2) == 1
    assert read_rows(released) == [(2,)]


def test_another_writer_is_not_overwritten(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate, released = tmp_path / "c", tmp_path / "r"
    put(candidate, "select 1 as id")
    release(candidate, 0, released, 1)
    put(candidate, "select 2 as id", "append", 0)
    seen = open_table(released)
    put(released, "select 3 as id", "append", 0)
    monkeypatch.setattr("pipelines.lake.candidate.open_table", lambda p, v: seen if p == released else open_table(p, v))
    with pytest.raises(StaleWrite):
        release(candidate, 1, released, 2)


# Each step makes the next candidate: from nothing, or continued from any version ever released.
STEP = st.tuples(
    st.sampled_from(["table", "append", "replace_partition", "narrow"]),
    st.integers(0, 9),
    st.integers(0, 3),
    st.booleans(),
)


@settings(max_examples=draws(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=6))
def test_released_equals_the_candidate_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, int, int, bool]]
) -> None:
    """Also when the ledger forgets a release, as after a kill between commit and ledger."""
    folder = tmp_path_factory.mktemp("history")
    released, known = folder / "r", [0]
    seed = "select i as id, i % 3 as part from range(6) t(i)"
    put_query(folder / "seed", seed, partition_by=("part",))
    release(folder / "seed", 0, released, 1)
    for number, (strategy, start, base, remembered) in enumerate(steps, 2):
        candidate, rows = folder / f"c{number}", f"select {start} + i as id, i % 2 as part from range(3) t(i)"
        if strategy in ("table", "narrow"):
            wanted = rows if strategy == "table" else rows.replace("as id", "as identity")
            version = put_query(candidate, wanted, partition_by=("part",) if strategy == "table" else ())
        else:
            base_version = known[base % len(known)]
            clone_released(released, base_version, candidate)
            if "identity" in open_table(candidate).schema().to_json():
                continue
            version = put_query(candidate, rows, strategy, 0, partition_by=("part",))
        done = release(candidate, version, released, number)
        assert read_rows(released, done) == read_rows(candidate, version)
        assert fingerprint(released, done) == fingerprint(candidate, version)
        assert sorted(polars.read_delta(str(released)).rows(), key=str) == sorted(
            read_rows(candidate, version), key=str
        )
        known += [done] if remembered else []
    assert read_rows(released, 0) == read_rows(folder / "seed")
    shutil.rmtree(folder)
