# store.pxd - what Cython may know of the store.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.unordered_map cimport unordered_map
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.ids cimport CppSnowflakes
from kalamcore.memtable cimport Bounds
from kalamcore.rows cimport ArrowInput, CppArrowBatch, EncodedRows, RowReader, RowRef, SharedLayout
from kalamcore.system cimport CppClock, CppFileSystem, CppRandomSource


cdef extern from "wal.hpp" namespace "kalam" nogil:
    cdef cppclass LogRecovery:
        uint64_t records
        uint64_t last_lsn
        uint64_t torn_bytes
        string torn_file
        string kept_as


cdef extern from "streams.hpp" namespace "kalam" nogil:
    cdef cppclass StreamOptions:
        StreamOptions()
        int64_t ttl_us
        uint64_t rows_max


cdef extern from "sorted_blocks.hpp" namespace "kalam" nogil:
    cdef cppclass ColumnBlock:
        int64_t rows()
        size_t bytes()

    cdef cppclass BlockCache:
        void add(uint64_t segment, uint32_t block, shared_ptr[const ColumnBlock] made) except +raise_core_error
        void drop(uint64_t segment) except +raise_core_error
        size_t bytes_max()


cdef extern from "cold_segment.hpp" namespace "kalam" nogil:
    cdef cppclass ColdSegmentDescription:
        ColdSegmentDescription()
        uint64_t id
        SharedLayout layout
        vector[int64_t] block_rows
        vector[string] first_keys
        string low
        string high
        vector[string] filters
        uint64_t sequence_min
        uint64_t sequence_max
        int64_t tombstones
        uint64_t complete_from

    cdef cppclass CppColdSegment "kalam::ColdSegment":
        CppColdSegment(uint64_t table_id, string partition, ColdSegmentDescription description,
                       BlockCache& cache) except +raise_core_error

    cdef cppclass CppColdPartition "kalam::ColdPartition":
        CppColdPartition()
        uint64_t generation
        uint64_t watermark
        vector[shared_ptr[const CppColdSegment]] segments

    cdef cppclass ColdRegistry:
        void drop_table(uint64_t table_id) except +raise_core_error
        void set(uint64_t table_id, string_view partition,
                 shared_ptr[const CppColdPartition] now) except +raise_core_error
        void forget(uint64_t table_id, string_view partition) except +raise_core_error

    shared_ptr[const ColumnBlock] block_of_batch(SharedLayout layout,
                                                 unique_ptr[ArrowInput] batch) except +raise_core_error


cdef extern from "hot_segment.hpp" namespace "kalam" nogil:
    cdef cppclass HotSegmentEntry:
        HotSegmentEntry()
        uint64_t number
        uint64_t table_id
        uint64_t file_bytes
        uint32_t index_crc
        uint64_t sequence_base

    string hot_segment_name_of "kalam::hot_segment_name"(uint64_t number) except +raise_core_error


cdef extern from "checkpoint_file.hpp" namespace "kalam" nogil:
    cdef cppclass CheckpointState:
        uint64_t last_sequence
        int64_t lease_end_ms
        vector[HotSegmentEntry] segments


