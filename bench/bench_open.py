"""How long until `import kalamdb` is done, and until a new process has its first answer?

Each round is a new interpreter; what an interpreter that imports nothing takes stands beside. (P16)
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.race import FULL, Operation, Paddock, Question, take_turn, turns

ROUNDS = 20 if FULL else 3
MAKE = "import kalamdb; db = kalamdb.open('data'); db.execute('CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)')"
FIRST_QUERY = "import kalamdb; kalamdb.open('data').execute('SELECT body FROM t WHERE id = 42').fetchall()"


@contextlib.contextmanager
def process(program: str, directory: Path) -> Iterator[Operation]:
    subprocess.run([sys.executable, "-c", f"{MAKE}; db.close()"], cwd=directory, check=True)
    yield lambda: subprocess.run([sys.executable, "-c", program], cwd=directory, check=True)


@turns(
    Question(
        "P16 import kalamdb",
        {
            "kalamdb": partial(process, "import kalamdb"),
            "pyarrow": partial(process, "import pyarrow"),
            "empty interpreter": partial(process, "pass"),
        },
        "≤ 1.3 × pyarrow",
        ROUNDS,
    ),
    Question(
        "P16 open and first query by key",
        {"kalamdb": partial(process, FIRST_QUERY), "import alone": partial(process, "import kalamdb")},
        "≤ 50 ms more than the import",
        ROUNDS,
    ),
)
def test_open(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
