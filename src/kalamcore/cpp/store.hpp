// The heart of the database: log, memtable and streams behind one commit order.
//
// A commit is checked and applied unpublished under the commit lock, its record is written and synced outside
// of it together with those of others, and then it is published: the commits in sequence order, each with all
// before it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "arrow_export.hpp"
#include "arrow_import.hpp"
#include "change_feed.hpp"
#include "checkpoint_file.hpp"
#include "clock.hpp"
#include "ids.hpp"
#include "memtable.hpp"
#include "random.hpp"
#include "readable.hpp"
#include "row_operations.hpp"
#include "streams.hpp"
#include "tiers.hpp"
#include "vfs.hpp"
#include "wal.hpp"

namespace kalam {

// Tables of lower ids are the database's own: nobody listens to them.
inline constexpr std::uint64_t kFirstTable = 100;

// A store that owns its directory, or one beside the owner that changes nothing: as of the last checkpoint,
// or, where nobody writes meanwhile, with what the log tells behind it.
enum class StoreAccess : std::uint8_t { own, checkpoint, log };

// What the store must know of a table to write its rows to segments; without a reader they are never written.
struct TableDescription {
    std::shared_ptr<const RowReader> reader;
    std::vector<std::string> column_names;
    // How long a tombstone stays in hot segments that nothing older stands behind; negative: for good.
    std::int64_t deleted_retention_ms = -1;
};

// The operations of one commit, encoded before any lock.
//
// Thread safety: one thread at a time; nobody touches it while it is committed. It can be committed once.
class WriteBatch {
  public:
    // `snapshot`: what the statement saw. `of_transaction`: what several statements saw and did; then a key
    // that others inserted or deleted since is a conflict also for who inserts it.
    explicit WriteBatch(std::uint64_t snapshot, bool of_transaction = false)
        : snapshot_(snapshot), of_transaction_(of_transaction) {}

    // Room for so many bytes of operations more, taken at once: growing to a great size would copy all of it
    // time and again.
    void reserve(std::size_t bytes);
    // As if made anew, but for its memory. REQUIRES: it is not being committed.
    void reuse(std::uint64_t snapshot);

    // Throws Error for a batch that was committed, ValueOutOfRange for a key beyond kKeyBytesMax.
    void add(OperationKind kind, std::uint64_t table_id, std::uint32_t version, std::string_view partition,
             std::string_view key, std::string_view row);
    void add_rows(OperationKind kind, std::uint64_t table_id, std::uint32_t version,
                  std::string_view partition, const EncodedRows& rows);
    // In effect with the commit: the table takes rows of this version and no other; ttl_us > 0: a STREAM.
    void define_table(std::uint64_t table_id, std::uint32_t version, const StreamOptions& stream,
                      TableDescription description = {});
    void drop_table(std::uint64_t table_id);
    // As if everything from operation `size` on had never been added. REQUIRES: it is what size() was at
    // `mark`.
    struct Mark {
        std::uint64_t operations;
        std::size_t body, uses, partition_begin, partition_size;
        std::uint64_t table_id;
    };
    Mark mark() const;
    void back_to(const Mark& mark);

    // Operation `operation`, from 0, as it was added; false where there is none. Walks there.
    bool find(std::uint64_t operation, RowOperation& found) const;
    // Whether it only deletes rows or drops tables: it is taken even where the disk is full.
    bool frees() const;
    std::uint64_t size() const { return operations_; }
    std::size_t bytes() const { return body_.size(); }
    std::uint64_t snapshot() const { return snapshot_; }

  private:
    friend class Store;
    friend class Transaction;

    struct Use {
        std::uint64_t table_id;
        std::uint32_t version;
        std::uint64_t operation;  // the first
    };
    struct Definition {
        std::uint64_t table_id;
        std::uint32_t version;
        bool dropped;
        StreamOptions stream;
        TableDescription description;
    };
    enum class State : std::uint8_t { kOpen, kCommitting, kCommitted };

    void require_open() const;

