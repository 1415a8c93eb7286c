"""Rows that were there, in batches, and what changes while the client does not ask for the next."""

from __future__ import annotations

import time

import pytest

from tests.server.serving import Served
from tests.server.websocket.client import Client, connected
from tests.server.websocket.conftest import ServedWith

ALL = "SELECT id, body FROM app.notes"


def fill(served: Served, count: int, size: int = 5) -> None:
    served.db.session("root").executemany(
        "INSERT INTO app.notes (id, body) VALUES (?, ?)", [(at, "x" * size) for at in range(count)]
    )


def batches(client: Client, options: dict[str, object]) -> list[dict[str, object]]:
    """Every batch, asked for one by one."""
    subscription_id = client.subscribe(ALL, options)
    assert client.receive()["type"] == "subscription_ack"
    found = [client.receive()]
    while found[-1]["batch_control"]["has_more"]:
        client.send(type="next_batch", subscription_id=subscription_id, last_seq_id="0")
        found.append(client.receive())
    return found


def test_batches_are_as_large_as_was_asked_for(served: Served) -> None:
    fill(served, 25)
    with connected(served, "ann") as client:
        found = batches(client, {"batch_size": 10})

    assert [[int(row["id"]) for row in batch["rows"]] for batch in found] == [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 25)),
    ]
    controls = [batch["batch_control"] for batch in found]
    assert [control["status"] for control in controls] == ["loading", "loading_batch", "ready"]
    assert [control["batch_num"] for control in controls] == [0, 1, 2]
    assert controls[0]["last_seq_id"] == found[0]["rows"][-1]["_seq"]


@pytest.mark.parametrize(("count", "batch_size"), [(20, 10), (1, 1), (0, 5), (11, 11)])
def test_no_batch_is_empty_but_that_of_no_rows(served: Served, count: int, batch_size: int) -> None:
    fill(served, count)
    with connected(served, "ann") as client:
        found = batches(client, {"batch_size": batch_size})

        assert len(found) == max(1, -(-count // batch_size))
        assert client.is_quiet()


def test_more_rows_than_are_read_at_once(served: Served) -> None:
    """And in the order of `_seq`, though a page is read anew each time."""
    fill(served, 25_000, 60)
    served.db.execute("UPDATE app.notes SET body = 'newer' WHERE id < 100")
    with connected(served, "ann") as client:
        found = batches(client, {"batch_size": 4000})

    rows = [row for batch in found for row in batch["rows"]]
    assert [int(row["id"]) for row in rows] == [*range(100, 25_000), *range(100)]
    assert sorted(int(row["_seq"]) for row in rows) == [int(row["_seq"]) for row in rows]


def test_a_batch_of_large_rows_has_fewer(served: Served) -> None:
    fill(served, 10, 100_000)
    with connected(served, "ann") as client:
        found = batches(client, {})

    assert [len(batch["rows"]) for batch in found] == [3, 3, 3, 1]


def test_the_last_rows(served: Served) -> None:
    fill(served, 25)
    with connected(served, "ann") as client:
        found = batches(client, {"last_rows": 7, "batch_size": 7})
        none = batches(client, {"last_rows": 0})

    assert [[int(row["id"]) for row in batch["rows"]] for batch in found] == [list(range(18, 25))]
    assert [batch["rows"] for batch in none] == [[]]


def test_more_last_rows_than_a_batch_has_are_refused(served: Served) -> None:
    with connected(served, "ann") as client:
        client.subscribe(ALL, {"last_rows": 11, "batch_size": 10})
        refused = client.receive()
        client.subscribe(ALL, {"last_rows": 1001})

        assert refused["code"] == client.receive()["code"] == "UNSUPPORTED"


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": -1},
        {"batch_size": 10**9},
        {"last_rows": -1},
        {"batch_size": "x"},
        5,
        [],
    ],
)
def test_options_that_mean_nothing_are_refused(served: Served, options: object) -> None:
    with connected(served, "ann") as client:
        client.send(type="subscribe", subscription={"id": "s", "sql": ALL, "options": options})
        refused = client.receive()

        assert refused["type"] == "error"
        assert refused["code"] in ("INVALID_MESSAGE", "INVALID_SQL")
        assert client.is_quiet()
        assert len(served.db.live) == 0


