#include "arrow_import.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

#include "not_null.hpp"

namespace kalam {

namespace {

constexpr std::int64_t kChunkRows = 256;

// Years 1 to 9999, as Python's datetime and date have them.
constexpr std::int64_t kTimestampMin = -62135596800000000;
constexpr std::int64_t kTimestampMax = 253402300799999999;
constexpr std::int64_t kDateMin = -719162;
constexpr std::int64_t kDateMax = 2932896;
constexpr std::int64_t kDayMicroseconds = 86400000000;

bool is_ascii(const char* data, std::size_t size) {
    constexpr std::uint64_t high = 0x8080808080808080;
    std::size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        std::uint64_t words[4];
        std::memcpy(words, data + i, 32);
        if (((words[0] | words[1] | words[2] | words[3]) & high) != 0) return false;
    }
    for (; i + 8 <= size; i += 8) {
        if ((load<std::uint64_t>(data + i) & high) != 0) return false;
    }
    for (; i < size; ++i) {
        if ((static_cast<unsigned char>(data[i]) & 0x80) != 0) return false;
    }
    return true;
}

std::int64_t unit_ns(char unit) {
    switch (unit) {
        case 's':
            return 1000000000;
        case 'm':
            return 1000000;
        case 'u':
            return 1000;
        case 'n':
            return 1;
        default:
            return 0;
    }
}

// Fills kind, width and the rest of a format string of the interface; kUnknown for what is not known here.
void describe(const char* format, ArrowColumn& column) {
    std::string_view f = format;
    auto is = [&](ArrowKind kind, std::int32_t width) {
        column.kind = kind;
        column.width = width;
    };
    if (f.size() == 1) {
        switch (f[0]) {
            case 'n':
                return is(ArrowKind::kNull, 0);
            case 'b':
                return is(ArrowKind::kBool, 0);
            case 'c':
                return is(ArrowKind::kInt8, 1);
            case 'C':
                return is(ArrowKind::kUInt8, 1);
            case 's':
                return is(ArrowKind::kInt16, 2);
            case 'S':
                return is(ArrowKind::kUInt16, 2);
            case 'i':
                return is(ArrowKind::kInt32, 4);
            case 'I':
                return is(ArrowKind::kUInt32, 4);
            case 'l':
                return is(ArrowKind::kInt64, 8);
            case 'L':
                return is(ArrowKind::kUInt64, 8);
            case 'e':
                return is(ArrowKind::kHalf, 2);
            case 'f':
                return is(ArrowKind::kFloat, 4);
            case 'g':
                return is(ArrowKind::kDouble, 8);
            case 'u':
                return is(ArrowKind::kText, 0);
            case 'U':
                return is(ArrowKind::kLargeText, 0);
            case 'z':
                return is(ArrowKind::kBinary, 0);
            case 'Z':
                return is(ArrowKind::kLargeBinary, 0);
            default:
                return;
        }
    }
    if (f == "vu") return is(ArrowKind::kTextView, 16);
    if (f == "vz") return is(ArrowKind::kBinaryView, 16);
    if (f == "tdD") return is(ArrowKind::kDate32, 4);
    if (f == "tdm") return is(ArrowKind::kDate64, 8);
    if (f.starts_with("w:")) {
        long width = std::strtol(format + 2, nullptr, 10);
        if (width >= 0 && width <= INT32_MAX) is(ArrowKind::kFixedBinary, static_cast<std::int32_t>(width));
        return;
    }
    if (f.starts_with("d:")) {
        char* end = nullptr;
        long precision = std::strtol(format + 2, &end, 10);
        if (*end != ',') return;
        long scale = std::strtol(end + 1, &end, 10);
        long bits = *end == ',' ? std::strtol(end + 1, nullptr, 10) : 128;
        bool sized = bits == 32 || bits == 64 || bits == 128;
        if (!sized || precision < 1 || precision > 38 || scale < -1000 || scale > 1000) return;
        column.precision = static_cast<std::int32_t>(precision);
        column.scale = static_cast<std::int32_t>(scale);
        return is(ArrowKind::kDecimal, static_cast<std::int32_t>(bits / 8));
    }
    if (f.size() == 3 && f.starts_with("tt")) {
        column.unit_ns = unit_ns(f[2]);
        if (column.unit_ns != 0) is(ArrowKind::kTime, column.unit_ns >= 1000000 ? 4 : 8);
        return;
    }
    if (f.size() >= 4 && f.starts_with("ts") && f[3] == ':') {
        column.unit_ns = unit_ns(f[2]);
        if (column.unit_ns != 0) is(ArrowKind::kTimestamp, 8);
    }
}

std::int64_t buffers_of(ArrowKind kind) {
    switch (kind) {
        case ArrowKind::kUnknown:
        case ArrowKind::kNull:
            return 0;
        case ArrowKind::kText:
        case ArrowKind::kLargeText:
        case ArrowKind::kBinary:
        case ArrowKind::kLargeBinary:
        case ArrowKind::kTextView:
        case ArrowKind::kBinaryView:
            return 3;
        default:
            return 2;
    }
}

[[noreturn]] void broken(const std::string& what, std::int64_t column) {
    throw ValueMismatch("the Arrow data is broken: " + what, -1, column);
}

}  // namespace

