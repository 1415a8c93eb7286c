"""Writers, readers, flush and compaction at once: no row is lost, none is there twice, none is half changed."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable

import pytest

from kalamdb.database import Database
from tests.engine.cold.tiny import World

KEYS = 30
PAIRED = "SELECT a.n - b.n FROM t a JOIN t b ON b.id = a.id + 1000 WHERE a.id = ?"


class Mix:
    """What runs beside each other until the writers have written enough."""

    def __init__(self, db: Database, kind: str, rounds: int) -> None:
        self.db = db
        self.rounds = rounds
        self.user = "alice"
        self.ended = threading.Event()
        self.findings: list[str] = []
        self.reads = 0
        self.models: list[dict[int, int]] = [{} for _ in range(2)]
        db.execute(f"CREATE {kind} TABLE t (id BIGINT PRIMARY KEY, n INT, body TEXT)")
        rows = [(key + pair, 0, "x" * (key % 7)) for key in range(KEYS) for pair in (0, 1000)]
        self.session().executemany("INSERT INTO t VALUES (?, ?, ?)", rows)

    def session(self) -> object:
        return self.db.session(self.user, role="service")

    def pairs(self, number: int) -> None:
        """Both rows of a pair in one statement, or away and back in one transaction."""
        dice, session = random.Random(number), self.session()
        for _ in range(self.rounds):
            key = dice.randrange(KEYS)
            if dice.random() < 0.7:
                done = session.execute("UPDATE t SET n = n + 1 WHERE id IN (?, ?)", [key, key + 1000])
                assert done.rowcount == 2
            else:
                try:
                    with session.transaction():
                        rows = session.execute(
                            "DELETE FROM t WHERE id IN (?, ?) RETURNING id, n", [key, key + 1000]
                        )
                        for id_, n in rows.fetchall():
                            session.execute("INSERT INTO t VALUES (?, ?, 'again')", [id_, n + 1])
                except Exception as error:
                    if "serialization failure" not in str(error):
                        raise

    def own(self, number: int) -> None:
        """Keys that nobody else writes, beside a dict."""
        dice, session, model = random.Random(number), self.session(), self.models[number]
        for turn in range(self.rounds):
            key = 10_000 * (number + 1) + dice.randrange(40)
            if key not in model:
                session.execute("INSERT INTO t VALUES (?, ?, 'own')", [key, turn])
                model[key] = turn
            elif dice.random() < 0.5:
                assert session.execute("UPDATE t SET n = ? WHERE id = ?", [turn, key]).rowcount == 1
                model[key] = turn
            else:
                assert session.execute("DELETE FROM t WHERE id = ?", [key]).rowcount == 1
                del model[key]
            key = 10_000 * (number + 1) + dice.randrange(40)
            found = session.execute("SELECT n FROM t WHERE id = ?", [key]).fetchall()
            assert found == ([(model[key],)] if key in model else []), (key, found, model.get(key))

    def look(self) -> None:
        """Each answer is of one moment: pairs are equal and complete."""
        session, dice = self.session(), random.Random(7)
        while not self.ended.is_set():
            self.reads += 1
            rows = session.execute("SELECT id, n FROM t WHERE id < 2000 ORDER BY id").fetchall()
            self.check(rows, "native")
            rows = session.execute(
                "SELECT id, n FROM (SELECT * FROM t) WHERE id < 2000 ORDER BY id"
            ).fetchall()
            self.check(rows, "query engine")
            key = dice.randrange(KEYS)
            assert session.execute(PAIRED, [key]).fetchall() == [(0,)]
            low, high = key, 1000 + key
            found = session.execute(
                "SELECT id FROM t WHERE id BETWEEN ? AND ? ORDER BY id", [low, high]
            ).fetchall()
            assert [row[0] for row in found] == [*range(low, KEYS), *range(1000, high + 1)]

    def check(self, rows: list[tuple[int, int]], road: str) -> None:
        model = dict(rows)
        assert len(rows) == len(model), f"{road}: a key is there twice: {rows}"
        assert sorted(model) == [*range(KEYS), *range(1000, 1000 + KEYS)], f"{road}: {sorted(model)}"
        halves = [key for key in range(KEYS) if model[key] != model[key + 1000]]
        assert not halves, f"{road}: half a statement at {halves}"

    def move(self, work: Callable[[], object]) -> None:
        while not self.ended.is_set():
            work()

    def run(self) -> None:
        def guarded(work: Callable[..., None], *arguments: object) -> None:
            try:
                work(*arguments)
            except BaseException:
                self.findings.append(traceback.format_exc())
                self.ended.set()

        writers = [threading.Thread(target=guarded, args=(self.pairs, number)) for number in (1, 2)]
        writers += [threading.Thread(target=guarded, args=(self.own, number)) for number in (0, 1)]
        movers = [threading.Thread(target=guarded, args=(self.look,)) for _ in range(2)]
        movers.append(threading.Thread(target=guarded, args=(self.move, lambda: self.db.flush("t"))))
        movers.append(threading.Thread(target=guarded, args=(self.move, lambda: self.db.compact("t"))))
        movers.append(threading.Thread(target=guarded, args=(self.move, self.db.checkpoint)))
        for thread in writers + movers:
            thread.start()
        for thread in writers:
            thread.join(300)
            assert not thread.is_alive()
        self.ended.set()
        for thread in movers:
            thread.join(120)
            assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["SHARED", "USER"])
@pytest.mark.parametrize(
    "road", [{}, {"cache_bytes": 0}, {"memtable_bytes": 512}], ids=["cached", "uncached", "small"]
)
def test_no_row_is_lost_or_doubled_among_writers_readers_flush_and_compaction(
    world: World, kind: str, road: dict[str, int]
) -> None:
    db = world.open(durability="normal", **road)
    db.cold.segment_bytes_max = 600
    db.cold.grace_s = 600.0  # readers are at the files that a compaction leaves
    mix = Mix(db, kind, rounds=60)
    mix.run()

    assert not mix.findings, "\n".join(mix.findings)
    assert mix.reads
    wanted = {key: n for model in mix.models for key, n in model.items()}
    for again in world.lives({}):
        session = again.session("alice", role="service")
        assert dict(session.execute("SELECT id, n FROM t WHERE id >= 10000").fetchall()) == wanted
        mix.check(session.execute("SELECT id, n FROM t WHERE id < 2000").fetchall(), "at the end")
        assert session.execute("SELECT count(*) FROM t").fetchall() == [(len(wanted) + 2 * KEYS,)]
        again.flush()
        again.compact()
        assert session.execute("SELECT count(*) FROM t").fetchall() == [(len(wanted) + 2 * KEYS,)]


@pytest.mark.parametrize("road", [{}, {"cache_bytes": 0, "memtable_bytes": 512}], ids=["cached", "uncached"])
def test_a_table_is_altered_while_its_rows_are_written_read_flushed_and_compacted(
    world: World, road: dict[str, int]
) -> None:
    db = world.open(durability="normal", **road)
    db.cold.segment_bytes_max = 600
    db.cold.grace_s = 600.0
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
    ended = threading.Event()
    findings: list[str] = []
    columns: list[str] = []
    written: dict[int, tuple[int, dict[str, str]]] = {}

    def alter() -> None:
        for number in range(8):
            db.execute(f"ALTER TABLE t ADD COLUMN c{number} TEXT NOT NULL DEFAULT 'd{number}'")
            columns.append(f"c{number}")
            while len(written) < (number + 1) * 12 and not ended.is_set():
                ended.wait(0.001)

    def insert() -> None:
        for key in range(100):
            known = list(columns)
            values = [key, key, *(f"{name} of {key}" for name in known)]
            db.execute(
                f"INSERT INTO t ({', '.join(['id', 'n', *known])}) VALUES ({', '.join('?' * len(values))})",
                values,
            )
            written[key] = key, dict(zip(known, values[2:], strict=True))

    def read() -> None:
        while not ended.is_set():
            there = len(written)
            rows = db.execute("SELECT id, n FROM t ORDER BY id").fetchall()
            assert [row[0] for row in rows][:there] == list(range(there))
            result = db.execute("SELECT * FROM (SELECT * FROM t) ORDER BY id")
            assert len(result.fetchall()) >= there

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:
            findings.append(traceback.format_exc())
            ended.set()

    def until_the_end(work: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            while not ended.is_set():
                work()

        return repeat

    first = [threading.Thread(target=guarded, args=(work,)) for work in (alter, insert)]
    others = [
        threading.Thread(target=guarded, args=(work,))
        for work in (read, until_the_end(lambda: db.flush("t")), until_the_end(lambda: db.compact("t")))
    ]
    for thread in first + others:
        thread.start()
    for thread in first:
        thread.join(120)
    ended.set()
    for thread in others:
        thread.join(120)

    assert not findings, "\n".join(findings)
    wanted = [
        (key, n, *(given.get(name, f"d{name[1:]}") for name in columns))
        for key, (n, given) in sorted(written.items())
    ]
    for again in world.lives({}):
        assert again.execute("SELECT * FROM t ORDER BY id").fetchall() == wanted
        again.flush()
        again.compact()
        assert again.execute("SELECT * FROM (SELECT * FROM t) ORDER BY id").fetchall() == wanted
