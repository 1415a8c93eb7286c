#include "scanner.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "errors.hpp"

namespace kalam {
namespace {

// What a word means to the scanner. Everything else about words is the grammar's business.
enum Role : std::uint8_t {
    kPlain,
    kAndOr,   // joins conditions
    kTerm,    // an operator that is a word
    kClause,  // begins a clause, so ends a chain
    kFrom,    // a clause whose commas join
    kJoin,
    kArm,  // set operations
    kCase,
    kCaseEnd,
    kCasePart,
    kTypeName,  // a literal behind it belongs to it
    kAs,
    kBy,
    kValues,
    kDistinct,
    kAll,
};

struct Keyword {
    std::string_view text;
    Role role;
};

// clang-format off
constexpr Keyword kKeywords[] = {
    {"and", kAndOr}, {"or", kAndOr}, {"xor", kAndOr},
    {"not", kTerm}, {"is", kTerm}, {"like", kTerm}, {"ilike", kTerm}, {"between", kTerm}, {"in", kTerm},
    {"similar", kTerm}, {"rlike", kTerm}, {"regexp", kTerm}, {"div", kTerm}, {"mod", kTerm},
    {"collate", kTerm}, {"at", kTerm}, {"overlaps", kTerm}, {"escape", kTerm}, {"glob", kTerm},
    {"match", kTerm}, {"notnull", kTerm}, {"isnull", kTerm}, {"any", kTerm}, {"prior", kTerm},
    {"operator", kTerm}, {"member", kTerm}, {"to", kTerm},
    {"select", kClause}, {"where", kClause}, {"group", kClause}, {"order", kClause}, {"having", kClause},
    {"limit", kClause}, {"offset", kClause}, {"fetch", kClause}, {"set", kClause}, {"returning", kClause},
    {"on", kClause}, {"using", kClause}, {"qualify", kClause}, {"window", kClause}, {"with", kClause},
    {"from", kFrom},
    {"join", kJoin}, {"apply", kJoin},
    {"union", kArm}, {"intersect", kArm}, {"except", kArm}, {"minus", kArm},
    {"case", kCase},
    {"end", kCaseEnd},
    {"when", kCasePart}, {"then", kCasePart}, {"else", kCasePart},
    {"interval", kTypeName}, {"timestamp", kTypeName}, {"timestamptz", kTypeName}, {"datetime", kTypeName},
    {"date", kTypeName}, {"time", kTypeName}, {"zone", kTypeName}, {"uuid", kTypeName}, {"json", kTypeName},
    {"jsonb", kTypeName}, {"decimal", kTypeName}, {"numeric", kTypeName},
    {"as", kAs},
    {"by", kBy},
    {"values", kValues},
    {"distinct", kDistinct},
    {"all", kAll},
};
// clang-format on

constexpr std::size_t kSlots = 256;
constexpr std::size_t slot_of(const char* word, std::size_t size) {
    return (static_cast<unsigned char>(word[0]) * 31u + static_cast<unsigned char>(word[size - 1]) * 7u +
            static_cast<unsigned char>(word[size / 2]) * 3u + size * 17u) %
           kSlots;
}
constexpr std::array<std::uint8_t, kSlots> make_slots() {
    std::array<std::uint8_t, kSlots> slots{};
    std::uint8_t number = 0;
    for (const auto& keyword : kKeywords) {
        ++number;
        auto slot = slot_of(keyword.text.data(), keyword.text.size());
        while (slots[slot] != 0) slot = (slot + 1) % kSlots;
        slots[slot] = number;
    }
    return slots;
}
constexpr auto kKeywordSlots = make_slots();

// REQUIRES: `word` is folded.
Role role_of(const char* word, std::size_t size) {
    if (size < 2 || size > 11) return kPlain;
    for (auto slot = slot_of(word, size); kKeywordSlots[slot] != 0; slot = (slot + 1) % kSlots) {
        const Keyword& keyword = kKeywords[kKeywordSlots[slot] - 1];
        if (keyword.text.size() == size && std::memcmp(keyword.text.data(), word, size) == 0)
            return keyword.role;
    }
    return kPlain;
}

// Text in the making: on the stack while it is short.
class ShapeBuffer {
  public:
    // Room for `size` more bytes, to be written at the result and then claimed by `advance`.
    char* room(std::size_t size) {
        if (static_cast<std::size_t>(end_ - at_) < size) grow(size);
        return at_;
    }
    void advance(std::size_t size) { at_ += size; }
    void put(char c) {
        *room(1) = c;
        ++at_;
    }
    void put(std::string_view text) {
        std::memcpy(room(text.size()), text.data(), text.size());
        at_ += text.size();
    }
    bool empty() const { return at_ == begin_; }
    std::string_view view() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }

