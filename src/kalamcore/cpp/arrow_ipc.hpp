// The messages of Arrow's IPC file format, as far as a hot segment needs them: a schema, record batches
// without compression, the footer. What they mean is told by Arrow's Message.fbs, Schema.fbs and File.fbs.
//
// Only written here: what reads a segment in this library goes by the segment's own index, and other programs
// by these.
//
// Thread safety: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rows.hpp"

namespace kalam {

inline constexpr std::string_view kArrowMagic = "ARROW1";

struct IpcField {
    std::string name;
    Column column;
};

// Of a column in a batch's body.
struct IpcNode {
    std::int64_t rows, null_count;
};
struct IpcBuffer {
    std::int64_t offset, bytes;
};
// Where a batch's message is in the file.
struct IpcBlock {
    std::int64_t offset;
    std::int32_t metadata_bytes;
    std::int64_t body_bytes;
};

// A message with its length before it, padded to `alignment` bytes.
std::string ipc_schema_message(const std::vector<IpcField>& fields, std::size_t alignment);
std::string ipc_batch_message(std::int64_t rows, const std::vector<IpcNode>& nodes,
                              const std::vector<IpcBuffer>& buffers, std::int64_t body_bytes,
                              std::size_t alignment);
// The footer, its length and the closing magic: the end of the file.
std::string ipc_footer(const std::vector<IpcField>& fields, const std::vector<IpcBlock>& blocks);

}  // namespace kalam
