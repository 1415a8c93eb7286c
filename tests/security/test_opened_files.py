"""S5: the kernel is asked which files statements open, and whom they call: the database's own, and nobody."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.host_file_attacks import MARKS
from tests.security.test_host_files import CANARY

ROOT = Path(__file__).parents[2]
CALLS = [
    *("open", "openat", "openat2", "creat", "truncate", "execve", "connect", "mkdir", "mkdirat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
]
OF_THE_MACHINE = {"/sys/devices/system/cpu/online"}
"""What libraries ask the kernel for: here, how many cores there are."""
_CALL = re.compile(r"^\d+ +(\w+)\((?:\w+<(?P<at>[^>]*)>, |\w+, )?(?P<rest>.*)")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not there")


def touched(tmp_path: Path, *arguments: str) -> list[str]:
    """The paths of the files that were opened, made or removed between the marks, and the calls to other machines."""
    host, told = tmp_path / "host", tmp_path / "calls"
    for number in ("1", "2"):
        (host / number).mkdir(parents=True)
        (host / number / "secret.csv").write_text(f"a,b\n1,{CANARY}\n")
    command = ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", f"trace={','.join(CALLS)}", "-o", str(told)]
    command += [sys.executable, "-m", "tests.security.host_file_attacks"]
    done = subprocess.run(
        [*command, str(tmp_path / "data"), str(host), *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in host.rglob("*")) == ["1", "2", "secret.csv", "secret.csv"]
    lines = told.read_text().splitlines()
    begin, end = (next(n for n, line in enumerate(lines) if mark in line) for mark in MARKS)
    return [path for line in lines[begin + 1 : end] for path in _paths(line)]


def _paths(line: str) -> list[str]:
    call = _CALL.match(line)
    if call is None:
        return []
    if call[1] == "connect":
        return [call["rest"]]
    return [str(Path(call["at"] or ROOT) / path) for path in _PATH.findall(call["rest"])[:2]]


def test_no_statement_opens_a_file_outside_of_the_database_directory(tmp_path: Path) -> None:
    paths = touched(tmp_path)

    inside = str(tmp_path / "data")
    assert any(path.startswith(inside) for path in paths), "nothing was seen"
    outside = {path for path in paths if path != inside and not path.startswith(inside + "/")}
    assert outside <= OF_THE_MACHINE


def test_the_watch_sees_a_file_that_is_opened(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")

    assert str(other) in touched(tmp_path, "--open", str(other))
