#include "memory_file_system.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "errors.hpp"
#include "random.hpp"

namespace kalam {
namespace {

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

}  // namespace

std::size_t SparseBytes::read(std::uint64_t offset, void* out, std::size_t size) const {
    if (offset >= size_) return 0;
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, size_ - offset));
    auto* target = static_cast<char*>(out);
    for (std::size_t done = 0; done < size;) {
        const auto index = static_cast<std::size_t>((offset + done) / page_bytes);
        const auto start = static_cast<std::size_t>((offset + done) % page_bytes);
        const std::size_t step = std::min(size - done, page_bytes - start);
        if (index < pages_.size() && pages_[index]) {
            std::memcpy(target + done, pages_[index]->data() + start, step);
        } else {
            std::memset(target + done, 0, step);
        }
        done += step;
    }
    return size;
}

void SparseBytes::write(std::uint64_t offset, const void* bytes, std::size_t size) {
    const auto* source = static_cast<const char*>(bytes);
    for (std::size_t done = 0; done < size;) {
        const auto index = static_cast<std::size_t>((offset + done) / page_bytes);
        const auto start = static_cast<std::size_t>((offset + done) % page_bytes);
        const std::size_t step = std::min(size - done, page_bytes - start);
        std::memcpy(own(index).data() + start, source + done, step);
        done += step;
    }
    if (size > 0) size_ = std::max(size_, offset + size);
}

void SparseBytes::resize(std::uint64_t size) {
    if (size < size_) {
        const auto pages = static_cast<std::size_t>((size + page_bytes - 1) / page_bytes);
        if (pages < pages_.size()) pages_.resize(pages);
        const auto tail = static_cast<std::size_t>(size % page_bytes);
        if (tail != 0 && pages == pages_.size() && pages_.back()) {
            std::memset(own(pages - 1).data() + tail, 0, page_bytes - tail);
        }
    }
    size_ = size;
}

void SparseBytes::share(const SparseBytes& other, std::uint64_t offset, std::uint64_t end) {
    resize(other.size_);
    if (offset >= end) return;
    const auto first = static_cast<std::size_t>(offset / page_bytes);
    const auto last =
        static_cast<std::size_t>(std::min<std::uint64_t>((end - 1) / page_bytes + 1, other.pages_.size()));
    if (last > pages_.size()) pages_.resize(last);
    for (std::size_t index = first; index < last; ++index) pages_[index] = other.pages_[index];
    // Beyond the other's last page are zeros.
    for (std::size_t index = std::max(first, last); index < pages_.size() && index * page_bytes < end;
         ++index) {
        pages_[index].reset();
    }
}

std::uint64_t SparseBytes::fingerprint() const {
    std::uint64_t hash = size_;
    for (std::size_t index = 0; index < pages_.size(); ++index) {
        if (!pages_[index]) continue;
        std::uint64_t of_page = 0;
        std::uint64_t any = 0;
        for (std::size_t at = 0; at < page_bytes; at += sizeof any) {
            std::uint64_t word;
            std::memcpy(&word, pages_[index]->data() + at, sizeof word);
            any |= word;
            of_page = mixed(of_page, word);
        }
        // A page of zeros reads as one that was never written.
        if (any != 0) hash = mixed(mixed(hash, index), of_page);
    }
    return hash;
}

SparseBytes::Page& SparseBytes::own(std::size_t index) {
    if (index >= pages_.size()) pages_.resize(index + 1);
    std::shared_ptr<Page>& page = pages_[index];
    if (!page) {
        page = std::make_shared<Page>();
        page->fill(0);
    } else if (page.use_count() > 1) {
        page = std::make_shared<Page>(*page);
    } else {
        // Who shared it last has read it before giving it up.
        std::atomic_thread_fence(std::memory_order_acquire);
    }
    return *page;
}

