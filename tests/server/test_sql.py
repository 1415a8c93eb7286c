"""POST /v1/api/sql: what statements answer over HTTP."""

from tests.server.serving import Served


def test_rows_come_with_their_schema_as_the_interface_says(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (175928847299117056, 'hi')")

    answer = served.client("sam").post("/v1/api/sql", json={"sql": "SELECT * FROM app.notes"})
    shape = answer.json()

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
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
