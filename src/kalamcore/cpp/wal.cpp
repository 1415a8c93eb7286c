// The log while it is open. How it is read back is in log_recovery.cpp, its bytes are in log_format.hpp.
//
// What recovery accepted may be in the page cache alone, put there by a process whose sync failed. So open
// writes it again, to a file that no failed sync has touched, and only then returns:
// - a last file of at most `whole_copy_bytes_max` is copied whole and replaced, so that opening and closing a
// small
//   database over and over keeps one small file;
// - of a longer one, the records not known to be durable are copied to the next file. That file's first
// number says
//   from where on the older one no longer counts, and the older one is cut there.
// Either way nothing is ever appended to a file of an earlier life.
#include "wal.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "crc32c.hpp"
#include "errors.hpp"
#include "log_format.hpp"
#include "log_history.hpp"
#include "log_recovery.hpp"

namespace kalam {
namespace {

using namespace log_format;

// Small, as in preallocate: what is written at once makes later small writes into it slow.
constexpr std::size_t zeros_bytes = std::size_t{1} << 16;
constexpr std::uint64_t whole_copy_bytes_max = 1u << 20;
constexpr std::uint64_t growth_bytes_min = 256u << 10;
constexpr std::uint64_t growth_bytes_max = 4u << 20;
// Smaller files are quickly made when they are needed, without a thread.
constexpr std::uint64_t spare_bytes_min = 4u << 20;
constexpr std::size_t kept_buffer_bytes_max = 4u << 20;
constexpr std::uint64_t read_bytes = 1u << 20;
// Every file keeps room for the mark of a clean close, so that closing needs none, and for records that free.
constexpr std::uint64_t close_mark_bytes = record_header_bytes;
constexpr std::uint64_t kept_back_bytes_max = 64u << 10;

// EFBIG: a limit of this process on the size of files.
bool is_no_room(const IoError& error) {
    return error.code == ENOSPC || error.code == EDQUOT || error.code == EFBIG;
}
// Too many open files, or no memory for one more: as harmless, and as likely to pass.
bool is_no_descriptor(const IoError& error) {
    return error.code == EMFILE || error.code == ENFILE || error.code == ENOMEM;
}

struct NoRoom {
    IoError error;
};

// Runs one step of preparing a file; where that finds no room, nothing is lost and it may be tried again
// later.
template <typename Step>
void prepare(Step&& step) {
    try {
        step();
    } catch (const IoError& error) {
        if (is_no_room(error) || is_no_descriptor(error)) throw NoRoom{error};
        throw;
    }
}

// A file made ready beside the log, under a name that recovery does not read.
struct Spare {
    std::string path;
    std::unique_ptr<File> file;
};

// Keeps one file of full size ready, made or recycled by a thread of its own that starts when it is first
// needed.
//
// Thread safety: every method may be called from any thread.
class SpareMaker {
  public:
    SpareMaker(std::shared_ptr<FileSystem> files, std::string directory, std::uint64_t file_bytes)
        : files_(std::move(files)), directory_(std::move(directory)), file_bytes_(file_bytes) {}

    ~SpareMaker() { stop(); }

    std::string next_path() {
        return directory_ + "/spare-" + std::to_string(names_.fetch_add(1) + 1) + ".log";
    }

    // Asks for a spare where there is none and none is on its way.
    void want() { ask(""); }

    // Gives a file, already renamed to a spare's name, to become the spare. False: there is one; remove it.
    bool recycle(const std::string& path) { return ask(path); }

    std::optional<Spare> take() {
        const std::lock_guard<std::mutex> hold(mutex_);
        return std::exchange(ready_, std::nullopt);
    }

    // Waits until what was given to be recycled holds nothing of its old life, or is gone.
    void settle() {
        std::unique_lock<std::mutex> lock(mutex_);
        settled_.wait(lock, [this] { return stopping_.load() || (!working_ && !request_); });
    }

    // Ends the thread and removes the spare.
    void stop() {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            stopping_.store(true);
        }
        wanted_.notify_all();
        settled_.notify_all();
        if (thread_.joinable()) thread_.join();
        std::optional<Spare> left = take();
        if (left) discard(left->path);
    }

