#include "tiers.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "column_gather.hpp"

namespace kalam {

namespace {

constexpr std::size_t kRowsAtOnce = 256;
// Scans of fewer rows are done before other threads would have begun.
constexpr std::int64_t kRowsForThreads = 262144;
constexpr std::size_t kThreadsMax = 4;
// Blocks of so many pieces between rows that are not to be shown are copied into larger batches.
constexpr std::size_t kPiecesMax = 1;
// Room for a row of usual size.
constexpr std::size_t kRowBytes = 256;

RowRef reference(const Version& version) {
    return {version.data(), version.length, version.sequence, version.deleted};
}

class MemTableRows final : public RowSource {
  public:
    MemTableRows(const PartitionCursor& cursor, std::shared_ptr<const void> hold)
        : cursor_(cursor), hold_(std::move(hold)) {}
    std::size_t next(RowRef* out, std::size_t max, std::string_view* keys) override {
        std::size_t count = 0;
        while (count < max) {
            const Version* version = cursor_.next();
            if (!version) break;
            if (keys) keys[count] = cursor_.key();
            out[count++] = reference(*version);
        }
        return count;
    }

  private:
    PartitionCursor cursor_;
    std::shared_ptr<const void> hold_;
};

// Whether a version above the snapshot is simply not there for it. Throws SnapshotGone where an older one may
// have been given up.
bool is_above(const SortedBlocks& segment, std::uint64_t snapshot) {
    if (snapshot < segment.complete_from()) throw SnapshotGone();
    return true;
}

// The rows that `bounds` leave of a partition in a segment.
std::pair<std::int64_t, std::int64_t> bounded(const SortedBlocks& segment, const PartitionRange& range,
                                              const Bounds& bounds) {
    segment.require(range, bounds.low, bounds.high);
    std::int64_t begin = bounds.low ? segment.lower_bound(range, *bounds.low) : range.begin;
    std::int64_t end = range.end;
    if (bounds.high) {
        end = segment.lower_bound(range, *bounds.high);
        if (end < range.end) {
            std::uint32_t at = segment.block_of(end);
            if (segment.block(at)->compare_key(end - segment.block_begin(at), *bounds.high) == 0) end++;
        }
    }
    return {begin, std::max(begin, end)};
}

// Rows of a segment, encoded as they are asked for.
class SegmentRows final : public RowSource {
  public:
    // REQUIRES: begin to end are rows of `range`.
    SegmentRows(const SortedBlocks& segment, const PartitionRange& range, std::int64_t begin,
                std::int64_t end, std::uint64_t snapshot, bool reverse, bool deleted,
                std::shared_ptr<const void> hold)
        : segment_(segment),
          above_(range.sequence_max > snapshot),
          tombstones_(range.tombstones > 0),
          begin_(begin),
          end_(end),
          snapshot_(snapshot),
          reverse_(reverse),
          deleted_(deleted),
          hold_(std::move(hold)) {}

    std::size_t next(RowRef* out, std::size_t max, std::string_view* keys) override {
        given_.emplace_back();
        std::string& bytes = given_.back();
        places_.clear();
        while (places_.size() < max) {
            if (at_ == looked_at_ && !look()) break;
            if (bytes.capacity() < kRowBytes) {
                std::size_t rows = std::min(max, looked_at_ - at_);
                bytes.reserve(kRowBytes +
                              rows * (block_->bytes() / static_cast<std::size_t>(block_->rows())));
            }
            // The values of a row lie in as many places as it has columns.
            if (at_ + kSlotsAhead < looked_at_) block_->expect_slots(rows_[at_ + kSlotsAhead]);
            if (at_ + kBytesAhead < looked_at_) block_->expect_bytes(rows_[at_ + kBytesAhead]);
            std::int64_t row = rows_[at_++];
            bool deleted = tombstones_ && block_->deleted(row);
            bool wanted = !filter_ || deleted || (wanted_at_ < wanted_ && wanted_rows_[wanted_at_] == row);
            if (filter_ && !deleted && wanted) wanted_at_++;
            if (!wanted && !in_place_) continue;
            Place place{bytes.size(), 0, 0, block_->sequence(row), deleted, wanted};
            if (wanted) block_->append_row(row, bytes);
            place.key = bytes.size();
            if (keys) block_->append_key(row, bytes);
            place.end = bytes.size();
            places_.push_back(place);
        }
        for (std::size_t at = 0; at < places_.size(); at++) {
            const Place& place = places_[at];
            out[at] = {place.wanted ? bytes.data() + place.row : nullptr, place.key - place.row,
                       place.sequence, place.deleted};
            if (keys) keys[at] = {bytes.data() + place.key, place.end - place.key};
        }
        return places_.size();
    }

