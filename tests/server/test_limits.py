"""Limits of a server, each by its setting: time, results, requests a second, statements at a time."""

from __future__ import annotations

import threading
import time

import pytest

from tests.server.serving import DEADLINE_S, Served, sql

SLOW = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9000) SELECT count(*) FROM r"
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"


def test_a_statement_that_takes_too_long_is_stopped(served_with) -> None:
    served = served_with(statement_timeout_s=0.3)

    answer = sql(served, "sam", ENDLESS)

    assert answer.status_code == 408
    assert answer.json()["error"]["code"] == "STATEMENT_TIMEOUT"
    assert sql(served, "sam", "SELECT 1").status_code == 200


def test_a_server_has_a_limit_where_the_setting_says_none(served: Served) -> None:
    assert served.db.settings.statement_timeout_s is None
    assert served.db.asgi().statement_timeout_s == 30.0


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM app.notes", "SELECT body FROM app.notes LIMIT 3000", "SELECT 1; SELECT * FROM app.notes"],
)
@pytest.mark.parametrize("accept", ["application/json", "application/vnd.apache.arrow.stream"])
def test_rows_beyond_result_bytes_max_are_refused_whole(served_with, text: str, accept: str) -> None:
    import pyarrow as pa

    served = served_with(result_bytes_max=100_000)
    served.db.session("root").insert("app.notes", pa.table({"id": range(6_000), "body": ["x" * 50] * 6_000}))

    answer = sql(served, "sam", text, accept=accept)

    if "arrow" in accept and text == "SELECT * FROM app.notes":
        # Nothing of it is held: it is read while it is sent.
        assert pa.ipc.open_stream(answer.content).read_all().num_rows == 6_000
        return
    assert answer.status_code == 400
    if not ("arrow" in accept and ";" in text):
        assert answer.json()["error"]["code"] == "RESULT_TOO_LARGE"
        assert "result_bytes_max" in answer.json()["error"]["message"]
    assert sql(served, "sam", "SELECT body FROM app.notes LIMIT 10", accept=accept).status_code == 200


def test_a_user_who_sends_too_much_is_told_when_to_come_back(served_with) -> None:
    served = served_with(user_requests_per_s_max=5)

    answers = [sql(served, "sam", "SELECT 1") for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code != 200]

    assert refused
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.json()["error"]["code"] for answer in refused} == {"RATE_LIMIT_EXCEEDED"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert sql(served, "ann", "SELECT 1").status_code == 200


def test_statements_beyond_the_places_wait_and_beyond_the_lines_are_refused(served_with) -> None:
    served = served_with(statements_running_max=1, statements_waiting_max=4, statement_timeout_s=1.0)
    statuses: list[int] = []
    client = served.client("sam")

    def send() -> None:
        statuses.append(client.post("/v1/api/sql", json={"sql": ENDLESS}).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert set(statuses) <= {408, 429}
    assert 429 in statuses
    assert 408 in statuses


def test_one_users_flood_holds_up_nobody_else(served_with) -> None:
    """The flood has all the places that one user may have; others have theirs at once."""
    served = served_with(
        statements_running_max=4,
        user_statements_running_max=2,
        statement_timeout_s=20.0,
        user_requests_per_s_max=None,
    )
    flooding = served.client("sam")
    answered = threading.Event()

    def flood() -> None:
        assert flooding.post("/v1/api/sql", json={"sql": SLOW}).status_code == 200
        if not answered.is_set():
            flood()

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        started = time.monotonic()
        for number in range(20):
            answer = sql(served, "ann", f"SELECT {number} FROM app.notes")
            assert answer.status_code == 200
        assert time.monotonic() - started < DEADLINE_S
    finally:
        answered.set()
        for thread in threads:
            thread.join(DEADLINE_S)


def test_the_loop_answers_while_statements_wait_for_the_disk_or_run_long(served: Served) -> None:
    slow = threading.Thread(target=lambda: sql(served, "sam", SLOW))
    slow.start()
    for _ in range(50):
        assert served.client().get("/v1/api/healthcheck").status_code == 200
    slow.join(DEADLINE_S)
    assert not slow.is_alive()


def test_a_server_that_ends_waits_for_its_statements_and_takes_no_more(served: Served) -> None:
    statuses: list[int] = []
    client = served.client("sam")
    statement = {"sql": SLOW}
    running = threading.Thread(
        target=lambda: statuses.append(client.post("/v1/api/sql", json=statement).status_code)
    )
    running.start()
    until = time.monotonic() + DEADLINE_S
    while not served.db.asgi().threads.turns.running and time.monotonic() < until:
        time.sleep(0.001)
    served.db.asgi().closing = True

    refused = sql(served, "ann", "SELECT 1")
    running.join(DEADLINE_S)

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "SERVER_CLOSING"
    assert refused.headers["retry-after"] == "1"
    assert served.client().get("/v1/api/healthcheck").status_code == 503
    assert statuses == [200]


def test_a_client_that_goes_ends_what_is_made_for_it(served: Served) -> None:
    import pyarrow as pa

    data = pa.table({"id": range(300_000), "body": ["x" * 100] * 300_000})
    served.db.session("root").insert("app.notes", data)
    turns = served.db.asgi().threads.turns
    with served.client("sam").stream(
        "POST", "/v1/api/sql", json={"sql": "SELECT * FROM app.notes"}
    ) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())

    until = time.monotonic() + DEADLINE_S
    while turns.running and time.monotonic() < until:
        time.sleep(0.01)
    assert not turns.running
    assert sql(served, "ann", "SELECT count(*) FROM app.notes").json()["results"][0]["rows"] == [["300000"]]


def test_a_slow_reader_keeps_no_place(served_with) -> None:
    """With one place for all statements, others go on while one client takes its answer bit by bit."""
    import pyarrow as pa

    served = served_with(statements_running_max=1, result_bytes_max="256MiB")
    data = pa.table({"id": range(300_000), "body": ["x" * 100] * 300_000})
    served.db.session("root").insert("app.notes", data)
    with served.client("sam").stream(
        "POST", "/v1/api/sql", json={"sql": "SELECT * FROM app.notes"}
    ) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        for number in range(5):
            assert sql(served, "ann", f"SELECT count(*) + {number} FROM app.notes").status_code == 200
            next(pieces)


def test_a_large_body_is_read_as_any_other(served: Served) -> None:
    text = "ä" * 100_000

    answer = sql(served, "sam", "INSERT INTO app.notes VALUES (?, ?) RETURNING body", [1, text])

    assert answer.json()["results"][0]["rows"] == [[text]]
