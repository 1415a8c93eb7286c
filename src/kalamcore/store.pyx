# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The native half of the engine: log, memtable, streams and commit order as one."""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.operator cimport dereference
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

from kalamcore.ids cimport CppSnowflakes
from kalamcore.memtable cimport Bounds
from kalamcore.rows cimport (
    ArrowInput,
    ArrowRowEncoder,
    CppArrowBatch,
    EncodedRows,
    Layout,
    Reader,
    RowReader,
    RowRef,
    import_batch,
    make_batch,
)
from kalamcore.system cimport Clock, FileSystem, RandomSource

from kalamcore.errors import CoreError

# A commit of more bytes than this is given to the log without the GIL.
cdef size_t SHORT_COMMIT_BYTES = 16384
cdef int ARROW_ROWS_AT_ONCE = 4096
cdef enum:
    ROWS_AT_ONCE = 128


cdef inline string_view view(bytes of):
    return string_view(PyBytes_AS_STRING(of), PyBytes_GET_SIZE(of))


cdef inline string_view view_of(const string& of):
    return string_view(of.data(), of.size())


cdef StreamOptions stream_options(int64_t ttl_us, uint64_t rows_max):
    cdef StreamOptions options
    options.ttl_us = ttl_us
    options.rows_max = rows_max
    return options


# Fills what the caller has: a copy would take memory where running out of it cannot be caught.
cdef int describe(TableDescription& description, Reader reader, object column_names) except -1:
    if reader is not None:
        description.reader = <shared_ptr[const RowReader]> reader.reader
        for name in column_names:
            description.column_names.push_back((<str> name).encode())
    return 0


@cython.final
cdef class WriteBatch:
    """The operations of one commit, encoded before any lock. `snapshot` is what the statement saw.

    Sequence numbers go to the operations in order. A key may occur more than once. An operation that raises
    leaves the batch as it was.
    """

    def __cinit__(self, uint64_t snapshot):
        self.batch.reset(new CppWriteBatch(snapshot, False))

    cdef int add(self, OperationKind kind, uint64_t table_id, bytes partition, object layout, object values,
                 Py_ssize_t at) except -1:
        cdef Layout encoder = <Layout> layout
        self.key.clear()
        self.row.clear()
        encoder.encode_into(values, self.row, at)
        encoder.key_into(values, self.key, at)
        dereference(self.batch).add(kind, table_id, dereference(encoder.layout).version(), view(partition),
                                    view_of(self.key), view_of(self.row))
        return 0

    def insert(self, uint64_t table_id, bytes partition not None, Layout layout not None, values):
        """A new row; the commit raises DuplicateKeyError where the key has a live row."""
        self.add(OperationKind.kInsert, table_id, partition, layout, values, -1)

    def insert_many(self, uint64_t table_id, bytes partition not None, Layout layout not None, rows):
        """Raises as Layout.encode, with `row` set."""
        cdef BatchMark mark = dereference(self.batch).mark()
        cdef Py_ssize_t at = 0
        try:
            for values in rows:
                self.add(OperationKind.kInsert, table_id, partition, layout, values, at)
                at += 1
        except BaseException:
            dereference(self.batch).back_to(mark)
            raise

    def insert_arrow(self, uint64_t table_id, bytes partition not None, Layout layout not None, batch):
        """As rows_from_arrow, without a Python object per cell."""
        cdef BatchMark mark = dereference(self.batch).mark()
        cdef unique_ptr[ArrowInput] columns = import_batch(batch)
        cdef CppWriteBatch* out = self.batch.get()
        cdef string_view name = view(partition)
        cdef uint32_t version = dereference(layout.layout).version()
        cdef unique_ptr[ArrowRowEncoder] encoder
        cdef EncodedRows encoded
        cdef int64_t begin = 0
        cdef int64_t end
        cdef int64_t total = dereference(columns).rows()
        cdef size_t before = out.bytes()
        encoder.reset(new ArrowRowEncoder(dereference(layout.layout), dereference(columns)))
        try:
            with nogil:
                while begin < total:
                    end = min(begin + ARROW_ROWS_AT_ONCE, total)
                    encoded.clear()
                    dereference(encoder).encode(begin, end, encoded)
                    out.add_rows(OperationKind.kInsert, table_id, version, name, encoded)
                    if begin == 0:
                        out.reserve(room_for(out.bytes() - before, end, total))
                    begin = end
        except BaseException:
            out.back_to(mark)
            raise

    def replace(self, uint64_t table_id, bytes partition not None, Layout layout not None, values):
        """A new version of a row; the commit raises WriteConflictError where the key changed since the
        snapshot, or has no live row."""
        self.add(OperationKind.kReplace, table_id, partition, layout, values, -1)

    def delete(self, uint64_t table_id, bytes partition not None, Layout layout not None, values):
        """A tombstone with the row's last values; conflicts as replace."""
        self.add(OperationKind.kDelete, table_id, partition, layout, values, -1)

    def define_table(self, uint64_t table_id, uint32_t version, *, Reader reader=None, column_names=(),
                     int64_t stream_ttl_us=0, uint64_t stream_rows_max=0, int64_t deleted_retention_ms=-1):
        """With this commit the table takes rows of this schema version and no other.

        `reader`: of that version, by which its rows are written to segments. `stream_ttl_us` above 0 makes it a
        STREAM. `deleted_retention_ms`: how long tombstones stay in hot segments; negative: for good."""
        cdef StreamOptions options = stream_options(stream_ttl_us, stream_rows_max)
        cdef TableDescription description
        describe(description, reader, column_names)
        description.deleted_retention_ms = deleted_retention_ms
        dereference(self.batch).define_table(table_id, version, options, description)

    def drop_table(self, uint64_t table_id):
        """With this commit the table takes no more rows."""
        dereference(self.batch).drop_table(table_id)

    def place(self, uint64_t operation):
        """(table_id, partition, key) of an operation; IndexError where there is none."""
        cdef RowOperation found
        if not dereference(self.batch).find(operation, found):
            raise IndexError(f"the batch has no operation {operation}")
        return (found.table_id, PyBytes_FromStringAndSize(found.partition.data(), found.partition.size()),
                PyBytes_FromStringAndSize(found.key.data(), found.key.size()))

    def __len__(self):
        return dereference(self.batch).size()


