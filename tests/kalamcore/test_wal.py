"""The write-ahead log: what it keeps through crashes, damage, full disks and failing ones."""

import errno
import itertools
import os
import random
import struct
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore.errors import (
    CorruptionError,
    IoError,
    OutcomeUnknownError,
    PoisonedError,
    UnknownFormatError,
)
from kalamcore.system import FileSystem, RandomSource
from kalamcore.wal import CLEAN_CLOSE, COMMIT, Log, crc32c, crc32c_by_table

HEADER_BYTES = 4096
FIRST = "log/00000001.log"
# Every opening has a salt of its own, as it has outside of tests.
seeds = itertools.count(1)


def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("log")
    return files


def opened(files: FileSystem, file_bytes: int = 1 << 20) -> Log:
    return Log(files, "log", file_bytes=file_bytes, random=RandomSource.seeded(next(seeds)))


def write(log: Log, *payloads: bytes, sync: bool = True) -> int:
    """One flush for all of them."""
    lsn = 0
    for payload in payloads:
        lsn = log.append(COMMIT, payload)
    log.flush(lsn, sync)
    return lsn


def commits(log: Log) -> list[bytes]:
    return [payload for kind, _, payload in log.records if kind == COMMIT]


def replaced(files: FileSystem, path: str, content: bytes) -> FileSystem:
    """A copy of the file system in which one file holds other bytes, durably."""
    copy = files.crash()
    copy.write_atomic(path, content)
    return copy


@given(st.binary(max_size=300))
def test_every_checksum_is_the_same(data: bytes) -> None:
    assert crc32c(data) == crc32c_by_table(data)


def test_the_checksum_is_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@pytest.mark.parametrize("closes", [True, False])
def test_a_reopened_log_shows_every_record_in_order(tmp_path: Path, closes: bool) -> None:
    files = FileSystem.posix()
    payloads = [bytes([n % 256]) * (n * 7 % 900) for n in range(500)]
    log = Log(files, str(tmp_path), file_bytes=64 << 10)
    for payload in payloads:
        log.append(COMMIT, payload)
    log.flush(log.last)
    if closes:
        log.close()
    del log

    again = Log(files, str(tmp_path), file_bytes=64 << 10)

    assert commits(again) == payloads
    assert [lsn for _, lsn, _ in again.records] == list(range(1, len(again.records) + 1))
    assert again.recovery["torn_bytes"] == 0
    assert again.last == again.written == again.durable == again.recovery["last_lsn"]


def test_a_closed_log_ends_with_its_mark_and_takes_no_more() -> None:
    files = memory()
    log = opened(files)
    write(log, b"a")
    log.close()
    log.close()

    with pytest.raises(PoisonedError, match="closed"):
        log.append(COMMIT, b"b")
    assert opened(files).records[-1] == (CLEAN_CLOSE, 2, b"")


def test_opening_a_small_log_again_and_again_keeps_one_small_file() -> None:
    files = memory()
    for _ in range(20):
        log = opened(files)
        write(log, b"x")
        log.close()

    assert files.list("log") == ["00000001.log"]
    assert len(files.read_file(FIRST)) < 2 * HEADER_BYTES


def test_a_longer_last_file_is_left_behind_and_only_its_unsure_end_written_again() -> None:
    files = memory()
    payloads = [bytes([n]) * 100_000 for n in range(20)]
    log = opened(files, 16 << 20)
    write(log, *payloads[:15])
    write(log, *payloads[15:], sync=False)

    again = opened(files.crash("none"), 16 << 20)
    assert commits(again) == payloads

    survivor = files.crash("none")
    opened(survivor, 16 << 20)
    assert survivor.list("log") == ["00000001.log", "00000002.log"]
    assert commits(opened(survivor.crash("all"), 16 << 20)) == payloads


def test_what_recovery_accepted_from_the_page_cache_is_durable_when_open_returns() -> None:
    files = memory()
    log = opened(files)
    write(log, b"synced")
    files.fail(["sync"])
    with pytest.raises(OutcomeUnknownError):
        write(log, b"cached")

    killed = files.crash("none")
    assert commits(opened(killed)) == [b"synced", b"cached"]
    assert commits(opened(killed.crash("all"))) == [b"synced", b"cached"]


