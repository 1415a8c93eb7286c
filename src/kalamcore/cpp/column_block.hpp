// Some rows of a table as Arrow columns, sorted by key within a partition, one version of each key: what hot
// segments and decoded cold segments are made of.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_export.hpp"
#include "rows.hpp"

namespace kalam {

// One column's buffers, its first row at their beginning, in the types that ArrowBuilder gives.
struct BlockColumn {
    const std::uint8_t* validity = nullptr;  // null: nothing is null
    const char* values = nullptr;            // of a text column: int32 offsets
    const char* bytes = nullptr;             // of a text column
    std::int64_t null_count = 0;
    std::uint8_t width = 0;  // bytes of a value, or of an offset; 0: bits. Set by ColumnBlock.
    bool text = false;       // likewise
};

class ColumnBlock {
  public:
    // `columns`: those of `layout`, then _seq (int64) and _deleted (bits). `hold` keeps their memory.
    // `bytes`: what it takes of a cache. REQUIRES: buffers are as long as `rows` says and offsets lie within
    // them; values are trusted (their checksum was verified).
    ColumnBlock(std::shared_ptr<const RowLayout> layout, std::int64_t rows, std::vector<BlockColumn> columns,
                std::shared_ptr<const void> hold, std::size_t bytes);

    std::int64_t rows() const { return rows_; }
    std::size_t bytes() const { return bytes_; }
    const RowLayout& layout() const { return *layout_; }

    std::uint64_t sequence(std::int64_t row) const { return load<std::uint64_t>(sequences_ + 8 * row); }
    bool deleted(std::int64_t row) const { return bit(deleted_, row); }

    // Appends the row's key as it is in memtable and log.
    void append_key(std::int64_t row, std::string& out) const;
    // Below 0, 0 or above 0 as the row's key is below, at or above `key`.
    int compare_key(std::int64_t row, std::string_view key) const;
    // The first row of [begin, end) whose key is not below `key`. REQUIRES: they are sorted by key.
    std::int64_t lower_bound(std::int64_t begin, std::int64_t end, std::string_view key) const;

    // Hints that a row is about to be read: of all its values; then, once those are there, of its texts.
    void expect_slots(std::int64_t row) const;
    void expect_bytes(std::int64_t row) const;

    // Appends the row as it would be in the memtable, in the block's own layout.
    void append_row(std::int64_t row, std::string& out) const;

    // A column by its position, or a system column's; _updated is that of _seq.
    const BlockColumn& column(int position) const {
        if (position >= 0) return columns_[static_cast<std::size_t>(position)];
        return columns_[layout_->size() + (position == kDeletedColumn ? 1 : 0)];
    }
    // The value as RowReader gives it of the block's own layout. REQUIRES: the column is no UUID.
    Cell cell(std::int64_t row, std::size_t column) const;

    // Rows [begin, end) as the columns asked for, without a copy of them (but for _updated).
    // REQUIRES: `columns` are positions of the layout, or system columns. `self` is this block.
    static ArrowBatch slice(const std::shared_ptr<const ColumnBlock>& self, std::int64_t begin,
                            std::int64_t end, const std::vector<int>& columns);

    static bool bit(const std::uint8_t* bits, std::int64_t row) { return bits[row >> 3] >> (row & 7) & 1; }

  private:
    std::shared_ptr<const RowLayout> layout_;
    std::int64_t rows_;
    std::vector<BlockColumn> columns_;
    std::shared_ptr<const void> hold_;
    std::size_t bytes_;
    const char* sequences_;
    const std::uint8_t* deleted_;
    bool integer_key_;
};

}  // namespace kalam
