"""The decoder of MySQL's rows against a plain model of the protocol: any cells, in any pieces, whole or cut."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.connectors.database import mysql_rows
from pipelines.connectors.database.mysql_rows import Broken, Refused, blocks

Row = Sequence[bytes | None]
EOF = b"\xfe\x00\x00\x02\x00"

CELLS = st.none() | st.binary(max_size=12) | st.sampled_from([b"\xfb", b"\xff" * 250, b"x" * 251, b"y" * 300])
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.tuples(st.just(width), st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12))
)


def cell(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + size.to_bytes(8, "little") + value


def packet(payload: bytes, longest: int) -> bytes:
    """A payload in packets, one of the greatest length always followed by another."""
    parts = [payload[at : at + longest] for at in range(0, len(payload) + 1, longest)]
    return b"".join(len(part).to_bytes(3, "little") + b"\7" + part for part in parts)


def sent(rows: Sequence[Row], end: bytes = EOF, longest: int = mysql_rows.LONGEST) -> bytes:
    return b"".join(packet(b"".join(map(cell, row)), longest) for row in rows) + packet(end, longest)


def reader(content: bytes, sizes: Sequence[int]) -> Callable[[int], bytes]:
    """Gives the content in pieces of these sizes, then nothing."""
    at, turn = 0, 0

    def read(most: int) -> bytes:
        nonlocal at, turn
        size = min(most, sizes[turn % len(sizes)])
        turn += 1
        at += size
        return content[at - size : at]

    return read


def decoded(content: bytes, width: int, sizes: Sequence[int]) -> list[list[bytes | None]]:
    found: list[list[bytes | None]] = []
    for columns in blocks(reader(content, sizes), width):
        found += map(list, zip(*(column.to_pylist() for column in columns), strict=True))
    return found


SIZES = st.lists(st.sampled_from([1, 3, 7, 100, 5000, 1 << 20]), min_size=1, max_size=4).filter(lambda s: max(s) > 50)


@settings(deadline=None)
@given(TABLES, SIZES, st.sampled_from([1, 200, 1 << 20]))
def test_every_cell_comes_as_it_was_sent(table: tuple[int, list[Row]], sizes: list[int], block: int) -> None:
    width, rows = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql_rows, "BLOCK", block)
        assert decoded(sent(rows), width, [max(size, 1) for size in sizes]) == [list(row) for row in rows]


@settings(deadline=None)
@given(TABLES, st.sampled_from([20, 64, 300]))
def test_rows_in_several_packets(table: tuple[int, list[Row]], longest: int) -> None:
    width, rows = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql_rows, "LONGEST", longest)
        assert decoded(sent(rows, longest=longest), width, [4096]) == [list(row) for row in rows]


@settings(deadline=None)
@given(TABLES.filter(lambda table: bool(table[1])), st.data())
def test_rows_that_are_cut_are_never_taken_for_whole(table: tuple[int, list[Row]], data: st.DataObject) -> None:
    width, rows = table
    content = sent(rows)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(Broken):
        decoded(content[:cut], width, [4096])


@settings(deadline=None)
@given(TABLES.filter(lambda table: bool(table[1])), st.integers(1, 7))
def test_another_number_of_columns_is_found(table: tuple[int, list[Row]], width: int) -> None:
    real, rows = table
    if width != real:
        with pytest.raises(Broken):
            decoded(sent(rows), width, [4096])


@settings(deadline=None)
@given(TABLES.filter(lambda table: bool(table[1])), st.data())
def test_damaged_rows_are_found_or_have_other_cells_but_never_crash(
    table: tuple[int, list[Row]], data: st.DataObject
) -> None:
    width, rows = table
    content = bytearray(sent(rows))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decoded(bytes(content), width, [4096])
    except (Broken, Refused):
        return
    assert all(len(row) == width for row in found)


@pytest.mark.parametrize("size", [250, 251, (1 << 16) - 1, 1 << 16, (1 << 24) - 1, 1 << 24, 1 << 25])
def test_every_length_of_a_cell(size: int) -> None:
    rows: list[Row] = [[b"1", b"x" * size, None], [None, b"", b"2"]]
    found = decoded(sent(rows), 3, [1 << 20])
    assert [[cell and len(cell) for cell in row] for row in found] == [[1, size, None], [None, b"", 1]]


def test_an_error_of_the_server_ends_the_rows() -> None:
    with pytest.raises(Refused) as caught:
        decoded(sent([[b"1"]], b"\xff\x51\x04#HY000stopped"), 1, [4096])
    assert caught.value.packet.endswith(b"stopped")
