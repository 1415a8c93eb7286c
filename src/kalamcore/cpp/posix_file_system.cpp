// The file system of the operating system.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/utsname.h>
#include <sys/vfs.h>
#endif

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "errors.hpp"
#include "vfs.hpp"

namespace kalam {
namespace {

constexpr std::size_t transfer_bytes_max = std::size_t{1} << 30;
// What one write puts in the page cache stays together there, and every later write into it costs in
// proportion to that: with 1 MB a small write takes 4 us, with 64 KB 1.2 us.
constexpr std::size_t zeros_bytes = std::size_t{1} << 16;

// A file descriptor, closed once.
class Descriptor {
  public:
    explicit Descriptor(int number = -1) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    int number() const { return number_; }
    int release() { return std::exchange(number_, -1); }

  private:
    int number_;
};

Descriptor open_descriptor(const std::string& path, int flags, unsigned mode = 0600) {
    // A NUL would cut the name short and open another file.
    if (path.find('\0') != std::string::npos) throw IoError(EINVAL, "open", path);
    for (;;) {
        const int number = ::open(path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode));
        if (number >= 0) return Descriptor(number);
        if (errno != EINTR) throw IoError(errno, "open", path);
    }
}

void full_sync(int number, bool data_only, const std::string& path) {
    for (;;) {
#if defined(__APPLE__)
        // fsync on this system does not reach the medium.
        const int result = ::fcntl(number, F_FULLFSYNC);
        (void)data_only;
#else
        const int result = data_only ? ::fdatasync(number) : ::fsync(number);
#endif
        if (result == 0) return;
        if (errno != EINTR) throw IoError(errno, data_only ? "fdatasync" : "fsync", path);
    }
}

void write_fully(int number, std::uint64_t offset, const char* bytes, std::size_t size,
                 const std::string& path) {
    while (size > 0) {
        const ssize_t wrote =
            ::pwrite(number, bytes, std::min(size, transfer_bytes_max), static_cast<off_t>(offset));
        if (wrote < 0) {
            if (errno == EINTR) continue;
            throw IoError(errno, "write", path);
        }
        if (wrote == 0) throw IoError(EIO, "write", path);
        bytes += wrote;
        size -= static_cast<std::size_t>(wrote);
        offset += static_cast<std::uint64_t>(wrote);
    }
}

class PosixFile final : public File {
  public:
    PosixFile(std::string path, Descriptor descriptor)
        : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

    const std::string& path() const override { return path_; }

    std::uint64_t size() override {
        struct stat status;
        if (::fstat(descriptor_.number(), &status) != 0) throw IoError(errno, "fstat", path_);
        return static_cast<std::uint64_t>(status.st_size);
    }

    std::size_t read_at(std::uint64_t offset, void* out, std::size_t size) override {
        auto* target = static_cast<char*>(out);
        std::size_t total = 0;
        while (total < size) {
            const ssize_t got =
                ::pread(descriptor_.number(), target + total, std::min(size - total, transfer_bytes_max),
                        static_cast<off_t>(offset + total));
            if (got < 0) {
                if (errno == EINTR) continue;
                throw IoError(errno, "read", path_);
            }
            if (got == 0) break;
            total += static_cast<std::size_t>(got);
        }
        return total;
    }

    void write_at(std::uint64_t offset, const void* bytes, std::size_t size) override {
        write_fully(descriptor_.number(), offset, static_cast<const char*>(bytes), size, path_);
    }

    void preallocate(std::uint64_t wanted) override {
        std::uint64_t offset = size();
        if (wanted <= offset) return;
#if !defined(__APPLE__)
        int code;
        do {
            code = ::posix_fallocate(descriptor_.number(), static_cast<off_t>(offset),
                                     static_cast<off_t>(wanted - offset));
        } while (code == EINTR);
        if (code != 0 && code != EINVAL && code != EOPNOTSUPP) throw IoError(code, "fallocate", path_);
#endif
        // Really written: an extent that is only reserved costs a metadata update at its first sync.
        const std::string zeros(
            static_cast<std::size_t>(std::min<std::uint64_t>(wanted - offset, zeros_bytes)), '\0');
        while (offset < wanted) {
            const auto step =
                static_cast<std::size_t>(std::min<std::uint64_t>(wanted - offset, zeros.size()));
            write_fully(descriptor_.number(), offset, zeros.data(), step, path_);
            offset += step;
        }
    }

    void truncate(std::uint64_t size) override {
        while (::ftruncate(descriptor_.number(), static_cast<off_t>(size)) != 0) {
            if (errno != EINTR) throw IoError(errno, "ftruncate", path_);
        }
    }

