// A hash that is part of the file formats: the same bytes have the same hash for ever, on every machine.
//
// Thread safety: free functions without state.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace kalam {

__extension__ typedef unsigned __int128 hash_product;

inline std::uint64_t stable_mix(std::uint64_t a, std::uint64_t b) {
    hash_product product = static_cast<hash_product>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Multiply and fold, eight bytes at a time, little endian; drawn in docs/formats.md. Where hashes that
// collide would be an attack, what is hashed is compared too: this one has no secret.
inline std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed = 0) {
    std::uint64_t hash = seed ^ stable_mix(bytes.size() + 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93);
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t word;
    for (; left >= 8; at += 8, left -= 8) {
        std::memcpy(&word, at, 8);
        hash = stable_mix(hash ^ word, 0xA0761D6478BD642F);
    }
    if (left) {
        word = 0;
        std::memcpy(&word, at, left);
        hash = stable_mix(hash ^ word, 0xE7037ED1A0B428DB);
    }
    return stable_mix(hash, 0x8EBC6AF09C88C6E3);
}

}  // namespace kalam