  private:
    bool ask(const std::string& recycled) {
        const std::lock_guard<std::mutex> hold(mutex_);
        if (stopping_.load() || ready_ || working_ || request_) return false;
        if (!thread_.joinable()) {
            try {
                thread_ = std::thread([this] { run(); });
            } catch (const std::system_error&) {
                return false;  // a spare saves time, and is never needed
            }
        }
        request_ = recycled;
        wanted_.notify_all();
        return true;
    }

    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wanted_.wait(lock, [this] { return stopping_.load() || request_.has_value(); });
            if (stopping_.load()) return;
            const std::string recycled = *std::exchange(request_, std::nullopt);
            working_ = true;
            lock.unlock();
            std::optional<Spare> made = make(recycled);
            lock.lock();
            working_ = false;
            ready_ = std::move(made);
            settled_.notify_all();
        }
    }

    // No spare where anything fails: the log then makes its next file itself, and meets the failure there.
    std::optional<Spare> make(const std::string& recycled) {
        const std::string path = recycled.empty() ? next_path() : recycled;
        try {
            std::unique_ptr<File> file =
                files_->open(path, recycled.empty() ? OpenMode::create : OpenMode::write);
            if (recycled.empty()) {
                // In steps, so that a closing log does not wait for all of it.
                for (std::uint64_t size = 0; size < file_bytes_ && !stopping_.load();) {
                    size = std::min(file_bytes_, size + growth_bytes_max);
                    file->preallocate(size);
                }
            } else {
                const std::string zeros(zeros_bytes, '\0');
                for (std::uint64_t at = 0; at < file_bytes_ && !stopping_.load();) {
                    const auto step =
                        static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), file_bytes_ - at));
                    file->write_at(at, zeros.data(), step);
                    at += step;
                }
            }
            if (stopping_.load()) {
                discard(path);
                return std::nullopt;
            }
            file->sync();
            return Spare{path, std::move(file)};
        } catch (const std::exception&) {
            discard(path);
            return std::nullopt;
        }
    }

    void discard(const std::string& path) {
        try {
            files_->remove(path);
        } catch (const std::exception&) {
            // The next open removes what is left.
        }
    }

    const std::shared_ptr<FileSystem> files_;
    const std::string directory_;
    const std::uint64_t file_bytes_;
    std::atomic<std::uint64_t> names_{0};
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::condition_variable settled_;
    std::thread thread_;
    std::atomic<bool> stopping_{false};
    bool working_ = false;
    std::optional<std::string> request_;  // the path to recycle, empty for a new file
    std::optional<Spare> ready_;
};

// What an exception says; short where there is no memory for more.
std::string text_of(const std::exception& error) noexcept {
    try {
        return error.what();
    } catch (const std::bad_alloc&) {
        return "out of memory";
    }
}

class FileLog final : public Log {
  public:
    FileLog(std::shared_ptr<FileSystem> files, std::string directory, const LogOptions& options,
            std::shared_ptr<RandomSource> random)
        : files_(std::move(files)),
          directory_(std::move(directory)),
          file_bytes_(std::max<std::uint64_t>(options.file_bytes, file_header_bytes + 64)),
          kept_back_bytes_(std::min(file_bytes_ / 4, kept_back_bytes_max)),
          history_bytes_max_(options.history_bytes),
          random_(std::move(random)),
          spare_maker_(std::make_unique<SpareMaker>(files_, directory_, file_bytes_)) {}

    ~FileLog() override {
        if (::getpid() == owner_) return;
        // In a forked child the thread, and whoever waited, are not there to be waited for; ending what they
        // use would wait for them all the same.
        static_cast<void>(spare_maker_.release());
        static_cast<void>(conditions_.release());
    }

    // Called once, before any other method.
    void recover(const Visitor& visit, LogRecovery& recovery);

    std::uint64_t append(RecordType type, std::string_view head, std::string_view body,
                         std::uint64_t drops_known, bool frees) override;
    std::uint64_t drops() const override { return drops_.load(std::memory_order_acquire); }
    void flush(std::uint64_t lsn, bool sync) override;
    std::uint64_t last() const override { return last_.load(std::memory_order_acquire); }
    std::uint64_t written() const override { return written_.load(std::memory_order_acquire); }
    std::uint64_t durable() const override { return durable_.load(std::memory_order_acquire); }
    std::uint64_t syncs() const override { return syncs_.load(std::memory_order_relaxed); }
    std::uint64_t bytes() const override;
    void release(std::uint64_t lsn) override { let_go(lsn, false); }
    std::vector<LogFile> hold_files() override;
    void release_files() override;
    void read(std::uint64_t number, const Reading& visit) override;
    void forget_history(std::uint64_t number) override;
    void roll() override;
    void wipe(std::uint64_t lsn) override;
    void close() override;

  private:
    struct Dropped {
        std::uint64_t first;
        std::uint64_t last;
        IoError error;
    };
    struct Conditions {
        std::condition_variable write_done;
        std::condition_variable sync_done;
    };
    using Lock = std::unique_lock<std::mutex>;

