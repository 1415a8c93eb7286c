"""A database behind a server, and each way to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.adapters import Tasks, database, way_to
from tests.server.serving import Served


@pytest.fixture(scope="module")
def tasks() -> Iterator[Tasks]:
    found = Tasks()
    yield found
    found.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The database of adapters, served on loopback, for the tests of a module; `clean` empties it."""
    with database() as db, Served(db) as serving:
        yield serving


@pytest.fixture
def clean(served: Served) -> Served:
    for user, table in itertools.product(("ann", "ben"), ("kinds", "notes")):
        served.db.session(user).execute(f"DELETE FROM app.{table}")
    return served


@pytest.fixture(params=["session", "aio", "client", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ways(kind: str, clean: Served, tasks: Tasks) -> Iterator[tuple[Any, Any]]:
    """Ann's and Ben's."""
    found = way_to(kind, clean, "ann", tasks), way_to(kind, clean, "ben", tasks)
    yield found
    if kind in ("client", "async"):
        for one in found:
            one.close()


@pytest.fixture
def ann(ways: tuple[Any, Any]) -> Any:
    return ways[0]


@pytest.fixture
def ben(ways: tuple[Any, Any]) -> Any:
    return ways[1]