    std::uint64_t snapshot_;
    bool of_transaction_;
    std::uint64_t operations_ = 0;
    std::string body_;
    std::vector<Use> uses_;
    std::vector<Definition> definitions_;
    // Where the last operation's partition is told in the body.
    std::uint64_t table_id_ = 0;
    std::size_t partition_begin_ = 0;
    std::size_t partition_size_ = 0;
    std::atomic<State> state_{State::kOpen};
    // What segments have of its keys, an operation each, as of the tiers' generation; none where they have
    // nothing of its tables.
    std::vector<NewestVersion> in_segments_;
    // What the rows among them that are to be replaced stand in.
    std::vector<std::shared_ptr<const void>> held_;
    std::uint64_t probed_generation_ = 0;
};

struct TableState {
    std::uint32_t version;
    bool dropped;
    bool stream;
    TableDescription description;
};

// A commit on its way. Lives on its thread's stack; in the store's list until it is published or has failed.
struct CommitTicket {
    WriteBatch* batch = nullptr;
    MemTable* memtable = nullptr;  // where it was applied
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t lsn = 0;  // 0: nothing of it is logged
    bool sync = false;
    bool streamed = false;
    bool waits = false;  // for its own sync, or for what others do with the commits before it
    bool held = false;   // a load whose checkpoint is being written, without a batch; by the pending lock
    bool done = false;   // from here on guarded by the pending lock
    std::exception_ptr error;
    CommitTicket* older = nullptr;
    CommitTicket* newer = nullptr;
    std::vector<std::pair<std::uint64_t, std::optional<TableState>>> replaced;  // definitions, to be restored
    // The rows that it replaces, as they go to the log, and whether any of them is told.
    std::string replaced_rows;
    bool replaces = false;
    // What those who listen get once it is published.
    std::vector<std::pair<std::shared_ptr<ChangeChannel>, std::shared_ptr<ChangeSet>>> changes;
};

struct StoreOptions {
    std::uint64_t wal_file_bytes = 64u << 20;
    std::uint64_t stream_bytes_max = 64u << 20;
    // Of the log, so much is kept for changes_between: bytes, and how old.
    std::uint64_t history_bytes = 0;
    std::int64_t history_ms = 0;
    // What a commit with sync=false wrote is on the disk within this time.
    std::int64_t sync_interval_ms = 100;
    int worker_id = 0;
    // Where hot segments and the checkpoint are; it exists. Empty: there are none, and rows stay in memory.
    std::string hot_directory;
    // The memtable is frozen beyond it, and written to hot segments in the background.
    std::uint64_t memtable_bytes = 64u << 20;
    std::uint64_t hot_cache_bytes = 64u << 20;
    std::uint64_t cold_cache_bytes = 64u << 20;
    std::uint64_t cold_partitions_max = 16384;
    StoreAccess access = StoreAccess::own;
};

struct StoreStatistics {
    std::uint64_t memtable_bytes, memtable_entries, stream_bytes, stream_rows, log_bytes, last_sequence;
    std::uint64_t hot_segments, hot_bytes, hot_rows, hot_index_bytes, hot_cache_bytes, cold_cache_bytes;
};

// Of a partition: rows, tombstones of segments among them, and the least sequence number of those in segments
// (0: there are none).
struct Unflushed {
    std::string partition;
    std::uint64_t rows = 0;
    std::uint64_t oldest = 0;
};

// A table of another database, and which it becomes.
struct AdoptedTable {
    std::uint64_t table_id;
    TableDescription description;
    std::vector<HotSegmentEntry> segments;  // under the other's table id, the newest first
};

class Store;

// What one reader sees: the rows of one snapshot, kept for as long as it is.
//
// Thread safety: may be read from any thread. REQUIRES: the store outlives it.
class View final : public Readable {
  public:
    View() = default;
    // The same without what is in cold segments alone.
    View hot() const {
        View only = *this;
        only.with_cold_ = false;
        return only;
    }
    // Commits up to here are in segments.
    std::uint64_t checkpointed() const { return tiers_->checkpointed; }