    bool only(const BlockFilter& filter, bool in_place) override {
        filter_ = &filter;
        in_place_ = in_place;
        return true;
    }

    void forget() override {
        while (given_.size() > 1) given_.pop_front();
    }

  private:
    static constexpr std::size_t kLookedAt = 256;
    static constexpr std::size_t kSlotsAhead = 8, kBytesAhead = 4;
    struct Place {
        std::size_t row, key, end;
        std::uint64_t sequence;
        bool deleted, wanted;
    };

    // Which of the next rows, all of one block, the snapshot shows, and which of those are wanted. False at
    // the end.
    bool look() {
        at_ = looked_at_ = 0;
        while (looked_at_ == 0 && begin_ < end_) {
            std::int64_t first = reverse_ ? end_ - 1 : begin_;
            if (!block_ || first < block_begin_ || first >= block_begin_ + block_->rows()) {
                std::uint32_t at = segment_.block_of(first);
                block_ = segment_.block(at);
                block_begin_ = segment_.block_begin(at);
            }
            std::int64_t left = reverse_ ? end_ - std::max(begin_, block_begin_)
                                         : std::min(end_, block_begin_ + block_->rows()) - begin_;
            left = std::min<std::int64_t>(left, kLookedAt);
            auto row = static_cast<std::uint32_t>(first - block_begin_);
            for (std::int64_t seen = 0; seen < left; seen++, reverse_ ? --row : ++row) {
                if (above_ && block_->sequence(row) > snapshot_ && is_above(segment_, snapshot_)) continue;
                if (!deleted_ && tombstones_ && block_->deleted(row)) continue;
                rows_[looked_at_++] = row;
            }
            (reverse_ ? end_ : begin_) += reverse_ ? -left : left;
            if (!filter_) continue;
            if (in_place_ || tombstones_) {
                wanted_ = wanted_at_ = 0;
                for (std::size_t at = 0; at < looked_at_; at++) {
                    if (!tombstones_ || !block_->deleted(rows_[at])) wanted_rows_[wanted_++] = rows_[at];
                }
                wanted_ = filter_->keep(*block_, wanted_rows_, wanted_);
            } else {
                looked_at_ = filter_->keep(*block_, rows_, looked_at_);
                wanted_ = looked_at_;
                wanted_at_ = 0;
                std::copy(rows_, rows_ + looked_at_, wanted_rows_);
            }
        }
        return looked_at_ > 0;
    }

    const SortedBlocks& segment_;
    const bool above_, tombstones_;  // whether there may be such rows
    std::int64_t begin_, end_;
    const std::uint64_t snapshot_;
    const bool reverse_, deleted_;
    std::shared_ptr<const void> hold_;
    std::shared_ptr<const ColumnBlock> block_;
    std::int64_t block_begin_ = 0;
    // Rows of the block that were looked at; those from at_ on are still to be given.
    std::uint32_t rows_[kLookedAt], wanted_rows_[kLookedAt];
    std::size_t at_ = 0, looked_at_ = 0, wanted_ = 0, wanted_at_ = 0;
    std::deque<std::string> given_;
    std::vector<Place> places_;
    const BlockFilter* filter_ = nullptr;
    bool in_place_ = false;
};

class MergedRows final : public RowSource {
  public:
    MergedRows(std::vector<std::unique_ptr<RowSource>> sources, bool reverse, bool deleted)
        : reverse_(reverse), deleted_(deleted) {
        for (auto& source : sources) {
            heads_.push_back(std::make_unique<Head>());
            heads_.back()->source = std::move(source);
        }
    }

