# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""INSERT, and UPDATE and DELETE of one row by its key, from values to the log in one native pass."""

import datetime
import decimal
import uuid
from time import perf_counter_ns

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.datetime cimport PyDateTime_CheckExact, import_datetime
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view

from kalamcore.cursor cimport Cursor, new_cursor
from kalamcore.rows cimport Layout, Reader, append_key_of, timestamp_value
from kalamcore.store cimport CppReadable, CppWriteBatch, FoundRow, OperationKind, Store, Transaction, room_for

from kalamcore.errors import ValueMismatchError

import_datetime()

PARAMETER = 0
LITERAL = 1
CONSTANT = 2
NOW = 3
GENERATED = 4
USER = 5

cdef enum:
    FROM_PARAMETER = 0
    FROM_LITERAL = 1
    FROM_CONSTANT = 2
    FROM_NOW = 3
    FROM_GENERATED = 4
    FROM_USER = 5

cdef object Decimal = decimal.Decimal
cdef object UuidType = uuid.UUID
cdef object Date = datetime.date
cdef object Time = datetime.time
cdef size_t KEPT_BYTES_MAX = 1 << 20
# Rows after which it is known how much room the rest will take.
cdef Py_ssize_t SAMPLED_ROWS = 1000


cdef extern from *:
    """
    #include <memory>
    #include "store.hpp"

    namespace kalam {
    // Each thread keeps one batch for its memory. Taken, not lent: the Python code of a value may come back here.
    inline std::unique_ptr<WriteBatch>& kept_batch() {
        static thread_local std::unique_ptr<WriteBatch> kept;
        return kept;
    }
    inline std::unique_ptr<WriteBatch> take_batch(std::uint64_t snapshot) {
        std::unique_ptr<WriteBatch> batch = std::move(kept_batch());
        if (!batch) return std::make_unique<WriteBatch>(snapshot);
        batch->reuse(snapshot);
        return batch;
    }
    inline void keep_batch(std::unique_ptr<WriteBatch>& batch, std::size_t bytes_max) {
        if (batch && batch->bytes() <= bytes_max) kept_batch() = std::move(batch);
    }
    }  // namespace kalam
    """
    unique_ptr[CppWriteBatch] take_batch "kalam::take_batch"(uint64_t snapshot)
    void keep_batch "kalam::keep_batch"(unique_ptr[CppWriteBatch]& batch, size_t bytes_max)


cdef inline object item(object of, Py_ssize_t index):
    # `of` is a list or a tuple, as long as the caller found it; a list may have been changed by a value's own code.
    if type(of) is tuple:
        if index < PyTuple_GET_SIZE(of):
            return <object> PyTuple_GET_ITEM(of, index)
    elif index < PyList_GET_SIZE(of):
        return <object> PyList_GET_ITEM(of, index)
    raise ValueMismatchError("a value is missing", -1, -1)


cdef inline bint fits(int code, object value):
    """Whether it is exactly of the Python type of its column."""
    if code == 8:
        return type(value) is str
    if code == 2 or code == 3 or code == 4:
        return type(value) is int
    if code == 10:
        return PyDateTime_CheckExact(value)
    if code == 5 or code == 6:
        return type(value) is float
    if code == 1:
        return type(value) is bool
    if code == 9:
        return type(value) is bytes
    if code == 7:
        return type(value) is Decimal
    if code == 11:
        return type(value) is Date
    if code == 12:
        return type(value) is Time
    if code == 13:
        return type(value) is UuidType
    return False


@cython.final
cdef class _Cells:
    """The sources of cells. `columns`: for each the position of its column."""

    def __init__(self, sources, columns, types, codes, convert, now_us):
        cdef Cell cell
        cdef list constants = []
        for (source, what), column in zip(sources, columns, strict=True):
            cell.source = source
            cell.index = 0
            if source == FROM_PARAMETER or source == FROM_LITERAL:
                cell.index = what
            elif source == FROM_CONSTANT or source == FROM_GENERATED:
                cell.index = len(constants)
                constants.append(what)
            cell.code = codes[column]
            cell.always = cell.code == 14
            if source == FROM_NOW:
                self.asks_now = True
            self.cells.push_back(cell)
        self.constants = tuple(constants)
        self.types = tuple(types)
        self.convert = convert
        self.now_us = now_us

    cdef object now(self):
        return timestamp_value(self.now_us()) if self.asks_now else None

    cdef object value(self, const Cell* cell, Py_ssize_t column, object given, object literals, object user,
                      object now):
        cdef object value
        if cell.source == FROM_PARAMETER:
            value = item(given, cell.index)
        elif cell.source == FROM_LITERAL:
            value = item(literals, cell.index)
        elif cell.source == FROM_CONSTANT:
            # Converted when the plan was made.
            return self.constants[cell.index]
        elif cell.source == FROM_GENERATED:
            return self.constants[cell.index]()
        elif cell.source == FROM_NOW:
            return now
        else:
            return user
        if value is None or (not cell.always and fits(cell.code, value)):
            return value
        return self.convert(value, self.types[column])


