#include "store.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "errors.hpp"
#include "varint.hpp"

namespace kalam {

namespace {

constexpr std::int64_t kEpochMs = 1704067200000;  // 2024-01-01Z
constexpr auto kCheckpointPause = std::chrono::seconds(1);
constexpr std::uint64_t kManyOperations = 64;
constexpr int kOperationsAhead = 8;
constexpr std::int64_t kLeaseMs = 10'000;
constexpr auto kPurgeInterval = std::chrono::milliseconds(250);

RowRef reference(const StreamRow& row) {
    return {row.row.data(), row.row.size(), row.sequence, row.deleted};
}

class NoRows final : public RowSource {
  public:
    std::size_t next(RowRef*, std::size_t, std::string_view*) override { return 0; }
};

class StreamRows final : public RowSource {
  public:
    StreamRows(std::vector<StreamRowPointer> rows, std::vector<std::string> keys)
        : rows_(std::move(rows)), keys_(std::move(keys)) {}
    std::size_t next(RowRef* out, std::size_t max, std::string_view* keys) override {
        std::size_t count = std::min(max, rows_.size() - at_);
        for (std::size_t i = 0; i < count; i++, at_++) {
            out[i] = reference(*rows_[at_]);
            if (keys) keys[i] = keys_[at_];
        }
        return count;
    }