  private:
    void grow(std::size_t size) {
        const std::size_t used = at_ - begin_;
        const std::size_t capacity = std::max((used + size) * 2, std::size_t{4096});
        std::unique_ptr<char[]> larger(new char[capacity]);
        std::memcpy(larger.get(), begin_, used);
        heap_ = std::move(larger);
        begin_ = heap_.get();
        at_ = begin_ + used;
        end_ = begin_ + capacity;
    }

    char stack_[512];
    std::unique_ptr<char[]> heap_;
    char* begin_ = stack_;
    char* at_ = stack_;
    char* end_ = stack_ + sizeof stack_;
};

// One level of parentheses, brackets or CASE.
struct Frame {
    char opener = 0;  // '(', '[', '{', 'c' for CASE, 0 at the bottom
    bool in_from = false;
    bool in_by = false;
    bool lifting = false;
    std::uint32_t conditions = 0;  // depth of the tree that ANDs and ORs build so far
    std::uint32_t terms = 0;       // depth of the operand being read
    std::uint32_t peak = 0;        // deepest chain of this level so far
    std::uint32_t base = 0;        // CASE only: depth that its surroundings had when it began
    std::uint32_t sum = 0;  // of the chains that clauses ended, as far as no comma or SELECT proves the end
    std::uint32_t arms = 0;
    std::uint32_t joins = 0;
    std::uint32_t tables = 0;  // WITH's
};

bool same_word(std::string_view text, std::size_t start, std::size_t end, std::string_view folded) {
    if (end - start != folded.size()) return false;
    for (std::size_t i = 0; i < folded.size(); ++i) {
        if (lower(text[start + i]) != folded[i]) return false;
    }
    return true;
}

// A cell of a literal row, from `at`. Returns where it ends, 0 when it is no literal.
inline std::size_t cell_end(std::string_view text, std::size_t at, Literal& literal) {
    const std::size_t size = text.size();
    if (at >= size) return 0;
    char c = text[at];
    literal.negative = false;
    if (c == '-' || c == '+') {
        literal.negative = c == '-';
        at = blanks_end(text, at + 1);
        if (at >= size) return 0;
        c = text[at];
        if (!is_digit(c) && c != '.') return 0;
    }
    literal.start = static_cast<std::uint32_t>(at);
    literal.doubled = literal.exponent = false;
    if (is_digit(c) || (c == '.' && at + 1 < size && is_digit(text[at + 1]))) {
        at = number_end(text, at, literal.kind, literal.exponent);
    } else if (c == '\'') {
        literal.kind = kString;
        at = quote_end(text, at, literal.doubled);
    } else if ((c | 32) == 'x' && at + 1 < size && text[at + 1] == '\'') {
        literal.kind = kBytes;
        at = bytes_end(text, at);
    } else {
        std::string_view word;
        switch (c | 32) {
            case 'n':
                word = "null";
                break;
            case 't':
                word = "true";
                break;
            case 'f':
                word = "false";
                break;
            default:
                return 0;
        }
        if (size - at < word.size() || !same_word(text, at, at + word.size(), word)) return 0;
        at += word.size();
        if (at < size && (is_word(text[at]) || text[at] == '\'' || text[at] == '$')) return 0;
        literal.kind = kWord;
    }
    literal.end = static_cast<std::uint32_t>(at);
    return at;
}

// Rows of nothing but literals from `at`. Returns where they end, 0 when they are something else.
std::size_t rows_end(std::string_view text, std::size_t at, std::uint32_t& count) {
    const std::size_t size = text.size();
    const auto blanks = [&](std::size_t from) {
        while (from < size && text[from] == ' ') ++from;
        if (from < size && !is_word(text[from])) {
            const auto k = class_of(text[from]);
            if (k == kBlank || text[from] == '-' || text[from] == '/') return blanks_end(text, from);
        }
        return from;
    };
    Literal literal;
    std::size_t end = 0;
    count = 0;
    for (;;) {
        if (at >= size || text[at] != '(') return 0;
        do {
            at = cell_end(text, blanks(at + 1), literal);
            if (at == 0) return 0;
            at = blanks(at);
            if (at >= size) return 0;
        } while (text[at] == ',');
        if (text[at] != ')') return 0;
        end = at + 1;
        ++count;
        at = blanks(end);
        if (at >= size || text[at] != ',') break;
        at = blanks(at + 1);
    }
    return at >= size || text[at] == ';' || class_of(text[at]) == kLetter ? end : 0;
}

class Scanner {
  public:
    Scanner(std::string_view text, const ScanLimits& limits, Scan& out)
        : text_(text), limits_(limits), out_(out), lexer_(text) {}