cdef object answer(type result, Py_ssize_t count, str message, int64_t started):
    cdef Cursor made = new_cursor(result)
    made.columns = ()
    made.rowcount = count
    made.message = message
    made.took_ms = (<int64_t> perf_counter_ns() - started) / 1e6
    return made


# What a statement sees: all that is published, or its transaction's own snapshot.
cdef inline uint64_t snapshot_of(Store store, Transaction transaction) except? 0:
    if transaction is None:
        return store.opened().snapshot()
    return transaction.readable().snapshot()


cdef inline int take(Store store, Transaction transaction, CppWriteBatch* batch, bint sync) except -1:
    if transaction is None:
        store.commit_operations(batch, sync)
    else:
        transaction.write_operations(batch)
    return 0


cdef bytes NOBODY = b""


cdef inline bytes partition_of(bint shared, object user):
    return NOBODY if shared else (<str> user).encode()


@cython.final
cdef class InsertPlan:
    """INSERT … VALUES into one table at one schema version.

    Thread safety: every method may be called from any thread.
    """

    def __init__(self, Store store not None, uint64_t table_id, bint shared, Layout layout not None, rows,
                 Py_ssize_t given, types, codes, convert, now_us, type result not None):
        cdef Py_ssize_t at
        self.result = result
        self.rows = len(rows)
        self.message = f"Inserted {self.rows} row(s)"
        self.store = store
        self.table_id = table_id
        self.shared = shared
        self.layout = layout
        self.version = layout.version
        self.width = len(types)
        self.given = given
        sources = [source for row in rows for source in row]
        self.cells = _Cells(sources, list(range(self.width)) * len(rows), types, codes, convert, now_us)
        self.in_order = len(rows) == 1 and self.width == given
        for at in range(len(sources)):
            if self.cells.cells[at].source != FROM_PARAMETER or self.cells.cells[at].index != at:
                self.in_order = False

    cdef tuple row_of(self, Py_ssize_t first, object given, object literals, object user, object now):
        cdef _Cells cells = self.cells
        cdef const Cell* cell
        cdef Py_ssize_t column
        cdef object value
        cdef tuple row
        cdef bint whole
        if self.in_order and type(given) is tuple:
            whole = True
            for column in range(self.width):
                cell = &cells.cells[column]
                value = <object> PyTuple_GET_ITEM(given, column)
                if value is not None and (cell.always or not fits(cell.code, value)):
                    whole = False
                    break
            if whole:
                return given
        row = PyTuple_New(self.width)
        for column in range(self.width):
            cell = &cells.cells[first + column]
            value = cells.value(cell, column, given, literals, user, now)
            Py_INCREF(value)
            PyTuple_SET_ITEM(row, column, value)
        return row

    cdef int add(self, CppWriteBatch* batch, bytes partition, object given, object literals, object user,
                 object now) except -1:
        cdef Py_ssize_t first = 0
        cdef Py_ssize_t count = <Py_ssize_t> self.cells.cells.size()
        cdef string key
        cdef string row
        cdef tuple values
        while first < count:
            values = self.row_of(first, given, literals, user, now)
            key.clear()
            row.clear()
            self.layout.encode_into(values, row, -1)
            self.layout.key_into(values, key, -1)
            batch.add(OperationKind.kInsert, self.table_id, self.version,
                      string_view(PyBytes_AS_STRING(partition), PyBytes_GET_SIZE(partition)),
                      string_view(key.data(), key.size()), string_view(row.data(), row.size()))
            first += self.width
        return 0

    def run(self, values, literals, user, bint sync, int64_t started, Transaction transaction=None):
        """Insert the statement's rows."""
        cdef unique_ptr[CppWriteBatch] batch
        check_given(values, self.given)
        batch = take_batch(snapshot_of(self.store, transaction))
        self.add(batch.get(), partition_of(self.shared, user), values, literals, user, self.cells.now())
        take(self.store, transaction, batch.get(), sync)
        keep_batch(batch, KEPT_BYTES_MAX)
        return answer(self.result, self.rows, self.message, started)

    def run_many(self, rows, user, bint sync, int64_t started, Transaction transaction=None):
        """Insert the statement's rows once for each list or tuple of values, in one commit."""
        cdef unique_ptr[CppWriteBatch] batch = take_batch(snapshot_of(self.store, transaction))
        cdef bytes partition = partition_of(self.shared, user)
        cdef object now = self.cells.now()
        cdef Py_ssize_t count = 0
        for values in rows:
            count += self.rows
            check_given(values, self.given)
            self.add(batch.get(), partition, values, None, user, now)
            if count == SAMPLED_ROWS * self.rows and (type(rows) is list or type(rows) is tuple):
                batch.get().reserve(room_for(batch.get().bytes(), SAMPLED_ROWS, len(rows)))
        take(self.store, transaction, batch.get(), sync)
        keep_batch(batch, KEPT_BYTES_MAX)
        return answer(self.result, count, f"Inserted {count} row(s)", started)


