"""A storage whose directory is away, as a disk that is not mounted: statements that need it say so, others go on,
nothing is written in its place, and when it is back everything is as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import Corruption, StorageUnavailable


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return tmp_path / "far"


@pytest.fixture
def world(directory, far):
    """Opens the database: USER table app.letters in the storage `far`, SHARED app.notes in `local`, all rows cold."""
    with kalamdb.open(directory) as db:
        db.execute(f"CREATE NAMESPACE app; CREATE STORAGE far TYPE filesystem URI '{far}'")
        db.execute("CREATE USER TABLE app.letters (id BIGINT PRIMARY KEY, body TEXT) STORAGE far")
        db.execute("CREATE TABLE app.notes (id BIGINT PRIMARY KEY)")
        db.session("alice").executemany(
            "INSERT INTO app.letters VALUES (?, ?)", [(n, f"letter {n}") for n in range(0, 200, 2)]
        )
        db.session("bob").execute("INSERT INTO app.letters VALUES (1, 'of bob')")
        db.execute("INSERT INTO app.notes VALUES (1), (2)")
        db.flush()
    opened: list[kalamdb.Database] = []

    def reopen() -> kalamdb.Database:
        for one in opened:
            one.close()
        opened.append(kalamdb.open(directory))
        return opened[-1]

    yield reopen
    for one in opened:
        one.close()


def unmounted(far: Path) -> None:
    """The directory is away, and nothing in its place."""
    far.rename(far.with_name("away"))


def empty(far: Path) -> None:
    """As a mount point shows itself while nothing is mounted."""
    far.rename(far.with_name("away"))
    far.mkdir()


def back(far: Path) -> None:
    if far.exists():
        assert list(far.iterdir()) == []
        far.rmdir()
    far.with_name("away").rename(far)


AWAY = pytest.mark.parametrize("take_away", [unmounted, empty])
NEEDED = [
    "SELECT * FROM app.letters WHERE id = 4",
    "SELECT count(*) FROM app.letters",
    "SELECT body FROM app.letters ORDER BY id LIMIT 1",
    "SELECT sum(id) FROM app.letters",
    "INSERT INTO app.letters VALUES (4, 'again')",
    "UPDATE app.letters SET body = 'changed' WHERE id = 4",
    "DELETE FROM app.letters WHERE body LIKE 'letter%'",
]


@AWAY
@pytest.mark.parametrize("sql", NEEDED)
def test_statements_that_need_it_fail_and_name_it(world, far, take_away, sql):
    take_away(far)
    alice = world().session("alice")

    with pytest.raises(StorageUnavailable, match='storage "far" is unavailable') as caught:
        alice.execute(sql)

    assert caught.value.code == "STORAGE_UNAVAILABLE"
    assert str(far) not in str(caught.value)


@AWAY
def test_others_go_on_and_when_it_is_back_everything_is_there(world, far, take_away):
    take_away(far)
    db = world()
    alice, carol = db.session("alice"), db.session("carol")
    assert db.execute("SELECT count(*) FROM app.notes").fetchone() == (2,)
    carol.execute("INSERT INTO app.letters VALUES (1, 'of carol')")
    assert carol.execute("SELECT body FROM app.letters").fetchall() == [("of carol",)]
    assert alice.execute("SHOW TABLES IN app").fetchall() != []
    assert db.stats()["cold_rows"] == 103
    for sql in NEEDED:
        with pytest.raises(StorageUnavailable):
            alice.execute(sql)

    back(far)
    assert alice.execute("SELECT count(*), sum(id) FROM app.letters").fetchone() == (100, 9900)
    assert alice.execute("UPDATE app.letters SET body = 'changed' WHERE id = 4").rowcount == 1
    db.flush()
    db = world()
    assert db.session("alice").execute("SELECT body FROM app.letters WHERE id = 4").fetchone() == ("changed",)
    assert db.session("carol").execute("SELECT body FROM app.letters").fetchall() == [("of carol",)]
    assert db.execute("SELECT count(*) FROM all_users.app.letters").fetchone() == (102,)


@AWAY
@pytest.mark.parametrize("who", ["alice", "carol"])
def test_a_flush_does_not_begin_anew_where_its_files_are_away(world, far, take_away, who):
    db = world()
    # With the manifest in memory a key beyond all of its segments is known to be new.
    assert db.execute("SELECT count(*) FROM all_users.app.letters").fetchone() == (101,)
    take_away(far)
    db.session(who).execute("INSERT INTO app.letters VALUES (1001, 'while it was away')")

    with pytest.raises(StorageUnavailable, match='storage "far" is unavailable'):
        db.flush("app.letters")

    assert not far.exists() or list(far.iterdir()) == []
    back(far)
    db.flush("app.letters")
    db = world()
    assert db.execute("SELECT count(*) FROM all_users.app.letters").fetchone() == (102,)
    assert db.session(who).execute("SELECT body FROM app.letters WHERE id = 1001").fetchall() == [
        ("while it was away",)
    ]


def test_a_compaction_does_not_begin_anew_either(world, far):
    db = world()
    db.session("alice").execute("INSERT INTO app.letters VALUES (1001, 'more')")
    db.flush()
    unmounted(far)
    db = world()
    with pytest.raises(StorageUnavailable):
        db.compact("app.letters")
    back(far)
    db.compact("app.letters")

    assert db.session("alice").execute("SELECT count(*) FROM app.letters").fetchone() == (101,)


def test_a_storage_that_is_made_anew_elsewhere_begins_empty(world, far, tmp_path):
    db = world()
    db.execute("DROP TABLE app.letters; DROP STORAGE far")
    db.execute(f"CREATE STORAGE far TYPE filesystem URI '{tmp_path / 'elsewhere'}'")
    db.execute("CREATE USER TABLE app.letters (id BIGINT PRIMARY KEY, body TEXT) STORAGE far")
    db.session("alice").execute("INSERT INTO app.letters VALUES (1, 'first')")
    db.flush("app.letters")

    assert len(list((tmp_path / "elsewhere").rglob("*.parquet"))) == 1
    assert db.session("alice").execute("SELECT body FROM app.letters").fetchall() == [("first",)]


def test_a_storage_that_another_table_wrote_to_is_not_begun_anew(world, far):
    db = world()
    db.execute("CREATE TABLE app.words (id BIGINT PRIMARY KEY) STORAGE far; INSERT INTO app.words VALUES (1)")
    unmounted(far)
    with pytest.raises(StorageUnavailable):
        db.flush("app.words")
    assert not far.exists()
    back(far)
    db.flush("app.words")

    assert (far / "app" / "words" / "manifest.json").exists()
    assert world().execute("SELECT id FROM app.words").fetchall() == [(1,)]


def test_a_manifest_that_was_lost_alone_is_corruption_for_reads_and_flushes(world, far):
    (far / "app" / "letters" / "alice" / "manifest.json").unlink()
    db = world()
    alice = db.session("alice")
    with pytest.raises(Corruption, match=r"manifest.* is missing, and was there"):
        alice.execute("SELECT count(*) FROM app.letters")
    db.session("bob").execute("INSERT INTO app.letters VALUES (2, 'more')")
    db.flush("app.letters")
    with pytest.raises(Corruption):
        alice.execute("INSERT INTO app.letters VALUES (1001, 'new')")

    assert db.session("bob").execute("SELECT count(*) FROM app.letters").fetchone() == (2,)
    assert len(list((far / "app" / "letters" / "alice").glob("*.parquet"))) == 1


def test_a_manifest_of_an_older_backup_is_corruption(world, far, tmp_path):
    shutil.copytree(far, tmp_path / "backup")
    db = world()
    db.session("alice").execute("INSERT INTO app.letters VALUES (1001, 'newer')")
    db.flush()
    db.close()
    shutil.rmtree(far)
    shutil.copytree(tmp_path / "backup", far)

    with pytest.raises(Corruption, match="is an older one than was there"):
        world().session("alice").execute("SELECT count(*) FROM app.letters")


def test_a_removal_that_a_crash_ended_is_over_although_the_storage_is_empty_by_now(world, far, monkeypatch):
    """All files of a dropped table were removed, and the log did not learn of it: the storage has none, as if it were
    not mounted, and this time that is right."""
    from kalamdb.engine.cold.places import ColdPlaces
    from kalamdb.engine.jobs import CLEAN, JobRequest

    db = world()
    table_id = db.catalog.table("app", "letters").table_id
    forget = ColdPlaces.remove

    def crash(*arguments):
        raise RuntimeError("the power goes")

    monkeypatch.setattr(ColdPlaces, "remove", crash)
    db.execute("DROP TABLE app.letters")
    with pytest.raises(kalamdb.Error):
        db.jobs.run_all([JobRequest(CLEAN, "app", "letters", {"table_id": table_id})])
    assert [path for path in far.rglob("*") if path.is_file()] == []
    monkeypatch.setattr(ColdPlaces, "remove", forget)
    db = world()
    db.jobs.run_all([JobRequest(CLEAN, "app", "letters", {"table_id": table_id})])
    assert db.cold.places.of_table(table_id) == {}
    db.execute("DROP STORAGE far")


def test_a_removal_does_not_begin_where_the_storage_is_away(world, far):
    from kalamdb.engine.jobs import CLEAN, JobRequest

    db = world()
    table_id = db.catalog.table("app", "letters").table_id
    empty(far)
    db.execute("DROP TABLE app.letters")
    request = JobRequest(CLEAN, "app", "letters", {"table_id": table_id})
    with pytest.raises(StorageUnavailable):
        db.jobs.run_all([request])
    assert db.cold.places.of_table(table_id) != {}
    back(far)
    db.jobs.run_all([request])
    assert [path for path in far.rglob("*") if path.is_file()] == []
