"""Statements about jobs, with functions of the tests' own behind them."""

from __future__ import annotations

import threading

import pytest

import kalamdb
from kalamdb.errors import (
    AccessDenied,
    InvalidDefinition,
    StorageUnavailable,
    UndefinedNamespace,
    UndefinedObject,
    UndefinedTable,
)


@pytest.fixture
def world(db):
    """Tables of every kind in two namespaces, a view, and jobs that remember what they were asked for."""
    db.execute("CREATE NAMESPACE app; CREATE NAMESPACE other")
    db.execute("CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY)")
    db.execute("CREATE SHARED TABLE app.words (id BIGINT PRIMARY KEY)")
    db.execute("CREATE STREAM TABLE app.typing (id BIGINT PRIMARY KEY AUTO_INCREMENT) TTL 60")
    db.execute("CREATE SHARED TABLE other.words (id BIGINT PRIMARY KEY)")
    db.execute("CREATE VIEW app.seen AS SELECT id FROM app.words")
    for job_type in ("flush", "compact"):
        db.jobs.register(job_type, lambda context: f"{context.request.job_type} for {context.actor}")
    return db


def done(db, job_ids):
    return [db.jobs.wait(job_id) for job_id in job_ids]


@pytest.mark.parametrize("word", ["flush", "compact"])
def test_each_answers_at_once_with_one_row_a_table(world, word):
    all_tables = [("app", "notes"), ("app", "words"), ("other", "words")]
    robot = world.session("robot", role="service")
    for sql, tables in (
        (f"STORAGE {word} TABLE app.words", all_tables[1:2]),
        (f"STORAGE {word} ALL", all_tables),
        (f"STORAGE {word} ALL IN app", all_tables[:2]),
        (f"STORAGE {word} ALL IN default", []),
    ):
        result = robot.execute(sql)
        rows = result.fetchall()

        assert result.columns == ("job_id", "namespace_id", "table_name")
        assert [row[1:] for row in rows] == tables
        assert [job.result for job in done(world, [row[0] for row in rows])] == [f"{word} for robot"] * len(
            tables
        )


def test_the_short_form_takes_the_namespace_of_the_session(world):
    session = world.session("robot", role="service", namespace="other")
    ((_, namespace, table),) = session.execute("FLUSH TABLE words").fetchall()

    assert (namespace, table) == ("other", "words")


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("FLUSH TABLE app.nowhere", UndefinedTable, 'relation "app.nowhere" does not exist'),
        ("STORAGE COMPACT TABLE nowhere", UndefinedTable, 'relation "nowhere" does not exist'),
        ("FLUSH TABLE system.jobs", UndefinedTable, "does not exist"),
        ("FLUSH TABLE all_users.app.notes", UndefinedTable, "does not exist"),
        ("FLUSH TABLE _kalam.jobs", UndefinedTable, "does not exist"),
        ("FLUSH TABLE app.seen", InvalidDefinition, '"app.seen" is a view; flush the tables that it reads'),
        ("STORAGE COMPACT TABLE app.typing", InvalidDefinition, "app.typing is a STREAM table; .* compact"),
        ("STORAGE FLUSH ALL IN nowhere", UndefinedNamespace, 'namespace "nowhere" does not exist'),
    ],
)
def test_what_cannot_be_flushed_is_refused_and_no_job_is_made(world, sql, error, message):
    with pytest.raises(error, match=message):
        world.execute(sql)
    assert world.execute("SHOW JOBS").fetchall() == []


def test_jobs_are_shown_the_newest_first_in_the_columns_of_system_jobs(world):
    world.flush("app.notes")
    world.compact("app.notes")
    shown = world.execute("SHOW JOBS")

    assert [row[1] for row in shown.fetchall()] == ["compact", "flush"]
    table = world.execute("SELECT * FROM system.jobs ORDER BY created_at DESC, job_id DESC")
    assert shown.columns == table.columns
    rows = table.fetchall()
    assert [row[2] for row in rows] == ["completed", "completed"]
    assert rows == world.execute("SHOW JOBS").fetchall()
    assert shown.arrow().schema.types == table.arrow().schema.types


