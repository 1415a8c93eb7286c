# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""Rows as the text of a JSON array, in pieces: from Arrow batches, from stored rows, from tuples."""

from decimal import Decimal
from uuid import UUID

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport PyDate_Check, PyDateTime_Check, PyTime_Check, import_datetime
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_Check
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from cython.operator cimport dereference

from kalamcore.rows cimport date_of, import_batch, time_of, timestamp_of

from kalamcore.errors import ValueMismatchError

import_datetime()

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    # Rows for which letting others run would take longer than they do.
    FEW_ROWS = 16


@cython.final
cdef class JsonRows:
    """The pieces of `[row, row, …]`, UTF-8; each of `piece_bytes` and what is left of its last row, but the last one.

    `parts`: record batches (anything with `__arrow_c_array__`), StoredRows and lists of tuples, asked for as they are
    needed. `names`: rows are objects with these keys; None: rows are arrays. `codes`: the type code of each column of
    the tuples (kalamcore.rows), 0 where it is not known; empty: of none.

    Cells are what the HTTP interface says: BIGINT, unsigned integers and DECIMAL as strings, TIMESTAMP and TIME as
    microseconds, DATE as days, BYTES (fixed_size_binary too, but that of 16 bytes, which is a UUID) as an array of
    numbers; NaN and the infinities as null. In tuples an int is a number where the code says SMALLINT or INT, else a
    string.

    Next to it raises ValueMismatchError for what has no such form (row -1: a column's type), ValueOutOfRangeError, and
    CorruptionError; it has then ended. For one thread at a time: RuntimeError where another is at it.
    """

    def __init__(self, parts, *, names=None, bytes codes not None=b"", Py_ssize_t piece_bytes=65536):
        cdef vector[string] keys
        if piece_bytes < 1:
            raise ValueError(f"a piece takes at least 1 byte, not {piece_bytes}")
        if names is not None:
            for name in names:
                keys.push_back(name.encode())
            self.json = CppJsonRows(keys)
        self.codes = codes
        self.piece_bytes = piece_bytes
        self.parts = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        if self.busy:
            raise RuntimeError("another thread is writing these rows")
        if self.ended:
            raise StopIteration
        self.busy = True
        try:
            self.fill()
        except BaseException:
            self.ended = True
            raise
        finally:
            self.busy = False
        piece = PyBytes_FromStringAndSize(self.json.data(), <Py_ssize_t> self.json.size())
        self.json.forget()
        return piece

    cdef int fill(self) except -1:
        if not self.begun:
            self.begun = True
            self.json.begin()
        while self.json.size() < self.piece_bytes:
            if self.batch or self.stored is not None or self.tuples is not None:
                self.continue_part()
                continue
            part = next(self.parts, None)
            if part is None:
                self.json.end()
                self.ended = True
                return 0
            self.begin_part(part)
        return 0

    cdef int begin_part(self, object part) except -1:
        self.at = 0
        if type(part) is list:
            self.tuples = <list> part
        elif type(part) is StoredRows:
            self.stored = <StoredRows> part
            self.json.check_width(self.stored.columns.size())
        else:
            self.batch = import_batch(part)
            self.json.check(dereference(self.batch))
        return 0

    # Writes rows of the part until the piece is full; forgets the part with its last row.
    cdef int continue_part(self) except -1:
        cdef StoredRows stored = self.stored
        cdef size_t count
        if self.tuples is not None:
            return self.write_tuples()
        if stored is not None:
            count = stored.stored.rows().size()
            if count <= FEW_ROWS:
                self.at = self.json.append(dereference(stored.reader.reader), stored.columns, stored.stored.rows(),
                                           self.at, self.piece_bytes)
            else:
                with nogil:
                    self.at = self.json.append(dereference(stored.reader.reader), stored.columns,
                                               stored.stored.rows(), self.at, self.piece_bytes)
            if self.at == count:
                self.stored = None
            return 0
        count = <size_t> dereference(self.batch).rows()
        if count <= FEW_ROWS:
            self.at = <size_t> self.json.append(dereference(self.batch), <int64_t> self.at, self.piece_bytes)
        else:
            with nogil:
                self.at = <size_t> self.json.append(dereference(self.batch), <int64_t> self.at, self.piece_bytes)
        if self.at == count:
            self.batch.reset()
        return 0

    cdef int write_tuples(self) except -1:
        cdef list rows = self.tuples
        cdef tuple row
        cdef Py_ssize_t column
        cdef Py_ssize_t known = PyBytes_GET_SIZE(self.codes)
        cdef const char* codes = PyBytes_AS_STRING(self.codes)
        while self.json.size() < self.piece_bytes:
            if <Py_ssize_t> self.at >= PyList_GET_SIZE(rows):
                self.tuples = None
                return 0
            row = rows[self.at]
            self.json.check_width(PyTuple_GET_SIZE(row))
            self.json.begin_row()
            for column in range(PyTuple_GET_SIZE(row)):
                self.json.next_cell(column)
                write_value(&self.json.text(), row[column],
                            codes[column] if column < known else 0, <Py_ssize_t> self.at, column)
            self.json.end_row()
            self.at += 1
        return 0


cdef int write_text(JsonText* text, object value, Py_ssize_t row, Py_ssize_t column) except -1:
    cdef Py_ssize_t size = 0
    cdef const char* data
    try:
        data = PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError:
        raise ValueMismatchError("text with a lone surrogate has no UTF-8 form", row, column) from None
    text.text(data, size)
    return 0


cdef int write_integer(JsonText* text, object value, int code, Py_ssize_t row, Py_ssize_t column) except -1:
    cdef int overflow = 0
    cdef int64_t integer = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow != 0:
        write_text(text, str(value), row, column)
    elif code == 2 or code == 3:
        text.integer(integer)
    elif code == 5 or code == 6:
        text.real(<double> integer)
    else:
        text.quoted_integer(integer)
    return 0


cdef int write_value(JsonText* text, object value, int code, Py_ssize_t row, Py_ssize_t column) except -1:
    if value is None:
        text.null()
    elif PyUnicode_Check(value):
        write_text(text, value, row, column)
    elif value is True or value is False:
        text.boolean(value is True)
    elif PyLong_Check(value):
        write_integer(text, value, code, row, column)
    elif PyFloat_Check(value):
        if code == 5:
            text.real_of_float(<float> PyFloat_AS_DOUBLE(value))
        else:
            text.real(PyFloat_AS_DOUBLE(value))
    elif PyDateTime_Check(value):
        text.integer(timestamp_of(value, row, column))
    elif PyDate_Check(value):
        text.integer(date_of(value, row, column))
    elif PyTime_Check(value):
        text.integer(time_of(value, row, column))
    elif PyBytes_CheckExact(value):
        text.bytes_(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    elif type(value) is UUID:
        # Its own str takes ten times as long.
        text.uuid(PyBytes_AS_STRING(value.int.to_bytes(16, "big")))
    elif type(value) is Decimal:
        if value.is_finite():
            write_text(text, format(value, "f"), row, column)
        else:
            text.null()
    else:
        raise ValueMismatchError(f"a value of type {type(value).__name__} has no form in JSON here", row, column)
    return 0