cdef class Readable:
    """What rows are read from: the store, or a transaction laid over it."""

    cdef CppReadable* readable(self) except NULL:
        raise TypeError("rows are read from a Store, a View or a Transaction")

    def get(self, uint64_t table_id, bytes partition not None, bytes key not None, uint64_t snapshot,
            Reader reader not None, columns=None, bint deleted=False):
        """The row's values; system columns by the positions -1 (_seq), -2 (_updated), -3 (_deleted)."""
        cdef FoundRow found
        cdef RowRef* row = &found.row
        if not self.readable().get(table_id, view(partition), view(key), snapshot, deleted, found):
            return None
        return reader.decode_view(row.data, row.size, reader.positions(columns), row.sequence, row.deleted)

    def scan(self, uint64_t table_id, bytes partition not None, uint64_t snapshot, Reader reader not None,
             columns=None, *, bytes low=None, bytes high=None, bint reverse=False, limit=None,
             bint deleted=False):
        """Rows in key order."""
        cdef CppReadable* below = self.readable()
        cdef vector[int] positions = reader.positions(columns)
        cdef RowRef[ROWS_AT_ONCE] rows
        cdef size_t left = <size_t> -1
        cdef size_t asked
        cdef size_t count
        cdef size_t at
        cdef Bounds bounds
        cdef string_view low_view
        cdef string_view high_view
        cdef unique_ptr[RowSource] source
        cdef list found = []
        if limit is not None:
            if limit < 0:
                raise ValueError(f"a limit of {limit} rows; ask for 0 or more")
            left = limit
        if low is not None:
            low_view = view(low)
            bounds.low = &low_view
        if high is not None:
            high_view = view(high)
            bounds.high = &high_view
        source = below.rows(table_id, view(partition), snapshot, bounds, reverse, deleted)
        while left > 0:
            asked = min(left, <size_t> ROWS_AT_ONCE)
            count = dereference(source).next(rows, asked)
            for at in range(count):
                found.append(reader.decode_view(rows[at].data, rows[at].size, positions, rows[at].sequence,
                                                rows[at].deleted))
            if count < asked:
                break
            left -= count
        return found

    def scan_arrow(self, uint64_t table_id, bytes partition not None, uint64_t snapshot,
                   Reader reader not None, columns, *, bytes low=None, bytes high=None, bint deleted=False,
                   int64_t batch_rows=65536, bint cold=True):
        """The same as Arrow: objects with `__arrow_c_array__`, fields named f0, f1, … as in `columns`.

        In no order that is promised. `cold` false: in key order, and without what is in cold segments alone. No
        rows, no batches."""
        cdef CppReadable* below = self.readable()
        cdef vector[int] positions = reader.positions(columns)
        cdef string_view name = view(partition)
        cdef Bounds bounds
        cdef string_view low_view
        cdef string_view high_view
        cdef vector[CppArrowBatch] batches
        cdef size_t at
        if low is not None:
            low_view = view(low)
            bounds.low = &low_view
        if high is not None:
            high_view = view(high)
            bounds.high = &high_view
        with nogil:
            if cold:
                batches = below.rows_as_arrow(table_id, name, snapshot, bounds, deleted,
                                              dereference(reader.reader), positions, batch_rows)
            else:
                batches = below.hot_rows_as_arrow(table_id, name, snapshot, bounds, deleted,
                                                  dereference(reader.reader), positions, batch_rows)
        return [make_batch(batches[at]) for at in range(batches.size())]

    def count(self, uint64_t table_id, bytes partition not None, uint64_t snapshot):
        """Rows that live at `snapshot`."""
        return self.readable().count(table_id, view(partition), snapshot)

    def count_all(self, uint64_t table_id, uint64_t snapshot):
        """The same of all partitions together."""
        cdef const CppReadable* below = self.readable()
        cdef uint64_t rows
        with nogil:
            rows = below.count_all(table_id, snapshot)
        return rows

    def partitions(self, uint64_t table_id):
        """Every partition that ever had a row."""
        cdef vector[string] names = self.readable().partitions(table_id)
        cdef size_t at
        return [PyBytes_FromStringAndSize(names[at].data(), names[at].size()) for at in range(names.size())]


