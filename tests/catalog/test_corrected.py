"""From which version on a product is right after a correction, and which before it showed what was wrong; notices of
it on the page of a recipient."""

from datetime import UTC, datetime, timedelta

import pytest

from catalog.corrected import Span, span
from catalog.policy import audit
from citylake.output import proof_text
from pipelines.issues import Finding, Issues, corrections
from pipelines.release.ledger import RELEASE, Recorded
from tests.catalog.small_city import PERSONS, City, bearer

START = datetime(2026, 11, 1, tzinfo=UTC)


def releases(*model_versions: int) -> list[Recorded]:
    """Version n of a product was released on day n, from these versions of its model."""
    return [
        Recorded(10 + n, START + timedelta(n), RELEASE, "sharing/p", "e", n, {"model_version": model}, "")
        for n, model in enumerate(model_versions)
    ]


@pytest.mark.parametrize(
    ("states", "last", "proved", "expected"),
    [
        ("11100", 2, 2, Span((0, 1, 2), 3, False)),
        ("22110", 3, 3, Span((2, 3), 4, False)),  # what it said before was another value, and perhaps true then
        ("12110", 3, 3, Span((2, 3), 4, False)),  # true once, then another, then wrongly the first again
        ("1-110", 3, 3, Span((0, 2, 3), 4, False)),  # a version without the row says nothing else
        ("-1110", 3, 3, Span((1, 2, 3), 4, False)),  # the row came with the second version
        ("11122", 2, 2, Span((0, 1, 2), 3, False)),
        ("11210", 1, 3, Span((0, 1, 2, 3), 4, False)),  # and wrong again
        ("11200", 1, 2, Span((0, 1, 2), 3, False)),  # mended wrongly first: that was wrong too
        ("11002", 1, 1, Span((0, 1), 2, False)),  # a later change of the world is no correction
        ("110-2", 1, 1, Span((0, 1), 2, False)),
        ("11--", 1, 1, Span((0, 1), 2, True)),  # taken back at the source
        ("1111", 2, 2, None),  # not published, or behind a mask
        ("11111", 4, 4, None),
        ("---00", 2, 2, None),  # it was never shown
    ],
)
def test_which_versions_were_wrong(states: str, last: int, proved: int, expected: Span | None) -> None:
    """`states`: a digit for what each version says, `-` for one without the row. The batch that proves it came after
    version `proved` was released; the row stood until version `last` of the model."""
    said = {n: int(state) for n, state in enumerate(states) if state != "-"}
    moment = START + timedelta(proved, hours=1)
    assert span(releases(*range(len(states))), said, last, moment) == expected


def notice(city: City, recipient: str) -> int:
    """A notice as telling opens it."""
    about = dict.fromkeys(("versions", "columns", "source", "sure_zh", "sure_en", "right_zh", "right_en"), "1")
    about |= {"recipient": recipient, "product": PERSONS, "has_zh": "", "has_en": ""}
    found = Finding("corrected.received", about | {"rows": 1, "number": 7, "batch": 1}, "error", f"7.{recipient}")
    with city.register.begin() as connection:
        return Issues.open_one(connection, PERSONS, "psb", found)


def test_a_recipient_acknowledges_its_own_notices_on_its_page(own_city: City) -> None:
    tokens = {name: own_city.recipient(name) for name in ("甲", "乙")}
    mine, other = notice(own_city, "甲"), notice(own_city, "乙")
    client = own_city.client()
    shown, path = bearer(tokens["甲"]), "/access/acknowledge"
    page = client.get("/access", headers=shown).text
    assert f"#{mine}" in page and f"#{other}" not in page and "前确认" in page
    said = {"notice": str(mine), "note": "已重新下载"}
    assert client.post(path, data=said, headers=shown | {"Origin": "https://elsewhere.test"}).status_code == 403
    assert client.post(path, data=said).status_code == 401
    for wrong in ({"notice": str(other)}, {"notice": "x"}, {}, {"note": ""}, {"note": "电话13900000001"}):
        asked = said | wrong if wrong else {}
        answer = client.post(path, data=asked, headers=shown)
        assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert len(corrections.notices(own_city.register)) == 2
    assert client.post(path, data=said, headers=shown).status_code == 303
    assert [one["id"] for one in corrections.notices(own_city.register)] == [other]
    row = audit.recent(own_city.register, 1)[0]
    assert (row["action"], row["recipient"], row["body"]["notice"]) == ("notice.acknowledge", "甲", mine)
    assert client.post(path, data=said, headers=shown).status_code == 422, "once"
    assert 'id="corrected"' not in client.get("/access", headers=shown).text
    (closed,) = (one for one in Issues(own_city.register).proved(PERSONS) if one["id"] == mine)
    assert "已重新下载" in proof_text(closed)