    void sync_data() override { full_sync(descriptor_.number(), true, path_); }
    void sync() override { full_sync(descriptor_.number(), false, path_); }

    void close() override {
        const int number = descriptor_.release();
        // After EINTR the descriptor is gone already; closing again could close somebody else's.
        if (number >= 0 && ::close(number) != 0 && errno != EINTR) throw IoError(errno, "close", path_);
    }

  private:
    const std::string path_;
    Descriptor descriptor_;
};

using DirectoryIdentity = std::pair<dev_t, ino_t>;

// Directories that this process has locked, by what they are rather than what they are called.
struct LockRegistry {
    std::mutex mutex;
    std::map<DirectoryIdentity, int> descriptors;
};

LockRegistry& lock_registry() {
    // Never destroyed: a lock may outlive static destruction at interpreter exit.
    static LockRegistry* const registry = [] {
        auto* made = new LockRegistry;
        // A child owns nothing. Its copies of the descriptors would keep the lock held after the parent is
        // gone, and its registry would name directories that are not its own.
        ::pthread_atfork([] { lock_registry().mutex.lock(); }, [] { lock_registry().mutex.unlock(); },
                         [] {
                             for (const auto& [identity, number] : lock_registry().descriptors)
                                 ::close(number);
                             lock_registry().descriptors.clear();
                             lock_registry().mutex.unlock();
                         });
        return made;
    }();
    return *registry;
}

DirectoryIdentity identity_of(int number, const std::string& path) {
    struct stat status;
    if (::fstat(number, &status) != 0) throw IoError(errno, "fstat", path);
    return {status.st_dev, status.st_ino};
}

class PosixDirectoryLock final : public DirectoryLock {
  public:
    PosixDirectoryLock(DirectoryIdentity identity, pid_t owner) : identity_(identity), owner_(owner) {}

    ~PosixDirectoryLock() override {
        if (::getpid() != owner_) return;  // the fork handler gave up the child's share
        LockRegistry& registry = lock_registry();
        const std::lock_guard<std::mutex> hold(registry.mutex);
        const auto found = registry.descriptors.find(identity_);
        if (found == registry.descriptors.end()) return;
        // Unlocked by name and not only by closing: a child forked without handlers may hold a copy.
        ::flock(found->second, LOCK_UN);
        ::close(found->second);
        registry.descriptors.erase(found);
    }

  private:
    const DirectoryIdentity identity_;
    const pid_t owner_;
};

std::int64_t told_owner(const std::string& lock_path) {
    try {
        PosixFile file(lock_path, open_descriptor(lock_path, O_RDONLY | O_NOFOLLOW));
        char text[32];
        const std::size_t size = file.read_at(0, text, sizeof text);
        std::int64_t owner = 0;
        std::from_chars(text, text + size, owner);
        return owner;
    } catch (const IoError&) {
        return 0;
    }
}

void tell_owner(const std::string& lock_path, pid_t owner) {
    PosixFile file(lock_path, open_descriptor(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW));
    const std::string text = std::to_string(owner) + "\n";
    try {
        file.truncate(0);
        file.write_at(0, text.data(), text.size());
        file.close();
    } catch (const IoError& error) {
        // The lock holds without it, and a full disk must not keep its owner from deleting something.
        if (error.code != ENOSPC && error.code != EDQUOT) throw;
    }
}

#if defined(__linux__)
// Since 5.8 syncfs tells of files that could not be written since its descriptor was opened, since 5.17 of
// what the file system itself could not.
bool syncfs_tells_failures() {
    struct utsname system;
    if (::uname(&system) != 0) return false;
    int major = 0, minor = 0;
    const char* const end = system.release + std::strlen(system.release);
    const auto [dot, failure] = std::from_chars(system.release, end, major);
    if (failure != std::errc() || dot == end || *dot != '.') return false;
    std::from_chars(dot + 1, end, minor);
    return major > 5 || (major == 5 && minor >= 18);
}

// Those on a device of their own. Of one that is somewhere else, syncfs may leave out the far side.
bool syncfs_reaches_disk(int number) {
    struct statfs status;
    if (::fstatfs(number, &status) != 0) return false;
    constexpr std::uint64_t ext4 = 0xEF53, xfs = 0x58465342, btrfs = 0x9123683E;
    const auto type = static_cast<std::uint64_t>(status.f_type) & 0xFFFFFFFF;
    return type == ext4 || type == xfs || type == btrfs;
}

class PosixCommonSync final : public CommonSync {
  public:
    explicit PosixCommonSync(std::map<dev_t, Descriptor> devices) : devices_(std::move(devices)) {}

