"""Opening, owning, closing: one process per directory, and everything there after a reopen."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

import kalamdb
from kalamdb.engine.jobs import JobRequest
from kalamdb.errors import (
    DatabaseClosed,
    DatabaseLocked,
    ForkedProcess,
    InvalidName,
    InvalidParameter,
    InvalidSetting,
    UndefinedNamespace,
    UnknownFormat,
)


def test_rows_are_there_after_a_reopen(tmp_path):
    with kalamdb.open(tmp_path / "data") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(
            "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT NOT NULL)"
        )
        db.session("alice").execute("INSERT INTO app.notes (id, body) VALUES (1, 'kept')")
    with kalamdb.open(tmp_path / "data") as db:
        rows = db.session("alice").execute("SELECT * FROM app.notes").fetchall()

    assert rows == [(1, "kept")]


def test_the_directory_is_made_private(tmp_path):
    with kalamdb.open(tmp_path / "a" / "b"):
        mode = (tmp_path / "a" / "b").stat().st_mode & 0o777

    assert mode == 0o700


def test_a_second_open_in_this_process_is_refused_by_any_path(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with kalamdb.open(tmp_path / "data"):
        for path in (tmp_path / "data", tmp_path / "link", str(tmp_path / "data") + "/../data"):
            with pytest.raises(DatabaseLocked) as caught:
                kalamdb.open(path)
            assert str(os.getpid()) in caught.value.message

    kalamdb.open(tmp_path / "data").close()


def test_a_second_process_is_refused_and_told_the_owner(tmp_path):
    program = textwrap.dedent(
        """
        import sys, kalamdb
        from kalamdb.errors import DatabaseLocked
        try:
            kalamdb.open(sys.argv[1])
        except DatabaseLocked as error:
            print(error.message)
        """
    )
    with kalamdb.open(tmp_path / "data"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert str(os.getpid()) in done.stdout, done.stderr


def test_a_forked_child_is_refused(tmp_path):
    with kalamdb.open(tmp_path / "data") as db:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                db.execute("SELECT 1")
                os.write(write, b"answered")
            except ForkedProcess:
                os.write(write, b"refused")
            except BaseException as error:
                os.write(write, repr(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        answer = os.read(read, 1000)
        os.close(read)
        os.close(write)

        assert answer == b"refused"
        assert db.execute("SELECT 1").fetchall() == [(1,)]


def test_a_closed_database_says_so(tmp_path):
    db = kalamdb.open(tmp_path / "data")
    session = db.session("alice")
    prepared = session.prepare("SELECT 1")
    db.close()
    db.close()

    for call in (
        lambda: db.execute("SELECT 1"),
        lambda: session.execute("SELECT 1"),
        lambda: prepared.execute(),
        lambda: prepared.executemany([()]),
        lambda: db.session("bob"),
        lambda: session.insert("t", []),
        lambda: db.stats(),
    ):
        with pytest.raises(DatabaseClosed):
            call()


def test_every_memory_database_is_a_new_one():
    with kalamdb.open(":memory:") as one, kalamdb.open(":memory:") as other:
        one.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        one.execute("INSERT INTO t VALUES (1)")

        assert one.execute("SELECT * FROM t").fetchall() == [(1,)]
        with pytest.raises(kalamdb.Error):
            other.execute("SELECT * FROM t")


def test_a_newer_format_is_refused_naming_both_versions(tmp_path):
    kalamdb.open(tmp_path / "data").close()
    identity = tmp_path / "data" / "database.json"
    identity.write_text(identity.read_text().replace('"format": 1', '"format": 99'))

    with pytest.raises(UnknownFormat, match=r"99.*1"):
        kalamdb.open(tmp_path / "data")


def test_settings_are_checked_when_opening(tmp_path):
    with pytest.raises(InvalidSetting):
        kalamdb.open(tmp_path / "data", worker_id=1024)
    with pytest.raises(InvalidSetting):
        kalamdb.open(tmp_path / "data", no_such_setting=1)
    assert not (tmp_path / "data").exists()


def test_sessions_are_for_names_that_users_may_have(db):
    for name in ("", "x" * 129, "a\x00b", "line\nbreak", "\ud800"):
        with pytest.raises(InvalidName):
            db.session(name)
    with pytest.raises(InvalidParameter, match="admin"):
        db.session("alice", role="admin")
    with pytest.raises(UndefinedNamespace):
        db.session("alice", namespace="nowhere")
    for name in ("alice", "Ünïcode 名前", "../../etc/passwd", "a'b\"c", "x" * 128):
        assert db.session(name).execute("SELECT CURRENT_USER()").fetchall() == [(name,)]


def test_eight_threads_insert_and_select(tmp_path):
    with kalamdb.open(tmp_path / "data", durability="normal") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), worker INT, n INT)")
        failures = []

        def work(worker):
            try:
                session = db.session(f"worker{worker}", role="service")
                for n in range(100):
                    session.execute("INSERT INTO t (worker, n) VALUES (?, ?)", [worker, n])
                    if n % 25 == 0:
                        seen = session.execute(
                            "SELECT count(*) FROM t WHERE worker = ?", [worker]
                        ).fetchone()[0]
                        assert seen == n + 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)

        assert not failures
        assert db.execute("SELECT count(*), count(DISTINCT id) FROM t").fetchall() == [(800, 800)]
    with kalamdb.open(tmp_path / "data") as db:
        assert db.execute("SELECT count(*) FROM t").fetchall() == [(800,)]


def test_concurrent_updates_of_one_row_are_all_counted(db):
    db.execute("CREATE SHARED TABLE counters (id BIGINT PRIMARY KEY, n BIGINT)")
    db.execute("INSERT INTO counters VALUES (1, 0)")

    def work():
        for _ in range(50):
            db.execute("UPDATE counters SET n = n + 1 WHERE id = 1")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert db.execute("SELECT n FROM counters").fetchall() == [(400,)]


def test_a_table_altered_while_others_write_loses_nothing(db):
    db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT)")
    stop = threading.Event()
    written = []

    def work():
        while not stop.is_set():
            db.execute("INSERT INTO t (n) VALUES (1)")
            written.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        db.execute(f"ALTER TABLE t ADD COLUMN c{number} TEXT NOT NULL DEFAULT 'x'")
    db.execute("ALTER TABLE t ALTER COLUMN n SET NOT NULL")
    stop.set()
    for thread in threads:
        thread.join(timeout=60)

    assert db.execute("SELECT count(*) FROM t WHERE c9 = 'x'").fetchall() == [(len(written),)]


def test_an_open_database_is_closed_at_interpreter_exit(tmp_path):
    program = textwrap.dedent(
        """
        import sys, kalamdb
        db = kalamdb.open(sys.argv[1], durability="normal")
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.execute("INSERT INTO t VALUES (1)")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "d")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr

    with kalamdb.open(tmp_path / "d") as db:
        assert db.execute("SELECT * FROM t").fetchall() == [(1,)]


