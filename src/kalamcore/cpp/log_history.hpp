// Files of the log that hold nothing a recovery needs, kept for those who ask what changed since.
//
// Thread safety: none; the log guards it.
// Invariant: their numbers rise by one, up to the number before the oldest file of the log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log_recovery.hpp"
#include "vfs.hpp"

namespace kalam {

class LogHistory {
  public:
    LogHistory(FileSystem& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

    // What an earlier life kept; `oldest`: the log's oldest file. What does not belong is removed.
    void load(std::uint64_t oldest);
    // Makes ready to keep a file of the log: all that can fail for want of memory or descriptors.
    LogFileExtent prepare(const LogFileExtent& file);
    // Takes over the file of the log that was made ready, the one behind the last.
    void keep(const LogFileExtent& prepared);
    // The oldest of them is nobody's from here on, under a new name. Where memory is lacking, nothing has
    // changed.
    void give_up_oldest(const std::string& new_path);
    // The names that keep and give_up_oldest gave are durable.
    void sync() { files_.sync_directory(directory_); }
    // All of them are gone.
    void remove_all();

    bool empty() const { return kept_.empty(); }
    const std::vector<LogFileExtent>& files() const { return kept_; }
    std::uint64_t bytes() const;
    std::string path_of(std::uint64_t number) const;

  private:
    FileSystem& files_;
    const std::string directory_;
    std::vector<LogFileExtent> kept_;  // oldest first
};

}  // namespace kalam
