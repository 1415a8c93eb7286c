// Several statements as one commit: the rows of a snapshot with the transaction's own writes laid over them.
//
// The overlay is a memtable of its own. Its versions carry provisional sequence numbers, above all that the
// snapshot shows and in the order of writing; the commit gives the final ones.
//
// Thread safety: one thread at a time; several may read while none writes.
// Invariant: nothing of it is in the store. To roll back is to forget it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "memtable.hpp"
#include "store.hpp"

namespace kalam {

class Transaction final : public Readable {
  public:
    // Of the rows as they are now, which it pins. REQUIRES: `store` outlives it.
    explicit Transaction(const Store& store);
    // Of the rows as they were; a read throws SnapshotGone where they are not kept any more.
    Transaction(const Store& store, std::uint64_t snapshot);

    std::uint64_t snapshot() const override { return snapshot_; }
    // Operations that were taken and not taken back.
    std::size_t size() const { return writes_.size(); }

    // Takes a statement's operations, all or none; returns the provisional sequence number of the last.
    // Throws DuplicateKey where a row that is inserted is visible here, WriteConflict where one that is
    // replaced or deleted is not, Error for a batch that was taken before or that defines tables.
    std::uint64_t write(WriteBatch& batch);
    // As if nothing from operation `size` on had been taken. REQUIRES: it is what size() was.
    void back_to(std::size_t size);
    // Adds what it comes to, one operation a key, in the order of the last writes. A row that came and went
    // again adds nothing. REQUIRES: `batch` is empty, of this snapshot and `of_transaction`.
    void collect(WriteBatch& batch) const;

    // As the store's, at the transaction's snapshot: REQUIRES `snapshot` to be that. Rows are valid while the
    // transaction and the store are. Of own tombstones those that hide a row of the snapshot are shown.
    bool get(std::uint64_t table_id, std::string_view partition, std::string_view key, std::uint64_t snapshot,
             bool deleted, FoundRow& found) const override;
    std::unique_ptr<RowSource> rows(std::uint64_t table_id, std::string_view partition,
                                    std::uint64_t snapshot, const Bounds& bounds, bool reverse, bool deleted,
                                    bool with_keys = false) const override;
    std::uint64_t count(std::uint64_t table_id, std::string_view partition,
                        std::uint64_t snapshot) const override;
    std::uint64_t count_all(std::uint64_t table_id, std::uint64_t snapshot) const override;
    std::vector<std::string> partitions(std::uint64_t table_id) const override;
    std::vector<ArrowBatch> rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                          std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                          const RowReader& reader, const std::vector<int>& columns,
                                          std::int64_t batch_rows) const override;
    std::vector<ArrowBatch> hot_rows_as_arrow(std::uint64_t table_id, std::string_view partition,
                                              std::uint64_t snapshot, const Bounds& bounds, bool deleted,
                                              const RowReader& reader, const std::vector<int>& columns,
                                              std::int64_t batch_rows) const override;

  private:
    struct Write {
        Partition* partition;
        Node* node;
        std::uint64_t sequence;
        std::uint32_t version;  // of the table's schema
    };

    bool in_snapshot(const Partition& partition, std::string_view key) const;

    const Store& store_;
    const View below_;
    const std::uint64_t snapshot_;
    std::uint64_t next_;
    MemTable own_;
    std::vector<Write> writes_;
};

}  // namespace kalam