    std::uint64_t snapshot() const override { return snapshot_; }
    bool get(std::uint64_t table_id, std::string_view partition, std::string_view key, std::uint64_t snapshot,
             bool deleted, FoundRow& found) const override;
    std::unique_ptr<RowSource> rows(std::uint64_t table_id, std::string_view partition,
                                    std::uint64_t snapshot, const Bounds& bounds, bool reverse, bool deleted,
                                    bool with_keys = false) const override;
    std::uint64_t count(std::uint64_t table_id, std::string_view partition,
                        std::uint64_t snapshot) const override;
    std::uint64_t count_all(std::uint64_t table_id, std::uint64_t snapshot) const override;
    std::vector<std::string> partitions(std::uint64_t table_id) const override;
    std::vector<ArrowBatch> rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                          std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                          const RowReader& reader, const std::vector<int>& columns,
                                          std::int64_t batch_rows) const override;
    std::vector<ArrowBatch> hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                              std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                              const RowReader& reader, const std::vector<int>& columns,
                                              std::int64_t batch_rows) const override;

  private:
    friend class Store;

    const Store* store_ = nullptr;
    bool has_cold(std::uint64_t table_id) const {
        return with_cold_ && tiers_->cold->any() && tiers_->cold->has_table(table_id);
    }

    std::shared_ptr<const Tiers> tiers_;
    std::uint64_t snapshot_ = 0;
    bool with_cold_ = true;
};

// Thread safety: every method may be called from any thread. No method holds a lock while it waits for
// another thread's work but begin, which waits for the commit lock; who holds that never waits for a sync.
class Store final : public Readable {
    friend class SegmentLoad;

  public:
    // Replays the log of `directory`, which exists. Throws Corruption, UnknownFormat, IoError.
    Store(std::shared_ptr<FileSystem> files, std::string directory, std::shared_ptr<Clock> clock,
          std::shared_ptr<RandomSource> random, const StoreOptions& options);
    // Without close(): as a crash of the process, but for the threads, which end.
    ~Store() override;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    const LogRecovery& recovery() const { return recovery_; }
    void define_table(std::uint64_t table_id, std::uint32_t version, const StreamOptions& stream,
                      TableDescription description = {});
    // At open: the table was dropped in an earlier life, and its rows go with the next checkpoint.
    void drop_table(std::uint64_t table_id);
    // Between the two, definitions are committed that readers do not know of yet: no checkpoint begins to
    // write rows by them. Whoever pins a view first, and then asks what tables there are, so can read what it
    // holds.
    void hold_definitions();
    void tell_definitions();
    // Of rows that were written to segments the newest version alone is kept: who reads more than once at one
    // snapshot, beside a checkpoint, pins a view. Other reads then throw SnapshotGone.
    std::uint64_t snapshot() const override { return published_.load(std::memory_order_acquire); }
    View pin() const;

    // All of it or nothing; returns the sequence number of the last operation. Throws DuplicateKey,
    // WriteConflict, Poisoned, OutcomeUnknown, IoError.
    std::uint64_t commit(WriteBatch& batch, bool sync);
    // The same in two steps, for a caller that must not wait for a lock (the GIL's holder): try_begin is
    // false where the commit lock is taken; begin waits for it. Once begun, finish must follow; it waits
    // where ticket.waits.
    bool try_begin(WriteBatch& batch, bool sync, CommitTicket& ticket);
    void begin(WriteBatch& batch, bool sync, CommitTicket& ticket);
    std::uint64_t finish(CommitTicket& ticket);

