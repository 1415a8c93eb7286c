"""`kalam import` and `kalam export`: what goes in, what is told of what does not, and that it comes out as it was."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalamdb.cli.loading import csv_file, json_array, json_file, read_rows

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


def test_keys_that_come_twice_or_are_there_are_left_out_where_that_is_wanted(
    kalam, place: str, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text('id,body\n7,"a\nb"\n8,b\nx,c\n7,d\n9,e\n')
    kalam(
        "-c",
        "CREATE TABLE four (id BIGINT PRIMARY KEY, body TEXT); INSERT INTO four VALUES (9, 'was')",
        db=place,
    )
    done = kalam("import", "four", str(file), "--skip-bad", db=place)
    out = kalam("--format", "json", "-c", "SELECT * FROM four ORDER BY id", db=place)
    kalam("-c", "DROP TABLE four", db=place)

    assert done.exit_code == 0, done.stderr
    assert [line.removeprefix(f"{file}: ") for line in done.stderr.splitlines()] == [
        "line 5: column \"id\": 'x' is no BIGINT",
        'line 6: column "id": 7 stands in the file before',
        'line 7: column "id": 9 is in the table already',
        "2 rows imported, 3 left out",
    ]
    assert json.loads(out.stdout) == [
        {"id": 7, "body": "a\nb"},
        {"id": 8, "body": "b"},
        {"id": 9, "body": "was"},
    ]


@pytest.mark.parametrize("ending", ["ndjson", "json", "parquet", "arrow"])
def test_keys_that_are_texts_are_left_out_of_every_format(kalam, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"t.{ending}"
    rows_of_file = [{"id": "it's"}, {"id": "b"}, {"id": "b"}, {"id": "ö"}]
    if ending == "ndjson":
        file.write_text("\n".join(map(json.dumps, rows_of_file)))
    elif ending == "json":
        file.write_text(json.dumps(rows_of_file, indent=2))
    elif ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows_of_file), file)
    else:
        table = pa.Table.from_pylist(rows_of_file)
        with pa.ipc.new_file(file, table.schema) as sink:
            sink.write_table(table)
    kalam("-c", "CREATE TABLE t (id TEXT PRIMARY KEY, n INT DEFAULT 5); INSERT INTO t VALUES ('it''s', 1)")
    done = kalam("import", "t", str(file), "--skip-bad")

    assert done.exit_code == 0, done.stderr
    assert "2 rows imported, 2 left out" in done.stderr
    assert re.search(r"(line|object|row) 1: .*table already\n.* 3: .*in the file before", done.stderr)
    assert rows(kalam, "SELECT * FROM t ORDER BY id") == [
        {"id": "b", "n": 5},
        {"id": "it's", "n": 1},
        {"id": "ö", "n": 5},
    ]


def test_files_of_many_pieces_go_in_whole_or_not_at_all(table, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_file, "OBJECTS_AT_ONCE", 3)
    monkeypatch.setattr(json_array, "CHARACTERS_AT_ONCE", 7)
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 64)
    monkeypatch.setattr(read_rows, "MEMORY_BYTES", 100)
    objects: list[dict[str, object]] = [{"id": n, "body": f"b{n}"} for n in range(40)]
    objects[33]["n"] = 33
    array, lines, cells = tmp_path / "t.json", tmp_path / "t.ndjson", tmp_path / "t.csv"
    array.write_text(json.dumps(objects))
    lines.write_text("\n".join(map(json.dumps, objects)))
    cells.write_text("id,body\n" + "".join(f"{n},b{n}\n" for n in range(40)) + "40,\n41\n")

    refused = table("import", "t", str(cells))
    assert refused.stderr.splitlines()[:2] == [
        f'{cells}: line 42: column "body": it is NOT NULL, and there is no value',
        f"{cells}: line 43: it has 1 cells where the others have 2",
    ]
    for file in (array, lines):
        assert rows(table, "SELECT * FROM t") == []
        done = table("import", "t", str(file))
        assert done.exit_code == 0, done.stderr
        assert rows(table, "SELECT count(*) AS c, sum(n) AS n FROM t") == [{"c": 40, "n": 33}]
        table("-c", "DELETE FROM t")
    assert "40 rows imported, 2 left out" in table("import", "t", str(cells), "--skip-bad").stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[{}, {", "object 2: "),
        ("[{} {}]", "behind object 1 there is neither , nor ]"),
        ("[{}] 1", "something stands behind its array"),
        ("[{}", "behind object 1"),
        ("[1,", "object 2"),
        ('{"a": 1}', "is no array of objects"),
    ],
)
def test_what_is_wrong_with_an_array_is_told(table, tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "t.json").write_text(text)
    done = table("import", "t", str(tmp_path / "t.json"))

    assert done.exit_code == 1
    assert why in done.stderr


def test_an_empty_array_and_bad_objects(table, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text(" [ ] \n")
    assert "0 rows imported" in table("import", "t", str(file)).stderr
    file.write_text('[{"id": 1, "body": "a"}, 12, {"id": NaN}, {"id": 2, "body": "b"}]')
    done = table("import", "t", str(file), "--skip-bad")

    assert [line.split(": ")[1] for line in done.stderr.splitlines()[:2]] == ["object 2", "object 3"]
    assert "2 rows imported, 2 left out" in done.stderr


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_memory_holds_a_part_of_a_large_file(table, data: str, tmp_path: Path, ending: str) -> None:
    def peak_of(rows_of_file: int) -> int:
        file = tmp_path / f"{rows_of_file}.{ending}"
        body = "some words " * 9
        with file.open("w") as out:
            if ending == "csv":
                out.write("id,body\n")
            line = "{},{}\n" if ending == "csv" else '{{"id": {}, "body": "{}"}}\n'
            # The greatest key first: nothing is in order.
            out.writelines(line.format(number, body) for number in range(rows_of_file, 0, -1))
        program = (
            "import resource, sys; from kalamdb.cli.kalam import kalam; kalam(sys.argv[1:], standalone_mode=False); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        table("-c", "DELETE FROM t")
        done = subprocess.run(
            [sys.executable, "-c", program, "--db", data, "import", "t", str(file)],
            check=True,
            capture_output=True,
            text=True,
        )
        return int(done.stdout.split()[-1]) // 1024

    few, many = peak_of(1000), peak_of(550_000)

    assert (tmp_path / f"550000.{ending}").stat().st_size > 57_000_000
    assert many - few < 150


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


def test_a_pipe_that_has_a_name_is_read_as_a_file(table, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", f"printf 'id,body\\n1,a\\nx,b\\n' > '{pipe}'"])
    done = table("import", "t", str(pipe), "--format", "csv", "--skip-bad")
    writer.wait()

    assert "1 rows imported, 1 left out" in done.stderr
    assert "line 3" in done.stderr


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
