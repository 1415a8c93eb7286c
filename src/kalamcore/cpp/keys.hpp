// Keys: bytes that sort, as memcmp does, like the values they stand for. Drawn in docs/formats.md.
//
// Thread safety: free functions without state. All of them append to `out`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kalam {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

// The codes are part of the file format.
enum class Type : std::uint8_t {
    kBoolean = 1,
    kSmallInt = 2,
    kInt = 3,
    kBigInt = 4,
    kFloat = 5,
    kDouble = 6,
    kDecimal = 7,
    kText = 8,
    kBytes = 9,
    kTimestamp = 10,  // microseconds since 1970-01-01Z
    kDate = 11,       // days since 1970-01-01
    kTime = 12,       // microseconds of the day
    kUuid = 13,
    kJson = 14,
};

// Throws ValueMismatch(-1, column) for a code that is no type.
Type type_of_code(int code, std::int64_t column = -1);
const char* type_name(Type type);

// TEXT, BYTES and JSON: their length varies.
inline bool is_variable(Type type) {
    return type == Type::kText || type == Type::kBytes || type == Type::kJson;
}

// Bytes of a single key of the type; 0 where the length varies.
std::size_t key_width(Type type);

void append_boolean_key(bool value, std::string& out);
// SMALLINT, INT, BIGINT, TIMESTAMP, DATE and TIME all take 8 bytes, so that a widened key column keeps its
// keys.
void append_integer_key(std::int64_t value, std::string& out);
// FLOAT and DOUBLE, 8 bytes: -0.0 is 0.0, every NaN is one value above infinity.
void append_real_key(double value, std::string& out);
void append_decimal_key(int128 value, std::string& out);

bool boolean_of_key(std::string_view key);
// The inverse. REQUIRES: key.size() == key_width(type).
std::int64_t integer_of_key(std::string_view key);
double real_of_key(std::string_view key);
int128 decimal_of_key(std::string_view key);

// Parts of a composite key: 00 for None; 01, then the single key, which where its length varies is escaped
// (00 becomes 00 FF) and ended by 00 00.
void append_null_part(std::string& out);
void append_part(Type type, std::string_view single_key, std::string& out);

}  // namespace kalam
