"""What a dropped table had in its storage is removed, by a job, and after a crash by the next opening."""

from __future__ import annotations

from pathlib import Path

import kalamdb
from kalamdb.database import Database
from tests.backup.test_crashes import settled
from tests.backup.world import fill, shown


def files(directory: Path) -> list[str]:
    """Everything in the storage `local`."""
    cold = directory / "cold"
    return sorted(str(path.relative_to(cold)) for path in cold.rglob("*") if path.is_file())


def test_the_files_of_a_dropped_table_go_and_those_of_others_stay(db, directory):
    fill(db)
    db.flush()
    others = [path for path in files(directory) if path.startswith("app/rates")]
    db.execute("DROP TABLE app.notes")
    settled(db)
    jobs = db.execute(
        "SELECT job_type, table_name, status FROM system.jobs WHERE job_type = 'clean'"
    ).fetchall()

    assert files(directory) == others
    assert jobs == [("clean", "notes", "completed")]
    assert not (directory / "cold" / "app" / "notes").exists()


def test_a_namespace_goes_with_all_files(db, directory):
    fill(db)
    db.execute("DROP VIEW app.short")
    db.execute("DROP NAMESPACE app CASCADE")
    settled(db)

    assert files(directory) == []


def test_what_a_crash_kept_from_being_removed_goes_at_the_next_opening(db, directory, monkeypatch):
    fill(db)
    monkeypatch.setattr(Database, "clean", lambda self, dropped, actor: None)
    db.execute("DROP TABLE app.notes")
    monkeypatch.undo()
    db.close()
    assert any(path.startswith("app/notes") for path in files(directory))
    with kalamdb.open(directory) as again:
        settled(again)
        assert not any(path.startswith("app/notes") for path in files(directory))
        assert again.execute("SELECT count(*) FROM app.rates").fetchall() == [(2,)]
    with kalamdb.open(directory) as again:
        assert again._jobs is None


def test_a_table_of_the_same_name_keeps_its_rows(db, directory, monkeypatch):
    fill(db)
    monkeypatch.setattr(Database, "clean", lambda self, dropped, actor: None)
    db.execute("DROP VIEW app.short")
    db.execute("DROP NAMESPACE app CASCADE")
    monkeypatch.undo()
    fill(db)
    db.flush()
    before = shown(db)
    db.close()
    with kalamdb.open(directory) as again:
        settled(again)
        assert shown(again) == before
    assert kalamdb.check(directory) == []
