// Where a database's rows are, newest first: the memtable that takes writes, frozen ones on their way to the
// disk, hot segments, cold ones.
//
// Invariant: of a key, a source that stands before another has the newer versions.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cold_segment.hpp"
#include "hot_segment.hpp"
#include "memtable.hpp"
#include "readable.hpp"

namespace kalam {

using SegmentList = std::vector<std::shared_ptr<const HotSegment>>;  // of one table, newest first
using SegmentMap = std::unordered_map<std::uint64_t, SegmentList>;

// Thread safety: immutable, but for the active memtable's rows.
struct Tiers {
    std::shared_ptr<MemTable> active;
    std::vector<std::shared_ptr<MemTable>> frozen;  // newest first
    std::shared_ptr<const SegmentMap> segments;
    std::shared_ptr<ColdRegistry> cold;  // null: there is nothing cold
    // Rises whenever rows move to, or change places in, segments.
    std::uint64_t generation = 0;
    // Commits up to here are in segments.
    std::uint64_t checkpointed = 0;

    const SegmentList* segments_of(std::uint64_t table_id) const {
        auto found = segments->find(table_id);
        return found == segments->end() ? nullptr : &found->second;
    }
};

// The newest version of a key, as a writer asks for it; `sequence` 0: there is none. `row`: where it is in
// memory; null where it is not.
struct NewestVersion {
    std::uint64_t sequence = 0;
    bool live = false;
    std::string_view row = {};
};

// The rows of a partition in one segment.
struct Run {
    const SortedBlocks* blocks;
    const PartitionRange* range;
};

// The sources that have rows of one partition, newest first.
struct PartitionSources {
    PartitionSources() = default;
    // `with_cold`: where false, cold segments are left out (and hot rows that are in them too, all the same).
    // Throws ColdMiss.
    PartitionSources(const Tiers& tiers, std::uint64_t table_id, std::string_view partition,
                     std::uint64_t snapshot, bool with_cold);

    std::vector<const Partition*> memory;
    std::vector<Run> runs;
    std::shared_ptr<const ColdPartition> cold;

    bool empty() const { return memory.empty() && runs.empty() && !cold; }
};

// Reads of what the sources have. What they give is held by `hold`, which holds the tiers. All of them throw
// SnapshotGone, ColdMiss, Corruption, IoError.
bool get_row(const PartitionSources& sources, const std::shared_ptr<const void>& hold, std::string_view key,
             std::uint64_t snapshot, bool deleted, FoundRow& found);
// REQUIRES: the strings of `bounds` outlive the source.
std::unique_ptr<RowSource> row_source(const PartitionSources& sources,
                                      const std::shared_ptr<const void>& hold, std::uint64_t snapshot,
                                      const Bounds& bounds, bool reverse, bool deleted);
// The rows of several sources in key order as one; of a key, the first source's version stands.
std::unique_ptr<RowSource> merged(std::vector<std::unique_ptr<RowSource>> sources, bool reverse,
                                  bool deleted);
// Rows of one memtable's partition.
std::unique_ptr<RowSource> memtable_source(const PartitionCursor& cursor, std::shared_ptr<const void> hold);

std::uint64_t count_rows(const PartitionSources& sources, const std::shared_ptr<const void>& hold,
                         std::uint64_t snapshot);
// Of all partitions of a table. REQUIRES: nothing of it is cold.
std::uint64_t count_all_rows(const std::shared_ptr<const Tiers>& tiers, std::uint64_t table_id,
                             std::uint64_t snapshot);
// Of what is in segments alone. `found`, where given, gets the row too if it lives, and holds it.
NewestVersion newest_in_segments(const PartitionSources& sources, std::string_view key,
                                 FoundRow* found = nullptr);
// Batches of the segments' rows that nothing newer stands before, in the segments' own memory where that can
// be; then those of memory.
void rows_as_arrow(const PartitionSources& sources, const std::shared_ptr<const void>& hold,
                   std::uint64_t snapshot, const Bounds& bounds, bool deleted, const RowReader& reader,
                   const std::vector<int>& columns, std::int64_t batch_rows,
                   std::vector<ArrowBatch>& batches);

}  // namespace kalam
