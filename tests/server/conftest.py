"""What the tests of the server share: a database with users, and clients of it through the real ASGI stack."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kalamdb
from tests.server.serving import Served


@pytest.fixture
def served(notes: kalamdb.Database) -> Iterator[Served]:
    """The database `notes` with the users ann (user), sam (service) and dora (dba), served on loopback."""
    with Served(_with_users(notes)) as serving:
        yield serving


@pytest.fixture
def served_with(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """The same with settings of its own."""
    with contextlib.ExitStack() as stack:

        def serve(**settings: Any) -> Served:
            db = stack.enter_context(kalamdb.open(tmp_path / "served", **settings))
            db.execute("CREATE NAMESPACE app")
            db.execute("CREATE SHARED TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
            return stack.enter_context(Served(_with_users(db)))

        yield serve


def _with_users(db: kalamdb.Database) -> kalamdb.Database:
    for name, role in (("ann", "user"), ("sam", "service"), ("dora", "dba")):
        db.execute(f"CREATE USER {name} WITH ROLE {role}")
    return db