@pytest.mark.parametrize("fill", ["nothing", "zeros", "random", "old"])
def test_a_torn_last_record_is_cut_at_every_byte_kept_and_reported(fill: str) -> None:
    files = memory()
    log = opened(files)
    write(log, b"first" * 10)
    write(log, b"second" * 10)
    end = log.bytes
    write(log, b"third!" * 10)
    content = files.read_file(FIRST)[: log.bytes]
    noise = random.Random(1)
    earlier_files = memory()
    write(opened(earlier_files), *([b"first" * 10] * 9))
    earlier = earlier_files.read_file(FIRST)

    for cut in range(end, len(content)):
        missing = len(content) - cut
        tail = {
            "nothing": b"",
            "zeros": bytes(missing),
            "random": noise.randbytes(missing),
            "old": earlier[cut : cut + missing],
        }[fill]
        found = content[:cut] + tail
        damaged = replaced(files, FIRST, found)

        again = opened(damaged)

        # Behind the payload is padding, which means nothing.
        whole = found[end : end + 32 + 60] == content[end : end + 32 + 60]
        kept = [b"first" * 10, b"second" * 10] + [b"third!" * 10] * whole
        assert commits(again) == kept, cut
        torn = b"" if whole else found[end:].rstrip(b"\0")
        assert again.recovery["torn_bytes"] == len(torn)
        if torn:
            assert again.recovery["torn_file"] == "00000001.log"
            assert again.recovery["kept_as"] == "00000001.log.torn"
            assert damaged.crash().read_file("log/00000001.log.torn") == torn
        write(again, b"next")
        assert commits(opened(damaged.crash())) == [*kept, b"next"]


def test_a_flipped_bit_in_the_middle_is_refused_with_file_and_offset() -> None:
    files = memory()
    log = opened(files)
    offsets = []
    for number in range(6):
        offsets.append(log.bytes)
        write(log, bytes([65 + number]) * 20)
    content = files.read_file(FIRST)

    for bit in range(8 * offsets[0], 8 * (offsets[4])):
        at = bit // 8
        record = max(n for n, offset in enumerate(offsets) if offset <= at)
        if at - offsets[record] >= 32 + 20:
            continue  # padding
        damaged = bytearray(content)
        damaged[at] ^= 1 << bit % 8

        with pytest.raises(CorruptionError, match=f"record {record + 1} .*repair") as caught:
            opened(replaced(files, FIRST, bytes(damaged)))

        assert caught.value.path == FIRST
        assert caught.value.offset == offsets[record]


def test_a_flipped_bit_after_a_clean_close_is_refused_even_in_the_last_commit() -> None:
    files = memory()
    log = opened(files)
    write(log, b"only")
    log.close()
    content = bytearray(files.read_file(FIRST))
    content[HEADER_BYTES + 33] ^= 1

    with pytest.raises(CorruptionError):
        opened(replaced(files, FIRST, bytes(content)))


def test_records_swapped_repeated_or_left_out_are_refused() -> None:
    files = memory()
    log = opened(files)
    for number in range(6):
        write(log, bytes([65 + number]) * 24)
    content = files.read_file(FIRST)[: log.bytes]
    size = 32 + 24
    head, *records = [content[:HEADER_BYTES]] + [
        content[at : at + size] for at in range(HEADER_BYTES, len(content), size)
    ]
    a, b, c, d, e, f = records

    swapped = [a, c, b, d, e, f]
    repeated = [a, b, b, c, d, e, f]
    repeated_at_the_end = [a, b, c, d, e, f, f]
    for wrong in (swapped, repeated, repeated_at_the_end, [a, c, d, e, f], [b, c, d, e, f]):
        with pytest.raises(CorruptionError):
            opened(replaced(files, FIRST, head + b"".join(wrong)))


def test_every_flipped_bit_of_a_file_header_is_refused() -> None:
    files = memory()
    write(opened(files), b"a")
    content = files.read_file(FIRST)

    for bit in range(64 * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError):
            opened(replaced(files, FIRST, bytes(damaged)))


def test_a_newer_format_is_refused_by_name() -> None:
    files = memory()
    write(opened(files), b"a")
    content = bytearray(files.read_file(FIRST))
    content[8:12] = struct.pack("<I", 3)
    content[60:64] = struct.pack("<I", crc32c(bytes(content[:60])))

    with pytest.raises(UnknownFormatError, match=r"format 3.*up to format 2"):
        opened(replaced(files, FIRST, bytes(content)))


def test_a_missing_or_foreign_file_in_the_middle_is_refused() -> None:
    files = memory()
    log = opened(files, 8192)
    for number in range(12):
        write(log, bytes([number]) * 1000)
    names = files.list("log")
    assert len(names) > 2

    missing = files.crash()
    missing.remove(f"log/{names[1]}")
    with pytest.raises(CorruptionError, match="missing"):
        opened(missing, 8192)

    with pytest.raises(CorruptionError, match="another name"):
        opened(replaced(files, f"log/{names[1]}", files.read_file(f"log/{names[0]}")), 8192)

    short = files.read_file(f"log/{names[0]}")[: HEADER_BYTES + 500]
    with pytest.raises(CorruptionError, match="later log file"):
        opened(replaced(files, f"log/{names[0]}", short), 8192)


