# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""Simple SELECTs answered by the core: rows of one partition, filtered, ordered, limited or counted."""

import datetime
import re
import time
from decimal import Decimal
from time import perf_counter_ns
from uuid import UUID

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.datetime cimport PyDateTime_CheckExact, PyDate_CheckExact, PyTime_CheckExact, import_datetime, time_tzinfo
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_AsTuple, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_CheckExact
from cython.operator cimport dereference
from libc.math cimport isnan
from libcpp.memory cimport unique_ptr

from kalamcore.cursor cimport Cursor, new_cursor
from kalamcore.memtable cimport Bounds
from kalamcore.rows cimport CppArrowBatch, date_of, make_batch, time_of, timestamp_of
from kalamcore.store cimport CppReadable, CppView, FoundRow, Readable, Store
from kalamcore.stored_rows cimport StoredRows, batches_of_rows, make_stored_rows, tuples_of_rows

from kalamcore.errors import ValueMismatchError

import_datetime()

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

PARAMETER = 0
LITERAL = 1
GIVEN = 2

AND = 0
OR = 1
NOT = 2
EQUAL = 3
NOT_EQUAL = 4
LESS = 5
LESS_EQUAL = 6
GREATER = 7
GREATER_EQUAL = 8
IN = 9
PREFIX = 10
IS_NULL = 11
IS_NOT_NULL = 12

ROWS = 0
VALUES = 1
LEAST = 2
GREATEST = 3

cdef enum:
    NO_SOURCE = -1
    # As a slot's code: the pattern of a LIKE.
    PATTERN = 100
    # Rows that are looked at before the GIL is released.
    SHORT_RUN = 2000
    LONG_RUN = 20000
    COPIED_ROWS_A_SECOND = 20000000
    BATCH_ROWS = 65536
    # Values are made of so many at once: to put them aside would take about as long.
    FEW_ROWS = 8

cdef uint64_t NO_LIMIT = <uint64_t> -1

# What every reader of timestamps agrees on; other spellings are the query engine's to read.
cdef object timestamp_text = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
).fullmatch
cdef object date_text = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
cdef object uuid_text = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


cdef inline int text_into(object text, Constant* out) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* data
    try:
        data = PyUnicode_AsUTF8AndSize(text, &size)
    except UnicodeEncodeError:
        return 1
    out.bytes = string_view(data, size)
    return 0


cdef Slot slot_of(object constant, int code, bint listed) except *:
    cdef Slot slot
    source, index, negative = constant
    slot.source = source
    slot.index = index
    slot.negative = negative
    slot.code = code
    slot.listed = listed
    return slot