    void run() {
        check_length();
        Token token;
        lexer_.next(token);
        while (token.kind == kOperator && text_[token.start] == ';') lexer_.next(token);
        begin(token);
        while (token.kind != kEnd) {
            if (token.kind == kOperator && text_[token.start] == ';') {
                finish(token);
                break;
            }
            take(token);
            last_ = token;
            out_.end = std::max(token.end, out_.rows_end);
            lexer_.next(token);
        }
        if (large_ && out_.rows_end == 0) refuse_length();
        out_.parameters = parameters_;
        out_.shape.assign(shape_.view());
    }

  private:
    // A text beyond the limit may go on only as an INSERT of literal rows, and only its rows may be long.
    void check_length() {
        if (text_.size() > limits_.insert_bytes_max && text_.size() > limits_.text_bytes_max) {
            beyond(
                text_, 0,
                too_large(text_.size(), std::max(limits_.insert_bytes_max, limits_.text_bytes_max), false));
        }
        if (text_.size() >= UINT32_MAX) beyond(text_, 0, too_large(text_.size(), UINT32_MAX, false));
        large_ = text_.size() > limits_.text_bytes_max;
    }

    [[noreturn]] void refuse_length() {
        throw LimitExceeded(too_large(text_.size(), limits_.text_bytes_max, false), 0);
    }

    void begin(const Token& first) {
        const bool parenthesis = first.kind == kOperator && text_[first.start] == '(';
        if (first.kind == kWord || parenthesis) {
            out_.kind_start = first.start;
            out_.kind_end = first.end;
        }
        const auto is = [&](std::string_view word) { return same_word(text_, first.start, first.end, word); };
        insert_ = first.kind == kWord && is("insert");
        frame_.lifting = parenthesis || insert_ ||
                         (first.kind == kWord && (is("select") || is("update") || is("delete") ||
                                                  is("with") || is("values") || is("explain")));
        if (large_ && !insert_) refuse_length();
    }

    void finish(Token token) {
        while (token.kind == kOperator && text_[token.start] == ';') lexer_.next(token);
        if (token.kind != kEnd) {
            invalid(text_, token.start, "more than one statement; run them as a batch, or one at a time");
        }
    }

    void take(const Token& token) {
        const bool after_dot = dotted_;
        dotted_ = false;
        // Without rows the text passes as it is into the shape, so the first token too far ends it.
        if (large_ && token.end - (out_.rows_end - out_.rows_start) > limits_.text_bytes_max) refuse_length();
        switch (token.kind) {
            case kWord:
                word(token, after_dot);
                chained_ = after_dot;
                return;
            case kOperator:
                operation(token);
                return;
            case kQuoted:
                separate();
                shape_.put(text_.substr(token.start, token.end - token.start));
                break;
            case kParameter:
                parameter(token);
                break;
            default:
                literal(token);
        }
        chained_ = after_dot;
        symbolic_ = false;
        operand_ = true;
        word_run_ = 0;
        since_type_ = 255;
        role_ = kPlain;
    }

    void separate() {
        if (!shape_.empty()) shape_.put(' ');
    }

