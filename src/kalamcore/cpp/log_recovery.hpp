// Reading a log back: which records are whole, what is a torn tail, and what is damage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wal.hpp"

namespace kalam {

// One file of the log, as recovery found it.
struct LogFileExtent {
    std::uint64_t number = 0;
    std::uint64_t first_lsn = 0;
    std::uint64_t used_bytes = 0;  // up to the end of its last record that counts
};

struct LogReplay {
    std::vector<LogFileExtent> files;
    // Everything up to here is known to have been synced.
    std::uint64_t known_durable_lsn = 0;
    std::uint64_t last_lsn = 0;
    // The last file again, whose newest records may be in the page cache alone: its records as they stand in
    // it, the salt they are checked with, and the bytes that were cut.
    std::string tail;
    std::uint64_t tail_salt = 0;
    std::uint64_t tail_previous_salt = 0;
    std::string torn;
};

// Shows every whole record in `directory` to `visit`. Changes nothing. Throws Corruption and UnknownFormat.
// With `before`, only files of lower numbers are read, and their last one is not where the log ends.
LogReplay replay_log(FileSystem& files, const std::string& directory, const Log::Visitor& visit,
                     LogRecovery& recovery, std::uint64_t before = UINT64_MAX);

std::string_view without_trailing_zeros(std::string_view bytes);

}  // namespace kalam
