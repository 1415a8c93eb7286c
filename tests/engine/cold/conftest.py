"""What the tests of cold rows share: a database whose segments are tiny."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kalamdb.database import Database
from tests.engine.cold.tiny import World


@pytest.fixture
def world() -> Iterator[World]:
    """A database to be opened, and opened again."""
    made = World()
    yield made
    made.close()


@pytest.fixture
def tiny(world: World) -> Database:
    """An empty database with segments of three rows."""
    return world.open()