    bool only(const BlockFilter& filter, bool in_place) override {
        in_place_ = in_place;
        bool any = false;
        for (auto& head : heads_) any = head->source->only(filter, true) || any;
        return any;
    }

    std::size_t next(RowRef* out, std::size_t max, std::string_view* keys) override {
        std::size_t count = 0;
        for (auto& head : heads_) {
            if (!head->begun) head->fill();
        }
        while (count < max) {
            Head* least = nullptr;
            for (auto& head : heads_) {
                if (head->at == head->filled) continue;
                if (!least) {
                    least = head.get();
                    continue;
                }
                int order = head->keys[head->at].compare(least->keys[least->at]);
                if (reverse_ ? order > 0 : order < 0) least = head.get();
            }
            if (!least) break;
            RowRef row = least->rows[least->at];
            std::string_view key = least->keys[least->at];
            // Older versions of the same key; the chosen head last, as filling it again may free the key.
            for (auto& head : heads_) {
                if (head.get() != least && head->at < head->filled && head->keys[head->at] == key)
                    head->skip();
            }
            least->skip();
            if (row.deleted && !deleted_) continue;
            if (!row.data && !in_place_) continue;
            if (keys) keys[count] = key;
            out[count++] = row;
        }
        return count;
    }

    void forget() override {
        for (auto& head : heads_) head->source->forget();
    }

  private:
    static constexpr std::size_t kAtOnce = 64;
    struct Head {
        std::unique_ptr<RowSource> source;
        RowRef rows[kAtOnce];
        std::string_view keys[kAtOnce];
        std::size_t at = 0;
        std::size_t filled = 0;
        bool begun = false;

        void fill() {
            begun = true;
            at = 0;
            filled = source->next(rows, kAtOnce, keys);
        }
        void skip() {
            if (++at == filled && filled == kAtOnce) fill();
        }
    };

    std::vector<std::unique_ptr<Head>> heads_;
    const bool reverse_, deleted_;
    bool in_place_ = false;
};

// Throws ColdMiss with all that a read between the bounds needs.
void require_all(const PartitionSources& sources, const Bounds& bounds) {
    std::unique_ptr<ColdMiss> missing;
    for (const auto& [segment, range] : sources.runs) {
        try {
            segment->require(*range, bounds.low, bounds.high);
        } catch (const ColdMiss& miss) {
            if (!missing) {
                missing = std::make_unique<ColdMiss>(miss);
            } else {
                missing->blocks.insert(missing->blocks.end(), miss.blocks.begin(), miss.blocks.end());
            }
        }
    }
    if (missing) throw ColdMiss(*missing);
}

// The row as its segment has it, of which `found` is to hold the bytes. False: it is above the snapshot.
bool take_row(const SortedBlocks& segment, const BlockRow& place, FoundRow& found, std::uint64_t snapshot) {
    const ColumnBlock& block = *place.block;
    // Its values lie in as many places as there are columns: they are waited for together.
    block.expect_slots(place.row);
    auto bytes = std::make_shared<std::string>();
    bytes->reserve(kRowBytes);
    std::uint64_t sequence = block.sequence(place.row);
    if (sequence > snapshot && is_above(segment, snapshot)) return false;
    block.expect_bytes(place.row);
    block.append_row(place.row, *bytes);
    found.row = {bytes->data(), bytes->size(), sequence, block.deleted(place.row)};
    found.held = std::move(bytes);
    return true;
}

// The first and last key of a memtable's partition that a snapshot shows.
bool ends_of(const Partition& partition, std::uint64_t snapshot, std::string_view& first,
             std::string_view& last) {
    PartitionCursor forward(partition, snapshot, {}, false, true);
    if (!forward.next()) return false;
    first = forward.key();
    PartitionCursor backward(partition, snapshot, {}, true, true);
    backward.next();
    last = backward.key();
    return true;
}

// Rows of one segment as Arrow.
struct Scan {
    const SortedBlocks& segment;
    const PartitionRange& range;
    const RowReader& reader;
    const std::vector<int>& columns;
    const std::uint64_t snapshot;
    const bool deleted, above;
    const std::vector<std::int64_t>& hidden;  // rows that are left out, in order
    const std::int64_t batch_rows;

