#include "lexer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "errors.hpp"

namespace kalam {
namespace {

// Longer numbers fit no type, and reading one costs the square of its length.
constexpr std::size_t kNumberCharactersMax = 1000;

// The code point at `at`; its length in bytes goes to `size`.
std::uint32_t code_point(std::string_view text, std::size_t at, std::size_t& size) {
    const auto lead = static_cast<unsigned char>(text[at]);
    size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    size = std::min(size, text.size() - at);
    std::uint32_t code = size == 1 ? lead : lead & (0x7Fu >> size);
    for (std::size_t i = 1; i < size; ++i)
        code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
    return code;
}

// Whether a number with an exponent lies beyond every DOUBLE; one that is too small reads as zero.
bool is_beyond_double(std::string_view number) {
    double value = 0;
#ifdef __cpp_lib_to_chars
    const char* end = number.data() + number.size();
    if (std::from_chars(number.data(), end, value).ec == std::errc()) return std::isinf(value);
#endif
    // Tells too large from too small; with the C locale's point, which a process rarely changes.
    return std::isinf(std::strtod(std::string(number).c_str(), nullptr));
}

std::string code_name(std::uint32_t code) {
    static const char digits[] = "0123456789ABCDEF";
    std::string name;
    for (int shift = code > 0xFFFFF ? 20 : code > 0xFFFF ? 16 : 12; shift >= 0; shift -= 4)
        name += digits[code >> shift & 15];
    return "U+" + name;
}

// Blanks, controls and marks of direction: they would hide in a name, or make it look like another.
bool invisible(std::uint32_t code) {
    return (code >= 0x80 && code <= 0xA0) || code == 0xAD || code == 0x1680 || code == 0x180E ||
           (code >= 0x2000 && code <= 0x200F) || (code >= 0x2028 && code <= 0x202F) ||
           (code >= 0x205F && code <= 0x206F) || code == 0x3000 || code == 0xFEFF ||
           (code >= 0xFFF0 && code <= 0xFFFB);
}

void check_letters(std::string_view text, std::size_t start, std::size_t end) {
    for (std::size_t at = start; at < end;) {
        std::size_t size;
        const auto code = code_point(text, at, size);
        if (invisible(code)) {
            invalid(text, at,
                    code_name(code) +
                        " is no character of SQL outside of quotes; use a plain blank, "
                        "or put the name in double quotes");
        }
        at += size;
    }
}

std::size_t block_comment_end(std::string_view text, std::size_t start) {
    std::size_t depth = 1;
    for (std::size_t at = start + 2; at + 1 < text.size();) {
        if (text[at] == '*' && text[at + 1] == '/') {
            at += 2;
            if (--depth == 0) return at;
        } else if (text[at] == '/' && text[at + 1] == '*') {
            ++depth;
            at += 2;
        } else {
            ++at;
        }
    }
    invalid(text, start, "unterminated comment; close it with */ (comments nest)");
}

std::size_t line_comment_end(std::string_view text, std::size_t start) {
    const void* found = std::memchr(text.data() + start, '\n', text.size() - start);
    return found ? static_cast<const char*>(found) - text.data() : text.size();
}

bool hexadecimal(char c) {
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

}  // namespace

void invalid(std::string_view text, std::size_t at, std::string message) {
    throw InvalidText(std::move(message), characters(text, at));
}

void beyond(std::string_view text, std::size_t at, std::string message) {
    throw LimitExceeded(std::move(message), characters(text, at));
}

std::size_t characters(std::string_view text, std::size_t offset) {
    offset = std::min(offset, text.size());
    return std::count_if(text.begin(), text.begin() + offset,
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::size_t blanks_end(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        const char c = text[at];
        if (class_of(c) == kBlank) {
            ++at;
        } else if (c == '-' && at + 1 < text.size() && text[at + 1] == '-') {
            at = line_comment_end(text, at);
        } else if (c == '/' && at + 1 < text.size() && text[at + 1] == '*') {
            at = block_comment_end(text, at);
        } else {
            break;
        }
    }
    return at;
}

std::size_t quote_end(std::string_view text, std::size_t start, bool& doubled) {
    const char quote = text[start];
    for (std::size_t at = start + 1; at < text.size();) {
        const void* found = std::memchr(text.data() + at, quote, text.size() - at);
        if (!found) break;
        at = static_cast<const char*>(found) - text.data() + 1;
        if (at == text.size() || text[at] != quote) return at;
        doubled = true;
        ++at;
    }
    invalid(text, start,
            quote == '\'' ? "unterminated string; close it with ', and write a ' inside it twice"
                          : "unterminated quoted name; close it with \", and write a \" inside it twice");
}

std::size_t number_end(std::string_view text, std::size_t start, TokenKind& kind, bool& exponent) {
    const std::size_t size = text.size();
    std::size_t at = start;
    kind = kInteger;
    exponent = false;
    while (at < size && is_digit(text[at])) ++at;
    if (at < size && text[at] == '.') {
        kind = kNumber;
        ++at;
        while (at < size && is_digit(text[at])) ++at;
    }
    if (at < size && (text[at] | 32) == 'e') {
        std::size_t digits = at + 1;
        if (digits < size && (text[digits] == '+' || text[digits] == '-')) ++digits;
        if (digits < size && is_digit(text[digits])) {
            kind = kNumber;
            exponent = true;
            at = digits;
            while (at < size && is_digit(text[at])) ++at;
        }
    }
    // 7d, 24h: a duration is an integer and its unit, which the dialect's options take.
    const bool unit = kind == kInteger && at < size &&
                      std::string_view("smhd").find(text[at] | 32) != std::string_view::npos &&
                      (at + 1 == size || !is_word(text[at + 1]));
    if (at < size && !unit && (is_word(text[at]) || text[at] == '$')) {
        invalid(text, start,
                "a number is followed by a letter; separate them with a blank, or quote the name");
    }
    if (at - start > kNumberCharactersMax) {
        beyond(text, start,
               "a number of " + std::to_string(at - start) + " characters, the limit is " +
                   std::to_string(kNumberCharactersMax));
    }
    if (exponent && is_beyond_double(text.substr(start, at - start))) {
        invalid(text, start,
                std::string(text.substr(start, std::min<std::size_t>(at - start, 40))) +
                    " is out of range for DOUBLE");
    }
    return at;
}

std::size_t bytes_end(std::string_view text, std::size_t start) {
    bool doubled = false;
    const auto end = quote_end(text, start + 1, doubled);
    const auto digits = end - start - 3;
    const bool plain = std::all_of(text.begin() + start + 2, text.begin() + end - 1, hexadecimal);
    if (!plain || digits % 2 != 0) invalid(text, start, "X'...' takes pairs of hexadecimal digits");
    return end;
}

void unquote(std::string_view text, std::uint32_t start, std::uint32_t end, std::string& out) {
    const char quote = text[start];
    for (std::uint32_t at = start + 1; at + 1 < end; ++at) {
        out += text[at];
        if (text[at] == quote) ++at;
    }
}

bool Lexer::skip_blanks() {
    const auto from = at_;
    at_ = blanks_end(text_, at_);
    return at_ != from;
}

void Lexer::next(Token& token) {
    token.blank = skip_blanks();
    token.doubled = token.exponent = false;
    token.index = 0;
    token.start = static_cast<std::uint32_t>(at_);
    if (at_ >= text_.size()) {
        token.kind = kEnd;
        token.end = token.start;
        return;
    }
    const char c = text_[at_];
    switch (class_of(c)) {
        case kLetter:
        case kHigh:
            word(token);
            break;
        case kDigit:
            number(token);
            break;
        case kSymbol:
            if (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1])) {
                number(token);
            } else {
                symbol(token);
            }
            break;
        default:
            if (c == '\'') {
                quoted(token, c, kString);
            } else if (c == '"') {
                quoted(token, c, kQuoted);
            } else if (c == '$' || c == '?') {
                parameter(token);
            } else if (c == '`') {
                invalid(text_, at_, "` quotes nothing here; names are quoted with double quotes: \"name\"");
            } else if (c == 0) {
                invalid(text_, at_, "NUL outside of a string");
            } else {
                std::size_t size;
                const auto code = code_point(text_, at_, size);
                invalid(text_, at_,
                        code < 0x20 || code == 0x7F
                            ? "control character " + code_name(code) + " outside of a string"
                            : std::string("character ") + c + " begins nothing in SQL");
            }
    }
    token.end = static_cast<std::uint32_t>(at_);
}

void Lexer::word(Token& token) {
    const auto start = at_;
    bool high = false;
    while (at_ < text_.size()) {
        const auto k = class_of(text_[at_]);
        if (k == kHigh) {
            high = true;
        } else if (k != kLetter && k != kDigit) {
            break;
        }
        ++at_;
    }
    token.kind = kWord;
    if (high) check_letters(text_, start, at_);
    if (at_ == text_.size()) return;
    const char after = text_[at_];
    if (after == '\'' || after == '&') {
        if (at_ - start == 1 && after == '\'' && (text_[start] | 32) == 'x') {
            token.kind = kBytes;
            at_ = bytes_end(text_, start);
            return;
        }
        // Elsewhere a prefix changes what a string holds and where it ends, and another reader of this text
        // must not see another statement than we do.
        if (at_ - start <= 2 && (after == '\'' || (at_ + 1 < text_.size() &&
                                                   (text_[at_ + 1] == '\'' || text_[at_ + 1] == '"')))) {
            invalid(text_, start,
                    "strings take no prefix but X; write the characters themselves between plain quotes");
        }
    } else if (after == '$') {
        invalid(text_, at_, "$ in a name; put the name in double quotes, or a blank before the parameter");
    }
}

void Lexer::number(Token& token) {
    at_ = number_end(text_, at_, token.kind, token.exponent);
}

void Lexer::quoted(Token& token, char quote, TokenKind kind) {
    token.kind = kind;
    at_ = quote_end(text_, at_, token.doubled);
    if (quote == '"') {
        const auto inside = text_.substr(token.start + 1, at_ - token.start - 2);
        if (inside.empty()) invalid(text_, token.start, "a quoted name is empty");
        if (const auto nul = inside.find('\0'); nul != inside.npos) {
            invalid(text_, token.start + 1 + nul, "NUL in a quoted name");
        }
    }
}

void Lexer::parameter(Token& token) {
    token.kind = kParameter;
    const auto start = at_++;
    if (text_[start] == '?') return;
    const auto digits = at_;
    std::uint32_t index = 0;
    while (at_ < text_.size() && is_digit(text_[at_])) {
        index = std::min<std::uint32_t>(index * 10 + (text_[at_] - '0'), 100'000'000);
        ++at_;
    }
    if (at_ == digits) {
        const bool dollar_quote = at_ < text_.size() && (text_[at_] == '$' || is_word(text_[at_]));
        invalid(text_, start,
                dollar_quote ? "dollar-quoted strings are not supported; use '...' with each ' inside doubled"
                             : "$ begins a parameter: $1, $2, ...");
    }
    if (at_ < text_.size() && (is_word(text_[at_]) || text_[at_] == '$')) {
        invalid(text_, start, "a parameter is followed by a letter; separate them with a blank");
    }
    if (index == 0) invalid(text_, start, "parameters are counted from $1");
    token.index = index;
}

void Lexer::symbol(Token& token) {
    token.kind = kOperator;
    const auto start = at_;
    const auto peek = [&](std::size_t ahead) {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    };
    const char c = text_[at_];
    const char second = peek(1);
    std::size_t size = 1;
    switch (c) {
        case '<':
            size = second == '>' || second == '=' || second == '@' || second == '<' ? 2 : 1;
            break;
        case '>':
            size = second == '=' || second == '>' ? 2 : 1;
            break;
        case '!':
            if (second == '=') {
                size = 2;
            } else if (second == '~') {
                size = peek(2) == '~' ? 3 : 2;
                if (peek(size) == '*') ++size;
            }
            break;
        case '~':
            size = second == '~' ? 2 : 1;
            if (peek(size) == '*') ++size;
            break;
        case '=':
            size = second == '>' || second == '=' ? 2 : 1;
            break;
        case '|':
        case '&':
            size = second == c ? 2 : 1;
            break;
        case '-':
            size = second != '>' ? 1 : peek(2) == '>' ? 3 : 2;
            break;
        case '#':
            size = second != '>' ? 1 : peek(2) == '>' ? 3 : 2;
            break;
        case '@':
            size = second == '>' || second == '@' ? 2 : 1;
            break;
        case '^':
            size = second == '@' ? 2 : 1;
            break;
        case ':':
            size = second == ':' || second == '=' ? 2 : 1;
            break;
        default:
            break;
    }
    if (size == 1 && (c == '#' || c == '@') && start > 0 && is_word(text_[start - 1])) {
        invalid(text_, start, std::string("character ") + c + " in a name; put the name in double quotes");
    }
    at_ += size;
}

}  // namespace kalam
