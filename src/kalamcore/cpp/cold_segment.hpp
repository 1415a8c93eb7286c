// Cold segments as the core sees them: which keys they may have, and their blocks as far as these are in
// memory.
//
// The core reads no storage. What a read needs and memory has not, it says by throwing ColdMiss; who asked
// brings it and asks again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "arrow_import.hpp"
#include "errors.hpp"
#include "sorted_blocks.hpp"

namespace kalam {

// A batch from outside as a block: the layout's columns in the types that ArrowBuilder gives, then _seq
// (int64) and _deleted (bool), none of them a slice. Throws ValueMismatch.
std::shared_ptr<const ColumnBlock> block_of_batch(std::shared_ptr<const RowLayout> layout,
                                                  std::unique_ptr<ArrowInput> batch);

inline constexpr std::size_t kFirstKeyBytes = 32;

// What a manifest tells of a segment.
struct ColdSegmentDescription {
    std::uint64_t id = 0;  // in this process, given once
    std::shared_ptr<const RowLayout> layout;
    std::vector<std::int64_t> block_rows;
    std::vector<std::string> first_keys;  // those of kFirstKeyBytes may be cut off
    std::string low, high;                // nothing is below or above
    std::vector<std::string> filters;     // Parquet's, of each block; none where there are none
    std::uint64_t sequence_min = 0, sequence_max = 0;
    std::int64_t tombstones = 0;
    std::uint64_t complete_from = 0;
};

// Thread safety: every method may be called from any thread.
class ColdSegment final : public SortedBlocks {
  public:
    // Throws Error for what cannot be. `cache` outlives it.
    ColdSegment(std::uint64_t table_id, std::string partition, ColdSegmentDescription description,
                BlockCache& cache);

    const PartitionRange& range() const { return range_; }
    std::uint64_t id() const { return description_.id; }
    bool may_have(const PartitionRange& partition, std::string_view key) const override;
    // Throws ColdMiss.
    std::shared_ptr<const ColumnBlock> block(std::uint32_t at) const override;
    void require(const PartitionRange& partition, const std::string_view* low,
                 const std::string_view* high) const override;

  private:
    const std::uint64_t table_id_;
    const std::string partition_;
    const ColdSegmentDescription description_;
    BlockCache& cache_;
    PartitionRange range_;
};

// What is cold of a partition. Rows of hot segments up to the watermark are among it.
struct ColdPartition {
    std::uint64_t generation = 0;
    std::uint64_t watermark = 0;
    std::vector<std::shared_ptr<const ColdSegment>> segments;  // newest first
};

// Which partitions have something cold, as far as it is known.
//
// Thread safety: every method may be called from any thread.
class ColdRegistry {
  public:
    // `is_named`: whether the reserved table has a row of this key now.
    ColdRegistry(std::size_t partitions_max, std::function<bool(std::string_view key)> is_named)
        : partitions_max_(partitions_max), is_named_(std::move(is_named)) {}
    // False costs a reader nothing more.
    bool any() const { return any_.load(std::memory_order_acquire); }
    bool has_table(std::uint64_t table_id) const;
    void add_table(std::uint64_t table_id);
    void drop_table(std::uint64_t table_id);
    // Null: nothing is cold. Throws ColdMiss where the manifest is to be read first.
    std::shared_ptr<const ColdPartition> of(std::uint64_t table_id, std::string_view partition) const;
    void set(std::uint64_t table_id, std::string_view partition, std::shared_ptr<const ColdPartition> now);
    void forget(std::uint64_t table_id, std::string_view partition);

  private:
    struct Entry {
        std::string key;
        std::shared_ptr<const ColdPartition> partition;
    };
    static std::string key_of(std::uint64_t table_id, std::string_view partition);
    void add(std::string key, std::shared_ptr<const ColdPartition> now) const;

    const std::size_t partitions_max_;
    const std::function<bool(std::string_view key)> is_named_;
    std::atomic<bool> any_{false};
    mutable std::mutex mutex_;
    std::unordered_set<std::uint64_t> tables_;
    std::uint64_t changes_ = 0;
    mutable std::list<Entry> entries_;  // the most recently used first
    mutable std::unordered_map<std::string_view, std::list<Entry>::iterator> places_;
};

// The reserved table that tells which partitions have something cold: a row for each, under this key.
inline constexpr std::uint64_t kColdPartitionsTable = 7;
std::string cold_partition_key(std::uint64_t table_id, std::string_view partition);

}  // namespace kalam