    // Where there are many rows, some threads share them.
    void run(std::int64_t begin, std::int64_t end, std::vector<ArrowBatch>& batches) const {
        // A part for each batch, and each of whole blocks.
        std::vector<std::int64_t> bounds{begin};
        for (std::int64_t next = begin; (next += batch_rows) < end;) {
            std::int64_t bound = segment.block_begin(segment.block_of(next));
            if (bound > bounds.back()) bounds.push_back(bound);
        }
        bounds.push_back(end);
        std::size_t parts = bounds.size() - 1;
        std::size_t threads = std::min<std::size_t>(parts, std::thread::hardware_concurrency());
        if (end - begin < kRowsForThreads || threads < 2) return part(begin, end, batches);
        std::vector<std::vector<ArrowBatch>> made(parts);
        std::atomic<std::size_t> next{0};
        std::mutex mutex;
        std::exception_ptr failure;
        auto work = [&] {
            try {
                for (std::size_t at; (at = next.fetch_add(1)) < parts;)
                    part(bounds[at], bounds[at + 1], made[at]);
            } catch (...) {
                std::lock_guard guard(mutex);
                if (!failure) failure = std::current_exception();
                next = parts;
            }
        };
        std::vector<std::thread> others;
        try {
            while (others.size() + 1 < std::min(threads, kThreadsMax)) others.emplace_back(work);
        } catch (const std::system_error&) {
            // Fewer, then.
        }
        work();
        for (std::thread& other : others) other.join();
        if (failure) std::rethrow_exception(failure);
        for (auto& some : made) std::move(some.begin(), some.end(), std::back_inserter(batches));
    }

    void part(std::int64_t begin, std::int64_t end, std::vector<ArrowBatch>& batches) const {
        bool same = segment.layout().version() == reader.layout().version();
        bool each_row = above || (!deleted && range.tombstones);
        std::vector<int> read = columns;
        if (each_row) {
            read.push_back(kSequenceColumn);
            read.push_back(kDeletedColumn);
        }
        // Of many blocks the columns asked for are gathered; of one it is given what it has.
        bool many = same && segment.block_of(begin) != segment.block_of(end - 1);
        ColumnGatherer gatherer(segment.shared_layout(), same ? columns : std::vector<int>(), batch_rows);
        ScanMemory memory;
        ArrowBuilder builder(reader, columns);
        auto next_hidden = std::lower_bound(hidden.begin(), hidden.end(), begin);
        for (std::uint32_t number = segment.block_of(begin); begin < end; number++) {
            std::shared_ptr<const ColumnBlock> block =
                many ? segment.passing_block(number, read, memory) : segment.block(number);
            std::int64_t base = segment.block_begin(number);
            std::int64_t stop = std::min(end, base + block->rows());
            std::vector<std::pair<std::int64_t, std::int64_t>> pieces;
            std::int64_t from = begin;
            auto leave_out = [&](std::int64_t row) {
                if (row > from) pieces.emplace_back(from - base, row - base);
                from = row + 1;
            };
            if (each_row) {
                for (std::int64_t row = begin; row < stop; row++) {
                    bool left_out =
                        block->sequence(row - base) > snapshot || (!deleted && block->deleted(row - base));
                    for (; next_hidden != hidden.end() && *next_hidden == row; ++next_hidden) left_out = true;
                    if (left_out) leave_out(row);
                }
            } else {
                for (; next_hidden != hidden.end() && *next_hidden < stop; ++next_hidden) {
                    if (*next_hidden >= from) leave_out(*next_hidden);
                }
            }
            if (from < stop) pieces.emplace_back(from - base, stop - base);
            bool slices = same && !many && pieces.size() <= kPiecesMax;
            for (auto [first, last] : pieces) {
                if (slices) batches.push_back(ColumnBlock::slice(block, first, last, columns));
                while (same && !slices && first < last) {
                    first += gatherer.add(*block, first, last);
                    if (first < last || gatherer.rows() >= batch_rows) batches.push_back(gatherer.finish());
                }
                if (!same) append(*block, first, last, builder, batches);
            }
            begin = stop;
        }
        if (gatherer.rows() > 0) batches.push_back(gatherer.finish());
        if (builder.rows() > 0) batches.push_back(builder.finish());
    }

