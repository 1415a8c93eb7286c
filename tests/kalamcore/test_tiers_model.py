"""The store against a dictionary, while its rows move between memory and segments under it.

Whatever was committed, wherever it lies by now, every way of reading answers what a dictionary would; who pinned a
view or began a transaction reads the dictionary of that moment for as long as it likes.
"""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kalamcore.errors import DuplicateKeyError, WriteConflictError
from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Readable, Store, Transaction, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource

TABLE = 1
USERS = (b"", b"alice", b"bob")
NUMBERS = st.integers(-4, 14) | st.sampled_from([-(2**63), 2**63 - 1])
WORDS = st.text("ab\x00é", max_size=3) | st.just("long " * 60)
Rows = dict[bytes, dict[Any, tuple[str | None, bool]]]
"""user: key: (body, whether it is deleted)"""


class StoreModel(RuleBasedStateMachine):
    """Rows of three users, keys that meet each other often, and readers of many ages."""

    key_type = BIGINT
    keys: st.SearchStrategy[Any] = NUMBERS

    @initialize(
        memtable_bytes=st.sampled_from([512, 4096, 64 << 20]), cache=st.sampled_from([0, 2000, 1 << 20])
    )
    def begin(self, memtable_bytes: int, cache: int) -> None:
        layout = Layout(1, [(1, self.key_type, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
        self.layout, self.reader = layout, Reader([layout], [None, None])
        self.options = {
            "hot_directory": "hot",
            "memtable_bytes": memtable_bytes,
            "hot_cache_bytes": cache,
            "wal_file_bytes": 64 << 10,
        }
        self.files = FileSystem.memory()
        self.files.make_directory("data")
        self.files.make_directory("hot")
        self.opened = 0
        self.rows: Rows = {user: {} for user in USERS}
        self.pinned: list[tuple[Readable, Rows]] = []
        self.open()

    def open(self) -> None:
        self.opened += 1
        self.store = Store(
            self.files,
            "data",
            clock=Clock.manual(1_900_000_000_000_000),
            random=RandomSource.seeded(self.opened),
            **self.options,  # type: ignore[arg-type]
        )
        self.store.define_table(TABLE, 1, reader=self.reader, column_names=["id", "body"])
        self.pinned = []

    @rule(data=st.data(), sync=st.booleans(), size=st.integers(1, 6))
    def commit(self, data: st.DataObject, sync: bool, size: int) -> None:
        """Operations that must succeed, in one commit; keys may come again in it."""
        batch = WriteBatch(self.store.snapshot())
        after = {user: dict(rows) for user, rows in self.rows.items()}
        for _ in range(size):
            user = data.draw(st.sampled_from(USERS))
            key = data.draw(self.keys)
            body = data.draw(st.none() | st.text("xyz", max_size=2))
            _, deleted = after[user].get(key, (None, True))
            if deleted:
                batch.insert(TABLE, user, self.layout, (key, body))
                after[user][key] = (body, False)
            elif data.draw(st.booleans()):
                batch.replace(TABLE, user, self.layout, (key, body))
                after[user][key] = (body, False)
            else:
                batch.delete(TABLE, user, self.layout, (key, body))
                after[user][key] = (body, True)
        self.store.commit(batch, sync=sync)
        self.rows = after

    @rule(user=st.sampled_from(USERS), data=st.data())
    def refused(self, user: bytes, data: st.DataObject) -> None:
        """A key that is there is not inserted, one that is not there is not changed; nothing else of it stays."""
        key, new = data.draw(self.keys), data.draw(self.keys)
        batch = WriteBatch(self.store.snapshot())
        for other in USERS:
            if new not in self.rows[other] and (other, new) != (user, key):
                batch.insert(TABLE, other, self.layout, (new, "never there"))
        if self.rows[user].get(key, (None, True))[1]:
            batch.delete(TABLE, user, self.layout, (key, "not there"))
            with pytest.raises(WriteConflictError):
                self.store.commit(batch)
        else:
            batch.insert(TABLE, user, self.layout, (key, "there already"))
            with pytest.raises(DuplicateKeyError):
                self.store.commit(batch)

    @rule()
    def checkpoint(self) -> None:
        """Nobody sees it."""
        self.store.checkpoint()

    @rule(loss=st.sampled_from(["none", "closed"]))
    def reopen(self, loss: str) -> None:
        """Everything is there, whether it was closed or killed."""
        if loss == "closed":
            self.store.close()
        self.files = self.files.crash("none")
        self.open()

    @precondition(lambda self: len(self.pinned) < 6)
    @rule(transaction=st.booleans())
    def pin(self, transaction: bool) -> None:
        """A reader that stays."""
        reader = Transaction(self.store) if transaction else self.store.view()
        self.pinned.append((reader, {user: dict(rows) for user, rows in self.rows.items()}))

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def read_what_was_pinned(self, data: st.DataObject) -> None:
        """As it was."""
        reader, rows = self.pinned[data.draw(st.integers(0, len(self.pinned) - 1))]
        for user in USERS:
            self.check(reader, reader.snapshot, user, rows[user])  # type: ignore[attr-defined]
        self.check_count(reader, reader.snapshot, rows)  # type: ignore[attr-defined]

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        """Files that only it held go with it."""
        self.pinned.pop(data.draw(st.integers(0, len(self.pinned) - 1)))

    @rule(user=st.sampled_from(USERS), data=st.data())
    def scan_a_range(self, user: bytes, data: st.DataObject) -> None:
        """Both bounds are of the range, whether or not they are there."""
        low, high = (data.draw(st.none() | self.keys) for _ in range(2))
        bounds = {
            "low": None if low is None else encode_key(self.key_type, low),
            "high": None if high is None else encode_key(self.key_type, high),
        }
        within = {
            key: row
            for key, row in self.rows[user].items()
            if (low is None or self.sorts(key) >= self.sorts(low))
            and (high is None or self.sorts(key) <= self.sorts(high))
        }
        self.check_scans(self.store, self.store.snapshot(), user, within, **bounds)

    def sorts(self, key: Any) -> bytes:
        return encode_key(self.key_type, key)

    def check_scans(
        self,
        readable: Readable,
        snapshot: int,
        user: bytes,
        rows: dict[Any, tuple[str | None, bool]],
        **bounds: Any,
    ) -> None:
        expected = [(key, *rows[key]) for key in sorted(rows, key=self.sorts)]
        live = [row for row in expected if not row[2]]
        columns = [0, 1, -3]

        assert readable.scan(TABLE, user, snapshot, self.reader, columns, **bounds) == live
        assert readable.scan(TABLE, user, snapshot, self.reader, columns, deleted=True, **bounds) == expected
        assert (
            readable.scan(TABLE, user, snapshot, self.reader, columns, reverse=True, **bounds) == live[::-1]
        )
        assert readable.scan(TABLE, user, snapshot, self.reader, columns, limit=2, **bounds) == live[:2]
        for deleted, wanted in ((False, live), (True, expected)):
            batches = readable.scan_arrow(
                TABLE, user, snapshot, self.reader, columns, deleted=deleted, **bounds
            )
            found = [tuple(row.values()) for one in batches for row in pyarrow.record_batch(one).to_pylist()]
            assert sorted(found, key=lambda row: self.sorts(row[0])) == wanted

    def check(
        self, readable: Readable, snapshot: int, user: bytes, rows: dict[Any, tuple[str | None, bool]]
    ) -> None:
        self.check_scans(readable, snapshot, user, rows)
        assert readable.count(TABLE, user, snapshot) == sum(not deleted for _, deleted in rows.values())
        for key, (body, deleted) in rows.items():
            encoded = self.sorts(key)
            found = readable.get(TABLE, user, encoded, snapshot, self.reader)
            assert found == (None if deleted else (key, body))
            assert readable.get(TABLE, user, encoded, snapshot, self.reader, deleted=True) == (key, body)

    @invariant()
    def the_newest_snapshot_is_the_dictionary(self) -> None:
        """By every way of reading."""
        if not hasattr(self, "store"):
            return
        for user in USERS:
            self.check(self.store, self.store.snapshot(), user, self.rows[user])
        assert self.store.partitions(TABLE) == sorted(user for user in USERS if self.rows[user])
        self.check_count(self.store, self.store.snapshot(), self.rows)

    def check_count(self, store: Readable, snapshot: int, rows: Rows) -> None:
        """Of all users together."""
        living = sum(not deleted for of_user in rows.values() for _, deleted in of_user.values())
        assert store.count_all(TABLE, snapshot) == living

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


class TextKeyModel(StoreModel):
    """The same with keys of text: empty, long, with zero bytes."""

    key_type = TEXT
    keys = WORDS


for model in (StoreModel, TextKeyModel):
    model.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestNumbers = StoreModel.TestCase
TestTexts = TextKeyModel.TestCase
