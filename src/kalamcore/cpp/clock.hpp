// Time, as the core asks for it, so that a test can stop it, set it back or let it run.
//
// Thread safety: every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace kalam {

class Clock {
  public:
    virtual ~Clock() = default;
    // Microseconds since 1970-01-01T00:00:00Z. May step back.
    virtual std::int64_t now_us() = 0;
    // Nanoseconds since some fixed point. Never steps back.
    virtual std::int64_t monotonic_ns() = 0;

    static std::shared_ptr<Clock> system();
};

// A clock that stands still until it is told otherwise.
class ManualClock final : public Clock {
  public:
    explicit ManualClock(std::int64_t now_us) : now_us_(now_us) {}
    std::int64_t now_us() override { return now_us_.load(); }
    std::int64_t monotonic_ns() override { return monotonic_ns_.load(); }
    void set(std::int64_t now_us) { now_us_.store(now_us); }
    void advance(std::int64_t us) {
        now_us_.fetch_add(us);
        monotonic_ns_.fetch_add(us * 1000);
    }

  private:
    std::atomic<std::int64_t> now_us_;
    std::atomic<std::int64_t> monotonic_ns_{0};
};

}  // namespace kalam
