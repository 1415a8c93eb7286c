# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Recent rows in memory, sorted by key, every version of them."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cython.operator cimport dereference
from libc.stdint cimport uint64_t
from libcpp.memory cimport unique_ptr
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.errors import CoreError
from kalamcore.system cimport RandomSource


cdef inline string_view view(bytes of):
    return string_view(PyBytes_AS_STRING(of), PyBytes_GET_SIZE(of))


cdef inline bytes bytes_of(string_view of):
    return PyBytes_FromStringAndSize(of.data(), of.size())


@cython.final
cdef class _Scan:
    """What MemTable.scan gives; holds the memtable and the bounds for the cursor."""

    cdef MemTable owner
    cdef bytes low
    cdef bytes high
    cdef unique_ptr[PartitionCursor] cursor

    def __iter__(self):
        return self

    def __next__(self):
        cdef const Version* version = NULL
        if self.cursor.get() != NULL:
            version = dereference(self.cursor).next()
        if version == NULL:
            raise StopIteration
        return (bytes_of(dereference(self.cursor).key()), version.sequence, bool(version.deleted),
                PyBytes_FromStringAndSize(version.data(), version.length))


@cython.final
cdef class MemTable:
    """A skip list per (table, partition) over one arena, newest version of a key first.

    One writer at a time (the caller's lock); readers need no lock and see what was put before their snapshot.
    """

    def __cinit__(self):
        cdef bytes seed = RandomSource.system().bytes(8)
        self.table.reset(new CppMemTable(int.from_bytes(seed, "little")))

    def put(self, uint64_t table_id, bytes partition not None, bytes key not None, uint64_t sequence,
            bytes row not None, bint deleted=False):
        """Adds a version; one that is there already (same key and sequence) stays as it is."""
        cdef CppMemTable* table = self.table.get()
        if table.frozen():
            raise CoreError("the memtable is frozen; write to the active one")
        if PyBytes_GET_SIZE(key) > 1 << 26 or PyBytes_GET_SIZE(row) > (1 << 31):
            raise CoreError("a key of more than 64 MB, or a row of more than 2 GB, does not fit the memtable")
        cdef Partition* place = table.partition(table_id, view(partition))
        table.push(place, table.node(place, view(key)), sequence, view(row), deleted)

    def get(self, uint64_t table_id, bytes partition not None, bytes key not None, uint64_t snapshot):
        """(sequence, deleted, row) of the newest version at or below `snapshot`."""
        cdef const Partition* place = self.table.get().find(table_id, view(partition))
        cdef const Version* version = NULL
        if place != NULL:
            version = place.get(view(key), snapshot)
        if version == NULL:
            return None
        row = PyBytes_FromStringAndSize(version.data(), version.length)
        return version.sequence, bool(version.deleted), row

    def scan(self, uint64_t table_id, bytes partition not None, uint64_t snapshot, *, bytes low=None,
             bytes high=None, bint reverse=False, bint deleted=False):
        """(key, sequence, deleted, row) in key order, low <= key <= high."""
        cdef _Scan scan = _Scan.__new__(_Scan)
        cdef const Partition* place = self.table.get().find(table_id, view(partition))
        cdef Bounds bounds
        cdef string_view low_view
        cdef string_view high_view
        scan.owner, scan.low, scan.high = self, low, high
        if low is not None:
            low_view = view(low)
            bounds.low = &low_view
        if high is not None:
            high_view = view(high)
            bounds.high = &high_view
        if place != NULL:
            scan.cursor.reset(new PartitionCursor(dereference(place), snapshot, bounds, reverse, deleted))
        return scan

    def partitions(self, uint64_t table_id):
        """Every partition that was put to."""
        cdef vector[const Partition*] found = self.table.get().partitions(table_id)
        cdef list names = []
        cdef size_t at
        for at in range(found.size()):
            names.append(bytes_of(found[at].name()))
        names.sort()
        return names

    def freeze(self):
        """Takes no more writes."""
        self.table.get().freeze()

    @property
    def bytes(self):
        """What the arena took from the system."""
        return self.table.get().bytes()

    @property
    def entries(self):
        """How many versions there are."""
        return self.table.get().entries()
