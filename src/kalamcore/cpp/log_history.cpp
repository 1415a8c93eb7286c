#include "log_history.hpp"

#include <algorithm>
#include <optional>

#include "errors.hpp"
#include "log_format.hpp"

namespace kalam {

using namespace log_format;

namespace {

constexpr std::string_view kSuffix = ".history";

std::optional<std::uint64_t> history_number(const std::string& name) {
    if (!name.ends_with(kSuffix)) return std::nullopt;
    return file_number(name.substr(0, name.size() - kSuffix.size()) + ".log");
}

}  // namespace

std::string LogHistory::path_of(std::uint64_t number) const {
    std::string name = file_name(number);
    return directory_ + "/" + name.substr(0, name.size() - 4) + std::string(kSuffix);
}

void LogHistory::load(std::uint64_t oldest) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : files_.list(directory_)) {
        if (auto number = history_number(name)) numbers.push_back(*number);
    }
    std::sort(numbers.rbegin(), numbers.rend());
    std::uint64_t expected = oldest - 1;
    for (std::uint64_t number : numbers) {
        bool belongs = number == expected;
        if (belongs) {
            // Of one that cannot be read nobody is told anything; nothing else depends on it.
            try {
                std::string header = files_.read_range(path_of(number), 0, file_header_bytes);
                FileHeader found = decode_file_header(path_of(number), header);
                kept_.push_back({number, found.first_lsn, files_.file_size(path_of(number))});
                expected--;
            } catch (const Error&) {
                belongs = false;
            }
        }
        if (!belongs) {
            files_.remove(path_of(number));
            expected = 0;
        }
    }
    std::reverse(kept_.begin(), kept_.end());
}

LogFileExtent LogHistory::prepare(const LogFileExtent& file) {
    kept_.reserve(kept_.size() + 1);
    // What it takes of the disk is what counts: zeros behind its last record too.
    return {file.number, file.first_lsn, files_.file_size(directory_ + "/" + file_name(file.number))};
}

void LogHistory::keep(const LogFileExtent& prepared) {
    const std::string from = directory_ + "/" + file_name(prepared.number);
    files_.rename(from, path_of(prepared.number));
    kept_.push_back(prepared);
}

void LogHistory::give_up_oldest(const std::string& new_path) {
    const std::string path = path_of(kept_.front().number);
    files_.rename(path, new_path);
    kept_.erase(kept_.begin());
}

void LogHistory::remove_all() {
    while (!kept_.empty()) {
        files_.remove(path_of(kept_.front().number));
        kept_.erase(kept_.begin());
    }
}

std::uint64_t LogHistory::bytes() const {
    std::uint64_t total = 0;
    for (const LogFileExtent& file : kept_) total += file.used_bytes;
    return total;
}

}  // namespace kalam
