"""What the demo says of its libraries beside what it found of the planted dirt: shares, and nothing of anybody."""

import re
import time
from collections.abc import Iterator

import pytest

from citylake.compared import accepted
from citylake.compared.libraries.report import Published, scores, truth_report
from citylake.compared.scores import summed
from tests.city import Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def test_every_library_is_measured_and_nearly_all_that_is_said_is_true(town: Town) -> None:
    started = time.process_time()
    found = {score.kind: score for score in summed(scores(Published(town.settings, town.city)))}
    print(found, f"CPU {time.process_time() - started:.1f} s")
    assert found.keys() == {
        "residence", "in_business", "head", "controller", "licence", "public", "known_on",
    }  # fmt: skip
    for kind, score in found.items():
        assert score.planted > 20 and score.recall > 0.5 and score.precision > 0.85, kind


def test_what_rows_keep_and_libraries_tell_of_is_found_and_nothing_else(town: Town) -> None:
    found = {score.kind: score for score in accepted.compare(Published(town.settings, town.city))}
    print(found)
    assert found.keys() == {accepted.DISPUTED, accepted.CERTIFICATE}
    for score in found.values():
        assert score.planted >= 4 and score.recall == 1 and score.precision == 1, score


def test_the_table_has_numbers_and_nobody_in_it(town: Town) -> None:
    text = truth_report(town.settings, town.city)
    assert text is not None and len(text.splitlines()) == 8
    assert "有效证照 licences in force" in text and not re.search(r"\d{9}", text)
