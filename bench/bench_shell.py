"""How long does `kalam import` of 1,000,000 rows of CSV take, beside DuckDB and sqlite3, to a file each? And how long
one statement by `kalam -c`, from the start of the process to its end, on a directory and of a server?"""

from __future__ import annotations

import csv
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROWS = 1_000_000
CONTENDERS = {"kalam": "kalamdb", "duckdb": "duckdb", "sqlite3": "sqlite"}
KALAM = [sys.executable, "-m", "kalamdb"]
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
        subprocess.run([*KALAM, "--db", place, "-c", TABLE], check=True)

    note(benchmark, f"kalam import of {ROWS:,} rows of CSV", CONTENDERS[program], "≥ 1 × sqlite")

    def run() -> None:
        if program == "kalam":
            command = [*KALAM, "--db", place, "import", "m", str(file)]
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


def note(benchmark, question: str, contender: str, goal: str) -> None:
    """What the report puts beside it."""
    benchmark.extra_info.update(question=f"P22 {question}", engine=contender, turn=0, goal=goal, per_call=1)


STATEMENTS = {
    "a row by its key": "SELECT body FROM m WHERE id = 3",
    "a constant": "SELECT 1",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """A directory, and a server of another: with a password each time, and with a log-in that was kept."""
    from tests.server.processes import PASSWORD, Process

    folder = tmp_path_factory.mktemp("places")
    insert = "INSERT INTO m (id, body) VALUES (3, 'three')"
    with Process(folder / "served") as server:
        server.set_up()
        found = {
            "directory": ["--db", str(folder / "data")],
            "log-in": ["--db", server.url, "--user", "dora"],
        }
        for options in found.values():
            subprocess.run(
                [*KALAM, *options, "-c", f"{TABLE}; {insert}"],
                check=True,
                env=os.environ | {"KALAM_PASSWORD": PASSWORD},
            )
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        try:
            subprocess.run(
                [*KALAM, "login", server.url, "--user", "dora"],
                check=True,
                env=os.environ | {"KALAM_PASSWORD": PASSWORD},
            )
            yield found | {"server": found["log-in"]}
        finally:
            del os.environ["XDG_CONFIG_HOME"]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("place", ["directory", "server", "log-in"])
def test_start(place: str, statement: str, places: dict[str, list[str]], benchmark) -> None:
    """The whole process; of a log-in the hashing of the password included."""
    from tests.server.processes import PASSWORD

    goal = "≤ 150 ms" if statement == "a row by its key" and place != "log-in" else ""
    who = {"directory": "kalamdb", "server": "a server's, logged in", "log-in": "a server's, with a password"}
    note(benchmark, f"kalam -c, {statement}", who[place], goal)
    command = [*KALAM, *places[place], "-c", STATEMENTS[statement]]
    environment = os.environ | ({"KALAM_PASSWORD": PASSWORD} if place == "log-in" else {})
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, capture_output=True, env=environment),
        rounds=7,
        warmup_rounds=1,
    )


def test_start_of_python(benchmark) -> None:
    """What no program in Python does without."""
    note(benchmark, "kalam -c, a row by its key", "nothing, by Python", "≤ 150 ms")
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", ""], check=True), rounds=7, warmup_rounds=1
    )
