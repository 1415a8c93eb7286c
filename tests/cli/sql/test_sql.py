"""`kalam -c`, `-f` and standard input: what comes out, where, and the exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.server.processes import PASSWORD, Process, run


def test_nothing_but_data_is_on_standard_output(notes) -> None:
    done = notes(
        "--format",
        "csv",
        "-c",
        "UPDATE app.notes SET score = 2 WHERE id = 3; SELECT * FROM app.notes ORDER BY id",
    )

    assert done.stdout.splitlines() == [
        "id,body,score,at",
        "1,hello,1.5,2026-01-02 03:04:05+00:00",
        "2,,,",
        '3,"",2.0,',
    ]
    assert done.stderr == ""


def test_a_table_in_a_pipe_has_no_colours_and_no_footer(notes) -> None:
    done = notes("-c", "SELECT id, body FROM app.notes ORDER BY id")

    assert done.stdout.splitlines() == [" id │ body", "────┼───────", "  1 │ hello", "  2 │ NULL", "  3 │ "]


def test_json_has_numbers_where_every_reader_keeps_them(kalam) -> None:
    statement = (
        "SELECT 3 AS small, 175928847299117056 AS id, CAST(1.50 AS DECIMAL(9, 2)) AS price, NULL AS nothing, "
        "TIMESTAMP '2026-01-02 03:04:05' AS at, true AS yes, 'é' AS text, 1 AS small"
    )
    done = kalam("--format", "json", "-c", statement)

    assert json.loads(done.stdout) == [
        {
            "small": 3,
            "id": "175928847299117056",
            "price": "1.50",
            "nothing": None,
            "at": "2026-01-02T03:04:05+00:00",
            "yes": True,
            "text": "é",
            "small_2": 1,
        }
    ]


def test_an_empty_answer_is_an_empty_array(notes) -> None:
    assert notes("--format", "json", "-c", "SELECT * FROM app.notes WHERE id > 9").stdout == "[]\n"


def test_ndjson_is_an_object_a_line(notes) -> None:
    done = notes("--format", "ndjson", "-c", "SELECT id, body FROM app.notes ORDER BY id")

    assert [json.loads(line)["body"] for line in done.stdout.splitlines()] == ["hello", None, ""]


def test_markdown_escapes_what_would_end_a_cell(kalam) -> None:
    done = kalam("--format", "markdown", "-c", "SELECT 'a|b' AS x, 2 AS n")

    assert done.stdout.splitlines() == ["| x    |   n |", "| ---- | --: |", "| a\\|b |   2 |"]


def test_csv_is_read_back_as_it_was(kalam) -> None:
    done = kalam("--format", "csv", "-c", "SELECT 'a,b' AS a, 'say \"x\"' AS b, 'two\nlines' AS c")

    assert list(csv.reader(io.StringIO(done.stdout, newline=""))) == [
        ["a", "b", "c"],
        ["a,b", 'say "x"', "two\nlines"],
    ]


def test_arrow_and_parquet_are_whole_files(notes, tmp_path: Path) -> None:
    statement = "SELECT * FROM app.notes ORDER BY id"
    arrow = notes("--format", "arrow", "-c", statement).stdout_bytes
    file = tmp_path / "notes.parquet"
    assert notes("--output", str(file), "-c", statement).exit_code == 0

    assert pa.ipc.open_stream(arrow).read_all().column("body").to_pylist() == ["hello", None, ""]
    assert pq.read_table(file).column("id").to_pylist() == [1, 2, 3]


def test_a_whole_file_has_one_answer(notes, tmp_path: Path) -> None:
    done = notes("--output", str(tmp_path / "x.parquet"), "-c", "SELECT 1; SELECT 2")

    assert done.exit_code == 1
    assert "one answer" in done.stderr


def test_an_output_file_chooses_the_format_and_an_option_wins(notes, tmp_path: Path) -> None:
    notes("--output", str(tmp_path / "a.csv"), "-c", "SELECT id FROM app.notes WHERE id = 1")
    notes(
        "--output", str(tmp_path / "b.csv"), "--format", "json", "-c", "SELECT id FROM app.notes WHERE id = 1"
    )

    assert (tmp_path / "a.csv").read_text() == "id\n1\n"
    assert (tmp_path / "b.csv").read_text() == '[{"id":1}]\n'


def test_an_error_has_a_caret_and_status_1_and_ends_the_run(notes) -> None:
    done = notes("--format", "csv", "-c", "SELECT 1 AS a;\n  SELECT *\n  FORM app.notes; SELECT 2")

    assert done.exit_code == 1
    assert done.stdout == "a\n1\n"
    head, line, caret = done.stderr.splitlines()
    assert head.startswith("kalam: INVALID_SQL: syntax error")
    assert line[caret.index("^") :].startswith("FORM")


def test_an_error_in_a_file_names_file_line_and_column(notes, tmp_path: Path) -> None:
    file = tmp_path / "load.sql"
    file.write_text("SELECT 1;\n\n-- here\nSELECT *\nFROM app.notes\nWHERE é = 3;\n")
    done = notes("-f", str(file))

    assert done.exit_code == 1
    assert done.stderr.startswith(f"{file}:6:7: COLUMN_NOT_FOUND: ")
    assert done.stderr.splitlines()[1:] == ["  6: WHERE é = 3", "           ^"]


def test_statements_come_from_standard_input_and_from_several_places(notes, tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_text("SELECT 2 AS a;")

    assert notes("sql", "--format", "csv", input="SELECT 1 AS a;\nSELECT 3 AS a").stdout == "a\n1\na\n3\n"
    assert notes(
        "--format", "csv", "-c", "SELECT 1 AS a", "-f", str(file), "-f", "-", input="SELECT 3 AS a"
    ).stdout == ("a\n1\na\n2\na\n3\n")


def test_commands_with_a_backslash_work_in_files(notes, tmp_path: Path) -> None:
    inner = tmp_path / "inner.sql"
    inner.write_text("SELECT id FROM app.notes WHERE id = 2;")
    script = f"\\format csv\n\\dt app.*\n\\o {tmp_path / 'out.json'}\n\\i {inner}\n\\o\n\\q\nnever read"
    done = notes("sql", input=script)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == "namespace,name,kind,access,storage,flush_policy"
    assert done.stdout.splitlines()[1].startswith("app,notes,shared,public,local")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"id": 2}]


def test_a_command_that_does_not_exist_has_a_hint(kalam) -> None:
    done = kalam("sql", input="\\fromat csv")

    assert done.exit_code == 1
    assert "did you mean \\format?" in done.stderr


def test_a_file_that_runs_itself_is_told(kalam, tmp_path: Path) -> None:
    file = tmp_path / "loop.sql"
    file.write_text(f"\\i {file}\n")
    done = kalam("-f", str(file))

    assert done.exit_code == 1
    assert "does one run itself?" in done.stderr


def test_a_transaction_that_is_left_open_is_said(notes) -> None:
    done = notes("-c", "BEGIN; DELETE FROM app.notes")

    assert "rolled back" in done.stderr
    assert notes("--format", "csv", "-c", "SELECT count(*) AS n FROM app.notes").stdout == "n\n3\n"


def test_a_user_sees_the_users_rows(kalam) -> None:
    kalam(
        "-c",
        "CREATE USER TABLE mine (id BIGINT PRIMARY KEY); EXECUTE AS USER 'ann' (INSERT INTO mine VALUES (1))",
    )
    as_ann = kalam("--user", "ann", "--format", "csv", "-c", "SELECT id, CURRENT_USER() AS who FROM mine")

    assert as_ann.stdout == "id,who\n1,ann\n"
    assert kalam("-u", "bob", "--format", "csv", "-c", "SELECT * FROM mine").stdout == "id\n"


def test_names_without_a_namespace_mean_the_chosen_one(notes) -> None:
    assert (
        notes("--namespace", "app", "--format", "csv", "-c", "SELECT count(*) AS n FROM notes").stdout
        == "n\n3\n"
    )


def test_without_a_database_it_is_one_in_memory(kalam) -> None:
    done = kalam(
        "--format",
        "csv",
        "-c",
        "CREATE TABLE t (id BIGINT PRIMARY KEY); SELECT count(*) AS n FROM t",
        db=None,
    )

    assert done.stdout == "n\n0\n"


def test_a_job_is_done_when_the_command_ends(notes) -> None:
    done = notes("--format", "csv", "-c", "STORAGE FLUSH TABLE app.notes; SELECT status FROM system.jobs")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "completed"


def test_a_job_that_fails_is_an_error(notes, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = notes("-c", f"BACKUP DATABASE TO '{blocked}/x'")

    assert done.exit_code == 1
    assert done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "xml", "-c", "SELECT 1"], "xml"),
        (["-f", "/nowhere/x.sql"], "cannot be read"),
        (["sql", "--nonsense"], "nonsense"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(kalam, arguments: list[str], said: str) -> None:
    done = kalam(*arguments)

    assert done.exit_code in (1, 2)
    assert said in done.stderr


def test_a_usage_error_has_status_2(kalam) -> None:
    assert kalam("--format", "xml", "-c", "SELECT 1").exit_code == 2
    assert kalam(db=None).exit_code == 2


def test_preferences_come_from_a_file(notes, nobodys_home: Path, data: str) -> None:
    nobodys_home.mkdir(parents=True)
    (nobodys_home / "config.toml").write_text(f'db = "{data}"\nformat = "csv"\nnamespace = "app"\n')

    assert notes("-c", "SELECT count(*) AS n FROM notes", db=None).stdout == "n\n3\n"


@pytest.mark.parametrize(
    ("text", "said"), [("formt = 'csv'", "formt"), ("timing = 3", "true or false"), ("=", "TOML")]
)
def test_a_wrong_preference_is_a_usage_error(kalam, nobodys_home: Path, text: str, said: str) -> None:
    nobodys_home.mkdir(parents=True)
    (nobodys_home / "config.toml").write_text(text)
    done = kalam("-c", "SELECT 1")

    assert done.exit_code == 2
    assert said in done.stderr


def test_as_a_process_it_ends_quietly_when_nobody_reads(data: str) -> None:
    writing = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "kalamdb",
            "--db",
            data,
            "--format",
            "csv",
            "-c",
            "SELECT * FROM generate_series(1, 1000000)",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writing.stdout is not None
    assert writing.stderr is not None
    assert writing.stdout.readline() == b"value\n"
    writing.stdout.close()

    assert writing.stderr.read() == b""
    assert writing.wait(60) == 141


def test_as_a_process_it_has_the_statuses(data: str) -> None:
    assert run("--db", data, "-c", "SELECT 1").returncode == 0
    assert run("--db", data, "-c", "SELECT").returncode == 1
    assert run("--db", data, "--formt", "csv").returncode == 2


def test_a_directory_that_is_open_elsewhere_is_told_with_the_ways_out(data: str, kalam) -> None:
    import kalamdb

    with kalamdb.open(data) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.checkpoint()
        done = kalam("-c", "SELECT 1")
        beside = kalam("--read-only", "--format", "csv", "-c", "SELECT count(*) AS n FROM t")

    assert done.exit_code == 1
    assert "--read-only" in done.stderr
    assert beside.stdout == "n\n0\n"


NEEDLESS = {
    "sqlite3", "tomllib", "html", "subprocess", "importlib.abc", "kalamdb.cli.bench", "kalamdb.cli.serve",
    "kalamdb.cli.loading", "kalamdb.cli.settings", "kalamdb.preview",
}  # fmt: skip
"""What other commands need, or nobody most of the time."""


def test_a_statement_for_a_server_imports_neither_engine_nor_other_commands(server: Process) -> None:
    who = {"KALAM_DB": server.url, "KALAM_USER": "dora", "KALAM_PASSWORD": PASSWORD}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kalamdb", "-c", "SELECT 1"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | who,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "kalamdb.client.client" in imported
    others = {
        "pyarrow",
        "datafusion",
        "httpx",
        "websockets",
        "kalamdb.database",
        "kalamdb.settings",
        "click.testing",
    }
    assert not imported & (NEEDLESS | others)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 + 1 AS two, NOW(), CURRENT_USER",
        "SELECT * FROM system.tables",
        "CREATE TABLE t (id BIGINT PRIMARY KEY)",
    ],
)
def test_what_costs_much_to_import_is_not_imported(sql: str) -> None:
    """pandas never; the query engine where it is asked."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kalamdb", "-c", sql],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "kalamcore.store" in imported
    assert not imported & {"pandas.core", "prompt_toolkit", "pygments", "starlette", "httpx"}
    by_engine = "system" in sql
    if not by_engine:
        assert not imported & NEEDLESS
    assert imported & {"datafusion", "pyarrow"} == ({"datafusion", "pyarrow"} if by_engine else set())
    assert not imported & {"datafusion", "pyarrow"} or sql.startswith("SELECT")


def test_a_files_format_is_over_with_the_file_and_commands_follow_use(notes, tmp_path: Path) -> None:
    script = f"""
\\o {tmp_path / "x.parquet"}
SELECT 1 AS a;
\\o {tmp_path / "x.csv"}
SELECT 2 AS a;
\\o
SELECT 3 AS a;
USE app;
\\d notes
"""
    done = notes("--format", "ndjson", "-f", "-", input=script)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith('{"a":3}\n')
    assert '"name":"body"' in done.stdout
    assert (tmp_path / "x.csv").read_text() == "a\n2\n"
    assert pq.read_table(tmp_path / "x.parquet").to_pydict() == {"a": [1]}
