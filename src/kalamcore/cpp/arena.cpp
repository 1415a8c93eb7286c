#include "arena.hpp"

namespace kalam {

namespace {
constexpr std::size_t kBlockBytesMax = 1u << 20;
}

char* Arena::allocate_block(std::size_t size) {
    // What is large gets a block of its own, so that the rest of the present one is not lost.
    bool alone = size > block_bytes_ / 4;
    std::size_t taken = alone ? size : block_bytes_;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(taken));
    bytes_.fetch_add(taken, std::memory_order_relaxed);
    char* given = blocks_.back().get();
    if (!alone) {
        next_ = given + size;
        end_ = given + taken;
        if (block_bytes_ < kBlockBytesMax) block_bytes_ *= 2;
    }
    return given;
}

}  // namespace kalam
