#include "json_rows.hpp"

#include <limits>
#include <utility>

namespace kalam {

namespace {

template <class T>
T value_at(const ArrowColumn& column, std::int64_t row) {
    return load<T>(static_cast<const char*>(column.values) +
                   static_cast<std::int64_t>(sizeof(T)) * (column.offset + row));
}

bool bool_at(const ArrowColumn& column, std::int64_t row) {
    std::int64_t bit = column.offset + row;
    return ((static_cast<const std::uint8_t*>(column.values)[bit >> 3] >> (bit & 7)) & 1) != 0;
}

float half_of(std::uint16_t bits) {
    unsigned exponent = (bits >> 10) & 31u;
    auto fraction = static_cast<float>(bits & 1023u);
    float value = 0;
    if (exponent == 31) {
        // NaN and the infinities are written alike.
        value = std::numeric_limits<float>::infinity();
    } else if (exponent == 0) {
        value = fraction / 16777216.0f;
    } else {
        value = (1024.0f + fraction) * static_cast<float>(1u << exponent) / 33554432.0f;
    }
    return (bits & 0x8000u) != 0 ? -value : value;
}

std::int64_t floor_divide(std::int64_t value, std::int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

std::int64_t microseconds_of(std::int64_t value, std::int64_t unit_ns, std::int64_t row) {
    if (unit_ns <= 1000) return floor_divide(value, 1000 / unit_ns);
    std::int64_t us = 0;
    if (__builtin_mul_overflow(value, unit_ns / 1000, &us)) {
        throw ValueOutOfRange("a moment too far away for 64 bits of microseconds", row, -1);
    }
    return us;
}

void write_text(std::string_view value, std::int64_t row, JsonText& out) {
    if (!out.text(value.data(), value.size())) throw ValueMismatch("text that is not valid UTF-8", row, -1);
}

// Throws ValueMismatch and ValueOutOfRange with the row alone.
void write_arrow_cell(const ArrowColumn& column, std::int64_t row, JsonText& out) {
    if (column.is_null(row)) return out.null();
    switch (column.kind) {
        case ArrowKind::kUnknown:
        case ArrowKind::kNull:
            return out.null();
        case ArrowKind::kBool:
            return out.boolean(bool_at(column, row));
        case ArrowKind::kInt8:
            return out.integer(int{value_at<std::int8_t>(column, row)});
        case ArrowKind::kInt16:
            return out.integer(value_at<std::int16_t>(column, row));
        case ArrowKind::kInt32:
        case ArrowKind::kDate32:
            return out.integer(value_at<std::int32_t>(column, row));
        case ArrowKind::kInt64:
            return out.quoted_integer(value_at<std::int64_t>(column, row));
        case ArrowKind::kUInt8:
            return out.quoted_integer(unsigned{value_at<std::uint8_t>(column, row)});
        case ArrowKind::kUInt16:
            return out.quoted_integer(value_at<std::uint16_t>(column, row));
        case ArrowKind::kUInt32:
            return out.quoted_integer(value_at<std::uint32_t>(column, row));
        case ArrowKind::kUInt64:
            return out.quoted_integer(value_at<std::uint64_t>(column, row));
        case ArrowKind::kHalf:
            return out.real(half_of(value_at<std::uint16_t>(column, row)));
        case ArrowKind::kFloat:
            return out.real(value_at<float>(column, row));
        case ArrowKind::kDouble:
            return out.real(value_at<double>(column, row));
        case ArrowKind::kText:
        case ArrowKind::kLargeText:
        case ArrowKind::kTextView:
            return write_text(column.view(row), row, out);
        case ArrowKind::kBinary:
        case ArrowKind::kLargeBinary:
        case ArrowKind::kBinaryView:
        case ArrowKind::kFixedBinary: {
            std::string_view value = column.view(row);
            bool uuid = column.kind == ArrowKind::kFixedBinary && column.width == 16;
            return uuid ? out.uuid(value.data()) : out.bytes(value.data(), value.size());
        }
        case ArrowKind::kDecimal:
            if (column.width == 16) return out.decimal(value_at<int128>(column, row), column.scale);
            if (column.width == 8) return out.decimal(value_at<std::int64_t>(column, row), column.scale);
            return out.decimal(value_at<std::int32_t>(column, row), column.scale);
        case ArrowKind::kDate64:
            return out.integer(floor_divide(value_at<std::int64_t>(column, row), 86400000));
        case ArrowKind::kTime:
        case ArrowKind::kTimestamp: {
            std::int64_t value =
                column.width == 4 ? value_at<std::int32_t>(column, row) : value_at<std::int64_t>(column, row);
            return out.integer(microseconds_of(value, column.unit_ns, row));
        }
    }
}

void write_cell(const Column& column, const Cell& cell, JsonText& out) {
    if (cell.null) return out.null();
    switch (column.type) {
        case Type::kBoolean:
            return out.boolean(cell.integer != 0);
        case Type::kBigInt:
            return out.quoted_integer(cell.integer);
        case Type::kFloat:
            return out.real(static_cast<float>(cell.real));
        case Type::kDouble:
            return out.real(cell.real);
        case Type::kDecimal:
            return out.decimal(cell.decimal, column.parameter_2);
        case Type::kText:
        case Type::kJson:
            if (out.text(cell.bytes.data, cell.bytes.size)) return;
            throw Corruption("an encoded row", 0, "text that is not UTF-8");
        case Type::kBytes:
            return out.bytes(cell.bytes.data, cell.bytes.size);
        case Type::kUuid:
            return out.uuid(cell.bytes.data);
        default:
            return out.integer(cell.integer);
    }
}

}  // namespace

JsonRows::JsonRows(const std::vector<std::string>& names) : objects_(true) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        JsonText text;
        if (i != 0) text.raw(',');
        if (!text.text(names[i].data(), names[i].size())) {
            throw ValueMismatch("a column's name is not valid UTF-8", -1, static_cast<std::int64_t>(i));
        }
        text.raw(':');
        names_.emplace_back(text.data(), text.size());
    }
}

