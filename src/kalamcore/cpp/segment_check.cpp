#include "segment_check.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include "checkpoint_file.hpp"
#include "errors.hpp"
#include "hot_segment.hpp"

namespace kalam {

namespace {

// Rows are where the index says, in order, and found by their keys. Throws Corruption.
void verify(const HotSegment& segment, const std::string& path) {
    std::shared_ptr<const ColumnBlock> block;
    std::uint32_t number = 0;
    auto require = [&](bool holds, const char* what) {
        if (!holds) throw Corruption(path, 0, std::string(what) + "; restore a backup");
    };
    for (const PartitionRange& range : segment.partitions()) {
        std::string before;
        std::int64_t tombstones = 0;
        std::uint64_t newest = 0;
        require(range.begin < range.end, "a partition of it has no rows");
        for (std::int64_t row = range.begin; row < range.end; row++) {
            if (!block || row >= segment.block_end(number)) {
                number = segment.block_of(row);
                block = segment.block(number);
            }
            std::int64_t inside = row - segment.block_begin(number);
            std::string key;
            block->append_key(inside, key);
            require(row == range.begin ? key == range.low : before < key, "its rows are not in order");
            require(segment.may_have(range, key), "its key filter lacks a key");
            newest = std::max(newest, block->sequence(inside));
            tombstones += block->deleted(inside);
            before = std::move(key);
        }
        require(before == range.high && newest == range.sequence_max && tombstones == range.tombstones,
                "a partition is not what its index says");
    }
}

}  // namespace

void verify_segment(FileSystem& files, const std::string& directory, const HotSegmentEntry& entry) {
    // Nothing of it is read twice.
    BlockCache none(0);
    verify(*HotSegment::open(files, directory, entry, none),
           directory + "/" + hot_segment_name(entry.number));
}

SegmentSurvey survey_segments(FileSystem& files, const std::string& directory) {
    SegmentSurvey survey;
    auto found = [&](const std::string& file, const Corruption& error) {
        survey.findings.push_back({file, error.offset, error.what()});
    };
    std::optional<CheckpointState> state;
    try {
        state = read_checkpoint(files, directory);
    } catch (const Corruption& error) {
        found("checkpoint", error);
        return survey;
    }
    survey.readable = true;
    if (!state) return survey;
    survey.lsn = state->lsn;
    for (const HotSegmentEntry& entry : state->segments) {
        try {
            verify_segment(files, directory, entry);
        } catch (const Corruption& error) {
            found(hot_segment_name(entry.number), error);
        }
    }
    return survey;
}

void lower_checkpoint(FileSystem& files, const std::string& directory, std::uint64_t lsn) {
    std::optional<CheckpointState> state = read_checkpoint(files, directory);
    if (!state || state->lsn <= lsn) return;
    state->lsn = lsn;
    write_checkpoint(files, directory, *state);
}

}  // namespace kalam
