"""A table that is dropped under an open transaction: its cold rows are there for that, and go afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import kalamdb
from kalamdb.engine.jobs import RetryDelay

DEADLINE_S = 60


def test_cold_rows_of_a_dropped_table_stay_for_who_still_sees_it(tmp_path: Path) -> None:
    with kalamdb.open(tmp_path / "data") as db:
        db.jobs._delay = RetryDelay(first_s=0.05, max_s=0.05, retries_max=1000)
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(10)])
        db.flush()
        reader = db.session("alice", role="service")
        reader.begin()
        assert reader.execute("SELECT count(*) FROM t").fetchall() == [(10,)]

        db.execute("DROP TABLE t; CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute("INSERT INTO t VALUES (1, 'new')")
        db.flush()

        assert reader.execute("SELECT count(*), sum(n) FROM t").fetchall() == [(10, 45)]
        assert reader.execute("SELECT n FROM t WHERE id = 7").fetchall() == [(7,)]
        reader.rollback()
        deadline = time.monotonic() + DEADLINE_S
        while "completed" not in {
            job.status.value for job in db.jobs.jobs() if job.request.job_type == "clean"
        }:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert db.execute("SELECT * FROM t").fetchall() == [(1, "new")]
        assert db.cold.places.of_table(100) == {}
