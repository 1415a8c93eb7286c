// Whether a predicate holds for a row, judged as it is stored: nothing of the row is decoded that the
// predicate does not name.
//
// Values compare as the query engine compares them: text and bytes by their bytes, real numbers by IEEE 754's
// total order, but -0.0 is 0.0 in a comparison.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rows.hpp"

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

// IEEE 754's total order.
inline std::int64_t total(double value) {
    auto bits = std::bit_cast<std::int64_t>(value);
    return bits ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(bits >> 63) >> 1);
}

template <class T>
int order(T a, T b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

inline int order_bytes(const char* a, std::size_t a_size, const char* b, std::size_t b_size) {
    std::size_t common = std::min(a_size, b_size);
    int result = common == 0 ? 0 : std::memcmp(a, b, common);
    return result != 0 ? result : order(a_size, b_size);
}

// A value against a constant; neither is null.
inline int compare(Family family, const Cell& cell, const Constant& constant) {
    switch (family) {
        case Family::kInteger:
            return order(cell.integer, constant.integer);
        case Family::kReal:
            // Adding zero makes -0.0 0.0.
            return order(total(cell.real + 0.0), total(constant.real + 0.0));
        default:
            return order_bytes(cell.bytes.data, cell.bytes.size, constant.bytes.data(),
                               constant.bytes.size());
    }
}

// Two values of a column, as ORDER BY has them; neither is null.
inline int compare(Family family, const Cell& a, const Cell& b) {
    switch (family) {
        case Family::kInteger:
            return order(a.integer, b.integer);
        case Family::kReal:
            return order(total(a.real), total(b.real));
        case Family::kDecimal:
            return order(a.decimal, b.decimal);
        default:
            return order_bytes(a.bytes.data, a.bytes.size, b.bytes.data, b.bytes.size);
    }
}

inline bool less(Family family, const Constant& a, const Constant& b) {
    if (a.null || b.null) return !a.null && b.null;
    switch (family) {
        case Family::kInteger:
            return a.integer < b.integer;
        case Family::kReal:
            return total(a.real + 0.0) < total(b.real + 0.0);
        default:
            return a.bytes < b.bytes;
    }
}

// The bytes by which a key is found. False for a type whose keys are not looked for by a constant: real
// numbers and decimals. REQUIRES: the constant is not null.
bool key_of(Type type, const Constant& constant, std::string& out);

// A predicate with its constants.
//
// Thread safety: may be asked from any thread, once it is made.
// REQUIRES: everything it is given outlives it, the bytes of the constants too.
class RowPredicate {
  public:
    enum class Truth : std::uint8_t { kFalse, kNull, kTrue };

    // `constants` is reordered within the constants of one kIn. REQUIRES: the steps were prepared.
    RowPredicate(const std::vector<Step>& steps, const RowReader& reader, std::vector<Constant>& constants);

    // It holds for every row.
    bool empty() const { return steps_.empty(); }
    // It is one test, or tests that are all joined by AND.
    bool plain() const { return plain_; }
    bool holds(const RowView& view) const {
        return holds([&](int column) { return cell(view, column); });
    }
    // The whole predicate; `cells` gives the cell of a column.
    template <class Cells>
        requires std::is_invocable_v<Cells, int>
    bool holds(const Cells& cells) const;
    Truth judge_cell(const Step& step, const Cell& cell) const;
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

  private:
    template <class Cells>
    Truth judge(std::uint32_t at, const Cells& cells) const;
    Truth judge_in(const Step& step, const Cell& cell) const;

    const std::vector<Step>& steps_;
    const RowReader& reader_;
    const std::vector<Constant>& constants_;
    bool plain_ = true;
};

template <class Cells>
RowPredicate::Truth RowPredicate::judge(std::uint32_t at, const Cells& cells) const {
    const Step& step = steps_[at];
    switch (step.test) {
        case Test::kAnd:
        case Test::kOr: {
            bool all = step.test == Test::kAnd;
            Truth truth = all ? Truth::kTrue : Truth::kFalse;
            for (std::uint32_t part = at + 1; part < step.end;) {
                Truth one = judge(part, cells);
                truth = all ? std::min(truth, one) : std::max(truth, one);
                if (truth == (all ? Truth::kFalse : Truth::kTrue)) return truth;
                const Step& judged = steps_[part];
                part = judged.test <= Test::kNot ? judged.end : part + 1;
            }
            return truth;
        }
        case Test::kNot: {
            Truth one = judge(at + 1, cells);
            return one == Truth::kNull ? one : one == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
        }
        default:
            break;
    }
    return judge_cell(step, cells(step.column));
}

template <class Cells>
    requires std::is_invocable_v<Cells, int>
bool RowPredicate::holds(const Cells& cells) const {
    if (!plain_) return judge(0, cells) == Truth::kTrue;
    for (const Step& step : steps_) {
        if (step.test == Test::kAnd) continue;
        if (judge_cell(step, cells(step.column)) != Truth::kTrue) return false;
    }
    return true;
}

inline RowPredicate::Truth RowPredicate::judge_cell(const Step& step, const Cell& cell) const {
    if (step.test == Test::kIsNull) return cell.null ? Truth::kTrue : Truth::kFalse;
    if (step.test == Test::kIsNotNull) return cell.null ? Truth::kFalse : Truth::kTrue;
    if (cell.null) return Truth::kNull;
    if (step.test == Test::kIn) return judge_in(step, cell);
    const Constant& constant = constants_[step.constant];
    if (constant.null) return Truth::kNull;
    bool holds = false;
    if (step.test == Test::kPrefix) {
        holds = cell.bytes.size >= constant.bytes.size() &&
                (constant.bytes.empty() ||
                 std::memcmp(cell.bytes.data, constant.bytes.data(), constant.bytes.size()) == 0);
    } else {
        int result = compare(step.family, cell, constant);
        switch (step.test) {
            case Test::kEqual:
                holds = result == 0;
                break;
            case Test::kNotEqual:
                holds = result != 0;
                break;
            case Test::kLess:
                holds = result < 0;
                break;
            case Test::kLessEqual:
                holds = result <= 0;
                break;
            case Test::kGreater:
                holds = result > 0;
                break;
            default:
                holds = result >= 0;
        }
    }
    return holds ? Truth::kTrue : Truth::kFalse;
}

}  // namespace kalam
