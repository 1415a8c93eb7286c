// Memory for blocks of hot segments that stay in the cache: places of one size in huge pages, since a look-up
// at random would wait for the page table as often as for the row.
//
// Thread safety: every method may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "huge_pages.hpp"

namespace kalam {

class BlockPages : public std::enable_shared_from_this<BlockPages> {
  public:
    // A place, or memory of its own. Keeps the BlockPages it is of.
    class Piece {
      public:
        Piece(std::shared_ptr<BlockPages> of, std::size_t size);
        ~Piece();
        Piece(const Piece&) = delete;
        Piece& operator=(const Piece&) = delete;
        // Aligned to 64 bytes.
        char* data() const { return data_; }
        // What it takes of the system's memory.
        std::size_t bytes() const { return bytes_; }

      private:
        std::shared_ptr<BlockPages> of_;  // null: memory of its own
        char* data_;
        std::size_t bytes_;
    };

    ~BlockPages();
    // Throws std::bad_alloc.
    std::shared_ptr<Piece> take(std::size_t size) {
        return std::make_shared<Piece>(shared_from_this(), size);
    }

    // A block of 64 KiB and the padding of its buffers. Smaller than half of it, and larger, is not from
    // here.
    static constexpr std::size_t kPlaces = 30;
    static constexpr std::size_t kPlaceBytes = kHugePageBytes / kPlaces / 64 * 64;

  private:
    struct Page {
        char* begin;
        std::uint32_t free;  // a bit a place
    };

    char* take_place();
    void give_back(char* place) noexcept;

    // The first page that begins above an address. REQUIRES: the lock.
    std::vector<Page>::iterator behind(const char* address);

    std::mutex mutex_;
    // Sorted by address. Of places of one size those that one block left serve the next, so there are never
    // more pages than were full at once, and the one behind.
    std::vector<Page> pages_;
};

}  // namespace kalam
