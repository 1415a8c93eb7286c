"""SQLAlchemy's own suite for dialects, over a directory and over a server.

In a process of its own: its plugin wants pytest to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import kalamdb
from tests.server.serving import Served

HERE = Path(__file__).parent
PASSED_MIN = 900
"""As SQLAlchemy 2.1 has them; that the suite was not skipped as a whole."""
PASSED_OVER_HTTP_MIN = 880


def passed(url: str, *plugins: str) -> int:
    """How many tests of the suite pass; none may fail. `plugins`: that leave tests out."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={HERE}"),
            *("-p", "no:cacheprovider", "-p", "no:cov", "-W", "ignore", "--tb=short", "--maxfail=20"),
            *("-p", "sqlalchemy.testing.plugin.pytestplugin"),
            *(part for plugin in plugins for part in ("-p", f"tests.sqlalchemy.{plugin}")),
            f"--dburi={url}",
            HERE / "dialect_suite.py",
        ],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    return int(found[1])


def test_the_suite_of_sqlalchemy_passes(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE test_schema")
        db.execute("CREATE NAMESPACE test_schema_2")

    assert passed(f"kalamdb:///{directory}?durability=normal", "left_out") >= PASSED_MIN


def test_the_suite_of_sqlalchemy_passes_over_a_server() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE NAMESPACE test_schema")
        db.execute("CREATE NAMESPACE test_schema_2")
        db.execute("CREATE USER dora WITH PASSWORD 'a long password' ROLE dba")
        with Served(db) as served:
            url = f"kalamdb+http://dora:a long password@127.0.0.1:{served.port}/"

            assert passed(url, "left_out", "left_out_over_http") >= PASSED_OVER_HTTP_MIN
