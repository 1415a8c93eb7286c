// A store in memory under many threads, for the sanitizers.
//
// First four writers and four readers: commits of two rows each that every reader must see together or not at
// all, while the rows move to hot segments under them. Then eight threads that do everything at once, life
// after life: inserts, updates, deletes, scans, streams, definitions and drops, transactions, ids,
// checkpoints, and views that are kept and read again. Each life ends with an open that must find what each
// thread knows of its own rows. Each thread also listens, and compares what it was told with what the log
// says and with what views show.
//
//     store_driver [COMMITS [SECONDS]]
//
// Prints "ok" and returns 0.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "errors.hpp"
#include "memory_file_system.hpp"
#include "scanner.hpp"
#include "store.hpp"
#include "transaction.hpp"

namespace {

constexpr int kWriters = 4;
// Not of the database's own, so that the log tells what updates replace.
constexpr std::uint64_t kTable = 101;
constexpr std::uint64_t kStream = 102;
constexpr std::uint64_t kChanging = 103;  // and 104: their versions change all the time
constexpr int kSeats = 8;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::abort();
}

std::string key_of(std::uint64_t number) {
    std::string key;
    kalam::append_integer_key(static_cast<std::int64_t>(number), key);
    return key;
}

std::size_t count_rows(kalam::RowSource& source) {
    kalam::RowRef rows[64];
    std::size_t total = 0;
    std::uint64_t bytes = 0;
    while (std::size_t count = source.next(rows, 64)) {
        for (std::size_t i = 0; i < count; i++) bytes += static_cast<unsigned char>(rows[i].data[0]);
        total += count;
    }
    require(total == 0 || bytes > 0, "a row has its bytes");
    return total;
}

// A row holds its key, by which a segment's rows are found.
std::string row_of(const kalam::RowLayout& layout, std::uint64_t number, const std::string& text) {
    std::string row;
    kalam::RowWriter writer(layout, row);
    writer.set_integer(0, static_cast<std::int64_t>(number));
    writer.set_bytes(1, text.data(), text.size());
    return row;
}

void write(kalam::Store& store, const kalam::RowLayout& layout, int writer, int commits) {
    for (int n = 0; n < commits; n++) {
        std::uint64_t number = static_cast<std::uint64_t>((n * 7919) % commits) * kWriters + writer;
        std::string row = row_of(layout, number, "hello");
        kalam::WriteBatch batch(store.snapshot());
        batch.add(kalam::OperationKind::kInsert, kTable, 1, "left", key_of(number), row);
        batch.add(kalam::OperationKind::kInsert, kTable, 1, "right", key_of(number), row);
        if (n % 4 == 0) batch.add(kalam::OperationKind::kInsert, kStream, 1, "s", key_of(number), row);
        std::uint64_t last = store.commit(batch, n % 3 == 0);
        require(store.snapshot() >= last, "a commit is published when it returns");
        if (n % 5 == 0) {
            kalam::WriteBatch change(store.snapshot());
            auto kind = n % 2 ? kalam::OperationKind::kReplace : kalam::OperationKind::kDelete;
            change.add(kind, kTable, 1, "left", key_of(number), row);
            change.add(kind, kTable, 1, "right", key_of(number), row);
            store.commit(change, false);
        }
        try {
            kalam::WriteBatch again(store.snapshot());
            again.add(kalam::OperationKind::kInsert, kTable, 1, "left", key_of(n % 2 ? number : 4'000'000),
                      row);
            again.add(kalam::OperationKind::kReplace, kTable, 1, "left", key_of(5'000'000), row);
            store.commit(again, false);
            require(false, "what is refused is refused");
        } catch (const kalam::DuplicateKey&) {
        } catch (const kalam::WriteConflict&) {
        }
        if (n % 16 == 0) require(store.snowflakes().one() > 0, "an id");
    }
}