cdef extern from "store.hpp" namespace "kalam" nogil:
    cdef enum class StoreAccess:
        own
        checkpoint
        log

    cdef enum class OperationKind:
        kInsert
        kReplace
        kDelete

    cdef cppclass RowOperation:
        RowOperation()
        uint64_t table_id
        string_view partition
        string_view key

    cdef cppclass TableDescription:
        TableDescription()
        shared_ptr[const RowReader] reader
        vector[string] column_names
        int64_t deleted_retention_ms

    cdef cppclass CppAdoptedTable "kalam::AdoptedTable":
        CppAdoptedTable()
        uint64_t table_id
        TableDescription description
        vector[HotSegmentEntry] segments

    cdef cppclass BatchMark "kalam::WriteBatch::Mark":
        BatchMark()

    cdef cppclass CppWriteBatch "kalam::WriteBatch":
        CppWriteBatch(uint64_t snapshot, cpp_bool of_transaction) except +raise_core_error
        void add(OperationKind kind, uint64_t table_id, uint32_t version, string_view partition,
                 string_view key, string_view row) except +raise_core_error
        void reserve(size_t bytes) except +raise_core_error
        void add_rows(OperationKind kind, uint64_t table_id, uint32_t version, string_view partition,
                      const EncodedRows& rows) except +raise_core_error
        void define_table(uint64_t table_id, uint32_t version, const StreamOptions& stream,
                          TableDescription description) except +raise_core_error
        void drop_table(uint64_t table_id) except +raise_core_error
        BatchMark mark()
        void back_to(const BatchMark& mark) except +raise_core_error
        cpp_bool find(uint64_t operation, RowOperation& found) except +raise_core_error
        uint64_t size()
        size_t bytes()

    cdef cppclass CommitTicket:
        CommitTicket()
        cpp_bool waits

    cdef cppclass FoundRow:
        FoundRow()
        RowRef row

    cdef cppclass RowSource:
        size_t next(RowRef* out, size_t max) except +raise_core_error

    cdef cppclass CppReadable "kalam::Readable":
        uint64_t snapshot()
        cpp_bool get(uint64_t table_id, string_view partition, string_view key, uint64_t snapshot,
                     cpp_bool deleted, FoundRow& found) except +raise_core_error
        unique_ptr[RowSource] rows(uint64_t table_id, string_view partition, uint64_t snapshot,
                                   const Bounds& bounds, cpp_bool reverse,
                                   cpp_bool deleted) except +raise_core_error
        vector[CppArrowBatch] rows_as_arrow(uint64_t table_id, string_view partition, uint64_t snapshot,
                                            const Bounds& bounds, cpp_bool deleted, const RowReader& reader,
                                            const vector[int]& columns,
                                            int64_t batch_rows) except +raise_core_error
        vector[CppArrowBatch] hot_rows_as_arrow(uint64_t table_id, string_view partition, uint64_t snapshot,
                                                const Bounds& bounds, cpp_bool deleted, const RowReader& reader,
                                                const vector[int]& columns,
                                                int64_t batch_rows) except +raise_core_error
        uint64_t count(uint64_t table_id, string_view partition, uint64_t snapshot) except +raise_core_error
        uint64_t count_all(uint64_t table_id, uint64_t snapshot) except +raise_core_error
        vector[string] partitions(uint64_t table_id) except +raise_core_error

    cdef cppclass StoreOptions:
        StoreOptions()
        uint64_t wal_file_bytes
        uint64_t stream_bytes_max
        uint64_t history_bytes
        int64_t history_ms
        int64_t sync_interval_ms
        int worker_id
        string hot_directory
        uint64_t memtable_bytes
        uint64_t hot_cache_bytes
        uint64_t cold_cache_bytes
        StoreAccess access

    cdef cppclass StoreStatistics:
        uint64_t memtable_bytes
        uint64_t memtable_entries
        uint64_t stream_bytes
        uint64_t stream_rows
        uint64_t log_bytes
        uint64_t last_sequence
        uint64_t hot_segments
        uint64_t hot_bytes
        uint64_t hot_rows
        uint64_t hot_index_bytes
        uint64_t hot_cache_bytes
        uint64_t cold_cache_bytes

    cdef cppclass CppUnflushed "kalam::Unflushed":
        string partition
        uint64_t rows
        uint64_t oldest

    cdef cppclass CppView "kalam::View"(CppReadable):
        CppView()
        uint64_t checkpointed()

    cdef cppclass CppStore "kalam::Store"(CppReadable):
        CppStore(shared_ptr[CppFileSystem] files, string directory, shared_ptr[CppClock] clock,
                 shared_ptr[CppRandomSource] random, const StoreOptions& options) except +raise_core_error
        const LogRecovery& recovery()
        void define_table(uint64_t table_id, uint32_t version, const StreamOptions& stream,
                          TableDescription description) except +raise_core_error
        uint64_t commit(CppWriteBatch& batch, cpp_bool sync) except +raise_core_error
        cpp_bool try_begin(CppWriteBatch& batch, cpp_bool sync, CommitTicket& ticket) except +raise_core_error
        void begin(CppWriteBatch& batch, cpp_bool sync, CommitTicket& ticket) except +raise_core_error
        uint64_t finish(CommitTicket& ticket) except +raise_core_error
        CppView pin() except +raise_core_error
        void hold_definitions() except +raise_core_error
        void tell_definitions() except +raise_core_error
        void drop_table(uint64_t table_id) except +raise_core_error
        uint64_t checkpoint() except +raise_core_error
        ColdRegistry& cold()
        BlockCache& cold_cache()
        void add_cold_table(uint64_t table_id) except +raise_core_error
        vector[CppUnflushed] unflushed(uint64_t table_id, const unordered_map[string, uint64_t]& watermarks) \
            except +raise_core_error
        void drop_flushed(uint64_t table_id, const unordered_map[string, uint64_t]& watermarks) \
            except +raise_core_error
        CheckpointState hold_segments() except +raise_core_error
        void release_segments() except +raise_core_error
        uint64_t erase_partition(const vector[uint64_t]& table_ids,
                                 string_view partition) except +raise_core_error
        void purge_log() except +raise_core_error
        uint64_t adopt(const string& directory, const vector[CppAdoptedTable]& tables, uint64_t last_sequence,
                       int64_t lease_end_ms) except +raise_core_error
        StoreStatistics statistics() except +raise_core_error
        uint64_t syncs()
        CppSnowflakes& snowflakes()
        int64_t durable_snowflake() except +raise_core_error
        cpp_bool closed()
        void close() except +raise_core_error


