// A hot segment: rows of one table and all its users, in one immutable local file of Arrow record batches,
// sorted by (partition, key), with an index of its own. Drawn in docs/formats.md.
//
// Read by position, never mapped: a file that is cut short by others then is an error, and not the end of the
// process. A column's checksum is verified each time it comes
// from the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_import.hpp"
#include "arrow_ipc.hpp"
#include "column_block.hpp"
#include "rows.hpp"
#include "sorted_blocks.hpp"
#include "vfs.hpp"

namespace kalam {

// The rows of a block and its bytes, at most: what a look-up reads that finds nothing in the cache; a row
// larger than that is a block of its own.
inline constexpr std::int64_t kBlockRowsMax = 1024;
inline constexpr std::size_t kBlockBytesMax = 64u << 10;
// A segment of more rows has no key filter, which would take as many bytes in memory.
inline constexpr std::size_t kFilteredRowsMax = 16u << 20;

// What the checkpoint remembers of a segment.
struct HotSegmentEntry {
    std::uint64_t number = 0;
    std::uint64_t table_id = 0;
    std::uint64_t file_bytes = 0;
    std::uint32_t index_crc = 0;
    // Is added to every sequence number in the file: a load writes its rows before it knows which numbers
    // they get.
    std::uint64_t sequence_base = 0;
};

std::string hot_segment_name(std::uint64_t number);

// Thread safety: every method may be called from any thread.
class HotSegment final : public SortedBlocks {
  public:
    // Throws Corruption, UnknownFormat, IoError. `files` and `cache` outlive it.
    static std::shared_ptr<HotSegment> open(FileSystem& files, const std::string& directory,
                                            const HotSegmentEntry& entry, BlockCache& cache);
    ~HotSegment() override;
    HotSegment(const HotSegment&) = delete;
    HotSegment& operator=(const HotSegment&) = delete;

    // Its sequence numbers begin at `base`. REQUIRES: they began at 0, and nobody else has the segment yet.
    void begin_at(std::uint64_t base);

    const HotSegmentEntry& entry() const { return entry_; }
    std::uint64_t sequence_min() const { return sequence_min_; }
    std::uint64_t sequence_max() const { return sequence_max_; }
    const std::vector<PartitionRange>& partitions() const { return partitions_; }
    // Bytes that its index takes.
    std::size_t index_bytes() const {
        return index_.size() + partitions_.size() * sizeof(PartitionRange) + parts_.size() * sizeof(Part) +
               blocks_.size() * (sizeof(Block) + sizeof(Place)) + names_.size() * sizeof(std::uint32_t);
    }

    // Null where the segment has no row of the partition.
    const PartitionRange* find(std::string_view partition) const;
    std::shared_ptr<const ColumnBlock> block(std::uint32_t at) const override;
    // Not in the cache, and only these columns of the file.
    std::shared_ptr<const ColumnBlock> passing_block(std::uint32_t at, const std::vector<int>& columns,
                                                     ScanMemory& memory) const override;

  private:
    struct Block {
        std::uint64_t offset;  // of the body in the file
        std::uint32_t bytes;
    };
    // One column of a block.
    struct Part {
        std::uint32_t buffers[3];  // their lengths
        std::uint32_t nulls;
        std::uint32_t crc;
    };

    HotSegment(FileSystem& files, std::string path, BlockCache& cache)
        : files_(files), path_(std::move(path)), cache_(cache) {}
    // Reads all of it, from the file that is kept open or from one opened for this.
    void read(std::uint64_t offset, char* out, std::size_t size) const;
    void read_index(std::string_view at, const std::string& path);
    std::size_t width() const { return layout_->size() + 2; }
    const Part* parts(std::uint32_t block) const { return &parts_[block * width()]; }
    std::shared_ptr<const ColumnBlock> load(std::uint32_t at) const;
    // `read`: which columns are at their places in `memory`.
    std::shared_ptr<const ColumnBlock> make(std::uint32_t at, char* memory, const std::vector<bool>& read,
                                            std::shared_ptr<const void> hold, std::size_t bytes) const;

    FileSystem& files_;
    const std::string path_;
    BlockCache& cache_;
    std::size_t index_taken_ = 0;  // of the cache's room
    HotSegmentEntry entry_;
    std::unique_ptr<File> file_;  // null: it is opened for each read
    std::string index_;
    std::uint64_t sequence_min_ = 0, sequence_max_ = 0;
    std::vector<Block> blocks_;
    std::vector<Part> parts_;  // block after block
    std::vector<PartitionRange> partitions_;
    // Open addressing over the names' hashes; 0: none, else 1 + its number.
    std::vector<std::uint32_t> names_;
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
    // Rows [begin, end) of a batch, without encoding them; `sequences`: one for each of them.
    // REQUIRES: as above; they were checked; `encoder` is of `input` and the segment's layout.
    void add_columns(std::string_view partition, const ArrowInput& input, const ArrowRowEncoder& encoder,
                     std::int64_t begin, std::int64_t end, const std::int64_t* sequences);
    std::int64_t rows() const { return rows_; }
    // The key of the last row.
    std::string_view last_key() const {
        return ranges_.empty() ? std::string_view() : std::string_view(ranges_.back().high);
    }
    // From here on its file is nobody's; the next opening removes it.
    void leave() { finished_ = true; }
    // Syncs it and gives it its name; the directory is the caller's to sync.
    HotSegmentEntry finish();

  private:
    struct Range {
        std::string name, low, high;
        std::int64_t rows = 0;
        std::uint64_t sequence_min = ~std::uint64_t{0}, sequence_max = 0;
        std::int64_t tombstones = 0;
    };

    Range& range_of(std::string_view partition, std::string_view first_key);
    void hash(std::string_view key);
    void end_block();
    void write_block(const ArrowBatch& batch);
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
    bool unfiltered_ = false;  // it has more rows than kFilteredRowsMax
    std::int64_t rows_ = 0;
    std::uint64_t sequence_min_ = ~std::uint64_t{0}, sequence_max_ = 0;
    bool finished_ = false;
};

}  // namespace kalam