namespace {

// One change of a file's bytes: a write, or (resize) a new size.
struct Change {
    bool resize;
    std::uint64_t offset;  // resize: the size
    std::string bytes;
};

std::string normal(const std::string& path) {
    std::string result;
    std::size_t at = 0;
    while (at < path.size()) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part(path.data() + at, end - at);
        if (!part.empty() && part != ".") result.append("/").append(part);
        at = end + 1;
    }
    return result;
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

bool is_below(const std::string& path, const std::string& directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

struct MemoryFileSystem::Node {
    SparseBytes bytes;
    SparseBytes durable;
    std::vector<Change> unsynced;
    // A sync failed: what reads back and what is durable may differ for good.
    bool lost = false;

    static void apply(SparseBytes& target, const Change& change) {
        if (change.resize) {
            target.resize(change.offset);
        } else {
            target.write(change.offset, change.bytes.data(), change.bytes.size());
        }
    }

    void sync() {
        for (const Change& change : unsynced) {
            if (lost) {
                apply(durable, change);
            } else if (change.resize) {
                durable.share(bytes, change.offset, UINT64_MAX);
            } else {
                durable.share(bytes, change.offset, change.offset + change.bytes.size());
            }
        }
        unsynced.clear();
    }
};

namespace {

struct Entry {
    std::shared_ptr<MemoryFileSystem::Node> file;  // null: a directory
};
using Names = std::map<std::string, Entry>;

// One change of names: made (from is empty), removed (to is empty), or renamed.
struct NameChange {
    std::string from;
    std::string to;
    Entry entry;

    void apply(Names& names) const {
        if (!from.empty() && !to.empty() && !entry.file) {
            Names moved;
            for (auto at = names.upper_bound(from + "/"); at != names.end() && is_below(at->first, from);) {
                moved.emplace(to + at->first.substr(from.size()), at->second);
                at = names.erase(at);
            }
            names.merge(moved);
        }
        if (!from.empty()) names.erase(from);
        if (!to.empty()) names[to] = entry;
    }
    bool is_in(const std::string& directory) const {
        return (!from.empty() && parent_of(from) == directory) || (!to.empty() && parent_of(to) == directory);
    }
};

}  // namespace

// Everything that is there, and what of it a power cut would leave.
struct MemoryFileSystem::Disk {
    Names names;
    Names durable_names;
    std::vector<NameChange> unsynced_names;

    // `change` is given each file once and says what stands for it in the copy.
    template <typename Change>
    void replace_files(Change&& change) {
        // One file may have several names over its life: they must stay one file.
        std::map<const Node*, std::shared_ptr<Node>> replaced;
        const auto replace = [&](Entry& entry) {
            if (!entry.file) return;
            std::shared_ptr<Node>& made = replaced[entry.file.get()];
            if (!made) made = change(*entry.file);
            entry.file = made;
        };
        for (auto& [name, entry] : names) replace(entry);
        for (auto& [name, entry] : durable_names) replace(entry);
        for (NameChange& one : unsynced_names) replace(one.entry);
    }
};

namespace {

struct Moment {
    Operation operation;
    std::string path;
    MemoryFileSystem::Disk disk;
};

}  // namespace

struct MemoryFileSystem::State : MemoryFileSystem::Disk {
    std::mutex mutex;
    std::set<std::string> locked;
    bool recording = false;
    std::vector<Moment> moments;
    std::array<std::uint64_t, operation_count> counts{};
    std::vector<Fault> faults;

    // REQUIRES: mutex is held. Counts the operation, and throws where a fault says so; a failing write
    // reports in `partial_bytes` how much of it is done all the same.
    void begin(Operation operation, const char* name, const std::string& path,
               std::size_t* partial_bytes = nullptr) {
        ++counts[static_cast<std::size_t>(operation)];
        int code = 0;
        std::size_t partial = 0;
        for (Fault& fault : faults) {
            if ((fault.operations & operation_bit(operation)) == 0 || fault.at == 0) continue;
            if (fault.at > 1) {
                --fault.at;
                continue;
            }
            if (code == 0) {
                code = fault.code;
                partial = fault.partial_bytes;
            }
            if (!fault.sticky) fault.at = 0;
        }
        if (code == 0) return;
        if (partial_bytes != nullptr) *partial_bytes = partial;
        throw IoError(code, name, path);
    }

    // REQUIRES: mutex is held, and the operation is done.
    void remember(Operation operation, const std::string& path) {
        if (!recording) return;
        Disk disk = *this;
        disk.replace_files([](const Node& node) { return std::make_shared<Node>(node); });
        moments.push_back({operation, path, std::move(disk)});
    }

    const Entry* find(const std::string& path) const {
        const auto found = names.find(path);
        return found == names.end() ? nullptr : &found->second;
    }
    bool is_directory(const std::string& path) const {
        if (path.empty()) return true;
        const Entry* const entry = find(path);
        return entry != nullptr && !entry->file;
    }
    void change_name(NameChange change) {
        change.apply(names);
        unsynced_names.push_back(std::move(change));
    }
    void sync_names(const std::string& directory) {
        std::vector<NameChange> left;
        for (NameChange& change : unsynced_names) {
            if (change.is_in(directory)) {
                change.apply(durable_names);
            } else {
                left.push_back(std::move(change));
            }
        }
        unsynced_names = std::move(left);
    }
};

namespace {

class MemoryFile final : public File {
  public:
    MemoryFile(std::string path, std::shared_ptr<MemoryFileSystem::State> state,
               std::shared_ptr<MemoryFileSystem::Node> node, bool writable)
        : path_(std::move(path)), state_(std::move(state)), node_(std::move(node)), writable_(writable) {}

    const std::string& path() const override { return path_; }

    std::uint64_t size() override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        return node_->bytes.size();
    }

    std::size_t read_at(std::uint64_t offset, void* out, std::size_t size) override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        state_->begin(Operation::read, "read", path_);
        return node_->bytes.read(offset, out, size);
    }

    void write_at(std::uint64_t offset, const void* bytes, std::size_t size) override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        require_writable("write");
        std::size_t partial = 0;
        try {
            state_->begin(Operation::write, "write", path_, &partial);
        } catch (const IoError&) {
            if (partial > 0) write(offset, bytes, std::min(size, partial));
            throw;
        }
        write(offset, bytes, size);
        state_->remember(Operation::write, path_);
    }

