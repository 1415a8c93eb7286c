"""The runner: one job a table at a time, safe points, retries, and no thread that is not needed."""

from __future__ import annotations

import datetime
import errno
import logging
import threading

import pytest

from kalamcore.errors import IoError
from kalamdb.engine.jobs import JobRequest, JobStatus, RetryDelay
from kalamdb.errors import (
    CommitOutcomeUnknown,
    Corruption,
    DatabaseClosed,
    DatabasePoisoned,
    Error,
    InternalError,
    JobCancelled,
    NotSupportedError,
    ResourcesExceeded,
    StorageUnavailable,
    UndefinedObject,
)

NOW = RetryDelay(first_s=0.0)
NEVER = RetryDelay(first_s=1e6, max_s=1e6)


def worker_threads():
    return [thread for thread in threading.enumerate() if thread.name == "kalamdb-jobs"]


def failing(error):
    def function(context):
        raise error

    return function


def flush(table, **parameters):
    return JobRequest("flush", "app", table, parameters)


# One job


def test_a_job_runs_and_tells_what_it_did(world):
    runner = world.runner()

    def function(context):
        assert (context.namespace, context.table, context.actor) == ("app", "notes", "boss")
        assert context.parameters == {"partitions": ["alice"]}
        context.check()
        context.progress(rows=3)
        context.progress(bytes=40)
        return "two segments"

    runner.register("flush", function)
    job_id = runner.submit("flush", "app", "notes", {"partitions": ["alice"]}, "boss")
    job = runner.wait(job_id)

    assert (job.status, job.result, job.error) == (JobStatus.COMPLETED, "two segments", None)
    assert (job.rows, job.bytes) == (3, 40)
    assert job.created_at <= job.started_at <= job.finished_at
    assert runner.job(job_id) == job == world.table.find(job_id)
    assert runner.jobs() == [job]


def test_a_running_job_shows_its_progress(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    job_id = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    gate.contexts[0].progress(rows=7, bytes=8)

    (shown,) = runner.jobs()
    assert (shown.status, shown.rows, shown.bytes) == (JobStatus.RUNNING, 7, 8)
    assert runner.job(job_id) == shown == runner.wait(job_id, timeout_s=0.0)
    assert runner.count() == 1
    gate.pass_one()
    assert runner.wait(job_id).status is JobStatus.COMPLETED
    assert runner.count() == 0


def test_a_type_that_nothing_does_is_not_supported(world):
    runner = world.runner()
    for ask in (runner.submit, lambda job_type: runner.submit_due(JobRequest(job_type)), runner.require):
        with pytest.raises(NotSupportedError, match="flush is not available in this version"):
            ask("flush")
    assert runner.jobs() == []


def test_an_unknown_job_does_not_exist(world):
    runner = world.runner()
    for ask in (runner.job, runner.wait, runner.kill):
        with pytest.raises(UndefinedObject, match='job "x" does not exist; SHOW JOBS'):
            ask("x")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (Corruption("segment 7 is damaged"), Corruption, "segment 7 is damaged"),
        (ZeroDivisionError("alice's secret"), InternalError, "internal error: ZeroDivisionError"),
        (type("PanicException", (BaseException,), {})("boom"), InternalError, "PanicException"),
        (IoError("the disk is gone"), StorageUnavailable, "the disk is gone"),
    ],
)
def test_a_job_that_fails_keeps_its_reason(world, caplog, raised, kind, message):
    caplog.set_level(logging.CRITICAL)
    runner = world.runner(delay=RetryDelay(retries_max=0))
    runner.register("flush", failing(raised))
    with pytest.raises(kind):
        runner.run_all([flush("notes")])
    (job,) = runner.jobs()

    assert job.status is JobStatus.FAILED
    assert message in job.error
    assert "secret" not in job.error


@pytest.mark.parametrize("said", ["a path \udcff", "x" * 200_000, 42, {"rows": 3}])
def test_whatever_a_function_says_is_told_as_text(world, said):
    runner = world.runner()
    runner.register("flush", lambda context: said)
    runner.register("compact", failing(Corruption(str(said))))
    done = runner.wait(runner.submit("flush", "app", "notes"))
    failed = runner.wait(runner.submit("compact", "app", "notes"))
    assert (done.status, failed.status) == ("completed", "failed")
    for job, text in ((done, done.result), (failed, failed.error)):
        row = world.table.find(job.job_id)
        told = row.result if job is done else row.error

        assert told == text[:10_000].replace("\udcff", "?")


