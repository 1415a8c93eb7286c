#include "arrow_export.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "arrow_block.hpp"
#include "arrow_buffer.hpp"

namespace kalam {

namespace {

constexpr std::size_t kChunkRows = 256;
constexpr std::size_t kTextBytesMax = 0x7FFFFFFF;

struct ColumnData {
    std::string format;
    bool text = false;  // three buffers instead of two
    std::int64_t null_count = 0;
    ArrowBuffer validity;  // empty while nothing is null
    ArrowBuffer values;    // of a text column: its offsets
    ArrowBuffer bytes;     // of a text column

    static void set_bit(ArrowBuffer& bits, std::size_t row, bool value) {
        auto mask = static_cast<unsigned char>(1u << (row % 8));
        auto* byte = reinterpret_cast<unsigned char*>(bits.data()) + row / 8;
        *byte = static_cast<unsigned char>(value ? *byte | mask : *byte & ~mask);
    }
    static void extend_bits(ArrowBuffer& bits, std::size_t rows, int fill) {
        std::size_t bytes = (rows + 7) / 8;
        if (bytes > bits.size()) {
            std::size_t more = bytes - bits.size();
            std::memset(bits.extend(more), fill, more);
        }
    }
    // Marks rows [first, first + count) as `nulls` says.
    void mark(const std::uint8_t* nulls, std::size_t first, std::size_t count) {
        extend_bits(validity, first + count, 0xFF);
        for (std::size_t i = 0; i < count; ++i) {
            if (nulls[i] == 0) continue;
            set_bit(validity, first + i, false);
            ++null_count;
        }
    }
};

}  // namespace

std::string arrow_format(const Column& column) {
    switch (column.type) {
        case Type::kBoolean:
            return "b";
        case Type::kSmallInt:
            return "s";
        case Type::kInt:
            return "i";
        case Type::kBigInt:
            return "l";
        case Type::kFloat:
            return "f";
        case Type::kDouble:
            return "g";
        case Type::kDecimal:
            return "d:" + std::to_string(column.parameter_1) + "," + std::to_string(column.parameter_2);
        case Type::kText:
        case Type::kJson:
        case Type::kUuid:
            return "u";
        case Type::kBytes:
            return "z";
        case Type::kTimestamp:
            return "tsu:UTC";
        case Type::kDate:
            return "tdD";
        case Type::kTime:
            return "ttu";
    }
    return "n";
}

std::size_t arrow_width(Type type) {
    switch (type) {
        case Type::kBoolean:
            return 0;
        case Type::kSmallInt:
            return 2;
        case Type::kInt:
        case Type::kDate:
        case Type::kFloat:
            return 4;
        case Type::kDecimal:
            return 16;
        default:
            return 8;
    }
}

struct ArrowBatch::Data {
    std::int64_t rows;
    std::vector<ArrowBatchColumn> columns;
    std::shared_ptr<const void> hold;
};

struct ArrowBuilder::Output {
    int column;
    Type type;  // of a column of the reader
    ColumnData data;