@cython.final
cdef class Store(Readable):
    """Thread safety: every method may be called from any thread."""

    def __cinit__(self, FileSystem files not None, str directory not None, *, Clock clock=None,
                  RandomSource random=None, uint64_t wal_file_bytes=67108864,
                  uint64_t stream_bytes_max=67108864, int64_t sync_interval_ms=100,
                  int worker_id=0, str hot_directory=None, uint64_t memtable_bytes=67108864,
                  uint64_t hot_cache_bytes=67108864, uint64_t cold_cache_bytes=67108864,
                  uint64_t history_bytes=0, int64_t history_ms=0, str access="own"):
        cdef StoreOptions options
        cdef string path = directory.encode("utf-8", "surrogateescape")
        cdef Clock time = Clock.system() if clock is None else clock
        cdef RandomSource source = RandomSource.system() if random is None else random
        cdef CppStore* made
        options.wal_file_bytes = wal_file_bytes
        options.stream_bytes_max = stream_bytes_max
        options.history_bytes = history_bytes
        options.history_ms = history_ms
        options.sync_interval_ms = sync_interval_ms
        options.worker_id = worker_id
        options.memtable_bytes = memtable_bytes
        options.hot_cache_bytes = hot_cache_bytes
        options.cold_cache_bytes = cold_cache_bytes
        if access == "checkpoint":
            options.access = StoreAccess.checkpoint
        elif access == "log":
            options.access = StoreAccess.log
        elif access != "own":
            raise ValueError(f"access is own, checkpoint or log, not {access!r}")
        if hot_directory is not None:
            options.hot_directory = hot_directory.encode("utf-8", "surrogateescape")
        with nogil:
            made = new CppStore(files.files, path, time.clock, source.source, options)
        self.store.reset(made)

    cdef CppStore* opened(self) except NULL:
        cdef CppStore* store = self.store.get()
        if store.closed():
            raise CoreError("the store is closed")
        return store

    cdef CppReadable* readable(self) except NULL:
        return self.opened()

    @property
    def recovery(self):
        """records, last_lsn, torn_bytes, torn_file, kept_as."""
        cdef const LogRecovery* found = &self.opened().recovery()
        return {
            "records": found.records,
            "last_lsn": found.last_lsn,
            "torn_bytes": found.torn_bytes,
            "torn_file": found.torn_file.decode("utf-8", "surrogateescape"),
            "kept_as": found.kept_as.decode("utf-8", "surrogateescape"),
        }

    def define_table(self, uint64_t table_id, uint32_t version, *, Reader reader=None, column_names=(),
                     int64_t stream_ttl_us=0, uint64_t stream_rows_max=0, int64_t deleted_retention_ms=-1):
        """At open, from the catalog; as WriteBatch.define_table."""
        cdef CppStore* store = self.opened()
        cdef StreamOptions options = stream_options(stream_ttl_us, stream_rows_max)
        cdef TableDescription description
        describe(description, reader, column_names)
        description.deleted_retention_ms = deleted_retention_ms
        with nogil:
            store.define_table(table_id, version, options, description)

    def drop_table(self, uint64_t table_id):
        """At open, from the catalog: the table was dropped earlier, and its rows go with the next checkpoint."""
        cdef CppStore* store = self.opened()
        with nogil:
            store.drop_table(table_id)

    def hold_definitions(self):
        """No checkpoint begins to write rows by the definitions that are committed from here on, until
        tell_definitions() says that readers know of them. Each call is answered by one of that."""
        cdef CppStore* store = self.opened()
        with nogil:
            store.hold_definitions()

    def tell_definitions(self):
        """Who pins a view from here on, and then asks what tables there are, gets to know the new definitions."""
        cdef CppStore* store = self.store.get()
        with nogil:
            store.tell_definitions()

    def snapshot(self):
        """The sequence number up to which everything is published."""
        return self.opened().snapshot()

    def view(self):
        """The rows as they are now, kept for as long as the view is: a View."""
        cdef View made = View.__new__(View)
        made.store = self
        made.view = self.opened().pin()
        return made

    def checkpoint(self):
        """Writes what memory holds to hot segments and lets go of the log up to there; the rows written.

        Raises IoError where there was no room, and nothing has changed then; PoisonedError."""
        cdef CppStore* store = self.opened()
        cdef uint64_t rows
        with nogil:
            rows = store.checkpoint()
        return rows

    # Backups, and what is to leave no trace.

    def hold_segments(self):
        """Checkpoints, and keeps the files of its hot segments in place until release_segments(), once for each call.

        {last_sequence, lease_end_ms, segments: [(number, table_id, bytes, checksum of the index, what is added to its
        sequence numbers)], of a table the newest first}. Raises as checkpoint."""
        cdef CppStore* store = self.opened()
        cdef CheckpointState held
        cdef size_t at
        with nogil:
            held = store.hold_segments()
        return {
            "last_sequence": held.last_sequence,
            "lease_end_ms": held.lease_end_ms,
            "segments": [
                (held.segments[at].number, held.segments[at].table_id, held.segments[at].file_bytes,
                 held.segments[at].index_crc, held.segments[at].sequence_base)
                for at in range(held.segments.size())
            ],
        }

    def release_segments(self):
        """Lets what hold_segments() kept go where it is no longer needed."""
        cdef CppStore* store = self.store.get()
        with nogil:
            store.release_segments()

    def erase_partition(self, table_ids, bytes partition not None):
        """Checkpoints, then writes the hot segments of these tables anew without a partition's rows; how many went."""
        cdef CppStore* store = self.opened()
        cdef vector[uint64_t] wanted = table_ids
        cdef string_view name = view(partition)
        cdef uint64_t rows
        with nogil:
            rows = store.erase_partition(wanted, name)
        return rows

    def purge_log(self):
        """Checkpoints, and leaves of the log only what was written since this began; the rest becomes zeros and goes.

        Raises as checkpoint."""
        cdef CppStore* store = self.opened()
        with nogil:
            store.purge_log()

    def adopt(self, str directory not None, tables, *, uint64_t last_sequence, int64_t lease_end_ms):
        """Takes rows of another database's segments in, with their sequence numbers; how many.

        `tables`: (table_id, Reader, column names, segments as hold_segments() tells them) each, for a table id that
        nobody wrote to. The rows are seen from the next commit on, whose sequence number is above `last_sequence`; ids
        given from now on are of unix millisecond `lease_end_ms` or later."""
        cdef CppStore* store = self.opened()
        cdef string path = directory.encode("utf-8", "surrogateescape")
        cdef vector[CppAdoptedTable] adopted
        cdef CppAdoptedTable table
        cdef HotSegmentEntry entry
        cdef uint64_t rows
        for table_id, reader, column_names, segments in tables:
            table = CppAdoptedTable()
            table.table_id = table_id
            describe(table.description, <Reader?> reader, column_names)
            for number, old_table_id, size, index_crc, sequence_base in segments:
                entry.number = number
                entry.table_id = old_table_id
                entry.file_bytes = size
                entry.index_crc = index_crc
                entry.sequence_base = sequence_base
                table.segments.push_back(entry)
            adopted.push_back(table)
        with nogil:
            rows = store.adopt(path, adopted, last_sequence, lease_end_ms)
        return rows

    # Cold segments. The store reads no storage: what it needs it says by ColdMissError, and is given by these.

    def add_cold_table(self, uint64_t table_id):
        """From now on partitions of the table may have something cold: a row each in the reserved table says which."""
        cdef CppStore* store = self.opened()
        with nogil:
            store.add_cold_table(table_id)

    def drop_cold_table(self, uint64_t table_id):
        """The table is gone."""
        self.opened().cold().drop_table(table_id)

    def set_cold(self, uint64_t table_id, bytes partition not None, uint64_t generation, uint64_t watermark,
                 segments):
        """What a partition's manifest tells. `segments`, the newest first: (id in this process, Layout, rows of each
        block, first key of each block, least key, greatest key, Parquet's filter of each block or none, least _seq,
        greatest _seq, tombstones, the sequence number below which older versions may be missing)."""
        cdef CppStore* store = self.opened()
        cdef unique_ptr[CppColdPartition] made
        cdef shared_ptr[const CppColdPartition] known
        cdef ColdSegmentDescription description
        cdef shared_ptr[const CppColdSegment] segment
        cdef Layout layout
        made.reset(new CppColdPartition())
        dereference(made).generation = generation
        dereference(made).watermark = watermark
        for (identity, given, rows, first_keys, low, high, filters, least, greatest, tombstones,
             complete) in segments:
            layout = given
            description = ColdSegmentDescription()
            description.id = identity
            description.layout = layout.layout
            description.block_rows = rows
            description.first_keys = first_keys
            description.low = low
            description.high = high
            description.filters = filters
            description.sequence_min = least
            description.sequence_max = greatest
            description.tombstones = tombstones
            description.complete_from = complete
            segment.reset(new CppColdSegment(table_id, <string> partition, description, store.cold_cache()))
            dereference(made).segments.push_back(segment)
        known.reset(made.release())
        store.cold().set(table_id, view(partition), known)

    def set_nothing_cold(self, uint64_t table_id, bytes partition not None):
        """There is no manifest yet."""
        cdef shared_ptr[const CppColdPartition] nothing
        self.opened().cold().set(table_id, view(partition), nothing)

    def forget_cold(self, uint64_t table_id, bytes partition not None):
        """The partition's manifest is to be read again."""
        self.opened().cold().forget(table_id, view(partition))

    def add_cold_block(self, uint64_t segment, uint32_t number, Layout layout not None, batch):
        """A decoded block: a record batch of the layout's columns in canonical types, then _seq and _deleted.

        It stays in memory for as long as what is returned does."""
        cdef CppStore* store = self.opened()
        cdef Block made = Block.__new__(Block)
        made.block = block_of_batch(layout.layout, import_batch(batch))
        store.cold_cache().add(segment, number, made.block)
        return made

    def drop_cold_blocks(self, uint64_t segment):
        """The segment is gone."""
        self.opened().cold_cache().drop(segment)

    def unflushed(self, uint64_t table_id, dict watermarks not None):
        """(partition, rows, least _seq of those in hot segments or 0) for each that has rows which are not cold.

        `watermarks`: by partition, up to which _seq its rows are."""
        cdef CppStore* store = self.opened()
        cdef unordered_map[string, uint64_t] flushed = watermarks
        cdef vector[CppUnflushed] found
        cdef size_t at
        with nogil:
            found = store.unflushed(table_id, flushed)
        return [(<bytes> found[at].partition, found[at].rows, found[at].oldest) for at in range(found.size())]

    def drop_flushed(self, uint64_t table_id, dict watermarks not None):
        """Lets go of hot rows that are in cold segments. Raises as checkpoint."""
        cdef CppStore* store = self.opened()
        cdef unordered_map[string, uint64_t] flushed = watermarks
        with nogil:
            store.drop_flushed(table_id, flushed)

    def commit(self, WriteBatch batch not None, *, bint sync=True):
        """All of it or nothing. Returns the sequence number of its last operation once it is durable as asked
        and published. Raises DuplicateKeyError, WriteConflictError (also where a table's schema version is
        not the batch's, or the table was dropped), PoisonedError, OutcomeUnknownError, IoError."""
        return self.commit_operations(batch.batch.get(), sync)

    cdef uint64_t commit_operations(self, CppWriteBatch* operations, bint sync) except? 0:
        cdef CppStore* store = self.opened()
        cdef CommitTicket ticket
        cdef uint64_t last
        if sync or operations.bytes() > SHORT_COMMIT_BYTES:
            with nogil:
                last = store.commit(dereference(operations), sync)
            return last
        # Microseconds in all, for which the GIL is kept, but not while waiting for a lock or another's sync.
        if not store.try_begin(dereference(operations), sync, ticket):
            with nogil:
                store.begin(dereference(operations), sync, ticket)
        if ticket.waits:
            with nogil:
                last = store.finish(ticket)
        else:
            last = store.finish(ticket)
        return last

    @property
    def syncs(self):
        """How often the log was synced for those who waited for it."""
        return self.opened().syncs()

    def statistics(self):
        """Bytes, entries and rows of memtables, streams, log, hot segments and their cache; last_sequence."""
        cdef StoreStatistics numbers = self.opened().statistics()
        return {
            "memtable_bytes": numbers.memtable_bytes,
            "memtable_entries": numbers.memtable_entries,
            "stream_bytes": numbers.stream_bytes,
            "stream_rows": numbers.stream_rows,
            "log_bytes": numbers.log_bytes,
            "last_sequence": numbers.last_sequence,
            "hot_segments": numbers.hot_segments,
            "hot_bytes": numbers.hot_bytes,
            "hot_rows": numbers.hot_rows,
            "hot_index_bytes": numbers.hot_index_bytes,
            "hot_cache_bytes": numbers.hot_cache_bytes,
            "cold_cache_bytes": numbers.cold_cache_bytes,
        }

    def snowflake_id(self):
        """An id that no life of this database gave before."""
        cdef CppSnowflakes* ids = &self.opened().snowflakes()
        cdef int64_t given = 0
        if not ids.try_one(given):
            with nogil:
                given = ids.one()
        return given

    def durable_snowflake_id(self):
        """One for a name outside of the log: no power cut takes from the log that it was given."""
        cdef CppStore* store = self.opened()
        cdef int64_t given
        with nogil:
            given = store.durable_snowflake()
        return given

    def snowflake_ids(self, Py_ssize_t count):
        """`count` ids as little-endian int64 (for numpy.frombuffer)."""
        cdef CppSnowflakes* ids = &self.opened().snowflakes()
        cdef bytearray made
        cdef int64_t* out
        if count < 0:
            raise ValueError(f"{count} is no number of ids; ask for 0 or more")
        if count > <Py_ssize_t> 1 << 40:
            raise MemoryError(f"{count} ids at once; ask for them in blocks")
        made = PyByteArray_FromStringAndSize(NULL, count * 8)
        out = <int64_t*> PyByteArray_AS_STRING(made)
        with nogil:
            ids.many(out, count)
        return made

    def close(self):
        """Waits for the commits on their way, and leaves nothing to recover. Closing again does nothing."""
        cdef CppStore* store = self.store.get()
        with nogil:
            store.close()


