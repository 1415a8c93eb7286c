// Encoded rows: how the rows of a schema version are laid out, and how rows of any version are read as the
// newest.
//
//     version (varint) | null bitmap | fixed slots, one a column | data of the variable columns, end to end
//
// Little endian, unaligned; drawn in docs/formats.md. Any column is reached in O(1).
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "errors.hpp"
#include "keys.hpp"

namespace kalam {

// One encoded row, larger than this, is refused with ValueOutOfRange.
inline constexpr std::size_t kRowBytesMax = 16u << 20;

// The columns that no row stores.
inline constexpr int kSequenceColumn = -1;  // _seq
inline constexpr int kUpdatedColumn = -2;   // _updated
inline constexpr int kDeletedColumn = -3;   // _deleted

// Microseconds since 1970-01-01Z of a sequence number: 41 bits of milliseconds since 2024-01-01Z, 22 of
// counter.
inline std::int64_t updated_us(std::uint64_t sequence) {
    return (static_cast<std::int64_t>(sequence >> 22) + 1704067200000) * 1000;
}

template <class T>
inline T load(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
inline void store(void* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

struct Column {
    std::uint32_t id;
    Type type;
    std::int32_t parameter_1;  // DECIMAL: precision; TEXT: characters at most, 0 for any number
    std::int32_t parameter_2;  // DECIMAL: scale
    bool nullable;
};

// The layout of one schema version.
//
// Thread safety: immutable.
class RowLayout {
  public:
    // Throws ValueMismatch(-1, column) for a column that cannot be, and where `key` is no position.
    RowLayout(std::uint32_t version, std::vector<Column> columns, std::size_t key);

    std::uint32_t version() const { return version_; }
    const std::vector<Column>& columns() const { return columns_; }
    std::size_t size() const { return columns_.size(); }
    std::size_t key() const { return key_; }

    // Bytes before the variable data: version, bitmap and slots.
    std::size_t header_bytes() const { return header_bytes_; }
    std::size_t bitmap_offset() const { return bitmap_offset_; }
    std::size_t slot_offset(std::size_t column) const { return slots_[column]; }
    // The slot that holds where a variable column's bytes begin; 0 where they begin at 0.
    std::size_t previous_slot_offset(std::size_t column) const { return previous_[column]; }
    // The slot of the last variable column; 0 where there is none.
    std::size_t last_slot_offset() const { return last_slot_; }
    // A row's header with nothing null and every slot zero.
    const std::string& blank() const { return blank_; }

  private:
    std::uint32_t version_;
    std::vector<Column> columns_;
    std::size_t key_;
    std::size_t bitmap_offset_ = 0;
    std::size_t header_bytes_ = 0;
    std::size_t last_slot_ = 0;
    std::vector<std::uint32_t> slots_;
    std::vector<std::uint32_t> previous_;
    std::string blank_;
};

// Writes one row at the end of `out`; columns are set in order, each at most once.
//
// REQUIRES: `layout` and `out` outlive the writer, and nobody else appends to `out` meanwhile.
class RowWriter {
  public:
    RowWriter() = default;
    RowWriter(const RowLayout& layout, std::string& out) : layout_(&layout), out_(&out), start_(out.size()) {
        out.append(layout.blank());
    }
    void set_null(std::size_t column) {
        at(layout_->bitmap_offset() + column / 8)[0] |= static_cast<char>(1u << (column % 8));
        if (is_variable(layout_->columns()[column].type)) end_variable(column);
    }
    // Integers of the slot's width; REQUIRES: they fit.
    void set_integer(std::size_t column, std::int64_t value);
    void set_real(std::size_t column, double value);
    void set_decimal(std::size_t column, int128 value) { kalam::store(slot(column), value); }
    void set_uuid(std::size_t column, const void* bytes) { std::memcpy(slot(column), bytes, 16); }
    void set_bytes(std::size_t column, const char* data, std::size_t size) {
        out_->append(data, size);
        end_variable(column);
    }
    // Throws ValueOutOfRange(row, -1) for a row beyond kRowBytesMax.
    void finish(std::int64_t row) const;
    // Takes back what was written.
    void abandon() { out_->resize(start_); }

  private:
    char* at(std::size_t offset) { return out_->data() + start_ + offset; }
    char* slot(std::size_t column) { return at(layout_->slot_offset(column)); }
    void end_variable(std::size_t column) {
        kalam::store(slot(column),
                     static_cast<std::uint32_t>(out_->size() - start_ - layout_->header_bytes()));
    }

    const RowLayout* layout_ = nullptr;
    std::string* out_ = nullptr;
    std::size_t start_ = 0;
};

// A value as its column of the newest version has it. Valid while the row's bytes are.
struct Cell {
    struct View {
        const char* data;
        std::size_t size;
    };
    bool null;
    union {
        std::int64_t integer;  // BOOLEAN, the integers, TIMESTAMP, DATE, TIME
        double real;           // FLOAT, DOUBLE
        int128 decimal;        // DECIMAL, unscaled
        View bytes;            // TEXT, BYTES, JSON; UUID: 16 bytes
    };
};

// How a column of the newest version is found in rows of one version.
struct ColumnPlan {
    enum class Source : std::uint8_t {
        kMissing,
        kSame,
        kIntToReal,
        kIntToDecimal,
        kRescale,
        kDateToTimestamp
    };
    Source source;
    Type stored;              // the type in the row
    std::uint32_t null_byte;  // offset in the row
    std::uint8_t null_mask;
    std::uint32_t slot;      // offset in the row
    std::uint32_t previous;  // as RowLayout::previous_slot_offset
    int128 factor;           // kIntToDecimal, kRescale
};

struct VersionPlan {
    std::shared_ptr<const RowLayout> layout;
    std::vector<ColumnPlan> columns;  // of the newest version
    bool same = false;                // every column is kSame with its own type: the newest version itself
};

// A row whose bounds were checked. Valid while the row's bytes and the reader are.
struct RowView {
    const char* row;
    const VersionPlan* plan;
    const char* data;  // of the variable columns
    std::size_t data_bytes;
};

// Reads rows of every version of a table as columns of its newest.
//
// Thread safety: immutable.
// Never reads outside of the bytes it is given, whatever they hold; bytes that are no row throw Corruption.
class RowReader {
  public:
    // `layouts`: the newest last, not empty. `missing_row`: a row of the newest layout with the value of each
    // column for rows written before the column. Throws ValueMismatch(-1, column) where a column's type
    // cannot become the newest's.
    RowReader(std::vector<std::shared_ptr<const RowLayout>> layouts, std::string missing_row);
    RowReader(const RowReader&) = delete;
    RowReader& operator=(const RowReader&) = delete;

    const RowLayout& layout() const { return *newest_.layout; }
    std::size_t missing_bytes() const { return missing_row_.size(); }

    RowView open(const char* row, std::size_t size) const;
    // REQUIRES: `view` is of this reader, column < layout().size().
    Cell cell(const RowView& view, std::size_t column) const;

  private:
    VersionPlan plan_for(std::shared_ptr<const RowLayout> layout) const;
    RowView open_as(const VersionPlan& plan, const char* row, std::size_t size) const;

    VersionPlan newest_;
    std::unordered_map<std::uint32_t, VersionPlan> older_;
    std::string missing_row_;
    RowView missing_;
};

}  // namespace kalam
