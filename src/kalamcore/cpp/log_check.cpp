#include "log_check.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "errors.hpp"
#include "log_format.hpp"
#include "log_recovery.hpp"

namespace kalam {
namespace {

using namespace log_format;

constexpr std::string_view damaged_suffix = ".damaged";

std::string name_in(const std::string& directory, const std::string& path) {
    return path.starts_with(directory + "/") ? path.substr(directory.size() + 1) : path;
}

std::vector<std::uint64_t> file_numbers(FileSystem& files, const std::string& directory) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : files.list(directory)) {
        if (const std::optional<std::uint64_t> number = file_number(name)) numbers.push_back(*number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

// Counts what stands in a file from `offset` on, and adds a finding for each further stretch that is no
// record.
void count_dropped(FileSystem& files, const std::string& directory, std::uint64_t number,
                   std::uint64_t offset, LogSurvey& survey) {
    const std::string name = file_name(number);
    const std::string content = files.read_file(directory + "/" + name);
    const std::string_view bytes = without_trailing_zeros(content);
    if (bytes.size() > offset) survey.dropped_bytes += bytes.size() - offset;
    std::uint64_t salt;
    try {
        salt = decode_file_header(directory + "/" + name, content).salt;
    } catch (const Corruption& error) {
        // Without its salt none of its records can be told.
        if (offset == 0 && number != survey.cut_number) {
            survey.findings.push_back({LogFinding::Kind::damage, name, error.offset, 0, error.what()});
        }
        return;
    }
    bool in_record = offset == 0;
    for (std::size_t at = std::max<std::uint64_t>(offset, file_header_bytes); at < bytes.size();) {
        const std::optional<RecordHeader> record = decode_record(std::string_view(content).substr(at), salt);
        if (record) {
            ++survey.dropped_records;
            in_record = true;
            at += static_cast<std::size_t>(record_bytes(record->payload_bytes));
            continue;
        }
        if (in_record) {
            survey.findings.push_back({LogFinding::Kind::damage, name, at, 0,
                                       "what stands here is no record; it is behind other damage"});
        }
        in_record = false;
        at += alignment;
    }
}

}  // namespace

LogSurvey survey_log(FileSystem& files, const std::string& directory) {
    LogSurvey survey;
    const std::vector<std::uint64_t> numbers = file_numbers(files, directory);
    // What is wrong with a file's header is found before any record is read; what stands before it is then
    // looked through by itself.
    std::optional<LogFinding> first;
    for (std::uint64_t before = UINT64_MAX;;) {
        LogRecovery recovery;
        survey.kept_records = 0;
        survey.kept_lsn = 0;
        const auto visit = [&](RecordType, std::uint64_t lsn, std::string_view) {
            ++survey.kept_records;
            survey.kept_lsn = lsn;
        };
        try {
            const LogReplay replay = replay_log(files, directory, visit, recovery, before);
            if (before == UINT64_MAX && !replay.torn.empty()) {
                survey.findings.push_back({LogFinding::Kind::torn, file_name(replay.files.back().number),
                                           replay.files.back().used_bytes, replay.last_lsn + 1,
                                           std::to_string(replay.torn.size()) +
                                               " bytes of a torn end; the next opening cuts them "
                                               "off and keeps them beside the log"});
            }
            break;
        } catch (const Corruption& error) {
            if (first) survey.findings.push_back(*first);
            const std::string name = name_in(directory, error.path);
            const std::optional<std::uint64_t> number = file_number(name);
            if (!number) throw;
            first = LogFinding{LogFinding::Kind::damage, name, error.offset, 0, error.what()};
            survey.cut_number = *number;
            survey.cut_offset = error.offset < file_header_bytes ? 0 : error.offset;
            if (survey.cut_offset != 0 || *number >= before) break;
            before = *number;
        }
    }
    bool any_stays = !numbers.empty() && (survey.cut_number == 0 || numbers.front() < survey.cut_number ||
                                          survey.cut_offset != 0);
    if (any_stays) {
        const std::string path = directory + "/" + file_name(numbers.front());
        std::string header(file_header_bytes, '\0');
        header.resize(files.open(path, OpenMode::read)->read_at(0, header.data(), header.size()));
        survey.kept_first_lsn = decode_file_header(path, header).first_lsn;
        if (survey.kept_records == 0) survey.kept_lsn = survey.kept_first_lsn - 1;
    }
    if (first) {
        first->lsn = survey.kept_lsn + 1;
        std::reverse(survey.findings.begin(), survey.findings.end());
        survey.findings.insert(survey.findings.begin(), *first);
        const std::size_t told = survey.findings.size();
        for (const std::uint64_t number : numbers) {
            if (number < survey.cut_number) continue;
            count_dropped(files, directory, number, number == survey.cut_number ? survey.cut_offset : 0,
                          survey);
        }
        // A header that stopped the reading is known already.
        const auto known = [&](const LogFinding& finding) {
            return std::any_of(survey.findings.begin(),
                               survey.findings.begin() + static_cast<std::ptrdiff_t>(told),
                               [&](const LogFinding& other) {
                                   return other.file == finding.file && other.offset == finding.offset;
                               });
        };
        survey.findings.erase(std::remove_if(survey.findings.begin() + static_cast<std::ptrdiff_t>(told),
                                             survey.findings.end(), known),
                              survey.findings.end());
    }
    for (const std::string& name : files.list(directory)) {
        if (!name.ends_with(".torn") && !name.ends_with(damaged_suffix)) continue;
        const std::uint64_t size = files.open(directory + "/" + name, OpenMode::read)->size();
        survey.findings.push_back({LogFinding::Kind::kept, name, 0, 0,
                                   std::to_string(size) +
                                       " bytes that were cut from the log before; remove the "
                                       "file once nothing in it is needed"});
    }
    return survey;
}

void repair_log(FileSystem& files, const std::string& directory, const LogSurvey& survey) {
    if (survey.cut_number == 0) return;
    std::vector<std::uint64_t> numbers = file_numbers(files, directory);
    const auto aside = [&](const std::string& path) {
        std::string name = path + std::string(damaged_suffix);
        for (unsigned copy = 2; files.exists(name); ++copy) {
            name = path + "." + std::to_string(copy) + std::string(damaged_suffix);
        }
        return name;
    };
    // The newest first: after a crash in between the log ends at the same place, or is still refused.
    for (; !numbers.empty() && numbers.back() >= survey.cut_number; numbers.pop_back()) {
        const std::string path = directory + "/" + file_name(numbers.back());
        if (numbers.back() == survey.cut_number && survey.cut_offset != 0) {
            std::string bytes = files.read_file(path);
            files.write_atomic(aside(path), bytes);
            bytes.resize(static_cast<std::size_t>(survey.cut_offset));
            FileHeader header = decode_file_header(path, bytes);
            // It may have said of the records that go that they were synced.
            header.known_durable_lsn = std::min(header.known_durable_lsn, survey.kept_lsn);
            bytes.replace(0, file_header_bytes, encode_file_header(header));
            files.write_atomic(path, bytes);
        } else {
            files.rename(path, aside(path));
            files.sync_directory(directory);
        }
    }
}

}  // namespace kalam