def test_a_user_sees_its_own_jobs_and_the_others_see_all(world):
    world.jobs.register("export", lambda context: "done")
    for actor in ("alice", "bob"):
        world.jobs.wait(world.jobs.submit("export", actor=actor))
    world.flush("app.notes")

    def seen(user, role=None):
        session = world.session(user, role=role)
        shown = len(session.execute("SHOW JOBS").fetchall())
        for sql in (
            "SELECT job_id FROM system.jobs",
            "SELECT j.job_id FROM system.jobs AS j JOIN system.jobs AS k ON j.job_id = k.job_id",
            "SELECT (SELECT max(job_id) FROM system.jobs), job_id FROM system.jobs WHERE created_at IS NOT NULL",
        ):
            assert len(session.execute(sql).fetchall()) == shown
        return shown

    assert [seen("alice"), seen("bob"), seen("eve")] == [1, 1, 0]
    assert [seen("robot", "service"), seen("boss", "dba"), seen("root")] == [3, 3, 3]
    world.execute("CREATE VIEW app.all_jobs AS SELECT job_id FROM system.jobs")
    assert len(world.session("eve").execute("SELECT * FROM app.all_jobs").fetchall()) == 0


def test_a_killed_job_is_cancelled_and_one_that_ended_stays_as_it_is(world):
    begun = threading.Event()

    def function(context):
        begun.set()
        while True:
            context.check()

    world.jobs.register("flush", function)
    ((job_id, _, _),) = world.execute("FLUSH TABLE app.notes").fetchall()
    assert begun.wait(30)
    for user, role in (("alice", None), ("robot", "service")):
        with pytest.raises(AccessDenied):
            world.session(user, role=role).execute(f"KILL JOB '{job_id}'")
    killed = world.session("boss", role="dba").execute(f"KILL JOB '{job_id}'")

    assert killed.rowcount == 1
    assert world.jobs.wait(job_id).status == "cancelled"
    (row,) = world.execute("SELECT status, error, finished_at IS NULL FROM system.jobs").fetchall()
    assert row == ("cancelled", None, False)
    world.compact("app.notes")
    ended = world.execute("SELECT job_id FROM system.jobs WHERE job_type = 'compact'").fetchone()[0]
    again = world.execute(f"KILL JOB '{ended}'")
    assert (again.rowcount, again.message) == (0, f"Job {ended} has completed already")


@pytest.mark.parametrize("job_id", ["", "x" * 10_000, "a\nb", "\u202e", "' OR 1=1"])
def test_hostile_ids_are_refused_in_a_short_line(world, job_id):
    quoted = job_id.replace("'", "''")
    with pytest.raises(UndefinedObject, match="does not exist; SHOW JOBS") as caught:
        world.execute(f"KILL JOB '{quoted}'")
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()


def test_the_python_calls_wait_and_raise(world):
    world.flush()
    world.compact("app.words")
    assert len(world.execute("SHOW JOBS").fetchall()) == 4

    def gone(context):
        raise StorageUnavailable("the storage did not answer")

    world.jobs.register("flush", gone, retries=False)
    with pytest.raises(StorageUnavailable, match="did not answer"):
        world.flush("app.words")
    with pytest.raises(UndefinedTable):
        world.flush("app.nowhere")
    with pytest.raises(InvalidDefinition, match="STREAM"):
        world.flush("app.typing")


def test_a_flush_in_a_transaction_leaves_the_transaction_as_it_is(world):
    world.execute("BEGIN; INSERT INTO app.words VALUES (1)")
    ((job_id, _, _),) = world.execute("FLUSH TABLE app.words").fetchall()

    assert world.jobs.wait(job_id).status == "completed"
    world.execute("ROLLBACK")
    assert world.execute("SELECT count(*) FROM app.words").fetchone() == (0,)


def test_jobs_are_there_after_a_reopen(world, directory):
    world.flush("app.notes")
    before = world.execute("SELECT * FROM system.jobs").fetchall()
    world.close()
    with kalamdb.open(directory) as again:
        assert again.execute("SELECT * FROM system.jobs").fetchall() == before
