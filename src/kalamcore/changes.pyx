# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""Live queries: what commits changed in a partition, judged by a predicate and decoded."""

cimport cython
from cython.operator cimport dereference
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.algorithm cimport sort
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.rows cimport RowRef
from kalamcore.select_plan cimport Selection, SelectPlan
from kalamcore.store cimport CppReadable, Readable, Store

from kalamcore.errors import ValueMismatchError

INSERT = 0
UPDATE = 1
DELETE = 2

cdef enum:
    ROWS_AT_ONCE = 128
    LONG_RUN = 20000

cdef uint64_t NO_LIMIT = <uint64_t> -1


cdef bint is_before(const RowRef& a, const RowRef& b) noexcept nogil:
    return a.sequence < b.sequence


@cython.final
cdef class Waker:
    """Where one who listens to many partitions waits for any of them. Safe for threads."""

    def __cinit__(self):
        self.waker.reset(new CppWaker())

    def set_descriptor(self, int descriptor):
        """From now on a byte is written to it, which must not block, when there is news and was none; -1: no more."""
        dereference(self.waker).set_descriptor(descriptor)

    def wait(self, int64_t timeout_ms):
        """The ids of listeners that have news since they were last told, and 0 where interrupt() was called; waits for
        the first up to `timeout_ms` (negative: for ever)."""
        cdef CppWaker* waker = self.waker.get()
        cdef vector[uint64_t] ids
        cdef size_t at
        if timeout_ms == 0:
            ids = waker.wait(0)
        else:
            with nogil:
                ids = waker.wait(timeout_ms)
        return [ids[at] for at in range(ids.size())]

    def interrupt(self):
        """Makes one wait() return, the present one or the next."""
        dereference(self.waker).interrupt()


@cython.final
cdef class ChangeSet:
    """What one commit changed in one partition."""

    @property
    def last(self):
        """The commit's last sequence number."""
        return dereference(self.set).last

    @property
    def loaded(self):
        """How many rows were loaded past the log; 0 where they are told one by one."""
        if dereference(self.set).loaded.get() == NULL:
            return 0
        return dereference(dereference(self.set).loaded).rows()

    @property
    def nbytes(self):
        """Bytes that it takes."""
        return dereference(self.set).bytes()

    def __len__(self):
        return dereference(self.set).size()


cdef list change_sets(const vector[shared_ptr[const CppChangeSet]]& sets):
    cdef ChangeSet made
    cdef size_t at
    found = []
    for at in range(sets.size()):
        made = ChangeSet.__new__(ChangeSet)
        made.set = sets[at]
        found.append(made)
    return found


def changes_between(Store store not None, uint64_t table_id, bytes partition not None, uint64_t after, uint64_t until):
    """What commits changed in a partition behind `after` and up to `until`, which is published: ChangeSets.

    Raises HistoryGoneError where not all of it is known any more, IoError, CorruptionError."""
    cdef ListenedStore* below = <ListenedStore*> store.opened()
    cdef string_view name = partition
    cdef vector[shared_ptr[const CppChangeSet]] sets
    with nogil:
        sets = below.changes_between(table_id, name, after, until)
    return change_sets(sets)


# A collector that cleared the store first would leave close() without it.
@cython.final
@cython.no_gc_clear
cdef class Listener:
    """One listener's place in a partition's changes: whoever makes a view after it was made gets every commit behind
    that view from it, and perhaps some before.

    `identity`: what the waker tells of it. `bytes_max`: how much may wait for it; what is beyond, but for a single
    commit, is lost, and take() says so."""

    def __cinit__(self, Store store not None, uint64_t table_id, bytes partition not None, Waker waker not None, *,
                  uint64_t identity, size_t bytes_max):
        cdef ListenedStore* below = <ListenedStore*> store.opened()
        cdef string_view name = partition
        with nogil:
            self.reader = below.listen(table_id, name, identity, waker.waker, bytes_max)
        self.store = store
        self.waker = waker

    def __dealloc__(self):
        self.close()

    def take(self):
        """(what waits, oldest first; whether something was lost, and so nothing comes any more)."""
        cdef cpp_bool lagged = False
        cdef vector[shared_ptr[const CppChangeSet]] sets
        cdef ListenedStore* below = <ListenedStore*> self.store.store.get()
        sets = below.feed().take(dereference(self.reader), lagged)
        return change_sets(sets), lagged

    def move(self, Waker waker not None):
        """From now on another waker tells of it, at once where something waits."""
        (<ListenedStore*> self.store.store.get()).feed().move(dereference(self.reader), waker.waker)
        self.waker = waker

    def close(self):
        """Nothing comes any more. Closing again does nothing."""
        if self.reader.get() != NULL:
            (<ListenedStore*> self.store.store.get()).feed().close(dereference(self.reader))


@cython.final
cdef class LoadedRows:
    """The rows of a load, in key order, some at a time."""

    def __cinit__(self, ChangeSet set not None):
        self.set = set
        if not set.loaded:
            raise ValueError("nothing was loaded")
        self.source = rows_of_load(dereference(set.set))

    def next(self, LivePlan plan not None, size_t rows_max):
        """Rows that the plan wants among the next `rows_max`; None at the end. Raises as LivePlan.changes."""
        cdef RowRef[ROWS_AT_ONCE] rows
        cdef size_t count
        cdef size_t at
        cdef size_t seen = 0
        found = []
        while seen < rows_max:
            count = dereference(self.source).next(rows, ROWS_AT_ONCE)
            for at in range(count):
                if plan.holds(string_view(rows[at].data, rows[at].size)):
                    found.append(plan.decoded(string_view(rows[at].data, rows[at].size), rows[at].sequence))
            seen += count
            if count < ROWS_AT_ONCE:
                break
        return None if seen == 0 else found


