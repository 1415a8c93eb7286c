#include "huge_pages.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdint>

namespace kalam {

void expect_whole_write(void* begin, std::size_t size) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const auto from = (reinterpret_cast<std::uintptr_t>(begin) + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
    const auto to = (reinterpret_cast<std::uintptr_t>(begin) + size) & ~(kHugePageBytes - 1);
    // A refusal leaves the pages small, and nothing else.
    if (from < to) (void)::madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#else
    (void)begin;
    (void)size;
#endif
}

}  // namespace kalam
