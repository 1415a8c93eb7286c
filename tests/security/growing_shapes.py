"""Statements that grow, on threads with small stacks: `python -m tests.security.growing_shapes SEED [SHAPES]`.

Each shape of text is run at every size up to a million parts, on the main thread, on one with a stack of 1 MiB, or on
one with the usual stack, and on all three at the sizes about the limits. SHAPES: so many of them alone, chosen by SEED,
and one thread for each size. It must answer or be refused, and take no more than 512 MB. A process that dies here takes
none of the tests along: `prove` runs it, and tells where it stood.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import kalamdb
from kalamdb.errors import InternalError
from tests.crash.failures import Figures

SIZES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
LARGEST = (100, 1000)
"""About where texts are still answered, and so where a stack is filled most."""
SECONDS_MAX = 60.0
"""Catches a hang."""
BYTES_MAX = 512 << 20
ROOT = Path(__file__).parents[2]


def _list(head: str, part: str, between: str = ", ", tail: str = "") -> Callable[[int], str]:
    return lambda n: head + between.join([part] * n) + tail


def _nested(head: str, before: str, core: str, after: str, tail: str = "") -> Callable[[int], str]:
    return lambda n: head + before * n + core + after * n + tail


SHAPES: dict[str, Callable[[int], str]] = {
    "terms of OR": _list("SELECT 1 FROM t WHERE ", "id = 1", " OR "),
    "terms of AND": _list("SELECT 1 FROM t WHERE ", "id = 1", " AND "),
    "terms of OR without a table": _list("SELECT 1 WHERE ", "1 = 2", " OR "),
    "terms of OR in DELETE": _list("DELETE FROM t WHERE ", "id = -1", " OR "),
    "terms of OR in UPDATE": _list("UPDATE t SET n = 1 WHERE ", "id = -1", " OR "),
    "sums": _list("SELECT ", "1", " + "),
    "differences": _list("SELECT ", "1", " - "),
    "products": _list("SELECT ", "1", " * "),
    "concatenations": _list("SELECT ", "'a'", " || "),
    "sums of a column": _list("SELECT ", "id", " + ", " FROM t"),
    "sums in SET": _list("UPDATE t SET n = ", "1", " + "),
    "sums in VALUES": _list("INSERT INTO t (id) VALUES (", "0", " + ", ") ON CONFLICT DO NOTHING"),
    "sums in RETURNING": _list("DELETE FROM t WHERE id = -1 RETURNING ", "1", " + "),
    "sums in a DEFAULT": _list("CREATE TABLE IF NOT EXISTS d (id BIGINT PRIMARY KEY DEFAULT ", "1", " + ", ")"),
    "sums in ORDER BY": _list("SELECT id FROM t ORDER BY ", "id", " + "),
    "sums in GROUP BY": _list("SELECT count(*) FROM t GROUP BY ", "id", " + "),
    "sums in HAVING": _list("SELECT count(*) FROM t HAVING ", "1", " + ", " > 0"),
    "signs": _nested("SELECT ", "- ", "1", ""),
    "pluses": _nested("SELECT ", "+ ", "1", ""),
    "NOTs": _nested("SELECT ", "NOT ", "TRUE", ""),
    "parentheses": _nested("SELECT ", "(", "1", ")"),
    "parentheses in DELETE": _nested("DELETE FROM t WHERE ", "(", "id = -1", ")"),
    "parentheses never closed": _nested("SELECT ", "(", "1", ""),
    "parentheses never opened": _nested("SELECT ", "", "1", ")"),
    "brackets": _nested("SELECT ", "[", "1", "]"),
    "brackets never closed": _nested("SELECT ", "[", "1", ""),
    "CASE in CASE": _nested("SELECT ", "CASE WHEN TRUE THEN ", "1", " END"),
    "CASE never ended": _nested("SELECT ", "CASE WHEN TRUE THEN ", "1", ""),
    "arms of CASE": _list("SELECT CASE ", "WHEN FALSE THEN 1", " ", " END"),
    "casts in casts": _nested("SELECT ", "CAST(", "1", " AS BIGINT)"),
    "casts after casts": _nested("SELECT 1", "", "", "::BIGINT"),
    "functions in functions": _nested("SELECT ", "abs(", "1", ")"),
    "functions in functions in VALUES": _nested(
        "INSERT INTO t (id) VALUES (", "abs(", "0", ")", ") ON CONFLICT DO NOTHING"
    ),
    "subqueries": _nested("SELECT ", "(SELECT ", "1", ")"),
    "subqueries in FROM": _nested("SELECT * FROM ", "(SELECT * FROM ", "t", ")"),
    "EXISTS in EXISTS": _nested("SELECT 1 FROM t WHERE ", "EXISTS (SELECT 1 FROM t WHERE ", "TRUE", ")"),
    "IN in IN": _nested("SELECT 1 FROM t WHERE ", "id IN (SELECT id FROM t WHERE ", "TRUE", ")"),
    "arms of UNION ALL": _list("", "SELECT 1", " UNION ALL "),
    "arms of UNION": _list("", "SELECT 1", " UNION "),
    "arms of INTERSECT": _list("", "SELECT 1", " INTERSECT "),
    "arms of EXCEPT": _list("", "SELECT 1", " EXCEPT "),
    "CTEs": lambda n: "WITH " + ", ".join(f"c{i} AS (SELECT 1)" for i in range(n)) + " SELECT 1",
    "CTEs of CTEs": lambda n: (
        "WITH c0 AS (SELECT 1)" + "".join(f", c{i} AS (SELECT * FROM c{i - 1})" for i in range(1, n)) + " SELECT 1"
    ),
    "tables joined": _list("SELECT count(*) FROM t", " JOIN t AS x USING (id)", ""),
    "tables with commas": _list("SELECT count(*) FROM ", "t"),
    "items of IN": _list("SELECT 1 FROM t WHERE id IN (", "1", ", ", ")"),
    "items of NOT IN": _list("SELECT 1 FROM t WHERE id NOT IN (", "1", ", ", ")"),
    "items of IN in DELETE": _list("DELETE FROM t WHERE id IN (", "-1", ", ", ")"),
    "columns of SELECT": _list("SELECT ", "1"),
    "columns of ORDER BY": _list("SELECT id FROM t ORDER BY ", "id"),
    "columns of a table": lambda n: (
        "CREATE TABLE IF NOT EXISTS w (id BIGINT PRIMARY KEY" + "".join(f", c{i} INT" for i in range(n)) + ")"
    ),
    "columns of INSERT": _list("INSERT INTO t (", "id", ", ", ") VALUES (1)"),
    "rows of VALUES": _list("VALUES ", "(1)"),
    "rows of INSERT": _list("INSERT INTO t (id) VALUES ", "(1)"),
    # Each is a statement with a deadline of its own, and more of them take longer by right.
    "statements": lambda n: "; ".join(["SELECT 1"] * min(n, 1000)),
    "semicolons": _list("SELECT 1", ";", ""),
    "comments": _nested("SELECT 1 ", "/*", "", "*/"),
    "lines of comments": _list("", "-- nothing", "\n", "\nSELECT 1"),
    "a long literal": _nested("SELECT '", "x", "", "", "'"),
    "a long literal of quotes": _nested("SELECT '", "''", "", "", "'"),
    "a long name": _nested("SELECT ", "x", "", ""),
    "a long quoted name": _nested('SELECT "', "x", "", "", '"'),
    "a long number": _nested("SELECT ", "9", "", ""),
    "a long hexadecimal": _nested("SELECT X'", "00", "", "", "'"),
    "parameters": _list("SELECT ", "?"),
    "dots": _list("SELECT ", "a", ".", " FROM t"),
    "BETWEENs": _list("SELECT 1 FROM t WHERE ", "id BETWEEN 1 AND 2", " OR "),
    "LIKE of wildcards": _nested("SELECT 1 FROM t WHERE 'aaaaaaaaaaaaaaaaaaaaaaaa' LIKE '", "%a", "", "", "b'"),
    "JSON in JSON": _nested("SELECT '", '{"a":', "1", "}", "'::JSON"),
    "windows": _list("SELECT ", "sum(id) OVER (PARTITION BY n ORDER BY id)", ", ", " FROM t"),
    "views": _list("CREATE OR REPLACE VIEW v AS SELECT 1 AS a WHERE ", "1 = 2", " OR "),
    "EXPLAIN of terms": _list("EXPLAIN SELECT 1 WHERE ", "1 = 2", " OR "),
}  # fmt: skip


def on_thread(work: Callable[[], None], stack_bytes: int) -> None:
    before = threading.stack_size(stack_bytes)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()


def memory_bytes(line: str) -> int:
    """A line of /proc/self/status: VmRSS, what this process has now, or VmHWM, the most it had since `begin_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


def begin_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main(seed: int, count: int | None) -> int:
    figures = Figures()
    dice = random.Random(seed)
    with kalamdb.open(":memory:", statement_timeout_s=10) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
        db.execute("INSERT INTO t VALUES (1, 1), (2, 2)")
        places: list[Callable[[Callable[[], None]], None]] = [
            lambda work: work(),
            lambda work: on_thread(work, 1 << 20),
            lambda work: on_thread(work, 0),
        ]
        order = [
            (name, size, place)
            for name in (SHAPES if count is None else dice.sample(list(SHAPES), count))
            for size in SIZES
            for place in (
                range(len(places)) if count is None and size in LARGEST else [dice.randrange(len(places))]
            )
        ]
        dice.shuffle(order)
        for name, size, place in order:
            where = f"{name}, {size}, place {place}"

            def run(name: str = name, size: int = size, where: str = where) -> None:
                try:
                    db.execute(SHAPES[name](size)).fetchall()
                    figures.outcomes["answered"] += 1
                except kalamdb.Error as error:
                    figures.outcomes["refused"] += 1
                    if isinstance(error, InternalError):
                        figures.find(f"{where}: {error}")
                except BaseException as error:
                    figures.find(f"{where}: {type(error).__name__}: {str(error)[:300]}")

            # Where it stood, should the process die.
            print(where, file=sys.stderr, flush=True)
            figures.tried += 1
            begin_peak()
            started, before = time.monotonic(), memory_bytes("VmRSS")
            places[place](run)
            took = time.monotonic() - started
            if took > SECONDS_MAX:
                figures.find(f"{where}: {took:.0f} s")
            if (taken := memory_bytes("VmHWM") - before) > BYTES_MAX:
                figures.find(f"{where}: {taken >> 20} MB")
        if db.execute("SELECT count(*) FROM t WHERE id > 0").fetchall() != [(2,)]:
            figures.find("rows came or went")
    told = {"tried": figures.tried, "wrong": figures.wrong, "outcomes": figures.outcomes}
    print(json.dumps({**told, "findings": figures.findings}))
    return 0


def prove(seed: int, count: int | None = None) -> Figures:
    """In a process of its own."""
    command = [sys.executable, "-m", "tests.security.growing_shapes", str(seed)]
    command += [] if count is None else [str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = Figures()
    if done.returncode != 0:
        figures.find(f"the process ended with {done.returncode}: {done.stderr[-500:]}")
        return figures
    told = json.loads(done.stdout)
    figures.tried, figures.wrong, figures.findings = told["tried"], told["wrong"], told["findings"]
    figures.outcomes.update(told["outcomes"])
    return figures


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
