#include "arrow_block.hpp"

#include <cstring>
#include <deque>
#include <memory>
#include <utility>

namespace kalam {

namespace {

// Memory of a batch's columns that are not in the input as they should be.
struct Made {
    std::deque<std::string> buffers;
    char* of(std::size_t bytes) {
        buffers.emplace_back(bytes, '\0');
        return buffers.back().data();
    }
};

bool is_text(const ArrowColumn& column) {
    return column.kind == ArrowKind::kText || column.kind == ArrowKind::kBinary;
}

// Bits [from, from + count) of a bitmap, from bit 0 on; in place where they begin a byte.
const std::uint8_t* bits_from(const std::uint8_t* bits, std::int64_t from, std::int64_t count, Made& made) {
    if (from % 8 == 0 && count % 8 == 0) return bits + from / 8;
    auto* out = reinterpret_cast<std::uint8_t*>(made.of(static_cast<std::size_t>(count + 7) / 8));
    for (std::int64_t at = 0; at < count; at++) {
        std::int64_t bit = from + at;
        if (bits[bit >> 3] >> (bit & 7) & 1) out[at >> 3] |= static_cast<std::uint8_t>(1u << (at & 7));
    }
    return out;
}

std::int64_t nulls_in(const ArrowColumn& column, std::int64_t begin, std::int64_t end) {
    if (column.kind == ArrowKind::kNull) return end - begin;
    if (column.validity == nullptr || column.null_count == 0) return 0;
    std::int64_t nulls = 0;
    for (std::int64_t row = begin; row < end; row++) nulls += column.is_null(row);
    return nulls;
}

void set_text(const ArrowColumn& column, Type type, std::int64_t begin, std::int64_t end, bool nulls,
              ArrowBatchColumn& to, Made& made) {
    auto count = static_cast<std::size_t>(end - begin);
    char* offsets = made.of(4 * (count + 1));
    if (is_text(column) && !nulls && type != Type::kUuid) {
        const char* from =
            static_cast<const char*>(column.values) + 4 * static_cast<std::size_t>(column.offset + begin);
        auto base = load<std::int32_t>(from);
        for (std::size_t at = 0; at <= count; at++) {
            store(offsets + 4 * at, static_cast<std::int32_t>(load<std::int32_t>(from + 4 * at) - base));
        }
        to.buffers[2] = column.bytes + base;
    } else {
        made.buffers.emplace_back();
        std::string& bytes = made.buffers.back();
        for (std::int64_t row = begin; row < end; row++) {
            if (!column.is_null(row)) {
                std::string_view value = column.view(row);
                if (type == Type::kUuid) {
                    std::size_t at = bytes.size();
                    bytes.resize(at + kUuidCharacters);
                    write_uuid(value.data(), bytes.data() + at);
                } else {
                    bytes.append(value);
                }
            }
            store(offsets + 4 * (row - begin + 1), static_cast<std::int32_t>(bytes.size()));
        }
        to.buffers[2] = bytes.data();
    }
    to.text = true;
    to.buffers[1] = offsets;
}

void set_fixed(const ArrowColumn& column, Type type, std::int64_t begin, std::int64_t end, bool nulls,
               ArrowBatchColumn& to, Made& made) {
    std::size_t width = arrow_width(type);
    if (column.kind == ArrowKind::kNull) {
        to.buffers[1] = made.of(width * static_cast<std::size_t>(end - begin));
        return;
    }
    const char* from =
        static_cast<const char*>(column.values) + width * static_cast<std::size_t>(column.offset + begin);
    if (!nulls) {
        to.buffers[1] = from;
        return;
    }
    char* out = made.of(width * static_cast<std::size_t>(end - begin));
    to.buffers[1] = out;
    for (std::int64_t row = begin; row < end; row++, out += width, from += width) {
        if (!column.is_null(row)) std::memcpy(out, from, width);
    }
}

}  // namespace

void write_uuid(const char* bytes, char* to) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
        auto byte = static_cast<unsigned char>(bytes[i]);
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
}

ArrowBatch columns_of_rows(const RowLayout& layout, const ArrowInput& input, std::int64_t begin,
                           std::int64_t end, const std::int64_t* sequences) {
    auto made = std::make_shared<Made>();
    std::int64_t count = end - begin;
    std::vector<ArrowBatchColumn> columns;
    for (std::size_t at = 0; at < layout.size(); at++) {
        const Column& described = layout.columns()[at];
        const ArrowColumn& column = input.columns()[at];
        ArrowBatchColumn to;
        to.format = arrow_format(described);
        to.null_count = nulls_in(column, begin, end);
        bool nulls = to.null_count != 0;
        if (column.kind == ArrowKind::kNull) {
            to.buffers[0] = made->of(static_cast<std::size_t>(count + 7) / 8);
        } else if (nulls) {
            to.buffers[0] = bits_from(column.validity, column.offset + begin, count, *made);
        }
        if (is_variable(described.type) || described.type == Type::kUuid) {
            set_text(column, described.type, begin, end, nulls, to, *made);
        } else if (described.type == Type::kBoolean) {
            to.buffers[1] =
                column.kind == ArrowKind::kNull
                    ? made->of(static_cast<std::size_t>(count + 7) / 8)
                    : reinterpret_cast<const char*>(bits_from(static_cast<const std::uint8_t*>(column.values),
                                                              column.offset + begin, count, *made));
            if (nulls && column.kind != ArrowKind::kNull) {
                const auto* given = static_cast<const std::uint8_t*>(to.buffers[1]);
                const auto* valid = static_cast<const std::uint8_t*>(to.buffers[0]);
                std::size_t bytes = static_cast<std::size_t>(count + 7) / 8;
                char* out = made->of(bytes);
                for (std::size_t i = 0; i < bytes; i++) out[i] = static_cast<char>(given[i] & valid[i]);
                to.buffers[1] = out;
            }
        } else {
            set_fixed(column, described.type, begin, end, nulls, to, *made);
        }
        columns.push_back(std::move(to));
    }
    ArrowBatchColumn sequence;
    sequence.format = "l";
    sequence.buffers[1] = sequences;
    columns.push_back(std::move(sequence));
    ArrowBatchColumn deleted;
    deleted.format = "b";
    deleted.buffers[1] = made->of(static_cast<std::size_t>(count + 7) / 8);
    columns.push_back(std::move(deleted));
    return ArrowBatch(count, std::move(columns), std::move(made));
}

std::size_t bytes_of_rows(const RowLayout& layout, const ArrowInput& input, std::int64_t begin,
                          std::int64_t end) {
    std::size_t bytes = layout.header_bytes() * static_cast<std::size_t>(end - begin);
    for (std::size_t at = 0; at < layout.size(); at++) {
        if (!is_variable(layout.columns()[at].type)) continue;
        const ArrowColumn& column = input.columns()[at];
        if (is_text(column)) {
            const char* offsets = static_cast<const char*>(column.values) + 4 * column.offset;
            bytes += static_cast<std::size_t>(load<std::int32_t>(offsets + 4 * end) -
                                              load<std::int32_t>(offsets + 4 * begin));
            continue;
        }
        for (std::int64_t row = begin; row < end; row++) {
            if (!column.is_null(row)) bytes += column.view(row).size();
        }
    }
    return bytes;
}

}  // namespace kalam
