// Looking through a log for damage, and cutting it where it begins.
//
// Invariant: survey_log finds damage where, and only where, opening the log refuses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vfs.hpp"

namespace kalam {

struct LogFinding {
    enum class Kind : std::uint8_t {
        damage,  // opening refuses it
        torn,    // the next opening cuts and keeps it
        kept,    // an earlier opening or repair put it aside
    };
    Kind kind;
    std::string file;  // its name in the log's directory
    std::uint64_t offset;
    std::uint64_t lsn;  // the record that should stand there; 0: not known
    std::string what;
};

struct LogSurvey {
    std::vector<LogFinding> findings;
    // What stands before the first damage, and so stays after a repair.
    // Where no record stays, kept_lsn is the number before the one that will be the first; kept_first_lsn is
    // the first that stays, or that one.
    std::uint64_t kept_records = 0;
    std::uint64_t kept_first_lsn = 1;
    std::uint64_t kept_lsn = 0;
    // What stands behind it: whole records, as far as they can be told, and bytes that are not zeros at the
    // end.
    std::uint64_t dropped_records = 0;
    std::uint64_t dropped_bytes = 0;
    // Where a repair cuts: files beyond this number go; 0 where there is no damage. At `cut_offset` of the
    // file itself, or with an offset of 0 all of it.
    std::uint64_t cut_number = 0;
    std::uint64_t cut_offset = 0;
};

// Changes nothing. REQUIRES: nobody writes to the log. Throws IoError, and UnknownFormat for a newer format.
LogSurvey survey_log(FileSystem& files, const std::string& directory);

// Does what a survey says: keeps whatever is cut, whole files, under a name that ends in .damaged, and leaves
// a log that opens with the records up to kept_lsn. After a crash in between it can be done again. REQUIRES:
// the directory is locked by the caller, and nothing has changed since the survey.
void repair_log(FileSystem& files, const std::string& directory, const LogSurvey& survey);

}  // namespace kalam
