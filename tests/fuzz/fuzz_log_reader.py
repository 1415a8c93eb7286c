"""Any bytes as a log: refused by name, or opened whole; never a crash, and never a record that was not written.

The first byte chooses: the bytes are the file; the bytes are damage to a sound file; the bytes are the payloads of
records whose checksums are right, which a store is then to make sense of.
"""

from __future__ import annotations

import functools

from kalamcore.errors import CorruptionError, IoError, UnknownFormatError
from kalamcore.rows import BIGINT, TEXT, Layout, Reader
from kalamcore.store import Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamcore.wal import Log
from tests.fuzz.mutation import NUMBERS

NAME = "log_reader"
WORDS = NUMBERS
LAYOUT = Layout(1, [(1, BIGINT, 0, 0, False), (2, TEXT, 0, 0, True)], 0)
READER = Reader([LAYOUT], [None, None])
FILE = "data/00000001.log"


def run(data: bytes) -> None:
    """Opens it as a log and as a store."""
    match data[0] % 3 if data else 0:
        case 0:
            log_of(data[1:])
            store_of(data[1:])
        case 1:
            damaged = damage(bytearray(sound()), data[1:])
            log_of(damaged)
            store_of(damaged)
        case _:
            store_of(of_payloads(data[1:]))


@functools.cache
def sound() -> bytes:
    """A log of a few commits as a store writes it, without the zeros behind them."""
    files = FileSystem.memory()
    files.make_directory("data")
    store = opened(files)
    store.define_table(1, 1)
    for n in range(6):
        batch = WriteBatch(store.snapshot())
        batch.insert(1, b"ann" if n % 2 else b"", LAYOUT, (n, "text" * n))
        store.commit(batch)
    store.snowflake_id()
    return files.read_file(FILE).rstrip(b"\0")


def damage(file: bytearray, data: bytes) -> bytes:
    """Four bytes at a time: where, how, and with what."""
    for at in range(0, len(data) - 3, 4):
        where = int.from_bytes(data[at : at + 2], "little") % (len(file) + 1)
        way, value = data[at + 2] % 5, data[at + 3]
        if way == 0:
            del file[where:]
        elif way == 1:
            file[where : where + 1] = bytes([value])
        elif way == 2:
            file[where:where] = bytes(value)
        elif way == 3:
            file[where:where] = file[where : where + value]
        else:
            del file[where : where + value]
    return bytes(file)


def of_payloads(data: bytes) -> bytes:
    """A sound log of records with these payloads: each begins with its type and length."""
    files = FileSystem.memory()
    files.make_directory("data")
    log = Log(files, "data", file_bytes=1 << 16, random=RandomSource.seeded(3))
    while len(data) > 1:
        kind, length = 1 + data[0] % 2, data[1]
        log.append(kind, data[2 : 2 + length])
        data = data[2 + length :]
    if log.last:
        log.flush(log.last)
    return files.read_file(FILE)


def with_file(data: bytes) -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("data")
    files.write_atomic(FILE, data)
    return files


def opened(files: FileSystem) -> Store:
    return Store(
        files,
        "data",
        clock=Clock.manual(1_900_000_000_000_000),
        random=RandomSource.seeded(7),
        wal_file_bytes=1 << 16,
    )


def log_of(data: bytes) -> None:
    """What was read is there again, with what is added, when it is opened once more."""
    files = with_file(data)
    try:
        log = Log(files, "data", file_bytes=1 << 16, random=RandomSource.seeded(1))
    except (CorruptionError, UnknownFormatError) as error:
        assert "data" in str(error), error
        return
    except IoError as error:
        raise AssertionError("bytes are no failure of the disk") from error
    records = log.records
    log.flush(log.append(1, b"added"))
    added = (1, log.last, b"added")
    again = Log(files.crash("all"), "data", file_bytes=1 << 16, random=RandomSource.seeded(2))
    assert again.records == [*records, added]


def store_of(data: bytes) -> None:
    """Rows that can be read or are refused, and the same ones when it is opened once more."""
    files = with_file(data)
    try:
        store = opened(files)
    except (CorruptionError, UnknownFormatError):
        return
    before = rows(store)
    again = opened(files.crash("all"))
    assert rows(again) == before
    assert again.snapshot() >= store.snapshot()


def rows(store: Store) -> list[object]:
    found: list[object] = [store.partitions(1), store.statistics()["memtable_entries"]]
    for partition in store.partitions(1):
        try:
            found.append(store.scan(1, partition, store.snapshot(), READER, [0, 1, -1], deleted=True))
        except CorruptionError:
            found.append("corrupt")
    return found
