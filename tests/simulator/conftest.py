"""The city that tests of single registers share: built once, for it costs seconds."""

from collections.abc import Iterator

import pytest

from tests.simulator.towns import Town


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    found = Town(tmp_path_factory.mktemp("town") / "city")
    yield found
    found.city.stop()
