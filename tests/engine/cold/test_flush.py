"""Flush: rows leave memory for Parquet, and every statement goes on as if they had not."""

from __future__ import annotations

import datetime
import decimal
import uuid

import pyarrow as pa
import pytest

from kalamdb.database import Database
from kalamdb.errors import Error, UndefinedTable, UniqueViolation
from tests.engine.cold.tiny import World, files_of, place_of

EVERY_TYPE = (
    "flag BOOLEAN, small SMALLINT, number INT, big BIGINT, single FLOAT, ratio DOUBLE, price DECIMAL(20,4), "
    "raw BYTES, at TIMESTAMP, day DATE, clock TIME, token UUID, payload JSON, body TEXT"
)
VALUES = [
    True,
    -32768,
    2**31 - 1,
    -(2**63),
    1.5,
    -0.0,
    decimal.Decimal("-12.3400"),
    b"\x00\xff",
    datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
    datetime.date(1969, 12, 31),
    datetime.time(23, 59, 59, 999999),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    {"a": [1, None, "ü"]},
    "l'été\n✓",
]


@pytest.mark.parametrize("kind", ["USER", "SHARED"])
@pytest.mark.parametrize("key", ["BIGINT", "TEXT"])
@pytest.mark.parametrize("cache_bytes", [64 << 20, 0])
def test_every_type_and_null_comes_back(world: World, kind: str, key: str, cache_bytes: int) -> None:
    db = world.open(cache_bytes=cache_bytes)
    db.execute(f"CREATE {kind} TABLE t (id {key} PRIMARY KEY, {EVERY_TYPE})")
    keys = [-5, 2, 2**62] if key == "BIGINT" else ["", "z" * 70, "é"]
    for number, one in enumerate(keys):
        row = [one, *(VALUES if number != 1 else [None] * len(VALUES))]
        db.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)
    names = ", ".join(part.split()[0] for part in ["id", *EVERY_TYPE.split(", ")] if part != "4)")
    wanted = {
        sql: db.execute(sql).fetchall()
        for sql in (
            "SELECT * FROM t ORDER BY id",
            f"SELECT {names}, _seq, _updated, _deleted FROM t ORDER BY id",
            "SELECT a.*, b.number FROM t a LEFT JOIN t b ON a.id = b.id ORDER BY a.id",
            "SELECT id, upper(body), payload FROM t WHERE token = '12345678-1234-5678-1234-567812345678' ORDER BY id",
        )
    }
    types = db.execute("SELECT * FROM t").arrow().schema

    db.flush()

    assert files_of(db)
    for again in world.lives({"cache_bytes": cache_bytes}):
        for sql, rows in wanted.items():
            assert again.execute(sql).fetchall() == rows
        for one, row in zip(keys, wanted["SELECT * FROM t ORDER BY id"], strict=True):
            assert again.execute("SELECT * FROM t WHERE id = ?", [one]).fetchall() == [row]
        assert again.execute("SELECT * FROM t").arrow().schema == types


def test_a_users_rows_are_a_partition_of_their_own(tiny: Database) -> None:
    tiny.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    for user in ("alice", "bob", "carol"):
        for number in range(5):
            tiny.session(user).execute("INSERT INTO t VALUES (?, ?)", [number, f"{user} {number}"])
    tiny.flush("t")

    assert {path.split("/")[2] for path in files_of(tiny)} == {"alice", "bob", "carol"}
    for user in ("alice", "bob", "carol"):
        rows = tiny.session(user).execute("SELECT * FROM t ORDER BY id").fetchall()
        assert rows == [(number, f"{user} {number}") for number in range(5)]
    assert tiny.session("dave").execute("SELECT count(*) FROM t").fetchone() == (0,)
    everybody = tiny.execute("SELECT _user, id, body FROM all_users.default.t ORDER BY _user, id").fetchall()
    assert everybody == [
        (user, number, f"{user} {number}") for user in ("alice", "bob", "carol") for number in range(5)
    ]


def test_what_was_changed_over_cold_rows_stands_before_them_flush_after_flush(
    world: World,
) -> None:
    db = world.open()
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT, n INT)")
    model: dict[int, tuple[str, int]] = {}
    for turn in range(6):
        for key in range(turn * 4, turn * 4 + 8):
            sql = "INSERT INTO t VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body, n = t.n + 1"
            db.execute(sql, [key, f"turn {turn}", 0])
            model[key] = (f"turn {turn}", model[key][1] + 1 if key in model else 0)
        for key in [key for key in model if key % 5 == turn % 5]:
            assert db.execute("DELETE FROM t WHERE id = ?", [key]).rowcount == 1
            del model[key]
        updated = [key for key in model if key % 7 == 3]
        assert db.execute("UPDATE t SET body = 'seven' WHERE id % 7 = 3").rowcount == len(updated)
        for key in updated:
            model[key] = ("seven", model[key][1])
        db.flush()
        wanted = [(key, *row) for key, row in sorted(model.items())]
        assert db.execute("SELECT * FROM t ORDER BY id").fetchall() == wanted
        assert db.execute("SELECT count(*) FROM t").fetchone() == (len(model),)
        if turn % 2:
            db = world.open()
            assert db.execute("SELECT * FROM t ORDER BY id").fetchall() == wanted


