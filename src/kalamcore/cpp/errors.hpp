// What the core throws. Each class becomes one Python exception of kalamcore.errors, in errors.pxd and
// nowhere else.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kalam {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A system call failed. `code` is errno, `path` the file it was about (may be empty).
struct IoError : Error {
    IoError(int code, std::string operation, std::string path);
    int code;
    std::string operation;
    std::string path;
};

// Bytes on disk are not what was written. `offset` counts from the start of `path`.
struct Corruption : Error {
    Corruption(std::string path, std::uint64_t offset, std::string detail);
    std::string path;
    std::uint64_t offset;
};

// An earlier write or sync failed, so nothing more may be written until the database is opened again.
struct Poisoned : Error {
    using Error::Error;
};

// The commit was written but its sync failed: it may or may not be there after a reopen.
struct OutcomeUnknown : Error {
    using Error::Error;
};

// Another process, or this one by another path, owns the directory. `owner` is its pid, 0 when unknown.
struct Locked : Error {
    Locked(std::string path, std::int64_t owner);
    std::int64_t owner;
};

// A file was written by a newer version of the format.
struct UnknownFormat : Error {
    using Error::Error;
};

// SQL text beyond a limit, or text that no statement can begin or end with. `position` counts characters.
struct LimitExceeded : Error {
    LimitExceeded(std::string message, std::uint64_t position);
    std::uint64_t position;
};
struct InvalidText : Error {
    InvalidText(std::string message, std::uint64_t position);
    std::uint64_t position;
};

// A value that its column cannot hold. `row` and `column` count from 0.
struct ValueMismatch : Error {
    ValueMismatch(std::string message, std::int64_t row, std::int64_t column);
    std::int64_t row;
    std::int64_t column;
};
struct ValueOutOfRange : Error {
    ValueOutOfRange(std::string message, std::int64_t row, std::int64_t column);
    std::int64_t row;
    std::int64_t column;
};
struct NullValue : Error {
    NullValue(std::int64_t row, std::int64_t column);
    std::int64_t row;
    std::int64_t column;
};

// A commit was refused and left no trace. `operation` is the index of the offending operation in its batch.
struct DuplicateKey : Error {
    explicit DuplicateKey(std::int64_t operation);
    std::int64_t operation;
};
// A key changed since the batch's snapshot, or a table's schema did: evaluate anew, or report to a
// transaction.
struct WriteConflict : Error {
    WriteConflict(std::string message, std::int64_t operation);
    std::int64_t operation;
};

// What is asked for is not all in the log any more.
struct HistoryGone : Error {
    using Error::Error;
};

// A read needs what is in a storage and not in memory: blocks of a partition's segments by (segment, number);
// none: its manifest. Bring it and ask again.
struct ColdMiss : Error {
    ColdMiss(std::uint64_t table_id, std::string_view partition);
    std::uint64_t table_id;
    std::string partition;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> blocks;
};

}  // namespace kalam
