// Arrow columns from outside, read through the C data interface: as cells, and as keys and rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_c.hpp"
#include "rows.hpp"

namespace kalam {

// What a column from outside holds.
enum class ArrowKind : std::uint8_t {
    kUnknown,
    kNull,
    kBool,
    kInt8,
    kUInt8,
    kInt16,
    kUInt16,
    kInt32,
    kUInt32,
    kInt64,
    kUInt64,
    kHalf,
    kFloat,
    kDouble,
    kText,
    kLargeText,
    kTextView,
    kBinary,
    kLargeBinary,
    kBinaryView,
    kFixedBinary,
    kDecimal,    // 32, 64 or 128 bits: `width` in bytes
    kDate32,     // days
    kDate64,     // milliseconds
    kTime,       // `unit_ns` nanoseconds a unit, `width` 4 or 8
    kTimestamp,  // the same
};

// One column: its buffers, its first row at `offset`.
struct ArrowColumn {
    ArrowKind kind = ArrowKind::kUnknown;
    std::int32_t width = 0;      // bytes of a value where it is fixed
    std::int32_t precision = 0;  // kDecimal
    std::int32_t scale = 0;
    std::int64_t unit_ns = 0;
    std::int64_t offset = 0;
    std::int64_t null_count = 0;  // -1: not known
    const std::uint8_t* validity = nullptr;
    const void* values = nullptr;  // second buffer
    const char* bytes = nullptr;   // third buffer
    const void* const* view_buffers = nullptr;
    std::int64_t view_buffer_count = 0;
    std::string format;

    bool is_null(std::int64_t row) const {
        if (kind == ArrowKind::kNull) return true;
        if (validity == nullptr) return false;
        std::int64_t bit = offset + row;
        return ((validity[bit >> 3] >> (bit & 7)) & 1) == 0;
    }
    // The bytes of a text or binary value of any kind. REQUIRES: not null.
    // Throws ValueMismatch(row, -1) where offsets or views cannot be.
    std::string_view view(std::int64_t row) const;
};

// A record batch that was handed over: it owns the two structs and releases them at its end.
//
// Thread safety: immutable once made. The buffers are trusted to be as long as the schema and length say (the
// interface does not tell); their content is not.
class ArrowInput {
  public:
    // Moves the structs out of what a capsule holds (their release becomes null).
    // Throws ValueMismatch(-1, -1) for what is no struct or has nulls of its own.
    ArrowInput(ArrowSchema* schema, ArrowArray* array);
    ~ArrowInput();
    ArrowInput(const ArrowInput&) = delete;
    ArrowInput& operator=(const ArrowInput&) = delete;

    std::int64_t rows() const { return array_.length; }
    const std::vector<ArrowColumn>& columns() const { return columns_; }

  private:
    void read_columns();
    void release();

    ArrowSchema schema_;
    ArrowArray array_;
    std::vector<ArrowColumn> columns_;
};

// Keys and rows, end to end.
struct EncodedRows {
    std::string keys;
    std::string rows;
    std::vector<std::uint64_t> key_ends;
    std::vector<std::uint64_t> row_ends;

    std::size_t size() const { return row_ends.size(); }
    std::string_view key(std::size_t i) const { return part(keys, key_ends, i); }
    std::string_view row(std::size_t i) const { return part(rows, row_ends, i); }
    void clear() {
        keys.clear();
        rows.clear();
        key_ends.clear();
        row_ends.clear();
    }

  private:
    static std::string_view part(const std::string& all, const std::vector<std::uint64_t>& ends,
                                 std::size_t i) {
        std::uint64_t begin = i == 0 ? 0 : ends[i - 1];
        return {all.data() + begin, static_cast<std::size_t>(ends[i] - begin)};
    }
};

// Encodes the rows of a batch whose columns are exactly a layout's. Touches no Python, so run it without the
// GIL.
//
// REQUIRES: `layout` and `input` outlive it.
class ArrowRowEncoder {
  public:
    // Throws ValueMismatch(-1, column) where a column's type is not the layout's, or the number of columns is
    // not.
    ArrowRowEncoder(const RowLayout& layout, const ArrowInput& input);

    // Appends rows [begin, end) to `out`. Every value is checked: NullValue, ValueOutOfRange, ValueMismatch
    // (text that is no UTF-8), each with its row and column; `out` then holds part of them.
    void encode(std::int64_t begin, std::int64_t end, EncodedRows& out) const;
    // The same checks alone.
    void check(std::int64_t begin, std::int64_t end) const;
    // Appends a row's key. REQUIRES: the row was checked.
    void append_key(std::int64_t row, std::string& out) const;

  private:
    void encode_chunk(std::int64_t begin, std::int64_t end, EncodedRows& out) const;

    const RowLayout* layout_;
    const ArrowInput* input_;
};

// Whether the bytes are UTF-8 without surrogates and overlong forms.
bool is_utf8(const char* data, std::size_t size);
// REQUIRES: valid UTF-8.
std::size_t utf8_characters(const char* data, std::size_t size);

}  // namespace kalam
