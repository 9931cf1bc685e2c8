"""Fixtures of the lake's tests; the helpers themselves are in small_tables."""

from collections.abc import Callable

import pytest
from small_tables import Rows, put_query, read_rows


@pytest.fixture
def put() -> Callable[..., int]:
    return put_query


@pytest.fixture
def rows() -> Callable[..., Rows]:
    return read_rows