    void word(const Token& token, bool after_dot) {
        const std::size_t size = token.end - token.start;
        char* folded = shape_.room(size + 1);
        if (!shape_.empty()) {
            *folded++ = ' ';
            shape_.advance(1);
        }
        for (std::size_t i = 0; i < size; ++i) folded[i] = lower(text_[token.start + i]);
        shape_.advance(size);
        if (++word_run_ > limits_.terms_max) {
            beyond(text_, token.start, "more than " + std::to_string(limits_.terms_max) + " words in a row");
        }
        const Role role = after_dot ? kPlain : role_of(folded, size);
        const bool after_operand = operand_;
        symbolic_ = false;
        operand_ = true;
        if (since_type_ < 255) ++since_type_;
        switch (role) {
            case kPlain:
                break;
            case kAndOr:
                frame_.conditions = std::max(frame_.conditions + 1, frame_.terms);
                // Never below the base, from which a clause's chain is counted.
                frame_.terms = frame_.base;
                check_terms(token, frame_.conditions);
                operand_ = false;
                break;
            case kTerm:
                term(token);
                operand_ = false;
                break;
            case kFrom:
                if (role_ == kDistinct) {
                    operand_ = false;
                    break;
                }
                if (after_operand) end_clause(token);
                frame_.in_from = true;
                frame_.in_by = false;
                break;
            case kClause:
                if (role_ == kArm || role_ == kAll || role_ == kDistinct) new_arm();
                if (after_operand) end_clause(token);
                // ON and USING stand within FROM; what follows the others does not.
                if (!((size == 2 && folded[0] == 'o') || (size == 5 && folded[0] == 'u')))
                    frame_.in_from = false;
                frame_.in_by = false;
                break;
            case kJoin:
                join(token);
                break;
            case kArm:
                if (after_operand) end_clause(token);
                frame_.in_from = frame_.in_by = false;
                if (++frame_.arms >= limits_.union_arms_max) {
                    beyond(text_, token.start,
                           "more than " + std::to_string(limits_.union_arms_max) +
                               " arms of UNION, INTERSECT and EXCEPT in one query");
                }
                break;
            case kCase: {
                const auto depth = std::max(frame_.conditions, frame_.terms);
                push(token, 'c');
                frame_.base = frame_.terms = depth;
                operand_ = false;
                break;
            }
            case kCaseEnd:
                if (frame_.opener == 'c') pop();
                break;
            case kCasePart:
                if (after_operand && frame_.opener == 'c') end_clause(token);
                operand_ = false;
                break;
            case kAs:
                since_type_ = 0;
                break;
            case kBy:
                frame_.in_by = true;
                break;
            case kValues:
                if (insert_ && !values_seen_ && frames_.empty() && frame_.opener == 0) values(token);
                break;
            case kTypeName:
                operand_ = false;
                break;
            default:
                break;
        }
        role_ = role;
    }

    void values(const Token& token) {
        // After INSERT or INTO it is the name of a table.
        const bool names_table = last_.kind == kWord && (same_word(text_, last_.start, last_.end, "into") ||
                                                         same_word(text_, last_.start, last_.end, "insert"));
        if (names_table) return;
        values_seen_ = true;
        const auto start = blanks_end(text_, token.end);
        std::uint32_t count = 0;
        const auto end = rows_end(text_, start, count);
        if (end == 0) {
            if (large_) refuse_length();
            return;
        }
        out_.rows_start = static_cast<std::uint32_t>(start);
        out_.rows_end = static_cast<std::uint32_t>(end);
        out_.row_count = count;
        shape_.put(" \x02");
        lexer_.seek(end);
    }

