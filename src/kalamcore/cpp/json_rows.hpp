// Rows as the text of one JSON array, piece by piece: from Arrow columns, from encoded rows, or cell by cell.
//
// A row is an array of cells, or an object of them by name. Cells are what the HTTP interface says: BIGINT,
// unsigned integers and DECIMAL are strings, TIMESTAMP and TIME count microseconds and DATE days, BYTES is an
// array of numbers, UUID text with dashes, JSON text, and what is no number null.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "arrow_export.hpp"
#include "arrow_import.hpp"
#include "json_text.hpp"
#include "rows.hpp"

namespace kalam {

// Thread safety: one thread at a time; touches no Python, so run it without the GIL.
class JsonRows {
  public:
    // Rows as arrays.
    JsonRows() = default;
    // Rows as objects; the names are of the columns, in order. Throws ValueMismatch(-1, column) for a name
    // that is no UTF-8.
    explicit JsonRows(const std::vector<std::string>& names);

    // What was written since the last `forget`.
    const char* data() const { return text_.data(); }
    std::size_t size() const { return text_.size(); }
    void forget() { text_.clear(); }

    void begin() { text_.raw('['); }
    void end() { text_.raw(']'); }

    // Throws ValueMismatch(-1, -1) where there are names, and not so many.
    void check_width(std::size_t columns) const;
    // Throws ValueMismatch(-1, column) also where a column's type has no form here: cast it first.
    void check(const ArrowInput& input) const;

    // Writes rows from `begin` on, until there are `bytes` in all or the rows end; says up to which row. The
    // text ends with a whole row, so it may be longer. REQUIRES: the rows were checked.
    // Throws ValueMismatch (what is no UTF-8, or is broken) and ValueOutOfRange (a moment before or behind
    // what 64 bits of microseconds tell) with row and column; what was written is then of no use.
    std::int64_t append(const ArrowInput& input, std::int64_t begin, std::size_t bytes);
    // The same for encoded rows. `columns` as ArrowBuilder takes them. Throws Corruption.
    std::size_t append(const RowReader& reader, const std::vector<int>& columns,
                       const std::vector<RowRef>& rows, std::size_t begin, std::size_t bytes);

    // One row, cell by cell: REQUIRES begin_row, for each column next_cell and one value of the text,
    // end_row.
    void begin_row() {
        if (any_row_) text_.raw(',');
        any_row_ = true;
        text_.raw(objects_ ? '{' : '[');
    }
    void next_cell(std::size_t column) {
        if (objects_) return text_.raw(names_[column]);
        if (column != 0) text_.raw(',');
    }
    void end_row() { text_.raw(objects_ ? '}' : ']'); }
    JsonText& text() { return text_; }

  private:
    JsonText text_;
    bool objects_ = false;
    std::vector<std::string> names_;  // as they stand before a cell: `"a":`, `,"b":`
    bool any_row_ = false;
};

}  // namespace kalam
