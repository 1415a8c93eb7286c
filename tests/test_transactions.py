"""Transactions: what each sees, who wins, what is left after a crash.

The named anomalies are Hermitage's (Kleppmann); all that snapshot isolation promises to prevent is prevented, write
skew is allowed.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import (
    Error,
    InvalidSetting,
    InvalidTransactionState,
    SerializationFailure,
    UniqueViolation,
)
from kalamdb.session import Session
from kalamdb.settings import load_settings

KINDS = {
    "shared": "CREATE SHARED TABLE test (id BIGINT PRIMARY KEY, value INT)",
    "user": "CREATE USER TABLE test (id BIGINT PRIMARY KEY, value INT)",
    "stream": "CREATE STREAM TABLE test (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), value INT) TTL 600",
}


@pytest.fixture(params=list(KINDS))
def sessions(request: pytest.FixtureRequest) -> Iterator[Callable[[], Session]]:
    """Makes sessions of one user on a table with the rows (1, 10) and (2, 20)."""
    with kalamdb.open(":memory:") as db:
        db.execute(KINDS[request.param])
        db.session("alice", role="service").execute("INSERT INTO test (id, value) VALUES (1, 10), (2, 20)")
        yield lambda: db.session("alice", role="service")


@pytest.fixture
def two(sessions: Callable[[], Session]) -> tuple[Session, Session]:
    """Two sessions, each in a transaction of its own."""
    one, other = sessions(), sessions()
    one.begin()
    other.begin()
    return one, other


def value(session: Session, key: int) -> int | None:
    row = session.execute("SELECT value FROM test WHERE id = ?", [key]).fetchone()
    return None if row is None else row[0]


def put(session: Session, key: int, number: int) -> None:
    assert session.execute("UPDATE test SET value = ? WHERE id = ?", [number, key]).rowcount == 1


def rows(session: Session, where: str = "TRUE") -> list[tuple[int, int]]:
    return session.execute(f"SELECT id, value FROM test WHERE {where} ORDER BY id").fetchall()


def together(
    of: Session | Database, *statements: str, durability: str | None = None, pause_s: float = 0.0
) -> None:
    with of.transaction(durability=durability):
        for statement in statements:
            of.execute(statement)
        time.sleep(pause_s)


# Hermitage


def test_g0_writes_do_not_mix(two: tuple[Session, Session], sessions: Callable[[], Session]) -> None:
    one, other = two
    put(one, 1, 11)
    put(other, 1, 12)
    put(one, 2, 21)
    one.commit()
    assert rows(sessions()) == [(1, 11), (2, 21)]
    put(other, 2, 22)
    with pytest.raises(SerializationFailure):
        other.commit()
    assert rows(sessions()) == [(1, 11), (2, 21)]


def test_g1a_nothing_that_is_rolled_back_is_read(two: tuple[Session, Session]) -> None:
    one, other = two
    put(one, 1, 101)
    assert rows(other) == [(1, 10), (2, 20)]
    one.rollback()
    assert rows(other) == [(1, 10), (2, 20)]
    other.commit()


def test_g1b_nothing_that_is_overwritten_is_read(two: tuple[Session, Session]) -> None:
    one, other = two
    put(one, 1, 101)
    assert rows(other) == [(1, 10), (2, 20)]
    put(one, 1, 11)
    one.commit()
    assert rows(other) == [(1, 10), (2, 20)]
    other.commit()


def test_g1c_information_does_not_flow_in_circles(two: tuple[Session, Session]) -> None:
    one, other = two
    put(one, 1, 11)
    put(other, 2, 22)
    assert value(one, 2) == 20
    assert value(other, 1) == 10
    one.commit()
    other.commit()


def test_otv_what_was_observed_does_not_vanish(
    two: tuple[Session, Session], sessions: Callable[[], Session]
) -> None:
    one, other = two
    put(one, 1, 11)
    put(one, 2, 19)
    put(other, 1, 12)
    one.commit()
    third = sessions()
    third.begin()
    assert value(third, 1) == 11
    put(other, 2, 18)
    assert value(third, 2) == 19
    with pytest.raises(SerializationFailure):
        other.commit()
    assert rows(third) == [(1, 11), (2, 19)]
    third.commit()


def test_pmp_no_phantom_joins_a_predicate(two: tuple[Session, Session]) -> None:
    one, other = two
    assert rows(one, "value = 30") == []
    other.execute("INSERT INTO test (id, value) VALUES (3, 30)")
    other.commit()
    assert rows(one, "value % 3 = 0") == []
    assert one.execute("SELECT count(*) FROM test").fetchone() == (2,)
    one.commit()


def test_pmp_no_phantom_escapes_a_write(two: tuple[Session, Session]) -> None:
    one, other = two
    assert one.execute("UPDATE test SET value = value + 10").rowcount == 2
    assert other.execute("DELETE FROM test WHERE value = 20").rowcount == 1
    one.commit()
    with pytest.raises(SerializationFailure):
        other.commit()


def test_p4_no_update_is_lost(two: tuple[Session, Session], sessions: Callable[[], Session]) -> None:
    one, other = two
    assert value(one, 1) == value(other, 1) == 10
    put(one, 1, 11)
    put(other, 1, 11)
    one.commit()
    with pytest.raises(SerializationFailure):
        other.commit()
    assert value(sessions(), 1) == 11


def test_p4_no_update_outside_of_a_transaction_is_lost(
    two: tuple[Session, Session], sessions: Callable[[], Session]
) -> None:
    one, _ = two
    put(one, 1, 11)
    put(sessions(), 1, 12)
    with pytest.raises(SerializationFailure):
        one.commit()
    assert value(sessions(), 1) == 12


def test_g_single_no_read_skew(two: tuple[Session, Session]) -> None:
    one, other = two
    assert value(one, 1) == 10
    assert rows(other) == [(1, 10), (2, 20)]
    put(other, 1, 12)
    put(other, 2, 18)
    other.commit()
    assert value(one, 2) == 20
    one.commit()


def test_g_single_no_read_skew_of_predicates(two: tuple[Session, Session]) -> None:
    one, other = two
    assert len(rows(one, "value % 5 = 0")) == 2
    assert other.execute("UPDATE test SET value = 12 WHERE value = 10").rowcount == 1
    other.commit()
    assert rows(one, "value % 3 = 0") == []
    one.commit()


def test_g_single_no_write_on_a_skewed_read(two: tuple[Session, Session]) -> None:
    one, other = two
    assert value(one, 1) == 10
    put(other, 1, 12)
    put(other, 2, 18)
    other.commit()
    assert one.execute("DELETE FROM test WHERE value = 20").rowcount == 1
    with pytest.raises(SerializationFailure):
        one.commit()


def test_g2_item_write_skew_is_allowed(two: tuple[Session, Session], sessions: Callable[[], Session]) -> None:
    one, other = two
    assert rows(one) == rows(other)
    put(one, 1, 11)
    put(other, 2, 21)
    one.commit()
    other.commit()
    assert rows(sessions()) == [(1, 11), (2, 21)]


def test_g2_write_skew_of_predicates_is_allowed(
    two: tuple[Session, Session], sessions: Callable[[], Session]
) -> None:
    one, other = two
    assert rows(one, "value % 3 = 0") == rows(other, "value % 3 = 0") == []
    one.execute("INSERT INTO test (id, value) VALUES (3, 30)")
    other.execute("INSERT INTO test (id, value) VALUES (4, 42)")
    one.commit()
    other.commit()
    assert len(rows(sessions(), "value % 3 = 0")) == 2


# What a transaction sees and does


def test_a_block_commits_at_its_end_and_rolls_back_on_an_exception(notes: Database) -> None:
    with notes.transaction() as session:
        session.execute("INSERT INTO app.notes VALUES (1, 'kept')")
    with pytest.raises(UniqueViolation):
        together(
            notes, "INSERT INTO app.notes VALUES (2, 'gone')", "INSERT INTO app.notes VALUES (1, 'taken')"
        )
    with notes.transaction() as session:
        session.execute("INSERT INTO app.notes VALUES (3, 'gone')")
        session.rollback()
    with notes.transaction() as session:
        session.execute("INSERT INTO app.notes VALUES (4, 'kept')")
        session.commit()
    assert notes.execute("SELECT id FROM app.notes ORDER BY id").fetchall() == [(1,), (4,)]
    with pytest.raises(InvalidTransactionState):
        notes.rollback()


def test_every_way_of_writing_takes_part(notes: Database) -> None:
    insert = notes.session("a", role="service").prepare("INSERT INTO app.notes VALUES (?, ?)")
    session = insert._session
    session.begin()
    insert.execute([1, "prepared"])
    insert.executemany([(2, "many"), (3, "many")])
    session.executemany("UPDATE app.notes SET body = ? WHERE id = ?", [("changed", 2), ("changed", 3)])
    session.insert("app.notes", [{"id": 4, "body": "dict"}])
    session.insert("app.notes", pa.table({"id": [5, 6], "body": ["arrow", "arrow"]}))
    session.execute("INSERT INTO app.notes SELECT id + 10, body FROM app.notes")
    returned = session.execute("DELETE FROM app.notes WHERE id = 11 RETURNING body, _deleted").fetchall()
    assert returned == [("prepared", True)]
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)
    assert session.execute("SELECT count(*) FROM app.notes").fetchone() == (11,)
    session.commit()
    assert notes.execute("SELECT id, body FROM app.notes WHERE id < 10 ORDER BY id").fetchall() == [
        (1, "prepared"), (2, "changed"), (3, "changed"), (4, "dict"), (5, "arrow"), (6, "arrow"),
    ]  # fmt: skip


def test_one_commit_is_one_record_and_one_block_of_sequence_numbers(notes: Database) -> None:
    notes.execute("INSERT INTO app.notes VALUES (1, 'a'), (2, 'b')")
    before = notes.engine.snapshot()
    with notes.transaction() as session:
        session.execute("INSERT INTO app.notes VALUES (9, 'first'), (3, 'second')")
        session.execute("UPDATE app.notes SET body = 'third' WHERE id = 2")
        session.execute("DELETE FROM app.notes WHERE id = 1")
        session.execute("INSERT INTO app.notes VALUES (1, 'back')")
        session.execute("INSERT INTO app.notes VALUES (50, 'x'); DELETE FROM app.notes WHERE id = 50")
        provisional = session.execute("SELECT id FROM app.notes ORDER BY _seq").fetchall()
    assert provisional == [(9,), (3,), (2,), (1,)]
    found = notes.execute(
        "SELECT id, _seq FROM app.notes WHERE _deleted IS NOT NULL ORDER BY _seq"
    ).fetchall()
    assert [key for key, _ in found] == [9, 3, 2, 1]
    sequences = [sequence for _, sequence in found]
    assert sequences == list(range(sequences[0], sequences[0] + 4))
    assert sequences[0] > before


def test_a_failed_statement_of_a_transaction_leaves_no_trace(notes: Database) -> None:
    with notes.transaction() as session:
        session.execute("INSERT INTO app.notes VALUES (1, 'a')")
        many = [(number, "x") for number in range(2, 500)]
        with pytest.raises(UniqueViolation, match=r"app\.notes: 1"):
            session.executemany("INSERT INTO app.notes VALUES (?, ?)", [*many, (1, "again")])
        with pytest.raises(UniqueViolation):
            session.insert("app.notes", pa.table({"id": [7, 1], "body": ["x", "x"]}))
        assert session.execute("SELECT * FROM app.notes").fetchall() == [(1, "a")]
    assert notes.execute("SELECT * FROM app.notes").fetchall() == [(1, "a")]


def test_an_idle_transaction_is_rolled_back_and_its_session_is_told() -> None:
    with kalamdb.open(":memory:", transaction_timeout_s=0.05) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        for end in (
            lambda: db.execute("SELECT count(*) FROM t"),
            db.commit,
            lambda: db.execute("INSERT INTO t VALUES (2)"),
        ):
            db.begin()
            db.execute("INSERT INTO t VALUES (1)")
            time.sleep(0.1)
            with pytest.raises(InvalidTransactionState, match="idle for longer") as caught:
                end()
            assert caught.value.sqlstate == "25P03"
            assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(InvalidTransactionState, match="idle for longer"):
            together(db, "INSERT INTO t VALUES (1)", pause_s=0.1)
        # Whoever meant to roll back has what was wanted.
        db.begin()
        time.sleep(0.1)
        db.rollback()
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_what_is_out_of_place_is_told_apart_by_sqlstate(notes: Database) -> None:
    def sqlstate(call: Callable[[], object]) -> str:
        with pytest.raises(InvalidTransactionState) as caught:
            call()
        return caught.value.sqlstate

    assert sqlstate(notes.commit) == "25P01"
    assert sqlstate(notes.rollback) == "25P01"
    notes.begin()
    assert sqlstate(notes.begin) == "25001"
    assert sqlstate(lambda: notes.execute("DROP TABLE app.notes")) == "25001"
    notes.execute("USE app")
    assert notes.execute("SELECT count(*) FROM notes").fetchone() == (0,)
    notes.rollback()


def test_a_table_that_is_dropped_and_made_again_is_another_table(notes: Database) -> None:
    session = notes.session("a", role="service")
    session.begin()
    session.execute("INSERT INTO app.notes VALUES (1, 'old')")
    notes.execute("DROP TABLE app.notes; CREATE TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
    with pytest.raises(SerializationFailure, match="altered or dropped"):
        session.commit()
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)


def test_the_catalog_is_part_of_the_snapshot(notes: Database) -> None:
    session = notes.session("a", role="dba")
    notes.execute("INSERT INTO app.notes VALUES (1, 'a')")
    session.begin()
    notes.execute("ALTER TABLE app.notes ADD COLUMN n INT; CREATE TABLE app.later (id BIGINT PRIMARY KEY)")
    notes.execute("INSERT INTO app.notes VALUES (2, 'b', 3)")
    assert session.execute("SELECT * FROM app.notes").fetchall() == [(1, "a")]
    assert session.execute("SELECT * FROM app.notes WHERE id = 1").fetchall() == [(1, "a")]
    assert [row[1] for row in session.execute("SHOW TABLES IN app")] == ["notes"]
    with pytest.raises(Error, match="does not exist"):
        session.execute("SELECT * FROM app.later")
    session.commit()
    assert len(session.execute("SELECT * FROM app.notes").fetchall()) == 2


def test_threads_that_share_a_session_share_its_transaction(notes: Database) -> None:
    session = notes.session("a", role="service")
    session.begin()

    def work(first: int) -> None:
        for key in range(first, first + 50):
            session.execute("INSERT INTO app.notes VALUES (?, 'x')", [key])
            assert session.execute("SELECT body FROM app.notes WHERE id = ?", [key]).fetchone() == ("x",)

    threads = [threading.Thread(target=work, args=(number * 1000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (0,)
    assert session.execute("SELECT count(*) FROM app.notes").fetchone() == (200,)
    session.commit()
    assert notes.execute("SELECT count(*) FROM app.notes").fetchone() == (200,)


def test_counters_of_many_threads_add_up(notes: Database) -> None:
    notes.execute("INSERT INTO app.notes VALUES (1, '0'), (2, '0')")
    done = []

    def work(number: int) -> None:
        session = notes.session(f"u{number}", role="service", durability="normal")
        for _ in range(20):
            while True:
                try:
                    with session.transaction():
                        for key in (1, 2):
                            body = session.execute(
                                "SELECT body FROM app.notes WHERE id = ?", [key]
                            ).fetchone()
                            assert body is not None
                            session.execute(
                                "UPDATE app.notes SET body = ? WHERE id = ?", [str(int(body[0]) + 1), key]
                            )
                    break
                except SerializationFailure:
                    continue
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1, 2, 3]
    assert notes.execute("SELECT body FROM app.notes ORDER BY id").fetchall() == [("80",), ("80",)]


def test_closing_the_database_rolls_back(directory: Any) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.begin()
        db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(Error, match="closed"):
        db.commit()
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


# Durability


def test_durability_goes_down_and_not_up() -> None:
    with kalamdb.open(":memory:") as db:
        assert db.session("a").durability == "full"
        session = db.session("a", durability="normal")
        assert session.durability == "normal"
        session.durability = "full"
        with pytest.raises(InvalidSetting, match="full"):
            session.durability = "none"
        with pytest.raises(InvalidSetting):
            db.session("a", durability="sometimes")
    with kalamdb.open(":memory:", durability="normal") as db:
        assert db.session("a").durability == "normal"
        with pytest.raises(InvalidSetting, match="cannot raise"):
            db.session("a", durability="full")
        with pytest.raises(InvalidSetting, match="cannot raise"):
            db.session("a").begin(durability="full")
        with pytest.raises(InvalidSetting, match="cannot raise"):
            together(db, durability="full")
        db.execute("SELECT 1")


def test_a_full_transaction_of_a_normal_session_survives_a_power_cut() -> None:
    files = FileSystem.memory()
    db = Database(files, "/db", load_settings(None, {}, {}))
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    session = db.session("root", durability="normal")
    for key in range(3):
        session.execute("INSERT INTO t VALUES (?)", [key])
        with session.transaction(durability="full"):
            session.execute("INSERT INTO t VALUES (?)", [key + 100])
        after = Database(files.crash("all"), "/db", load_settings(None, {}, {}))
        assert after.execute("SELECT count(*) FROM t").fetchone() == (2 * key + 2,)
        after.close()
    db.close()


# Crashes

LOSSES = ("none", "all", "subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros")


def test_a_transaction_is_whole_or_absent_after_a_crash_at_any_operation() -> None:
    chance = random.Random(7)
    files = FileSystem.memory()
    options = load_settings(None, {}, {"wal_file_bytes": 1 << 20})
    db = Database(files, "/db", options)
    db.execute(
        "CREATE TABLE a (id BIGINT PRIMARY KEY, n INT); CREATE USER TABLE b (id BIGINT PRIMARY KEY, n INT)"
    )
    db.execute("CREATE TABLE c (id BIGINT PRIMARY KEY, text TEXT)")
    db.execute("INSERT INTO a VALUES (0, 0)")
    alice = db.session("alice", role="service")
    files.record()
    acknowledged = []
    for number in range(1, 13):
        with alice.transaction():
            alice.execute("UPDATE a SET n = ? WHERE id = 0", [number])
            alice.execute("INSERT INTO a VALUES (?, ?)", [number, number])
            alice.execute("INSERT INTO b VALUES (?, ?), (?, ?)", [number, 1, -number, 1])
            if number > 1:
                alice.execute("DELETE FROM b WHERE id = ?", [1 - number])
            alice.execute("INSERT INTO c VALUES (?, ?)", [number, "x" * chance.randrange(1, 6000)])
            alice.execute("INSERT INTO c VALUES (?, '')", [number + 1000])
            alice.execute("DELETE FROM c WHERE id = ?", [number + 1000])
        acknowledged.append(files.recorded())
        if number % 3 == 0:
            with pytest.raises(UniqueViolation):
                together(
                    alice, f"INSERT INTO a VALUES ({number + 500}, 0)", f"INSERT INTO a VALUES ({number}, 0)"
                )
    states = 0
    for moment in range(files.recorded()):
        at_least = sum(1 for recorded in acknowledged if recorded <= moment + 1)
        for loss in LOSSES:
            states += 1
            after = Database(files.crash(loss, seed=moment, after=moment), "/db", options)
            session = after.session("alice", role="service")
            counted = session.execute("SELECT n FROM a WHERE id = 0").fetchone()
            assert counted is not None
            done = counted[0]
            where = f"after operation {moment} with loss {loss}"
            assert at_least <= done <= at_least + 1, where
            expected = [(0, done), *((number, number) for number in range(1, done + 1))]
            assert session.execute("SELECT * FROM a ORDER BY id").fetchall() == expected, where
            mine = [key for (key,) in session.execute("SELECT id FROM b ORDER BY id")]
            assert mine == ([-done, *range(1, done + 1)] if done else []), where
            texts = [key for (key,) in session.execute("SELECT id FROM c ORDER BY id")]
            assert texts == list(range(1, done + 1)), where
            after.close()
    assert states >= 100
    db.close()


# Against a model

KEYS = st.integers(0, 5)
WHO = st.sampled_from(("one", "other"))


class _Open:
    """A transaction in the model: the rows and versions it began with, and its own writes (None: deleted)."""

    def __init__(self, rows: dict[int, int], versions: dict[int, int]) -> None:
        self.snapshot = dict(rows)
        self.versions = dict(versions)
        self.own: dict[int, int | None] = {}

    def seen(self) -> dict[int, int]:
        merged: dict[int, int | None] = {**self.snapshot, **self.own}
        return {key: value for key, value in merged.items() if value is not None}


class TransactionsModel(RuleBasedStateMachine):
    """Two sessions on one table, beside dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.db = kalamdb.open(":memory:", durability="normal")
        self.db.execute("CREATE TABLE test (id BIGINT PRIMARY KEY, value INT)")
        self.sessions = {who: self.db.session(who, role="service") for who in ("one", "other")}
        self.open: dict[str, _Open | None] = {"one": None, "other": None}
        self.rows: dict[int, int] = {}
        self.versions: dict[int, int] = {}
        self.clock = 0

    def seen(self, who: str) -> dict[int, int]:
        transaction = self.open[who]
        return self.rows if transaction is None else transaction.seen()

    def write(self, who: str, changes: dict[int, int | None]) -> None:
        transaction = self.open[who]
        if transaction is not None:
            transaction.own.update(changes)
            return
        self.clock += 1
        for key, value in changes.items():
            self.versions[key] = self.clock
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    @rule(who=WHO)
    def begin(self, who: str) -> None:
        if self.open[who] is not None:
            with pytest.raises(InvalidTransactionState):
                self.sessions[who].begin()
            return
        self.sessions[who].begin()
        self.open[who] = _Open(self.rows, self.versions)

    @precondition(lambda self: any(self.open.values()))
    @rule(who=WHO)
    def commit(self, who: str) -> None:
        transaction = self.open[who]
        if transaction is None:
            with pytest.raises(InvalidTransactionState):
                self.sessions[who].commit()
            return
        self.open[who] = None
        # A row that came and went was never written.
        net = {key: v for key, v in transaction.own.items() if v is not None or key in transaction.snapshot}
        if any(self.versions.get(key) != transaction.versions.get(key) for key in net):
            with pytest.raises(SerializationFailure):
                self.sessions[who].commit()
            return
        self.sessions[who].commit()
        self.write(who, net)

    @rule(who=WHO)
    def rollback(self, who: str) -> None:
        if self.open[who] is None:
            return
        self.open[who] = None
        self.sessions[who].execute("ROLLBACK")

    @rule(who=WHO, keys=st.lists(KEYS, min_size=1, max_size=3), number=st.integers(0, 99))
    def insert(self, who: str, keys: list[int], number: int) -> None:
        places = ", ".join(f"({key}, {number})" for key in keys)
        if len(set(keys)) < len(keys) or any(key in self.seen(who) for key in keys):
            with pytest.raises(UniqueViolation):
                self.sessions[who].execute(f"INSERT INTO test VALUES {places}")
            return
        self.sessions[who].execute(f"INSERT INTO test VALUES {places}")
        self.write(who, dict.fromkeys(keys, number))

    @rule(who=WHO, key=KEYS, number=st.integers(0, 99))
    def upsert(self, who: str, key: int, number: int) -> None:
        sql = "INSERT INTO test VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value = value + excluded.value"
        self.sessions[who].execute(sql, [key, number])
        self.write(who, {key: self.seen(who).get(key, 0) + number})

    @rule(who=WHO, key=KEYS, number=st.integers(0, 99))
    def update(self, who: str, key: int, number: int) -> None:
        done = self.sessions[who].execute("UPDATE test SET value = ? WHERE id = ?", [number, key]).rowcount
        assert done == (key in self.seen(who))
        if done:
            self.write(who, {key: number})

    @rule(who=WHO, least=KEYS)
    def update_all(self, who: str, least: int) -> None:
        done = self.sessions[who].execute("UPDATE test SET value = value + 1 WHERE id >= ?", [least]).rowcount
        changes: dict[int, int | None] = {k: v + 1 for k, v in self.seen(who).items() if k >= least}
        assert done == len(changes)
        if changes:
            self.write(who, changes)

    @rule(who=WHO, key=KEYS)
    def delete(self, who: str, key: int) -> None:
        done = self.sessions[who].execute("DELETE FROM test WHERE id = ?", [key]).rowcount
        assert done == (key in self.seen(who))
        if done:
            self.write(who, {key: None})

    @rule(who=WHO, low=KEYS, high=KEYS)
    def read_range(self, who: str, low: int, high: int) -> None:
        expected = sorted(((k, v) for k, v in self.seen(who).items() if low <= k <= high), reverse=True)
        session = self.sessions[who]
        found = session.execute("SELECT * FROM test WHERE id BETWEEN ? AND ? ORDER BY id DESC", [low, high])
        assert found.fetchall() == expected
        found = session.execute(
            "SELECT sum(value), count(*) FROM test WHERE id + 0 BETWEEN ? AND ?", [low, high]
        )
        assert found.fetchall() == [(sum(v for _, v in expected) if expected else None, len(expected))]

    @invariant()
    def each_sees_its_own(self) -> None:
        """By a scan, counted, and by key."""
        for who, session in self.sessions.items():
            expected = sorted(self.seen(who).items())
            assert session.execute("SELECT * FROM test ORDER BY id").fetchall() == expected
            assert session.execute("SELECT count(*) FROM test").fetchone() == (len(expected),)
            for key in range(6):
                assert value(session, key) == self.seen(who).get(key)

    def teardown(self) -> None:
        self.db.close()


TransactionsModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestTransactionsAgainstDictionaries = TransactionsModel.TestCase
