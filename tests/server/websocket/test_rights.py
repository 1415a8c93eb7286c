"""Who may hear what: 0 rows after a right is lost, and nothing of anybody else's ever."""

from __future__ import annotations

import threading

import pytest

from tests.server.serving import Served, sql, token_of
from tests.server.websocket.client import connected

ALL = "SELECT * FROM app.notes"


def insert(served: Served, number: int) -> None:
    served.db.execute("INSERT INTO app.notes (id, body) VALUES (?, 'x')", [number])


def test_subscription_skips_access_check(served: Served) -> None:
    """A subscription is asked as a SELECT is: a table that one may not read is one that does not exist."""
    served.db.execute("ALTER TABLE app.notes SET ACCESS private")
    for options in ({}, None, {"from": "1"}):
        with connected(served, "ann") as client:
            client.subscribe(ALL, options)
            answer = client.receive()
            client.subscribe("SELECT * FROM app.nothing", options)
            nothing = client.receive()

            assert answer["code"] == nothing["code"] == "NOT_FOUND"
            assert answer["message"].replace("notes", "nothing") == nothing["message"]
            insert(served, 1)
            assert client.is_quiet()
        served.db.execute("DELETE FROM app.notes WHERE id = 1")
    audit = "SELECT count(*) FROM system.audit_log WHERE actor = 'ann' AND outcome = 'denied'"
    assert served.db.execute(audit).fetchone() == (3,)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE app.notes SET ACCESS private",
        "ALTER TABLE app.notes SET ACCESS restricted",
        "DROP USER ann",
        "REVOKE SELECT ON app.notes FROM ann",
    ],
)
def test_nothing_is_told_after_a_right_is_lost(served: Served, statement: str) -> None:
    if "REVOKE" in statement:
        served.db.execute("ALTER TABLE app.notes SET ACCESS restricted")
        served.db.execute("GRANT SELECT ON app.notes TO ann")
    with connected(served, "ann") as client:
        client.begin(ALL, {})
        insert(served, 1)
        assert client.receive()["rows"][0]["id"] == "1"
        served.db.execute(statement)
        insert(served, 2)
        ended = client.receive()

        assert ended["type"] in ("error", "auth_error")
        assert ended.get("code", "NOT_FOUND") in ("NOT_FOUND", "UNAUTHORIZED")
        insert(served, 3)
        if "DROP" in statement:
            messages, code = client.until_closed()
            assert code == 1008
            assert all(message["type"] != "change" for message in messages)
        else:
            assert client.is_quiet()
        assert len(served.db.live) == 0


def test_a_role_that_falls_is_a_right_that_is_lost(served: Served) -> None:
    served.db.execute("ALTER TABLE app.notes SET ACCESS private")
    with connected(served, "sam") as client:
        client.begin(ALL, {})
        served.db.execute("ALTER USER sam SET ROLE user")
        insert(served, 1)

        assert client.receive()["code"] == "NOT_FOUND"
        assert client.is_quiet()


def test_batches_end_with_the_right(served: Served) -> None:
    for number in range(5):
        insert(served, number)
    with connected(served, "ann") as client:
        subscription_id = client.subscribe(ALL, {"batch_size": 1})
        client.receive(), client.receive()
        served.db.execute("ALTER TABLE app.notes SET ACCESS private")
        client.send(type="next_batch", subscription_id=subscription_id)
        told = client.receive()

        assert told["code"] == "NOT_FOUND"


def test_no_row_of_a_commit_behind_the_loss_is_told_while_writers_run(served: Served) -> None:
    """Rows with odd ids are committed before a right is lost, even ones after, by four writers."""
    lost = threading.Event()
    stop = threading.Event()

    def write(first: int) -> None:
        session = served.db.session("root")
        number = first
        while not stop.is_set():
            # Read before the commit begins: who sees the loss writes an even id.
            after = lost.is_set()
            session.execute(
                "INSERT INTO app.notes (id, body) VALUES (?, 'x')", [number * 2 + (0 if after else 1)]
            )
            number += 4

    for turn in range(5):
        lost.clear()
        stop.clear()
        with connected(served, "ann") as client:
            client.begin(ALL, {"last_rows": 0})
            writers = [threading.Thread(target=write, args=(turn * 10_000_000 + at,)) for at in range(4)]
            for writer in writers:
                writer.start()
            for _ in range(20):
                client.receive()
            served.db.execute("ALTER TABLE app.notes SET ACCESS private")
            lost.set()
            told: list[int] = []
            while (message := client.receive())["type"] == "change":
                told += [int(row["id"]) for row in message["rows"]]
            stop.set()
            for writer in writers:
                writer.join()

            assert message["code"] == "NOT_FOUND"
            assert [number for number in told if number % 2 == 0] == []
            assert client.is_quiet()
        served.db.execute("ALTER TABLE app.notes SET ACCESS public")