    std::string path_of(std::uint64_t number) const { return directory_ + "/" + file_name(number); }
    void wait_until_written(Lock& lock, std::uint64_t lsn);
    void wait_until_durable(Lock& lock, std::uint64_t lsn);
    void throw_if_failed(std::uint64_t lsn) const;
    void poison(const std::string& message) noexcept;
    // The steps of the one who writes. REQUIRES: writing_ is ours, mutex_ is not held.
    void write_buffer(std::string& buffer, std::uint64_t& wrote);
    void write_run(std::string_view run, std::uint64_t last_lsn, std::uint64_t& wrote);
    void start_file(std::uint64_t number, std::uint64_t first_lsn, std::string_view records,
                    std::uint64_t old_salt, std::uint64_t previous_salt, std::uint64_t room_bytes,
                    bool cramped = false);
    void begin_life(const LogReplay& replay, LogRecovery& recovery, bool cramped);
    void give_back_room(const LogReplay& replay);
    void cut_file(std::uint64_t number, std::uint64_t bytes);
    void wipe(std::uint64_t offset, std::size_t size);
    void let_go(std::uint64_t lsn, bool zeroed);
    void trim_history(bool zeroed);
    bool free_history();
    template <typename Step>
    void prepare_with_history(Step&& step);
    void zero_and_remove(const std::string& path);
    void begin_syncing();
    void end_syncing();
    void roll(std::uint64_t wrote, std::uint64_t room_bytes);
    void drop_unwritten(Lock& lock, const IoError& error);
    void keep_torn(const LogReplay& replay, LogRecovery& recovery);

    const std::shared_ptr<FileSystem> files_;
    const std::string directory_;
    const std::uint64_t file_bytes_;
    const std::uint64_t kept_back_bytes_;
    const std::uint64_t history_bytes_max_;
    const std::shared_ptr<RandomSource> random_;
    const pid_t owner_ = ::getpid();
    // Thrown where there is no memory to say more.
    const Poisoned poisoned_{"the log takes no more writes until it is opened again: out of memory"};
    const OutcomeUnknown outcome_unknown_{
        "the commit was handed to the disk, and may or may not be there after a reopen: out of memory"};
    std::unique_ptr<SpareMaker> spare_maker_;
    SpareMaker& spares_ = *spare_maker_;

    // Guards everything below, but for what belongs to the writer. Held for moments, never while a file is
    // touched, but by release().
    mutable std::mutex mutex_;
    std::unique_ptr<Conditions> conditions_ = std::make_unique<Conditions>();
    std::condition_variable& write_done_ = conditions_->write_done;
    std::condition_variable& sync_done_ = conditions_->sync_done;
    std::string pending_;  // records without their header checksums, in order
    bool all_pending_free_ = true;
    std::uint64_t next_lsn_ = 1;  // the number of the next record; numbers are given once
    std::uint64_t skipped_ = 0;   // numbers dropped just before next_lsn_
    std::uint64_t handed_ = 0;    // the last record that was given to a write
    bool writing_ = false;
    bool syncing_ = false;
    bool closed_ = false;
    std::string poison_;
    std::vector<Dropped> dropped_;    // in order; grows only as disks fill again and again
    std::vector<LogFileExtent> old_;  // older files, oldest first
    LogHistory history_{*files_, directory_};
    std::uint64_t forgotten_ = 0;  // files of the history up to this number are not to be kept
    int held_ = 0;                 // by who reads files: none is given up
    bool zeroing_ = false;         // what is given up now is overwritten first
    std::shared_ptr<File> file_;   // replaced by the writer under mutex_
    LogFileExtent current_;        // the same; used_bytes is the writer's own `position_`, published

    // The writer's own.
    std::string writing_buffer_;
    bool all_writing_free_ = true;
    std::uint64_t salt_ = 0;
    std::uint64_t position_ = 0;
    std::uint64_t allocated_ = 0;

    std::atomic<std::uint64_t> last_{0};
    std::atomic<std::uint64_t> written_{0};
    std::atomic<std::uint64_t> durable_{0};
    std::atomic<std::uint64_t> syncs_{0};
    std::atomic<std::uint64_t> drops_{0};
};

void FileLog::keep_torn(const LogReplay& replay, LogRecovery& recovery) {
    const std::string torn_file = file_name(replay.files.back().number);
    std::string kept_as = torn_file + ".torn";
    // What an earlier cut kept stays; a recovery that was itself cut short keeps the same bytes once.
    for (unsigned copy = 2; files_->exists(directory_ + "/" + kept_as); ++copy) {
        if (files_->read_file(directory_ + "/" + kept_as) == replay.torn) break;
        kept_as = torn_file + "." + std::to_string(copy) + ".torn";
    }
    files_->write_atomic(directory_ + "/" + kept_as, replay.torn);
    recovery.torn_bytes = replay.torn.size();
    recovery.torn_file = torn_file;
    recovery.kept_as = kept_as;
}

void FileLog::recover(const Visitor& visit, LogRecovery& recovery) {
    LogReplay replay = replay_log(*files_, directory_, visit, recovery);
    for (const std::string& name : files_->list(directory_)) {
        if (name.starts_with("spare-") && name.ends_with(".log")) files_->remove(directory_ + "/" + name);
    }
    history_.load(replay.files.empty() ? 1 : replay.files.front().number);
    next_lsn_ = replay.last_lsn + 1;
    last_ = written_ = durable_ = handed_ = replay.last_lsn;
    try {
        try {
            begin_life(replay, recovery, false);
        } catch (const NoRoom&) {
            if (replay.files.empty()) throw;
            give_back_room(replay);
            begin_life(replay, recovery, true);
        }
    } catch (const NoRoom& no_room) {
        throw no_room.error;
    }
}

