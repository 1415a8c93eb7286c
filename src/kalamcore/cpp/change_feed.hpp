// What commits changed, for those who listen: each partition's changes in commit order, from the moment on at
// which somebody began to listen to it.
//
// A commit looks once whether anybody listens at all, and once more for each of its partitions if so; who
// listens to others costs it nothing. Delivery is the listeners' own work: a commit leaves what it changed
// with each of them, and wakes those who wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "row_operations.hpp"

namespace kalam {

class HotSegment;
class RowSource;

// One row that a commit changed. Valid while its ChangeSet is.
struct Change {
    OperationKind kind = OperationKind::kInsert;
    std::uint64_t sequence = 0;
    std::uint64_t previous = 0;  // of the version that was replaced; 0: there was none, or it was not kept
    std::string_view row;        // of a delete: its last values
    std::string_view old_row;    // of a replace
};

// What one commit changed in one partition.
//
// Thread safety: immutable once it is published.
class ChangeSet {
  public:
    void add(OperationKind kind, std::uint64_t sequence, std::uint64_t previous, std::string_view row,
             std::string_view old_row);
    std::size_t size() const { return places_.size(); }
    Change at(std::size_t index) const;
    // Memory that it takes.
    std::size_t bytes() const { return rows_.size() + places_.size() * sizeof(Place) + sizeof(ChangeSet); }

    // Rows that were loaded past the log: all of the segment's, inserted; there are no others then.
    std::shared_ptr<const HotSegment> loaded;
    // The commit's last sequence number.
    std::uint64_t last = 0;

  private:
    struct Place {
        OperationKind kind;
        std::uint64_t sequence, previous;
        std::size_t begin, middle, end;  // of the row, and of the old one behind it
    };
    std::string rows_;
    std::vector<Place> places_;
};

// The rows that were loaded, in key order. REQUIRES: there are; the set outlives what is returned.
std::unique_ptr<RowSource> loaded_rows(const ChangeSet& set);

class ChangeReader;

// Where one who listens to many partitions waits for any of them.
//
// Thread safety: every method may be called from any thread.
class ChangeWaker {
  public:
    // From now on a byte is written to this descriptor, which does not block, when there is news and there
    // was none; -1: no more.
    void set_descriptor(int descriptor);
    // Told by wait among the ids of readers, which are others, where interrupt was called.
    static constexpr std::uint64_t kInterrupted = 0;
    // The ids of readers that have news since they were last told; waits for the first up to `timeout_ms`
    // (negative: for ever).
    std::vector<std::uint64_t> wait(std::int64_t timeout_ms);
    // Makes one wait return, the present one or the next.
    void interrupt();

  private:
    friend class ChangeFeed;
    void wake(ChangeReader& reader);
    void signal();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::uint64_t> ready_;
    int descriptor_ = -1;
    bool interrupted_ = false;
    bool told_ = false;  // the descriptor has its byte
};

// A partition that somebody listens to.
struct ChangeChannel {
    std::uint64_t table_id = 0;
    std::string partition;
    std::vector<ChangeReader*> readers;   // guarded by the feed's lock
    std::shared_ptr<ChangeSet> building;  // of the commit that is being applied; by the commit lock
};

// One listener's place in a partition's changes. Made and ended by the feed.
class ChangeReader {
  public:
    std::uint64_t id() const { return id_; }

  private:
    friend class ChangeFeed;
    friend class ChangeWaker;
    std::uint64_t id_ = 0;
    std::size_t bytes_max_ = 0;
    std::shared_ptr<ChangeChannel> channel_;
    // Guarded by the feed's lock.
    std::shared_ptr<ChangeWaker> waker_;
    std::deque<std::shared_ptr<const ChangeSet>> waiting_;
    std::size_t bytes_ = 0;
    bool lagged_ = false;
    // Guarded by the waker's lock: it is in its list.
    bool told_ = false;
};

// Thread safety: every method may be called from any thread.
class ChangeFeed {
  public:
    // False: no commit has anything to tell.
    bool any() const { return readers_.load(std::memory_order_relaxed) != 0; }
    // The channel of a partition, null where nobody listens to it.
    std::shared_ptr<ChangeChannel> find(std::uint64_t table_id, std::string_view partition) const;
    // `bytes_max`: how much may wait to be taken; what is beyond, but for a single commit, ends the reader as
    // lagged. `id`: what the waker tells.
    std::shared_ptr<ChangeReader> open(std::uint64_t table_id, std::string_view partition, std::uint64_t id,
                                       std::shared_ptr<ChangeWaker> waker, std::size_t bytes_max);
    void close(ChangeReader& reader);
    // From now on another waker tells of the reader, at once where something waits.
    void move(ChangeReader& reader, std::shared_ptr<ChangeWaker> waker);
    // REQUIRES: called in commit order. Where memory is lacking, the readers have lagged.
    void publish(ChangeChannel& channel, const std::shared_ptr<ChangeSet>& set) noexcept;
    // What waits, oldest first. Sets `lagged` where something was lost; then there is never anything again.
    std::vector<std::shared_ptr<const ChangeSet>> take(ChangeReader& reader, bool& lagged);

  private:
    static std::string name_of(std::uint64_t table_id, std::string_view partition);
    static void lag(ChangeReader& reader) noexcept;

    std::atomic<std::size_t> readers_{0};
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<ChangeChannel>> channels_;
};

}  // namespace kalam
