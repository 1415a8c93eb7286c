"""Every script of tests/scripts over HTTP, against a real server on loopback, but for what HTTP has no way for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.script_runner import run_script
from tests.server.http_adapter import HttpAdapter
from tests.test_scripts import PATHS, name_of

OPEN_BETWEEN_STATEMENTS = frozenset(
    {
        "integrity/014_access",
        "storage/transactions",
        "transactions/batches",
        "transactions/commit_and_rollback",
        "transactions/conflicts",
        "transactions/failed_statement",
        "transactions/own_writes",
        "transactions/refused",
        "transactions/streams",
        "users/execute_as",
    }
)
"""A transaction of theirs is open from one statement to the next, and over HTTP it is one request: what is left open is
rolled back. tests/server/test_sql.py has transactions over HTTP."""


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[HttpAdapter]:
    made = HttpAdapter(tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize(
    "path", [path for path in PATHS if name_of(path) not in OPEN_BETWEEN_STATEMENTS], ids=name_of
)
def test_script_over_http(path: Path, adapter: HttpAdapter) -> None:
    run_script(path, adapter)


def test_the_scripts_that_are_left_out_are_there_and_need_what_http_has_not(tmp_path: Path) -> None:
    left_out = [path for path in PATHS if name_of(path) in OPEN_BETWEEN_STATEMENTS]

    assert len(left_out) == len(OPEN_BETWEEN_STATEMENTS)
    for number, path in enumerate(left_out):
        adapter = HttpAdapter(tmp_path / str(number))
        try:
            with pytest.raises(AssertionError, match="COMMIT it in the request that begins it"):
                run_script(path, adapter)
        finally:
            adapter.close()
