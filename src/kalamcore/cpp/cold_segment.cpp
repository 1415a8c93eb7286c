#include "cold_segment.hpp"

#include <algorithm>

#include "keys.hpp"
#include "parquet_bloom.hpp"

namespace kalam {

namespace {

constexpr std::size_t kUuidCharacters = 36;

// What a block keeps alive: the batch that was given, and UUIDs as text.
struct BlockMemory {
    std::shared_ptr<const ArrowInput> batch;
    std::vector<std::unique_ptr<std::string>> texts;
};

// The UUIDs of a column as text of 36 characters, with the offsets before it.
BlockColumn uuids_as_text(const ArrowColumn& column, std::size_t rows, BlockMemory& memory) {
    static const char digits[] = "0123456789abcdef";
    auto made = std::make_unique<std::string>(4 * (rows + 1) + kUuidCharacters * rows, '-');
    const auto* from = static_cast<const unsigned char*>(column.values);
    for (std::size_t row = 0; row <= rows; row++) {
        store(made->data() + 4 * row, static_cast<std::int32_t>(kUuidCharacters * row));
    }
    char* to = made->data() + 4 * (rows + 1);
    for (std::size_t row = 0; row < rows; row++) {
        for (int byte = 0; byte < 16; byte++, from++) {
            if (byte == 4 || byte == 6 || byte == 8 || byte == 10) to++;
            *to++ = digits[*from >> 4];
            *to++ = digits[*from & 15];
        }
    }
    BlockColumn text{column.validity, made->data(), made->data() + 4 * (rows + 1),
                     column.validity ? column.null_count : 0};
    memory.texts.push_back(std::move(made));
    return text;
}

bool is_of_type(const ArrowColumn& column, Type type, std::size_t& width) {
    switch (type) {
        case Type::kBoolean:
            width = 0;
            return column.kind == ArrowKind::kBool;
        case Type::kSmallInt:
            width = 2;
            return column.kind == ArrowKind::kInt16;
        case Type::kInt:
            width = 4;
            return column.kind == ArrowKind::kInt32;
        case Type::kBigInt:
            return column.kind == ArrowKind::kInt64;
        case Type::kFloat:
            width = 4;
            return column.kind == ArrowKind::kFloat;
        case Type::kDouble:
            return column.kind == ArrowKind::kDouble;
        case Type::kDecimal:
            width = 16;
            return column.kind == ArrowKind::kDecimal && column.width == 16;
        case Type::kUuid:
            width = 4 + kUuidCharacters;
            return column.kind == ArrowKind::kFixedBinary && column.width == 16;
        case Type::kText:
        case Type::kJson:
            width = 4;
            return column.kind == ArrowKind::kText;
        case Type::kBytes:
            width = 4;
            return column.kind == ArrowKind::kBinary;
        case Type::kTimestamp:
            return column.kind == ArrowKind::kTimestamp && column.unit_ns == 1000;
        case Type::kDate:
            width = 4;
            return column.kind == ArrowKind::kDate32;
        case Type::kTime:
            return column.kind == ArrowKind::kTime && column.width == 8 && column.unit_ns == 1000;
    }
    return false;
}

}  // namespace

ColdSegment::ColdSegment(std::uint64_t table_id, std::string partition, ColdSegmentDescription description,
                         BlockCache& cache)
    : table_id_(table_id),
      partition_(std::move(partition)),
      description_(std::move(description)),
      cache_(cache) {
    if (description_.block_rows.size() != description_.first_keys.size()) {
        throw Error("a cold segment with " + std::to_string(description_.block_rows.size()) + " blocks and " +
                    std::to_string(description_.first_keys.size()) + " first keys");
    }
    for (const std::string& filter : description_.filters) {
        if (filter.empty() || filter.size() % 32) throw Error("a key filter that is no filter");
    }
    if (!description_.filters.empty() && description_.filters.size() != description_.block_rows.size()) {
        throw Error("a cold segment with " + std::to_string(description_.filters.size()) + " filters for " +
                    std::to_string(description_.block_rows.size()) + " blocks");
    }
    layout_ = description_.layout;
    for (std::size_t at = 0; at < description_.block_rows.size(); at++) {
        const std::string& first = description_.first_keys[at];
        places_.push_back({rows_, description_.block_rows[at], first, first.size() >= kFirstKeyBytes});
        rows_ += description_.block_rows[at];
    }
    complete_from_ = description_.complete_from;
    range_.end = rows_;
    range_.sequence_min = description_.sequence_min;
    range_.sequence_max = description_.sequence_max;
    range_.tombstones = description_.tombstones;
    range_.name = partition_;
    range_.low = description_.low;
    range_.high = description_.high;
}

bool ColdSegment::may_have(const PartitionRange& partition, std::string_view key) const {
    if (rows_ == 0 || key < partition.low || key > partition.high) return false;
    if (description_.filters.empty()) return true;
    std::uint32_t at = block_for(partition, key);
    std::uint64_t hash;
    if (is_variable(layout_->columns()[layout_->key()].type)) {
        hash = xxh64(key);
    } else {
        // Parquet hashes the number itself, eight bytes, little endian.
        char number[8];
        store(number, integer_of_key(key));
        hash = xxh64({number, 8});
    }
    for (;; at--) {
        if (parquet_bloom_may_have(description_.filters[at], hash)) return true;
        if (!places_[at].cut || at == 0) return false;
    }
}

std::shared_ptr<const ColumnBlock> ColdSegment::block(std::uint32_t at) const {
    if (auto found = cache_.find(description_.id, at)) return found;
    ColdMiss miss(table_id_, partition_);
    miss.blocks.emplace_back(description_.id, at);
    throw miss;
}

void ColdSegment::require(const PartitionRange& partition, const std::string_view* low,
                          const std::string_view* high) const {
    if (rows_ == 0 || (low && *low > partition.high) || (high && *high < partition.low)) return;
    std::uint32_t first = low ? block_for(partition, *low) : 0;
    while (first > 0 && places_[first].cut) first--;
    std::uint32_t last = high ? block_for(partition, *high) : block_count() - 1;
    ColdMiss miss(table_id_, partition_);
    for (std::uint32_t at = first; at <= last; at++) {
        if (!cache_.has(description_.id, at)) miss.blocks.emplace_back(description_.id, at);
    }
    if (!miss.blocks.empty()) throw miss;
}

std::shared_ptr<const ColumnBlock> block_of_batch(std::shared_ptr<const RowLayout> layout,
                                                  std::unique_ptr<ArrowInput> batch) {
    auto held = std::make_shared<BlockMemory>();
    held->batch = std::move(batch);
    const std::vector<ArrowColumn>& given = held->batch->columns();
    auto rows = static_cast<std::size_t>(held->batch->rows());
    std::vector<BlockColumn> columns;
    std::size_t bytes = 0;
    for (std::size_t at = 0; at < given.size(); at++) {
        Type type = at < layout->size()    ? layout->columns()[at].type
                    : at == layout->size() ? Type::kBigInt
                                           : Type::kBoolean;
        const ArrowColumn& column = given[at];
        std::size_t width = 8;
        if (!is_of_type(column, type, width) || column.offset != 0) {
            throw ValueMismatch(
                "column " + std::to_string(at) + " of a block is no whole column of type " + type_name(type),
                -1, static_cast<std::int64_t>(at));
        }
        if (type == Type::kUuid) {
            columns.push_back(uuids_as_text(column, rows, *held));
            bytes += rows * width;
            continue;
        }
        columns.push_back({column.validity, static_cast<const char*>(column.values), column.bytes,
                           column.validity ? column.null_count : 0});
        bytes += (column.validity ? rows / 8 : 0) + rows * width;
        if (column.kind == ArrowKind::kText || column.kind == ArrowKind::kBinary) {
            bytes +=
                rows ? static_cast<std::size_t>(load<std::int32_t>(columns.back().values + 4 * rows)) : 0;
        }
    }
    auto count = static_cast<std::int64_t>(rows);
    return std::make_shared<const ColumnBlock>(std::move(layout), count, std::move(columns), held,
                                               bytes + 1024);
}

std::string ColdRegistry::key_of(std::uint64_t table_id, std::string_view partition) {
    std::string key(reinterpret_cast<const char*>(&table_id), sizeof table_id);
    key.append(partition);
    return key;
}

bool ColdRegistry::has_table(std::uint64_t table_id) const {
    std::lock_guard guard(mutex_);
    return tables_.contains(table_id);
}

void ColdRegistry::add_table(std::uint64_t table_id) {
    std::lock_guard guard(mutex_);
    tables_.insert(table_id);
    any_.store(true, std::memory_order_release);
}

void ColdRegistry::drop_table(std::uint64_t table_id) {
    std::lock_guard guard(mutex_);
    tables_.erase(table_id);
    std::string prefix = key_of(table_id, {});
    for (auto at = entries_.begin(); at != entries_.end();) {
        if (!at->key.starts_with(prefix)) {
            ++at;
            continue;
        }
        places_.erase(at->key);
        at = entries_.erase(at);
    }
}

std::shared_ptr<const ColdPartition> ColdRegistry::of(std::uint64_t table_id,
                                                      std::string_view partition) const {
    if (!any()) return nullptr;
    std::string key = key_of(table_id, partition);
    std::uint64_t changes;
    {
        std::lock_guard guard(mutex_);
        if (!tables_.contains(table_id)) return nullptr;
        auto place = places_.find(key);
        if (place != places_.end()) {
            entries_.splice(entries_.begin(), entries_, place->second);
            return place->second->partition;
        }
        changes = changes_;
    }
    if (is_named_(cold_partition_key(table_id, partition))) throw ColdMiss(table_id, partition);
    std::lock_guard guard(mutex_);
    if (changes == changes_ && !places_.contains(key)) add(std::move(key), nullptr);
    return nullptr;
}

// REQUIRES: the lock, and that there is no such entry.
void ColdRegistry::add(std::string key, std::shared_ptr<const ColdPartition> now) const {
    entries_.push_front({std::move(key), std::move(now)});
    places_[entries_.front().key] = entries_.begin();
    if (entries_.size() > partitions_max_) {
        places_.erase(entries_.back().key);
        entries_.pop_back();
    }
}

void ColdRegistry::set(std::uint64_t table_id, std::string_view partition,
                       std::shared_ptr<const ColdPartition> now) {
    std::string key = key_of(table_id, partition);
    std::lock_guard guard(mutex_);
    changes_++;
    auto place = places_.find(key);
    if (place == places_.end()) {
        add(std::move(key), std::move(now));
        return;
    }
    // Two readers may bring the manifest at once, one of them an older one.
    auto& known = place->second->partition;
    if (!known || (now && now->generation >= known->generation)) known = std::move(now);
}

void ColdRegistry::forget(std::uint64_t table_id, std::string_view partition) {
    std::string key = key_of(table_id, partition);
    std::lock_guard guard(mutex_);
    changes_++;
    auto place = places_.find(key);
    if (place == places_.end()) return;
    auto at = place->second;
    places_.erase(place);
    entries_.erase(at);
}

std::string cold_partition_key(std::uint64_t table_id, std::string_view partition) {
    std::string key = std::to_string(table_id);
    key += '.';
    key += partition;
    return key;
}

}  // namespace kalam