    void preallocate(std::uint64_t size) override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        require_writable("fallocate");
        state_->begin(Operation::preallocate, "fallocate", path_);
        if (size <= node_->bytes.size()) return;
        change({true, size, {}});
        state_->remember(Operation::preallocate, path_);
    }

    void truncate(std::uint64_t size) override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        require_writable("ftruncate");
        state_->begin(Operation::truncate, "ftruncate", path_);
        change({true, size, {}});
        state_->remember(Operation::truncate, path_);
    }

    void sync_data() override { sync("fdatasync"); }
    void sync() override { sync("fsync"); }

    void close() override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        if (closed_) return;
        closed_ = true;
        state_->begin(Operation::close, "close", path_);
    }

  private:
    void require_writable(const char* operation) const {
        if (!writable_ || closed_) throw IoError(EBADF, operation, path_);
    }

    void change(Change change) {
        MemoryFileSystem::Node::apply(node_->bytes, change);
        node_->unsynced.push_back(std::move(change));
    }

    void write(std::uint64_t offset, const void* bytes, std::size_t size) {
        if (size > 0) change({false, offset, std::string(static_cast<const char*>(bytes), size)});
    }

    void sync(const char* name) {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        try {
            state_->begin(Operation::sync, name, path_);
        } catch (const IoError&) {
            node_->lost = true;
            node_->unsynced.clear();
            throw;
        }
        node_->sync();
        state_->remember(Operation::sync, path_);
    }

    const std::string path_;
    const std::shared_ptr<MemoryFileSystem::State> state_;
    const std::shared_ptr<MemoryFileSystem::Node> node_;
    const bool writable_;
    bool closed_ = false;
};

class MemoryDirectoryLock final : public DirectoryLock {
  public:
    MemoryDirectoryLock(std::shared_ptr<MemoryFileSystem::State> state, std::string path)
        : state_(std::move(state)), path_(std::move(path)) {}
    ~MemoryDirectoryLock() override {
        const std::lock_guard<std::mutex> hold(state_->mutex);
        state_->locked.erase(path_);
    }

  private:
    const std::shared_ptr<MemoryFileSystem::State> state_;
    const std::string path_;
};

// The dice of one crash.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : random_(RandomSource::seeded(seed)) {}
    bool coin() { return (random_->next_u64() & 1) != 0; }
    // 0 to most, both possible.
    std::uint64_t up_to(std::uint64_t most) { return random_->next_u64() % (most + 1); }

  private:
    std::shared_ptr<RandomSource> random_;
};

std::size_t tear_bytes(Loss loss) {
    if (loss == Loss::torn_1) return 1;
    return loss == Loss::torn_512 ? 512 : 4096;
}

