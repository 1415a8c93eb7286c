#include "nesting.hpp"

#include <cstdint>
#include <vector>

namespace kalam {

bool is_json_deeper(std::string_view text, std::size_t depth_max) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); at++) {
        char character = text[at];
        if (in_string) {
            if (character == '\\') at++;
            if (character == '"') in_string = false;
        } else if (character == '"') {
            in_string = true;
        } else if (character == '[' || character == '{') {
            if (++depth > depth_max) return true;
        } else if ((character == ']' || character == '}') && depth) {
            depth--;
        }
    }
    return false;
}

bool is_msgpack_deeper(std::string_view message, std::size_t depth_max) {
    std::vector<std::uint64_t> left;  // values that each open array or map still has
    std::size_t at = 0;
    auto number = [&](std::size_t bytes) {
        std::uint64_t value = 0;
        for (; bytes && at < message.size(); bytes--)
            value = value << 8 | static_cast<std::uint8_t>(message[at++]);
        return value;
    };
    auto skip = [&](std::uint64_t bytes) {
        at = bytes > message.size() - at ? message.size() : at + static_cast<std::size_t>(bytes);
    };
    while (at < message.size()) {
        auto type = static_cast<std::uint8_t>(message[at++]);
        std::uint64_t values = 0;
        if (type >= 0x80 && type <= 0x8f) {
            values = 2 * std::uint64_t{type & 0xfu};
        } else if (type >= 0x90 && type <= 0x9f) {
            values = type & 0xfu;
        } else if (type >= 0xa0 && type <= 0xbf) {
            skip(type & 0x1fu);
        } else if (type >= 0xc4 && type <= 0xc6) {  // bytes
            skip(number(std::size_t{1} << (type - 0xc4)));
        } else if (type >= 0xc7 && type <= 0xc9) {  // extensions, whose own type is a byte
            std::uint64_t bytes = number(std::size_t{1} << (type - 0xc7));
            skip(bytes + 1);
        } else if (type == 0xca || type == 0xcb) {
            skip(type == 0xca ? 4 : 8);
        } else if (type >= 0xcc && type <= 0xd3) {  // integers
            skip(std::uint64_t{1} << ((type - 0xcc) & 3));
        } else if (type >= 0xd4 && type <= 0xd8) {  // extensions of a length that the type tells
            skip((std::uint64_t{1} << (type - 0xd4)) + 1);
        } else if (type >= 0xd9 && type <= 0xdb) {  // strings
            skip(number(std::size_t{1} << (type - 0xd9)));
        } else if (type >= 0xdc) {  // arrays and maps; what is above them are small negative numbers
            if (type <= 0xdd) values = number(type == 0xdc ? 2 : 4);
            if (type == 0xde || type == 0xdf) values = 2 * number(type == 0xde ? 2 : 4);
        }
        if (values) {
            left.push_back(values);
            if (left.size() > depth_max) return true;
            continue;
        }
        // A value is whole, and perhaps the last of what it stands in, and that of what it stands in.
        while (!left.empty() && --left.back() == 0) left.pop_back();
    }
    return false;
}

}  // namespace kalam
