"""Going on from a `_seq`, over the network and over restarts."""

from __future__ import annotations

import pytest

from kalamdb.server.websocket import server_options
from tests.server.serving import Served
from tests.server.websocket.client import connected
from tests.server.websocket.conftest import ServedWith, open_with_users

ALL = "SELECT * FROM app.own"


@pytest.mark.parametrize("name", ["from", "from_seq_id"])
@pytest.mark.parametrize("as_number", [True, False])
def test_changes_behind_a_place_are_told_once(served: Served, name: str, as_number: bool) -> None:
    ann = served.db.session("ann")
    ann.execute("INSERT INTO app.own (id, body) VALUES (1, 'a')")
    with connected(served, "ann") as client:
        _, rows = client.begin(ALL, {})
    place = int(rows[0]["_seq"])
    ann.execute("INSERT INTO app.own (id, body) VALUES (2, 'b'), (3, 'c')")
    ann.execute("UPDATE app.own SET body = 'aa' WHERE id = 1")
    with connected(served, "ann") as client:
        client.subscribe(ALL, {name: place if as_number else str(place)})
        ack, batch = client.receive(), client.receive()
        ann.execute("DELETE FROM app.own WHERE id = 2")
        changes = [client.receive() for _ in range(3)]

        assert ack["total_rows"] == 0
        assert batch["rows"] == []
        assert batch["batch_control"]["status"] == "ready"
        assert [change["change_type"] for change in changes] == ["insert", "update", "delete"]
        assert [row["id"] for row in changes[0]["rows"]] == ["2", "3"]
        assert client.is_quiet()
    middle = changes[0]["rows"][0]["_seq"]
    with connected(served, "ann") as client:
        client.begin(ALL, {"from": middle})

        assert [row["id"] for row in client.receive()["rows"]] == ["3"]


def test_going_on_after_the_server_was_away(tmp_path) -> None:
    with open_with_users(tmp_path / "served") as db:
        with Served(db, **server_options(db.settings)) as served, connected(served, "ann") as client:
            client.begin(ALL, {})
            db.session("ann").execute("INSERT INTO app.own (id, body) VALUES (1, 'a')")
            place = client.receive()["rows"][0]["_seq"]
        db.session("ann").execute("INSERT INTO app.own (id, body) VALUES (2, 'b')")
        db.flush()
    with (
        open_with_users(tmp_path / "served") as db,
        Served(db, **server_options(db.settings)) as served,
        connected(served, "ann") as client,
    ):
        client.begin(ALL, {"from": place})
        change = client.receive()
        db.session("ann").execute("INSERT INTO app.own (id, body) VALUES (3, 'c')")

        assert [row["id"] for row in change["rows"]] == ["2"]
        assert [row["id"] for row in client.receive()["rows"]] == ["3"]


def test_a_place_that_nothing_is_known_of_begins_anew(served_with: ServedWith) -> None:
    served = served_with()
    with connected(served, "ann") as client:
        client.subscribe(ALL, {"from": str((1 << 63) - 1)}, "later")
        messages = [client.receive() for _ in range(3)]

        assert (messages[-1]["subscription_id"], messages[-1]["code"]) == ("later", "SUBSCRIPTION_LAGGED")
        assert client.is_quiet()
        client.begin(ALL, {})


def test_much_that_was_missed_comes_in_pieces(served: Served) -> None:
    """As fast as the client takes it: nothing of it is too slow for a queue."""
    ann = served.db.session("ann")
    ann.execute("INSERT INTO app.own (id, body) VALUES (0, 'a')")
    place = ann.execute("SELECT _seq FROM app.own").fetchone()[0]
    for begin in range(1, 30_001, 3_000):
        ann.executemany(
            "INSERT INTO app.own (id, body) VALUES (?, ?)",
            [(at, "x" * 500) for at in range(begin, begin + 3000)],
        )
    with connected(served, "ann") as client:
        client.begin("SELECT id, body FROM app.own", {"from": str(place)})
        found: list[int] = []
        while len(found) < 30_000:
            found += [int(row["id"]) for row in client.receive()["rows"]]

        assert found == list(range(1, 30_001))
        assert client.is_quiet()
