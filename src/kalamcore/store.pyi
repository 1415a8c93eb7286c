"""The native half of the engine: log, memtable, streams and commit order as one."""

from collections.abc import Iterable, Sequence
from typing import Any, final

from typing_extensions import disjoint_base

from kalamcore.rows import Layout, Reader
from kalamcore.system import Clock, FileSystem, RandomSource

@final
class WriteBatch:
    """The operations of one commit, encoded before any lock. `snapshot` is what the statement saw.

    Sequence numbers go to the operations in order. A key may occur more than once.
    """
    def __init__(self, snapshot: int) -> None: ...
    def insert(self, table_id: int, partition: bytes, layout: Layout, values: Sequence[object]) -> None:
        """A new row; the commit raises DuplicateKeyError where the key has a live row."""
    def insert_many(
        self, table_id: int, partition: bytes, layout: Layout, rows: Sequence[Sequence[object]]
    ) -> None:
        """Raises as Layout.encode, with `row` set."""
    def insert_arrow(self, table_id: int, partition: bytes, layout: Layout, batch: object) -> None:
        """As rows_from_arrow, without a Python object per cell."""
    def replace(self, table_id: int, partition: bytes, layout: Layout, values: Sequence[object]) -> None:
        """A new version of a row; the commit raises WriteConflictError where the key changed since the snapshot, or
        has no live row."""
    def delete(self, table_id: int, partition: bytes, layout: Layout, values: Sequence[object]) -> None:
        """A tombstone with the row's last values; conflicts as replace."""
    def define_table(
        self,
        table_id: int,
        version: int,
        *,
        reader: Reader | None = None,
        column_names: Sequence[str] = (),
        stream_ttl_us: int = 0,
        stream_rows_max: int = 0,
        deleted_retention_ms: int = -1,
    ) -> None:
        """With this commit the table takes rows of this schema version and no other (stream_ttl_us > 0: a STREAM).
        `deleted_retention_ms`: how long tombstones stay in hot segments; negative: for good."""
    def drop_table(self, table_id: int) -> None: ...
    def place(self, operation: int) -> tuple[int, bytes, bytes]:
        """(table_id, partition, key) of an operation; IndexError where there is none."""
    def __len__(self) -> int: ...

@disjoint_base
class Readable:
    """What rows are read from: the store, or a transaction laid over it."""
    def get(
        self,
        table_id: int,
        partition: bytes,
        key: bytes,
        snapshot: int,
        reader: Reader,
        columns: Sequence[int] | None = None,
        deleted: bool = False,
    ) -> tuple[object, ...] | None:
        """The row's values; system columns by the positions -1 (_seq), -2 (_updated), -3 (_deleted)."""
    def scan(
        self,
        table_id: int,
        partition: bytes,
        snapshot: int,
        reader: Reader,
        columns: Sequence[int] | None = None,
        *,
        low: bytes | None = None,
        high: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        deleted: bool = False,
    ) -> list[tuple[object, ...]]:
        """Rows in key order."""
    def scan_arrow(
        self,
        table_id: int,
        partition: bytes,
        snapshot: int,
        reader: Reader,
        columns: Sequence[int],
        *,
        low: bytes | None = None,
        high: bytes | None = None,
        deleted: bool = False,
        batch_rows: int = 65536,
        cold: bool = True,
    ) -> list[object]:
        """The same as Arrow: objects with `__arrow_c_array__`, fields named f0, f1, … in the order of `columns`."""
    def count(self, table_id: int, partition: bytes, snapshot: int) -> int:
        """Rows that live at `snapshot`."""
    def count_all(self, table_id: int, snapshot: int) -> int:
        """The same of all partitions together."""
    def partitions(self, table_id: int) -> list[bytes]:
        """Every partition that ever had a row."""

