"""Answers in Arrow, by Accept: application/vnd.apache.arrow.stream."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.server.serving import Served, sql

ARROW = "application/vnd.apache.arrow.stream"


def table_of(answer) -> pa.Table:
    return pa.ipc.open_stream(answer.content).read_all()


def test_one_select_is_an_arrow_stream(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')")

    answer = sql(served, "sam", "SELECT * FROM app.notes WHERE id >= ?", ["1"], accept=ARROW)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == ARROW
    assert table_of(answer).equals(served.db.execute("SELECT * FROM app.notes").arrow())


def test_a_large_one_is_streamed(served: Served) -> None:
    data = pa.table({"id": range(200_000), "body": ["some text"] * 200_000})
    served.db.session("root").insert("app.notes", data)

    answer = sql(served, "sam", "SELECT * FROM app.notes", accept=f"{ARROW};q=0.9, application/json")

    assert "content-length" not in answer.headers
    assert table_of(answer).sort_by("id").column("id").to_pylist() == list(range(200_000))


def test_no_rows_have_a_schema(served: Served) -> None:
    table = table_of(sql(served, "sam", "SELECT * FROM app.notes", accept=ARROW))

    assert table.num_rows == 0
    assert table.column_names == ["id", "body"]


def test_get_answers_in_arrow_too(served: Served) -> None:
    answer = served.client("sam").get(
        "/v1/api/sql", params={"sql": "SELECT 1 AS one"}, headers={"Accept": ARROW}
    )

    assert table_of(answer).to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    "text", ["INSERT INTO app.notes VALUES (1, 'a') RETURNING *", "SELECT 1; SELECT 2", "USE app"]
)
def test_anything_else_is_refused_before_it_runs(served: Served, text: str) -> None:
    answer = sql(served, "sam", text, accept=ARROW)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"
    assert served.db.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_errors_are_json_as_ever(served: Served) -> None:
    answer = sql(served, "sam", "SELECT * FROM app.nowhere", accept=ARROW)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "TABLE_NOT_FOUND"
