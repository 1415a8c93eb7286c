// How rows leave memory: the store's memtable is frozen, written to hot segments, and let go together with
// its log. The order is the point: a crash between any two steps loses nothing, because the log goes only
// after a durable checkpoint names the segments, and what no checkpoint names is removed by the next opening.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "errors.hpp"
#include "huge_pages.hpp"
#include "segment_writing.hpp"
#include "store.hpp"

namespace kalam {

namespace {

// Hot segments of a table are merged when these many are of like size.
constexpr std::size_t kSegmentsOfLikeSize = 4;
// After a checkpoint of so many, memory that the allocator keeps is given back.
constexpr std::uint64_t kManyRows = 100'000;
constexpr auto kPause = std::chrono::seconds(1);
// Beside small memtables a few commits more may be in memory than the setting says.
constexpr std::uint64_t kWaitedForBytesMin = 64u << 10;

// The newest segments that are worth merging: each not much larger than all before it together.
std::size_t segments_to_merge(const SegmentList& list) {
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    for (const auto& segment : list) {
        if (count && segment->entry().file_bytes > bytes * 2) break;
        bytes += segment->entry().file_bytes;
        count++;
    }
    return count >= kSegmentsOfLikeSize ? count : 0;
}

}  // namespace

// REQUIRES: the commit lock.
void Store::freeze() {
    if (memtable_->entries() == 0) return;
    auto next = std::make_shared<Tiers>(*tiers_);
    next->frozen.insert(next->frozen.begin(), next->active);
    next->active = std::make_shared<MemTable>(hash_seed_);
    // Last, for where memory runs out the memtable goes on taking writes.
    memtable_->freeze();
    set_tiers(std::move(next));
}

std::uint64_t Store::checkpoint() {
    require_hot_directory();
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    try {
        std::uint64_t rows = write_segments();
        checkpoint_fails_.store(false, std::memory_order_release);
        memory_freed_.notify_all();
        // Blocks that were merged, and batches that were written, were many.
        if (rows >= kManyRows) release_free_memory();
        return rows;
    } catch (const IoError& error) {
        if (!lacks_room(error)) poison(error.what());
        throw;
    }
}

// REQUIRES: the checkpoint lock.
std::uint64_t Store::write_segments() {
    std::shared_ptr<const Tiers> written;
    std::unordered_map<std::uint64_t, TableState> tables;
    CheckpointState state = checkpoint_;
    auto gone = [&](std::uint64_t table_id) {
        auto known = tables.find(table_id);
        return known != tables.end() && known->second.dropped;
    };
    for (bool certain = false; !certain;) {
        std::uint64_t taken_back;
        {
            std::unique_lock guard(commit_mutex_);
            definitions_told_.wait(guard, [this] { return definitions_held_ == 0 || closed(); });
            require_writable();
            undo_dropped();
            freeze();
            written = tiers_;
            tables = tables_;
            taken_back = definitions_taken_back_;
            state.lsn = log_->last();
            state.last_sequence = last_;
            state.lease_end_ms = lease_end_ms_;
        }
        bool drops = std::any_of(state.segments.begin(), state.segments.end(),
                                 [&](const HotSegmentEntry& entry) { return gone(entry.table_id); });
        if (written->frozen.empty() && !drops && !checkpoint_forced_) {
            // Loads went to segments past the memory, which has nothing.
            if (written->checkpointed < state.last_sequence) {
                checkpoint_.last_sequence = state.last_sequence;
                install({}, written->segments, state.last_sequence);
            }
            return 0;
        }
        {
            // What is frozen is published, or taken back, by those who commit it.
            std::unique_lock lock(pending_mutex_);
            publish_pending();
            pending_waiters_++;
            pending_changed_.wait(lock, [&] {
                publish_pending();
                return !oldest_pending_ || oldest_pending_->first > state.last_sequence;
            });
            pending_waiters_--;
        }
        // A DROP that found no room leaves the rows of its table where they are: the tables are looked at
        // anew.
        std::lock_guard guard(commit_mutex_);
        certain = taken_back == definitions_taken_back_;
    }
    state.lsn = std::min(state.lsn, log_->written());
    log_->flush(state.lsn, true);

    std::vector<std::uint64_t> made;
    std::vector<std::uint64_t> removed;
    std::uint64_t rows = 0;
    auto segments = std::make_shared<SegmentMap>(*written->segments);
    bool named = false;
    try {
        std::set<std::uint64_t> table_ids;
        for (const auto& memtable : written->frozen) {
            table_ids.insert(memtable->table_ids().begin(), memtable->table_ids().end());
        }
        for (std::uint64_t table_id : table_ids) {
            auto known = tables.find(table_id);
            if (known == tables.end()) {
                // Its rows must not go with the log only because nobody told of it.
                throw Error("table " + std::to_string(table_id) +
                            " cannot be written to a segment: it is not known; define it first, or drop it");
            }
            if (known->second.dropped || known->second.stream) continue;
            if (!known->second.description.reader) {
                throw Error("table " + std::to_string(table_id) +
                            " cannot be written to a segment: it was defined without a reader");
            }
            std::set<std::string_view> names;
            for (const auto& memtable : written->frozen) {
                for (const Partition* partition : memtable->partitions(table_id))
                    names.insert(partition->name());
            }
            const TableDescription& description = known->second.description;
            std::uint64_t number = state.next_segment++;
            made.push_back(number);
            HotSegmentWriter writer(*files_, options_.hot_directory, number, table_id, *description.reader,
                                    description.column_names);
            for (std::string_view name : names) {
                std::vector<std::unique_ptr<RowSource>> sources;
                for (const auto& memtable : written->frozen) {
                    const Partition* partition = memtable->find(table_id, name);
                    if (!partition) continue;
                    sources.push_back(memtable_source(
                        PartitionCursor(*partition, state.last_sequence, {}, false, true), written));
                }
                auto source = sources.size() == 1 ? std::move(sources.front())
                                                  : merged(std::move(sources), false, true);
                write_rows(writer, name, *source);
            }
            if (writer.rows() == 0) continue;
            rows += static_cast<std::uint64_t>(writer.rows());
            HotSegmentEntry entry = writer.finish();
            SegmentList& list = (*segments)[table_id];
            list.insert(list.begin(), HotSegment::open(*files_, options_.hot_directory, entry, cache_));
        }
        for (auto at = segments->begin(); at != segments->end();) {
            if (!gone(at->first)) {
                ++at;
                continue;
            }
            for (const auto& segment : at->second) removed.push_back(segment->entry().number);
            at = segments->erase(at);
        }
        compact_hot(state, *segments, tables, made, removed);
        state.segments.clear();
        for (const auto& [table_id, list] : *segments) {
            for (const auto& segment : list) state.segments.push_back(segment->entry());
        }
        if (!made.empty()) files_->sync_directory(options_.hot_directory);
        named = true;
        write_checkpoint(*files_, options_.hot_directory, state);
    } catch (const std::exception&) {
        // Numbers are given once: blocks may be cached under them.
        checkpoint_.next_segment = state.next_segment;
        discard(made, named);
        throw;
    }
    checkpoint_ = std::move(state);
    install(*written, std::move(segments), checkpoint_.last_sequence);
    try {
        log_->release(checkpoint_.lsn);
        forget_old_history();
    } catch (const std::bad_alloc&) {
        // What could not be let go of now goes with the next checkpoint.
    }
    remove_segments(removed);
    return rows;
}

// Removes segments of a checkpoint that did not take place, unless it may have: `named` says that it was
// being written. The next opening removes what is left.
void Store::discard(const std::vector<std::uint64_t>& made, bool named) {
    try {
        if (named) {
            auto found = read_checkpoint(*files_, options_.hot_directory);
            if (found && found->next_segment == checkpoint_.next_segment) return;
        }
        for (std::uint64_t number : made) {
            cache_.drop(number);
            std::string path = options_.hot_directory + "/" + hot_segment_name(number);
            if (files_->exists(path)) files_->remove(path);
        }
    } catch (const std::exception&) {
    }
}

// Merges segments of like size. REQUIRES: the checkpoint lock; `segments` are nobody else's yet.
void Store::compact_hot(CheckpointState& state, SegmentMap& segments,
                        const std::unordered_map<std::uint64_t, TableState>& tables,
                        std::vector<std::uint64_t>& made, std::vector<std::uint64_t>& removed) {
    for (auto at_table = segments.begin(); at_table != segments.end();) {
        auto& [table_id, list] = *at_table;
        std::size_t count = segments_to_merge(list);
        auto known = tables.find(table_id);
        if (!count || known == tables.end() || !known->second.description.reader) {
            ++at_table;
            continue;
        }
        const TableDescription& description = known->second.description;
        // A tombstone hides what stands behind it: an older segment, or a cold row.
        std::uint64_t expired =
            count == list.size() && !cold_->has_table(table_id) ? expired_sequence(description) : 0;
        std::set<std::string_view> names;
        for (std::size_t at = 0; at < count; at++) {
            for (const PartitionRange& range : list[at]->partitions()) names.insert(range.name);
        }
        Tiers merging;
        merging.active = std::make_shared<MemTable>(hash_seed_);
        auto only = std::make_shared<SegmentMap>();
        (*only)[table_id] = SegmentList(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count));
        merging.segments = only;
        std::uint64_t number = state.next_segment++;
        made.push_back(number);
        HotSegmentWriter writer(*files_, options_.hot_directory, number, table_id, *description.reader,
                                description.column_names);
        for (std::string_view name : names) {
            PartitionSources sources(merging, table_id, name, kAllSequences, false);
            auto source = row_source(sources, only, kAllSequences, {}, false, true);
            write_rows(writer, name, *source, expired);
        }
        for (std::size_t at = 0; at < count; at++) removed.push_back(list[at]->entry().number);
        list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count));
        if (writer.rows() != 0) {
            HotSegmentEntry entry = writer.finish();
            list.insert(list.begin(), HotSegment::open(*files_, options_.hot_directory, entry, cache_));
        }
        at_table = list.empty() ? segments.erase(at_table) : std::next(at_table);
    }
}

