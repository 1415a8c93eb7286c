// SQL text, read once: tokens, limits, and the literals that a cached statement leaves open.
//
// Nothing here recurses and nothing grows with the text but the shape and the literals of a text that passed
// the length limit, so a text cannot hurt by its size, its depth or its monotony.
//
// Thread safety: free functions and value types.
// REQUIRES: text is valid UTF-8 (Python encoded it). Offsets are bytes; positions in exceptions are
// characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lexer.hpp"

namespace kalam {

struct ScanLimits {
    std::uint64_t text_bytes_max = 1'000'000;
    std::uint64_t insert_bytes_max = 16'000'000;
    std::uint32_t depth_max = 100;
    std::uint32_t terms_max = 1000;
    std::uint32_t union_arms_max = 200;
    std::uint32_t parameters_max = 65535;
};

struct Literal {
    std::uint32_t start;
    std::uint32_t end;
    TokenKind kind;
    bool doubled;
    bool exponent;
    bool negative;  // only in rows: a minus stands before it
};

struct Scan {
    std::string shape;
    std::vector<Literal> literals;
    std::uint32_t kind_start = 0;  // the first token, when it is a word or `(`
    std::uint32_t kind_end = 0;
    std::uint32_t end = 0;  // where the statement ends, before its `;`
    std::uint32_t rows_start = 0;
    std::uint32_t rows_end = 0;  // 0: no rows of nothing but literals
    std::uint32_t row_count = 0;
    std::uint32_t parameters = 0;
};

// One statement. Throws LimitExceeded and InvalidText.
void scan(std::string_view text, const ScanLimits& limits, Scan& out);

// Walks over rows that a scan found: cells of one row, then the next.
class LiteralRows {
  public:
    LiteralRows(std::string_view text, const Scan& scan)
        : text_(text), at_(scan.rows_start), end_(scan.rows_end) {}
    // Steps to the next row; false when there is none.
    bool row();
    // The next cell of this row; false at its end. A cell of kWord is NULL, TRUE or FALSE, told by its first
    // letter.
    bool cell(Literal& literal);

  private:
    std::string_view text_;
    std::size_t at_;
    std::size_t end_;
};

using Span = std::pair<std::uint32_t, std::uint32_t>;

// The statements of a batch, as byte offsets. Throws InvalidText and, beyond `statements_max`, LimitExceeded.
std::vector<Span> split(std::string_view text, std::size_t statements_max);

// The message for a text that is longer than `limit` bytes.
std::string too_large(std::uint64_t bytes, std::uint64_t limit, bool at_least);

}  // namespace kalam