    template <class T>
    void append_fixed(const RowView* views, std::size_t count, const ColumnPlan& plan, std::uint8_t* nulls);
    void append_text(const RowView* views, std::size_t count, const ColumnPlan& plan, std::uint8_t* nulls);
    void append_cells(const RowReader& reader, const RowView* views, std::size_t first, std::size_t count,
                      std::uint8_t* nulls);
    void append_system(const RowRef* rows, std::size_t first, std::size_t count);
    void reset();
};

void ArrowBuilder::Output::reset() {
    ColumnData fresh;
    fresh.format = data.format;
    fresh.text = data.text;
    data = std::move(fresh);
    if (data.text) store(data.values.extend(4), std::int32_t{0});
}

template <class T>
void ArrowBuilder::Output::append_fixed(const RowView* views, std::size_t count, const ColumnPlan& plan,
                                        std::uint8_t* nulls) {
    char* to = data.values.extend(count * sizeof(T));
    for (std::size_t i = 0; i < count; ++i) {
        const char* row = views[i].row;
        nulls[i] = static_cast<std::uint8_t>(row[plan.null_byte]) & plan.null_mask;
        std::memcpy(to + i * sizeof(T), row + plan.slot, sizeof(T));
    }
}

void ArrowBuilder::Output::append_text(const RowView* views, std::size_t count, const ColumnPlan& plan,
                                       std::uint8_t* nulls) {
    std::uint32_t begins[kChunkRows];
    std::uint32_t sizes[kChunkRows];
    char* offsets = data.values.extend(4 * count);
    auto end = static_cast<std::uint32_t>(data.bytes.size());
    std::size_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const RowView& view = views[i];
        nulls[i] = static_cast<std::uint8_t>(view.row[plan.null_byte]) & plan.null_mask;
        std::uint32_t from = plan.previous == 0 ? 0 : load<std::uint32_t>(view.row + plan.previous);
        std::uint32_t to = load<std::uint32_t>(view.row + plan.slot);
        if (from > to || to > view.data_bytes) {
            throw Corruption("an encoded row", plan.slot, "a value that ends outside of the row");
        }
        begins[i] = from;
        sizes[i] = nulls[i] != 0 ? 0 : to - from;
        total += sizes[i];
        store(offsets + 4 * i, static_cast<std::uint32_t>(end + total));
    }
    char* out = data.bytes.extend(total);
    for (std::size_t i = 0; i < count; ++i) {
        if (sizes[i] != 0) std::memcpy(out, views[i].data + begins[i], sizes[i]);
        out += sizes[i];
    }
}

void ArrowBuilder::Output::append_cells(const RowReader& reader, const RowView* views, std::size_t first,
                                        std::size_t count, std::uint8_t* nulls) {
    auto position = static_cast<std::size_t>(column);
    if (type == Type::kBoolean) ColumnData::extend_bits(data.values, first + count, 0);
    for (std::size_t i = 0; i < count; ++i) {
        Cell cell = reader.cell(views[i], position);
        nulls[i] = cell.null;
        switch (type) {
            case Type::kBoolean:
                if (!cell.null && cell.integer != 0) ColumnData::set_bit(data.values, first + i, true);
                break;
            case Type::kSmallInt:
                store(data.values.extend(2), static_cast<std::int16_t>(cell.null ? 0 : cell.integer));
                break;
            case Type::kInt:
            case Type::kDate:
                store(data.values.extend(4), static_cast<std::int32_t>(cell.null ? 0 : cell.integer));
                break;
            case Type::kFloat:
                store(data.values.extend(4), static_cast<float>(cell.null ? 0.0 : cell.real));
                break;
            case Type::kDouble:
                store(data.values.extend(8), cell.null ? 0.0 : cell.real);
                break;
            case Type::kDecimal:
                store(data.values.extend(16), cell.null ? int128{0} : cell.decimal);
                break;
            case Type::kUuid:
                if (!cell.null) write_uuid(cell.bytes.data, data.bytes.extend(kUuidCharacters));
                store(data.values.extend(4), static_cast<std::uint32_t>(data.bytes.size()));
                break;
            case Type::kText:
            case Type::kBytes:
            case Type::kJson:
                if (!cell.null && cell.bytes.size != 0) {
                    std::memcpy(data.bytes.extend(cell.bytes.size), cell.bytes.data, cell.bytes.size);
                }
                store(data.values.extend(4), static_cast<std::uint32_t>(data.bytes.size()));
                break;
            default:
                store(data.values.extend(8), cell.null ? std::int64_t{0} : cell.integer);
        }
    }
}

void ArrowBuilder::Output::append_system(const RowRef* rows, std::size_t first, std::size_t count) {
    if (column == kDeletedColumn) {
        ColumnData::extend_bits(data.values, first + count, 0);
        for (std::size_t i = 0; i < count; ++i) {
            if (rows[i].deleted) ColumnData::set_bit(data.values, first + i, true);
        }
        return;
    }
    char* to = data.values.extend(8 * count);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t sequence = rows[i].sequence;
        store(to + 8 * i,
              column == kUpdatedColumn ? updated_us(sequence) : static_cast<std::int64_t>(sequence));
    }
}