def hot_segment_name(uint64_t number):
    """The name of a hot segment's file."""
    return (<bytes> hot_segment_name_of(number)).decode("ascii")


@cython.final
cdef class Block:
    """A decoded block of a cold segment, held in memory."""

    @property
    def nbytes(self):
        """Bytes it takes of the cache."""
        return dereference(self.block).bytes()


@cython.final
cdef class View(Readable):
    """What one reader sees: the rows of one snapshot. Made by Store.view(). Safe for threads."""

    cdef CppReadable* readable(self) except NULL:
        self.store.opened()
        return &self.view

    @property
    def snapshot(self):
        """The sequence number up to which it sees what was committed."""
        return self.view.snapshot()

    @property
    def checkpointed(self):
        """The sequence number up to which commits are in segments."""
        return self.view.checkpointed()


@cython.final
cdef class Transaction(Readable):
    """Several statements as one commit: the rows of a snapshot with own writes laid over them.

    Reads take the transaction's own snapshot. `_seq` of own rows is provisional: above all that the snapshot shows,
    in the order of writing. Nothing of it is in the store, so forgetting it rolls it back. One thread at a time.
    """

    def __cinit__(self, Store store not None, snapshot=None):
        self.store = store
        if snapshot is None:
            self.transaction.reset(new CppTransaction(dereference(store.opened())))
        else:
            self.transaction.reset(new CppTransaction(dereference(store.opened()), <uint64_t> snapshot))

    cdef CppReadable* readable(self) except NULL:
        self.store.opened()
        return self.transaction.get()

    @property
    def snapshot(self):
        """The sequence number up to which it sees what others committed."""
        return dereference(self.transaction).snapshot()

    def write(self, WriteBatch batch not None):
        """Takes a statement's operations, all or none; the provisional sequence number of the last.

        Raises DuplicateKeyError where a row that is inserted is visible here, WriteConflictError where one that is
        replaced or deleted is not."""
        return self.write_operations(batch.batch.get())

    cdef uint64_t write_operations(self, CppWriteBatch* operations) except? 0:
        self.readable()
        cdef CppTransaction* transaction = self.transaction.get()
        cdef uint64_t last
        if operations.bytes() <= SHORT_COMMIT_BYTES:
            return transaction.write(dereference(operations))
        with nogil:
            last = transaction.write(dereference(operations))
        return last

    def back_to(self, size_t size):
        """As if nothing had been written since its length was `size`."""
        if size > dereference(self.transaction).size():
            raise ValueError("the transaction has not as many writes")
        dereference(self.transaction).back_to(size)

    def batch(self):
        """What it comes to, one operation a key, in the order of the last writes. The commit raises
        DuplicateKeyError or WriteConflictError where a key was changed since the snapshot."""
        self.readable()
        cdef CppTransaction* transaction = self.transaction.get()
        cdef WriteBatch made = WriteBatch.__new__(WriteBatch, 0)
        made.batch.reset(new CppWriteBatch(transaction.snapshot(), True))
        with nogil:
            transaction.collect(dereference(made.batch))
        return made

    def __len__(self):
        """Operations that were taken and not taken back."""
        return dereference(self.transaction).size()


