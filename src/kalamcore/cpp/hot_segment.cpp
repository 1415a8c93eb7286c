#include "hot_segment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "arrow_block.hpp"
#include "crc32c.hpp"
#include "errors.hpp"
#include "readable.hpp"
#include "varint.hpp"

namespace kalam {

namespace {

constexpr std::string_view kIndexMagic = "KALAMHOT";
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kTrailerBytes = 32;  // before Arrow's footer
constexpr std::size_t kWriteBytes = 1u << 20;
constexpr std::size_t kUnbufferedBytes = 16u << 10;
// What a scan of most columns reads at a time; it stays in the processor's cache until it was looked at.
constexpr std::size_t kScanBytes = 512u << 10;
// What a block takes in memory and in the cache's lists besides its columns.
constexpr std::size_t kBlockOverhead = 256;
constexpr std::size_t kTailBytes = 64u << 10;

std::size_t padded(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::vector<int> all_columns(const RowLayout& layout) {
    std::vector<int> columns;
    for (std::size_t at = 0; at < layout.size(); at++) columns.push_back(static_cast<int>(at));
    columns.push_back(kSequenceColumn);
    columns.push_back(kDeletedColumn);
    return columns;
}

std::size_t width_of(const std::string& format) {
    switch (format[0]) {
        case 's':
            return 2;
        case 'i':
        case 'f':
            return 4;
        case 'd':
            return 16;
        case 't':
            return format == "tdD" ? 4 : 8;
        default:
            return 8;
    }
}

// The bytes of a batch's buffers, none of which has an offset.
void lengths_of(const ArrowBatchColumn& column, std::int64_t rows, std::size_t lengths[3]) {
    auto count = static_cast<std::size_t>(rows);
    lengths[0] = column.buffers[0] ? (count + 7) / 8 : 0;
    lengths[2] = 0;
    if (column.text) {
        lengths[1] = 4 * (count + 1);
        lengths[2] = static_cast<std::size_t>(
            load<std::int32_t>(static_cast<const char*>(column.buffers[1]) + 4 * count));
    } else if (column.format == "b") {
        lengths[1] = (count + 7) / 8;
    } else {
        lengths[1] = count * width_of(column.format);
    }
}

}  // namespace

std::string hot_segment_name(std::uint64_t number) {
    std::string digits = std::to_string(number);
    if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
    return digits + ".arrow";
}

std::shared_ptr<HotSegment> HotSegment::open(FileSystem& files, const std::string& directory,
                                             const HotSegmentEntry& entry, BlockCache& cache) {
    std::string path = directory + "/" + hot_segment_name(entry.number);
    std::shared_ptr<HotSegment> segment(new HotSegment(files, path, cache));
    segment->entry_ = entry;
    segment->entry_.sequence_base = 0;
    if (!files.exists(path)) {
        throw Corruption(path, 0,
                         "the checkpoint names this hot segment, and it is not there; restore a backup");
    }
    std::unique_ptr<File> file = files.open(path, OpenMode::read);
    if (file->size() != entry.file_bytes) {
        throw Corruption(path, 0,
                         "it has " + std::to_string(file->size()) + " bytes, and had " +
                             std::to_string(entry.file_bytes) + " when it was written; restore a backup");
    }
    auto read = [&](std::uint64_t offset, std::size_t size) {
        std::string bytes(size, '\0');
        bytes.resize(file->read_at(offset, bytes.data(), size));
        if (bytes.size() != size) throw Corruption(path, offset, "it ends within what should be there");
        return bytes;
    };
    if (entry.file_bytes < kTrailerBytes + 16) throw Corruption(path, 0, "it is too short for a segment");
    std::size_t tail_bytes = static_cast<std::size_t>(std::min<std::uint64_t>(entry.file_bytes, kTailBytes));
    std::string tail = read(entry.file_bytes - tail_bytes, tail_bytes);
    if (!tail.ends_with(kArrowMagic))
        throw Corruption(path, entry.file_bytes - 6, "it does not end as a segment does");
    auto footer_bytes = kalam::load<std::uint32_t>(tail.data() + tail.size() - 10);
    std::uint64_t behind = std::uint64_t{footer_bytes} + 10;
    if (behind + kTrailerBytes > entry.file_bytes)
        throw Corruption(path, entry.file_bytes - 10, "its footer cannot be");
    std::uint64_t trailer_at = entry.file_bytes - behind - kTrailerBytes;
    std::string trailer = read(trailer_at, kTrailerBytes);
    if (std::string_view(trailer).substr(0, 8) != kIndexMagic) {
        throw Corruption(path, trailer_at, "its index is not where it should be");
    }
    std::string_view at = std::string_view(trailer).substr(8);
    std::uint32_t version = take_u32(at);
    if (version > kFormatVersion) {
        throw UnknownFormat(path + " has format " + std::to_string(version) +
                            ", this version of kalamdb reads up to " + std::to_string(kFormatVersion) +
                            "; open it with a newer kalamdb");
    }
    std::uint32_t crc = take_u32(at);
    std::uint64_t index_offset = take_u64(at);
    std::uint64_t index_bytes = take_u64(at);
    if (crc != entry.index_crc || index_offset > trailer_at || index_bytes != trailer_at - index_offset) {
        throw Corruption(path, trailer_at, "its index is not the one that the checkpoint names");
    }
    segment->index_ = read(index_offset, static_cast<std::size_t>(index_bytes));
    if (crc32c(segment->index_) != crc)
        throw Corruption(path, index_offset, "the checksum of its index is wrong");
    try {
        segment->read_index(segment->index_, path);
    } catch (const Corruption&) {
        throw;
    } catch (const Error& error) {
        throw Corruption(path, index_offset, std::string("its index makes no sense: ") + error.what());
    }
    if (entry.sequence_base) segment->begin_at(entry.sequence_base);
    cache.take_index(segment->index_bytes());
    segment->index_taken_ = segment->index_bytes();
    if (cache.take_file()) segment->file_ = std::move(file);
    return segment;
}

void HotSegment::begin_at(std::uint64_t base) {
    entry_.sequence_base = base;
    sequence_min_ += base;
    sequence_max_ += base;
    for (PartitionRange& range : partitions_) {
        range.sequence_min += base;
        range.sequence_max += base;
    }
    // Every key of a load is new: what a snapshot from before it shows is elsewhere, and all there.
    complete_from_ = 0;
}

HotSegment::~HotSegment() {
    cache_.give_back_index(index_taken_);
    if (file_) cache_.give_back_file();
}

void HotSegment::read(std::uint64_t offset, char* out, std::size_t size) const {
    std::unique_ptr<File> opened;
    if (!file_) {
        try {
            opened = files_.open(path_, OpenMode::read);
        } catch (const IoError& error) {
            // A checkpoint has put another segment in its place since the reader's view was made.
            if (error.code == ENOENT) throw SnapshotGone();
            throw;
        }
    }
    File& file = opened ? *opened : *file_;
    if (file.read_at(offset, out, size) != size) throw Corruption(path_, offset, "it ends within a block");
}

void HotSegment::read_index(std::string_view at, const std::string&) {
    if (take_varint(at) != entry_.table_id) throw Error("it is of another table");
    auto version = static_cast<std::uint32_t>(take_varint(at));
    std::vector<Column> columns(static_cast<std::size_t>(take_varint(at)));
    for (Column& column : columns) {
        column.id = static_cast<std::uint32_t>(take_varint(at));
        column.type = type_of_code(static_cast<int>(take_varint(at)));
        column.parameter_1 = static_cast<std::int32_t>(take_u32(at));
        column.parameter_2 = static_cast<std::int32_t>(take_u32(at));
        column.nullable = take_varint(at) != 0;
    }
    auto key = static_cast<std::size_t>(take_varint(at));
    layout_ = std::make_shared<const RowLayout>(version, std::move(columns), key);
    rows_ = static_cast<std::int64_t>(take_varint(at));
    sequence_min_ = take_u64(at);
    sequence_max_ = take_u64(at);
    std::uint64_t count = take_varint(at);
    std::int64_t row = 0;
    for (; count > 0; count--) {
        Block block{};
        block.offset = take_varint(at);
        Place place{row, static_cast<std::int64_t>(take_varint(at)), {}};
        row += place.rows;
        place.first_key = take_bytes(at);
        places_.push_back(place);
        std::size_t bytes = 0;
        for (std::size_t column = 0; column < width(); column++) {
            Part part{};
            for (std::uint32_t& length : part.buffers) {
                length = static_cast<std::uint32_t>(take_varint(at));
                bytes += padded(length);
            }
            part.nulls = static_cast<std::uint32_t>(take_varint(at));
            part.crc = take_u32(at);
            parts_.push_back(part);
        }
        block.bytes = static_cast<std::uint32_t>(bytes);
        blocks_.push_back(block);
    }
    places_.shrink_to_fit();
    parts_.shrink_to_fit();
    blocks_.shrink_to_fit();
    if (row != rows_) throw Error("its blocks have another number of rows");
    count = take_varint(at);
    std::int64_t begin = 0;
    partitions_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, at.size())));
    for (; count > 0; count--) {
        PartitionRange range{};
        range.name = take_bytes(at);
        range.begin = begin;
        begin += static_cast<std::int64_t>(take_varint(at));
        range.end = begin;
        range.low = take_bytes(at);
        range.high = take_bytes(at);
        range.sequence_min = take_u64(at);
        range.sequence_max = take_u64(at);
        range.tombstones = static_cast<std::int64_t>(take_varint(at));
        partitions_.push_back(range);
    }
    if (begin != rows_) throw Error("its partitions have another number of rows");
    std::string_view filter = take_bytes(at);
    if (filter.size() % kFilterBlockBytes) throw Error("its key filter is no filter");
    filter_ = KeyFilter(filter);
    if (!at.empty()) throw Error("bytes follow its end");

    std::size_t slots = 8;
    while (slots < partitions_.size() * 2) slots *= 2;
    names_.assign(slots, 0);
    for (std::size_t number = 0; number < partitions_.size(); number++) {
        std::size_t slot = stable_hash(partitions_[number].name) & (slots - 1);
        while (names_[slot]) slot = (slot + 1) & (slots - 1);
        names_[slot] = static_cast<std::uint32_t>(number + 1);
    }
}