    void operation(const Token& token) {
        const char c = text_[token.start];
        const std::size_t size = token.end - token.start;
        const bool was_symbolic = symbolic_;
        const bool was_type = since_type_ <= 2 && last_.kind == kWord;
        const Role before = role_;
        const bool after_as = before == kAs;
        const bool chained = chained_;
        chained_ = false;
        word_run_ = 0;
        since_type_ = 255;
        role_ = kPlain;
        symbolic_ = false;
        if (size == 1) {
            switch (c) {
                case '(':
                case '[':
                case '{': {
                    separate();
                    shape_.put(c);
                    if (before == kArm || before == kAll || before == kDistinct) new_arm();
                    if (c == '(' && after_as && ++frame_.tables > limits_.union_arms_max) {
                        beyond(
                            text_, token.start,
                            "more than " + std::to_string(limits_.union_arms_max) + " queries in one WITH");
                    }
                    // What is called or subscripted may be called or subscripted again, without end.
                    if (last_.kind != kEnd && (closes(last_) || (c == '[' && last_.kind != kOperator)))
                        term(token);
                    const bool lifting = frame_.lifting && !(was_type && !after_as);
                    push(token, c);
                    frame_.lifting = lifting;
                    operand_ = false;
                    return;
                }
                case ')':
                case ']':
                case '}':
                    separate();
                    shape_.put(c);
                    close(c);
                    operand_ = true;
                    return;
                case ',':
                    separate();
                    shape_.put(c);
                    end_chain();
                    frame_.sum = 0;
                    if (frame_.in_from) join(token);
                    operand_ = false;
                    return;
                case '.':
                    separate();
                    shape_.put(c);
                    if (chained) term(token);
                    dotted_ = true;
                    return;
                default:
                    break;
            }
        }
        if (!(was_symbolic && !token.blank)) separate();
        shape_.put(text_.substr(token.start, size));
        symbolic_ = true;
        operand_ = false;
        if (size == 2 && c == ':' && text_[token.start + 1] == ':') {
            since_type_ = 0;
        }
        term(token);
    }

    static bool is_close(char c) { return c == ')' || c == ']' || c == '}'; }
    bool closes(const Token& token) const { return token.kind == kOperator && is_close(text_[token.start]); }

    void literal(const Token& token) {
        separate();
        // ORDER BY 1 names a column by its place.
        const bool ordinal = frame_.in_by && token.kind == kInteger && (role_ == kBy || begins_item());
        if (!frame_.lifting || role_ == kTypeName || ordinal) {
            shape_.put(text_.substr(token.start, token.end - token.start));
            return;
        }
        char* place = shape_.room(2);
        place[0] = '\x01';
        place[1] = letter(token);
        shape_.advance(2);
        out_.literals.push_back({token.start, token.end, token.kind, token.doubled, token.exponent, false});
    }

    bool begins_item() const {
        return last_.kind == kOperator && (text_[last_.start] == ',' || text_[last_.start] == '(');
    }

    // i and I: an integer that does, and does not, fit 64 bits; n exact, e floating; s string, b bytes.
    char letter(const Token& token) const {
        switch (token.kind) {
            case kInteger: {
                auto start = token.start;
                while (start < token.end && text_[start] == '0') ++start;
                const auto digits = text_.substr(start, token.end - start);
                return digits.size() < 19 || (digits.size() == 19 && digits <= "9223372036854775807") ? 'i'
                                                                                                      : 'I';
            }
            case kNumber:
                return token.exponent ? 'e' : 'n';
            case kString:
                return 's';
            default:
                return 'b';
        }
    }

    void parameter(const Token& token) {
        separate();
        const bool numbered = token.index != 0;
        if (parameters_ != 0 && numbered != numbered_) {
            invalid(text_, token.start, "? and $n in one statement; use one of them throughout");
        }
        numbered_ = numbered;
        parameters_ = numbered ? std::max(parameters_, token.index) : parameters_ + 1;
        if (parameters_ > limits_.parameters_max) {
            beyond(text_, token.start,
                   "more than " + std::to_string(limits_.parameters_max) +
                       " parameters; insert a table, or use executemany");
        }
        if (numbered) {
            shape_.put('$');
            shape_.put(std::to_string(token.index));
        } else {
            shape_.put('?');
        }
    }

    void check_terms(const Token& token, std::uint32_t count) {
        if (count > limits_.terms_max) {
            beyond(text_, token.start,
                   "more than " + std::to_string(limits_.terms_max) +
                       " operators in one chain; use IN (...), or parameters");
        }
    }
    void term(const Token& token) { check_terms(token, ++frame_.terms); }

    void join(const Token& token) {
        if (++frame_.joins >= limits_.union_arms_max) {
            beyond(text_, token.start,
                   "more than " + std::to_string(limits_.union_arms_max) + " tables joined in one FROM");
        }
    }

    void end_chain() {
        frame_.peak = std::max({frame_.peak, frame_.conditions, frame_.terms});
        frame_.conditions = 0;
        frame_.terms = frame_.base;
    }