    // Rows of an older version, one by one as the newest has them.
    void append(const ColumnBlock& block, std::int64_t first, std::int64_t last, ArrowBuilder& builder,
                std::vector<ArrowBatch>& batches) const {
        std::string bytes;
        for (std::int64_t row = first; row < last; row++) {
            bytes.clear();
            block.append_row(row, bytes);
            RowRef one{bytes.data(), bytes.size(), block.sequence(row), block.deleted(row)};
            while (builder.append(&one, 1) == 0) batches.push_back(builder.finish());
            if (builder.rows() >= batch_rows) batches.push_back(builder.finish());
        }
    }
};

}  // namespace

void append_as_arrow(RowSource& source, const RowReader& reader, const std::vector<int>& columns,
                     std::int64_t batch_rows, std::vector<ArrowBatch>& batches) {
    ArrowBuilder builder(reader, columns);
    batch_rows = std::max<std::int64_t>(batch_rows, 1);
    RowRef chunk[kRowsAtOnce];
    while (std::size_t count = source.next(chunk, kRowsAtOnce)) {
        for (std::size_t at = 0; at < count;) {
            std::size_t room = static_cast<std::size_t>(batch_rows - builder.rows());
            std::size_t offered = std::min(room, count - at);
            std::size_t taken = builder.append(chunk + at, offered);
            at += taken;
            if (taken < offered || builder.rows() >= batch_rows) batches.push_back(builder.finish());
        }
        source.forget();
    }
    if (builder.rows() > 0) batches.push_back(builder.finish());
}

std::vector<ArrowBatch> Readable::rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                                const RowReader& reader, const std::vector<int>& columns,
                                                std::int64_t batch_rows) const {
    std::vector<ArrowBatch> batches;
    append_as_arrow(*rows(table_id, partition, snapshot, bounds, false, deleted), reader, columns, batch_rows,
                    batches);
    return batches;
}

std::unique_ptr<RowSource> memtable_source(const PartitionCursor& cursor, std::shared_ptr<const void> hold) {
    return std::make_unique<MemTableRows>(cursor, std::move(hold));
}

std::unique_ptr<RowSource> merged(std::vector<std::unique_ptr<RowSource>> sources, bool reverse,
                                  bool deleted) {
    return std::make_unique<MergedRows>(std::move(sources), reverse, deleted);
}

