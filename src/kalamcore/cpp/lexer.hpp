// Where one token of SQL ends and the next begins: characters, blanks, comments, quotes and numbers.
//
// Thread safety: free functions and value types; one Lexer per thread.
// REQUIRES: text is valid UTF-8 (Python encoded it). Offsets are bytes; positions in exceptions are
// characters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kalam {

enum TokenKind : std::uint8_t {
    kEnd = 0,
    kWord = 1,
    kQuoted = 2,
    kString = 3,
    kBytes = 4,
    kInteger = 5,
    kNumber = 6,
    kParameter = 7,
    kOperator = 8,
};

struct Token {
    TokenKind kind = kEnd;
    bool doubled = false;   // kString, kQuoted: contains its own quote, doubled
    bool exponent = false;  // kNumber: 1e5 rather than 1.5
    bool blank = false;     // a blank or a comment stands before it
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    std::uint32_t index = 0;  // kParameter: the n of $n, 0 for ?
};

// Splits text into tokens. Throws InvalidText where no token can begin or where one does not end.
class Lexer {
  public:
    explicit Lexer(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}
    // The next token; kEnd at the end of the text.
    void next(Token& token);
    std::size_t at() const { return at_; }
    void seek(std::size_t at) { at_ = at; }

  private:
    bool skip_blanks();
    void quoted(Token& token, char quote, TokenKind kind);
    void number(Token& token);
    void parameter(Token& token);
    void word(Token& token);
    void symbol(Token& token);

    std::string_view text_;
    std::size_t at_;
};

// How many characters begin before `offset`.
std::size_t characters(std::string_view text, std::size_t offset);

// Appends what stands between the quotes at `start` and before `end`, doubled quotes halved.
void unquote(std::string_view text, std::uint32_t start, std::uint32_t end, std::string& out);

// What a byte can begin. Bytes from 0x80 are letters until check_letters says otherwise.
enum CharacterClass : std::uint8_t { kNothing, kBlank, kLetter, kDigit, kSymbol, kHigh };

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> table{};
    for (int c : {' ', '\t', '\n', '\r', '\f', '\v'}) table[c] = kBlank;
    for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = kLetter;
    table['_'] = kLetter;
    for (int c = '0'; c <= '9'; ++c) table[c] = kDigit;
    for (char c : std::string_view("()[]{},;.:+-*/%=<>~!&|^#@"))
        table[static_cast<unsigned char>(c)] = kSymbol;
    for (int c = 128; c < 256; ++c) table[c] = kHigh;
    return table;
}
inline constexpr auto kClasses = make_classes();

inline std::uint8_t class_of(char c) {
    return kClasses[static_cast<unsigned char>(c)];
}
inline bool is_word(char c) {
    const auto k = class_of(c);
    return k == kLetter || k == kDigit || k == kHigh;
}
inline bool is_digit(char c) {
    return static_cast<unsigned char>(c - '0') < 10;
}
inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Throw InvalidText and LimitExceeded with the position of the byte `at`.
[[noreturn]] void invalid(std::string_view text, std::size_t at, std::string message);
[[noreturn]] void beyond(std::string_view text, std::size_t at, std::string message);

// Past the blanks and comments that begin at `at`.
std::size_t blanks_end(std::string_view text, std::size_t at);
// Past the closing quote. `doubled` tells whether the quote itself is among the text.
std::size_t quote_end(std::string_view text, std::size_t start, bool& doubled);
// Past the number at `start`; `kind` says which. Throws for what follows a number without a blank, and for a
// number beyond every DOUBLE.
std::size_t number_end(std::string_view text, std::size_t start, TokenKind& kind, bool& exponent);
// Past the X'...' at `start`.
std::size_t bytes_end(std::string_view text, std::size_t start);

}  // namespace kalam