    bool get(std::uint64_t table_id, std::string_view partition, std::string_view key, std::uint64_t snapshot,
             bool deleted, FoundRow& found) const override {
        return pin().get(table_id, partition, key, snapshot, deleted, found);
    }
    std::unique_ptr<RowSource> rows(std::uint64_t table_id, std::string_view partition,
                                    std::uint64_t snapshot, const Bounds& bounds, bool reverse, bool deleted,
                                    bool with_keys = false) const override {
        return pin().rows(table_id, partition, snapshot, bounds, reverse, deleted, with_keys);
    }
    std::uint64_t count(std::uint64_t table_id, std::string_view partition,
                        std::uint64_t snapshot) const override {
        return pin().count(table_id, partition, snapshot);
    }
    std::uint64_t count_all(std::uint64_t table_id, std::uint64_t snapshot) const override {
        return pin().count_all(table_id, snapshot);
    }
    std::vector<std::string> partitions(std::uint64_t table_id) const override {
        return pin().partitions(table_id);
    }
    std::vector<ArrowBatch> rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                          std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                          const RowReader& reader, const std::vector<int>& columns,
                                          std::int64_t batch_rows) const override {
        return pin().rows_as_arrow(table_id, partition, snapshot, bounds, deleted, reader, columns,
                                   batch_rows);
    }
    std::vector<ArrowBatch> hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                              std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                              const RowReader& reader, const std::vector<int>& columns,
                                              std::int64_t batch_rows) const override {
        return pin().hot_rows_as_arrow(table_id, partition, snapshot, bounds, deleted, reader, columns,
                                       batch_rows);
    }

    // Listens to a partition: whoever pins a view after this returns, gets every commit behind that view from
    // the reader, and some before it. Waits for commits on their way. As ChangeFeed::open.
    std::shared_ptr<ChangeReader> listen(std::uint64_t table_id, std::string_view partition, std::uint64_t id,
                                         std::shared_ptr<ChangeWaker> waker, std::size_t bytes_max);
    ChangeFeed& feed() { return feed_; }
    // What commits changed in a partition behind `after` and up to `until`, which is published; a set each,
    // or one for all of a STREAM. Throws HistoryGone where not all of it is known any more, IoError,
    // Corruption.
    std::vector<std::shared_ptr<const ChangeSet>> changes_between(std::uint64_t table_id,
                                                                  std::string_view partition,
                                                                  std::uint64_t after, std::uint64_t until);

    // Writes what memory holds to hot segments, and lets go of the log up to there. Returns the rows written.
    // Throws IoError where there was no room, and nothing has changed then; Poisoned.
    std::uint64_t checkpoint();
    // The number of a segment that is about to be written outside of a checkpoint.
    std::uint64_t new_segment();
    // Rows of a segment that was written outside of a checkpoint become a commit like any other: as
    // SegmentLoad tells, which calls it. `probe`: throws where a key of them has a live row in another
    // segment; false where what memory has must be in segments before that can be told.
    std::uint64_t commit_segment(const std::shared_ptr<HotSegment>& segment, std::uint32_t version,
                                 const std::function<bool()>& probe);
    // What is known of cold segments, and their decoded blocks.
    ColdRegistry& cold() { return *cold_; }
    BlockCache& cold_cache() { return cold_cache_; }
    // From now on partitions of the table may have something cold.
    void add_cold_table(std::uint64_t table_id);
    // Rows of each partition in memory and hot segments that are not in cold ones.
    std::vector<Unflushed> unflushed(std::uint64_t table_id,
                                     const std::unordered_map<std::string, std::uint64_t>& watermarks) const;
    // Lets go of hot rows of the table that are in cold segments; `watermarks`: of each partition that has
    // any.
    void drop_flushed(std::uint64_t table_id,
                      const std::unordered_map<std::string, std::uint64_t>& watermarks);
    // Checkpoints, and keeps every hot segment that the checkpoint names under its name until
    // release_segments, also when it is merged or its rows are let go. For a backup; several may hold at
    // once. Raises as checkpoint.
    CheckpointState hold_segments();
    // REQUIRES: hold_segments succeeded, once for each call.
    void release_segments();
    // Writes hot segments anew without the rows of a partition, newer or older, after a checkpoint; how many
    // rows went. What is cold stays. Raises as checkpoint.
    std::uint64_t erase_partition(const std::vector<std::uint64_t>& table_ids, std::string_view partition);
    // Checkpoints, and leaves of the log only what was written since this began: older files are overwritten
    // with zeros and removed. Raises as checkpoint.
    void purge_log();
    // Takes the rows of segments in `directory` in as its own, under other table ids, with their sequence
    // numbers; how many. They are seen from the next commit on, which is above `last_sequence`. Ids that are
    // given from now on are of `lease_end_ms` or later.
    // REQUIRES: nobody has written to the tables. Throws Corruption where a segment is not whole, and as
    // checkpoint.
    std::uint64_t adopt(const std::string& directory, const std::vector<AdoptedTable>& tables,
                        std::uint64_t last_sequence, std::int64_t lease_end_ms);
    // What the sequence numbers of a commit begin with now, unless they are beyond that already.
    std::uint64_t sequence_by_clock() const;
    std::uint64_t hash_seed() const { return hash_seed_; }
    StoreStatistics statistics() const;
    // How often the log was synced for those who waited for it.
    std::uint64_t syncs() const { return log_->syncs(); }

    // Ids that were never given before, in this life of the database or an earlier one.
    Snowflakes& snowflakes() { return *snowflakes_; }
    // One of them for a name outside of the log: its lease is on the disk before it is given, so that no
    // later life gives it again, whatever a power cut takes of the log and wherever the clock stands then.
    std::int64_t durable_snowflake();

    bool closed() const { return closed_.load(std::memory_order_acquire); }
    // Waits for the commits on their way. Throws where the end of the log could not be made durable.
    void close();

  private:
    friend class View;

    // Throws where nothing more is written: the store is closed, or poisoned. REQUIRES: the commit lock.
    void require_writable() const;
    void require_hot_directory() const;
    void load_checkpoint();
    void open_log();
    std::shared_ptr<SegmentMap> open_segments();
    void put_in_place(CheckpointState state, std::shared_ptr<SegmentMap> segments,
                      const std::vector<std::uint64_t>& made, const std::vector<std::uint64_t>& removed);
    void let_go(std::uint64_t table_id, const std::function<bool(const PartitionRange&)>& goes, bool wholly);
    void remove_segments(const std::vector<std::uint64_t>& numbers);
    void replay(RecordType type, std::uint64_t lsn, std::string_view payload);
    std::shared_ptr<const Tiers> tiers() const;
    void set_tiers(std::shared_ptr<const Tiers> tiers);
    void forget_tiers();
    void look_in_segments(WriteBatch& batch) const;
    bool looked_in_segments(const WriteBatch& batch) const;
    NewestVersion newest_of(const WriteBatch& batch, const RowOperation& operation,
                            const std::vector<const Partition*>& frozen) const;
    bool must_wait_for_memory() const;
    void freeze();
    std::uint64_t write_segments();
    std::uint64_t expired_sequence(const TableDescription& description) const;
    void compact_hot(CheckpointState& state, SegmentMap& segments,
                     const std::unordered_map<std::uint64_t, TableState>& tables,
                     std::vector<std::uint64_t>& made, std::vector<std::uint64_t>& removed);
    void discard(const std::vector<std::uint64_t>& made, bool named);
    bool in_memory(const HotSegment& segment, std::uint64_t keys_max) const;
    std::uint64_t begin_load(const std::shared_ptr<HotSegment>& segment, std::uint32_t version,
                             CommitTicket& ticket);
    void end_load(const HotSegment& segment, CommitTicket& ticket, bool done);
    void enqueue(CommitTicket& ticket);
    void install(const Tiers& written, std::shared_ptr<const SegmentMap> segments,
                 std::uint64_t checkpointed);
    void start_checkpointer() noexcept;
    void keep_checkpoints();
    void stop_checkpointer();
    void poison(const std::string& why);
    void begin_locked(WriteBatch& batch, bool sync, CommitTicket& ticket);
    void check_tables(const WriteBatch& batch) const;
    void set_tables(const WriteBatch& batch, CommitTicket& ticket);
    void restore_tables(CommitTicket& ticket);
    std::uint64_t apply(const WriteBatch& batch, std::uint64_t first, CommitTicket& ticket,
                        std::uint64_t& applied);
    void undo(const WriteBatch& batch, MemTable& memtable, std::uint64_t first, std::uint64_t operations);
    std::uint64_t first_sequence(std::uint64_t file);
    void forget_old_history();
    ChangeSet* changes_of(const RowOperation& operation, CommitTicket& ticket);
    std::uint64_t append_gap(std::uint64_t table_id, std::uint64_t last);
    std::uint64_t append(const WriteBatch& batch, const CommitTicket& ticket, std::uint64_t logged);
    std::uint64_t append_lease(std::int64_t end_ms);
    std::int64_t extend_lease(std::int64_t wanted_ms);
    void publish_pending();
    void settle_streams(const CommitTicket& ticket);
    void unlink(CommitTicket& ticket);
    void take_back(CommitTicket& ticket, std::exception_ptr error);
    std::exception_ptr error_of(const CommitTicket& ticket);
    void undo_dropped();
    void learn_poison();
    void meet_failure();
    std::int64_t stream_now_us(std::uint64_t newest) const;
    std::unique_ptr<RowSource> stream_rows(std::uint64_t table_id, std::string_view partition,
                                           std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                           bool deleted, bool with_keys) const;
    void start_housekeeper();
    void wake_housekeeper();
    void keep_house();
    void stop_housekeeper();

    const std::shared_ptr<FileSystem> files_;
    const std::string directory_;
    const std::shared_ptr<Clock> clock_;
    const std::shared_ptr<RandomSource> random_;
    const StoreOptions options_;
    const std::uint64_t hash_seed_;
    LogRecovery recovery_;
    BlockCache cache_;
    BlockCache cold_cache_;
    const std::shared_ptr<ColdRegistry> cold_;
    Streams streams_;
    ChangeFeed feed_;
    std::uint64_t opened_at_ = 0;  // the last sequence number of earlier lives
    // The sequence number of the first commit in each file of the log that was asked for.
    std::mutex first_sequences_mutex_;
    std::unordered_map<std::uint64_t, std::uint64_t> first_sequences_;
    std::unique_ptr<Log> log_;
    std::atomic<std::uint64_t> published_{0};
    std::atomic<bool> closed_{false};

    // The commit lock, and what it guards besides the writer's side of memtable, streams and log.
    std::mutex commit_mutex_;
    std::unordered_map<std::uint64_t, TableState> tables_;
    std::uint64_t last_ = 0;
    std::int64_t lease_end_ms_ = 0;  // no id of this millisecond or later was given; 0: none ever
    std::uint64_t lease_lsn_ = 0;    // the record that says so; 0: an earlier life's, which is on the disk
    int definitions_held_ = 0;       // by who will tell
    std::condition_variable definitions_told_;
    std::uint64_t definitions_taken_back_ = 0;  // commits with definitions that were published never
    std::uint64_t drops_known_ = 0;
    std::string poison_;  // why nothing more is written

    // Which tiers there are. Replaced under the commit lock and this one; read under either.
    mutable std::mutex tiers_mutex_;
    std::shared_ptr<const Tiers> tiers_;  // null once it is closed
    MemTable* memtable_ = nullptr;        // the active one of tiers_; guarded by the commit lock
    std::atomic<std::uint64_t> generation_{0};

    // Shared by loads while they work; close waits for them. Taken before any other.
    std::shared_mutex loads_mutex_;

    // One checkpoint at a time. Taken before the commit lock.
    std::mutex checkpoint_mutex_;
    CheckpointState checkpoint_;
    bool checkpoint_forced_ = false;            // also where nothing was written since the last
    int holders_ = 0;                           // of segments: while there are any, none is removed
    std::vector<std::uint64_t> to_be_removed_;  // once the last has let go

    // The checkpointer writes frozen memtables to segments in the background.
    std::mutex checkpointer_mutex_;
    std::condition_variable checkpointer_changed_;
    std::condition_variable memory_freed_;
    bool checkpoint_wanted_ = false;
    bool checkpointer_stops_ = false;
    std::atomic<bool> checkpoint_fails_{false};
    std::thread checkpointer_;

    // The commits between the commit lock and readers, oldest first. Taken after the commit lock where both
    // are.
    std::mutex pending_mutex_;
    std::condition_variable pending_changed_;
    CommitTicket* oldest_pending_ = nullptr;
    CommitTicket* newest_pending_ = nullptr;
    int pending_waiters_ = 0;

    // The housekeeper syncs what commits with sync=false wrote, and frees what expired in streams.
    std::mutex house_mutex_;
    std::condition_variable house_changed_;
    std::atomic<bool> unsynced_{false};
    const std::chrono::milliseconds sync_wait_;
    bool house_stops_ = false;
    std::thread housekeeper_;

    std::unique_ptr<Snowflakes> snowflakes_;
};

}  // namespace kalam
