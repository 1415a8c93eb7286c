#include "sorted_blocks.hpp"

#include <algorithm>
#include <utility>

namespace kalam {

std::shared_ptr<const ColumnBlock> BlockCache::find(std::uint64_t segment, std::uint32_t block) {
    std::lock_guard guard(mutex_);
    auto place = entries_.find(key_of(segment, block));
    if (place == entries_.end()) return nullptr;
    Entry& entry = place->second;
    if (!entry.used) entry.used = true;
    return entry.block;
}

void BlockCache::add(std::uint64_t segment, std::uint32_t block, std::shared_ptr<const ColumnBlock> made) {
    std::lock_guard guard(mutex_);
    std::uint64_t key = key_of(segment, block);
    if (entries_.contains(key)) return;
    std::size_t bytes = made->bytes();
    turns_.push_front(key);
    entries_[key].block = std::move(made);
    bytes_ += bytes;
    give_up();
}

void BlockCache::take_index(std::size_t bytes) {
    index_bytes_.fetch_add(bytes);
    std::lock_guard guard(mutex_);
    give_up();
}

void BlockCache::give_up() {
    std::size_t indexes = index_bytes_.load(std::memory_order_relaxed);
    std::size_t room = bytes_max_ - std::min(indexes, bytes_max_ - bytes_max_ / 8);
    for (auto last = turns_.end(); bytes_ > room && last != turns_.begin();) {
        --last;
        auto place = entries_.find(*last);
        Entry& entry = place->second;
        // Somebody waits for it, or reads it: giving it up frees nothing yet.
        if (entry.block.use_count() > 1) continue;
        if (entry.used) {
            entry.used = false;
            auto spared = last++;
            turns_.splice(turns_.begin(), turns_, spared);
            continue;
        }
        bytes_ -= entry.block->bytes();
        entries_.erase(place);
        last = turns_.erase(last);
    }
}

void BlockCache::drop(std::uint64_t segment) {
    std::lock_guard guard(mutex_);
    for (auto at = turns_.begin(); at != turns_.end();) {
        if (*at >> 24 != segment) {
            ++at;
            continue;
        }
        auto place = entries_.find(*at);
        bytes_ -= place->second.block->bytes();
        entries_.erase(place);
        at = turns_.erase(at);
    }
}

void BlockCache::clear() {
    std::lock_guard guard(mutex_);
    entries_.clear();
    turns_.clear();
    bytes_ = 0;
}

std::size_t BlockCache::bytes() const {
    std::lock_guard guard(mutex_);
    return bytes_;
}

bool BlockCache::has(std::uint64_t segment, std::uint32_t block) const {
    std::lock_guard guard(mutex_);
    return entries_.contains(key_of(segment, block));
}

bool SortedBlocks::may_have(const PartitionRange& partition, std::string_view key) const {
    if (key < partition.low || key > partition.high) return false;
    return filter_.may_have(filter_hash(stable_hash(partition.name), key));
}

std::uint32_t SortedBlocks::block_of(std::int64_t row) const {
    // The rows of a table without users are asked for by their ends.
    if (row < places_.front().rows) return 0;
    if (row >= places_.back().first_row) return block_count() - 1;
    auto above =
        std::upper_bound(places_.begin(), places_.end(), row,
                         [](std::int64_t wanted, const Place& place) { return wanted < place.first_row; });
    return static_cast<std::uint32_t>(above - places_.begin() - 1);
}

std::uint32_t SortedBlocks::block_for(const PartitionRange& partition, std::string_view key) const {
    // Blocks after the partition's first begin with a key of it.
    std::uint32_t low = block_of(partition.begin);
    std::uint32_t high = partition.end <= block_end(low) ? low : block_of(partition.end - 1);
    while (low < high) {
        std::uint32_t middle = low + (high - low + 1) / 2;
        if (places_[middle].first_key <= key) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

std::uint32_t SortedBlocks::block_for(const PartitionRange& partition, std::string_view key,
                                      std::shared_ptr<const ColumnBlock>& found) const {
    std::uint32_t at = block_for(partition, key);
    found = block(at);
    // Of a first key that was cut off, the block itself says whether it is above.
    while (places_[at].cut && places_[at].first_row > partition.begin && found->compare_key(0, key) > 0) {
        found = block(--at);
    }
    return at;
}

std::int64_t SortedBlocks::lower_bound(const PartitionRange& partition, std::string_view key) const {
    if (partition.begin == partition.end || key <= partition.low) return partition.begin;
    if (key > partition.high) return partition.end;
    std::shared_ptr<const ColumnBlock> found;
    std::uint32_t at = block_for(partition, key, found);
    std::int64_t first = places_[at].first_row;
    std::int64_t begin = std::max(partition.begin, first);
    std::int64_t end = std::min(partition.end, first + places_[at].rows);
    return first + found->lower_bound(begin - first, end - first, key);
}

BlockRow SortedBlocks::find(const PartitionRange& partition, std::string_view key) const {
    if (partition.begin == partition.end || !may_have(partition, key)) return {};
    std::shared_ptr<const ColumnBlock> found;
    std::uint32_t at = block_for(partition, key, found);
    std::int64_t first = places_[at].first_row;
    std::int64_t begin = std::max(partition.begin, first) - first;
    std::int64_t end = std::min(partition.end - first, places_[at].rows);
    std::int64_t row = found->lower_bound(begin, end, key);
    // The first key of the block behind it is above.
    if (row == end || found->compare_key(row, key) != 0) return {};
    return {std::move(found), row};
}

std::int64_t SortedBlocks::find_row(const PartitionRange& partition, std::string_view key) const {
    if (!may_have(partition, key)) return -1;
    std::int64_t row = lower_bound(partition, key);
    if (row >= partition.end) return -1;
    std::uint32_t at = block_of(row);
    return block(at)->compare_key(row - places_[at].first_row, key) == 0 ? row : -1;
}

}  // namespace kalam
