"""`kalam export` of tables larger than what memory is given: some thousand rows at a time, in both places."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kalamdb
from tests.server.processes import PASSWORD, Process

ROWS = 550_000
BODY = "some words " * 10
TABLES = {"small": 1_000, "hot": ROWS, "cold": ROWS}
MB_MAX = 150

_PROGRAM = (
    "import resource, sys; from kalamdb.cli.kalam import kalam; kalam(sys.argv[1:], standalone_mode=False); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small table, one of 60 MB in hot segments and one in Parquet."""
    directory = tmp_path_factory.mktemp("large") / "data"
    with kalamdb.open(directory) as db:
        for table, rows in TABLES.items():
            db.execute(
                f"CREATE SHARED TABLE {table} (id BIGINT PRIMARY KEY, body TEXT) WITH (ACCESS = 'public')"
            )
            db.insert(table, pa.table({"id": range(rows), "body": [BODY] * rows}))
        db.checkpoint()
        db.flush("cold")
    return directory


def exported(db: str, table: str, file: Path, **environment: str) -> tuple[int, str]:
    """The most memory that it took, in MB, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "--db", db, "export", table, str(file)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    said, most = done.stderr.split("\n")[0], done.stderr.split()[-1]
    return int(most) // 1024, said


@pytest.mark.parametrize(
    ("table", "ending"), [("hot", "csv"), ("hot", "json"), ("hot", "parquet"), ("cold", "arrow")]
)
def test_memory_holds_a_part_of_a_large_table(large: Path, tmp_path: Path, table: str, ending: str) -> None:
    file = tmp_path / f"{table}.{ending}"
    few, _ = exported(str(large), "small", tmp_path / f"small.{ending}")
    many, said = exported(str(large), table, file)

    assert said == "550,000 rows exported"
    assert rows_of(file) == ROWS
    assert many - few < MB_MAX


def test_memory_holds_a_part_of_it_on_both_sides_of_the_network(large: Path, tmp_path: Path) -> None:
    who = {"KALAM_USER": "dora", "KALAM_PASSWORD": PASSWORD}
    with Process(large) as server:
        server.set_up()
        few, _ = exported(server.url, "small", tmp_path / "small.csv", **who)
        before = peak_of(server)
        many, said = exported(server.url, "hot", tmp_path / "hot.csv", **who)
        after = peak_of(server)

    assert said == "550,000 rows exported"
    assert rows_of(tmp_path / "hot.csv") == ROWS
    assert many - few < MB_MAX
    assert after - before < MB_MAX


def peak_of(server: Process) -> int:
    """The most memory that a server has taken, in MB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def rows_of(file: Path) -> int:
    if file.suffix == ".parquet":
        found = pq.ParquetFile(file)
        assert found.num_row_groups < 10
        return int(found.metadata.num_rows)
    if file.suffix == ".arrow":
        with pa.ipc.open_stream(file) as stream:
            return sum(batch.num_rows for batch in stream)
    lines = file.read_text().splitlines()
    if file.suffix == ".json":
        assert json.loads(lines[0].strip("[,")) == {"id": 0, "body": BODY}
        return len(lines)
    assert lines[0] == "id,body"
    return len(lines) - 1


def test_what_fails_on_the_way_leaves_no_file(kalam, tmp_path: Path) -> None:
    kalam("-c", "CREATE TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)")
    file = tmp_path / "t.csv"
    file.write_text("old")
    done = kalam("export", "t", str(file), "--where", "1 / (id - 1) = 1")

    assert done.exit_code == 1
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("t.csv")] == ["t.csv"]


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "arrow", "parquet", "table", "markdown"])
def test_an_empty_table_is_a_file_of_its_format(kalam, tmp_path: Path, form: str) -> None:
    kalam("-c", "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    file = tmp_path / "t"
    done = kalam("export", "t", str(file), "--format", form)

    assert (done.exit_code, done.stderr) == (0, "0 rows exported\n")
    if form == "parquet":
        assert pq.read_schema(file).names == ["id", "body"]
    elif form == "arrow":
        assert pa.ipc.open_stream(file).schema.names == ["id", "body"]
    else:
        assert file.read_text() in ("id,body\n", "[]\n", "") or form in ("table", "markdown")


def test_a_part_by_any_condition_is_exported(kalam, place: str) -> None:
    kalam("-c", "CREATE TABLE parts (id BIGINT PRIMARY KEY, body TEXT)", db=place)
    kalam("-c", "INSERT INTO parts VALUES (1, 'a'), (2, 'B'), (3, NULL)", db=place)
    plain = kalam("export", "parts", "-", "--where", "id > 1 AND body IS NOT NULL", db=place)
    any_other = kalam("export", "parts", "-", "--where", "lower(body) = 'b'", db=place)
    kalam("-c", "DROP TABLE parts", db=place)

    assert plain.stdout == any_other.stdout == "id,body\n2,B\n"
