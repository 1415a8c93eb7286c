#include "segment_load.hpp"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <shared_mutex>

#include "errors.hpp"

namespace kalam {

namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};
// Keys in memory that are looked up in a load under the commit lock; more are written to a segment first.
constexpr std::uint64_t kKeysLookedAt = 4096;
constexpr int kRoundsMax = 3;

}  // namespace

SegmentLoad::SegmentLoad(Store& store, std::uint64_t table_id, std::string partition,
                         TableDescription description)
    : store_(store),
      table_id_(table_id),
      partition_(std::move(partition)),
      description_(std::move(description)) {
    std::shared_lock at_work(store_.loads_mutex_);
    require_open();
    number_ = store_.new_segment();
    writer_ = std::make_unique<HotSegmentWriter>(*store_.files_, store_.options_.hot_directory, number_,
                                                 table_id_, *description_.reader, description_.column_names);
}

SegmentLoad::~SegmentLoad() {
    try {
        std::shared_lock at_work(store_.loads_mutex_);
        if (store_.closed()) {
            // The name may be another's by now; the next opening removes what is left.
            if (writer_) writer_->leave();
            return;
        }
        writer_.reset();
        if (!segment_ || over_) return;
        store_.cache_.drop(number_);
        segment_.reset();
        store_.files_->remove(store_.options_.hot_directory + "/" + hot_segment_name(number_));
    } catch (const std::exception&) {
        // The next opening removes it.
    }
}

void SegmentLoad::require_open() const {
    if (store_.closed()) throw Error("the store is closed");
    if (over_) throw Error("the load is over; begin a new one");
}

void SegmentLoad::add(const ArrowInput& batch, const std::int64_t* order) {
    std::shared_lock at_work(store_.loads_mutex_);
    require_open();
    if (!writer_) throw Error("the load was committed; begin a new one");
    ArrowRowEncoder encoder(description_.reader->layout(), batch);
    std::int64_t rows = batch.rows();
    encoder.check(0, rows);
    std::vector<std::int64_t> numbers;
    if (!order) {
        numbers.resize(static_cast<std::size_t>(rows));
        std::iota(numbers.begin(), numbers.end(), next_);
        order = numbers.data();
    }
    std::string before(writer_->last_key()), key;
    for (std::int64_t row = 0; row < rows; row++) {
        key.clear();
        encoder.append_key(row, key);
        if ((row || next_) && key <= before) {
            if (key == before) throw DuplicateKey(order[row]);
            throw Error("the rows of a load come in order of their keys; sort them first");
        }
        std::swap(key, before);
    }
    try {
        writer_->add_columns(partition_, batch, encoder, 0, rows, order);
    } catch (const IoError& error) {
        over_ = true;
        if (!lacks_room(error)) store_.poison(error.what());
        throw;
    }
    next_ += rows;
}

std::uint64_t SegmentLoad::commit() {
    std::shared_lock at_work(store_.loads_mutex_);
    require_open();
    if (next_ == 0) throw Error("the load has no rows");
    if (!segment_) {
        HotSegmentEntry entry;
        try {
            entry = writer_->finish();
        } catch (const IoError& error) {
            over_ = true;
            if (!lacks_room(error)) store_.poison(error.what());
            throw;
        }
        segment_ = HotSegment::open(*store_.files_, store_.options_.hot_directory, entry, store_.cache_);
        writer_.reset();
    }
    if (segment_->sequence_min() != 0 || segment_->sequence_max() + 1 != static_cast<std::uint64_t>(next_))
        throw Error("the order of a load numbers its rows from 0 on, each once");
    // Most of it without a lock; what comes between is seen once more with it.
    probe();
    try {
        std::uint64_t last = store_.commit_segment(segment_, description_.reader->layout().version(),
                                                   [this] { return probe(); });
        over_ = true;
        return last;
    } catch (...) {
        // Once it has its numbers, its file is the store's.
        over_ = segment_->entry().sequence_base != 0;
        throw;
    }
}

