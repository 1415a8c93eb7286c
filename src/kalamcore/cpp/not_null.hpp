// The NOT NULL check over Arrow validity bitmaps.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "arrow_import.hpp"

namespace kalam {

// The first clear bit of `bits[offset, offset + length)`, counted from `offset`; -1 where all are set.
std::int64_t first_clear_bit(const std::uint8_t* bits, std::int64_t offset, std::int64_t length);

// The first null of a column; -1 where there is none.
std::int64_t first_null_row(const ArrowColumn& column, std::int64_t rows);

// The first (row, position in the batch) that is null, by row and then in the order of `required`; (-1, -1)
// where none is. Throws ValueMismatch(-1, column) where `required` names no column.
std::pair<std::int64_t, std::int64_t> first_null(const ArrowInput& input,
                                                 const std::vector<std::int64_t>& required);

}  // namespace kalam
