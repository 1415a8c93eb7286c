#include "transaction.hpp"

#include <algorithm>
#include <limits>

#include "errors.hpp"

namespace kalam {

namespace {

// Own versions are all visible to their transaction.
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kRowsAtOnce = 64;

RowRef reference(const Version& version) {
    return {version.data(), version.length, version.sequence, version.deleted};
}

// Two sources in key order as one; where both have a key, the transaction's row stands.
class OverlaidRows final : public RowSource {
  public:
    OverlaidRows(std::unique_ptr<RowSource> below, const PartitionCursor& own, bool reverse, bool deleted)
        : below_(std::move(below)), own_(own), reverse_(reverse), deleted_(deleted) {
        version_ = own_.next();
        fill();
    }

    std::size_t next(RowRef* out, std::size_t max, std::string_view* keys) override {
        std::size_t count = 0;
        while (count < max) {
            if (!version_) {
                if (at_ == filled_) break;
                take_below(out, keys, count);
                continue;
            }
            int order = at_ == filled_ ? -1 : own_.key().compare(keys_[at_]);
            if (reverse_ && at_ < filled_) order = -order;
            if (order > 0) {
                take_below(out, keys, count);
                continue;
            }
            // A tombstone that hides nothing of the snapshot is as if it were not there.
            bool hides = order == 0 && !rows_[at_].deleted;
            if (!version_->deleted || (deleted_ && hides)) {
                if (keys) keys[count] = own_.key();
                out[count++] = reference(*version_);
                if (order == 0) skip_below();
            } else if (order == 0 && hides) {
                skip_below();
            }
            version_ = own_.next();
        }
        return count;
    }

    void forget() override { below_->forget(); }

  private:
    void fill() {
        at_ = 0;
        filled_ = below_->next(rows_, kRowsAtOnce, keys_);
    }
    void skip_below() {
        if (++at_ == filled_ && filled_ == kRowsAtOnce) fill();
    }
    void take_below(RowRef* out, std::string_view* keys, std::size_t& count) {
        if (keys) keys[count] = keys_[at_];
        out[count++] = rows_[at_];
        skip_below();
    }