// Makes what was read durable again, in a file that takes what comes; with `cramped` in as small a one as can
// be.
void FileLog::begin_life(const LogReplay& replay, LogRecovery& recovery, bool cramped) {
    if (!replay.torn.empty()) prepare([&] { keep_torn(replay, recovery); });
    old_ = replay.files;
    std::uint64_t number = 1;
    std::uint64_t first_lsn = next_lsn_;
    std::string_view records = replay.tail;
    bool cut_older = false;
    std::uint64_t previous_salt = 0;
    if (!old_.empty()) {
        LogFileExtent& tail = old_.back();
        if (tail.used_bytes <= whole_copy_bytes_max && !cramped) {
            number = tail.number;
            first_lsn = tail.first_lsn;
            previous_salt = replay.tail_previous_salt;
            old_.pop_back();
        } else {
            cut_older = true;
            number = tail.number + 1;
            previous_salt = replay.tail_salt;
            first_lsn = std::max(replay.known_durable_lsn + 1, tail.first_lsn);
            while (!records.empty()) {
                const std::optional<RecordHeader> header = decode_record_header(records, replay.tail_salt);
                if (header->lsn >= first_lsn) break;
                records.remove_prefix(static_cast<std::size_t>(record_bytes(header->payload_bytes)));
            }
            tail.used_bytes = file_header_bytes + replay.tail.size() - records.size();
        }
    }
    start_file(number, first_lsn, records, replay.tail_salt, previous_salt, 0, cramped);
    if (cut_older) {
        // Gives back what was preallocated and never used; what stood beyond no longer counts.
        cut_file(old_.back().number, old_.back().used_bytes);
    }
}

// What the last life kept for itself makes room for this one: its zeros, and nothing that was written.
void FileLog::give_back_room(const LogReplay& replay) {
    cut_file(replay.files.back().number, replay.files.back().used_bytes + replay.torn.size());
}

void FileLog::cut_file(std::uint64_t number, std::uint64_t bytes) {
    const std::unique_ptr<File> file = files_->open(path_of(number), OpenMode::write);
    if (file->size() > bytes) {
        file->truncate(bytes);
        file->sync();
    }
    file->close();
}

// Makes a file that begins with `records` (sealed again with its own salt), durable with its name before it
// is used. REQUIRES: every record up to written_ is durable, or among `records`.
void FileLog::start_file(std::uint64_t number, std::uint64_t first_lsn, std::string_view records,
                         std::uint64_t old_salt, std::uint64_t previous_salt, std::uint64_t room_bytes,
                         bool cramped) {
    // True of the records copied here too: the file has its name only once it is synced.
    const FileHeader header{random_->next_u64(), number, first_lsn, written_.load(), previous_salt};
    std::string bytes = encode_file_header(header);
    bytes.append(records);
    for (std::size_t at = file_header_bytes; at < bytes.size();) {
        const RecordHeader record = *decode_record_header(std::string_view(bytes).substr(at), old_salt);
        encode_record_header(record, header.salt, &bytes[at]);
        at += static_cast<std::size_t>(record_bytes(record.payload_bytes));
    }
    const std::uint64_t needed = bytes.size() + room_bytes + close_mark_bytes + kept_back_bytes_;
    std::optional<Spare> spare = spares_.take();
    std::string path;
    std::unique_ptr<File> file;
    try {
        if (spare) {
            path = spare->path;
            file = std::move(spare->file);
        } else {
            path = spares_.next_path();
            prepare([&] { file = files_->open(path, OpenMode::create); });
        }
        prepare_with_history([&] {
            if (file->size() < needed) {
                const std::uint64_t wanted =
                    std::max(needed, cramped ? 0 : std::min(file_bytes_, growth_bytes_min));
                try {
                    file->preallocate(wanted);
                } catch (const IoError& error) {
                    if (!is_no_room(error) || wanted == needed) throw;
                    file->preallocate(needed);
                }
            }
            file->write_at(0, bytes.data(), bytes.size());
            file->sync();
            // Whether a descriptor for the directory is to be had is better known before the rename.
            static_cast<void>(files_->list(directory_));
            files_->rename(path, path_of(number));
        });
    } catch (...) {
        if (file) {
            file.reset();
            try {
                files_->remove(path);
            } catch (const Error&) {
            }
        }
        throw;
    }
    files_->sync_directory(directory_);
    const std::uint64_t size = file->size();
    const std::lock_guard<std::mutex> hold(mutex_);
    file_ = std::move(file);
    salt_ = header.salt;
    position_ = bytes.size();
    allocated_ = size;
    current_ = {number, first_lsn, position_};
}