SparseBytes survivors(const MemoryFileSystem::Node& node, Loss loss, Dice& dice) {
    SparseBytes result = node.durable.copy();
    const std::vector<Change>& changes = node.unsynced;
    const auto keep = [&](const Change& change) { MemoryFileSystem::Node::apply(result, change); };
    switch (loss) {
        case Loss::all:
            break;
        case Loss::none:
            for (const Change& change : changes) keep(change);
            break;
        case Loss::subset:
            for (const Change& change : changes) {
                if (change.resize) {
                    if (dice.coin()) keep(change);
                    continue;
                }
                for (std::size_t at = 0; at < change.bytes.size();) {
                    const std::uint64_t offset = change.offset + at;
                    const std::size_t step =
                        std::min<std::size_t>(change.bytes.size() - at, 512 - offset % 512);
                    if (dice.coin()) result.write(offset, change.bytes.data() + at, step);
                    at += step;
                }
            }
            break;
        case Loss::reorder:
            for (std::size_t at = dice.up_to(changes.size()); at < changes.size(); ++at) keep(changes[at]);
            break;
        case Loss::torn_1:
        case Loss::torn_512:
        case Loss::torn_4096: {
            const std::size_t whole = dice.up_to(changes.size());
            for (std::size_t at = 0; at < whole; ++at) keep(changes[at]);
            if (whole < changes.size() && !changes[whole].resize) {
                // Torn where the disk tears: at a multiple counted from the start of the file.
                const Change& change = changes[whole];
                const std::uint64_t unit = tear_bytes(loss);
                const std::uint64_t cut = (change.offset + dice.up_to(change.bytes.size())) / unit * unit;
                if (cut > change.offset) {
                    result.write(change.offset, change.bytes.data(),
                                 static_cast<std::size_t>(cut - change.offset));
                }
            }
            break;
        }
        case Loss::zeros:
            for (const Change& change : changes) {
                if (change.resize) {
                    keep(change);
                } else {
                    keep({false, change.offset, std::string(change.bytes.size(), '\0')});
                }
            }
            break;
    }
    return result;
}

Names surviving_names(const MemoryFileSystem::Disk& disk, Loss loss, Dice& dice) {
    Names names = disk.durable_names;
    const std::vector<NameChange>& changes = disk.unsynced_names;
    std::size_t first = 0;
    std::size_t last = changes.size();
    if (loss == Loss::all) last = 0;
    if (loss == Loss::reorder) first = dice.up_to(changes.size());
    if (loss == Loss::torn_1 || loss == Loss::torn_512 || loss == Loss::torn_4096) {
        last = dice.up_to(changes.size());
    }
    for (std::size_t at = first; at < last; ++at) {
        if (loss != Loss::subset || dice.coin()) changes[at].apply(names);
    }
    // What a lost directory held is lost with it. Parents sort before what is below them.
    for (auto at = names.begin(); at != names.end();) {
        const std::string parent = parent_of(at->first);
        const auto found = names.find(parent);
        const bool reachable = parent.empty() || (found != names.end() && !found->second.file);
        at = reachable ? std::next(at) : names.erase(at);
    }
    return names;
}

MemoryFileSystem::Disk left_by(const MemoryFileSystem::Disk& disk, Loss loss, std::uint64_t seed) {
    using Node = MemoryFileSystem::Node;
    Dice dice(seed);
    MemoryFileSystem::Disk left;
    if (loss == Loss::none) {
        // Only the process went: what was not synced is still not synced.
        left = disk;
        left.replace_files([](const Node& node) { return std::make_shared<Node>(node); });
        return left;
    }
    left.names = surviving_names(disk, loss, dice);
    left.replace_files([&](const Node& node) {
        auto kept = std::make_shared<Node>();
        kept->bytes = survivors(node, loss, dice);
        kept->durable = kept->bytes.copy();
        return kept;
    });
    left.durable_names = left.names;
    return left;
}

}  // namespace

MemoryFileSystem::MemoryFileSystem() : state_(std::make_shared<State>()) {}
MemoryFileSystem::~MemoryFileSystem() = default;

std::unique_ptr<File> MemoryFileSystem::open(const std::string& path, OpenMode mode) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->begin(Operation::open, "open", path);
    const Entry* const entry = state_->find(name);
    std::shared_ptr<Node> node;
    if (mode == OpenMode::create) {
        if (entry != nullptr || name.empty()) throw IoError(EEXIST, "open", path);
        if (!state_->is_directory(parent_of(name))) throw IoError(ENOENT, "open", path);
        node = std::make_shared<Node>();
        state_->change_name({"", name, {node}});
        state_->remember(Operation::open, path);
    } else {
        if (state_->is_directory(name)) throw IoError(EISDIR, "open", path);
        if (entry == nullptr) throw IoError(ENOENT, "open", path);
        node = entry->file;
    }
    return std::make_unique<MemoryFile>(path, state_, std::move(node), mode != OpenMode::read);
}

bool MemoryFileSystem::exists(const std::string& path) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    return name.empty() || state_->find(name) != nullptr;
}

std::vector<std::string> MemoryFileSystem::list(const std::string& directory) {
    const std::string name = normal(directory);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->begin(Operation::list, "opendir", directory);
    if (!state_->is_directory(name)) throw IoError(ENOENT, "opendir", directory);
    std::vector<std::string> result;
    for (auto at = state_->names.upper_bound(name + "/");
         at != state_->names.end() && is_below(at->first, name); ++at) {
        if (parent_of(at->first) == name) result.push_back(at->first.substr(name.size() + 1));
    }
    std::sort(result.begin(), result.end());
    return result;
}