// Tombstones up to it are past the table's retention.
std::uint64_t Store::expired_sequence(const TableDescription& description) const {
    if (description.deleted_retention_ms < 0) return 0;
    std::uint64_t now_ms = sequence_by_clock() >> 22;
    auto retention_ms = static_cast<std::uint64_t>(description.deleted_retention_ms);
    return now_ms > retention_ms ? (now_ms - retention_ms) << 22 : 0;
}

// The segments stand for the memtables that were written; newer ones stay.
void Store::install(const Tiers& written, std::shared_ptr<const SegmentMap> segments,
                    std::uint64_t checkpointed) {
    std::lock_guard guard(commit_mutex_);
    auto next = std::make_shared<Tiers>(*tiers_);
    next->frozen.resize(next->frozen.size() - written.frozen.size());
    next->segments = std::move(segments);
    next->checkpointed = checkpointed;
    next->generation++;
    set_tiers(std::move(next));
}

void Store::hold_definitions() {
    std::lock_guard guard(commit_mutex_);
    definitions_held_++;
}

void Store::tell_definitions() {
    std::lock_guard guard(commit_mutex_);
    if (definitions_held_) definitions_held_--;
    definitions_told_.notify_all();
}

void Store::add_cold_table(std::uint64_t table_id) {
    std::lock_guard guard(commit_mutex_);
    if (closed()) throw Error("the store is closed");
    if (cold_->has_table(table_id)) return;
    cold_->add_table(table_id);
    auto next = std::make_shared<Tiers>(*tiers_);
    next->generation++;
    set_tiers(std::move(next));
}

