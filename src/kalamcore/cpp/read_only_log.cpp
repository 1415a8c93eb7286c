#include "read_only_log.hpp"

#include "errors.hpp"

namespace kalam {

namespace {

// Thread safety: it has no state that changes.
class ReadOnlyLog final : public Log {
  public:
    explicit ReadOnlyLog(std::uint64_t last) : last_(last) {}

    std::uint64_t append(RecordType, std::string_view, std::string_view, std::uint64_t, bool) override {
        throw Poisoned("the database is open read-only");
    }
    std::uint64_t drops() const override { return 0; }
    void flush(std::uint64_t, bool) override {}
    std::uint64_t last() const override { return last_; }
    std::uint64_t written() const override { return last_; }
    std::uint64_t durable() const override { return last_; }
    std::uint64_t syncs() const override { return 0; }
    std::uint64_t bytes() const override { return 0; }
    void release(std::uint64_t) override {}
    std::vector<LogFile> hold_files() override { return {}; }
    void release_files() override {}
    void read(std::uint64_t, const Reading&) override {}
    void forget_history(std::uint64_t) override {}
    void roll() override {}
    void wipe(std::uint64_t) override {}
    void close() override {}

  private:
    const std::uint64_t last_;
};

}  // namespace

std::unique_ptr<Log> read_only_log(std::uint64_t last) {
    return std::make_unique<ReadOnlyLog>(last);
}

}  // namespace kalam
