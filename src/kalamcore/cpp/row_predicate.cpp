#include "row_predicate.hpp"

#include "keys.hpp"

namespace kalam {

namespace {

// Lists longer than this are sorted and searched by halves.
constexpr std::uint32_t kListMax = 16;

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

RowPredicate::RowPredicate(const std::vector<Step>& steps, const RowReader& reader,
                           std::vector<Constant>& constants)
    : steps_(steps), reader_(reader), constants_(constants) {
    for (std::size_t at = 0; at < steps.size(); at++) {
        const Step& step = steps[at];
        if (step.test == Test::kOr || step.test == Test::kNot || (step.test == Test::kAnd && at > 0))
            plain_ = false;
        if (step.test != Test::kIn || step.constants <= kListMax) continue;
        auto first = constants.begin() + step.constant;
        std::sort(first, first + step.constants,
                  [&](const Constant& a, const Constant& b) { return less(step.family, a, b); });
    }
}

RowPredicate::Truth RowPredicate::judge_in(const Step& step, const Cell& cell) const {
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

}  // namespace kalam
