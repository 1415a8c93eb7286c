#include "checkpoint_file.hpp"

#include <unordered_set>

#include "crc32c.hpp"
#include "errors.hpp"
#include "varint.hpp"

namespace kalam {

namespace {

constexpr std::string_view kMagic = "KALAMCKP";
constexpr std::uint32_t kFormatVersion = 1;

std::string path_in(const std::string& directory) {
    return directory + "/checkpoint";
}

}  // namespace

std::optional<CheckpointState> read_checkpoint(FileSystem& files, const std::string& directory) {
    std::string path = path_in(directory);
    if (!files.exists(path)) return std::nullopt;
    std::string bytes = files.read_file(path);
    std::string_view at = bytes;
    if (!at.starts_with(kMagic)) throw Corruption(path, 0, "this is no checkpoint; restore a backup");
    at.remove_prefix(kMagic.size());
    try {
        std::uint32_t version = take_u32(at);
        if (version > kFormatVersion) {
            throw UnknownFormat(path + " has format " + std::to_string(version) +
                                ", this version of kalamdb reads up to " + std::to_string(kFormatVersion) +
                                "; open it with a newer kalamdb");
        }
        std::uint32_t crc = take_u32(at);
        if (crc32c(at) != crc) throw Corruption(path, 12, "its checksum is wrong; restore a backup");
        CheckpointState state;
        state.lsn = take_u64(at);
        state.last_sequence = take_u64(at);
        state.lease_end_ms = static_cast<std::int64_t>(take_u64(at));
        state.next_segment = take_u64(at);
        for (std::uint64_t count = take_varint(at); count > 0; count--) {
            HotSegmentEntry entry;
            entry.number = take_varint(at);
            entry.table_id = take_varint(at);
            entry.file_bytes = take_varint(at);
            entry.index_crc = take_u32(at);
            entry.sequence_base = take_varint(at);
            state.segments.push_back(entry);
        }
        if (!at.empty()) throw Error("bytes follow its end");
        return state;
    } catch (const Corruption&) {
        throw;
    } catch (const UnknownFormat&) {
        throw;
    } catch (const Error& error) {
        throw Corruption(path, 12, std::string("it makes no sense: ") + error.what() + "; restore a backup");
    }
}

void write_checkpoint(FileSystem& files, const std::string& directory, const CheckpointState& state) {
    std::string body;
    put_u64(body, state.lsn);
    put_u64(body, state.last_sequence);
    put_u64(body, static_cast<std::uint64_t>(state.lease_end_ms));
    put_u64(body, state.next_segment);
    put_varint(body, state.segments.size());
    for (const HotSegmentEntry& entry : state.segments) {
        put_varint(body, entry.number);
        put_varint(body, entry.table_id);
        put_varint(body, entry.file_bytes);
        put_u32(body, entry.index_crc);
        put_varint(body, entry.sequence_base);
    }
    std::string bytes(kMagic);
    put_u32(bytes, kFormatVersion);
    put_u32(bytes, crc32c(body));
    files.write_atomic(path_in(directory), bytes + body);
}

void remove_leftovers(FileSystem& files, const std::string& directory, const CheckpointState& state) {
    std::unordered_set<std::string> kept;
    for (const HotSegmentEntry& entry : state.segments) kept.insert(hot_segment_name(entry.number));
    bool sure = !files.exists(path_in(directory));
    for (const std::string& name : files.list(directory)) {
        bool ours = name.ends_with(".arrow") || name.ends_with(".tmp");
        if (!ours || kept.contains(name)) continue;
        // The checkpoint that was read may be in the page cache alone, and the one on the disk name this
        // file.
        if (!sure) write_checkpoint(files, directory, state);
        sure = true;
        // Writing it has used up its own temporary file.
        std::string path = directory + "/" + name;
        if (files.exists(path)) files.remove(path);
    }
}

}  // namespace kalam
