#include "rows.hpp"

#include <utility>

namespace kalam {

namespace {

std::size_t slot_width(Type type) {
    switch (type) {
        case Type::kBoolean:
            return 1;
        case Type::kSmallInt:
            return 2;
        case Type::kInt:
        case Type::kFloat:
        case Type::kDate:
        case Type::kText:
        case Type::kBytes:
        case Type::kJson:
            return 4;
        case Type::kBigInt:
        case Type::kDouble:
        case Type::kTimestamp:
        case Type::kTime:
            return 8;
        case Type::kDecimal:
        case Type::kUuid:
            return 16;
    }
    return 0;
}

int integer_rank(Type type) {
    return type == Type::kSmallInt ? 1 : type == Type::kInt ? 2 : type == Type::kBigInt ? 3 : 0;
}

int integer_digits(Type type) {
    return type == Type::kSmallInt ? 5 : type == Type::kInt ? 10 : 19;
}

int128 power_of_ten(int exponent) {
    int128 power = 1;
    for (int i = 0; i < exponent; ++i) power *= 10;
    return power;
}

[[noreturn]] void damaged(std::size_t offset, const std::string& detail) {
    throw Corruption("an encoded row", offset, detail);
}

std::int64_t load_integer(Type stored, const char* slot) {
    switch (stored) {
        case Type::kBoolean:
            return *slot != 0;
        case Type::kSmallInt:
            return load<std::int16_t>(slot);
        case Type::kInt:
        case Type::kDate:
            return load<std::int32_t>(slot);
        default:
            return load<std::int64_t>(slot);
    }
}

// How a stored column becomes one of the newest version. Throws ValueMismatch(-1, position).
ColumnPlan conversion(const Column& from, const Column& to, std::size_t position) {
    using Source = ColumnPlan::Source;
    ColumnPlan plan{};
    plan.source = Source::kSame;
    plan.stored = from.type;
    bool from_integer = integer_rank(from.type) != 0;
    if (from.type == Type::kDecimal && to.type == Type::kDecimal) {
        int more = to.parameter_2 - from.parameter_2;
        int more_before_point = to.parameter_1 - from.parameter_1 - more;
        if (more >= 0 && more_before_point >= 0) {
            if (more > 0) plan.source = Source::kRescale;
            plan.factor = power_of_ten(more);
            return plan;
        }
    } else if (from.type == to.type || (from.type == Type::kJson && to.type == Type::kText) ||
               (from.type == Type::kFloat && to.type == Type::kDouble) ||
               (from_integer && integer_rank(to.type) > integer_rank(from.type))) {
        return plan;
    } else if (from_integer && to.type == Type::kDouble) {
        plan.source = Source::kIntToReal;
        return plan;
    } else if (from_integer && to.type == Type::kDecimal &&
               to.parameter_1 - to.parameter_2 >= integer_digits(from.type)) {
        plan.source = Source::kIntToDecimal;
        plan.factor = power_of_ten(to.parameter_2);
        return plan;
    } else if (from.type == Type::kDate && to.type == Type::kTimestamp) {
        plan.source = Source::kDateToTimestamp;
        return plan;
    }
    throw ValueMismatch(std::string("a column of type ") + type_name(from.type) + " cannot be read as " +
                            type_name(to.type) + "; a column's type may only become wider",
                        -1, static_cast<std::int64_t>(position));
}

}  // namespace

RowLayout::RowLayout(std::uint32_t version, std::vector<Column> columns, std::size_t key)
    : version_(version), columns_(std::move(columns)), key_(key) {
    if (key_ >= columns_.size()) {
        throw ValueMismatch(
            "the primary key is column " + std::to_string(key_) + " of " + std::to_string(columns_.size()),
            -1, static_cast<std::int64_t>(key_));
    }
    std::uint32_t rest = version_;
    for (; rest >= 0x80; rest >>= 7) blank_.push_back(static_cast<char>(rest | 0x80));
    blank_.push_back(static_cast<char>(rest));
    bitmap_offset_ = blank_.size();
    std::size_t offset = bitmap_offset_ + (columns_.size() + 7) / 8;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        const Column& column = columns_[i];
        auto position = static_cast<std::int64_t>(i);
        type_of_code(static_cast<int>(column.type), position);
        if (column.type == Type::kDecimal &&
            (column.parameter_1 < 1 || column.parameter_1 > 38 || column.parameter_2 < 0 ||
             column.parameter_2 > column.parameter_1)) {
            throw ValueMismatch("DECIMAL takes a precision of 1 to 38 and a scale of 0 to the precision", -1,
                                position);
        }
        slots_.push_back(static_cast<std::uint32_t>(offset));
        previous_.push_back(static_cast<std::uint32_t>(last_slot_));
        if (is_variable(column.type)) last_slot_ = offset;
        offset += slot_width(column.type);
    }
    header_bytes_ = offset;
    blank_.resize(header_bytes_, '\0');
}

