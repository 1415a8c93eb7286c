#include "ids.hpp"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "errors.hpp"

namespace kalam {
namespace {

constexpr std::int64_t kSnowflakeMsMax = (std::int64_t{1} << 41) - 1;
// Ids that are taken at one reading of the clock: 16 ms of a full sequence.
constexpr std::size_t kSnowflakeBlock = 65'536;
constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << 48) - 1;
constexpr std::uint64_t kCounterBits = 42;
// A carry that no clock answers for this long is taken in advance.
constexpr auto kCarryPatience = std::chrono::milliseconds(10);
constexpr auto kPause = std::chrono::microseconds(100);

std::uint64_t unix_ms(Clock& clock) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(clock.now_us() / 1000, 0)) & kTimeMask;
}

int checked_worker(int worker) {
    if (worker < 0 || worker >= kSnowflakeWorkers) {
        throw Error("worker id " + std::to_string(worker) + " is outside of 0 to 1023");
    }
    return worker;
}

// Memory order of a number whose first byte is its highest.
std::uint64_t high_first(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) {
        value = (value & 0x00FF00FF00FF00FF) << 8 | (value >> 8 & 0x00FF00FF00FF00FF);
        value = (value & 0x0000FFFF0000FFFF) << 16 | (value >> 16 & 0x0000FFFF0000FFFF);
        value = value << 32 | value >> 32;
    }
    return value;
}

// The eight hexadecimal digits of a number, all at once: one nibble to a byte, then 39 more for a to f.
void put_hexadecimal(std::uint32_t value, char* out) {
    std::uint64_t digits = value;
    digits = (digits << 16 | digits) & 0x0000FFFF0000FFFF;
    digits = (digits << 8 | digits) & 0x00FF00FF00FF00FF;
    digits = (digits << 4 | digits) & 0x0F0F0F0F0F0F0F0F;
    const std::uint64_t letters = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
    digits = high_first(digits + 0x3030303030303030 + letters * 39);
    std::memcpy(out, &digits, sizeof digits);
}

constexpr char kCrockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

constexpr std::array<std::array<char, 2>, 1024> make_crockford_pairs() {
    std::array<std::array<char, 2>, 1024> table{};
    for (int i = 0; i < 1024; ++i) table[i] = {kCrockford[i >> 5], kCrockford[i & 31]};
    return table;
}
constexpr auto kCrockfordPairs = make_crockford_pairs();

struct UuidHalves {
    std::uint64_t high;
    std::uint64_t low;
};

UuidHalves uuid_halves(std::uint64_t ms, std::uint64_t counter, std::uint32_t tail) {
    return {ms << 16 | 0x7000 | counter >> 30, std::uint64_t{2} << 62 | (counter & 0x3FFFFFFF) << 32 | tail};
}

void uuid_text(std::uint64_t ms, std::uint64_t counter, std::uint32_t tail, char* out) {
    const auto [high, low] = uuid_halves(ms, counter, tail);
    char digits[8];
    put_hexadecimal(static_cast<std::uint32_t>(high >> 32), out);
    put_hexadecimal(static_cast<std::uint32_t>(high), digits);
    std::memcpy(out + 9, digits, 4);
    std::memcpy(out + 14, digits + 4, 4);
    put_hexadecimal(static_cast<std::uint32_t>(low >> 32), digits);
    std::memcpy(out + 19, digits, 4);
    std::memcpy(out + 24, digits + 4, 4);
    put_hexadecimal(static_cast<std::uint32_t>(low), out + 28);
    out[8] = out[13] = out[18] = out[23] = '-';
}

}  // namespace

Snowflakes::Snowflakes(int worker, std::int64_t after, std::shared_ptr<Clock> clock,
                       std::int64_t ahead_ms_max)
    : clock_(clock ? std::move(clock) : Clock::system()),
      worker_bits_(static_cast<std::int64_t>(checked_worker(worker)) << 12),
      after_(std::max<std::int64_t>(after, 0)),
      ahead_ms_max_(std::max<std::int64_t>(ahead_ms_max, 0)) {
    // Another worker's id may lie above ours of the same millisecond and sequence, so its whole millisecond
    // is left.
    const bool same = snowflake_worker(after_) == worker;
    first_state_ = after_ == 0 ? -1 : (after_ >> 22) << 12 | (same ? after_ & 4095 : 4095);
    state_.store(first_state_);
    seen_ms_.store(after_ >> 22);
}

