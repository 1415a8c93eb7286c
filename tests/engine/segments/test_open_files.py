"""What SQL wrote and flushed, read by others as docs/formats.md says: the rows that the database itself shows."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

Files = list[str]
COLUMNS = (
    "id BIGINT PRIMARY KEY, flag BOOLEAN, small SMALLINT, number INT, large BIGINT, real FLOAT, double DOUBLE, "
    "price DECIMAL(12, 3), body TEXT, raw BYTES, at TIMESTAMP, day DATE, hour TIME, token UUID, details JSON"
)
NAMES = [column.split()[0] for column in COLUMNS.replace("DECIMAL(12, 3)", "DECIMAL").split(", ")]


def row(n: int) -> list[Any]:
    """Values of every type; NULLs in every fifth row."""
    if n % 5 == 4:
        return [n, *[None] * (len(NAMES) - 1)]
    return [
        n,
        n % 2 == 0,
        -n,
        n * 1000,
        (1 << 62) + n,
        n / 4,
        -n / 3,
        decimal.Decimal(n).scaleb(-3),
        f"row {n} \N{SNOWMAN}" if n else "",
        bytes([n % 256, 0, 255]),
        datetime.datetime(2026, 1, 1, 12, 30, 15, n, datetime.UTC) + datetime.timedelta(days=n),
        datetime.date(1969, 12, 30) + datetime.timedelta(days=n),
        datetime.time(23, 59, 59, n),
        uuid.UUID(int=n),
        {"n": n, "list": [1, "two", None]},
    ]


@pytest.fixture
def alice(db):
    """A user with rows in several segments: some changed, some deleted, one deleted and inserted again."""
    db.execute(f"CREATE NAMESPACE app; CREATE USER TABLE app.things ({COLUMNS})")
    session = db.session("Alice@example.com")
    marks = ", ".join("?" * len(NAMES))
    session.executemany(f"INSERT INTO app.things VALUES ({marks})", [row(n) for n in range(300)])
    db.flush("app.things")
    session.execute("UPDATE app.things SET body = body || ', changed', price = price + 1 WHERE id % 7 = 0")
    session.execute("DELETE FROM app.things WHERE id BETWEEN 100 AND 149")
    db.flush("app.things")
    session.execute(f"INSERT INTO app.things VALUES ({marks})", row(120))
    session.executemany(f"INSERT INTO app.things VALUES ({marks})", [row(n) for n in range(300, 310)])
    db.session("bob").execute(f"INSERT INTO app.things VALUES ({marks})", row(1))
    db.flush("app.things")
    return session


@pytest.fixture(params=["several segments", "compacted"])
def files(request, db, alice) -> Files:
    """Those that the manifest of the user names."""
    if request.param == "compacted":
        db.compact("app.things")
    folder = Path(db.path) / "cold" / "app" / "things" / "%41lice%40example.com"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["user_id"] == "Alice@example.com"
    named = [str(folder / segment["file"]) for segment in manifest["segments"]]
    assert len(named) == (1 if request.param == "compacted" else 3)
    return named


def with_pyarrow(files: Files) -> pa.Table:
    table = ds.dataset(files, format="parquet").to_table().sort_by([("_seq", "descending")])
    first = (
        table.append_column("row", pa.array(range(table.num_rows))).group_by("id").aggregate([("row", "min")])
    )
    table = table.take(first.column("row_min"))
    return table.filter(pc.invert(table.column("_deleted")))


def with_duckdb(files: Files) -> pa.Table:
    # Times without a zone are the session's own; what is stored is UTC.
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(
            "SELECT * EXCLUDE (_seq, _deleted) FROM (SELECT * FROM read_parquet($1, union_by_name = true) "
            "QUALIFY row_number() OVER (PARTITION BY id ORDER BY _seq DESC) = 1) WHERE NOT _deleted",
            params=[files],
        )
        return found.to_arrow_table()


def with_polars(files: Files) -> pa.Table:
    lazy = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
    newest = lazy.sort("_seq").unique("id", keep="last").filter(~pl.col("_deleted"))
    return newest.collect().to_arrow()


def with_pandas(files: Files) -> pa.Table:
    frames = [pd.read_parquet(file, dtype_backend="pyarrow") for file in files]
    newest = pd.concat(frames).sort_values("_seq").drop_duplicates("id", keep="last")
    return pa.Table.from_pandas(newest[~newest["_deleted"]], preserve_index=False)


@pytest.mark.parametrize(
    "read", [with_pyarrow, with_duckdb, with_polars, with_pandas], ids=lambda f: f.__name__
)
def test_others_read_the_rows_that_the_database_shows(alice, files, read: Callable[[Files], pa.Table]):
    shown = alice.execute("SELECT * FROM app.things ORDER BY id").fetchall()

    found = read(files).select(NAMES).sort_by("id")

    assert len(shown) == 261
    assert [tuple(map(plain, one)) for one in zip(*(column.to_pylist() for column in found.columns))] == [
        tuple(map(plain, one)) for one in shown
    ]


def plain(value: object) -> object:
    """The same value whatever a library makes of UUID, JSON and zones."""
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return uuid.UUID(value).bytes
    if isinstance(value, str) and value.startswith("{"):
        return json.dumps(json.loads(value), separators=(",", ":"))
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC)
    return value


def test_statistics_let_others_skip_what_they_do_not_need(files):
    condition = ds.field("id") == 305
    fragments = list(ds.dataset(files, format="parquet").get_fragments(filter=condition))
    read = [group for fragment in fragments for group in fragment.split_by_row_group(filter=condition)]

    # One row group of one file at most has the key between its least and its greatest.
    assert len(read) == 1