const PartitionRange* HotSegment::find(std::string_view partition) const {
    std::size_t mask = names_.size() - 1;
    for (std::size_t slot = stable_hash(partition) & mask; names_[slot]; slot = (slot + 1) & mask) {
        const PartitionRange& range = partitions_[names_[slot] - 1];
        if (range.name == partition) return &range;
    }
    return nullptr;
}

std::shared_ptr<const ColumnBlock> HotSegment::block(std::uint32_t at) const {
    if (auto found = cache_.find(entry_.number, at)) return found;
    auto made = load(at);
    if (made->bytes() <= cache_.bytes_max()) cache_.add(entry_.number, at, made);
    return made;
}

std::shared_ptr<const ColumnBlock> HotSegment::load(std::uint32_t at) const {
    const Block& block = blocks_[at];
    auto memory = cache_.pages().take(block.bytes);
    read(block.offset, memory->data(), block.bytes);
    return make(at, memory->data(), std::vector<bool>(width(), true), memory, memory->bytes());
}

std::shared_ptr<const ColumnBlock> HotSegment::passing_block(std::uint32_t at,
                                                             const std::vector<int>& columns,
                                                             ScanMemory& memory) const {
    if (auto found = cache_.find(entry_.number, at)) return found;
    const Block& block = blocks_[at];
    std::vector<bool> wanted(width());
    for (int position : columns) {
        std::size_t column = position >= 0 ? static_cast<std::size_t>(position)
                                           : layout_->size() + (position == kDeletedColumn ? 1 : 0);
        wanted[column] = true;
    }
    std::size_t wanted_bytes = 0;
    for (std::size_t column = 0; column < wanted.size(); column++) {
        if (!wanted[column]) continue;
        for (std::uint32_t length : parts(at)[column].buffers) wanted_bytes += padded(length);
    }
    if (wanted_bytes * 2 > block.bytes) {
        // Most of it: this block and those behind it in one read.
        if (block.offset < memory.from || block.offset + block.bytes > memory.to) {
            std::uint64_t end = blocks_.back().offset + blocks_.back().bytes;
            end = std::max(std::min(end, block.offset + kScanBytes), block.offset + block.bytes);
            auto size = static_cast<std::size_t>(end - block.offset);
            memory.reserve(size);
            memory.from = memory.to = 0;
            read(block.offset, memory.bytes.get(), size);
            memory.base = memory.from = block.offset;
            memory.to = end;
        }
        // Its sequence numbers are changed in place, so it is not given again.
        memory.from = block.offset + block.bytes;
        return make(at, memory.bytes.get() + (block.offset - memory.base), wanted, nullptr, block.bytes);
    }
    memory.reserve(block.bytes);
    memory.from = memory.to = 0;
    // Columns that lie side by side in one read.
    std::size_t from = 0, to = 0, next = 0;
    auto read_run = [&] {
        if (from != to) read(block.offset + from, memory.bytes.get() + from, to - from);
    };
    for (std::size_t column = 0; column < wanted.size(); column++) {
        std::size_t begin = next;
        for (std::uint32_t length : parts(at)[column].buffers) next += padded(length);
        if (!wanted[column]) continue;
        if (begin != to) {
            read_run();
            from = begin;
        }
        to = next;
    }
    read_run();
    return make(at, memory.bytes.get(), wanted, nullptr, block.bytes);
}

