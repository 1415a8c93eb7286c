"""USE_USER_STORAGE: a user's cold rows go to the user's own storage, and a storage that holds some stays."""

from __future__ import annotations

from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import DependentObjects, UndefinedObject


@pytest.fixture
def db(tmp_path: Path):
    with kalamdb.open(tmp_path / "d") as database:
        for name in ("here", "there", "unused"):
            database.execute(f"CREATE STORAGE {name} TYPE filesystem URI '{tmp_path}/{name}'")
        database.execute("CREATE USER ann; CREATE USER bob; CREATE USER cat")
        database.execute("ALTER USER ann SET STORAGE there, STORAGE MODE region")
        # A storage alone changes nothing, and neither does a mode alone.
        database.execute("ALTER USER bob SET STORAGE there; ALTER USER cat SET STORAGE MODE region")
        yield database


def folders(root: Path) -> set[str]:
    return {path.parent.name for path in root.rglob("*.parquet")}


@pytest.mark.parametrize(
    "option", ["USE_USER_STORAGE", "USE_USER_STORAGE TRUE", "USE_USER_STORAGE FALSE", ""]
)
def test_rows_go_where_table_and_user_say(db, tmp_path, option):
    db.execute(f"CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT) STORAGE here {option}")
    for name in ("ann", "bob", "cat", "dan"):
        db.session(name).execute("INSERT INTO notes VALUES (1, ?)", [name])
    db.flush("notes")
    own = option.startswith("USE_USER_STORAGE") and not option.endswith("FALSE")
    assert folders(tmp_path / "there") == ({"ann"} if own else set())
    assert folders(tmp_path / "here") == {"ann", "bob", "cat", "dan"} - ({"ann"} if own else set())
    for name in ("ann", "bob", "cat", "dan"):
        assert db.session(name).execute("SELECT body FROM notes").fetchall() == [(name,)]


def test_what_is_cold_stays_where_it_is_when_the_user_moves(db, tmp_path):
    db.execute("CREATE USER TABLE notes (id BIGINT PRIMARY KEY) USE_USER_STORAGE")
    db.session("ann").execute("INSERT INTO notes VALUES (1)")
    db.flush("notes")
    db.execute("ALTER USER ann SET STORAGE MODE table")
    db.session("ann").execute("INSERT INTO notes VALUES (2)")
    db.flush("notes")
    assert len(list((tmp_path / "there").rglob("*.parquet"))) == 2
    assert db.session("ann").execute("SELECT id FROM notes ORDER BY id").fetchall() == [(1,), (2,)]
    # Neither the user nor the table names it any more: its rows do.
    db.execute("UPDATE system.users SET storage_id = NULL")
    with pytest.raises(DependentObjects, match=r"default.notes"):
        db.execute("DROP STORAGE there")
    db.execute("DROP TABLE notes")
    db.execute("DROP STORAGE there")


def test_a_storage_of_a_user_cannot_be_dropped_or_moved(db, tmp_path):
    for sql in ("DROP STORAGE there", f"ALTER STORAGE there SET URI '{tmp_path}/elsewhere'"):
        with pytest.raises(DependentObjects, match="2 user"):
            db.execute(sql)
    db.execute("DROP STORAGE unused")
    with pytest.raises(UndefinedObject):
        db.execute("ALTER USER ann SET STORAGE unused")
