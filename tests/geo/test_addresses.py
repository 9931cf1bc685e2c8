"""Texts of addresses find their standard address or none: a sample in every way of writing, and the traps of Lu'an.

`hard_texts.csv` holds texts that were written down before the matcher could read them: the text, the division the row
is registered under, the address of `hard_register.csv` that is meant, and whether the register truly lacks it.
"""

from pathlib import Path

import duckdb
import pytest

from benchmarks.addresses import division_list, measure
from pipelines.geo.address_text import in_digits
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


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("六安市霍邱县城关镇", "unread"),
        ("孙岗镇孙岗村老庄组5号", "金安孙岗"),
        ("孙岗乡孙岗村老庄组5号", "叶集孙岗"),
        ("孙岗孙岗村老庄组5号", "ambiguous"),
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
        ("金寨县流波\u40e5镇流波村新庄组5号", "unread"),  # a street that the register does not know
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


def test_hard_texts_are_answered_rightly_or_not_at_all_and_nothing_is_called_absent_that_was_not_read() -> None:
    here = Path(__file__).parent
    with duckdb.connect() as con:
        for name in ("register", "texts"):
            file = here / f"hard_{name}.csv"
            con.execute(f"CREATE TABLE {name} AS FROM read_csv('{file}', all_varchar=true, header=true)")
        match(con, "SELECT text, hint FROM texts", "FROM register", division_list())
        rows = con.execute(f"""
            SELECT t.text, t.means, t.absent, m.status, m.address_id
            FROM texts t JOIN {MATCHED} m ON m.text = t.text AND m.hint IS NOT DISTINCT FROM t.hint
        """).fetchall()
    assert len(rows) >= 149
    assert [row for row in rows if row[4] not in (None, row[1])] == []
    assert [row for row in rows if row[3] == "absent" and row[2] is None] == []
    missed = [row[0] for row in rows if row[4] != row[1]]
    assert len(missed) <= 3, missed


def test_a_numeral_is_read_before_a_word_of_an_address_only() -> None:
    texts = {
        "三组": "3组", "十组": "10组", "十三组": "13组", "三十组": "30组", "廿三组": "23组", "一百零二号": "102号",
        "二百一十号": "210号", "一二〇号": "120号", "三号楼": "3号楼", "12号之一": "12号之1",
        "五楼村三号五室": "五楼村3号5室", "三号路": "三号路", "三组团": "三组团",
        "三户村": "三户村", "九十铺": "九十铺", "百零号": "百零号", "十百号": "十百号", "三组3组三十三组": "3组3组33组",
    }  # fmt: skip
    with duckdb.connect() as con:
        read = {text: con.execute(f"SELECT {in_digits('said')} FROM (SELECT ? AS said)", [text]).fetchone()
                for text in texts}  # fmt: skip
    assert {text: found for text, (found,) in read.items() if found != texts[text]} == {}


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
