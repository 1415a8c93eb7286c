"""What a subscription is told: its rows, and every change of them."""

from __future__ import annotations

from tests.server.serving import Served, sql
from tests.server.websocket.client import connected

ALL = "SELECT * FROM app.notes"


def test_rows_come_first_and_then_every_change(served: Served) -> None:
    sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (1, 'one')")
    with connected(served, "ann") as client:
        client.subscribe(ALL, {}, "mine")
        ack, batch = client.receive(), client.receive()
        sql(served, "sam", "INSERT INTO app.notes (id, body) VALUES (2, 'two')")
        inserted = client.receive()
        sql(served, "sam", "UPDATE app.notes SET body = 'zwei' WHERE id = 2")
        updated = client.receive()
        sql(served, "sam", "DELETE FROM app.notes WHERE id = 1")
        deleted = client.receive()

    print(ack, batch, inserted, updated, deleted)
    assert ack["type"] == "subscription_ack"
