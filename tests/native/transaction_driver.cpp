// Transactions of four threads on one store, beside plain writers and readers, for the sanitizers. Built with
// all of src/kalamcore/cpp; prints "ok" and returns 0.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "errors.hpp"
#include "transaction.hpp"

namespace {

constexpr std::uint64_t kTable = 1;
constexpr std::uint64_t kStream = 2;
constexpr int kContended = 40;

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

// Transactions over the same keys: what they see is one snapshot and their own rows, and they commit whole.
void transact(kalam::Store& store, const std::string& row, int seat, int commits) {
    int won = 0;
    for (int n = 0; n < commits; n++) {
        kalam::Transaction transaction(store, store.snapshot());
        std::uint64_t before = transaction.count(kTable, "left", 0);
        require(before == count_rows(*transaction.rows(kTable, "right", 0, {}, false, false)),
                "one snapshot");
        kalam::WriteBatch own(transaction.snapshot());
        for (int i = 0; i < 8; i++) {
            std::uint64_t number =
                1'000'000 * (seat + 1ull) + static_cast<std::uint64_t>(n) * 8 + static_cast<unsigned>(i);
            own.add(kalam::OperationKind::kInsert, kTable, 1, "left", key_of(number), row);
            own.add(kalam::OperationKind::kInsert, kTable, 1, "right", key_of(number), row);
            if (n % 4 == 0) own.add(kalam::OperationKind::kInsert, kStream, 1, "s", key_of(number), row);
        }
        transaction.write(own);
        std::size_t kept = transaction.size();
        kalam::WriteBatch change(transaction.snapshot());
        std::uint64_t contended = static_cast<std::uint64_t>(n % kContended);
        kalam::FoundRow found;
        for (const char* side : {"left", "right"}) {
            if (!transaction.get(kTable, side, key_of(contended), 0, false, found)) continue;
            change.add(kalam::OperationKind::kDelete, kTable, 1, side, key_of(contended), row);
        }
        std::uint64_t gone = change.size() / 2;
        transaction.write(change);
        require(count_rows(*transaction.rows(kTable, "left", 0, {}, n % 2, false)) == before + 8 - gone,
                "own rows are seen");
        require(transaction.count(kTable, "right", 0) == before + 8 - gone, "own rows are counted");
        if (n % 3 == 0) {
            transaction.back_to(kept);
            require(transaction.count(kTable, "left", 0) == before + 8, "a statement is taken back");
        }
        kalam::WriteBatch net(transaction.snapshot(), true);
        transaction.collect(net);
        try {
            store.commit(net, n % 3 == 0);
            won++;
        } catch (const kalam::WriteConflict&) {
        }
    }
    require(won > 0, "some transactions win");
}

// Puts the contended rows back and takes them away.
void write(kalam::Store& store, const std::string& row, const std::atomic<bool>& done) {
    for (unsigned n = 0; !done.load(); n++) {
        kalam::WriteBatch batch(store.snapshot());
        kalam::FoundRow found;
        std::string key = key_of(n % kContended);
        bool there = store.get(kTable, "left", key, batch.snapshot(), false, found);
        auto kind = there ? (n % 3 ? kalam::OperationKind::kReplace : kalam::OperationKind::kDelete)
                          : kalam::OperationKind::kInsert;
        batch.add(kind, kTable, 1, "left", key, row);
        batch.add(kind, kTable, 1, "right", key, row);
        try {
            store.commit(batch, n % 7 == 0);
        } catch (const kalam::DuplicateKey&) {
        } catch (const kalam::WriteConflict&) {
        }
        std::this_thread::yield();
    }
}

void read(const kalam::Store& store, const std::atomic<bool>& done) {
    while (!done.load()) {
        std::uint64_t snapshot = store.snapshot();
        std::size_t left = count_rows(*store.rows(kTable, "left", snapshot, {}, false, false));
        std::size_t right = count_rows(*store.rows(kTable, "right", snapshot, {}, true, false));
        require(left == right, "a transaction is seen whole");
        count_rows(*store.rows(kStream, "s", snapshot, {}, false, false));
    }
}

}  // namespace

int main(int argc, char** argv) {
    int commits = argc > 1 ? std::atoi(argv[1]) : 200;
    auto files = kalam::FileSystem::memory();
    files->make_directory("data");
    std::vector<kalam::Column> columns = {{1, kalam::Type::kBigInt, 0, 0, false}};
    kalam::RowLayout layout(1, columns, 0);
    std::string row;
    kalam::RowWriter writer(layout, row);
    writer.set_integer(0, 77);
    kalam::Store store(files, "data", kalam::Clock::system(), kalam::RandomSource::system(), {});
    store.define_table(kTable, 1, {});
    store.define_table(kStream, 1, {5'000'000, 1000});
    std::atomic<bool> done{false};
    std::vector<std::thread> transactions, others;
    others.emplace_back([&] { write(store, row, done); });
    for (int seat = 0; seat < 2; seat++) others.emplace_back([&] { read(store, done); });
    for (int seat = 0; seat < 4; seat++) {
        transactions.emplace_back([&, seat] { transact(store, row, seat, commits); });
    }
    for (std::thread& thread : transactions) thread.join();
    done = true;
    for (std::thread& thread : others) thread.join();
    store.close();
    std::puts("ok");
    return 0;
}
