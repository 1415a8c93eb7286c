// Rows of a batch from outside as the columns of a block, without encoding a row: where the types allow, what
// is given points into the batch itself.
//
// Thread safety: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "arrow_export.hpp"
#include "arrow_import.hpp"
#include "rows.hpp"

namespace kalam {

// Rows [begin, end) as ArrowBuilder would give them: the layout's columns, then _seq (`sequences`, one a row)
// and _deleted (of none). What lies below a null is not taken over.
// REQUIRES: the rows were checked against the layout; `input` and `sequences` outlive what is returned.
ArrowBatch columns_of_rows(const RowLayout& layout, const ArrowInput& input, std::int64_t begin,
                           std::int64_t end, const std::int64_t* sequences);

// About what the rows take in a block.
std::size_t bytes_of_rows(const RowLayout& layout, const ArrowInput& input, std::int64_t begin,
                          std::int64_t end);

// 36 characters.
inline constexpr std::size_t kUuidCharacters = 36;
void write_uuid(const char* bytes, char* to);

}  // namespace kalam