@cython.final
cdef class SelectPlan:
    """A statement for one schema version of one table. Immutable; any thread may run it.

    `columns`: positions to return, in order. `predicate`: a tree of (test, column, constants) and, for AND, OR and
    NOT, (test, parts); None for all rows. `order`: (column, descending, nulls first). `aggregates`: (kind, column or
    -1), instead of columns. `limit`, `offset`: constants. `arrow_rows`: results of more rows are Arrow. `bytes_max`:
    results of more bytes are left to the query engine (-1: none). `result`, `names`, `types`: what `answer` makes, a
    kind of Cursor; `codes`: those of the types, as JsonRows takes them; `stored`: its rows hold JSON, still as text.
    `parameters`: how many the statement takes. `everybody`: all partitions are meant, where COUNT(*) is all that is
    asked. `check`: called between runs of many rows; what it raises ends the statement, as Ctrl-C does.
    """

    def __init__(self, Reader reader not None, uint64_t table_id, *, bint shared, columns, predicate=None, order=None,
                 aggregates=(), limit=None, offset=None, Py_ssize_t arrow_rows=4096, int64_t bytes_max=-1,
                 type result=Cursor, tuple names=(), tuple types=(), bytes codes=None,
                 bint stored=False, Py_ssize_t parameters=0, bint everybody=False, check=None):
        cdef Aggregate one
        if not issubclass(result, Cursor):
            raise TypeError(f"{result} is no Cursor")
        self.result = result
        self.names = names
        self.types = types
        self.codes = codes
        self.stored = stored
        self.check = check
        self.parameters = parameters
        self.arrow_rows = arrow_rows
        self.bytes_max = bytes_max
        self.reader = reader
        self.table_id = table_id
        self.shared = shared
        self.columns = reader.positions(columns)
        self.plan.order_column = -1
        self.given = ()
        given = []
        if predicate is not None:
            self._add(predicate, given)
        if order is not None:
            self.plan.order_column, self.plan.descending, self.plan.nulls_first = order
        for kind, column in aggregates:
            one.kind = <AggregateKind> <int> kind
            one.column = column
            self.plan.aggregates.push_back(one)
        self.limit = self._count_slot(limit, given)
        self.offset = self._count_slot(offset, given)
        self.given = tuple(given)
        self.plan.prepare(dereference(reader.reader).layout(), self.slots.size())
        cdef bint counted = self.limit.source != NO_SOURCE or self.offset.source != NO_SOURCE
        self.point = (
            not counted and self.plan.aggregates.empty() and self.plan.predicate.size() == 1
            and <int> self.plan.predicate[0].test == EQUAL
            and <size_t> self.plan.predicate[0].column == dereference(reader.reader).layout().key()
            and reader.codes[self.plan.predicate[0].column] not in (5, 6, 7)
        )
        self.counts_all = (
            not counted and self.plan.predicate.empty() and self.plan.aggregates.size() == 1
            and <int> self.plan.aggregates[0].kind == ROWS
        )
        if everybody and not self.counts_all:
            raise ValueMismatchError("of all partitions together only COUNT(*) is answered", -1, -1)
        self.everybody = everybody

    def _count_slot(self, constant, list given):
        if constant is None:
            return slot_of((NO_SOURCE, 0, False), 0, False)
        if constant[0] == GIVEN:
            given.append(constant[1])
            constant = (GIVEN, len(given) - 1, constant[2])
        return slot_of(constant, 4, False)

    def _add(self, tuple node, list given):
        cdef Step step
        cdef size_t at = self.plan.predicate.size()
        cdef int test = node[0]
        cdef int code
        step.test = <Test> test
        if test <= NOT:
            self.plan.predicate.push_back(step)
            if test == NOT and len(node[1]) != 1:
                raise ValueMismatchError("NOT takes one part", -1, -1)
            for part in node[1]:
                self._add(part, given)
            self.plan.predicate[at].end = <uint32_t> self.plan.predicate.size()
            return
        step.column = node[1]
        if not 0 <= step.column < <int> self.reader.codes.size():
            raise ValueMismatchError(f"there is no column {step.column}", -1, step.column)
        code = PATTERN if test == PREFIX else self.reader.codes[step.column]
        step.constant = <uint32_t> self.slots.size()
        for constant in node[2]:
            if constant[0] == GIVEN:
                given.append(constant[1])
                constant = (GIVEN, len(given) - 1, constant[2])
            self.slots.push_back(slot_of(constant, code, test == IN))
        step.constants = <uint32_t> self.slots.size() - step.constant
        self.plan.predicate.push_back(step)

    # 0: `out` is the value. 1: it is none that the column is compared with here.
    cdef int bind(self, const Slot& slot, tuple parameters, object literals, Constant* out, list held) except -1:
        cdef int code = slot.code
        cdef int overflow = 0
        cdef object value
        if slot.source == 0:
            if slot.index >= PyTuple_GET_SIZE(parameters):
                return 1
            value = parameters[slot.index]
        elif slot.source == 1:
            value = literals[slot.index]
        else:
            value = self.given[slot.index]
        out.null = False
        if value is None:
            out.null = True
            return code == PATTERN
        if 2 <= code <= 4:
            if not PyLong_CheckExact(value):
                return 1
            out.integer = PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow != 0:
                return 1
            if slot.negative:
                out.integer = -out.integer
            return 0
        if code == 5 or code == 6:
            if PyFloat_CheckExact(value):
                out.real = PyFloat_AS_DOUBLE(value)
            elif code == 6 and PyLong_CheckExact(value):
                PyLong_AsLongLongAndOverflow(value, &overflow)
                if overflow != 0:
                    return 1
                out.real = <double> value
            elif slot.source != 0 and type(value) is Decimal:
                out.real = <double> value
            else:
                return 1
            if slot.negative:
                out.real = -out.real
            # In lists the query engine tells zeros and NaNs apart by rules of its own.
            return slot.listed and (out.real == 0 or isnan(out.real))
        if slot.negative:
            return 1
        if code == 8 or code == 14:
            if PyUnicode_CheckExact(value):
                return text_into(value, out)
            if type(value) is UUID:
                value = str(value)
                held.append(value)
                return text_into(value, out)
            return 1
        if code == 10:
            if PyUnicode_CheckExact(value):
                if timestamp_text(value) is None:
                    return 1
                try:
                    value = datetime.datetime.fromisoformat(value)
                except ValueError:
                    return 1
            if not PyDateTime_CheckExact(value):
                return 1
            try:
                out.integer = timestamp_of(value, -1, -1)
            except Exception:
                return 1
            return 0
        if code == 13:
            if PyUnicode_CheckExact(value):
                if uuid_text(value) is None:
                    return 1
                value = UUID(value)
            if type(value) is not UUID:
                return 1
            value = value.bytes
            held.append(value)
            out.bytes = string_view(PyBytes_AS_STRING(value), 16)
            return 0
        if code == 1:
            if value is not True and value is not False:
                return 1
            out.integer = value is True
            return 0
        if code == 9:
            if not PyBytes_CheckExact(value):
                return 1
            out.bytes = string_view(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
            return 0
        if code == 11:
            if PyUnicode_CheckExact(value):
                if date_text(value) is None:
                    return 1
                try:
                    value = datetime.date.fromisoformat(value)
                except ValueError:
                    return 1
            if not PyDate_CheckExact(value):
                return 1
            out.integer = date_of(value, -1, -1)
            return 0
        if code == 12:
            if not PyTime_CheckExact(value) or time_tzinfo(value) is not None:
                return 1
            out.integer = time_of(value, -1, -1)
            return 0
        if code == PATTERN:
            if not PyUnicode_CheckExact(value) or not value.endswith("%"):
                return 1
            value = value[:len(value) - 1]
            if "%" in value or "_" in value or "\\" in value:
                return 1
            held.append(value)
            return text_into(value, out)
        return 1

    # The number of rows that LIMIT or OFFSET says; -1 where the query engine must say what is wrong with it.
    cdef int64_t count_of(self, const Slot& slot, tuple parameters, object literals) except -2:
        cdef Constant number
        if self.bind(slot, parameters, literals, &number, None) != 0 or number.null or number.integer < 0:
            return -1
        return number.integer

    def run(self, Readable store not None, str user not None, snapshot, tuple parameters not None, literals,
            double timeout_s=0.0, /):
        """The rows as tuples; where there are more than `arrow_rows`, (how many, Arrow batches f0, f1, …).

        `user`: whose partition it is, unless the table is shared. `snapshot`: None for the newest, in a
        transaction its own. None where a value
        is of a kind that its column is not compared with here, or the rows take more than `bytes_max` bytes: ask the
        query engine, which knows what to say. Raises CorruptionError, and TimeoutError after `timeout_s` seconds
        (0: never).
        """
        rows = self.select(store, user, snapshot, parameters, literals, timeout_s)
        return (<StoredRows> rows).tuples() if type(rows) is StoredRows else rows

    def answer(self, Readable store not None, str user not None, parameters, literals, int64_t started_ns,
               double timeout_s=0.0, /):
        """What run gives of the newest snapshot, as a `result` with `names` and `types`.

        `parameters`: a tuple, a list or None; None is answered where there are not as many as `parameters`.
        `started_ns`: by time.perf_counter_ns; 0: now."""
        cdef int64_t started = perf_counter_ns() if started_ns == 0 else started_ns
        cdef object rows
        cdef Cursor made
        cdef tuple values
        if type(parameters) is tuple:
            values = <tuple> parameters
        elif type(parameters) is list:
            values = PyList_AsTuple(parameters)
        elif parameters is None:
            values = ()
        else:
            return None
        if PyTuple_GET_SIZE(values) != self.parameters:
            return None
        rows = self.select(store, user, None, values, literals, timeout_s)
        if rows is None:
            return None
        made = new_cursor(self.result)
        made.columns = self.names
        made._types = self.types
        made._codes = self.codes
        if type(rows) is tuple:
            made.rowcount, made._parts = rows
        elif type(rows) is StoredRows:
            made.rowcount = len(<StoredRows> rows)
            made._encoded = rows
        else:
            made.rowcount = PyList_GET_SIZE(rows)
            if self.stored:
                made._stored = rows
            else:
                made._rows = rows
        made.took_ms = (<int64_t> perf_counter_ns() - started) / 1e6
        return made

    cdef object select(self, Readable store, str user, object snapshot, tuple parameters, object literals,
                       double timeout_s):
        cdef CppReadable* core = store.readable()
        cdef CppView pinned
        cdef uint64_t seen
        cdef Py_ssize_t size = 0
        cdef const char* name
        cdef string_view partition
        cdef Constant constant
        cdef string key
        cdef FoundRow found
        cdef list held = []
        cdef uint64_t counted_rows
        if snapshot is not None:
            seen = snapshot
        else:
            if type(store) is Store:
                pinned = dereference((<Store> store).store).pin()
                core = &pinned
            seen = core.snapshot()
        if not self.shared:
            name = PyUnicode_AsUTF8AndSize(user, &size)
            partition = string_view(name, size)
        if self.point:
            if self.bind(self.slots[0], parameters, literals, &constant, held) != 0:
                return None
            if constant.null:
                return []
            key_of(<Type> self.reader.codes[self.plan.predicate[0].column], constant, key)
            if not core.get(self.table_id, partition, string_view(key.data(), key.size()), seen, False, found):
                return []
            return [self.reader.decode_view(found.row.data, found.row.size, self.columns, found.row.sequence, False)]
        if self.everybody:
            with nogil:
                counted_rows = core.count_all(self.table_id, seen)
            return [(counted_rows,)]
        if self.counts_all:
            return [(core.count(self.table_id, partition, seen),)]

        cdef vector[Constant] constants
        cdef size_t at
        cdef int64_t limit = -1
        cdef int64_t offset = 0
        constants.resize(self.slots.size())
        for at in range(self.slots.size()):
            if self.bind(self.slots[at], parameters, literals, &constants[at], held) != 0:
                return None
        if self.limit.source != NO_SOURCE:
            limit = self.count_of(self.limit, parameters, literals)
            if limit < 0:
                return None
        if self.offset.source != NO_SOURCE:
            offset = self.count_of(self.offset, parameters, literals)
            if offset < 0:
                return None
        cdef bint counted = not self.plan.aggregates.empty()
        cdef unique_ptr[Selection] selection
        cdef Selection* running
        selection.reset(new Selection(
            self.plan, dereference(core), dereference(self.reader.reader), self.table_id, partition, seen, constants,
            NO_LIMIT if limit < 0 or counted else <uint64_t> limit, 0 if counted else <uint64_t> offset))
        running = selection.get()
        cdef bint done = running.step(SHORT_RUN)
        cdef Bounds no_bounds
        cdef vector[CppArrowBatch] batches
        cdef uint64_t everything
        if not done and self.plan.predicate.empty() and not counted and self.plan.order_column < 0 and \
                limit < 0 and offset == 0:
            with nogil:
                everything = core.count(self.table_id, partition, seen)
            if timeout_s > 0 and <double> everything > timeout_s * COPIED_ROWS_A_SECOND:
                # Copying cannot be stopped on its way, so what would take too long is not begun.
                raise TimeoutError
            if everything > <uint64_t> self.arrow_rows:
                # As columns, without making rows of what is columns already.
                if self.bytes_max >= 0 and \
                        running.bytes() // running.rows().size() > <uint64_t> self.bytes_max // everything:
                    return None
                selection.reset()
                with nogil:
                    batches = core.rows_as_arrow(self.table_id, partition, seen, no_bounds, False,
                                                 dereference(self.reader.reader), self.columns, BATCH_ROWS)
                return everything, [make_batch(batches[at]) for at in range(batches.size())]
        if not done:
            until = time.monotonic() + timeout_s
            while not done:
                with nogil:
                    done = running.step(LONG_RUN)
                if done:
                    break
                if timeout_s > 0 and time.monotonic() >= until:
                    raise TimeoutError
                PyErr_CheckSignals()
                if self.check is not None:
                    self.check()
        if counted:
            rows = [self.aggregates(running)]
            return rows[offset:] if limit < 0 else rows[offset:offset + min(limit, 1)]
        if self.bytes_max >= 0 and running.bytes() > <uint64_t> self.bytes_max:
            return None
        if running.rows().size() <= FEW_ROWS:
            return tuples_of_rows(self.reader, self.columns, running.rows())
        if <Py_ssize_t> running.rows().size() <= self.arrow_rows:
            return make_stored_rows(self.reader, self.columns, running.rows())
        return running.rows().size(), batches_of_rows(self.reader, self.columns, running.rows(), BATCH_ROWS)

    cdef tuple aggregates(self, Selection* selection):
        cdef Py_ssize_t count = <Py_ssize_t> self.plan.aggregates.size()
        cdef tuple values = PyTuple_New(count)
        cdef vector[int] column
        cdef Py_ssize_t i
        cdef object value
        cdef const RowRef* row
        column.resize(1)
        for i in range(count):
            if <int> self.plan.aggregates[i].kind <= VALUES:
                value = selection.counts()[i]
            else:
                row = &selection.extremes()[i]
                value = None
                if row.data != NULL:
                    column[0] = self.plan.aggregates[i].column
                    value = self.reader.decode_view(row.data, row.size, column, row.sequence, False)[0]
            Py_INCREF(value)
            PyTuple_SET_ITEM(values, i, value)
        return values
