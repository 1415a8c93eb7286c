# rows.pxd - what other modules may know of layouts, readers and encoded rows.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error


cdef extern from "arrow_c.hpp" nogil:
    cdef struct ArrowSchema:
        void (*release)(ArrowSchema*) noexcept

    cdef struct ArrowArray:
        int64_t length
        void (*release)(ArrowArray*) noexcept


cdef extern from "rows.hpp" namespace "kalam" nogil:
    cdef cppclass RowLayout:
        uint32_t version()
        size_t size()
        size_t key()

    cdef cppclass RowReader:
        const RowLayout& layout()

    int64_t updated_us(uint64_t sequence)


ctypedef shared_ptr[const RowLayout] SharedLayout


cdef extern from "arrow_export.hpp" namespace "kalam" nogil:
    cdef cppclass RowRef:
        RowRef()
        const char* data
        size_t size
        uint64_t sequence
        cpp_bool deleted

    cdef cppclass CppArrowBatch "kalam::ArrowBatch":
        CppArrowBatch()
        int64_t rows()
        void export_schema(ArrowSchema* schema) except +raise_core_error
        void export_array(ArrowArray* array) except +raise_core_error

    cdef cppclass ArrowBuilder:
        ArrowBuilder(const RowReader& reader, vector[int] columns) except +raise_core_error
        size_t append(const RowRef* rows, size_t count) except +raise_core_error
        int64_t rows()
        CppArrowBatch finish() except +raise_core_error


cdef extern from "arrow_import.hpp" namespace "kalam" nogil:
    cdef cppclass ArrowInput:
        int64_t rows()

    cdef cppclass EncodedRows:
        EncodedRows()
        string keys
        string rows
        vector[uint64_t] key_ends
        vector[uint64_t] row_ends
        size_t size()
        void clear()

    cdef cppclass ArrowRowEncoder:
        ArrowRowEncoder(const RowLayout& layout, const ArrowInput& input) except +raise_core_error
        void encode(int64_t begin, int64_t end, EncodedRows& out) except +raise_core_error


# Takes over what `batch.__arrow_c_array__()` gives. Raises TypeError for what has no such method.
cdef unique_ptr[ArrowInput] import_batch(object batch) except *


# Microseconds since 1970-01-01Z, days since then, microseconds of the day. Raise ValueMismatchError and
# ValueOutOfRangeError with this row and column.
cdef int64_t timestamp_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1
cdef int64_t date_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1
cdef int64_t time_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1


cdef class Layout:
    cdef SharedLayout layout
    # The columns again, flat, for the encoder's loop.
    cdef vector[int] codes
    cdef vector[int] parameters_1
    cdef vector[int] parameters_2
    cdef vector[int] required

    # Appends the encoded row (or the encoded primary key) to `out`, which is as before where it raises.
    # `row` is what the error tells as its row.
    cdef int encode_into(self, object values, string& out, Py_ssize_t row) except -1
    cdef int key_into(self, object values, string& out, Py_ssize_t row) except -1
    cdef int write(self, object values, string& out, Py_ssize_t row, bint lenient) except -1


cdef class Reader:
    cdef shared_ptr[RowReader] reader
    cdef vector[int] codes
    cdef vector[int] scales

    # The positions as decode_view and ArrowBuilder take them: None is every column. Raises IndexError.
    cdef vector[int] positions(self, object columns) except *
    # A tuple of Python values; raises CorruptionError.
    cdef object decode_view(
        self, const char* data, size_t size, const vector[int]& columns, uint64_t sequence, bint deleted
    )


# An object with `__arrow_c_array__`, over a batch that ArrowBuilder finished.
cdef class Batch:
    cdef CppArrowBatch batch


cdef Batch make_batch(CppArrowBatch batch)

# An aware datetime in UTC. REQUIRES: years 1 to 9999.
cdef object timestamp_value(int64_t us)
# Appends the encoded key of a value that is not None; raises as encode_key.
cdef int append_key_of(object value, int code, string& out) except -1
