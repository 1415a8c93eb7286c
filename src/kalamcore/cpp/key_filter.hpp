// A Bloom filter in blocks of one cache line (Putze, Sanders, Singler 2007): tells that a key is not there.
//
//     blocks of 64 bytes | 6 bits a key, all in one block
//
// The high half of a key's hash chooses the block, six groups of nine bits of another mix of it the bits.
//
// Thread safety: KeyFilter is immutable; its bytes outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stable_hash.hpp"

namespace kalam {

inline constexpr std::size_t kFilterBlockBytes = 64;
inline constexpr int kFilterBits = 6;
inline constexpr std::uint64_t kFilterBitsPerKey = 10;

// What a key is in a filter: of one partition, told by its name.
inline std::uint64_t filter_hash(std::uint64_t partition_hash, std::string_view key) {
    return stable_hash(key, partition_hash);
}

class KeyFilter {
  public:
    KeyFilter() = default;
    // `bytes`: whole blocks, or none.
    explicit KeyFilter(std::string_view bytes) : bytes_(bytes), blocks_(bytes.size() / kFilterBlockBytes) {}

    // False: it is not there. True where there is no filter.
    bool may_have(std::uint64_t hash) const {
        if (!blocks_) return true;
        const auto* block = reinterpret_cast<const unsigned char*>(bytes_.data()) +
                            block_of(hash, blocks_) * kFilterBlockBytes;
        std::uint64_t bits = stable_mix(hash, 0x9E6C63D0676A9A99);
        for (int at = 0; at < kFilterBits; at++, bits >>= 9) {
            if (!(block[(bits & 511) >> 3] >> (bits & 7) & 1)) return false;
        }
        return true;
    }

    static std::string made_of(const std::vector<std::uint64_t>& hashes) {
        if (hashes.empty()) return {};
        std::uint64_t blocks = (hashes.size() * kFilterBitsPerKey + 511) / 512;
        std::string made(static_cast<std::size_t>(blocks) * kFilterBlockBytes, '\0');
        for (std::uint64_t hash : hashes) {
            auto* block =
                reinterpret_cast<unsigned char*>(made.data()) + block_of(hash, blocks) * kFilterBlockBytes;
            std::uint64_t bits = stable_mix(hash, 0x9E6C63D0676A9A99);
            for (int at = 0; at < kFilterBits; at++, bits >>= 9) {
                block[(bits & 511) >> 3] |= static_cast<unsigned char>(1u << (bits & 7));
            }
        }
        return made;
    }

  private:
    static std::uint64_t block_of(std::uint64_t hash, std::uint64_t blocks) {
        return static_cast<std::uint64_t>(static_cast<hash_product>(hash) * blocks >> 64);
    }

    std::string_view bytes_;
    std::uint64_t blocks_ = 0;
};

}  // namespace kalam
