// What changed, read back from the log, or from what streams still have.
#include <algorithm>

#include "errors.hpp"
#include "store.hpp"
#include "varint.hpp"

namespace kalam {

namespace {

class HeldFiles {
  public:
    explicit HeldFiles(Log& log) : log_(log), files_(log.hold_files()) {}
    ~HeldFiles() { log_.release_files(); }
    HeldFiles(const HeldFiles&) = delete;
    HeldFiles& operator=(const HeldFiles&) = delete;
    const std::vector<LogFile>& files() const { return files_; }

  private:
    Log& log_;
    const std::vector<LogFile> files_;
};

bool is_commit(RecordType type) {
    return type == RecordType::commit || type == RecordType::replacing;
}

// What a commit's record tells of one partition; null where that is nothing.
std::shared_ptr<ChangeSet> changes_of_record(RecordType type, const CommitRecord& commit,
                                             std::uint64_t table_id, std::string_view partition) {
    std::shared_ptr<ChangeSet> set;
    OperationReader reader(commit.body, commit.operations);
    ReplacedReader replaced(commit.replaced);
    RowOperation operation;
    while (reader.next(operation)) {
        std::uint64_t previous = 0;
        std::string_view old_row;
        if (operation.kind == OperationKind::kReplace && type == RecordType::replacing)
            replaced.next(previous, old_row);
        if (operation.table_id != table_id || operation.partition != partition) continue;
        if (!set) set = std::make_shared<ChangeSet>();
        set->add(operation.kind, commit.first + operation.offset, previous, operation.row, old_row);
    }
    if (set) set->last = commit.first + commit.taken - 1;
    return set;
}

}  // namespace

// 0: the file has no commit yet.
std::uint64_t Store::first_sequence(std::uint64_t file) {
    {
        std::lock_guard guard(first_sequences_mutex_);
        auto known = first_sequences_.find(file);
        if (known != first_sequences_.end()) return known->second;
    }
    std::uint64_t first = 0;
    log_->read(file, [&](RecordType type, std::uint64_t, std::string_view payload) {
        if (is_commit(type)) first = CommitRecord(payload, type == RecordType::replacing).first;
        return first == 0;
    });
    std::lock_guard guard(first_sequences_mutex_);
    if (first) first_sequences_[file] = first;
    return first;
}

std::vector<std::shared_ptr<const ChangeSet>> Store::changes_between(std::uint64_t table_id,
                                                                     std::string_view partition,
                                                                     std::uint64_t after,
                                                                     std::uint64_t until) {
    if (closed()) throw Error("the store is closed");
    std::vector<std::shared_ptr<const ChangeSet>> sets;
    bool stream;
    {
        std::lock_guard guard(commit_mutex_);
        auto known = tables_.find(table_id);
        stream = known != tables_.end() && known->second.stream;
    }
    if (stream) {
        if (after < opened_at_) throw HistoryGone("rows of STREAM tables do not outlive the process");
        auto set = std::make_shared<ChangeSet>();
        streams_.changes_between(table_id, partition, after, until, *set);
        set->last = until;
        if (set->size()) sets.push_back(std::move(set));
        return sets;
    }
    if (after >= until) return sets;
    HeldFiles held(*log_);
    const std::vector<LogFile>& files = held.files();
    // The newest file that begins with no later commit than the one that is wanted first.
    std::size_t at = files.size();
    bool all = false;
    while (at > 0 && !all) {
        std::uint64_t first = first_sequence(files[--at].number);
        all = first && first <= after + 1;
    }
    // The log's very first record is also the database's.
    if (!all && (files.empty() || files[0].first_lsn != 1)) {
        throw HistoryGone("the log does not go back to _seq " + std::to_string(after));
    }
    for (; at < files.size(); at++) {
        bool more = true;
        log_->read(files[at].number, [&](RecordType type, std::uint64_t, std::string_view payload) {
            if (type == RecordType::gap) {
                if (take_varint(payload) == table_id && take_u64(payload) > after)
                    throw HistoryGone("rows of the table were loaded past the log since then");
                return true;
            }
            if (!is_commit(type)) return true;
            CommitRecord commit(payload, type == RecordType::replacing);
            if (commit.first > until) return more = false;
            if (commit.first + commit.taken - 1 <= after) return true;
            if (auto set = changes_of_record(type, commit, table_id, partition))
                sets.push_back(std::move(set));
            return true;
        });
        if (!more) break;
    }
    return sets;
}

// REQUIRES: the checkpoint lock.
void Store::forget_old_history() {
    if (options_.history_ms <= 0) return;
    std::int64_t oldest_ms = clock_->now_us() / 1000 - options_.history_ms;
    try {
        HeldFiles held(*log_);
        std::uint64_t forgotten = 0;
        // A file ends where the next one begins.
        for (std::size_t at = 0; at + 1 < held.files().size(); at++) {
            std::uint64_t next = first_sequence(held.files()[at + 1].number);
            if (!next || updated_us(next) / 1000 >= oldest_ms) break;
            forgotten = held.files()[at].number;
        }
        if (forgotten) log_->forget_history(forgotten);
        std::lock_guard guard(first_sequences_mutex_);
        std::erase_if(first_sequences_,
                      [&](const auto& one) { return one.first < held.files().front().number; });
    } catch (const Error&) {
        // What could not be looked at is looked at by the next checkpoint, and is kept that long.
    }
}

}  // namespace kalam
