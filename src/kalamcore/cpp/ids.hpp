// Identifiers that sort by time: Snowflake, UUIDv7, ULID.
//
// Thread safety: every method may be called from any thread; what one call gives lies after all that were
// given before it began. None of them is a secret: who sees one can guess its neighbours.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "clock.hpp"
#include "random.hpp"

namespace kalam {

// 2024-01-01T00:00:00Z in milliseconds since 1970: where Snowflakes begin to count.
inline constexpr std::int64_t kSnowflakeEpochMs = 1'704'067'200'000;
inline constexpr int kSnowflakeWorkers = 1024;

// The parts of a Snowflake; `unix_ms` counts milliseconds since 1970.
constexpr std::int64_t snowflake_of(std::int64_t unix_ms, int worker, int sequence) {
    return (unix_ms - kSnowflakeEpochMs) << 22 | static_cast<std::int64_t>(worker) << 12 | sequence;
}
constexpr std::int64_t snowflake_ms(std::int64_t id) {
    return (id >> 22) + kSnowflakeEpochMs;
}
constexpr int snowflake_worker(std::int64_t id) {
    return static_cast<int>(id >> 12 & 1023);
}
constexpr int snowflake_sequence(std::int64_t id) {
    return static_cast<int>(id & 4095);
}

// Ids of 41 bits of time, 10 of worker and 12 of sequence. A millisecond that is used up, and a clock that
// stands still or steps back, borrow from the milliseconds to come: up to `ahead_ms_max` beyond the latest
// time that was seen, then the caller waits.
class Snowflakes {
  public:
    // Makes ids before unix millisecond X durable and returns X, which lies beyond `wanted_ms`. May throw:
    // then no id is given.
    using Lease = std::function<std::int64_t(std::int64_t wanted_ms)>;

    // Every id is larger than `after`. A null clock is the system's. Throws Error for a worker outside
    // 0..1023.
    explicit Snowflakes(int worker = 0, std::int64_t after = 0, std::shared_ptr<Clock> clock = nullptr,
                        std::int64_t ahead_ms_max = 10'000);

    // Takes one id at once; false where that would wait for the clock or for the lease.
    bool try_one(std::int64_t& id);
    // As try_one, but waits.
    std::int64_t one();
    // `count` ids in order, not necessarily without gaps.
    void many(std::int64_t* out, std::size_t count);
    // The latest id given, or `after`.
    std::int64_t last() const;

    // Every id from now on is of this unix millisecond or later.
    void go_on_from(std::int64_t unix_ms);

    // From now on no id of unix millisecond `end_ms` or later is given before `lease` was asked for more.
    // REQUIRES: before the generator is shared between threads.
    void set_lease(Lease lease, std::int64_t end_ms = 0);

  private:
    enum class Outcome { kGiven, kWait, kLease };
    Outcome reserve(std::int64_t count, std::int64_t& first);
    std::int64_t reserve_or_wait(std::int64_t count);
    void wait();
    void extend_lease(std::int64_t count);
    std::int64_t now_ms() const { return clock_->now_us() / 1000 - kSnowflakeEpochMs; }
    std::int64_t id_of(std::int64_t state) const {
        return (state >> 12) << 22 | worker_bits_ | (state & 4095);
    }

    const std::shared_ptr<Clock> clock_;
    const std::int64_t worker_bits_;
    const std::int64_t after_;
    const std::int64_t ahead_ms_max_;
    std::int64_t first_state_;
    // Milliseconds and sequence of the latest id, without the worker: what is added to is one plain number.
    std::atomic<std::int64_t> state_;
    std::atomic<std::int64_t> seen_ms_;
    std::atomic<std::int64_t> lease_end_ms_{INT64_MAX};

    std::mutex slow_;
    Lease lease_;
    std::int64_t anchor_ms_ = 0;
    std::int64_t anchor_ns_ = -1;
};

// RFC 9562 version 7: 48 bits of milliseconds, a counter of 42 bits that begins at random in each
// millisecond, and 32 fresh random bits.
class Uuid7 {
  public:
    static constexpr std::size_t kTextSize = 36;

    explicit Uuid7(std::shared_ptr<Clock> clock = nullptr, std::shared_ptr<RandomSource> random = nullptr);

    // Writes 36 characters.
    void one(char* out);
    // Writes 36 * count characters.
    void many(char* out, std::size_t count);
    // Writes 16 bytes.
    void one_binary(unsigned char* out);

  private:
    struct Place {
        std::uint64_t ms;
        std::uint64_t counter;
    };
    Place reserve(std::uint64_t count);

    const std::shared_ptr<Clock> clock_;
    const std::shared_ptr<RandomSource> random_;
    std::mutex mutex_;
    std::uint64_t ms_ = 0;
    std::uint64_t next_ = UINT64_MAX;  // the counter's next value; too large before the first
};

// ULID: 48 bits of milliseconds and 80 random ones, which count up within a millisecond. When they run out,
// the caller waits for the next millisecond; if none comes (the clock stands still), it is taken in advance.
class Ulid {
  public:
    static constexpr std::size_t kTextSize = 26;

    explicit Ulid(std::shared_ptr<Clock> clock = nullptr, std::shared_ptr<RandomSource> random = nullptr);

    // Writes 26 characters.
    void one(char* out);
    // Writes 26 * count characters.
    void many(char* out, std::size_t count);

    // The text of `ms` and the 80 bits `high` (16) and `low` (64).
    static void write(std::uint64_t ms, std::uint16_t high, std::uint64_t low, char* out);

  private:
    struct Place {
        std::uint64_t ms;
        std::uint16_t high;
        std::uint64_t low;
    };
    Place reserve(std::uint64_t count);
    std::uint64_t next_ms();

    const std::shared_ptr<Clock> clock_;
    const std::shared_ptr<RandomSource> random_;
    std::mutex mutex_;
    bool begun_ = false;
    Place last_{0, 0, 0};
};

// The generators of a process, for ids outside of a database.
struct ProcessIds {
    Snowflakes snowflakes;
    Uuid7 uuids;
    Ulid ulids;
};

// Made when first asked for. A forked child gets its own, so that it neither repeats what its parent will
// give out nor waits for a lock that a thread of the parent held.
ProcessIds& process_ids();

}  // namespace kalam
