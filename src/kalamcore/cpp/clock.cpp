#include "clock.hpp"

#include <chrono>

namespace kalam {
namespace {

class SystemClock final : public Clock {
  public:
    std::int64_t now_us() override {
        const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
    }
    std::int64_t monotonic_ns() override {
        const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::nanoseconds>(since_start).count();
    }
};

}  // namespace

std::shared_ptr<Clock> Clock::system() {
    static const std::shared_ptr<Clock> clock = std::make_shared<SystemClock>();
    return clock;
}

}  // namespace kalam
