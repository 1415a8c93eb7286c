// Rows of many blocks as one batch: what a scan gives, so that who reads it meets few large batches and the
// blocks' memory can be used again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow_export.hpp"
#include "column_block.hpp"

namespace kalam {

// Thread safety: one thread at a time.
class ColumnGatherer {
  public:
    // `columns`: positions of the layout that all blocks have, or system columns. `rows_max`: of a batch.
    ColumnGatherer(std::shared_ptr<const RowLayout> layout, std::vector<int> columns, std::int64_t rows_max);
    ~ColumnGatherer();

    // Takes rows from `begin` on and says how many: fewer than asked for where the batch is full; finish it
    // then and go on. Always takes at least one row into an empty batch. REQUIRES: begin < end.
    std::int64_t add(const ColumnBlock& block, std::int64_t begin, std::int64_t end);
    std::int64_t rows() const { return rows_; }
    // The batch so far; the gatherer is empty again.
    ArrowBatch finish();

  private:
    struct Output;

    const std::shared_ptr<const RowLayout> layout_;
    const std::vector<int> columns_;
    const std::int64_t rows_max_;
    std::vector<Output> outputs_;
    std::int64_t rows_ = 0;
};

}  // namespace kalam
