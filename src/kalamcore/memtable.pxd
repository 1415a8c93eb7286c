# memtable.pxd - what Cython may know of the memtable.
from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport unique_ptr
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error


cdef extern from "memtable.hpp" namespace "kalam" nogil:
    cdef cppclass Version:
        uint64_t sequence
        uint32_t length
        cpp_bool deleted
        const char* data()

    cdef cppclass Node:
        pass

    cdef cppclass Partition:
        string_view name()
        const Version* get(string_view key, uint64_t snapshot)

    cdef cppclass Bounds:
        Bounds()
        const string_view* low
        const string_view* high

    cdef cppclass PartitionCursor:
        PartitionCursor(const Partition& partition, uint64_t snapshot, const Bounds& bounds, cpp_bool reverse,
                        cpp_bool deleted)
        const Version* next()
        string_view key()

    cdef cppclass CppMemTable "kalam::MemTable":
        CppMemTable(uint64_t seed) except +raise_core_error
        const Partition* find(uint64_t table_id, string_view name)
        vector[const Partition*] partitions(uint64_t table_id) except +raise_core_error
        Partition* partition(uint64_t table_id, string_view name) except +raise_core_error
        Node* node(Partition* partition, string_view key) except +raise_core_error
        cpp_bool push(Partition* partition, Node* node, uint64_t sequence, string_view row,
                      cpp_bool deleted) except +raise_core_error
        uint64_t bytes()
        uint64_t entries()
        void freeze()
        cpp_bool frozen()


cdef class MemTable:
    cdef unique_ptr[CppMemTable] table
