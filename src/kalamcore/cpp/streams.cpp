#include "streams.hpp"

#include <algorithm>
#include <limits>

#include "errors.hpp"
#include "rows.hpp"

namespace kalam {

namespace {

// What a version takes besides its bytes: the entry, its control block, and its nodes in three maps.
constexpr std::uint64_t kVersionBytes = 320;
constexpr int kPurgedAtOnce = 1024;

bool expired(std::uint64_t sequence, const StreamOptions& options, std::int64_t now_us) {
    return now_us - updated_us(sequence) >= options.ttl_us;
}

}  // namespace

void Streams::define(std::uint64_t table_id, const StreamOptions& options) {
    std::lock_guard guard(mutex_);
    tables_[table_id].options = options;
    any_.store(true, std::memory_order_release);
}

void Streams::drop(std::uint64_t table_id) {
    std::lock_guard guard(mutex_);
    auto table = tables_.find(table_id);
    if (table == tables_.end()) return;
    while (!table->second.versions.empty())
        remove(table->second, table->second.versions.begin()->second.get());
    tables_.erase(table);
}

const Streams::Part* Streams::find(std::uint64_t table_id, std::string_view partition,
                                   const Table** table) const {
    auto found = tables_.find(table_id);
    if (found == tables_.end()) return nullptr;
    *table = &found->second;
    auto part = found->second.parts.find(partition);
    return part == found->second.parts.end() ? nullptr : &part->second;
}

const Streams::Entry* Streams::visible(const Entry* newest, std::uint64_t snapshot, bool deleted,
                                       const Table& table, std::int64_t now_us) {
    const Entry* entry = newest;
    while (entry && entry->sequence > snapshot) entry = entry->older;
    if (!entry || (entry->deleted && !deleted) || expired(entry->sequence, table.options, now_us))
        return nullptr;
    return entry;
}

// Unlinks one version of a key. Where it was the newest, the one below becomes so.
void Streams::remove(Table& table, Entry* entry) {
    Part& part = *entry->part;
    if (entry->older) entry->older->newer = entry->newer;
    if (entry->newer) {
        entry->newer->older = entry->older;
    } else {
        if (!entry->deleted) {
            part.live.erase(entry->sequence);
            rows_.fetch_sub(1, std::memory_order_relaxed);
        }
        if (Entry* older = entry->older) {
            entry->place->second = older;
            if (!older->deleted) {
                part.live.emplace(older->sequence, older);
                rows_.fetch_add(1, std::memory_order_relaxed);
            }
        } else {
            part.rows.erase(entry->place);
        }
    }
    bytes_.fetch_sub(entry->row.size() + kVersionBytes, std::memory_order_relaxed);
    std::uint64_t sequence = entry->sequence;
    table.over = std::max(table.over, sequence);
    table.versions.erase(sequence);
    if (part.rows.empty()) table.parts.erase(table.parts.find(part.name));
}

void Streams::remove_key(Table& table, Entry* newest) {
    Entry* oldest = newest;
    while (oldest->older) oldest = oldest->older;
    while (oldest) {
        Entry* newer = oldest->newer;
        remove(table, oldest);
        oldest = newer;
    }
}

StreamHead Streams::head(std::uint64_t table_id, std::string_view partition, std::string_view key,
                         std::int64_t now_us) const {
    std::lock_guard guard(mutex_);
    const Table* table = nullptr;
    const Part* part = find(table_id, partition, &table);
    if (!part) return {};
    auto row = part->rows.find(key);
    if (row == part->rows.end()) return {};
    const Entry* newest = row->second;
    return {newest->sequence, !newest->deleted && !expired(newest->sequence, table->options, now_us)};
}

void Streams::push(std::uint64_t table_id, std::string_view partition, std::string_view key,
                   std::uint64_t sequence, std::string_view row, bool deleted) {
    auto entry = std::make_shared<Entry>();
    entry->sequence = sequence;
    entry->deleted = deleted;
    entry->row = row;

    std::lock_guard guard(mutex_);
    auto table = tables_.find(table_id);
    if (table == tables_.end()) throw WriteConflict("the STREAM table was dropped; begin anew", -1);
    auto part = table->second.parts.find(partition);
    if (part == table->second.parts.end()) {
        part = table->second.parts.emplace(std::string(partition), Part{}).first;
        part->second.name = part->first;
    }
    Part& rows = part->second;
    auto place = rows.rows.find(key);
    if (place == rows.rows.end()) place = rows.rows.emplace(std::string(key), nullptr).first;
    entry->part = &rows;
    entry->place = place;
    entry->older = place->second;
    try {
        table->second.versions.emplace(sequence, entry);
        if (!deleted) rows.live.emplace(sequence, entry.get());
    } catch (...) {
        table->second.versions.erase(sequence);
        if (!place->second) rows.rows.erase(place);
        throw;
    }
    if (Entry* older = place->second) {
        older->newer = entry.get();
        if (!older->deleted) {
            rows.live.erase(older->sequence);
            rows_.fetch_sub(1, std::memory_order_relaxed);
        }
    }
    place->second = entry.get();
    if (!deleted) rows_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(row.size() + kVersionBytes, std::memory_order_relaxed);
}

void Streams::pop(std::uint64_t table_id, std::string_view partition, std::string_view key,
                  std::uint64_t from, std::uint64_t to) {
    std::lock_guard guard(mutex_);
    auto table = tables_.find(table_id);
    if (table == tables_.end()) return;
    auto part = table->second.parts.find(partition);
    if (part == table->second.parts.end()) return;
    auto place = part->second.rows.find(key);
    if (place == part->second.rows.end()) return;
    // What was never published is not over.
    std::uint64_t over = table->second.over;
    for (Entry* entry = place->second; entry && entry->sequence >= from;) {
        Entry* older = entry->older;
        if (entry->sequence <= to) remove(table->second, entry);
        entry = older;
    }
    table->second.over = over;
}

void Streams::settle_rows(std::uint64_t table_id, std::string_view partition, std::uint64_t published) {
    std::lock_guard guard(mutex_);
    auto table = tables_.find(table_id);
    if (table == tables_.end() || table->second.options.rows_max == 0) return;
    auto found = table->second.parts.find(partition);
    if (found == table->second.parts.end()) return;
    Part& part = found->second;
    std::uint64_t rows_max = table->second.options.rows_max;
    if (part.live.size() <= rows_max) return;
    std::size_t newer = 0;
    for (auto at = part.live.rbegin(); at != part.live.rend() && at->first > published; ++at) newer++;
    // The part goes with its last row, so it is not asked again after that.
    for (std::size_t left = part.live.size() - newer; left > rows_max; left--) {
        remove_key(table->second, part.live.begin()->second);
    }
}

void Streams::settle_bytes(std::uint64_t published) {
    if (bytes() <= bytes_max_) return;
    std::lock_guard guard(mutex_);
    while (bytes() > bytes_max_) {
        Table* oldest = nullptr;
        std::uint64_t sequence = std::numeric_limits<std::uint64_t>::max();
        for (auto& [id, table] : tables_) {
            if (!table.versions.empty() && table.versions.begin()->first < sequence) {
                sequence = table.versions.begin()->first;
                oldest = &table;
            }
        }
        if (!oldest || sequence > published) return;
        remove(*oldest, oldest->versions.begin()->second.get());
    }
}

void Streams::purge(std::int64_t now_us) {
    if (!any()) return;
    for (bool more = true; more;) {
        more = false;
        std::lock_guard guard(mutex_);
        for (auto& [id, table] : tables_) {
            int freed = 0;
            while (!table.versions.empty() && expired(table.versions.begin()->first, table.options, now_us)) {
                // A reader or a commit that waits gets its turn in between.
                if (++freed > kPurgedAtOnce) {
                    more = true;
                    break;
                }
                remove(table, table.versions.begin()->second.get());
            }
        }
    }
}

StreamRowPointer Streams::get(std::uint64_t table_id, std::string_view partition, std::string_view key,
                              std::uint64_t snapshot, bool deleted, std::int64_t now_us) const {
    std::lock_guard guard(mutex_);
    const Table* table;
    const Part* part = find(table_id, partition, &table);
    if (!part) return nullptr;
    auto row = part->rows.find(key);
    if (row == part->rows.end()) return nullptr;
    const Entry* entry = visible(row->second, snapshot, deleted, *table, now_us);
    return entry ? entry->shared_from_this() : nullptr;
}

std::vector<StreamRowPointer> Streams::scan(std::uint64_t table_id, std::string_view partition,
                                            std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                            bool deleted, std::int64_t now_us,
                                            std::vector<std::string>* keys) const {
    std::vector<StreamRowPointer> found;
    if (bounds.low && bounds.high && *bounds.low > *bounds.high) return found;
    std::lock_guard guard(mutex_);
    const Table* table;
    const Part* part = find(table_id, partition, &table);
    if (!part) return found;
    auto first = bounds.low ? part->rows.lower_bound(*bounds.low) : part->rows.begin();
    auto last = bounds.high ? part->rows.upper_bound(*bounds.high) : part->rows.end();
    auto take = [&](const Entry* newest) {
        const Entry* entry = visible(newest, snapshot, deleted, *table, now_us);
        if (!entry) return;
        found.push_back(entry->shared_from_this());
        if (keys) keys->push_back(entry->place->first);
    };
    if (reverse) {
        while (last != first) take((--last)->second);
    } else {
        for (; first != last; ++first) take(first->second);
    }
    return found;
}

std::uint64_t Streams::count(std::uint64_t table_id, std::string_view partition, std::uint64_t snapshot,
                             std::int64_t now_us) const {
    std::lock_guard guard(mutex_);
    const Table* table;
    const Part* part = find(table_id, partition, &table);
    std::uint64_t rows = 0;
    if (!part) return rows;
    for (auto& [key, newest] : part->rows)
        rows += visible(newest, snapshot, false, *table, now_us) != nullptr;
    return rows;
}

void Streams::changes_between(std::uint64_t table_id, std::string_view partition, std::uint64_t after,
                              std::uint64_t until, ChangeSet& changes) const {
    std::lock_guard guard(mutex_);
    const Table* table = nullptr;
    find(table_id, partition, &table);
    if (!table) return;
    if (after < table->over) throw HistoryGone("rows of the STREAM table are over since then");
    for (auto at = table->versions.upper_bound(after); at != table->versions.end() && at->first <= until;
         ++at) {
        const Entry& entry = *at->second;
        if (entry.part->name != partition) continue;
        const Entry* older = entry.older && !entry.older->deleted ? entry.older : nullptr;
        auto kind = entry.deleted ? OperationKind::kDelete
                    : older       ? OperationKind::kReplace
                                  : OperationKind::kInsert;
        changes.add(kind, entry.sequence, older ? older->sequence : 0, entry.row,
                    kind == OperationKind::kReplace ? std::string_view(older->row) : std::string_view());
    }
}

std::vector<std::string> Streams::partitions(std::uint64_t table_id, std::uint64_t snapshot) const {
    std::lock_guard guard(mutex_);
    std::vector<std::string> names;
    auto table = tables_.find(table_id);
    if (table == tables_.end()) return names;
    for (auto& [name, part] : table->second.parts) {
        for (auto& [key, newest] : part.rows) {
            const Entry* oldest = newest;
            while (oldest && oldest->sequence > snapshot) oldest = oldest->older;
            if (oldest) {
                names.push_back(name);
                break;
            }
        }
    }
    return names;
}

}  // namespace kalam