    std::unique_ptr<RowSource> below_;
    PartitionCursor own_;
    const Version* version_;
    const bool reverse_;
    const bool deleted_;
    RowRef rows_[kRowsAtOnce];
    std::string_view keys_[kRowsAtOnce];
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
};

}  // namespace

Transaction::Transaction(const Store& store)
    : store_(store),
      below_(store.pin()),
      snapshot_(below_.snapshot()),
      next_(snapshot_ + 1),
      own_(store.hash_seed()) {}

Transaction::Transaction(const Store& store, std::uint64_t snapshot)
    : store_(store), below_(store.pin()), snapshot_(snapshot), next_(snapshot + 1), own_(store.hash_seed()) {}

bool Transaction::in_snapshot(const Partition& partition, std::string_view key) const {
    FoundRow found;
    return below_.get(partition.table_id(), partition.name(), key, snapshot_, false, found);
}

std::uint64_t Transaction::write(WriteBatch& batch) {
    batch.require_open();
    if (!batch.definitions_.empty()) throw Error("a transaction defines no tables");
    std::size_t before = writes_.size();
    std::uint64_t first = std::max(next_, store_.sequence_by_clock());
    try {
        OperationReader reader(batch.body_, batch.operations_);
        RowOperation operation;
        Partition* partition = nullptr;
        std::size_t use = 0;
        for (std::uint64_t at = 0; reader.next(operation); at++) {
            if (!operation.same_partition) {
                partition = own_.partition(operation.table_id, operation.partition);
            }
            if (use + 1 < batch.uses_.size() && batch.uses_[use + 1].operation == at) use++;
            Node* node = own_.node(partition, operation.key);
            const Version* newest = node->newest.load(std::memory_order_relaxed);
            bool live = newest ? !newest->deleted : in_snapshot(*partition, operation.key);
            bool inserts = operation.kind == OperationKind::kInsert;
            if (inserts && live) throw DuplicateKey(static_cast<std::int64_t>(at));
            if (!inserts && !live) {
                throw WriteConflict("the row is not there any more; evaluate the statement anew",
                                    static_cast<std::int64_t>(at));
            }
            writes_.push_back({partition, node, first + at, batch.uses_[use].version});
            own_.push(partition, node, first + at, operation.row, operation.kind == OperationKind::kDelete);
        }
    } catch (...) {
        back_to(before);
        throw;
    }
    next_ = first + batch.operations_;
    batch.state_.store(WriteBatch::State::kCommitted, std::memory_order_relaxed);
    return next_ - 1;
}

void Transaction::back_to(std::size_t size) {
    for (; writes_.size() > size; writes_.pop_back()) {
        const Write& last = writes_.back();
        own_.pop(last.partition, last.node, last.sequence);
    }
}

void Transaction::collect(WriteBatch& batch) const {
    for (const Write& write : writes_) {
        const Version* newest = write.node->newest.load(std::memory_order_relaxed);
        if (newest->sequence != write.sequence) continue;  // a later write stands for it
        const Partition& partition = *write.partition;
        bool replaces = in_snapshot(partition, write.node->key());
        if (newest->deleted && !replaces) continue;
        OperationKind kind = newest->deleted ? OperationKind::kDelete
                             : replaces      ? OperationKind::kReplace
                                             : OperationKind::kInsert;
        batch.add(kind, partition.table_id(), write.version, partition.name(), write.node->key(),
                  newest->row());
    }
}

bool Transaction::get(std::uint64_t table_id, std::string_view partition, std::string_view key, std::uint64_t,
                      bool deleted, FoundRow& found) const {
    const Partition* own = own_.find(table_id, partition);
    const Version* version = own ? own->get(key, kAll) : nullptr;
    if (!version || version->deleted) {
        bool below = below_.get(table_id, partition, key, snapshot_, deleted, found);
        if (!version || !below || found.row.deleted) return below;
        if (!deleted) return false;
    }
    found.row = reference(*version);
    found.held = nullptr;
    return true;
}

std::unique_ptr<RowSource> Transaction::rows(std::uint64_t table_id, std::string_view partition,
                                             std::uint64_t, const Bounds& bounds, bool reverse, bool deleted,
                                             bool with_keys) const {
    const Partition* own = own_.find(table_id, partition);
    if (!own) return below_.rows(table_id, partition, snapshot_, bounds, reverse, deleted, with_keys);
    return std::make_unique<OverlaidRows>(
        below_.rows(table_id, partition, snapshot_, bounds, reverse, deleted, true),
        PartitionCursor(*own, kAll, bounds, reverse, true), reverse, deleted);
}

std::uint64_t Transaction::count(std::uint64_t table_id, std::string_view partition, std::uint64_t) const {
    std::uint64_t rows = below_.count(table_id, partition, snapshot_);
    const Partition* own = own_.find(table_id, partition);
    if (!own) return rows;
    PartitionCursor cursor(*own, kAll, {}, false, true);
    while (const Version* version = cursor.next()) {
        bool below = in_snapshot(*own, cursor.key());
        if (!version->deleted && !below) rows++;
        // A row of a stream may have ended since the rows were counted.
        if (version->deleted && below && rows > 0) rows--;
    }
    return rows;
}

std::uint64_t Transaction::count_all(std::uint64_t table_id, std::uint64_t) const {
    std::uint64_t rows = below_.count_all(table_id, snapshot_);
    for (const Partition* own : own_.partitions(table_id)) {
        std::string_view name = own->name();
        rows += count(table_id, name, snapshot_);
        rows -= std::min(rows, below_.count(table_id, name, snapshot_));
    }
    return rows;
}

std::vector<std::string> Transaction::partitions(std::uint64_t table_id) const {
    std::vector<std::string> names = below_.partitions(table_id);
    for (const Partition* own : own_.partitions(table_id)) {
        if (own->any(kAll)) names.emplace_back(own->name());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::vector<ArrowBatch> Transaction::rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                   std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                                   const RowReader& reader, const std::vector<int>& columns,
                                                   std::int64_t batch_rows) const {
    if (own_.find(table_id, partition)) {
        return Readable::rows_as_arrow(table_id, partition, snapshot, bounds, deleted, reader, columns,
                                       batch_rows);
    }
    return below_.rows_as_arrow(table_id, partition, snapshot_, bounds, deleted, reader, columns, batch_rows);
}

std::vector<ArrowBatch> Transaction::hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                       std::uint64_t snapshot, const Bounds& bounds,
                                                       bool deleted, const RowReader& reader,
                                                       const std::vector<int>& columns,
                                                       std::int64_t batch_rows) const {
    const Partition* own = own_.find(table_id, partition);
    if (!own) {
        return below_.hot_rows_as_arrow(table_id, partition, snapshot, bounds, deleted, reader, columns,
                                        batch_rows);
    }
    // All own tombstones are shown where they are asked for: they may hide what is cold.
    std::vector<std::unique_ptr<RowSource>> sources;
    sources.push_back(memtable_source(PartitionCursor(*own, kAll, bounds, false, true), nullptr));
    sources.push_back(below_.hot().rows(table_id, partition, snapshot_, bounds, false, true, true));
    std::vector<ArrowBatch> batches;
    append_as_arrow(*merged(std::move(sources), false, deleted), reader, columns, batch_rows, batches);
    return batches;
}

}  // namespace kalam
