"""GET /v1/api/sql: statements that only read."""

from __future__ import annotations

import pytest

from tests.server.serving import Served


def get(served: Served, query: str, user: str = "sam"):
    return served.client(user).get(f"/v1/api/sql?{query}")


def test_it_answers_as_post_does_and_no_cache_keeps_it(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (1, 'ä')")

    answer = get(served, "sql=SELECT+body%20FROM%20notes+WHERE+body%3D%27%C3%A4%27&namespace_id=app")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["results"][0]["rows"] == [["ä"]]


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE app.notes", "WITH a AS (SELECT 1) SELECT * FROM a", "(SELECT 1)"]
)
def test_what_reads_may_come_by_it(served: Served, sql: str) -> None:
    assert served.client("sam").get("/v1/api/sql", params={"sql": sql}).status_code == 200


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO app.notes VALUES (1, 'a')",
        "DELETE FROM app.notes",
        "EXECUTE AS USER 'ann' (SELECT 1)",
        "SELECT 1; SELECT 2",
        "/* SELECT */ DELETE FROM app.notes",
        "USE app",
        "BEGIN",
        "EXPLAIN SELECT 1",
    ],
)
def test_what_may_change_something_may_not(served: Served, sql: str) -> None:
    answer = served.client("dora").get("/v1/api/sql", params={"sql": sql})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sql",
        "sql=SELECT+1&sql=SELECT+2",
        "sql=SELECT+1&user=dora",
        "namespace_id=app",
        "sql=%FF",
        "sql=1&=&=",
        "&&",
    ],
)
def test_a_query_that_is_none_is_refused(served: Served, query: str) -> None:
    answer = get(served, query)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"


def test_an_empty_statement_is_told_as_such(served: Served) -> None:
    assert get(served, "sql=").json()["error"]["code"] == "EMPTY_SQL"
