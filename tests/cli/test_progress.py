"""How far long work is: told at a terminal, gone at the end, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

DEADLINE_S = 60
AT_ONCE = """
import sys, kalamdb.cli.progress as progress
progress.PATIENCE_S = progress.BETWEEN_S = 0
from kalamdb.cli.kalam import kalam
kalam(sys.argv[1:])
"""
ROWS = 70_000


@pytest.fixture
def work(notes, data: str, tmp_path: Path) -> dict[str, list[str]]:
    """Commands that take their time, by name."""
    file = tmp_path / "notes.csv"
    with file.open("w") as out:
        out.write("id,body\n")
        out.writelines(f"{number},{'text ' * 30}\n" for number in range(10, ROWS + 10))
    command = [sys.executable, "-c", AT_ONCE, "--db", data]
    return {
        "import": [*command, "import", "app.notes", str(file)],
        "flush": [*command, "-c", "STORAGE FLUSH TABLE app.notes"],
        "backup": [*command, "backup", str(tmp_path / "backup")],
    }


def test_import_flush_and_backup_tell_how_far_they_are(work: dict[str, list[str]]) -> None:
    told = {}
    for name, command in work.items():
        told[name], status = pexpect.run(
            " ".join(f"'{word}'" for word in command),
            withexitstatus=True,
            env=dict(os.environ) | {"TERM": "xterm"},
            timeout=DEADLINE_S,
            encoding="utf-8",
        )
        assert status == 0, told[name]

    assert "import, reading: " in told["import"]
    assert " % of the file)" in told["import"]
    assert f"import: {ROWS:,} of {ROWS:,} rows (100 %)" in told["import"]
    assert told["import"].endswith(f"\r\x1b[K{ROWS:,} rows imported\r\n")
    assert "flush: 0 of 1, " in told["flush"] or "flush: 1 of 1, " in told["flush"]
    assert told["flush"].endswith("\r\x1b[K")
    assert "backup: " in told["backup"]


def test_nothing_is_told_where_nobody_sees_it(work: dict[str, list[str]]) -> None:
    done = subprocess.run(work["import"], capture_output=True, text=True, check=True)
    flushed = subprocess.run(work["flush"], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", f"{ROWS:,} rows imported\n")
    assert flushed.stderr == ""