def test_progress_takes_any_whole_number(world):
    import numpy

    runner = world.runner()
    runner.register("flush", lambda context: context.progress(rows=numpy.int64(3), bytes=numpy.uint32(4)))
    (job,) = runner.run_all([flush("notes")])

    assert (world.table.find(job.job_id).rows, world.table.find(job.job_id).bytes) == (3, 4)


# Threads


def test_a_thread_is_there_only_while_there_is_work(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    assert worker_threads() == []

    runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    (worker,) = worker_threads()
    assert worker.daemon
    gate.pass_one()
    worker.join(30)
    assert worker_threads() == []

    gate.pass_one()
    assert runner.run_all([flush("notes")])[0].status is JobStatus.COMPLETED


def test_tables_have_their_jobs_one_after_the_other_and_side_by_side_with_others(world, new_gate):
    gates = {"notes": new_gate(), "others": new_gate()}
    runner = world.runner(workers_max=3)
    for job_type in ("flush", "compact"):
        runner.register(job_type, lambda context: gates[context.table](context))
    runner.submit("flush", "app", "notes")
    runner.submit("compact", "app", "notes")
    runner.submit("flush", "app", "notes", {"partitions": ["alice"]})
    other = runner.submit("flush", "app", "others")
    for gate in gates.values():
        gate.wait_for_begin()
    assert [job.status for job in runner.jobs()] == ["running", "new", "new", "running"]

    gates["others"].pass_one()
    runner.wait(other)
    notes = gates["notes"]
    assert len(notes.contexts) == 1
    notes.pass_one()
    for number, job in enumerate(runner.jobs()[1:3], 2):
        notes.wait_for_begin()
        assert len(notes.contexts) == number
        assert notes.contexts[-1].request == job.request
        notes.pass_one()
        runner.wait(job.job_id)
    assert {job.status for job in runner.jobs()} == {JobStatus.COMPLETED}


def test_jobs_of_no_table_do_not_wait_for_each_other(world, gate):
    runner = world.runner()
    runner.register("backup", gate, joins=False)
    first, second = (runner.submit("backup", parameters={"to": "s3://x"}) for _ in range(2))
    gate.wait_for_begin()
    gate.wait_for_begin()

    assert first != second
    gate.pass_one()
    gate.pass_one()
    assert runner.wait(first).status is runner.wait(second).status is JobStatus.COMPLETED


def test_no_more_jobs_run_at_a_time_than_there_may_be_workers(world, gate):
    runner = world.runner(workers_max=2)
    runner.register("flush", gate)
    ids = runner.submit_all([flush(f"t{number}") for number in range(20)])
    gate.wait_for_begin()
    gate.wait_for_begin()

    assert len(worker_threads()) == 2
    assert sum(job.status is JobStatus.RUNNING for job in runner.jobs()) == 2
    for _ in ids:
        gate.pass_one()
    assert {runner.wait(job_id).status for job_id in ids} == {JobStatus.COMPLETED}


def test_where_no_thread_starts_the_jobs_fail_and_say_so(world, monkeypatch):
    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    runner = world.runner()
    runner.register("flush", lambda context: None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ResourcesExceeded, match="no thread could be started"):
            runner.submit("flush", "app", "notes")
    assert [job.status for job in runner.jobs()] == [JobStatus.FAILED]
    assert runner.run_all([flush("notes")])[0].status is JobStatus.COMPLETED


def test_many_threads_ask_for_the_same_and_for_others(world):
    runner = world.runner(workers_max=4)
    running: dict[str, int] = {}
    met = []

    def function(context):
        running[context.table] = running.get(context.table, 0) + 1
        if running[context.table] != 1:
            met.append(context.table)
        context.check()
        running[context.table] -= 1

    runner.register("flush", function)

    def ask(number):
        for turn in range(25):
            runner.run_all([flush(f"t{(number + turn) % 3}")])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert met == []
    assert runner.count() == 0
    assert {job.status for job in runner.jobs()} == {JobStatus.COMPLETED}


# Joining


def test_a_second_request_gets_the_job_that_waits_or_runs(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    first = runner.submit("flush", "app", "notes", actor="boss")
    assert runner.submit("flush", "app", "notes", actor="robot") == first
    gate.wait_for_begin()

    assert runner.submit("flush", "app", "notes") == first
    assert runner.submit("flush", "other", "notes") != first
    both = runner.submit_all([flush("notes"), flush("notes")])
    assert both == [first, first]
    gate.pass_one()
    gate.pass_one()
    runner.wait(first)
    gate.pass_one()
    assert runner.submit("flush", "app", "notes") != first


def test_who_waits_for_a_flush_gets_one_that_began_after_the_call(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    running = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    done = []
    waiter = threading.Thread(target=lambda: done.extend(runner.run_all([flush("notes")])))
    waiter.start()
    gate.pass_one()
    gate.wait_for_begin()
    assert done == []
    gate.pass_one()
    waiter.join(30)

    assert [job.status for job in done] == [JobStatus.COMPLETED]
    assert done[0].job_id != running


# Killing


def test_a_job_that_runs_is_killed_at_its_next_safe_point(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    job_id = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    runner.kill(job_id)
    job = runner.wait(job_id)

    assert (job.status, job.error) == (JobStatus.CANCELLED, None)
    assert job.finished_at is not None
    assert runner.kill(job_id) == job


def test_a_job_that_waits_is_killed_at_once(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    waiting = runner.submit("flush", "app", "notes", {"partitions": ["alice"]})

    assert runner.kill(waiting).status is JobStatus.CANCELLED
    assert runner.job(waiting).started_at is None
    gate.pass_one()
    runner.wait(runner.jobs()[0].job_id)
    assert len(gate.contexts) == 1


def test_who_waits_for_a_killed_job_is_told(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    job_id = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    told = []

    def wait():
        try:
            runner.run_all([flush("notes")])
        except Error as error:
            told.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    runner.kill(job_id)
    waiter.join(30)

    # Unless it asked after the killing: then it got a job of its own, and that one waits at the gate.
    if not told:
        gate.pass_one()
        waiter.join(30)
    else:
        assert isinstance(told[0], JobCancelled)
        assert told[0].code == "JOB_CANCELLED"


def test_a_job_that_has_passed_its_last_safe_point_is_completed(world):
    begun, killed = threading.Event(), threading.Event()

    def function(context):
        begun.set()
        assert killed.wait(30)
        return "committed"

    runner = world.runner()
    runner.register("flush", function)
    job_id = runner.submit("flush", "app", "notes")
    assert begun.wait(30)
    assert runner.kill(job_id).status is JobStatus.RUNNING
    killed.set()
    job = runner.wait(job_id)

    assert (job.status, job.result) == (JobStatus.COMPLETED, "committed")


def test_a_killed_job_is_not_joined(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    first = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    runner.kill(first)

    second = runner.submit("flush", "app", "notes")
    assert second != first
    gate.wait_for_begin()
    gate.pass_one()
    assert runner.wait(second).status is JobStatus.COMPLETED


# Retrying


def test_delays_double_up_to_a_limit():
    delay = RetryDelay(first_s=1.0, max_s=300.0, retries_max=5)

    assert [delay.after(failures) for failures in (1, 2, 3, 8, 9, 10, 10_000)] == [
        1,
        2,
        4,
        128,
        256,
        300,
        300,
    ]
    # A storage that stays away is asked for no more than a minute.
    assert sum(delay.after(attempt) for attempt in range(1, delay.retries_max + 1)) < 60


def test_a_job_whose_storage_does_not_answer_is_tried_again(world):
    runner = world.runner(delay=NOW)
    answers = iter([StorageUnavailable("s3 did not answer"), StorageUnavailable("s3 did not answer"), None])
    done = threading.Event()

    def function(context):
        answer = next(answers)
        if answer is not None:
            raise answer
        done.set()
        return f"attempt {context.attempt}"

    runner.register("flush", function)
    with pytest.raises(StorageUnavailable, match="s3 did not answer"):
        runner.run_all([flush("notes")])
    assert done.wait(30)
    runner.close()
    first, second, third = runner.jobs()

    assert [first.status, second.status, third.status] == ["failed", "failed", "completed"]
    assert first.error == f"s3 did not answer; tried again in 0 s as job {second.job_id}"
    assert third.job_id in second.error
    assert [job.attempt for job in (first, second, third)] == [1, 2, 3]
    assert third.result == "attempt 3"


def test_retries_end(world):
    runner = world.runner(delay=RetryDelay(first_s=0.0, retries_max=3))
    calls = threading.Semaphore(0)

    def function(context):
        calls.release()
        raise StorageUnavailable("gone")

    runner.register("flush", function)
    runner.submit("flush", "app", "notes")
    for _ in range(4):
        assert calls.acquire(timeout=30)
    for worker in worker_threads():
        worker.join(30)
    jobs = runner.jobs()

    assert [job.attempt for job in jobs] == [1, 2, 3, 4]
    assert jobs[-1].error == "gone"
    assert runner.count() == 0


def test_a_request_hastens_a_retry_and_a_policy_does_not(world):
    runner = world.runner(delay=NEVER)
    answers = iter([StorageUnavailable("gone"), None])

    def function(context):
        if (answer := next(answers)) is not None:
            raise answer

    runner.register("flush", function)
    with pytest.raises(StorageUnavailable):
        runner.run_all([flush("notes")])
    retry = next(job for job in runner.jobs() if job.attempt == 2)
    assert runner.submit_due(flush("notes")) == retry.job_id
    assert runner.job(retry.job_id).status is JobStatus.NEW

    assert runner.submit("flush", "app", "notes") == retry.job_id
    assert runner.wait(retry.job_id).status is JobStatus.COMPLETED


def test_a_waiting_retry_can_be_killed_and_holds_nobody_up(world):
    runner = world.runner(delay=NEVER, workers_max=1)
    runner.register("flush", failing(StorageUnavailable("gone")))
    runner.register("compact", lambda context: "done")
    with pytest.raises(StorageUnavailable):
        runner.run_all([flush("notes")])
    retry = next(job for job in runner.jobs() if job.attempt == 2)

    assert runner.run_all([JobRequest("compact", "app", "notes")])[0].result == "done"
    assert runner.kill(retry.job_id).status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    ("error", "retries"), [(Corruption("damaged"), True), (StorageUnavailable("gone"), False)]
)
def test_other_failures_and_other_types_are_not_tried_again(world, error, retries):
    runner = world.runner(delay=NOW)
    runner.register("flush", failing(error), retries=retries)
    with pytest.raises(type(error)):
        runner.run_all([flush("notes")])
    runner.close()

    assert len(runner.jobs()) == 1


def test_a_policy_is_not_heard_while_the_delay_of_a_failure_lasts(world):
    time_s = [100.0]
    fails = [True]
    runner = world.runner(delay=RetryDelay(first_s=1.0, retries_max=0), monotonic_s=lambda: time_s[0])

    def function(context):
        if fails[0]:
            raise StorageUnavailable("gone")

    runner.register("flush", function)

    def due():
        job_id = runner.submit_due(flush("notes"))
        return None if job_id is None else runner.wait(job_id).status.value

    assert due() == "failed"
    assert due() is None
    assert runner.submit_due(flush("others")) is not None
    time_s[0] += 1.0
    assert due() == "failed"
    time_s[0] += 1.0
    assert due() is None
    time_s[0] += 1.0
    fails[0] = False
    assert due() == "completed"
    assert due() == "completed"


def test_policies_leave_killed_work_alone_for_a_while_and_users_do_not(world, gate):
    time_s = [100.0]
    runner = world.runner(monotonic_s=lambda: time_s[0])
    runner.register("flush", gate)
    killed = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    waiting = runner.submit("flush", "app", "notes", {"partitions": ["alice"]})
    for job_id in (waiting, killed):
        runner.kill(job_id)
        assert runner.wait(job_id).status is JobStatus.CANCELLED

    assert runner.submit_due(flush("notes")) is None
    assert runner.submit_due(flush("notes", partitions=["alice"])) is None
    time_s[0] += 299.0
    assert runner.submit_due(flush("notes")) is None
    gate.pass_one()
    assert runner.run_all([flush("notes")])[0].status is JobStatus.COMPLETED
    gate.pass_one()
    assert runner.wait(runner.submit_due(flush("notes"))).status is JobStatus.COMPLETED


# Closing and crashing


def test_closing_ends_what_runs_and_what_waits(world, gate):
    runner = world.runner(workers_max=1)
    runner.register("flush", gate)
    runner.submit_all([flush("notes"), flush("others")])
    gate.wait_for_begin()

    assert runner.close()
    assert worker_threads() == []
    jobs = [(job.request.table, job.status, job.error) for job in runner.jobs()]
    assert jobs == [("notes", "failed", "interrupted"), ("others", "failed", "interrupted")]
    with pytest.raises(DatabaseClosed):
        runner.submit("flush", "app", "notes")
    # Nothing is left for the next life to mend.
    assert world.table.recover(world.now()) == []


def test_who_waits_when_the_database_is_closed_is_told(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    told = []

    def wait():
        try:
            runner.run_all([flush("notes")])
        except Error as error:
            told.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    gate.wait_for_begin()
    runner.close()
    waiter.join(30)

    (error,) = told
    assert isinstance(error, DatabaseClosed)
    assert error.message.endswith("open it and ask again")
    assert [job.error for job in runner.jobs()] == ["interrupted"]


def test_closing_does_not_wait_longer_than_it_was_told(world):
    runner = world.runner()
    begun, go = threading.Event(), threading.Event()

    def function(context):
        begun.set()
        assert go.wait(30)

    runner.register("flush", function)
    runner.submit("flush", "app", "notes")
    assert begun.wait(30)

    assert not runner.close(timeout_s=0.0)
    go.set()
    assert runner.close()


def test_a_job_may_close_the_runner_that_runs_it(world):
    runner = world.runner()
    runner.register("flush", lambda context: str(runner.close()))
    job_id = runner.submit("flush", "app", "notes")

    assert runner.wait(job_id).status in (JobStatus.COMPLETED, JobStatus.FAILED)


def test_a_waiting_retry_does_not_outlive_the_runner(world):
    runner = world.runner(delay=NEVER)
    runner.register("flush", failing(StorageUnavailable("gone")))
    with pytest.raises(StorageUnavailable):
        runner.run_all([flush("notes")])
    runner.close()

    assert [job.error for job in runner.jobs() if job.attempt == 2] == ["interrupted"]


def test_after_a_crash_unfinished_jobs_are_interrupted_and_their_work_may_start_over(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    job_id = runner.submit("flush", "app", "notes")
    gate.wait_for_begin()
    lost = world.files.crash()
    gate.pass_one()
    runner.wait(job_id)
    runner.close()
    world.engine.close()

    world.files = lost
    world.open()
    again = world.runner()
    assert [job.job_id for job in again.recover()] == [job_id]
    assert (again.job(job_id).status, again.job(job_id).error) == (JobStatus.FAILED, "interrupted")
    again.register("flush", lambda context: "done")
    assert again.run_all([flush("notes")])[0].result == "done"


def test_a_job_is_durable_when_its_id_is_told(world, gate):
    runner = world.runner()
    runner.register("flush", gate)
    job_id = runner.submit("flush", "app", "notes")
    lost = world.files.crash("all")
    runner.close()
    world.engine.close()

    world.files = lost
    world.open()
    assert world.table.find(job_id) is not None


def test_a_job_runs_though_there_is_no_room_for_its_row(world):
    runner = world.runner()
    runner.register("flush", lambda context: "made room")
    world.files.fail(["preallocate"], errno=errno.ENOSPC, sticky=True)
    (job,) = runner.run_all([flush("notes", note="x" * 400_000)])

    assert job.result == "made room"
    assert [one.status for one in runner.jobs()] == [JobStatus.COMPLETED]
    world.files.forgive()
    runner.run_all([flush("others")])
    world.lose_power()
    assert world.table.find(job.job_id).result == "made room"


def test_a_poisoned_database_starts_no_job(world):
    runner = world.runner()
    ran = []
    runner.register("flush", ran.append)
    world.files.fail(["write"], errno=errno.EIO)
    for error in (CommitOutcomeUnknown, DatabasePoisoned):
        with pytest.raises(error):
            runner.submit("flush", "app", "notes")

    assert ran == []
    assert runner.count() == 0


# Forgetting


def test_old_jobs_are_forgotten_at_open_and_while_jobs_run(world):
    runner = world.runner()
    runner.register("flush", lambda context: None)
    runner.run_all([flush("first")])
    world.clock.advance(29 * 86_400_000_000)
    runner.run_all([flush("second")])
    world.clock.advance(2 * 86_400_000_000)
    runner.run_all([flush("third")])
    runner.close()
    assert [job.request.table for job in runner.jobs()] == ["second", "third"]

    world.clock.advance(int(datetime.timedelta(days=29).total_seconds() * 1_000_000))
    runner = world.runner()
    runner.recover()
    assert [job.request.table for job in runner.jobs()] == ["third"]


def test_an_actor_sees_its_own_jobs(world):
    runner = world.runner()
    runner.register("flush", lambda context: None)
    for actor in ("alice", "bob", None):
        runner.run_all([JobRequest("flush", "app", f"of {actor}", actor=actor)])

    assert [job.request.table for job in runner.jobs("alice")] == ["of alice"]
    assert runner.jobs("eve") == []
    assert [job.request.table for job in runner.jobs()] == ["of alice", "of bob", "of None"]
