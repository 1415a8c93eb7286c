"""`python -m tests.security.host_file_attacks DIRECTORY HOST [--open FILE]`: whoever asks for files of the host, asks.

Everything is asked twice, of the files in HOST/1 and then of those in HOST/2: the second time all that Python loads
when it is first needed is loaded, and what is opened between the two marks is opened for the statements. DIRECTORY is
the database's. --open FILE: open it between the marks, so that who watches can be seen to see it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

import kalamdb
from tests.security.test_host_files import CANARY, FORMS, STATEMENTS
from tests.server.serving import token_of

MARKS = ("/the-attacks-begin", "/the-attacks-have-ended")
"""There are no such files: a look for one is seen by who watches."""
ROLES = ("user", "service", "dba", "system")
PLAIN = (
    "SELECT count(*), max(body) FROM t",
    "SELECT id FROM t WHERE id = 3",
    "SELECT * FROM mine ORDER BY id",
    "INSERT INTO mine VALUES ({number}, 'more')",
    "UPDATE mine SET body = 'other' WHERE id = {number}",
    "DELETE FROM mine WHERE id = {number}",
    "EXPLAIN ANALYZE SELECT * FROM t WHERE body LIKE '%a%'",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM system.columns",
    "SHOW TABLES",
    "DESCRIBE TABLE t",
    "EXECUTE AS USER '{name}' (SELECT CURRENT_USER())",
)
"""What everybody may, over rows of every tier."""
KEEPING = ("CHECKPOINT", "STORAGE FLUSH ALL", "STORAGE COMPACT ALL")
"""What the roles above `user` may, so that the files of the database are among what is seen."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("host", type=Path)
    parser.add_argument("--open", dest="seen")
    given = parser.parse_args()
    with kalamdb.open(given.directory) as db:
        _fill(db)
        asyncio.run(_attack(db, given.host, given.seen))


def _fill(db: kalamdb.Database) -> None:
    db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute("CREATE USER TABLE mine (id BIGINT PRIMARY KEY, body TEXT)")
    for first, settle in ((0, db.flush), (10, db.flush), (20, db.checkpoint), (30, None)):
        for session in (db, *(db.session(role) for role in ROLES)):
            table = "t" if session is db else "mine"
            session.execute(
                f"INSERT INTO {table} VALUES " + ", ".join(f"({first + n}, 'a')" for n in range(10))
            )
        if settle is not None:
            settle()
    for role in ROLES:
        db.execute(f"CREATE USER {role} ROLE {role}")


async def _attack(db: kalamdb.Database, host: Path, seen: str | None) -> None:
    transport = httpx.ASGITransport(app=db.asgi())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for number in (1, 2):
            async with _marked(number):
                if seen is not None:
                    Path(seen).read_bytes()
                for role in ROLES if seen is None else ():
                    await _attack_as(role, db, client, host / str(number), number)


@contextlib.asynccontextmanager
async def _marked(number: int) -> AsyncIterator[None]:
    if number == 2:
        _mark(MARKS[0])
    yield
    if number == 2:
        _mark(MARKS[1])


def _mark(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.close(os.open(path, os.O_RDONLY))


async def _attack_as(
    role: str, db: kalamdb.Database, client: httpx.AsyncClient, place: Path, number: int
) -> None:
    session = db.session(role)
    headers = {"Authorization": f"Bearer {token_of(db, role)}"}
    for text in STATEMENTS:
        sql = text.format(path=place / "secret.csv", directory=place, out=place / "out.csv")
        # Once to load what is loaded, then in earnest.
        for form in FORMS if number == 2 else FORMS[:1]:
            with contextlib.suppress(kalamdb.Error):
                raise AssertionError(
                    session.execute(form.format(sql).replace("'mallory'", f"'{role}'")).fetchall()
                )
        answer = await client.post("/v1/api/sql", json={"sql": sql}, headers=headers)
        assert answer.status_code >= 400, sql
        assert CANARY not in answer.text
    for text in PLAIN if role == "user" else PLAIN + KEEPING:
        session.execute(text.format(name=role, number=1000 * number)).fetchall()


if __name__ == "__main__":
    main()
