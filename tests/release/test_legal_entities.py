"""The legal entity library of a small city against the simulator's truth, class by class."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

import pytest

from citylake.compared.rows import place
from pipelines.contracts.load import Contracts
from tests.city import Town, published_town

pytestmark = pytest.mark.server

ENTITY = "lib_legal_entity__entity"
REGISTERS = {
    "amr/enterprise": ("UNI_ SOCIAL_CRD_ CD", "LEREP", "CERNO"),
    "cab/social_organisation": ("TYSHXYDM", "FDDBR", "FDDBRZJHM"),
    "sto/institution": ("统一社会信用代码", "法定代表人", "证件号码"),
    "ara/collective": ("TYSHXYDM", "FDDBR", "SFZHM"),
}
"""The columns of the code, of the head's name and number, in the order in which registers are believed."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def accepted(town: Town, contracts: Contracts, source: str) -> list[dict[str, str | None]]:
    """The rows of a source that nothing forbids to accept."""
    dataset = place(contracts.sources[source])
    key = contracts.sources[source].form.load.key[0]
    physical = next(one.physical_name for one in contracts.sources[source].columns if one.name == key)
    return town.accepted(dataset, physical)


def test_every_class_has_as_many_entities_as_the_truth(town: Town, contracts: Contracts) -> None:
    codes = {
        row[column]
        for source, column in (*((name, columns[0]) for name, columns in REGISTERS.items()), ("txb/taxpayer", "NSRSBH"))
        for row in accepted(town, contracts, source)
    }
    found = town.rows(ENTITY, "uscc, entity_class")
    assert {code for code, _ in found} == codes
    assert Counter(kind for _, kind in found) == Counter(str(code)[:2] for code in codes)
    assert {"11", "12", "13", "31", "51", "52", "53", "91", "92", "93", "N1", "N2", "N3"} <= {kind for _, kind in found}


def test_no_name_of_a_sole_trader_is_public_that_holds_the_name_of_a_head(town: Town, contracts: Contracts) -> None:
    """The head of now or of any time before; every other name is public as it is."""
    heads: dict[str | None, set[str | None]] = {}
    for row in accepted(town, contracts, "amr/enterprise"):
        heads.setdefault(row["PRIPID"], set()).add(row["LEREP"])
    for row in accepted(town, contracts, "amr/enterprise_change"):
        if row["ALTITEM"] == "法定代表人变更":
            heads.setdefault(row["PRIPID"], set()).add(row["ALTBE"])
    hidden = 0
    columns = "subject_no, entity_name, public_name, entity_class"
    for number, name, public, kind in town.rows(ENTITY, columns, "register_source = 'amr/enterprise'"):
        owners = kind == "92" and any(head is None or head in name for head in heads[number])
        assert public == (None if owners else name), number
        hidden += owners
    assert hidden > 3
    assert town.rows(ENTITY, "count(*)", "entity_class <> '92' and public_name is distinct from entity_name") == [(0,)]


def test_one_code_one_row_and_no_end_without_a_day(town: Town) -> None:
    assert town.rows(ENTITY, "count(*) - count(distinct uscc)") == [(0,)]
    assert town.rows(ENTITY, "count(*)", "entity_status in ('2', '3', '5') and status_date is null") == [(0,)]
    assert town.rows(ENTITY, "count(*) > 40", "entity_status = '3'") == [(True,)]


def test_heads_are_linked_as_the_truth_says(town: Town, contracts: Contracts) -> None:
    """Counted from the true numbers and the people of the library, without the hashes that link them; a number that
    stands on two people is none."""
    people = {number: (name, status) for number, name, status in
              town.rows("lib_population__person", "id_number, name, residence_status")}  # fmt: skip
    unclear = town.shared_numbers()
    heads: dict[str | None, tuple[str | None, str | None]] = {}
    for source, (code, name, number) in REGISTERS.items():
        for row in accepted(town, contracts, source):
            heads.setdefault(row[code], (row[name], None if row[number] in unclear else row[number]))
    expected = Counter(outcome(*head, people) for head in heads.values())
    found = Counter(link for (link,) in town.rows("lib_legal_entity__representative", "representative_link"))
    assert found == expected
    assert {"linked", "no_number", "not_in_library"} <= set(found)
    counted = town.rows("lib_legal_entity__representative_count", "representative_link, entities")
    assert Counter(chain.from_iterable([link] * count for link, count in counted)) == expected


def outcome(name: str | None, number: str | None, people: dict[str, tuple[str, str]]) -> str:
    if number is None:
        return "no_number"
    if number not in people:
        return "not_in_library"
    known, status = people[number]
    return "name_differs" if known != name else "deceased" if status == "5" else "linked"


def test_branches_belong_to_companies_of_the_register_or_of_elsewhere(town: Town) -> None:
    known = {code for (code,) in town.rows(ENTITY, "uscc")}
    branches = town.rows(ENTITY, "sub_of", "entity_type = '2100'")
    assert branches and all(code for (code,) in branches)
    assert any(code in known for (code,) in branches)
    assert town.rows(ENTITY, "count(*)", "sub_of is not null and entity_type <> '2100'") == [(0,)]


