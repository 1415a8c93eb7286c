// Randomness, as the core asks for it.
//
// Thread safety: every method may be called from any thread. After fork a system source never repeats bytes
// that it gave, or would have given, to the parent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kalam {

class RandomSource {
  public:
    virtual ~RandomSource() = default;
    // Fill `size` bytes at `out`. The system source gives bytes fit for secrets, read from the OS in blocks.
    virtual void fill(void* out, std::size_t size) = 0;
    std::uint64_t next_u64() {
        std::uint64_t value;
        fill(&value, sizeof value);
        return value;
    }

    static std::shared_ptr<RandomSource> system();
    // Reproducible, for tests alone.
    static std::shared_ptr<RandomSource> seeded(std::uint64_t seed);
};

}  // namespace kalam