def test_a_cold_key_is_taken_and_a_deleted_one_is_free(tiny: Database) -> None:
    tiny.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n INT)")
    tiny.executemany("INSERT INTO t VALUES (?, ?)", [(f"k{number}", number) for number in range(20)])
    tiny.flush()

    for sql in ("INSERT INTO t VALUES ('k7', 1)", "INSERT INTO t (n, id) VALUES (1 + 1, 'k7')"):
        with pytest.raises(UniqueViolation, match="k7"):
            tiny.execute(sql)
    with pytest.raises(UniqueViolation, match="k7"):
        tiny.executemany("INSERT INTO t VALUES (?, ?)", [("new", 1), ("k7", 1)])
    with pytest.raises(UniqueViolation, match="k3"):
        tiny.session("root").insert("t", pa.table({"id": ["newer", "k3"], "n": pa.array([1, 2], pa.int32())}))
    with pytest.raises(UniqueViolation, match="k3"):
        tiny.session("root").insert("t", [{"id": "newest", "n": 1}, {"id": "k3"}])
    assert tiny.execute("SELECT count(*) FROM t").fetchone() == (20,)

    assert tiny.execute("DELETE FROM t WHERE id = 'k7' RETURNING n").fetchall() == [(7,)]
    tiny.flush()
    tiny.execute("INSERT INTO t VALUES ('k7', 70)")
    assert tiny.execute("SELECT n FROM t WHERE id = 'k7'").fetchall() == [(70,)]
    tiny.flush()
    assert tiny.execute("SELECT n FROM t WHERE id = 'k7'").fetchall() == [(70,)]
    assert tiny.execute("SELECT count(*), sum(n) FROM t").fetchall() == [(20, sum(range(20)) + 63)]


def test_a_tombstone_is_there_for_who_asks_for_deleted_rows(world: World) -> None:
    for cache_bytes in (64 << 20, 0):
        db = world.open(cache_bytes=cache_bytes)
        db.execute(f"CREATE TABLE t{cache_bytes} (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute(f"INSERT INTO t{cache_bytes} VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        db.flush()
        db.execute(f"DELETE FROM t{cache_bytes} WHERE id = 2")
        db.flush()

        found = db.execute(
            f"SELECT id, body, _deleted FROM t{cache_bytes} WHERE _deleted OR id = 1 ORDER BY id"
        )
        assert found.fetchall() == [(1, "one", False), (2, "two", True)]
        assert db.execute(f"SELECT id FROM t{cache_bytes} ORDER BY id").fetchall() == [(1,), (3,)]


def test_keys_that_begin_alike_are_found_apart(world: World) -> None:
    db = world.open()
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n INT)")
    begins = "x" * 40, "x" * 32, "x" * 31, "x" * 100
    keys = sorted({begin + str(number) for begin in begins for number in range(13)} | set(begins))
    db.executemany("INSERT INTO t VALUES (?, ?)", [(key, number) for number, key in enumerate(keys)])
    db.cold.segment_bytes_max = 128 << 20  # one segment of many row groups
    db.flush()
    for again in world.lives({}):
        for number, key in enumerate(keys):
            assert again.execute("SELECT n FROM t WHERE id = ?", [key]).fetchall() == [(number,)]
            assert again.execute("SELECT n FROM t WHERE id = ?", [key + "?"]).fetchall() == []
            found = again.execute("SELECT id FROM t WHERE id >= ? ORDER BY id LIMIT 3", [key]).fetchall()
            assert found == [(one,) for one in keys[number : number + 3]]
            found = again.execute("SELECT id FROM t WHERE id <= ? ORDER BY id DESC LIMIT 3", [key]).fetchall()
            assert found == [(one,) for one in keys[: number + 1][-3:][::-1]]
            with pytest.raises(UniqueViolation):
                again.execute("INSERT INTO t VALUES (?, 0)", [key])
        assert again.execute("SELECT count(*) FROM t").fetchone() == (len(keys),)
        assert again.execute("UPDATE t SET n = n WHERE id LIKE 'xx%'").rowcount == len(keys)