void read(const kalam::Store& store, const kalam::RowReader& reader, int seat,
          const std::atomic<bool>& done) {
    std::uint64_t seen = 0;
    while (!done.load()) {
        kalam::View view = store.pin();
        std::uint64_t snapshot = view.snapshot();
        require(snapshot >= seen, "a snapshot never steps back");
        seen = snapshot;
        std::size_t left = count_rows(*view.rows(kTable, "left", snapshot, {}, seat % 2, false));
        std::size_t right = count_rows(*view.rows(kTable, "right", snapshot, {}, seat / 2, false));
        require(left == right, "a commit is seen whole");
        require(view.count(kTable, "left", snapshot) == left, "count and scan agree");
        kalam::FoundRow found;
        bool one = view.get(kTable, "left", key_of(snapshot % 400), snapshot, false, found);
        bool two = view.get(kTable, "right", key_of(snapshot % 400), snapshot, false, found);
        require(one == two, "a look-up sees the same commit");
        require(!view.get(kTable, "left", key_of(4'000'000), snapshot, true, found),
                "what was refused is not there");
        count_rows(*view.rows(kStream, "s", snapshot, {}, seat % 2, false));
        if (seat == 3) {
            std::size_t rows = 0;
            for (const auto& batch :
                 view.rows_as_arrow(kTable, "left", snapshot, {}, false, reader, {0, 1, -1}, 100)) {
                rows += static_cast<std::size_t>(batch.rows());
            }
            require(rows == left, "Arrow and scan agree");
            store.partitions(kTable);
            store.statistics();
        }
    }
}

// What one thread does, and what it knows of the rows that are its own.
class Seat {
  public:
    Seat(kalam::Store& store, const std::shared_ptr<const kalam::RowReader>& reader, int number,
         unsigned seed)
        : store_(store), shared_(reader), reader_(*reader), number_(number), random_(seed) {}

    void run(std::chrono::steady_clock::time_point end) {
        while (std::chrono::steady_clock::now() < end) {
            try {
                step();
            } catch (const kalam::WriteConflict&) {
                // A table's version changed meanwhile, or the row of a stream is over.
            }
        }
    }

    // Views do not outlive their store.
    void let_go() {
        kept_.reset();
        stop_listening();
    }

    void check(const kalam::Store& store) const {
        for (const auto& [key, text] : rows_) {
            kalam::FoundRow found;
            bool there = store.get(kTable, partition_of(key), key_of(key), store.snapshot(), false, found);
            require(there == !text.empty(), "a row is there as its writer left it");
            if (!there) continue;
            kalam::Cell cell = reader_.cell(reader_.open(found.row.data, found.row.size), 1);
            require(std::string(cell.bytes.data, cell.bytes.size) == text, "its text too");
        }
    }

  private:
    static const char* partition_of(std::uint64_t key) { return key / kSeats % 3 ? "all" : "some"; }
    std::uint64_t any(std::uint64_t below) { return random_() % below; }
    std::string text() { return std::string(1 + any(200), static_cast<char>('a' + any(26))); }

    void step() {
        switch (any(13)) {
            case 0:
            case 1:
            case 2:
                return change(any(4) != 0);
            case 3:
                return scan();
            case 4:
                return stream();
            case 5:
                return define();
            case 6:
                return write_changing();
            case 7:
                return transaction();
            case 8:
                return ids();
            case 9:
                if (any(20) == 0) store_.checkpoint();
                return;
            case 10:
                return keep_a_view();
            case 11:
                return listen();
            default:
                return look();
        }
    }

    void change(bool sync) {
        std::uint64_t key = any(500) * kSeats + static_cast<std::uint64_t>(number_);
        std::string& known = rows_[key];
        kalam::WriteBatch batch(store_.snapshot());
        std::string next = text();
        auto kind = kalam::OperationKind::kInsert;
        if (!known.empty()) {
            kind = any(3) ? kalam::OperationKind::kReplace : kalam::OperationKind::kDelete;
        }
        batch.add(kind, kTable, 1, partition_of(key), key_of(key), row_of(reader_.layout(), key, next));
        store_.commit(batch, sync);
        known = kind == kalam::OperationKind::kDelete ? "" : next;
    }