void Store::drop_flushed(std::uint64_t table_id,
                         const std::unordered_map<std::string, std::uint64_t>& watermarks) {
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    auto is_flushed = [&](const PartitionRange& range) {
        auto found = watermarks.find(std::string(range.name));
        return found != watermarks.end() && range.sequence_max <= found->second;
    };
    let_go(table_id, is_flushed, false);
}

std::vector<Unflushed> Store::unflushed(
    std::uint64_t table_id, const std::unordered_map<std::string, std::uint64_t>& watermarks) const {
    std::shared_ptr<const Tiers> now = tiers();
    std::unordered_map<std::string, Unflushed> found;
    auto of = [&](std::string_view name) -> Unflushed& {
        Unflushed& one = found[std::string(name)];
        if (one.partition.empty()) one.partition = name;
        return one;
    };
    std::uint64_t published = snapshot();
    auto add = [&](const MemTable& table) {
        for (const Partition* partition : table.partitions(table_id)) {
            std::uint64_t rows = partition->count(published);
            if (rows) of(partition->name()).rows += rows;
        }
    };
    add(*now->active);
    for (const auto& table : now->frozen) add(*table);
    if (const SegmentList* list = now->segments_of(table_id)) {
        for (const auto& segment : *list) {
            for (const PartitionRange& range : segment->partitions()) {
                auto flushed = watermarks.find(std::string(range.name));
                if (flushed != watermarks.end() && range.sequence_max <= flushed->second) continue;
                Unflushed& one = of(range.name);
                one.rows += static_cast<std::uint64_t>(range.end - range.begin);
                if (!one.oldest || range.sequence_min < one.oldest) one.oldest = range.sequence_min;
            }
        }
    }
    std::vector<Unflushed> all;
    for (auto& [name, one] : found) all.push_back(std::move(one));
    return all;
}

