# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""Rows of a result as the store has them, copied out of it: no Python value is made before somebody asks for it."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.operator cimport dereference
from libcpp.memory cimport unique_ptr

from kalamcore.rows cimport ArrowBuilder, CppArrowBatch, make_batch

cdef enum:
    BATCH_ROWS = 65536


@cython.final
cdef class StoredRows:
    """Encoded rows, and which of their columns are meant. Immutable; made by SelectPlan.

    `rows`: encoded, of any version that the reader knows. `columns`: positions, or None for all. `sequences`: what
    the rows read as `_seq`, 0 where none are given.
    """

    def __init__(self, Reader reader not None, list rows not None, list columns=None, list sequences=None):
        cdef vector[RowRef] given
        cdef RowRef one
        cdef bytes row
        cdef list held = list(rows)
        one.deleted = False
        for at, row in enumerate(held):
            one.data = PyBytes_AS_STRING(row)
            one.size = PyBytes_GET_SIZE(row)
            one.sequence = 0 if sequences is None else sequences[at]
            given.push_back(one)
        self.reader = reader
        self.columns = reader.positions(columns)
        self.stored = CppStoredRows(given)

    def __len__(self):
        return self.stored.rows().size()

    def tuples(self):
        """The rows as Python values, JSON as text. Raises CorruptionError."""
        return tuples_of_rows(self.reader, self.columns, self.stored.rows())

    def batches(self):
        """The rows as Arrow. Raises CorruptionError."""
        return batches_of_rows(self.reader, self.columns, self.stored.rows(), BATCH_ROWS)


cdef StoredRows make_stored_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows):
    cdef StoredRows made = StoredRows.__new__(StoredRows)
    made.reader = reader
    made.columns = columns
    made.stored = CppStoredRows(rows)
    return made


cdef list tuples_of_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows):
    cdef list values = []
    cdef size_t at
    for at in range(rows.size()):
        values.append(reader.decode_view(rows[at].data, rows[at].size, columns, rows[at].sequence, rows[at].deleted))
    return values


cdef list batches_of_rows(Reader reader, const vector[int]& columns, const vector[RowRef]& rows, size_t batch_rows):
    cdef unique_ptr[ArrowBuilder] builder
    cdef vector[CppArrowBatch] batches
    cdef size_t at = 0
    cdef size_t offered
    cdef size_t taken
    builder.reset(new ArrowBuilder(dereference(reader.reader), columns))
    with nogil:
        while at < rows.size():
            offered = min(rows.size() - at, batch_rows)
            taken = dereference(builder).append(rows.data() + at, offered)
            at += taken
            batches.push_back(dereference(builder).finish())
    return [make_batch(batches[at]) for at in range(batches.size())]