// Throws DuplicateKey where a segment has a key of the load whose newest version lives. What was seen is not
// looked at again: segments do not change, and a key that became live since is in a new one, or in memory.
// False where memory deletes such a key: it may be taken back, so what memory has goes to a segment first.
bool SegmentLoad::probe() {
    const PartitionRange& range = segment_->partitions().front();
    std::shared_ptr<const Tiers> now = store_.tiers();
    PartitionSources sources(*now, table_id_, partition_, kAll, true);
    std::vector<std::shared_ptr<const SortedBlocks>> candidates;
    if (const SegmentList* list = now->segments_of(table_id_)) {
        candidates.insert(candidates.end(), list->begin(), list->end());
    }
    std::size_t hot = candidates.size();
    if (sources.cold) {
        candidates.insert(candidates.end(), sources.cold->segments.begin(), sources.cold->segments.end());
    }
    for (const Run& run : sources.runs) {
        auto is_run = [&](const std::shared_ptr<const SortedBlocks>& one) { return one.get() == run.blocks; };
        if (std::any_of(probed_.begin(), probed_.end(), is_run)) continue;
        auto found = std::find_if(candidates.begin(), candidates.end(), is_run);
        if (run.range->high >= range.low && run.range->low <= range.high) {
            bool cold = found >= candidates.begin() + static_cast<std::ptrdiff_t>(hot);
            if (!probe_run(sources, run, cold)) return false;
        }
        probed_.push_back(*found);
    }
    return true;
}

bool SegmentLoad::probe_run(const PartitionSources& sources, const Run& run, bool cold) {
    const PartitionRange& range = segment_->partitions().front();
    if (probing_ != run.blocks) {
        probing_ = run.blocks;
        probed_to_ = 0;
    }
    std::string key;
    auto key_at = [&](const SortedBlocks& blocks, std::int64_t row) {
        std::uint32_t at = blocks.block_of(row);
        key.clear();
        blocks.block(at)->append_key(row - blocks.block_begin(at), key);
    };
    // The smaller of the two is walked. Cold blocks come one at a time, in order, by ColdMiss.
    if (!cold && run.range->end - run.range->begin < range.end - range.begin) {
        for (std::int64_t row = run.blocks->lower_bound(*run.range, range.low); row < run.range->end; row++) {
            key_at(*run.blocks, row);
            if (key > range.high) break;
            std::int64_t own = segment_->find_row(range, key);
            if (own >= 0 && !is_free(sources, key, own)) return false;
        }
        return true;
    }
    std::int64_t first = segment_->lower_bound(range, run.range->low);
    for (std::int64_t row = std::max(first, probed_to_); row < range.end; row++) {
        key_at(*segment_, row);
        if (key > run.range->high) break;
        if (run.blocks->find_row(*run.range, key) >= 0 && !is_free(sources, key, row)) return false;
        probed_to_ = row;
    }
    return true;
}

// False where a row that lives in a segment is deleted in memory. Throws DuplicateKey where it lives.
bool SegmentLoad::is_free(const PartitionSources& sources, std::string_view key, std::int64_t row) const {
    if (!newest_in_segments(sources, key).live) return true;
    for (const Partition* rows : sources.memory) {
        const Version* version = rows->get(key, kAll);
        if (version && version->deleted) return false;
        if (version) break;
    }
    std::uint32_t at = segment_->block_of(row);
    throw DuplicateKey(
        static_cast<std::int64_t>(segment_->block(at)->sequence(row - segment_->block_begin(at))));
}

std::uint64_t Store::new_segment() {
    require_hot_directory();
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    return checkpoint_.next_segment++;
}

// Whether memory has a version of one of the segment's keys, or more keys among them than are to be looked
// at. REQUIRES: the commit lock.
bool Store::in_memory(const HotSegment& segment, std::uint64_t keys_max) const {
    const PartitionRange& range = segment.partitions().front();
    Bounds bounds{&range.low, &range.high};
    auto has = [&](const MemTable& table) {
        const Partition* rows = table.find(segment.entry().table_id, range.name);
        if (!rows) return false;
        PartitionCursor cursor(*rows, kAll, bounds, false, true);
        while (cursor.next()) {
            if (keys_max-- == 0 || segment.find_row(range, cursor.key()) >= 0) return true;
        }
        return false;
    };
    return has(*tiers_->active) || std::any_of(tiers_->frozen.begin(), tiers_->frozen.end(),
                                               [&](const auto& table) { return has(*table); });
}