bool is_utf8(const char* data, std::size_t size) {
    const auto* at = reinterpret_cast<const unsigned char*>(data);
    const unsigned char* end = at + size;
    while (at < end) {
        if (*at < 0x80) {
            if (end - at >= 8 && (load<std::uint64_t>(at) & 0x8080808080808080) == 0) {
                at += 8;
            } else {
                ++at;
            }
            continue;
        }
        unsigned char lead = *at;
        // The second byte's range rules out overlong forms, surrogates and what is above U+10FFFF.
        std::ptrdiff_t more;
        unsigned char low = 0x80;
        unsigned char high = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            more = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            more = 2;
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            more = 3;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        } else {
            return false;
        }
        if (end - at <= more || at[1] < low || at[1] > high) return false;
        for (std::ptrdiff_t i = 2; i <= more; ++i) {
            if ((at[i] & 0xC0) != 0x80) return false;
        }
        at += more + 1;
    }
    return true;
}

std::size_t utf8_characters(const char* data, std::size_t size) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < size; ++i) characters += (static_cast<unsigned char>(data[i]) & 0xC0) != 0x80;
    return characters;
}

std::string_view ArrowColumn::view(std::int64_t row) const {
    std::int64_t at = offset + row;
    const auto* fixed = static_cast<const char*>(values);
    std::int64_t begin = 0;
    std::int64_t end = 0;
    switch (kind) {
        case ArrowKind::kText:
        case ArrowKind::kBinary:
            begin = load<std::int32_t>(fixed + 4 * at);
            end = load<std::int32_t>(fixed + 4 * at + 4);
            break;
        case ArrowKind::kLargeText:
        case ArrowKind::kLargeBinary:
            begin = load<std::int64_t>(fixed + 8 * at);
            end = load<std::int64_t>(fixed + 8 * at + 8);
            break;
        case ArrowKind::kFixedBinary:
            return {fixed + at * width, static_cast<std::size_t>(width)};
        case ArrowKind::kTextView:
        case ArrowKind::kBinaryView: {
            const char* view = fixed + 16 * at;
            std::int32_t size = load<std::int32_t>(view);
            if (size < 0) throw ValueMismatch("the Arrow data is broken: a view of negative length", row, -1);
            if (size <= 12) return {view + 4, static_cast<std::size_t>(size)};
            std::int32_t buffer = load<std::int32_t>(view + 8);
            std::int32_t from = load<std::int32_t>(view + 12);
            if (buffer < 0 || buffer >= view_buffer_count || from < 0) {
                throw ValueMismatch("the Arrow data is broken: a view into a buffer that is not there", row,
                                    -1);
            }
            return {static_cast<const char*>(view_buffers[buffer]) + from, static_cast<std::size_t>(size)};
        }
        default:
            throw ValueMismatch("a column of format " + format + " holds no text and no bytes", row, -1);
    }
    if (begin < 0 || end < begin || (bytes == nullptr && end != begin)) {
        throw ValueMismatch("the Arrow data is broken: offsets that go back", row, -1);
    }
    if (bytes == nullptr) return {"", 0};
    return {bytes + begin, static_cast<std::size_t>(end - begin)};
}

