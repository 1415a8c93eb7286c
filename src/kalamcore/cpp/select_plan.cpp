#include "select_plan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "errors.hpp"

namespace kalam {

namespace {

constexpr std::size_t kRowsAtOnce = 128;
constexpr std::size_t kRowsAtLeast = 16;
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
      predicate_(plan.predicate, reader, constants),
      limit_(limit),
      offset_(offset),
      counts_(plan.aggregates.size()),
      extremes_(plan.aggregates.size()),
      extreme_values_(plan.aggregates.size()) {
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

// The predicate again, of what are no rows yet.
std::size_t Selection::keep(const ColumnBlock& block, std::uint32_t* rows, std::size_t count) const {
    if (block.layout().version() != reader_.layout().version()) return count;
    if (predicate_.plain()) {
        for (const Step& step : plan_.predicate) {
            if (step.test != Test::kAnd) count = keep(step, block, rows, count);
        }
        return count;
    }
    return kept(rows, count, [&](std::uint32_t row) {
        return predicate_.holds(
            [&](int column) { return block.cell(row, static_cast<std::size_t>(column)); });
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
    return kept(rows, count, [&](std::uint32_t row) {
        return predicate_.judge_cell(step, block.cell(row, at)) == RowPredicate::Truth::kTrue;
    });
}

// False when no more rows are wanted.
bool Selection::take(const RowRef& row) {
    if (plan_.predicate.empty() && !sorts_ && plan_.aggregates.empty()) {
        // Told by its place alone.
    } else {
        RowView view = reader_.open(row.data, row.size);
        if (!predicate_.holds(view)) return true;
        if (!plan_.aggregates.empty()) {
            aggregate(row, view);
            return true;
        }
        if (sorts_) {
            ordered_.push_back({predicate_.cell(view, plan_.order_column), row});
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
