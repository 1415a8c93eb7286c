// Looking through a checkpoint and the hot segments that it names, every block and every key, and fitting a
// checkpoint to a log that a repair cuts.
//
// Thread safety: free functions without state. REQUIRES: nobody writes to the directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hot_segment.hpp"
#include "vfs.hpp"

namespace kalam {

struct SegmentFinding {
    std::string file;  // its name in the directory
    std::uint64_t offset;
    std::string what;
};

struct SegmentSurvey {
    std::vector<SegmentFinding> findings;
    // The record of the log up to which everything is in segments; 0 where there is no checkpoint, or none
    // that can be read.
    std::uint64_t lsn = 0;
    bool readable = false;
};

// Reads every block and every key of one segment. Throws Corruption, UnknownFormat, IoError.
void verify_segment(FileSystem& files, const std::string& directory, const HotSegmentEntry& entry);

// Changes nothing. Throws IoError, and UnknownFormat for a newer format.
SegmentSurvey survey_segments(FileSystem& files, const std::string& directory);

// The log will end at `lsn`, before the checkpoint's place in it: from then on that is its place. What the
// log told of up to the old place is in segments. Does nothing to a checkpoint that has its place at `lsn` or
// before.
void lower_checkpoint(FileSystem& files, const std::string& directory, std::uint64_t lsn);

}  // namespace kalam
