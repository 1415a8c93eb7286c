#include "column_block.hpp"

#include <algorithm>
#include <utility>

#include "errors.hpp"
#include "keys.hpp"

namespace kalam {

namespace {

int hex_digit(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

// The 16 bytes of a UUID of 36 characters.
void read_uuid(const char* text, char* out) {
    for (int at = 0, byte = 0; byte < 16; byte++) {
        if (text[at] == '-') at++;
        out[byte] = static_cast<char>(hex_digit(text[at]) << 4 | hex_digit(text[at + 1]));
        at += 2;
    }
}

std::string_view text_at(const BlockColumn& column, std::int64_t row) {
    auto begin = load<std::int32_t>(column.values + 4 * row);
    auto end = load<std::int32_t>(column.values + 4 * row + 4);
    return {column.bytes + begin, static_cast<std::size_t>(end - begin)};
}

std::int64_t integer_at(Type type, const BlockColumn& column, std::int64_t row) {
    switch (type) {
        case Type::kBoolean:
            return ColumnBlock::bit(reinterpret_cast<const std::uint8_t*>(column.values), row);
        case Type::kSmallInt:
            return load<std::int16_t>(column.values + 2 * row);
        case Type::kInt:
        case Type::kDate:
            return load<std::int32_t>(column.values + 4 * row);
        default:
            return load<std::int64_t>(column.values + 8 * row);
    }
}

// Keys of one block mostly come one after the other: where `key` would lie among the first and the last, a
// few rows around are looked at before the halves, each of which waits for a line of memory of its own.
// `expect` is told of that row before it is looked at.
template <class T, class Expect>
std::int64_t first_not_below(const char* values, std::int64_t begin, std::int64_t end, std::int64_t key,
                             const Expect& expect) {
    auto at = [values](std::int64_t row) -> std::int64_t {
        return load<T>(values + static_cast<std::int64_t>(sizeof(T)) * row);
    };
    constexpr std::int64_t kAround = 8;
    if (end - begin > 4 * kAround) {
        const std::int64_t first = at(begin), last = at(end - 1);
        if (key <= first) return begin;
        if (key > last) return end;
        // Without a sign: the distance of two keys may be more than an int64 holds.
        const auto distance = [first](std::int64_t to) {
            return static_cast<double>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(first));
        };
        const double part = distance(key) / distance(last);
        const std::int64_t guess = std::clamp(
            begin + static_cast<std::int64_t>(part * static_cast<double>(end - 1 - begin)), begin, end - 1);
        expect(guess);
        if (at(guess) < key) {
            const std::int64_t above = std::min(guess + kAround, end - 1);
            begin = guess + 1;
            if (at(above) >= key) end = above;
        } else {
            const std::int64_t below = std::max(guess - kAround, begin);
            end = guess;
            if (at(below) < key) begin = below + 1;
        }
    }
    while (begin < end) {
        std::int64_t middle = begin + (end - begin) / 2;
        if (at(middle) < key) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

std::uint64_t big_endian(std::string_view key) {
    std::uint64_t value = 0;
    for (int at = 0; at < 8; at++)
        value = value << 8 | static_cast<unsigned char>(key[static_cast<std::size_t>(at)]);
    return value;
}

}  // namespace

ColumnBlock::ColumnBlock(std::shared_ptr<const RowLayout> layout, std::int64_t rows,
                         std::vector<BlockColumn> columns, std::shared_ptr<const void> hold,
                         std::size_t bytes)
    : layout_(std::move(layout)),
      rows_(rows),
      columns_(std::move(columns)),
      hold_(std::move(hold)),
      bytes_(bytes) {
    if (columns_.size() != layout_->size() + 2) {
        throw ValueMismatch("a block of " + std::to_string(columns_.size()) + " columns for a layout of " +
                                std::to_string(layout_->size()) + " and two",
                            -1, -1);
    }
    for (std::size_t at = 0; at < layout_->size(); at++) {
        Type type = layout_->columns()[at].type;
        columns_[at].text = is_variable(type) || type == Type::kUuid;
        columns_[at].width = static_cast<std::uint8_t>(columns_[at].text ? 4 : arrow_width(type));
    }
    columns_[layout_->size()].width = 8;
    sequences_ = columns_[layout_->size()].values;
    deleted_ = reinterpret_cast<const std::uint8_t*>(columns_[layout_->size() + 1].values);
    Type key = layout_->columns()[layout_->key()].type;
    integer_key_ = !is_variable(key);
    if (integer_key_ && key != Type::kBigInt && key != Type::kInt && key != Type::kSmallInt) {
        throw ValueMismatch(std::string("a key of type ") + type_name(key) + " in a block", -1,
                            static_cast<std::int64_t>(layout_->key()));
    }
}

void ColumnBlock::append_key(std::int64_t row, std::string& out) const {
    const BlockColumn& column = columns_[layout_->key()];
    if (integer_key_) {
        append_integer_key(integer_at(layout_->columns()[layout_->key()].type, column, row), out);
    } else {
        out.append(text_at(column, row));
    }
}

int ColumnBlock::compare_key(std::int64_t row, std::string_view key) const {
    const BlockColumn& column = columns_[layout_->key()];
    if (!integer_key_) return text_at(column, row).compare(key);
    auto flipped =
        static_cast<std::uint64_t>(integer_at(layout_->columns()[layout_->key()].type, column, row)) ^
        (std::uint64_t{1} << 63);
    if (key.size() == 8) {
        std::uint64_t other = big_endian(key);
        return flipped < other ? -1 : flipped > other;
    }
    std::string mine;
    append_key(row, mine);
    return std::string_view(mine).compare(key);
}

std::int64_t ColumnBlock::lower_bound(std::int64_t begin, std::int64_t end, std::string_view key) const {
    if (integer_key_ && key.size() == 8) {
        const BlockColumn& column = columns_[layout_->key()];
        auto number = static_cast<std::int64_t>(big_endian(key) ^ std::uint64_t{1} << 63);
        const auto expect = [this](std::int64_t row) { expect_slots(row); };
        if (column.width == 8)
            return first_not_below<std::int64_t>(column.values, begin, end, number, expect);
        if (column.width == 4)
            return first_not_below<std::int32_t>(column.values, begin, end, number, expect);
        return first_not_below<std::int16_t>(column.values, begin, end, number, expect);
    }
    while (begin < end) {
        std::int64_t middle = begin + (end - begin) / 2;
        if (compare_key(middle, key) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

void ColumnBlock::expect_slots(std::int64_t row) const {
    for (const BlockColumn& column : columns_) {
        // Bits of all rows lie side by side.
        if (column.width) __builtin_prefetch(column.values + column.width * row);
    }
}

void ColumnBlock::expect_bytes(std::int64_t row) const {
    for (const BlockColumn& column : columns_) {
        if (!column.text || !column.values) continue;
        const char* bytes = column.bytes + load<std::int32_t>(column.values + 4 * row);
        __builtin_prefetch(bytes);
        __builtin_prefetch(bytes + 64);
    }
}

void ColumnBlock::append_row(std::int64_t row, std::string& out) const {
    RowWriter writer(*layout_, out);
    for (std::size_t at = 0; at < layout_->size(); at++) {
        const BlockColumn& column = columns_[at];
        if (column.validity && !bit(column.validity, row)) {
            writer.set_null(at);
            continue;
        }
        Type type = layout_->columns()[at].type;
        switch (type) {
            case Type::kFloat:
                writer.set_real(at, load<float>(column.values + 4 * row));
                break;
            case Type::kDouble:
                writer.set_real(at, load<double>(column.values + 8 * row));
                break;
            case Type::kDecimal:
                writer.set_decimal(at, load<int128>(column.values + 16 * row));
                break;
            case Type::kUuid: {
                char bytes[16];
                read_uuid(text_at(column, row).data(), bytes);
                writer.set_uuid(at, bytes);
                break;
            }
            case Type::kText:
            case Type::kBytes:
            case Type::kJson: {
                std::string_view text = text_at(column, row);
                writer.set_bytes(at, text.data(), text.size());
                break;
            }
            default:
                writer.set_integer(at, integer_at(type, column, row));
        }
    }
    writer.finish(row);
}

Cell ColumnBlock::cell(std::int64_t row, std::size_t at) const {
    const BlockColumn& column = columns_[at];
    Type type = layout_->columns()[at].type;
    Cell cell;
    cell.null = column.validity && !bit(column.validity, row);
    cell.integer = 0;
    if (cell.null) return cell;
    switch (type) {
        case Type::kFloat:
            cell.real = static_cast<double>(load<float>(column.values + 4 * row));
            break;
        case Type::kDouble:
            cell.real = load<double>(column.values + 8 * row);
            break;
        case Type::kDecimal:
            cell.decimal = load<int128>(column.values + 16 * row);
            break;
        case Type::kText:
        case Type::kBytes:
        case Type::kJson: {
            std::string_view text = text_at(column, row);
            cell.bytes = {text.data(), text.size()};
            break;
        }
        default:
            cell.integer = integer_at(type, column, row);
    }
    return cell;
}

ArrowBatch ColumnBlock::slice(const std::shared_ptr<const ColumnBlock>& self, std::int64_t begin,
                              std::int64_t end, const std::vector<int>& columns) {
    std::vector<ArrowBatchColumn> sliced;
    std::shared_ptr<const void> hold = self;
    for (int position : columns) {
        ArrowBatchColumn made;
        if (position == kUpdatedColumn) {
            auto instants =
                std::make_shared<std::pair<std::shared_ptr<const void>, std::vector<std::int64_t>>>();
            instants->first = std::move(hold);
            for (std::int64_t row = begin; row < end; row++)
                instants->second.push_back(updated_us(self->sequence(row)));
            made.format = "tsu:UTC";
            made.buffers[1] = instants->second.data();
            hold = std::move(instants);
        } else {
            bool system = position < 0;
            std::size_t at = !system ? static_cast<std::size_t>(position)
                                     : self->layout_->size() + (position == kDeletedColumn ? 1 : 0);
            const BlockColumn& column = self->columns_[at];
            if (!system) {
                const Column& described = self->layout_->columns()[at];
                made.format = arrow_format(described);
                made.text = is_variable(described.type) || described.type == Type::kUuid;
            } else {
                made.format = position == kDeletedColumn ? "b" : "l";
            }
            made.offset = begin;
            // Of a part nobody counted them.
            made.null_count = column.null_count == 0 ? 0 : -1;
            made.buffers[0] = column.null_count == 0 ? nullptr : column.validity;
            made.buffers[1] = column.values;
            made.buffers[2] = column.bytes;
        }
        sliced.push_back(std::move(made));
    }
    return ArrowBatch(end - begin, std::move(sliced), std::move(hold));
}

}  // namespace kalam
