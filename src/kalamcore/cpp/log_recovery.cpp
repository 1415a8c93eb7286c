#include "log_recovery.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "errors.hpp"
#include "log_format.hpp"

namespace kalam {
namespace {

using namespace log_format;

// Whether some record at or after `from` says that record `lsn` was durable when it was written.
bool proven_durable(std::string_view bytes, std::size_t from, std::uint64_t salt, std::uint64_t lsn) {
    for (std::size_t at = from; at + record_header_bytes <= bytes.size(); at += alignment) {
        const std::optional<RecordHeader> header = decode_record_header(bytes.substr(at), salt);
        if (header && header->lsn > lsn && header->known_durable_lsn >= lsn &&
            header->known_durable_lsn < header->lsn) {
            return true;
        }
    }
    return false;
}

[[noreturn]] void refuse(const std::string& path, std::uint64_t offset, std::uint64_t lsn,
                         const std::string& why) {
    throw Corruption(path, offset,
                     "log record " + std::to_string(lsn) + " does not verify, and " + why +
                         "; restore a backup, or run `kalam repair`, which says what it would drop before it "
                         "drops anything");
}

}  // namespace

std::string_view without_trailing_zeros(std::string_view bytes) {
    std::size_t end = bytes.size();
    // By words: nearly all of a preallocated file may be zeros.
    for (std::uint64_t word = 0; end >= sizeof word; end -= sizeof word) {
        std::memcpy(&word, bytes.data() + end - sizeof word, sizeof word);
        if (word != 0) break;
    }
    while (end > 0 && bytes[end - 1] == '\0') --end;
    return bytes.substr(0, end);
}

LogReplay replay_log(FileSystem& files, const std::string& directory, const Log::Visitor& visit,
                     LogRecovery& recovery, std::uint64_t before) {
    LogReplay replay;
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : files.list(directory)) {
        const std::optional<std::uint64_t> number = file_number(name);
        if (number && *number < before) numbers.push_back(*number);
    }
    std::sort(numbers.begin(), numbers.end());

    std::vector<FileHeader> headers;
    for (std::size_t index = 0; index < numbers.size(); ++index) {
        const std::string path = directory + "/" + file_name(numbers[index]);
        if (index > 0 && numbers[index] != numbers[index - 1] + 1) {
            throw Corruption(directory + "/" + file_name(numbers[index - 1] + 1), 0,
                             "a file of the log is missing, and later ones are there; put it back, restore a "
                             "backup, or run `kalam repair`, which says what it would drop");
        }
        const std::unique_ptr<File> file = files.open(path, OpenMode::read);
        std::string bytes(file_header_bytes, '\0');
        bytes.resize(file->read_at(0, bytes.data(), bytes.size()));
        headers.push_back(decode_file_header(path, bytes));
        if (headers.back().number != numbers[index]) {
            throw Corruption(path, 24,
                             "this is log file " + std::to_string(headers.back().number) +
                                 " under another name; put the right file back, or restore a backup");
        }
        if (index > 0 && headers[index].previous_salt != 0 &&
            headers[index].previous_salt != headers[index - 1].salt) {
            throw Corruption(
                path, 48,
                "this log file was written behind another one than " + file_name(numbers[index - 1]) +
                    "; one of the two is of another time or another database: put the right one "
                    "back, restore a backup, or run `kalam repair`, which says what it would drop");
        }
        replay.known_durable_lsn = std::max(replay.known_durable_lsn, headers.back().known_durable_lsn);
    }

    if (!headers.empty()) {
        recovery.first_lsn = headers.front().first_lsn;
        replay.last_lsn = recovery.first_lsn - 1;
    }
    for (std::size_t index = 0; index < numbers.size(); ++index) {
        const FileHeader& header = headers[index];
        const bool is_last = index + 1 == numbers.size();
        // What the next file begins with was copied there by a recovery, and counts there alone.
        const std::uint64_t end_lsn = is_last ? UINT64_MAX : headers[index + 1].first_lsn;
        const std::string path = directory + "/" + file_name(numbers[index]);
        std::string bytes = files.read_file(path);
        std::size_t at = file_header_bytes;
        if (header.first_lsn != replay.last_lsn + 1) {
            refuse(path, 32, replay.last_lsn + 1,
                   "this file begins with record " + std::to_string(header.first_lsn));
        }
        while (replay.last_lsn + 1 < end_lsn) {
            const std::uint64_t expected = replay.last_lsn + 1;
            const std::string_view rest = std::string_view(bytes).substr(std::min(at, bytes.size()));
            const std::optional<RecordHeader> record = decode_record(rest, header.salt);
            if (record && record->lsn == expected + record->skipped && record->lsn < end_lsn) {
                replay.last_lsn = record->lsn;
                replay.known_durable_lsn = std::max(replay.known_durable_lsn, record->known_durable_lsn);
                ++recovery.records;
                visit(static_cast<RecordType>(record->type), record->lsn,
                      rest.substr(record_header_bytes, record->payload_bytes));
                at += static_cast<std::size_t>(record_bytes(record->payload_bytes));
                continue;
            }
            // A crash loses and tears, but does not put whole records in other places.
            if (record)
                refuse(path, at, expected, "whole record " + std::to_string(record->lsn) + " is here");
            if (before != UINT64_MAX && is_last && without_trailing_zeros(rest).empty()) break;
            if (!is_last || before != UINT64_MAX) refuse(path, at, expected, "a later log file follows");
            if (expected <= replay.known_durable_lsn) refuse(path, at, expected, "it was synced");
            const std::string_view torn = without_trailing_zeros(rest);
            // A record's last bytes may be zeros, so that its header ends beyond the last byte that is none.
            if (proven_durable(rest.substr(0, torn.size() + record_header_bytes), alignment, header.salt,
                               expected)) {
                refuse(path, at, expected, "a later record says that it was synced");
            }
            replay.torn = torn;
            break;
        }
        replay.files.push_back({header.number, header.first_lsn, at});
        if (is_last) {
            bytes.resize(at);
            bytes.erase(0, file_header_bytes);
            replay.tail = std::move(bytes);
            replay.tail_salt = header.salt;
            replay.tail_previous_salt = header.previous_salt;
        }
    }
    recovery.last_lsn = replay.last_lsn;
    return replay;
}

}  // namespace kalam
