"""Memory that runs out: every allocation of a store's life fails once, alone and with all after it.

The driver takes the place of the installed core's `operator new`, so it needs a compiler; `make sanitize` runs it under
AddressSanitizer too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import kalamcore

HERE = Path(__file__).resolve().parent
HEADERS = HERE.parents[1] / "src" / "kalamcore" / "cpp"
LIBRARY = Path(kalamcore.__file__).parent / "libkalam.so"


def compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")


def missing() -> str:
    """Why allocations cannot be made to fail here; empty where they can."""
    return (
        "" if compiler() and LIBRARY.exists() else "needs a C++ compiler and the core as a library of Linux"
    )


def drive(directory: Path) -> tuple[int, str, str]:
    """Builds the driver in `directory` and runs it: what it returned, said, and complained of."""
    driver = directory / "allocation_driver"
    source = HERE / "allocation_driver.cpp"
    options = ["-std=c++20", "-O0", "-pthread", f"-I{HEADERS}", f"-Wl,-rpath,{LIBRARY.parent}"]
    subprocess.run([str(compiler()), *options, source, LIBRARY, "-o", driver], check=True)
    lives = subprocess.run([driver], capture_output=True, text=True, check=False, timeout=600)
    return lives.returncode, lives.stdout, lives.stderr


def test_no_allocation_that_fails_loses_a_row_or_ends_the_process(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)

    code, said, complaint = drive(tmp_path)

    assert code == 0, complaint
    assert said.rstrip().endswith("ok")