@final
class Store(Readable):
    """Thread safety: every method may be called from any thread."""
    def __init__(
        self,
        files: FileSystem,
        directory: str,
        *,
        clock: Clock | None = None,
        random: RandomSource | None = None,
        wal_file_bytes: int = 67108864,
        stream_bytes_max: int = 67108864,
        sync_interval_ms: int = 100,
        worker_id: int = 0,
        hot_directory: str | None = None,
        memtable_bytes: int = 67108864,
        hot_cache_bytes: int = 67108864,
        cold_cache_bytes: int = 67108864,
        history_bytes: int = 0,
        history_ms: int = 0,
        access: str = "own",
    ) -> None:
        """Locks nothing; replays the log of `directory`. `access`: "own", or, to change nothing, "checkpoint" (as of the
        last one, beside the owner) or "log" (with the log behind it, where nobody owns the directory). Raises
        CorruptionError, UnknownFormatError, IoError."""
    @property
    def recovery(self) -> dict[str, object]:
        """records, last_lsn, torn_bytes, torn_file, kept_as."""
    def define_table(
        self,
        table_id: int,
        version: int,
        *,
        reader: Reader | None = None,
        column_names: Sequence[str] = (),
        stream_ttl_us: int = 0,
        stream_rows_max: int = 0,
        deleted_retention_ms: int = -1,
    ) -> None:
        """At open, from the catalog."""
    def drop_table(self, table_id: int) -> None:
        """At open, from the catalog: the table was dropped earlier, and its rows go with the next checkpoint."""
    def hold_definitions(self) -> None:
        """No checkpoint begins to write rows by the definitions that are committed from here on, until
        tell_definitions() says that readers know of them. Each call is answered by one of that."""
    def tell_definitions(self) -> None:
        """Who pins a view from here on, and then asks what tables there are, gets to know the new definitions."""
    def snapshot(self) -> int:
        """The sequence number up to which everything is published."""
    def view(self) -> View:
        """The rows as they are now, kept for as long as the view is."""
    def checkpoint(self) -> int:
        """Writes what memory holds to hot segments and lets go of the log up to there; the rows written. Raises
        IoError where there was no room, and nothing has changed then; PoisonedError."""
    def hold_segments(self) -> dict[str, Any]:
        """Checkpoints, and keeps the files of its hot segments in place until release_segments(), once for each call.

        {last_sequence, lease_end_ms, segments: [(number, table_id, bytes, checksum of the index, what is added to its
        sequence numbers)], of a table the newest first}. Raises as checkpoint."""
    def release_segments(self) -> None:
        """Lets what hold_segments() kept go where it is no longer needed."""
    def erase_partition(self, table_ids: Iterable[int], partition: bytes) -> int:
        """Checkpoints, then writes the hot segments of these tables anew without a partition's rows; how many went."""
    def purge_log(self) -> None:
        """Checkpoints, and leaves of the log only what was written since this began; the rest becomes zeros and goes.
        Raises as checkpoint."""
    def adopt(
        self,
        directory: str,
        tables: Iterable[tuple[int, Reader, Sequence[str], Iterable[tuple[int, int, int, int, int]]]],
        *,
        last_sequence: int,
        lease_end_ms: int,
    ) -> int:
        """Takes rows of another database's segments in, with their sequence numbers; how many.

        `tables`: (table_id, Reader, column names, segments as hold_segments() tells them) each, for a table id that
        nobody wrote to. The rows are seen from the next commit on, whose sequence number is above `last_sequence`; ids
        given from now on are of unix millisecond `lease_end_ms` or later."""
    def add_cold_table(self, table_id: int) -> None:
        """From now on partitions of the table may have something cold: a row each in the reserved table says which."""
    def drop_cold_table(self, table_id: int) -> None:
        """The table is gone."""
    def set_cold(
        self,
        table_id: int,
        partition: bytes,
        generation: int,
        watermark: int,
        segments: Sequence[
            tuple[
                int,
                Layout,
                Sequence[int],
                Sequence[bytes],
                bytes,
                bytes,
                Sequence[bytes],
                int,
                int,
                int,
                int,
            ]
        ],
    ) -> None:
        """What a partition's manifest tells. `segments`, the newest first: (id in this process, Layout, rows of each
        block, first key of each block, least key, greatest key, Parquet's filter of each block or none, least _seq, greatest _seq, tombstones, the
        sequence number below which older versions may be missing)."""
    def set_nothing_cold(self, table_id: int, partition: bytes) -> None:
        """There is no manifest yet."""
    def forget_cold(self, table_id: int, partition: bytes) -> None:
        """The partition's manifest is to be read again."""
    def add_cold_block(self, segment: int, number: int, layout: Layout, batch: object) -> Block:
        """A decoded block: a record batch of the layout's columns in canonical types, then _seq and _deleted. It stays
        in memory for as long as what is returned does."""
    def drop_cold_blocks(self, segment: int) -> None:
        """The segment is gone."""
    def unflushed(self, table_id: int, watermarks: dict[bytes, int]) -> list[tuple[bytes, int, int]]:
        """(partition, rows, least _seq of those in hot segments or 0) for each that has rows which are not cold.
        `watermarks`: by partition, up to which _seq its rows are."""
    def drop_flushed(self, table_id: int, watermarks: dict[bytes, int]) -> None:
        """Lets go of hot rows that are in cold segments. Raises as checkpoint."""
    def commit(self, batch: WriteBatch, *, sync: bool = True) -> int:
        """All of it or nothing. Returns the sequence number of its last operation once it is durable as asked and
        published. Raises DuplicateKeyError, WriteConflictError (also where a table's schema version is not the
        batch's, or the table was dropped), PoisonedError, OutcomeUnknownError, IoError."""
    @property
    def syncs(self) -> int:
        """How often the log was synced for those who waited for it."""
    def statistics(self) -> dict[str, int]:
        """Bytes, entries and rows of memtables, streams, log, hot segments and their cache; last_sequence."""
    def snowflake_id(self) -> int: ...
    def durable_snowflake_id(self) -> int:
        """One for a name outside of the log: no power cut takes from the log that it was given."""
    def snowflake_ids(self, count: int) -> bytearray: ...
    def close(self) -> None: ...

