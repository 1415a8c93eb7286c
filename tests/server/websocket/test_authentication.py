"""Who is at the other end: by the header of the upgrade or by the first message, and for how long."""

from __future__ import annotations

import asyncio
import time

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus

from tests.server.serving import Served, sql, token_of
from tests.server.websocket.client import connected
from tests.server.websocket.conftest import ServedWith

PASSWORD = "correct horse battery"


def test_a_header_is_answered_at_once_by_a_text_frame(served: Served) -> None:
    with connected(served, None, token=token_of(served.db, "ann"), query="?serialization=msgpack") as client:
        data = client.connection.recv(timeout=10)

    assert isinstance(data, str)
    assert data == (
        '{"type":"auth_success","user":"ann","user_id":"ann","role":"user",'
        '"protocol":{"serialization":"msgpack","compression":"none"}}'
    )


def test_the_first_message_says_who_it_is(served: Served) -> None:
    with connected(served, None) as client:
        client.send(type="authenticate", method="jwt", token=token_of(served.db, "dora"))

        answer = client.receive()
        assert (answer["type"], answer["user"], answer["role"]) == ("auth_success", "dora", "dba")
        assert answer["protocol"] == {"serialization": "json", "compression": "none"}
        assert client.is_quiet()


@pytest.mark.parametrize("token", ["", "x.y.z", "ä", "x" * 9000])
@pytest.mark.parametrize("by_header", [True, False])
def test_what_is_no_token_ends_the_connection(served: Served, token: str, by_header: bool) -> None:
    if by_header:
        if not token.isascii() or len(token) > 8000:
            return  # the client refuses to send it, or the server to read it
        with connected(served, None, headers={"Authorization": f"Bearer {token}"}) as client:
            messages, code = client.until_closed()
    else:
        with connected(served, None) as client:
            client.send(type="authenticate", method="jwt", token=token)
            messages, code = client.until_closed()

    assert [message["type"] for message in messages] == ["auth_error"]
    assert code == 1008


def test_another_scheme_ends_the_connection(served: Served) -> None:
    with connected(served, None, headers={"Authorization": "Basic YW5uOg=="}) as client:
        messages, code = client.until_closed()

    assert messages[0]["type"] == "auth_error"
    assert "Bearer" in messages[0]["message"]
    assert code == 1008


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe", "subscription": {"id": "s", "sql": "SELECT * FROM app.notes", "options": {}}},
        {"type": "ping"},
        {"type": "authenticate", "method": "basic", "user": "root", "password": ""},
        {"type": "authenticate", "method": "jwt"},
        {},
    ],
)
def test_nothing_is_done_for_who_has_not_said_who_it_is(served: Served, message: dict[str, object]) -> None:
    with connected(served, None) as client:
        client.send(**message)
        messages, code = client.until_closed()

    assert [one["type"] for one in messages] == ["auth_error"]
    assert code == 1008
    assert len(served.db.live) == 0


def test_who_says_nothing_is_closed(served_with: ServedWith) -> None:
    served = served_with(websocket_authentication_timeout_s=0.2)
    with connected(served, None) as client:
        messages, code = client.until_closed()

    assert "websocket_authentication_timeout_s" in messages[0]["message"]
    assert code == 1008


def test_identity_from_request_field(served: Served) -> None:
    """Whatever a message or the query says of a user: the token's user it is."""
    served.db.session("bob").execute("INSERT INTO app.own (id, body) VALUES (1, 'secret-of-bob')")
    with connected(served, None, query="?user=bob&user_id=bob") as client:
        client.send(
            type="authenticate",
            method="jwt",
            token=token_of(served.db, "ann"),
            user="bob",
            user_id="bob",
            role="dba",
        )
        answer = client.receive()
        client.send(
            type="subscribe",
            user_id="bob",
            subscription={
                "id": "s",
                "sql": "SELECT * FROM app.own",
                "user_id": "bob",
                "options": {"user_id": "bob"},
            },
        )
        told = [client.receive(), client.receive()]
        served.db.session("bob").execute("INSERT INTO app.own (id, body) VALUES (2, 'secret-of-bob')")

        assert (answer["user"], answer["role"]) == ("ann", "user")
        assert told[1]["rows"] == []
        assert client.is_quiet()


