// CRC32C (Castagnoli), as iSCSI and ext4 use it.
//
// Thread safety: every function may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kalam {

// The checksum of what `crc` is the checksum of, followed by `bytes`; 0 is the checksum of nothing. Uses the
// processor's instruction where it has one.
std::uint32_t crc32c_extend(std::uint32_t crc, std::string_view bytes);
inline std::uint32_t crc32c(std::string_view bytes) {
    return crc32c_extend(0, bytes);
}

// The same by tables, and by the instruction, for tests that compare them.
// REQUIRES: crc32c_has_instruction() for the latter.
std::uint32_t crc32c_extend_by_table(std::uint32_t crc, std::string_view bytes);
bool crc32c_has_instruction();
std::uint32_t crc32c_extend_by_instruction(std::uint32_t crc, std::string_view bytes);

}  // namespace kalam
