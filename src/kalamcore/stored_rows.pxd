# stored_rows.pxd - rows of a result as the store has them.
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport Reader, RowRef


cdef extern from "stored_rows.hpp" namespace "kalam" nogil:
    cdef cppclass CppStoredRows "kalam::StoredRows":
        CppStoredRows()
        CppStoredRows(const vector[RowRef]& rows) except +raise_core_error
        const vector[RowRef]& rows()


cdef class StoredRows:
    cdef Reader reader
    cdef vector[int] columns
    cdef CppStoredRows stored


# Copies the rows. `columns` as Reader.positions gives them.
cdef StoredRows make_stored_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows)

# The rows as tuples of Python values; raises CorruptionError.
cdef list tuples_of_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows)

# The rows as Arrow batches of so many rows at most; raises CorruptionError.
cdef list batches_of_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows, size_t batch_rows)
