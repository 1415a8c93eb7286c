#include "change_feed.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tiers.hpp"

namespace kalam {

void ChangeSet::add(OperationKind kind, std::uint64_t sequence, std::uint64_t previous, std::string_view row,
                    std::string_view old_row) {
    std::size_t begin = rows_.size();
    rows_.append(row).append(old_row);
    places_.push_back({kind, sequence, previous, begin, begin + row.size(), rows_.size()});
}

Change ChangeSet::at(std::size_t index) const {
    const Place& place = places_[index];
    std::string_view rows = rows_;
    return {place.kind, place.sequence, place.previous, rows.substr(place.begin, place.middle - place.begin),
            rows.substr(place.middle, place.end - place.middle)};
}

std::unique_ptr<RowSource> loaded_rows(const ChangeSet& set) {
    PartitionSources sources;
    sources.runs.push_back({set.loaded.get(), &set.loaded->partitions().front()});
    return row_source(sources, set.loaded, kAllSequences, {}, false, false);
}

void ChangeWaker::set_descriptor(int descriptor) {
    std::lock_guard guard(mutex_);
    descriptor_ = descriptor;
    told_ = false;
    if (!ready_.empty()) signal();
}

// REQUIRES: the lock.
void ChangeWaker::signal() {
    changed_.notify_one();
    if (descriptor_ < 0 || told_) return;
    told_ = true;
    char byte = 0;
    // A full pipe has woken whom it is for.
    [[maybe_unused]] ssize_t wrote = ::write(descriptor_, &byte, 1);
}

void ChangeWaker::wake(ChangeReader& reader) {
    std::lock_guard guard(mutex_);
    if (reader.told_) return;
    ready_.push_back(reader.id_);
    reader.told_ = true;
    signal();
}

std::vector<std::uint64_t> ChangeWaker::wait(std::int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    auto wanted = [this] { return interrupted_ || !ready_.empty(); };
    if (timeout_ms < 0) {
        changed_.wait(lock, wanted);
    } else if (timeout_ms > 0) {
        changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), wanted);
    }
    if (interrupted_) ready_.push_back(kInterrupted);
    interrupted_ = false;
    told_ = false;
    return std::exchange(ready_, {});
}

void ChangeWaker::interrupt() {
    std::lock_guard guard(mutex_);
    interrupted_ = true;
    signal();
}

std::string ChangeFeed::name_of(std::uint64_t table_id, std::string_view partition) {
    std::string name(reinterpret_cast<const char*>(&table_id), sizeof table_id);
    name.append(partition);
    return name;
}

std::shared_ptr<ChangeChannel> ChangeFeed::find(std::uint64_t table_id, std::string_view partition) const {
    std::string name = name_of(table_id, partition);
    std::lock_guard guard(mutex_);
    auto found = channels_.find(name);
    return found == channels_.end() ? nullptr : found->second;
}

std::shared_ptr<ChangeReader> ChangeFeed::open(std::uint64_t table_id, std::string_view partition,
                                               std::uint64_t id, std::shared_ptr<ChangeWaker> waker,
                                               std::size_t bytes_max) {
    auto reader = std::make_shared<ChangeReader>();
    reader->id_ = id;
    reader->bytes_max_ = bytes_max;
    reader->waker_ = std::move(waker);
    std::lock_guard guard(mutex_);
    std::shared_ptr<ChangeChannel>& channel = channels_[name_of(table_id, partition)];
    if (!channel) {
        channel = std::make_shared<ChangeChannel>();
        channel->table_id = table_id;
        channel->partition = partition;
    }
    reader->channel_ = channel;
    channel->readers.push_back(reader.get());
    readers_.fetch_add(1, std::memory_order_relaxed);
    return reader;
}

void ChangeFeed::close(ChangeReader& reader) {
    std::lock_guard guard(mutex_);
    if (!reader.channel_) return;
    std::vector<ChangeReader*>& readers = reader.channel_->readers;
    readers.erase(std::find(readers.begin(), readers.end(), &reader));
    if (readers.empty()) channels_.erase(name_of(reader.channel_->table_id, reader.channel_->partition));
    reader.channel_.reset();
    reader.waiting_.clear();
    readers_.fetch_sub(1, std::memory_order_relaxed);
}

void ChangeFeed::move(ChangeReader& reader, std::shared_ptr<ChangeWaker> waker) {
    std::lock_guard guard(mutex_);
    {
        std::lock_guard waker_guard(reader.waker_->mutex_);
        reader.told_ = false;
    }
    reader.waker_ = std::move(waker);
    if (!reader.waiting_.empty() || reader.lagged_) reader.waker_->wake(reader);
}

// REQUIRES: the lock.
void ChangeFeed::lag(ChangeReader& reader) noexcept {
    reader.lagged_ = true;
    reader.waiting_.clear();
    reader.bytes_ = 0;
}

void ChangeFeed::publish(ChangeChannel& channel, const std::shared_ptr<ChangeSet>& set) noexcept {
    std::lock_guard guard(mutex_);
    for (ChangeReader* reader : channel.readers) {
        if (reader->lagged_) continue;
        try {
            if (reader->bytes_ && reader->bytes_ + set->bytes() > reader->bytes_max_) {
                lag(*reader);
            } else {
                reader->waiting_.push_back(set);
                reader->bytes_ += set->bytes();
            }
            reader->waker_->wake(*reader);
        } catch (const std::bad_alloc&) {
            lag(*reader);
        }
    }
}

std::vector<std::shared_ptr<const ChangeSet>> ChangeFeed::take(ChangeReader& reader, bool& lagged) {
    std::lock_guard guard(mutex_);
    {
        std::lock_guard waker_guard(reader.waker_->mutex_);
        reader.told_ = false;
    }
    lagged = reader.lagged_;
    std::vector<std::shared_ptr<const ChangeSet>> sets(std::make_move_iterator(reader.waiting_.begin()),
                                                       std::make_move_iterator(reader.waiting_.end()));
    reader.waiting_.clear();
    reader.bytes_ = 0;
    return sets;
}

}  // namespace kalam