cdef inline int check_given(object values, Py_ssize_t wanted) except -1:
    if type(values) is tuple:
        if PyTuple_GET_SIZE(values) == wanted:
            return 0
    elif type(values) is list:
        if PyList_GET_SIZE(values) == wanted:
            return 0
    raise ValueMismatchError(f"{wanted} values are wanted, in a list or tuple", -1, -1)


@cython.final
cdef class ChangePlan:
    """UPDATE … SET column = value, … WHERE key = value, or DELETE … WHERE key = value.

    Thread safety: every method may be called from any thread.
    """

    def __init__(self, Store store not None, uint64_t table_id, bint shared, Layout layout not None,
                 Reader reader not None, key, int key_code, changes, Py_ssize_t given, types, codes, convert,
                 now_us, type result not None):
        self.result = result
        self.store = store
        self.table_id = table_id
        self.shared = shared
        self.layout = layout
        self.reader = reader
        self.version = layout.version
        self.deletes = not changes
        verb = "Deleted" if self.deletes else "Updated"
        self.none_changed = f"{verb} 0 row(s)"
        self.one_changed = f"{verb} 1 row(s)"
        self.given = given
        self.key.source, self.key.index = key
        self.key.code = key_code
        self.columns = reader.positions(None)
        for position, _ in changes:
            self.positions.push_back(position)
        self.cells = _Cells([source for _, source in changes], [position for position, _ in changes], types,
                            codes, convert, now_us)

    def run(self, values, literals, user, bint sync, int64_t started, Transaction transaction=None):
        """Change the row, if it is there."""
        cdef CppReadable* seen = self.store.readable() if transaction is None else transaction.readable()
        cdef unique_ptr[CppWriteBatch] batch
        cdef uint64_t snapshot = snapshot_of(self.store, transaction)
        cdef FoundRow found
        cdef string key
        cdef string row
        cdef string_view name
        cdef bytes partition
        cdef object wanted
        cdef tuple old
        check_given(values, self.given)
        wanted = item(values if self.key.source == FROM_PARAMETER else literals, self.key.index)
        if wanted is None:
            return answer(self.result, 0, self.none_changed, started)
        if not fits(self.key.code, wanted):
            raise ValueMismatchError("the key is of another type", -1, -1)
        append_key_of(wanted, self.key.code, key)
        partition = partition_of(self.shared, user)
        name = string_view(PyBytes_AS_STRING(partition), PyBytes_GET_SIZE(partition))
        if not seen.get(self.table_id, name, string_view(key.data(), key.size()), snapshot, False, found):
            return answer(self.result, 0, self.none_changed, started)
        old = self.reader.decode_view(found.row.data, found.row.size, self.columns, found.row.sequence, False)
        if not self.deletes:
            old = self.changed(old, values, literals, user)
        self.layout.encode_into(old, row, -1)
        batch = take_batch(snapshot)
        batch.get().add(OperationKind.kDelete if self.deletes else OperationKind.kReplace, self.table_id,
                        self.version, name, string_view(key.data(), key.size()),
                        string_view(row.data(), row.size()))
        take(self.store, transaction, batch.get(), sync)
        keep_batch(batch, KEPT_BYTES_MAX)
        return answer(self.result, 1, self.one_changed, started)

    cdef tuple changed(self, tuple old, object given, object literals, object user):
        cdef _Cells cells = self.cells
        cdef object now = cells.now()
        cdef list row = list(old)
        cdef const Cell* cell
        cdef size_t at
        cdef int position
        for at in range(self.positions.size()):
            position = self.positions[at]
            cell = &cells.cells[at]
            row[position] = cells.value(cell, position, given, literals, user, now)
        return tuple(row)
