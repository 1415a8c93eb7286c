#include "vfs.hpp"

#include <cerrno>

#include "errors.hpp"

namespace kalam {
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
