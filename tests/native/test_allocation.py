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


def test_no_allocation_that_fails_loses_a_row_or_ends_the_process(tmp_path: Path) -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")
    library = Path(kalamcore.__file__).parent / "libkalam.so"
    if compiler is None or not library.exists():
        pytest.skip("needs a C++ compiler and the core as a shared library of Linux")
    driver = tmp_path / "allocation_driver"
    source = HERE / "allocation_driver.cpp"
    options = ["-std=c++20", "-O0", "-pthread", f"-I{HEADERS}", f"-Wl,-rpath,{library.parent}"]
    subprocess.run([compiler, *options, source, library, "-o", driver], check=True)

    lives = subprocess.run([driver], capture_output=True, text=True, check=False, timeout=600)

    assert lives.returncode == 0, lives.stderr
    assert lives.stdout.rstrip().endswith("ok")
