"""Databases that are served with WebSockets as their settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kalamdb
from kalamdb.server.websocket import server_options
from tests.server.serving import Served

ServedWith = Callable[..., Served]


def open_with_users(directory: Path, **settings: Any) -> kalamdb.Database:
    """A database with ann and bob (user), sam (service), dora (dba), SHARED app.notes and USER app.own."""
    settings.setdefault("websocket_messages_per_s_max", None)
    db = kalamdb.open(directory, **settings)
    db.execute("CREATE NAMESPACE IF NOT EXISTS app")
    db.execute("CREATE SHARED TABLE IF NOT EXISTS app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
    db.execute("CREATE USER TABLE IF NOT EXISTS app.own (id BIGINT PRIMARY KEY, n INT, body TEXT)")
    for name, role in (("ann", "user"), ("bob", "user"), ("sam", "service"), ("dora", "dba")):
        if not db.execute("SELECT user_id FROM system.users WHERE user_id = ?", [name]).fetchall():
            db.execute(f"CREATE USER {name} WITH ROLE {role}")
    return db


@pytest.fixture
def served_with(tmp_path: Path) -> Iterator[ServedWith]:
    """Serves such a database with settings of its own, the same directory each time."""
    with contextlib.ExitStack() as stack:

        def serve(**settings: Any) -> Served:
            db = stack.enter_context(open_with_users(tmp_path / "served", **settings))
            return stack.enter_context(Served(db, **server_options(db.settings)))

        yield serve


@pytest.fixture
def served(served_with: ServedWith) -> Served:
    """The same with settings as they are by default, but for messages a second."""
    return served_with()