cdef extern from "transaction.hpp" namespace "kalam" nogil:
    cdef cppclass CppTransaction "kalam::Transaction"(CppReadable):
        CppTransaction(const CppStore& store) except +raise_core_error
        CppTransaction(const CppStore& store, uint64_t snapshot) except +raise_core_error
        size_t size()
        uint64_t write(CppWriteBatch& batch) except +raise_core_error
        void back_to(size_t size)
        void collect(CppWriteBatch& batch) except +raise_core_error


cdef extern from "segment_check.hpp" namespace "kalam" nogil:
    cdef cppclass SegmentFinding:
        string file
        uint64_t offset
        string what

    cdef cppclass SegmentSurvey:
        vector[SegmentFinding] findings
        uint64_t lsn
        cpp_bool readable

    SegmentSurvey survey_segments(CppFileSystem& files, const string& directory) except +raise_core_error
    void verify_segment_of "kalam::verify_segment"(
        CppFileSystem& files, const string& directory, const HotSegmentEntry& entry
    ) except +raise_core_error
    void lower_checkpoint_to "kalam::lower_checkpoint"(
        CppFileSystem& files, const string& directory, uint64_t lsn
    ) except +raise_core_error


# Bytes for the rest of `total` rows, some more than the first `done` took.
cdef inline size_t room_for(size_t bytes, int64_t done, int64_t total) noexcept nogil:
    return <size_t> (<double> bytes / done * (total - done) * 1.0625)


cdef class WriteBatch:
    cdef unique_ptr[CppWriteBatch] batch
    # The key and row being encoded, kept for their memory.
    cdef string key
    cdef string row

    cdef int add(self, OperationKind kind, uint64_t table_id, bytes partition, object layout, object values,
                 Py_ssize_t at) except -1


cdef class Readable:
    # Raises where nothing can be read any more.
    cdef CppReadable* readable(self) except NULL


cdef class Store(Readable):
    cdef unique_ptr[CppStore] store

    cdef CppStore* opened(self) except NULL
    # Returns the sequence number of the last operation.
    cdef uint64_t commit_operations(self, CppWriteBatch* operations, bint sync) except? 0
    cdef CppReadable* readable(self) except NULL


cdef class Block:
    cdef shared_ptr[const ColumnBlock] block


cdef class View(Readable):
    cdef Store store
    cdef CppView view

    cdef CppReadable* readable(self) except NULL


cdef class Transaction(Readable):
    cdef Store store
    cdef unique_ptr[CppTransaction] transaction

    cdef CppReadable* readable(self) except NULL
    # As write: the provisional sequence number of the last operation.
    cdef uint64_t write_operations(self, CppWriteBatch* operations) except? 0