void JsonRows::check_width(std::size_t columns) const {
    if (!objects_ || names_.size() == columns) return;
    throw ValueMismatch("the rows have " + std::to_string(columns) + " columns, and there are " +
                            std::to_string(names_.size()) + " names",
                        -1, -1);
}

void JsonRows::check(const ArrowInput& input) const {
    check_width(input.columns().size());
    for (std::size_t i = 0; i < input.columns().size(); ++i) {
        const ArrowColumn& column = input.columns()[i];
        if (column.kind != ArrowKind::kUnknown) continue;
        throw ValueMismatch(
            "Arrow format " + column.format +
                " (a dictionary, list, struct or interval) has no form in JSON here; cast the "
                "column first",
            -1, static_cast<std::int64_t>(i));
    }
}

std::int64_t JsonRows::append(const ArrowInput& input, std::int64_t begin, std::size_t bytes) {
    const std::vector<ArrowColumn>& columns = input.columns();
    std::size_t column = 0;
    std::int64_t row = begin;
    try {
        for (; row < input.rows() && text_.size() < bytes; ++row) {
            begin_row();
            for (column = 0; column < columns.size(); ++column) {
                next_cell(column);
                write_arrow_cell(columns[column], row, text_);
            }
            end_row();
        }
    } catch (const ValueMismatch& e) {
        throw ValueMismatch(e.what(), e.row, static_cast<std::int64_t>(column));
    } catch (const ValueOutOfRange& e) {
        throw ValueOutOfRange(e.what(), e.row, static_cast<std::int64_t>(column));
    }
    return row;
}

std::size_t JsonRows::append(const RowReader& reader, const std::vector<int>& columns,
                             const std::vector<RowRef>& rows, std::size_t begin, std::size_t bytes) {
    std::size_t at = begin;
    for (; at < rows.size() && text_.size() < bytes; ++at) {
        const RowRef& row = rows[at];
        RowView view = reader.open(row.data, row.size);
        begin_row();
        for (std::size_t i = 0; i < columns.size(); ++i) {
            next_cell(i);
            if (columns[i] == kSequenceColumn) {
                text_.quoted_integer(row.sequence);
            } else if (columns[i] == kUpdatedColumn) {
                text_.integer(updated_us(row.sequence));
            } else if (columns[i] == kDeletedColumn) {
                text_.boolean(row.deleted);
            } else {
                auto column = static_cast<std::size_t>(columns[i]);
                write_cell(reader.layout().columns()[column], reader.cell(view, column), text_);
            }
        }
        end_row();
    }
    return at;
}

}  // namespace kalam
