#include "arena.hpp"

#include <new>

#include "huge_pages.hpp"

namespace kalam {

namespace {

// A block of full size is one huge page where the system has them: what is looked up at random would
// otherwise wait for the page table as often as for the row.
constexpr std::size_t kBlockBytesMax = kHugePageBytes;

char* take(std::size_t size) {
    if (size < kBlockBytesMax) return static_cast<char*>(::operator new(size));
    char* block = static_cast<char*>(take_pages(size));
    expect_whole_write(block, size);
    return block;
}

}  // namespace

void Arena::Free::operator()(char* block) const {
    if (size >= kBlockBytesMax) {
        give_back_pages(block, size);
    } else {
        ::operator delete(block);
    }
}

char* Arena::allocate_block(std::size_t size) {
    // What is large gets a block of its own, so that the rest of the present one is not lost.
    bool alone = size > block_bytes_ / 4;
    std::size_t taken = alone ? size : block_bytes_;
    blocks_.push_back(Block(take(taken), Free{taken}));
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