ArrowBuilder::ArrowBuilder(const RowReader& reader, std::vector<int> columns) : reader_(&reader) {
    const RowLayout& layout = reader.layout();
    for (std::size_t i = 0; i < columns.size(); ++i) {
        int column = columns[i];
        Output output{column, Type::kBigInt, {}};
        if (column >= 0 && static_cast<std::size_t>(column) < layout.size()) {
            const Column& described = layout.columns()[static_cast<std::size_t>(column)];
            output.type = described.type;
            output.data.format = arrow_format(described);
            output.data.text = is_variable(described.type) || described.type == Type::kUuid;
        } else if (column == kSequenceColumn) {
            output.data.format = "l";
        } else if (column == kUpdatedColumn) {
            output.data.format = "tsu:UTC";
        } else if (column == kDeletedColumn) {
            output.data.format = "b";
        } else {
            throw ValueMismatch("there is no column " + std::to_string(column) + " in a table of " +
                                    std::to_string(layout.size()),
                                -1, static_cast<std::int64_t>(i));
        }
        output.reset();
        outputs_.push_back(std::move(output));
    }
}

ArrowBuilder::~ArrowBuilder() = default;

std::size_t ArrowBuilder::append(const RowRef* rows, std::size_t count) {
    RowView views[kChunkRows];
    std::uint8_t nulls[kChunkRows];
    std::size_t done = 0;
    while (done < count) {
        std::size_t taken = 0;
        std::size_t bytes = text_bytes_;
        bool same = true;
        for (; taken < kChunkRows && done + taken < count; ++taken) {
            const RowRef& row = rows[done + taken];
            if (row.size > kRowBytesMax)
                throw Corruption("an encoded row", 0, "it is longer than a row may be");
            // No column takes more than this of one row, whether it is in the row or missing from it.
            bytes += row.size + reader_->missing_bytes() + kUuidCharacters;
            if (bytes > kTextBytesMax) break;
            views[taken] = reader_->open(row.data, row.size);
            same = same && views[taken].plan->same;
        }
        if (taken == 0) break;
        auto first = static_cast<std::size_t>(rows_);
        for (Output& output : outputs_) {
            if (output.column < 0) {
                output.append_system(rows + done, first, taken);
                continue;
            }
            const ColumnPlan& plan = views[0].plan->columns[static_cast<std::size_t>(output.column)];
            if (!same || output.type == Type::kBoolean || output.type == Type::kUuid) {
                output.append_cells(*reader_, views, first, taken, nulls);
            } else {
                switch (output.type) {
                    case Type::kSmallInt:
                        output.append_fixed<std::int16_t>(views, taken, plan, nulls);
                        break;
                    case Type::kInt:
                    case Type::kDate:
                    case Type::kFloat:
                        output.append_fixed<std::int32_t>(views, taken, plan, nulls);
                        break;
                    case Type::kDecimal:
                        output.append_fixed<int128>(views, taken, plan, nulls);
                        break;
                    case Type::kText:
                    case Type::kBytes:
                    case Type::kJson:
                        output.append_text(views, taken, plan, nulls);
                        break;
                    default:
                        output.append_fixed<std::int64_t>(views, taken, plan, nulls);
                }
            }
            unsigned any = 0;
            for (std::size_t i = 0; i < taken; ++i) any |= nulls[i];
            if (any != 0 || output.data.validity.size() != 0) output.data.mark(nulls, first, taken);
            if (output.data.text && output.data.bytes.size() > text_bytes_)
                text_bytes_ = output.data.bytes.size();
        }
        rows_ += static_cast<std::int64_t>(taken);
        done += taken;
    }
    return done;
}

