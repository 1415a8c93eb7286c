// Simple SELECTs: one partition's rows, filtered, ordered, limited and counted without leaving the core.
//
// Rows are judged as they are stored (row_predicate.hpp); only what is returned is ever decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "row_predicate.hpp"
#include "rows.hpp"
#include "store.hpp"

namespace kalam {

struct Aggregate {
    enum class Kind : std::uint8_t { kRows, kValues, kLeast, kGreatest };
    Kind kind;
    int column = -1;
};

// What of a statement is the same each time it runs.
//
// Thread safety: immutable once built.
struct SelectPlan {
    std::vector<Step> predicate;  // empty: every row
    int order_column = -1;        // -1: any order
    bool descending = false;
    bool nulls_first = false;
    std::vector<Aggregate> aggregates;  // REQUIRES: where there are any, order_column is -1

    // The last step of building. Throws ValueMismatch(-1, column) for a column or a step that cannot be.
    // `constants`: how many there are.
    void prepare(const RowLayout& layout, std::size_t constants);
};

// One run of a plan.
//
// Thread safety: one thread at a time; touches no Python.
// REQUIRES: everything it is given outlives it, the bytes of the constants too.
class Selection final : private BlockFilter {
  public:
    static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

    // `constants` is reordered within the constants of one kIn.
    Selection(const SelectPlan& plan, const Readable& store, const RowReader& reader, std::uint64_t table_id,
              std::string_view partition, std::uint64_t snapshot, std::vector<Constant>& constants,
              std::uint64_t limit, std::uint64_t offset);

    // Looks at up to about `rows_max` rows more; true when it is done. Throws Corruption.
    bool step(std::size_t rows_max);

    // Once done: the rows in their order, limit and offset applied. They are valid while this and the store
    // are.
    const std::vector<RowRef>& rows() const { return rows_; }
    // Bytes of the rows.
    std::uint64_t bytes() const { return bytes_; }
    // Once done: each aggregate's number (kRows, kValues), or the row that has the value (data is null where
    // no row has one).
    const std::vector<std::uint64_t>& counts() const { return counts_; }
    const std::vector<RowRef>& extremes() const { return extremes_; }

  private:
    struct Ordered {
        Cell value;
        RowRef row;
    };

    void find_access();
    void narrow(const Step& step);
    std::size_t keep(const ColumnBlock& block, std::uint32_t* rows, std::size_t count) const override;
    std::size_t keep(const Step& step, const ColumnBlock& block, std::uint32_t* rows,
                     std::size_t count) const;
    bool take(const RowRef& row);
    void aggregate(const RowRef& row, const RowView& view);
    template <class Work>
    void in_order(Work work);
    void prune();
    void finish();
    Family family(int column) const {
        return family_of(reader_.layout().columns()[static_cast<std::size_t>(column)].type);
    }

    const SelectPlan& plan_;
    const Readable& store_;
    const RowReader& reader_;
    const std::uint64_t table_id_;
    const std::string_view partition_;
    const std::uint64_t snapshot_;
    const std::vector<Constant>& constants_;
    const RowPredicate predicate_;
    const std::uint64_t limit_;
    const std::uint64_t offset_;

    bool sorts_ = false;     // the order is not the key's
    bool by_keys_ = false;   // only the rows of keys_
    bool left_out_ = false;  // the source leaves out some of what the predicate does not hold for
    bool done_ = false;
    std::vector<std::string> keys_;
    std::size_t next_key_ = 0;
    std::vector<std::shared_ptr<const void>> held_;
    std::string low_, high_;
    bool has_low_ = false, has_high_ = false;
    std::string_view low_view_, high_view_;
    std::unique_ptr<RowSource> source_;

    std::uint64_t skipped_ = 0;
    std::uint64_t bytes_ = 0;
    std::vector<RowRef> rows_;
    std::vector<Ordered> ordered_;  // pruned when there are more than ordered_room_
    std::uint64_t ordered_max_ = kNoLimit;
    std::uint64_t ordered_room_ = kNoLimit;
    Family order_family_ = Family::kInteger;
    std::vector<std::uint64_t> counts_;
    std::vector<RowRef> extremes_;
    std::vector<Cell> extreme_values_;
};

}  // namespace kalam
