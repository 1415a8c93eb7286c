"""pandas: read_sql, read_sql_table and to_sql, over an engine and over a plain connection."""

from __future__ import annotations

import datetime
import warnings

import pandas as pd
import pytest
from sqlalchemy import exc, inspect, select, text

import kalamdb


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three rows of what frames hold."""
    return pd.DataFrame(
        {
            "n": [1, 2, 3],
            "body": ["a", None, "c"],
            "ratio": [0.5, float("nan"), 2.5],
            "at": pd.to_datetime(["2025-01-01", "2025-01-02", None], utc=True),
            "day": [datetime.date(2025, 1, 1)] * 3,
            "flag": [True, False, True],
        }
    )


@pytest.mark.parametrize("method", [None, "multi"])
def test_a_frame_comes_back_as_it_went_in(engine, frame, method):
    assert frame.to_sql("frames", engine, index=False, method=method) == 3
    found = pd.read_sql("SELECT n, body, ratio, at, day, flag FROM frames ORDER BY n", engine)

    assert found.to_dict("records")[0] == frame.to_dict("records")[0]
    assert found["body"].isna().tolist() == found["ratio"].isna().tolist() == [False, True, False]
    assert isinstance(found["at"].dtype, pd.DatetimeTZDtype)
    assert found["flag"].tolist() == [True, False, True]


def test_a_table_without_a_key_shows_no_other_columns_than_its_own(engine, frame):
    frame.to_sql("frames", engine, index=False)

    assert pd.read_sql_table("frames", engine).columns.tolist() == frame.columns.tolist()
    assert pd.read_sql("frames", engine).columns.tolist() == frame.columns.tolist()
    assert "row_id" in pd.read_sql("SELECT * FROM frames", engine).columns


def test_an_index_is_a_column(engine, frame):
    with pytest.warns(exc.SAWarning, match="left out"):
        frame.set_index("n").to_sql("frames", engine)
    found = pd.read_sql_table("frames", engine, index_col="n")

    assert sorted(found.index) == [1, 2, 3]


def test_tables_are_added_to_replaced_or_refused(engine, frame):
    frame.to_sql("frames", engine, index=False)
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("frames", engine, index=False)
    frame.to_sql("frames", engine, index=False, if_exists="append")
    assert len(pd.read_sql("SELECT n FROM frames", engine)) == 6
    frame[["n"]].to_sql("frames", engine, index=False, if_exists="replace")

    assert [column["name"] for column in inspect(engine).get_columns("frames")] == ["n"]
    assert len(pd.read_sql("SELECT n FROM frames", engine)) == 3


def test_a_frame_goes_to_a_namespace_in_pieces(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE NAMESPACE app"))
    many = pd.DataFrame({"n": range(5_000)})
    many.to_sql("frames", engine, schema="app", index=False, chunksize=1_000)

    assert pd.read_sql("SELECT sum(n) AS total FROM app.frames", engine)["total"].tolist() == [
        sum(range(5_000))
    ]
    pieces = list(
        pd.read_sql(
            text("SELECT n FROM app.frames WHERE n < :most"), engine, params={"most": 250}, chunksize=100
        )
    )
    assert [len(piece) for piece in pieces] == [100, 100, 50]


def test_a_frame_goes_to_a_table_that_is_there(engine, frame):
    with engine.begin() as connection:
        connection.execute(
            text("CREATE USER TABLE notes (id BIGINT PRIMARY KEY AUTO_INCREMENT, body TEXT NOT NULL)")
        )
    pd.DataFrame({"body": ["a", "b"]}).to_sql("notes", engine, index=False, if_exists="append")
    with pytest.raises((exc.IntegrityError, pd.errors.DatabaseError), match="NOT NULL"):
        pd.DataFrame({"body": ["c", None]}).to_sql("notes", engine, index=False, if_exists="append")

    assert pd.read_sql(select(text("body")).select_from(text("notes")), engine)["body"].tolist() == ["a", "b"]


def test_a_plain_connection_reads(directory):
    """pandas warns of connections that are not SQLAlchemy's, and takes them."""
    connection = kalamdb.connect(directory)
    connection.cursor().execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, body TEXT)")
    connection.cursor().execute("INSERT INTO notes VALUES (1, 'a'), (2, 'b')")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = pd.read_sql("SELECT * FROM notes WHERE id > ? ORDER BY id", connection, params=[1])

    assert found.to_dict("records") == [{"id": 2, "body": "b"}]
    connection.close()
