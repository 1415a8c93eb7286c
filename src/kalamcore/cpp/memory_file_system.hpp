// Files in memory that know what a disk would have kept: for databases that are never written anywhere, and
// for tests that cut the power or refuse an operation.
//
// Every write, resize and change of a name is remembered until a sync makes it durable. crash() gives what a
// disk would hold if power went now. A failed sync loses what it was asked to keep, as file systems do: it
// still reads back, and no later sync brings it to the disk.
//
// Thread safety: as FileSystem; every operation takes one mutex.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vfs.hpp"

namespace kalam {

// What power loss does to everything that was not yet synced.
enum class Loss : std::uint8_t {
    none,       // nothing is lost: the process was killed, the machine goes on with its unsynced bytes
    all,        // all of it is lost
    subset,     // each sector of 512 bytes and each name is lost or kept
    reorder,    // the last changes were kept, the first are lost
    torn_1,     // the first changes were kept, the one after them in part, cut at any byte
    torn_512,   // the same, cut at a sector
    torn_4096,  // the same, cut at a page
    zeros,      // names and sizes were kept, and zeros stand where bytes were written
};

enum class Operation : std::uint8_t {
    open,
    read,
    write,
    preallocate,
    truncate,
    sync,
    close,
    list,
    rename,
    remove,
    make_directory,
    sync_directory,
    lock_directory,
};
inline constexpr std::size_t operation_count = 13;
constexpr std::uint32_t operation_bit(Operation operation) {
    return std::uint32_t{1} << static_cast<unsigned>(operation);
}
inline constexpr std::uint32_t any_operation = (std::uint32_t{1} << operation_count) - 1;

// The `at`-th operation from now (1 is the next) among `operations` fails with errno `code`, and with
// `sticky` all after it. A failing write first writes `partial_bytes` of what it was given.
struct Fault {
    std::uint32_t operations = any_operation;
    std::uint64_t at = 1;
    int code = 5;
    bool sticky = false;
    std::size_t partial_bytes = 0;
};

// Bytes in pages of 4 KiB; a page never written is zeros and costs nothing.
class SparseBytes {
  public:
    static constexpr std::size_t page_bytes = 4096;

    std::uint64_t size() const { return size_; }
    std::size_t read(std::uint64_t offset, void* out, std::size_t size) const;
    void write(std::uint64_t offset, const void* bytes, std::size_t size);
    void resize(std::uint64_t size);
    // Makes the bytes from `offset` to `end` those of `other`, sharing whole pages, and the size its size.
    void share(const SparseBytes& other, std::uint64_t offset, std::uint64_t end);
    // Shares the pages until one of both writes.
    SparseBytes copy() const { return *this; }
    // The same for two that read the same.
    std::uint64_t fingerprint() const;

  private:
    using Page = std::array<char, page_bytes>;
    Page& own(std::size_t index);

    std::uint64_t size_ = 0;
    std::vector<std::shared_ptr<Page>> pages_;
};

class MemoryFileSystem final : public FileSystem {
  public:
    MemoryFileSystem();
    ~MemoryFileSystem() override;

    std::unique_ptr<File> open(const std::string& path, OpenMode mode) override;
    bool exists(const std::string& path) override;
    std::vector<std::string> list(const std::string& directory) override;
    bool create_directory(const std::string& path, unsigned mode) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& path) override;
    void sync_directory(const std::string& path) override;
    std::unique_ptr<DirectoryLock> lock_directory(const std::string& path) override;

    // What a disk would hold if power went now. The same seed gives the same disk.
    std::shared_ptr<MemoryFileSystem> crash(Loss loss, std::uint64_t seed = 0);

    // From now on everything is remembered as it stands after each operation that changes something; pages
    // are shared, so that a history of thousands of operations is cheap. Said again, it begins anew.
    void record();
    // How many moments are remembered.
    std::uint64_t recorded();
    // Which operation, on which path, made moment `number` (from 0). REQUIRES: number < recorded().
    std::pair<Operation, std::string> recorded_operation(std::uint64_t number);
    // As crash, had power gone just after moment `number`. REQUIRES: number < recorded().
    std::shared_ptr<MemoryFileSystem> crash_after(std::uint64_t number, Loss loss, std::uint64_t seed = 0);
    // The same for two file systems that read the same.
    std::uint64_t fingerprint();
    void fail(const Fault& fault);
    void forgive();
    // How many operations of a kind were begun, failed ones included.
    std::uint64_t count(Operation operation);

    struct Node;
    struct Disk;
    struct State;

  private:
    std::shared_ptr<State> state_;
};

}  // namespace kalam