// REQUIRES: the commit lock.
bool Store::must_wait_for_memory() const {
    if (closed() || options_.hot_directory.empty() || tiers_->frozen.empty()) return false;
    // Who is refused anyway must not wait for memory that nobody frees any more.
    if (closed() || !poison_.empty()) return false;
    // Nor who changes a definition: the checkpoint waits for that.
    if (definitions_held_) return false;
    // Where a checkpoint fails for want of room, the log says so to who writes; waiting would not help.
    return memtable_->bytes() >= 2 * options_.memtable_bytes + kWaitedForBytesMin &&
           !checkpoint_fails_.load(std::memory_order_acquire);
}

void Store::poison(const std::string& why) {
    std::lock_guard guard(commit_mutex_);
    if (poison_.empty()) {
        poison_ = "the database takes no more writes until it is opened again: " + why;
    }
}

// A commit is on its way that must not fail for it: where there is no memory, the next commit tries again.
// REQUIRES: the commit lock.
void Store::start_checkpointer() noexcept {
    if (!tiers_->frozen.empty()) return;
    try {
        std::lock_guard guard(checkpointer_mutex_);
        if (checkpointer_stops_) return;
        // The thread first: what is frozen waits for it.
        if (!checkpointer_.joinable()) checkpointer_ = std::thread([this] { keep_checkpoints(); });
        freeze();
        checkpoint_wanted_ = true;
        checkpointer_changed_.notify_one();
    } catch (const std::exception&) {
    }
}

void Store::keep_checkpoints() {
    std::unique_lock lock(checkpointer_mutex_);
    for (;;) {
        checkpointer_changed_.wait(lock, [this] { return checkpointer_stops_ || checkpoint_wanted_; });
        if (checkpointer_stops_) return;
        checkpoint_wanted_ = false;
        lock.unlock();
        bool failed = false;
        try {
            checkpoint();
        } catch (const std::exception&) {
            // Rows stay in memory and in the log; it is tried again.
            failed = true;
            checkpoint_fails_.store(true, std::memory_order_release);
        }
        lock.lock();
        memory_freed_.notify_all();
        if (failed) {
            checkpointer_changed_.wait_for(lock, kPause, [this] { return checkpointer_stops_; });
            checkpoint_wanted_ = true;
        }
    }
}

void Store::stop_checkpointer() {
    {
        std::lock_guard guard(checkpointer_mutex_);
        checkpointer_stops_ = true;
        checkpointer_changed_.notify_all();
    }
    if (checkpointer_.joinable()) checkpointer_.join();
}

}  // namespace kalam
