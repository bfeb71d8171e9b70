"""A storage of a test's own, in this process's memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from toprung.storage.store import Store, open_store

_numbers = count(1)


@pytest.fixture
def store() -> Iterator[Store]:
    """Empty, and emptied again."""
    found = open_store(f"memory://tests-{next(_numbers)}")
    yield found
    found.delete(found.sizes())
