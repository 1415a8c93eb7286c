"""SQLAlchemy's own suite for dialects, in a process of its own: its plugin wants pytest to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import kalamdb

HERE = Path(__file__).parent
PASSED_MIN = 900
"""As SQLAlchemy 2.1 has them; that the suite was not skipped as a whole."""


def test_the_suite_of_sqlalchemy_passes(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE test_schema")
        db.execute("CREATE NAMESPACE test_schema_2")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={HERE}"),
            *("-p", "no:cacheprovider", "-p", "no:cov", "-W", "ignore", "--tb=short", "--maxfail=20"),
            *("-p", "sqlalchemy.testing.plugin.pytestplugin", "-p", "tests.sqlalchemy.left_out"),
            f"--dburi=kalamdb:///{directory}?durability=normal",
            HERE / "dialect_suite.py",
        ],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= PASSED_MIN