ArrowInput::ArrowInput(ArrowSchema* schema, ArrowArray* array) : schema_(*schema), array_(*array) {
    schema->release = nullptr;
    array->release = nullptr;
    try {
        read_columns();
    } catch (...) {
        release();
        throw;
    }
}

ArrowInput::~ArrowInput() {
    release();
}

void ArrowInput::release() {
    if (array_.release != nullptr) array_.release(&array_);
    if (schema_.release != nullptr) schema_.release(&schema_);
}

void ArrowInput::read_columns() {
    if (schema_.release == nullptr || array_.release == nullptr) broken("it was handed over before", -1);
    if (std::string_view(schema_.format) != "+s") {
        throw ValueMismatch(
            "rows come as a record batch (an Arrow struct), not as format " + std::string(schema_.format), -1,
            -1);
    }
    if (schema_.n_children != array_.n_children) broken("schema and array differ in their columns", -1);
    if (array_.length < 0 || array_.offset < 0) broken("a negative length", -1);
    if (array_.null_count != 0 && array_.n_buffers > 0 && array_.buffers[0] != nullptr &&
        first_clear_bit(static_cast<const std::uint8_t*>(array_.buffers[0]), array_.offset, array_.length) >=
            0) {
        throw ValueMismatch("a row as a whole is null; only values may be", -1, -1);
    }
    columns_.reserve(static_cast<std::size_t>(array_.n_children));
    for (std::int64_t i = 0; i < array_.n_children; ++i) {
        const ArrowSchema& schema = *schema_.children[i];
        const ArrowArray& array = *array_.children[i];
        ArrowColumn column;
        column.format = schema.format;
        if (schema.dictionary == nullptr) describe(schema.format, column);
        if (array.offset < 0 || array.length < array_.offset + array_.length)
            broken("a column is too short", i);
        column.offset = array_.offset + array.offset;
        column.null_count = array.null_count;
        if (array.n_buffers > 0 && array.null_count != 0 && column.kind != ArrowKind::kNull) {
            column.validity = static_cast<const std::uint8_t*>(array.buffers[0]);
        }
        if (array.n_buffers < buffers_of(column.kind)) broken("a column lacks buffers", i);
        if (buffers_of(column.kind) >= 2) {
            column.values = array.buffers[1];
            if (column.values == nullptr && array_.length > 0) broken("a column lacks its values", i);
        }
        if (column.kind == ArrowKind::kTextView || column.kind == ArrowKind::kBinaryView) {
            // The last buffer holds the sizes of those between.
            column.view_buffers = array.buffers + 2;
            column.view_buffer_count = array.n_buffers - 3;
        } else if (buffers_of(column.kind) == 3) {
            column.bytes = static_cast<const char*>(array.buffers[2]);
        }
        columns_.push_back(std::move(column));
    }
}

