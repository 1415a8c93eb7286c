#include "vfs.hpp"

#include <algorithm>
#include <cerrno>

#include "errors.hpp"

namespace kalam {

bool lacks_room(const IoError& error) {
    return error.code == ENOSPC || error.code == EDQUOT || error.code == EFBIG || error.code == EMFILE ||
           error.code == ENFILE || error.code == ENOMEM;
}

namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string FileSystem::read_file(const std::string& path) {
    const std::unique_ptr<File> file = open(path, OpenMode::read);
    std::string bytes(static_cast<std::size_t>(file->size()), '\0');
    bytes.resize(file->read_at(0, bytes.data(), bytes.size()));
    return bytes;
}

std::uint64_t FileSystem::file_size(const std::string& path) {
    return open(path, OpenMode::read)->size();
}

std::string FileSystem::read_range(const std::string& path, std::uint64_t offset, std::size_t size) {
    const std::unique_ptr<File> file = open(path, OpenMode::read);
    // No more room than the file has bytes, whatever was asked for.
    const std::uint64_t end = file->size();
    const std::uint64_t there = offset < end ? end - offset : 0;
    std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, there)), '\0');
    bytes.resize(file->read_at(offset, bytes.data(), bytes.size()));
    return bytes;
}

bool FileSystem::is_link(const std::string& path) {
    try {
        open(path, OpenMode::read);
        return false;
    } catch (const IoError& error) {
        // How an open that follows no links refuses one (EMLINK on BSD).
        if (error.code == ELOOP || error.code == EMLINK) return true;
        if (error.code == ENOENT || error.code == ENOTDIR || error.code == EISDIR) return false;
        throw;
    }
}

void FileSystem::write_atomic(const std::string& path, std::string_view bytes) {
    const std::string temporary = path + ".tmp";
    // Left by a crash between the first write and the rename; nobody reads it.
    if (exists(temporary)) remove(temporary);
    try {
        const std::unique_ptr<File> file = open(temporary, OpenMode::create);
        file->write_at(0, bytes.data(), bytes.size());
        file->sync();
        file->close();
        rename(temporary, path);
    } catch (...) {
        try {
            remove(temporary);
        } catch (const Error&) {
        }
        throw;
    }
    sync_directory(parent_of(path));
}

}  // namespace kalam
