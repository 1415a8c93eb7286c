// Numbers of varying length, as the log and segments write them: seven bits a byte, the lowest first, the
// high bit set on all but the last.
//
// Thread safety: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "errors.hpp"

namespace kalam {

inline void put_varint(std::string& out, std::uint64_t value) {
    char bytes[10];
    std::size_t size = 0;
    for (; value >= 0x80; value >>= 7) bytes[size++] = static_cast<char>(value | 0x80);
    bytes[size++] = static_cast<char>(value);
    out.append(bytes, size);
}

// Takes it from the beginning of `from`. Throws Error where it is cut off or too large.
inline std::uint64_t take_varint(std::string_view& from) {
    std::uint64_t value = 0;
    for (std::size_t at = 0; at < 10 && at < from.size(); at++) {
        auto byte = static_cast<std::uint8_t>(from[at]);
        if (at == 9 && byte > 1) break;
        value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * at);
        if (byte < 0x80) {
            from.remove_prefix(at + 1);
            return value;
        }
    }
    throw Error("a number is cut off or too large");
}

// So many bytes as a number before them says.
inline std::string_view take_bytes(std::string_view& from) {
    std::uint64_t size = take_varint(from);
    if (size > from.size()) throw Error("a length reaches beyond the record");
    std::string_view bytes = from.substr(0, static_cast<std::size_t>(size));
    from.remove_prefix(bytes.size());
    return bytes;
}

inline void put_bytes(std::string& out, std::string_view bytes) {
    put_varint(out, bytes.size());
    out.append(bytes);
}

// Fixed numbers, little endian whatever the machine is.
inline void put_u64(std::string& out, std::uint64_t value) {
    for (int at = 0; at < 8; at++) out.push_back(static_cast<char>(value >> (8 * at)));
}
inline void put_u32(std::string& out, std::uint32_t value) {
    for (int at = 0; at < 4; at++) out.push_back(static_cast<char>(value >> (8 * at)));
}
inline std::uint64_t take_fixed(std::string_view& from, std::size_t bytes) {
    if (from.size() < bytes) throw Error("it is too short");
    std::uint64_t value = 0;
    for (std::size_t at = bytes; at-- > 0;) value = value << 8 | static_cast<std::uint8_t>(from[at]);
    from.remove_prefix(bytes);
    return value;
}
inline std::uint64_t take_u64(std::string_view& from) {
    return take_fixed(from, 8);
}
inline std::uint32_t take_u32(std::string_view& from) {
    return static_cast<std::uint32_t>(take_fixed(from, 4));
}

}  // namespace kalam