def test_nobody_hears_of_another_users_rows(served: Served) -> None:
    """Canaries in the partitions of others, and every way of asking: none is ever told."""
    ways = [
        "SELECT * FROM app.own",
        "SELECT * FROM app.own WHERE id > 0 OR body <> ''",
        "SUBSCRIBE TO app.own",
        "SELECT body AS b, _seq FROM app.own",
        "SELECT * FROM all_users.app.own",
        "SELECT * FROM app.own WHERE _user = 'bob'",
    ]
    bob = served.db.session("bob")
    bob.execute("INSERT INTO app.own (id, body) VALUES (1, 'canary-of-bob')")
    place = bob.execute("SELECT _seq FROM app.own").fetchone()[0] - 1
    for user in ("ann", "sam", "dora"):
        with connected(served, user) as client:
            for way in ways:
                for options in ({}, None, {"last_rows": 10}, {"from": str(place)}):
                    client.subscribe(way, options)
            client.send(type="ping")
            bob.execute("UPDATE app.own SET body = 'canary-of-bob-2' WHERE id = 1")
            bob.execute("DELETE FROM app.own WHERE id = 1")
            bob.execute("INSERT INTO app.own (id, body) VALUES (1, 'canary-of-bob')")
            served.db.session(user).execute("INSERT INTO app.own (id, body) VALUES (7, 'mine')")
            messages = []
            # Subscriptions begin beside the reading of messages: a pong says nothing of them, a row of one's own does.
            quiet = 0
            while quiet < 2 or "mine" not in str(messages):
                message = client.receive()
                messages.append(message)
                if message["type"] == "pong" and quiet < 2:
                    quiet += 1
                    served.db.session(user).execute("UPDATE app.own SET body = 'mine too' WHERE id = 7")
                    client.send(type="ping")

            assert "canary" not in str(messages)
            assert "mine" in str(messages)


def test_a_place_of_another_user_tells_only_ones_own(served: Served) -> None:
    """Resuming from a `_seq` that one learned from somebody else."""
    bob, ann = served.db.session("bob"), served.db.session("ann")
    bob.execute("INSERT INTO app.own (id, body) VALUES (1, 'canary-of-bob')")
    place = bob.execute("SELECT _seq FROM app.own").fetchone()[0]
    bob.execute("UPDATE app.own SET body = 'canary-too' WHERE id = 1")
    ann.execute("INSERT INTO app.own (id, body) VALUES (1, 'mine')")
    with connected(served, "ann") as client:
        client.subscribe("SELECT id, body FROM app.own", {"from": str(place)})
        client.receive(), client.receive()
        change = client.receive()

        assert [row["body"] for row in change["rows"]] == ["mine"]
        assert client.is_quiet()


def test_system_live_queries_and_kill(served: Served) -> None:
    with connected(served, "ann") as client:
        first, _ = client.begin(ALL, {"last_rows": 3})
        second, _ = client.begin("SELECT * FROM app.own", {})
        seen = sql(
            served, "ann", "SELECT live_id, user_id, table_name FROM system.live_queries ORDER BY created_at"
        )
        rows = seen.json()["results"][0]["rows"]
        others = sql(served, "bob", "SELECT * FROM system.live_queries").json()["results"][0]["rows"]
        forbidden = sql(served, "bob", f"KILL LIVE QUERY '{rows[0][0]}'")
        killed = sql(served, "ann", f"KILL LIVE QUERY '{rows[0][0]}'")
        ended = client.receive()
        insert(served, 1)

        assert [row[1:] for row in rows] == [["ann", "notes"], ["ann", "own"]]
        assert others == []
        assert forbidden.status_code == 400
        assert killed.status_code == 200
        assert (ended["type"], ended["subscription_id"]) == ("error", first)
        assert "KILL" in ended["message"]
        assert client.is_quiet()
        served.db.session("ann").execute("INSERT INTO app.own (id) VALUES (1)")
        assert client.receive()["subscription_id"] == second


def test_a_subscription_that_is_killed_between_batches_ends(served: Served) -> None:
    for number in range(3):
        insert(served, number)
    with connected(served, "ann") as client:
        subscription_id = client.subscribe(ALL, {"batch_size": 1})
        client.receive(), client.receive()
        live_id = served.db.live.rows("ann")[0][0]
        sql(served, "dora", f"KILL LIVE QUERY '{live_id}'")
        ended = client.receive()

        assert (ended["type"], ended["subscription_id"]) == ("error", subscription_id)


def test_a_table_is_not_dropped_while_somebody_listens(served: Served) -> None:
    with connected(served, "ann") as client:
        subscription_id, _ = client.begin(ALL, {})
        refused = sql(served, "dora", "DROP TABLE app.notes")
        client.send(type="unsubscribe", subscription_id=subscription_id)
        assert client.is_quiet()
        dropped = sql(served, "dora", "DROP TABLE app.notes")

    assert refused.json()["error"]["details"]["error"] == "DependentObjects"
    assert dropped.status_code == 200
    assert token_of(served.db, "ann")