@cython.final
cdef class LivePlan:
    """A live query over one schema version: the columns and the predicate of `plan`, its values bound.

    Raises ValueMismatchError where a value is of a kind that its column is not compared with here. Immutable; any
    thread may use it."""

    def __init__(self, SelectPlan plan not None, tuple parameters not None, literals):
        cdef size_t at
        self.plan = plan
        # Their bytes are what is compared with.
        self.parameters = parameters
        self.literals = literals
        self.held = []
        self.constants.resize(plan.slots.size())
        for at in range(plan.slots.size()):
            if plan.bind(plan.slots[at], parameters, literals, &self.constants[at], self.held) != 0:
                raise ValueMismatchError("a value is of a kind that its column is not compared with", -1, -1)
        self.predicate.reset(new RowPredicate(plan.plan.predicate, dereference(plan.reader.reader), self.constants))

    cdef bint holds(self, string_view row) except -1:
        if self.plan.plan.predicate.empty():
            return True
        cdef OpeningReader* reader = <OpeningReader*> self.plan.reader.reader.get()
        return dereference(self.predicate).holds(reader.open(row.data(), row.size()))

    cdef object decoded(self, string_view row, uint64_t sequence):
        return self.plan.reader.decode_view(row.data(), row.size(), self.plan.columns, sequence, False)

    # All rows behind `after`, in order of `_seq`; valid while the selection is.
    cdef vector[RowRef] selected(self, Readable reader, bytes partition, uint64_t after,
                                 unique_ptr[Selection]& selection) except *:
        cdef CppReadable* core = reader.readable()
        cdef vector[Constant] constants = self.constants
        cdef Selection* running
        cdef cpp_bool done = False
        cdef vector[RowRef] rows
        cdef size_t at
        cdef size_t kept = 0
        selection.reset(new Selection(
            self.plan.plan, dereference(core), dereference(self.plan.reader.reader), self.plan.table_id, partition,
            core.snapshot(), constants, NO_LIMIT, 0))
        running = selection.get()
        with nogil:
            while not done:
                done = running.step(LONG_RUN)
            rows = running.rows()
            for at in range(rows.size()):
                if rows[at].sequence > after:
                    rows[kept] = rows[at]
                    kept += 1
            rows.resize(kept)
            sort(rows.begin(), rows.end(), &is_before)
        return rows

    def snapshot(self, Readable reader not None, bytes partition not None, limit=None):
        """The rows as tuples, in order of `_seq`; where there is a `limit`, the last so many.

        Raises ColdMissError, CorruptionError."""
        return self.page(reader, partition, limit, 0, NO_LIMIT, NO_LIMIT)[0]

    def page(self, Readable reader not None, bytes partition not None, limit, uint64_t after, size_t rows_max,
             size_t bytes_max):
        """(the first rows behind `after`, how many are behind them); where there is a `limit`, of the last so many.

        As many as there may be, and whose encoded bytes there may be, but one at least. Raises as snapshot."""
        cdef unique_ptr[Selection] selection
        cdef vector[RowRef] rows = self.selected(reader, partition, after, selection)
        cdef size_t at = 0
        cdef size_t wanted
        cdef size_t bytes = 0
        if limit is not None:
            wanted = limit
            if wanted < rows.size():
                at = rows.size() - wanted
        found = []
        while at < rows.size() and <size_t> len(found) < rows_max:
            bytes += rows[at].size
            if found and bytes > bytes_max:
                break
            found.append(self.decoded(string_view(rows[at].data, rows[at].size), rows[at].sequence))
            at += 1
        return found, rows.size() - at

    def changes(self, ChangeSet set not None, uint64_t after):
        """(kind, its _seq, the new row or None, the old row or None) for each change behind `after` that is one here.

        A row that comes to be wanted is an INSERT, one that is no longer wanted a DELETE. `_seq` of a deleted row is
        the deletion's own. Raises CorruptionError; LookupError where the row that was replaced is not known."""
        cdef const CppChangeSet* changed = set.set.get()
        cdef Change change
        cdef bint wanted
        cdef bint was_wanted
        cdef size_t at
        found = []
        for at in range(changed.size()):
            change = changed.at(at)
            if change.sequence <= after:
                continue
            wanted = self.holds(change.row)
            if change.kind == ChangeKind.kInsert:
                if wanted:
                    found.append((INSERT, change.sequence, self.decoded(change.row, change.sequence), None))
                continue
            if change.kind == ChangeKind.kDelete:
                if wanted:
                    found.append((DELETE, change.sequence, None, self.decoded(change.row, change.sequence)))
                continue
            if change.previous == 0:
                raise LookupError
            was_wanted = self.holds(change.old_row)
            if wanted and was_wanted:
                found.append((UPDATE, change.sequence, self.decoded(change.row, change.sequence),
                              self.decoded(change.old_row, change.previous)))
            elif wanted:
                found.append((INSERT, change.sequence, self.decoded(change.row, change.sequence), None))
            elif was_wanted:
                found.append((DELETE, change.sequence, None, self.decoded(change.old_row, change.sequence)))
        return found
