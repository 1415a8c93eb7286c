// Recent rows in memory: a skip list per (table, partition), every version of a key, newest first.
//
// Thread safety: one writer at a time, guarded by the caller; readers need no lock and may run beside it.
// Invariants: nothing that was linked is moved or freed before the memtable is; a version is linked only once
// it is whole. A reader sees every version at or below a snapshot that was published after those were pushed,
// and leaves aside what is newer.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <vector>

#include "arena.hpp"

namespace kalam {

// One version of a row. The row's bytes follow it in memory.
struct Version {
    std::uint64_t sequence;
    std::atomic<const Version*> previous;  // the next older one
    std::uint32_t length;
    bool deleted;

    const char* data() const { return reinterpret_cast<const char*>(this + 1); }
    std::string_view row() const { return {data(), length}; }
};

// A key. `height` links follow it in memory, then the key's bytes.
struct Node {
    using Link = std::atomic<Node*>;

    std::uint64_t prefix;  // the first 8 bytes of the key, big endian, padded with zeros
    std::uint32_t hash;
    std::uint32_t key_length : 27;
    std::uint32_t height : 5;
    std::atomic<const Version*> newest;  // null where all that was pushed was popped again
    std::atomic<Node*> back;             // the neighbour below on level 0; null at the first

    Link* links() { return reinterpret_cast<Link*>(this + 1); }
    const Link* links() const { return reinterpret_cast<const Link*>(this + 1); }
    std::string_view key() const { return {reinterpret_cast<const char*>(links() + height), key_length}; }

    // The newest version at or below `snapshot`, or null.
    const Version* visible(std::uint64_t snapshot) const {
        const Version* version = newest.load(std::memory_order_acquire);
        while (version && version->sequence > snapshot) {
            version = version->previous.load(std::memory_order_acquire);
        }
        return version;
    }
};

// An open-addressing table of pointers to T (which has a `hash`). A slot keeps 16 bits of the hash above the
// pointer, so that a wrong candidate is rarely touched: user-space addresses have 48 bits, which the memtable
// checks at its first allocation.
//
// Thread safety: as the memtable's. It grows by a copy that is published whole; a reader of the old copy
// misses only what was added after it looked.
template <class T>
class PointerTable {
  public:
    template <class Match>
    T* find(std::uint32_t hash, Match matches) const {
        const Slots* slots = slots_.load(std::memory_order_acquire);
        if (!slots) return nullptr;
        for (std::uint32_t at = hash & slots->mask;; at = (at + 1) & slots->mask) {
            std::uint64_t slot = slots->slot()[at].load(std::memory_order_acquire);
            if (!slot) return nullptr;
            if (slot >> 48 == hash >> 16) {
                T* item = reinterpret_cast<T*>(static_cast<std::uintptr_t>(slot & kAddress));
                if (matches(*item)) return item;
            }
        }
    }
    // Throws std::bad_alloc, and has then changed nothing. REQUIRES: no equal item is in the table.
    void insert(Arena& arena, T* item) {
        Slots* slots = slots_.load(std::memory_order_relaxed);
        if (!slots || slots->used >= slots->mask / 4 * 3) {
            Slots* larger = make(arena, slots ? (slots->mask + 1) * 2 : 8);
            for (std::uint32_t at = 0; slots && at <= slots->mask; at++) {
                // Where an item goes is told by its whole hash, which is far away, as is its place then.
                constexpr std::uint32_t kAhead = 16;
                if (at + kAhead <= slots->mask) __builtin_prefetch(item_at(slots, at + kAhead));
                if (at + kAhead / 2 <= slots->mask) {
                    if (const T* soon = item_at(slots, at + kAhead / 2)) expect(larger, soon->hash);
                }
                if (T* moved = item_at(slots, at)) place(larger, moved);
            }
            slots = larger;
            place(slots, item);
            slots_.store(slots, std::memory_order_release);
        } else {
            place(slots, item);
        }
    }
    // Makes the table of `count` items at once; `each(add)` calls add(item) for all of them.
    template <class Each>
    void build(Arena& arena, std::uint32_t count, Each each) {
        Slots* slots = make(arena, std::bit_ceil(count * 2));
        each([slots](T* item) { place(slots, item); });
        slots_.store(slots, std::memory_order_release);
    }
    // A hint that an item of this hash is about to be looked for or inserted.
    void expect(std::uint32_t hash) const {
        const Slots* slots = slots_.load(std::memory_order_acquire);
        if (slots) expect(slots, hash);
    }
    bool built() const { return slots_.load(std::memory_order_acquire) != nullptr; }

