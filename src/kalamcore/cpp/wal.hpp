// The write-ahead log: every commit, in commit order, in preallocated and recycled files.
//
// Thread safety: every method may be called from any thread; a store appends under its commit lock, so that
// the log has the order of its commits, and flushes outside of it.
//
// Invariants: records are written and synced in the order they were appended; `durable() <= written() <=
// last()`.
//
// No room (ENOSPC, EDQUOT, EFBIG) for a file or its growth, or no descriptor for it: flush throws IoError for
// every record that was not yet written, to each who waits for one of them, and those records are gone:
// last() steps back to written(). Their numbers are not given again. A store that finds drops() changed
// undoes its commits above written(). The log goes on, and takes records again once there is room.
//
// After any other failed write, sync, close or rename the log is poisoned: append throws Poisoned from then
// on, with the first error's text, and so does flush for records that no write was tried for; for those that
// were handed to a write and are not known to be durable it throws OutcomeUnknown. Nothing is tried again.
//
// The bytes are drawn in docs/formats.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "clock.hpp"
#include "random.hpp"
#include "vfs.hpp"

namespace kalam {

// `replacing`: a commit that also tells the rows it replaced. `gap`: rows of a table came that no record
// tells.
enum class RecordType : std::uint8_t { commit = 1, id_lease = 2, clean_close = 3, replacing = 4, gap = 5 };

struct LogOptions {
    std::uint64_t file_bytes = 64u << 20;
    // Of files that are no longer needed, so many bytes are kept to be read back; where room is lacking they
    // are given up first.
    std::uint64_t history_bytes = 0;
};

// A file of the log, by its number, and the number of its first record.
struct LogFile {
    std::uint64_t number = 0;
    std::uint64_t first_lsn = 0;
};

// What recovery found and did. `torn_bytes` is 0 when the log ended whole.
struct LogRecovery {
    std::uint64_t records = 0;
    std::uint64_t first_lsn = 1;  // of the oldest file
    std::uint64_t last_lsn = 0;
    std::uint64_t torn_bytes = 0;
    std::string torn_file;  // name of the log file that was cut
    std::string kept_as;    // where the cut bytes are kept
};

class Log {
  public:
    using Visitor = std::function<void(RecordType, std::uint64_t lsn, std::string_view payload)>;

    // Opens the log in `directory` (which exists), shows every whole record to `visit` in order, and makes
    // what was accepted durable again before it returns. Throws Corruption where damage is followed by whole
    // records.
    static std::unique_ptr<Log> open(std::shared_ptr<FileSystem> files, std::string directory,
                                     const LogOptions& options, std::shared_ptr<RandomSource> random,
                                     const Visitor& visit, LogRecovery& recovery);
    virtual ~Log() = default;

    // Adds a record to the buffer and returns its log sequence number. Nothing is written yet. Where
    // unwritten records were dropped more often than `drops_known` says, it is refused with the error of the
    // last drop: the caller first takes back what it built upon them. A record that `frees` may use the room
    // that each file keeps back, so that rows can be deleted when the disk is full; it is refused all the
    // same where one that does not is written together with it.
    virtual std::uint64_t append(RecordType type, std::string_view head, std::string_view body,
                                 std::uint64_t drops_known = ~std::uint64_t{0}, bool frees = false) = 0;
    // How often all unwritten records were dropped because there was no room for them. After a drop, and
    // until the next append, written() is the last record that was not.
    virtual std::uint64_t drops() const = 0;
    // Returns once the record `lsn` and all before it are with the OS (sync false) or on the disk (sync
    // true). One caller writes and syncs for all who wait; a flush without sync waits for no running sync.
    virtual void flush(std::uint64_t lsn, bool sync) = 0;
    virtual std::uint64_t last() const = 0;
    virtual std::uint64_t written() const = 0;
    virtual std::uint64_t durable() const = 0;
    // How often the log was synced for those who waited for it.
    virtual std::uint64_t syncs() const = 0;
    // Bytes of the log's files up to their last records.
    virtual std::uint64_t bytes() const = 0;
    // Records up to `lsn` are no longer needed: files that hold nothing else are recycled or removed.
    virtual void release(std::uint64_t lsn) = 0;
    // What is kept, oldest first, with what was needed no longer. Until release_files none of them is given
    // up, though it may be asked for.
    virtual std::vector<LogFile> hold_files() = 0;
    virtual void release_files() = 0;
    // Shows the records of one of them that are written by now, in order, until `visit` gives false.
    // REQUIRES: it is held. Throws Corruption, IoError.
    using Reading = std::function<bool(RecordType, std::uint64_t lsn, std::string_view payload)>;
    virtual void read(std::uint64_t number, const Reading& visit) = 0;
    // Of what is no longer needed, files up to the one with this number are not to be kept.
    virtual void forget_history(std::uint64_t number) = 0;
    // Ends the present file and starts the next, so that a release can let go of all that was written before.
    virtual void roll() = 0;
    // As release, but what is let go is overwritten with zeros before this returns, that of earlier releases
    // too, and no file is kept for later, nor to be read back.
    virtual void wipe(std::uint64_t lsn) = 0;
    // Flushes, marks the end as clean and closes; no error if that has happened. Throws if it failed.
    // Destruction without it loses what was not flushed, as a crash would.
    virtual void close() = 0;
};

}  // namespace kalam