std::uint64_t Store::commit_segment(const std::shared_ptr<HotSegment>& segment, std::uint32_t version,
                                    const std::function<bool()>& probe) {
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    CommitTicket ticket;
    std::uint64_t lsn = 0;
    for (int round = 0;; round++) {
        // While the checkpoint lock is held, keys come to memory alone.
        if (probe()) {
            std::lock_guard guard(commit_mutex_);
            require_writable();
            undo_dropped();
            if (!in_memory(*segment, round < kRoundsMax ? kKeysLookedAt : kAll)) {
                lsn = begin_load(segment, version, ticket);
                break;
            }
        }
        // Memory stands before segments, so what it has of these keys, tombstones too, goes to one first.
        try {
            write_segments();
        } catch (const IoError& error) {
            if (!lacks_room(error)) poison(error.what());
            throw;
        }
    }
    CheckpointState state = checkpoint_;
    state.next_segment++;
    bool named = false;
    try {
        {
            std::unique_lock lock(pending_mutex_);
            publish_pending();
            pending_waiters_++;
            pending_changed_.wait(lock, [&] {
                publish_pending();
                return ticket.done || oldest_pending_ == &ticket;
            });
            pending_waiters_--;
        }
        // What comes after others on the disk is not there without them, nor without its own gap.
        log_->flush(lsn, true);
        std::shared_ptr<const Tiers> now = tiers();
        state.segments.clear();
        for (const auto& [table_id, list] : *now->segments) {
            for (const auto& one : list) state.segments.push_back(one->entry());
        }
        files_->sync_directory(options_.hot_directory);
        named = true;
        write_checkpoint(*files_, options_.hot_directory, state);
    } catch (const std::exception& error) {
        checkpoint_.next_segment = state.next_segment;
        end_load(*segment, ticket, false);
        auto* failed = dynamic_cast<const IoError*>(&error);
        if (failed && !lacks_room(*failed)) poison(error.what());
        // It may have taken place all the same; then its file stays until the next opening says so.
        discard({segment->entry().number}, named);
        throw;
    }
    checkpoint_ = std::move(state);
    end_load(*segment, ticket, true);
    return ticket.last;
}

// The load's rows get their numbers and take their place among the tiers, not published. Returns the record
// that says so. REQUIRES: the commit lock.
std::uint64_t Store::begin_load(const std::shared_ptr<HotSegment>& segment, std::uint32_t version,
                                CommitTicket& ticket) {
    std::uint64_t table_id = segment->entry().table_id;
    auto known = tables_.find(table_id);
    if (known == tables_.end() || known->second.dropped || known->second.stream ||
        known->second.version != version) {
        throw WriteConflict("table " + std::to_string(table_id) +
                                " was dropped or changed during the load; evaluate the statement anew",
                            -1);
    }
    auto next = std::make_shared<Tiers>(*tiers_);
    auto segments = std::make_shared<SegmentMap>(*tiers_->segments);
    SegmentList& list = (*segments)[table_id];
    list.insert(list.begin(), segment);
    next->segments = std::move(segments);
    next->generation++;
    ticket.first = std::max(last_ + 1, sequence_by_clock());
    ticket.last = ticket.first + static_cast<std::uint64_t>(segment->rows()) - 1;
    ticket.held = true;
    cache_.drop(segment->entry().number);
    segment->begin_at(ticket.first);
    std::uint64_t lsn = append_gap(table_id, ticket.last);
    if (feed_.any()) {
        if (auto channel = feed_.find(table_id, segment->partitions().front().name)) {
            auto made = std::make_shared<ChangeSet>();
            made->loaded = segment;
            ticket.changes.emplace_back(std::move(channel), std::move(made));
        }
    }
    set_tiers(std::move(next));
    last_ = ticket.last;
    enqueue(ticket);
    return lsn;
}

// Publishes it, or takes it away again. Throws OutcomeUnknown where it is durable and the log was poisoned.
void Store::end_load(const HotSegment& segment, CommitTicket& ticket, bool done) {
    if (!done) {
        std::lock_guard guard(commit_mutex_);
        auto next = std::make_shared<Tiers>(*tiers_);
        auto segments = std::make_shared<SegmentMap>(*tiers_->segments);
        SegmentList& list = (*segments)[segment.entry().table_id];
        std::erase_if(list, [&](const auto& one) { return one.get() == &segment; });
        if (list.empty()) segments->erase(segment.entry().table_id);
        next->segments = std::move(segments);
        next->generation++;
        set_tiers(std::move(next));
    }
    std::unique_lock lock(pending_mutex_);
    ticket.held = false;
    if (!done && !ticket.done) unlink(ticket);
    publish_pending();
    pending_changed_.notify_all();
    if (done && ticket.error) {
        throw OutcomeUnknown(
            "the log failed while the rows were loaded; they may or may not be there when the database is "
            "opened again");
    }
}

}  // namespace kalam
