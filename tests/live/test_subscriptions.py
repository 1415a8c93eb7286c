"""What a subscription tells: the rows that were there, and then every change, once, in commit order."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    DatabaseClosed,
    DependentObjects,
    InvalidParameter,
    InvalidSyntax,
    LiveQueryKilled,
    ReadOnlyDatabase,
    SubscriptionLagged,
    SubscriptionLimitExceeded,
    UndefinedColumn,
    UndefinedObject,
    UndefinedTable,
    UnsupportedLiveQuery,
)
from kalamdb.live import Event, Subscription

KINDS = {
    "user": "CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, role TEXT, n INT)",
    "shared": "CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY, role TEXT, n INT)",
    "stream": "CREATE STREAM TABLE app.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), role TEXT, n INT) TTL 600",
}
WAIT_S = 30.0


@pytest.fixture(params=list(KINDS))
def table(request: pytest.FixtureRequest, db: kalamdb.Database) -> kalamdb.Database:
    """app.t of each kind."""
    db.execute("CREATE NAMESPACE app")
    db.execute(KINDS[request.param])
    return db


@pytest.fixture
def users(db: kalamdb.Database) -> kalamdb.Database:
    """The USER table app.t."""
    db.execute("CREATE NAMESPACE app")
    db.execute(KINDS["user"])
    return db


def told(subscription: Subscription, count: int) -> list[tuple[str, list[object], list[object]]]:
    """The next so many events: kind, and the ids of the rows and of the old rows; and no more than those."""
    events = []
    for _ in range(count):
        event = subscription.next(WAIT_S)
        assert event is not None, events
        events.append((event.kind, ids(event.rows), ids(event.old_rows)))
    assert subscription.next(0) is None
    return events


def ids(rows: object) -> list[object]:
    return [row["id"] for row in rows]  # type: ignore[attr-defined]


def test_a_snapshot_and_then_every_change(table: kalamdb.Database) -> None:
    alice = table.session("alice", "service")
    alice.execute("INSERT INTO app.t (id, role, n) VALUES (1, 'user', 1), (2, 'bot', 2)")
    subscription = alice.subscribe("SELECT * FROM app.t")

    first = subscription.next(WAIT_S)
    assert first is not None
    sequences = [row.pop("_seq") for row in first.rows]
    assert first == Event(
        "snapshot", [{"id": 1, "role": "user", "n": 1}, {"id": 2, "role": "bot", "n": 2}], [], first.seq
    )
    assert sequences == sorted(sequences)
    assert first.seq >= sequences[-1]

    alice.execute("INSERT INTO app.t (id, role, n) VALUES (3, 'user', 3), (4, 'user', 4)")
    alice.execute("UPDATE app.t SET n = 10 WHERE id = 1")
    alice.execute("DELETE FROM app.t WHERE id = 2")
    insert, update, delete = (subscription.next(WAIT_S) for _ in range(3))
    assert insert is not None
    assert update is not None
    assert delete is not None
    assert (insert.kind, ids(insert.rows), insert.old_rows) == ("insert", [3, 4], [])
    assert insert.seq == insert.rows[-1]["_seq"]
    assert (update.kind, update.rows[0]["n"], update.old_rows[0]["n"]) == ("update", 10, 1)
    assert update.old_rows[0]["_seq"] == sequences[0] < update.rows[0]["_seq"] == update.seq
    assert (delete.kind, delete.rows, ids(delete.old_rows)) == ("delete", [], [2])
    assert delete.old_rows[0]["n"] == 2
    assert delete.old_rows[0]["_seq"] == delete.seq > update.seq
    assert subscription.next(0) is None


def test_only_what_the_predicate_wants_and_rows_that_come_to_it_or_leave_it(table: kalamdb.Database) -> None:
    alice = table.session("alice", "service")
    alice.execute("INSERT INTO app.t (id, role, n) VALUES (1, 'user', 1), (2, 'bot', 2)")
    subscription = alice.subscribe("SELECT id FROM app.t WHERE role = 'user' AND n < 100")
    assert told(subscription, 1) == [("snapshot", [1], [])]

    alice.execute("INSERT INTO app.t (id, role, n) VALUES (3, 'bot', 3), (4, 'user', 400), (5, 'user', 5)")
    alice.execute("UPDATE app.t SET role = 'user' WHERE id = 2")
    alice.execute("UPDATE app.t SET n = 11 WHERE id = 1")
    alice.execute("UPDATE app.t SET n = 1000 WHERE id = 1")
    alice.execute("UPDATE app.t SET n = 2000 WHERE id = 1")
    alice.execute("UPDATE app.t SET n = NULL WHERE id = 5")
    alice.execute("DELETE FROM app.t WHERE id IN (2, 3)")
    assert told(subscription, 6) == [
        ("insert", [5], []),
        ("insert", [2], []),
        ("update", [1], [1]),
        ("delete", [], [1]),
        ("delete", [], [5]),
        ("delete", [], [2]),
    ]


def test_nobody_else_s_rows(users: kalamdb.Database) -> None:
    alice, bob = users.session("alice"), users.session("bob")
    subscription = alice.subscribe("SELECT * FROM app.t")
    bob.execute("INSERT INTO app.t VALUES (1, 'bob', 1)")
    alice.execute("INSERT INTO app.t VALUES (2, 'alice', 2)")
    bob.execute("UPDATE app.t SET n = 5; DELETE FROM app.t")
    assert told(subscription, 2) == [("snapshot", [], []), ("insert", [2], [])]


def test_a_transaction_arrives_whole_and_only_once_it_is_committed(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    alice.execute("INSERT INTO app.t VALUES (1, 'a', 1), (2, 'a', 1)")
    subscription = alice.subscribe("SELECT * FROM app.t", last_rows=0)
    alice.begin()
    alice.execute("INSERT INTO app.t VALUES (100, 'never', 1)")
    alice.rollback()
    with alice.transaction():
        alice.execute("INSERT INTO app.t VALUES (3, 'a', 1)")
        alice.execute("UPDATE app.t SET n = 2 WHERE id = 1")
        alice.execute("INSERT INTO app.t VALUES (4, 'a', 1)")
        alice.execute("DELETE FROM app.t WHERE id = 2")
        alice.execute("DELETE FROM app.t WHERE id = 3")
        assert told(subscription, 1) == [("snapshot", [], [])]
    assert told(subscription, 3) == [("update", [1], [1]), ("insert", [4], []), ("delete", [], [2])]


def test_the_last_rows(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    for number in (5, 3, 9, 1):
        alice.execute("INSERT INTO app.t VALUES (?, 'a', 1)", [number])
    alice.execute("UPDATE app.t SET n = 2 WHERE id = 5")
    assert told(alice.subscribe("SELECT id FROM app.t", last_rows=2), 1) == [("snapshot", [1, 5], [])]
    assert told(alice.subscribe("SUBSCRIBE TO app.t OPTIONS (last_rows = 3)"), 1) == [
        ("snapshot", [9, 1, 5], [])
    ]
    assert told(alice.subscribe("SUBSCRIBE TO app.t WHERE id < 4 OPTIONS (last_rows = 3);"), 1) == [
        ("snapshot", [3, 1], [])
    ]
    assert told(alice.subscribe("SELECT id FROM app.t", last_rows=0), 1) == [("snapshot", [], [])]


def test_a_long_snapshot_comes_in_parts(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    alice.executemany("INSERT INTO app.t VALUES (?, 'a', 1)", [(number,) for number in range(2500)])
    subscription = alice.subscribe("SELECT id FROM app.t")
    parts = [subscription.next(WAIT_S) for _ in range(3)]
    assert [len(part.rows) for part in parts if part] == [1000, 1000, 500]
    assert [row["id"] for part in parts if part for row in part.rows] == list(range(2500))


def test_values_come_as_every_result_has_them(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute(
        "CREATE SHARED TABLE app.v (id TEXT PRIMARY KEY, j JSON, at TIMESTAMP, d DECIMAL(9, 2), b BYTES)"
    )
    subscription = db.subscribe("SELECT id AS key, j, at, d, b, _updated FROM app.v")
    db.execute(
        "INSERT INTO app.v VALUES ('x', '{\"a\": [1]}', '2025-01-02T03:04:05Z', 1.5, X'00ff'), "
        "('y', NULL, NULL, NULL, NULL)"
    )
    subscription.next(WAIT_S)
    event = subscription.next(WAIT_S)
    assert event is not None
    row, empty = event.rows
    assert (row["key"], row["j"], str(row["d"]), row["b"]) == ("x", {"a": [1]}, "1.50", b"\x00\xff")
    assert row["at"] == datetime.datetime(2025, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert isinstance(row["_updated"], datetime.datetime)
    assert (empty["key"], empty["j"], empty["at"]) == ("y", None, None)
    assert subscription.columns == ("key", "j", "at", "d", "b", "_updated", "_seq")


def test_values_of_the_predicate_are_bound(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    alice.execute("INSERT INTO app.t VALUES (1, ''' OR role <> ''', 1), (2, 'x', 1)")
    subscription = alice.subscribe("SELECT * FROM app.t WHERE role = ?", ["' OR role <> '"])
    assert told(subscription, 1) == [("snapshot", [1], [])]
    with pytest.raises(InvalidParameter, match=r"takes 1 parameter\(s\), 0 were given"):
        alice.subscribe("SELECT * FROM app.t WHERE role = ?")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM app.t",
        "SELECT * FROM app.t ORDER BY id",
        "SELECT * FROM app.t LIMIT 1",
        "SELECT * FROM app.t OFFSET 1",
        "SELECT * FROM app.t JOIN app.t AS u ON t.id = u.id",
        "SELECT * FROM app.t, app.t AS u",
        "SELECT n + 1 FROM app.t",
        "SELECT DISTINCT n FROM app.t",
        "SELECT n FROM app.t GROUP BY n",
        "SELECT * FROM (SELECT * FROM app.t)",
        "SELECT * FROM app.t WHERE id IN (SELECT id FROM app.t)",
        "SELECT * FROM app.v",
        "SELECT * FROM system.tables",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM all_users.app.t",
        "SELECT id, id FROM app.t",
        "VALUES (1)",
        "WITH x AS (SELECT * FROM app.t) SELECT * FROM x",
        "DELETE FROM app.t",
        "INSERT INTO app.t VALUES (1, 'a', 1)",
        "EXECUTE AS USER 'bob' (SELECT * FROM app.t)",
    ],
)
def test_what_a_live_query_cannot_be(users: kalamdb.Database, sql: str) -> None:
    users.execute("CREATE VIEW app.v AS SELECT * FROM app.t")
    with pytest.raises(UnsupportedLiveQuery) as refused:
        users.subscribe(sql)
    assert refused.value.code == "UNSUPPORTED"
    assert len(users.live) == 0
    assert users.execute("SELECT count(*) FROM app.t").fetchone() == (0,)


def test_what_is_wrong_with_one_is_said(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    with pytest.raises(UndefinedTable, match=r'relation "app\.x" does not exist'):
        alice.subscribe("SELECT * FROM app.x")
    with pytest.raises(UndefinedColumn, match=r'column "x" does not exist in app\.t'):
        alice.subscribe("SELECT x FROM app.t")
    with pytest.raises(UndefinedColumn, match=r'column "x" does not exist in app\.t'):
        alice.subscribe("SELECT id FROM app.t WHERE x = 1")
    for text in ("SUBSCRIBE app.t", "SUBSCRIBE TO app.t OPTIONS (rows = 1)", "SUBSCRIBE"):
        with pytest.raises(InvalidSyntax):
            alice.subscribe(text)
    for last_rows in (-1, "1", True, 1.5):
        with pytest.raises(InvalidParameter, match="last_rows is a number of rows"):
            alice.subscribe("SELECT * FROM app.t", last_rows=last_rows)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="from_seq is the seq"):
        alice.subscribe("SELECT * FROM app.t", from_seq=-1)
    with pytest.raises(InvalidParameter, match="not both"):
        alice.subscribe("SELECT * FROM app.t", from_seq=1, last_rows=1)
    with pytest.raises(InvalidParameter, match="one statement"):
        alice.subscribe("SELECT * FROM app.t; SELECT * FROM app.t")
    assert len(users.live) == 0


# Its end


def test_a_table_that_is_listened_to_is_not_dropped(table: kalamdb.Database) -> None:
    subscription = table.session("alice").subscribe("SELECT * FROM app.t")
    for drop in ("DROP TABLE app.t", "DROP NAMESPACE app CASCADE"):
        with pytest.raises(DependentObjects, match=r"cannot drop table app\.t: 1 live query is open on it"):
            table.execute(drop)
    subscription.close()
    table.execute("DROP TABLE app.t")
    assert subscription.next(0) is None


def test_a_closed_subscription_just_ends(users: kalamdb.Database) -> None:
    with users.subscribe("SELECT * FROM app.t") as subscription:
        assert users.execute("SELECT count(*) FROM system.live_queries").fetchone() == (1,)
    subscription.close()
    assert list(subscription) == []
    assert users.execute("SELECT count(*) FROM system.live_queries").fetchone() == (0,)


def test_close_wakes_who_waits(users: kalamdb.Database) -> None:
    subscription = users.subscribe("SELECT * FROM app.t")
    threading.Timer(0.2, subscription.close).start()
    assert [event.kind for event in subscription] == ["snapshot"]


def test_one_that_nobody_holds_is_closed(users: kalamdb.Database) -> None:
    users.subscribe("SELECT * FROM app.t")
    assert len(users.live) == 0


def test_closing_the_database_ends_all(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(KINDS["shared"])
        waiting, other = (db.subscribe("SELECT * FROM app.t") for _ in range(2))
        met: list[object] = []

        def listen() -> None:
            try:
                for event in waiting:
                    met.append(event.kind)
            except DatabaseClosed as error:
                met.append(str(error))

        thread = threading.Thread(target=listen)
        thread.start()
    thread.join(WAIT_S)
    assert met == ["snapshot", "the database was closed; open it again"]
    assert other.next(0) is not None
    with pytest.raises(DatabaseClosed):
        other.next(0)


def test_a_live_query_is_killed_by_its_user_or_a_dba(users: kalamdb.Database) -> None:
    alice, bob = users.session("alice"), users.session("bob", "service")
    subscription = alice.subscribe("SELECT * FROM app.t")
    for stranger in (bob, users.session("mallory")):
        with pytest.raises(UndefinedObject, match=r"does not exist; system\.live_queries lists them"):
            stranger.execute(f"KILL LIVE QUERY '{subscription.live_id}'")
    with pytest.raises(UndefinedObject):
        alice.execute("KILL LIVE QUERY 'nothing'")
    assert subscription.next(WAIT_S) is not None
    alice.execute(f"KILL LIVE QUERY '{subscription.live_id}'")
    with pytest.raises(LiveQueryKilled):
        subscription.next(WAIT_S)
    assert subscription.next(0) is None
    another = alice.subscribe("SELECT * FROM app.t")
    another.next(WAIT_S)
    users.session("carol", "dba").execute(f"KILL LIVE QUERY '{another.live_id}'")
    with pytest.raises(LiveQueryKilled):
        another.next(WAIT_S)


def test_system_live_queries_shows_a_user_its_own(users: kalamdb.Database) -> None:
    alice, bob = users.session("alice"), users.session("bob")
    mine = alice.subscribe("SELECT id FROM app.t WHERE n = 7", last_rows=5)
    theirs = bob.subscribe("SUBSCRIBE TO app.t")
    alice.execute("INSERT INTO app.t VALUES (1, 'a', 7), (2, 'a', 8)")
    mine.next(WAIT_S), mine.next(WAIT_S)
    columns = "live_id, user_id, namespace_id, table_name, query, options, changes"
    row = (mine.live_id, "alice", "app", "t", "SELECT id FROM app.t WHERE n = 7", {"last_rows": 5}, 1)
    assert alice.execute(f"SELECT {columns} FROM system.live_queries").fetchall() == [row]
    everybodys = (
        users.session("carol", "service").execute("SELECT live_id FROM system.live_queries").fetchall()
    )
    assert sorted(everybodys) == sorted([(mine.live_id,), (theirs.live_id,)])
    ((created, changed),) = alice.execute(
        "SELECT created_at, last_change_at FROM system.live_queries"
    ).fetchall()
    assert created <= changed


def test_a_user_has_only_so_many(directory: Path) -> None:
    with kalamdb.open(directory, subscriptions_per_user=2) as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(KINDS["user"])
        alice = db.session("alice")
        held = [alice.subscribe("SELECT * FROM app.t") for _ in range(2)]
        with pytest.raises(SubscriptionLimitExceeded, match="subscriptions_per_user"):
            db.session("alice").subscribe("SELECT * FROM app.t")
        db.session("bob").subscribe("SELECT * FROM app.t")
        held.pop()
        assert alice.subscribe("SELECT * FROM app.t").next(WAIT_S) is not None


# Rights


def test_nothing_is_told_once_the_right_is_lost(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute(f"{KINDS['shared']} ACCESS restricted")
    db.execute("CREATE USER alice PASSWORD 'of-alice-1'; CREATE USER bob PASSWORD 'of-bob-12'")
    alice = db.session("alice")
    with pytest.raises(UndefinedTable):
        alice.subscribe("SELECT * FROM app.t")
    db.execute("GRANT SELECT ON app.t TO alice")
    subscription = alice.subscribe("SELECT * FROM app.t")
    db.execute("INSERT INTO app.t VALUES (1, 'a', 1)")
    assert told(subscription, 2) == [("snapshot", [], []), ("insert", [1], [])]
    db.execute("INSERT INTO app.t VALUES (2, 'a', 1)")
    db.execute("REVOKE SELECT ON app.t FROM alice")
    with pytest.raises(UndefinedTable, match="does not exist"):
        subscription.next(WAIT_S)
    assert subscription.next(0) is None


@pytest.mark.parametrize(
    ("loses", "error"),
    [
        ("ALTER TABLE app.t SET ACCESS private", UndefinedTable),
        ("DROP USER alice", AccessDenied),
    ],
)
def test_access_and_deletion_end_it(db: kalamdb.Database, loses: str, error: type[Exception]) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute(KINDS["shared"])
    db.execute("CREATE USER alice PASSWORD 'of-alice-1'")
    subscription = db.session("alice").subscribe("SELECT * FROM app.t")
    subscription.next(WAIT_S)
    db.execute(loses)
    db.execute("INSERT INTO app.t VALUES (1, 'a', 1)")
    with pytest.raises(error):
        subscription.next(WAIT_S)


def test_a_role_that_falls_ends_it(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute(f"{KINDS['shared']} ACCESS private")
    db.execute("CREATE USER alice PASSWORD 'of-alice-1' ROLE service")
    subscription = db.session("alice").subscribe("SELECT * FROM app.t")
    subscription.next(WAIT_S)
    db.execute("ALTER USER alice SET ROLE user")
    db.execute("INSERT INTO app.t VALUES (1, 'a', 1)")
    with pytest.raises(UndefinedTable):
        subscription.next(WAIT_S)


def test_refusals_are_in_the_audit_log(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute(f"{KINDS['shared']} ACCESS private")
    with pytest.raises(UndefinedTable):
        db.session("alice").subscribe("SELECT * FROM app.t")
    assert ("alice", "SUBSCRIBE", "denied") in db.execute(
        "SELECT actor, action, outcome FROM system.audit_log"
    )


# The table changes


def test_an_altered_table_is_told_as_it_is(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    every = alice.subscribe("SELECT * FROM app.t", last_rows=0)
    named = alice.subscribe("SELECT id, role FROM app.t", last_rows=0)
    every.next(WAIT_S), named.next(WAIT_S)
    alice.execute("INSERT INTO app.t VALUES (1, 'a', 1)")
    users.execute("ALTER TABLE app.t ADD COLUMN more TEXT DEFAULT 'x'")
    alice.execute("INSERT INTO app.t (id, more) VALUES (2, 'y')")
    events = [every.next(WAIT_S), every.next(WAIT_S)]
    assert [event.rows[0]["more"] for event in events if event] == ["x", "y"]
    assert told(named, 2) == [("insert", [1], []), ("insert", [2], [])]
    users.execute("ALTER TABLE app.t DROP COLUMN role")
    alice.execute("UPDATE app.t SET more = 'z' WHERE id = 1")
    event = every.next(WAIT_S)
    assert event is not None
    assert set(event.rows[0]) == {"id", "n", "more", "_seq"}
    with pytest.raises(UndefinedColumn, match='"role" does not exist'):
        named.next(WAIT_S)


# Slow consumers, and much at once


def test_who_lags_behind_is_ended_and_holds_nobody_up(directory: Path) -> None:
    with kalamdb.open(directory, subscription_buffer_bytes=10_000, durability="normal") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(KINDS["user"])
        alice = db.session("alice")
        slow = alice.subscribe("SELECT * FROM app.t")
        quick = alice.subscribe("SELECT * FROM app.t")
        slow.next(WAIT_S), quick.next(WAIT_S)
        for number in range(500):
            alice.execute("INSERT INTO app.t VALUES (?, 'a', 1)", [number])
            event = quick.next(WAIT_S)
            assert event is not None
            assert ids(event.rows) == [number]
        with pytest.raises(SubscriptionLagged, match="subscription_buffer_bytes"):
            slow.next(WAIT_S)
        assert slow.next(0) is None
        # One commit may be larger than all that may wait.
        alice.executemany("INSERT INTO app.t VALUES (?, 'b', 1)", [(number,) for number in range(1000, 2000)])
        event = quick.next(WAIT_S)
        assert event is not None
        assert len(event.rows) == 1000


def test_a_load_past_the_log_is_told(users: kalamdb.Database) -> None:
    alice = users.session("alice")
    rows = 250_000
    before = users.engine.snapshot()
    subscription = alice.subscribe("SELECT id FROM app.t WHERE n >= 100000", last_rows=0)
    subscription.next(WAIT_S)
    numbers = pa.array(range(rows), pa.int64())
    alice.insert(
        "app.t",
        pa.table({"id": numbers, "role": pa.array(["a"] * rows), "n": numbers.cast(pa.int32())}),
    )
    found: list[object] = []
    positions = []
    while len(found) < 150_000:
        event = subscription.next(WAIT_S)
        assert event is not None
        assert event.kind == "insert"
        found += ids(event.rows)
        positions.append(event.seq)
    assert found == list(range(100_000, rows))
    assert positions[-1] == users.engine.snapshot()
    assert set(positions[:-1]) <= {positions[0]}
    assert positions[0] < positions[-1]
    assert subscription.next(0) is None
    # What came past the log cannot be read back from it.
    with pytest.raises(SubscriptionLagged, match="loaded past the log"):
        alice.subscribe("SELECT id FROM app.t", from_seq=before)
    assert alice.subscribe("SELECT id FROM app.t", from_seq=positions[-1]).next(0) is None


def test_read_only(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(KINDS["shared"])
    with kalamdb.open(directory, read_only=True) as beside, pytest.raises(ReadOnlyDatabase):
        beside.subscribe("SELECT * FROM app.t")


def test_many_threads_write_and_nothing_is_missed(users: kalamdb.Database) -> None:
    """Four writers while subscriptions begin: each tells its snapshot and what came after it, which is all."""
    alice = users.session("alice", durability="normal")
    ended = threading.Event()

    def write(writer: int) -> None:
        for number in range(250):
            alice.execute("INSERT INTO app.t VALUES (?, 'a', 1)", [writer * 1000 + number])

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    subscriptions = [alice.subscribe("SELECT id FROM app.t") for _ in range(20)]
    for thread in writers:
        thread.join()
    ended.set()
    for subscription in subscriptions:
        found = list(rows_of(subscription))
        assert len(found) == len(set(found)) == 1000


def rows_of(subscription: Subscription) -> Iterator[object]:
    while (event := subscription.next(0)) is not None:
        yield from ids(event.rows)
