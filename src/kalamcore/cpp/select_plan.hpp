// Simple SELECTs: one partition's rows, filtered, ordered, limited and counted without leaving the core.
//
// Rows are judged as they are stored; only what is returned is ever decoded. Values compare as the query
// engine compares them: text and bytes by their bytes, real numbers by IEEE 754's total order, but -0.0 is
// 0.0 in a comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rows.hpp"
#include "store.hpp"

namespace kalam {

// How the values of a type are held in a Cell, and compared.
enum class Family : std::uint8_t { kInteger, kReal, kDecimal, kBytes };
Family family_of(Type type);

// A value to compare with, in its column's family. Never a decimal.
struct Constant {
    bool null = false;
    std::int64_t integer = 0;
    double real = 0;
    std::string_view bytes;
};

enum class Test : std::uint8_t {
    kAnd,
    kOr,
    kNot,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kPrefix,
    kIsNull,
    kIsNotNull
};

// One step of a predicate, which is a tree in prefix order: the parts of kAnd, kOr and kNot follow it, up to
// the step `end` (not included). The others test `column` against `constants` constants from `constant` on.
struct Step {
    Test test;
    int column = -1;
    std::uint32_t constant = 0;
    std::uint32_t constants = 0;
    std::uint32_t end = 0;
    // Of the column; set by SelectPlan::prepare.
    Family family = Family::kInteger;
};

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

// The bytes by which a key is found. False for a type whose keys are not looked for by a constant: real
// numbers and decimals. REQUIRES: the constant is not null.
bool key_of(Type type, const Constant& constant, std::string& out);

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
    enum class Truth : std::uint8_t { kFalse, kNull, kTrue };
    struct Ordered {
        Cell value;
        RowRef row;
    };

    void find_access();
    void narrow(const Step& step);
    // `cells`: gives the cell of a column.
    template <class Cells>
    Truth judge(std::uint32_t at, const Cells& cells) const;
    Truth judge_cell(const Step& step, const Cell& cell) const;
    Truth judge_in(const Step& step, const Cell& cell) const;
    template <class Cells>
    bool holds(const Cells& cells) const;
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
    // As RowReader::cell, without the call for what is read most.
    Cell cell(const RowView& view, int column) const {
        const ColumnPlan& plan = view.plan->columns[static_cast<std::size_t>(column)];
        if (plan.source == ColumnPlan::Source::kSame && plan.stored == Type::kBigInt) {
            Cell cell;
            cell.null = (static_cast<std::uint8_t>(view.row[plan.null_byte]) & plan.null_mask) != 0;
            cell.integer = load<std::int64_t>(view.row + plan.slot);
            return cell;
        }
        return reader_.cell(view, static_cast<std::size_t>(column));
    }

    const SelectPlan& plan_;
    const Readable& store_;
    const RowReader& reader_;
    const std::uint64_t table_id_;
    const std::string_view partition_;
    const std::uint64_t snapshot_;
    std::vector<Constant>& constants_;
    const std::uint64_t limit_;
    const std::uint64_t offset_;

    bool sorts_ = false;     // the order is not the key's
    bool by_keys_ = false;   // only the rows of keys_
    bool plain_ = false;     // the predicate is one test, or tests that are all joined by AND
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
