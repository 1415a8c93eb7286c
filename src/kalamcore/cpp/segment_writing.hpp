// What a checkpoint and the upkeep of hot segments have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hot_segment.hpp"
#include "readable.hpp"

namespace kalam {

// Writes a source to the segment, but for tombstones up to the sequence number `expired`.
inline void write_rows(HotSegmentWriter& writer, std::string_view partition, RowSource& source,
                       std::uint64_t expired = 0) {
    constexpr std::size_t kRowsAtOnce = 256;
    RowRef rows[kRowsAtOnce];
    std::string_view keys[kRowsAtOnce];
    while (std::size_t count = source.next(rows, kRowsAtOnce, keys)) {
        std::size_t kept = 0;
        for (std::size_t at = 0; at < count; at++) {
            if (rows[at].deleted && rows[at].sequence <= expired) continue;
            rows[kept] = rows[at];
            keys[kept++] = keys[at];
        }
        writer.add(partition, keys, rows, kept);
        source.forget();
    }
}

}  // namespace kalam