std::uint64_t FileLog::append(RecordType type, std::string_view head, std::string_view body,
                              std::uint64_t drops_known, bool frees) {
    if (head.size() > payload_bytes_max || body.size() > payload_bytes_max - head.size()) {
        throw Error("a commit of " + std::to_string(head.size() + body.size()) +
                    " bytes does not fit a log record; write it as several");
    }
    RecordHeader header;
    header.type = static_cast<std::uint8_t>(type);
    header.payload_bytes = static_cast<std::uint32_t>(head.size() + body.size());
    header.payload_crc = crc32c_extend(crc32c(head), body);
    const auto size = static_cast<std::size_t>(record_bytes(header.payload_bytes));

    const std::lock_guard<std::mutex> hold(mutex_);
    if (!poison_.empty()) throw Poisoned(poison_);
    if (closed_) throw Poisoned("the log in " + directory_ + " is closed; open it again to write");
    if (drops_known < drops_.load()) throw dropped_.back().error;
    if (skipped_ > std::numeric_limits<std::uint16_t>::max()) {
        poison("too many commits were refused for want of room; open the database again");
        throw Poisoned(poison_);
    }
    header.lsn = next_lsn_;
    header.skipped = static_cast<std::uint16_t>(skipped_);
    const std::size_t at = pending_.size();
    if (pending_.capacity() < at + size) pending_.reserve(std::max(at + size, 2 * pending_.capacity()));
    // The checksum is made again by the writer, who knows the salt and what is durable by then.
    char encoded[record_header_bytes];
    encode_record_header(header, 0, encoded);
    pending_.append(encoded, record_header_bytes).append(head).append(body);
    pending_.resize(at + size);
    if (!frees) all_pending_free_ = false;
    skipped_ = 0;
    last_.store(next_lsn_, std::memory_order_release);
    return next_lsn_++;
}

void FileLog::flush(std::uint64_t lsn, bool sync) {
    Lock lock(mutex_);
    wait_until_written(lock, lsn);
    if (sync) wait_until_durable(lock, lsn);
}

// REQUIRES: mutex_ is held.
void FileLog::throw_if_failed(std::uint64_t lsn) const {
    for (const Dropped& dropped : dropped_) {
        if (dropped.first <= lsn && lsn <= dropped.last) throw dropped.error;
    }
    if (poison_.empty() || lsn <= durable_.load()) return;
    try {
        if (lsn <= handed_) {
            throw OutcomeUnknown(
                "log record " + std::to_string(lsn) +
                " was handed to the disk, and may or may not be there after a reopen: " + poison_);
        }
        throw Poisoned(poison_);
    } catch (const std::bad_alloc&) {
        // Copies of what was made beforehand take no memory.
        if (lsn <= handed_) throw outcome_unknown_;
        throw poisoned_;
    }
}

// REQUIRES: mutex_ is held.
void FileLog::poison(const std::string& message) noexcept {
    if (poison_.empty()) {
        try {
            poison_ =
                "the log in " + directory_ + " takes no more writes until it is opened again: " + message;
        } catch (const std::bad_alloc&) {
            poison_ = "out of memory";
        }
    }
    write_done_.notify_all();
    sync_done_.notify_all();
}

void FileLog::wait_until_written(Lock& lock, std::uint64_t lsn) {
    for (;;) {
        throw_if_failed(lsn);
        if (lsn <= written_.load()) return;
        if (lsn >= next_lsn_) throw Error("there is no log record " + std::to_string(lsn));
        if (writing_) {
            write_done_.wait(lock);
            continue;
        }
        writing_ = true;
        writing_buffer_.swap(pending_);
        all_writing_free_ = std::exchange(all_pending_free_, true);
        handed_ = next_lsn_ - 1;
        std::uint64_t wrote = written_.load();
        lock.unlock();
        std::optional<IoError> no_room;
        std::string failure;
        try {
            write_buffer(writing_buffer_, wrote);
        } catch (const NoRoom& caught) {
            try {
                no_room = caught.error;
            } catch (const std::bad_alloc& error) {
                failure = text_of(error);
            }
        } catch (const std::exception& error) {
            failure = text_of(error);
        }
        writing_buffer_.clear();
        if (writing_buffer_.capacity() > kept_buffer_bytes_max) std::string().swap(writing_buffer_);
        lock.lock();
        writing_ = false;
        current_.used_bytes = position_;
        written_.store(wrote, std::memory_order_release);
        if (!failure.empty()) poison(failure);
        try {
            if (no_room) drop_unwritten(lock, *no_room);
        } catch (const std::bad_alloc& error) {
            poison(text_of(error));
        }
        write_done_.notify_all();
    }
}

void FileLog::drop_unwritten(Lock&, const IoError& error) {
    const std::uint64_t first = written_.load() + 1;
    const std::uint64_t last = next_lsn_ - 1;
    if (!dropped_.empty() && first <= dropped_.back().first) {
        // Nothing was written since the last time: one gap.
        dropped_.back() = {dropped_.back().first, last, error};
    } else {
        dropped_.push_back({first, last, error});
    }
    pending_.clear();
    all_pending_free_ = true;
    skipped_ = last - written_.load();
    handed_ = written_.load();
    last_.store(written_.load(), std::memory_order_release);
    drops_.fetch_add(1, std::memory_order_release);
}

