#include "block_pages.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

namespace kalam {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint32_t kAllFree = (std::uint32_t{1} << BlockPages::kPlaces) - 1;

}  // namespace

BlockPages::Piece::Piece(std::shared_ptr<BlockPages> of, std::size_t size) {
    if (size > kPlaceBytes / 2 && size <= kPlaceBytes) {
        data_ = of->take_place();
        of_ = std::move(of);
        bytes_ = kPlaceBytes;
        return;
    }
    bytes_ = (std::max<std::size_t>(size, 1) + kAlignment - 1) / kAlignment * kAlignment;
    data_ = static_cast<char*>(std::aligned_alloc(kAlignment, bytes_));
    if (!data_) throw std::bad_alloc();
}

BlockPages::Piece::~Piece() {
    if (of_) {
        of_->give_back(data_);
    } else {
        std::free(data_);
    }
}

BlockPages::~BlockPages() {
    for (const Page& page : pages_) give_back_pages(page.begin, kHugePageBytes);
}

std::vector<BlockPages::Page>::iterator BlockPages::behind(const char* address) {
    return std::upper_bound(pages_.begin(), pages_.end(), address,
                            [](const char* wanted, const Page& page) { return wanted < page.begin; });
}

char* BlockPages::take_place() {
    std::lock_guard guard(mutex_);
    for (Page& page : pages_) {
        if (!page.free) continue;
        const int place = std::countr_zero(page.free);
        page.free &= page.free - 1;
        return page.begin + static_cast<std::size_t>(place) * kPlaceBytes;
    }
    pages_.reserve(pages_.size() + 1);
    char* begin = static_cast<char*>(take_pages(kHugePageBytes));
    expect_whole_write(begin, kHugePageBytes);
    pages_.insert(behind(begin), Page{begin, kAllFree & ~std::uint32_t{1}});
    return begin;
}

void BlockPages::give_back(char* place) noexcept {
    std::lock_guard guard(mutex_);
    const auto at = behind(place) - 1;
    Page& page = *at;
    page.free |= std::uint32_t{1} << (static_cast<std::size_t>(place - page.begin) / kPlaceBytes);
    if (page.free != kAllFree) return;
    give_back_pages(page.begin, kHugePageBytes);
    pages_.erase(at);
}

}  // namespace kalam
