"""What a catalogue serves says that it is made up also when the home's file was lost, by what the ledger has."""

from pipelines.release.ledger import RELEASE, Entry, Ledger
from tests.catalog.reading import cells
from tests.catalog.small_city import DIVISIONS, PERSONS, City, bearer

BOOK = f"/datasets/{PERSONS}/download/xlsx"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division/metadata"


def test_a_home_without_its_file_serves_as_made_up_what_it_published_so(own_city: City) -> None:
    token = own_city.recipient("甲")
    own_city.grant("甲", PERSONS)
    ledger = Ledger(own_city.register)
    before = own_city.client().get("/")
    plain = own_city.client().get(BOOK, headers=bearer(token))
    assert "_is_test" not in plain.headers["content-disposition"] and not about_test(plain.content)
    assert "is-test" not in before.headers and "is_test" not in before.text
    one = ledger.published()[DIVISIONS]
    ledger.record([Entry(RELEASE, DIVISIONS, one.edition, one.version, {**one.body, "is_test": True})])
    client = own_city.client()
    page = client.get("/")
    assert page.headers["is-test"] == "true" and "演示数据（is_test）" in page.text
    assert client.get(f"/datasets/{PERSONS}/dictionary.json", headers=bearer(token)).json()["is_test"] is True
    answer = client.get(TABLE, headers=bearer(token))
    assert about_test(client.get(BOOK, headers=bearer(token)).content), "the release is older than the mark"
    for kind in ("csv", "xlsx"):
        name = client.get(f"/datasets/{PERSONS}/download/{kind}", headers=bearer(token)).headers["content-disposition"]
        assert f"_is_test.{kind}" in name
    assert "[is_test]" in answer.text, "the table was released before the mark; the home is made up all the same"


def about_test(book: bytes) -> bool:
    """Whether the second sheet of a book says that its rows are made up."""
    return any("is_test" in str(cell) for row in cells(book, 1) for cell in row)
