"""Messages that are none, and what a subscription cannot be: each is answered, and harms nobody."""

from __future__ import annotations

import gzip
import random
from typing import Any

import msgspec
import orjson
import pytest

from tests.server.serving import Served, sql
from tests.server.websocket.client import connected

ALL = "SELECT * FROM app.notes"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "[]",
        "{}",
        '"ping"',
        '{"type":"pong"}',
        '{"type":5}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","subscription":{}}',
        '{"type":"subscribe","subscription":{"id":5,"sql":"SELECT 1"}}',
        '{"type":"subscribe","subscription":{"id":"","sql":"SELECT * FROM app.notes"}}',
        '{"type":"subscribe","subscription":{"id":"' + "x" * 300 + '","sql":"SELECT * FROM app.notes"}}',
        '{"type":"subscribe","subscription":{"id":"s","sql":["SELECT"]}}',
        *(
            '{"type":"subscribe","subscription":{"id":"s","sql":"SELECT * FROM app.notes","options":'
            + options
            + "}}"
            for options in (
                '{"from":"x"}',
                '{"from":"-1"}',
                '{"from":"١"}',
                '{"from":-1}',
                '{"from":1.5}',
                '{"from":99999999999999999999}',
                '{"from":1,"from_seq_id":2}',
                '{"from":1,"last_rows":2}',
            )
        ),
        '{"type":"unsubscribe"}',
        '{"type":"authenticate","method":"basic","token":"x"}',
        "[" * 100_000,
        '{"type":"ping"',
        '{"type":"ping"}{"type":"ping"}',
    ],
)
def test_what_is_no_message_is_answered_and_passed_over(served: Served, text: str) -> None:
    with connected(served, "ann") as client:
        client.connection.send(text)
        answer = client.receive()

        assert answer["type"] == "error"
        assert answer["code"] in ("INVALID_MESSAGE", "INVALID_SQL")
        assert client.is_quiet()
        assert len(served.db.live) == 0


@pytest.mark.parametrize(
    "query", ["", "?serialization=msgpack", "?compression=gzip", "?serialization=msgpack&compression=gzip"]
)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff\xfe",
        b"\x1f\x8b",
        gzip.compress(b"no json at all", mtime=0),
        gzip.compress(orjson.dumps({"type": "ping"}), mtime=0)[:-4],
        gzip.compress(orjson.dumps({"type": "ping"}), mtime=0) + b"more",
        msgspec.msgpack.encode({"type": 5}),
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 5000,
    ],
)
def test_binary_garbage_is_answered_and_passed_over(served: Served, query: str, data: bytes) -> None:
    with connected(served, "ann", query=query) as client:
        client.connection.send(data)
        answer = client.receive()

        assert (answer["type"], answer["code"]) == ("error", "INVALID_MESSAGE")
        assert client.is_quiet()


def test_a_gzip_bomb_is_not_unpacked(served: Served) -> None:
    bomb = gzip.compress(b" " * 500_000_000, 9, mtime=0)[:900_000]
    with connected(served, "ann", query="?compression=gzip") as client:
        client.connection.send(bomb)
        messages, code = client.until_closed()

    assert messages[-1]["code"] == "MESSAGE_TOO_LARGE"
    assert code == 1009


def test_text_that_is_no_utf8_ends_the_connection(served: Served) -> None:
    with connected(served, "ann") as client:
        client.connection.send(b'{"type":"ping\xff"}', text=True)
        _, code = client.until_closed()

    assert code == 1007
    with connected(served, "ann") as client:
        assert client.is_quiet()


def test_lone_surrogates_in_escapes_are_only_text(served: Served) -> None:
    with connected(served, "ann") as client:
        client.connection.send('{"type":"unsubscribe","subscription_id":"\\ud800"}')
        answer = client.receive()

        assert answer["type"] == "error"
        assert client.is_quiet()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT count(*) FROM app.notes", "UNSUPPORTED"),
        ("SELECT * FROM app.notes ORDER BY id", "UNSUPPORTED"),
        ("SELECT * FROM app.notes LIMIT 5", "UNSUPPORTED"),
        ("SELECT * FROM app.notes, app.own", "UNSUPPORTED"),
        ("SELECT * FROM (SELECT * FROM app.own)", "UNSUPPORTED"),
        ("SELECT * FROM system.users", "UNSUPPORTED"),
        ("SELECT * FROM all_users.app.own", "UNSUPPORTED"),
        ("INSERT INTO app.notes (id, body) VALUES (1, 'x')", "UNSUPPORTED"),
        ("DROP TABLE app.notes", "UNSUPPORTED"),
        ("SELECT * FROM app.nothing", "NOT_FOUND"),
        ("SELECT * FROM nowhere.at_all", "NOT_FOUND"),
        ("SELECT nothing FROM app.notes", "INVALID_SQL"),
        ("SELECT * FROM app.notes WHERE nothing = 1", "INVALID_SQL"),
        ("SELEKT", "INVALID_SQL"),
        ("", "INVALID_SQL"),
        ("SELECT * FROM app.notes; SELECT * FROM app.own", "INVALID_SQL"),
        ("SELECT * FROM app.notes WHERE id = ?", "INVALID_SQL"),
    ],
)
def test_what_cannot_be_listened_to_is_refused(served: Served, text: str, code: str) -> None:
    with connected(served, "ann") as client:
        client.subscribe(text, {}, "mine")
        answer = client.receive()

        assert answer["type"] == "error"
        assert answer["subscription_id"] == "mine"
        assert answer["code"] == code, answer
        assert client.is_quiet()
        assert len(served.db.live) == 0
        assert served.db.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_an_id_that_is_taken(served: Served) -> None:
    with connected(served, "ann") as client:
        client.begin(ALL, {})
        client.subscribe(ALL, {}, "s1")
        refused = client.receive()
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'x')")
        change = client.receive()

        assert refused["code"] == "DUPLICATE_SUBSCRIPTION"
        assert change["subscription_id"] == "s1"
        assert client.is_quiet()