def test_changes_wait_for_the_last_batch(served: Served) -> None:
    """In order, none left out and none twice; and each batch is of the moment in which the subscription began."""
    fill(served, 30)
    root = served.db.session("root")
    with connected(served, "ann") as client:
        subscription_id = client.subscribe(ALL, {"batch_size": 10})
        client.receive()
        first = client.receive()
        root.execute("DELETE FROM app.notes WHERE id = 25")
        root.execute("UPDATE app.notes SET body = 'new' WHERE id = 15")
        root.execute("INSERT INTO app.notes (id, body) VALUES (99, 'new')")
        quiet = client.is_quiet()
        client.send(type="next_batch", subscription_id=subscription_id)
        second = client.receive()
        root.execute("INSERT INTO app.notes (id, body) VALUES (100, 'new')")
        client.send(type="next_batch", subscription_id=subscription_id)
        third = client.receive()
        changes = [client.receive() for _ in range(4)]

        assert quiet
        assert [int(row["id"]) for batch in (first, second, third) for row in batch["rows"]] == list(
            range(30)
        )
        assert {row["body"] for row in second["rows"]} == {"xxxxx"}
        assert [change["change_type"] for change in changes] == ["delete", "update", "insert", "insert"]
        assert client.is_quiet()


def test_only_a_batch_that_waits_can_be_asked_for(served: Served) -> None:
    with connected(served, "ann") as client:
        subscription_id, _ = client.begin(ALL, {})
        client.send(type="next_batch", subscription_id=subscription_id)
        none = client.receive()
        client.send(type="next_batch", subscription_id="other")
        unknown = client.receive()

        assert (none["subscription_id"], none["code"]) == (subscription_id, "INVALID_MESSAGE")
        assert (unknown["subscription_id"], unknown["code"]) == ("other", "NOT_FOUND")


def test_who_asks_for_no_batch_is_ended(served_with: ServedWith) -> None:
    """So that nobody keeps the rows of a moment for ever."""
    served = served_with(websocket_batch_timeout_s=0.2)
    fill(served, 3)
    with connected(served, "ann") as client:
        subscription_id = client.subscribe(ALL, {"batch_size": 1})
        client.receive(), client.receive()
        ended = client.receive()

        assert (ended["subscription_id"], ended["code"]) == (subscription_id, "SUBSCRIPTION_LAGGED")
        assert "websocket_batch_timeout_s" in ended["message"]
        assert len(served.db.live) == 0


def test_too_many_changes_while_no_batch_is_asked_for_end_it(served_with: ServedWith) -> None:
    served = served_with(subscription_buffer_bytes=50_000)
    fill(served, 3)
    with connected(served, "ann") as client:
        subscription_id = client.subscribe(ALL, {"batch_size": 1})
        client.receive(), client.receive()
        for number in range(100, 200):
            served.db.execute(f"INSERT INTO app.notes (id, body) VALUES ({number}, '{'x' * 1000}')")
        for _ in range(2):
            client.send(type="next_batch", subscription_id=subscription_id)
            client.receive()
        ended = client.receive()

        assert (ended["type"], ended["code"]) == ("error", "SUBSCRIPTION_LAGGED")
        assert client.is_quiet()


def test_a_subscription_that_is_given_up_while_it_opens(served: Served) -> None:
    fill(served, 20_000, 50)
    with connected(served, "ann") as client:
        for _ in range(20):
            subscription_id = client.subscribe(ALL, {"batch_size": 1000})
            client.send(type="unsubscribe", subscription_id=subscription_id)
        until = time.monotonic() + 20
        while len(served.db.live) and time.monotonic() < until:
            time.sleep(0.01)

        assert len(served.db.live) == 0
