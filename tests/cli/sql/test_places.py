"""A directory and a server answer alike."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from kalamdb.cli.token_file import tokens_path
from tests.server.processes import PASSWORD, Process


def test_statements_answers_and_errors_are_the_same(kalam, place: str) -> None:
    made = kalam(
        "-c", "CREATE NAMESPACE one; USE one; CREATE TABLE t (id BIGINT PRIMARY KEY, b TEXT)", db=place
    )
    assert made.exit_code == 0, made.stderr
    script = "USE one; INSERT INTO t VALUES (1, 'x'), (175928847299117056, NULL); SELECT * FROM t ORDER BY id"
    done = kalam("--format", "json", "-c", script, db=place)
    wrong = kalam("-c", "SELECT *\nFORM t", db=place)
    kalam("-c", "DROP NAMESPACE one CASCADE", db=place)

    assert json.loads(done.stdout) == [{"id": 1, "b": "x"}, {"id": "175928847299117056", "b": None}]
    assert wrong.exit_code == 1
    assert wrong.stderr.splitlines()[1:] == ["  2: FORM t", "     ^"]


def test_a_transaction_is_whole_or_nothing(kalam, place: str) -> None:
    kalam("-c", "CREATE TABLE two (id BIGINT PRIMARY KEY)", db=place)
    good = kalam(
        "--format",
        "csv",
        "-c",
        "BEGIN; INSERT INTO two VALUES (1); SELECT count(*) AS n FROM two; COMMIT",
        db=place,
    )
    bad = kalam("-c", "BEGIN; INSERT INTO two VALUES (2); INSERT INTO two VALUES (1); COMMIT", db=place)
    kalam("-c", "BEGIN; INSERT INTO two VALUES (3); ROLLBACK", db=place)
    after = kalam("--format", "csv", "-c", "SELECT id FROM two; DROP TABLE two", db=place)

    assert good.stdout == "n\n1\n"
    assert bad.exit_code == 1
    assert "UNIQUE_VIOLATION" in bad.stderr
    assert after.stdout == "id\n1\n"


def test_arrow_comes_from_both(kalam, place: str) -> None:
    import pyarrow as pa

    done = kalam("--format", "arrow", "-c", "SELECT 1 AS a", db=place)

    assert pa.ipc.open_stream(done.stdout_bytes).read_all().to_pydict() == {"a": [1]}


def test_a_log_in_is_kept_for_its_owner_alone_and_forgotten(kalam, server: Process, monkeypatch) -> None:
    monkeypatch.setenv("KALAM_PASSWORD", PASSWORD)
    assert kalam("login", server.url, "--user", "dora", db=None).exit_code == 0
    monkeypatch.delenv("KALAM_PASSWORD")
    who = kalam("--format", "csv", "-c", "SELECT CURRENT_USER() AS who", db=server.url)

    assert who.stdout == "who\ndora\n", who.stderr
    assert stat.S_IMODE(tokens_path().stat().st_mode) == 0o600
    assert kalam("logout", server.url, db=None).exit_code == 0
    assert kalam("-c", "SELECT 1", db=server.url).exit_code == 1
    assert "dora" not in Path(tokens_path()).read_text()


def test_a_kept_token_that_ends_is_refreshed(kalam, server: Process, monkeypatch) -> None:
    monkeypatch.setenv("KALAM_PASSWORD", PASSWORD)
    kalam("login", server.url, "--user", "dora", db=None)
    monkeypatch.delenv("KALAM_PASSWORD")
    tokens = json.loads(tokens_path().read_text())
    before = tokens[server.url]["refresh_token"]
    tokens[server.url]["expires_at"] = "2020-01-01T00:00:00Z"
    tokens_path().write_text(json.dumps(tokens))

    assert kalam("--format", "csv", "-c", "SELECT 1 AS a", db=server.url).stdout == "a\n1\n"
    assert json.loads(tokens_path().read_text())[server.url]["refresh_token"] != before


def test_a_wrong_password_and_nobody_are_told(kalam, server: Process, monkeypatch) -> None:
    assert "kalam login" in kalam("-c", "SELECT 1", db=server.url).stderr
    monkeypatch.setenv("KALAM_PASSWORD", "wrong wrong wrong")
    done = kalam("--user", "nobody", "-c", "SELECT 1", db=server.url)

    assert done.exit_code == 1
    assert "INVALID_CREDENTIALS" in done.stderr


def test_a_server_that_is_not_there_is_told(kalam) -> None:
    done = kalam("--token", "x", "-c", "SELECT 1", db="http://127.0.0.1:9")

    assert done.exit_code == 1
    assert "127.0.0.1:9" in done.stderr
