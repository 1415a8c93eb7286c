// Parquet's split block Bloom filter, as far as it is asked: blocks of 32 bytes, of which the upper half of a
// value's XXH64 chooses one and the lower half eight bits in it (BloomFilter.md of Parquet's format;
// xxhash_spec.md).
//
// Thread safety: free functions without state.
#pragma once

#include <cstdint>
#include <string_view>

namespace kalam {

std::uint64_t xxh64(std::string_view bytes);
// False: the value with this hash is surely not there. REQUIRES: whole blocks, at least one.
bool parquet_bloom_may_have(std::string_view filter, std::uint64_t hash);

}  // namespace kalam
