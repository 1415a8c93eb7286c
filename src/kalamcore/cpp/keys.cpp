#include "keys.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "errors.hpp"

namespace kalam {

static_assert(std::endian::native == std::endian::little, "encoded rows are read in place, little endian");

namespace {

constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
constexpr std::uint64_t kNaN = 0x7FF8000000000000;

void append_big_endian(std::uint64_t value, std::string& out) {
    value = __builtin_bswap64(value);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint64_t big_endian(const char* from) {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_bswap64(value);
}

}  // namespace

Type type_of_code(int code, std::int64_t column) {
    if (code < 1 || code > 14) {
        throw ValueMismatch("there is no type of code " + std::to_string(code) + "; the codes are 1 to 14",
                            -1, column);
    }
    return static_cast<Type>(code);
}

const char* type_name(Type type) {
    static const char* const names[] = {"",          "BOOLEAN", "SMALLINT", "INT",  "BIGINT",
                                        "FLOAT",     "DOUBLE",  "DECIMAL",  "TEXT", "BYTES",
                                        "TIMESTAMP", "DATE",    "TIME",     "UUID", "JSON"};
    return names[static_cast<int>(type)];
}

std::size_t key_width(Type type) {
    switch (type) {
        case Type::kText:
        case Type::kBytes:
        case Type::kJson:
            return 0;
        case Type::kBoolean:
            return 1;
        case Type::kDecimal:
        case Type::kUuid:
            return 16;
        default:
            return 8;
    }
}

void append_boolean_key(bool value, std::string& out) {
    out.push_back(value ? '\1' : '\0');
}

void append_integer_key(std::int64_t value, std::string& out) {
    append_big_endian(static_cast<std::uint64_t>(value) ^ kSign, out);
}

void append_real_key(double value, std::string& out) {
    std::uint64_t bits = std::bit_cast<std::uint64_t>(value == 0.0 ? 0.0 : value);
    if (std::isnan(value)) bits = kNaN;
    append_big_endian((bits & kSign) != 0 ? ~bits : bits ^ kSign, out);
}

void append_decimal_key(int128 value, std::string& out) {
    uint128 bits = static_cast<uint128>(value);
    append_big_endian(static_cast<std::uint64_t>(bits >> 64) ^ kSign, out);
    append_big_endian(static_cast<std::uint64_t>(bits), out);
}

bool boolean_of_key(std::string_view key) {
    return key[0] != '\0';
}

std::int64_t integer_of_key(std::string_view key) {
    return static_cast<std::int64_t>(big_endian(key.data()) ^ kSign);
}

double real_of_key(std::string_view key) {
    std::uint64_t bits = big_endian(key.data());
    return std::bit_cast<double>((bits & kSign) != 0 ? bits ^ kSign : ~bits);
}

int128 decimal_of_key(std::string_view key) {
    uint128 high = big_endian(key.data()) ^ kSign;
    return static_cast<int128>(high << 64 | big_endian(key.data() + 8));
}

void append_null_part(std::string& out) {
    out.push_back('\0');
}

void append_part(Type type, std::string_view single_key, std::string& out) {
    out.push_back('\1');
    if (!is_variable(type)) {
        out.append(single_key);
        return;
    }
    for (;;) {
        std::size_t zero = single_key.find('\0');
        out.append(single_key.substr(0, zero));
        if (zero == std::string_view::npos) break;
        out.append("\x00\xFF", 2);
        single_key.remove_prefix(zero + 1);
    }
    out.append(2, '\0');
}

}  // namespace kalam
