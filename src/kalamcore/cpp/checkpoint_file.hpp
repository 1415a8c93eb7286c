// The checkpoint: which hot segments there are, and from which record on the log tells of what is not in
// them. Replaced as a whole; that is the moment in which a checkpoint takes place. Drawn in docs/formats.md.
//
// Thread safety: free functions without state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hot_segment.hpp"
#include "vfs.hpp"

namespace kalam {

struct CheckpointState {
    std::uint64_t lsn = 0;            // records up to this one are in segments
    std::uint64_t last_sequence = 0;  // of all that is in segments, and of all before it
    std::int64_t lease_end_ms = 0;
    std::uint64_t next_segment = 1;
    std::vector<HotSegmentEntry> segments;  // of each table, the newest first
};

// None where there never was one. Throws Corruption, UnknownFormat, IoError.
std::optional<CheckpointState> read_checkpoint(FileSystem& files, const std::string& directory);
// Durable when it returns.
void write_checkpoint(FileSystem& files, const std::string& directory, const CheckpointState& state);

// Removes what no checkpoint names: what a crash left of segments that were being written.
void remove_leftovers(FileSystem& files, const std::string& directory, const CheckpointState& state);

}  // namespace kalam
