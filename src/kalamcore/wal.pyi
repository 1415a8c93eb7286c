"""The write-ahead log, for tests and tools; the engine uses it inside the store."""

from typing import Any, final

from kalamcore.system import FileSystem, RandomSource

# Record types
COMMIT: int  # 1
ID_LEASE: int  # 2
CLEAN_CLOSE: int  # 3

@final
class Log:
    """Every record, in order, in preallocated and recycled files `NNNNNNNN.log` of a directory that exists.

    Opening reads what is there, keeps a torn tail beside it, and makes what it accepted durable again. Raises
    CorruptionError, UnknownFormatError, IoError. Thread safety: every method may be called from any thread.
    """
    def __init__(
        self,
        files: FileSystem,
        directory: str,
        *,
        file_bytes: int = 67108864,
        random: RandomSource | None = None,
    ) -> None: ...
    @property
    def records(self) -> list[tuple[int, int, bytes]]:
        """(type, log sequence number, payload) of every record that was read at open."""
    @property
    def recovery(self) -> dict[str, object]:
        """records, last_lsn, torn_bytes, torn_file, kept_as."""
    def append(self, type: int, payload: bytes, *, frees: bool = False) -> int:
        """Adds a record to the buffer and returns its number. Raises PoisonedError. One that `frees` may use the room
        that is kept back for deletes on a full disk."""
    def flush(self, lsn: int, sync: bool = True) -> None:
        """Returns once the record and all before it are with the OS, with `sync` on the disk. Raises IoError where
        there was no room (the record is gone, `last` steps back), OutcomeUnknownError, PoisonedError."""
    def release(self, lsn: int) -> None:
        """Records up to `lsn` are no longer needed: files that hold nothing else are recycled or removed."""
    @property
    def last(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def durable(self) -> int: ...
    @property
    def bytes(self) -> int:
        """Bytes of the log's files up to their last records."""
    def close(self) -> None:
        """Flushes, marks the end as clean and closes; no error if that has happened."""

def survey(files: FileSystem, directory: str, *, repair: bool = False) -> dict[str, Any]:
    """What is wrong with a log that nobody writes to: findings, a list of (kind, file, offset, log sequence number,
    what), kind being damage, torn or kept; kept_records, kept_first_lsn, kept_lsn, dropped_records and dropped_bytes of a
    repair.

    With `repair` the log is cut at its first damage, so that it opens again, and what is cut is kept in files named
    *.damaged. Raises UnknownFormatError, IoError."""

def crc32c(data: bytes) -> int:
    """The checksum of the log's bytes, by the processor's instruction where it has one."""

def crc32c_by_table(data: bytes) -> int:
    """The same without the instruction."""
