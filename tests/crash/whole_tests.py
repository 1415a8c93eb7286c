"""Tests that are whole in every run, for they are few: run once more, and counted, for the page of the proofs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tests.crash.failures import Figures

ROOT = Path(__file__).parents[2]


def prove(*arguments: str) -> Figures:
    """What pytest is given: files, and -k with words."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="tests-") as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run([*command, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
        if not report.exists():
            figures.find(f"pytest ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
            return figures
        cases = ElementTree.parse(report).iter("testcase")
    for case in cases:
        figures.tried += 1
        name = f"{case.get('classname')}: {case.get('name')}"
        if (failure := case.find("failure")) is None:
            failure = case.find("error")
        if failure is not None:
            figures.find(f"{name}: {failure.get('message')}")
        elif (skipped := case.find("skipped")) is not None:
            figures.outcomes[f"not tried ({skipped.get('message')})"] += 1
        else:
            figures.outcomes["held"] += 1
    if not figures.tried:
        figures.find("there was no test")
    return figures
