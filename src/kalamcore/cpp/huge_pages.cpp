#include "huge_pages.hpp"

#if defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#endif

#include <cstdint>
#include <new>

namespace kalam {

namespace {

std::size_t whole_pages(std::size_t size) {
    constexpr std::size_t kPageBytes = 1u << 16;  // the largest that a page is anywhere
    return (size + kPageBytes - 1) & ~(kPageBytes - 1);
}

}  // namespace

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

// Sanitizers look at what the allocator gave, and at nothing else.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void* take_pages(std::size_t size) {
    const std::size_t wanted = whole_pages(size) + kHugePageBytes;
    void* given = ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (given == MAP_FAILED) throw std::bad_alloc();
    const auto first = reinterpret_cast<std::uintptr_t>(given);
    const auto begin = (first + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
    const auto end = begin + whole_pages(size);
    if (begin > first) ::munmap(given, begin - first);
    if (end < first + wanted) ::munmap(reinterpret_cast<void*>(end), first + wanted - end);
    return reinterpret_cast<void*>(begin);
}

void give_back_pages(void* begin, std::size_t size) noexcept {
    ::munmap(begin, whole_pages(size));
}

#else

void* take_pages(std::size_t size) {
    return ::operator new(size, std::align_val_t(kHugePageBytes));
}

void give_back_pages(void* begin, std::size_t) noexcept {
    ::operator delete(begin, std::align_val_t(kHugePageBytes));
}

#endif

void release_free_memory() noexcept {
#if defined(__GLIBC__)
    ::malloc_trim(0);
#endif
}

}  // namespace kalam