namespace {

// Whether a column of this kind can be encoded for the type without converting a value.
bool fits(const Column& column, const ArrowColumn& from) {
    switch (column.type) {
        case Type::kBoolean:
            return from.kind == ArrowKind::kBool;
        case Type::kSmallInt:
            return from.kind == ArrowKind::kInt16;
        case Type::kInt:
            return from.kind == ArrowKind::kInt32;
        case Type::kBigInt:
            return from.kind == ArrowKind::kInt64;
        case Type::kFloat:
            return from.kind == ArrowKind::kFloat;
        case Type::kDouble:
            return from.kind == ArrowKind::kDouble;
        case Type::kDecimal:
            return from.kind == ArrowKind::kDecimal && from.width == 16 && from.scale == column.parameter_2;
        case Type::kText:
        case Type::kJson:
            return from.kind == ArrowKind::kText || from.kind == ArrowKind::kLargeText ||
                   from.kind == ArrowKind::kTextView;
        case Type::kBytes:
            return from.kind == ArrowKind::kBinary || from.kind == ArrowKind::kLargeBinary ||
                   from.kind == ArrowKind::kBinaryView;
        case Type::kTimestamp:
            return from.kind == ArrowKind::kTimestamp && from.unit_ns == 1000;
        case Type::kDate:
            return from.kind == ArrowKind::kDate32;
        case Type::kTime:
            return from.kind == ArrowKind::kTime && from.unit_ns == 1000;
        case Type::kUuid:
            return from.kind == ArrowKind::kFixedBinary && from.width == 16;
    }
    return false;
}

// The rows of one chunk while they are encoded, column by column.
struct Chunk {
    std::int64_t begin;
    std::int64_t count;
    std::size_t sizes[kChunkRows];
    std::size_t starts[kChunkRows];  // of the row, in the output
    std::size_t data[kChunkRows];    // bytes of variable data so far
};

template <class T>
T value_at(const ArrowColumn& column, std::int64_t row) {
    return load<T>(static_cast<const char*>(column.values) +
                   static_cast<std::int64_t>(sizeof(T)) * (column.offset + row));
}

bool bool_at(const ArrowColumn& column, std::int64_t row) {
    std::int64_t bit = column.offset + row;
    return ((static_cast<const std::uint8_t*>(column.values)[bit >> 3] >> (bit & 7)) & 1) != 0;
}

// Throws at the first value of the column out of [low, high].
template <class T>
void check_range(const ArrowColumn& column, const Chunk& chunk, std::int64_t position, Type type, T low,
                 T high) {
    // Two passes: the first has no branch in its loop, as nearly always nothing is wrong.
    bool outside = false;
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        T value = value_at<T>(column, chunk.begin + i);
        outside |= (value < low) | (value > high);
    }
    if (!outside) return;
    for (std::int64_t row = chunk.begin; row < chunk.begin + chunk.count; ++row) {
        T value = value_at<T>(column, row);
        if ((value < low || value > high) && !column.is_null(row)) {
            throw ValueOutOfRange(std::string("a value out of range for ") + type_name(type), row, position);
        }
    }
}

// Fills `views` and checks what they hold. Null rows become empty views.
void check_variable(const ArrowColumn& column, const Column& described, Chunk& chunk, std::int64_t position,
                    std::string_view* views) {
    std::int64_t end = chunk.begin + chunk.count;
    try {
        for (std::int64_t row = chunk.begin; row < end; ++row) {
            std::string_view value = column.is_null(row) ? std::string_view() : column.view(row);
            views[row - chunk.begin] = value;
            chunk.sizes[row - chunk.begin] += value.size();
        }
    } catch (const ValueMismatch& e) {
        throw ValueMismatch(e.what(), e.row, position);
    }
    if (described.type == Type::kBytes) return;
    auto characters_max = static_cast<std::size_t>(described.parameter_1);
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        std::string_view value = views[i];
        bool ascii = is_ascii(value.data(), value.size());
        if (!ascii && !is_utf8(value.data(), value.size())) {
            throw ValueMismatch("text that is not valid UTF-8", chunk.begin + i, position);
        }
        if (characters_max != 0 && value.size() > characters_max &&
            (ascii || utf8_characters(value.data(), value.size()) > characters_max)) {
            throw ValueOutOfRange("value too long for VARCHAR(" + std::to_string(characters_max) + ")",
                                  chunk.begin + i, position);
        }
    }
}

void check_column(const ArrowColumn& column, const Column& described, bool required, Chunk& chunk,
                  std::int64_t position, std::string_view* views) {
    if (required) {
        std::int64_t end = chunk.begin + chunk.count;
        std::int64_t row = chunk.begin;
        while (row < end && !column.is_null(row)) ++row;
        if (row < end) {
            // Only a row before this one can still be the first that is wrong, here and in the columns to
            // come.
            chunk.count = row - chunk.begin;
            check_column(column, described, false, chunk, position, views);
            throw NullValue(row, position);
        }
    }
    if (is_variable(described.type)) {
        check_variable(column, described, chunk, position, views);
        return;
    }
    if (column.kind == ArrowKind::kNull) return;
    switch (described.type) {
        case Type::kTimestamp:
            check_range<std::int64_t>(column, chunk, position, described.type, kTimestampMin, kTimestampMax);
            break;
        case Type::kDate:
            check_range<std::int32_t>(column, chunk, position, described.type,
                                      static_cast<std::int32_t>(kDateMin),
                                      static_cast<std::int32_t>(kDateMax));
            break;
        case Type::kTime:
            check_range<std::int64_t>(column, chunk, position, described.type, 0, kDayMicroseconds - 1);
            break;
        case Type::kDecimal: {
            int128 limit = 1;
            for (int i = 0; i < described.parameter_1; ++i) limit *= 10;
            check_range<int128>(column, chunk, position, described.type, 1 - limit, limit - 1);
            break;
        }
        default:
            break;
    }
}

