"""Kinship in small households: what the register says of members and head, what follows from it, what is refused."""

import json
from collections.abc import Iterator
from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

RELATION, CONFLICT = "lib_population__relation", "lib_population__relation_conflict"
TOWN = "341502001001"
MAN, WOMAN = "1", "2"
COLUMNS = "person_id, person_relation, related_person_id, relation_evidence"


def member(home: str, who: str, relation: str, sex: str, born: str, marital: str = "10") -> dict[str, object]:
    person = f"{home}-{who}"
    return {
        "record_no": person, "person_id": person, "id_number": "341502199001010013", "name": f"王{who}", "sex": sex,
        "birth_date": born, "household_no": home, "household_relation": relation, "division_code": TOWN,
        "marital_status": marital, "source_updated_at": "2026-01-01 00:00:00+00",
    }  # fmt: skip


def wedding(number: str, man: str, woman: str, day: str, kind: str = "1") -> dict[str, object]:
    return {
        "marriage_registration_no": number, "marriage_registration_type": kind, "male_person_id": man,
        "female_person_id": woman, "registered_on": day, "source_updated_at": f"{day} 00:00:00+00",
    }  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("kinship"), contracts)
    bench.load(
        "dsrb/division",
        {"code": "341502", "division_name": "金安区", "division_level": "county"},
        {"code": "341502001", "division_name": "东市街道", "division_level": "town"},
    )
    bench.load(
        "psb/household_person",
        # a man, his wife, two children and his parents; the elder child was born before the wedding
        member("A", "head", "02", MAN, "1980-01-01", "20"),
        member("A", "wife", "10", WOMAN, "1982-01-01", "20"),
        member("A", "son", "22", MAN, "2005-01-01"),
        member("A", "girl", "30", WOMAN, "2012-01-01"),
        member("A", "father", "51", MAN, "1955-01-01", "20"),
        member("A", "mother", "52", WOMAN, "1956-01-01", "20"),
        # a woman with her son's wife, a grandchild, a stepchild, a lodger and a dead husband
        member("B", "head", "02", WOMAN, "1950-01-01", "30"),
        member("B", "dead", "10", MAN, "1948-01-01", "20"),
        member("B", "bride", "38", WOMAN, "1980-01-01", "20"),
        member("B", "boy", "41", MAN, "2010-01-01"),
        member("B", "step", "27", MAN, "1985-01-01"),
        member("B", "lodger", "99", MAN, "1985-01-01"),
        member("B", "cousin", "97", MAN, "1985-01-01"),
        # twins whose brother is the head
        member("C", "head", "02", MAN, "1990-01-01"),
        member("C", "one", "77", WOMAN, "1995-01-01"),
        # two heads say nothing
        member("D", "one", "02", MAN, "1960-01-01"),
        member("D", "two", "02", MAN, "1961-01-01"),
        member("D", "child", "20", MAN, "1990-01-01"),
        # two wives, and a father who is six years older
        member("E", "head", "02", MAN, "1960-01-01", "20"),
        member("E", "first", "10", WOMAN, "1961-01-01", "20"),
        member("E", "second", "10", WOMAN, "1962-01-01", "20"),
        member("E", "father", "51", MAN, "1954-01-01", "20"),
        # a wife from whom the marriage register divorced the head, and one whose husband married another woman
        member("F", "head", "02", MAN, "1960-01-01", "20"),
        member("F", "wife", "10", WOMAN, "1961-01-01", "20"),
        member("G", "head", "02", MAN, "1960-01-01", "20"),
        member("G", "wife", "10", WOMAN, "1961-01-01", "20"),
        member("G", "other", "99", WOMAN, "1962-01-01", "20"),
        # a certificate names another father than the head who says that the child is his, and calls a brother a child
        member("H", "head", "02", MAN, "1990-01-01"),
        member("H", "mother", "77", WOMAN, "1992-01-01"),
        member("H", "child", "20", MAN, "2026-10-02"),
        member("I", "head", "02", MAN, "1990-01-01"),
        member("J", "head", "02", WOMAN, "1980-01-01"),
        member("J", "child", "73", MAN, "2026-10-02"),
        # the wife of before, whom the marriage register divorced, and the wife of today, married elsewhere
        member("K", "head", "02", MAN, "1960-01-01", "20"),
        member("K", "before", "10", WOMAN, "1961-01-01", "20"),
        member("K", "today", "10", WOMAN, "1962-01-01", "20"),
        # a certificate names a girl of eight as the mother; the register names the right one
        member("L", "head", "02", WOMAN, "1990-01-01"),
        member("L", "girl", "99", WOMAN, "2018-01-01"),
        member("L", "child", "20", MAN, "2026-10-02"),
        # register and certificate have a boy of ten as the father; his own father lives there too
        member("M", "head", "02", MAN, "2016-01-01"),
        member("M", "father", "51", MAN, "1980-01-01"),
        member("M", "child", "20", MAN, "2026-10-02"),
        # a couple, the son of their marriage and his wife: the mother has her as a daughter-in-law too
        member("P", "head", "02", MAN, "1955-01-01", "20"),
        member("P", "mother", "10", WOMAN, "1956-01-01", "20"),
        member("P", "son", "20", MAN, "1980-01-01", "20"),
        member("P", "bride", "38", WOMAN, "1981-01-01", "20"),
        member("P", "boy", "41", MAN, "2010-01-01"),
        # the head's wife is too young to be the mother of the daughter whose husband lives with them
        member("Q", "head", "02", MAN, "1945-01-01", "20"),
        member("Q", "wife", "10", WOMAN, "1970-01-01", "20"),
        member("Q", "girl", "30", WOMAN, "1980-01-01", "20"),
        member("Q", "groom", "28", MAN, "1981-01-01", "20"),
        # the register has a brother where a certificate has a mother of eight
        member("R", "head", "02", WOMAN, "2018-01-01"),
        member("R", "child", "73", MAN, "2026-10-02"),
        # fifty members are a family, fifty-one are not
        *(member(home, "head", "02", MAN, "1950-01-01") for home in ("N", "O")),
        *(member("N", f"{place}", "20", MAN, "1980-01-01") for place in range(49)),
        *(member("O", f"{place}", "20", MAN, "1980-01-01") for place in range(50)),
    )
    bench.load("cab/cremation", {"death_certificate_no": "C1", "person_id": "B-dead", "died_on": "2026-09-01"})
    bench.load(
        "cab/marriage",
        wedding("1", "A-head", "A-wife", "2010-01-01"),
        wedding("2", "F-head", "F-wife", "2010-01-01"),
        wedding("3", "F-head", "F-wife", "2020-01-01", "2"),
        wedding("4", "G-head", "G-wife", "2010-01-01"),
        wedding("5", "G-head", "G-other", "2020-01-01"),
        wedding("6", "K-head", "K-before", "2010-01-01"),
        wedding("7", "K-head", "K-before", "2020-01-01", "2"),
        wedding("8", "P-head", "P-mother", "1979-01-01"),
        wedding("9", "P-son", "P-bride", "2005-01-01"),
        wedding("10", "Q-head", "Q-wife", "1979-01-01"),
        wedding("11", "Q-groom", "Q-girl", "2005-01-01"),
    )
    born = {"born_at": "2026-10-01 17:00:00+00", "sex": MAN, "name": "王child"}
    bench.load(
        "hc/birth_certificate",
        {"birth_certificate_no": "1", "mother_person_id": "H-mother", "father_person_id": "I-head", **born},
        {"birth_certificate_no": "2", "mother_person_id": "J-head", **born},
        {"birth_certificate_no": "3", "mother_person_id": "L-girl", **born},
        {"birth_certificate_no": "4", "father_person_id": "M-head", **born},
        {"birth_certificate_no": "5", "mother_person_id": "R-head", **born},
    )
    bench.build("lib_geography__division", "lib_population__person", RELATION, CONFLICT)
    yield bench


