// The rows of STREAM tables: in memory alone, hidden at once when their time is over, bounded in number and
// bytes.
//
// Thread safety: every method may be called from any thread; push, pop and settle by one at a time (the
// commit lock or what stands for it). What a reader got stays whole for as long as it holds it. Invariant: a
// table's versions are ordered by sequence number, which is also the order in which they expire.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "change_feed.hpp"
#include "memtable.hpp"

namespace kalam {

struct StreamOptions {
    std::int64_t ttl_us = 0;
    std::uint64_t rows_max = 0;  // live rows in a partition; 0 for any number
};

// One version of a row.
struct StreamRow {
    std::uint64_t sequence;
    bool deleted;
    std::string row;
};

using StreamRowPointer = std::shared_ptr<const StreamRow>;

// The newest version of a key, as a writer asks for it.
struct StreamHead {
    std::uint64_t sequence = 0;
    bool live = false;
};

class Streams {
  public:
    explicit Streams(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    // Makes the table, or changes its options and keeps its rows.
    void define(std::uint64_t table_id, const StreamOptions& options);
    void drop(std::uint64_t table_id);
    // Whether any table was ever made; false costs its readers nothing more.
    bool any() const { return any_.load(std::memory_order_acquire); }

    // `now_us` everywhere: microseconds since 1970-01-01Z; rows whose time is over then are not there.
    StreamHead head(std::uint64_t table_id, std::string_view partition, std::string_view key,
                    std::int64_t now_us) const;
    // REQUIRES: the table is defined, `sequence` is the largest so far.
    void push(std::uint64_t table_id, std::string_view partition, std::string_view key,
              std::uint64_t sequence, std::string_view row, bool deleted);
    // Takes back the versions of a key from sequence `from` to `to`.
    void pop(std::uint64_t table_id, std::string_view partition, std::string_view key, std::uint64_t from,
             std::uint64_t to);
    // Lets the oldest rows go where a partition has too many, or all tables together too many bytes.
    // Versions above `published` neither count nor go.
    void settle_rows(std::uint64_t table_id, std::string_view partition, std::uint64_t published);
    void settle_bytes(std::uint64_t published);
    // Frees what has expired.
    void purge(std::int64_t now_us);

    StreamRowPointer get(std::uint64_t table_id, std::string_view partition, std::string_view key,
                         std::uint64_t snapshot, bool deleted, std::int64_t now_us) const;
    // `keys`, where given, gets a copy of each row's key.
    std::vector<StreamRowPointer> scan(std::uint64_t table_id, std::string_view partition,
                                       std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                       bool deleted, std::int64_t now_us,
                                       std::vector<std::string>* keys = nullptr) const;
    std::uint64_t count(std::uint64_t table_id, std::string_view partition, std::uint64_t snapshot,
                        std::int64_t now_us) const;
    std::vector<std::string> partitions(std::uint64_t table_id, std::uint64_t snapshot) const;

    // What changed in a partition behind `after` and up to `until`. Throws HistoryGone where some of it is
    // over.
    void changes_between(std::uint64_t table_id, std::string_view partition, std::uint64_t after,
                         std::uint64_t until, ChangeSet& changes) const;

    std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
    std::uint64_t rows() const { return rows_.load(std::memory_order_relaxed); }

  private:
    struct Part;
    struct Entry;
    using Rows = std::map<std::string, Entry*, std::less<>>;  // key to its newest version
    // A version and its place. The links are guarded by the mutex, the StreamRow never changes.
    struct Entry : StreamRow, std::enable_shared_from_this<Entry> {
        Part* part = nullptr;
        Rows::iterator place;
        Entry* older = nullptr;
        Entry* newer = nullptr;
    };
    struct Part {
        Rows rows;
        std::map<std::uint64_t, Entry*> live;  // the newest version of each live key, by sequence
        std::string name;
    };
    struct Table {
        StreamOptions options;
        std::map<std::string, Part, std::less<>> parts;
        std::map<std::uint64_t, std::shared_ptr<Entry>> versions;
        // The newest version that is over.
        std::uint64_t over = 0;
    };

    const Part* find(std::uint64_t table_id, std::string_view partition, const Table** table) const;
    static const Entry* visible(const Entry* newest, std::uint64_t snapshot, bool deleted, const Table& table,
                                std::int64_t now_us);
    void remove(Table& table, Entry* entry);
    void remove_key(Table& table, Entry* newest);

    const std::uint64_t bytes_max_;
    std::atomic<bool> any_{false};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> rows_{0};
    mutable std::mutex mutex_;
    std::map<std::uint64_t, Table> tables_;
};

}  // namespace kalam