template <class T>
void write_fixed(const ArrowColumn& column, const Chunk& chunk, std::size_t slot, char* rows) {
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        store(rows + chunk.starts[i] + slot, value_at<T>(column, chunk.begin + i));
    }
}

void write_column(const ArrowColumn& column, const RowLayout& layout, std::size_t position, Chunk& chunk,
                  const std::string_view* views, char* rows) {
    std::size_t slot = layout.slot_offset(position);
    Type type = layout.columns()[position].type;
    if (is_variable(type)) {
        for (std::int64_t i = 0; i < chunk.count; ++i) {
            std::string_view value = views[i];
            char* row = rows + chunk.starts[i];
            if (!value.empty())
                std::memcpy(row + layout.header_bytes() + chunk.data[i], value.data(), value.size());
            chunk.data[i] += value.size();
            store(row + slot, static_cast<std::uint32_t>(chunk.data[i]));
        }
    } else if (column.kind == ArrowKind::kNull) {
        // Every slot stays zero.
    } else if (type == Type::kBoolean) {
        for (std::int64_t i = 0; i < chunk.count; ++i) {
            rows[chunk.starts[i] + slot] = bool_at(column, chunk.begin + i);
        }
    } else if (type == Type::kSmallInt) {
        write_fixed<std::int16_t>(column, chunk, slot, rows);
    } else if (type == Type::kInt || type == Type::kDate || type == Type::kFloat) {
        write_fixed<std::int32_t>(column, chunk, slot, rows);
    } else if (type == Type::kDecimal || type == Type::kUuid) {
        write_fixed<int128>(column, chunk, slot, rows);
    } else {
        write_fixed<std::int64_t>(column, chunk, slot, rows);
    }
    if (column.kind != ArrowKind::kNull && column.validity == nullptr) return;
    std::size_t byte = layout.bitmap_offset() + position / 8;
    std::size_t width =
        position + 1 < layout.size() ? layout.slot_offset(position + 1) - slot : layout.header_bytes() - slot;
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        if (!column.is_null(chunk.begin + i)) continue;
        char* row = rows + chunk.starts[i];
        row[byte] |= static_cast<char>(1u << (position % 8));
        // What Arrow holds below a null means nothing, and equal rows shall be equal bytes.
        if (!is_variable(type)) std::memset(row + slot, 0, width);
    }
}

void append_key_of(const ArrowColumn& column, Type type, std::int64_t row, std::string& out) {
    switch (type) {
        case Type::kBoolean:
            return append_boolean_key(bool_at(column, row), out);
        case Type::kSmallInt:
            return append_integer_key(value_at<std::int16_t>(column, row), out);
        case Type::kInt:
        case Type::kDate:
            return append_integer_key(value_at<std::int32_t>(column, row), out);
        case Type::kFloat:
            return append_real_key(static_cast<double>(value_at<float>(column, row)), out);
        case Type::kDouble:
            return append_real_key(value_at<double>(column, row), out);
        case Type::kDecimal:
            return append_decimal_key(value_at<int128>(column, row), out);
        case Type::kText:
        case Type::kBytes:
        case Type::kJson:
        case Type::kUuid:
            out.append(column.view(row));
            return;
        default:
            return append_integer_key(value_at<std::int64_t>(column, row), out);
    }
}