    void scan() {
        kalam::View view = store_.pin();
        std::uint64_t snapshot = view.snapshot();
        std::string low = key_of(any(2000)), high = key_of(2000 + any(2000));
        std::string_view low_view = low, high_view = high;
        kalam::Bounds bounds{any(2) ? &low_view : nullptr, any(2) ? &high_view : nullptr};
        count_rows(*view.rows(kTable, "all", snapshot, bounds, any(2), any(2)));
        std::size_t rows = 0;
        for (const auto& batch :
             view.rows_as_arrow(kTable, "some", snapshot, {}, false, reader_, {1, 0, -1, -2}, 64)) {
            rows += static_cast<std::size_t>(batch.rows());
        }
        require(rows == view.count(kTable, "some", snapshot), "Arrow and count agree");
    }

    // Reads a view that was pinned many commits and checkpoints ago, then pins another.
    void keep_a_view() {
        if (kept_) {
            std::size_t rows = count_rows(*kept_->rows(kTable, "all", kept_->snapshot(), {}, any(2), false));
            require(rows == kept_rows_, "a view shows what it showed");
            require(kept_->count(kTable, "all", kept_->snapshot()) == rows, "and counts it");
            if (any(4)) return;
        }
        kept_ = store_.pin();
        kept_rows_ = kept_->count(kTable, "all", kept_->snapshot());
    }

    // What was told since a view, and what the log says of the same time, lead from that view to a later one.
    void listen() {
        if (!reader_of_changes_) {
            reader_of_changes_ = store_.listen(kTable, "some", 1 + any(5), waker_, 1 << 22);
            kalam::View view = store_.pin();
            heard_from_ = view.snapshot();
            heard_rows_ = view.count(kTable, "some", heard_from_);
            told_.clear();
            return;
        }
        waker_->wait(any(2) ? 0 : 1);
        bool lagged = false;
        for (const auto& set : store_.feed().take(*reader_of_changes_, lagged)) {
            require(told_.empty() || told_.back()->last < set->last, "commits are told in their order");
            if (set->last > heard_from_) told_.push_back(set);
        }
        kalam::View view = store_.pin();
        std::vector<std::shared_ptr<const kalam::ChangeSet>> logged;
        try {
            logged = store_.changes_between(kTable, "some", heard_from_, view.snapshot());
        } catch (const kalam::HistoryGone&) {
            return stop_listening();
        }
        require(lagged || told_.size() <= logged.size(), "what is told is in the log");
        for (std::size_t at = 0; at < told_.size() && !lagged; at++) {
            require(told_[at]->last == logged[at]->last && told_[at]->size() == logged[at]->size(),
                    "what is told is what the log says");
            for (std::size_t one = 0; one < told_[at]->size(); one++) {
                kalam::Change a = told_[at]->at(one), b = logged[at]->at(one);
                require(
                    a.kind == b.kind && a.sequence == b.sequence && a.row == b.row && a.old_row == b.old_row,
                    "change by change");
            }
        }
        std::size_t rows = heard_rows_;
        for (const auto& set : logged) {
            for (std::size_t one = 0; one < set->size(); one++) {
                kalam::Change change = set->at(one);
                if (change.kind == kalam::OperationKind::kInsert) rows++;
                if (change.kind == kalam::OperationKind::kDelete) rows--;
                require(change.kind != kalam::OperationKind::kReplace || change.previous,
                        "what was replaced is told");
            }
        }
        require(rows == view.count(kTable, "some", view.snapshot()), "the changes lead to the rows");
        if (lagged || any(8) == 0) stop_listening();
    }

    void stop_listening() {
        if (reader_of_changes_) store_.feed().close(*reader_of_changes_);
        reader_of_changes_.reset();
        told_.clear();
    }

