"""What every test may ask for: a database on a directory of its own, one with a table in it, a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof_seed import SEED

if TYPE_CHECKING:
    import kalamdb

SAID = f"what is too much for every run was sampled by KALAM_PROOF_SEED={SEED}"


def pytest_report_header() -> str:
    return SAID


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Beside what failed, for -q leaves the header out."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(SAID)


@pytest.fixture
def seed() -> int:
    """By which a test chooses its sample."""
    return SEED


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
