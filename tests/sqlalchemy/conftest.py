"""An engine on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine


@pytest.fixture
def engine(directory: Path) -> Iterator[Engine]:
    """As user root."""
    engine = create_engine(f"kalamdb:///{directory}")
    yield engine
    engine.dispose()