def both(home: str, *told: tuple[str, str, str, str, str]) -> set[tuple[str, str, str, str]]:
    """Rows of a household: one, what the other is to the one, the other, what the one is to the other, evidence."""
    rows = {(f"{home}-{one}", relation, f"{home}-{other}", why) for one, relation, other, _, why in told}
    return rows | {(f"{home}-{other}", inverse, f"{home}-{one}", why) for one, _, other, inverse, why in told}


def found(bench: Bench, home: str) -> set[tuple[str, ...]]:
    return {*bench.rows(RELATION, COLUMNS, f"person_id like '{home}-%'")}


def test_members_are_to_the_head_and_to_one_another_what_follows_with_certainty(bench: Bench) -> None:
    assert found(bench, "A") == both(
        "A",
        ("head", "10", "wife", "10", "marriage"),
        ("head", "22", "son", "51", "register"),
        ("head", "30", "girl", "51", "register"),
        ("head", "51", "father", "20", "register"),
        ("head", "52", "mother", "20", "register"),
        ("wife", "53", "father", "38", "derived"),
        ("wife", "54", "mother", "38", "derived"),
        ("wife", "30", "girl", "52", "presumed"),  # her son was born before the wedding: perhaps not hers
        ("son", "77", "girl", "71", "derived"),
        ("son", "61", "father", "41", "derived"),
        ("son", "62", "mother", "41", "derived"),
        ("girl", "61", "father", "42", "derived"),
        ("girl", "62", "mother", "42", "derived"),
        ("father", "10", "mother", "10", "derived"),
    )


def test_in_laws_grandchildren_and_stepchildren_have_their_words_and_the_dead_no_spouse(bench: Bench) -> None:
    assert found(bench, "B") == both(
        "B",
        ("head", "38", "bride", "54", "register"),
        ("head", "41", "boy", "62", "register"),
        ("head", "27", "step", "58", "register"),
    )
    assert found(bench, "C") == both("C", ("head", "77", "one", "71", "register"))


def test_a_household_with_two_heads_says_nothing(bench: Bench) -> None:
    assert found(bench, "D") == set()


