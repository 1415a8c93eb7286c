#include "row_operations.hpp"

#include "errors.hpp"
#include "varint.hpp"

namespace kalam {

namespace {

constexpr std::uint8_t kFlagsMax = 15;

}  // namespace

void put_row(std::string& out, std::string_view key, std::string_view row) {
    put_varint(out, key.size());
    out.append(key);
    put_varint(out, row.size());
    out.append(row);
}

bool OperationReader::next(RowOperation& operation) {
    if (count_ == 0) {
        if (!left_.empty()) throw Error("bytes follow its last operation");
        return false;
    }
    count_--;
    if (left_.empty()) throw Error("it ends before its last operation");
    auto flags = static_cast<std::uint8_t>(left_[0]);
    left_.remove_prefix(1);
    if (flags > kFlagsMax || (flags & kKindMask) > 2) throw Error("an operation has unknown flags");
    operation.kind = static_cast<OperationKind>(flags & kKindMask);
    operation.same_partition = flags & kSamePartition;
    operation.offset = flags & kOffsetFollows ? take_varint(left_) : next_offset_;
    if (operation.offset < next_offset_) throw Error("an operation is out of order");
    if (operation.same_partition) {
        // Offsets begin with 0, so the first operation of all has nothing to repeat.
        if (!operation.partition.data()) throw Error("its first operation names no table");
    } else {
        operation.table_id = take_varint(left_);
        operation.partition = take_bytes(left_);
    }
    operation.key = take_bytes(left_);
    operation.row = take_bytes(left_);
    if (operation.key.size() > kKeyBytesMax) throw Error("a key is too long");
    next_offset_ = operation.offset + 1;
    return true;
}

CommitRecord::CommitRecord(std::string_view payload, bool replaces) {
    first = take_u64(payload);
    taken = take_varint(payload);
    operations = take_varint(payload);
    if (taken == 0 || operations > taken || first == 0 || first >> 63 || taken >> 62) {
        throw Error("its sequence numbers cannot be");
    }
    if (replaces) replaced = take_bytes(payload);
    body = payload;
}

void put_replaced(std::string& out, std::uint64_t sequence, std::string_view row) {
    put_varint(out, sequence);
    if (sequence) put_bytes(out, row);
}

void ReplacedReader::next(std::uint64_t& sequence, std::string_view& row) {
    sequence = take_varint(left_);
    row = sequence ? take_bytes(left_) : std::string_view();
}

}  // namespace kalam
