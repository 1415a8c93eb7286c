"""Many small partitions are flushed and compacted together; whatever ends the job, each is done whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

import pytest

from kalamdb.database import Database
from kalamdb.engine.cold import flush_table, groups
from kalamdb.engine.cold.compaction import again
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.engine.segments import commit
from kalamdb.errors import Error, JobCancelled, StorageConflict, StorageOutcomeUnknown, StorageUnavailable
from tests.engine.cold.tiny import World, files_of, place_of

USERS = [f"user{number:02}" for number in range(40)]
GROUP = 10


@pytest.fixture
def many(tiny: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Hot rows of forty users, to be flushed ten at a time."""
    monkeypatch.setattr(groups, "GROUP_PARTITIONS", GROUP)
    tiny.jobs._delay = RetryDelay(first_s=1000.0)
    tiny.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT)")
    for number, user in enumerate(USERS):
        tiny.session(user).executemany(
            "INSERT INTO t VALUES (?, 0)", [(key,) for key in range(number % 7 + 1)]
        )
    return tiny


def rows_of(db: Database) -> list[int]:
    return [db.session(user).execute("SELECT count(*) FROM t").fetchone()[0] for user in USERS]


EXPECTED = [number % 7 + 1 for number in range(len(USERS))]


def flushed(db: Database) -> list[str]:
    """Those whose rows are cold, all of them."""
    found = []
    for user, rows in zip(USERS, EXPECTED, strict=True):
        place = place_of(db, "t", user)
        if place is not None and place.rows:
            assert place.rows == rows
            found.append(user)
    return found


class Between:
    """Stands before a database's storage and lets a test change what is asked of it."""

    def __init__(self, db: Database) -> None:
        self.behind: Any = db.cold.backend("local")
        self.asked: list[tuple[str, int]] = []
        db.cold.backend = lambda wanted: self  # type: ignore

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        self.asked.append(("write", len(files)))
        return self.behind.write_all(files)  # type: ignore[no-any-return]

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        if files:
            self.asked.append(("replace", len(files)))
        return self.behind.replace_all(files)  # type: ignore[no-any-return]


