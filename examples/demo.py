"""A tour of kalamdb on real text: many users, one table, each user's rows to that user alone.

It makes a database in a temporary directory, loads conversations of many users into it, looks at them as two of these
users, closes it, opens it again, and shows that nothing is missing. Run it with `make demo`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kalamdb

HERE = Path(__file__).resolve().parent
# Real dialogues where they lie beside the checkout, else a few of our own.
REAL = HERE.parent.parent / "shared" / "data" / "conversations" / "dev.jsonl.gz"
OURS = HERE / "conversations.jsonl"
USERS_MAX = 100

TABLE = """CREATE USER TABLE chat.messages (
    id       BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
    dialogue TEXT NOT NULL,
    service  TEXT,
    turn     INT NOT NULL,
    role     TEXT NOT NULL,
    content  TEXT NOT NULL,
    at       TIMESTAMP DEFAULT NOW()
)"""
INSERT = "INSERT INTO chat.messages (dialogue, service, turn, role, content) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Dialogue:
    """One conversation: what it was about, and who said what."""

    name: str
    service: str | None
    turns: list[tuple[str, str]]


def main() -> None:
    started = time.perf_counter()
    directory = Path(tempfile.mkdtemp(prefix="kalamdb-demo-"))
    try:
        tour(directory / "data")
    finally:
        shutil.rmtree(directory)
    print(f"\nThe tour took {time.perf_counter() - started:.1f} s.")


def tour(directory: Path) -> None:
    """The whole way: make, load, look, be refused, close, open, compare."""
    path = REAL if REAL.exists() else OURS
    dialogues = list(read_dialogues(path))

    heading(f"A new database in {directory}")
    db = kalamdb.open(directory)
    run(db, "CREATE NAMESPACE chat")
    run(db, TABLE)

    users = min(USERS_MAX, len(dialogues) // 10)
    heading(f"{len(dialogues):,} conversations of {users} users, from {path.name}")
    load(db, dialogues, users)

    first, second = db.session(owner(0)), db.session(owner(1))
    look(first, dialogues[0])
    look(second, dialogues[1])

    heading("A default fills what is left out; a NULL where none may be refuses the statement")
    run(
        first,
        "INSERT INTO chat.messages (dialogue, turn, role, content) VALUES ('demo', 0, 'user', 'hello') "
        "RETURNING id, service, content, at",
    )
    run(first, "INSERT INTO chat.messages (dialogue, turn, role, content) VALUES ('demo', 1, 'user', NULL)")

    heading("What one user wrote, another does not see, however the question is put")
    run(
        second, "SELECT count(*) AS demo_rows FROM chat.messages WHERE dialogue = 'demo' OR content = 'hello'"
    )
    run(second, "SELECT count(*) AS everyones_rows FROM all_users.chat.messages")
    run(first, "SELECT count(*) AS demo_rows FROM chat.messages WHERE dialogue = 'demo'")

    heading("Closed, opened again: is everything there?")
    before = fingerprint(db)
    closing = time.perf_counter()
    db.close()
    opening = time.perf_counter()
    db = kalamdb.open(directory)
    opened = time.perf_counter()
    after = fingerprint(db)
    print(f"closed in {(opening - closing) * 1000:.1f} ms, opened in {(opened - opening) * 1000:.1f} ms")
    print(f"before  {before}\nafter   {after}")
    if before != after:
        raise SystemExit("Rows are missing or changed. That must never happen; please report it.")
    print("Nothing is missing.")
    run(db.session(owner(0)), "SELECT count(*) AS messages, max(at) AS last FROM chat.messages")
    db.close()


def load(db: kalamdb.Database, dialogues: Sequence[Dialogue], users: int) -> None:
    """Writes dialogue number i as user i modulo `users`, one durable commit each."""
    sessions = [db.session(owner(user)) for user in range(users)]
    progress = Progress(len(dialogues), "conversations")
    messages = 0
    started = time.perf_counter()
    for number, dialogue in enumerate(dialogues):
        rows = [
            (dialogue.name, dialogue.service, turn, role, content)
            for turn, (role, content) in enumerate(dialogue.turns)
        ]
        sessions[number % users].executemany(INSERT, rows)
        messages += len(rows)
        progress.step()
    seconds = time.perf_counter() - started
    progress.done()
    print(
        f"{messages:,} messages in {seconds:.2f} s: {messages / seconds:,.0f} a second, each conversation synced"
    )


def look(session: kalamdb.Session, dialogue: Dialogue) -> None:
    """What one user asks of a chat: the end of a conversation, a search, some counts."""
    heading(f"As user {session.user}")
    run(
        session,
        "SELECT turn, role, content FROM chat.messages WHERE dialogue = ? ORDER BY turn DESC LIMIT 4",
        [dialogue.name],
    )
    run(
        session,
        "SELECT dialogue, turn, content FROM chat.messages WHERE content ILIKE ? ORDER BY id LIMIT 3",
        ["%thank%"],
    )
    run(
        session,
        "SELECT service, count(DISTINCT dialogue) AS conversations, count(*) AS messages FROM chat.messages "
        "GROUP BY service ORDER BY messages DESC, service LIMIT 5",
    )


def read_dialogues(path: Path) -> Iterator[Dialogue]:
    """One dialogue a line, as JSON; a name that ends with .gz is compressed."""
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as lines
    ):
        for line in lines:
            item = json.loads(line)
            turns = [(role, content) for role, content in item["turns"]]
            yield Dialogue(item["dialogue_id"], next(iter(item["services"]), None), turns)


def owner(user: int) -> str:
    """A user's name."""
    return f"u{user:05d}"