// Checks every value of the chunk, and fills in the sizes of its rows and `views` of what varies.
void check_chunk(const RowLayout& layout, const ArrowInput& input, Chunk& chunk,
                 std::vector<std::string_view>& views) {
    const std::vector<Column>& described = layout.columns();
    const std::vector<ArrowColumn>& columns = input.columns();
    for (std::int64_t i = 0; i < chunk.count; ++i) chunk.sizes[i] = layout.header_bytes();
    // The error of the first row is thrown, whichever column is looked at first.
    std::exception_ptr failure;
    std::int64_t failed_row = chunk.begin + chunk.count;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        bool required = !described[i].nullable || i == layout.key();
        auto note = [&](const auto& error) {
            if (error.row >= failed_row) return;
            failed_row = error.row;
            failure = std::current_exception();
        };
        try {
            check_column(columns[i], described[i], required, chunk, static_cast<std::int64_t>(i),
                         &views[i * kChunkRows]);
        } catch (const ValueMismatch& e) {
            note(e);
        } catch (const ValueOutOfRange& e) {
            note(e);
        } catch (const NullValue& e) {
            note(e);
        }
    }
    if (failure) std::rethrow_exception(failure);
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        if (chunk.sizes[i] <= kRowBytesMax) continue;
        throw ValueOutOfRange("the row takes " + std::to_string(chunk.sizes[i]) + " bytes; a row may take " +
                                  std::to_string(kRowBytesMax) + " (16 MB)",
                              chunk.begin + i, -1);
    }
}

}  // namespace

ArrowRowEncoder::ArrowRowEncoder(const RowLayout& layout, const ArrowInput& input)
    : layout_(&layout), input_(&input) {
    const std::vector<ArrowColumn>& columns = input.columns();
    if (columns.size() != layout.size()) {
        throw ValueMismatch("the batch has " + std::to_string(columns.size()) + " columns and the table " +
                                std::to_string(layout.size()),
                            -1, -1);
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].kind == ArrowKind::kNull || fits(layout.columns()[i], columns[i])) continue;
        throw ValueMismatch("Arrow format " + columns[i].format + " is not the one of " +
                                type_name(layout.columns()[i].type) + "; cast the column first",
                            -1, static_cast<std::int64_t>(i));
    }
}

void ArrowRowEncoder::encode(std::int64_t begin, std::int64_t end, EncodedRows& out) const {
    for (; begin < end; begin += kChunkRows) {
        encode_chunk(begin, begin + kChunkRows < end ? begin + kChunkRows : end, out);
    }
}

void ArrowRowEncoder::check(std::int64_t begin, std::int64_t end) const {
    std::vector<std::string_view> views(input_->columns().size() * kChunkRows);
    for (; begin < end; begin += kChunkRows) {
        Chunk chunk;
        chunk.begin = begin;
        chunk.count = std::min(end - begin, kChunkRows);
        check_chunk(*layout_, *input_, chunk, views);
    }
}

void ArrowRowEncoder::append_key(std::int64_t row, std::string& out) const {
    append_key_of(input_->columns()[layout_->key()], layout_->columns()[layout_->key()].type, row, out);
}

void ArrowRowEncoder::encode_chunk(std::int64_t begin, std::int64_t end, EncodedRows& out) const {
    const std::vector<ArrowColumn>& columns = input_->columns();
    Chunk chunk;
    chunk.begin = begin;
    chunk.count = end - begin;
    std::vector<std::string_view> views(columns.size() * kChunkRows);
    check_chunk(*layout_, *input_, chunk, views);

    std::size_t total = out.rows.size();
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        chunk.starts[i] = total;
        chunk.data[i] = 0;
        total += chunk.sizes[i];
        out.row_ends.push_back(total);
    }
    if (total > out.rows.capacity())
        out.rows.reserve(total > 2 * out.rows.capacity() ? total : 2 * out.rows.capacity());
    out.rows.resize(total);
    char* rows = out.rows.data();
    for (std::int64_t i = 0; i < chunk.count; ++i) {
        std::memcpy(rows + chunk.starts[i], layout_->blank().data(), layout_->header_bytes());
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        write_column(columns[i], *layout_, i, chunk, &views[i * kChunkRows], rows);
    }
    for (std::int64_t row = begin; row < end; ++row) {
        append_key(row, out.keys);
        out.key_ends.push_back(out.keys.size());
    }
}

}  // namespace kalam
