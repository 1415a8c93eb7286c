"""Statements through a session, a Client and an AsyncClient: the same answers."""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from typing import Any

import pyarrow as pa
import pytest

from kalamdb import errors

VALUES = {
    "id": 2**62 + 1,
    "yes": True,
    "small": -7,
    "whole": 2_000_000_000,
    "single": 0.5,
    "double": 0.1,
    "price": decimal.Decimal("12345678.90"),
    "name": "Zoë \U0001f600 \"';?",
    "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC),
    "day": datetime.date(1969, 12, 31),
    "hour": datetime.time(23, 59, 59, 999999),
    "code": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "doc": {"a": [1, None, {"b": "c"}]},
    "raw": b"\x00\xff bytes",
}
INSERT = f"INSERT INTO kinds ({', '.join(VALUES)}) VALUES ({', '.join('?' * len(VALUES))})"


def test_values_of_every_type_go_in_and_come_out(ann: Any) -> None:
    ann.execute(INSERT, list(VALUES.values()))

    result = ann.execute("SELECT * FROM kinds")

    assert result.columns == tuple(VALUES)
    assert result.fetchall() == [tuple(VALUES.values())]
    assert [type(value) for value in ann.execute("SELECT * FROM kinds").fetchone()] == [
        type(value) for value in VALUES.values()
    ]


def test_every_type_can_be_null(ann: Any) -> None:
    ann.execute(INSERT, [1, *[None] * (len(VALUES) - 1)])

    assert ann.execute("SELECT * FROM kinds").fetchall() == [(1, *[None] * (len(VALUES) - 1))]


def test_parameters_are_compared_by_the_type_of_their_place(ann: Any) -> None:
    ann.execute(INSERT, list(VALUES.values()))

    for column in ("id", "price", "name", "at", "day", "hour", "code", "double"):
        found = ann.execute(f"SELECT id FROM kinds WHERE {column} = ?", [VALUES[column]]).fetchall()
        assert found == [(VALUES["id"],)], column


def test_nan_and_infinities_go_in_and_come_out_as_arrow(ann: Any, kind: str) -> None:
    ann.executemany(
        "INSERT INTO kinds (id, double) VALUES (?, ?)",
        [(1, float("inf")), (2, float("-inf")), (3, float("nan"))],
    )

    options: dict[str, Any] = {} if kind in ("session", "aio") else {"arrow": True}
    doubles = [row[0] for row in ann.execute("SELECT double FROM kinds ORDER BY id", **options)]

    assert doubles[:2] == [float("inf"), float("-inf")]
    assert doubles[2] != doubles[2]


def test_a_result_has_its_members(ann: Any) -> None:
    ann.executemany("INSERT INTO notes (id, body) VALUES (?, ?)", [(n, f"note {n}") for n in range(5)])

    result = ann.execute("SELECT id, body FROM notes ORDER BY id")

    assert result.rowcount == len(result) == 5
    assert result.took_ms > 0
    assert result.message is None
    assert [entry[:2] for entry in result.description] == [("id", "BIGINT"), ("body", "TEXT")]
    assert result.fetchone() == (0, "note 0")
    assert result.fetchmany(2) == [(1, "note 1"), (2, "note 2")]
    assert list(result) == [(3, "note 3"), (4, "note 4")]
    assert result.fetchone() is None
    assert result.fetchall() == []
    assert "note 4" in repr(result)
    assert "(5 rows, " in repr(result)
    assert "<td>note 4</td>" in re.sub(" style='[^']*'| style=\"[^\"]*\"", "", result._repr_html_())


def test_a_result_is_arrow_and_data_frames(ann: Any) -> None:
    ann.execute(INSERT, list(VALUES.values()))
    result = ann.execute("SELECT * FROM kinds")

    table = result.arrow()

    assert table.num_rows == 1
    assert table.schema.field("price").type == pa.decimal128(10, 2)
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")
    assert table.schema.field("code").metadata == {b"kalam.type": b"uuid"}
    assert table.column("doc").to_pylist() == ['{"a":[1,null,{"b":"c"}]}']
    assert result.arrow_reader().read_all() == table == pa.table(result)
    assert list(result.df().columns) == list(VALUES)
    assert result.pl().height == 1


def test_a_statement_without_rows_has_a_message_and_a_count(ann: Any) -> None:
    result = ann.execute("INSERT INTO notes (id) VALUES (1), (2)")

    assert (result.rowcount, result.message, result.columns) == (2, "Inserted 2 row(s)", ())
    assert result.description is None
    assert result.fetchall() == []
    with pytest.raises(errors.InterfaceError, match="no rows"):
        result.arrow()


def test_no_rows_have_columns(ann: Any) -> None:
    result = ann.execute("SELECT id, body FROM notes")

    assert (result.columns, result.fetchall(), result.rowcount) == (("id", "body"), [], 0)
    assert result.arrow().num_rows == 0


def test_of_several_statements_the_result_is_the_last_ones(ann: Any) -> None:
    sql = "INSERT INTO notes (id) VALUES (1); SELECT id FROM notes"

    assert ann.execute(sql.replace("1", "7")).fetchall() == [(7,)]
    assert [result.rowcount for result in ann.execute_each(sql)] == [1, 2]


def test_each_statement_before_one_that_fails_is_answered(ann: Any) -> None:
    each = ann.execute_each("INSERT INTO notes (id) VALUES (1); SELECT * FROM nowhere; SELECT 1")

    assert next(each).rowcount == 1
    with pytest.raises(errors.UndefinedTable, match=r"Statement 2 failed: .*nowhere"):
        next(each)


