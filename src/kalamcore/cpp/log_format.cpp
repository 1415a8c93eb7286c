#include "log_format.hpp"

#include <charconv>
#include <cstring>

#include "crc32c.hpp"
#include "errors.hpp"

namespace kalam::log_format {
namespace {

constexpr std::string_view magic = "KALAMLOG";
constexpr std::string_view suffix = ".log";
constexpr std::size_t checked_header_bytes = 60;

template <typename Integer>
void put(char* at, Integer value) {
    for (std::size_t byte = 0; byte < sizeof value; ++byte) {
        at[byte] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte));
    }
}

template <typename Integer>
Integer get(std::string_view bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < sizeof(Integer); ++byte) {
        value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + byte])) << (8 * byte);
    }
    return static_cast<Integer>(value);
}

std::uint32_t salted_crc(std::uint64_t salt, std::string_view bytes) {
    char seed[8];
    put(seed, salt);
    return crc32c_extend(crc32c({seed, sizeof seed}), bytes);
}

}  // namespace

std::string encode_file_header(const FileHeader& header) {
    std::string bytes(file_header_bytes, '\0');
    std::memcpy(bytes.data(), magic.data(), magic.size());
    put(&bytes[8], version);
    put(&bytes[12], static_cast<std::uint32_t>(file_header_bytes));
    put(&bytes[16], header.salt);
    put(&bytes[24], header.number);
    put(&bytes[32], header.first_lsn);
    put(&bytes[40], header.known_durable_lsn);
    put(&bytes[48], header.previous_salt);
    put(&bytes[checked_header_bytes], crc32c({bytes.data(), checked_header_bytes}));
    return bytes;
}

FileHeader decode_file_header(const std::string& path, std::string_view bytes) {
    const std::string remedy = "; `kalam repair` tells what can be saved without it, a backup has the rest";
    if (bytes.size() < file_header_bytes) {
        throw Corruption(path, bytes.size(), "a log file ends inside its header" + remedy);
    }
    if (bytes.substr(0, magic.size()) != magic) {
        throw Corruption(path, 0, "this is not the beginning of a log file" + remedy);
    }
    // The first 64 bytes mean the same in every version, so that a damaged header is not taken for a newer
    // one.
    if (get<std::uint32_t>(bytes, checked_header_bytes) != crc32c(bytes.substr(0, checked_header_bytes))) {
        throw Corruption(path, 0, "the header of a log file does not match its checksum" + remedy);
    }
    const auto found = get<std::uint32_t>(bytes, 8);
    if (found > version) {
        throw UnknownFormat(path + " has log format " + std::to_string(found) +
                            ", and this version reads up to format " + std::to_string(version) +
                            "; open it with the newer kalamdb that wrote it");
    }
    return {get<std::uint64_t>(bytes, 16), get<std::uint64_t>(bytes, 24), get<std::uint64_t>(bytes, 32),
            get<std::uint64_t>(bytes, 40), get<std::uint64_t>(bytes, 48)};
}

void encode_record_header(const RecordHeader& header, std::uint64_t salt, char* out) {
    put(out + 4, header.payload_crc);
    put(out + 8, header.payload_bytes);
    put(out + 12, header.type);
    put(out + 13, std::uint8_t{0});
    put(out + 14, header.skipped);
    put(out + 16, header.lsn);
    put(out + 24, header.known_durable_lsn);
    put(out, salted_crc(salt, {out + 4, record_header_bytes - 4}));
}

std::optional<RecordHeader> decode_record_header(std::string_view bytes, std::uint64_t salt) {
    if (bytes.size() < record_header_bytes) return std::nullopt;
    if (get<std::uint32_t>(bytes, 0) != salted_crc(salt, bytes.substr(4, record_header_bytes - 4))) {
        return std::nullopt;
    }
    RecordHeader header;
    header.payload_crc = get<std::uint32_t>(bytes, 4);
    header.payload_bytes = get<std::uint32_t>(bytes, 8);
    header.type = get<std::uint8_t>(bytes, 12);
    header.skipped = get<std::uint16_t>(bytes, 14);
    header.lsn = get<std::uint64_t>(bytes, 16);
    header.known_durable_lsn = get<std::uint64_t>(bytes, 24);
    return header;
}

std::optional<RecordHeader> decode_record(std::string_view bytes, std::uint64_t salt) {
    const std::optional<RecordHeader> header = decode_record_header(bytes, salt);
    if (!header || bytes.size() - record_header_bytes < header->payload_bytes) return std::nullopt;
    if (crc32c(bytes.substr(record_header_bytes, header->payload_bytes)) != header->payload_crc) {
        return std::nullopt;
    }
    return header;
}

std::string file_name(std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + std::string(suffix);
}

std::optional<std::uint64_t> file_number(std::string_view name) {
    if (!name.ends_with(suffix)) return std::nullopt;
    const std::string_view digits = name.substr(0, name.size() - suffix.size());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size() || file_name(number) != name) {
        return std::nullopt;
    }
    return number;
}

}  // namespace kalam::log_format
