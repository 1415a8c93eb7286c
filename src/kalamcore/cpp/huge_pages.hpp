// Large pages for memory that is large anyway.
#pragma once

#include <cstddef>

namespace kalam {

// What one page is then; memory that begins and ends at its multiples gains most.
inline constexpr std::size_t kHugePageBytes = std::size_t{1} << 21;

// A hint that a buffer is about to be written whole: in small pages its first touch would cost as much as
// what is written, and a look into it waits for the page table as well as for the memory. Does nothing to a
// small buffer, or where the system does not know the hint.
void expect_whole_write(void* begin, std::size_t size) noexcept;

// Memory that begins at a multiple of kHugePageBytes, and goes back to the system when it is given back,
// where the allocator would keep it for later. Throws std::bad_alloc.
void* take_pages(std::size_t size);
void give_back_pages(void* begin, std::size_t size) noexcept;

// Gives back to the system what the allocator keeps for later. For after work that took much; takes
// milliseconds, during which other threads wait that allocate.
void release_free_memory() noexcept;

}  // namespace kalam
