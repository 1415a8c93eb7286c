// The log of a store that changes nothing: it takes no records, and touches no file.
#pragma once

#include <memory>

#include "wal.hpp"

namespace kalam {

// `last`: the record up to which the store has read.
std::unique_ptr<Log> read_only_log(std::uint64_t last);

}  // namespace kalam