def test_stakes_and_controllers_are_those_of_the_truth(town: Town, contracts: Contracts) -> None:
    """From the true shares, walked again and again until nothing moves; identity of persons is left to the hashes."""
    held = holdings(town, contracts)
    assert any(end in held for ends in held.values() for end in ends), "no company holds another one"
    types = dict(town.rows(ENTITY, "uscc, entity_type"))
    total: dict[str, dict[str, float]] = {company: {} for company in held}
    for _ in range(200):
        total = {company: walked(ends, total) for company, ends in held.items()}
    found = town.rows("lib_legal_entity__stake", "uscc, holder_key, total_share", "holder_kind <> 'circular'")
    expected = [(company, kind_of(end), share) for company, ends in total.items() for end, share in ends.items()]
    told = sorted((company, kind_of(key[0] + ":" + key[1:]), share) for company, key, share in found)
    for (company, kind, share), (company_, kind_, share_) in zip(sorted(expected), told, strict=True):
        assert (company, kind) == (company_, kind_) and abs(share - share_) < 2e-5
    left = town.rows("lib_legal_entity__stake", "total_share", "holder_kind = 'circular'")
    assert all(share < 0.001 for (share,) in left)

    states = {company: climbed(company, held, types) for company in held}
    rows = town.rows(
        "lib_legal_entity__control", "uscc, control_state, controller_uscc, control_depth, controller_kind"
    )
    assert {row[0] for row in rows} == set(held)
    for company, state, code, depth, kind in rows:
        expected_state, end, steps = states[company]
        assert (state, depth) == (expected_state, steps), company
        assert code == (end[2:] if end is not None and end.startswith("E:") else None)
        kinds = {"1": "state", "N": "collective"}
        if code is not None:
            assert kind == kinds.get(code[0], "entity" if code in types else "outside")
    assert {"controlled", "incomplete"} <= {row[1] for row in rows}
    ends = {kind for (kind,) in town.rows("lib_legal_entity__stake", "holder_kind")}
    assert ends >= {"person", "state", "outside", "unidentified", "undisclosed"}


def test_tags_are_those_of_the_truth(town: Town, contracts: Contracts) -> None:
    codes = {row["PRIPID"]: row["UNI_ SOCIAL_CRD_ CD"] for row in accepted(town, contracts, "amr/enterprise")}
    reports: dict[str | None, dict[str, str | None]] = {}
    for row in sorted(accepted(town, contracts, "amr/annual_report"), key=lambda row: str(row["ANCHEYEAR"])):
        reports[codes.get(row["PRIPID"])] = row
    small = {
        code for code, row in reports.items()
        if float(row["ASSGRO"] or 0) <= 5000 and int(row["EMPNUM"] or 0) <= 300 and float(row["PROGRO"] or 0) <= 300
    }  # fmt: skip
    listed = {codes.get(row["PRIPID"]) for row in accepted(town, contracts, "amr/abnormal") if row["YCRQ"] is None}
    taxes: dict[str | None, dict[str, str | None]] = {}
    order = ("SBRQ", "SKSSQ", "SBXH")
    for row in sorted(accepted(town, contracts, "txb/taxpayer"), key=lambda row: [str(row[name]) for name in order]):
        taxes[row["NSRSBH"]] = row
    expected = {
        "small_low_profit": small - {None},
        "abnormal_listed": listed - {None},
        "tax_credit_a": {code for code, row in taxes.items() if row["XYDJ"] == "A"},
        "tax_abnormal": {code for code, row in taxes.items() if row["NSRZT"] == "2"},
    }
    for tag, entities in expected.items():
        found = {code for (code,) in town.rows("lib_legal_entity__tag", "uscc", f"entity_tag = '{tag}'")}
        assert found and found == entities, tag


def holdings(town: Town, contracts: Contracts) -> dict[str, dict[str, float]]:
    """By company the parts of its holders: a company of these by its code, an end with a letter before it."""
    codes = {row["PRIPID"]: row["UNI_ SOCIAL_CRD_ CD"] for row in accepted(town, contracts, "amr/enterprise")}
    rows = [row for row in accepted(town, contracts, "amr/shareholder") if row["PRIPID"] in codes]
    companies = {codes[row["PRIPID"]] for row in rows}
    held: dict[str, dict[str, float]] = {str(company): {} for company in companies}
    unclear = town.shared_numbers()
    for row in rows:
        if row["CERNO"] and row["CERNO"] not in unclear:
            end = f"P:{row['CERNO']}"
        elif row["BLICNO"]:
            end = str(row["BLICNO"]) if row["BLICNO"] in companies else f"E:{row['BLICNO']}"
        else:
            end = f"U:{row['INVID']}"
        ends = held[str(codes[row["PRIPID"]])]
        ends[end] = ends.get(end, 0) + float(row["SUBCONPROP"] or 0) / 100
    return held


def walked(ends: dict[str, float], total: dict[str, dict[str, float]]) -> dict[str, float]:
    """One step more: what the holders that are companies have at their ends counts for their part."""
    found: dict[str, float] = {}
    for end, share in ends.items():
        for last, part in total[end].items() if end in total else [(end, 1)]:
            found[last] = found.get(last, 0) + share * part
    return found


def kind_of(end: str) -> str:
    """An end without the identity of a person or of an unnamed holder."""
    return end if end.startswith("E:") else end[:1]


def climbed(
    company: str, held: dict[str, dict[str, float]], types: dict[str, str | None]
) -> tuple[str, str | None, int | None]:
    """Up the majorities: state, the end, and how many steps it is away. `types`: of every entity that is known."""
    seen, steps = {company}, 0
    while True:
        steps += 1
        above = next((end for end, share in held[company].items() if share > 0.5), None)
        if above is None:
            return "no_majority" if round(sum(held[company].values()), 6) >= 0.5 else "incomplete", None, None
        if above not in held:
            if is_undisclosed(above.removeprefix("E:"), types):
                return "incomplete", None, None
            return "controlled", above, steps
        if above in seen:
            return "circular", None, None
        seen.add(above)
        company = above


def is_undisclosed(code: str, types: dict[str, str | None]) -> bool:
    """Whether a company of the city holds shares of which no shareholder of its own is known."""
    return types[code] in ("1100", "1130", "1200") if code in types else code.startswith("913415")
