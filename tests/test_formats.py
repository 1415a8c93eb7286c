"""Directories written by every format version so far open, with everything in them."""

import datetime
import decimal
import shutil
import uuid
from pathlib import Path

import pytest

import kalamdb

GOLDEN = sorted(path for path in (Path(__file__).parent / "formats").glob("v*") if path.is_dir())


def test_the_present_format_has_a_golden_directory():
    from kalamdb.engine.directory import FORMAT_VERSION

    assert f"v{FORMAT_VERSION}" in [path.name for path in GOLDEN]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_directory_of_an_older_format_opens_with_everything_in_it(golden, tmp_path):
    shutil.copytree(golden, tmp_path / "data")
    with kalamdb.open(tmp_path / "data") as db:
        rows = db.execute("SELECT * FROM app.notes ORDER BY id").fetchall()
        assert rows == [(1, "first", 1, "calm"), (2, "second", 20, "calm"), (4, "fourth", 2**63 - 1, "glad")]
        assert db.session("alice").execute("SELECT * FROM app.notes").fetchall() == [
            (1, "alice's", 1, "well")
        ]
        every, nulls = db.execute("SELECT * FROM app.every_type ORDER BY id").fetchall()
        assert every == (
            "all",
            True,
            -32768,
            2147483647,
            -(2**63),
            1.5,
            2.25,
            decimal.Decimal("12.3400"),
            b"\x00\xff",
            datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
            datetime.date(2025, 1, 2),
            datetime.time(23, 59, 59, 999999),
            uuid.UUID("12345678-1234-5678-1234-567812345678"),
            {"a": [1]},
        )
        assert nulls == ("nulls", *[None] * 13)
        assert db.execute("SELECT id FROM app.notes WHERE _deleted").fetchall() == [(3,)]
        assert db.execute("SELECT * FROM app.moods ORDER BY mood").fetchall() == [("calm", 2), ("glad", 1)]
        assert len(db.execute("DESCRIBE TABLE app.notes HISTORY").fetchall()) == 3
        assert db.execute("SELECT options FROM system.namespaces WHERE name = 'app'").fetchone() == (
            {"tier": "gold"},
        )
        db.execute(
            "INSERT INTO app.notes VALUES (5, 'fifth', 5, 'new'); INSERT INTO app.events (id) VALUES (1)"
        )
    with kalamdb.open(tmp_path / "data") as db:
        assert db.execute("SELECT count(*) FROM app.notes").fetchall() == [(4,)]


def test_the_present_format_has_a_golden_directory_with_rows_in_every_tier():
    from kalamdb.engine.directory import FORMAT_VERSION

    golden = Path(__file__).parent / "formats" / f"v{FORMAT_VERSION}-log2"
    assert (golden / "hot" / "checkpoint").is_file()
    assert list((golden / "hot").glob("*.arrow"))
    assert len(list((golden / "cold").rglob("manifest.json"))) == 3
    assert len(list((golden / "cold").rglob("segment-*.parquet"))) == 4
    assert list((golden / "wal").glob("*.log"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_what_an_older_format_holds_moves_on_through_the_tiers(golden, tmp_path):
    shutil.copytree(golden, tmp_path / "data")
    queries = (
        "SELECT * FROM app.notes ORDER BY id",
        "SELECT * FROM app.every_type ORDER BY id",
        "SELECT _user, id, body, mood FROM all_users.app.notes ORDER BY _user, id",
    )
    with kalamdb.open(tmp_path / "data") as db:
        wanted = [db.execute(sql).fetchall() for sql in queries]
        for move in (db.checkpoint, db.flush, db.compact):
            move()
            assert [db.execute(sql).fetchall() for sql in queries] == wanted
    with kalamdb.open(tmp_path / "data") as db:
        assert [db.execute(sql).fetchall() for sql in queries] == wanted


def test_the_log_of_each_format_has_what_is_new_in_it(tmp_path):
    from kalamcore.system import FileSystem
    from kalamcore.wal import Log

    found = {}
    for name in ("v1-tiers", "v1-log2"):
        shutil.copytree(Path(__file__).parent / "formats" / name / "wal", tmp_path / name)
        first = min((tmp_path / name).glob("*.log")).read_bytes()
        log = Log(FileSystem.posix(), str(tmp_path / name))
        found[name] = int.from_bytes(first[8:12], "little"), {kind for kind, _, _ in log.records}
        log.close()
    assert found == {"v1-tiers": (1, {1, 2}), "v1-log2": (2, {1, 2, 4})}