def test_a_record_larger_than_a_file_gets_a_file_of_its_own() -> None:
    files = memory()
    payloads = [b"small", b"x" * 100_000, b"after", b"y" * 50_000]
    log = opened(files, 16_384)
    write(log, *payloads)

    assert commits(opened(files.crash(), 16_384)) == payloads


@pytest.mark.parametrize(
    "loss", ["none", "all", "subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros"]
)
def test_a_power_cut_keeps_what_was_synced_and_a_prefix_of_the_rest(loss: str) -> None:
    noise = random.Random(3)
    for seed in range(60):
        files = memory()
        log = opened(files, 16_384)
        payloads = []
        synced = 0
        for number in range(noise.randrange(1, 30)):
            payloads.append(bytes([number + 1]) * noise.randrange(1, 3000))
            sync = noise.random() < 0.3
            write(log, payloads[-1], sync=sync)
            synced = len(payloads) if sync else synced

        crashed = files.crash(loss, seed)
        found = commits(opened(crashed, 16_384))

        assert found == payloads[: len(found)]
        assert len(found) >= synced
        assert commits(opened(crashed.crash("all"), 16_384)) == found


def test_a_crash_at_every_operation_loses_nothing_that_was_acknowledged() -> None:
    """Rolls, reopens and cuts included: each operation in turn is the last one that happens."""
    payloads = [bytes([n + 1]) * 900 for n in range(12)]
    at = 0
    while True:
        at += 1
        files = memory()
        files.fail(at=at, sticky=True)
        acknowledged = 0
        try:
            log = opened(files, 8192)
            for payload in payloads[:8]:
                write(log, payload)
                acknowledged += 1
            log = opened(files, 8192)
            assert commits(log) == payloads[:8]
            for payload in payloads[8:]:
                write(log, payload)
                acknowledged += 1
            log.close()
            break
        except (IoError, OutcomeUnknownError, PoisonedError):
            pass
        files.forgive()
        for seed, loss in enumerate(["all", "subset", "reorder", "torn_1", "torn_512", "zeros"]):
            crashed = files.crash(loss, seed)
            found = commits(opened(crashed, 8192))
            assert found == payloads[: len(found)], (at, loss)
            assert len(found) >= acknowledged, (at, loss)
            assert commits(opened(crashed.crash("all"), 8192)) == found, (at, loss)
    assert at > 30


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_a_failed_write_or_sync_poisons_the_log_and_is_never_tried_again(operation: str) -> None:
    files = memory()
    log = opened(files)
    write(log, b"before")
    count = files.count(operation)
    files.fail([operation], errno=errno.EIO)

    with pytest.raises(OutcomeUnknownError, match="Input/output error"):
        write(log, b"lost")
    with pytest.raises(PoisonedError, match="Input/output error"):
        log.append(COMMIT, b"after")
    with pytest.raises(PoisonedError):
        log.close()

    log.flush(1)
    assert files.count(operation) == count + 1


def test_a_full_disk_refuses_a_commit_cleanly_and_takes_the_next_when_there_is_room() -> None:
    files = memory()
    log = opened(files, 8192)
    write(log, b"a" * 2000)
    files.fail(["preallocate"], errno=errno.ENOSPC, sticky=True)
    refused = log.append(COMMIT, b"b" * 3000)
    with pytest.raises(IoError) as caught:
        log.flush(refused)
    assert caught.value.errno == errno.ENOSPC
    assert log.last == log.written == log.durable == 1
    with pytest.raises(IoError):
        log.flush(refused)
    with pytest.raises(IoError):
        write(log, b"c" * 3000)

    # Room is kept back in every file for what deletes.
    with pytest.raises(IoError):
        write(log, b"d" * 100)
    freeing = log.append(COMMIT, b"f" * 100, frees=True)
    log.flush(freeing)
    assert freeing > refused
    files.forgive()
    write(log, b"e" * 3000)

    assert commits(opened(files.crash(), 8192)) == [b"a" * 2000, b"f" * 100, b"e" * 3000]


def test_a_full_disk_keeps_no_log_from_being_opened() -> None:
    """Neither the file's copy nor a new file of usual size has room: a small one has, in what the last life kept."""
    files = memory()
    log = opened(files)
    for number in range(30):
        write(log, bytes([number]) * 10_000)
    disk = files.crash("none")
    used = len(disk.read_file(FIRST).rstrip(b"\0"))
    assert len(disk.read_file(FIRST)) > used + (64 << 10)
    disk.fail(["preallocate"], errno=errno.ENOSPC)
    reopened = opened(disk)
    assert commits(reopened) == commits(opened(files.crash()))
    assert len(disk.read_file(FIRST)) <= used + 8
    write(reopened, b"more")
    assert commits(opened(disk.crash()))[-1] == b"more"