def test_several_statements_are_a_transaction_between_begin_and_commit(ann: Any) -> None:
    with pytest.raises(errors.UniqueViolation):
        ann.execute("BEGIN; INSERT INTO notes (id) VALUES (1); INSERT INTO notes (id) VALUES (1); COMMIT")
    assert ann.execute("SELECT count(*) FROM notes").fetchone() == (0,)

    ann.execute("BEGIN; INSERT INTO notes (id) VALUES (1); INSERT INTO notes (id) VALUES (2); COMMIT")

    assert ann.execute("SELECT count(*) FROM notes").fetchone() == (2,)


@pytest.mark.parametrize(
    ("sql", "parameters", "expected", "code", "position"),
    [
        ("SELEC 1", None, errors.InvalidSyntax, "INVALID_SQL", 0),
        ("", None, errors.EmptyStatement, "EMPTY_SQL", None),
        ("SELECT * FROM nowhere", None, errors.UndefinedTable, "TABLE_NOT_FOUND", 14),
        ("SELECT nothing FROM notes", None, errors.UndefinedColumn, "COLUMN_NOT_FOUND", 7),
        (
            "INSERT INTO notes (id, body) VALUES (1, NULL)",
            None,
            errors.NotNullViolation,
            "NOT_NULL_VIOLATION",
            None,
        ),
        ("SELECT 1; SELECT ?", [1], errors.ParametersWithBatch, "PARAMS_WITH_BATCH", None),
        ("SELECT ?", [], errors.InvalidParameter, "INVALID_PARAMETER", None),
        ("SELECT ?", "x", errors.InvalidParameter, "INVALID_PARAMETER", None),
        ("CREATE NAMESPACE mine", None, errors.AccessDenied, "PERMISSION_DENIED", None),
    ],
)
def test_errors_are_the_same(
    ann: Any,
    sql: str,
    parameters: Any,
    expected: type[errors.Error],
    code: str,
    position: int | None,
    kind: str,
) -> None:
    with pytest.raises(expected) as raised:
        ann.execute(sql, parameters)

    error = raised.value
    assert type(error) is expected
    assert (error.code, error.sqlstate) == (code, expected.sqlstate)
    assert error.message == str(error)
    if position is not None:
        assert error.position == position
    if kind in ("client", "async") and parameters != "x":
        assert error.request_id


def test_users_see_their_own_rows_alone(ann: Any, ben: Any) -> None:
    ann.execute("INSERT INTO notes (id, body) VALUES (1, 'of ann')")

    assert ben.execute("SELECT * FROM notes").fetchall() == []
    assert ben.execute("SELECT CURRENT_USER()").fetchone() == ("ben",)


def test_a_list_of_dicts_is_inserted_with_defaults(ann: Any) -> None:
    result = ann.insert("app.notes", [{"id": 1, "body": "a"}, {"id": 2}, {"id": 3, "n": 5}])

    assert (result.rowcount, result.message) == (3, "Inserted 3 row(s)")
    assert ann.execute("SELECT * FROM notes ORDER BY id").fetchall() == [
        (1, "a", None),
        (2, "empty", None),
        (3, "empty", 5),
    ]


def test_arrow_and_data_frames_are_inserted(ann: Any) -> None:
    ann.execute(INSERT, list(VALUES.values()))
    table = ann.execute("SELECT * FROM kinds").arrow()
    ann.execute("DELETE FROM kinds")

    ann.insert("kinds", table)
    ann.insert("notes", table.select(["id"]).to_pandas())

    assert ann.execute("SELECT * FROM kinds").fetchall() == [tuple(VALUES.values())]
    assert ann.execute("SELECT id FROM notes").fetchall() == [(VALUES["id"],)]


def test_what_cannot_be_inserted_is_said(ann: Any) -> None:
    with pytest.raises(errors.InvalidParameter, match="list of dicts"):
        ann.insert("notes", 7)
    with pytest.raises(errors.UndefinedColumn):
        ann.insert("notes", [{"id": 1, "nothing": 2}])
    with pytest.raises(errors.UniqueViolation):
        ann.insert("notes", [{"id": 1}, {"id": 1}])

    assert ann.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_statement_runs_for_many_rows(ann: Any) -> None:
    assert ann.executemany("INSERT INTO notes (id, n) VALUES (?, ?)", [(1, 1), (2, 2), (3, 3)]).rowcount == 3
    assert ann.executemany("UPDATE notes SET n = ? WHERE id = ?", [(10, 1), (20, 2)]).rowcount == 2
    assert ann.executemany("INSERT INTO notes (id) VALUES (?)", []).rowcount == 0

    assert ann.execute("SELECT n FROM notes ORDER BY id").fetchall() == [(10,), (20,), (3,)]


def test_a_statement_is_prepared_and_run_again_and_again(ann: Any) -> None:
    insert = ann.prepare("INSERT INTO notes (id, body) VALUES (?, ?)")
    find = ann.prepare("SELECT body FROM notes WHERE id = ?")

    assert insert.executemany([(1, "one"), (2, "two")]).rowcount == 2
    assert insert.execute([3, "three"]).rowcount == 1
    assert [find.execute([n]).fetchone() for n in (3, 1, 4)] == [("three",), ("one",), None]
    assert ann.prepare("SELECT upper(body) FROM notes WHERE id + 0 = $1").execute([2]).fetchone() == ("TWO",)
    assert find.sql == "SELECT body FROM notes WHERE id = ?"
    with pytest.raises(errors.UniqueViolation):
        insert.execute([3, "again"])
    with pytest.raises(errors.InvalidSyntax):
        ann.prepare("SELEC 1").execute()
