"""Names of cold segments are given once, whatever a power cut takes and wherever the clock stands then."""

from __future__ import annotations

import errno

import pytest

from kalamcore.errors import OutcomeUnknownError, PoisonedError
from kalamcore.system import FileSystem
from tests.crash.cold import EPOCH_US, open_database


def test_an_id_that_named_a_file_is_not_given_again_after_a_power_cut():
    files = FileSystem.memory()
    given = open_database(files).engine.store.durable_snowflake_id()
    with open_database(files.crash("all")) as db:
        assert db.engine.store.durable_snowflake_id() > given


def test_a_power_cut_at_the_log_s_end_lets_no_later_flush_overwrite_a_segment():
    """The manifest names a segment, and what the log knows of its name is lost with the power; the clock stands."""
    files = FileSystem.memory()
    db = open_database(files)
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute("INSERT INTO t VALUES (1, 'first')")
    db.flush()
    db.execute("INSERT INTO t VALUES (2, 'second')")
    files = files.crash("none")
    db = open_database(files)
    files.record()
    db.flush()
    for moment in range(files.recorded()):
        with open_database(files.crash("all", after=moment)) as again:
            again.execute("INSERT INTO t VALUES (3, 'third')")
            again.flush()
            found = again.execute("SELECT * FROM t ORDER BY id").fetchall()
        assert found == [(1, "first"), (2, "second"), (3, "third")], moment


def test_after_a_lease_whose_sync_failed_the_store_says_that_it_is_poisoned():
    files = FileSystem.memory()
    db = open_database(files)
    db._clock.set(EPOCH_US + 3_600_000_000)
    files.fail(["sync"], at=1, errno=errno.EIO, sticky=False)
    with pytest.raises(OutcomeUnknownError):
        db.engine.store.durable_snowflake_id()
    files.forgive()
    # The lease's record is asked for again, and what became of it is not known; that is no answer any more.
    for _ in range(2):
        with pytest.raises(PoisonedError):
            db.engine.store.durable_snowflake_id()
