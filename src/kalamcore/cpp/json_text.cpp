#include "json_text.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "arrow_block.hpp"
#include "arrow_import.hpp"

namespace kalam {

namespace {

// Text is escaped so many bytes at a time, since each may come to six.
constexpr std::size_t kRunBytes = 4096;
constexpr std::size_t kEscapeBytes = 6;
constexpr std::uint64_t kTen19 = 10000000000000000000u;
constexpr std::size_t kTen19Zeros = 19;

constexpr std::uint64_t every(std::uint8_t byte) {
    return 0x0101010101010101u * byte;
}

// The top bit of each byte that must be escaped. Bytes above the lowest such byte may be told wrongly.
std::uint64_t escaped_bytes(std::uint64_t word) {
    std::uint64_t quotes = word ^ every('"');
    std::uint64_t backslashes = word ^ every('\\');
    return ((word - every(0x20)) & ~word & every(0x80)) | ((quotes - every(1)) & ~quotes & every(0x80)) |
           ((backslashes - every(1)) & ~backslashes & every(0x80));
}

bool is_escaped(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == '"' || byte == '\\';
}

// REQUIRES: is_escaped(byte), room for kEscapeBytes.
char* write_escape(char byte, char* to) {
    constexpr char digits[] = "0123456789abcdef";
    auto either = [to](char letter) {
        to[0] = '\\';
        to[1] = letter;
        return to + 2;
    };
    switch (byte) {
        case '"':
        case '\\':
            return either(byte);
        case '\b':
            return either('b');
        case '\f':
            return either('f');
        case '\n':
            return either('n');
        case '\r':
            return either('r');
        case '\t':
            return either('t');
        default:
            std::memcpy(to, "\\u00", 4);
            to[4] = digits[byte >> 4];
            to[5] = digits[byte & 15];
            return to + 6;
    }
}

// Copies and escapes a run; `seen` gathers the bits of its bytes. REQUIRES: room for kEscapeBytes a byte, and
// eight bytes more.
char* write_escaped(const char* at, const char* end, char* to, std::uint64_t& seen) {
    while (end - at >= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        std::memcpy(to, &word, 8);
        seen |= word;
        std::uint64_t escaped = escaped_bytes(word);
        if (escaped == 0) [[likely]] {
            at += 8;
            to += 8;
            continue;
        }
        int plain = std::countr_zero(escaped) / 8;
        to = write_escape(at[plain], to + plain);
        at += plain + 1;
    }
    for (; at < end; ++at) {
        seen |= static_cast<unsigned char>(*at);
        if (is_escaped(*at)) {
            to = write_escape(*at, to);
        } else {
            *to++ = *at;
        }
    }
    return to;
}

// The digits of a number, without sign, ending before `end`; returns where they begin. REQUIRES: 39 bytes.
char* write_digits(uint128 value, char* end) {
    char* begin = end;
    for (; value >= kTen19; value /= kTen19) {
        auto low = static_cast<std::uint64_t>(value % kTen19);
        for (std::size_t i = 0; i < kTen19Zeros; ++i, low /= 10) *--begin = static_cast<char>('0' + low % 10);
    }
    auto high = static_cast<std::uint64_t>(value);
    do {
        *--begin = static_cast<char>('0' + high % 10);
        high /= 10;
    } while (high != 0);
    return begin;
}

}  // namespace

void JsonText::grow(std::size_t bytes) {
    std::size_t capacity = std::max(size_ + bytes, std::max<std::size_t>(2 * capacity_, 256));
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ != 0) std::memcpy(data.get(), data_.get(), size_);
    data_ = std::move(data);
    capacity_ = capacity;
}

template <class Real>
void JsonText::shortest(Real value) {
    if (!std::isfinite(value)) return null();
    char* begin = room(kNumberBytes + 2);
    char* end = std::to_chars(begin, begin + kNumberBytes, value).ptr;
    bool integral = std::all_of(begin, end, [](char c) { return c != '.' && c != 'e'; });
    if (integral) {
        std::memcpy(end, ".0", 2);
        end += 2;
    }
    wrote(end);
}

void JsonText::real(double value) {
    shortest(value);
}

void JsonText::real(float value) {
    shortest(value);
}

void JsonText::decimal(int128 unscaled, std::int32_t scale) {
    char digits[40];
    char* end = digits + sizeof digits;
    auto magnitude = static_cast<uint128>(unscaled);
    char* begin = write_digits(unscaled < 0 ? -magnitude : magnitude, end);
    auto count = static_cast<std::size_t>(end - begin);
    std::size_t behind = scale > 0 ? static_cast<std::size_t>(scale) : 0;
    std::size_t zeros = scale < 0 && unscaled != 0 ? static_cast<std::size_t>(-std::int64_t{scale}) : 0;
    std::size_t leading = behind >= count ? behind - count + 1 : 0;
    char* at = room(leading + count + zeros + 4);
    *at++ = '"';
    if (unscaled < 0) *at++ = '-';
    char* number = at;
    std::memset(at, '0', leading);
    std::memcpy(at + leading, begin, count);
    at += leading + count;
    if (behind != 0) {
        char* point = number + leading + count - behind;
        std::memmove(point + 1, point, behind);
        *point = '.';
        ++at;
    }
    std::memset(at, '0', zeros);
    at += zeros;
    *at++ = '"';
    wrote(at);
}

bool JsonText::text(const char* data, std::size_t size) {
    std::size_t before = size_;
    std::uint64_t seen = 0;
    raw('"');
    for (std::size_t done = 0; done < size; done += kRunBytes) {
        std::size_t run = std::min(size - done, kRunBytes);
        char* to = room(kEscapeBytes * run + 8);
        wrote(write_escaped(data + done, data + done + run, to, seen));
    }
    raw('"');
    if ((seen & every(0x80)) != 0 && !is_utf8(data, size)) {
        size_ = before;
        return false;
    }
    return true;
}

void JsonText::bytes(const char* data, std::size_t size) {
    raw('[');
    for (std::size_t i = 0; i < size; ++i) {
        if (i != 0) raw(',');
        integer(static_cast<unsigned>(static_cast<unsigned char>(data[i])));
    }
    raw(']');
}

void JsonText::uuid(const char* bytes) {
    raw('"');
    write_uuid(bytes, extend(kUuidCharacters));
    raw('"');
}

}  // namespace kalam