// Writes the records of `buffer`, and sets `wrote` to the last that was. Throws NoRoom between two records,
// or before any byte of one was written.
void FileLog::write_buffer(std::string& buffer, std::uint64_t& wrote) {
    std::size_t run = 0;
    std::size_t at = 0;
    std::uint64_t run_lsn = wrote;
    const auto write_so_far = [&] {
        if (at > run) write_run(std::string_view(buffer).substr(run, at - run), run_lsn, wrote);
        run = at;
    };
    while (at < buffer.size()) {
        RecordHeader header = *decode_record_header(std::string_view(buffer).substr(at), 0);
        const std::uint64_t size = record_bytes(header.payload_bytes);
        const std::uint64_t end = position_ + (at - run) + size + close_mark_bytes;
        // A record larger than a file gets a file of its own size.
        const bool is_first = position_ + (at - run) == file_header_bytes;
        if (end + kept_back_bytes_ > file_bytes_ && !is_first) {
            write_so_far();
            try {
                roll(wrote, size);
            } catch (const NoRoom&) {
                if (!all_writing_free_ || position_ + size + close_mark_bytes > allocated_) throw;
            }
        }
        header.known_durable_lsn = durable_.load(std::memory_order_acquire);
        encode_record_header(header, salt_, &buffer[at]);
        at += static_cast<std::size_t>(size);
        run_lsn = header.lsn;
    }
    write_so_far();
    if (2 * position_ > file_bytes_ && file_bytes_ >= spare_bytes_min) spares_.want();
}

void FileLog::write_run(std::string_view run, std::uint64_t last_lsn, std::uint64_t& wrote) {
    const std::uint64_t end = position_ + run.size();
    const std::uint64_t needed = end + close_mark_bytes;
    if (needed + kept_back_bytes_ > allocated_) {
        const std::uint64_t step = std::clamp(allocated_, growth_bytes_min, growth_bytes_max);
        const std::uint64_t least = needed + kept_back_bytes_;
        const auto grow = [&](std::uint64_t size) {
            prepare_with_history([&] { file_->preallocate(size); });
            allocated_ = size;
        };
        try {
            try {
                grow(std::max(least, std::min(file_bytes_, allocated_ + step)));
            } catch (const NoRoom&) {
                // Of little room, only what is needed.
                grow(least);
            }
        } catch (const NoRoom&) {
            if (!all_writing_free_ || needed > allocated_) throw;
        }
    }
    try {
        file_->write_at(position_, run.data(), run.size());
    } catch (const IoError& error) {
        if (!is_no_room(error)) throw;
        wipe(position_, run.size());
        throw NoRoom{error};
    }
    position_ = end;
    wrote = last_lsn;
}

// Takes back what a write without room has left of records that are refused, so that no recovery finds them
// whole: where blocks were assigned beforehand a write has room, but not on every file system.
void FileLog::wipe(std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    bytes.resize(file_->read_at(offset, bytes.data(), size));
    const std::size_t used = without_trailing_zeros(bytes).size();
    if (used == 0) return;
    bytes.assign(used, '\0');
    begin_syncing();
    try {
        file_->write_at(offset, bytes.data(), used);
        file_->sync_data();
    } catch (...) {
        end_syncing();
        throw;
    }
    end_syncing();
}

// One sync at a time: of two at once the system may tell only one that it failed.
void FileLog::begin_syncing() {
    Lock lock(mutex_);
    while (syncing_) sync_done_.wait(lock);
    if (!poison_.empty()) throw Error(poison_);
    syncing_ = true;
}

void FileLog::end_syncing() {
    const std::lock_guard<std::mutex> hold(mutex_);
    syncing_ = false;
    sync_done_.notify_all();
}

// Ends the present file and starts the next.
void FileLog::roll(std::uint64_t wrote, std::uint64_t room_bytes) {
    // Kept until the old file is closed: nobody else may sync it meanwhile.
    begin_syncing();
    try {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            current_.used_bytes = position_;
            written_.store(wrote, std::memory_order_release);
        }
        // The next file's being there says that all of this one is durable.
        file_->sync_data();
        durable_.store(wrote, std::memory_order_release);
        const LogFileExtent finished = current_;
        const std::shared_ptr<File> finished_file = file_;
        start_file(finished.number + 1, wrote + 1, {}, 0, salt_, room_bytes);
        finished_file->close();
        const std::lock_guard<std::mutex> hold(mutex_);
        old_.push_back(finished);
    } catch (...) {
        end_syncing();
        throw;
    }
    end_syncing();
}