def test_a_flush_without_sync_is_written_but_not_durable() -> None:
    files = memory()
    log = opened(files)
    lsn = write(log, b"a", sync=False)

    assert (log.written, log.durable) == (lsn, 0)
    assert commits(opened(files.crash("none"))) == [b"a"]
    assert commits(opened(files.crash("all"))) == []


def test_eight_threads_commit_in_groups(tmp_path: Path) -> None:
    files = FileSystem.posix()
    log = Log(files, str(tmp_path), file_bytes=256 << 10)
    failures: list[BaseException] = []

    def commit(thread: int) -> None:
        try:
            for number in range(100):
                lsn = log.append(COMMIT, struct.pack("<II", thread, number) * 50)
                log.flush(lsn, number % 4 != 0)
                assert log.written >= lsn
                assert number % 4 == 0 or log.durable >= lsn
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=commit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    assert not failures
    found = [struct.unpack_from("<II", payload) for payload in commits(Log(files, str(tmp_path)))]
    assert len(found) == 800
    for thread_number in range(8):
        assert [n for t, n in found if t == thread_number] == list(range(100))


def test_readers_beside_writers_find_a_beginning_of_the_log_with_all_that_was_acknowledged() -> None:
    """Each reads what a kill or a power cut would leave just now, while files roll under it."""
    files = memory()
    log = opened(files, 20_000)
    written: dict[int, bytes] = {}
    acknowledged = [0] * 4
    problems: list[object] = []
    done = threading.Event()

    def write_all(thread: int) -> None:
        for number in range(150):
            payload = struct.pack("<II", thread, number) * (1 + number % 60)
            lsn = log.append(COMMIT, payload)
            written[lsn] = payload
            log.flush(lsn)
            acknowledged[thread] = lsn
            time.sleep(0.001)  # lets the readers have their turn

    def read_all(seat: int) -> None:
        while not done.is_set() and not problems:
            least = max(acknowledged)
            copy = files.crash("all" if seat else "none")
            found = {lsn: payload for kind, lsn, payload in opened(copy).records if kind == COMMIT}
            # An append may not have been noted here yet, though a flush of others has written it.
            wrong = [lsn for lsn, payload in found.items() if written.get(lsn, payload) != payload]
            if wrong or sorted(found) != list(range(1, len(found) + 1)) or len(found) < least:
                problems.append((seat, wrong, len(found), least))

    writers = [threading.Thread(target=write_all, args=(n,)) for n in range(4)]
    readers = [threading.Thread(target=read_all, args=(n,)) for n in range(2)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()

    assert problems == []
    assert commits(opened(files.crash("all"))) == [written[lsn] for lsn in sorted(written)]


def test_released_files_are_recycled_and_their_old_bytes_never_come_back() -> None:
    files = memory()
    size = 5 << 20
    log = opened(files, size)
    payloads: list[bytes] = []
    for number in range(60):
        payloads.append(bytes([number + 1]) * 500_000)
        lsn = write(log, payloads[-1])
        if number % 10 == 9:
            log.release(lsn - 3)
            assert log.bytes < 3 * size

    first = payloads.index(commits(opened(files.crash(), size))[0])
    found = commits(opened(files.crash(), size))
    assert found == payloads[first:]
    assert len(found) >= 3
    log.close()
    assert not [name for name in files.list("log") if name.startswith("spare")]


def test_a_forked_child_that_lets_go_of_a_log_neither_hangs_nor_changes_it() -> None:
    files = memory()
    log = opened(files, 5 << 20)
    for _ in range(8):
        write(log, b"x" * 500_000)
    while not any(name.startswith("spare") for name in files.list("log")):
        time.sleep(0.001)

    child = os.fork()
    if child == 0:
        del log
        os._exit(7)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    write(log, b"y")
    log.close()
    assert commits(opened(files, 5 << 20))[-1] == b"y"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 3000)),
            st.tuples(st.just("flush"), st.booleans()),
            st.tuples(st.just("reopen"), st.sampled_from(["none", "all", "subset", "torn_512", "zeros"])),
            st.tuples(st.just("close"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_the_log_agrees_with_a_list(steps: list[tuple[str, object]]) -> None:
    files = memory()
    log = opened(files, 10_000)
    records: list[bytes] = []
    synced = 0
    for number, (step, argument) in enumerate(steps):
        if step == "append":
            assert isinstance(argument, int)
            records.append(bytes([number + 1]) * argument)
            log.append(COMMIT, records[-1])
        elif step == "flush" and log.last:
            log.flush(log.last, bool(argument))
            synced = len(records) if argument else synced
        elif step in ("close", "reopen"):
            if step == "close":
                log.close()
                synced = len(records)
            files = files.crash(str(argument) if step == "reopen" else "all", number)
            log = opened(files, 10_000)
            found = commits(log)
            assert found == records[: len(found)]
            assert len(found) >= synced
            records = found
            synced = len(found)