PartitionSources::PartitionSources(const Tiers& tiers, std::uint64_t table_id, std::string_view partition,
                                   std::uint64_t snapshot, bool with_cold) {
    auto look = [&](const MemTable& table) {
        if (const Partition* found = table.find(table_id, partition)) memory.push_back(found);
    };
    look(*tiers.active);
    for (const auto& table : tiers.frozen) look(*table);
    if (tiers.cold && table_id != kColdPartitionsTable) cold = tiers.cold->of(table_id, partition);
    if (const SegmentList* list = tiers.segments_of(table_id)) {
        // A snapshot from before the flush may show versions that were not flushed.
        std::uint64_t watermark = cold && cold->watermark <= snapshot ? cold->watermark : 0;
        for (const auto& segment : *list) {
            const PartitionRange* range = segment->find(partition);
            if (range && range->sequence_max > watermark) runs.push_back({segment.get(), range});
        }
    }
    if (!cold || !with_cold) return;
    for (const auto& segment : cold->segments) runs.push_back({segment.get(), &segment->range()});
}

bool get_row(const PartitionSources& sources, const std::shared_ptr<const void>& hold, std::string_view key,
             std::uint64_t snapshot, bool deleted, FoundRow& found) {
    for (const Partition* rows : sources.memory) {
        const Version* version = rows->get(key, snapshot);
        if (!version) continue;
        if (version->deleted && !deleted) return false;
        found.row = reference(*version);
        found.held = hold;
        return true;
    }
    for (const auto& [segment, range] : sources.runs) {
        BlockRow place = segment->find(*range, key);
        if (!place.block || !take_row(*segment, place, found, snapshot)) continue;
        return !found.row.deleted || deleted;
    }
    return false;
}

std::unique_ptr<RowSource> row_source(const PartitionSources& sources,
                                      const std::shared_ptr<const void>& hold, std::uint64_t snapshot,
                                      const Bounds& bounds, bool reverse, bool deleted) {
    bool alone = sources.memory.size() + sources.runs.size() == 1;
    // Where several are merged, a tombstone hides what is below it, and is let go after that.
    bool shown = alone ? deleted : true;
    std::vector<std::unique_ptr<RowSource>> all;
    for (const Partition* rows : sources.memory) {
        all.push_back(memtable_source(PartitionCursor(*rows, snapshot, bounds, reverse, shown), hold));
    }
    // All that is missing at once.
    require_all(sources, bounds);
    std::shared_ptr<const void> both = hold;
    if (sources.cold) {
        both = std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(
            hold, sources.cold);
    }
    for (const auto& [segment, range] : sources.runs) {
        auto [begin, end] = bounded(*segment, *range, bounds);
        if (begin == end) continue;
        all.push_back(
            std::make_unique<SegmentRows>(*segment, *range, begin, end, snapshot, reverse, shown, both));
    }
    if (alone && all.size() == 1) return std::move(all.front());
    return merged(std::move(all), reverse, deleted);
}

