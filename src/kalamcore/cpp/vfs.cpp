#include "vfs.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include "errors.hpp"

namespace kalam {

bool lacks_room(const IoError& error) {
    return error.code == ENOSPC || error.code == EDQUOT || error.code == EFBIG || error.code == EMFILE ||
           error.code == ENFILE || error.code == ENOMEM;
}

namespace {

std::string parent_of(const std::string& path) {
    const std::size_t end = path.find_last_not_of('/');
    if (end == std::string::npos) return path.empty() ? "." : "/";
    const std::size_t slash = path.find_last_of('/', end);
    if (slash == std::string::npos) return ".";
    const std::size_t last = path.find_last_not_of('/', slash);
    return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

constexpr unsigned private_mode = 0700;
// Fewer are synced each by itself.
constexpr std::size_t many_syncs = 8;

void remove_if_possible(FileSystem& files, const std::string& path) noexcept {
    try {
        files.remove(path);
    } catch (const std::exception&) {
        // Where it matters that it is gone, whoever meets it next removes it.
    }
}

std::string temporary_of(const std::string& path) {
    return path + ".tmp";
}

// A folder of files that are written together.
struct Folder {
    bool is_new = false;
    bool is_synced = false;
    // Made, and its name could not be made durable.
    bool is_lost = false;
    std::optional<IoError> failure;
};

}  // namespace

std::unique_ptr<CommonSync> FileSystem::sync_in_common(const std::vector<std::string>&) {
    return nullptr;
}

void FileSystem::make_directory(const std::string& path, unsigned mode) {
    try {
        if (!create_directory(path, mode)) return;
    } catch (const IoError& error) {
        const std::string parent = parent_of(path);
        if (error.code != ENOENT || parent == path) throw;
        make_directory(parent, mode);
        if (!create_directory(path, mode)) return;
    }
    try {
        sync_directory(parent_of(path));
    } catch (...) {
        remove_if_possible(*this, path);
        throw;
    }
}

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

std::vector<std::variant<std::string, IoError>> FileSystem::read_all(const std::vector<std::string>& paths) {
    std::vector<std::variant<std::string, IoError>> answers;
    answers.reserve(paths.size());
    for (const std::string& path : paths) {
        try {
            answers.emplace_back(read_file(path));
        } catch (const IoError& error) {
            answers.emplace_back(error);
        }
    }
    return answers;
}

std::size_t FileSystem::first_link(const std::vector<std::string>& paths) {
    std::size_t number = 0;
    while (number < paths.size() && !is_link(paths[number])) ++number;
    return number;
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
    const std::string temporary = temporary_of(path);
    // Left by a crash between the first write and the rename; nobody reads it.
    if (exists(temporary)) remove(temporary);
    try {
        const std::unique_ptr<File> file = open(temporary, OpenMode::create);
        file->write_at(0, bytes.data(), bytes.size());
        file->sync();
        file->close();
        rename(temporary, path);
    } catch (...) {
        remove_if_possible(*this, temporary);
        throw;
    }
    sync_directory(parent_of(path));
}

std::vector<std::optional<IoError>> FileSystem::write_atomic_all(
    const std::vector<std::string>& paths, const std::vector<std::string_view>& contents) {
    const std::size_t count = paths.size();
    std::vector<std::optional<IoError>> failures(count);
    std::map<std::string, Folder> folders;
    for (const std::string& path : paths) folders.try_emplace(parent_of(path));
    std::vector<std::unique_ptr<File>> written(count);
    // Does `step` with a file that has not failed; with each of them.
    const auto one = [&](std::size_t number, auto&& step) {
        if (failures[number]) return;
        try {
            step(number);
        } catch (const IoError& error) {
            failures[number] = error;
            if (!written[number]) return;
            written[number].reset();
            remove_if_possible(*this, temporary_of(paths[number]));
        }
    };
    const auto each = [&](auto&& step) {
        for (std::size_t number = 0; number < count; ++number) one(number, step);
    };
    std::unique_ptr<CommonSync> common;

    try {
        for (auto& [place, folder] : folders) {
            try {
                try {
                    folder.is_new = create_directory(place, private_mode);
                } catch (const IoError& error) {
                    if (error.code != ENOENT) throw;
                    // Those above are of others too, who may count on them as soon as they are there.
                    make_directory(parent_of(place), private_mode);
                    folder.is_new = create_directory(place, private_mode);
                }
            } catch (const IoError& error) {
                folder.failure = error;
            }
        }
        std::vector<std::string> places;
        for (const auto& [place, folder] : folders)
            if (!folder.failure) places.push_back(place);
        if (places.size() >= many_syncs) common = sync_in_common(places);
        each([&](std::size_t number) {
            const Folder& folder = folders.at(parent_of(paths[number]));
            if (folder.failure) throw *folder.failure;
            const std::string temporary = temporary_of(paths[number]);
            // Left by a crash between the first write and the rename; nobody reads it.
            if (exists(temporary)) remove(temporary);
            written[number] = open(temporary, OpenMode::create);
            written[number]->write_at(0, contents[number].data(), contents[number].size());
        });
        // The last one by itself, too: see CommonSync.
        bool synced = common != nullptr && common->sync();
        const auto sync = [&](std::size_t number) { written[number]->sync(); };
        if (synced) {
            std::size_t last = count;
            for (std::size_t number = 0; number < count; ++number)
                if (!failures[number]) last = number;
            if (last < count) one(last, sync);
            synced = last == count || !failures[last];
        }
        if (!synced) each(sync);
        each([&](std::size_t number) { written[number]->close(); });
        each([&](std::size_t number) {
            rename(temporary_of(paths[number]), paths[number]);
            written[number].reset();
        });
    } catch (...) {
        for (std::size_t number = 0; number < count; ++number)
            if (written[number]) remove_if_possible(*this, temporary_of(paths[number]));
        for (const auto& [place, folder] : folders)
            if (folder.is_new) remove_if_possible(*this, place);
        throw;
    }

    const auto sync_folder = [&](const std::string& place, Folder& folder) {
        if (folder.failure || folder.is_synced) return;
        try {
            sync_directory(place);
            folder.is_synced = true;
        } catch (const IoError& error) {
            folder.failure = error;
        }
    };
    bool synced = common != nullptr && common->sync();
    if (synced) {
        for (std::size_t number = count; number-- > 0;) {
            if (failures[number]) continue;
            Folder& last = folders.at(parent_of(paths[number]));
            sync_folder(parent_of(paths[number]), last);
            synced = !last.failure;
            break;
        }
    }
    // Folders that are new, by the directory in which their names are not durable.
    std::map<std::string, std::vector<Folder*>> named;
    for (auto& [place, folder] : folders) {
        if (synced) continue;
        sync_folder(place, folder);
        if (folder.is_new) named[parent_of(place)].push_back(&folder);
    }
    for (const auto& [parent, made] : named) {
        try {
            sync_directory(parent);
        } catch (const IoError& error) {
            for (Folder* const folder : made) {
                folder->failure = error;
                folder->is_lost = true;
            }
        }
    }
    each([&](std::size_t number) {
        const Folder& folder = folders.at(parent_of(paths[number]));
        // Whoever finds the folder takes it for durable.
        if (folder.is_lost) remove_if_possible(*this, paths[number]);
        if (folder.failure) throw *folder.failure;
    });
    for (const auto& [place, folder] : folders)
        if (folder.is_lost) remove_if_possible(*this, place);
    return failures;
}

}  // namespace kalam
