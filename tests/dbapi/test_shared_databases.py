"""Connections to one directory share one open database, which is closed with the last of them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import kalamdb
from kalamdb.dbapi import shared_databases
from kalamdb.errors import (
    DatabaseClosed,
    DatabaseLocked,
    ForkedProcess,
    InterfaceError,
    InvalidSetting,
    ReadOnlyDatabase,
)
from kalamdb.settings import Settings

CREATE = "CREATE TABLE notes (id BIGINT PRIMARY KEY)"


@pytest.fixture(autouse=True)
def nothing_left():
    """Every test lets go of what it held."""
    yield
    gc.collect()
    with shared_databases._lock:
        shared_databases._read_notes()
    assert shared_databases._holders == {}


def is_free(directory: Path) -> bool:
    """Whether nobody has the directory open."""
    try:
        kalamdb.open(directory).close()
    except DatabaseLocked:
        return False
    return True


def test_the_last_connection_closes_the_database(directory):
    one, other = kalamdb.connect(directory), kalamdb.connect(directory)
    one.close()
    one.close()
    assert not is_free(directory)
    other.close()
    assert is_free(directory)


def test_one_directory_is_one_however_it_is_named(directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = kalamdb.connect(directory)
    (tmp_path / "link").symlink_to(directory)
    others = [kalamdb.connect(name) for name in ("data", "./data/", os.fspath(directory), tmp_path / "link")]

    assert {id(other.session._database) for other in others} == {id(one.session._database)}
    for connection in (one, *others):
        connection.close()


def test_a_dropped_connection_is_closed(directory):
    connection = kalamdb.connect(directory)
    connection.cursor().execute(CREATE)
    connection.cursor().execute("INSERT INTO notes VALUES (1)")
    del connection
    gc.collect()

    assert is_free(directory)
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_session_outlives_the_connection_that_was_dropped(directory):
    session = kalamdb.connect(directory).session
    gc.collect()
    assert session.execute("SELECT 1").fetchone() == (1,)
    assert not is_free(directory)
    del session
    gc.collect()
    assert is_free(directory)


def test_a_thread_of_a_database_leaves_the_closing_to_others(directory):
    """The garbage collector may run while that thread holds what closing asks for."""
    held = [kalamdb.connect(directory)]
    thread = threading.Thread(target=held.clear, name="kalamdb-jobs")
    thread.start()
    thread.join(60)
    assert not is_free(directory)
    kalamdb.connect(":memory:").close()

    assert is_free(directory)


def test_a_connection_that_is_dropped_while_another_is_made_is_closed_too(directory):
    """The garbage collector may run while the lock is held: the note is read by the next who comes."""
    connection = kalamdb.connect(directory)
    with shared_databases._lock:
        del connection
        gc.collect()
    assert len(shared_databases._abandoned) == 1
    kalamdb.connect(":memory:").close()

    assert is_free(directory)


def test_threads_that_connect_and_close_meet_one_database_or_none(directory):
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(15):
                connection = kalamdb.connect(directory)
                connection.cursor().execute("SELECT 1")
                connection.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert failures == []
    assert is_free(directory)


def test_memory_is_a_new_database_each_time():
    one, other = kalamdb.connect(":memory:"), kalamdb.connect(":memory:")
    one.cursor().execute(CREATE)

    with pytest.raises(kalamdb.ProgrammingError):
        other.cursor().execute("SELECT * FROM notes")
    one.close()
    other.close()


def test_an_open_database_can_be_connected_to_and_stays_open(directory):
    with kalamdb.open(directory) as db:
        connection = kalamdb.connect(db, user="alice")
        assert connection.cursor().execute("SELECT CURRENT_USER()").fetchone() == ("alice",)
        connection.close()
        assert db.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(InterfaceError, match=r"kalamdb\.open"):
            kalamdb.connect(db, read_only=True)
        left = kalamdb.connect(db)
    with pytest.raises(DatabaseClosed):
        left.cursor().execute("SELECT 1")
    with pytest.raises(DatabaseClosed):
        kalamdb.connect(db)
    left.close()


def test_a_directory_that_was_opened_otherwise_is_locked(directory):
    with kalamdb.open(directory), pytest.raises(DatabaseLocked):
        kalamdb.connect(directory)


def test_other_settings_than_those_it_is_open_with_are_refused(directory, tmp_path):
    connection = kalamdb.connect(directory, durability="normal", memtable_bytes="1MiB")
    file = tmp_path / "settings.toml"
    file.write_text('durability = "full"')
    for arguments, said in (
        ({"durability": "full"}, "durability"),
        ({"memtable_bytes": "2MiB", "worker_id": 5}, "memtable_bytes, worker_id"),
        ({"settings": Settings()}, "durability, memtable_bytes"),
        ({"settings": file}, "durability, memtable_bytes"),
    ):
        with pytest.raises(InvalidSetting, match=f"other values of {said};"):
            kalamdb.connect(directory, **arguments)
    with pytest.raises(InvalidSetting, match="does not exist"):
        kalamdb.connect(directory, memtable="1MiB")
    for arguments in (
        {},
        {"durability": "normal"},
        {"settings": Settings(durability="normal", memtable_bytes=1 << 20)},
    ):
        kalamdb.connect(directory, **arguments).close()
    connection.close()


def test_read_only_stands_beside_and_is_not_shared(directory):
    connection = kalamdb.connect(directory)
    connection.cursor().execute(CREATE)
    connection.cursor().execute("INSERT INTO notes VALUES (1)")
    connection.commit()
    connection.cursor().execute("CHECKPOINT")
    reader = kalamdb.connect(directory, read_only=True)

    assert reader.cursor().execute("SELECT * FROM notes").fetchall() == [(1,)]
    assert not reader.in_transaction
    reader.commit()
    with pytest.raises(ReadOnlyDatabase):
        reader.cursor().execute("INSERT INTO notes VALUES (2)")
    connection.close()
    assert reader.cursor().execute("SELECT * FROM notes").fetchall() == [(1,)]
    reader.close()


def test_what_cannot_be_opened_holds_nothing(tmp_path):
    (tmp_path / "file").write_text("no directory")
    for _ in range(2):
        with pytest.raises(kalamdb.OperationalError):
            kalamdb.connect(tmp_path / "file")


def test_a_forked_child_does_not_get_the_database_of_its_parent(directory):
    program = f"""
import os, kalamdb
connection = kalamdb.connect({os.fspath(directory)!r})
child = os.fork()
if child == 0:
    said = []
    for attempt in (lambda: connection.cursor().execute("SELECT 1"), lambda: kalamdb.connect({os.fspath(directory)!r})):
        try:
            attempt()
        except kalamdb.Error as error:
            said.append(type(error).__name__)
    connection.close()
    os._exit(0 if said == [{ForkedProcess.__name__!r}, {DatabaseLocked.__name__!r}] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.stdout, done.stderr) == ("0\n", "")