def test_ws_origin(served_with: ServedWith) -> None:
    """Pages of other origins are refused before anything is upgraded; those of the setting, and our own, are not."""
    served = served_with(cors_origins="https://app.example")
    for origin in (
        "https://evil.example",
        "null",
        f"http://127.0.0.1:{served.port}.evil.example",
        "https://app.example.evil",
    ):
        with pytest.raises(InvalidStatus) as refused, connected(served, "ann", origin=origin):
            pass
        assert refused.value.response.status_code == 403
    for origin in ("https://app.example", f"http://127.0.0.1:{served.port}", None):
        with connected(served, "ann", origin=origin) as client:
            assert client.is_quiet()


@pytest.mark.parametrize(("proxies", "wanted"), [(None, "127.0.0.1"), ("127.0.0.0/8", "203.0.113.7")])
def test_xff_and_x_real_ip_spoof(served_with: ServedWith, proxies: str | None, wanted: str) -> None:
    """What a connection is refused is told with the address of its peer, or of whom a proxy of ours had it from."""
    served = served_with(trusted_proxies=proxies)
    served.db.execute("ALTER TABLE app.notes SET ACCESS private")
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    with connected(served, "ann", headers=headers) as client:
        client.subscribe("SELECT * FROM app.notes")
        assert client.receive()["code"] == "NOT_FOUND"

    told = "SELECT address FROM system.audit_log WHERE actor = 'ann' AND outcome = 'denied'"
    assert served.db.execute(told).fetchall() == [(wanted,)]


def test_two_headers_are_one_too_many(served: Served) -> None:
    tokens = [f"Bearer {token_of(served.db, user)}" for user in ("ann", "dora")]
    headers = Headers([("Authorization", token) for token in tokens])
    with connected(served, None, headers=headers) as client:
        messages, code = client.until_closed()

    assert [message["type"] for message in messages] == ["auth_error"]
    assert code == 1008


def test_there_is_one_path(served: Served) -> None:
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{served.port}/v1/other", proxy=None):
        pass


@pytest.mark.parametrize("query", ["?serialization=xml", "?compression=zip"])
def test_an_encoding_that_there_is_not_is_refused(served: Served, query: str) -> None:
    with connected(served, None, token=token_of(served.db, "ann"), query=query) as client:
        messages, code = client.until_closed()

    assert messages[0]["type"] == "auth_error"
    assert code == 1008


def test_a_connection_ends_with_its_token(served_with: ServedWith) -> None:
    served = served_with(access_token_ttl_s=1)
    with connected(served, "ann") as client:
        client.begin("SELECT * FROM app.notes", {})
        messages, code = client.until_closed()

        assert [message["type"] for message in messages] == ["auth_error"]
        assert code == 1008
        assert len(served.db.live) == 0


def test_a_new_token_lets_a_connection_stay(served_with: ServedWith) -> None:
    served = served_with(access_token_ttl_s=2)
    with connected(served, "ann") as client:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            client.send(type="authenticate", method="jwt", token=token_of(served.db, "ann"))
            assert client.receive()["type"] == "auth_success"
            time.sleep(0.5)

        assert client.is_quiet()


def test_a_token_of_another_user_changes_nobody(served: Served) -> None:
    with connected(served, "ann") as client:
        client.send(type="authenticate", method="jwt", token=token_of(served.db, "dora"))
        refused = client.receive()
        client.begin("SELECT * FROM app.own", {})

        assert refused["code"] == "INVALID_MESSAGE"
        assert served.db.live.rows("ann")
        assert not served.db.live.rows("dora")


