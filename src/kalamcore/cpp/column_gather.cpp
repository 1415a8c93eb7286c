#include "column_gather.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "arrow_buffer.hpp"

namespace kalam {

namespace {

constexpr std::size_t kTextBytesMax = 0x7FFFFFFF;

enum class Form : std::uint8_t { kBits, kFixed, kText, kUpdated };

// Bits [from, from + count) of `bits`, or ones where there are none, behind the first `have` of `to`.
void append_bits(ArrowBuffer& to, std::int64_t have, const std::uint8_t* bits, std::int64_t from,
                 std::int64_t count, std::size_t wanted) {
    std::size_t bytes = static_cast<std::size_t>(have + count + 7) / 8;
    if (bytes > to.size()) {
        std::size_t more = bytes - to.size();
        std::memset(to.extend(more, wanted), 0, more);
    }
    auto* out = reinterpret_cast<std::uint8_t*>(to.data());
    std::int64_t at = 0;
    if (have % 8 == 0 && from % 8 == 0) {
        std::size_t whole = static_cast<std::size_t>(count / 8);
        if (whole == 0) {
            // Not even a byte: there may be no memory yet.
        } else if (bits) {
            std::memcpy(out + have / 8, bits + from / 8, whole);
        } else {
            std::memset(out + have / 8, 0xFF, whole);
        }
        at = static_cast<std::int64_t>(whole) * 8;
    }
    for (; at < count; at++) {
        if (bits && !ColumnBlock::bit(bits, from + at)) continue;
        out[(have + at) >> 3] |= static_cast<std::uint8_t>(1u << ((have + at) & 7));
    }
}

struct Gathered {
    std::vector<ArrowBuffer> buffers;
};

}  // namespace

struct ColumnGatherer::Output {
    int position;
    std::string format;
    Form form;
    std::size_t width = 0;
    ArrowBuffer validity, values, bytes;
    bool has_nulls = false;
    std::int64_t null_count = 0;
};

ColumnGatherer::ColumnGatherer(std::shared_ptr<const RowLayout> layout, std::vector<int> columns,
                               std::int64_t rows_max)
    : layout_(std::move(layout)),
      columns_(std::move(columns)),
      rows_max_(std::max<std::int64_t>(rows_max, 1)) {
    for (int position : columns_) {
        Output output{position, {}, Form::kFixed, 8, {}, {}, {}, false, 0};
        if (position == kSequenceColumn) {
            output.format = "l";
        } else if (position == kUpdatedColumn) {
            output.format = "tsu:UTC";
            output.form = Form::kUpdated;
        } else if (position == kDeletedColumn) {
            output.format = "b";
            output.form = Form::kBits;
        } else {
            const Column& column = layout_->columns()[static_cast<std::size_t>(position)];
            output.format = arrow_format(column);
            if (is_variable(column.type) || column.type == Type::kUuid) {
                output.form = Form::kText;
            } else {
                output.width = arrow_width(column.type);
                if (column.type == Type::kBoolean) output.form = Form::kBits;
            }
        }
        outputs_.push_back(std::move(output));
    }
}

ColumnGatherer::~ColumnGatherer() = default;

std::int64_t ColumnGatherer::add(const ColumnBlock& block, std::int64_t begin, std::int64_t end) {
    std::int64_t count = std::min(end - begin, rows_max_ - rows_);
    for (const Output& output : outputs_) {
        if (output.form != Form::kText) continue;
        const BlockColumn& column = block.column(output.position);
        auto bytes_to = [&](std::int64_t row) {
            return static_cast<std::size_t>(load<std::int32_t>(column.values + 4 * row) -
                                            load<std::int32_t>(column.values + 4 * begin));
        };
        while (count > 1 && output.bytes.size() + bytes_to(begin + count) > kTextBytesMax) count /= 2;
        if (rows_ && output.bytes.size() + bytes_to(begin + count) > kTextBytesMax) count = 0;
    }
    if (count <= 0) return 0;
    auto rows_wanted = static_cast<std::size_t>(rows_max_);
    for (Output& output : outputs_) {
        const BlockColumn& column = block.column(output.position);
        auto rows = static_cast<std::size_t>(count);
        bool nulls = column.null_count != 0 && column.validity;
        if (nulls && !output.has_nulls) {
            append_bits(output.validity, 0, nullptr, 0, rows_, (rows_wanted + 7) / 8);
            output.has_nulls = true;
        }
        if (output.has_nulls) {
            append_bits(output.validity, rows_, nulls ? column.validity : nullptr, begin, count,
                        (rows_wanted + 7) / 8);
        }
        if (nulls) {
            for (std::int64_t row = begin; row < begin + count; row++) {
                output.null_count += !ColumnBlock::bit(column.validity, row);
            }
        }
        switch (output.form) {
            case Form::kBits:
                append_bits(output.values, rows_, reinterpret_cast<const std::uint8_t*>(column.values), begin,
                            count, (rows_wanted + 7) / 8);
                break;
            case Form::kFixed:
                std::memcpy(output.values.extend(rows * output.width, rows_wanted * output.width),
                            column.values + static_cast<std::size_t>(begin) * output.width,
                            rows * output.width);
                break;
            case Form::kUpdated: {
                char* out = output.values.extend(rows * 8, rows_wanted * 8);
                for (std::int64_t row = begin; row < begin + count; row++, out += 8) {
                    store(out, updated_us(block.sequence(row)));
                }
                break;
            }
            case Form::kText: {
                const char* from = column.values + 4 * begin;
                auto base = load<std::int32_t>(from);
                auto size = static_cast<std::size_t>(load<std::int32_t>(from + 4 * count) - base);
                if (rows_ == 0) store(output.values.extend(4, 4 * (rows_wanted + 1)), std::int32_t{0});
                auto shift = static_cast<std::int32_t>(output.bytes.size()) - base;
                char* out = output.values.extend(4 * rows, 4 * (rows_wanted + 1));
                for (std::size_t at = 1; at <= rows; at++, out += 4) {
                    store(out, static_cast<std::int32_t>(load<std::int32_t>(from + 4 * at) + shift));
                }
                // The others will be about as long.
                std::size_t wanted =
                    (output.bytes.size() + size) * rows_wanted / static_cast<std::size_t>(rows_ + count);
                // Where every text is empty there may be no memory on either side.
                if (size != 0) {
                    std::memcpy(output.bytes.extend(size, std::min(wanted + wanted / 16, kTextBytesMax)),
                                column.bytes + base, size);
                }
            }
        }
    }
    rows_ += count;
    return count;
}

ArrowBatch ColumnGatherer::finish() {
    auto hold = std::make_shared<Gathered>();
    std::vector<ArrowBatchColumn> columns;
    for (Output& output : outputs_) {
        ArrowBatchColumn made;
        made.format = output.format;
        made.text = output.form == Form::kText;
        made.null_count = output.null_count;
        auto keep = [&](ArrowBuffer& bytes) -> const void* {
            const void* at = bytes.address();
            hold->buffers.push_back(std::move(bytes));
            return at;
        };
        if (output.has_nulls) made.buffers[0] = keep(output.validity);
        made.buffers[1] = keep(output.values);
        if (made.text) made.buffers[2] = keep(output.bytes);
        output.has_nulls = false;
        output.null_count = 0;
        columns.push_back(std::move(made));
    }
    std::int64_t rows = std::exchange(rows_, 0);
    return ArrowBatch(rows, std::move(columns), std::move(hold));
}

}  // namespace kalam