def test_a_big_partition_of_many_row_groups_and_segments(world: World) -> None:
    db = world.open()
    db.cold.row_group_rows = 100
    db.cold.segment_bytes_max = 8 << 10
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    count = 5000
    rows = [(key, f"body {key} " + "abcdefghij"[: key % 10] * 8) for key in range(0, 2 * count, 2)]
    db.executemany("INSERT INTO t VALUES (?, ?)", rows)
    db.flush()
    place = place_of(db, "t")
    assert place.segments > 3
    assert place.rows == count

    for again in world.lives({"cache_bytes": 0}, {}):
        assert again.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
        assert again.execute("SELECT * FROM t ORDER BY id DESC LIMIT 50").fetchall() == rows[:-51:-1]
        for key in (0, 1998, 2000, 2 * count - 2):
            assert again.execute("SELECT * FROM t WHERE id = ?", [key]).fetchall() == [rows[key // 2]]
            assert again.execute("SELECT * FROM t WHERE id = ?", [key + 1]).fetchall() == []
        found = again.execute("SELECT * FROM t WHERE id BETWEEN 1234 AND 4321 ORDER BY id").fetchall()
        assert found == [row for row in rows if 1234 <= row[0] <= 4321]
        assert again.execute("SELECT count(*), min(id), max(id) FROM t").fetchall() == [
            (count, 0, 2 * count - 2)
        ]


@pytest.mark.parametrize(
    "user", ["../../x", "a/b", ".", "Ünï", "UPPER", "upper", " ", "%2e", "x" * 128, "🙂", "con", "a.b"]
)
def test_a_partition_may_have_any_name(tiny: Database, user: str) -> None:
    tiny.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    tiny.session(user).execute("INSERT INTO t VALUES (1, 'mine')")
    tiny.session("other").execute("INSERT INTO t VALUES (1, 'theirs')")
    tiny.flush()
    tiny.session(user).execute("INSERT INTO t VALUES (2, 'mine, too')")
    tiny.flush()

    assert tiny.session(user).execute("SELECT * FROM t ORDER BY id").fetchall() == [
        (1, "mine"),
        (2, "mine, too"),
    ]
    assert tiny.session("other").execute("SELECT * FROM t").fetchall() == [(1, "theirs")]
    assert all(path.startswith("default/t/") and path.count("/") == 3 for path in files_of(tiny))


def test_schemas_change_between_flushes(world: World) -> None:
    db = world.open()
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT, gone TEXT, name TEXT)")
    db.execute(
        "INSERT INTO t VALUES (1, 10, 'g', 'a'), (2, NULL, 'h', NULL), (3, 30, 'i', 'c'), (4, 40, 'j', 'd')"
    )
    db.flush()
    db.execute("ALTER TABLE t ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")
    db.execute("ALTER TABLE t DROP COLUMN gone")
    db.execute("INSERT INTO t VALUES (5, 50, 'e', 'glad')")
    db.flush()
    db.execute("ALTER TABLE t RENAME COLUMN name TO title")
    db.execute("ALTER TABLE t ALTER COLUMN n TYPE BIGINT")
    db.execute("ALTER TABLE t ADD COLUMN gone INT")
    db.execute("UPDATE t SET n = 9223372036854775807, gone = 1 WHERE id = 3")
    wanted = [
        (1, 10, "a", "calm", None),
        (2, None, None, "calm", None),
        (3, 2**63 - 1, "c", "calm", 1),
        (4, 40, "d", "calm", None),
        (5, 50, "e", "glad", None),
    ]

    def check(db: Database) -> None:
        result = db.execute("SELECT * FROM t ORDER BY id")
        assert list(result.columns) == ["id", "n", "title", "mood", "gone"]
        assert result.fetchall() == wanted
        assert db.execute("SELECT * FROM (SELECT * FROM t) ORDER BY id").fetchall() == wanted
        assert db.execute("SELECT id FROM t WHERE mood = 'calm' AND n >= 40 ORDER BY id").fetchall() == [
            (3,),
            (4,),
        ]
        assert db.execute("SELECT id FROM t WHERE gone IS NULL ORDER BY id DESC LIMIT 2").fetchall() == [
            (5,),
            (4,),
        ]

    check(db)
    db.flush()
    check(db)
    check(world.open(cache_bytes=0))
    db = world.open()
    check(db)
    db.compact()
    check(db)
    check(world.open())


def test_a_flush_tells_what_it_did_and_one_of_nothing_does_nothing(tiny: Database) -> None:
    tiny.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    tiny.execute("INSERT INTO t VALUES (1), (2)")
    (job_id, namespace, table) = tiny.execute("STORAGE FLUSH TABLE t").fetchone()
    assert (namespace, table) == ("default", "t")
    job = tiny.jobs.wait(job_id, 30)
    assert (job.status.value, job.rows, job.result) == ("completed", 2, "flushed 1 partition(s)")

    before = files_of(tiny, "")
    tiny.flush()
    assert files_of(tiny, "") == before
    with pytest.raises(UndefinedTable):
        tiny.flush("nothing")


def test_a_row_written_and_deleted_before_its_first_flush_stays_away(tiny: Database) -> None:
    tiny.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    tiny.execute("INSERT INTO t VALUES (1)")
    tiny.execute("DELETE FROM t WHERE id = 1")
    tiny.flush()
    assert tiny.execute("SELECT count(*) FROM t").fetchone() == (0,)
    tiny.execute("INSERT INTO t VALUES (1)")
    tiny.flush()
    assert tiny.execute("SELECT id, _deleted FROM t").fetchall() == [(1, False)]


def test_a_table_of_the_same_name_finds_nothing_of_the_one_before(world: World) -> None:
    db = world.open()
    for turn in range(3):
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        db.execute("INSERT INTO t VALUES (?, 'x'), (100, 'y')", [turn])
        db.flush()
        assert db.execute("SELECT id FROM t ORDER BY id").fetchall() == [(turn,), (100,)]
        db.execute("DROP TABLE t")
        if turn == 1:
            db = world.open()


def test_what_the_rows_were_written_by_is_kept(tiny: Database) -> None:
    """`_seq` and `_updated` are those of the write, not of the flush."""
    tiny.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    tiny.execute("INSERT INTO t VALUES (1)")
    tiny.execute("INSERT INTO t VALUES (2)")
    before = tiny.execute("SELECT id, _seq, _updated FROM t ORDER BY id").fetchall()
    tiny.flush()
    tiny.compact()
    assert tiny.execute("SELECT id, _seq, _updated FROM t ORDER BY id").fetchall() == before
    since = before[0][1]
    assert tiny.execute("SELECT id FROM t WHERE _seq > ?", [since]).fetchall() == [(2,)]


def test_a_stream_is_never_flushed(tiny: Database) -> None:
    tiny.execute("CREATE STREAM TABLE s (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT) TTL 600")
    tiny.execute("INSERT INTO s (n) VALUES (1)")
    with pytest.raises(Error, match="STREAM"):
        tiny.flush("s")
    tiny.flush()
    assert tiny.execute("SELECT n FROM s").fetchall() == [(1,)]
    assert not files_of(tiny)


def test_in_memory_there_is_a_cold_tier_too() -> None:
    import kalamdb

    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(key, key) for key in range(100)])
        db.flush()
        db.execute("UPDATE t SET n = 0 WHERE id < 50")
        db.flush()
        db.compact()
        assert db.execute("SELECT count(*), sum(n) FROM t").fetchall() == [(100, sum(range(50, 100)))]


