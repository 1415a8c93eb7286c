# json_rows.pxd - rows as JSON text.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport ArrowInput, RowReader, RowRef
from kalamcore.stored_rows cimport StoredRows


cdef extern from "json_rows.hpp" namespace "kalam" nogil:
    cdef cppclass JsonText:
        void null() except +
        void boolean(cpp_bool value) except +
        void integer(int64_t value) except +
        void quoted_integer(int64_t value) except +
        void real(double value) except +
        void real_of_float "real"(float value) except +
        cpp_bool text(const char* data, size_t size) except +
        void bytes_ "bytes"(const char* data, size_t size) except +
        void uuid(const char* data) except +

    cdef cppclass CppJsonRows "kalam::JsonRows":
        CppJsonRows()
        CppJsonRows(const vector[string]& names) except +raise_core_error
        const char* data()
        size_t size()
        void forget()
        void begin() except +
        void end() except +
        void check_width(size_t columns) except +raise_core_error
        void check(const ArrowInput& input) except +raise_core_error
        int64_t append(const ArrowInput& input, int64_t begin, size_t bytes) except +raise_core_error
        size_t append(const RowReader& reader, const vector[int]& columns, const vector[RowRef]& rows,
                      size_t begin, size_t bytes) except +raise_core_error
        void begin_row() except +
        void next_cell(size_t column) except +
        void end_row() except +
        JsonText& text()


cdef class JsonRows:
    cdef CppJsonRows json
    cdef size_t piece_bytes
    cdef bytes codes
    cdef object parts
    cdef bint begun
    cdef bint ended
    cdef bint busy
    # The part that is being written, one of the three, and its next row.
    cdef unique_ptr[ArrowInput] batch
    cdef StoredRows stored
    cdef list tuples
    cdef size_t at

    cdef int fill(self) except -1
    cdef int begin_part(self, object part) except -1
    cdef int continue_part(self) except -1
    cdef int write_tuples(self) except -1