void FileLog::wait_until_durable(Lock& lock, std::uint64_t lsn) {
    for (;;) {
        throw_if_failed(lsn);
        if (lsn <= durable_.load()) return;
        if (syncing_) {
            sync_done_.wait(lock);
            continue;
        }
        syncing_ = true;
        const std::uint64_t target = written_.load();
        const std::shared_ptr<File> file = file_;
        lock.unlock();
        std::string failure;
        try {
            file->sync_data();
        } catch (const std::exception& error) {
            failure = text_of(error);
        }
        lock.lock();
        syncing_ = false;
        if (failure.empty()) {
            durable_.store(target, std::memory_order_release);
            syncs_.fetch_add(1, std::memory_order_relaxed);
        } else {
            poison(failure);
        }
        sync_done_.notify_all();
    }
}

std::uint64_t FileLog::bytes() const {
    const std::lock_guard<std::mutex> hold(mutex_);
    std::uint64_t total = current_.used_bytes;
    for (const LogFileExtent& file : old_) total += file.used_bytes;
    return total;
}

void FileLog::let_go(std::uint64_t lsn, bool zeroed) {
    const std::lock_guard<std::mutex> hold(mutex_);
    if (!poison_.empty()) throw Poisoned(poison_);
    // The oldest first, so that a crash leaves no gap.
    while (!old_.empty()) {
        const std::uint64_t next_first = old_.size() > 1 ? old_[1].first_lsn : current_.first_lsn;
        if (next_first > lsn + 1) break;
        // Looking at it changes nothing: where no more files can be opened, it is let go of another time.
        const LogFileExtent prepared = history_.prepare(old_.front());
        try {
            history_.keep(prepared);
            old_.erase(old_.begin());
            // So that no crash brings it back under its old name once a later file is gone.
            history_.sync();
        } catch (const std::bad_alloc&) {
            // It is kept another time.
            throw;
        } catch (const std::exception& error) {
            poison(error.what());
            throw;
        }
    }
    if (zeroed) forgotten_ = std::max(forgotten_, current_.number - 1);
    trim_history(zeroed);
}

// Gives up what is more than is to be kept, the oldest first. REQUIRES: mutex_ is held.
void FileLog::trim_history(bool zeroed) {
    while (!history_.empty() && !held_ &&
           (history_.bytes() > history_bytes_max_ || history_.files().front().number <= forgotten_)) {
        const std::string path = history_.path_of(history_.files().front().number);
        // Looking at it changes nothing: where no more files can be opened, it is given up another time.
        const bool is_full_size =
            file_bytes_ >= spare_bytes_min && files_->open(path, OpenMode::read)->size() == file_bytes_;
        const std::string spare = spares_.next_path();
        try {
            history_.give_up_oldest(spare);
            // Before its bytes are overwritten, so that no crash brings the file back under its old name.
            history_.sync();
            if (zeroed) {
                zero_and_remove(spare);
            } else if (!is_full_size || !spares_.recycle(spare)) {
                files_->remove(spare);
            }
        } catch (const std::bad_alloc&) {
            // What has a spare's name by now goes at the next opening.
            throw;
        } catch (const std::exception& error) {
            poison(error.what());
            throw;
        }
    }
}

void FileLog::forget_history(std::uint64_t number) {
    const std::lock_guard<std::mutex> hold(mutex_);
    if (!poison_.empty()) return;
    forgotten_ = std::max(forgotten_, number);
    trim_history(false);
}

// What others might want to read back makes room for what is to be written. False where there is none of it.
bool FileLog::free_history() {
    const std::lock_guard<std::mutex> hold(mutex_);
    if (history_.empty() || held_) return false;
    history_.remove_all();
    return true;
}

// As prepare; where there is no room, the history is given up and the step is done again.
template <typename Step>
void FileLog::prepare_with_history(Step&& step) {
    try {
        prepare(step);
    } catch (const NoRoom& no_room) {
        if (!is_no_room(no_room.error) || !free_history()) throw;
        prepare(step);
    }
}

std::vector<LogFile> FileLog::hold_files() {
    const std::lock_guard<std::mutex> hold(mutex_);
    std::vector<LogFile> files;
    for (const LogFileExtent& file : history_.files()) files.push_back({file.number, file.first_lsn});
    for (const LogFileExtent& file : old_) files.push_back({file.number, file.first_lsn});
    files.push_back({current_.number, current_.first_lsn});
    held_++;
    return files;
}

void FileLog::release_files() {
    const std::lock_guard<std::mutex> hold(mutex_);
    held_--;
    sync_done_.notify_all();
    if (poison_.empty()) trim_history(zeroing_);
}

