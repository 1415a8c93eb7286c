#include "random.hpp"

#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#if defined(__linux__)
#include <sys/random.h>
#elif defined(__APPLE__)
#include <sys/random.h>
#endif

#include "errors.hpp"

namespace kalam {
namespace {

void read_from_system(unsigned char* out, std::size_t size) {
    while (size > 0) {
#if defined(__linux__)
        const ssize_t got = ::getrandom(out, std::min<std::size_t>(size, 1u << 20), 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            throw IoError(errno, "getrandom", "");
        }
        const auto step = static_cast<std::size_t>(got);
#else
        const std::size_t step = std::min<std::size_t>(size, 256);
        if (::getentropy(out, step) != 0) throw IoError(errno, "getentropy", "");
#endif
        out += step;
        size -= step;
    }
}

// Counts the forks this process descends from since the library was loaded: a buffer filled under another
// count holds bytes that the parent has too.
std::atomic<std::uint64_t> generation{1};

void forget_buffers_after_fork() {
    generation.fetch_add(1, std::memory_order_relaxed);
}

struct Buffer {
    std::array<unsigned char, 4096> bytes;
    std::size_t left = 0;
    std::uint64_t filled_in = 0;
};

class SystemRandom final : public RandomSource {
  public:
    SystemRandom() { ::pthread_atfork(nullptr, nullptr, forget_buffers_after_fork); }

    void fill(void* out, std::size_t size) override {
        auto* target = static_cast<unsigned char*>(out);
        if (size >= sizeof(Buffer::bytes)) {
            read_from_system(target, size);
            return;
        }
        static thread_local Buffer buffer;
        const std::uint64_t now = generation.load(std::memory_order_relaxed);
        if (buffer.filled_in != now) {
            buffer.left = 0;
            buffer.filled_in = now;
        }
        while (size > 0) {
            if (buffer.left == 0) {
                read_from_system(buffer.bytes.data(), buffer.bytes.size());
                buffer.left = buffer.bytes.size();
            }
            const std::size_t step = std::min(size, buffer.left);
            unsigned char* source = buffer.bytes.data() + (buffer.bytes.size() - buffer.left);
            std::memcpy(target, source, step);
            // What was given away stays nowhere else: it may have become a secret.
            std::memset(source, 0, step);
            buffer.left -= step;
            target += step;
            size -= step;
        }
    }
};

// SplitMix64: small, well distributed, and the same on every machine.
class SeededRandom final : public RandomSource {
  public:
    explicit SeededRandom(std::uint64_t seed) : state_(seed) {}

    void fill(void* out, std::size_t size) override {
        auto* target = static_cast<unsigned char*>(out);
        const std::lock_guard<std::mutex> hold(mutex_);
        while (size > 0) {
            std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
            z ^= z >> 31;
            const std::size_t step = std::min<std::size_t>(size, sizeof z);
            std::memcpy(target, &z, step);
            target += step;
            size -= step;
        }
    }

  private:
    std::mutex mutex_;
    std::uint64_t state_;
};

}  // namespace

std::shared_ptr<RandomSource> RandomSource::system() {
    static const std::shared_ptr<RandomSource> source = std::make_shared<SystemRandom>();
    return source;
}

std::shared_ptr<RandomSource> RandomSource::seeded(std::uint64_t seed) {
    return std::make_shared<SeededRandom>(seed);
}

}  // namespace kalam
