"""The database against a dictionary: whatever is done to it, each user sees what a dict would hold."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.database import Database, _open_databases
from kalamdb.errors import NotNullViolation, UniqueViolation
from kalamdb.settings import Settings

USERS = ("alice", "bob")
KEYS = st.integers(-3, 12) | st.sampled_from([-(2**63), 2**63 - 1])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1)


class DatabaseModel(RuleBasedStateMachine):
    """A USER table of two users, beside one dict a user: key -> {column: value}.

    On files of the machine, or on some that can be left as a kill or a power cut leaves them.
    """

    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.files: FileSystem | None = None
        self.rows: dict[str, dict[int, dict[str, object]]] = {user: {} for user in USERS}
        self.columns: dict[str, object] = {"body": "", "n": None}
        self.added = 0
        self.open()

    def open(self) -> None:
        self.open_database()
        self.db.cold.row_group_rows = 3
        self.db.cold.segment_bytes_max = 1
        self.db.cold.grace_s = 0.0
        self.sessions = {user: self.db.session(user) for user in USERS}

    def open_database(self) -> None:
        if self.files is None:
            self.db = kalamdb.open(
                self.directory, durability="normal", wal_file_bytes="64KiB", **self.settings
            )
        else:
            chosen = Settings(durability="full", wal_file_bytes=64 << 10, **self.settings)
            self.db = Database(self.files, "/data", chosen)

    @initialize(in_memory=st.booleans())
    def create(self, in_memory: bool) -> None:
        if in_memory:
            self.db.close()
            self.files = FileSystem.memory()
            self.open()
        self.db.execute(
            "CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT NOT NULL DEFAULT '', n BIGINT)"
        )

    def new_row(self, **values: object) -> dict[str, object]:
        return {**self.columns, **values}

    @rule(user=st.sampled_from(USERS), rows=st.lists(st.tuples(KEYS, TEXTS, VALUES), min_size=1, max_size=4))
    def insert(self, user: str, rows: list[tuple[int, str, int | None]]) -> None:
        """All rows of the statement, or none of them."""
        places = ", ".join(["(?, ?, ?)"] * len(rows))
        sql = f"INSERT INTO t (id, body, n) VALUES {places}"
        parameters = [value for row in rows for value in row]
        keys = [row[0] for row in rows]
        if len(set(keys)) < len(keys) or any(key in self.rows[user] for key in keys):
            with pytest.raises(UniqueViolation):
                self.sessions[user].execute(sql, parameters)
            return
        assert self.sessions[user].execute(sql, parameters).rowcount == len(rows)
        for key, body, n in rows:
            self.rows[user][key] = self.new_row(body=body, n=n)

    @rule(user=st.sampled_from(USERS), key=KEYS, body=TEXTS)
    def insert_with_defaults(self, user: str, key: int, body: str) -> None:
        """What is left out takes its default."""
        if key in self.rows[user]:
            return
        text = body.replace("'", "''")
        self.sessions[user].execute(f"INSERT INTO t (body, id) VALUES ('{text}', {key})")
        self.rows[user][key] = self.new_row(body=body)

    @rule(user=st.sampled_from(USERS), key=KEYS, body=TEXTS)
    def insert_with_a_null_that_is_refused(self, user: str, key: int, body: str) -> None:
        """A NULL in a NOT NULL column leaves no trace of the other row."""
        with pytest.raises(NotNullViolation):
            self.sessions[user].execute("INSERT INTO t (id, body) VALUES (99, ?), (100, NULL)", [body])

    @rule(user=st.sampled_from(USERS), key=KEYS, body=TEXTS, n=VALUES)
    def upsert(self, user: str, key: int, body: str, n: int | None) -> None:
        """ON CONFLICT DO UPDATE writes what would have been inserted."""
        self.sessions[user].execute(
            "INSERT INTO t (id, body, n) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body, n = excluded.n",
            [key, body, n],
        )
        old = self.rows[user].get(key) or self.new_row()
        self.rows[user][key] = {**old, "body": body, "n": n}

    @rule(user=st.sampled_from(USERS), key=KEYS, body=TEXTS)
    def insert_unless_there(self, user: str, key: int, body: str) -> None:
        """ON CONFLICT DO NOTHING."""
        sql = "INSERT INTO t (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
        assert self.sessions[user].execute(sql, [key, body]).rowcount == (key not in self.rows[user])
        self.rows[user].setdefault(key, self.new_row(body=body))

    @rule(user=st.sampled_from(USERS), key=KEYS, body=TEXTS)
    def update_by_key(self, user: str, key: int, body: str) -> None:
        """By key."""
        done = self.sessions[user].execute("UPDATE t SET body = ? WHERE id = ?", [body, key])
        assert done.rowcount == (key in self.rows[user])
        if key in self.rows[user]:
            self.rows[user][key]["body"] = body

    @rule(user=st.sampled_from(USERS), low=KEYS, body=TEXTS)
    def update_by_predicate(self, user: str, low: int, body: str) -> None:
        """By a predicate, with a subquery in it."""
        done = self.sessions[user].execute(
            "UPDATE t SET body = ? WHERE id >= ? AND id IN (SELECT id FROM t WHERE n IS NULL)", [body, low]
        )
        hit = [key for key, row in self.rows[user].items() if key >= low and row["n"] is None]
        assert done.rowcount == len(hit)
        for key in hit:
            self.rows[user][key]["body"] = body

    @rule(user=st.sampled_from(USERS), key=KEYS)
    def delete_by_key(self, user: str, key: int) -> None:
        """By key; a deleted key may be inserted again."""
        done = self.sessions[user].execute("DELETE FROM t WHERE id = ?", [key])
        assert done.rowcount == (self.rows[user].pop(key, None) is not None)

    @rule(user=st.sampled_from(USERS), high=KEYS)
    def delete_by_predicate(self, user: str, high: int) -> None:
        """By a range."""
        done = self.sessions[user].execute("DELETE FROM t WHERE id < ?", [high])
        hit = [key for key in self.rows[user] if key < high]
        assert done.rowcount == len(hit)
        for key in hit:
            del self.rows[user][key]

    @precondition(lambda self: self.added < 4)
    @rule(default=st.none() | TEXTS)
    def add_a_column(self, default: str | None) -> None:
        """Old rows read the default."""
        self.added += 1
        name = f"c{self.added}"
        clause = "" if default is None else " DEFAULT '" + default.replace("'", "''") + "'"
        self.db.execute(f"ALTER TABLE t ADD COLUMN {name} TEXT{clause}")
        self.columns[name] = default
        for rows in self.rows.values():
            for row in rows.values():
                row[name] = default

    @precondition(lambda self: any(name.startswith("c") for name in self.columns))
    @rule(again=st.booleans())
    def drop_a_column(self, again: bool) -> None:
        """A name that is dropped and added again does not resurrect old values."""
        name = next(name for name in self.columns if name.startswith("c"))
        self.db.execute(f"ALTER TABLE t DROP COLUMN {name}")
        if again:
            self.db.execute(f"ALTER TABLE t ADD COLUMN {name} TEXT")
            self.columns = {**{k: v for k, v in self.columns.items() if k != name}, name: None}
        else:
            del self.columns[name]
        for rows in self.rows.values():
            for row in rows.values():
                del row[name]
                if again:
                    row[name] = None

    @rule()
    def checkpoint(self) -> None:
        """Rows move to segments, and nobody sees it."""
        self.db.checkpoint()

    @rule()
    def flush(self) -> None:
        """Rows move to cold segments of three rows."""
        self.db.flush()

    @rule()
    def compact(self) -> None:
        """Each cold key is there once."""
        self.db.compact()

    @rule()
    def reopen(self) -> None:
        """Everything is there."""
        self.db.close()
        self.open()

    @precondition(lambda self: self.files is not None)
    @rule(loss=st.sampled_from(["none", "all", "subset", "torn_1", "zeros"]), seed=st.integers(0, 99))
    def end_without_closing(self, loss: str, seed: int) -> None:
        """A kill ("none"), or a power cut: everything was acknowledged, so everything is there."""
        _open_databases.discard(self.db)
        self.files = self.files.crash(loss, seed)
        self.open()

    @invariant()
    def each_user_sees_its_own(self) -> None:
        """Rows, order of columns, and the count."""
        for user, session in self.sessions.items():
            if not self.db.catalog.tables:
                return
            result = session.execute("SELECT * FROM t ORDER BY id")
            assert list(result.columns) == ["id", *self.columns]
            expected = [
                (key, *(row[name] for name in self.columns)) for key, row in sorted(self.rows[user].items())
            ]
            assert result.fetchall() == expected

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.directory)


class SmallMemtableModel(DatabaseModel):
    """The same while every few rows are written to a segment, by themselves, and none is cached."""

    settings: ClassVar[dict[str, Any]] = {"memtable_bytes": 512, "hot_cache_bytes": 0}


class FlushedModel(DatabaseModel):
    """The same where everything is cold after every step, and nothing decoded is kept."""

    settings: ClassVar[dict[str, Any]] = {"memtable_bytes": 512, "hot_cache_bytes": 0, "cache_bytes": 0}

    @invariant()
    def everything_is_cold(self) -> None:
        """And counts the same natively, by the query engine and over everybody."""
        if not self.db.catalog.tables:
            return
        self.db.flush()
        for user, session in self.sessions.items():
            rows = self.rows[user]
            assert session.execute("SELECT count(*) FROM t").fetchall() == [(len(rows),)]
            found = session.execute("SELECT id, body FROM (SELECT * FROM t) ORDER BY id DESC").fetchall()
            assert found == [(key, row["body"]) for key, row in sorted(rows.items(), reverse=True)]
        total = sum(map(len, self.rows.values()))
        assert self.db.execute("SELECT count(*) FROM all_users.default.t").fetchall() == [(total,)]


def prove(seed: int, runs: int, steps: int, model: type[DatabaseModel] = DatabaseModel) -> None:
    """`runs` of so many steps each. Raises where the database and the dictionary differ."""
    options = settings(
        max_examples=runs, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(seeded(seed)(model), settings=options)


def test_whatever_is_done_the_database_agrees_with_a_dictionary(seed: int) -> None:
    prove(seed, runs=40, steps=30)


def test_so_it_does_while_rows_move_to_segments_all_the_time(seed: int) -> None:
    prove(seed, runs=20, steps=30, model=SmallMemtableModel)


def test_so_it_does_where_everything_is_cold(seed: int) -> None:
    prove(seed, runs=12, steps=25, model=FlushedModel)
