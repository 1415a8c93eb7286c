// Hot segments apart from a checkpoint's own work: kept in their places for a backup, written anew without
// some of their rows, taken in from a backup.
#include <algorithm>
#include <set>
#include <utility>

#include "errors.hpp"
#include "segment_writing.hpp"
#include "store.hpp"

namespace kalam {

CheckpointState Store::hold_segments() {
    require_hot_directory();
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    try {
        write_segments();
    } catch (const IoError& error) {
        if (!lacks_room(error)) poison(error.what());
        throw;
    }
    CheckpointState held = checkpoint_;
    std::lock_guard guard(commit_mutex_);
    held.lease_end_ms = std::max(held.lease_end_ms, lease_end_ms_);
    holders_++;
    return held;
}

void Store::release_segments() {
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    if (--holders_ > 0) return;
    std::vector<std::uint64_t> numbers = std::exchange(to_be_removed_, {});
    remove_segments(numbers);
}

// REQUIRES: the checkpoint lock; no checkpoint names them.
void Store::remove_segments(const std::vector<std::uint64_t>& numbers) {
    for (std::uint64_t number : numbers) cache_.drop(number);
    if (holders_ > 0) {
        to_be_removed_.insert(to_be_removed_.end(), numbers.begin(), numbers.end());
        return;
    }
    for (std::uint64_t number : numbers)
        files_->remove(options_.hot_directory + "/" + hot_segment_name(number));
}

// Makes a checkpoint of other segments at the same place in the log. REQUIRES: the checkpoint lock; `made`
// are synced and named by nothing yet. Where it throws they are gone again, and the database is poisoned
// unless there was no room.
void Store::put_in_place(CheckpointState state, std::shared_ptr<SegmentMap> segments,
                         const std::vector<std::uint64_t>& made, const std::vector<std::uint64_t>& removed) {
    state.segments.clear();
    for (const auto& [id, list] : *segments) {
        for (const auto& segment : list) state.segments.push_back(segment->entry());
    }
    bool named = false;
    try {
        if (!made.empty()) files_->sync_directory(options_.hot_directory);
        named = true;
        write_checkpoint(*files_, options_.hot_directory, state);
    } catch (const std::exception& error) {
        checkpoint_.next_segment = std::max(checkpoint_.next_segment, state.next_segment);
        discard(made, named);
        auto* failed = dynamic_cast<const IoError*>(&error);
        if (failed && !lacks_room(*failed)) poison(error.what());
        throw;
    }
    checkpoint_ = std::move(state);
    install({}, std::move(segments), tiers()->checkpointed);
    remove_segments(removed);
}

// Writes a table's segments anew without what `goes`. Unless `wholly`, a few rows that may go are left where
// the others would have to be written again for them. REQUIRES: the checkpoint lock.
void Store::let_go(std::uint64_t table_id, const std::function<bool(const PartitionRange&)>& goes,
                   bool wholly) {
    std::shared_ptr<const Tiers> now = tiers();
    const SegmentList* list = now->segments_of(table_id);
    if (!list) return;
    TableDescription description;
    {
        std::unique_lock guard(commit_mutex_);
        definitions_told_.wait(guard, [this] { return definitions_held_ == 0 || closed(); });
        require_writable();
        description = tables_[table_id].description;
    }
    CheckpointState state = checkpoint_;
    SegmentList kept;
    std::vector<std::uint64_t> made, removed;
    try {
        for (const auto& segment : *list) {
            std::int64_t going = 0;
            for (const PartitionRange& range : segment->partitions()) {
                if (goes(range)) going += range.end - range.begin;
            }
            bool stays =
                wholly ? going == 0
                       : going * 2 < segment->rows() || (going < segment->rows() && !description.reader);
            if (stays) {
                kept.push_back(segment);
                continue;
            }
            removed.push_back(segment->entry().number);
            if (going == segment->rows()) continue;
            if (!description.reader) {
                throw Error("table " + std::to_string(table_id) +
                            " cannot be written to a segment: it was defined without a reader");
            }
            std::uint64_t number = state.next_segment++;
            made.push_back(number);
            HotSegmentWriter writer(*files_, options_.hot_directory, number, table_id, *description.reader,
                                    description.column_names);
            PartitionSources rest;
            for (const PartitionRange& range : segment->partitions()) {
                if (goes(range)) continue;
                rest.runs.assign(1, {segment.get(), &range});
                write_rows(writer, range.name, *row_source(rest, now, kAllSequences, {}, false, true));
            }
            HotSegmentEntry entry = writer.finish();
            kept.push_back(HotSegment::open(*files_, options_.hot_directory, entry, cache_));
        }
    } catch (const std::exception& error) {
        checkpoint_.next_segment = std::max(checkpoint_.next_segment, state.next_segment);
        discard(made, false);
        auto* failed = dynamic_cast<const IoError*>(&error);
        if (failed && !lacks_room(*failed)) poison(error.what());
        throw;
    }
    if (removed.empty()) return;
    auto segments = std::make_shared<SegmentMap>(*now->segments);
    if (kept.empty()) {
        segments->erase(table_id);
    } else {
        (*segments)[table_id] = std::move(kept);
    }
    put_in_place(std::move(state), std::move(segments), made, removed);
}

std::uint64_t Store::erase_partition(const std::vector<std::uint64_t>& table_ids,
                                     std::string_view partition) {
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    try {
        write_segments();
    } catch (const IoError& error) {
        if (!lacks_room(error)) poison(error.what());
        throw;
    }
    if (holders_ > 0) throw Error("hot segments are held by a backup; erase once that has ended");
    std::uint64_t rows = 0;
    for (std::uint64_t table_id : table_ids) {
        std::shared_ptr<const Tiers> now = tiers();
        const SegmentList* list = now->segments_of(table_id);
        for (const auto& segment : list ? *list : SegmentList()) {
            const PartitionRange* range = segment->find(partition);
            if (range) rows += static_cast<std::uint64_t>(range->end - range->begin);
        }
        let_go(table_id, [&](const PartitionRange& range) { return range.name == partition; }, true);
    }
    return rows;
}

void Store::purge_log() {
    require_hot_directory();
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    {
        std::lock_guard guard(commit_mutex_);
        require_writable();
    }
    try {
        // First the new file: whatever stands in older ones is in segments after the checkpoint.
        log_->roll();
        checkpoint_forced_ = true;
        write_segments();
        checkpoint_forced_ = false;
        log_->wipe(checkpoint_.lsn);
    } catch (const IoError& error) {
        checkpoint_forced_ = false;
        if (!lacks_room(error)) poison(error.what());
        throw;
    } catch (...) {
        checkpoint_forced_ = false;
        throw;
    }
}

std::uint64_t Store::adopt(const std::string& directory, const std::vector<AdoptedTable>& tables,
                           std::uint64_t last_sequence, std::int64_t lease_end_ms) {
    require_hot_directory();
    std::lock_guard one_at_a_time(checkpoint_mutex_);
    {
        std::lock_guard guard(commit_mutex_);
        require_writable();
        // Numbers of what is written from now on are above those of what comes in.
        last_ = std::max(last_, last_sequence);
        for (const AdoptedTable& table : tables) append_gap(table.table_id, last_);
    }
    snowflakes_->go_on_from(lease_end_ms);
    std::shared_ptr<const Tiers> now = tiers();
    auto segments = std::make_shared<SegmentMap>(*now->segments);
    CheckpointState state = checkpoint_;
    std::vector<std::uint64_t> made;
    std::uint64_t rows = 0;
    // Their numbers are another database's, so nothing of them is kept in the cache of this one.
    BlockCache none(0);
    try {
        for (const AdoptedTable& table : tables) {
            if (table.segments.empty()) continue;
            SegmentList list;
            std::set<std::string_view> names;
            for (const HotSegmentEntry& entry : table.segments) {
                list.push_back(HotSegment::open(*files_, directory, entry, none));
                for (const PartitionRange& range : list.back()->partitions()) names.insert(range.name);
            }
            std::uint64_t number = state.next_segment++;
            made.push_back(number);
            HotSegmentWriter writer(*files_, options_.hot_directory, number, table.table_id,
                                    *table.description.reader, table.description.column_names);
            for (std::string_view name : names) {
                PartitionSources sources;
                for (const auto& segment : list) {
                    if (const PartitionRange* range = segment->find(name))
                        sources.runs.push_back({segment.get(), range});
                }
                write_rows(writer, name, *row_source(sources, now, kAllSequences, {}, false, true));
            }
            rows += static_cast<std::uint64_t>(writer.rows());
            HotSegmentEntry entry = writer.finish();
            (*segments)[table.table_id] = {HotSegment::open(*files_, options_.hot_directory, entry, cache_)};
        }
    } catch (const std::exception& error) {
        checkpoint_.next_segment = std::max(checkpoint_.next_segment, state.next_segment);
        discard(made, false);
        auto* failed = dynamic_cast<const IoError*>(&error);
        if (failed && !lacks_room(*failed)) poison(error.what());
        throw;
    }
    if (!made.empty()) put_in_place(std::move(state), std::move(segments), made, {});
    return rows;
}

}  // namespace kalam