    void stream() {
        kalam::WriteBatch batch(store_.snapshot());
        std::string user = "user " + std::to_string(any(3));
        for (std::uint64_t n = 1 + any(4); n > 0; n--) {
            std::uint64_t key = next_stream_key_++ * kSeats + static_cast<std::uint64_t>(number_);
            batch.add(kalam::OperationKind::kInsert, kStream, 1, user, key_of(key),
                      row_of(reader_.layout(), key, text()));
        }
        store_.commit(batch, false);
        count_rows(*store_.rows(kStream, user, store_.snapshot(), {}, any(2), false));
        store_.count(kStream, user, store_.snapshot());
        store_.partitions(kStream);
    }

    void define() {
        std::uint64_t table = kChanging + any(2);
        kalam::WriteBatch batch(store_.snapshot());
        if (any(4)) {
            batch.define_table(table, 1 + static_cast<std::uint32_t>(any(3)), {}, {shared_, {"id", "text"}});
        } else {
            batch.drop_table(table);
        }
        std::uint64_t key = next_key();
        batch.add(kalam::OperationKind::kInsert, kTable, 1, "definitions", key_of(key),
                  row_of(reader_.layout(), key, "defined"));
        store_.commit(batch, any(2));
    }

    void write_changing() {
        kalam::WriteBatch batch(store_.snapshot());
        std::uint64_t key = next_key();
        batch.add(kalam::OperationKind::kInsert, kChanging + any(2), 1 + static_cast<std::uint32_t>(any(3)),
                  "", key_of(key), row_of(reader_.layout(), key, text()));
        store_.commit(batch, any(2));
    }

    void transaction() {
        kalam::Transaction transaction(store_);
        std::map<std::uint64_t, std::string> wrote;
        for (std::uint64_t n = 1 + any(5); n > 0; n--) {
            std::uint64_t key = any(500) * kSeats + static_cast<std::uint64_t>(number_);
            auto own = wrote.find(key);
            const std::string& known = own != wrote.end() ? own->second : rows_[key];
            auto kind = known.empty() ? kalam::OperationKind::kInsert
                        : any(3)      ? kalam::OperationKind::kReplace
                                      : kalam::OperationKind::kDelete;
            std::string next = text();
            kalam::WriteBatch batch(transaction.snapshot());
            batch.add(kind, kTable, 1, partition_of(key), key_of(key), row_of(reader_.layout(), key, next));
            transaction.write(batch);
            wrote[key] = kind == kalam::OperationKind::kDelete ? "" : next;
        }
        count_rows(*transaction.rows(kTable, "all", transaction.snapshot(), {}, any(2), false));
        if (any(4) == 0) return;
        kalam::WriteBatch batch(transaction.snapshot(), true);
        transaction.collect(batch);
        store_.commit(batch, any(2));
        for (auto& [key, text] : wrote) rows_[key] = text;
    }

    void ids() {
        std::int64_t one = store_.snowflakes().one();
        require(one > last_id_, "ids grow");
        std::int64_t many[10];
        store_.snowflakes().many(many, 10);
        require(many[0] > one, "and so do many");
        last_id_ = many[9];
    }

    void look() {
        store_.statistics();
        store_.partitions(kTable);
        store_.partitions(kChanging);
        kalam::FoundRow found;
        store_.get(kStream, "user 1", key_of(any(100)), store_.snapshot(), true, found);
        kalam::Scan scan;
        kalam::scan("INSERT INTO t (a, b) VALUES (1, 'it''s'), (-2, NULL)", {}, scan);
        require(scan.row_count == 2, "a text of two rows");
    }

