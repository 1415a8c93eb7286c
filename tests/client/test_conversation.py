"""What a client does by itself: logs in, refreshes, asks again, gives up, says where it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kalamdb import errors
from kalamdb.client import AsyncClient, Client
from tests.client.adapters import AsyncWay, Tasks
from tests.client.scripted_server import LOST, ScriptedServer, log_in, refusal
from tests.server.serving import Served, token_of

BUSY = refusal(503, "SERVER_CLOSING", "ServerClosing", **{"Retry-After": "0"})
LIMITED = refusal(429, "RATE_LIMIT_EXCEEDED", "RateLimitExceeded", **{"Retry-After": "0"})
EXPIRED = refusal(401, "TOKEN_EXPIRED", "TokenExpired")


@pytest.fixture(params=["client", "async"])
def make(request: pytest.FixtureRequest, tasks: Tasks) -> Any:
    """Makes clients of either kind."""
    made: list[Any] = []

    def make_one(url: str, **options: Any) -> Any:
        if request.param == "client":
            made.append(Client(url, **options))
        else:
            made.append(AsyncWay(tasks, lambda: AsyncClient(url, **options)))
        return made[-1]

    yield make_one
    for one in made:
        one.close()


@pytest.mark.parametrize("trouble", [LOST, BUSY, LIMITED])
@pytest.mark.parametrize("sql", ["SELECT 1", "  -- a comment\n/* and */ select 1;", "SHOW TABLES"])
def test_what_only_reads_is_asked_again(make: Any, trouble: Any, sql: str) -> None:
    with ScriptedServer(trouble, trouble) as server:
        assert make(server.url, token="t").execute(sql).message == "Done"

        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [(LOST, errors.ConnectionLost), (BUSY, errors.OperationalError), (LIMITED, errors.RateLimitExceeded)],
)
@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "SELECT 1; DELETE FROM t", "BEGIN"])
def test_what_may_change_something_is_sent_once(make: Any, trouble: Any, expected: Any, sql: str) -> None:
    with ScriptedServer(trouble) as server:
        with pytest.raises(expected):
            make(server.url, token="t").execute(sql)

        assert len(server.asked) == 1


def test_reading_is_given_up_after_its_tries(make: Any) -> None:
    with ScriptedServer(*[LOST] * 10) as server:
        with pytest.raises(errors.ConnectionLost):
            make(server.url, token="t", retries=2).execute("SELECT 1")

        assert len(server.asked) == 3


def test_it_logs_in_at_the_first_call_and_out_at_the_end(make: Any, served: Served) -> None:
    client = make(served.url, user="ann", password="a long password")

    assert client.execute("SELECT CURRENT_USER()").fetchone() == ("ann",)


def test_a_wrong_password_is_told(make: Any, served: Served) -> None:
    with pytest.raises(errors.InvalidCredentials) as raised:
        make(served.url, user="ann", password="another password").execute("SELECT 1")

    assert raised.value.request_id


def test_a_token_that_has_ended_is_refreshed_and_the_statement_sent_anew(make: Any) -> None:
    with ScriptedServer(log_in(1), EXPIRED, log_in(2)) as server:
        make(server.url, user="ann", password="secret").execute("INSERT INTO t VALUES (1)")

        assert [path for path, _, _ in server.asked] == [
            "/v1/api/auth/login",
            "/v1/api/sql",
            "/v1/api/auth/refresh",
            "/v1/api/sql",
        ]
        assert server.asked[2][1] == {"refresh_token": "refresh 1"}
        assert [token for _, _, token in server.asked[1::2]] == ["Bearer token 1", "Bearer token 2"]


def test_where_refreshing_fails_it_logs_in(make: Any) -> None:
    with ScriptedServer(
        log_in(1), EXPIRED, refusal(401, "INVALID_CREDENTIALS", "InvalidToken"), log_in(3)
    ) as server:
        make(server.url, user="ann", password="secret").execute("SELECT 1")

        assert server.asked[-2][1] == {"user": "ann", "password": "secret"}
        assert server.asked[-1][2] == "Bearer token 3"


def test_a_token_that_was_given_and_has_ended_is_told(make: Any) -> None:
    with ScriptedServer(EXPIRED) as server, pytest.raises(errors.TokenExpired):
        make(server.url, token="t").execute("SELECT 1")


def test_many_threads_log_in_once() -> None:
    with ScriptedServer(log_in(1)) as server, Client(server.url, user="ann", password="secret") as client:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: client.execute("SELECT 1"), range(32)))

        assert [path for path, _, _ in server.asked].count("/v1/api/auth/login") == 1
        assert len(server.asked) == 33


def test_a_server_that_is_not_there_is_told(make: Any) -> None:
    with ScriptedServer() as server:
        url = server.url

    with pytest.raises(errors.ServerUnreachable, match="see whether the server runs there"):
        make(url, token="t", retries=1).execute("SELECT 1")


def test_what_is_no_kalamdb_is_told(make: Any) -> None:
    with (
        ScriptedServer((404, "nothing here", {})) as server,
        pytest.raises(errors.InterfaceError, match="status 404"),
    ):
        make(server.url, token="t").execute("SELECT 1")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://host", "http://", "http://a:b@host", "http://host?x=1", 7]
)
def test_what_is_no_url_is_refused(make: Any, url: Any) -> None:
    with pytest.raises(errors.InterfaceError):
        make(url, token="t")


def test_who_somebody_is_must_be_said(make: Any) -> None:
    for options in ({}, {"token": "t", "user": "u"}, {"token": "t", "password": "p"}):
        with pytest.raises(errors.InterfaceError):
            make("http://127.0.0.1:1", **options)


def test_use_holds_for_the_calls_behind_it(make: Any, served: Served) -> None:
    client = make(served.url, token=token_of(served.db, "ann"))
    with pytest.raises(errors.UndefinedTable):
        client.execute("SELECT * FROM notes")

    client.execute("USE app")

    client.execute("SELECT * FROM notes")


def test_a_client_in_a_namespace_shares_the_log_in_and_ends_with_its_owner() -> None:
    with ScriptedServer(log_in(1)) as server:
        with Client(server.url, user="ann", password="secret", namespace="one") as client:
            with client.in_namespace("two") as other:
                other.execute("SELECT 1")
            client.execute("SELECT 1")
            assert (client.namespace, other.namespace) == ("one", "two")

        assert [path for path, _, _ in server.asked] == [
            "/v1/api/auth/login",
            "/v1/api/sql",
            "/v1/api/sql",
            "/v1/api/auth/logout",
        ]
        assert [body["namespace_id"] for path, body, _ in server.asked if path.endswith("sql")] == [
            "two",
            "one",
        ]
        with pytest.raises(errors.DatabaseClosed):
            other.execute("SELECT 1")


def test_use_in_one_namespace_changes_no_other_client(make: Any, served: Served) -> None:
    client = make(served.url, token=token_of(served.db, "ann"))
    other = client.in_namespace("default")

    other.execute("USE app")

    assert (client.namespace, other.namespace) == ("default", "app")
    other.execute("SELECT * FROM notes")
    with pytest.raises(errors.UndefinedTable):
        client.execute("SELECT * FROM notes")


def test_many_rows_go_in_several_requests_and_say_how_many_are_in(make: Any, clean: Served) -> None:
    client = make(clean.url, token=token_of(clean.db, "ann"), namespace="app")
    rows = [{"id": number % 1900, "body": "x" * 1000} for number in range(2000)]

    with pytest.raises(errors.UniqueViolation, match="before it were inserted and stay") as raised:
        client.insert("notes", rows)

    found = client.execute("SELECT count(*) FROM notes").fetchone()[0]
    assert 0 < raised.value.rows_inserted == found < 1900


def test_rows_in_arrow_come_as_they_are_read(clean: Served) -> None:
    clean.db.session("ann").execute("INSERT INTO app.notes (id) VALUES (1), (2)")
    with Client(clean.url, token=token_of(clean.db, "ann"), namespace="app") as client:
        result = client.execute("SELECT id FROM notes", arrow=True)

        assert [batch.num_rows for batch in result.arrow_reader()] == [2]
        with pytest.raises(errors.InterfaceError, match="run the statement again"):
            result.arrow()
        with pytest.raises(errors.InterfaceError, match="POST"):
            client.execute("DELETE FROM notes", arrow=True)


def test_a_stream_has_the_rows_of_one_moment(clean: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kalamdb.execution.row_pages.PAGE_ROWS", 1000)
    with Client(clean.url, token=token_of(clean.db, "ann"), namespace="app") as client:
        client.insert("notes", [{"id": number, "body": "x" * 400} for number in range(5000)])
        reader = client.stream("SELECT id, body FROM notes WHERE id >= ?", [10])
        seen = next(reader).num_rows
        client.execute("DELETE FROM notes")
        assert reader.schema.names == ["id", "body"]
        assert seen + sum(batch.num_rows for batch in reader) == 4990
        with pytest.raises(errors.UndefinedTable):
            client.stream("SELECT * FROM nowhere")


def test_after_close_nothing_is_sent(make: Any, served: Served) -> None:
    client = make(served.url, token=token_of(served.db, "ann"))
    client.close()

    with pytest.raises(errors.DatabaseClosed):
        client.execute("SELECT 1")
