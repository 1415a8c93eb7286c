"""check finds every kind of damage to what is cold, and repair says what it drops before it does."""

from __future__ import annotations

from pathlib import Path

import pytest

import kalamdb
from tests.backup.world import USERS, fill, shown


@pytest.fixture
def cold(directory: Path) -> Path:
    """The storage of a closed database with two generations of segments in each partition."""
    with kalamdb.open(directory) as db:
        fill(db)
        db.flush()
    return directory / "cold"


def found(directory: Path) -> list[tuple[str, str]]:
    """Kinds and files of what check finds."""
    return [(one.kind, one.file) for one in kalamdb.check(directory)]


def test_a_sound_database_has_nothing(cold, directory):
    assert found(directory) == []
    assert str(kalamdb.repair(directory)) == "nothing to repair"


def test_every_file_that_readers_need_is_looked_at(cold, directory):
    files = [path for path in cold.rglob("*") if path.is_file() and path.name != "manifest.previous.json"]
    assert len(files) > 8
    for path in files:
        kept = path.read_bytes()
        for damage in (
            kept[: len(kept) // 2] + bytes([kept[len(kept) // 2] ^ 1]) + kept[len(kept) // 2 + 1 :],
            kept[:-1],
            b"",
            None,
        ):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            assert found(directory) == [("cold", f"local:{path.relative_to(cold)}")]
            path.write_bytes(kept)
    assert found(directory) == []


def test_a_manifest_of_an_earlier_time_and_files_that_changed_places_are_found(cold, directory):
    alice, bob = cold / "app" / "notes" / "alice", cold / "app" / "notes" / "bob"
    manifest = alice / "manifest.json"
    kept = manifest.read_bytes()
    manifest.write_bytes((alice / "manifest.previous.json").read_bytes())
    assert found(directory) == [("cold", "local:app/notes/alice/manifest.json")]
    with kalamdb.open(directory) as db, pytest.raises(kalamdb.errors.Corruption, match="an older one"):
        db.session("alice").execute("SELECT * FROM app.notes")
    manifest.write_bytes(kept)
    one, other = min(alice.glob("*.parquet")), min(bob.glob("*.parquet"))
    mine, theirs = one.read_bytes(), other.read_bytes()
    one.write_bytes(theirs)
    other.write_bytes(mine)

    assert len(found(directory)) == 2


def test_repair_drops_a_damaged_segment_and_keeps_the_others(cold, directory):
    with kalamdb.open(directory) as db:
        before = shown(db)
    folder = cold / "app" / "notes" / "alice"
    _, second = sorted(folder.glob("*.parquet"))
    second.write_bytes(second.read_bytes()[:-1])
    planned = kalamdb.repair(directory)
    assert planned.cold == (f"local:app/notes/alice/{second.name}: 4 row(s) that cannot be read",)
    assert found(directory) != []

    done = kalamdb.repair(directory, apply=True)

    assert done.applied
    assert done.cold == ('app/notes/alice of storage "local": 4 row(s) that could not be read were dropped',)
    assert found(directory) == []
    with kalamdb.open(directory) as db:
        after = shown(db)
        assert [row[0] for row in after["alice"]] == list(range(9))
        assert {name: rows for name, rows in after.items() if "alice" not in name} == {
            name: rows for name, rows in before.items() if "alice" not in name
        }


@pytest.mark.parametrize("with_previous", [True, False])
def test_repair_goes_back_to_the_manifest_before_where_there_is_one(cold, directory, with_previous):
    folder = cold / "app" / "notes" / "alice"
    (folder / "manifest.json").write_bytes(b"{}")
    if not with_previous:
        (folder / "manifest.previous.json").unlink()
    done = kalamdb.repair(directory, apply=True)

    assert len(done.cold) == 1
    assert found(directory) == []
    with kalamdb.open(directory) as db:
        rows = db.session("alice").execute("SELECT id FROM app.notes").fetchall()
        assert sorted(rows) == ([(number,) for number in range(9)] if with_previous else [])
        db.session("alice").execute("INSERT INTO app.notes (id, body) VALUES (77, 'goes on')")
        db.flush()
        for user in USERS:
            db.session(user).execute("SELECT * FROM app.notes").fetchall()
    assert found(directory) == []
