#include "not_null.hpp"

#include <bit>
#include <cstring>
#include <string>

namespace kalam {

std::int64_t first_clear_bit(const std::uint8_t* bits, std::int64_t offset, std::int64_t length) {
    std::int64_t bit = offset;
    std::int64_t end = offset + length;
    for (; bit < end && (bit & 7) != 0; ++bit) {
        if (((bits[bit >> 3] >> (bit & 7)) & 1) == 0) return bit - offset;
    }
    // 128 bytes a step, and where one of them is not full, byte by byte from there.
    for (; end - bit >= 1024; bit += 1024) {
        std::uint64_t words[16];
        std::memcpy(words, bits + (bit >> 3), sizeof words);
        std::uint64_t all[4] = {words[0], words[1], words[2], words[3]};
        for (int i = 4; i < 16; i += 4) {
            for (int j = 0; j < 4; ++j) all[j] &= words[i + j];
        }
        if ((all[0] & all[1] & all[2] & all[3]) != ~std::uint64_t{0}) break;
    }
    for (; end - bit >= 8; bit += 8) {
        std::uint8_t byte = bits[bit >> 3];
        if (byte != 0xFF) return bit + std::countr_one(byte) - offset;
    }
    for (; bit < end; ++bit) {
        if (((bits[bit >> 3] >> (bit & 7)) & 1) == 0) return bit - offset;
    }
    return -1;
}

std::int64_t first_null_row(const ArrowColumn& column, std::int64_t rows) {
    if (rows == 0) return -1;
    if (column.kind == ArrowKind::kNull) return 0;
    if (column.validity == nullptr) return -1;
    return first_clear_bit(column.validity, column.offset, rows);
}

std::pair<std::int64_t, std::int64_t> first_null(const ArrowInput& input,
                                                 const std::vector<std::int64_t>& required) {
    std::int64_t row = input.rows();
    std::int64_t column = -1;
    for (std::int64_t position : required) {
        if (position < 0 || position >= static_cast<std::int64_t>(input.columns().size())) {
            throw ValueMismatch("there is no column " + std::to_string(position) + " in a batch of " +
                                    std::to_string(input.columns().size()),
                                -1, position);
        }
        // Only rows before the best so far can be better.
        std::int64_t found = first_null_row(input.columns()[static_cast<std::size_t>(position)], row);
        if (found < 0) continue;
        row = found;
        column = position;
        if (row == 0) break;
    }
    return column < 0 ? std::pair<std::int64_t, std::int64_t>{-1, -1} : std::pair{row, column};
}

}  // namespace kalam