std::uint64_t count_rows(const PartitionSources& sources, const std::shared_ptr<const void>& hold,
                         std::uint64_t snapshot) {
    for (const auto& [segment, range] : sources.runs) {
        if (range->sequence_max <= snapshot || !is_above(*segment, snapshot)) continue;
        // Some of its rows are not there for this snapshot.
        std::uint64_t counted = 0;
        auto source = row_source(sources, hold, snapshot, {}, false, false);
        RowRef chunk[kRowsAtOnce];
        while (std::size_t count = source->next(chunk, kRowsAtOnce)) {
            counted += count;
            source->forget();
        }
        return counted;
    }
    // From the oldest source up: what each adds to those below it.
    std::uint64_t rows = 0;
    auto live_in_segments = [&](std::string_view key, std::size_t newest) {
        for (std::size_t at = newest; at < sources.runs.size(); at++) {
            const auto& [segment, range] = sources.runs[at];
            BlockRow place = segment->find(*range, key);
            if (place.block) return !place.block->deleted(place.row);
        }
        return false;
    };
    for (std::size_t at = sources.runs.size(); at-- > 0;) {
        const auto& [segment, range] = sources.runs[at];
        std::uint64_t own = static_cast<std::uint64_t>(range->end - range->begin - range->tombstones);
        bool apart = true;
        for (std::size_t below = at + 1; below < sources.runs.size(); below++) {
            const PartitionRange& other = *sources.runs[below].range;
            apart = apart && (range->high < other.low || range->low > other.high);
        }
        rows += own;
        if (apart) continue;
        rows -= own;
        require_all(sources, {&range->low, &range->high});
        std::string key;
        for (std::int64_t row = range->begin; row < range->end; row++) {
            std::uint32_t block_number = segment->block_of(row);
            std::shared_ptr<const ColumnBlock> block = segment->block(block_number);
            std::int64_t inside = row - segment->block_begin(block_number);
            key.clear();
            block->append_key(inside, key);
            bool below = live_in_segments(key, at + 1);
            bool now = !block->deleted(inside);
            if (now && !below) rows++;
            if (!now && below) rows--;
        }
    }
    for (std::size_t at = sources.memory.size(); at-- > 0;) {
        const Partition& partition = *sources.memory[at];
        bool lowest = at + 1 == sources.memory.size() && sources.runs.empty();
        if (lowest) {
            rows = partition.count(snapshot);
            continue;
        }
        std::string_view first, last;
        if (!ends_of(partition, snapshot, first, last)) continue;
        bool apart = true;
        for (const auto& [segment, range] : sources.runs) {
            apart = apart && (last < range->low || first > range->high);
        }
        for (std::size_t below = at + 1; apart && below < sources.memory.size(); below++) {
            std::string_view low, high;
            if (ends_of(*sources.memory[below], snapshot, low, high)) apart = last < low || first > high;
        }
        if (apart) {
            rows += partition.count(snapshot);
            continue;
        }
        require_all(sources, {&first, &last});
        PartitionCursor cursor(partition, snapshot, {}, false, true);
        while (const Version* version = cursor.next()) {
            const Version* older = nullptr;
            for (std::size_t below = at + 1; !older && below < sources.memory.size(); below++) {
                older = sources.memory[below]->get(cursor.key(), snapshot);
            }
            bool below = older ? !older->deleted : live_in_segments(cursor.key(), 0);
            if (!version->deleted && !below) rows++;
            if (version->deleted && below) rows--;
        }
    }
    return rows;
}