void RowWriter::set_integer(std::size_t column, std::int64_t value) {
    char* to = slot(column);
    switch (layout_->columns()[column].type) {
        case Type::kBoolean:
            *to = value != 0;
            return;
        case Type::kSmallInt:
            kalam::store(to, static_cast<std::int16_t>(value));
            return;
        case Type::kInt:
        case Type::kDate:
            kalam::store(to, static_cast<std::int32_t>(value));
            return;
        default:
            kalam::store(to, value);
    }
}

void RowWriter::set_real(std::size_t column, double value) {
    if (layout_->columns()[column].type == Type::kFloat) {
        kalam::store(slot(column), static_cast<float>(value));
    } else {
        kalam::store(slot(column), value);
    }
}

void RowWriter::finish(std::int64_t row) const {
    std::size_t size = out_->size() - start_;
    if (size > kRowBytesMax) {
        throw ValueOutOfRange("the row takes " + std::to_string(size) + " bytes; a row may take " +
                                  std::to_string(kRowBytesMax) + " (16 MB)",
                              row, -1);
    }
}

RowReader::RowReader(std::vector<std::shared_ptr<const RowLayout>> layouts, std::string missing_row)
    : missing_row_(std::move(missing_row)) {
    if (layouts.empty()) throw ValueMismatch("a reader needs at least one layout", -1, -1);
    newest_.layout = layouts.back();
    newest_ = plan_for(layouts.back());
    newest_.same = true;
    layouts.pop_back();
    for (auto& layout : layouts) {
        std::uint32_t version = layout->version();
        if (version != newest_.layout->version())
            older_.insert_or_assign(version, plan_for(std::move(layout)));
    }
    missing_ = open_as(newest_, missing_row_.data(), missing_row_.size());
}

VersionPlan RowReader::plan_for(std::shared_ptr<const RowLayout> layout) const {
    const std::vector<Column>& newest = newest_.layout->columns();
    VersionPlan plan;
    for (std::size_t i = 0; i < newest.size(); ++i) {
        ColumnPlan column{};
        column.source = ColumnPlan::Source::kMissing;
        for (std::size_t j = 0; j < layout->size(); ++j) {
            if (layout->columns()[j].id != newest[i].id) continue;
            column = conversion(layout->columns()[j], newest[i], i);
            column.null_byte = static_cast<std::uint32_t>(layout->bitmap_offset() + j / 8);
            column.null_mask = static_cast<std::uint8_t>(1u << (j % 8));
            column.slot = static_cast<std::uint32_t>(layout->slot_offset(j));
            column.previous = static_cast<std::uint32_t>(layout->previous_slot_offset(j));
            break;
        }
        plan.columns.push_back(column);
    }
    plan.layout = std::move(layout);
    return plan;
}

