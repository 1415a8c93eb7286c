"""POST /v1/api/sql: what statements answer over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.serving import Served, sql

EVENTS = (
    "CREATE SHARED TABLE app.events "
    "(id BIGINT PRIMARY KEY, at TIMESTAMP, day DATE, price DECIMAL(10,2), raw BYTES)"
)


def test_rows_come_with_their_schema_as_the_interface_says(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (175928847299117056, 'hi')")

    answer = sql(served, "sam", "SELECT * FROM app.notes")
    shape = answer.json()

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert shape["status"] == "success"
    assert shape["results"] == [
        {
            "schema": [
                {"name": "id", "data_type": "BigInt", "index": 0},
                {"name": "body", "data_type": "Text", "index": 1},
            ],
            "rows": [["175928847299117056", "hi"]],
            "row_count": 1,
            "as_user": "sam",
        }
    ]
    assert shape["took_ms"] == shape["took"] > 0


def test_a_statement_without_rows_has_a_message_in_their_place(served: Served) -> None:
    shape = sql(served, "sam", "INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')").json()

    assert shape["results"] == [{"message": "Inserted 2 row(s)", "row_count": 2, "as_user": "sam"}]


def test_no_rows_are_an_empty_array_with_a_schema(served: Served) -> None:
    (result,) = sql(served, "sam", "SELECT id FROM app.notes").json()["results"]

    assert result["rows"] == []
    assert result["row_count"] == 0
    assert result["schema"][0]["data_type"] == "BigInt"


def test_each_statement_of_a_batch_has_its_result(served: Served) -> None:
    shape = sql(
        served,
        "sam",
        "INSERT INTO app.notes VALUES (1, 'a'); SELECT body FROM app.notes; DELETE FROM app.notes;",
    ).json()

    assert [result["row_count"] for result in shape["results"]] == [1, 1, 1]
    assert shape["results"][1]["rows"] == [["a"]]


def test_a_batch_that_fails_tells_which_statement_did_and_what_succeeded(served: Served) -> None:
    answer = sql(
        served,
        "sam",
        "INSERT INTO app.notes VALUES (1, 'a'); SELECT id FROM app.notes; "
        "INSERT INTO app.notes VALUES (1, 'b')",
    )
    shape = answer.json()

    assert answer.status_code == 400
    assert shape["status"] == "error"
    assert [result["row_count"] for result in shape["results"]] == [1, 1]
    assert shape["results"][1]["rows"] == [["1"]]
    assert shape["error"]["code"] == "SQL_EXECUTION_ERROR"
    assert shape["error"]["message"].startswith("Statement 3 failed: ")
    assert shape["error"]["details"] == {"error": "UniqueViolation", "sqlstate": "23505", "position": None}
    assert shape["took_ms"] > 0


@pytest.mark.parametrize(
    ("given", "status", "code", "name"),
    [
        ("", 400, "EMPTY_SQL", "EmptyStatement"),
        (" -- nothing\n;", 400, "EMPTY_SQL", "EmptyStatement"),
        ("SELEC 1", 400, "INVALID_SQL", "InvalidSyntax"),
        ("SELECT * FROM app.nowhere", 400, "TABLE_NOT_FOUND", "UndefinedTable"),
        ("SELECT nothing FROM app.notes", 400, "SQL_EXECUTION_ERROR", "UndefinedColumn"),
        ("INSERT INTO app.notes VALUES (1, NULL)", 400, "SQL_EXECUTION_ERROR", "NotNullViolation"),
        ("DROP TABLE app.notes", 403, "PERMISSION_DENIED", "AccessDenied"),
        ("SELECT 1 FROM app.notes WHERE id = ?", 400, "INVALID_PARAMETER", "InvalidParameter"),
        ("COMMIT", 400, "SQL_EXECUTION_ERROR", "InvalidTransactionState"),
    ],
)
def test_errors_have_their_status_and_code(
    served: Served, given: str, status: int, code: str, name: str
) -> None:
    answer = sql(served, "sam", given)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["details"]["error"] == name


def test_a_restore_from_a_place_without_a_backup_is_the_statements_fault(
    served: Served, tmp_path: Path
) -> None:
    answer = sql(served, "dora", f"RESTORE DATABASE FROM '{tmp_path}/nothing'")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BACKUP_NOT_FOUND"
    assert answer.json()["error"]["details"]["error"] == "UndefinedBackup"


def test_a_syntax_error_tells_where_it_is(served: Served) -> None:
    details = sql(served, "sam", "INSERT INTO app.notes VALUE (1)").json()["error"]["details"]

    assert details["position"] == 22
    assert details["sqlstate"] == "42601"


def test_parameters_are_read_as_the_columns_take_them(served: Served) -> None:
    served.db.execute(EVENTS)
    insert = "INSERT INTO app.events VALUES (?, ?, ?, ?, ?)"

    first = sql(served, "sam", insert, ["9007199254740993", 1_767_323_045_000_006, 20_455, "12.50", [0, 255]])
    second = sql(served, "sam", insert, [7, "2026-01-02T03:04:05.000006Z", "2026-01-02", 12.5, None])
    found = sql(
        served, "sam", "SELECT * FROM app.events WHERE at = ? AND id > ?", [1_767_323_045_000_006, "7"]
    )
    by_key = sql(served, "sam", "SELECT day FROM app.events WHERE id = ?", ["7"])
    general = sql(
        served, "sam", "SELECT count(*) FROM app.events e WHERE e.at BETWEEN ? AND ?", [0, "2027-01-01"]
    )

    assert (first.status_code, second.status_code) == (200, 200)
    assert found.json()["results"][0]["rows"] == [
        ["9007199254740993", 1_767_323_045_000_006, 20_455, "12.50", [0, 255]]
    ]
    assert by_key.json()["results"][0]["rows"] == [[20_455]]
    assert general.json()["results"][0]["rows"] == [["2"]]


def test_a_value_that_fits_not_is_the_statements_error(served: Served) -> None:
    answer = sql(served, "sam", "INSERT INTO app.notes VALUES (?, ?)", ["seven", "x"])

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["error"] == "InvalidValue"
    assert "seven" in answer.json()["error"]["message"]


@pytest.mark.parametrize("text", ["SELECT 1; SELECT ?", "INSERT INTO app.notes VALUES (?, 'a'); SELECT 1"])
def test_parameters_go_with_one_statement_alone(served: Served, text: str) -> None:
    answer = sql(served, "sam", text, [1])

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "PARAMS_WITH_BATCH"
    assert served.db.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_a_statement_with_a_semicolon_behind_it_is_one(served: Served) -> None:
    assert sql(served, "sam", "SELECT ? + 1;", [1]).json()["results"][0]["rows"] == [["2"]]


def test_the_namespace_is_that_of_unqualified_names(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (1, 'a')")

    within = sql(served, "sam", "SELECT * FROM notes", namespace_id="app")
    without = sql(served, "sam", "SELECT * FROM notes")
    unknown = sql(served, "sam", "SELECT 1", namespace_id="nowhere")

    assert within.json()["results"][0]["row_count"] == 1
    assert without.json()["error"]["code"] == "TABLE_NOT_FOUND"
    assert unknown.status_code == 400
    assert unknown.json()["error"]["details"]["error"] == "UndefinedNamespace"


def test_a_request_leaves_nothing_to_the_next_one(served: Served) -> None:
    sql(served, "sam", "USE app")

    assert sql(served, "sam", "SELECT * FROM notes").json()["error"]["code"] == "TABLE_NOT_FOUND"


def test_a_transaction_is_one_request(served: Served) -> None:
    shape = sql(
        served, "sam", "BEGIN; INSERT INTO app.notes VALUES (1, 'a'); UPDATE app.notes SET body = 'b'; COMMIT"
    ).json()

    assert shape["status"] == "success"
    assert len(shape["results"]) == 4
    assert served.db.execute("SELECT body FROM app.notes").fetchall() == [("b",)]


@pytest.mark.parametrize("text", ["BEGIN", "BEGIN; INSERT INTO app.notes VALUES (1, 'a')"])
def test_a_transaction_without_its_end_is_rolled_back_and_an_error(served: Served, text: str) -> None:
    answer = sql(served, "sam", text)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["error"] == "InvalidTransactionState"
    assert "rolled back" in answer.json()["error"]["message"]
    assert served.db.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_as_user_is_the_subject_of_execute_as_user(served: Served) -> None:
    shape = sql(served, "sam", "SELECT 1; EXECUTE AS USER 'ann' (SELECT CURRENT_USER() AS me)").json()

    assert [result["as_user"] for result in shape["results"]] == ["sam", "ann"]
    assert shape["results"][1]["rows"] == [["ann"]]


def test_a_user_sees_the_rows_of_a_partition_of_its_own(served: Served) -> None:
    served.db.execute("CREATE USER TABLE app.diary (id BIGINT PRIMARY KEY, body TEXT)")
    for user in ("ann", "sam"):
        sql(served, user, "INSERT INTO app.diary VALUES (1, ?)", [f"of {user}"])

    assert sql(served, "ann", "SELECT body FROM app.diary").json()["results"][0]["rows"] == [["of ann"]]
    assert sql(served, "sam", "SELECT body FROM app.diary").json()["results"][0]["rows"] == [["of sam"]]


def test_a_statement_answers_the_same_in_the_loop_and_in_a_thread(served: Served) -> None:
    """The first ones run in threads; then the shape is known to be quick."""
    served.db.session("root").durability = "normal"
    served.db.execute("INSERT INTO app.notes VALUES (1, 'a')")
    application = served.db.asgi()
    answers = [
        sql(served, "sam", "SELECT * FROM app.notes WHERE id = ?", [1]).json()["results"] for _ in range(30)
    ]

    assert application.costs.is_quick("SELECT * FROM app.notes WHERE id = ?")
    assert all(answer == answers[0] for answer in answers)
    missing = sql(served, "sam", "SELECT * FROM app.notes WHERE id = ?", [])
    assert missing.json()["error"]["code"] == "INVALID_PARAMETER"


def test_a_large_result_is_streamed_and_is_the_same_json(served: Served) -> None:
    import pyarrow as pa

    served.db.session("root").insert("app.notes", pa.table({"id": range(20_000), "body": ["text"] * 20_000}))

    answer = sql(served, "sam", "SELECT 1; SELECT * FROM app.notes")
    first, large = answer.json()["results"]

    assert "content-length" not in answer.headers
    assert first["rows"] == [["1"]]
    assert large["row_count"] == 20_000
    assert sorted(int(key) for key, _ in large["rows"]) == list(range(20_000))
    assert large["as_user"] == "sam"
    assert answer.json()["took"] > 0


def test_a_large_result_before_a_failure_is_among_what_succeeded(served: Served) -> None:
    import pyarrow as pa

    served.db.session("root").insert("app.notes", pa.table({"id": range(5_000), "body": ["text"] * 5_000}))

    shape = sql(served, "sam", "SELECT * FROM app.notes; SELECT * FROM app.nowhere").json()

    assert shape["status"] == "error"
    assert [result["row_count"] for result in shape["results"]] == [5_000]
    assert len(shape["results"][0]["rows"]) == 5_000
