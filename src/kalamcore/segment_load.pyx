# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""Many rows of one partition written to a hot segment of their own at once, past log and memtable."""

cimport cython
from cython.operator cimport dereference
from libc.stdint cimport int64_t, uint64_t
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string

from kalamcore.rows cimport ArrowInput, Reader, RowReader, import_batch
from kalamcore.store cimport CppStore, Store, TableDescription

from kalamcore.errors import CoreError


@cython.final
cdef class SegmentLoad:
    """Rows in order of their keys, all committed together or not at all. One thread at a time.

    Forgetting it leaves nothing of it."""

    def __cinit__(self, Store store not None, uint64_t table_id, bytes partition not None,
                  Reader reader not None, column_names):
        cdef TableDescription description
        cdef string name = partition
        cdef CppStore* below = store.opened()
        cdef CppSegmentLoad* made
        description.reader = <shared_ptr[const RowReader]> reader.reader
        for column in column_names:
            description.column_names.push_back((<str> column).encode())
        self.store = store
        with nogil:
            made = new CppSegmentLoad(dereference(below), table_id, name, description)
        self.load.reset(made)

    def __dealloc__(self):
        # While the store is still there.
        with nogil:
            self.load.reset()

    def add(self, batch, order=None):
        """Takes a record batch of the table's columns in canonical types, behind all that were added.

        `order`: a buffer of int64, the number of each row among all of the load, by which they get their sequence
        numbers; None: as they come. Raises DuplicateKeyError with that number, NullValueError, ValueOutOfRangeError
        and ValueMismatchError with the row in this batch, IoError."""
        cdef unique_ptr[ArrowInput] columns = import_batch(batch)
        cdef const unsigned char[::1] numbers
        cdef const int64_t* first = NULL
        cdef CppSegmentLoad* load = self.load.get()
        if dereference(columns).rows() == 0:
            return
        if order is not None:
            numbers = memoryview(order).cast("B")
            if numbers.shape[0] != 8 * dereference(columns).rows():
                raise CoreError("the order has not one number for each row of the batch")
            first = <const int64_t*> &numbers[0]
        with nogil:
            dereference(load).add(dereference(columns), first)

    def commit(self):
        """All of it or nothing, durable and published when it returns: the sequence number of the last row.

        Raises DuplicateKeyError where a key has a live row, WriteConflictError where the table is another by now,
        PoisonedError, OutcomeUnknownError, IoError; ColdMissError: bring what it names and call it again."""
        cdef CppSegmentLoad* load = self.load.get()
        cdef uint64_t last
        with nogil:
            last = dereference(load).commit()
        return last

    def __len__(self):
        """Rows that were added."""
        return dereference(self.load).rows()