    std::uint64_t next_key() { return 10'000 + next_key_++ * kSeats + static_cast<std::uint64_t>(number_); }

    kalam::Store& store_;
    const std::shared_ptr<const kalam::RowReader> shared_;
    const kalam::RowReader& reader_;
    const int number_;
    std::mt19937_64 random_;
    std::map<std::uint64_t, std::string> rows_;  // of kTable; empty: was there once
    std::uint64_t next_key_ = 0;
    std::uint64_t next_stream_key_ = 0;
    std::int64_t last_id_ = 0;
    const std::shared_ptr<kalam::ChangeWaker> waker_ = std::make_shared<kalam::ChangeWaker>();
    std::shared_ptr<kalam::ChangeReader> reader_of_changes_;
    std::vector<std::shared_ptr<const kalam::ChangeSet>> told_;
    std::uint64_t heard_from_ = 0;
    std::size_t heard_rows_ = 0;
    std::optional<kalam::View> kept_;
    std::size_t kept_rows_ = 0;
};

// One life of a store, short, so that memory stays small.
void live(const std::shared_ptr<const kalam::RowReader>& reader, unsigned seed,
          std::chrono::steady_clock::time_point end) {
    auto files = kalam::FileSystem::memory();
    files->make_directory("data");
    files->make_directory("hot");
    kalam::StoreOptions options;
    options.wal_file_bytes = 1 << 18;
    options.stream_bytes_max = 1 << 18;
    options.history_bytes = seed % 4 ? 4u << 20 : 0;
    options.history_ms = 3'600'000;
    options.hot_directory = "hot";
    // By turns so small that it is written all the time, and now and then.
    options.memtable_bytes = seed % 3 ? 1 << 16 : 1 << 20;
    options.hot_cache_bytes = 1 << 16;
    auto open = [&] {
        auto store = std::make_unique<kalam::Store>(files, "data", kalam::Clock::system(),
                                                    kalam::RandomSource::system(), options);
        store->define_table(kTable, 1, {}, {reader, {"id", "text"}});
        store->define_table(kStream, 1, {200'000, 50});
        // As a catalog would tell: of what the log may have rows of.
        store->define_table(kChanging, 1, {}, {reader, {"id", "text"}});
        store->define_table(kChanging + 1, 1, {}, {reader, {"id", "text"}});
        return store;
    };
    std::vector<std::unique_ptr<Seat>> seats;
    std::unique_ptr<kalam::Store> store = open();
    std::vector<std::thread> threads;
    for (int number = 0; number < kSeats; number++) {
        unsigned mine = seed * kSeats + static_cast<unsigned>(number);
        seats.push_back(std::make_unique<Seat>(*store, reader, number, mine));
    }
    for (auto& seat : seats) threads.emplace_back([&] { seat->run(end); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& seat : seats) seat->check(*store);
    if (seed % 2) store->close();
    for (auto& seat : seats) seat->let_go();
    store.reset();
    store = open();
    for (const auto& seat : seats) seat->check(*store);
}

// A DROP that finds no room, while a checkpoint waits for it: the table keeps its rows.
void drop_is_taken_back(const std::shared_ptr<const kalam::RowReader>& reader) {
    auto files = std::make_shared<kalam::MemoryFileSystem>();
    files->make_directory("data", 0700);
    files->make_directory("hot", 0700);
    kalam::StoreOptions options;
    options.hot_directory = "hot";
    auto open = [&] {
        auto store = std::make_unique<kalam::Store>(files, "data", kalam::Clock::system(),
                                                    kalam::RandomSource::system(), options);
        store->define_table(kTable, 1, {}, {reader, {"id", "text"}});
        store->define_table(kChanging, 1, {}, {reader, {"id", "text"}});
        return store;
    };
    auto store = open();
    auto insert = [&](std::uint64_t table, std::uint64_t key) {
        kalam::WriteBatch batch(store->snapshot());
        batch.add(kalam::OperationKind::kInsert, table, 1, "", key_of(key),
                  row_of(reader->layout(), key, "kept"));
        store->commit(batch, true);
    };
    insert(kTable, 1);
    store->checkpoint();
    insert(kTable, 2);
    kalam::WriteBatch drop(store->snapshot());
    drop.drop_table(kTable);
    drop.add(kalam::OperationKind::kInsert, kChanging, 1, "", key_of(3),
             row_of(reader->layout(), 3, "the catalog's row"));
    kalam::CommitTicket ticket;
    store->begin(drop, true, ticket);
    std::thread checkpoint([&] { store->checkpoint(); });
    // So that it is likely to wait by now; it must be right however far it is.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    kalam::Fault no_room;
    no_room.operations = kalam::operation_bit(kalam::Operation::write);
    no_room.code = ENOSPC;
    files->fail(no_room);
    bool refused = false;
    try {
        store->finish(ticket);
    } catch (const kalam::IoError&) {
        refused = true;
    }
    checkpoint.join();
    require(refused, "a commit without room is refused");
    for (int life = 0; life < 2; life++) {
        require(store->count(kTable, "", store->snapshot()) == 2,
                "a table that was not dropped keeps its rows");
        store.reset();
        store = open();
    }
}

}  // namespace

int main(int argc, char** argv) {
    int commits = argc > 1 ? std::atoi(argv[1]) : 300;
    int seconds = argc > 2 ? std::atoi(argv[2]) : 2;
    auto files = kalam::FileSystem::memory();
    files->make_directory("data");
    files->make_directory("hot");
    std::vector<kalam::Column> columns = {{1, kalam::Type::kBigInt, 0, 0, false},
                                          {2, kalam::Type::kText, 0, 0, false}};
    auto layout = std::make_shared<const kalam::RowLayout>(1, columns, 0);
    auto reader = std::make_shared<const kalam::RowReader>(
        std::vector<std::shared_ptr<const kalam::RowLayout>>{layout}, row_of(*layout, 0, ""));
    kalam::TableDescription description{reader, {"id", "text"}};
    kalam::StoreOptions options;
    options.wal_file_bytes = 1 << 18;
    options.hot_directory = "hot";
    options.memtable_bytes = 1 << 17;
    options.hot_cache_bytes = 1 << 16;
    std::uint64_t last;
    {
        kalam::Store store(files, "data", kalam::Clock::system(), kalam::RandomSource::system(), options);
        store.define_table(kTable, 1, {}, description);
        store.define_table(kStream, 1, {50'000, 20});
        std::atomic<bool> done{false};
        std::vector<std::thread> writers, readers;
        for (int seat = 0; seat < 4; seat++) {
            readers.emplace_back([&, seat] { read(store, *reader, seat, done); });
        }
        readers.emplace_back([&] {
            while (!done.load()) {
                store.checkpoint();
                std::this_thread::sleep_for(std::chrono::milliseconds(3));
            }
        });
        for (int seat = 0; seat < kWriters; seat++) {
            writers.emplace_back([&, seat] { write(store, *layout, seat, commits); });
        }
        for (std::thread& thread : writers) thread.join();
        done = true;
        for (std::thread& thread : readers) thread.join();
        last = store.snapshot();
        store.close();
    }
    kalam::Store again(files, "data", kalam::Clock::system(), kalam::RandomSource::system(), options);
    require(again.snapshot() == last, "the last sequence number is there again");
    // Of ten commits two are changed again, one of them to a tombstone.
    std::uint64_t expected = 0;
    for (int n = 0; n < commits; n++) expected += n % 10 != 0;
    require(again.count(kTable, "left", last) == expected * kWriters, "every row is there again");

    drop_is_taken_back(reader);

    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    unsigned seed = std::random_device()();
    std::printf("store_driver: seed %u\n", seed);
    unsigned lives = 0;
    for (; std::chrono::steady_clock::now() < end; lives++) {
        live(reader, seed + lives, std::chrono::steady_clock::now() + std::chrono::seconds(2));
    }
    std::printf("store_driver: %u lives of eight threads: ok\n", lives);
    return 0;
}
