"""Compaction: each key once, tombstones for as long as they are kept, files that nothing names go."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from kalamdb.database import Database
from kalamdb.errors import Corruption, StorageInUse
from tests.engine.cold.tiny import PATH, START_US, Gate, World, files_of, place_of

HOUR_S = 3600


def stored(db: Database, table: str = "t") -> list[tuple[int, bool]]:
    """Every version in the segments that the manifest names: key and whether it is deleted."""
    place = place_of(db, table)
    loaded = db.cold.partition(place.table_id, b"")
    schema = db.catalog.table("default", table)
    reader = db.cold.reader("local")
    found = []
    for segment in loaded.segments:
        rows = reader.read_all(place.folder, segment.info, schema.columns)
        found += zip(rows.column("id").to_pylist(), rows.column("_deleted").to_pylist(), strict=True)
    return sorted(found)


@pytest.fixture
def filled(tiny: Database) -> Database:
    """Five rows, of which one was changed and one deleted after they were flushed."""
    tiny.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT) DELETED_RETENTION 2h")
    tiny.execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)")
    tiny.flush()
    tiny.execute("UPDATE t SET n = 20 WHERE id = 2")
    tiny.execute("DELETE FROM t WHERE id = 3")
    tiny.flush()
    return tiny


def test_superseded_versions_go_and_tombstones_stay_for_their_retention(
    filled: Database, world: World
) -> None:
    assert stored(filled) == [
        (1, False),
        (2, False),
        (2, False),
        (3, False),
        (3, True),
        (4, False),
        (5, False),
    ]
    filled.compact()
    assert stored(filled) == [(1, False), (2, False), (3, True), (4, False), (5, False)]
    rows = filled.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert rows == [(1, 1), (2, 20), (4, 4), (5, 5)]

    world.advance_s(2 * HOUR_S + 1)
    filled.compact()
    assert stored(filled) == [(1, False), (2, False), (4, False), (5, False)]
    assert filled.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
    assert filled.execute("SELECT count(*) FROM t").fetchall() == [(4,)]
    db = world.open()
    assert db.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
    db.execute("INSERT INTO t VALUES (3, 33)")
    db.flush()
    assert db.execute("SELECT n FROM t WHERE id = 3").fetchall() == [(33,)]


def test_a_partition_of_nothing_but_expired_tombstones_is_empty_and_takes_rows(
    filled: Database, world: World
) -> None:
    filled.execute("DELETE FROM t WHERE id > 0")
    filled.flush()
    world.advance_s(3 * HOUR_S)
    filled.compact()
    assert stored(filled) == []
    for db in world.lives({}):
        assert db.execute("SELECT * FROM t").fetchall() == []
        assert db.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    db.execute("INSERT INTO t VALUES (1, 100)")
    db.flush()
    assert db.execute("SELECT * FROM t").fetchall() == [(1, 100)]


def test_files_that_no_manifest_names_go_after_their_grace_time(filled: Database) -> None:
    folder = place_of(filled, "t").folder
    backend = filled.cold.backend("local")
    backend.write(f"{folder}/segment-1.parquet", b"what a crash left")
    backend.write(f"{folder}/another/segment-2.parquet", b"somebody else's")
    filled.cold.grace_s = 3600.0
    filled.compact()
    assert f"{folder}/segment-1.parquet" in files_of(filled)
    before = set(files_of(filled))
    filled.cold.grace_s = 0.0
    filled.compact()
    loaded = filled.cold.partition(place_of(filled, "t").table_id, b"")
    kept = {f"{folder}/{segment.info.file}" for segment in loaded.segments}
    assert kept <= set(files_of(filled))
    assert before - set(files_of(filled))
    assert f"{folder}/segment-1.parquet" not in files_of(filled)
    assert f"{folder}/another/segment-2.parquet" in files_of(filled)
    assert filled.execute("SELECT count(*) FROM t").fetchall() == [(4,)]


def test_a_partition_with_many_segments_is_compacted_by_its_flush(world: World) -> None:
    db = world.open()
    db.cold.segment_bytes_max = 1 << 20
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    for key in range(8):
        db.execute("INSERT INTO t VALUES (?)", [key])
        db.flush()
    assert place_of(db, "t").segments == 1
    assert stored(db) == [(key, False) for key in range(8)]


def test_the_segments_are_plain_parquet(filled: Database, world: World) -> None:
    filled.compact()
    read = filled.cold.backend("local").read
    place = place_of(filled, "t")
    names = [segment.info.file for segment in filled.cold.partition(place.table_id, b"").segments]
    rows = [
        row for name in names for row in pq.read_table(io.BytesIO(read(f"{place.folder}/{name}"))).to_pylist()
    ]
    assert [(row["id"], row["n"], row["_deleted"]) for row in rows][:2] == [(1, 1, False), (2, 20, False)]


WORKS: dict[str, Callable[[Database], object]] = {
    "read": lambda db: db.execute("SELECT * FROM t"),
    "insert": lambda db: db.execute("INSERT INTO t VALUES (1, 1)"),
    "compact": lambda db: db.compact("t"),
    "flush": lambda db: db.flush("t"),
}


@pytest.mark.parametrize("work", list(WORKS))
def test_a_manifest_that_is_gone_is_an_error_and_no_new_beginning(
    filled: Database, world: World, work: str
) -> None:
    filled.execute("INSERT INTO t VALUES (100, 100)")
    folder = place_of(filled, "t").folder
    for db in world.lives({}):
        for name in ("manifest.json", "manifest.previous.json"):
            db.cold.backend("local").delete(f"{folder}/{name}")
        db.cold.forget(place_of(db, "t").table_id, b"")

        with pytest.raises(Corruption, match=r"the manifest in default/t .* is missing"):
            WORKS[work](db)


def test_an_older_manifest_put_back_is_refused(filled: Database, world: World) -> None:
    place = place_of(filled, "t")
    backend = filled.cold.backend("local")
    old = backend.read(f"{place.folder}/manifest.previous.json")
    _, tag = backend.read_tagged(f"{place.folder}/manifest.json")
    db = world.open()
    db.cold.backend("local").replace(f"{place.folder}/manifest.json", old, tag)
    for work in (db.compact, lambda: db.execute("SELECT * FROM t").fetchall()):
        with pytest.raises(Corruption, match="older"):
            work()


def test_another_databases_folder_is_left_alone(world: World) -> None:
    import kalamdb.database
    from kalamcore.system import Clock
    from kalamdb.settings import Settings

    first = world.open()
    first.execute("CREATE STORAGE s TYPE filesystem URI '/elsewhere'")
    first.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) STORAGE s")
    first.execute("INSERT INTO t VALUES (1)")
    first.flush()
    other = kalamdb.database.Database(world.files, "/second", Settings(), clock=Clock.manual(START_US))
    other.execute("CREATE STORAGE s TYPE filesystem URI '/elsewhere'")
    other.execute("CREATE TABLE t (id BIGINT PRIMARY KEY) STORAGE s")
    other.execute("INSERT INTO t VALUES (2)")
    assert other.execute("SELECT id FROM t").fetchall() == [(2,)]
    with pytest.raises(StorageInUse, match="belongs to the database"):
        other.flush()
    assert other.execute("SELECT id FROM t").fetchall() == [(2,)]
    assert first.execute("SELECT id FROM t").fetchall() == [(1,)]
    other.close()
    assert PATH != "/second"


def test_a_killed_compaction_leaves_everything_as_it_was(filled: Database) -> None:
    gate = Gate(filled)
    gate.holds = {"write"}
    before = stored(filled)
    (job_id, *_) = filled.execute("STORAGE COMPACT TABLE t").fetchone()
    assert gate.reached.wait(30)
    filled.execute(f"KILL JOB '{job_id}'")
    gate.let_go.set()
    assert filled.jobs.wait(job_id, 30).status.value == "cancelled"
    gate.holds = set()
    assert stored(filled) == before
    assert filled.execute("SELECT * FROM t ORDER BY id").fetchall() == [(1, 1), (2, 20), (4, 4), (5, 5)]
    filled.compact()
    filled.compact()
    loaded = filled.cold.partition(place_of(filled, "t").table_id, b"")
    assert loaded.manifest.generation > 2
