// How deep a message is nested, told without recursion: libraries that read JSON and MessagePack call
// themselves for each level, and a thread with a small stack dies of a text that is nothing but brackets.
//
// Thread safety: free functions without state.
#pragma once

#include <cstddef>
#include <string_view>

namespace kalam {

// Whether arrays and objects (maps) are open one in the other more than `depth_max` deep somewhere. Of what
// is no JSON (MessagePack) only so much counts as can be told: its reader refuses it.
bool is_json_deeper(std::string_view text, std::size_t depth_max);
bool is_msgpack_deeper(std::string_view message, std::size_t depth_max);

}  // namespace kalam
