"""`kalam import` and `kalam export`: what goes in, what is told of what does not, and that it comes out as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

EVERYTHING = """CREATE TABLE every (
    id BIGINT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, f FLOAT, d DOUBLE, n DECIMAL(9, 2), t TEXT, v VARCHAR(3),
    x BYTES, at TIMESTAMP, day DATE, hour TIME, u UUID, j JSON)"""
ROW = """INSERT INTO every VALUES (175928847299117056, true, -3, 4, 0.5, 1e300, 12.50, 'a, "b"
c', 'abc', X'00ff', '2026-01-02 03:04:05.123456', '2026-01-02', '03:04:05', '6f1c8a1e-0c1b-4b8e-9d1e-3f1b2c3d4e5f',
'{"a": [1, null]}'), (2, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""


@pytest.fixture
def table(kalam):
    assert (
        kalam(
            "-c",
            "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT NOT NULL, n INT, made TEXT DEFAULT 'here')",
        ).exit_code
        == 0
    )
    return kalam


def rows(kalam, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(kalam("--format", "json", "-c", sql).stdout)
    return found


@pytest.mark.parametrize("ending", ["csv", "ndjson", "json", "arrow", "parquet"])
def test_every_type_comes_back_as_it_was(kalam, tmp_path: Path, ending: str) -> None:
    file = str(tmp_path / f"every.{ending}")
    kalam("-c", f"{EVERYTHING}; {ROW}")
    before = rows(kalam, "SELECT * FROM every ORDER BY id")
    assert kalam("export", "every", file).exit_code == 0
    kalam("-c", "DELETE FROM every")
    done = kalam("import", "every", file)

    assert done.exit_code == 0, done.stderr
    assert rows(kalam, "SELECT * FROM every ORDER BY id") == before


def test_bad_lines_are_told_with_their_reason_and_nothing_is_imported(table, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('id,body,n\n1,"two\nlines",5\nx,b,1\n3,c\n4,,2\n5,e,99999999999\n')
    done = table("import", "t", str(file))

    assert done.exit_code == 1
    told = [line.removeprefix(f"{file}: ") for line in done.stderr.splitlines()]
    assert told[0] == "line 4: column \"id\": 'x' is no BIGINT"
    assert told[1] == "line 5: it has 2 cells where the others have 3"
    assert told[2].startswith('line 6: column "body": it is NOT NULL')
    assert told[3].startswith('line 7: column "n": ')
    assert rows(table, "SELECT * FROM t") == []


def test_bad_lines_are_left_out_where_that_is_wanted(table, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,body,n\n1,a,5\nx,b,1\n3,c\n4,d,\n")
    done = table("import", "t", str(file), "--skip-bad")

    assert done.exit_code == 0
    assert "2 rows imported, 2 left out" in done.stderr
    assert rows(table, "SELECT * FROM t ORDER BY id") == [
        {"id": 1, "body": "a", "n": 5, "made": "here"},
        {"id": 4, "body": "d", "n": None, "made": "here"},
    ]


def test_json_lines_are_told_by_line(table, tmp_path: Path) -> None:
    file = tmp_path / "t.ndjson"
    file.write_text('{"id": 1, "body": "a"}\n\n{"id": 2, "body"\n[]\n{"id": "x", "body": "b"}\n')
    done = table("import", "t", str(file))

    assert [line.split(": ")[1] for line in done.stderr.splitlines()[:3]] == ["line 3", "line 4", "line 5"]


def test_a_key_that_is_there_refuses_all(table, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,body\n7,a\n8,b\n7,c\n")
    done = table("import", "t", str(file))

    assert done.exit_code == 1
    assert "7" in done.stderr
    assert rows(table, "SELECT * FROM t") == []


def test_unknown_columns_and_tables_are_named(table, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,bodi\n7,a\n")

    assert "bodi" in table("import", "t", str(file)).stderr
    assert "nowhere" in table("import", "nowhere", str(file)).stderr
    assert table("import", "t; DROP TABLE t", str(file)).exit_code == 1
    assert table("import", "t", str(tmp_path / "x.csv")).exit_code == 1
    assert table("import", "t", str(tmp_path / "x.xls")).exit_code == 2


def test_standard_input_and_packed_files_and_files_without_a_header(table, tmp_path: Path) -> None:
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"id,body\n1,a\n"))
    bare = tmp_path / "t.tsv"
    bare.write_text("2\tb\t3\tthere\n")

    assert table("import", "t", str(packed)).exit_code == 0
    assert table("import", "t", "-", "--format", "ndjson", input='{"id": 3, "body": "c"}').exit_code == 0
    assert table("import", "t", str(bare), "--no-header").exit_code == 0
    assert [row["made"] for row in rows(table, "SELECT * FROM t ORDER BY id")] == ["here", "there", "here"]


def test_columns_of_parquet_are_checked_against_the_table(table, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1, 2], "body": [["a"], ["b"]]}), file)
    done = table("import", "t", str(file))

    assert done.exit_code == 1
    assert "body" in done.stderr


@pytest.mark.parametrize(
    ("name", "text"), [("t.parquet", b"x"), ("t.arrow", b"x"), ("t.json", b"{"), ("t.csv", b"")]
)
def test_what_is_no_file_of_its_format_is_told(table, tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    done = table("import", "t", str(tmp_path / name))

    assert done.exit_code == 1
    assert name in done.stderr


def test_export_writes_to_standard_output_and_a_part_of_a_table(table) -> None:
    table("-c", "INSERT INTO t (id, body) VALUES (1, 'a'), (2, 'b')")

    assert table("export", "t", "-", "--where", "id > 1").stdout == "id,body,n,made\n2,b,,here\n"


def test_an_export_that_fails_leaves_what_was_there(table, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("before")

    assert table("export", "nowhere", str(file)).exit_code == 1
    assert file.read_text() == "before"


def test_import_and_export_work_over_both_places(kalam, place: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,body\n1,a\n2,\n")
    kalam("-c", "CREATE TABLE three (id BIGINT PRIMARY KEY, body TEXT)", db=place)
    imported = kalam("import", "three", str(file), db=place)
    out = kalam("export", "three", "-", "--format", "csv", db=place)
    kalam("-c", "DROP TABLE three", db=place)

    assert imported.exit_code == 0, imported.stderr
    assert sorted(out.stdout.splitlines()) == ["1,a", "2,", "id,body"]
