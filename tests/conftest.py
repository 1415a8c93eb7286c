"""What every test may ask for: a database on a directory of its own, and one with a table in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import kalamdb


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a database may be made; nothing is there yet."""
    return tmp_path / "data"


@pytest.fixture
def db(directory: Path) -> Iterator[kalamdb.Database]:
    """An empty database, closed after the test."""
    import kalamdb  # here, so that tests of the layers below do not need the ones above

    with kalamdb.open(directory) as database:
        yield database


@pytest.fixture
def notes(db: kalamdb.Database) -> kalamdb.Database:
    """The same, with the SHARED table app.notes (id BIGINT, body TEXT NOT NULL)."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE SHARED TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
    return db