def test_a_deleted_user_is_closed(served: Served) -> None:
    with connected(served, "ann") as client, connected(served, "bob") as other:
        client.begin("SELECT * FROM app.notes", {})
        served.db.execute("DROP USER ann")
        messages, code = client.until_closed()

        assert messages[-1]["type"] in ("auth_error", "error")
        assert code == 1008
        assert other.is_quiet()


def test_a_new_password_ends_connections_of_the_old_one(served: Served) -> None:
    with connected(served, "ann") as client:
        served.db.execute("ALTER USER ann SET PASSWORD 'a-new-password-for-ann'")
        messages, code = client.until_closed()

    assert messages[-1]["type"] == "auth_error"
    assert code == 1008


def test_a_log_out_ends_the_connections_that_its_tokens_opened(served: Served) -> None:
    served.db.execute(f"ALTER USER ann SET PASSWORD '{PASSWORD}'")
    door = served.db.front_door
    made, other = (door.log_in("ann", PASSWORD, "192.0.2.1") for _ in range(2))
    later = door.refresh(made.refresh_token.text, "192.0.2.1")
    with (
        connected(served, None, token=made.access_token.text) as first,
        connected(served, None, token=later.access_token.text) as second,
        connected(served, None, token=other.access_token.text) as kept,
    ):
        for client in (first, second, kept):
            assert client.receive()["type"] == "auth_success"
            client.begin("SELECT * FROM app.notes", {})
        # The token of the moment counts: this one has come over to the log-in that goes on.
        with connected(served, None, token=made.access_token.text) as moved:
            assert moved.receive()["type"] == "auth_success"
            moved.send(type="authenticate", method="jwt", token=other.access_token.text)
            assert moved.receive()["type"] == "auth_success"

            door.log_out(later.refresh_token.text, "192.0.2.1")

            for client in (first, second):
                messages, code = client.until_closed()
                assert messages[-1]["type"] == "auth_error"
                assert code == 1008
            sql(served, "dora", "INSERT INTO app.notes VALUES (1, 'told')")
            assert kept.receive()["type"] == "change"
            assert moved.is_quiet()
        assert len(served.db.live) == 1


@pytest.mark.parametrize("by_message", [False, True])
def test_a_log_out_while_a_token_is_looked_at_is_not_missed(
    served: Served, monkeypatch, by_message: bool
) -> None:
    """The token was still good when it was checked, and the connection not yet among those who are told of ends."""
    served.db.execute(f"ALTER USER ann SET PASSWORD '{PASSWORD}'")
    door = served.db.front_door
    made, other = (door.log_in("ann", PASSWORD, "192.0.2.1") for _ in range(2))
    application = served.db.asgi()
    identity_of = application.identity_of

    async def slow_identity_of(token: str):
        found = await identity_of(token)
        if token == made.access_token.text:
            door.log_out(made.refresh_token.text, "192.0.2.1")
            # Who is told of ends has been told when this goes on.
            await asyncio.sleep(0)
        return found

    monkeypatch.setattr(application, "identity_of", slow_identity_of)
    first = other if by_message else made
    with connected(served, None, token=first.access_token.text) as client:
        assert client.receive()["type"] == "auth_success"
        if by_message:
            client.send(type="authenticate", method="jwt", token=made.access_token.text)
        messages, code = client.until_closed()

    assert messages[-1]["type"] == "auth_error"
    assert code == 1008


def test_a_connection_goes_on_with_a_new_role(served: Served) -> None:
    served.db.execute("CREATE SHARED TABLE app.staff (id BIGINT PRIMARY KEY) WITH (ACCESS = 'private')")
    with connected(served, "ann") as client:
        client.subscribe("SELECT * FROM app.staff", {})
        before = client.receive()
        served.db.execute("ALTER USER ann SET ROLE service")
        _, rows = client.begin("SELECT * FROM app.staff", {})

    assert before["code"] == "NOT_FOUND"
    assert rows == []
    assert sql(served, "dora", "SELECT 1").status_code == 200
