#include "arrow_ipc.hpp"

#include <algorithm>
#include <cstring>

namespace kalam {

namespace {

// Builds a flatbuffer from its end to its beginning, as flatbuffers are: what is referred to is written
// before what refers to it. A place is told by its distance from the end.
class FlatBuilder {
  public:
    using Place = std::uint32_t;

    Place text(std::string_view of) {
        align(4, of.size() + 1);
        push_zeros(1);
        push(of.data(), of.size());
        push_number(static_cast<std::uint32_t>(of.size()));
        return place();
    }
    Place vector_of(const std::vector<Place>& places) {
        align(4, 4 * places.size());
        for (std::size_t at = places.size(); at-- > 0;) push_offset(places[at]);
        push_number(static_cast<std::uint32_t>(places.size()));
        return place();
    }
    // Structs of 8-aligned members, `bytes` of them end to end.
    Place vector_of_structs(std::string_view bytes, std::size_t count) {
        align(8, bytes.size());
        align(4, 0);
        push(bytes.data(), bytes.size());
        push_number(static_cast<std::uint32_t>(count));
        return place();
    }

    // The fields of one table, in any order; end_table writes it.
    void begin_table() {
        fields_.clear();
        table_end_ = place();
    }
    template <class T>
    void field(int id, T value) {
        align(sizeof(T), 0);
        push_number(value);
        fields_.push_back({id, place()});
    }
    void offset_field(int id, Place to) {
        align(4, 0);
        push_offset(to);
        fields_.push_back({id, place()});
    }
    Place end_table() {
        align(4, 0);
        push_number(std::int32_t{0});  // to the vtable, set below
        Place table = place();
        int slots = 0;
        for (const auto& [id, at] : fields_) slots = std::max(slots, id + 1);
        std::vector<std::uint16_t> vtable(static_cast<std::size_t>(slots), 0);
        for (const auto& [id, at] : fields_) {
            vtable[static_cast<std::size_t>(id)] = static_cast<std::uint16_t>(table - at);
        }
        for (std::size_t at = vtable.size(); at-- > 0;) push_number(vtable[at]);
        push_number(static_cast<std::uint16_t>(table - table_end_));
        push_number(static_cast<std::uint16_t>(4 + 2 * slots));
        auto distance = static_cast<std::int32_t>(place() - table);
        set_number(table, distance);
        return table;
    }
    std::string finish(Place root) {
        align(8, 4);
        push_offset(root);
        return {bytes_.rbegin(), bytes_.rend()};
    }

  private:
    Place place() const { return static_cast<Place>(bytes_.size()); }
    // So that after `more` bytes the place is a multiple of `size`.
    void align(std::size_t size, std::size_t more) {
        while ((bytes_.size() + more) % size) bytes_.push_back('\0');
    }
    void push(const char* data, std::size_t size) {
        for (std::size_t at = size; at-- > 0;) bytes_.push_back(data[at]);
    }
    void push_zeros(std::size_t count) { bytes_.append(count, '\0'); }
    template <class T>
    void push_number(T value) {
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        push(raw, sizeof(T));
    }
    // An offset counts from its own place forward.
    void push_offset(Place to) { push_number(static_cast<std::uint32_t>(place() + 4 - to)); }
    template <class T>
    void set_number(Place at, T value) {
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        for (std::size_t i = 0; i < sizeof(T); i++) bytes_[at - 1 - i] = raw[i];
    }