  private:
    static constexpr std::uint64_t kAddress = (std::uint64_t{1} << 48) - 1;
    struct Slots {
        std::uint32_t mask;
        std::uint32_t used;  // of the writer alone
        std::atomic<std::uint64_t>* slot() { return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1); }
        const std::atomic<std::uint64_t>* slot() const {
            return reinterpret_cast<const std::atomic<std::uint64_t>*>(this + 1);
        }
    };
    static Slots* make(Arena& arena, std::uint32_t size) {
        char* memory = arena.allocate(sizeof(Slots) + size * sizeof(std::atomic<std::uint64_t>));
        Slots* slots = new (memory) Slots{size - 1, 0};
        for (std::uint32_t at = 0; at < size; at++) new (slots->slot() + at) std::atomic<std::uint64_t>(0);
        return slots;
    }
    static void expect(const Slots* slots, std::uint32_t hash) {
        __builtin_prefetch(slots->slot() + (hash & slots->mask), 1);
    }
    static T* item_at(const Slots* slots, std::uint32_t at) {
        std::uint64_t slot = slots->slot()[at].load(std::memory_order_relaxed);
        return reinterpret_cast<T*>(static_cast<std::uintptr_t>(slot & kAddress));
    }
    static void place(Slots* slots, T* item) {
        std::uint64_t address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(item));
        std::uint64_t slot = address | static_cast<std::uint64_t>(item->hash >> 16) << 48;
        std::uint32_t at = item->hash & slots->mask;
        while (slots->slot()[at].load(std::memory_order_relaxed)) at = (at + 1) & slots->mask;
        slots->slot()[at].store(slot, std::memory_order_release);
        slots->used++;
    }

    std::atomic<Slots*> slots_{nullptr};
};

// The bounds of a scan, both inclusive; null is no bound.
struct Bounds {
    const std::string_view* low = nullptr;
    const std::string_view* high = nullptr;
};

// The rows of one table that live together. Its bytes (the partition's name) follow it in memory.
class Partition {
  public:
    std::uint64_t table_id() const { return table_id_; }
    std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), length_}; }

    // The newest version of `key` at or below `snapshot`, tombstones included, or null.
    const Version* get(std::string_view key, std::uint64_t snapshot) const {
        const Node* node = find(key);
        return node ? node->visible(snapshot) : nullptr;
    }
    const Node* find(std::string_view key) const;
    // Rows that live at `snapshot`.
    std::uint64_t count(std::uint64_t snapshot) const;
    // Whether a version at or below `snapshot` was ever there.
    bool any(std::uint64_t snapshot) const;

    const std::uint32_t hash;

  private:
    friend class MemTable;
    friend class PartitionCursor;

    static constexpr int kHeightMax = 12;
    static constexpr int kHeightFirst = 3;
    // The links of the list's head follow it in memory. A partition begins with few of them and gets the rest
    // when it has grown.
    struct Tower {
        std::uint64_t height;
        Node::Link* links() { return reinterpret_cast<Node::Link*>(this + 1); }
    };

    Partition(std::uint64_t table_id, std::uint32_t hash, std::uint32_t length)
        : hash(hash), length_(length), table_id_(table_id) {}

    // The first node that is not below `key`; `before`, where given, gets the last node below it per level
    // (null: the head).
    Node* seek(std::string_view key, Node** before) const;
    // The last node at or below `key`.
    const Node* seek_back(std::string_view key) const;
    const Node* first() const {
        return head_.load(std::memory_order_acquire)->links()[0].load(std::memory_order_acquire);
    }
    const Node* last() const { return last_.load(std::memory_order_acquire); }

    const std::uint32_t length_;
    const std::uint64_t table_id_;
    std::atomic<Tower*> head_{nullptr};
    std::atomic<Node*> last_{nullptr};  // linked; the highest but for those that were linked just now
    PointerTable<Node> index_;          // built once there are many keys
    std::atomic<std::uint64_t> live_rows_{0};
    std::atomic<std::uint64_t> last_change_{0};
    Partition* next_of_table_ = nullptr;
    // Of the writer alone: the last node per level (null: the head), how many keys there are, the piece of
    // memory that its nodes and versions are put into one after the other, and how many bytes they have had
    // in all.
    Node** tails_ = nullptr;
    std::uint64_t keys_ = 0;
    char* free_ = nullptr;
    char* free_end_ = nullptr;
    std::uint64_t bytes_ = 0;
    std::uint32_t seed_;
};