    // A word that begins a clause may also be a name (OVER set), and then ends nothing.
    void end_clause(const Token& token) {
        frame_.sum += std::max(frame_.conditions, frame_.terms - frame_.base);
        if (frame_.sum > 4 * std::uint64_t{limits_.terms_max}) check_terms(token, UINT32_MAX);
        end_chain();
    }

    void new_arm() { frame_.sum = frame_.joins = 0; }

    void push(const Token& token, char opener) {
        if (frames_.size() >= limits_.depth_max) {
            beyond(text_, token.start,
                   "nesting deeper than " + std::to_string(limits_.depth_max) + " levels");
        }
        frames_.push_back(frame_);
        frame_ = Frame{};
        frame_.opener = opener;
        frame_.lifting = frames_.back().lifting;
        frame_.in_by = frames_.back().in_by;
    }

    // The chain around goes on from the depth of what was enclosed, else ((a+1)+1)+1 would hide its length.
    void pop() {
        end_chain();
        const auto depth = frame_.peak;
        frame_ = frames_.back();
        frames_.pop_back();
        frame_.terms = std::max(frame_.terms, depth);
    }

    void close(char closer) {
        const char opener = closer == ')' ? '(' : closer == ']' ? '[' : '{';
        // A CASE without END ends with what is around it; a closer without opener is left to the grammar.
        while (frame_.opener == 'c') pop();
        if (frame_.opener == opener) pop();
    }

    std::string_view text_;
    const ScanLimits& limits_;
    Scan& out_;
    Lexer lexer_;
    ShapeBuffer shape_;
    Frame frame_;
    std::vector<Frame> frames_;
    Token last_;
    Role role_ = kPlain;  // of the token before, when it was a word
    bool large_ = false;
    bool insert_ = false;
    bool values_seen_ = false;
    bool symbolic_ = false;  // the token before is an operator other than punctuation
    bool dotted_ = false;    // the token before is a dot, so a word is a name
    bool chained_ = false;   // the token before follows a dot
    bool operand_ = false;   // the token before can end an expression
    bool numbered_ = false;
    std::uint8_t since_type_ = 255;  // words since AS or ::
    std::uint32_t word_run_ = 0;
    std::uint32_t parameters_ = 0;
};

}  // namespace

std::string too_large(std::uint64_t bytes, std::uint64_t limit, bool at_least) {
    return std::string("statement too large: ") + (at_least ? "at least " : "") + std::to_string(bytes) +
           " bytes of SQL text, the limit is " + std::to_string(limit) + "; send data as parameters";
}

void scan(std::string_view text, const ScanLimits& limits, Scan& out) {
    Scanner(text, limits, out).run();
}

bool LiteralRows::row() {
    at_ = blanks_end(text_, at_);
    if (at_ < end_ && text_[at_] == ',') at_ = blanks_end(text_, at_ + 1);
    return at_ < end_;
}

bool LiteralRows::cell(Literal& literal) {
    if (text_[at_] == ')') {
        ++at_;
        return false;
    }
    at_ = blanks_end(text_, cell_end(text_, blanks_end(text_, at_ + 1), literal));
    return true;
}

std::vector<Span> split(std::string_view text, std::size_t statements_max) {
    std::vector<Span> spans;
    if (text.size() >= UINT32_MAX) beyond(text, 0, too_large(text.size(), UINT32_MAX, false));
    const std::size_t size = text.size();
    std::size_t first = 0;
    std::size_t last = 0;  // end of what is no blank; 0 before the statement begins
    const auto cut = [&] {
        if (last == 0) return;
        if (spans.size() >= statements_max) {
            beyond(text, first,
                   "more than " + std::to_string(statements_max) +
                       " statements in one batch; send it in parts, or data as parameters");
        }
        spans.emplace_back(first, last);
        last = 0;
    };
    for (std::size_t at = 0; at < size;) {
        const char c = text[at];
        const auto begins = at;
        if (is_word(c)) {
            do ++at;
            while (at < size && is_word(text[at]));
        } else if (c == ';') {
            cut();
            ++at;
            continue;
        } else if (c == '\'' || c == '"') {
            bool doubled;
            at = quote_end(text, at, doubled);
        } else {
            at = blanks_end(text, at);
            if (at != begins) continue;
            ++at;
        }
        if (last == 0) first = begins;
        last = at;
    }
    cut();
    return spans;
}

}  // namespace kalam
