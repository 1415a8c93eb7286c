// A stress of the log without an interpreter, for the sanitizers: eight threads commit, sync, release and
// read counters while files roll and are recycled; then everything is read back.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "memory_file_system.hpp"
#include "wal.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "wal_driver: %s\n", what);
    std::exit(1);
}

constexpr int threads = 8;

void stress(const std::shared_ptr<kalam::FileSystem>& files, std::uint64_t file_bytes, int commits) {
    kalam::LogOptions options;
    options.file_bytes = file_bytes;
    kalam::LogRecovery recovery;
    const auto random = kalam::RandomSource::seeded(1);
    files->make_directory("log");
    std::uint64_t released = 0;
    std::uint64_t last = 0;
    {
        const auto log = kalam::Log::open(files, "log", options, random, [](auto, auto, auto) {}, recovery);
        std::mutex commit_lock;
        std::vector<std::thread> writers;
        for (int number = 0; number < threads; ++number) {
            writers.emplace_back([&, number] {
                for (int commit = 0; commit < commits; ++commit) {
                    const std::string body(static_cast<std::size_t>((commit * 37 + number) % 4000), 'x');
                    std::uint64_t lsn;
                    {
                        const std::lock_guard<std::mutex> hold(commit_lock);
                        lsn = log->append(kalam::RecordType::commit, "head", body);
                    }
                    const bool sync = commit % 3 != 0;
                    log->flush(lsn, sync);
                    require(log->written() >= lsn, "flush returned before its record was written");
                    require(!sync || log->durable() >= lsn, "flush returned before its record was durable");
                    if (number == 0 && commit % 50 == 49) log->release(lsn > 20 ? lsn - 20 : 0);
                    require(log->bytes() > 0, "a log has bytes");
                }
            });
        }
        for (std::thread& writer : writers) writer.join();
        last = log->last();
        log->close();
    }
    std::uint64_t count = 0;
    const auto log = kalam::Log::open(
        files, "log", options, random,
        [&](kalam::RecordType, std::uint64_t lsn, std::string_view) {
            require(released == 0 || lsn == released + 1, "a record is missing");
            released = lsn;
            ++count;
        },
        recovery);
    require(released == last + 1, "the log does not end with its mark");
    std::printf("wal_driver: %llu records read back of %llu\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(last));
}

// A sync fails under eight threads: each flush returns or throws, and nobody waits for ever.
void poison() {
    const auto files = std::make_shared<kalam::MemoryFileSystem>();
    kalam::LogRecovery recovery;
    const auto log =
        kalam::Log::open(files, "/", {}, kalam::RandomSource::seeded(2), [](auto, auto, auto) {}, recovery);
    files->fail({kalam::operation_bit(kalam::Operation::sync), 50, 5, false, 0});
    std::vector<std::thread> writers;
    for (int number = 0; number < threads; ++number) {
        writers.emplace_back([&] {
            try {
                for (;;) log->flush(log->append(kalam::RecordType::commit, "head", "body"), true);
            } catch (const std::exception&) {
            }
        });
    }
    for (std::thread& writer : writers) writer.join();
    require(log->durable() < log->written(), "the failed sync counted");
}

}  // namespace

int main() {
    stress(kalam::FileSystem::memory(), 64u << 10, 300);
    stress(kalam::FileSystem::memory(), 4u << 20, 2000);
    poison();
    return 0;
}
