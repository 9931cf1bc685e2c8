"""The city that tests of single registers share."""

from collections.abc import Iterator

import pytest

from tests.simulator.towns import Town, copied_town


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    found = copied_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield found
    found.city.stop()
