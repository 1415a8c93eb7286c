"""How long does `kalam import` of 1,000,000 rows of CSV take, beside DuckDB and sqlite3, to a file each?"""

from __future__ import annotations

import csv
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 1_000_000
TABLE = (
    "CREATE TABLE m (id BIGINT PRIMARY KEY, conversation TEXT, body TEXT, score DOUBLE, sent_at TIMESTAMP)"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of a chat, as CSV with a header."""
    path = tmp_path_factory.mktemp("csv") / "m.csv"
    with path.open("w") as out:
        out.write("id,conversation,body,score,sent_at\n")
        for i in range(ROWS):
            at = f"2026-01-02 03:{i // 60 % 60:02}:{i % 60:02}"
            out.write(f"{i},c{i % 1000},some text of a message number {i},{i / 7:.4f},{at}\n")
    return path


@pytest.mark.parametrize("program", ["kalam", "duckdb", "sqlite3"])
def test_import(program: str, file: Path, tmp_path: Path, benchmark) -> None:
    """The whole of it, the start of the process and what makes it durable included; sqlite3 by Python's csv."""
    place = str(tmp_path / "data")
    if program == "kalam":
        subprocess.run([sys.executable, "-m", "kalamdb", "--db", place, "-c", TABLE], check=True)

    def run() -> None:
        if program == "kalam":
            command = [sys.executable, "-m", "kalamdb", "--db", place, "import", "m", str(file)]
            subprocess.run(command, check=True, capture_output=True)
        elif program == "duckdb":
            copying = (
                "import duckdb, sys; c = duckdb.connect(sys.argv[1]); [c.execute(s) for s in sys.argv[2:]]"
            )
            copy = f"COPY m FROM '{file}'"
            subprocess.run([sys.executable, "-c", copying, place, TABLE, copy], check=True)
        else:
            with sqlite3.connect(place) as connection, file.open(newline="") as lines:
                connection.execute(TABLE)
                rows = csv.reader(lines)
                next(rows)
                connection.executemany("INSERT INTO m VALUES (?, ?, ?, ?, ?)", rows)

    benchmark.pedantic(run, rounds=1, iterations=1)
