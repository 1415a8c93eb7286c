#include "memtable.hpp"

#include <algorithm>
#include <cstring>

#include "errors.hpp"

namespace kalam {

namespace {

// A partition gets its index, and the whole height of its list, beyond these many keys.
constexpr std::uint64_t kIndexedKeys = 32;
constexpr std::uint64_t kTallKeys = 64;
// Beyond so many bytes a partition takes memory in pieces of its own: an eighth of what it has, within
// bounds.
constexpr std::uint64_t kScatteredBytes = 1024;
constexpr std::uint64_t kPieceBytesMin = 1024;
constexpr std::uint64_t kPieceBytesMax = 16384;

__extension__ typedef unsigned __int128 wide;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint32_t hash_bytes(std::uint64_t seed, std::string_view bytes) {
    std::uint64_t hash = seed ^ mix(bytes.size() + 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93);
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t word;
    for (; left >= 8; at += 8, left -= 8) {
        std::memcpy(&word, at, 8);
        hash = mix(hash ^ word, 0xA0761D6478BD642F);
    }
    if (left) {
        word = 0;
        std::memcpy(&word, at, left);
        hash = mix(hash ^ word, 0xE7037ED1A0B428DB);
    }
    hash = mix(hash, 0x8EBC6AF09C88C6E3);
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

std::uint64_t prefix_of(std::string_view key) {
    unsigned char bytes[8] = {};
    if (!key.empty()) std::memcpy(bytes, key.data(), std::min<std::size_t>(key.size(), 8));
    std::uint64_t prefix = 0;
    for (unsigned char byte : bytes) prefix = prefix << 8 | byte;
    return prefix;
}

// Below 0, 0 or above 0 as the node's key is below, at or above `key`.
inline int compare(const Node& node, std::uint64_t prefix, std::string_view key) {
    if (node.prefix != prefix) return node.prefix < prefix ? -1 : 1;
    if (node.key_length == 8 && key.size() == 8) return 0;
    return node.key().compare(key);
}

bool is_live(const Version* version) {
    return version && !version->deleted;
}

}  // namespace

Node* Partition::seek(std::string_view key, Node** before) const {
    std::uint64_t prefix = prefix_of(key);
    Tower* head = head_.load(std::memory_order_acquire);
    Node::Link* links = head->links();
    Node* at = nullptr;
    Node* next = nullptr;
    for (std::size_t level = head->height; level-- > 0;) {
        Node* beyond = next;
        next = links[level].load(std::memory_order_acquire);
        // What ended the level above ends this one too.
        while (next && next != beyond && compare(*next, prefix, key) < 0) {
            at = next;
            links = at->links();
            next = links[level].load(std::memory_order_acquire);
        }
        if (before) before[level] = at;
    }
    return next;
}

const Node* Partition::seek_back(std::string_view key) const {
    Node* before[kHeightMax];
    Node* node = seek(key, before);
    return node && node->key() == key ? node : before[0];
}

const Node* Partition::find(std::string_view key) const {
    if (index_.built()) {
        return index_.find(hash_bytes(seed_, key), [&](const Node& node) { return node.key() == key; });
    }
    const Node* node = seek(key, nullptr);
    return node && node->key() == key ? node : nullptr;
}

std::uint64_t Partition::count(std::uint64_t snapshot) const {
    // The writer tells of a change before it counts it: a count newer than the snapshot comes with a newer
    // change.
    std::uint64_t live = live_rows_.load(std::memory_order_acquire);
    if (last_change_.load(std::memory_order_relaxed) <= snapshot) return live;
    std::uint64_t rows = 0;
    for (const Node* node = first(); node; node = node->links()[0].load(std::memory_order_acquire)) {
        rows += is_live(node->visible(snapshot));
    }
    return rows;
}

bool Partition::any(std::uint64_t snapshot) const {
    for (const Node* node = first(); node; node = node->links()[0].load(std::memory_order_acquire)) {
        if (node->visible(snapshot)) return true;
    }
    return false;
}

PartitionCursor::PartitionCursor(const Partition& partition, std::uint64_t snapshot, const Bounds& bounds,
                                 bool reverse, bool deleted)
    : snapshot_(snapshot), reverse_(reverse), deleted_(deleted) {
    const std::string_view* from = reverse ? bounds.high : bounds.low;
    const std::string_view* to = reverse ? bounds.low : bounds.high;
    if (reverse) {
        next_ = from ? partition.seek_back(*from) : partition.last();
    } else {
        next_ = from ? partition.seek(*from, nullptr) : partition.first();
    }
    if (to) {
        limited_ = true;
        limit_ = *to;
        limit_prefix_ = prefix_of(*to);
    }
}

bool PartitionCursor::beyond(const Node& node) const {
    int order = compare(node, limit_prefix_, limit_);
    return reverse_ ? order < 0 : order > 0;
}

MemTable::MemTable(std::uint64_t seed) : seed_(seed), random_(seed | 1) {
    static_assert(sizeof(void*) == 8);
    if (static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(arena_.allocate(8))) >> 48) {
        throw Error("this machine's addresses have more than 48 bits, for which the memtable is not made");
    }
}

std::uint32_t MemTable::hash_of(std::uint64_t table_id, std::string_view name) const {
    return hash_bytes(mix(seed_ ^ table_id, 0x589965CC75374CC3), name);
}

const Partition* MemTable::find_hashed(std::uint32_t hash, std::uint64_t table_id,
                                       std::string_view name) const {
    return partitions_.find(hash, [&](const Partition& partition) {
        return partition.table_id() == table_id && partition.name() == name;
    });
}

std::vector<const Partition*> MemTable::partitions(std::uint64_t table_id) const {
    std::vector<const Partition*> found;
    std::uint32_t hash = hash_of(table_id, {});
    const Table* table = tables_.find(hash, [&](const Table& other) { return other.id == table_id; });
    if (!table) return found;
    const Partition* partition = table->partitions.load(std::memory_order_acquire);
    for (; partition; partition = partition->next_of_table_) found.push_back(partition);
    return found;
}

Partition* MemTable::partition(std::uint64_t table_id, std::string_view name) {
    std::uint32_t hash = hash_of(table_id, name);
    if (const Partition* found = find_hashed(hash, table_id, name)) return const_cast<Partition*>(found);

    if (frozen()) throw Error("the memtable is frozen; write to the active one");
    std::uint32_t table_hash = hash_of(table_id, {});
    Table* table = tables_.find(table_hash, [&](const Table& other) { return other.id == table_id; });
    if (!table) {
        table = new (arena_.allocate(sizeof(Table))) Table{table_hash, table_id, nullptr};
        table_ids_.push_back(table_id);
        try {
            tables_.insert(arena_, table);
        } catch (...) {
            table_ids_.pop_back();
            throw;
        }
    }
    char* memory = arena_.allocate(sizeof(Partition) + name.size());
    Partition* made = new (memory) Partition(table_id, hash, static_cast<std::uint32_t>(name.size()));
    if (!name.empty()) std::memcpy(memory + sizeof(Partition), name.data(), name.size());
    made->seed_ = static_cast<std::uint32_t>(seed_ >> 32 ^ seed_);
    made->next_of_table_ = table->partitions.load(std::memory_order_relaxed);
    grow_tower(made);
    partitions_.insert(arena_, made);
    table->partitions.store(made, std::memory_order_release);
    return made;
}

void MemTable::grow_tower(Partition* partition) {
    Partition::Tower* old = partition->head_.load(std::memory_order_relaxed);
    std::size_t height = old ? Partition::kHeightMax : Partition::kHeightFirst;
    std::size_t kept = old ? old->height : 0;
    char* memory = arena_.allocate(sizeof(Partition::Tower) + height * sizeof(Node::Link));
    Node** tails = reinterpret_cast<Node**>(arena_.allocate(height * sizeof(Node*)));
    auto* tower = new (memory) Partition::Tower{height};
    for (std::size_t level = 0; level < height; level++) {
        Node* next = level < kept ? old->links()[level].load(std::memory_order_relaxed) : nullptr;
        new (tower->links() + level) Node::Link(next);
        new (tails + level) Node*(level < kept ? partition->tails_[level] : nullptr);
    }
    partition->tails_ = tails;
    partition->head_.store(tower, std::memory_order_release);
}

Node* MemTable::node(Partition* partition, std::string_view key) {
    Node** tails = partition->tails_;
    // Keys mostly come in order: behind the last one there is nothing to look for.
    if (!tails[0] || compare(*tails[0], prefix_of(key), key) < 0) return insert_node(partition, key, tails);
    if (const Node* found = partition->index_.built() ? partition->find(key) : nullptr) {
        return const_cast<Node*>(found);
    }
    Node* before[Partition::kHeightMax];
    Node* next = partition->seek(key, before);
    if (next && next->key() == key) return next;
    return insert_node(partition, key, before);
}

void MemTable::expect(const Partition* partition, std::string_view key) const {
    if (partition->index_.built()) partition->index_.expect(hash_bytes(partition->seed_, key));
}

// Memory for a node or a version. Those of one partition lie together, however its writes and those of others
// came: reading a partition is reading memory in order, where a miss of the cache for each row would be most
// of the time.
char* MemTable::allocate(Partition* partition, std::size_t size) {
    size = (size + 7) & ~std::size_t{7};
    if (size > static_cast<std::size_t>(partition->free_end_ - partition->free_)) {
        std::uint64_t piece =
            std::clamp(partition->bytes_ / 8 & ~std::uint64_t{7}, kPieceBytesMin, kPieceBytesMax);
        if (partition->bytes_ < kScatteredBytes || size > piece / 2) {
            char* alone = arena_.allocate(size);
            partition->bytes_ += size;
            return alone;
        }
        partition->free_ = arena_.allocate(piece);
        partition->free_end_ = partition->free_ + piece;
    }
    char* given = partition->free_;
    partition->free_ += size;
    partition->bytes_ += size;
    return given;
}

Node* MemTable::insert_node(Partition* partition, std::string_view key, Node** before) {
    if (frozen()) throw Error("the memtable is frozen; write to the active one");
    bool at_end = before == partition->tails_;
    Node* copied[Partition::kHeightMax] = {};
    Partition::Tower* head = partition->head_.load(std::memory_order_relaxed);
    if (partition->keys_ >= kTallKeys && head->height < Partition::kHeightMax) {
        std::copy(before, before + head->height, copied);
        grow_tower(partition);
        head = partition->head_.load(std::memory_order_relaxed);
        before = at_end ? partition->tails_ : copied;
    }

    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    std::uint32_t height = 1 + static_cast<std::uint32_t>(std::countr_zero(random_ >> 8 | 1ull << 54) / 2);
    height = std::min(height, static_cast<std::uint32_t>(head->height));
    char* memory = allocate(partition, sizeof(Node) + height * sizeof(Node::Link) + key.size());
    Node* made = new (memory) Node{};
    made->prefix = prefix_of(key);
    made->hash = hash_bytes(partition->seed_, key);
    made->key_length = static_cast<std::uint32_t>(key.size());
    made->height = height;
    for (std::uint32_t level = 0; level < height; level++) {
        Node::Link* links = before[level] ? before[level]->links() : head->links();
        new (made->links() + level) Node::Link(links[level].load(std::memory_order_relaxed));
    }
    if (!key.empty()) std::memcpy(const_cast<char*>(made->key().data()), key.data(), key.size());
    made->back.store(before[0], std::memory_order_relaxed);

    // Into the index first: it may find no memory, linking cannot fail. Without a version the node is
    // invisible.
    if (partition->index_.built()) {
        partition->index_.insert(arena_, made);
    } else if (partition->keys_ == kIndexedKeys) {
        partition->index_.build(arena_, kIndexedKeys * 2, [&](auto add) {
            for (const Node* node = partition->first(); node;
                 node = node->links()[0].load(std::memory_order_relaxed)) {
                add(const_cast<Node*>(node));
            }
            add(made);
        });
    }
    Node* after = made->links()[0].load(std::memory_order_relaxed);
    for (std::uint32_t level = 0; level < height; level++) {
        Node::Link* links = before[level] ? before[level]->links() : head->links();
        links[level].store(made, std::memory_order_release);
        if (!made->links()[level].load(std::memory_order_relaxed)) partition->tails_[level] = made;
    }
    // A reader going down that misses the node here misses what is newer than its snapshot.
    if (after) {
        after->back.store(made, std::memory_order_release);
    } else {
        partition->last_.store(made, std::memory_order_release);
    }
    partition->keys_++;
    return made;
}

void MemTable::count_change(Partition* partition, std::uint64_t sequence, bool was_live, bool now_live) {
    if (was_live == now_live) return;
    std::uint64_t live = partition->live_rows_.load(std::memory_order_relaxed);
    if (sequence > partition->last_change_.load(std::memory_order_relaxed)) {
        partition->last_change_.store(sequence, std::memory_order_relaxed);
    }
    // Release: who reads this count reads the change above with it.
    partition->live_rows_.store(now_live ? live + 1 : live - 1, std::memory_order_release);
}

bool MemTable::push(Partition* partition, Node* node, std::uint64_t sequence, std::string_view row,
                    bool deleted) {
    if (frozen()) throw Error("the memtable is frozen; write to the active one");
    std::atomic<const Version*>* link = &node->newest;
    const Version* older = link->load(std::memory_order_relaxed);
    const Version* newest = older;
    // Only a replay comes with a version that is not the newest.
    while (older && older->sequence > sequence) {
        link = const_cast<std::atomic<const Version*>*>(&older->previous);
        older = link->load(std::memory_order_relaxed);
    }
    if (older && older->sequence == sequence) return false;

    char* memory = allocate(partition, sizeof(Version) + row.size());
    Version* made = new (memory) Version{sequence, {}, static_cast<std::uint32_t>(row.size()), deleted};
    made->previous.store(older, std::memory_order_relaxed);
    if (!row.empty()) std::memcpy(memory + sizeof(Version), row.data(), row.size());
    link->store(made, std::memory_order_release);
    entries_.fetch_add(1, std::memory_order_relaxed);
    if (link == &node->newest) count_change(partition, sequence, is_live(newest), !deleted);
    return true;
}

void MemTable::pop(Partition* partition, Node* node, std::uint64_t from) {
    const Version* newest = node->newest.load(std::memory_order_relaxed);
    const Version* kept = newest;
    while (kept && kept->sequence >= from) {
        kept = kept->previous.load(std::memory_order_relaxed);
        entries_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (kept == newest) return;
    std::uint64_t sequence = newest->sequence;
    node->newest.store(kept, std::memory_order_release);
    count_change(partition, sequence, is_live(newest), is_live(kept));
}

}  // namespace kalam
