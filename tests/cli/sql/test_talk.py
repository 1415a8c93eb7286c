"""The shell with a person, through a pseudo-terminal."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.server.processes import PASSWORD, Process

DEADLINE_S = 60
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])")


class Talk:
    """A shell, and what it wrote since it was last looked at."""

    def __init__(self, data: str, *arguments: str, pager: str = "") -> None:
        self.process = pexpect.spawn(
            sys.executable,
            ["-m", "kalamdb", "sql", data, *arguments],
            env=dict(os.environ) | {"TERM": "xterm", "PAGER": pager, "PROMPT_TOOLKIT_NO_CPR": "1"},
            encoding="utf-8",
            timeout=DEADLINE_S,
            dimensions=(40, 120),
        )

    def until(self, pattern: str) -> str:
        """What it writes up to a pattern, escapes left out."""
        self.process.expect(pattern)
        return ESCAPES.sub("", self.process.before + self.process.after)

    def say(self, text: str) -> None:
        self.process.send(text + "\r")


@pytest.fixture
def talk(data: str) -> Iterator[Talk]:
    one = Talk(data)
    one.until("to leave")
    yield one
    one.process.close(force=True)


def test_a_person_types_statements_and_leaves(talk: Talk) -> None:
    talk.say("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT);")
    talk.until(r"created|Created")
    talk.say("INSERT INTO notes VALUES (1, 'hello'), (2, NULL);")
    talk.until(r"Inserted 2 row\(s\)")
    talk.say("SELECT *")
    talk.say("FROM notes ORDER BY id;")

    answer = talk.until(r"2 rows, [0-9.]+ ms")
    assert "hello" in answer
    assert "NULL" in answer

    talk.say("BEGIN;")
    talk.until(r"default.*\*")
    talk.say("ROLLBACK;")
    talk.until("Rolled back")
    talk.say("SELEC 1;")
    talk.until("INVALID_SQL")
    talk.until(r"\^")
    talk.say("\\d notes")
    talk.until("column_name|body")
    talk.say("\\q")
    talk.process.expect(pexpect.EOF)
    talk.process.wait()
    assert talk.process.exitstatus == 0


def test_ctrl_c_drops_a_line_and_ends_a_statement_and_ctrl_d_leaves(talk: Talk) -> None:
    talk.until("default.*>")
    talk.process.send("SELECT nothing")
    talk.until("nothing")
    talk.process.sendintr()
    talk.until("default.*>")
    talk.say("SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b;")
    # The terminal is the statement's now.
    talk.process.expect(r"\x1b\[\?2004l")
    talk.process.sendintr()
    talk.say("SELECT 40 + 2 AS answer;")
    talk.until(r"1 row, ")
    talk.until("default.*>")
    talk.process.send("\x04")
    talk.process.expect(pexpect.EOF)


def test_tab_completes_and_history_is_kept_for_its_owner_alone(talk: Talk, nobodys_home: Path) -> None:
    talk.say("CREATE TABLE messages (id BIGINT PRIMARY KEY);")
    talk.until("reated")
    talk.say("ALTER USER root SET PASSWORD 'correct horse battery';")
    talk.until("default.*>")
    talk.process.send("DESCR\t")
    talk.until("DESCRIBE")
    talk.say(" messages;")
    talk.until("BIGINT")
    talk.say("\\q")
    talk.process.expect(pexpect.EOF)

    (file,) = (nobodys_home / "history").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "CREATE TABLE messages" in file.read_text()
    assert "horse" not in file.read_text()


def test_a_live_query_shows_changes_until_ctrl_c(talk: Talk, tmp_path: Path) -> None:
    talk.say("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT);")
    talk.until("reated")
    talk.say("INSERT INTO notes VALUES (1, 'first');")
    talk.until("Inserted")
    talk.say("SUBSCRIBE TO notes;")
    talk.until(r"snapshot.*id=1")
    talk.process.sendintr()
    talk.until("default.*>")
    talk.say("SELECT 40 + 2 AS answer;")
    talk.until("42")


def test_a_live_query_of_a_server_shows_what_others_write(
    kalam, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALAM_USER", "dora")
    monkeypatch.setenv("KALAM_PASSWORD", PASSWORD)
    statement = "CREATE NAMESPACE told; CREATE SHARED TABLE told.notes (id BIGINT PRIMARY KEY, body TEXT)"
    assert kalam("-c", statement, db=server.url).exit_code == 0
    one = Talk(server.url)
    one.until("to leave")
    one.say("SUBSCRIBE TO told.notes WHERE body LIKE '%later%';")
    one.until(r"snapshot.*no rows")
    kalam("-c", "INSERT INTO told.notes VALUES (1, 'not this'), (2, 'came later')", db=server.url)
    shown = one.until(r"body=came later")
    one.process.sendintr()
    one.until("default.*>")
    one.process.close(force=True)

    assert "insert" in shown
    assert "not this" not in shown


def test_a_connection_that_is_not_made_leaves_the_one_before(talk: Talk, server: Process) -> None:
    talk.say("CREATE USER bob WITH ROLE user; DROP USER bob; SELECT 'made';")
    talk.until("1 row, ")
    talk.say("\\connect - bob")
    talk.until("kalam: ")
    talk.say("SELECT CURRENT_USER || ' one' AS a;")
    talk.until("root one")
    for key in "cd":
        talk.say(f"\\connect {server.url} dora")
        talk.until("Password of dora: ")
        talk.process.sendcontrol(key)
        talk.until("cancelled")
        talk.say(f"SELECT CURRENT_USER || ' {key}' AS a;")
        talk.until(f"root {key}")
    talk.say("BEGIN;")
    talk.until("Transaction begun")
    talk.say("\\connect - ann")
    talk.until("the open transaction was rolled back")
    talk.until("as ann")


def test_a_terminal_is_drawn_for_and_asked_for_a_file_where_it_cannot(talk: Talk) -> None:
    talk.say("\\format arrow")
    talk.say("SELECT 1;")
    talk.until("this format is no text")
    talk.say("\\format table")
    talk.say("SELECT repeat('x', 4000) AS long;")
    talk.until("…")


MANY = "SELECT value AS n FROM generate_series(1, 300);"


@pytest.fixture
def paging(data: str) -> Iterator[Talk]:
    """A shell whose pager marks each line that it was given."""
    one = Talk(data, pager="sed -u s/^/paged:/")
    one.until("to leave")
    yield one
    one.process.close(force=True)


def test_long_answers_go_to_the_pager_and_short_ones_do_not(paging: Talk) -> None:
    paging.say(MANY)
    shown = paging.until(r"300 rows")
    assert shown.count("paged:") == 302
    assert "paged: 300" in shown
    paging.until("default.*>")
    paging.say("SELECT 40 + 2 AS answer;")
    assert "paged" not in paging.until("1 row,")
    paging.say("\\o /dev/null")
    paging.say(MANY)
    paging.say("\\o")
    paging.say("SELECT 50 + 5 AS again;")
    assert "paged" not in paging.until("55")


def test_a_pager_may_end_before_it_has_read_all(data: str) -> None:
    one = Talk(data, pager="head -n 4")
    one.until("to leave")
    one.say("SELECT value AS n, repeat('x', 90) AS x FROM generate_series(1, 20000);")
    shown = one.until("20,000 rows")
    one.say("SELECT 40 + 2 AS answer;")
    one.until("42")
    one.process.close(force=True)

    assert " 2 " in shown
    assert " 9 " not in shown


@pytest.mark.parametrize("how", ["none is there", "preferred"])
def test_without_a_pager_all_of_it_is_written(data: str, nobodys_home: Path, how: str) -> None:
    pager = "/no/such/pager"
    if how == "preferred":
        nobodys_home.mkdir(parents=True)
        (nobodys_home / "config.toml").write_text('pager = ""\n')
        pager = "sed s/^/paged:/"
    one = Talk(data, pager=pager)
    one.until("to leave")
    one.say(MANY)
    shown = one.until("300 rows")
    one.process.close(force=True)

    assert " 299" in shown
    assert "paged" not in shown