RowView RowReader::open(const char* row, std::size_t size) const {
    std::size_t prefix = newest_.layout->bitmap_offset();
    const char* blank = newest_.layout->blank().data();
    // Nearly always one byte, for which a call takes longer than all the rest.
    if (size >= prefix && row[0] == blank[0] && (prefix == 1 || std::memcmp(row, blank, prefix) == 0))
        [[likely]] {
        return open_as(newest_, row, size);
    }
    std::uint32_t version = 0;
    std::size_t read = 0;
    for (;; ++read) {
        if (read == size || read == 5) damaged(0, "it ends within its schema version");
        auto byte = static_cast<std::uint8_t>(row[read]);
        if (read == 4 && byte > 0x0F) damaged(0, "its schema version is out of range");
        version |= static_cast<std::uint32_t>(byte & 0x7F) << (7 * read);
        if (byte < 0x80) break;
    }
    auto found = older_.find(version);
    if (found == older_.end())
        damaged(0, "no layout of its schema version " + std::to_string(version) + " is known");
    if (read + 1 != found->second.layout->bitmap_offset()) damaged(0, "its schema version is padded");
    return open_as(found->second, row, size);
}

RowView RowReader::open_as(const VersionPlan& plan, const char* row, std::size_t size) const {
    const RowLayout& layout = *plan.layout;
    std::size_t header = layout.header_bytes();
    if (size < header) {
        damaged(size, "it ends within its header of " + std::to_string(header) + " bytes");
    }
    std::size_t data_bytes = size - header;
    std::size_t told =
        layout.last_slot_offset() == 0 ? 0 : load<std::uint32_t>(row + layout.last_slot_offset());
    if (told != data_bytes) {
        damaged(header, "it holds " + std::to_string(data_bytes) + " bytes of data and tells " +
                            std::to_string(told));
    }
    return {row, &plan, row + header, data_bytes};
}

Cell RowReader::cell(const RowView& view, std::size_t column) const {
    using Source = ColumnPlan::Source;
    const ColumnPlan& plan = view.plan->columns[column];
    Cell cell{};
    if (plan.source == Source::kMissing) return this->cell(missing_, column);
    if ((static_cast<std::uint8_t>(view.row[plan.null_byte]) & plan.null_mask) != 0) {
        cell.null = true;
        return cell;
    }
    const char* slot = view.row + plan.slot;
    switch (plan.source) {
        case Source::kIntToReal:
            cell.real = static_cast<double>(load_integer(plan.stored, slot));
            return cell;
        case Source::kIntToDecimal:
            if (__builtin_mul_overflow(static_cast<int128>(load_integer(plan.stored, slot)), plan.factor,
                                       &cell.decimal)) {
                damaged(plan.slot, "an integer that does not fit the wider DECIMAL");
            }
            return cell;
        case Source::kRescale:
            if (__builtin_mul_overflow(load<int128>(slot), plan.factor, &cell.decimal)) {
                damaged(plan.slot, "a DECIMAL beyond its precision");
            }
            return cell;
        case Source::kDateToTimestamp:
            if (__builtin_mul_overflow(load_integer(plan.stored, slot), std::int64_t{86400000000},
                                       &cell.integer)) {
                damaged(plan.slot, "a DATE out of range");
            }
            return cell;
        default:
            break;
    }
    switch (plan.stored) {
        case Type::kFloat:
            cell.real = static_cast<double>(load<float>(slot));
            break;
        case Type::kDouble:
            cell.real = load<double>(slot);
            break;
        case Type::kDecimal:
            cell.decimal = load<int128>(slot);
            break;
        case Type::kText:
        case Type::kBytes:
        case Type::kJson: {
            std::size_t begin = plan.previous == 0 ? 0 : load<std::uint32_t>(view.row + plan.previous);
            std::size_t end = load<std::uint32_t>(slot);
            if (begin > end || end > view.data_bytes)
                damaged(plan.slot, "a value that ends outside of the row");
            cell.bytes = {view.data + begin, end - begin};
            break;
        }
        case Type::kUuid:
            cell.bytes = {slot, 16};
            break;
        default:
            cell.integer = load_integer(plan.stored, slot);
    }
    return cell;
}

}  // namespace kalam