// Walks the visible versions of a partition in key order, or against it.
//
// REQUIRES: the memtable and the strings of `bounds` outlive it.
class PartitionCursor {
  public:
    PartitionCursor(const Partition& partition, std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                    bool deleted);
    // The next version, or null at the end; tombstones only where they were asked for.
    const Version* next() {
        while (const Node* node = next_) {
            if (limited_ && beyond(*node)) {
                next_ = nullptr;
                break;
            }
            next_ = (reverse_ ? node->back : node->links()[0]).load(std::memory_order_acquire);
            fetch_ahead(node, next_);
            const Version* version = node->visible(snapshot_);
            if (version && (deleted_ || !version->deleted)) {
                at_ = node;
                return version;
            }
        }
        return nullptr;
    }
    // The key of what next() gave last.
    std::string_view key() const { return at_->key(); }

  private:
    // Whether the node lies behind the limit.
    bool beyond(const Node& node) const;
    // Rows that were written one after the other lie so in memory: what is some steps ahead is asked for now,
    // as each step would wait for the one before it.
    static void fetch_ahead(const Node* node, const Node* next) {
        constexpr std::ptrdiff_t kStepBytesMax = 512;
        constexpr std::ptrdiff_t kStepsAhead = 4;
        std::ptrdiff_t step = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(next) -
                                                          reinterpret_cast<std::uintptr_t>(node));
        std::ptrdiff_t size = step < 0 ? -step : step;
        if (size > kStepBytesMax) return;
        std::uintptr_t ahead =
            reinterpret_cast<std::uintptr_t>(next) + static_cast<std::uintptr_t>(step * kStepsAhead);
        for (std::ptrdiff_t at = 0; at < size; at += 64) {
            __builtin_prefetch(reinterpret_cast<const void*>(ahead + static_cast<std::uintptr_t>(at)));
        }
    }

    const Node* next_;
    const Node* at_ = nullptr;
    std::string_view limit_;
    std::uint64_t limit_prefix_ = 0;
    std::uint64_t snapshot_;
    bool limited_ = false;
    bool reverse_;
    bool deleted_;
};

class MemTable {
  public:
    // `seed` keeps who chooses the keys from choosing their hashes.
    explicit MemTable(std::uint64_t seed);
    MemTable(const MemTable&) = delete;
    MemTable& operator=(const MemTable&) = delete;

    // The partition, or null where none was ever made.
    const Partition* find(std::uint64_t table_id, std::string_view name) const {
        return find_hashed(hash_of(table_id, name), table_id, name);
    }
    std::vector<const Partition*> partitions(std::uint64_t table_id) const;
    // Of tables that ever had a partition. REQUIRES: it is frozen.
    const std::vector<std::uint64_t>& table_ids() const { return table_ids_; }

    // From here on the writer's side. All but pop throw std::bad_alloc, and have then pushed nothing.
    Partition* partition(std::uint64_t table_id, std::string_view name);
    // The key's node, made where there is none; invisible until something is pushed on it.
    Node* node(Partition* partition, std::string_view key);
    // A hint that node() is about to be asked for this key.
    void expect(const Partition* partition, std::string_view key) const;
    // Adds a version. False where the key has one with this sequence already. REQUIRES: key length < 2^27.
    bool push(Partition* partition, Node* node, std::uint64_t sequence, std::string_view row, bool deleted);
    // Takes back the versions of a key from sequence `from` on; their memory is lost.
    // REQUIRES: no snapshot reaches `from`.
    void pop(Partition* partition, Node* node, std::uint64_t from);

    std::uint64_t seed() const { return seed_; }
    std::uint64_t bytes() const { return arena_.bytes(); }
    std::uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
    void freeze() { frozen_.store(true, std::memory_order_release); }
    bool frozen() const { return frozen_.load(std::memory_order_acquire); }

  private:
    struct Table {
        std::uint32_t hash;
        std::uint64_t id;
        std::atomic<Partition*> partitions;
    };

    std::uint32_t hash_of(std::uint64_t table_id, std::string_view name) const;
    const Partition* find_hashed(std::uint32_t hash, std::uint64_t table_id, std::string_view name) const;
    char* allocate(Partition* partition, std::size_t size);
    Node* insert_node(Partition* partition, std::string_view key, Node** before);
    void grow_tower(Partition* partition);
    void count_change(Partition* partition, std::uint64_t sequence, bool was_live, bool is_live);

    const std::uint64_t seed_;
    std::uint64_t random_;
    Arena arena_;
    PointerTable<Partition> partitions_;
    PointerTable<Table> tables_;
    std::vector<std::uint64_t> table_ids_;  // the writer's
    std::atomic<std::uint64_t> entries_{0};
    std::atomic<bool> frozen_{false};
};

}  // namespace kalam