def refused(bench: Bench, home: str) -> list[tuple[str, ...]]:
    columns = "person_id, relation_conflict, related_person_id, relation_other, relation_kept, kept_person_id"
    return bench.rows(CONFLICT, f"{columns}, source_kept", f"person_id like '{home}-%'")


def test_of_two_spouses_of_one_source_neither_is_kept_and_both_are_told(bench: Bench) -> None:
    assert found(bench, "E") == set()
    assert refused(bench, "E") == [
        ("E-head", "second_spouse", "E-first", "10", None, None, None),
        ("E-head", "second_spouse", "E-second", "10", None, None, None),
        ("E-head", "too_young", "E-father", "51", None, None, None),
    ]


def test_the_marriage_register_refutes_the_household_register(bench: Bench) -> None:
    assert found(bench, "F") == set()
    assert refused(bench, "F") == [
        ("F-head", "marriage_register", "F-wife", "10", None, None, "cab/marriage"),
        ("F-wife", "marriage_register", "F-head", "10", None, None, "cab/marriage"),
    ]
    rows = bench.rows(CONFLICT, "source_rows", "person_id = 'G-head'")
    assert rows == [('{"psb/household_person":"1:25","psb/household_person#head":"1:24","cab/marriage#kept":"1:4"}',)]
    assert found(bench, "G") == both("G", ("head", "10", "other", "10", "marriage"))
    assert refused(bench, "G") == [
        ("G-head", "marriage_register", "G-wife", "10", "10", "G-other", "cab/marriage"),
    ]


def test_a_certificate_of_birth_goes_before_the_register_and_both_words_stay(bench: Bench) -> None:
    fathers = bench.rows(RELATION, "related_person_id, relation_evidence, since", "person_id = 'H-child'")
    assert fathers == [
        ("H-mother", "birth", date(2026, 10, 2)),
        ("I-head", "birth", date(2026, 10, 2)),
    ]
    certificate = "hc/birth_certificate"
    assert refused(bench, "H") == [("H-child", "second_parent", "H-head", "51", "51", "I-head", certificate)]
    assert found(bench, "J") == both("J", ("head", "20", "child", "52", "birth"))
    assert refused(bench, "J") == [
        ("J-child", "differs", "J-head", "75", "52", "J-head", certificate),
        ("J-head", "differs", "J-child", "73", "20", "J-child", certificate),
    ]


def test_who_is_refuted_is_nobodys_rival(bench: Bench) -> None:
    assert found(bench, "K") == both("K", ("head", "10", "today", "10", "register"))
    assert refused(bench, "K") == [
        ("K-before", "marriage_register", "K-head", "10", None, None, "cab/marriage"),
        ("K-head", "marriage_register", "K-before", "10", None, None, "cab/marriage"),
    ]
    assert found(bench, "L") == both("L", ("head", "20", "child", "52", "register"))
    assert refused(bench, "L") == [("L-child", "too_young", "L-girl", "52", None, None, None)]


def test_nothing_follows_from_what_was_refused_of_a_better_source(bench: Bench) -> None:
    """The register says the same as the certificate, so its own word is not judged."""
    assert found(bench, "M") == both("M", ("head", "51", "father", "20", "register"))
    assert refused(bench, "M") == [("M-child", "too_young", "M-head", "51", None, None, None)]


def test_who_is_married_to_a_child_of_both_is_an_in_law_of_both(bench: Bench) -> None:
    assert found(bench, "P") == both(
        "P",
        ("head", "10", "mother", "10", "marriage"),
        ("son", "10", "bride", "10", "marriage"),
        ("head", "20", "son", "51", "register"),
        ("head", "38", "bride", "53", "register"),
        ("head", "41", "boy", "61", "register"),  # whose child he is nobody says, nor whether she is his grandmother
        ("mother", "20", "son", "52", "presumed"),
        ("mother", "38", "bride", "54", "presumed"),
    )
    ((rows,),) = bench.rows(RELATION, "source_rows", "person_id = 'P-mother' and related_person_id = 'P-bride'")
    assert json.loads(rows).keys() == {
        "psb/household_person", "psb/household_person#person", "psb/household_person#child",
        "psb/household_person#head", "cab/marriage", "cab/marriage#parents",
    }  # fmt: skip


def test_nobody_is_an_in_law_through_a_child_that_is_not_hers(bench: Bench) -> None:
    assert found(bench, "Q") == both(
        "Q",
        ("head", "10", "wife", "10", "marriage"),
        ("girl", "10", "groom", "10", "marriage"),
        ("head", "30", "girl", "51", "register"),
        ("head", "28", "groom", "55", "register"),
    )


def test_a_better_word_that_is_refused_itself_is_not_named_as_kept(bench: Bench) -> None:
    assert found(bench, "R") == set()
    assert refused(bench, "R") == [
        ("R-child", "differs", "R-head", "75", None, None, None),
        ("R-child", "too_young", "R-head", "52", None, None, None),
        ("R-head", "differs", "R-child", "73", None, None, None),
    ]


def test_a_household_of_more_than_fifty_says_nothing(bench: Bench) -> None:
    assert len(found(bench, "N")) == 50 * 49
    assert found(bench, "O") == set()
