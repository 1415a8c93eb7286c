"""What a subscription is told: its rows, and every change of them."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any

import pytest

from tests.server.serving import Served, sql
from tests.server.websocket.client import Message, connected
from tests.server.websocket.conftest import ServedWith

ALL = "SELECT * FROM app.notes"


def without_seq(message: Message) -> Message:
    """The message with every `_seq` taken out, each of which is a decimal string."""
    for name in ("rows", "old_values"):
        for row in message.get(name, []):
            assert row.pop("_seq").isdecimal()
    return message


def test_rows_come_first_and_then_every_change(served: Served) -> None:
    sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'one')")
    with connected(served, "ann") as client:
        client.subscribe(ALL, {}, "mine")
        ack, batch = client.receive(), client.receive()
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (2, 'two'), (3, 'three')")
        inserted = client.receive()
        sql(served, "sam", "UPDATE app.notes SET body = 'zwei' WHERE id = 2")
        updated = client.receive()
        sql(served, "sam", "DELETE FROM app.notes WHERE id = 1")
        deleted = client.receive()

    assert ack == {
        "type": "subscription_ack",
        "subscription_id": "mine",
        "total_rows": 1,
        "batch_control": {"batch_num": 0, "has_more": True, "status": "loading", "last_seq_id": None},
        "schema": [
            {"name": "id", "data_type": "BigInt", "index": 0},
            {"name": "body", "data_type": "Text", "index": 1},
            {"name": "_seq", "data_type": "BigInt", "index": 2},
        ],
    }
    control = batch.pop("batch_control")
    assert control.pop("last_seq_id").isdecimal()
    assert control == {"batch_num": 0, "has_more": False, "status": "ready"}
    assert without_seq(batch) == {
        "type": "initial_data_batch",
        "subscription_id": "mine",
        "rows": [{"id": "1", "body": "one"}],
    }
    head = {"type": "change", "subscription_id": "mine"}
    assert without_seq(inserted) == head | {
        "change_type": "insert",
        "rows": [{"id": "2", "body": "two"}, {"id": "3", "body": "three"}],
    }
    assert without_seq(updated) == head | {
        "change_type": "update",
        "rows": [{"id": "2", "body": "zwei"}],
        "old_values": [{"id": "2", "body": "two"}],
    }
    assert without_seq(deleted) == head | {
        "change_type": "delete",
        "old_values": [{"id": "1", "body": "one"}],
    }


@pytest.mark.parametrize("options", [None, "absent"])
def test_without_options_only_what_changes_is_told(served: Served, options: object) -> None:
    sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'one')")
    with connected(served, "ann") as client:
        subscription = {"id": "s", "sql": ALL} | ({} if options else {"options": None})
        client.send(type="subscribe", subscription=subscription)
        ack = client.receive()
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (2, 'two')")
        change = client.receive()

    assert ack["batch_control"] == {"batch_num": 0, "has_more": False, "status": "ready", "last_seq_id": None}
    assert without_seq(change)["rows"] == [{"id": "2", "body": "two"}]


def test_a_table_without_rows_has_one_batch(served: Served) -> None:
    with connected(served, "ann") as client:
        client.subscribe(ALL, {})
        ack, batch = client.receive(), client.receive()

        assert ack["total_rows"] == 0
        assert batch["rows"] == []
        assert batch["batch_control"]["status"] == "ready"
        assert client.is_quiet()


def test_rows_that_come_into_the_filter_and_leave_it(served: Served) -> None:
    ann = served.db.session("ann")
    with connected(served, "ann") as client:
        client.begin("SELECT id, body AS text FROM app.own WHERE n > 10", {})
        ann.execute("INSERT INTO app.own (id, n, body) VALUES (1, 5, 'a'), (2, 50, 'b')")
        first = client.receive()
        ann.execute("UPDATE app.own SET n = 20 WHERE id = 1")
        into = client.receive()
        ann.execute("UPDATE app.own SET n = 1 WHERE id = 2")
        out = client.receive()

    assert without_seq(first)["rows"] == [{"id": "2", "text": "b"}]
    assert without_seq(into)["rows"] == [{"id": "1", "text": "a"}]
    assert (into["change_type"], out["change_type"]) == ("insert", "delete")
    assert without_seq(out)["old_values"] == [{"id": "2", "text": "b"}]


def test_a_filter_that_the_core_does_not_judge(served: Served) -> None:
    served.db.execute("INSERT INTO app.notes VALUES (1, 'Milk and honey'), (2, 'Bread')")
    with connected(served, "sam") as client:
        _, there = client.begin("SELECT id FROM app.notes WHERE lower(body) LIKE '%milk%'", {})
        client.subscribe("SELECT id FROM app.notes WHERE body LIKE random()", {})
        refused = client.receive()
        served.db.execute("INSERT INTO app.notes VALUES (3, 'more bread'), (4, 'more MILK')")
        inserted = client.receive()

    assert [row["id"] for row in there] == ["1"]
    assert refused["code"] == "UNSUPPORTED"
    assert (inserted["change_type"], [row["id"] for row in inserted["rows"]]) == ("insert", ["4"])


def test_old_values_have_what_changed_and_the_key_if_it_is_asked_for(served: Served) -> None:
    ann = served.db.session("ann")
    ann.execute("INSERT INTO app.own (id, n, body) VALUES (1, NULL, 'a')")
    with connected(served, "ann") as client:
        client.begin("SELECT id AS k, n, body FROM app.own", {})
        client.begin("SELECT body, n FROM app.own", {})
        ann.execute("UPDATE app.own SET n = 3 WHERE id = 1")
        both = {
            message["subscription_id"]: without_seq(message)
            for message in (client.receive(), client.receive())
        }

    assert both["s1"]["old_values"] == [{"k": "1", "n": None}]
    assert both["s1"]["rows"] == [{"k": "1", "n": 3, "body": "a"}]
    assert both["s2"]["old_values"] == [{"n": None}]


def test_a_transaction_is_told_once_it_is_committed(served: Served) -> None:
    ann = served.db.session("ann")
    with connected(served, "ann") as client:
        client.begin("SELECT id FROM app.own", {})
        with ann.transaction():
            ann.execute("INSERT INTO app.own (id) VALUES (1)")
            assert client.is_quiet()
            ann.execute("INSERT INTO app.own (id) VALUES (2)")
        change = client.receive()
        ann.begin()
        ann.execute("INSERT INTO app.own (id) VALUES (3)")
        ann.rollback()

        assert without_seq(change)["rows"] == [{"id": "1"}, {"id": "2"}]
        assert client.is_quiet()


def test_cells_are_as_over_http(served: Served) -> None:
    """Of every type, NULL too: a row of a batch, of a change, and of POST /v1/api/sql are the same."""
    served.db.execute(
        "CREATE SHARED TABLE app.types (id BIGINT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, f FLOAT, d DOUBLE, "
        "e DECIMAL(30, 4), t TEXT, y BYTES, ts TIMESTAMP, da DATE, ti TIME, u UUID, j JSON)"
    )
    values: list[list[Any]] = [
        [1, True, -5, 7, 0.1, 1e300, decimal.Decimal("12345678901234567890.5000"), 'ä"\n', b"\x00\xff",
         datetime.datetime(2026, 11, 29, 1, 2, 3, 4, datetime.UTC), datetime.date(1969, 12, 31),
         datetime.time(23, 59, 59, 999999), uuid.UUID(int=5), {"a": [1, None]}],
        [2, *[None] * 13],
        [9007199254740993, False, 0, 0, math.nan, math.inf, decimal.Decimal(0), "", b"",
         datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), datetime.date.max, datetime.time(), uuid.UUID(int=0), []],
    ]  # fmt: skip
    statement = f"INSERT INTO app.types VALUES ({', '.join('?' * 14)})"
    root = served.db.session("root")
    with connected(served, "ann") as live:
        live.begin("SELECT * FROM app.types", {})
        for row in values:
            root.execute(statement, row)
        changes = [without_seq(live.receive())["rows"][0] for _ in values]
    with connected(served, "ann", query="?serialization=msgpack&compression=gzip") as client:
        _, rows = client.begin("SELECT * FROM app.types", {})
    answer = sql(served, "ann", "SELECT * FROM app.types ORDER BY id").json()["results"][0]
    names = [column["name"] for column in answer["schema"]]
    expected = [dict(zip(names, row, strict=True)) for row in answer["rows"]]

    assert sorted(changes, key=lambda row: int(row["id"])) == expected
    for row in rows:
        del row["_seq"]
    assert sorted(rows, key=lambda row: int(row["id"])) == expected


def test_many_subscriptions_of_one_table_are_told_alike(served: Served) -> None:
    """Whoever listens by the same text is told the same, each by its own id; others by their own filter."""
    with connected(served, "ann") as ann, connected(served, "bob", query="?compression=gzip") as bob:
        ids = [ann.begin(ALL, {})[0] for _ in range(5)] + [ann.begin(f"{ALL} WHERE id > 1", {})[0]]
        bob.begin(ALL, {})
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'one'), (2, 'two')")
        told = {
            message["subscription_id"]: without_seq(message)["rows"]
            for message in (ann.receive() for _ in ids)
        }
        told_bob = without_seq(bob.receive())["rows"]

    both = [{"id": "1", "body": "one"}, {"id": "2", "body": "two"}]
    assert [told[one] for one in ids] == [both] * 5 + [both[1:]]
    assert told_bob == both


def test_subscribe_to_is_the_same_with_all_columns(served: Served) -> None:
    for number in range(5):
        sql(served, "sam", f"INSERT INTO app.notes (id, body) VALUES ({number}, 'x')")
    with connected(served, "ann") as client:
        _, rows = client.begin("SUBSCRIBE TO app.notes WHERE id > 0 OPTIONS (last_rows = 2)", {})

    assert [row["id"] for row in rows] == ["3", "4"]


def test_a_bulk_load_is_told_in_pieces(served: Served) -> None:
    import pyarrow as pa

    with connected(served, "ann") as client:
        client.begin("SELECT id FROM app.notes", {})
        served.db.session("root").insert(
            "app.notes", pa.table({"id": range(50_000), "body": ["x" * 20] * 50_000})
        )
        found: list[int] = []
        while len(found) < 50_000:
            message = client.receive()
            assert len(message["rows"]) <= 1000
            found += [int(row["id"]) for row in message["rows"]]

        assert found == list(range(50_000))
        assert client.is_quiet()


def test_a_large_commit_is_told_whole_and_what_follows_after_it(served: Served) -> None:
    root = served.db.session("root")
    with connected(served, "ann") as first, connected(served, "bob") as second:
        first.begin(ALL, {})
        second.begin(ALL, {})
        with root.transaction():
            root.executemany(
                "INSERT INTO app.notes (id, body) VALUES (?, ?)", [(at, "y" * 200) for at in range(20_000)]
            )
        root.execute("INSERT INTO app.notes (id, body) VALUES (-1, 'last')")
        for client in (first, second):
            found: list[str] = []
            while not found or found[-1] != "-1":
                found += [row["id"] for row in client.receive()["rows"]]

            assert found == [*map(str, range(20_000)), "-1"]


def test_columns_that_come_and_go_meanwhile(served: Served) -> None:
    with connected(served, "ann") as client:
        client.begin(ALL, {})
        client.begin("SELECT id, body FROM app.notes", {})
        served.db.execute("ALTER TABLE app.notes ADD COLUMN extra INT")
        sql(served, "sam", "INSERT INTO app.notes (id, body, extra) VALUES (1, 'a', 5)")
        both = {
            message["subscription_id"]: without_seq(message)["rows"]
            for message in (client.receive(), client.receive())
        }
        served.db.execute("ALTER TABLE app.notes DROP COLUMN extra")
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (2, 'b')")
        after = {
            message["subscription_id"]: without_seq(message)["rows"]
            for message in (client.receive(), client.receive())
        }

    assert both == {"s1": [{"id": "1", "body": "a", "extra": 5}], "s2": [{"id": "1", "body": "a"}]}
    assert after == {one: [{"id": "2", "body": "b"}] for one in ("s1", "s2")}


def test_rows_in_cold_segments_come_first_too(served_with: ServedWith) -> None:
    served = served_with()
    for number in range(3):
        served.db.execute(f"INSERT INTO app.notes (id, body) VALUES ({number}, 'x')")
        served.db.flush("app.notes")
    with connected(served, "ann") as client:
        _, rows = client.begin(ALL, {"batch_size": 1})

    assert [row["id"] for row in rows] == ["0", "1", "2"]