@pytest.mark.parametrize("cache_bytes", [0, 64 << 20])
def test_more_partitions_than_are_remembered_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    monkeypatch.setattr("kalamdb.engine.cold.tier.PARTITIONS_MAX", 2)
    db = world.open(cache_bytes=cache_bytes)
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT)")
    users = [f"user {number}" for number in range(7)]
    for turn in range(2):
        for number, user in enumerate(users):
            rows = [(turn * 10 + key, number) for key in range(5)]
            db.session(user).executemany("INSERT INTO t VALUES (?, ?)", rows)
        db.flush()
    for again in world.lives({"cache_bytes": cache_bytes}):
        for _ in range(2):
            for number, user in enumerate(users):
                session = again.session(user)
                assert session.execute("SELECT n FROM t WHERE id = 12").fetchall() == [(number,)]
                assert session.execute("SELECT count(*), sum(n) FROM t").fetchall() == [(10, 10 * number)]
                assert session.execute("UPDATE t SET n = n WHERE id = 3").rowcount == 1
        assert again.execute("SELECT count(*) FROM all_users.default.t").fetchall() == [(70,)]


def test_a_reader_that_a_flush_overtook_does_not_bring_the_manifest_before_back(world: World) -> None:
    db = world.open(cache_bytes=0)
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1)")
    db.flush()
    place = place_of(db, "t")
    overtaken = db.cold.find_manifest(place)
    db.execute("INSERT INTO t VALUES (2)")
    db.flush()

    assert db.cold.remember(place, overtaken).manifest.generation == 2
    db.cold.tell(place.table_id, b"")
    assert db.execute("SELECT id FROM (SELECT * FROM t) ORDER BY id").fetchall() == [(1,), (2,)]
    assert db.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
