// A bump allocator: memory is handed out in order and given back all at once.
//
// Thread safety: one thread allocates at a time; bytes() may be called by any.
// Invariant: what was handed out stays where it is until the arena is destroyed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace kalam {

class Arena {
  public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // `size` bytes, aligned to 8. Throws std::bad_alloc, and has then changed nothing.
    char* allocate(std::size_t size) {
        size = (size + 7) & ~std::size_t{7};
        if (size > static_cast<std::size_t>(end_ - next_)) return allocate_block(size);
        char* given = next_;
        next_ += size;
        return given;
    }

    // Bytes taken from the system.
    std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  private:
    struct Free {
        std::size_t size;
        void operator()(char* block) const;
    };
    using Block = std::unique_ptr<char[], Free>;

    char* allocate_block(std::size_t size);

    char* next_ = nullptr;
    char* end_ = nullptr;
    std::size_t block_bytes_ = 4096;
    std::atomic<std::uint64_t> bytes_{0};
    std::vector<Block> blocks_;
};

}  // namespace kalam
