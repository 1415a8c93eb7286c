// A buffer of an Arrow array in the making.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "huge_pages.hpp"

namespace kalam {

// Grows at its end, aligned to 64 bytes as Arrow asks for, or to large pages where it is large. New bytes are
// not set.
class ArrowBuffer {
  public:
    ArrowBuffer() = default;
    ~ArrowBuffer() { std::free(data_); }
    ArrowBuffer(ArrowBuffer&& other) noexcept { swap(other); }
    ArrowBuffer& operator=(ArrowBuffer&& other) noexcept {
        swap(other);
        return *this;
    }

    // Makes it longer by `bytes` and returns where they begin. `wanted`: the size it will probably come to.
    char* extend(std::size_t bytes, std::size_t wanted = 0) {
        if (size_ + bytes > capacity_) grow(std::max(size_ + bytes, std::max(wanted, 2 * capacity_)));
        char* at = data_ + size_;
        size_ += bytes;
        return at;
    }
    // Null while nothing was ever added.
    char* data() const { return data_; }
    std::size_t size() const { return size_; }
    // What a consumer is given: never null, as one may read an offset or an address even of no rows.
    const void* address() const {
        alignas(64) static const char nothing[64] = {};
        return data_ == nullptr ? nothing : data_;
    }

  private:
    void swap(ArrowBuffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }
    void grow(std::size_t capacity) {
        std::size_t alignment = capacity >= kHugePageBytes ? kHugePageBytes : 64;
        capacity = (capacity + 63) / 64 * 64;
        auto* data = static_cast<char*>(
            std::aligned_alloc(alignment, (capacity + alignment - 1) / alignment * alignment));
        if (data == nullptr) throw std::bad_alloc();
        expect_whole_write(data, capacity);
        if (size_ != 0) std::memcpy(data, data_, size_);
        std::free(data_);
        data_ = data;
        capacity_ = capacity;
    }

    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace kalam
