"""The rows of jobs: where they stand, what survives, what is forgotten."""

from __future__ import annotations

import datetime
import errno
from dataclasses import replace

import pytest

from kalamdb.catalog import RESERVED
from kalamdb.engine.jobs import Job, JobRequest, JobStatus
from kalamdb.engine.jobs_schema import ENDED, JOBS, JOBS_ID, OPEN
from kalamdb.errors import CommitOutcomeUnknown, DatabasePoisoned


def job(world, **changes):
    request = JobRequest("flush", "app", "notes", {"partitions": ["alice"]}, "root")
    return replace(Job(world.ids.one(), request, JobStatus.NEW, world.now()), **changes)


def ended(world, status=JobStatus.COMPLETED, **changes):
    return job(world, status=status, started_at=world.now(), finished_at=world.now(), **changes)


def rows(world, partition):
    return world.engine.store.count(JOBS_ID, partition, world.engine.snapshot())


def test_the_table_is_reserved_and_no_other_has_its_id():
    from kalamdb.catalog.reserved import FIRST_TABLE_ID

    assert JOBS_ID < FIRST_TABLE_ID
    assert JOBS_ID not in [schema.table_id for schema in RESERVED]
    assert JOBS.primary_key == JOBS.columns[0].name


def test_a_job_reads_as_it_was_written(world):
    written = job(
        world,
        status=JobStatus.FAILED,
        attempt=3,
        result="half",
        error="no answer",
        rows=2**40,
        bytes=0,
        started_at=world.now(),
        finished_at=world.now(),
    )
    bare = Job(world.ids.one(), JobRequest("backup"), JobStatus.NEW, world.now())

    world.table.write([written, bare], sync=True)

    assert world.table.find(written.job_id) == written
    assert world.table.find(bare.job_id) == bare
    assert world.table.all() == {written.job_id: written, bare.job_id: bare}
    assert world.table.find("another") is None


def test_a_job_stands_in_one_partition_and_moves_when_it_ends(world):
    new = job(world)
    for state in (new, replace(new, status=JobStatus.RUNNING)):
        world.table.write([state], sync=True)

        assert (rows(world, OPEN), rows(world, ENDED)) == (1, 0)
        assert world.table.find(new.job_id) == state

    done = replace(new, status=JobStatus.COMPLETED)
    world.table.write([done], sync=True)

    assert (rows(world, OPEN), rows(world, ENDED)) == (0, 1)
    assert world.table.find(new.job_id) == done


def test_what_a_crash_interrupted_is_marked_as_failed(world):
    waiting, running, done = job(world), job(world), ended(world)
    world.table.write([waiting, running, done], sync=True)
    world.table.write([replace(running, status=JobStatus.RUNNING)], sync=True)

    world.lose_power()
    world.clock.advance(5_000_000)
    interrupted = world.table.recover(world.now())

    assert {one.job_id for one in interrupted} == {waiting.job_id, running.job_id}
    for one in (waiting, running):
        found = world.table.find(one.job_id)
        assert (found.status, found.error) == (JobStatus.FAILED, "interrupted")
        assert found.finished_at == world.now()
    assert world.table.find(done.job_id) == done
    assert world.table.recover(world.now()) == []

    world.lose_power()
    assert world.table.recover(world.now()) == []
    assert len(world.table.all()) == 3


def test_jobs_are_forgotten_by_the_time_when_they_ended(world):
    old = ended(world)
    long_run, still_open = job(world), job(world)
    world.table.write([old, long_run, still_open], sync=True)
    world.clock.advance(10 * 86_400_000_000)
    world.table.write(
        [replace(long_run, status=JobStatus.COMPLETED, finished_at=world.now()), ended(world)], sync=True
    )

    assert world.table.prune(world.now() - datetime.timedelta(days=1)) == 1
    assert world.table.find(old.job_id) is None
    assert len(world.table.all()) == 3
    assert world.table.prune(world.now() + datetime.timedelta(seconds=1)) == 2
    assert list(world.table.all()) == [still_open.job_id]


def test_many_old_jobs_are_forgotten_in_several_commits(world):
    kept = job(world)
    world.table.write([kept], sync=True)
    world.table.write([ended(world) for _ in range(2500)], sync=True)
    world.clock.advance(86_400_000_000)
    world.table.write([replace(kept, status=JobStatus.CANCELLED, finished_at=world.now())], sync=True)

    assert world.table.prune(world.now()) == 2500
    assert list(world.table.all()) == [kept.job_id]


def test_a_job_without_room_for_its_row_is_shown_and_written_later(world):
    world.files.fail(["preallocate"], errno=errno.ENOSPC, sticky=True)
    large = JobRequest("flush", "app", "notes", {"note": "x" * 400_000})
    unwritten = Job(world.ids.one(), large, JobStatus.NEW, world.now())
    world.table.write([unwritten], sync=True)

    assert world.table.find(unwritten.job_id) == unwritten
    assert world.table.all() == {unwritten.job_id: unwritten}
    assert rows(world, OPEN) == 0

    world.files.forgive()
    other = ended(world)
    world.table.write([other], sync=True)
    world.lose_power()

    assert world.table.find(other.job_id) == other
    assert world.table.find(unwritten.job_id) == unwritten


def test_ended_jobs_without_room_do_not_fill_the_memory(world, monkeypatch):
    monkeypatch.setattr("kalamdb.engine.jobs.table.UNWRITTEN_MAX", 3)
    begun = Job(world.ids.one(), JobRequest("flush"), JobStatus.NEW, world.now())
    world.table.write([begun], sync=True)
    world.files.fail(["preallocate"], errno=errno.ENOSPC, sticky=True)
    large = JobRequest("flush", parameters={"note": "x" * 400_000})
    world.table.write(
        [replace(begun, request=large, status=JobStatus.COMPLETED, finished_at=world.now())], sync=True
    )
    others = [ended(world) for _ in range(5)]
    for one in others:
        world.table.write([one], sync=True)

    # The one that has a row is not forgotten, or its row would say for ever that it runs.
    assert set(world.table.all()) == {begun.job_id, *(one.job_id for one in others[2:])}
    assert world.table.find(begun.job_id).status is JobStatus.COMPLETED


def test_a_poisoned_database_says_so(world):
    world.files.fail(["write"], errno=errno.EIO)
    for error in (CommitOutcomeUnknown, DatabasePoisoned):
        with pytest.raises(error):
            world.table.write([job(world)], sync=True)

    assert world.table.all() == {}
