// Rows as Arrow columns, handed over through the C data interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow_c.hpp"
#include "rows.hpp"

namespace kalam {

// Where a row is, and what is known of it besides its bytes.
struct RowRef {
    const char* data;
    std::size_t size;
    std::uint64_t sequence;
    bool deleted;
};

// The format string by which the C data interface names a column's type; UUID is text of 36 characters here.
std::string arrow_format(const Column& column);

// How many bytes a value takes in a column whose values all take as many; 0 for booleans, which are bits.
// REQUIRES: the type is neither text nor bytes, nor UUID, which is text here.
std::size_t arrow_width(Type type);

// One column of a batch: where its buffers are.
struct ArrowBatchColumn {
    std::string format;
    bool text = false;  // three buffers instead of two
    std::int64_t null_count = 0;
    std::int64_t offset = 0;
    const void* buffers[3] = {nullptr, nullptr, nullptr};  // validity (null: nothing is null), values, bytes
};

// A finished batch: a struct of columns f0, f1, …
//
// Thread safety: immutable; copies share their buffers, and every export keeps them alive by itself.
class ArrowBatch {
  public:
    ArrowBatch() = default;
    // `hold` keeps what the columns point to.
    ArrowBatch(std::int64_t rows, std::vector<ArrowBatchColumn> columns, std::shared_ptr<const void> hold);
    std::int64_t rows() const;
    // REQUIRES: it is no default-made batch.
    const std::vector<ArrowBatchColumn>& columns() const;
    // Both throw ValueMismatch for a batch that ArrowBuilder::finish did not give. The caller owns what is
    // written to `schema` and `array`.
    void export_schema(ArrowSchema* schema) const;
    void export_array(ArrowArray* array) const;

  private:
    struct Data;
    struct ArrayHold;
    std::shared_ptr<const Data> data_;
};

// Collects rows into columns: bool, int16, int32, int64, float, double, decimal128, utf8, binary,
// timestamp[us, UTC], date32, time64[us]; UUID as utf8 of 36 characters, JSON as utf8.
//
// Thread safety: one thread at a time; touches no Python, so run it without the GIL.
class ArrowBuilder {
  public:
    // `columns`: positions in the reader's newest layout, kSequenceColumn (int64), kUpdatedColumn
    // (timestamp[us, UTC]) or kDeletedColumn (bool), in output order. REQUIRES: `reader` outlives the
    // builder. Throws ValueMismatch(-1, i) where columns[i] is no column.
    ArrowBuilder(const RowReader& reader, std::vector<int> columns);
    ~ArrowBuilder();

    // Takes rows from the first on and says how many: fewer than `count` only where a text column of this
    // batch has no room for more (int32 offsets); finish it then and go on. Always takes at least one row
    // into an empty batch. Throws Corruption; the builder is then of no more use.
    std::size_t append(const RowRef* rows, std::size_t count);

    std::int64_t rows() const { return rows_; }

    // The batch so far; the builder is empty again.
    ArrowBatch finish();

  private:
    struct Output;

    const RowReader* reader_;
    std::vector<Output> outputs_;
    std::int64_t rows_ = 0;
    std::size_t text_bytes_ = 0;  // never less than what the largest text column holds
};

}  // namespace kalam