    std::string bytes_;  // in reverse
    std::vector<std::pair<int, Place>> fields_;
    Place table_end_ = 0;
};

constexpr std::int16_t kMetadataV5 = 4;

enum HeaderType : std::uint8_t { kSchemaHeader = 1, kRecordBatchHeader = 3 };
enum ArrowType : std::uint8_t {
    kIntType = 2,
    kFloatingPointType = 3,
    kBinaryType = 4,
    kUtf8Type = 5,
    kBoolType = 6,
    kDecimalType = 7,
    kDateType = 8,
    kTimeType = 9,
    kTimestampType = 10
};

ArrowType write_type(FlatBuilder& out, const Column& column, FlatBuilder::Place& place) {
    auto integer = [&](std::int32_t bits) {
        out.begin_table();
        out.field<std::int32_t>(0, bits);
        out.field<std::uint8_t>(1, 1);
        place = out.end_table();
        return kIntType;
    };
    auto real = [&](std::int16_t precision) {
        out.begin_table();
        out.field<std::int16_t>(0, precision);
        place = out.end_table();
        return kFloatingPointType;
    };
    switch (column.type) {
        case Type::kSmallInt:
            return integer(16);
        case Type::kInt:
            return integer(32);
        case Type::kBigInt:
            return integer(64);
        case Type::kFloat:
            return real(1);
        case Type::kDouble:
            return real(2);
        case Type::kDecimal:
            out.begin_table();
            out.field<std::int32_t>(0, column.parameter_1);
            out.field<std::int32_t>(1, column.parameter_2);
            out.field<std::int32_t>(2, 128);
            place = out.end_table();
            return kDecimalType;
        case Type::kTimestamp: {
            FlatBuilder::Place zone = out.text("UTC");
            out.begin_table();
            out.field<std::int16_t>(0, 2);
            out.offset_field(1, zone);
            place = out.end_table();
            return kTimestampType;
        }
        case Type::kDate:
            out.begin_table();
            out.field<std::int16_t>(0, 0);
            place = out.end_table();
            return kDateType;
        case Type::kTime:
            out.begin_table();
            out.field<std::int16_t>(0, 2);
            out.field<std::int32_t>(1, 64);
            place = out.end_table();
            return kTimeType;
        default:
            out.begin_table();
            place = out.end_table();
            if (column.type == Type::kBoolean) return kBoolType;
            return column.type == Type::kBytes ? kBinaryType : kUtf8Type;
    }
}

FlatBuilder::Place write_schema(FlatBuilder& out, const std::vector<IpcField>& fields) {
    std::vector<FlatBuilder::Place> places;
    for (const IpcField& field : fields) {
        FlatBuilder::Place name = out.text(field.name);
        FlatBuilder::Place children = out.vector_of({});
        FlatBuilder::Place type = 0;
        ArrowType kind = write_type(out, field.column, type);
        out.begin_table();
        out.offset_field(0, name);
        out.offset_field(3, type);
        out.offset_field(5, children);
        out.field<std::uint8_t>(1, field.column.nullable);
        out.field<std::uint8_t>(2, kind);
        places.push_back(out.end_table());
    }
    FlatBuilder::Place all = out.vector_of(places);
    out.begin_table();
    out.offset_field(1, all);
    out.field<std::int16_t>(0, 0);  // little endian
    return out.end_table();
}

std::string message(FlatBuilder& out, HeaderType type, FlatBuilder::Place header, std::int64_t body_bytes,
                    std::size_t alignment) {
    out.begin_table();
    out.field<std::int64_t>(3, body_bytes);
    out.offset_field(2, header);
    out.field<std::int16_t>(0, kMetadataV5);
    out.field<std::uint8_t>(1, type);
    std::string flat = out.finish(out.end_table());
    flat.resize((flat.size() + 8 + alignment - 1) / alignment * alignment - 8, '\0');
    std::string made(8, '\xFF');  // the continuation, then the length
    store(made.data() + 4, static_cast<std::int32_t>(flat.size()));
    return made + flat;
}

}  // namespace

std::string ipc_schema_message(const std::vector<IpcField>& fields, std::size_t alignment) {
    FlatBuilder out;
    return message(out, kSchemaHeader, write_schema(out, fields), 0, alignment);
}

std::string ipc_batch_message(std::int64_t rows, const std::vector<IpcNode>& nodes,
                              const std::vector<IpcBuffer>& buffers, std::int64_t body_bytes,
                              std::size_t alignment) {
    static_assert(sizeof(IpcNode) == 16 && sizeof(IpcBuffer) == 16);
    FlatBuilder out;
    FlatBuilder::Place buffer_place = out.vector_of_structs(
        {reinterpret_cast<const char*>(buffers.data()), buffers.size() * 16}, buffers.size());
    FlatBuilder::Place node_place =
        out.vector_of_structs({reinterpret_cast<const char*>(nodes.data()), nodes.size() * 16}, nodes.size());
    out.begin_table();
    out.field<std::int64_t>(0, rows);
    out.offset_field(1, node_place);
    out.offset_field(2, buffer_place);
    return message(out, kRecordBatchHeader, out.end_table(), body_bytes, alignment);
}

std::string ipc_footer(const std::vector<IpcField>& fields, const std::vector<IpcBlock>& blocks) {
    FlatBuilder out;
    std::string bytes(blocks.size() * 24, '\0');
    for (std::size_t at = 0; at < blocks.size(); at++) {
        store(&bytes[at * 24], blocks[at].offset);
        store(&bytes[at * 24 + 8], blocks[at].metadata_bytes);
        store(&bytes[at * 24 + 16], blocks[at].body_bytes);
    }
    FlatBuilder::Place batches = out.vector_of_structs(bytes, blocks.size());
    FlatBuilder::Place dictionaries = out.vector_of_structs({}, 0);
    FlatBuilder::Place schema = write_schema(out, fields);
    out.begin_table();
    out.offset_field(1, schema);
    out.offset_field(2, dictionaries);
    out.offset_field(3, batches);
    out.field<std::int16_t>(0, kMetadataV5);
    std::string flat = out.finish(out.end_table());
    std::string length(4, '\0');
    store(length.data(), static_cast<std::int32_t>(flat.size()));
    return flat + length + std::string(kArrowMagic);
}

}  // namespace kalam