def test_unsubscribing(served: Served) -> None:
    with connected(served, "ann") as client:
        subscription_id, _ = client.begin(ALL, {})
        client.send(type="unsubscribe", subscription_id=subscription_id)
        client.send(type="unsubscribe", subscription_id=subscription_id)
        unknown = client.receive()
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'x')")

        assert unknown == {
            "type": "error",
            "subscription_id": subscription_id,
            "code": "NOT_FOUND",
            "message": f'there is no subscription "{subscription_id}" on this connection',
            "details": {"error": "UnknownSubscription", "sqlstate": "42704", "position": None},
        }
        assert client.is_quiet()
        assert len(served.db.live) == 0
        assert client.begin(ALL, {})[0] != subscription_id


def test_a_subscription_takes_parameters_and_a_namespace_of_its_own(served: Served) -> None:
    with connected(served, "ann") as client:
        wanted = {"sql": "SELECT id, body FROM notes WHERE id > ?", "params": ["1"], "options": {}}
        client.send(type="subscribe", subscription={"id": "in app", "namespace_id": "app", **wanted})
        assert [client.receive()["type"] for _ in range(2)] == ["subscription_ack", "initial_data_batch"]
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'x'), (2, 'y')")
        assert [row["body"] for row in client.receive()["rows"]] == ["y"]

        client.send(type="subscribe", subscription={"id": "in default", **wanted})
        error = client.receive()
        assert (error["code"], error["details"]["error"]) == ("NOT_FOUND", "UndefinedTable")


def test_random_messages_break_nothing(served: Served, seed: int) -> None:
    """Whatever comes, the connection answers the next ping or is closed, and the server serves the next one."""
    chosen = random.Random(seed)
    words: list[Any] = [
        "subscribe", "ping", "type", "subscription", "id", "sql", ALL, None, 1, -1, 2**70, 1.5, True, [], {}, "\x00",
    ]  # fmt: skip

    def message(depth: int) -> Any:
        if depth and chosen.random() < 0.6:
            return {str(chosen.choice(words)): message(depth - 1) for _ in range(chosen.randrange(4))}
        return chosen.choice(words)

    with connected(served, "ann", query="?serialization=msgpack&compression=gzip") as client:
        for _ in range(300):
            data = msgspec.json.encode({"type": chosen.choice(words), "subscription": message(3)})
            if chosen.random() < 0.5:
                data = bytes(one if chosen.random() > 0.01 else chosen.randrange(256) for one in data)
                client.connection.send(data)
            else:
                client.connection.send(data.decode())
        client.send(type="ping")
        while client.receive()["type"] != "pong":
            pass
    assert served.db.asgi().sockets.counts.failed == 0


def test_current_user_quote_injection(served: Served) -> None:
    """A user's name in the text of a live query is text, whatever it is; and CURRENT_USER() is no part of one."""
    evil = "x' OR '1'='1"
    served.db.execute(f'CREATE USER "{evil}" WITH ROLE user')
    served.db.session("bob").execute("INSERT INTO app.own (id, body) VALUES (1, 'secret-of-bob')")
    with connected(served, evil) as client:
        for where in ("body = CURRENT_USER()", "body = 'x'' OR ''1''=''1'", "body = 'x' OR '1'='1'"):
            client.subscribe(f"SELECT * FROM app.own WHERE {where}", {})
            answer = client.receive()
            if answer["type"] == "subscription_ack":
                assert client.receive()["rows"] == []
        served.db.session("bob").execute("INSERT INTO app.own (id, body) VALUES (2, 'secret-of-bob')")
        assert client.is_quiet()
        served.db.session(evil).execute("INSERT INTO app.own (id, body) VALUES (3, ?)", [evil])
        assert client.receive()["rows"][0]["body"] == evil
