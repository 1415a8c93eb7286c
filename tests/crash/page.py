"""docs/proof.md: a line for each proof, with the seed and the revision of the run that it is of.

A run writes its lines as it goes and leaves the others alone, so that one that is ended early, or is of a single proof,
says nothing of what it did not try.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

HEAD = """# Proof

What was tried against durability, isolation and equal answers, and what was found wrong; `make proof` writes this page.
What it means is in [durability](durability.md). A proof by itself, as it was run here:
`python -m tests.crash --only NAME --seed SEED`.

| name | what | tried | found | took | seed, revision, machine |
| --- | --- | --- | --- | --- | --- |
"""
PROVED = ("src", "grammar", "tests", "CMakeLists.txt", "pyproject.toml")


def machine(seed: int, times: int) -> str:
    """Whose figures these are. Said before a run, for the checkout may change meanwhile."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = " with changes" if _git("status", "--porcelain", "--", *PROVED) else ""
    much = f", {times} times as much" if times > 1 else ""
    return f"{seed}{much}, {commit}{changed}, Python {platform.python_version()} on {platform.machine()}"


def line(name: str, *columns: str) -> str:
    return f"| {' | '.join([f'`{name}`', *columns])} |"


def lines(path: Path) -> dict[str, str]:
    """Of a page that is there, by the names of the proofs."""
    text = path.read_text() if path.exists() else ""
    return {found[1]: found[0] for found in re.finditer(r"^\| `([\w-]+)` \|.*$", text, re.MULTILINE)}


def written(found: Mapping[str, str], names: Sequence[str]) -> str:
    """The page, in the order of `names`."""
    return HEAD + "".join(
        f"{found.get(name, line(name, 'not tried yet', '', '', '', ''))}\n" for name in names
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
