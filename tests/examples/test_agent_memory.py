"""The agent remembers what is long ago by its summary, and of each user only what that user said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "agent_memory.py"


def test_the_agent_remembers_for_one_user_what_it_does_not_tell_another(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ann: what is my cat?",
        "agent: You told me: my cat is Mia.",
        "ben: what is my cat?",
        "agent: I do not know that.",
        "summary of ann: my cat is Mia. my city is Lisbon",
        "22 turns of both",
    ]
