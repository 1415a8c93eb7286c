// What rows are read from: the newest rows, a pinned view of them, or a transaction laid over one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_export.hpp"
#include "errors.hpp"
#include "memtable.hpp"
#include "rows.hpp"

namespace kalam {

// As a snapshot: whatever was committed.
inline constexpr std::uint64_t kAllSequences = ~std::uint64_t{0};

// A row that was found. It also holds its bytes.
struct FoundRow {
    RowRef row{};
    std::shared_ptr<const void> held;
};

class ColumnBlock;

// Says of rows in blocks which are not wanted, before they are encoded.
class BlockFilter {
  public:
    virtual ~BlockFilter() = default;
    // Moves those of these rows that are wanted to the front, in the order they came; how many.
    virtual std::size_t keep(const ColumnBlock& block, std::uint32_t* rows, std::size_t count) const = 0;
};

// Rows in the order they were asked for, some at a time.
class RowSource {
  public:
    virtual ~RowSource() = default;
    // From now on rows of blocks that the filter does not want are left out; with `in_place`, they come
    // without their bytes (data is null), as what is merged with it must know of them. False where it has no
    // blocks, and leaves out nothing. REQUIRES: nothing was asked for yet; the filter outlives the source.
    virtual bool only(const BlockFilter& /*filter*/, bool /*in_place*/) { return false; }
    // Up to `max` rows; fewer only at the end. They are valid while the source is, or until forget. `keys`,
    // where given, gets their keys; REQUIRES: the source was asked for with keys.
    virtual std::size_t next(RowRef* out, std::size_t max, std::string_view* keys = nullptr) = 0;
    // What was given is no longer needed, but for what the last next gave.
    virtual void forget() {}
};

// A row's older version was asked for that is not kept any more: a checkpoint kept the newest alone, and no
// view of that time was pinned. Evaluate anew.
struct SnapshotGone : WriteConflict {
    SnapshotGone() : WriteConflict("the snapshot is not kept any more; evaluate the statement anew", -1) {}
};

class Readable {
  public:
    virtual ~Readable() = default;
    // What a read should ask for: the newest of the store, or the view's or transaction's own.
    virtual std::uint64_t snapshot() const = 0;
    // The newest version at or below `snapshot`; a tombstone only where asked for.
    virtual bool get(std::uint64_t table_id, std::string_view partition, std::string_view key,
                     std::uint64_t snapshot, bool deleted, FoundRow& found) const = 0;
    // REQUIRES: the strings of `bounds` outlive the source. `with_keys`: next will be asked for keys.
    virtual std::unique_ptr<RowSource> rows(std::uint64_t table_id, std::string_view partition,
                                            std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                            bool deleted, bool with_keys = false) const = 0;
    virtual std::uint64_t count(std::uint64_t table_id, std::string_view partition,
                                std::uint64_t snapshot) const = 0;
    // The same of all partitions together.
    virtual std::uint64_t count_all(std::uint64_t table_id, std::uint64_t snapshot) const = 0;
    // Every partition that ever had a row, sorted.
    virtual std::vector<std::string> partitions(std::uint64_t table_id) const = 0;
    // In no order that is promised. `columns`: as ArrowBuilder takes them. Batches have up to about
    // `batch_rows` rows.
    virtual std::vector<ArrowBatch> rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                  std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                                  const RowReader& reader, const std::vector<int>& columns,
                                                  std::int64_t batch_rows) const;
    // The same in key order, and without what is in cold segments alone.
    virtual std::vector<ArrowBatch> hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                      std::uint64_t snapshot, const Bounds& bounds,
                                                      bool deleted, const RowReader& reader,
                                                      const std::vector<int>& columns,
                                                      std::int64_t batch_rows) const = 0;
};

// What is left of a source, as Arrow.
void append_as_arrow(RowSource& source, const RowReader& reader, const std::vector<int>& columns,
                     std::int64_t batch_rows, std::vector<ArrowBatch>& batches);

}  // namespace kalam