def test_snowflake_ids_go_on_increasing_over_a_reopen(tmp_path):
    last = 0
    for _ in range(3):
        with kalamdb.open(tmp_path / "data") as db:
            for _ in range(20):
                (value,) = db.execute("SELECT SNOWFLAKE_ID()").fetchone()
                assert value > last
                last = value


def test_importing_kalamdb_pulls_no_heavy_library_in():
    program = (
        "import sys, kalamdb; "
        "print([m for m in ('pyarrow', 'datafusion', 'lark', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_profile_of_kalamdb_0_4_takes_int_keys_and_plain_stream_keys():
    with kalamdb.open(":memory:", compat="kalamdb-0.4") as db:
        db.execute(
            "CREATE USER TABLE t (id INT PRIMARY KEY); CREATE STREAM TABLE s (id TEXT PRIMARY KEY) TTL 60"
        )
        db.execute("INSERT INTO t VALUES (9223372036854775807); INSERT INTO s VALUES ('a')")

        assert db.execute("SELECT t.id, s.id FROM t, s").fetchall() == [(2**63 - 1, "a")]
    with kalamdb.open(":memory:") as db:
        for sql in (
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "CREATE STREAM TABLE s (id TEXT PRIMARY KEY) TTL 60",
        ):
            with pytest.raises(kalamdb.errors.InvalidDefinition):
                db.execute(sql)


# Jobs


def test_a_database_without_jobs_starts_no_thread_and_imports_nothing_for_them(tmp_path):
    program = textwrap.dedent(
        """
        import sys, threading, kalamdb
        with kalamdb.open(sys.argv[1]) as db:
            db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
            db.execute("INSERT INTO notes VALUES (1)")
            names = {thread.name for thread in threading.enumerate()}
            print("kalamdb.engine.jobs" in sys.modules, names & {"kalamdb-jobs", "kalamdb-policies"})
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "False set()", done.stderr


def test_closing_ends_the_jobs_and_the_next_life_finds_them_ended(tmp_path):
    db = kalamdb.open(tmp_path / "data")
    begun = threading.Event()

    def function(context):
        begun.set()
        while True:
            context.check()

    db.jobs.register("flush", function)
    db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
    db.execute("FLUSH TABLE notes")
    assert begun.wait(30)
    db.close()

    with kalamdb.open(tmp_path / "data") as again:
        assert again.execute("SELECT status, error FROM system.jobs").fetchall() == [
            ("failed", "interrupted")
        ]


def test_a_job_of_a_killed_process_is_interrupted(tmp_path):
    program = textwrap.dedent(
        """
        import os, signal, sys, threading, kalamdb
        db = kalamdb.open(sys.argv[1])
        begun = threading.Event()
        def function(context):
            begun.set()
            threading.Event().wait()
        db.jobs.register("flush", function)
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        print(db.execute("FLUSH TABLE notes").fetchone()[0], flush=True)
        begun.wait(30)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, text=True, timeout=60
    )
    job_id = done.stdout.strip()

    with kalamdb.open(tmp_path / "data") as db:
        assert db.execute("SELECT job_id, status, error FROM system.jobs").fetchall() == [
            (job_id, "failed", "interrupted")
        ]
        db.jobs.register("flush", lambda context: "again")
        db.flush()
        assert len(db.execute("SHOW JOBS").fetchall()) == 2


def test_a_job_that_reaches_no_safe_point_does_not_keep_the_process_alive(tmp_path):
    program = textwrap.dedent(
        """
        import sys, threading, kalamdb, kalamdb.database
        kalamdb.database.EXIT_WAIT_S = 0.05
        db = kalamdb.open(sys.argv[1])
        begun = threading.Event()
        def function(context):
            begun.set()
            threading.Event().wait()
        db.jobs.register("flush", function)
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        db.execute("INSERT INTO notes VALUES (1)")
        db.execute("FLUSH TABLE notes")
        begun.wait(30)
        print("leaving")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout.strip()) == (0, "leaving"), done.stderr
    with kalamdb.open(tmp_path / "data") as db:
        assert db.execute("SELECT id FROM notes").fetchall() == [(1,)]
        assert db.execute("SELECT error FROM system.jobs").fetchall() == [("interrupted",)]


def test_a_forked_child_has_no_jobs_and_leaves_its_parents_alone(tmp_path):
    with kalamdb.open(tmp_path / "data") as db:
        begun, go = threading.Event(), threading.Event()

        def function(context):
            begun.set()
            assert go.wait(30)

        db.jobs.register("flush", function)
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY)")
        db.execute("FLUSH TABLE notes")
        assert begun.wait(30)
        child = os.fork()
        if child == 0:
            refused = 0
            for call in (db.flush, db.compact, db.checkpoint, lambda: db.execute("SHOW JOBS")):
                try:
                    call()
                except ForkedProcess:
                    refused += 1
            db.close()
            os._exit(refused)
        _, status = os.waitpid(child, 0)
        go.set()

        assert os.waitstatus_to_exitcode(status) == 4
        (job_id,) = db.execute("SELECT job_id FROM system.jobs").fetchone()
        assert db.jobs.wait(job_id).status == "completed"


def test_policies_are_followed_while_a_table_has_one(tmp_path):
    # Those of a database that another test has not closed are none of this one's.
    before = set(threading.enumerate())

    def threads():
        return [
            thread
            for thread in threading.enumerate()
            if thread.name == "kalamdb-policies" and thread not in before
        ]

    flushed = threading.Event()
    with kalamdb.open(tmp_path / "data") as db:
        db.jobs.register("flush", lambda context: flushed.set())
        db.policies.begin(lambda: [JobRequest("flush", "default", "notes")])
        assert threads() == []
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY) FLUSH ROWS 10")
        assert len(threads()) == 1
        assert flushed.wait(30)
        db.execute("DROP TABLE notes")
        for thread in threads():
            thread.join(30)
        assert threads() == []
        (actor,) = {job.request.actor for job in db.jobs.jobs()}
        assert actor is None
        db.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY) FLUSH INTERVAL 10")
        assert len(threads()) == 1
    assert threads() == []


def test_a_closed_database_builds_no_jobs(tmp_path):
    db = kalamdb.open(tmp_path / "data")
    db.close()
    with pytest.raises(DatabaseClosed):
        db.jobs.jobs()


def test_stats_say_what_a_recent_row_takes_in_memory(db):
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 100) for n in range(20_000)])
    figures = db.stats()
    assert 100 < figures["memtable_row_bytes"] < 400
    assert figures["memtable_row_bytes"] == figures["memtable_bytes"] // figures["memtable_entries"]
    rows = dict(db.execute("SELECT name, value FROM system.stats").fetchall())
    assert rows["memtable_row_bytes"] == figures["memtable_row_bytes"]


def test_a_database_prepares_and_inserts_as_root() -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE notes (id BIGINT PRIMARY KEY)")

        assert db.insert("notes", [{"id": 1}, {"id": 2}]).rowcount == 2
        assert db.prepare("SELECT id FROM notes WHERE id = ?").execute([2]).fetchone() == (2,)