std::shared_ptr<const ColumnBlock> HotSegment::make(std::uint32_t at, char* memory,
                                                    const std::vector<bool>& read,
                                                    std::shared_ptr<const void> hold,
                                                    std::size_t bytes) const {
    const Block& block = blocks_[at];
    std::vector<BlockColumn> columns;
    char* next = memory;
    columns.reserve(width());
    for (std::size_t at_column = 0; at_column < width(); at_column++) {
        const Part& part = parts(at)[at_column];
        char* begin = next;
        BlockColumn column;
        column.null_count = part.nulls;
        if (part.buffers[0]) column.validity = reinterpret_cast<const std::uint8_t*>(next);
        next += padded(part.buffers[0]);
        column.values = next;
        next += padded(part.buffers[1]);
        column.bytes = next;
        next += padded(part.buffers[2]);
        if (!read[at_column]) {
            columns.emplace_back();
            continue;
        }
        if (crc32c({begin, static_cast<std::size_t>(next - begin)}) != part.crc) {
            throw Corruption(path_, block.offset + static_cast<std::uint64_t>(begin - memory),
                             "the checksum of a block is wrong; restore a backup");
        }
        columns.push_back(column);
    }
    if (entry_.sequence_base && read[layout_->size()]) {
        char* sequence = memory + (columns[layout_->size()].values - memory);
        for (std::int64_t row = 0; row < places_[at].rows; row++, sequence += 8) {
            store(sequence, kalam::load<std::uint64_t>(sequence) + entry_.sequence_base);
        }
    }
    return std::make_shared<const ColumnBlock>(layout_, places_[at].rows, std::move(columns), std::move(hold),
                                               bytes + kBlockOverhead + width() * sizeof(BlockColumn));
}