std::uint64_t count_all_rows(const std::shared_ptr<const Tiers>& tiers, std::uint64_t table_id,
                             std::uint64_t snapshot) {
    std::vector<const MemTable*> memory{tiers->active.get()};
    for (const auto& table : tiers->frozen) memory.push_back(table.get());
    std::vector<std::vector<const Partition*>> partitions;
    for (std::size_t at = 0; at < memory.size();) {
        partitions.push_back(memory[at]->partitions(table_id));
        if (!partitions.back().empty()) {
            at++;
            continue;
        }
        partitions.pop_back();
        memory.erase(memory.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const SegmentList none;
    const SegmentList* list = tiers->segments_of(table_id);
    const SegmentList& segments = list ? *list : none;

    // Most partitions are in one source alone, which knows how many rows it has; and where there is but one,
    // no other is asked. A partition is counted with the first source that has it: one that others begin to
    // write meanwhile has nothing that the snapshot shows, and so is in no source yet.
    auto in_memory = [&](std::string_view name, std::size_t from, std::size_t to) {
        for (; from < to; from++) {
            const Partition* found = memory[from]->find(table_id, name);
            if (found && found->any(snapshot)) return true;
        }
        return false;
    };
    auto in_segments = [&](std::string_view name, std::size_t from, std::size_t to) {
        for (; from < to; from++) {
            if (segments[from]->find(name)) return true;
        }
        return false;
    };
    auto merged_rows = [&](std::string_view name) {
        return count_rows(PartitionSources(*tiers, table_id, name, snapshot, false), tiers, snapshot);
    };
    std::uint64_t rows = 0;
    for (std::size_t at = 0; at < memory.size(); at++) {
        for (const Partition* partition : partitions[at]) {
            std::string_view name = partition->name();
            if (!partition->any(snapshot) || in_memory(name, 0, at)) continue;
            bool alone = !in_memory(name, at + 1, memory.size()) && !in_segments(name, 0, segments.size());
            rows += alone ? partition->count(snapshot) : merged_rows(name);
        }
    }
    for (std::size_t at = 0; at < segments.size(); at++) {
        for (const PartitionRange& range : segments[at]->partitions()) {
            if (in_memory(range.name, 0, memory.size()) || in_segments(range.name, 0, at)) continue;
            bool alone = !in_segments(range.name, at + 1, segments.size()) &&
                         (range.sequence_max <= snapshot || !is_above(*segments[at], snapshot));
            rows += alone ? static_cast<std::uint64_t>(range.end - range.begin - range.tombstones)
                          : merged_rows(range.name);
        }
    }
    return rows;
}

NewestVersion newest_in_segments(const PartitionSources& sources, std::string_view key, FoundRow* found) {
    for (const auto& [segment, range] : sources.runs) {
        BlockRow place = segment->find(*range, key);
        if (!place.block) continue;
        NewestVersion newest{place.block->sequence(place.row), !place.block->deleted(place.row)};
        if (found && newest.live && take_row(*segment, place, *found, kAllSequences))
            newest.row = {found->row.data, found->row.size};
        return newest;
    }
    return {};
}

void rows_as_arrow(const PartitionSources& sources, const std::shared_ptr<const void>& hold,
                   std::uint64_t snapshot, const Bounds& bounds, bool deleted, const RowReader& reader,
                   const std::vector<int>& columns, std::int64_t batch_rows,
                   std::vector<ArrowBatch>& batches) {
    require_all(sources, bounds);
    for (std::size_t at = 0; at < sources.runs.size(); at++) {
        const auto& [segment, range] = sources.runs[at];
        bool above = range->sequence_max > snapshot && is_above(*segment, snapshot);
        auto [begin, end] = bounded(*segment, *range, bounds);
        if (begin == end) continue;
        // Rows that a newer source has a version of.
        std::vector<std::int64_t> hidden;
        auto hide = [&](std::string_view key) {
            std::int64_t row = segment->find_row(*range, key);
            if (row >= begin && row < end) hidden.push_back(row);
        };
        Bounds own{&range->low, &range->high};
        for (const Partition* rows : sources.memory) {
            PartitionCursor cursor(*rows, snapshot, own, false, true);
            while (cursor.next()) hide(cursor.key());
        }
        for (std::size_t newer = 0; newer < at; newer++) {
            const auto& [above_segment, other] = sources.runs[newer];
            auto [first, last] = bounded(*above_segment, *other, own);
            std::string key;
            for (std::int64_t row = first; row < last; row++) {
                std::uint32_t block = above_segment->block_of(row);
                key.clear();
                std::shared_ptr<const ColumnBlock> rows = above_segment->block(block);
                if (rows->sequence(row - above_segment->block_begin(block)) > snapshot) continue;
                rows->append_key(row - above_segment->block_begin(block), key);
                hide(key);
            }
        }
        std::sort(hidden.begin(), hidden.end());

        Scan scan{*segment, *range, reader, columns, snapshot, deleted, above, hidden, batch_rows};
        scan.run(begin, end, batches);
    }
    if (sources.memory.empty()) return;
    std::vector<std::unique_ptr<RowSource>> all;
    bool alone = sources.memory.size() == 1;
    for (const Partition* rows : sources.memory) {
        all.push_back(
            memtable_source(PartitionCursor(*rows, snapshot, bounds, false, !alone || deleted), hold));
    }
    std::unique_ptr<RowSource> source =
        alone ? std::move(all.front()) : merged(std::move(all), false, deleted);
    append_as_arrow(*source, reader, columns, batch_rows, batches);
}

}  // namespace kalam
