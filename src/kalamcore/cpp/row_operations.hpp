// What a commit does to rows, one operation after the other, as it stands in batches and in the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kalam {

// The values are part of the log's format.
enum class OperationKind : std::uint8_t { kInsert = 0, kReplace = 1, kDelete = 2 };

// One operation of a commit, as it stands in the record.
struct RowOperation {
    OperationKind kind = OperationKind::kInsert;
    bool same_partition = false;  // table and partition are the previous operation's
    std::uint64_t offset = 0;     // its sequence number is the commit's first plus this
    std::uint64_t table_id = 0;
    std::string_view partition;
    std::string_view key;
    std::string_view row;
};

// Flags of an operation in the record, above its kind.
inline constexpr std::uint8_t kKindMask = 3;
inline constexpr std::uint8_t kSamePartition = 4;
inline constexpr std::uint8_t kOffsetFollows = 8;

void put_row(std::string& out, std::string_view key, std::string_view row);

inline constexpr std::size_t kKeyBytesMax = 1u << 26;

// Reads the operations of a record one after the other; drawn in docs/formats.md.
// Never reads outside of `body`, whatever it holds.
class OperationReader {
  public:
    OperationReader(std::string_view body, std::uint64_t count) : left_(body), count_(count) {}
    // False at the end. Throws Error where the bytes are no operations.
    bool next(RowOperation& operation);

  private:
    std::string_view left_;
    std::uint64_t count_;
    std::uint64_t next_offset_ = 0;
};

// A commit as it stands in the log.
struct CommitRecord {
    std::uint64_t first = 0;       // its first sequence number
    std::uint64_t taken = 0;       // how many it took
    std::uint64_t operations = 0;  // how many of them are in the record
    std::string_view replaced;     // the rows that were replaced, as ReplacedReader reads them
    std::string_view body;         // the operations

    // `replaces`: the record is of the type that has rows that were replaced. Throws Error.
    CommitRecord(std::string_view payload, bool replaces);
};

// Writes and reads, for each operation that replaces a row, the one it replaced; 0: it was not kept.
void put_replaced(std::string& out, std::uint64_t sequence, std::string_view row);

class ReplacedReader {
  public:
    explicit ReplacedReader(std::string_view rows) : left_(rows) {}
    // Those of the next such operation. Throws Error.
    void next(std::uint64_t& sequence, std::string_view& row);

  private:
    std::string_view left_;
};

}  // namespace kalam
