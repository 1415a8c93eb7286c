// Rows in blocks of columns, partition after partition, sorted by key within each: what hot and cold segments
// have in common.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "block_pages.hpp"
#include "column_block.hpp"
#include "key_filter.hpp"
#include "rows.hpp"

namespace kalam {

// Decoded blocks of many segments, the oldest given up first, but none that was used since it had its turn,
// nor one that somebody holds: to note a use in the block's own entry, and not in a list, waits for memory
// once. What else the segments keep in memory counts too, and leaves blocks the less, but an eighth at least.
//
// Thread safety: every method may be called from any thread.
class BlockCache {
  public:
    explicit BlockCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
    std::shared_ptr<const ColumnBlock> find(std::uint64_t segment, std::uint32_t block);
    bool has(std::uint64_t segment, std::uint32_t block) const;
    void add(std::uint64_t segment, std::uint32_t block, std::shared_ptr<const ColumnBlock> made);
    // Forgets the blocks of a segment that is gone.
    void drop(std::uint64_t segment);
    void clear();
    std::size_t bytes() const;
    std::size_t bytes_max() const { return bytes_max_; }
    // Where the blocks that it keeps have theirs.
    BlockPages& pages() { return *pages_; }
    // What a segment keeps for as long as it is open; give_back_index is then owed.
    void take_index(std::size_t bytes);
    void give_back_index(std::size_t bytes) { index_bytes_.fetch_sub(bytes); }
    // Whether one more segment may keep its file open; give_back_file is then owed. The others open theirs
    // for each read, so that a database of many tables does not run out of descriptors.
    bool take_file() { return files_.fetch_add(1) < kFilesMax || (files_.fetch_sub(1), false); }
    void give_back_file() { files_.fetch_sub(1); }

  private:
    struct Entry {
        std::shared_ptr<const ColumnBlock> block;
        bool used = false;
    };
    static std::uint64_t key_of(std::uint64_t segment, std::uint32_t block) { return segment << 24 | block; }

    // REQUIRES: the lock.
    void give_up();

    static constexpr int kFilesMax = 128;

    const std::size_t bytes_max_;
    const std::shared_ptr<BlockPages> pages_ = std::make_shared<BlockPages>();
    std::atomic<std::size_t> index_bytes_{0};
    std::atomic<int> files_{0};
    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, Entry> entries_;
    std::list<std::uint64_t> turns_;  // their keys; those that had their turn last, or came last, first
    std::size_t bytes_ = 0;
};

// What a scan reads into, block after block. It begins at `base` in the file; `from` to `to` is not looked at
// yet.
struct ScanMemory {
    std::unique_ptr<char[]> bytes;
    std::size_t size = 0;
    std::uint64_t base = 0, from = 0, to = 0;

    void reserve(std::size_t wanted) {
        if (wanted <= size) return;
        bytes = std::make_unique_for_overwrite<char[]>(wanted);
        size = wanted;
        from = to = 0;
    }
};

// Where a row is; without a block there is none.
struct BlockRow {
    std::shared_ptr<const ColumnBlock> block;
    std::int64_t row = 0;
};

// The rows of one partition within a segment.
struct PartitionRange {
    std::int64_t begin = 0, end = 0;
    std::uint64_t sequence_min = 0, sequence_max = 0;
    std::int64_t tombstones = 0;
    std::string_view name, low, high;  // name, least and greatest key; in the segment's memory
};

// Thread safety: every method may be called from any thread.
class SortedBlocks {
  public:
    virtual ~SortedBlocks() = default;

    const RowLayout& layout() const { return *layout_; }
    const std::shared_ptr<const RowLayout>& shared_layout() const { return layout_; }
    std::int64_t rows() const { return rows_; }
    // Of a key with a version above a snapshot, an older one that the snapshot shows may be missing here and
    // everywhere, for snapshots below this.
    std::uint64_t complete_from() const { return complete_from_; }

    // False: the key is not in it.
    virtual bool may_have(const PartitionRange& partition, std::string_view key) const;
    BlockRow find(const PartitionRange& partition, std::string_view key) const;
    // The place of a key, or -1.
    std::int64_t find_row(const PartitionRange& partition, std::string_view key) const;
    // The first row of the partition that is not below `key`.
    std::int64_t lower_bound(const PartitionRange& partition, std::string_view key) const;

    std::uint32_t block_count() const { return static_cast<std::uint32_t>(places_.size()); }
    // The block that holds a row, and where it begins.
    std::uint32_t block_of(std::int64_t row) const;
    std::int64_t block_begin(std::uint32_t block) const { return places_[block].first_row; }
    std::int64_t block_end(std::uint32_t block) const {
        return places_[block].first_row + places_[block].rows;
    }
    virtual std::shared_ptr<const ColumnBlock> block(std::uint32_t at) const = 0;
    // The same for who goes through all of them and looks at these columns alone: others may be missing in
    // it, and it is valid until `memory` is used again.
    virtual std::shared_ptr<const ColumnBlock> passing_block(std::uint32_t at, const std::vector<int>&,
                                                             ScanMemory& /*memory*/) const {
        return block(at);
    }
    // Sees to it that what lies between two keys can be read: throws ColdMiss with all that is not in memory.
    virtual void require(const PartitionRange&, const std::string_view* /*low*/,
                         const std::string_view* /*high*/) const {}

  protected:
    struct Place {
        std::int64_t first_row, rows;
        std::string_view first_key;
        bool cut = false;  // it is the beginning of the first key alone
    };
    // The last block of the partition that does not begin above `key`.
    std::uint32_t block_for(const PartitionRange& partition, std::string_view key) const;
    // The same, and the block, where its first key decides too.
    std::uint32_t block_for(const PartitionRange& partition, std::string_view key,
                            std::shared_ptr<const ColumnBlock>& block) const;

    std::shared_ptr<const RowLayout> layout_;
    std::int64_t rows_ = 0;
    std::uint64_t complete_from_ = ~std::uint64_t{0};
    std::vector<Place> places_;
    KeyFilter filter_;
};

}  // namespace kalam