HotSegmentWriter::HotSegmentWriter(FileSystem& files, std::string directory, std::uint64_t number,
                                   std::uint64_t table_id, const RowReader& reader,
                                   std::vector<std::string> names)
    : files_(files),
      directory_(std::move(directory)),
      number_(number),
      table_id_(table_id),
      reader_(reader),
      builder_(reader, all_columns(reader.layout())),
      path_(directory_ + "/" + hot_segment_name(number) + ".tmp") {
    const std::vector<Column>& columns = reader.layout().columns();
    for (std::size_t at = 0; at < columns.size(); at++) {
        fields_.push_back({at < names.size() ? std::move(names[at]) : "f" + std::to_string(at), columns[at]});
        // Old rows of a column that came later may lack what is required of new ones.
        fields_.back().column.nullable = true;
    }
    fields_.push_back({"_seq", {0, Type::kBigInt, 0, 0, false}});
    fields_.push_back({"_deleted", {0, Type::kBoolean, 0, 0, false}});
    if (files_.exists(path_)) files_.remove(path_);
    file_ = files_.open(path_, OpenMode::create);
    write(std::string(kArrowMagic) + std::string(2, '\0'));
    std::string schema = ipc_schema_message(fields_, 8);
    write(schema);
}

HotSegmentWriter::~HotSegmentWriter() {
    if (finished_) return;
    try {
        file_.reset();
        files_.remove(path_);
    } catch (const std::exception&) {
        // The next opening removes what is left.
    }
}