ArrowBatch ArrowBuilder::finish() {
    auto held = std::make_shared<std::vector<ColumnData>>();
    held->reserve(outputs_.size());
    std::vector<ArrowBatchColumn> columns;
    for (Output& output : outputs_) {
        held->push_back(std::move(output.data));
        const ColumnData& done = held->back();
        output.data = ColumnData();
        output.data.format = done.format;
        output.data.text = done.text;
        output.reset();
        columns.push_back({done.format,
                           done.text,
                           done.null_count,
                           0,
                           {done.null_count == 0 ? nullptr : done.validity.data(), done.values.address(),
                            done.bytes.address()}});
    }
    ArrowBatch batch(rows_, std::move(columns), std::move(held));
    rows_ = 0;
    text_bytes_ = 0;
    return batch;
}

namespace {

// What an exported struct points to, until it is released.
struct SchemaHold {
    std::string format;
    std::string name;
    std::vector<ArrowSchema*> children;
};

template <class Struct, class Hold>
void release(Struct* exported) {
    auto* hold = static_cast<Hold*>(exported->private_data);
    for (Struct* child : hold->children) {
        if (child->release != nullptr) child->release(child);
        delete child;
    }
    delete hold;
    exported->release = nullptr;
}

void fill_schema(ArrowSchema* schema, std::string format, std::string name, std::int64_t flags,
                 std::vector<ArrowSchema*> children) {
    auto* hold = new SchemaHold{std::move(format), std::move(name), std::move(children)};
    *schema = {hold->format.c_str(),
               hold->name.c_str(),
               nullptr,
               flags,
               static_cast<std::int64_t>(hold->children.size()),
               hold->children.data(),
               nullptr,
               release<ArrowSchema, SchemaHold>,
               hold};
}

}  // namespace

struct ArrowBatch::ArrayHold {
    std::shared_ptr<const Data> data;
    const void* buffers[3] = {nullptr, nullptr, nullptr};
    std::vector<ArrowArray*> children;

    static void fill(ArrowArray* array, std::int64_t null_count, std::int64_t offset, std::int64_t buffers,
                     ArrayHold* hold) {
        *array = {hold->data->rows,
                  null_count,
                  offset,
                  buffers,
                  static_cast<std::int64_t>(hold->children.size()),
                  hold->buffers,
                  hold->children.data(),
                  nullptr,
                  release<ArrowArray, ArrayHold>,
                  hold};
    }
};

ArrowBatch::ArrowBatch(std::int64_t rows, std::vector<ArrowBatchColumn> columns,
                       std::shared_ptr<const void> hold)
    : data_(std::make_shared<Data>(Data{rows, std::move(columns), std::move(hold)})) {}

const std::vector<ArrowBatchColumn>& ArrowBatch::columns() const {
    return data_->columns;
}

std::int64_t ArrowBatch::rows() const {
    return data_ == nullptr ? 0 : data_->rows;
}

void ArrowBatch::export_schema(ArrowSchema* schema) const {
    if (data_ == nullptr) throw ValueMismatch("a batch without columns; batches come from scans", -1, -1);
    std::vector<ArrowSchema*> children;
    for (std::size_t i = 0; i < data_->columns.size(); ++i) {
        children.push_back(new ArrowSchema);
        std::string name = std::to_string(i);
        name.insert(name.begin(), 'f');
        fill_schema(children.back(), data_->columns[i].format, std::move(name), ARROW_FLAG_NULLABLE, {});
    }
    fill_schema(schema, "+s", "", 0, std::move(children));
}

void ArrowBatch::export_array(ArrowArray* array) const {
    if (data_ == nullptr) throw ValueMismatch("a batch without columns; batches come from scans", -1, -1);
    auto* parent = new ArrayHold{data_, {}, {}};
    for (const ArrowBatchColumn& column : data_->columns) {
        auto* hold = new ArrayHold{data_, {column.buffers[0], column.buffers[1], column.buffers[2]}, {}};
        parent->children.push_back(new ArrowArray);
        ArrayHold::fill(parent->children.back(), column.null_count, column.offset, column.text ? 3 : 2, hold);
    }
    ArrayHold::fill(array, 0, 0, 1, parent);
}

}  // namespace kalam