def check_segments(FileSystem files not None, str directory not None):
    """What is wrong with a checkpoint and its hot segments, to which nobody writes, and where the log goes on."""
    cdef string path = directory.encode("utf-8", "surrogateescape")
    cdef SegmentSurvey found
    cdef SegmentFinding* finding
    cdef size_t at
    with nogil:
        found = survey_segments(files.files.get()[0], path)
    findings = []
    for at in range(found.findings.size()):
        finding = &found.findings[at]
        findings.append((finding.file.decode("utf-8", "surrogateescape"), finding.offset,
                         finding.what.decode("utf-8", "replace")))
    return {"findings": findings, "lsn": found.lsn if found.readable else None}


def verify_segment(FileSystem files not None, str directory not None, segment):
    """Reads every block of a segment, as hold_segments() tells it. Raises CorruptionError."""
    cdef string path = directory.encode("utf-8", "surrogateescape")
    cdef HotSegmentEntry entry
    entry.number, entry.table_id, entry.file_bytes, entry.index_crc, entry.sequence_base = segment
    with nogil:
        verify_segment_of(files.files.get()[0], path, entry)


def lower_checkpoint(FileSystem files not None, str directory not None, uint64_t lsn):
    """Before a repair cuts the log at record `lsn`: a checkpoint whose place in it is behind that has it there."""
    cdef string path = directory.encode("utf-8", "surrogateescape")
    with nogil:
        lower_checkpoint_to(files.files.get()[0], path, lsn)
