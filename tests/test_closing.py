"""Closing a database while others still use it."""

import threading
import time

import kalamdb
from kalamdb.errors import DatabaseClosed


def test_closing_beside_statements_ends_each_of_them_whole_or_with_a_refusal(tmp_path):
    db = kalamdb.open(tmp_path / "data")
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(-n, n) for n in range(1, 2001)])
    acknowledged, faults, begun = [], [], threading.Barrier(7)

    def insert(worker):
        begun.wait(60)
        for n in range(10**6):
            db.execute(
                "INSERT INTO t VALUES (?, 0), (?, 0)", [2 * (n * 3 + worker), 2 * (n * 3 + worker) + 1]
            )
            acknowledged.append(n * 3 + worker)

    def query(worker):
        begun.wait(60)
        while True:
            sql = "SELECT count(*) FROM t a JOIN t b ON a.n = b.n WHERE a.id < 0 AND b.id < 0"
            assert db.execute(sql).fetchall() == [(2000,)]

    def until_closed(work, worker):
        try:
            work(worker)
        except DatabaseClosed:
            pass
        except BaseException as error:
            faults.append(error)

    ways = [(insert, n) for n in range(3)] + [(query, n) for n in range(3)]
    threads = [threading.Thread(target=until_closed, args=way) for way in ways]
    for thread in threads:
        thread.start()
    begun.wait(60)
    while len(acknowledged) < 20:
        time.sleep(0.001)
    db.close()
    for thread in threads:
        thread.join(timeout=120)

    assert faults == []
    assert not any(thread.is_alive() for thread in threads)
    with kalamdb.open(tmp_path / "data") as db:
        kept = [key for (key,) in db.execute("SELECT id FROM t WHERE id >= 0 ORDER BY id")]
        assert all(key % 2 or key + 1 in set(kept) for key in kept)
        assert {2 * number for number in acknowledged} == {key for key in kept if key % 2 == 0}
