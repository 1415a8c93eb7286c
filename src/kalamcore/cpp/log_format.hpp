// The bytes of a log file: one header page, then records. Drawn in docs/formats.md.
//
// All integers are little endian. Every checksum of a header begins with the salt of its file, so that bytes
// of another file, or of an earlier life of this one, never verify.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kalam::log_format {

inline constexpr std::uint32_t version = 2;
// A whole page, so that no later write touches the header's.
inline constexpr std::size_t file_header_bytes = 4096;
inline constexpr std::size_t record_header_bytes = 32;
inline constexpr std::size_t alignment = 8;
inline constexpr std::uint64_t payload_bytes_max = 0xffffff00u;

struct FileHeader {
    std::uint64_t salt = 0;
    std::uint64_t number = 0;
    std::uint64_t first_lsn = 0;
    // Every record up to this one was durable when the file was made.
    std::uint64_t known_durable_lsn = 0;
    // The salt of the file before this one, 0 where there was none: a file of another log, or of an earlier
    // life of this one, does not fit.
    std::uint64_t previous_salt = 0;
};

struct RecordHeader {
    std::uint32_t payload_crc = 0;
    std::uint32_t payload_bytes = 0;
    std::uint8_t type = 0;
    // How many numbers before this one were given to records that were refused for want of room.
    std::uint16_t skipped = 0;
    std::uint64_t lsn = 0;
    // Every record up to this one was durable when this one was written.
    std::uint64_t known_durable_lsn = 0;
};

constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes) {
    return (record_header_bytes + payload_bytes + alignment - 1) / alignment * alignment;
}

std::string encode_file_header(const FileHeader& header);
// Throws Corruption and, where the header is whole but of a newer version, UnknownFormat.
FileHeader decode_file_header(const std::string& path, std::string_view bytes);

// Writes record_header_bytes at `out`.
void encode_record_header(const RecordHeader& header, std::uint64_t salt, char* out);
// What stands at the start of `bytes`, if it verifies. The payload is not looked at.
std::optional<RecordHeader> decode_record_header(std::string_view bytes, std::uint64_t salt);
// The same, and the payload is there and verifies.
std::optional<RecordHeader> decode_record(std::string_view bytes, std::uint64_t salt);

std::string file_name(std::uint64_t number);
std::optional<std::uint64_t> file_number(std::string_view name);

}  // namespace kalam::log_format
