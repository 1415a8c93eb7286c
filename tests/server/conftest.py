"""What the tests of the server share: a database with users, and clients of it through the real ASGI stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kalamdb
from tests.server.serving import Served


@pytest.fixture
def served(notes: kalamdb.Database) -> Iterator[Served]:
    """The database `notes` with the users ann (user), sam (service) and dora (dba), served on loopback."""
    for name, role in (("ann", "user"), ("sam", "service"), ("dora", "dba")):
        notes.execute(f"CREATE USER {name} WITH ROLE {role}")
    with Served(notes) as serving:
        yield serving
