"""Going on from where a subscription was: every change since then, once, whatever happened to the rows meanwhile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

import kalamdb
from kalamcore.changes import Waker
from kalamcore.system import Clock, FileSystem
from kalamdb.database import Database
from kalamdb.errors import SubscriptionLagged
from kalamdb.live import Event, Subscription
from kalamdb.settings import load_settings
from tests.proof_seed import SEED

SMALL_LOG = {"wal_file_bytes": 65536, "memtable_bytes": 4096}


def make_table(db: Database, kind: str = "USER") -> None:
    db.execute("CREATE NAMESPACE app")
    options = " TTL 600" if kind == "STREAM" else ""
    key = "id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()" if options else "id BIGINT PRIMARY KEY"
    db.execute(f"CREATE {kind} TABLE app.t ({key}, n INT, body TEXT){options}")


def events(subscription: Subscription) -> list[Event]:
    found = []
    while (event := subscription.next(0)) is not None:
        found.append(event)
    return found


def flat(found: list[Event]) -> list[tuple[Any, ...]]:
    """A change each: kind, the row and the old row, their sequence numbers among them."""
    changes: list[tuple[Any, ...]] = []
    for event in found:
        for at in range(max(len(event.rows), len(event.old_rows))):
            row = tuple(event.rows[at].values()) if event.rows else None
            old = tuple(event.old_rows[at].values()) if event.old_rows else None
            changes.append((event.kind, row, old))
    return changes


@pytest.mark.parametrize("kind", ["USER", "SHARED", "STREAM"])
def test_everything_behind_each_event_and_nothing_again(db: Database, kind: str) -> None:
    make_table(db, kind)
    session = db.session("alice", "service")
    subscription = session.subscribe("SELECT * FROM app.t WHERE n > 0", last_rows=0)
    before = subscription.next(1)
    assert before is not None
    session.execute("INSERT INTO app.t VALUES (1, 1, 'a'), (2, 0, 'b'), (3, 3, 'c')")
    session.execute("UPDATE app.t SET n = n + 1")
    with session.transaction():
        session.execute("UPDATE app.t SET n = 0 WHERE id = 1")
        session.execute("INSERT INTO app.t VALUES (4, 4, 'd')")
        session.execute("DELETE FROM app.t WHERE id = 3")
    live = events(subscription)
    changes = flat(live)
    assert [kind for kind, _, _ in changes] == [
        "insert", "insert", "update", "insert", "update", "delete", "insert", "delete",
    ]  # fmt: skip
    for seen, event in enumerate([before, *live]):
        rest = flat(live[seen:])
        assert flat(events(session.subscribe("SELECT * FROM app.t WHERE n > 0", from_seq=event.seq))) == rest
    # From within a statement's rows, too.
    for row in live[0].rows:
        rest = [change for change in changes if sequence(change) > row["_seq"]]
        resumed = session.subscribe("SELECT * FROM app.t WHERE n > 0", from_seq=row["_seq"])
        assert flat(events(resumed)) == rest


def sequence(change: tuple[Any, ...]) -> int:
    return int((change[1] or change[2])[-1])


@pytest.mark.parametrize("kind", ["USER", "SHARED"])
def test_over_checkpoint_flush_compaction_and_reopening(directory: Path, kind: str) -> None:
    with kalamdb.open(directory, **SMALL_LOG) as db:
        make_table(db, kind)
        session = db.session("alice", "service")
        subscription = session.subscribe("SELECT * FROM app.t", last_rows=0)
        begun = subscription.next(1)
        assert begun is not None
        told: list[Event] = []
        session.executemany("INSERT INTO app.t VALUES (?, 1, ?)", [(n, "x" * 400) for n in range(300)])
        for step in (db.checkpoint, db.flush, db.compact, db.checkpoint):
            session.execute("UPDATE app.t SET n = n + 1 WHERE id < 40")
            step()
            session.execute("DELETE FROM app.t WHERE id = (SELECT max(id) FROM app.t)")
            told += events(subscription)
        assert [len(event.rows or event.old_rows) for event in told] == [300, *[40, 1] * 4]
        assert flat(events(session.subscribe("SELECT * FROM app.t", from_seq=begun.seq))) == flat(told)
    with kalamdb.open(directory, **SMALL_LOG) as db:
        session = db.session("alice", "service")
        for seen in range(len(told)):
            at = told[seen - 1].seq if seen else begun.seq
            resumed = session.subscribe("SELECT * FROM app.t", from_seq=at)
            assert flat(events(resumed)) == flat(told[seen:])
        session.execute("INSERT INTO app.t VALUES (1000, 1, 'new')")
        assert [event.kind for event in events(resumed)] == ["insert"]


def test_no_further_back_than_is_kept(directory: Path) -> None:
    with kalamdb.open(directory, **SMALL_LOG, change_retention_bytes=200_000) as db:
        make_table(db)
        alice = db.session("alice", durability="normal")
        begun = db.engine.snapshot()
        for number in range(400):
            alice.execute("INSERT INTO app.t VALUES (?, 1, ?)", [number, "x" * 1000])
        db.checkpoint()
        middle = db.engine.snapshot()
        alice.execute("UPDATE app.t SET n = 2 WHERE id = 1")
        with pytest.raises(SubscriptionLagged, match="begin anew with a snapshot"):
            alice.subscribe("SELECT * FROM app.t", from_seq=begun)
        assert [event.kind for event in events(alice.subscribe("SELECT * FROM app.t", from_seq=middle))] == [
            "update"
        ]
        kept = sum(path.stat().st_size for path in (directory / "wal").glob("*.history"))
        assert 0 < kept <= 200_000


def test_nothing_is_kept_where_nothing_is_to_be(directory: Path) -> None:
    with kalamdb.open(directory, **SMALL_LOG, change_retention_h=0) as db:
        make_table(db)
        alice = db.session("alice", durability="normal")
        for number in range(400):
            alice.execute("INSERT INTO app.t VALUES (?, 1, ?)", [number, "x" * 1000])
        db.checkpoint()
        assert list((directory / "wal").glob("*.history")) == []


def test_changes_that_are_too_old_are_not_kept() -> None:
    files, clock = FileSystem.memory(), Clock.manual(1_800_000_000_000_000)
    db = Database(files, "/db", load_settings(None, {}, {**SMALL_LOG, "change_retention_h": 1}), clock=clock)
    make_table(db)
    alice = db.session("alice")

    def fill(first: int) -> None:
        for number in range(first, first + 200):
            alice.execute("INSERT INTO app.t VALUES (?, 1, ?)", [number, "x" * 1000])
        db.checkpoint()

    begun = db.engine.snapshot()
    fill(0)
    assert len(flat(events(alice.subscribe("SELECT * FROM app.t", from_seq=begun)))) == 200
    clock.advance(2 * 3_600_000_000)
    fill(1000)
    fill(2000)
    later = db.engine.snapshot()
    with pytest.raises(SubscriptionLagged):
        alice.subscribe("SELECT * FROM app.t", from_seq=begun)
    fill(3000)
    assert len(flat(events(alice.subscribe("SELECT * FROM app.t", from_seq=later)))) == 200
    db.close()


def test_from_beyond_the_newest_is_refused(db: Database) -> None:
    make_table(db)
    with pytest.raises(SubscriptionLagged, match="was never given here"):
        db.subscribe("SELECT * FROM app.t", from_seq=db.engine.snapshot() + 1)


def test_what_is_erased_is_not_told_again(directory: Path) -> None:
    with kalamdb.open(directory, **SMALL_LOG) as db:
        make_table(db)
        begun = db.engine.snapshot()
        alice, bob = db.session("alice"), db.session("bob")
        for number in range(200):
            alice.execute("INSERT INTO app.t VALUES (?, 1, ?)", [number, f"secret-of-alice {'x' * 1000}"])
            bob.execute("INSERT INTO app.t VALUES (?, 1, 'b')", [number])
        db.checkpoint()
        assert list((directory / "wal").glob("*.history"))
        db.execute("ERASE USER DATA FOR 'alice'")
        assert list((directory / "wal").glob("*.history")) == []
        for path in directory.rglob("*"):
            assert not path.is_file() or b"secret-of-alice" not in path.read_bytes(), path
        for session in (alice, bob):
            with pytest.raises(SubscriptionLagged):
                session.subscribe("SELECT * FROM app.t", from_seq=begun)


def test_a_restored_table_is_not_told_as_if_nothing_had_happened(directory: Path, tmp_path: Path) -> None:
    with kalamdb.open(directory) as db:
        make_table(db)
        alice = db.session("alice")
        alice.execute("INSERT INTO app.t VALUES (1, 1, 'a')")
        begun = db.engine.snapshot()
        alice.execute("UPDATE app.t SET n = 2")
        db.backup(tmp_path / "backup")
    with kalamdb.open(tmp_path / "other") as db:
        db.execute(f"RESTORE DATABASE FROM '{tmp_path / 'backup'}'")
        with pytest.raises(SubscriptionLagged):
            db.session("alice").subscribe("SELECT * FROM app.t", from_seq=begun)


def test_stream_rows_within_their_time_and_one_life(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(
            "CREATE STREAM TABLE app.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT) TTL 600 MAX_ROWS 3"
        )
        alice = db.session("alice")
        begun = db.engine.snapshot()
        alice.execute("INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2)")
        position = db.engine.snapshot()
        alice.execute("INSERT INTO app.t (id, n) VALUES (3, 3)")
        assert len(flat(events(alice.subscribe("SELECT * FROM app.t", from_seq=begun)))) == 3
        alice.execute("INSERT INTO app.t (id, n) VALUES (4, 4)")
        with pytest.raises(SubscriptionLagged, match="are over since then"):
            alice.subscribe("SELECT * FROM app.t", from_seq=begun)
        assert len(flat(events(alice.subscribe("SELECT * FROM app.t", from_seq=position)))) == 2
    with (
        kalamdb.open(directory) as db,
        pytest.raises(SubscriptionLagged, match="begin anew with a snapshot"),
    ):
        db.session("alice").subscribe("SELECT * FROM app.t", from_seq=position)


def test_in_memory_nothing_is_kept_beyond_the_log() -> None:
    with kalamdb.open(":memory:", **SMALL_LOG) as db:
        make_table(db)
        alice = db.session("alice")
        begun = db.engine.snapshot()
        alice.execute("INSERT INTO app.t VALUES (1, 1, 'a')")
        assert len(events(alice.subscribe("SELECT * FROM app.t", from_seq=begun))) == 1
        for number in range(2, 400):
            alice.execute("INSERT INTO app.t VALUES (?, 1, ?)", [number, "x" * 1000])
        db.checkpoint()
        with pytest.raises(SubscriptionLagged):
            alice.subscribe("SELECT * FROM app.t", from_seq=begun)


def test_a_table_that_was_altered_meanwhile_is_resumed_as_it_is(db: Database) -> None:
    make_table(db)
    alice = db.session("alice")
    begun = db.engine.snapshot()
    alice.execute("INSERT INTO app.t VALUES (1, 1, 'a')")
    live = db.live.open(alice, "SELECT * FROM app.t", (), Waker(), {})
    db.execute("ALTER TABLE app.t ADD COLUMN more TEXT DEFAULT 'x'")
    parts = live.resume(begun)
    columns = live.plan.columns
    (part,) = parts
    assert [dict(zip(columns, row, strict=True))["more"] for row in part.rows] == ["x"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 15), st.integers(0, 3)),
        st.tuples(st.just("update"), st.integers(0, 15), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 15), st.just(0)),
        st.tuples(
            st.sampled_from(["checkpoint", "flush", "compact", "reopen", "begin", "end"]),
            st.just(0),
            st.just(0),
        ),
    ),
    max_size=40,
)


@seeded(SEED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.sampled_from(["USER", "SHARED"]))
def test_a_resumed_subscription_tells_what_a_live_one_told(
    steps: list[tuple[str, int, int]], kind: str
) -> None:
    """Whatever was done, and whenever: from each place on, the rest of what was told live; and what was told, applied
    to the snapshot, is what the table has."""
    files = FileSystem.memory()
    chosen = load_settings(None, {}, {"wal_file_bytes": 65536, "memtable_bytes": 2048})
    db = Database(files, "/db", chosen)
    make_table(db, kind)
    where = "SELECT * FROM app.t WHERE n > 0"
    session = db.session("alice", "service")
    subscription = session.subscribe(where)
    first = subscription.next(1)
    assert first is not None
    told: list[Event] = []
    for verb, number, value in steps:
        if verb in ("checkpoint", "flush", "compact"):
            getattr(db, verb)()
        elif verb == "reopen":
            told += events(subscription)
            db.close()
            db = Database(files, "/db", chosen)
            session = db.session("alice", "service")
            subscription = session.subscribe(where, from_seq=told[-1].seq if told else first.seq)
        elif verb == "begin":
            if session._transaction is None:
                session.begin()
        elif verb == "end":
            if session._transaction is not None:
                session.commit()
        elif verb == "insert":
            session.execute(
                "INSERT INTO app.t VALUES (?, ?, 'x') ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
                [number, value],
            )
        elif verb == "update":
            session.execute("UPDATE app.t SET n = ? WHERE id >= ?", [value, number])
        else:
            session.execute("DELETE FROM app.t WHERE id = ?", [number])
        told += events(subscription)
    for at in random.Random(SEED).sample(range(len(told) + 1), min(4, len(told) + 1)):
        position = told[at - 1].seq if at else first.seq
        assert flat(events(session.subscribe(where, from_seq=position))) == flat(told[at:])
    state: dict[int, tuple[Any, ...]] = {row["id"]: tuple(row.values()) for row in first.rows}
    for _change, row, old in flat(told):
        if old is not None:
            gone = state.pop(old[0])
            assert gone[:3] == old[:3]
        if row is not None:
            assert row[0] not in state
            state[row[0]] = row
    rows = session.execute("SELECT *, _seq FROM app.t WHERE n > 0") if session._transaction is None else None
    if rows is not None:
        assert sorted(state.values()) == sorted(rows.fetchall())
    db.close()
