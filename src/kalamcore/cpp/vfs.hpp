// Files, as the core asks for them: every system call on a file goes through here, so that a test can lose,
// tear, delay or refuse it.
//
// Thread safety: a FileSystem may be used from any thread; a File may be read from any thread, and written by
// one thread at a time while another syncs it. Contract: short writes and EINTR are handled below this
// interface; everything else is thrown as IoError. A name is durable only after sync_directory of its parent,
// bytes only after sync or sync_data of their file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "errors.hpp"

namespace kalam {

// Whether an operation failed for want of room, after which it may be tried again; nothing else may.
bool lacks_room(const IoError& error);

class File {
  public:
    // Closes without an error; call close() first where a failed close must be known.
    virtual ~File() = default;
    virtual const std::string& path() const = 0;
    virtual std::uint64_t size() = 0;
    // Reads up to `size` bytes at `offset`; fewer only at the end of the file. Returns how many.
    virtual std::size_t read_at(std::uint64_t offset, void* out, std::size_t size) = 0;
    // Writes all of it, growing the file where needed.
    virtual void write_at(std::uint64_t offset, const void* bytes, std::size_t size) = 0;
    // Makes the file `size` bytes of zeros beyond its present end, with blocks really assigned: a later write
    // inside needs no room and its sync no metadata.
    virtual void preallocate(std::uint64_t size) = 0;
    virtual void truncate(std::uint64_t size) = 0;
    virtual void sync_data() = 0;  // fdatasync
    virtual void sync() = 0;       // fsync
    virtual void close() = 0;
};

// An exclusive claim on a directory, given up when destroyed.
class DirectoryLock {
  public:
    virtual ~DirectoryLock() = default;
};

// One sync for many files and directories. What fails is not told apart: then each is to be synced by itself,
// which tells of its own failure alone. Of those that were changed last one is to be synced by itself in any
// case: a file system that has given up its journal may say so nowhere else.
class CommonSync {
  public:
    virtual ~CommonSync() = default;
    // Whether all that was written since this was made is durable.
    virtual bool sync() noexcept = 0;
};

enum class OpenMode { read, write, create };  // write: must exist; create: must not exist

class FileSystem {
  public:
    virtual ~FileSystem() = default;
    virtual std::unique_ptr<File> open(const std::string& path, OpenMode mode) = 0;
    virtual bool exists(const std::string& path) = 0;
    // Names (not paths) in a directory, sorted.
    virtual std::vector<std::string> list(const std::string& directory) = 0;
    // Makes one directory, whose name is not durable yet. Gives false where it is there; throws ENOENT where
    // its parent is not.
    virtual bool create_directory(const std::string& path, unsigned mode) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    virtual void remove(const std::string& path) = 0;
    virtual void sync_directory(const std::string& path) = 0;
    // A sync of all that is written to the file systems of these directories from now on. None where that
    // cannot be relied on, and each file and directory is to be synced by itself.
    virtual std::unique_ptr<CommonSync> sync_in_common(const std::vector<std::string>& directories);
    // Throws Locked. flock on the directory itself, a LOCK file inside that only tells the pid, and a
    // registry of this process by device and inode.
    virtual std::unique_ptr<DirectoryLock> lock_directory(const std::string& path) = 0;

    // Makes the directory and its missing parents with `mode`, each durable in its parent. No error if it is
    // there: so what could not be made durable is taken away again.
    void make_directory(const std::string& path, unsigned mode = 0700);

    // Whole-file forms over the above. write_atomic: temporary name, sync, rename, sync of the directory.
    std::string read_file(const std::string& path);
    std::uint64_t file_size(const std::string& path);
    // Fewer than `size` bytes only where the file ends.
    std::string read_range(const std::string& path, std::uint64_t offset, std::size_t size);
    // All bytes of each file, or why they could not be read.
    std::vector<std::variant<std::string, IoError>> read_all(const std::vector<std::string>& paths);
    // Whether the name itself is a symbolic link, wherever it leads; false where nothing has the name.
    bool is_link(const std::string& path);
    // The first of these that is a symbolic link, or how many there are.
    std::size_t first_link(const std::vector<std::string>& paths);
    void write_atomic(const std::string& path, std::string_view bytes);
    // Writes or replaces many files, each as write_atomic would, and makes the directories that are missing.
    // In rounds: all bytes under temporary names, all files synced, all renamed, each directory synced once;
    // many of them by one sync for all, where there is one. Gives of each file why it is not durable, or
    // nothing. One that failed has no effect on another, unless a directory that both are in could not be
    // synced; up to the rename its old version stands, and behind it only the disk knows. REQUIRES: no two of
    // the paths are the same.
    std::vector<std::optional<IoError>> write_atomic_all(const std::vector<std::string>& paths,
                                                         const std::vector<std::string_view>& contents);

    static std::shared_ptr<FileSystem> posix();
    static std::shared_ptr<FileSystem> memory();
};

}  // namespace kalam