def fingerprint(db: kalamdb.Database) -> str:
    """Count and checksum over every row of every user, in order."""
    result = db.execute("SELECT * FROM all_users.chat.messages ORDER BY _user, id")
    digest = hashlib.sha256()
    for row in result:
        digest.update(repr(row).encode())
    return f"{result.rowcount:,} rows, sha256 {digest.hexdigest()[:16]}"


def run(
    target: kalamdb.Database | kalamdb.Session, sql: str, parameters: Sequence[Any] | None = None
) -> None:
    """Runs one statement and prints it, its answer and how long it took."""
    who = getattr(target, "user", "root")
    print(f"\n{who}> {sql}" + (f"   -- with {list(parameters)}" if parameters else ""))
    try:
        result = target.execute(sql, parameters)
    except kalamdb.Error as error:
        print(f"refused: {error.message}  ({error.code}, SQLSTATE {error.sqlstate})")
        return
    if result.columns:
        rows = result.fetchall()
        print_table(result.columns, rows)
        print(f"({len(rows)} {'row' if len(rows) == 1 else 'rows'}, {result.took_ms:.3f} ms)")
    else:
        print(f"{result.message} ({result.took_ms:.3f} ms)")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A small table; long cells are cut."""
    cells = [["NULL" if value is None else shortened(str(value)) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, ["-" * width for width in widths], *cells):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def shortened(text: str, width: int = 72) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def heading(text: str) -> None:
    print(f"\n== {text}")


class Progress:
    """A bar on a terminal; elsewhere a line at every tenth."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._count = 0
        self._shown = 0
        self._terminal = sys.stdout.isatty()

    def step(self) -> None:
        """One more is done."""
        self._count += 1
        parts = 40 if self._terminal else 10
        part = self._count * parts // self._total
        if part == self._shown:
            return
        self._shown = part
        if self._terminal:
            bar = "#" * part + "." * (parts - part)
            print(f"\r[{bar}] {self._count:,} of {self._total:,} {self._what}", end="", flush=True)
        else:
            print(f"{part * 10:3d} %  {self._count:,} of {self._total:,} {self._what}", flush=True)

    def done(self) -> None:
        """Ends the line of the bar."""
        if self._terminal:
            print()


if __name__ == "__main__":
    main()
