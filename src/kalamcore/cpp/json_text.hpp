// JSON values as text, one behind the other in a buffer that grows.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "keys.hpp"

namespace kalam {

// Thread safety: one thread at a time. Every method may throw std::bad_alloc.
class JsonText {
  public:
    const char* data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    // Forgets the text and keeps the memory.
    void clear() { size_ = 0; }

    void raw(char character) { *extend(1) = character; }
    void raw(std::string_view text) { std::memcpy(extend(text.size()), text.data(), text.size()); }
    void null() { raw(std::string_view("null")); }
    void boolean(bool value) { raw(value ? std::string_view("true") : std::string_view("false")); }
    template <class Integer>
    void integer(Integer value) {
        char* at = room(kNumberBytes);
        wrote(std::to_chars(at, at + kNumberBytes, value).ptr);
    }
    // As a string: readers that keep every number as a double would round it.
    template <class Integer>
    void quoted_integer(Integer value) {
        char* at = room(kNumberBytes + 2);
        *at = '"';
        at = std::to_chars(at + 1, at + kNumberBytes, value).ptr;
        *at = '"';
        wrote(at + 1);
    }
    // The shortest digits that read back as the same value, with a point or an exponent, so that they read
    // back as no integer; null for NaN and the infinities, which JSON has not.
    void real(double value);
    void real(float value);
    // A string with `scale` digits behind the point; a scale below 0 stands for zeros.
    void decimal(int128 unscaled, std::int32_t scale);
    // A string, in which quotes, backslashes and control characters are escaped and all else stays. False for
    // what is no UTF-8; nothing is then written.
    [[nodiscard]] bool text(const char* data, std::size_t size);
    // An array of numbers.
    void bytes(const char* data, std::size_t size);
    // A string of 36 characters, of 16 bytes.
    void uuid(const char* bytes);

  private:
    static constexpr std::size_t kNumberBytes = 32;

    // Where the text goes on, with room for so many bytes; `wrote` then says up to where they are used.
    char* room(std::size_t bytes) {
        if (bytes > capacity_ - size_) grow(bytes);
        return data_.get() + size_;
    }
    void wrote(const char* end) { size_ = static_cast<std::size_t>(end - data_.get()); }
    char* extend(std::size_t bytes) {
        char* at = room(bytes);
        size_ += bytes;
        return at;
    }
    template <class Real>
    void shortest(Real value);
    void grow(std::size_t bytes);

    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace kalam