def test_a_group_is_written_in_one_go_and_committed_in_another(many: Database) -> None:
    between = Between(many)
    many.flush("t")

    files = sum(-(-rows // 3) for rows in EXPECTED)
    assert [verb for verb, _ in between.asked] == ["write", "replace"] * 4
    assert sum(count for verb, count in between.asked if verb == "write") == files
    assert [count for verb, count in between.asked if verb == "replace"] == [GROUP] * 4
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED


def test_manifests_that_are_superseded_are_kept_before_any_is_replaced(many: Database) -> None:
    many.flush("t")
    for user in USERS:
        many.session(user).execute("INSERT INTO t VALUES (100, 1)")
    between = Between(many)
    many.flush("t")

    assert [verb for verb, _ in between.asked] == ["write", "replace", "replace"] * 4
    assert len(files_of(many, "manifest.previous.json")) == len(USERS)
    assert rows_of(many) == [rows + 1 for rows in EXPECTED]


def test_few_partitions_and_large_ones_go_by_themselves(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "SMALL_ROWS", 6)
    between = Between(many)
    many.flush("t")
    assert sum(count for verb, count in between.asked if verb == "replace") == sum(
        rows <= 6 for rows in EXPECTED
    )
    many.cold.together_min = len(USERS) + 1
    between.asked.clear()
    for user in USERS:
        many.session(user).execute("INSERT INTO t VALUES (100, 1)")
    many.flush("t")
    assert not between.asked
    assert rows_of(many) == [rows + 1 for rows in EXPECTED]


@pytest.mark.parametrize("method", ["write_all", "replace_all"])
def test_a_file_that_fails_holds_back_its_own_partition_alone(
    many: Database, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    between = Between(many)
    all_of = getattr(between.behind, method)

    def failing(files: Sequence[Any]) -> list[Any]:
        passing = [file for file in files if "/user03/" not in file[0]]
        answers = iter(all_of(passing))
        return [
            next(answers) if file in passing else StorageUnavailable("the disk went away; bring it back")
            for file in files
        ]

    monkeypatch.setattr(between, method, failing)
    with pytest.raises(StorageUnavailable, match="went away"):
        many.flush("t")
    # Of the next group nothing was written.
    assert flushed(many) == [user for user in USERS[:GROUP] if user != "user03"]
    assert rows_of(many) == EXPECTED
    monkeypatch.undo()
    many.flush("t")
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED


def test_a_manifest_that_somebody_replaced_meanwhile_is_read_and_followed(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.flush("t")
    for user in USERS:
        many.session(user).execute("INSERT INTO t VALUES (100, 1)")
    between = Between(many)
    write_all = between.behind.write_all

    def overtaken(files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        place = place_of(many, "t", "user03")
        if any(path.startswith(f"{place.folder}/segment") for path, _ in files):
            found = many.cold.find_manifest(place)
            assert found.manifest is not None
            commit(between.behind, place.folder, found, again(found.manifest))
        return write_all(files)  # type: ignore[no-any-return]

    monkeypatch.setattr(between, "write_all", overtaken)
    many.flush("t")
    assert place_of(many, "t", "user03").generation == 3
    assert rows_of(many) == [rows + 1 for rows in EXPECTED]


def test_a_job_that_is_stopped_leaves_the_rest_hot(many: Database) -> None:
    class Stopping:
        def __init__(self) -> None:
            self.parameters: dict[str, Any] = {}
            self.checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks > 15:
                raise JobCancelled("stopped")

        def progress(self, rows: int, size: int) -> None:
            pass

    context: Any = Stopping()
    schema = many.catalog.table("default", "t")
    assert schema is not None
    with pytest.raises(JobCancelled):
        flush_table(many.cold, schema, context)
    # What was made ready by then is flushed.
    assert flushed(many) == USERS[:15]
    assert rows_of(many) == EXPECTED
    many.flush("t")
    assert flushed(many) == USERS
    assert rows_of(many) == EXPECTED


@pytest.fixture
def superseded(many: Database) -> Database:
    """The same, flushed twice, so that every partition has a row of two versions."""
    many.flush("t")
    for user in USERS:
        many.session(user).execute("UPDATE t SET n = 1 WHERE id = 0")
    many.flush("t")
    return many


def compacted(db: Database) -> list[str]:
    """Those of which the cold tier has each key once."""
    found = []
    for user, rows in zip(USERS, EXPECTED, strict=True):
        place = place_of(db, "t", user)
        if place.rows == rows:
            assert db.cold.partition(place.table_id, user.encode()).place == place
            found.append(user)
        else:
            assert place.rows == rows + 1
    return found


def changed_of(db: Database) -> list[tuple[int, int]]:
    """How many rows each user has, and how many of them were changed."""
    counts = "SELECT count(*), sum(n) FROM t"
    return [db.session(user).execute(counts).fetchone() for user in USERS]


CHANGED = [(rows, 1) for rows in EXPECTED]


def test_a_compaction_writes_many_at_a_time(superseded: Database) -> None:
    between = Between(superseded)
    superseded.compact("t")
    assert [verb for verb, _ in between.asked] == ["write", "replace", "replace"] * 4
    assert [count for verb, count in between.asked if verb == "replace"] == [GROUP] * 8
    assert compacted(superseded) == USERS
    assert changed_of(superseded) == CHANGED
    # There is nothing more to gain.
    between.asked.clear()
    superseded.compact("t")
    assert [count for _, count in between.asked if count] == []


@pytest.mark.parametrize("method", ["write_all", "replace_all"])
def test_a_compaction_that_fails_holds_back_its_own_partition_alone(
    superseded: Database, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    between = Between(superseded)
    all_of = getattr(between.behind, method)

    def failing(files: Sequence[Any]) -> list[Any]:
        passing = [file for file in files if "/user03/" not in file[0]]
        answers = iter(all_of(passing))
        return [
            next(answers) if file in passing else StorageUnavailable("the disk went away; bring it back")
            for file in files
        ]

    monkeypatch.setattr(between, method, failing)
    with pytest.raises(StorageUnavailable, match="went away"):
        superseded.compact("t")
    assert compacted(superseded) == [user for user in USERS[:GROUP] if user != "user03"]
    assert changed_of(superseded) == CHANGED
    monkeypatch.undo()
    superseded.compact("t")
    assert compacted(superseded) == USERS
    assert changed_of(superseded) == CHANGED


def test_a_compaction_whose_manifest_may_have_come_is_committed_once_more(
    superseded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place_of(superseded, "t", "user03").generation
    between = Between(superseded)
    replace_all = between.behind.replace_all

    def unsure(files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        answers: list[str | Error] = replace_all(files)
        return [
            StorageOutcomeUnknown("no answer came; read it again")
            if file[0].endswith("/user03/manifest.json")
            else answer
            for file, answer in zip(files, answers, strict=True)
        ]

    monkeypatch.setattr(between, "replace_all", unsure)
    superseded.compact("t")
    assert place_of(superseded, "t", "user03").generation == before + 2
    assert compacted(superseded) == USERS
    assert changed_of(superseded) == CHANGED


def test_a_compaction_that_is_overtaken_leaves_its_partition_as_it_is(
    superseded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(superseded)
    write_all = between.behind.write_all

    def overtaken(files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        place = place_of(superseded, "t", "user03")
        if any(path.startswith(f"{place.folder}/segment") for path, _ in files):
            found = superseded.cold.find_manifest(place)
            assert found.manifest is not None
            commit(between.behind, place.folder, found, again(found.manifest))
        return write_all(files)  # type: ignore[no-any-return]

    monkeypatch.setattr(between, "write_all", overtaken)
    with pytest.raises(StorageConflict):
        superseded.compact("t")
    assert compacted(superseded) == [user for user in USERS[:GROUP] if user != "user03"]
    assert changed_of(superseded) == CHANGED
    monkeypatch.undo()
    superseded.compact("t")
    assert compacted(superseded) == USERS
    assert changed_of(superseded) == CHANGED


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_directory", "make_directory"])
def test_a_disk_that_fails_amid_a_first_flush_loses_nothing(
    many: Database, world: World, operation: str
) -> None:
    """Folders that are made in vain must not pass for durable ones later."""
    many.checkpoint()
    for at in range(1, 90, 11):
        files = world.files.crash("none")
        db = Database(files, "/database", many.settings, clock=world.clock)
        files.fail([operation], at=at, errno=errno.EIO)
        try:
            db.flush("t")
        except Error:
            files.forgive()
            # It may have been a hot segment that failed.
            files = files.crash("none")
            db = Database(files, "/database", many.settings, clock=world.clock)
            db.flush("t")
        db = Database(files.crash("all"), "/database", many.settings, clock=world.clock)
        assert rows_of(db) == EXPECTED
        db.close()