void FileLog::read(std::uint64_t number, const Reading& visit) {
    std::unique_ptr<File> file;
    std::string path;
    std::uint64_t end = 0;
    std::uint64_t end_lsn = std::numeric_limits<std::uint64_t>::max();
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        const LogFileExtent* wanted = nullptr;
        // What the next file begins with was copied there by a recovery, and counts there alone.
        const auto look = [&](const LogFileExtent& one) {
            if (one.number == number) wanted = &one;
            if (one.number == number + 1) end_lsn = one.first_lsn;
        };
        for (const LogFileExtent& one : history_.files()) look(one);
        const bool kept = wanted != nullptr;
        for (const LogFileExtent& one : old_) look(one);
        look(current_);
        if (!wanted) throw Error("the log has no file " + std::to_string(number) + " any more");
        path = kept ? history_.path_of(number) : path_of(number);
        end = wanted->used_bytes;
        file = files_->open(path, OpenMode::read);
    }
    std::string buffer(file_header_bytes, '\0');
    buffer.resize(file->read_at(0, buffer.data(), buffer.size()));
    const std::uint64_t salt = decode_file_header(path, buffer).salt;
    buffer.clear();
    std::uint64_t position = file_header_bytes;  // of what is read next
    std::size_t at = 0;                          // in the buffer
    // Reads on, until so many bytes are at hand or the file ends.
    const auto have = [&](std::uint64_t bytes) {
        if (buffer.size() - at >= bytes) return true;
        buffer.erase(0, at);
        at = 0;
        const std::size_t before = buffer.size();
        const std::uint64_t step =
            std::min(std::max<std::uint64_t>(bytes, read_bytes), end > position ? end - position : 0);
        buffer.resize(before + static_cast<std::size_t>(step));
        const std::size_t got = file->read_at(position, buffer.data() + before, buffer.size() - before);
        buffer.resize(before + got);
        position += got;
        return buffer.size() >= bytes;
    };
    while (have(record_header_bytes)) {
        const auto header = decode_record_header(std::string_view(buffer).substr(at), salt);
        if (!header || header->lsn >= end_lsn || !have(record_bytes(header->payload_bytes))) break;
        const auto record = decode_record(std::string_view(buffer).substr(at), salt);
        if (!record) {
            throw Corruption(path, position - (buffer.size() - at),
                             "a record of the log's history does not verify");
        }
        const std::string_view payload(buffer.data() + at + record_header_bytes, record->payload_bytes);
        if (!visit(static_cast<RecordType>(record->type), record->lsn, payload)) return;
        at += static_cast<std::size_t>(record_bytes(record->payload_bytes));
    }
}

void FileLog::zero_and_remove(const std::string& path) {
    const std::unique_ptr<File> file = files_->open(path, OpenMode::write);
    const std::string zeros(zeros_bytes, '\0');
    const std::uint64_t size = file->size();
    for (std::uint64_t at = 0; at < size; at += zeros.size()) {
        const std::uint64_t step = std::min<std::uint64_t>(zeros.size(), size - at);
        file->write_at(at, zeros.data(), static_cast<std::size_t>(step));
    }
    file->sync();
    file->close();
    files_->remove(path);
    files_->sync_directory(directory_);
}

void FileLog::wipe(std::uint64_t lsn) {
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        zeroing_ = true;
    }
    try {
        for (;;) {
            let_go(lsn, true);
            Lock lock(mutex_);
            if (history_.empty()) break;
            // Somebody reads it, and is soon done.
            while (held_) sync_done_.wait(lock);
        }
    } catch (...) {
        const std::lock_guard<std::mutex> hold(mutex_);
        zeroing_ = false;
        throw;
    }
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        zeroing_ = false;
    }
    spares_.settle();
}

void FileLog::roll() {
    flush(last(), true);
    Lock lock(mutex_);
    while (writing_ && poison_.empty()) write_done_.wait(lock);
    if (!poison_.empty()) throw Poisoned(poison_);
    // The writer's part, with nothing to write.
    writing_ = true;
    const std::uint64_t wrote = written_.load();
    lock.unlock();
    std::exception_ptr failed;
    std::string fatal;
    try {
        roll(wrote, 0);
    } catch (const NoRoom& no_room) {
        failed = std::make_exception_ptr(no_room.error);
    } catch (const std::exception& error) {
        failed = std::current_exception();
        fatal = text_of(error);
    }
    lock.lock();
    writing_ = false;
    if (failed && !fatal.empty()) poison(fatal);
    write_done_.notify_all();
    if (failed) std::rethrow_exception(failed);
}

void FileLog::close() {
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        if (closed_) return;
        if (!poison_.empty()) throw Poisoned(poison_);
    }
    // First everything, then the mark, which so can say that everything is durable.
    flush(last(), true);
    flush(append(RecordType::clean_close, {}, {}, ~std::uint64_t{0}, true), true);
    spares_.stop();
    Lock lock(mutex_);
    while (writing_ || syncing_) (writing_ ? write_done_ : sync_done_).wait(lock);
    if (closed_) return;
    closed_ = true;
    try {
        file_->truncate(position_);
        file_->sync();
        file_->close();
    } catch (const std::exception& error) {
        poison(error.what());
        throw;
    }
}

}  // namespace

std::unique_ptr<Log> Log::open(std::shared_ptr<FileSystem> files, std::string directory,
                               const LogOptions& options, std::shared_ptr<RandomSource> random,
                               const Visitor& visit, LogRecovery& recovery) {
    recovery = {};
    auto log = std::make_unique<FileLog>(std::move(files), std::move(directory), options, std::move(random));
    log->recover(visit, recovery);
    return log;
}

}  // namespace kalam