Snowflakes::Outcome Snowflakes::reserve(std::int64_t count, std::int64_t& first) {
    const std::int64_t now = std::max<std::int64_t>(now_ms(), 0);
    std::int64_t seen = seen_ms_.load(std::memory_order_relaxed);
    while (now > seen && !seen_ms_.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
    const std::int64_t latest_ms = std::max(now, seen) + ahead_ms_max_;
    std::int64_t last = state_.load(std::memory_order_relaxed);
    for (;;) {
        first = std::max(last + 1, now << 12);
        const std::int64_t end = first + count - 1;
        const std::int64_t ms = end >> 12;
        if (ms > kSnowflakeMsMax)
            throw Error("the 41 bits of a Snowflake's time are used up; check the clock");
        if (ms > latest_ms) return Outcome::kWait;
        if (ms >= lease_end_ms_.load(std::memory_order_acquire)) return Outcome::kLease;
        if (state_.compare_exchange_weak(last, end, std::memory_order_acq_rel, std::memory_order_relaxed)) {
            return Outcome::kGiven;
        }
    }
}

std::int64_t Snowflakes::reserve_or_wait(std::int64_t count) {
    for (;;) {
        std::int64_t first;
        switch (reserve(count, first)) {
            case Outcome::kGiven:
                return first;
            case Outcome::kLease:
                extend_lease(count);
                break;
            case Outcome::kWait:
                wait();
                break;
        }
    }
}

// A clock that was set back by an hour would stop the generator for an hour: instead the time that was seen
// goes on with the monotonic clock.
void Snowflakes::wait() {
    {
        const std::lock_guard<std::mutex> hold(slow_);
        const std::int64_t now = now_ms();
        const std::int64_t monotonic_ns = clock_->monotonic_ns();
        std::int64_t seen = seen_ms_.load(std::memory_order_relaxed);
        const std::int64_t reached = anchor_ms_ + (monotonic_ns - anchor_ns_) / 1'000'000;
        if (anchor_ns_ < 0 || seen > reached || now >= seen) {
            anchor_ms_ = seen;
            anchor_ns_ = monotonic_ns;
        } else {
            while (reached > seen &&
                   !seen_ms_.compare_exchange_weak(seen, reached, std::memory_order_relaxed)) {
            }
        }
    }
    std::this_thread::sleep_for(kPause);
}

void Snowflakes::extend_lease(std::int64_t count) {
    const std::lock_guard<std::mutex> hold(slow_);
    const std::int64_t first = std::max(state_.load() + 1, std::max<std::int64_t>(now_ms(), 0) << 12);
    const std::int64_t wanted = (first + count - 1) >> 12;
    if (wanted < lease_end_ms_.load()) return;
    const std::int64_t end = lease_(wanted + kSnowflakeEpochMs) - kSnowflakeEpochMs;
    if (end <= wanted) throw Error("the lease on Snowflake ids was not extended far enough");
    lease_end_ms_.store(end, std::memory_order_release);
}

void Snowflakes::go_on_from(std::int64_t unix_ms) {
    const std::int64_t ms = unix_ms - kSnowflakeEpochMs;
    std::int64_t seen = seen_ms_.load();
    while (ms > seen && !seen_ms_.compare_exchange_weak(seen, ms)) {
    }
    std::int64_t last = state_.load();
    while ((ms << 12) - 1 > last && !state_.compare_exchange_weak(last, (ms << 12) - 1)) {
    }
}

void Snowflakes::set_lease(Lease lease, std::int64_t end_ms) {
    lease_ = std::move(lease);
    lease_end_ms_.store(lease_ ? end_ms - kSnowflakeEpochMs : INT64_MAX);
}

bool Snowflakes::try_one(std::int64_t& id) {
    std::int64_t state;
    if (reserve(1, state) != Outcome::kGiven) return false;
    id = id_of(state);
    return true;
}

std::int64_t Snowflakes::one() {
    return id_of(reserve_or_wait(1));
}

void Snowflakes::many(std::int64_t* out, std::size_t count) {
    while (count > 0) {
        const std::size_t block = std::min(count, kSnowflakeBlock);
        const std::int64_t first = reserve_or_wait(static_cast<std::int64_t>(block));
        for (std::size_t i = 0; i < block; ++i) out[i] = id_of(first + static_cast<std::int64_t>(i));
        out += block;
        count -= block;
    }
}

std::int64_t Snowflakes::last() const {
    const std::int64_t state = state_.load();
    return state == first_state_ ? after_ : id_of(state);
}

Uuid7::Uuid7(std::shared_ptr<Clock> clock, std::shared_ptr<RandomSource> random)
    : clock_(clock ? std::move(clock) : Clock::system()),
      random_(random ? std::move(random) : RandomSource::system()) {}

Uuid7::Place Uuid7::reserve(std::uint64_t count) {
    const std::uint64_t now = unix_ms(*clock_);
    const std::lock_guard<std::mutex> hold(mutex_);
    const bool full = next_ > (std::uint64_t{1} << kCounterBits) - count;
    if (now > ms_ || full) {
        ms_ = now > ms_ ? now : ms_ + 1;
        // The highest bit begins at zero, so that a millisecond has room for 2^41 more.
        next_ = random_->next_u64() >> (64 - kCounterBits + 1);
    }
    const Place place{ms_, next_};
    next_ += count;
    return place;
}

void Uuid7::one(char* out) {
    std::uint32_t tail;
    random_->fill(&tail, sizeof tail);
    const Place place = reserve(1);
    uuid_text(place.ms, place.counter, tail, out);
}

void Uuid7::one_binary(unsigned char* out) {
    std::uint32_t tail;
    random_->fill(&tail, sizeof tail);
    const Place place = reserve(1);
    auto [high, low] = uuid_halves(place.ms, place.counter, tail);
    high = high_first(high);
    low = high_first(low);
    std::memcpy(out, &high, sizeof high);
    std::memcpy(out + 8, &low, sizeof low);
}

void Uuid7::many(char* out, std::size_t count) {
    std::array<std::uint32_t, 1024> tails;
    while (count > 0) {
        const std::size_t block = std::min(count, tails.size());
        random_->fill(tails.data(), block * sizeof tails[0]);
        const Place place = reserve(block);
        for (std::size_t i = 0; i < block; ++i, out += kTextSize) {
            uuid_text(place.ms, place.counter + i, tails[i], out);
        }
        count -= block;
    }
}

Ulid::Ulid(std::shared_ptr<Clock> clock, std::shared_ptr<RandomSource> random)
    : clock_(clock ? std::move(clock) : Clock::system()),
      random_(random ? std::move(random) : RandomSource::system()) {}

// REQUIRES: mutex_ is held.
std::uint64_t Ulid::next_ms() {
    const auto patience_ends = std::chrono::steady_clock::now() + kCarryPatience;
    do {
        std::this_thread::sleep_for(kPause);
        if (const std::uint64_t now = unix_ms(*clock_); now > last_.ms) return now;
    } while (std::chrono::steady_clock::now() < patience_ends);
    return last_.ms + 1;
}

// The first of `count` places that follow one another within one millisecond.
Ulid::Place Ulid::reserve(std::uint64_t count) {
    const std::uint64_t now = unix_ms(*clock_);
    const std::lock_guard<std::mutex> hold(mutex_);
    Place first = last_;
    bool fresh = !begun_ || now > last_.ms;
    if (fresh) first.ms = now;
    for (;;) {
        if (fresh) {
            random_->fill(&first.low, sizeof first.low);
            random_->fill(&first.high, sizeof first.high);
        } else if (++first.low == 0 && ++first.high == 0) {
            first.ms = next_ms();
            fresh = true;
            continue;
        }
        Place end = first;
        end.low += count - 1;
        if (end.low < first.low && ++end.high == 0) {
            // The block runs over: it begins in the next millisecond as a whole.
            first.ms = last_.ms = std::max(first.ms, last_.ms);
            first.ms = next_ms();
            fresh = true;
            continue;
        }
        last_ = end;
        begun_ = true;
        return first;
    }
}

void Ulid::write(std::uint64_t ms, std::uint16_t high, std::uint64_t low, char* out) {
    const auto pair = [](char* place, std::uint64_t bits) {
        std::memcpy(place, kCrockfordPairs[bits & 1023].data(), 2);
    };
    // 50 bits of time in 10 characters, then 80 bits in 16.
    for (int i = 0; i < 5; ++i) pair(out + 2 * i, ms >> (40 - 10 * i));
    const std::uint64_t upper = std::uint64_t{high} << 24 | low >> 40;
    for (int i = 0; i < 4; ++i) {
        pair(out + 10 + 2 * i, upper >> (30 - 10 * i));
        pair(out + 18 + 2 * i, low >> (30 - 10 * i));
    }
}

void Ulid::one(char* out) {
    const Place place = reserve(1);
    write(place.ms, place.high, place.low, out);
}

void Ulid::many(char* out, std::size_t count) {
    while (count > 0) {
        const std::size_t block = std::min<std::size_t>(count, 4096);
        Place place = reserve(block);
        for (std::size_t i = 0; i < block; ++i, out += kTextSize) {
            write(place.ms, place.high, place.low, out);
            if (++place.low == 0) ++place.high;
        }
        count -= block;
    }
}

namespace {

// Null until first asked for, and in a child that was just forked; those of its parent are left where they
// are, for a thread that did not come along may have been within them.
std::atomic<ProcessIds*> ids_of_process{nullptr};

void forget_ids_after_fork() {
    ids_of_process.store(nullptr, std::memory_order_relaxed);
}

ProcessIds& make_process_ids() {
    static const int watched = ::pthread_atfork(nullptr, nullptr, forget_ids_after_fork);
    if (watched != 0) throw std::bad_alloc();  // the one error it knows
    auto made = std::make_unique<ProcessIds>();
    ProcessIds* found = nullptr;
    if (ids_of_process.compare_exchange_strong(found, made.get())) return *made.release();
    return *found;
}

}  // namespace

ProcessIds& process_ids() {
    ProcessIds* found = ids_of_process.load(std::memory_order_acquire);
    return found ? *found : make_process_ids();
}

}  // namespace kalam
