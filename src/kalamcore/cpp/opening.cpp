// How a store begins: the checkpoint's segments, then the log behind them.
#include <algorithm>

#include "errors.hpp"
#include "log_recovery.hpp"
#include "read_only_log.hpp"
#include "store.hpp"

namespace kalam {

namespace {

// How often a reader beside the owner looks for the newest checkpoint, when files of the last one are gone.
constexpr int kAttemptsMax = 100;

}  // namespace

std::shared_ptr<SegmentMap> Store::open_segments() {
    auto segments = std::make_shared<SegmentMap>();
    checkpoint_ = {};
    if (options_.hot_directory.empty()) return segments;
    if (auto found = read_checkpoint(*files_, options_.hot_directory)) checkpoint_ = std::move(*found);
    for (const HotSegmentEntry& entry : checkpoint_.segments) {
        (*segments)[entry.table_id].push_back(
            HotSegment::open(*files_, options_.hot_directory, entry, cache_));
    }
    return segments;
}

void Store::load_checkpoint() {
    std::shared_ptr<SegmentMap> segments;
    for (int attempt = 1; !segments; attempt++) {
        try {
            segments = open_segments();
        } catch (const Error&) {
            // The owner may have replaced the checkpoint since it was read, and removed what it named.
            if (options_.access != StoreAccess::checkpoint || attempt == kAttemptsMax) throw;
            auto newest = read_checkpoint(*files_, options_.hot_directory);
            if (!newest ||
                (newest->next_segment == checkpoint_.next_segment &&
                 newest->segments.size() == checkpoint_.segments.size() && newest->lsn == checkpoint_.lsn)) {
                throw;
            }
        }
    }
    last_ = checkpoint_.last_sequence;
    for (const auto& [table_id, list] : *segments) {
        // A load's numbers may be above those of the log up to the checkpoint.
        for (const auto& segment : list) last_ = std::max(last_, segment->sequence_max());
    }
    lease_end_ms_ = checkpoint_.lease_end_ms;
    auto first = std::make_shared<Tiers>();
    first->active = std::make_shared<MemTable>(hash_seed_);
    first->generation = segments->empty() ? 0 : 1;
    first->segments = std::move(segments);
    first->cold = cold_;
    first->checkpointed = checkpoint_.last_sequence;
    set_tiers(std::move(first));
    if (!options_.hot_directory.empty() && options_.access == StoreAccess::own) {
        remove_leftovers(*files_, options_.hot_directory, checkpoint_);
    }
}

void Store::open_log() {
    auto visit = [this](RecordType type, std::uint64_t lsn, std::string_view payload) {
        replay(type, lsn, payload);
    };
    if (options_.access == StoreAccess::own) {
        LogOptions log_options;
        log_options.file_bytes = options_.wal_file_bytes;
        log_options.history_bytes = options_.history_ms > 0 ? options_.history_bytes : 0;
        log_ = Log::open(files_, directory_, log_options, random_, visit, recovery_);
    } else {
        if (options_.access == StoreAccess::log) replay_log(*files_, directory_, visit, recovery_);
        log_ = read_only_log(recovery_.last_lsn);
        poison_ = "the database is open read-only";
    }
    if (options_.access == StoreAccess::checkpoint) return;
    if (recovery_.last_lsn < checkpoint_.lsn || recovery_.first_lsn > checkpoint_.lsn + 1) {
        throw Corruption(
            directory_, 0,
            "the checkpoint goes up to record " + std::to_string(checkpoint_.lsn) + ", and the log has " +
                std::to_string(recovery_.first_lsn) + " to " + std::to_string(recovery_.last_lsn) +
                "; one of the two is of another time: put the right one back, or restore a backup");
    }
}

}  // namespace kalam
