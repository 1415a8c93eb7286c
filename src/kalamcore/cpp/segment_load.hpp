// A load: many rows of one partition that go to a hot segment of their own at once, past log and memtable.
//
// The file is written before any lock, with sequence numbers that count from 0. Then, under the commit lock,
// the rows get their block of numbers, the segment takes its place among the tiers, and the commit waits in
// the line with all others, unpublished; the checkpoint that names the segment makes it durable, and after
// that it is published in its turn. Until then a crash leaves a file that no checkpoint names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow_import.hpp"
#include "hot_segment.hpp"
#include "store.hpp"

namespace kalam {

// Thread safety: one thread at a time.
class SegmentLoad {
  public:
    // `description`: of the table at the version that its rows have. Throws IoError; Error for a store
    // without a directory for hot segments. REQUIRES: the store outlives it.
    SegmentLoad(Store& store, std::uint64_t table_id, std::string partition, TableDescription description);
    // Without commit nothing is left of it.
    ~SegmentLoad();
    SegmentLoad(const SegmentLoad&) = delete;
    SegmentLoad& operator=(const SegmentLoad&) = delete;

    // Rows behind all that were added, in order of their keys. `order`: the number of each among all rows of
    // the load, from 0, by which they get their sequence numbers; null: as they come. Throws DuplicateKey
    // with that number, and what ArrowRowEncoder throws with the row in this batch; nothing of a batch that
    // was refused is in the load.
    void add(const ArrowInput& batch, const std::int64_t* order);
    // All of it or nothing, durable and published when it returns. Returns the sequence number of the last
    // row. Throws DuplicateKey where a key has a live row, WriteConflict where the table is another by now,
    // Poisoned, OutcomeUnknown, IoError; ColdMiss: bring what it names and call it again.
    std::uint64_t commit();

    std::int64_t rows() const { return next_; }

  private:
    void require_open() const;
    bool probe();
    bool probe_run(const PartitionSources& sources, const Run& run, bool cold);
    bool is_free(const PartitionSources& sources, std::string_view key, std::int64_t row) const;

    Store& store_;
    const std::uint64_t table_id_;
    const std::string partition_;
    const TableDescription description_;
    std::uint64_t number_ = 0;
    std::unique_ptr<HotSegmentWriter> writer_;
    std::shared_ptr<HotSegment> segment_;  // once it is written
    std::int64_t next_ = 0;
    bool over_ = false;
    // Segments that have none of its keys live, and how far it was seen of one more.
    std::vector<std::shared_ptr<const SortedBlocks>> probed_;
    const SortedBlocks* probing_ = nullptr;
    std::int64_t probed_to_ = 0;
};

}  // namespace kalam
