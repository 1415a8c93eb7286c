// Rows of a result, copied out of the store so that it may go on.
#pragma once

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "arrow_export.hpp"

namespace kalam {

// Thread safety: immutable; whoever has copies shares them.
class StoredRows {
  public:
    StoredRows() = default;
    explicit StoredRows(std::vector<RowRef> rows) : rows_(std::move(rows)) {
        std::size_t bytes = 0;
        for (const RowRef& row : rows_) bytes += row.size;
        // Whole, so that a row never moves.
        auto copies = std::make_shared_for_overwrite<char[]>(bytes);
        char* at = copies.get();
        for (RowRef& row : rows_) {
            if (row.size != 0) std::memcpy(at, row.data, row.size);
            row.data = at;
            at += row.size;
        }
        copies_ = std::move(copies);
    }

    const std::vector<RowRef>& rows() const { return rows_; }

  private:
    std::vector<RowRef> rows_;
    std::shared_ptr<const char[]> copies_;
};

}  // namespace kalam