void HotSegmentWriter::write(std::string_view bytes) {
    if (bytes.size() >= kUnbufferedBytes) {
        flush();
        file_->write_at(written_, bytes.data(), bytes.size());
        written_ += bytes.size();
        return;
    }
    buffer_.append(bytes);
    if (buffer_.size() >= kWriteBytes) flush();
}

void HotSegmentWriter::flush() {
    if (buffer_.empty()) return;
    file_->write_at(written_, buffer_.data(), buffer_.size());
    written_ += buffer_.size();
    buffer_.clear();
}

HotSegmentWriter::Range& HotSegmentWriter::range_of(std::string_view partition, std::string_view first_key) {
    if (ranges_.empty() || ranges_.back().name != partition) {
        ranges_.emplace_back();
        ranges_.back().name = partition;
        ranges_.back().low = first_key;
        range_hash_ = stable_hash(partition);
    }
    return ranges_.back();
}

void HotSegmentWriter::hash(std::string_view key) {
    if (unfiltered_) return;
    if (hashes_.size() == kFilteredRowsMax) {
        unfiltered_ = true;
        std::vector<std::uint64_t>().swap(hashes_);
        return;
    }
    hashes_.push_back(filter_hash(range_hash_, key));
}

void HotSegmentWriter::add(std::string_view partition, const std::string_view* keys, const RowRef* rows,
                           std::size_t count) {
    if (count == 0) return;
    Range& range = range_of(partition, keys[0]);
    range.high = keys[count - 1];
    range.rows += static_cast<std::int64_t>(count);
    for (std::size_t at = 0; at < count; at++) {
        hash(keys[at]);
        range.sequence_min = std::min(range.sequence_min, rows[at].sequence);
        range.sequence_max = std::max(range.sequence_max, rows[at].sequence);
        range.tombstones += rows[at].deleted;
        sequence_min_ = std::min(sequence_min_, rows[at].sequence);
        sequence_max_ = std::max(sequence_max_, rows[at].sequence);
    }
    for (std::size_t at = 0; at < count;) {
        if (builder_.rows() == 0) first_key_ = keys[at];
        std::size_t taken = 0;
        while (at + taken < count && builder_.rows() + static_cast<std::int64_t>(taken) < kBlockRowsMax &&
               block_bytes_ < kBlockBytesMax) {
            block_bytes_ += rows[at + taken].size;
            taken++;
        }
        for (std::size_t done = 0; done < taken;) done += builder_.append(rows + at + done, taken - done);
        at += taken;
        if (builder_.rows() >= kBlockRowsMax || block_bytes_ >= kBlockBytesMax) end_block();
    }
    rows_ += static_cast<std::int64_t>(count);
}

void HotSegmentWriter::add_columns(std::string_view partition, const ArrowInput& input,
                                   const ArrowRowEncoder& encoder, std::int64_t begin, std::int64_t end,
                                   const std::int64_t* sequences) {
    const RowLayout& layout = reader_.layout();
    std::string key;
    while (begin < end) {
        std::int64_t stop = std::min(end, begin + kBlockRowsMax);
        for (std::size_t bytes;
             stop > begin + 1 && (bytes = bytes_of_rows(layout, input, begin, stop)) > kBlockBytesMax;) {
            auto share = static_cast<double>(kBlockBytesMax) / static_cast<double>(bytes);
            auto fewer = static_cast<std::int64_t>(static_cast<double>(stop - begin) * share);
            stop = begin + std::clamp<std::int64_t>(fewer, 1, stop - begin - 1);
        }
        end_block();
        key.clear();
        encoder.append_key(begin, key);
        first_key_ = key;
        Range& range = range_of(partition, key);
        for (std::int64_t row = begin; row < stop; row++, sequences++) {
            key.clear();
            encoder.append_key(row, key);
            hash(key);
            auto sequence = static_cast<std::uint64_t>(*sequences);
            range.sequence_min = std::min(range.sequence_min, sequence);
            range.sequence_max = std::max(range.sequence_max, sequence);
        }
        range.high = key;
        range.rows += stop - begin;
        sequence_min_ = std::min(sequence_min_, range.sequence_min);
        sequence_max_ = std::max(sequence_max_, range.sequence_max);
        rows_ += stop - begin;
        write_block(columns_of_rows(layout, input, begin, stop, sequences - (stop - begin)));
        begin = stop;
    }
}

