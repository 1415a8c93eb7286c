// Memory that runs out: one scripted life of a store, lived again and again while its first, second, third …
// allocation fails, alone or with all after it.
//
// Whatever fails, the store answers with an error or does what it was asked, and what it acknowledged is
// there when memory is back and when it is opened again, also after a power cut. An error that does not say
// that the outcome is unknown leaves nothing behind. Files are not what is tested: they have memory at all
// times.
//
//     allocation_driver [FIRST [STEP [LAST]]]    which allocations fail: FIRST, FIRST + STEP, … until the
//     life
//                                                ends without reaching one, or LAST is passed
//
// Prints how many lives there were and returns 0; a broken promise, a hang or a crash names its allocation.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "errors.hpp"
#include "ids.hpp"
#include "memory_file_system.hpp"
#include "scanner.hpp"
#include "store.hpp"
#include "transaction.hpp"

namespace {

// How many allocations are left before one fails; negative: none will. Of all threads together, so that the
// store's own thread meets failures too.
std::atomic<std::int64_t> left{-1};
std::atomic<bool> sticky{false};
std::atomic<std::uint64_t> failed{0};
thread_local int sheltered = 0;

struct Shelter {
    Shelter() { sheltered++; }
    ~Shelter() { sheltered--; }
};

bool refused() {
    if (sheltered || left.load(std::memory_order_relaxed) < 0) return false;
    if (left.fetch_sub(1) > 0) return false;
    left = sticky ? 0 : -1;
    failed++;
    return true;
}

void* allocate(std::size_t size, std::size_t alignment = 0) {
    if (refused()) return nullptr;
    if (!alignment) return std::malloc(size ? size : 1);
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 0) {
    if (void* memory = allocate(size, alignment)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new[](std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}

// Where a sanitizer ends the process, so that its report names the allocation too.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

std::int64_t life = 0;  // which allocation fails in this one
const char* step = "";

[[noreturn]] void fail(const char* what) {
    left = -1;
    std::fprintf(stderr, "allocation_driver: allocation %lld fails%s, %s: %s\n", static_cast<long long>(life),
                 sticky ? " with all after it" : "", step, what);
    std::_Exit(1);
}

void require(bool holds, const char* what) {
    if (!holds) fail(what);
}

void on_signal(int number) {
    fail(number == SIGALRM ? "the store hangs" : "the process dies");
}

// A file system whose own memory never runs out.
class ShelteredFile final : public kalam::File {
  public:
    explicit ShelteredFile(std::unique_ptr<kalam::File> file) : file_(std::move(file)) {}
    ~ShelteredFile() override {
        Shelter shelter;
        file_.reset();
    }
    const std::string& path() const override { return file_->path(); }
    std::uint64_t size() override {
        Shelter shelter;
        return file_->size();
    }
    std::size_t read_at(std::uint64_t offset, void* out, std::size_t size) override {
        Shelter shelter;
        return file_->read_at(offset, out, size);
    }
    void write_at(std::uint64_t offset, const void* bytes, std::size_t size) override {
        Shelter shelter;
        file_->write_at(offset, bytes, size);
    }
    void preallocate(std::uint64_t size) override {
        Shelter shelter;
        file_->preallocate(size);
    }
    void truncate(std::uint64_t size) override {
        Shelter shelter;
        file_->truncate(size);
    }
    void sync_data() override {
        Shelter shelter;
        file_->sync_data();
    }
    void sync() override {
        Shelter shelter;
        file_->sync();
    }
    void close() override {
        Shelter shelter;
        file_->close();
    }

  private:
    std::unique_ptr<kalam::File> file_;
};

class ShelteredFileSystem final : public kalam::FileSystem {
  public:
    explicit ShelteredFileSystem(std::shared_ptr<kalam::FileSystem> files) : files_(std::move(files)) {}
    std::unique_ptr<kalam::File> open(const std::string& path, kalam::OpenMode mode) override {
        Shelter shelter;
        return std::make_unique<ShelteredFile>(files_->open(path, mode));
    }
    bool exists(const std::string& path) override {
        Shelter shelter;
        return files_->exists(path);
    }
    std::vector<std::string> list(const std::string& directory) override {
        Shelter shelter;
        return files_->list(directory);
    }
    bool create_directory(const std::string& path, unsigned mode) override {
        Shelter shelter;
        return files_->create_directory(path, mode);
    }
    void rename(const std::string& from, const std::string& to) override {
        Shelter shelter;
        files_->rename(from, to);
    }
    void remove(const std::string& path) override {
        Shelter shelter;
        files_->remove(path);
    }
    void sync_directory(const std::string& path) override {
        Shelter shelter;
        files_->sync_directory(path);
    }
    std::unique_ptr<kalam::DirectoryLock> lock_directory(const std::string& path) override {
        Shelter shelter;
        return files_->lock_directory(path);
    }

  private:
    std::shared_ptr<kalam::FileSystem> files_;
};

constexpr std::uint64_t kTable = 1;
constexpr std::uint64_t kStream = 2;
constexpr std::uint64_t kLater = 3;  // made by a commit

using Place = std::tuple<std::uint64_t, std::string, std::int64_t>;
using Rows = std::map<Place, std::string>;

struct Change {
    kalam::OperationKind kind;
    Place place;
    std::string text;
};

std::string key_of(std::int64_t number) {
    std::string key;
    kalam::append_integer_key(number, key);
    return key;
}

// What a life knows before it begins, and what must be true after it.
struct World {
    std::shared_ptr<kalam::MemoryFileSystem> disk = std::make_shared<kalam::MemoryFileSystem>();
    std::shared_ptr<kalam::FileSystem> files = std::make_shared<ShelteredFileSystem>(disk);
    std::shared_ptr<kalam::ManualClock> clock = std::make_shared<kalam::ManualClock>(1'900'000'000'000'000);
    std::shared_ptr<kalam::RandomSource> random = kalam::RandomSource::seeded(7);
    std::shared_ptr<const kalam::RowLayout> layout = std::make_shared<const kalam::RowLayout>(
        1,
        std::vector<kalam::Column>{{1, kalam::Type::kBigInt, 0, 0, false},
                                   {2, kalam::Type::kText, 0, 0, false}},
        0);
    std::shared_ptr<const kalam::RowReader> reader;
    Rows rows;                              // acknowledged
    std::vector<std::vector<Change>> open;  // commits whose outcome nobody knows
    std::int64_t last_id = 0;

    World() {
        disk->make_directory("data", 0700);
        disk->make_directory("hot", 0700);
        reader = std::make_shared<const kalam::RowReader>(
            std::vector<std::shared_ptr<const kalam::RowLayout>>{layout}, encode(0, ""));
    }

    std::string encode(std::int64_t number, const std::string& text) const {
        std::string row;
        kalam::RowWriter writer(*layout, row);
        writer.set_integer(0, number);
        writer.set_bytes(1, text.data(), text.size());
        writer.finish(-1);
        return row;
    }

    std::unique_ptr<kalam::Store> opened(std::shared_ptr<kalam::FileSystem> from) const {
        kalam::StoreOptions options;
        options.wal_file_bytes = 1 << 14;
        options.hot_directory = "hot";
        // So small that the store's own thread writes it too.
        options.memtable_bytes = 1 << 14;
        options.hot_cache_bytes = 1 << 12;
        auto store = std::make_unique<kalam::Store>(std::move(from), "data", clock, random, options);
        store->define_table(kTable, 1, {}, {reader, {"id", "text"}});
        store->define_table(kStream, 1, {3'600'000'000, 5});
        store->define_table(kLater, 1, {}, {reader, {"id", "text"}});
        return store;
    }

    static void apply(const std::vector<Change>& changes, Rows& rows) {
        for (const Change& change : changes) {
            if (std::get<0>(change.place) == kStream) continue;
            if (change.kind == kalam::OperationKind::kDelete) {
                rows.erase(change.place);
            } else {
                rows[change.place] = change.text;
            }
        }
    }

    // A read of everything, with memory: the rows are exactly those acknowledged, and for the commits of
    // unknown outcome all of one or nothing of it.
    void check(kalam::Store& store, const char* when) {
        Shelter shelter;
        step = when;
        Rows found;
        for (std::uint64_t table : {kTable, kLater}) {
            for (const std::string& partition : store.partitions(table)) {
                auto source = store.rows(table, partition, store.snapshot(), {}, false, false);
                kalam::RowRef rows[16];
                std::uint64_t count = 0;
                while (std::size_t some = source->next(rows, 16)) {
                    for (std::size_t i = 0; i < some; i++) {
                        kalam::RowView view = reader->open(rows[i].data, rows[i].size);
                        kalam::Cell text = reader->cell(view, 1);
                        found[Place(table, partition, reader->cell(view, 0).integer)].assign(text.bytes.data,
                                                                                             text.bytes.size);
                    }
                    count += some;
                }
                require(store.count(table, partition, store.snapshot()) == count, "count and scan disagree");
            }
        }
        Rows expected = rows;
        for (const auto& changes : open) {
            Rows with = expected;
            apply(changes, with);
            bool there = true;
            for (const Change& change : changes) {
                auto in_with = with.find(change.place);
                auto in_found = found.find(change.place);
                there = there && (in_with == with.end()) == (in_found == found.end()) &&
                        (in_with == with.end() || in_with->second == in_found->second);
            }
            if (there) expected = with;
        }
        for (const auto& [place, text] : expected) {
            auto at = found.find(place);
            require(at != found.end(), "an acknowledged row is lost");
            require(at->second == text, "a row is not as it was acknowledged");
        }
        require(found.size() == expected.size(), "a row is there that nobody acknowledged");
    }
};

bool outcome_unknown = false;  // of the last attempt

// Work that may run out of memory: true where it did what it was asked.
template <class Work>
bool attempt(World& world, const char* what, Work work) {
    step = what;
    outcome_unknown = false;
    try {
        work();
        return true;
    } catch (const std::bad_alloc&) {
    } catch (const kalam::Poisoned&) {
    } catch (const kalam::OutcomeUnknown&) {
        outcome_unknown = true;
    } catch (const kalam::DuplicateKey&) {
        throw;
    } catch (const kalam::WriteConflict&) {
        throw;
    } catch (const kalam::Error&) {
        require(failed > 0, "an error although there was memory");
    } catch (const std::exception&) {
        // What the standard library says instead of bad_alloc: a thread that cannot be made.
        require(failed > 0, "an error although there was memory");
    }
    return false;
}

void commit(World& world, kalam::Store& store, const char* what, const std::vector<Change>& changes,
            bool sync, bool define = false) {
    std::vector<std::string> rows;
    {
        Shelter shelter;
        for (const Change& change : changes) {
            rows.push_back(world.encode(std::get<2>(change.place), change.text));
        }
    }
    bool done = false;
    try {
        done = attempt(world, what, [&] {
            kalam::WriteBatch batch(store.snapshot());
            if (define) batch.define_table(kLater, 1, {}, {world.reader, {"id", "text"}});
            for (std::size_t i = 0; i < changes.size(); i++) {
                const auto& [table, partition, number] = changes[i].place;
                batch.add(changes[i].kind, table, 1, partition, key_of(number), rows[i]);
            }
            store.commit(batch, sync);
        });
    } catch (const kalam::DuplicateKey&) {
        require(failed > 0, "a new key is a duplicate");
    } catch (const kalam::WriteConflict&) {
        require(failed > 0, "a row that is there is in conflict");
    }
    Shelter shelter;
    if (done) World::apply(changes, world.rows);
    if (outcome_unknown) world.open.push_back(changes);
    world.check(store, what);
}

void live(World& world, bool sync) {
    using enum kalam::OperationKind;
    std::unique_ptr<kalam::Store> store;
    if (!attempt(world, "opening", [&] { store = world.opened(world.files); })) return;
    kalam::Store& open = *store;

    std::vector<Change> changes;
    auto anew = [&] {
        Shelter shelter;
        changes.clear();
    };
    auto add = [&](kalam::OperationKind kind, std::uint64_t table, const char* user, std::int64_t number,
                   std::size_t length) {
        Shelter shelter;
        changes.push_back({kind, {table, user, number}, std::string(length, 'a' + number % 26)});
    };

    add(kInsert, kTable, "ann", 1, 3);
    commit(world, open, "inserting one row", changes, true);
    for (int user = 0; user < 6; user++) {
        anew();
        std::string name;
        {
            Shelter shelter;
            name = "user " + std::to_string(user);
        }
        for (int n = 0; n < 5; n++) add(kInsert, kTable, name.c_str(), n, static_cast<std::size_t>(n) * 40);
        if (user % 2) add(kInsert, kStream, name.c_str(), user, 20);
        commit(world, open, "inserting into many partitions", changes, sync || user % 2);
    }
    anew();
    for (int n = 0; n < 80; n++) add(kInsert, kTable, "ann", 100 + n, 30);
    commit(world, open, "inserting many rows", changes, sync);
    auto checkpoint = [&] {
        attempt(world, "a checkpoint", [&] { open.checkpoint(); });
        world.check(open, "after a checkpoint");
    };
    checkpoint();
    anew();
    for (int n = 0; n < 4; n++) add(kReplace, kTable, "user 1", n, 50 + static_cast<std::size_t>(n));
    add(kDelete, kTable, "user 2", 3, 1);
    // Rows that an earlier step could not write cannot be changed by this one.
    bool there = true;
    for (const Change& change : changes) there = there && world.rows.count(change.place);
    if (there) commit(world, open, "replacing and deleting", changes, true);
    anew();
    for (int n = 0; n < 12; n++) add(kInsert, kStream, "ann", n, 10);
    commit(world, open, "filling a stream", changes, false);
    anew();
    add(kInsert, kLater, "", 1, 2);
    commit(world, open, "defining a table", changes, sync, true);
    for (int n = 0; n < 4; n++) {
        anew();
        add(kInsert, kLater, "", 10 + n, 5000);  // each its own log file
        commit(world, open, "going to the next log file", changes, sync);
    }

    // The fourth of like size is merged with those before it.
    for (int n = 0; n < 4; n++) {
        anew();
        add(kInsert, kTable, "bob", n, 40);
        commit(world, open, "inserting beside segments", changes, sync);
        checkpoint();
    }

    bool refused_as_it_must = false;
    try {
        attempt(world, "inserting a key twice", [&] {
            kalam::WriteBatch batch(open.snapshot());
            std::string row = world.encode(1, "twice");
            batch.add(kInsert, kTable, 1, "new", key_of(1), row);
            batch.add(kInsert, kTable, 1, "ann", key_of(1), row);
            open.commit(batch, true);
            refused_as_it_must = !world.rows.count({kTable, "ann", 1});
            require(refused_as_it_must, "a key was there twice");
        });
    } catch (const kalam::DuplicateKey&) {
        refused_as_it_must = true;
    }
    if (!world.rows.count({kTable, "ann", 1}) && refused_as_it_must) {
        Shelter shelter;
        world.rows[Place(kTable, "new", 1)] = "twice";
        world.rows[Place(kTable, "ann", 1)] = "twice";
    }
    world.check(open, "after a key twice");

    attempt(world, "reading", [&] {
        kalam::FoundRow found;
        bool is_there = open.get(kTable, "ann", key_of(100), open.snapshot(), false, found);
        require(is_there == (world.rows.count({kTable, "ann", 100}) == 1), "a look-up is wrong");
        kalam::View view = open.pin();
        require(view.count(kTable, "ann", view.snapshot()) >= is_there, "a count is wrong");
        kalam::RowRef rows[7];
        for (bool reverse : {false, true}) {
            auto source = open.rows(kTable, "ann", open.snapshot(), {}, reverse, false);
            while (source->next(rows, 7)) {
            }
            auto stream = open.rows(kStream, "ann", open.snapshot(), {}, reverse, false);
            while (stream->next(rows, 7)) {
            }
        }
        open.rows_as_arrow(kTable, "ann", open.snapshot(), {}, false, *world.reader, {0, 1, -1, -2}, 10);
        open.partitions(kTable);
        open.partitions(kStream);
        open.statistics();
    });

    attempt(world, "giving ids", [&] {
        for (int n = 0; n < 3; n++) {
            std::int64_t id = open.snowflakes().one();
            require(id > world.last_id, "an id was given twice");
            world.last_id = id;
        }
        char text[64];
        kalam::Uuid7(world.clock, world.random).one(text);
        kalam::Ulid(world.clock, world.random).one(text);
    });

    attempt(world, "scanning text", [&] {
        for (std::string_view text :
             {"SELECT a, 'it''s' FROM t WHERE b = -1.5e3 AND c IN (1, 2, $1) ORDER BY 1",
              "INSERT INTO t (a, b) VALUES (1, 'x'), (-2, NULL), (3, X'00ff')",
              "UPDATE t SET a = 'never ends", "DELETE FROM \"quoted name\" WHERE ((((a))))"}) {
            try {
                kalam::Scan scan;
                kalam::scan(text, {}, scan);
                kalam::split(text, 10);
            } catch (const kalam::InvalidText&) {
            }
        }
    });

    anew();
    add(kInsert, kTable, "ann", 500, 9);
    add(kReplace, kTable, "ann", 1, 9);
    std::unique_ptr<kalam::WriteBatch> collected;
    bool done = false;
    try {
        done = attempt(world, "a transaction", [&] {
            kalam::Transaction transaction(open, open.snapshot());
            for (const Change& change : changes) {
                const auto& [table, partition, number] = change.place;
                kalam::WriteBatch batch(transaction.snapshot());
                batch.add(change.kind, table, 1, partition, key_of(number),
                          world.encode(number, change.text));
                transaction.write(batch);
            }
            std::size_t mark = transaction.size();
            kalam::WriteBatch more(transaction.snapshot());
            more.add(kInsert, kTable, 1, "ann", key_of(501), world.encode(501, "taken back"));
            transaction.write(more);
            transaction.back_to(mark);
            auto source = transaction.rows(kTable, "ann", transaction.snapshot(), {}, true, false);
            kalam::RowRef rows[7];
            while (source->next(rows, 7)) {
            }
            kalam::WriteBatch all(transaction.snapshot(), true);
            transaction.collect(all);
            open.commit(all, true);
        });
    } catch (const kalam::WriteConflict&) {
        require(failed > 0, "a transaction is in conflict with nobody");
    } catch (const kalam::DuplicateKey&) {
        require(failed > 0, "a new key is a duplicate");
    }
    {
        Shelter shelter;
        if (done) World::apply(changes, world.rows);
        if (outcome_unknown) world.open.push_back(changes);
    }
    world.check(open, "after a transaction");

    attempt(world, "closing", [&] { open.close(); });
}

void one_life(std::int64_t number, bool for_good, bool sync) {
    life = number;
    ::alarm(60);
    World world;
    failed = 0;
    sticky = for_good;
    left = number - 1;
    live(world, sync);
    left = -1;
    // Memory is back: what was acknowledged is there, when the process goes on and when power went.
    auto reopened = [&](std::shared_ptr<kalam::FileSystem> files, const char* what) {
        step = what;
        try {
            auto store = world.opened(std::move(files));
            world.check(*store, what);
            require(store->snowflakes().one() > world.last_id, "an id is given again after opening");
        } catch (const std::exception& e) {
            fail(e.what());
        }
    };
    if (sync) reopened(world.disk->crash(kalam::Loss::all, 1), "opened after a power cut");
    reopened(world.files, "opened again");
    // Opening too runs out of memory.
    left = number - 1;
    attempt(world, "opening a full log", [&] { world.opened(world.files); });
    left = -1;
    reopened(world.files, "opened once more");
}

}  // namespace

int main(int argc, char** argv) {
    std::int64_t first = argc > 1 ? std::atoll(argv[1]) : 1;
    std::int64_t by = argc > 2 ? std::atoll(argv[2]) : 1;
    std::int64_t last = argc > 3 ? std::atoll(argv[3]) : 20'000;
    for (int number : {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(number, on_signal);
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback([] { on_signal(0); });
    std::int64_t lives = 0;
    std::int64_t reached = 0;
    for (bool for_good : {false, true}) {
        for (std::int64_t number = first; number <= last; number += by) {
            one_life(number, for_good, number / by % 2 == 0);
            lives++;
            if (failed == 0) break;
            reached = std::max(reached, number);
        }
    }
    std::printf("allocation_driver: %lld lives, the last allocation that failed was number %lld: ok\n",
                static_cast<long long>(lives), static_cast<long long>(reached));
    return 0;
}