  private:
    std::vector<StreamRowPointer> rows_;
    std::vector<std::string> keys_;  // empty unless they were asked for
    std::size_t at_ = 0;
};

}  // namespace

void WriteBatch::reuse(std::uint64_t snapshot) {
    snapshot_ = snapshot;
    of_transaction_ = false;
    operations_ = 0;
    body_.clear();
    uses_.clear();
    definitions_.clear();
    in_segments_.clear();
    probed_generation_ = 0;
    state_.store(State::kOpen, std::memory_order_relaxed);
}

void WriteBatch::reserve(std::size_t bytes) {
    if (body_.capacity() - body_.size() >= bytes) return;
    body_.reserve(body_.size() + bytes);
}

void WriteBatch::require_open() const {
    State state = state_.load(std::memory_order_relaxed);
    if (state == State::kCommitting) throw Error("the batch is being committed");
    if (state == State::kCommitted) throw Error("the batch was committed; begin a new one");
}

void WriteBatch::add(OperationKind kind, std::uint64_t table_id, std::uint32_t version,
                     std::string_view partition, std::string_view key, std::string_view row) {
    require_open();
    probed_generation_ = 0;
    if (key.size() > kKeyBytesMax) throw ValueOutOfRange("the key is longer than 64 MB", -1, -1);
    auto flags = static_cast<std::uint8_t>(kind);
    if (operations_ && table_id == table_id_ &&
        partition == std::string_view(body_).substr(partition_begin_, partition_size_)) {
        body_.push_back(static_cast<char>(flags | kSamePartition));
    } else {
        body_.push_back(static_cast<char>(flags));
        put_varint(body_, table_id);
        put_varint(body_, partition.size());
        partition_begin_ = body_.size();
        partition_size_ = partition.size();
        table_id_ = table_id;
        body_.append(partition);
    }
    put_row(body_, key, row);
    if (uses_.empty() || uses_.back().table_id != table_id || uses_.back().version != version) {
        uses_.push_back({table_id, version, operations_});
    }
    operations_++;
}

void WriteBatch::add_rows(OperationKind kind, std::uint64_t table_id, std::uint32_t version,
                          std::string_view partition, const EncodedRows& rows) {
    std::size_t needed =
        body_.size() + rows.keys.size() + rows.rows.size() + rows.size() * 6 + partition.size();
    if (needed > body_.capacity()) body_.reserve(std::max(needed, body_.capacity() * 2));
    for (std::size_t i = 0; i < rows.size(); i++) {
        add(kind, table_id, version, partition, rows.key(i), rows.row(i));
    }
}

void WriteBatch::define_table(std::uint64_t table_id, std::uint32_t version, const StreamOptions& stream,
                              TableDescription description) {
    require_open();
    definitions_.push_back({table_id, version, false, stream, std::move(description)});
}

void WriteBatch::drop_table(std::uint64_t table_id) {
    require_open();
    definitions_.push_back({table_id, 0, true, {}, {}});
}

bool WriteBatch::find(std::uint64_t operation, RowOperation& found) const {
    OperationReader reader(body_, operations_);
    while (reader.next(found)) {
        if (found.offset == operation) return true;
    }
    return false;
}

bool WriteBatch::frees() const {
    // A DROP also writes rows of the catalog.
    for (const Definition& definition : definitions_) {
        if (definition.dropped) return true;
    }
    OperationReader reader(body_, operations_);
    RowOperation operation;
    while (reader.next(operation)) {
        if (operation.kind != OperationKind::kDelete) return false;
    }
    return true;
}

WriteBatch::Mark WriteBatch::mark() const {
    return {operations_, body_.size(), uses_.size(), partition_begin_, partition_size_, table_id_};
}

void WriteBatch::back_to(const Mark& mark) {
    operations_ = mark.operations;
    body_.resize(mark.body);
    uses_.resize(mark.uses);
    partition_begin_ = mark.partition_begin;
    partition_size_ = mark.partition_size;
    table_id_ = mark.table_id;
}

Store::Store(std::shared_ptr<FileSystem> files, std::string directory, std::shared_ptr<Clock> clock,
             std::shared_ptr<RandomSource> random, const StoreOptions& options)
    : files_(std::move(files)),
      directory_(std::move(directory)),
      clock_(std::move(clock)),
      random_(random),
      options_(options),
      hash_seed_(random->next_u64()),
      cache_(static_cast<std::size_t>(options.hot_cache_bytes)),
      cold_cache_(static_cast<std::size_t>(options.cold_cache_bytes)),
      cold_(std::make_shared<ColdRegistry>(static_cast<std::size_t>(options.cold_partitions_max),
                                           [this](std::string_view key) {
                                               FoundRow found;
                                               return pin().get(kColdPartitionsTable, {}, key,
                                                                ~std::uint64_t{0}, false, found);
                                           })),
      streams_(options.stream_bytes_max),
      // The rest of the interval is for the sync itself.
      sync_wait_(options.sync_interval_ms * 3 / 4) {
    load_checkpoint();
    open_log();
    published_.store(last_, std::memory_order_release);
    opened_at_ = last_;
    std::int64_t after = lease_end_ms_ ? snowflake_of(lease_end_ms_ - 1, kSnowflakeWorkers - 1, 4095) : 0;
    snowflakes_ = std::make_unique<Snowflakes>(options.worker_id, after, clock_);
    snowflakes_->set_lease([this](std::int64_t wanted_ms) { return extend_lease(wanted_ms); }, lease_end_ms_);
}

Store::~Store() {
    {
        // A checkpoint that waits for definitions waits for nobody any more.
        std::lock_guard guard(commit_mutex_);
        closed_.store(true, std::memory_order_release);
        definitions_told_.notify_all();
    }
    stop_checkpointer();
    stop_housekeeper();
}

std::shared_ptr<const Tiers> Store::tiers() const {
    std::lock_guard guard(tiers_mutex_);
    if (!tiers_) throw Error("the store is closed");
    return tiers_;
}

// What nobody reads any more is given up at once, files with it, and not when the store is destroyed: who
// closed a database may unmount where it was.
void Store::forget_tiers() {
    std::shared_ptr<const Tiers> last;
    std::lock_guard commit_guard(commit_mutex_);
    {
        std::lock_guard guard(tiers_mutex_);
        last = std::move(tiers_);
        tiers_ = nullptr;
        memtable_ = nullptr;
    }
    last.reset();
    cache_.clear();
    cold_cache_.clear();
}

// REQUIRES: the commit lock, or that nobody else knows the store yet.
void Store::set_tiers(std::shared_ptr<const Tiers> tiers) {
    std::lock_guard guard(tiers_mutex_);
    tiers_ = std::move(tiers);
    memtable_ = tiers_->active.get();
    generation_.store(tiers_->generation, std::memory_order_release);
}

// Both under the lock: whatever is published by then is in these tiers, and what their segments hold was
// published before they were installed.
View Store::pin() const {
    View view;
    view.store_ = this;
    std::lock_guard guard(tiers_mutex_);
    if (!tiers_) throw Error("the store is closed");
    view.tiers_ = tiers_;
    view.snapshot_ = published_.load(std::memory_order_acquire);
    return view;
}

void Store::replay(RecordType type, std::uint64_t lsn, std::string_view payload) {
    try {
        if (type == RecordType::id_lease) {
            // The last one counts, not the highest: a clean close gives back what was not used.
            std::uint64_t end_ms = take_u64(payload);
            if (end_ms >> 42) throw Error("its time cannot be");
            lease_end_ms_ = static_cast<std::int64_t>(end_ms);
        } else if (type == RecordType::commit || type == RecordType::replacing) {
            if (lsn <= checkpoint_.lsn) return;
            CommitRecord commit(payload, type == RecordType::replacing);
            OperationReader reader(commit.body, commit.operations);
            RowOperation operation;
            Partition* partition = nullptr;
            while (reader.next(operation)) {
                if (operation.offset >= commit.taken)
                    throw Error("an operation is outside of its sequence numbers");
                if (!operation.same_partition) {
                    partition = memtable_->partition(operation.table_id, operation.partition);
                }
                Node* node = memtable_->node(partition, operation.key);
                memtable_->push(partition, node, commit.first + operation.offset, operation.row,
                                operation.kind == OperationKind::kDelete);
            }
            last_ = std::max(last_, commit.first + commit.taken - 1);
        }
    } catch (const Error& e) {
        throw Corruption(
            directory_, 0,
            "record " + std::to_string(lsn) + " of the log is whole but makes no sense: " + e.what());
    }
}

void Store::define_table(std::uint64_t table_id, std::uint32_t version, const StreamOptions& stream,
                         TableDescription description) {
    std::lock_guard guard(commit_mutex_);
    if (closed()) throw Error("the store is closed");
    bool streamed = stream.ttl_us > 0;
    if (streamed) {
        streams_.define(table_id, stream);
        start_housekeeper();
    }
    tables_[table_id] = {version, false, streamed, std::move(description)};
}

void Store::drop_table(std::uint64_t table_id) {
    std::lock_guard guard(commit_mutex_);
    if (closed()) throw Error("the store is closed");
    tables_[table_id] = {0, true, false, {}};
}

void Store::set_tables(const WriteBatch& batch, CommitTicket& ticket) {
    ticket.replaced.reserve(batch.definitions_.size());
    for (const WriteBatch::Definition& definition : batch.definitions_) {
        auto known = tables_.find(definition.table_id);
        bool stream = definition.stream.ttl_us > 0;
        if (definition.dropped) stream = known != tables_.end() && known->second.stream;
        ticket.replaced.emplace_back(definition.table_id, known == tables_.end()
                                                              ? std::optional<TableState>()
                                                              : std::optional<TableState>(known->second));
        if (stream && !definition.dropped) {
            streams_.define(definition.table_id, definition.stream);
            start_housekeeper();
        }
        tables_[definition.table_id] = {definition.version, definition.dropped, stream,
                                        definition.description};
    }
}

void Store::restore_tables(CommitTicket& ticket) {
    for (; !ticket.replaced.empty(); ticket.replaced.pop_back()) {
        auto& [table_id, state] = ticket.replaced.back();
        if (state) {
            tables_[table_id] = *state;
        } else {
            tables_.erase(table_id);
        }
    }
}

void Store::check_tables(const WriteBatch& batch) const {
    for (const WriteBatch::Use& use : batch.uses_) {
        auto known = tables_.find(use.table_id);
        if (known != tables_.end() && !known->second.dropped && known->second.version == use.version)
            continue;
        auto at = static_cast<std::int64_t>(use.operation);
        std::string name = "table " + std::to_string(use.table_id);
        if (known == tables_.end()) throw WriteConflict(name + " is not known; define it first", at);
        if (known->second.dropped)
            throw WriteConflict(name + " was dropped; evaluate the statement anew", at);
        throw WriteConflict(name + " has schema version " + std::to_string(known->second.version) + ", not " +
                                std::to_string(use.version) + "; evaluate the statement anew",
                            at);
    }
}

std::int64_t Store::stream_now_us(std::uint64_t newest) const {
    return std::max(clock_->now_us(), updated_us(newest));
}

// Applies the operations, unpublished, and says how many of them are for the log. `applied` counts them, so
// that they can be taken back where this throws.
std::uint64_t Store::apply(const WriteBatch& batch, std::uint64_t first, CommitTicket& ticket,
                           std::uint64_t& applied) {
    OperationReader reader(batch.body_, batch.operations_);
    RowOperation operation;
    Partition* partition = nullptr;
    std::vector<const Partition*> frozen;
    Node* node = nullptr;
    bool stream = false;
    std::uint64_t logged = 0;
    std::int64_t now_us = 0;
    ChangeSet* changes = nullptr;
    // In a large batch a second reader is some operations ahead, and asks for where their keys will be.
    OperationReader ahead(batch.body_, batch.operations_);
    RowOperation coming;
    bool looks_ahead = batch.operations_ >= kManyOperations;
    for (int at = 0; at < kOperationsAhead && looks_ahead; at++) looks_ahead = ahead.next(coming);
    while (reader.next(operation)) {
        if (looks_ahead && partition) {
            looks_ahead = ahead.next(coming);
            memtable_->expect(partition, coming.key);
        }
        if (!operation.same_partition) {
            stream = tables_.find(operation.table_id)->second.stream;
            if (!stream) partition = memtable_->partition(operation.table_id, operation.partition);
            frozen.clear();
            for (const auto& older : tiers_->frozen) {
                if (const Partition* rows = older->find(operation.table_id, operation.partition))
                    frozen.push_back(rows);
            }
            changes = feed_.any() ? changes_of(operation, ticket) : nullptr;
        }
        std::uint64_t newest = 0;
        bool live = false;
        std::string_view old_row;
        StreamRowPointer old_stream_row;
        if (stream) {
            if (!ticket.streamed) now_us = stream_now_us(std::max(last_, first));
            ticket.streamed = true;
            StreamHead head = streams_.head(operation.table_id, operation.partition, operation.key, now_us);
            newest = head.sequence;
            live = head.live;
            if (changes && live && operation.kind == OperationKind::kReplace) {
                old_stream_row = streams_.get(operation.table_id, operation.partition, operation.key,
                                              kAllSequences, false, now_us);
                if (old_stream_row) old_row = old_stream_row->row;
            }
        } else {
            node = memtable_->node(partition, operation.key);
            if (const Version* version = node->newest.load(std::memory_order_relaxed)) {
                newest = version->sequence;
                live = !version->deleted;
                old_row = version->row();
            } else if (!frozen.empty() || !batch.in_segments_.empty()) {
                NewestVersion below = newest_of(batch, operation, frozen);
                newest = below.sequence;
                live = below.live;
                old_row = below.row;
            }
        }
        auto index = static_cast<std::int64_t>(operation.offset);
        if (operation.kind == OperationKind::kInsert) {
            if (live) throw DuplicateKey(index);
            if (batch.of_transaction_ && newest > batch.snapshot_) {
                throw WriteConflict("the key came and went meanwhile; run the transaction again", index);
            }
        } else if (!live) {
            throw WriteConflict("the row is not there any more; evaluate the statement anew", index);
        } else if (newest > batch.snapshot_ && newest < first) {
            throw WriteConflict("the row was changed meanwhile; evaluate the statement anew", index);
        }
        bool deleted = operation.kind == OperationKind::kDelete;
        std::uint64_t sequence = first + operation.offset;
        if (stream) {
            streams_.push(operation.table_id, operation.partition, operation.key, sequence, operation.row,
                          deleted);
        } else {
            memtable_->push(partition, node, sequence, operation.row, deleted);
            logged++;
            if (operation.kind == OperationKind::kReplace) {
                bool told = operation.table_id >= kFirstTable && old_row.data();
                ticket.replaces = ticket.replaces || told;
                put_replaced(ticket.replaced_rows, told ? newest : 0, old_row);
            }
        }
        if (changes) {
            if (operation.kind != OperationKind::kReplace) old_row = {};
            changes->add(operation.kind, sequence, live ? newest : 0, operation.row, old_row);
        }
        applied++;
    }
    return logged;
}

// What is known of a key that the active memtable has no version of.
NewestVersion Store::newest_of(const WriteBatch& batch, const RowOperation& operation,
                               const std::vector<const Partition*>& frozen) const {
    for (const Partition* rows : frozen) {
        const Node* node = rows->find(operation.key);
        const Version* version = node ? node->newest.load(std::memory_order_acquire) : nullptr;
        if (version) return {version->sequence, !version->deleted, version->row()};
    }
    return batch.in_segments_.empty() ? NewestVersion() : batch.in_segments_[operation.offset];
}

// What takes reading files is done before the commit lock, and counts for as long as no rows move.
void Store::look_in_segments(WriteBatch& batch) const {
    if (looked_in_segments(batch)) return;
    std::shared_ptr<const Tiers> now = tiers();
    batch.in_segments_.clear();
    batch.held_.clear();
    bool any = false;
    for (const WriteBatch::Use& use : batch.uses_) {
        any = any || now->segments_of(use.table_id) || cold_->has_table(use.table_id);
    }
    if (any) {
        batch.in_segments_.resize(batch.operations_);
        OperationReader reader(batch.body_, batch.operations_);
        RowOperation operation;
        PartitionSources sources;
        while (reader.next(operation)) {
            if (!operation.same_partition)
                sources =
                    PartitionSources(*now, operation.table_id, operation.partition, ~std::uint64_t{0}, true);
            // What is replaced goes to the log, for those who resume from there.
            bool replaces = operation.kind == OperationKind::kReplace && operation.table_id >= kFirstTable;
            FoundRow found;
            batch.in_segments_[operation.offset] =
                newest_in_segments(sources, operation.key, replaces ? &found : nullptr);
            if (found.held) batch.held_.push_back(std::move(found.held));
        }
    }
    // Last: of a look that something cold was missing for, nothing counts.
    batch.probed_generation_ = now->generation;
}

bool Store::looked_in_segments(const WriteBatch& batch) const {
    return batch.probed_generation_ == generation_.load(std::memory_order_acquire);
}

// REQUIRES: no snapshot reaches `first`.
void Store::undo(const WriteBatch& batch, MemTable& memtable, std::uint64_t first, std::uint64_t operations) {
    OperationReader reader(batch.body_, batch.operations_);
    RowOperation operation;
    Partition* partition = nullptr;
    for (; operations > 0; operations--) {
        reader.next(operation);
        if (!operation.same_partition) {
            partition = const_cast<Partition*>(memtable.find(operation.table_id, operation.partition));
        }
        const Node* node = partition ? partition->find(operation.key) : nullptr;
        if (node) {
            memtable.pop(partition, const_cast<Node*>(node), first);
        } else if (streams_.any()) {
            streams_.pop(operation.table_id, operation.partition, operation.key, first,
                         first + batch.operations_ - 1);
        }
    }
}

std::uint64_t Store::append(const WriteBatch& batch, const CommitTicket& ticket, std::uint64_t logged) {
    std::string head;
    std::string_view body = batch.body_;
    std::string filtered;
    put_u64(head, ticket.first);
    put_varint(head, batch.operations_);
    put_varint(head, logged);
    if (ticket.replaces) put_bytes(head, ticket.replaced_rows);
    if (logged != batch.operations_) {
        // Rows of streams are left out, and what remains tells its own places in the block of sequence
        // numbers.
        OperationReader reader(batch.body_, batch.operations_);
        RowOperation operation;
        bool stream = false;
        bool introduced = false;
        while (reader.next(operation)) {
            if (!operation.same_partition) {
                stream = tables_.find(operation.table_id)->second.stream;
                introduced = false;
            }
            if (stream) continue;
            auto flags =
                static_cast<std::uint8_t>(static_cast<std::uint8_t>(operation.kind) | kOffsetFollows);
            filtered.push_back(static_cast<char>(introduced ? flags | kSamePartition : flags));
            put_varint(filtered, operation.offset);
            if (!introduced) {
                put_varint(filtered, operation.table_id);
                put_varint(filtered, operation.partition.size());
                filtered.append(operation.partition);
            }
            put_row(filtered, operation.key, operation.row);
            introduced = true;
        }
        body = filtered;
    }
    RecordType type = ticket.replaces ? RecordType::replacing : RecordType::commit;
    return log_->append(type, head, body, drops_known_, batch.frees());
}

// Says that rows of the table came past the log: who resumes from before `last` would miss them.
// REQUIRES: the commit lock.
std::uint64_t Store::append_gap(std::uint64_t table_id, std::uint64_t last) {
    std::string payload;
    put_varint(payload, table_id);
    put_u64(payload, last);
    return log_->append(RecordType::gap, payload, {}, drops_known_);
}

// Where the commit tells what it changes in the operation's partition; null where nobody listens to it.
// REQUIRES: the commit lock.
ChangeSet* Store::changes_of(const RowOperation& operation, CommitTicket& ticket) {
    std::shared_ptr<ChangeChannel> channel = feed_.find(operation.table_id, operation.partition);
    if (!channel) return nullptr;
    if (!channel->building) {
        auto made = std::make_shared<ChangeSet>();
        ticket.changes.emplace_back(channel, made);
        channel->building = std::move(made);
    }
    return channel->building.get();
}

std::shared_ptr<ChangeReader> Store::listen(std::uint64_t table_id, std::string_view partition,
                                            std::uint64_t id, std::shared_ptr<ChangeWaker> waker,
                                            std::size_t bytes_max) {
    std::shared_ptr<ChangeReader> reader;
    std::uint64_t wanted;
    {
        std::lock_guard guard(commit_mutex_);
        require_writable();
        reader = feed_.open(table_id, partition, id, std::move(waker), bytes_max);
        wanted = last_;
    }
    // What was begun before did not know of it, and is to be in every view that is pinned from here on.
    std::unique_lock lock(pending_mutex_);
    pending_waiters_++;
    pending_changed_.wait(lock, [&] {
        publish_pending();
        return !oldest_pending_ || oldest_pending_->first > wanted;
    });
    pending_waiters_--;
    return reader;
}

void Store::require_writable() const {
    if (closed()) throw Error("the store is closed");
    if (!poison_.empty()) throw Poisoned(poison_);
}

void Store::require_hot_directory() const {
    if (options_.hot_directory.empty()) {
        throw Error("the store was opened without a directory for hot segments");
    }
}

void Store::begin_locked(WriteBatch& batch, bool sync, CommitTicket& ticket) {
    require_writable();
    batch.require_open();
    undo_dropped();
    ticket.batch = &batch;
    ticket.memtable = memtable_;
    ticket.sync = sync;
    ticket.first = std::max(last_ + 1, sequence_by_clock());
    ticket.last = batch.operations_ ? ticket.first + batch.operations_ - 1 : last_;
    std::uint64_t applied = 0;
    auto end_building = [&ticket] {
        for (const auto& [channel, set] : ticket.changes) channel->building.reset();
    };
    try {
        if (!batch.definitions_.empty()) set_tables(batch, ticket);
        check_tables(batch);
        std::uint64_t logged = apply(batch, ticket.first, ticket, applied);
        end_building();
        // Last, for only a record that was not appended can be taken back here.
        if (logged && !sync) start_housekeeper();
        if (logged) ticket.lsn = append(batch, ticket, logged);
    } catch (...) {
        end_building();
        undo(batch, *ticket.memtable, ticket.first, applied);
        restore_tables(ticket);
        throw;
    }
    last_ = ticket.last;
    batch.state_.store(WriteBatch::State::kCommitting, std::memory_order_relaxed);
    if (memtable_->bytes() >= options_.memtable_bytes && !options_.hot_directory.empty())
        start_checkpointer();
    enqueue(ticket);
}

// REQUIRES: the commit lock.
void Store::enqueue(CommitTicket& ticket) {
    std::lock_guard guard(pending_mutex_);
    ticket.older = newest_pending_;
    if (newest_pending_) {
        newest_pending_->newer = &ticket;
    } else {
        oldest_pending_ = &ticket;
    }
    newest_pending_ = &ticket;
    // A commit with a record writes those before it as well. One without cannot: it waits until they are
    // written.
    ticket.waits = ticket.held || (ticket.lsn ? ticket.sync : ticket.older != nullptr);
    for (const CommitTicket* at = ticket.older; at && !ticket.waits; at = at->older) ticket.waits = at->waits;
}

bool Store::try_begin(WriteBatch& batch, bool sync, CommitTicket& ticket) {
    if (generation_.load(std::memory_order_acquire)) look_in_segments(batch);
    std::unique_lock lock(commit_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !looked_in_segments(batch) || must_wait_for_memory()) return false;
    begin_locked(batch, sync, ticket);
    return true;
}

void Store::begin(WriteBatch& batch, bool sync, CommitTicket& ticket) {
    for (;;) {
        if (generation_.load(std::memory_order_acquire)) look_in_segments(batch);
        std::unique_lock lock(commit_mutex_);
        if (!looked_in_segments(batch)) continue;
        if (must_wait_for_memory()) {
            lock.unlock();
            std::unique_lock waiting(checkpointer_mutex_);
            memory_freed_.wait_for(waiting, kCheckpointPause / 10);
            continue;
        }
        begin_locked(batch, sync, ticket);
        return;
    }
}

std::uint64_t Store::commit(WriteBatch& batch, bool sync) {
    CommitTicket ticket;
    begin(batch, sync, ticket);
    return finish(ticket);
}

std::uint64_t Store::finish(CommitTicket& ticket) {
    if (ticket.lsn) {
        try {
            log_->flush(ticket.lsn, ticket.sync);
        } catch (const std::exception&) {
            // A flush fails where there was no room, and where the log is poisoned.
            meet_failure();
        }
        if (!ticket.sync) wake_housekeeper();
    }
    {
        std::unique_lock lock(pending_mutex_);
        publish_pending();
        while (!ticket.done) {
            pending_waiters_++;
            pending_changed_.wait(lock);
            pending_waiters_--;
            publish_pending();
        }
    }
    if (ticket.error) {
        ticket.batch->state_.store(WriteBatch::State::kOpen, std::memory_order_relaxed);
        std::rethrow_exception(ticket.error);
    }
    ticket.batch->state_.store(WriteBatch::State::kCommitted, std::memory_order_relaxed);
    return ticket.last;
}

void Store::unlink(CommitTicket& ticket) {
    (ticket.older ? ticket.older->newer : oldest_pending_) = ticket.newer;
    (ticket.newer ? ticket.newer->older : newest_pending_) = ticket.older;
    ticket.done = true;
}

// Publishes, in order, the commits that are where they asked to be.
// REQUIRES: the pending lock. A ticket that is done may be gone as soon as that is given up.
void Store::publish_pending() {
    if (!oldest_pending_) return;
    // A dropped record is above written() until undo_dropped has taken its commit away.
    std::uint64_t written = log_->written();
    std::uint64_t durable = log_->durable();
    bool published = false;
    while (CommitTicket* ticket = oldest_pending_) {
        if (ticket->held || ticket->lsn > (ticket->sync ? durable : written)) break;
        try {
            if (ticket->streamed || !ticket->replaced.empty()) settle_streams(*ticket);
        } catch (const std::bad_alloc&) {
            // What could not go now goes with a later commit.
        }
        published_.store(ticket->last, std::memory_order_release);
        for (const auto& [channel, set] : ticket->changes) {
            set->last = ticket->last;
            feed_.publish(*channel, set);
        }
        unlink(*ticket);
        published = true;
    }
    if (published && pending_waiters_) pending_changed_.notify_all();
}

// What can only be done once nothing takes the commit back: the oldest rows of streams make room, and dropped
// tables go.
void Store::settle_streams(const CommitTicket& ticket) {
    for (const WriteBatch::Definition& definition : ticket.batch->definitions_) {
        if (definition.dropped) streams_.drop(definition.table_id);
    }
    if (!ticket.streamed) return;
    OperationReader reader(ticket.batch->body_, ticket.batch->operations_);
    RowOperation operation;
    while (reader.next(operation)) {
        if (!operation.same_partition)
            streams_.settle_rows(operation.table_id, operation.partition, ticket.last);
    }
    streams_.settle_bytes(ticket.last);
}

// Takes back the commits whose records found no room. Until then nothing is appended, so that no commit
// builds upon them. REQUIRES: the commit lock.
void Store::undo_dropped() {
    std::uint64_t drops = log_->drops();
    if (drops == drops_known_) return;
    std::lock_guard guard(pending_mutex_);
    std::uint64_t written = log_->written();
    // Newest first, so that each finds its own versions on top; commits without a record stay.
    for (CommitTicket* ticket = newest_pending_; ticket;) {
        CommitTicket* older = ticket->older;
        if (ticket->lsn > written) take_back(*ticket, error_of(*ticket));
        ticket = older;
    }
    drops_known_ = drops;
    pending_changed_.notify_all();
}

// Why a commit was not written, or not synced. REQUIRES: its record was dropped, or the log is poisoned.
std::exception_ptr Store::error_of(const CommitTicket& ticket) {
    try {
        if (ticket.lsn) log_->flush(ticket.lsn, ticket.sync);
        throw Poisoned(poison_);
    } catch (...) {
        return std::current_exception();
    }
}

// REQUIRES: the commit lock and the pending lock.
void Store::take_back(CommitTicket& ticket, std::exception_ptr error) {
    ticket.error = std::move(error);
    if (ticket.batch) undo(*ticket.batch, *ticket.memtable, ticket.first, ticket.batch->operations_);
    if (!ticket.replaced.empty()) definitions_taken_back_++;
    restore_tables(ticket);
    unlink(ticket);
}

// REQUIRES: the commit lock.
void Store::learn_poison() {
    try {
        // A record that cannot be: a sound log knows nothing of it, a poisoned one says why.
        log_->flush(~std::uint64_t{0}, false);
    } catch (const Poisoned& e) {
        try {
            if (poison_.empty()) poison_ = e.what();
        } catch (const std::bad_alloc&) {
            poison_ = "out of memory";
        }
    } catch (const std::exception&) {
    }
}

void Store::meet_failure() {
    std::lock_guard commit_guard(commit_mutex_);
    undo_dropped();
    learn_poison();
    if (poison_.empty()) return;
    std::lock_guard guard(pending_mutex_);
    publish_pending();
    while (newest_pending_) take_back(*newest_pending_, error_of(*newest_pending_));
    pending_changed_.notify_all();
}

bool View::get(std::uint64_t table_id, std::string_view partition, std::string_view key,
               std::uint64_t snapshot, bool deleted, FoundRow& found) const {
    PartitionSources sources(*tiers_, table_id, partition, snapshot, with_cold_);
    if (!sources.empty()) return get_row(sources, tiers_, key, snapshot, deleted, found);
    if (!store_->streams_.any()) return false;
    StreamRowPointer row = store_->streams_.get(table_id, partition, key, snapshot, deleted,
                                                store_->stream_now_us(store_->snapshot()));
    if (!row) return false;
    found.row = reference(*row);
    found.held = std::move(row);
    return true;
}

std::unique_ptr<RowSource> View::rows(std::uint64_t table_id, std::string_view partition,
                                      std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                      bool deleted, bool with_keys) const {
    PartitionSources sources(*tiers_, table_id, partition, snapshot, with_cold_);
    if (!sources.empty()) return row_source(sources, tiers_, snapshot, bounds, reverse, deleted);
    return store_->stream_rows(table_id, partition, snapshot, bounds, reverse, deleted, with_keys);
}

std::uint64_t View::count(std::uint64_t table_id, std::string_view partition, std::uint64_t snapshot) const {
    PartitionSources sources(*tiers_, table_id, partition, snapshot, with_cold_);
    if (!sources.empty()) return count_rows(sources, tiers_, snapshot);
    if (!store_->streams_.any()) return 0;
    return store_->streams_.count(table_id, partition, snapshot, store_->stream_now_us(store_->snapshot()));
}

std::uint64_t View::count_all(std::uint64_t table_id, std::uint64_t snapshot) const {
    std::uint64_t rows = 0;
    if (has_cold(table_id)) {
        for (const std::string& partition : partitions(table_id))
            rows += count(table_id, partition, snapshot);
        return rows;
    }
    if (store_->streams_.any()) {
        std::int64_t now_us = store_->stream_now_us(store_->snapshot());
        for (const std::string& partition : store_->streams_.partitions(table_id, snapshot)) {
            rows += store_->streams_.count(table_id, partition, snapshot, now_us);
        }
    }
    return rows + count_all_rows(tiers_, table_id, snapshot);
}

std::vector<std::string> View::partitions(std::uint64_t table_id) const {
    std::vector<std::string> names = store_->streams_.any() ? store_->streams_.partitions(table_id, snapshot_)
                                                            : std::vector<std::string>();
    auto add = [&](const MemTable& table) {
        for (const Partition* partition : table.partitions(table_id)) {
            if (partition->any(snapshot_)) names.emplace_back(partition->name());
        }
    };
    add(*tiers_->active);
    for (const auto& table : tiers_->frozen) add(*table);
    if (const SegmentList* list = tiers_->segments_of(table_id)) {
        for (const auto& segment : *list) {
            for (const PartitionRange& range : segment->partitions()) names.emplace_back(range.name);
        }
    }
    if (has_cold(table_id)) {
        std::string low = cold_partition_key(table_id, {});
        std::string high = low;
        high.back()++;
        std::string_view low_view = low, high_view = high;
        auto source = rows(kColdPartitionsTable, {}, snapshot_, {&low_view, &high_view}, false, false, true);
        RowRef row;
        std::string_view key;
        while (source->next(&row, 1, &key)) names.emplace_back(key.substr(low.size()));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::vector<ArrowBatch> View::rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                            std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                            const RowReader& reader, const std::vector<int>& columns,
                                            std::int64_t batch_rows) const {
    PartitionSources sources(*tiers_, table_id, partition, snapshot, with_cold_);
    if (sources.runs.empty()) {
        return Readable::rows_as_arrow(table_id, partition, snapshot, bounds, deleted, reader, columns,
                                       batch_rows);
    }
    std::vector<ArrowBatch> batches;
    kalam::rows_as_arrow(sources, tiers_, snapshot, bounds, deleted, reader, columns, batch_rows, batches);
    return batches;
}

std::vector<ArrowBatch> View::hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                                std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                                const RowReader& reader, const std::vector<int>& columns,
                                                std::int64_t batch_rows) const {
    std::vector<ArrowBatch> batches;
    append_as_arrow(*hot().rows(table_id, partition, snapshot, bounds, false, deleted), reader, columns,
                    batch_rows, batches);
    return batches;
}

std::unique_ptr<RowSource> Store::stream_rows(std::uint64_t table_id, std::string_view partition,
                                              std::uint64_t snapshot, const Bounds& bounds, bool reverse,
                                              bool deleted, bool with_keys) const {
    if (!streams_.any())
        return std::make_unique<StreamRows>(std::vector<StreamRowPointer>(), std::vector<std::string>());
    std::vector<std::string> keys;
    std::vector<StreamRowPointer> found =
        streams_.scan(table_id, partition, snapshot, bounds, reverse, deleted,
                      stream_now_us(this->snapshot()), with_keys ? &keys : nullptr);
    return std::make_unique<StreamRows>(std::move(found), std::move(keys));
}

std::uint64_t Store::sequence_by_clock() const {
    std::int64_t now_ms = clock_->now_us() / 1000 - kEpochMs;
    return now_ms > 0 ? static_cast<std::uint64_t>(now_ms) << 22 : 0;
}

StoreStatistics Store::statistics() const {
    std::shared_ptr<const Tiers> now = tiers();
    StoreStatistics numbers{};
    auto add = [&](const MemTable& table) {
        numbers.memtable_bytes += table.bytes();
        numbers.memtable_entries += table.entries();
    };
    add(*now->active);
    for (const auto& table : now->frozen) add(*table);
    for (const auto& [table_id, list] : *now->segments) {
        for (const auto& segment : list) {
            numbers.hot_segments++;
            numbers.hot_bytes += segment->entry().file_bytes;
            numbers.hot_rows += static_cast<std::uint64_t>(segment->rows());
            numbers.hot_index_bytes += segment->index_bytes();
        }
    }
    numbers.hot_cache_bytes = cache_.bytes();
    numbers.cold_cache_bytes = cold_cache_.bytes();
    numbers.stream_bytes = streams_.bytes();
    numbers.stream_rows = streams_.rows();
    numbers.log_bytes = log_->bytes();
    numbers.last_sequence = snapshot();
    return numbers;
}

std::uint64_t Store::append_lease(std::int64_t end_ms) {
    std::string payload;
    put_u64(payload, static_cast<std::uint64_t>(end_ms));
    return log_->append(RecordType::id_lease, payload, {}, drops_known_, true);
}

// A lease is not synced: a commit that carries one of its ids stands behind it in the log. What is no commit
// asks for durable_snowflake.
std::int64_t Store::extend_lease(std::int64_t wanted_ms) {
    std::int64_t end_ms = wanted_ms + kLeaseMs;
    std::uint64_t lsn;
    {
        std::lock_guard guard(commit_mutex_);
        require_writable();
        undo_dropped();
        lsn = append_lease(end_ms);
        lease_end_ms_ = end_ms;
        lease_lsn_ = lsn;
    }
    log_->flush(lsn, false);
    return end_ms;
}

std::int64_t Store::durable_snowflake() {
    std::int64_t id = snowflakes_->one();
    std::uint64_t lsn;
    {
        std::lock_guard guard(commit_mutex_);
        require_writable();
        lsn = lease_lsn_;
    }
    // The lease that covers the id, or a later one. Most often it is on the disk already.
    if (!lsn) return id;
    try {
        log_->flush(lsn, true);
    } catch (...) {
        // From here on the store is refused what the log is.
        meet_failure();
        throw;
    }
    return id;
}

void Store::close() {
    bool poisoned;
    {
        std::lock_guard guard(commit_mutex_);
        if (closed_.exchange(true)) return;
        poisoned = !poison_.empty();
        definitions_told_.notify_all();
    }
    // A load finds the store closed from its next step on.
    std::unique_lock(loads_mutex_).unlock();
    stop_checkpointer();
    stop_housekeeper();
    // One that somebody asked for ends first.
    std::lock_guard no_checkpoint(checkpoint_mutex_);
    {
        std::unique_lock lock(pending_mutex_);
        publish_pending();
        pending_waiters_++;
        pending_changed_.wait(lock, [this] {
            publish_pending();
            return !oldest_pending_;
        });
        pending_waiters_--;
    }
    struct AtEnd {
        Store& store;
        ~AtEnd() { store.forget_tiers(); }
    } at_end{*this};
    // Waits for a lease on its way before the commit lock, as whoever extends one holds its own lock first.
    std::int64_t last_id = snowflakes_->last();
    std::lock_guard guard(commit_mutex_);
    // Nothing is written after a poison, whatever it came from: the log ends as a crash would leave it.
    if (!poison_.empty()) return;
    try {
        undo_dropped();
        if (last_id && snowflake_ms(last_id) + 1 != lease_end_ms_) append_lease(snowflake_ms(last_id) + 1);
        log_->close();
    } catch (const Error&) {
        // What poisoned the log was told to the commit that met it.
        if (!poisoned && poison_.empty()) throw;
    }
}

void Store::start_housekeeper() {
    if (!housekeeper_.joinable()) housekeeper_ = std::thread([this] { keep_house(); });
    if (streams_.any()) wake_housekeeper();
}

void Store::wake_housekeeper() {
    if (unsynced_.load(std::memory_order_relaxed)) return;
    unsynced_.store(true, std::memory_order_relaxed);
    std::lock_guard guard(house_mutex_);
    house_changed_.notify_one();
}

void Store::keep_house() {
    std::unique_lock lock(house_mutex_);
    auto stops = [this] { return house_stops_; };
    while (!house_stops_) {
        if (!unsynced_.load(std::memory_order_relaxed)) {
            auto wanted = [this] { return house_stops_ || unsynced_.load(std::memory_order_relaxed); };
            if (streams_.any()) {
                house_changed_.wait_for(lock, kPurgeInterval, wanted);
            } else {
                house_changed_.wait(lock, wanted);
            }
        }
        if (unsynced_.load(std::memory_order_relaxed) && !house_stops_) {
            // Some commits are gathered, then synced together.
            house_changed_.wait_for(lock, sync_wait_, stops);
            unsynced_.store(false, std::memory_order_relaxed);
            lock.unlock();
            try {
                log_->flush(log_->written(), true);
            } catch (const std::exception&) {
                meet_failure();
            }
            lock.lock();
        }
        if (streams_.any() && !house_stops_) {
            lock.unlock();
            streams_.purge(stream_now_us(snapshot()));
            lock.lock();
        }
    }
}

void Store::stop_housekeeper() {
    {
        std::lock_guard guard(house_mutex_);
        house_stops_ = true;
        house_changed_.notify_all();
    }
    if (housekeeper_.joinable()) housekeeper_.join();
}

}  // namespace kalam