def hot_segment_name(number: int) -> str:
    """The name of a hot segment's file."""

@final
class Block:
    """A decoded block of a cold segment, held in memory."""
    @property
    def nbytes(self) -> int:
        """Bytes it takes of the cache."""

@final
class View(Readable):
    """What one reader sees: the rows of one snapshot. Made by Store.view(). Safe for threads."""
    @property
    def snapshot(self) -> int:
        """The sequence number up to which it sees what was committed."""
    @property
    def checkpointed(self) -> int:
        """The sequence number up to which commits are in segments."""

@final
class Transaction(Readable):
    """Several statements as one commit: the rows of a snapshot with own writes laid over them.

    Reads take the transaction's own snapshot. `_seq` of own rows is provisional: above all that the snapshot shows, in the
    order of writing. Nothing of it is in the store, so forgetting it rolls it back. One thread at a time.
    """
    def __init__(self, store: Store, snapshot: int | None = None) -> None: ...
    @property
    def snapshot(self) -> int:
        """The sequence number up to which it sees what others committed."""
    def write(self, batch: WriteBatch) -> int:
        """Takes a statement's operations, all or none; the provisional sequence number of the last. Raises
        DuplicateKeyError where a row that is inserted is visible here, WriteConflictError where one that is replaced or
        deleted is not."""
    def back_to(self, size: int) -> None:
        """As if nothing had been written since its length was `size`."""
    def batch(self) -> WriteBatch:
        """What it comes to, one operation a key, in the order of the last writes. The commit raises DuplicateKeyError or
        WriteConflictError where a key was changed since the snapshot."""
    def __len__(self) -> int:
        """Operations that were taken and not taken back."""

def check_segments(files: FileSystem, directory: str) -> dict[str, Any]:
    """What is wrong with a checkpoint and its hot segments, to which nobody writes: findings, a list of (file, offset,
    what); lsn, the record of the log up to which all is in segments, 0 where there is no checkpoint, None where it
    cannot be read. Every block is read. Raises UnknownFormatError, IoError."""

def verify_segment(files: FileSystem, directory: str, segment: tuple[int, int, int, int, int]) -> None:
    """Reads every block of a segment, as hold_segments() tells it. Raises CorruptionError, UnknownFormatError, IoError."""

def lower_checkpoint(files: FileSystem, directory: str, lsn: int) -> None:
    """Before a repair cuts the log at record `lsn`: a checkpoint whose place in it is behind that has it there."""
