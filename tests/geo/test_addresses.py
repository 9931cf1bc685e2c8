"""Texts of addresses find their standard address or none: a sample in every way of writing, and the traps of Lu'an."""

import duckdb
import pytest

from benchmarks.addresses import division_list, measure
from pipelines.geo.addresses import MATCHED, match
from simulator.address_dirt import WAYS
from tests.city import seed_from_clock

# address_id, division_code, street, gate, building, unit, room
STANDARD = [
    ("三元", "341504102001", "人民路", "8", "", "", ""),
    ("城关霍邱", "341522100001", "人民路", "8", "2", "1", "301"),
    ("城关舒城", "341523100001", "人民路", "8", "2", "1", "301"),
    ("金安孙岗", "341502108200", "老庄组", "5", "", "", ""),
    ("叶集孙岗", "341504200211", "老庄组", "5", "", "", ""),
    ("流波", "341524112201", "老庄组", "5", "", "", ""),
    ("开发区", "341502400001", "经一路", "6-1", "", "", ""),
]


def answers(*texts: tuple[str, str | None]) -> dict[tuple[str, str | None], tuple[str, str | None]]:
    """Status and address of each text and hint."""
    with duckdb.connect() as con:
        con.execute("CREATE TABLE said (text VARCHAR, hint VARCHAR)")
        con.executemany("INSERT INTO said VALUES (?, ?)", list(texts))
        con.execute("CREATE TABLE std (address_id VARCHAR, division_code VARCHAR, street VARCHAR, gate VARCHAR, "
                    "building VARCHAR, unit VARCHAR, room VARCHAR)")  # fmt: skip
        con.executemany("INSERT INTO std VALUES (?, ?, ?, ?, ?, ?, ?)", STANDARD)
        match(con, "FROM said", "FROM std", division_list())
        rows = con.execute(f"SELECT text, hint, status, address_id FROM {MATCHED}").fetchall()
    return {(text, hint): (status, found) for text, hint, status, found in rows}


def test_every_way_of_writing_is_answered_rightly_or_not_at_all() -> None:
    seed = seed_from_clock()
    print(f"seed {seed}")
    for hinted, least in ((False, 0.97), (True, 0.995)):
        with duckdb.connect() as con:
            told = measure(con, 6_600, seed, hinted)
        assert {one.way for one in told} >= {way.name for way in WAYS} - {"rare_character_lost", "old_county"}
        answered, right = sum(one.answered for one in told), sum(one.right for one in told)
        assert answered - right <= 1, [one for one in told if one.right < one.answered]
        readable = [one for one in told if one.resolvable]
        assert sum(one.right for one in readable) >= least * sum(one.known for one in readable), readable
        assert {one.way: one.answered for one in told}["no_such_number"] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("六安市霍邱县城关镇", "unread"),
        ("孙岗镇孙岗村老庄组5号", "ambiguous"),  # 孙岗镇 of 金安, or 孙岗乡 of 叶集 written otherwise
        ("金安区孙岗镇孙岗村老庄组5号", "金安孙岗"),
        ("叶集区孙岗镇孙岗村老庄组5号", "叶集孙岗"),
        ("霍邱县孙岗乡孙岗村老庄组5号", "叶集孙岗"),  # as it was until 2015
        ("安徽省六安市金寨县流波\u40e5镇流波村老庄组5号", "流波"),
        ("金寨县流波石童镇流波村老庄组5号", "流波"),
        ("金寨县流波(石童)镇流波村委会老庄组5号", "流波"),
        ("金寨县流波镇流波老庄组５号", "流波"),
        ("金寨县流波\ufffd镇流波村老庄组5号", "流波"),
        ("金寨县流波\u40e5镇流波村老庄组5号附1号", "unread"),
        ("金寨县流波\u40e5镇流波村老庄组6号", "absent"),
        ("合肥市蜀山区长江西路5号", "unread"),
        ("人民路8号2幢1单元301室", "unread"),
        ("暂无", "unread"),
        ("", "unread"),
        ("'; DROP TABLE std; --5号", "unread"),
    ],
)
def test_traps(text: str, expected: str) -> None:
    status, found = answers((text, None))[(text, None)]
    assert expected in (found, status if found is None else None)


def test_a_town_that_two_counties_have_is_decided_by_county_or_hint_and_by_nothing_else() -> None:
    names = {code: name for code, name, _ in division_list()}
    flat, one, other = "人民路8号2幢1单元301室", "341522100001", "341523100001"
    village = names[one]
    texts = [
        (f"霍邱县城关镇{village}{flat}", None),
        (f"城关镇{flat}", None),
        (f"城关镇{flat}", one),
        (f"城关镇{flat}", other),
    ]
    said = answers(*texts)
    assert [said[text] for text in texts] == [
        ("matched", "城关霍邱"), ("unread", None), ("matched", "城关霍邱"), ("matched", "城关舒城"),
    ]  # fmt: skip


def test_the_hint_never_overrules_the_text() -> None:
    text = "金安区孙岗镇孙岗村老庄组5号"
    assert answers((text, "341504200211"))[(text, "341504200211")] == ("matched", "金安孙岗")
    elsewhere = "金安区孙岗镇老庄组5号"  # the village is left out, and the hint lies in another county
    assert answers((elsewhere, "341504200211"))[(elsewhere, "341504200211")][1] is None


def test_several_addresses_alike_are_none() -> None:
    with duckdb.connect() as con:
        twice = "SELECT * FROM (VALUES ('a'), ('b')) v(address_id), (SELECT '341524112201' AS division_code, " \
                "'老庄组' AS street, '5' AS gate, '' AS building, NULL AS unit, '' AS room)"  # fmt: skip
        text = "金寨县流波镇流波村老庄组5号"
        match(con, f"SELECT '{text}' AS text, NULL::VARCHAR AS hint", twice, division_list())
        assert con.execute(f"SELECT status, address_id FROM {MATCHED}").fetchall() == [("ambiguous", None)]
