#include "parquet_bloom.hpp"

#include <bit>
#include <cstring>

namespace kalam {

namespace {

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                        kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                        kPrime5 = 0x27D4EB2F165667C5;
constexpr std::uint32_t kSalts[8] = {0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D,
                                     0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31};

template <class T>
T load_at(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t input) {
    return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

}  // namespace

std::uint64_t xxh64(std::string_view bytes) {
    const char* at = bytes.data();
    const char* end = at + bytes.size();
    std::uint64_t hash;
    if (bytes.size() >= 32) {
        std::uint64_t lanes[4] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
        for (; end - at >= 32; at += 32) {
            for (int lane = 0; lane < 4; lane++)
                lanes[lane] = round(lanes[lane], load_at<std::uint64_t>(at + 8 * lane));
        }
        hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
               std::rotl(lanes[3], 18);
        for (std::uint64_t lane : lanes) hash = (hash ^ round(0, lane)) * kPrime1 + kPrime4;
    } else {
        hash = kPrime5;
    }
    hash += bytes.size();
    for (; end - at >= 8; at += 8) {
        hash = std::rotl(hash ^ round(0, load_at<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
    }
    if (end - at >= 4) {
        hash = std::rotl(hash ^ load_at<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
        at += 4;
    }
    for (; at < end; at++) hash = std::rotl(hash ^ static_cast<unsigned char>(*at) * kPrime5, 11) * kPrime1;
    hash = (hash ^ hash >> 33) * kPrime2;
    hash = (hash ^ hash >> 29) * kPrime3;
    return hash ^ hash >> 32;
}

bool parquet_bloom_may_have(std::string_view filter, std::uint64_t hash) {
    std::uint64_t block = (hash >> 32) * (filter.size() / 32) >> 32;
    const char* words = filter.data() + block * 32;
    auto low = static_cast<std::uint32_t>(hash);
    for (int at = 0; at < 8; at++) {
        if (!(load_at<std::uint32_t>(words + 4 * at) >> (low * kSalts[at] >> 27) & 1)) return false;
    }
    return true;
}

}  // namespace kalam