    bool sync() noexcept override {
        for (const auto& [device, directory] : devices_)
            if (::syncfs(directory.number()) != 0) return false;
        return true;
    }

  private:
    std::map<dev_t, Descriptor> devices_;
};
#endif

class PosixFileSystem final : public FileSystem {
  public:
    std::unique_ptr<File> open(const std::string& path, OpenMode mode) override {
        // A link put in the place of one of our files is refused, not followed.
        int flags = O_NOFOLLOW;
        if (mode == OpenMode::read) flags |= O_RDONLY;
        if (mode == OpenMode::write) flags |= O_RDWR;
        if (mode == OpenMode::create) flags |= O_RDWR | O_CREAT | O_EXCL;
        return std::make_unique<PosixFile>(path, open_descriptor(path, flags));
    }

    bool exists(const std::string& path) override {
        struct stat status;
        if (::lstat(path.c_str(), &status) == 0) return true;
        if (errno == ENOENT || errno == ENOTDIR) return false;
        throw IoError(errno, "stat", path);
    }

    std::vector<std::string> list(const std::string& directory) override {
        DIR* const stream = ::opendir(directory.c_str());
        if (stream == nullptr) throw IoError(errno, "opendir", directory);
        const std::unique_ptr<DIR, int (*)(DIR*)> closing(stream, ::closedir);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* const entry = ::readdir(stream);
            if (entry == nullptr) {
                if (errno != 0) throw IoError(errno, "readdir", directory);
                break;
            }
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    bool create_directory(const std::string& path, unsigned mode) override {
        if (is_directory(path)) return false;
        if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) return true;
        // Somebody else may have been quicker, and its name need not be durable yet.
        if (errno == EEXIST && is_directory(path)) return true;
        throw IoError(errno, "mkdir", path);
    }

    void rename(const std::string& from, const std::string& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) throw IoError(errno, "rename", from);
    }

    void remove(const std::string& path) override {
        if (::unlink(path.c_str()) == 0) return;
        const int code = errno;
        if ((code == EISDIR || code == EPERM) && ::rmdir(path.c_str()) == 0) return;
        throw IoError(code == EISDIR ? errno : code, "remove", path);
    }

    void sync_directory(const std::string& path) override {
        const Descriptor directory = open_descriptor(path, O_RDONLY | O_DIRECTORY);
        full_sync(directory.number(), false, path);
    }

#if defined(__linux__)
    std::unique_ptr<CommonSync> sync_in_common(const std::vector<std::string>& directories) override {
        static const bool reliable = syncfs_tells_failures();
        if (!reliable) return nullptr;
        std::map<dev_t, Descriptor> devices;
        for (const std::string& path : directories) {
            struct stat status;
            if (::stat(path.c_str(), &status) != 0) return nullptr;
            if (devices.contains(status.st_dev)) continue;
            Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (directory.number() < 0 || !syncfs_reaches_disk(directory.number())) return nullptr;
            devices.emplace(status.st_dev, std::move(directory));
        }
        return std::make_unique<PosixCommonSync>(std::move(devices));
    }
#endif

    std::unique_ptr<DirectoryLock> lock_directory(const std::string& path) override {
        const std::string lock_path = path + "/LOCK";
        Descriptor directory = open_descriptor(path, O_RDONLY | O_DIRECTORY);
        const DirectoryIdentity identity = identity_of(directory.number(), path);
        LockRegistry& registry = lock_registry();
        const std::lock_guard<std::mutex> hold(registry.mutex);
        if (registry.descriptors.contains(identity)) throw Locked(path, ::getpid());
        while (::flock(directory.number(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) throw Locked(path, told_owner(lock_path));
            if (errno != EINTR) throw IoError(errno, "flock", path);
        }
        tell_owner(lock_path, ::getpid());
        const auto registered = registry.descriptors.emplace(identity, directory.number()).first;
        std::unique_ptr<DirectoryLock> lock;
        try {
            lock = std::make_unique<PosixDirectoryLock>(identity, ::getpid());
        } catch (...) {
            registry.descriptors.erase(registered);
            throw;
        }
        directory.release();
        return lock;
    }

  private:
    static bool is_directory(const std::string& path) {
        struct stat status;
        return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }
};

}  // namespace

std::shared_ptr<FileSystem> FileSystem::posix() {
    static const std::shared_ptr<FileSystem> files = std::make_shared<PosixFileSystem>();
    return files;
}

}  // namespace kalam