void HotSegmentWriter::end_block() {
    if (builder_.rows() == 0) return;
    write_block(builder_.finish());
    block_bytes_ = 0;
}

void HotSegmentWriter::write_block(const ArrowBatch& batch) {
    std::int64_t rows = batch.rows();
    std::vector<IpcNode> nodes;
    std::vector<IpcBuffer> buffers;
    std::string lengths_text;
    std::string body;
    for (const ArrowBatchColumn& column : batch.columns()) {
        std::size_t lengths[3];
        std::size_t begin = body.size();
        lengths_of(column, rows, lengths);
        nodes.push_back({rows, column.null_count});
        for (int i = 0; i < 3; i++) {
            if (i == 2 && !column.text) {
                put_varint(lengths_text, 0);
                continue;
            }
            buffers.push_back(
                {static_cast<std::int64_t>(body.size()), static_cast<std::int64_t>(lengths[i])});
            if (lengths[i]) body.append(static_cast<const char*>(column.buffers[i]), lengths[i]);
            body.resize(padded(body.size()), '\0');
            put_varint(lengths_text, lengths[i]);
        }
        put_varint(lengths_text, static_cast<std::uint64_t>(column.null_count));
        put_u32(lengths_text, crc32c(std::string_view(body).substr(begin)));
    }
    // So that the body begins at a multiple of 64 in the file.
    std::uint64_t at = written_ + buffer_.size();
    write(std::string(padded(static_cast<std::size_t>(at)) - static_cast<std::size_t>(at), '\0'));
    at = written_ + buffer_.size();
    std::string message =
        ipc_batch_message(rows, nodes, buffers, static_cast<std::int64_t>(body.size()), kAlignment);
    ipc_blocks_.push_back({static_cast<std::int64_t>(at), static_cast<std::int32_t>(message.size()),
                           static_cast<std::int64_t>(body.size())});
    put_varint(blocks_, at + message.size());
    put_varint(blocks_, static_cast<std::uint64_t>(rows));
    put_bytes(blocks_, first_key_);
    blocks_ += lengths_text;
    block_count_++;
    write(message);
    write(body);
}

std::string HotSegmentWriter::index() const {
    const RowLayout& layout = reader_.layout();
    std::string out;
    put_varint(out, table_id_);
    put_varint(out, layout.version());
    put_varint(out, layout.size());
    for (const Column& column : layout.columns()) {
        put_varint(out, column.id);
        put_varint(out, static_cast<std::uint64_t>(column.type));
        put_u32(out, static_cast<std::uint32_t>(column.parameter_1));
        put_u32(out, static_cast<std::uint32_t>(column.parameter_2));
        put_varint(out, column.nullable);
    }
    put_varint(out, layout.key());
    put_varint(out, static_cast<std::uint64_t>(rows_));
    put_u64(out, sequence_min_);
    put_u64(out, sequence_max_);
    put_varint(out, block_count_);
    out += blocks_;
    put_varint(out, ranges_.size());
    for (const Range& range : ranges_) {
        put_bytes(out, range.name);
        put_varint(out, static_cast<std::uint64_t>(range.rows));
        put_bytes(out, range.low);
        put_bytes(out, range.high);
        put_u64(out, range.sequence_min);
        put_u64(out, range.sequence_max);
        put_varint(out, static_cast<std::uint64_t>(range.tombstones));
    }
    put_bytes(out, KeyFilter::made_of(hashes_));
    return out;
}

HotSegmentEntry HotSegmentWriter::finish() {
    end_block();
    std::string made = index();
    std::uint32_t crc = crc32c(made);
    std::uint64_t at = written_ + buffer_.size();
    write(made);
    std::string trailer(kIndexMagic);
    put_u32(trailer, kFormatVersion);
    put_u32(trailer, crc);
    put_u64(trailer, at);
    put_u64(trailer, made.size());
    write(trailer);
    write(ipc_footer(fields_, ipc_blocks_));
    flush();
    file_->sync();
    file_->close();
    file_.reset();
    files_.rename(path_, directory_ + "/" + hot_segment_name(number_));
    finished_ = true;
    return {number_, table_id_, written_, crc};
}

}  // namespace kalam