bool MemoryFileSystem::create_directory(const std::string& path, unsigned) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    if (state_->is_directory(name)) return false;
    if (state_->find(name) != nullptr) throw IoError(EEXIST, "mkdir", path);
    const std::string parent = parent_of(name);
    if (!state_->is_directory(parent)) {
        throw IoError(state_->find(parent) != nullptr ? EEXIST : ENOENT, "mkdir", path);
    }
    state_->begin(Operation::make_directory, "mkdir", path);
    state_->change_name({"", name, {}});
    state_->remember(Operation::make_directory, path);
    return true;
}

void MemoryFileSystem::rename(const std::string& from, const std::string& to) {
    const std::string source = normal(from);
    const std::string target = normal(to);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->begin(Operation::rename, "rename", from);
    const Entry* const entry = state_->find(source);
    if (entry == nullptr || !state_->is_directory(parent_of(target))) throw IoError(ENOENT, "rename", from);
    if (source == target) return;
    const Entry* const replaced = state_->find(target);
    if (replaced != nullptr && !replaced->file) throw IoError(EISDIR, "rename", to);
    const Entry moved = *entry;
    state_->change_name({source, target, moved});
    state_->remember(Operation::rename, from);
}

void MemoryFileSystem::remove(const std::string& path) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->begin(Operation::remove, "remove", path);
    const Entry* const entry = state_->find(name);
    if (entry == nullptr) throw IoError(ENOENT, "remove", path);
    if (!entry->file) {
        const auto below = state_->names.upper_bound(name + "/");
        if (below != state_->names.end() && is_below(below->first, name))
            throw IoError(ENOTEMPTY, "remove", path);
    }
    state_->change_name({name, "", {}});
    state_->remember(Operation::remove, path);
}

void MemoryFileSystem::sync_directory(const std::string& path) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    if (!state_->is_directory(name)) throw IoError(ENOENT, "open", path);
    state_->begin(Operation::sync_directory, "fsync", path);
    state_->sync_names(name);
    state_->remember(Operation::sync_directory, path);
}

std::unique_ptr<DirectoryLock> MemoryFileSystem::lock_directory(const std::string& path) {
    const std::string name = normal(path);
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->begin(Operation::lock_directory, "flock", path);
    if (!state_->is_directory(name)) throw IoError(ENOENT, "open", path);
    if (!state_->locked.insert(name).second) throw Locked(path, ::getpid());
    return std::make_unique<MemoryDirectoryLock>(state_, name);
}

std::shared_ptr<MemoryFileSystem> MemoryFileSystem::crash(Loss loss, std::uint64_t seed) {
    auto result = std::make_shared<MemoryFileSystem>();
    const std::lock_guard<std::mutex> hold(state_->mutex);
    *static_cast<Disk*>(result->state_.get()) = left_by(*state_, loss, seed);
    return result;
}

void MemoryFileSystem::record() {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->recording = true;
    state_->moments.clear();
}

std::uint64_t MemoryFileSystem::recorded() {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    return state_->moments.size();
}

std::pair<Operation, std::string> MemoryFileSystem::recorded_operation(std::uint64_t number) {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    const Moment& moment = state_->moments.at(static_cast<std::size_t>(number));
    return {moment.operation, moment.path};
}

std::shared_ptr<MemoryFileSystem> MemoryFileSystem::crash_after(std::uint64_t number, Loss loss,
                                                                std::uint64_t seed) {
    auto result = std::make_shared<MemoryFileSystem>();
    const std::lock_guard<std::mutex> hold(state_->mutex);
    const Moment& moment = state_->moments.at(static_cast<std::size_t>(number));
    *static_cast<Disk*>(result->state_.get()) = left_by(moment.disk, loss, seed);
    return result;
}

std::uint64_t MemoryFileSystem::fingerprint() {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    std::uint64_t hash = 0;
    for (const auto& [name, entry] : state_->names) {
        for (const char character : name) hash = mixed(hash, static_cast<unsigned char>(character));
        hash = mixed(hash, entry.file ? entry.file->bytes.fingerprint() : UINT64_MAX);
    }
    return hash;
}

void MemoryFileSystem::fail(const Fault& fault) {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->faults.push_back(fault);
}

void MemoryFileSystem::forgive() {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    state_->faults.clear();
}

std::uint64_t MemoryFileSystem::count(Operation operation) {
    const std::lock_guard<std::mutex> hold(state_->mutex);
    return state_->counts[static_cast<std::size_t>(operation)];
}

std::shared_ptr<FileSystem> FileSystem::memory() {
    return std::make_shared<MemoryFileSystem>();
}

}  // namespace kalam
