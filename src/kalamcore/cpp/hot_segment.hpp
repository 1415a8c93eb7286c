// A hot segment: rows of one table and all its users, in one immutable local file of Arrow record batches,
// sorted by (partition, key), with an index of its own. Drawn in docs/formats.md.
//
// Read by position, never mapped: a file that is cut short by others then is an error, and not the end of the
// process. A block's checksum is verified each time it comes from the file.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "arrow_ipc.hpp"
#include "column_block.hpp"
#include "key_filter.hpp"
#include "rows.hpp"
#include "vfs.hpp"

namespace kalam {

// The rows of a block and its bytes, at most; a row larger than that is a block of its own.
inline constexpr std::int64_t kBlockRowsMax = 1024;
inline constexpr std::size_t kBlockBytesMax = 256u << 10;

// What the checkpoint remembers of a segment.
struct HotSegmentEntry {
    std::uint64_t number = 0;
    std::uint64_t table_id = 0;
    std::uint64_t file_bytes = 0;
    std::uint32_t index_crc = 0;
};

std::string hot_segment_name(std::uint64_t number);

// Decoded blocks of all hot segments of a database, the least recently used given up first.
//
// Thread safety: every method may be called from any thread.
class BlockCache {
  public:
    explicit BlockCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
    std::shared_ptr<const ColumnBlock> find(std::uint64_t segment, std::uint32_t block);
    void add(std::uint64_t segment, std::uint32_t block, std::shared_ptr<const ColumnBlock> made);
    // Forgets the blocks of a segment that is gone.
    void drop(std::uint64_t segment);
    std::size_t bytes() const;

  private:
    struct Entry {
        std::uint64_t key;
        std::shared_ptr<const ColumnBlock> block;
    };
    static std::uint64_t key_of(std::uint64_t segment, std::uint32_t block) { return segment << 24 | block; }

    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // the most recently used first
    std::unordered_map<std::uint64_t, std::list<Entry>::iterator> places_;
    std::size_t bytes_ = 0;
};

// The rows of one partition within a segment.
struct PartitionRange {
    std::int64_t begin, end;
    std::uint64_t sequence_max;
    std::int64_t tombstones;
    std::string_view name, low, high;  // keys; in the index's memory
};

// Thread safety: every method may be called from any thread.
class HotSegment {
  public:
    // Throws Corruption, UnknownFormat, IoError. `cache` outlives it.
    static std::shared_ptr<const HotSegment> open(FileSystem& files, const std::string& directory,
                                                  const HotSegmentEntry& entry, BlockCache& cache);
    ~HotSegment();
    HotSegment(const HotSegment&) = delete;
    HotSegment& operator=(const HotSegment&) = delete;

    const HotSegmentEntry& entry() const { return entry_; }
    const RowLayout& layout() const { return *layout_; }
    std::int64_t rows() const { return rows_; }
    std::uint64_t sequence_min() const { return sequence_min_; }
    std::uint64_t sequence_max() const { return sequence_max_; }
    const std::vector<PartitionRange>& partitions() const { return partitions_; }
    // Bytes that its index takes.
    std::size_t index_bytes() const { return index_.size() + partitions_.size() * sizeof(PartitionRange); }

    // Null where the segment has no row of the partition.
    const PartitionRange* find(std::string_view partition) const;
    // False: the key is not in it.
    bool may_have(const PartitionRange& partition, std::string_view key) const;
    // The place of a key, or -1.
    std::int64_t find_row(const PartitionRange& partition, std::string_view key) const;
    // The first row of the partition that is not below `key`.
    std::int64_t lower_bound(const PartitionRange& partition, std::string_view key) const;

    std::uint32_t block_count() const { return static_cast<std::uint32_t>(blocks_.size()); }
    // The block that holds a row of the segment, and where it begins.
    std::uint32_t block_of(std::int64_t row) const;
    std::int64_t block_begin(std::uint32_t block) const { return blocks_[block].first_row; }
    std::int64_t block_end(std::uint32_t block) const {
        return blocks_[block].first_row + blocks_[block].rows;
    }
    std::shared_ptr<const ColumnBlock> block(std::uint32_t at) const;

  private:
    struct Block {
        std::uint64_t offset;  // of the body in the file
        std::uint32_t bytes;
        std::uint32_t crc;
        std::int64_t first_row;
        std::int64_t rows;
        std::string_view first_key;
        std::vector<std::uint32_t> buffers;  // three lengths a column
        std::vector<std::int64_t> null_counts;
    };

    HotSegment(BlockCache& cache) : cache_(cache) {}
    void read_index(std::string_view at, const std::string& path);
    std::shared_ptr<const ColumnBlock> load(std::uint32_t at) const;

    BlockCache& cache_;
    HotSegmentEntry entry_;
    std::unique_ptr<File> file_;
    std::string index_;
    std::shared_ptr<const RowLayout> layout_;
    std::int64_t rows_ = 0;
    std::uint64_t sequence_min_ = 0, sequence_max_ = 0;
    std::vector<Block> blocks_;
    std::vector<PartitionRange> partitions_;
    std::vector<std::uint32_t>
        places_;  // open addressing over the names' hashes; 0: none, else 1 + its number
    KeyFilter filter_;
};

// Writes a segment: rows in order of (partition, key), each key once.
//
// Thread safety: one thread at a time. Nothing is there under the segment's name before finish.
class HotSegmentWriter {
  public:
    // `reader`: its newest layout is the segment's. `names`: of the layout's columns, for other programs.
    // REQUIRES: both outlive the writer.
    HotSegmentWriter(FileSystem& files, std::string directory, std::uint64_t number, std::uint64_t table_id,
                     const RowReader& reader, std::vector<std::string> names);
    ~HotSegmentWriter();

    // `count` rows of one partition. REQUIRES: they are behind the last one.
    void add(std::string_view partition, const std::string_view* keys, const RowRef* rows, std::size_t count);
    std::int64_t rows() const { return rows_; }
    // Syncs it and gives it its name; the directory is the caller's to sync.
    HotSegmentEntry finish();

  private:
    struct Range {
        std::string name, low, high;
        std::int64_t rows = 0;
        std::uint64_t sequence_max = 0;
        std::int64_t tombstones = 0;
    };

    void end_block();
    void write(std::string_view bytes);
    void flush();
    std::string index() const;

    FileSystem& files_;
    const std::string directory_;
    const std::uint64_t number_;
    const std::uint64_t table_id_;
    const RowReader& reader_;
    ArrowBuilder builder_;
    std::vector<IpcField> fields_;
    std::string path_;
    std::unique_ptr<File> file_;
    std::string buffer_;
    std::uint64_t written_ = 0;  // without the buffer
    std::size_t block_bytes_ = 0;
    std::string first_key_;
    std::string blocks_;  // of the index
    std::uint64_t block_count_ = 0;
    std::vector<IpcBlock> ipc_blocks_;
    std::vector<Range> ranges_;
    std::uint64_t range_hash_ = 0;
    std::vector<std::uint64_t> hashes_;
    std::int64_t rows_ = 0;
    std::uint64_t sequence_min_ = ~std::uint64_t{0}, sequence_max_ = 0;
    bool finished_ = false;
};

}  // namespace kalam
