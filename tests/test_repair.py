"""Looking through a damaged database, and making it open again."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import Corruption, DatabaseLocked, StorageUnavailable
from kalamdb.mending import check, repair

HEADER_BYTES = 4096


@pytest.fixture
def filled(directory: Path) -> Path:
    """A database of several log files that nobody closed, with rows 0 to 199."""
    db = kalamdb.open(directory / "origin", wal_file_bytes="64KiB")
    db.execute("CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT)")
    for number in range(200):
        db.execute("INSERT INTO rows VALUES (?, ?)", [number, str(number) * 300])
    shutil.copytree(directory / "origin", directory / "copy")
    db.close()
    return directory / "copy"


def logs(directory: Path) -> list[Path]:
    return sorted((directory / "wal").glob("0*.log"))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def record_at(path: Path, number: int) -> int:
    """Where record `number` (from 0) of a log file begins."""
    content = path.read_bytes()
    at = HEADER_BYTES
    for _ in range(number):
        at += (32 + struct.unpack_from("<I", content, at + 8)[0] + 7) // 8 * 8
    return at


def snapshot(directory: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


def rows(directory: Path) -> list[int]:
    with kalamdb.open(directory) as db:
        return [key for (key,) in db.execute("SELECT id FROM rows ORDER BY id")]


def test_a_sound_database_has_nothing_to_find_or_repair(filled: Path) -> None:
    before = snapshot(filled)
    assert check(filled) == []
    done = repair(filled, apply=True)
    assert not done.needed
    assert str(done) == "nothing to repair"
    assert done.dropped_records == done.dropped_bytes == 0
    assert snapshot(filled) == before
    assert rows(filled) == list(range(200))


def test_a_flipped_bit_is_found_reported_and_cut_off_only_when_asked(filled: Path) -> None:
    path = logs(filled)[1]
    at = record_at(path, 3)
    flip(path, at + 40)
    before = snapshot(filled)

    (finding,) = check(filled)
    assert (finding.kind, finding.file, finding.offset) == ("damage", f"wal/{path.name}", at)
    with pytest.raises(Corruption, match=f"{path.name}.*{at}"):
        kalamdb.open(filled)
    planned = repair(filled)
    assert planned.needed
    assert not planned.applied
    assert planned.dropped_records > 50
    assert planned.dropped_bytes > 50 * 300
    assert planned.kept_lsn == finding.lsn - 1
    assert f"would drop {planned.dropped_records} record(s)" in str(planned)
    assert snapshot(filled) == before

    done = repair(filled, apply=True)
    assert (done.kept_records, done.dropped_records) == (planned.kept_records, planned.dropped_records)
    kept = rows(filled)
    assert kept == list(range(len(kept)))
    assert len(kept) + planned.dropped_records == 199  # the damaged record is the one that no count has
    # What was cut is still there, whole.
    for one in logs(Path(str(filled).replace("copy", "origin")))[1:]:
        assert (filled / "wal" / f"{one.name}.damaged").exists()
    assert {one.kind for one in check(filled)} == {"kept"}
    with kalamdb.open(filled) as db:
        db.execute("INSERT INTO rows VALUES (1000, 'new')")
    assert rows(filled) == [*kept, 1000]


@pytest.mark.parametrize("what", ["missing", "empty", "cut short", "another file", "a damaged header"])
def test_a_file_that_cannot_be_read_is_found_and_repaired(filled: Path, what: str) -> None:
    path = logs(filled)[1]
    content = path.read_bytes()
    if what == "missing":
        path.unlink()
    elif what == "a damaged header":
        flip(path, 20)
    else:
        other = {
            "empty": b"",
            "cut short": content[: len(content) // 2],
            "another file": logs(filled)[0].read_bytes(),
        }
        path.write_bytes(other[what])
    with pytest.raises(Corruption, match=path.name):
        kalamdb.open(filled)
    assert check(filled)[0].kind == "damage"
    assert check(filled)[0].file == f"wal/{path.name}"
    planned = repair(filled)
    done = repair(filled, apply=True)
    assert planned.kept_records == done.kept_records
    kept = rows(filled)
    assert 0 < len(kept) < 200
    assert kept == list(range(len(kept)))


def test_damage_in_two_places_is_cut_at_the_first_and_told_of_both(filled: Path) -> None:
    first, second = logs(filled)[0], logs(filled)[2]
    flip(first, record_at(first, 10) + 40)
    flip(second, 20)
    found = [(one.file, one.kind) for one in check(filled)]
    assert found[0] == (f"wal/{first.name}", "damage")
    assert (f"wal/{second.name}", "damage") in found
    repair(filled, apply=True)
    kept = rows(filled)
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 10


def test_a_torn_end_is_told_and_needs_no_repair(filled: Path) -> None:
    path = logs(filled)[-1]
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[:-20])
    (finding,) = check(filled)
    assert finding.kind == "torn"
    assert not repair(filled).needed
    assert rows(filled) == list(range(199))
    (finding,) = check(filled)
    assert finding.kind == "kept"
    assert finding.file.endswith(".torn")


def test_an_identity_that_cannot_be_read_is_found_and_replaced(filled: Path) -> None:
    (filled / "database.json").write_text("{")
    with pytest.raises(Corruption):
        kalamdb.open(filled)
    assert check(filled)[0].file == "database.json"
    repair(filled, apply=True)
    assert rows(filled) == list(range(200))
    assert (filled / "database.json.damaged").read_text() == "{"


def test_an_open_database_is_left_alone(filled: Path) -> None:
    with kalamdb.open(filled):
        with pytest.raises(DatabaseLocked):
            check(filled)
        with pytest.raises(DatabaseLocked):
            repair(filled)
        with pytest.raises(DatabaseLocked):
            repair(filled, apply=True)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="there is no directory"):
        check(tmp_path / "nothing")


@pytest.fixture
def checkpointed(directory: Path) -> Path:
    """A database that nobody closed: rows 0 to 149 in hot segments, 150 to 199 in the log alone."""
    db = kalamdb.open(directory / "origin", wal_file_bytes="64KiB")
    db.execute("CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT)")
    for number in range(200):
        db.execute("INSERT INTO rows VALUES (?, ?)", [number, str(number) * 20])
        if number == 149:
            db.checkpoint()
    shutil.copytree(directory / "origin", directory / "copy")
    db.close()
    return directory / "copy"


def segment_of_rows(directory: Path) -> Path:
    return max((directory / "hot").glob("*.arrow"), key=lambda path: path.stat().st_size)


def test_a_sound_database_with_segments_has_nothing_to_find(checkpointed: Path) -> None:
    before = snapshot(checkpointed)
    assert check(checkpointed) == []
    assert str(repair(checkpointed, apply=True)) == "nothing to repair"
    assert snapshot(checkpointed) == before
    assert rows(checkpointed) == list(range(200))


def test_a_flipped_bit_of_a_block_is_found_though_the_database_opens(checkpointed: Path) -> None:
    path = segment_of_rows(checkpointed)
    flip(path, path.read_bytes().index(b"149" * 20))
    before = snapshot(checkpointed)

    (finding,) = check(checkpointed)
    assert (finding.kind, finding.file) == ("lost", f"hot/{path.name}")
    assert "checksum of a block" in finding.what
    done = repair(checkpointed, apply=True)
    assert not done.needed
    assert str(done) == f"no repair mends hot/{path.name}: restore a backup"
    assert snapshot(checkpointed) == before
    with pytest.raises(Corruption, match=path.name):
        rows(checkpointed)


@pytest.mark.parametrize("what", ["missing", "cut short", "another file", "a damaged index"])
def test_a_segment_that_keeps_the_database_from_opening_is_found(checkpointed: Path, what: str) -> None:
    path = segment_of_rows(checkpointed)
    content = path.read_bytes()
    if what == "missing":
        path.unlink()
    elif what == "a damaged index":
        flip(path, content.index(b"KALAMHOT") - 20)
    else:
        other = next(one for one in (checkpointed / "hot").glob("*.arrow") if one != path)
        path.write_bytes(content[:-1] if what == "cut short" else other.read_bytes())

    with pytest.raises(Corruption, match=path.name):
        kalamdb.open(checkpointed)
    (finding,) = check(checkpointed)
    assert (finding.kind, finding.file) == ("lost", f"hot/{path.name}")


def test_a_damaged_checkpoint_and_one_of_another_time_are_found(checkpointed: Path) -> None:
    path = checkpointed / "hot" / "checkpoint"
    content = path.read_bytes()
    flip(path, 20)
    (finding,) = check(checkpointed)
    assert (finding.kind, finding.file) == ("lost", "hot/checkpoint")
    assert "hot/checkpoint" in str(repair(checkpointed, apply=True))

    path.write_bytes(content)
    for log in logs(checkpointed):
        log.unlink()
    with pytest.raises(Corruption, match="of another time"):
        kalamdb.open(checkpointed)
    (finding,) = check(checkpointed)
    assert (finding.kind, finding.file) == ("lost", "hot/checkpoint")
    assert "of another time" in finding.what


def test_a_log_that_is_cut_before_the_checkpoint_keeps_what_is_in_segments(checkpointed: Path) -> None:
    path = logs(checkpointed)[0]
    flip(path, record_at(path, 5) + 40)
    with pytest.raises(Corruption, match=path.name):
        kalamdb.open(checkpointed)
    done = repair(checkpointed, apply=True)
    assert done.needed
    assert done.kept_records == 5

    assert rows(checkpointed) == list(range(150))
    with kalamdb.open(checkpointed) as db:
        db.execute("INSERT INTO rows VALUES (1000, 'new')")
        db.checkpoint()
        db.execute("INSERT INTO rows VALUES (1001, 'newer')")
    assert rows(checkpointed) == [*range(150), 1000, 1001]
    assert {one.kind for one in check(checkpointed)} == {"kept"}


def test_a_log_that_goes_wholly_keeps_what_is_in_segments(checkpointed: Path) -> None:
    for path in logs(checkpointed):
        flip(path, 20)
    assert repair(checkpointed, apply=True).kept_lsn == 0

    assert rows(checkpointed) == list(range(150))
    with kalamdb.open(checkpointed) as db:
        db.execute("INSERT INTO rows VALUES (1000, 'new')")
    assert rows(checkpointed) == [*range(150), 1000]


def test_a_missing_identity_is_found_and_told_and_a_repair_makes_a_new_one(directory):
    with kalamdb.open(directory) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        db.execute("INSERT INTO t VALUES (1)")
    (directory / "database.json").unlink()

    assert [(one.kind, one.file) for one in kalamdb.check(directory)] == [("damage", "database.json")]
    with pytest.raises(Corruption, match=r"database\.json is missing"):
        kalamdb.open(directory)
    assert kalamdb.repair(directory, apply=True).needed
    with kalamdb.open(directory) as db:
        assert db.execute("SELECT * FROM t").fetchall() == [(1,)]
    assert kalamdb.check(directory) == []
