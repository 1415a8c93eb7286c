#include "crc32c.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <arm_acle.h>
#endif

namespace kalam {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
        tables[0][byte] = crc;
    }
    for (std::size_t table = 1; table < 8; ++table) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();

std::uint64_t load_little_endian(const char* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
}

}  // namespace

std::uint32_t crc32c_extend_by_table(std::uint32_t crc, std::string_view bytes) {
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    crc = ~crc;
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint64_t word = load_little_endian(at) ^ crc;
        crc = 0;
        for (std::size_t byte = 0; byte < 8; ++byte) crc ^= tables[7 - byte][(word >> (8 * byte)) & 0xff];
    }
    for (; left > 0; --left, ++at)
        crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

bool crc32c_has_instruction() {
    static const bool has = __builtin_cpu_supports("sse4.2") != 0;
    return has;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_extend_by_instruction(std::uint32_t crc,
                                                                             std::string_view bytes) {
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t state = ~crc;
    for (; left >= 8; left -= 8, at += 8) state = _mm_crc32_u64(state, load_little_endian(at));
    auto narrow = static_cast<std::uint32_t>(state);
    for (; left > 0; --left, ++at) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
    return ~narrow;
}

#elif defined(__aarch64__) && (defined(__linux__) || defined(__APPLE__))

bool crc32c_has_instruction() {
#if defined(__linux__)
    static const bool has = (::getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
    return has;
#else
    return true;
#endif
}

#if defined(__clang__)
__attribute__((target("crc")))
#else
__attribute__((target("+crc")))
#endif
std::uint32_t crc32c_extend_by_instruction(std::uint32_t crc, std::string_view bytes) {
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    crc = ~crc;
    for (; left >= 8; left -= 8, at += 8) crc = __crc32cd(crc, load_little_endian(at));
    for (; left > 0; --left, ++at) crc = __crc32cb(crc, static_cast<unsigned char>(*at));
    return ~crc;
}

#else

bool crc32c_has_instruction() {
    return false;
}
std::uint32_t crc32c_extend_by_instruction(std::uint32_t crc, std::string_view bytes) {
    return crc32c_extend_by_table(crc, bytes);
}

#endif

std::uint32_t crc32c_extend(std::uint32_t crc, std::string_view bytes) {
    return crc32c_has_instruction() ? crc32c_extend_by_instruction(crc, bytes)
                                    : crc32c_extend_by_table(crc, bytes);
}

}  // namespace kalam
