#include "select_plan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "errors.hpp"

namespace kalam {

namespace {

constexpr std::size_t kRowsAtOnce = 128;
constexpr std::size_t kRowsAtLeast = 16;
// Lists longer than this are sorted and searched by halves.
constexpr std::uint32_t kListMax = 16;

// IEEE 754's total order.
std::int64_t total(double value) {
    auto bits = std::bit_cast<std::int64_t>(value);
    return bits ^ static_cast<std::int64_t>(static_cast<std::uint64_t>(bits >> 63) >> 1);
}

template <class T>
int order(T a, T b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

int order_bytes(const char* a, std::size_t a_size, const char* b, std::size_t b_size) {
    std::size_t common = std::min(a_size, b_size);
    int result = common == 0 ? 0 : std::memcmp(a, b, common);
    return result != 0 ? result : order(a_size, b_size);
}

// A value against a constant; neither is null.
int compare(Family family, const Cell& cell, const Constant& constant) {
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
int compare(Family family, const Cell& a, const Cell& b) {
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

bool less(Family family, const Constant& a, const Constant& b) {
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

// Moves the rows that are wanted to the front.
template <class Wanted>
std::size_t kept(std::uint32_t* rows, std::size_t count, Wanted wanted) {
    std::size_t taken = 0;
    for (std::size_t at = 0; at < count; at++) {
        std::uint32_t row = rows[at];
        rows[taken] = row;
        taken += wanted(row);
    }
    return taken;
}

template <class T>
std::size_t kept_integers(Test test, const BlockColumn& column, std::int64_t constant, std::uint32_t* rows,
                          std::size_t count) {
    auto with = [&](auto holds) {
        const char* values = column.values;
        const std::uint8_t* validity = column.null_count ? column.validity : nullptr;
        return kept(rows, count, [=](std::uint32_t row) {
            std::int64_t value = load<T>(values + sizeof(T) * row);
            return holds(value, constant) && (!validity || ColumnBlock::bit(validity, row));
        });
    };
    switch (test) {
        case Test::kEqual:
            return with([](std::int64_t a, std::int64_t b) { return a == b; });
        case Test::kNotEqual:
            return with([](std::int64_t a, std::int64_t b) { return a != b; });
        case Test::kLess:
            return with([](std::int64_t a, std::int64_t b) { return a < b; });
        case Test::kLessEqual:
            return with([](std::int64_t a, std::int64_t b) { return a <= b; });
        case Test::kGreater:
            return with([](std::int64_t a, std::int64_t b) { return a > b; });
        default:
            return with([](std::int64_t a, std::int64_t b) { return a >= b; });
    }
}

}  // namespace

Family family_of(Type type) {
    switch (type) {
        case Type::kFloat:
        case Type::kDouble:
            return Family::kReal;
        case Type::kDecimal:
            return Family::kDecimal;
        case Type::kText:
        case Type::kBytes:
        case Type::kJson:
        case Type::kUuid:
            return Family::kBytes;
        default:
            return Family::kInteger;
    }
}

bool key_of(Type type, const Constant& constant, std::string& out) {
    switch (family_of(type)) {
        case Family::kInteger:
            if (type == Type::kBoolean) {
                append_boolean_key(constant.integer != 0, out);
            } else {
                append_integer_key(constant.integer, out);
            }
            return true;
        case Family::kBytes:
            out.append(constant.bytes);
            return true;
        default:
            return false;
    }
}

void SelectPlan::prepare(const RowLayout& layout, std::size_t constants) {
    auto refuse = [](int column) { throw ValueMismatch("a plan that cannot be", -1, column); };
    auto column_is = [&](int column) {
        if (column < 0 || static_cast<std::size_t>(column) >= layout.size()) refuse(column);
    };
    for (std::size_t at = 0; at < predicate.size(); at++) {
        Step& step = predicate[at];
        if (step.test <= Test::kNot) {
            if (step.end <= at + 1 || step.end > predicate.size()) refuse(-1);
            continue;
        }
        column_is(step.column);
        if (std::uint64_t{step.constant} + step.constants > constants) refuse(step.column);
        Family family = family_of(layout.columns()[static_cast<std::size_t>(step.column)].type);
        step.family = family;
        if (step.test == Test::kIsNull || step.test == Test::kIsNotNull) continue;
        if (family == Family::kDecimal || step.constants == 0) refuse(step.column);
        if (step.test != Test::kIn && step.constants != 1) refuse(step.column);
        if (step.test == Test::kPrefix && family != Family::kBytes) refuse(step.column);
    }
    if (order_column != -1) column_is(order_column);
    for (const Aggregate& one : aggregates) {
        if (one.kind != Aggregate::Kind::kRows) column_is(one.column);
    }
    if (!aggregates.empty() && order_column != -1) refuse(order_column);
}

Selection::Selection(const SelectPlan& plan, const Readable& store, const RowReader& reader,
                     std::uint64_t table_id, std::string_view partition, std::uint64_t snapshot,
                     std::vector<Constant>& constants, std::uint64_t limit, std::uint64_t offset)
    : plan_(plan),
      store_(store),
      reader_(reader),
      table_id_(table_id),
      partition_(partition),
      snapshot_(snapshot),
      constants_(constants),
      limit_(limit),
      offset_(offset),
      counts_(plan.aggregates.size()),
      extremes_(plan.aggregates.size()),
      extreme_values_(plan.aggregates.size()) {
    for (const Step& step : plan.predicate) {
        if (step.test != Test::kIn || step.constants <= kListMax) continue;
        auto first = constants.begin() + step.constant;
        Family of = family(step.column);
        std::sort(first, first + step.constants,
                  [of](const Constant& a, const Constant& b) { return less(of, a, b); });
    }
    if (limit == 0 && plan.aggregates.empty()) {
        done_ = true;
        return;
    }
    const RowLayout& layout = reader.layout();
    Family key_family = family(static_cast<int>(layout.key()));
    sorts_ = plan.order_column != -1 &&
             (static_cast<std::size_t>(plan.order_column) != layout.key() || key_family == Family::kReal);
    if (sorts_ && limit != kNoLimit && offset < kNoLimit - limit) {
        ordered_max_ = limit + offset;
        ordered_room_ =
            ordered_max_ < kNoLimit / 4 ? std::max<std::uint64_t>(ordered_max_ * 2, 1024) : kNoLimit;
    }
    if (sorts_) order_family_ = family(plan.order_column);
    plain_ = true;
    for (std::size_t at = 0; at < plan.predicate.size(); at++) {
        Test test = plan.predicate[at].test;
        if (test == Test::kOr || test == Test::kNot || (test == Test::kAnd && at > 0)) plain_ = false;
    }
    find_access();
    if (done_ || by_keys_) return;
    Bounds bounds;
    if (has_low_) {
        low_view_ = low_;
        bounds.low = &low_view_;
    }
    if (has_high_) {
        high_view_ = high_;
        bounds.high = &high_view_;
    }
    source_ = store.rows(table_id, partition, snapshot, bounds, plan.descending && !sorts_, false);
    // Of blocks, only rows that may be in the answer are made rows. A UUID is text there.
    bool in_blocks = std::none_of(plan.predicate.begin(), plan.predicate.end(), [&](const Step& step) {
        return step.column >= 0 &&
               layout.columns()[static_cast<std::size_t>(step.column)].type == Type::kUuid;
    });
    if (in_blocks && !plan.predicate.empty()) left_out_ = source_->only(*this, false);
}

// Narrows the rows to look at by what must hold of the key. Every row is still judged by the whole predicate.
void Selection::find_access() {
    const std::vector<Step>& steps = plan_.predicate;
    if (steps.empty()) return;
    if (steps[0].test != Test::kAnd) {
        narrow(steps[0]);
    } else {
        for (std::uint32_t at = 1; at < steps[0].end && !done_;) {
            narrow(steps[at]);
            at = steps[at].test <= Test::kNot ? steps[at].end : at + 1;
        }
    }
    if (!by_keys_) return;
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    if (plan_.descending && !sorts_) std::reverse(keys_.begin(), keys_.end());
}

void Selection::narrow(const Step& step) {
    if (step.column < 0 || static_cast<std::size_t>(step.column) != reader_.layout().key()) return;
    Type type = reader_.layout().columns()[reader_.layout().key()].type;
    if (step.test == Test::kIsNull) {
        done_ = true;
        return;
    }
    if (step.test == Test::kIsNotNull || step.test == Test::kNotEqual || family_of(type) == Family::kReal)
        return;
    if (step.test == Test::kIn) {
        if (by_keys_) return;
        for (std::uint32_t i = 0; i < step.constants; i++) {
            const Constant& constant = constants_[step.constant + i];
            std::string key;
            if (constant.null) continue;
            if (!key_of(type, constant, key)) return;
            keys_.push_back(std::move(key));
        }
        by_keys_ = true;
        return;
    }
    const Constant& constant = constants_[step.constant];
    if (constant.null) {
        done_ = true;  // unknown of every row
        return;
    }
    std::string key;
    if (!key_of(type, constant, key)) return;
    switch (step.test) {
        case Test::kEqual:
            keys_.assign(1, std::move(key));
            by_keys_ = true;
            return;
        case Test::kPrefix: {
            std::string after = key;
            while (!after.empty() && static_cast<unsigned char>(after.back()) == 0xFF) after.pop_back();
            if (!after.empty()) {
                after.back() = static_cast<char>(static_cast<unsigned char>(after.back()) + 1);
                if (!has_high_ || after < high_) high_ = after;
                has_high_ = true;
            }
            [[fallthrough]];
        }
        case Test::kGreater:
        case Test::kGreaterEqual:
            if (!has_low_ || key > low_) low_ = std::move(key);
            has_low_ = true;
            return;
        default:
            if (!has_high_ || key < high_) high_ = std::move(key);
            has_high_ = true;
    }
}

template <class Cells>
Selection::Truth Selection::judge(std::uint32_t at, const Cells& cells) const {
    const Step& step = plan_.predicate[at];
    switch (step.test) {
        case Test::kAnd:
        case Test::kOr: {
            bool all = step.test == Test::kAnd;
            Truth truth = all ? Truth::kTrue : Truth::kFalse;
            for (std::uint32_t part = at + 1; part < step.end;) {
                Truth one = judge(part, cells);
                truth = all ? std::min(truth, one) : std::max(truth, one);
                if (truth == (all ? Truth::kFalse : Truth::kTrue)) return truth;
                const Step& judged = plan_.predicate[part];
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

// The whole predicate.
template <class Cells>
bool Selection::holds(const Cells& cells) const {
    if (!plain_) return judge(0, cells) == Truth::kTrue;
    for (const Step& step : plan_.predicate) {
        if (step.test == Test::kAnd) continue;
        if (judge_cell(step, cells(step.column)) != Truth::kTrue) return false;
    }
    return true;
}

// The predicate again, of what are no rows yet.
std::size_t Selection::keep(const ColumnBlock& block, std::uint32_t* rows, std::size_t count) const {
    if (block.layout().version() != reader_.layout().version()) return count;
    if (plain_) {
        for (const Step& step : plan_.predicate) {
            if (step.test != Test::kAnd) count = keep(step, block, rows, count);
        }
        return count;
    }
    return kept(rows, count, [&](std::uint32_t row) {
        return holds([&](int column) { return block.cell(row, static_cast<std::size_t>(column)); });
    });
}

// Those for which one test holds, column by column.
std::size_t Selection::keep(const Step& step, const ColumnBlock& block, std::uint32_t* rows,
                            std::size_t count) const {
    const BlockColumn& column = block.column(step.column);
    bool compared = step.test >= Test::kEqual && step.test <= Test::kGreaterEqual;
    if (compared && step.family == Family::kInteger && !constants_[step.constant].null) {
        std::int64_t constant = constants_[step.constant].integer;
        switch (column.width) {
            case 2:
                return kept_integers<std::int16_t>(step.test, column, constant, rows, count);
            case 4:
                return kept_integers<std::int32_t>(step.test, column, constant, rows, count);
            case 8:
                return kept_integers<std::int64_t>(step.test, column, constant, rows, count);
            default:
                break;
        }
    }
    auto at = static_cast<std::size_t>(step.column);
    return kept(rows, count,
                [&](std::uint32_t row) { return judge_cell(step, block.cell(row, at)) == Truth::kTrue; });
}

inline Selection::Truth Selection::judge_cell(const Step& step, const Cell& cell) const {
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

Selection::Truth Selection::judge_in(const Step& step, const Cell& cell) const {
    Family of = step.family;
    const Constant* first = constants_.data() + step.constant;
    const Constant* last = first + step.constants;
    bool unknown = false;
    if (step.constants <= kListMax) {
        for (const Constant* one = first; one != last; one++) {
            if (one->null) {
                unknown = true;
            } else if (compare(of, cell, *one) == 0) {
                return Truth::kTrue;
            }
        }
    } else {
        // Sorted, nulls last.
        unknown = last[-1].null;
        const Constant* found = std::partition_point(first, last, [of, &cell](const Constant& one) {
            return !one.null && compare(of, cell, one) > 0;
        });
        if (found != last && !found->null && compare(of, cell, *found) == 0) return Truth::kTrue;
    }
    return unknown ? Truth::kNull : Truth::kFalse;
}

// False when no more rows are wanted.
bool Selection::take(const RowRef& row) {
    if (plan_.predicate.empty() && !sorts_ && plan_.aggregates.empty()) {
        // Told by its place alone.
    } else {
        RowView view = reader_.open(row.data, row.size);
        if (!holds([&](int column) { return cell(view, column); })) return true;
        if (!plan_.aggregates.empty()) {
            aggregate(row, view);
            return true;
        }
        if (sorts_) {
            ordered_.push_back({cell(view, plan_.order_column), row});
            if (ordered_.size() >= ordered_room_) prune();
            return true;
        }
    }
    if (skipped_ < offset_) {
        skipped_++;
        return true;
    }
    rows_.push_back(row);
    bytes_ += row.size;
    return rows_.size() < limit_;
}

void Selection::aggregate(const RowRef& row, const RowView& view) {
    for (std::size_t at = 0; at < plan_.aggregates.size(); at++) {
        const Aggregate& one = plan_.aggregates[at];
        if (one.kind == Aggregate::Kind::kRows) {
            counts_[at]++;
            continue;
        }
        Cell cell = reader_.cell(view, static_cast<std::size_t>(one.column));
        if (cell.null) continue;
        counts_[at]++;
        if (one.kind == Aggregate::Kind::kValues) continue;
        if (extremes_[at].data) {
            int result = compare(family(one.column), cell, extreme_values_[at]);
            if (one.kind == Aggregate::Kind::kLeast ? result >= 0 : result <= 0) continue;
        }
        extremes_[at] = row;
        extreme_values_[at] = cell;
    }
}

bool Selection::step(std::size_t rows_max) {
    std::size_t seen = 0;
    while (!done_ && seen < rows_max) {
        if (by_keys_) {
            if (next_key_ == keys_.size()) {
                done_ = true;
                break;
            }
            seen++;
            FoundRow found;
            if (!store_.get(table_id_, partition_, keys_[next_key_++], snapshot_, false, found)) continue;
            RowRef row = found.row;
            if (found.held) held_.push_back(std::move(found.held));
            done_ = !take(row);
            continue;
        }
        RowRef chunk[kRowsAtOnce];
        std::size_t asked = kRowsAtOnce;
        // No more than the answer has room for, where every row is in it; hardly more where most of those
        // that are not in it were left out.
        bool all = plan_.predicate.empty();
        if ((all || left_out_) && !sorts_ && plan_.aggregates.empty() && limit_ < kRowsAtOnce) {
            std::uint64_t room = limit_ - rows_.size() + std::min<std::uint64_t>(offset_ - skipped_, asked);
            asked = std::min<std::uint64_t>(asked, all ? room : std::max<std::uint64_t>(room, kRowsAtLeast));
        }
        std::size_t count = source_->next(chunk, asked);
        if (!plan_.predicate.empty() || sorts_ || !plan_.aggregates.empty()) {
            // The rows lie anywhere; waiting for one after the other would take most of the time.
            for (std::size_t at = 0; at < count; at++) {
                __builtin_prefetch(chunk[at].data);
                __builtin_prefetch(chunk[at].data + std::min<std::size_t>(chunk[at].size, 64));
            }
        }
        for (std::size_t at = 0; at < count && !done_; at++) done_ = !take(chunk[at]);
        seen += count;
        if (count < asked) done_ = true;
    }
    if (done_) finish();
    return done_;
}

// Calls `work` with what tells whether one row comes before another.
template <class Work>
void Selection::in_order(Work work) {
    auto with = [this, &work](auto compared) {
        bool descending = plan_.descending;
        bool nulls_first = plan_.nulls_first;
        work([=](const Ordered& a, const Ordered& b) {
            if (a.value.null || b.value.null)
                return a.value.null != b.value.null && a.value.null == nulls_first;
            int result = compared(a.value, b.value);
            return descending ? result > 0 : result < 0;
        });
    };
    Family of = order_family_;
    if (of == Family::kInteger) {
        with([](const Cell& a, const Cell& b) { return order(a.integer, b.integer); });
    } else {
        with([of](const Cell& a, const Cell& b) { return compare(of, a, b); });
    }
}

// Forgets what is not among the first rows that were asked for.
void Selection::prune() {
    in_order([this](auto before) {
        auto kept = ordered_.begin() + static_cast<std::ptrdiff_t>(ordered_max_);
        std::nth_element(ordered_.begin(), kept, ordered_.end(), before);
        ordered_.erase(kept, ordered_.end());
    });
}

void Selection::finish() {
    if (!sorts_ || ordered_.empty()) return;
    in_order([this](auto before) {
        if (ordered_.size() > ordered_max_) {
            auto kept = ordered_.begin() + static_cast<std::ptrdiff_t>(ordered_max_);
            std::nth_element(ordered_.begin(), kept, ordered_.end(), before);
            ordered_.erase(kept, ordered_.end());
        }
        std::sort(ordered_.begin(), ordered_.end(), before);
    });
    for (std::uint64_t at = offset_; at < ordered_.size() && rows_.size() < limit_; at++) {
        rows_.push_back(ordered_[static_cast<std::size_t>(at)].row);
        bytes_ += rows_.back().size;
    }
    ordered_.clear();
}

}  // namespace kalam
